"""The Ray that work runs on: the one that is there, or one started on this machine."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ray

from cluster.errors import ClusterError, WrongClusterError, wants_token
from cluster.local import count_usable_cores

OBJECT_STORE_BYTES = 200 * 2**20  # payloads and results are small

ANSWER_WITHIN_S = 4.0
PROBE = """
import json, sys
from ray._common.usage.usage_lib import get_cluster_metadata
from ray._raylet import GcsClient
print("ready", flush=True)
print(json.dumps(get_cluster_metadata(GcsClient(address=sys.argv[1]))))
"""

# Ray reads these where it needs them; some have no other way in.
SETTINGS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean the driver's folder
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
SETTINGS_OF_RAY_STARTED_HERE = {
    # Tune's actors take no worker that was started ahead.
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
}


def enter_ray(address: str | None, folder: str, cpus: float, gpus: float | None = None) -> bool:
    """Connect this process to Ray, unless it is connected; True if that was done here.

    Args:
        address: HOST:PORT of a Ray head, or `auto`; else `RAY_ADDRESS` says it; else Ray is
            started on this machine.
        folder: Where a Ray started here keeps its sockets and logs.
        cpus: CPUs that a Ray started here claims at least, this machine's cores else.
        gpus: GPUs that it claims, those of this machine else.

    Raises:
        ClusterError: If Ray doesn't answer or start.
    """
    os.environ.update(SETTINGS)
    if ray.is_initialized():
        return False
    address = address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"address": address}
    if address:
        _check_head(address)
    else:
        os.environ.update(SETTINGS_OF_RAY_STARTED_HERE)
        options = {
            "address": "local",
            "num_cpus": max(math.ceil(cpus), count_usable_cores()),
            "num_gpus": gpus,
            "object_store_memory": OBJECT_STORE_BYTES,
            "include_dashboard": False,
            "_temp_dir": folder,
        }
    try:
        with _kept_sigterm():
            ray.init(log_to_driver=False, logging_level="error", **options)
    except Exception as error:  # some of Ray's own are bare Exceptions
        where = f"at {address!r} could not be reached" if address else "could not be started here"
        raise ClusterError(f"Ray {where}: {error}") from error
    # Ray prints what its daemons say about a dead worker on standard output, which isn't ours
    # to soil; the same text is in the result's error.
    ray._private.worker._worker_logs_enabled = False
    return True


def make_folder() -> str:
    """A folder for the sockets and logs of a Ray that is started here; their paths are short."""
    return tempfile.mkdtemp(prefix="nas-", dir=os.environ.get("RAY_TMPDIR", "/tmp"))


def is_own_node_alive() -> bool:
    """Whether Ray still has the node that this driver is attached to; True where it can't say.

    A driver outlives its node where the head or the node's raylet dies without it. Ray has ended
    everything of it by then, and doesn't tell.
    """
    try:
        own, nodes = ray.get_runtime_context().get_node_id(), ray.nodes()
    except Exception:  # the head is away; it may come back
        return True
    states = {node["NodeID"]: node["Alive"] for node in nodes}
    return bool(states.get(own, True))


def is_started_here(entered: bool, address: str | None) -> bool:
    """Whether `enter_ray` started a Ray for this process alone, by what it said and was given;
    such a one has at once what it will ever have."""
    return entered and not (address or os.environ.get("RAY_ADDRESS"))


def _check_head(address: str) -> None:
    """Refuse in seconds what Ray would try for many minutes, or end this process for."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise WrongClusterError(
            f"`address` must be 'auto' or the HOST:PORT of a Ray head, but got {address!r}."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise _no_head(address, str(error)) from error
    check_versions(address, _ask_head(address))


def _ask_head(address: str) -> Mapping[str, str] | None:
    """The versions that a head runs, asked in a process of its own: of one that is no head, Ray's
    client never comes back, or ends its process."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", PROBE, address]
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as probe:
        assert probe.stdout is not None
        probe.stdout.readline()  # it has loaded Ray, which takes as long as it takes
        try:
            answer, errors = probe.communicate(timeout=ANSWER_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            probe.kill()
            raise _no_head(address, f"nothing came within {ANSWER_WITHIN_S:g} s") from error
    if "authentication token" in errors.lower():
        raise wants_token(address)
    try:
        versions: Mapping[str, str] | None = json.loads(answer)
    except ValueError as error:
        raise _no_head(address, "what listens there is none") from error
    return versions


def check_versions(address: str, there: Mapping[str, str] | None) -> None:
    """Refuse a cluster of another version of Ray or Python, which Ray would refuse at length.

    Args:
        there: `ray_version` and `python_version` of the cluster, where it says so.
    """
    here = {"ray_version": ray.__version__, "python_version": platform.python_version()}
    for field, name in (("ray_version", "Ray"), ("python_version", "Python")):
        if there is not None and there[field] != here[field]:
            raise WrongClusterError(
                f"The cluster at {address} runs {name} {there[field]}, but here is {name} "
                f"{here[field]}; have the same one on both sides."
            )


def _no_head(address: str, reason: str) -> WrongClusterError:
    return WrongClusterError(
        f"No Ray head answers at {address!r} ({reason}); "
        "look for its GCS port, 6379 unless it was set."
    )


def count_slots(needs: Mapping[str, float]) -> int:
    """How many tasks with these needs the whole of Ray could run side by side.

    Raises:
        ClusterError: If not even one.
    """
    available = ray.cluster_resources()
    slots = min(int(available.get(name, 0) / amount) for name, amount in needs.items())
    if slots == 0:
        there = _amounts({name: available.get(name, 0) for name in needs})
        raise WrongClusterError(
            f"A task needs {_amounts(needs)}, but all of Ray has {there}; "
            "ask for less or add nodes."
        )
    return slots


def gpu_each(workers: int = 1) -> float:
    """GPUs for each of so many workers: 1, or 0 where Ray has fewer; some with and some without
    could not train together."""
    return 1.0 if ray.cluster_resources().get("GPU", 0) >= workers else 0.0


def wait_for_slots(needs: Mapping[str, float], wait_s: float, say: Callable[[str], None]) -> int:
    """`count_slots`, once Ray has nodes for at least one task; an autoscaler is asked for them.

    Args:
        say: Told what is waited for, when the waiting begins.

    Raises:
        ClusterError: If there is still none after `wait_s`.
    """
    give_up, asked = time.monotonic() + wait_s, False
    try:
        while True:
            try:
                return count_slots(needs)
            except ClusterError as error:
                left_s = give_up - time.monotonic()
                if left_s <= 0:
                    waited = f" Waited {wait_s:g} s for it." if wait_s else ""
                    raise WrongClusterError(f"{error}{waited}") from None
                if not asked:
                    say(f"waits up to {wait_s:g} s for a node: {error}")
                    asked = True
                    _ask_autoscaler([dict(needs)])
                time.sleep(min(1.0, left_s))
    finally:
        if asked:
            _ask_autoscaler([])


def _ask_autoscaler(bundles: list[dict[str, float]]) -> None:
    """Say what should be there; a Ray without an autoscaler takes no notice."""
    from ray.autoscaler.sdk import request_resources

    with contextlib.suppress(Exception):
        request_resources(bundles=bundles)


def _amounts(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in resources.items())


@contextlib.contextmanager
def _kept_sigterm() -> Iterator[None]:
    """Undo Ray's handler, which answers SIGTERM with a C++ stack trace."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if before is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)
