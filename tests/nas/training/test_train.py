"""Training: it learns, repeats itself, goes on where it was, and says why it can't."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nas.data import ImageData
from nas.data.images import Part
from nas.errors import InvalidRequestError
from nas.models.network import build_model
from nas.training import checkpoint as checkpoints
from nas.training import train as module
from nas.training.errors import TrainingInfeasible
from nas.training.recipe import Augmentation, Recipe
from nas.training.train import EpochReport, Trained, load_matching, train
from search_spaces.architecture import Architecture

EVERYTHING = Recipe(
    epochs=4,
    batch_size=50,
    average_decay=0.9,
    clip_norm=1.0,
    label_smoothing=0.1,
    augmentation=Augmentation(
        flip=True, crop_padding=0.1, cutout=0.2, brightness=0.1, rotation_degrees=5.0, mixup=0.2
    ),
)


def finish(running: Generator[EpochReport, None, Trained]) -> Trained:
    while True:
        try:
            next(running)
        except StopIteration as end:
            trained: Trained = end.value
            return trained


def weights(trained: Trained) -> dict[str, Tensor]:
    return trained.model.state_dict()


def equal(one: Trained, other: Trained) -> bool:
    pairs = zip(weights(one).values(), weights(other).values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def losses(trained: Trained) -> list[tuple[float, float | None]]:
    return [(report.train_loss, report.val_accuracy) for report in trained.curve]


def test_a_small_network_learns_the_digits(tiny: Architecture, digits: ImageData) -> None:
    trained = finish(train(tiny, digits, Recipe(epochs=8, batch_size=25), 0, device="cpu"))
    assert [report.epoch for report in trained.curve] == list(range(1, 9))
    assert trained.curve[-1].train_loss < 0.5 * trained.curve[0].train_loss
    accuracy = trained.curve[-1].val_accuracy
    assert accuracy is not None
    assert accuracy > 0.8
    assert not trained.model.training


def test_equal_seeds_train_equal_weights(tiny: Architecture, digits: ImageData) -> None:
    one, same, other = (
        finish(train(tiny, digits, EVERYTHING, seed, device="cpu")) for seed in (0, 0, 1)
    )
    assert equal(one, same)
    assert losses(one) == losses(same)
    assert not equal(one, other)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])
@pytest.mark.parametrize("stopped_after", [1, 3])
def test_a_resumed_training_gives_what_an_uninterrupted_one_gives(
    tiny: Architecture,
    digits: ImageData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    optimizer: str,
    stopped_after: int,
) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_INTERVAL_S", 0.0)
    recipe = EVERYTHING.model_copy(update={"optimizer": optimizer, "learning_rate": 0.01})
    whole = finish(train(tiny, digits, recipe, 0, device="cpu"))
    running = train(tiny, digits, recipe, 0, device="cpu", checkpoint=tmp_path / "a.pt")
    for _ in range(stopped_after):
        next(running)
    # what a killed process leaves behind: the file as it is now
    shutil.copy(tmp_path / "a.pt", tmp_path / "b.pt")
    rest = list(train(tiny, digits, recipe, 0, device="cpu", checkpoint=tmp_path / "b.pt"))
    resumed = finish(train(tiny, digits, recipe, 0, device="cpu", checkpoint=tmp_path / "b.pt"))
    assert [report.epoch for report in rest] == list(range(stopped_after + 1, 5))
    assert equal(whole, resumed)
    assert losses(whole) == losses(resumed)


def test_a_training_stopped_early_goes_on_from_there(
    tiny: Architecture, digits: ImageData, tmp_path: Path
) -> None:
    place = tmp_path / "a.pt"
    running = train(tiny, digits, EVERYTHING, 0, device="cpu", checkpoint=place)
    next(running)
    assert not place.exists()  # ten seconds are not over
    running.close()
    (first, *_) = train(tiny, digits, EVERYTHING, 0, device="cpu", checkpoint=place)
    assert first.epoch == 2


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "foreign"])
def test_a_damaged_checkpoint_is_ignored_with_a_warning(
    tiny: Architecture,
    digits: ImageData,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    place = tmp_path / "a.pt"
    running = train(tiny, digits, EVERYTHING, 0, device="cpu", checkpoint=place)
    next(running)
    running.close()
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(
        {"flipped": content, "cut": content[:-9], "empty": b"", "foreign": b"hello" * 9}[damage]
    )
    with caplog.at_level(logging.WARNING):
        first = next(train(tiny, digits, EVERYTHING, 0, device="cpu", checkpoint=place))
    assert first.epoch == 1
    assert "a.pt is damaged" in caplog.text


def test_a_checkpoint_of_another_training_is_not_taken(
    tiny: Architecture, digits: ImageData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "a.pt"
    running = train(tiny, digits, EVERYTHING, 0, device="cpu", checkpoint=place)
    next(running)
    running.close()
    assert next(train(tiny, digits, EVERYTHING, 1, device="cpu", checkpoint=place)).epoch == 1
    assert "another training" in caplog.text


def test_a_checkpoint_can_not_carry_code(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "touched",))

    place = tmp_path / "a.pt"
    checkpoints.write_checkpoint(place, "s", {"model": Evil()})
    assert checkpoints.read_checkpoint(place, "s", torch.device("cpu")) is None
    assert "can't be read" in caplog.text
    assert not (tmp_path / "touched").exists()


def test_a_loss_that_is_not_finite_is_infeasible(tiny: Architecture, digits: ImageData) -> None:
    # each step multiplies the weights by -99
    recipe = Recipe(epochs=3, learning_rate=100.0, weight_decay=1.0, warmup_epochs=0.0)
    with pytest.raises(TrainingInfeasible, match=r"loss is not finite in epoch \d"):
        finish(train(tiny, digits, recipe, 0, device="cpu"))


def test_the_time_limit_is_infeasible(tiny: Architecture, digits: ImageData) -> None:
    recipe = Recipe(epochs=100, time_limit_s=0.05)
    with pytest.raises(TrainingInfeasible, match=r"time limit of 0\.05 s was reached in epoch"):
        finish(train(tiny, digits, recipe, 0, device="cpu"))


@pytest.mark.parametrize("kind", ["cpu", "python", "cuda"])
def test_running_out_of_memory_is_infeasible(
    tiny: Architecture, digits: ImageData, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def exhaust(*_: object) -> Tensor:
        if kind == "python":
            raise MemoryError
        if kind == "cuda":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return torch.empty(2**60)  # more than any address space: torch's own error

    monkeypatch.setattr(module, "augment", exhaust)
    with pytest.raises(TrainingInfeasible, match="Out of memory: "):
        finish(train(tiny, digits, Recipe(), 0, device="cpu"))


def test_training_on_both_parts_has_no_validation_accuracy(
    tiny: Architecture, digits: ImageData
) -> None:
    recipe = Recipe(epochs=1, batch_size=400)
    together = list(train(tiny, digits, recipe, 0, device="cpu", train_on="train+val"))
    assert [report.val_accuracy for report in together] == [None]


def test_the_recipe_s_resolution_stands_in_place_of_the_network_s(
    tiny: Architecture, digits: ImageData
) -> None:
    recipe = Recipe(epochs=1, resolution=12)
    trained = finish(train(tiny, digits, recipe, 0, device="cpu"))
    assert trained.preprocessing.resolution == 12


def test_training_starts_from_initial_weights(tiny: Architecture, digits: ImageData) -> None:
    recipe = Recipe(epochs=6, batch_size=25)
    start = weights(finish(train(tiny, digits, recipe, 0, device="cpu")))
    plain = next(train(tiny, digits, recipe, 1, device="cpu"))
    warm = next(train(tiny, digits, recipe, 1, device="cpu", initial_state=start))
    assert warm.train_loss < 0.7 * plain.train_loss


def test_weights_of_other_shapes_are_left_out(tiny: Architecture) -> None:
    source, target = build_model(tiny), build_model(replace(tiny, num_classes=3))
    taken = load_matching(target, source.state_dict())
    assert taken == len(target.state_dict()) - 2  # the classifier's weight and bias
    with pytest.raises(InvalidRequestError, match="none fits"):
        load_matching(target, {"other": torch.zeros(1)})


@pytest.mark.parametrize(
    ("change", "told"),
    [({"num_classes": 3}, "`num_classes`.*10.*got 3"), ({"input_channels": 3}, "`input_ch.*1")],
)
def test_a_network_for_other_data_is_refused(
    tiny: Architecture, digits: ImageData, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidRequestError, match=told):
        next(train(replace(tiny, **change), digits, Recipe(), 0))


@pytest.mark.parametrize("device", ["tpu", "cuda:99", ""])
def test_an_unknown_device_is_refused(tiny: Architecture, digits: ImageData, device: str) -> None:
    with pytest.raises(InvalidRequestError, match="`device` must be one of 'cpu'"):
        next(train(tiny, digits, Recipe(), 0, device=device))


def test_bfloat16_trains_too(tiny: Architecture, digits: ImageData) -> None:
    recipe = Recipe(epochs=4, batch_size=25, precision="bfloat16")
    trained = finish(train(tiny, digits, recipe, 0, device="cpu"))
    assert trained.curve[-1].train_loss < 0.7 * trained.curve[0].train_loss
    assert all(v.dtype != torch.bfloat16 for v in weights(trained).values())


def test_two_images_are_enough_to_train(tiny: Architecture, digits: ImageData) -> None:
    two = Part(digits.train.images[:2], digits.train.labels[:2])
    few = replace(digits, train=two, val=two)
    assert finish(train(tiny, few, Recipe(epochs=1), 0, device="cpu")).curve[0].epoch == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_learns_as_a_cpu_does(tiny: Architecture, digits: ImageData) -> None:
    trained = finish(train(tiny, digits, EVERYTHING, 0, device="cuda"))
    assert trained.curve[-1].train_loss < trained.curve[0].train_loss
    assert next(iter(weights(trained).values())).device.type == "cuda"
