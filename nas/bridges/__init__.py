"""Bridges: a job written down in the form that another tool opens, one file a tool."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from nas.bridges.history import History
from nas.errors import InvalidRequestError

_MODULES = {
    "mlflow": "nas.bridges.mlflow_runs",
    "optuna": "nas.bridges.optuna_study",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a bridge wrote.

    Args:
        name: The study's or experiment's name in the other tool.
        trials: How many were written now; those that were there already are not counted.
        open_with: The command that shows it.
    """

    name: str
    target: str
    trials: int
    open_with: str


class Bridge(Protocol):
    """A module of this folder."""

    DEFAULT_TARGET: str

    def write(self, history: History, target: str) -> Written:
        """Write a job; a job that is there already is brought up to date, never doubled.

        Raises:
            InvalidRequestError: If the target can't be written to, or a package is missing.
        """
        ...


def get_bridge(name: str) -> Bridge:
    """The bridge of that name.

    Raises:
        InvalidRequestError: If there is none.
    """
    if name not in _MODULES:
        known = ", ".join(sorted(_MODULES))
        raise InvalidRequestError(f"A bridge must be one of {known}, but got {name!r}.")
    bridge: Bridge = import_module(_MODULES[name])
    return bridge
