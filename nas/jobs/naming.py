"""How architectures are named: published name, fingerprint, trial, or file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import InvalidRequestError
from search_spaces.architecture import Architecture
from search_spaces.errors import UnknownNameError
from search_spaces.published import get_published

if TYPE_CHECKING:
    from nas.store import Store, TrialRow


def find_architecture(name: str, store: Store | str, *, files: bool = True) -> Architecture:
    """Read `efficientnet_b0`, a fingerprint or its prefix, `JOB/12`, or a `.json` file.

    Args:
        store: A store, or its URL: opened only for names that need it.
        files: Whether a file may be named: not by who asks a server, whose files they are.

    Raises:
        InvalidRequestError: If it is none of these, or the prefix is not unique.
    """
    if name.endswith(".json"):
        if not files:
            raise InvalidRequestError(
                f"A network is named by a published name, a fingerprint or JOB/12, but got "
                f"{name!r:.80}."
            )
        return _from_file(Path(name))
    if "/" in name:
        return _from_store(name, _opened(name, store))
    try:
        return get_published(name)
    except UnknownNameError as error:
        if re.fullmatch(r"[0-9a-f]{4,32}", name):
            return _from_store(name, _opened(name, store))
        others = "a fingerprint, a trial as JOB/12" + (", or a .json file" if files else "")
        raise InvalidRequestError(f"{error} It may also be {others}.") from None


def _from_file(path: Path) -> Architecture:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InvalidRequestError(f"Cannot read {path}: {reason}.") from None
    return Architecture.from_json(text)


def _from_store(name: str, store: Store) -> Architecture:
    if "/" not in name:
        return stored_architecture(store, name)
    trial = _trial(store, name)
    if trial.architecture is None:
        reason = trial.reason or "it has choices only"
        raise InvalidRequestError(f"Trial {name} has no network: {reason}.")
    return stored_architecture(store, trial.architecture)


def find_trial(name: str, store_url: str) -> TrialRow:
    """The trial that JOB/12 names, whether it has a network or not."""
    return _trial(_opened(name, store_url), name)


def _opened(name: str, store: Store | str) -> Store:
    if not isinstance(store, str):
        return store
    from nas.store import Store as Opened

    path = store.removeprefix("sqlite:///")
    if store.startswith("sqlite:///") and not os.path.exists(path):
        raise InvalidRequestError(
            f"{name!r} names a stored network, but there is no store at {path}. Give --store."
        )
    return Opened.open(store, create=False)


def _trial(store: Store, name: str) -> TrialRow:
    job_name, _, number = name.rpartition("/")
    if not number.isdecimal():
        raise InvalidRequestError(f"A trial must be named like JOB/12, but got {name!r}.")
    job = store.find_job(job_name)
    trial = store.trial(job.id, int(number))
    if trial is None:
        raise InvalidRequestError(
            f"Job {job.name} has no trial {number}; it has "
            f"{sum(store.count_trials(job.id).values())}, counted from 0."
        )
    return trial


def stored_architecture(store: Store, fingerprint: str) -> Architecture:
    """A stored network by its fingerprint or a unique beginning of one."""
    row = store.find_architecture(fingerprint)
    if row is None:
        raise InvalidRequestError(f"There is no network {fingerprint!r} in {store.url}.")
    return Architecture.from_json(row.document)
