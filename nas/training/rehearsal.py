"""Rehearsal: a few steps of a training, to measure what a whole one will hold."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from itertools import islice

import torch

from nas.data.batches import InMemory
from nas.data.images import ImageData, Part
from nas.training.evaluate import evaluate_model
from nas.training.recipe import Recipe
from nas.training.train import Run, check_fits, choose_device, out_of_memory_is_infeasible
from search_spaces.architecture import Architecture

STEPS = 3
VALIDATED = 1_024
"""Images of the validation part that are read; more take no more memory at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What a few steps of a training held of the process and the machine that they ran on.

    Args:
        memory_bytes: Peak resident memory of the process, torch and the data included.
        cpus: CPU time over wall time of the steps after the first.
        gpu_memory_bytes: Peak of the process on its GPU by torch, None on a CPU; what the driver
            itself takes is not in it.
        gpu_bytes: Memory of the whole GPU.
        steps: How many were taken.
    """

    memory_bytes: int
    cpus: float
    gpu_memory_bytes: int | None
    gpu_bytes: int | None
    steps: int


def rehearse(
    architecture: Architecture, data: ImageData, recipe: Recipe, device: str | None = None
) -> Rehearsed:
    """Train for a few steps by a recipe and validate; for a process that does nothing else.

    Raises:
        TrainingInfeasible: If it does not fit into memory.
        InvalidRequestError: If network and data don't fit, or there is no such device.
    """
    check_fits(architecture, data)
    chosen = choose_device(device)
    with out_of_memory_is_infeasible():
        run = Run(architecture, data, recipe, 0, "train", chosen)
        run.called.train()
        generator = torch.Generator(chosen)
        batches = run.training_data.shuffled(recipe.batch_size, 0)
        wall = cpu = 0.0
        taken = 0
        for taken, batch in enumerate(islice(batches, STEPS + 1)):
            wall_before, cpu_before = time.monotonic(), time.process_time()
            float(run.step(*batch, len(batch[1]), taken, generator))  # a GPU is waited for
            if taken:  # the first step makes what the others use again
                wall += time.monotonic() - wall_before
                cpu += time.process_time() - cpu_before
        few = Part(data.val.images[:VALIDATED], data.val.labels[:VALIDATED])
        evaluate_model(run.evaluated, InMemory(few, chosen), run.preprocessing)
    on_gpu = chosen.type == "cuda"
    return Rehearsed(
        memory_bytes=peak_memory_bytes(),
        cpus=cpu / wall if wall else 1.0,
        gpu_memory_bytes=torch.cuda.max_memory_reserved(chosen) if on_gpu else None,
        gpu_bytes=torch.cuda.get_device_properties(chosen).total_memory if on_gpu else None,
        steps=taken + 1,
    )


def peak_memory_bytes() -> int:
    """Most that this process had resident so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # KiB, but on macOS
