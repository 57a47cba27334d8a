"""Batches and the artifact location."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas.data import DataSpec, load_data
from nas.data.batches import InMemory, Preprocessing, full_batches
from nas.data.images import Part

CPU = torch.device("cpu")


@pytest.fixture
def part() -> Part:
    """Ten RGB images whose pixels are their number."""
    images = np.broadcast_to(np.arange(10, dtype=np.uint8)[:, None, None, None], (10, 4, 6, 3))
    return Part(images, np.arange(10))


def test_in_order_every_image_comes_once(part: Part) -> None:
    batches = list(InMemory(part, CPU).in_order(4))
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    assert torch.cat([labels for _, labels in batches]).tolist() == list(range(10))
    for images, labels in batches:
        assert images.shape[1:] == (3, 4, 6)
        assert torch.equal(images[:, 0, 0, 0].long(), labels)


def test_shuffled_batches_are_whole_and_follow_their_seed(part: Part) -> None:
    source = InMemory(part, CPU)

    def drawn(seed: int) -> list[list[int]]:
        return [labels.tolist() for _, labels in source.shuffled(4, seed)]

    assert [len(batch) for batch in drawn(0)] == [4, 4]
    assert len({label for batch in drawn(0) for label in batch}) == 8
    assert drawn(0) == drawn(0) != drawn(1)
    # what one epoch leaves out, others have
    assert {label for seed in range(20) for batch in drawn(seed) for label in batch} == {*range(10)}


def test_a_set_smaller_than_a_batch_is_one_batch(part: Part) -> None:
    (batch,) = InMemory(part, CPU).shuffled(64, 0)
    assert len(batch[1]) == 10
    assert full_batches(10, 64) == 1


def test_images_are_channels_last_from_the_start(part: Part) -> None:
    images, _ = next(InMemory(part, CPU).in_order(4))
    assert images.is_contiguous(memory_format=torch.channels_last)
    read = Preprocessing(8, (0.5,) * 3, (0.2,) * 3)(images)
    assert read.shape == (4, 3, 8, 8)
    assert read.is_contiguous(memory_format=torch.channels_last)


def test_the_training_part_is_normalised_to_mean_0_and_deviation_1() -> None:
    data = load_data(DataSpec())
    ((images, _),) = InMemory(data.train, CPU).in_order(len(data.train))
    read = Preprocessing.of(data, 8)(images)
    assert float(read.mean()) == pytest.approx(0.0, abs=1e-4)
    assert float(read.std()) == pytest.approx(1.0, abs=1e-4)


def test_batches_leave_the_images_as_they_were(part: Part) -> None:
    images, _ = next(InMemory(Part(part.images.copy(), part.labels), CPU).in_order(4))
    before = images.clone()
    Preprocessing(4, (0.5,) * 3, (0.2,) * 3)(images)
    assert torch.equal(images, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_batches(part: Part) -> None:
    here, there = InMemory(part, CPU), InMemory(part, torch.device("cuda"))
    for (a, b), (c, d) in zip(here.shuffled(4, 3), there.shuffled(4, 3), strict=True):
        assert torch.equal(a, c.cpu())
        assert torch.equal(b, d.cpu())
