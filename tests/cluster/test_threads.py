import threading

from cluster.executor import OnReport
from cluster.threads import ThreadExecutor
from tests.contracts import ExecutorContract, collect_all, play


class TestThreadExecutor(ExecutorContract):
    @staticmethod
    def make(on_report: OnReport) -> ThreadExecutor:
        return ThreadExecutor(play, on_report, slots=3)


def test_as_many_payloads_as_slots_wait_side_by_side() -> None:
    meeting = threading.Barrier(3)

    def meet(payload):  # type: ignore[no-untyped-def]
        meeting.wait(timeout=30)
        return payload
        yield

    executor = ThreadExecutor(meet, slots=3)
    for number in range(3):
        executor.submit(str(number), number)
    assert {result.value for result in collect_all(executor, 3).values()} == {0, 1, 2}
    executor.close()
