"""Ends on their way: an outcome lies under the artifact location until the driver has stored it.

A worker leaves it there before it answers. Should the driver or the worker die in between, the
next attempt at the same key finds it and computes nothing.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Generator, Iterable, Sequence

from cluster.executor import Report
from nas.data import artifacts
from nas.evaluation import work
from nas.evaluation.contract import Evaluator, Outcome, Request, Status

FOLDER = "outbox"

_log = logging.getLogger(__name__)


def work_once(
    payload: tuple[Evaluator, Sequence[Request], str],
) -> Generator[Report, None, list[Outcome]]:
    """What `nas.evaluation.work` does, but for outcomes that an earlier attempt left behind.

    Args:
        payload: Evaluator, requests, and the artifact location.
    """
    evaluator, requests, location = payload
    outcomes = {request.key: find(location, request.key) for request in requests}
    left = [request for request in requests if outcomes[request.key] is None]
    if left:
        for outcome in (yield from work((evaluator, left))):
            leave(location, outcome)
            outcomes[outcome.key] = outcome
    return [outcome for outcome in outcomes.values() if outcome is not None]


def leave(location: str, outcome: Outcome) -> None:
    """Put an outcome there; a failed one is not kept, since another attempt may do better."""
    if outcome.status is Status.FAILED:
        return
    fields = {field.name: getattr(outcome, field.name) for field in dataclasses.fields(outcome)}
    try:
        artifacts.write_bytes(
            location, _name(outcome.key), json.dumps(fields, default=_plain).encode()
        )
    except (OSError, TypeError, ValueError) as error:  # the worker's answer brings it all the same
        _log.warning("The outcome of %s could not be left in %s: %s", outcome.key, FOLDER, error)


def find(location: str, key: str) -> Outcome | None:
    """The outcome that an earlier attempt left, if there is one that can be read."""
    try:
        content = artifacts.read_bytes(location, _name(key))
        if content is None:
            return None
        fields = json.loads(content)
        fields["status"] = Status(fields["status"])
        fields["curve"] = tuple(fields["curve"])
        fields["weights"] = fields["weights"] and tuple(fields["weights"])
        found = Outcome(**fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("The outcome left for %s can't be read (%s); computed again.", key, error)
        return None
    return found if found.key == key else None


def forget(location: str, keys: Iterable[str]) -> None:
    """Remove what the store has by now."""
    for key in keys:
        try:
            artifacts.remove(location, _name(key))
        except OSError as error:
            _log.warning("The outcome left for %s could not be removed: %s", key, error)


def _name(key: str) -> str:
    return f"{FOLDER}/{key}.json"


def _plain(value: object) -> object:
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        return value.tolist()
    if hasattr(value, "items"):
        return dict(value.items())
    raise TypeError(f"only plain values can be left, but got {type(value).__name__}")
