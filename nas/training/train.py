"""Training: an architecture, data and a recipe to weights and a learning curve."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data.batches import BatchSource, InMemory, Preprocessing, full_batches
from nas.data.images import ImageData, join
from nas.errors import InvalidRequestError
from nas.models.network import build_model
from nas.training.augment import augment, mix
from nas.training.average import WeightAverage
from nas.training.checkpoint import read_checkpoint, write_checkpoint
from nas.training.errors import OutOfMemory, TrainingInfeasible
from nas.training.evaluate import evaluate_model
from nas.training.group import Group, current_group
from nas.training.optimizers import learning_rate_at, make_optimizer
from nas.training.recipe import Recipe, TrainOn
from search_spaces.architecture import Architecture

CHECKPOINT_INTERVAL_S = 10.0


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One epoch of a learning curve.

    Args:
        epoch: Counted from 1.
        train_loss: Mean over the epoch's batches, as optimised (smoothed, augmented).
        val_accuracy: Share of the validation part, by the averaged weights where the recipe
            averages; None where the validation part is trained on.
        seconds: Of this epoch, its validation included.
    """

    epoch: int
    train_loss: float
    val_accuracy: float | None
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained network.

    Args:
        model: With the weights to use (the average, where the recipe averages), in evaluation
            mode, on the device.
        curve: One report an epoch, those before a resumption included.
        seconds: Training in all, on whatever machines.
    """

    model: nn.Module
    preprocessing: Preprocessing
    curve: tuple[EpochReport, ...]
    seconds: float
    device: torch.device


def train(
    architecture: Architecture,
    data: ImageData,
    recipe: Recipe,
    seed: int,
    *,
    train_on: TrainOn = "train",
    device: str | None = None,
    checkpoint: str | Path | None = None,
    initial_state: Mapping[str, Tensor] | None = None,
    on_checkpoint: Callable[[int], None] | None = None,
) -> Generator[EpochReport, None, Trained]:
    """Train a network, reporting each epoch. Equal seeds give equal weights on a CPU.

    In a process that was started with others (`nas.training.group`) they share each batch; all
    report and return the same.

    Args:
        device: 'cpu', 'cuda', 'cuda:1'; None takes a GPU where there is one. On a CPU this
            process then computes on one thread, several trainings side by side being faster.
        checkpoint: Path or URL; the state is written there at ends of epochs, at most every
            ten seconds, and read back at the start. On a CPU a resumed training gives the same
            weights as one in a single piece.
        initial_state: Weights to start from; those whose name and shape fit are taken.
        on_checkpoint: Told the epoch of each checkpoint, when it is written.

    Raises:
        TrainingInfeasible: For a NaN loss, out of memory, or the recipe's time limit.
        InvalidRequestError: If network and data don't fit, or there is no such device.
    """
    check_fits(architecture, data)
    chosen = choose_device(device)
    home = torch.device("cpu") if current_group().size > 1 else chosen
    with out_of_memory_is_infeasible():
        run = Run(architecture, data, recipe, seed, train_on, chosen)
        if initial_state is not None:
            load_matching(run.model, initial_state)
            run.start_average()
        if checkpoint is not None:
            state = run.group.from_first(partial(read_checkpoint, checkpoint, run.signature, home))
            if state is not None:
                run.restore(state)
        run.join_group()
    written = time.monotonic()
    while len(run.curve) < recipe.epochs:
        with out_of_memory_is_infeasible():
            run.train_epoch()
        is_due = time.monotonic() - written >= CHECKPOINT_INTERVAL_S
        if checkpoint is not None and is_due and run.group.is_first:
            write_checkpoint(checkpoint, run.signature, run.state())
            written = time.monotonic()
            if on_checkpoint is not None:
                on_checkpoint(len(run.curve))
        try:
            yield run.curve[-1]
        except GeneratorExit:  # stopped early: whoever goes on later starts from here
            if checkpoint is not None and run.group.is_first:
                write_checkpoint(checkpoint, run.signature, run.state())
            raise
    return run.trained()


def choose_device(name: str | None) -> torch.device:
    """A device by name; None takes a GPU where there is one, and its group has one each.

    Raises:
        InvalidRequestError: If there is no such device.
    """
    if name is None:
        on_gpu = torch.cuda.is_available() and current_group().backend != "gloo"
        return torch.device("cuda" if on_gpu else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        there = "'cpu'" + (", 'cuda'" if torch.cuda.is_available() else "")
        raise InvalidRequestError(f"`device` must be one of {there}, but got {name!r}.") from None
    return device


def load_matching(model: nn.Module, state: Mapping[str, Tensor]) -> int:
    """Take over the tensors whose name and shape fit; returns how many.

    Raises:
        InvalidRequestError: If none fits.
    """
    own = model.state_dict()
    fitting = {k: v for k, v in state.items() if k in own and own[k].shape == v.shape}
    if not fitting:
        raise InvalidRequestError(
            "`initial_weights` must be of a network with layers of the same names and shapes, "
            "but none fits."
        )
    model.load_state_dict(fitting, strict=False)
    return len(fitting)


class Run:
    """The state of one training, an epoch at a time."""

    def __init__(
        self,
        architecture: Architecture,
        data: ImageData,
        recipe: Recipe,
        seed: int,
        train_on: TrainOn,
        device: torch.device,
    ) -> None:
        if device.type == "cpu":
            torch.set_num_threads(1)
            torch.set_flush_denormal(True)
        self.recipe, self.seed, self.device = recipe, seed, device
        self.group: Group = current_group()
        self.preprocessing = Preprocessing.of(data, recipe.resolution or architecture.resolution)
        part = data.train if train_on == "train" else join([data.train, data.val])
        self.training_data: BatchSource = InMemory(part, device)
        self.validation_data = InMemory(data.val, device) if train_on == "train" else None
        self.steps_per_epoch = full_batches(len(part), recipe.batch_size)
        if len(part) < self.group.size:
            raise InvalidRequestError(
                f"`workers_together` must be at most the {len(part)} images to train on, "
                f"but got {self.group.size}."
            )
        torch.manual_seed(_seed(seed, "weights"))
        self.model: nn.Module = build_model(architecture)
        self.model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.called: nn.Module = self.model
        self.optimizer = make_optimizer(self.model, recipe)
        self.average: WeightAverage | None = None
        self.start_average()
        self.curve: list[EpochReport] = []
        self.seconds = 0.0
        self.signature = (
            " ".join(map(str, (architecture.fingerprint, recipe.digest, seed, train_on)))
            + f" {data.content_hash} {data.split}"
        )

    def start_average(self) -> None:
        if self.recipe.average_decay:
            self.average = WeightAverage(self.model, self.recipe.average_decay)

    def join_group(self) -> None:
        """Share gradients from here on; last, so that all begin with the first one's weights."""
        self.called = self.group.join(self.model, self.device)

    @property
    def evaluated(self) -> nn.Module:
        return self.average.model if self.average else self.model

    def train_epoch(self) -> None:
        started, epoch = time.monotonic(), len(self.curve)
        train_loss = self._optimize(epoch, started)
        val_accuracy = None
        if self.validation_data is not None:
            measured = self.group.from_first(self._validate)
            val_accuracy = measured.get("accuracy")
            if not math.isfinite(measured.get("loss", 0.0)):
                raise TrainingInfeasible(f"The validation loss is not finite in epoch {epoch + 1}.")
        seconds = time.monotonic() - started
        self.seconds += seconds
        self.curve.append(EpochReport(epoch + 1, train_loss, val_accuracy, seconds))

    def _validate(self) -> dict[str, float]:
        assert self.validation_data is not None
        return evaluate_model(self.evaluated, self.validation_data, self.preprocessing)

    def _optimize(self, epoch: int, started: float) -> float:
        # every epoch draws from its own seed: a resumed training draws the same
        who = f" of {self.group.rank}" if self.group.rank else ""
        torch.manual_seed(_seed(self.seed, f"epoch {epoch}{who}"))
        generator = torch.Generator(self.device)
        generator.manual_seed(_seed(self.seed, f"augmentation {epoch}{who}"))
        order = _seed(self.seed, f"order {epoch}")
        self.called.train()
        total = torch.zeros((), device=self.device)
        batches = self.training_data.shuffled(self.recipe.batch_size, order)
        # reading a value makes a GPU wait, and asking a group all of its processes
        often = self.device.type == "cpu" and self.group.size == 1
        for i, batch in enumerate(batches):
            step = epoch * self.steps_per_epoch + i
            total += self.step(*self.group.share(*batch), len(batch[1]), step, generator)
            if often or i % 50 == 0:
                self._check(total, epoch, started)
        total = self.group.mean(total)
        self._check(total, epoch, started)
        return float(total) / self.steps_per_epoch

    def step(
        self, images: Tensor, labels: Tensor, batch: int, step: int, generator: torch.Generator
    ) -> Tensor:
        recipe = self.recipe
        pixels = augment(self.preprocessing.resize(images), recipe.augmentation, generator)
        inputs, others, weight = self.preprocessing.normalize(pixels), labels, 1.0
        if recipe.augmentation.mixup:
            inputs, others, weight = mix(inputs, labels, recipe.augmentation.mixup, generator)
        low_precision = recipe.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=low_precision):
            logits = self.called(inputs)
        loss = self._loss(logits.float(), labels)
        if weight < 1.0:
            loss = weight * loss + (1.0 - weight) * self._loss(logits.float(), others)
        loss = self.group.weigh(loss, len(labels), batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(step, self.steps_per_epoch, recipe)
        self.optimizer.step()
        if self.average:
            self.average.update(step)
        return loss.detach()

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)

    def _check(self, total: Tensor, epoch: int, started: float) -> None:
        if self.group.any(not math.isfinite(float(total)), self.device):
            raise TrainingInfeasible(f"The training loss is not finite in epoch {epoch + 1}.")
        limit = self.recipe.time_limit_s
        if limit is None:
            return
        if self.group.any(self.seconds + time.monotonic() - started > limit, self.device):
            raise TrainingInfeasible(
                f"The time limit of {limit:g} s was reached in epoch {epoch + 1} "
                f"of {self.recipe.epochs}."
            )

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict() if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "curve": [asdict(report) for report in self.curve],
            "seconds": self.seconds,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        if self.average:
            self.average.model.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.curve = [EpochReport(**report) for report in state["curve"]]
        self.seconds = state["seconds"]

    def trained(self) -> Trained:
        model = self.evaluated.eval()
        return Trained(model, self.preprocessing, tuple(self.curve), self.seconds, self.device)


def check_fits(architecture: Architecture, data: ImageData) -> None:
    for name, own, needed in (
        ("num_classes", architecture.num_classes, len(data.classes)),
        ("input_channels", architecture.input_channels, data.channels),
    ):
        if own != needed:
            raise InvalidRequestError(
                f"`{name}` of the architecture must be {needed} for this data set, but got {own}."
            )


def _seed(seed: int, purpose: str) -> int:
    """32 bits for one purpose of a training, unlike those of its others and its neighbours'."""
    return int.from_bytes(hashlib.sha256(f"{seed} {purpose}".encode()).digest()[:4])


@contextmanager
def out_of_memory_is_infeasible() -> Generator[None]:
    try:
        yield
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        raise OutOfMemory(f"Out of memory: {_first_line(error)}") from error
    except RuntimeError as error:
        # on a CPU torch has no class of its own for this
        if "allocate memory" in str(error) or "not enough memory" in str(error):
            raise OutOfMemory(f"Out of memory: {_first_line(error)}") from error
        raise


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
