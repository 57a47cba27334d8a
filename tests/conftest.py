"""What every test may rely on."""

import sys

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Training flushes denormal numbers to zero for its thread; the next test has them back."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_flush_denormal(False)
