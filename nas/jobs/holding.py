"""What a driver does to be a good one: hold its job, keep a journal, end politely."""

from __future__ import annotations

import _thread
import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from nas.data.remote import is_remote
from nas.errors import InvalidRequestError, NasError
from nas.jobs.process import local_state
from nas.kills import at_kill
from nas.periodic import Periodic
from nas.search.journal import Journal
from nas.store import JobRow, Store
from nas.store.jobs import LEASE_S

HURRY_S = 10.0
"""How long a store that is away is waited for by a driver that is on its way out."""
CODE_VARIABLE = "NAS_CODE"
"""Tells a driver that was sent to a node which version of this package its job came with."""
JOURNALS = "journals"
"""Folder of the artifact location, with a folder a job."""


class Hold:
    """A driver's hold on its job, which it may lose."""

    def __init__(self) -> None:
        self.lost = ""

    def check(self) -> None:
        """Raise if the job, or the store, is no longer this driver's to write to."""
        if self.lost:
            raise NasError(self.lost)


def new_driver() -> str:
    """A name that no other driver has."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


@contextlib.contextmanager
def held(store: Store, job: JobRow, driver: str) -> Iterator[Hold]:
    """Hold a job while its driver lives: a thread renews the lease, whatever else is busy.

    A driver whose lease ran out and whose job another took is interrupted, and so is one whose
    store was brought to another version. One that was sent to a node waits for the lease of
    another to run out: that may have died on a node that nobody can ask any more.
    """
    if not _taken(store, job, driver, LEASE_S + 10 if CODE_VARIABLE in os.environ else 0.0):
        raise InvalidRequestError(
            f"Job {job.name} ({job.id}) is being run by another driver. "
            f"Wait for it, or stop it first: nas stop {job.id}."
        )
    hold = Hold()
    in_main = threading.current_thread() is threading.main_thread()

    def keep() -> None:
        if not hold.lost:
            hold.lost = _renew(store, job, driver)
            if hold.lost and in_main and not keeper.closed:
                _thread.interrupt_main()

    keeper = Periodic(keep, LEASE_S / 3, "Renewing the lease of a job")
    try:
        yield hold
    finally:
        keeper.close()
        with contextlib.suppress(NasError):  # it runs out by itself
            store.release_job(job.id, driver)


def _taken(store: Store, job: JobRow, driver: str, wait_s: float) -> bool:
    give_up = time.monotonic() + wait_s
    while not store.take_job(job.id, driver, LEASE_S):
        if time.monotonic() >= give_up:
            return False
        time.sleep(1.0)
    return True


def _renew(store: Store, job: JobRow, driver: str) -> str:
    """Renew the lease; returns why that is no use any more."""
    try:
        store.check_version()
        if store.heartbeat(job.id, driver, LEASE_S):
            return ""
    except InvalidRequestError as error:
        return str(error)
    except NasError:  # away for very long; the main thread says so
        return ""
    return (
        f"Job {job.name} ({job.id}) was taken over by another driver while this one could not "
        f"renew its lease; this one ends. Results that it had are in its journal."
    )


@contextlib.contextmanager
def polite_kills(store: Store) -> Iterator[None]:
    """Have SIGTERM end a run as Ctrl-C does."""

    def interrupt() -> None:
        hurry(store)
        raise KeyboardInterrupt

    with at_kill(interrupt):
        yield


def hurry(store: Store) -> None:
    """From now on a store that is away is not waited for long."""
    store.patience_s = HURRY_S  # type: ignore[attr-defined]


def open_journal(store: Store, job: JobRow, driver: str) -> Journal | None:
    """The driver's journal: beside the artifacts where these are a folder, so that another node
    finds it; else on this machine, which the job's row then names."""
    artifacts = str(job.attributes.get("artifacts", ""))
    if not artifacts:
        return None
    folder = Path(artifacts) / JOURNALS / job.id
    if is_remote(artifacts):
        folder = local_state() / JOURNALS / job.id
        where = {"host": socket.gethostname(), "folder": str(folder)}
        store.update_job(job.id, attributes={"journal": where})
    return Journal(folder, driver.replace(":", "-"))
