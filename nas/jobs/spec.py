"""JobSpec: the job file, validated; one sentence for whatever is wrong in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from nas.data.remote import is_remote
from nas.data.spec import DataSpec
from nas.errors import InvalidRequestError
from nas.jobs.budget import BudgetSpec
from nas.quantity import parse_quantity
from nas.training.recipe import Recipe
from search_spaces.yaml_text import DocumentError, read_yaml


class InvalidJobError(InvalidRequestError):
    """A job file that is wrong somewhere.

    Args:
        field: Where, as `scaling.phi[1]`; None where it is no job at all.
        line: Of the file, where there is one.
    """

    def __init__(self, message: str, field: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.field, self.line = field, line


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SamplerSpec(_Part):
    """Which sampler suggests, and its settings (population_size, ...)."""

    name: str = "known_cost"
    options: dict[str, bool | int | float | str] = Field(default_factory=dict)


class RewardSpec(_Part):
    """The paper's scalar objective accuracy * (metric / target) ^ exponent; a target of None is
    the median of the space."""

    metric: str = "macs"
    target: float | str | None = None
    exponent: float = Field(-0.07, le=0.0, ge=-10.0)


class EarlyStoppingSpec(_Part):
    """Successive halving on the non-dominated rank: at each rung the best share goes on."""

    first: float = Field(1.0, gt=0.0, description="epochs at the first rung")
    eta: float = Field(3.0, gt=1.0, le=100.0, description="one in so many goes on, so much longer")
    least: int = Field(4, ge=1, description="trials on a rung before any is stopped there")
    full: float | None = Field(
        None, gt=0.0, description="epochs of a whole evaluation; default: the recipe's"
    )


class SearchSpec(_Part):
    """What is optimised, by which sampler, in how many trials."""

    sampler: SamplerSpec = SamplerSpec()
    trials: int = Field(50, ge=1, le=1_000_000)
    objectives: tuple[str, ...] = ("accuracy", "macs")
    constraints: tuple[str, ...] = ()
    reward: RewardSpec = RewardSpec()
    reference: dict[str, float] = Field(
        default_factory=dict, description="reference point of the hypervolume, by objective"
    )
    start_with: tuple[str, ...] = Field(
        (), description="published networks put in first, or the members nearest to them"
    )
    warm_start: tuple[str, ...] = Field(
        (), description="jobs of the store to learn from: ids or names"
    )
    early_stopping: EarlyStoppingSpec | None = Field(
        None, description="true, or its settings; null lets every trial end by itself"
    )
    seed: int = Field(0, ge=0, le=2**31)

    @field_validator("objectives", mode="before")
    @classmethod
    def _with_directions(cls, value: Any) -> Any:
        """YAML reads `[top5: maximize, macs]` as a list with a mapping in it."""
        if not isinstance(value, Mapping | list):
            return value
        texts: list[Any] = []
        for entry in [value] if isinstance(value, Mapping) else value:
            pairs = entry.items() if isinstance(entry, Mapping) else ()
            texts += [f"{metric}: {direction}" for metric, direction in pairs] or [entry]
        return texts

    @field_validator("early_stopping", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        return ({} if value else None) if isinstance(value, bool) else value

    @field_validator("sampler", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class Coefficients(_Part):
    """Alpha (depth), beta (width), gamma (resolution) of compound scaling."""

    alpha: float = Field(ge=0.5, le=4.0)
    beta: float = Field(ge=0.5, le=4.0)
    gamma: float = Field(ge=0.5, le=4.0)


class GridSpec(_Part):
    """The grid search for the coefficients at phi = 1: all briefly, the best by the full recipe."""

    candidates: int = Field(6, ge=1, le=1_000, description="trained, the paper's among them")
    cost: Literal["nominal", "macs", "parameters", "activations", "memory_bytes", "latency_ms"] = (
        Field("nominal", description="what is multiplied; nominal: alpha * beta^2 * gamma^2")
    )
    factor: float = Field(2.0, gt=1.0, le=16.0)
    step: float = Field(0.05, gt=0.0, le=0.5)
    tolerance: float = Field(0.1, gt=0.0, le=0.5, description="relative distance from `factor`")
    alphas: tuple[float, ...] | None = None
    betas: tuple[float, ...] | None = None
    gammas: tuple[float, ...] | None = None
    recipe: Recipe | None = Field(None, description="in place of the job's `recipe`")
    table: str | None = Field(
        None, description="CSV or JSON: alpha, beta, gamma, accuracy; in place of training"
    )


class LatencySpec(_Part):
    """A table of block latencies: what `latency_ms` means without a device."""

    table: str = Field(description="CSV: hw_in, cin, cout, expand, stride, k, se, and a column")
    column: str
    fixed_ms: float = Field(0.0, ge=0.0, description="of stem, head and the call")


class CompareSpec(_Part):
    """Rules against each other at the same targets."""

    rules: tuple[str, ...] = ("compound", "width", "depth", "resolution")
    seeds: int = Field(3, ge=1, le=100)


class ScalingSpec(_Part):
    """The baseline, its coefficients, and the family; `targets` or `factors` in place of phi."""

    baseline: str = Field(
        "best-reward",
        description="best-reward, knee, nearest:400M, trial:12, family, or a network's name",
    )
    rule: str = "compound"
    coefficients: Literal["search", "paper"] | Coefficients = "search"
    grid: GridSpec = GridSpec()
    phi: tuple[float, ...] = (0.0, 1.0, 2.0)
    targets: tuple[str, ...] = Field((), description="as 'macs<=1.2G' or '2x,4x'")
    factors: tuple[str, ...] = Field((), description="as 'width=0.75,resolution=160'")
    latency: LatencySpec | None = None
    compare: CompareSpec | None = None

    @field_validator("phi")
    @classmethod
    def _within_reason(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or any(not -10.0 <= phi <= 10.0 for phi in value):
            raise ValueError("must be one or more numbers from -10 to 10")
        return tuple(sorted(set(value)))


PER_TRIAL = ("cpus_per_trial", "gpus_per_trial", "memory_per_trial")
"""What a trial reserves, by fields of `ExecutionSpec`."""


class ExecutionSpec(_Part):
    """Where trials run: Ray Tune on this machine, or this process."""

    executor: Literal["ray", "inline"] = "ray"
    workers: int | None = Field(None, ge=1, le=100_000, description="default: one a core")
    resources: Literal["given", "measure"] = Field(
        "given", description="measure: what the space's largest network takes in a few steps"
    )
    cpus_per_trial: float = Field(1.0, gt=0.0, le=1024.0)
    gpus_per_trial: float = Field(0.0, ge=0.0, le=64.0)
    memory_per_trial: str | None = Field(
        None, description="bytes that a trial reserves, as 2G; nobody enforces it"
    )
    wait_for_resources_s: float = Field(
        600.0, ge=0.0, le=1e7, description="how long a cluster may take to have what a trial needs"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    workers_together: int = Field(
        1, ge=1, le=4_096, description="that train one network side by side, in `nas train`"
    )

    @model_validator(mode="before")
    @classmethod
    def _found_or_given(cls, value: Any) -> Any:
        given = [name for name in PER_TRIAL if isinstance(value, Mapping) and name in value]
        if given and value.get("resources") == "measure":
            raise ValueError(f"`resources: measure` finds {given[0]}, so one of both must go")
        return value

    @field_validator("memory_per_trial", mode="before")
    @classmethod
    def _amount(cls, value: Any) -> Any:
        if value is None:
            return None
        try:
            positive = parse_quantity(value) > 0
        except InvalidRequestError:
            positive = False
        if not positive:
            raise ValueError("must be an amount of bytes above 0, such as 2G")
        return str(value)


class EvaluatorSpec(_Part):
    """How a network gets its metrics: by training, by a function of one's own, from a table."""

    name: Literal["training", "python", "table"] = "training"
    function: str | None = Field(None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    metrics: dict[str, Literal["maximize", "minimize"]] = Field(default_factory=dict)
    file: str | None = Field(None, min_length=1, description="of a table, .csv or .json")
    decisions: tuple[str, ...] = Field(
        (), description="a table's columns; default: those that are no metric"
    )
    known_costs: tuple[str, ...] = Field(
        (), description="a table's columns that are exact before any evaluation"
    )


class JobSpec(_Part):
    """One job: search a space on some data, choose a baseline, scale it, export it.

    >>> JobSpec(name="demo").search.sampler.name
    'known_cost'
    """

    name: str = Field("job", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    data: DataSpec = DataSpec()
    space: str | dict[str, Any] = "small_images"
    resolution: int | None = Field(None, ge=1, le=8192, description="in place of the space's")
    search: SearchSpec = SearchSpec()
    evaluator: EvaluatorSpec = EvaluatorSpec()
    recipe: Recipe = Recipe()
    final_recipe: Recipe | None = Field(None, description="the full recipe; default: `recipe`")
    scaling: ScalingSpec | None = ScalingSpec()
    execution: ExecutionSpec = ExecutionSpec()
    budget: BudgetSpec = BudgetSpec()
    export: tuple[Literal["safetensors", "torch", "onnx"], ...] = ()

    @field_validator("data", mode="before")
    @classmethod
    def _source(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value

    @field_validator("evaluator", mode="before")
    @classmethod
    def _evaluator(cls, value: Any) -> Any:
        return _evaluator_fields(value)

    @model_validator(mode="before")
    @classmethod
    def _of_a_table(cls, value: Any) -> Any:
        """A job over a table is over its columns, and there are no networks to scale."""
        if isinstance(value, Mapping):
            evaluator = _evaluator_fields(value.get("evaluator"))
            if isinstance(evaluator, Mapping) and evaluator.get("name") == "table":
                return {"space": "table", "scaling": None, **value}
        return value

    @property
    def full_recipe(self) -> Recipe:
        """What final models are trained by."""
        return self.final_recipe or self.recipe

    @property
    def digest(self) -> str:
        """Equal for job files that ask the same, wherever it runs and whatever it may use."""
        plain = self.model_dump(mode="json", exclude_defaults=True, exclude={"execution", "budget"})
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:32]


def _evaluator_fields(value: Any) -> Any:
    """`table:FILE`, `package.module:function` or a name, as the mapping that it stands for."""
    if not isinstance(value, str):
        return value
    name, colon, rest = value.partition(":")
    if name == "table" and colon:
        return {"name": name, "file": rest}
    return {"name": "python", "function": value} if colon else {"name": value}


def load_job(path: Path) -> JobSpec:
    """Read a job file; relative paths in it are relative to where it lies."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InvalidRequestError(f"Cannot read the job file {path}: {reason}.") from None
    return _resolve_paths(job_from_yaml(text, str(path)), path.parent)


def job_from_yaml(text: str, source: str) -> JobSpec:
    """Read a job from a YAML text; what is wrong is named with its line."""
    try:
        document = read_yaml(text, source)
    except DocumentError as error:
        raise InvalidJobError(str(error), line=error.line) from None
    return job_from_dict(document.value, source, document.line_of)


def job_from_dict(
    data: Any, source: str = "The job", line_of: Callable[[str], int] | None = None
) -> JobSpec:
    """Validate a job's plain form, or name the first field that is wrong."""
    if not isinstance(data, Mapping):
        raise InvalidJobError(
            f"{source} must be a mapping such as `name: my-job`, but got {data!r:.60}."
        )
    try:
        return JobSpec.model_validate(data)
    except ValidationError as error:
        place = _place(error)
        line = line_of(place) if line_of else None
        where = source if line is None else f"{source}, line {line}"
        sentence = _one_sentence(error, place)
        raise InvalidJobError(f"{where}: {sentence}", place or None, line) from None


def _place(error: ValidationError) -> str:
    """The first wrong field, as `scaling.phi[1]`."""
    place = ""
    for part in error.errors(include_url=False)[0]["loc"]:
        if isinstance(part, int):
            place += f"[{part}]"
        elif part.isidentifier():  # unions add the name of the type that was tried
            place += f".{part}" if place else part
    return place


def _one_sentence(error: ValidationError, place: str) -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] == "extra_forbidden":
        return f"`{place}` is not a known field{_known_beside(first['loc'])}."
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    message = message[0].lower() + message[1:]
    message = message.replace("a valid tuple", "a list").replace("a valid dictionary", "a mapping")
    return f"`{place}`: {message}, but got {first['input']!r:.80}."


def _known_beside(location: tuple[int | str, ...]) -> str:
    model: Any = JobSpec
    for name in location[:-1]:
        field = getattr(model, "model_fields", {}).get(name)
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
        model = next((c for c in candidates if hasattr(c, "model_fields")), None)
        if model is None:
            return ""
    return f"; known there: {', '.join(model.model_fields)}"


def _resolve_paths(job: JobSpec, folder: Path) -> JobSpec:
    updates: dict[str, Any] = {}
    source = job.data.source
    if not is_remote(source) and ("/" in source or source.endswith(".npz")):
        here = folder / Path(source).expanduser()
        updates["data"] = job.data.model_copy(update={"source": str(here)})
    if isinstance(job.space, str) and job.space.endswith((".yaml", ".yml")):
        updates["space"] = str(folder / job.space)
    if job.evaluator.file is not None:
        here = folder / Path(job.evaluator.file).expanduser()
        updates["evaluator"] = job.evaluator.model_copy(update={"file": str(here)})
    if job.scaling is not None:
        updates["scaling"] = _resolve_tables(job.scaling, folder)
    return job.model_copy(update=updates)


def _resolve_tables(scaling: ScalingSpec, folder: Path) -> ScalingSpec:
    updates: dict[str, Any] = {}
    for name in ("latency", "grid"):
        part = getattr(scaling, name)
        if part is not None and part.table is not None:
            table = str(folder / Path(part.table).expanduser())
            updates[name] = part.model_copy(update={"table": table})
    return scaling.model_copy(update=updates)
