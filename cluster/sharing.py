"""GpuRoom: several pieces of work on one GPU, or one that is alone there; by locks on files.

The locks are this machine's and this user's, and the system drops those of a process that dies.
Ray's fractions say how many start on a GPU; this says when one of them has it for itself.
"""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cluster.errors import ClusterError


class GpuRoom:
    """A GPU that work enters to share it, or alone. Who waits to be alone goes before newcomers.

    Args:
        uuid: Names the device.
        folder: Where the locks lie; a folder of this user's in the system's temporary one.
    """

    def __init__(self, uuid: str, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir()) / f"nas-gpus-{os.getuid()}"
        self._name = "".join(c if c.isalnum() or c == "-" else "_" for c in uuid)

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Wait until nobody has the GPU alone, and be one of several there."""
        import fcntl

        with self._locked("room") as room:
            with self._locked("gate") as gate:
                fcntl.flock(gate, fcntl.LOCK_EX)
                fcntl.flock(room, fcntl.LOCK_SH)
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until all others have left, and keep new ones out."""
        import fcntl

        with self._locked("gate") as gate, self._locked("room") as room:
            fcntl.flock(gate, fcntl.LOCK_EX)
            fcntl.flock(room, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _locked(self, kind: str) -> Iterator[int]:
        """A file that may be locked; to close it ends the lock."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            if self._folder.stat().st_uid != os.getuid():
                raise PermissionError("it is another user's")
            path = self._folder / f"{self._name}.{kind}"
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ClusterError(
                f"{self._folder} must be a folder of this user's for locks on GPUs, but {error}."
            ) from error
        try:
            yield handle
        finally:
            os.close(handle)


def share_of_gpu(peak_bytes: int, gpu_bytes: int, margin: float) -> float:
    """The share of a GPU to reserve for work that took so much of its memory at most.

    As many fit on the GPU as have `peak x (1 + margin)` each, and share it evenly, so that no
    memory is reserved for nobody; it is rounded down to the ten-thousandths that Ray counts in.
    Work of which no two fit has the GPU for itself.

    >>> share_of_gpu(2 * 2**30, 24 * 2**30, 0.2), share_of_gpu(7 * 2**30, 24 * 2**30, 0.1)
    (0.1, 0.3333)

    Raises:
        ClusterError: If not even one fits.
    """
    if peak_bytes > gpu_bytes:
        raise ClusterError(
            f"One trial needs {peak_bytes / 2**30:.3g} GiB of a GPU that has "
            f"{gpu_bytes / 2**30:.3g} GiB; use a larger GPU, or smaller batches or networks."
        )
    fitting = max(1, int(gpu_bytes / (peak_bytes * (1.0 + margin))))
    return math.floor(1e4 / fitting) / 1e4
