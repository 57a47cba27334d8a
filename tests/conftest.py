"""What every test may rely on."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Training flushes denormal numbers to zero for its thread; the next test has them back."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def ray_here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One Ray for everything that runs in this process, since a start takes seconds.

    It is told of a GPU that nobody looks for. Its workers write into the file that this gives,
    which they know as `STOPPING_LOG`.
    """
    import ray

    from cluster.ray_runtime import enter_ray

    log = tmp_path_factory.mktemp("ray") / "workers.log"
    os.environ["STOPPING_LOG"] = str(log)
    with tempfile.TemporaryDirectory(prefix="nas-", dir="/tmp") as folder:
        assert enter_ray(None, folder, cpus=2, gpus=1)
        yield log
        ray.shutdown()
