"""How fast this machine trains: measured on one network, to predict others."""

from __future__ import annotations

import time

import torch
from torch.nn import functional

from nas.cost import count
from nas.models.network import build_model
from nas.scaling import Throughput
from nas.training.train import choose_device
from search_spaces.architecture import Architecture

WARM_UP_STEPS = 1


def measure_throughput(
    architecture: Architecture, batch_size: int, device: str | None = None, seconds: float = 2.0
) -> Throughput:
    """Train on random images for some seconds, one thread on a CPU as trainings do.

    Raises:
        InvalidRequestError: If there is no such device.
    """
    chosen = choose_device(device)
    threads = torch.get_num_threads()
    if chosen.type == "cpu":
        torch.set_num_threads(1)
    try:
        model = build_model(architecture).to(chosen).train()
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
        shape = (batch_size, architecture.input_channels, *2 * (architecture.resolution,))
        images = torch.randn(shape, device=chosen).to(memory_format=torch.channels_last)
        labels = torch.randint(architecture.num_classes, (batch_size,), device=chosen)
        steps, start = -WARM_UP_STEPS, time.perf_counter()
        while steps < 1 or time.perf_counter() - start < seconds:
            loss = functional.cross_entropy(model(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            if chosen.type == "cuda":
                torch.cuda.synchronize(chosen)
            steps += 1
            if steps == 0:
                start = time.perf_counter()
        elapsed = time.perf_counter() - start
    finally:
        torch.set_num_threads(threads)
    return Throughput(images_per_second=steps * batch_size / elapsed, macs=count(architecture).macs)
