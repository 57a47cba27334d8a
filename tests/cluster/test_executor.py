from cluster.executor import InlineExecutor, OnReport
from tests.contracts import ExecutorContract, play


class TestInlineExecutor(ExecutorContract):
    @staticmethod
    def make(on_report: OnReport) -> InlineExecutor:
        return InlineExecutor(play, on_report)
