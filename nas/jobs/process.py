"""A job's driver as a process of this machine, for who submits a job and does not wait for it.

It outlives who started it. What it prints, its pictures and its exports lie in `job_folder`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import nas
from nas.data.remote import is_remote
from nas.errors import InvalidRequestError
from nas.store import JobRow, JobState, Store
from nas.store.jobs import host_name

PROCESS = "process"
"""The attribute of a job that says which process was started for it, and where."""
LOG = "log.txt"


def job_folder(job: JobRow) -> Path:
    """Where a process of this machine leaves what it prints and draws for a job: below the
    artifact location where that is a folder, so that other servers find it."""
    artifacts = str(job.attributes.get("artifacts", ""))
    if artifacts and not is_remote(artifacts):
        return Path(artifacts).absolute() / "jobs" / job.id
    return local_state() / "jobs" / job.id


def local_state() -> Path:
    """Where this machine keeps what belongs beside artifacts that are elsewhere."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "nas-scale"


def child_environment(store_url: str) -> dict[str, str]:
    """For a process of this package over a store, whose URL other users don't read there."""
    # where this package is, in case it is not installed but found by the working folder
    paths = [str(Path(nas.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "NAS_STORE": absolute_url(store_url),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }


def start_process(store: Store, store_url: str, job: JobRow) -> JobRow:
    """Have a process of its own run the driver of a job, new or taken up again."""
    folder = job_folder(job)
    folder.mkdir(parents=True, exist_ok=True)
    store.set_job_state(job.id, JobState.WAITING)
    command = [sys.executable, "-P", "-m", "nas", "resume", job.id, "-o", str(folder / "results")]
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**child_environment(store_url), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # a child that ended and was not waited for would look alive
    threading.Thread(target=process.wait, name=f"job-{job.id}", daemon=True).start()
    started = {"host": host_name(), "pid": process.pid}
    store.update_job(job.id, attributes={PROCESS: started})
    return store.find_job(job.id)


def stop_process(store: Store, job: JobRow) -> bool:
    """End a process that was started for a job and has not taken it up; False if none runs here."""
    if job.state != JobState.WAITING or not _lives(job):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(job.attributes[PROCESS]["pid"]), signal.SIGTERM)
    store.set_job_state(job.id, JobState.STOPPED, "stopped before it began")
    return True


def process_is_gone(job: JobRow) -> bool:
    """Whether a process of this machine was started for a waiting job, and ended without it."""
    return job.state == JobState.WAITING and _is_here(job) and not _lives(job)


def count_processes(store: Store) -> int:
    """How many jobs have a process of this machine that lives."""
    live = (JobState.WAITING, JobState.RUNNING)
    return sum(_lives(job) for state in live for job in store.list_jobs(state=state))


def why_it_ended(job: JobRow) -> str:
    """Why the process of a job ended, as it said itself."""
    said = read_log(job, 0, 100_000)[0] if _log(job).exists() else ""
    return last_words(said) or "its process ended before it took the job up; its log says more"


def last_words(said: str) -> str | None:
    """The last of a process's lines that say what went wrong, as our commands write them.

    >>> last_words("epoch 3\\nnas: No space left.\\nbye"), last_words("Killed")
    ('No space left.', None)
    """
    own = [line for line in said.splitlines() if line.startswith("nas: ")]
    return own[-1].removeprefix("nas: ") if own else None


def read_log(job: JobRow, offset: int = 0, most: int = 65_536) -> tuple[str, int]:
    """What the processes of a job have printed from a byte on, and the byte to go on from.

    Raises:
        InvalidRequestError: If there is no such file on this machine.
    """
    try:
        with _log(job).open("rb") as file:
            file.seek(offset)
            content = file.read(most)
    except FileNotFoundError:
        raise InvalidRequestError(
            f"Job {job.name} ({job.id}) has no log on this machine; its progress is where it was "
            f"started."
        ) from None
    text, used = _whole_text(content)
    return text, offset + used


def absolute_url(store_url: str) -> str:
    """A store's URL that means the same from any folder."""
    if not store_url.startswith("sqlite:///"):
        return store_url
    return f"sqlite:///{Path(store_url.removeprefix('sqlite:///')).absolute()}"


def _log(job: JobRow) -> Path:
    return job_folder(job) / LOG


def _whole_text(content: bytes) -> tuple[str, int]:
    """Bytes as text, without a character that is cut at the end."""
    for cut in range(min(4, len(content) + 1)):
        part = content[: len(content) - cut]
        with contextlib.suppress(UnicodeDecodeError):
            return part.decode("utf-8"), len(part)
    return content.decode("utf-8", "replace"), len(content)


def _process(job: JobRow) -> dict[str, Any]:
    found = job.attributes.get(PROCESS)
    return dict(found) if isinstance(found, dict) else {}


def _is_here(job: JobRow) -> bool:
    return _process(job).get("host") == host_name()


def _lives(job: JobRow) -> bool:
    """Whether the job's process runs on this machine: one of its number that names the job, so
    that a number used again is not taken for it."""
    if not _is_here(job):
        return False
    pid = int(_process(job)["pid"])
    try:
        return job.id in Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
    except OSError:
        return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
