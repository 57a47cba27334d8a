"""What processes that train together share, without any process."""

from __future__ import annotations

import pytest
import torch

from nas.training.group import Group, current_group


@pytest.mark.parametrize(("size", "samples"), [(1, 5), (2, 8), (2, 5), (3, 64)])
def test_shares_are_the_whole_batch_and_weighted_losses_its_mean(size: int, samples: int) -> None:
    images, labels = torch.rand(samples, 1, 2, 2), torch.arange(samples)
    losses, seen = [], []
    for rank in range(size):
        group = Group(rank=rank, size=size)
        mine, numbers = group.share(images, labels)
        assert torch.equal(mine, images[numbers])
        seen += numbers.tolist()
        losses.append(group.weigh(mine.mean(), len(numbers), samples))
    assert sorted(seen) == list(range(samples))
    assert torch.stack(losses).mean() == pytest.approx(float(images.mean()))


def test_a_process_by_itself_asks_nobody() -> None:
    alone = current_group()
    assert (alone.is_first, alone.size) == (True, 1)
    assert alone.any(True, torch.device("cpu"))
    assert alone.from_first(lambda: "made here") == "made here"
    model = torch.nn.Linear(2, 2)
    assert alone.join(model, torch.device("cpu")) is model
