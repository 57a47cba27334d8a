"""Evaluation by a user's own function: named by its import path, or at hand in this process."""

from __future__ import annotations

import functools
import importlib
import math
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.executor import Report
from nas.errors import InvalidRequestError, NasError
from nas.evaluation.contract import Outcome, Request, Status
from search_spaces.space import Option

UserFunction = Callable[[Request], Any]


@dataclass(frozen=True, kw_only=True)
class PythonEvaluator:
    """Calls `function(request)`, which returns a mapping of metric to number.

    `request.architecture` is what to evaluate (`request.choices` where a trial has none). Where
    the function is a generator, it yields mappings on the way, one an epoch, and returns the
    last one; `epoch` and `checkpoint` among these say how far it is, and how far its last
    checkpoint. `val_samples` and `test_samples` among the metrics are the images behind the
    accuracies. What the function raises makes a failed trial with the error.

    Args:
        path: `package.module:function`.
        folder: Where Python also looks for the module: the folder of the job file.
        cheap: True for a function of milliseconds: it is then called in the driver, in batches.
        version: Change it when the function changes, and old results no longer count.
    """

    path: str
    folder: str | None = None
    cheap: bool = False
    version: str = ""

    @property
    def identity(self) -> str:
        return f"python:{self.path}" + (f"@{self.version}" if self.version else "")

    def prepare(self) -> None:
        _import(self.path, self.folder)

    def evaluate(self, requests: Sequence[Request]) -> Generator[Report, None, list[Outcome]]:
        function = _import(self.path, self.folder)
        outcomes = []
        for request in requests:
            outcomes.append((yield from _call(function, request, self.path)))
        return outcomes


@dataclass(frozen=True, kw_only=True, eq=False)
class FunctionEvaluator:
    """Calls a function of this process with the choices, a dict of name to option.

    It answers as in `PythonEvaluator`; None, or a needed metric that is not finite, says that
    the choices are infeasible.

    Args:
        needs: Metrics that must come back, as the objectives have it.
    """

    function: Callable[[dict[str, Option]], Any]
    needs: tuple[str, ...]
    name: str = "evaluate"

    @property
    def identity(self) -> str:
        return f"function:{self.name}"

    @property
    def cheap(self) -> bool:
        return True

    def prepare(self) -> None:
        pass

    def evaluate(self, requests: Sequence[Request]) -> Generator[Report, None, list[Outcome]]:
        def ask(request: Request) -> Any:
            return self.function(dict(request.choices))

        outcomes = []
        for request in requests:
            outcomes.append((yield from _call(ask, request, f"`{self.name}`", self.needs)))
        return outcomes


@functools.cache
def _import(path: str, folder: str | None) -> UserFunction:
    module_name, colon, name = path.partition(":")
    parts = [*module_name.split("."), name]
    if not colon or not all(part.isidentifier() for part in parts):
        raise InvalidRequestError(
            f"`function` must be like 'package.module:function', but got {path!r}."
        )
    if folder is not None and folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module raises when it is imported
        raise InvalidRequestError(
            f"`function` must be importable, but importing {module_name!r} gave "
            f"{type(error).__name__}: {error}."
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        raise InvalidRequestError(
            f"`function` must name a function of {module_name!r}, but got {name!r}, which is "
            f"{'not there' if function is None else 'not callable'}."
        )
    return function  # type: ignore[no-any-return]


def _call(
    function: UserFunction, request: Request, path: str, needs: Sequence[str] | None = None
) -> Generator[Report, None, Outcome]:
    """Call it, and make an outcome of whatever happens; see `FunctionEvaluator` for `needs`."""
    started = time.monotonic()
    curve: list[dict[str, float]] = []

    def ended(status: Status, **fields: Any) -> Outcome:
        reached = curve[-1]["epoch"] if curve else 0.0  # not how many: it may have gone on
        return Outcome(
            key=request.key,
            status=status,
            curve=tuple(curve),
            fidelity=max(1.0, reached) if status is Status.COMPLETED else reached,
            seconds=time.monotonic() - started,
            **fields,
        )

    try:
        returned = function(request)
        if isinstance(returned, Generator):
            returned = yield from _listen(returned, curve, path)
        if needs is not None and (reason := _why_infeasible(returned, needs)):
            return ended(Status.INFEASIBLE, reason=reason)
        metrics = _checked(returned, f"{path} must return")
    except Exception as error:  # a user's fault is a failed trial
        told = str(error) if isinstance(error, NasError) else f"{type(error).__name__}: {error}"
        return ended(Status.FAILED, reason=told)
    samples = {n: int(metrics.pop(n, 0)) for n in ("val_samples", "test_samples")}
    return ended(Status.COMPLETED, metrics=metrics, **samples)


def _listen(
    running: Generator[Any, None, Any], curve: list[dict[str, float]], path: str
) -> Generator[Report, None, Any]:
    try:
        while True:
            metrics = _checked(next(running), f"{path} must yield")
            checkpoint = metrics.pop("checkpoint", None)
            curve.append({"epoch": len(curve) + 1.0, **metrics})
            # the function's own epoch, where it says one: it may go on from a checkpoint
            yield Report(curve[-1]["epoch"], metrics, checkpoint)
    except StopIteration as end:
        return end.value
    finally:
        running.close()


def _why_infeasible(returned: Any, needs: Sequence[str]) -> str:
    if returned is None:
        return "None was returned"
    for name in needs:
        number = _number(returned.get(name)) if isinstance(returned, Mapping) else None
        if number is not None and not math.isfinite(number):
            return f"{name} is {number}"
    return ""


def _checked(returned: Any, what: str) -> dict[str, float]:
    """The finite numbers of what a user's function returned."""
    if not isinstance(returned, Mapping):
        raise NasError(f"{what} a mapping of metric to number, but got {_shown(returned)}.")
    metrics = {}
    for name, value in returned.items():
        number = _number(value)
        if not isinstance(name, str) or number is None:
            raise NasError(
                f"{what} a mapping of metric to number, but got {name!r}: {_shown(value)}."
            )
        if math.isfinite(number):
            metrics[name] = number
    if not metrics:
        raise NasError(f"{what} at least one finite number, but got {_shown(dict(returned))}.")
    return metrics


def _number(value: Any) -> float | None:
    """numpy's and torch's numbers count; texts and flags don't."""
    if isinstance(value, (bool, str, bytes)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 80 else text[:77] + '...'}"
