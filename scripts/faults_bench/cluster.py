"""A Ray cluster of `ray start` processes on loopback, each node with its own private folder."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
OBJECT_STORE_BYTES = 80_000_000
FIRST_PORT, LAST_PORT = 20_000, 30_000  # below those that the system gives out


def free_port() -> int:
    """A port that can be taken again after a restart."""
    while True:
        port = random.SystemRandom().randrange(FIRST_PORT, LAST_PORT)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_for(condition: Callable[[], Any], seconds: float, what: str, pause_s: float = 0.3) -> Any:
    """What the condition answers, once it is true.

    Raises:
        TimeoutError: If it is not in that time.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s in vain until {what}")
        time.sleep(pause_s)
    return found


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Node:
    """The processes of one node, and the folder that is its alone."""

    process: subprocess.Popen[bytes]
    folder: Path
    ip: str

    def workers(self) -> list[psutil.Process]:
        """Processes that have a trial (or wait for one)."""
        return [process for process in tree(self.process.pid) if "ray::" in _title(process)]

    def kill(self, keep_folder: bool = False) -> None:
        """Everything at once, as if the power went; its disk goes with it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGSTOP)  # it would start others
        for process in reversed(tree(self.process.pid)):
            _signal(process, signal.SIGKILL)
        self.process.wait()
        if not keep_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def lives(self) -> bool:
        return self.process.poll() is None


def tree(pid: int) -> list[psutil.Process]:
    """A process and all its descendants."""
    try:
        top = psutil.Process(pid)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)


class Cluster:
    """A head without CPUs for trials, and nodes with one each.

    Args:
        folder: Holds the nodes' private folders; its path must be short, sockets lie below it.
        environment: What the nodes know besides Ray's own.
        keeps_state: Whether the head's state outlives it, in Ray's embedded RocksDB (alpha);
            the folder of that is what a persistent volume is elsewhere.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], keeps_state: bool = True
    ) -> None:
        self._folder, self.keeps_state = folder, keeps_state
        self.token = secrets.token_hex(20)
        self.environment = {
            **os.environ,
            **environment,
            "OMP_NUM_THREADS": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
            # fewer processes that nobody asked for, on a machine of two cores
            "RAY_enable_worker_prestart": "0",
            "RAY_prestart_worker_first_driver": "0",
        }
        if keeps_state:
            (folder / "gcs").mkdir()
            self.environment["RAY_gcs_storage"] = "rocksdb"
            self.environment["RAY_gcs_storage_path"] = str(folder / "gcs")
        self._port, self._dashboard = free_port(), free_port()
        self._agent, self._client = free_port(), free_port()
        self._started = 0
        self._names_nodes = (
            subprocess.run(["unshare", "--uts", "true"], check=False).returncode == 0
        )
        self.head: Node | None = None
        self.nodes: list[Node] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._dashboard}"

    def start_head(self) -> None:
        self._run_head()
        wait_for(self._takes_jobs, 300, "the head takes jobs", pause_s=1)

    def _run_head(self) -> None:
        self.head = self._start(
            "127.0.0.1",
            *("--head", "--num-cpus", "0", "--port", str(self._port)),
            *("--dashboard-port", str(self._dashboard)),
            *("--ray-client-server-port", str(self._client)),
            agent=self._agent,
        )

    def _takes_jobs(self) -> bool:
        """The dashboard is there some seconds before what starts drivers.

        A head that gave up is started again: on a busy machine its own limit may be too short.
        """
        if self.head is not None and not self.head.lives:
            self.head.kill()
            self._run_head()
        if not answers(self._dashboard):
            return False
        from cluster.errors import ClusterError
        from cluster.ray_jobs import RayJobs

        try:
            return bool(RayJobs(self.address).submit("true", id=f"ready-{time.monotonic_ns()}"))
        except ClusterError:
            return False

    def add_node(self) -> Node:
        ip = f"127.0.{1 + self._started // 250}.{2 + self._started % 250}"
        node = self._start(
            ip, "--address", f"127.0.0.1:{self._port}", "--num-cpus", "1", agent=free_port()
        )
        self.nodes.append(node)
        return node

    def _start(self, ip: str, *options: str, agent: int) -> Node:
        self._started += 1
        folder = self._folder / f"n{self._started}"
        folder.mkdir()
        with open(folder / "out", "wb") as out:
            process = subprocess.Popen(
                [
                    *self._own_name(f"node-{self._started}"),
                    *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                    *("--node-ip-address", ip, "--temp-dir", str(folder)),
                    *("--object-store-memory", str(OBJECT_STORE_BYTES)),
                    *("--dashboard-agent-listen-port", str(agent)),
                    *("--min-worker-port", "0", "--max-worker-port", "0"),
                    *("--include-log-monitor", "false"),
                    *options,
                ],
                cwd=folder,
                env=self.environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        return Node(process, folder, ip)

    def _own_name(self, name: str) -> tuple[str, ...]:
        """A host name for one node alone, so that nobody takes two nodes for one machine."""
        if not self._names_nodes:
            return ()
        return ("unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', name)

    def close(self) -> None:
        for node in (*self.nodes, self.head):
            if node is not None:
                node.kill(keep_folder=True)
