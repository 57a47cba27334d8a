"""What a posted job may name: the operator's data, spaces and evaluators, and no code at all."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from nas.errors import InvalidRequestError
from nas.jobs.spec import EvaluatorSpec, InvalidJobError, JobSpec, ScalingSpec
from nas.search.objectives import parse_constraints, parse_objectives
from nas.search.samplers import SAMPLERS
from nas.server.settings import Settings
from search_spaces.errors import SearchSpaceError
from search_spaces.space import SearchSpace
from search_spaces.spaces import SPACES

OF_TABLES = ("table", "finite")
MOST_ENTRIES = 200


def allowed(settings: Settings) -> dict[str, list[str]]:
    """What a posted job may name, for a form or a listing: names only, no folder of this machine.

    `data` are built-in data sets, and what lies in the data roots.
    """
    found: list[str] = []
    for root in settings.data_roots:
        entries = sorted(root.iterdir()) if root.is_dir() else []
        found += [e.name for e in entries if e.is_dir() or e.suffix in (".npz", ".csv", ".json")]
    return {
        "data": [*settings.data_sets, *found[:MOST_ENTRIES]],
        "spaces": sorted(SPACES if settings.spaces is None else settings.spaces),
        "evaluators": list(settings.evaluators),
        "samplers": sorted(SAMPLERS),
    }


def check_rules(settings: Settings, spec: JobSpec) -> JobSpec:
    """Refuse a job that names what the operator did not allow.

    Returns:
        The job, with the paths of data and tables resolved, links followed.

    Raises:
        InvalidJobError: With the field; it says nothing of files outside the data roots.
    """
    roots = settings.data_roots
    updates: dict[str, Any] = {"evaluator": _evaluator(settings, spec.evaluator)}
    if spec.evaluator.name != "table":
        if spec.data.source not in settings.data_sets:
            source = _path(spec.data.source, roots, "data.source", settings.data_sets)
            updates["data"] = spec.data.model_copy(update={"source": source})
        _check_names(spec)
    _check_space(settings, spec)
    if spec.scaling is not None:
        updates["scaling"] = _scaling(spec.scaling, roots)
    workers = spec.execution.workers
    if workers is not None and workers > settings.limits.workers:
        raise _refusal("execution.workers", f"must be at most {settings.limits.workers}", workers)
    return spec.model_copy(update=updates)


def _evaluator(settings: Settings, spec: EvaluatorSpec) -> EvaluatorSpec:
    if spec.function is not None or spec.name == "python":
        raise _refusal("evaluator", "must not name Python code", spec.function or spec.name)
    if spec.name not in settings.evaluators:
        rule = f"must be one of {', '.join(settings.evaluators)} on this server"
        raise _refusal("evaluator.name", rule, spec.name)
    if spec.file is None:
        return spec
    file = _path(spec.file, settings.data_roots, "evaluator.file")
    return spec.model_copy(update={"file": file})


def _check_space(settings: Settings, spec: JobSpec) -> None:
    space, of_table = spec.space, spec.evaluator.name == "table"
    if not isinstance(space, str):
        if settings.spaces is not None and not (of_table and "stages" not in space):
            rule = f"must be one of {', '.join(settings.spaces)} on this server"
            raise _refusal("space", rule, "a space of its own")
        if "stages" in space or not of_table:
            try:
                SearchSpace.from_dict(space)
            except SearchSpaceError as error:
                raise InvalidJobError(f"The job: `space`: {error}", "space") from None
        return
    names: Collection[str] = SPACES if settings.spaces is None else settings.spaces
    if (space in names and space in SPACES) or (of_table and space in OF_TABLES):
        return
    raise _refusal("space", f"must be one of {', '.join(sorted(names))}", space)


def _check_names(spec: JobSpec) -> None:
    """Names and bounds that need no data to be wrong, each by its field."""
    search = spec.search
    if search.sampler.name not in SAMPLERS:
        rule = f"must be one of {', '.join(sorted(SAMPLERS))}"
        raise _refusal("search.sampler.name", rule, search.sampler.name)
    for field, check in (
        ("search.objectives", lambda: parse_objectives(search.objectives, spec.evaluator.metrics)),
        ("search.constraints", lambda: parse_constraints(search.constraints)),
    ):
        try:
            check()
        except InvalidRequestError as error:
            raise InvalidJobError(f"The job: `{field}`: {error}", field) from None


def _scaling(spec: ScalingSpec, roots: Sequence[Path]) -> ScalingSpec:
    # a file of the server would be read, and its content named in the message
    if spec.baseline.lower().endswith(".json"):
        raise _refusal(
            "scaling.baseline", "must be a rule or a network's name, no file", spec.baseline
        )
    updates: dict[str, Any] = {}
    for name in ("latency", "grid"):
        part = getattr(spec, name)
        if part is not None and part.table is not None:
            table = _path(part.table, roots, f"scaling.{name}.table")
            updates[name] = part.model_copy(update={"table": table})
    return spec.model_copy(update=updates)


def _path(text: str, roots: Sequence[Path], field: str, names: Sequence[str] = ()) -> str:
    """Where a path leads, links followed, if that is below a data root; what is relative is looked
    for below each."""
    for root in roots:
        try:
            top, real = root.resolve(), (root / text).resolve()
            if real.is_relative_to(top) and real.exists():
                return str(real)
        except (OSError, RuntimeError, ValueError):  # too long, links in a circle, a null byte
            continue
    named = f"one of {', '.join(names)}, or " if names else ""
    where = "a file or folder below this server's data folders" if roots else "left out"
    if not roots and names:
        named, where = f"one of {', '.join(names)}", ""
    raise _refusal(field, f"must be {named}{where}", text)


def _refusal(field: str, rule: str, got: Any) -> InvalidJobError:
    return InvalidJobError(f"The job: `{field}` {rule}, but got {got!r:.80}.", field)
