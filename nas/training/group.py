"""Processes that train one network side by side, each with its share of every batch.

They are joined by `torch.distributed`, which whoever started them has set up; without it a
process is a group of its own, and everything here is free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """This process among those that train with it.

    Args:
        rank: From 0; the first measures, writes and answers for all.
        backend: gloo, nccl; '' where there is nobody else.
    """

    rank: int = 0
    size: int = 1
    backend: str = ""

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """This process's part of a batch that all have."""
        if self.size == 1:
            return images, labels
        return images[self.rank :: self.size], labels[self.rank :: self.size]

    def weigh(self, loss: Tensor, samples: int, batch: int) -> Tensor:
        """A mean over the own part so that the mean over processes is that over the batch."""
        return loss if self.size == 1 else loss * (samples * self.size / batch)

    def join(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The network as it is called: its gradients are then the means of all processes.

        Processes that share a batch over GPUs share the statistics of batch-norm, too; torch has
        that for GPUs alone, so on CPUs each has those of its own part, and the first's are kept.
        """
        if self.size == 1:
            return model
        if device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return nn.parallel.DistributedDataParallel(model)

    def mean(self, value: Tensor) -> Tensor:
        """Of what the processes have."""
        if self.size > 1:
            torch.distributed.all_reduce(value)
            value /= self.size
        return value

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether it is so in any process; all must ask."""
        if self.size == 1:
            return flag
        flags = torch.tensor(float(flag), device=device)
        torch.distributed.all_reduce(flags, torch.distributed.ReduceOp.MAX)
        return bool(flags)

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes, in all of them."""
        if self.size == 1:
            return make()
        made: list[T | None] = [make() if self.is_first else None]
        torch.distributed.broadcast_object_list(made, src=0)
        return made[0]  # type: ignore[return-value]


def current_group() -> Group:
    """The group that this process was started in.

    >>> current_group()
    Group(rank=0, size=1, backend='')
    """
    there = torch.distributed
    if not (there.is_available() and there.is_initialized()):
        return Group()
    return Group(
        rank=there.get_rank(), size=there.get_world_size(), backend=str(there.get_backend())
    )
