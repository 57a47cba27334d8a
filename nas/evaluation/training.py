"""Evaluation by training: the real thing."""

from __future__ import annotations

import functools
import logging
import platform
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cluster.executor import Report, Work
from nas.data import DataSpec, ImageData, artifacts, load_data, prepared_folder
from nas.data.carried import check_reachable
from nas.errors import InvalidRequestError, NasError
from nas.evaluation.contract import Outcome, Request, Status
from nas.evaluation.on_gpu import Stay, free_memory, staying
from nas.training.errors import OutOfMemory, TrainingInfeasible
from nas.training.group import current_group
from nas.training.recipe import Recipe, TrainOn
from nas.training.train import EpochReport, Trained, choose_device, train
from search_spaces.architecture import Architecture

if TYPE_CHECKING:
    from nas.training.rehearsal import Rehearsed

CUDA_CONTEXT_BYTES = 512 * 2**20
"""What a process takes of a GPU beside torch's own, about; NVML knows it better where it tells."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainingEvaluator:
    """Trains each architecture by one recipe, then measures it on validation and test part.

    Args:
        artifacts: The artifact location, a folder or an fsspec URL: for weights, checkpoints
            and prepared data sets (those only where it is a folder).
        content_hash: The data set's; a process that finds another one refuses to go on.
        device: 'cpu', 'cuda', ...; None takes a GPU where there is one.
        train_on: 'train+val' for a final model; it then has no validation accuracy.
        keep_weights: Whether the trained weights are stored.
        gpu_share: Of a GPU, as the scheduler reserved it. Below 1 a training that runs out of
            memory is tried once more, alone on the GPU.
    """

    data: DataSpec
    recipe: Recipe
    artifacts: str
    content_hash: str | None = None
    device: str | None = None
    train_on: TrainOn = "train"
    keep_weights: bool = False
    gpu_share: float = 0.0

    @property
    def identity(self) -> str:
        # data set, recipe, parts and seed are fields of the evaluation key by themselves
        return "training"

    @property
    def cheap(self) -> bool:
        return False

    def prepare(self) -> None:
        self._load()
        choose_device(self.device)

    def evaluate(self, requests: Sequence[Request]) -> Generator[Report, None, list[Outcome]]:
        outcomes = []
        for request in requests:
            outcomes.append((yield from self._evaluate_one(request)))
        return outcomes

    def rehearse(self, architecture: Architecture) -> Rehearsed:
        """Measure what training a network holds, by a few steps in this process.

        Raises:
            TrainingInfeasible: If it does not fit into memory.
        """
        from nas.training.rehearsal import rehearse

        device = choose_device(self.device)
        with staying(device, 1.0, alone=False) as stay:
            found = rehearse(architecture, self._load(), self.recipe, self.device)
        if found.gpu_memory_bytes is None:
            return found
        seen = stay.use.peak_memory_bytes if stay.use is not None else None
        peak = max(seen or 0, found.gpu_memory_bytes + CUDA_CONTEXT_BYTES)
        return replace(found, gpu_memory_bytes=peak)

    def _load(self) -> ImageData:
        return _load_once(self.data, prepared_folder(self.artifacts), self.content_hash)

    def _evaluate_one(self, request: Request) -> Generator[Report, None, Outcome]:
        course = _Course()
        try:
            if request.architecture is None:
                raise NasError("Training needs an architecture, but the request has none.")
            trained = yield from self._train_somewhere(request, request.architecture, course)
            outcome = replace(trained, details=course.details())
        except TrainingInfeasible as infeasible:
            outcome = course.ended(request, Status.INFEASIBLE, str(infeasible))
        except NasError as error:
            outcome = course.ended(request, Status.FAILED, str(error))
        except Exception as error:  # one network's fault must not end the others' work
            if current_group().size > 1:  # it may be the echo of another process's death
                raise
            _log.exception("Training %s failed.", request.key)
            outcome = course.ended(request, Status.FAILED, f"{type(error).__name__}: {error}")
        answers = current_group().is_first or outcome.status is Status.INFEASIBLE
        if answers and outcome.status is not Status.FAILED:  # another attempt goes on from there
            _forget(self.artifacts, _checkpoint_name(request))
        return outcome

    def _train_somewhere(
        self, request: Request, architecture: Architecture, course: _Course
    ) -> Generator[Report, None, Outcome]:
        """Train among others on the GPU, and alone there if the memory was too small for all."""
        device = choose_device(self.device)
        try:
            with staying(device, self.gpu_share, alone=False) as course.stay:
                return (yield from self._train(request, architecture, course))
        except OutOfMemory as error:
            if device.type != "cuda" or self.gpu_share >= 1.0:
                raise
            course.begin_alone(str(error))
        # out here nothing holds the failed attempt's tensors any more
        free_memory()
        with staying(device, self.gpu_share, alone=True) as course.stay:
            return (yield from self._train(request, architecture, course))

    def _train(
        self, request: Request, architecture: Architecture, course: _Course
    ) -> Generator[Report, None, Outcome]:
        data = self._load()
        checkpoints: list[int] = []
        running = train(
            architecture,
            data,
            self.recipe,
            request.seed,
            train_on=self.train_on,
            device=self.device,
            checkpoint=f"{self.artifacts.rstrip('/')}/{_checkpoint_name(request)}",
            initial_state=self._initial_state(),
            on_checkpoint=checkpoints.append,
        )
        try:
            while True:
                report = next(running)
                course.curve.append(report)
                last = float(checkpoints[-1]) if checkpoints else None
                yield Report(float(report.epoch), _numbers(report), last, course.details())
        except StopIteration as end:
            trained: Trained = end.value
        finally:
            running.close()
        if not current_group().is_first:
            return Outcome(key=request.key, status=Status.COMPLETED)
        return self._measured(request, architecture, data, trained)

    def _initial_state(self) -> Mapping[str, Any] | None:
        sha256 = self.recipe.initial_weights
        if sha256 is None:
            return None
        from safetensors.torch import load

        return load(artifacts.get_bytes(self.artifacts, weights_name(sha256), sha256))

    def _measured(
        self, request: Request, architecture: Architecture, data: ImageData, trained: Trained
    ) -> Outcome:
        from nas.data.batches import InMemory
        from nas.training.evaluate import evaluate_model

        metrics: dict[str, float] = {}
        parts = {"test": data.test} | ({"val": data.val} if self.train_on == "train" else {})
        for part, images in parts.items():
            measured = evaluate_model(
                trained.model,
                InMemory(images, trained.device),
                trained.preprocessing,
                extra=self.recipe.metrics,
                classes=data.classes,
            )
            metrics |= {f"{part}_{name}": value for name, value in measured.items()}
        return Outcome(
            key=request.key,
            status=Status.COMPLETED,
            metrics=metrics,
            val_samples=len(parts["val"]) if "val" in parts else 0,
            test_samples=len(data.test),
            curve=_plain(trained.curve),
            fidelity=float(len(trained.curve)),
            seconds=trained.seconds,
            device=_describe(trained),
            weights=self._store_weights(trained) if self.keep_weights else None,
        )

    def _store_weights(self, trained: Trained) -> tuple[str, str, int]:
        from safetensors.torch import save

        state = {k: v.detach().cpu().contiguous() for k, v in trained.model.state_dict().items()}
        return artifacts.put_bytes(self.artifacts, "weights", ".safetensors", save(state))


@dataclass(eq=False, slots=True)
class _Course:
    """What is known of a training while it runs.

    Args:
        curve: The epochs of this attempt.
        crowded: Why it was tried among others on a GPU in vain, and what it used of it there.
    """

    curve: list[EpochReport] = field(default_factory=list)
    stay: Stay = field(default_factory=Stay)
    crowded: dict[str, Any] = field(default_factory=dict)

    def begin_alone(self, reason: str) -> None:
        """Another try begins, since memory was short among others."""
        self.crowded = {"tried_alone": reason, "gpu_among_others": self.stay.details()}
        self.curve.clear()

    def details(self) -> dict[str, Any]:
        """As an outcome carries them; nothing on a CPU."""
        used = self.stay.details()
        if used is None:
            return {}
        if current_group().size > 1 and used["energy_j"] is not None:
            reason = f"one of {current_group().size} GPUs was metered"
            used |= {"energy_j": None, "mean_power_w": None, "reason": reason}
        return {"epochs_here": len(self.curve), **self.crowded, "gpu": used}

    def ended(self, request: Request, status: Status, reason: str) -> Outcome:
        """An end without weights."""
        return Outcome(
            key=request.key,
            status=status,
            reason=reason,
            curve=_plain(self.curve),
            fidelity=float(self.curve[-1].epoch) if self.curve else 0.0,
            seconds=sum((report.seconds for report in self.curve), 0.0),
            details=self.details(),
        )


def weights_name(sha256: str) -> str:
    """Where weights lie under the artifact location."""
    return f"weights/{sha256}.safetensors"


# one job's data set, and that of the job before it; equal specs share the images
@functools.lru_cache(maxsize=2)
def _load_once(spec: DataSpec, cache: str, content_hash: str | None) -> ImageData:
    try:
        return load_data(spec, cache=cache, expected_hash=content_hash)
    except InvalidRequestError:
        check_reachable(spec.source)
        raise


def _checkpoint_name(request: Request) -> str:
    return f"checkpoints/{request.key}.pt"


def _forget(location: str, name: str) -> None:
    try:
        artifacts.remove(location, name)
    except OSError as error:
        _log.warning("Checkpoint %s could not be removed: %s", name, error)


def _numbers(report: EpochReport) -> dict[str, float]:
    return {k: float(v) for k, v in asdict(report).items() if v is not None}


def _plain(curve: Sequence[EpochReport]) -> tuple[Mapping[str, float], ...]:
    return tuple(_numbers(report) for report in curve)


def _describe(trained: Trained) -> str:
    import torch

    size = current_group().size
    together = f", {size} together" if size > 1 else ""
    if trained.device.type == "cuda":
        return torch.cuda.get_device_name(trained.device) + together
    return f"cpu, {platform.machine()}, {torch.get_num_threads()} thread{together}"


def work_together(work: Work, payload: Any) -> Generator[Report, None, Any]:
    """An executor's work in one of several processes that train together.

    The first answers; another only where it alone found that the network can't be trained.
    """
    outcomes: list[Outcome] = yield from work(payload)
    is_exception = any(outcome.status is not Status.COMPLETED for outcome in outcomes)
    return outcomes if current_group().is_first or is_exception else None
