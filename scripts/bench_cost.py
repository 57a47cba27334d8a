"""Our exact counts beside fvcore's and torch's own counter, on every published network.

    scripts/bench cost [NAME ...] [--pixels 128]

fvcore runs the network, so larger inputs are cut to `--pixels` there; counts agree at any size.
The last lines time one EfficientNet-B7 at its own 600 pixels, and many networks at once.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from fvcore.nn import FlopCountAnalysis, parameter_count
from torch.utils.flop_counter import FlopCounterMode

from nas.cost import costs as counting
from nas.cost import count
from nas.cost.spaces import count_choices
from nas.models.network import Network, build_model
from search_spaces.architecture import Architecture
from search_spaces.published import get_published, published_names
from search_spaces.spaces import get_space

MULTIPLIES = ("conv", "linear", "addmm", "matmul")
"""fvcore's operators that our MACs are made of; it counts a multiply-add as one."""


MANY = 100_000


class Counted(NamedTuple):
    """What another counter says of a network, in multiply-adds; `other` is what we leave out."""

    macs: int
    other: dict[str, int]
    parameters: int
    seconds: float


def main() -> None:
    arguments = _parse()
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    head = ("network", "px", "our MACs", "torch", "fvcore", "fvcore more by", "parameters")
    times = ("ours us", "torch ms", "fvcore ms")
    print("{:24} {:>4} {:>16} {:>6} {:>6} {:>28} {:>11}".format(*head), *times, sep="  ")
    for name in arguments.names or published_names():
        own = get_published(name)
        _print_row(name, replace(own, resolution=min(own.resolution, arguments.pixels)))
    print(
        "\ntorch, fvcore: their multiply-adds of convolutions and linear layers less ours."
        "\nfvcore more by: what it counts beside them, per operator, in multiply-adds. Neither"
        "\ncounts activations, additions, products, pooling by a mean or padding; torch's counter"
        "\nleaves batch-norm out as we do, and reports two operations a multiply-add (halved here)."
    )
    _print_b7()
    _print_many()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="scripts/bench cost")
    parser.add_argument("names", nargs="*", metavar="NAME", help="published names; all by default")
    parser.add_argument("--pixels", type=int, default=128, help="largest input for fvcore")
    return parser.parse_args()


def _print_row(name: str, architecture: Architecture) -> None:
    ours, seconds = _timed(lambda: count(architecture))
    by_torch, by_fvcore = _by_torch(architecture), _by_fvcore(architecture)
    parameters = {by_torch.parameters - ours.parameters, by_fvcore.parameters - ours.parameters}
    more = ", ".join(f"{key} {value:,}" for key, value in by_fvcore.other.items() if value)
    print(
        f"{name:24} {architecture.resolution:4} {ours.macs:16,} {by_torch.macs - ours.macs:+6} "
        f"{by_fvcore.macs - ours.macs:+6} {more:>28} "
        f"{'equal' if parameters == {0} else str(parameters):>11}",
        f"{seconds * 1e6:7.0f}  {by_torch.seconds * 1e3:8.0f}  {by_fvcore.seconds * 1e3:9.0f}",
        sep="  ",
    )
    sys.stdout.flush()


def _by_torch(architecture: Architecture) -> Counted:
    """torch.utils.flop_counter, on the meta device: nothing is computed."""
    start = time.perf_counter()
    with torch.device("meta"), torch.no_grad():
        model = build_model(architecture).eval()
        with FlopCounterMode(display=False) as counter:
            model(_image(architecture))
    seconds = time.perf_counter() - start
    parameters = sum(p.numel() for p in model.parameters())
    return Counted(counter.get_total_flops() // 2, {}, parameters, seconds)


def _by_fvcore(architecture: Architecture) -> Counted:
    """fvcore.nn.FlopCountAnalysis, which traces a run."""
    model = _zeros(architecture)
    start = time.perf_counter()
    by_operator = _trace(model)
    macs = sum(int(by_operator.pop(name, 0)) for name in MULTIPLIES)
    seconds = time.perf_counter() - start
    other = {name: int(value) for name, value in by_operator.items()}
    return Counted(macs, other, parameter_count(model)[""], seconds)


def _trace(model: Network) -> dict[str, float]:
    analysis = FlopCountAnalysis(model, _image(model.architecture))
    with torch.no_grad():
        return dict(analysis.unsupported_ops_warnings(False).by_operator())


def _zeros(architecture: Architecture) -> Network:
    """The network with weights of 0, which need no drawing."""
    with torch.device("meta"):
        model = build_model(architecture)
    model = model.to_empty(device="cpu").eval()
    for tensor in model.state_dict().values():
        tensor.zero_()
    return model


def _image(architecture: Architecture) -> torch.Tensor:
    return torch.zeros(1, architecture.input_channels, *[architecture.resolution] * 2)


def _print_b7() -> None:
    b7 = get_published("efficientnet_b7")

    def first_time() -> Any:
        for memo in (counting._block_part, counting._stem_part, counting._head_part):
            memo.cache_clear()
        return count(b7)

    nothing_known, known = _best(first_time), _best(lambda: count(b7))
    start = time.perf_counter()
    _trace(build_model(b7).eval())
    traced = time.perf_counter() - start
    print(
        f"\nOne EfficientNet-B7 from the genotype: {nothing_known * 1e3:.2f} ms with nothing "
        f"known, {known * 1e3:.3f} ms once its blocks are.\nBuilding the model and running fvcore "
        f"at 600 pixels: {traced:.1f} s, {traced / nothing_known:,.0f} and {traced / known:,.0f} "
        "times as long."
    )


def _print_many() -> None:
    space, rng = get_space("once_for_all"), np.random.default_rng(0)
    columns = [rng.integers(len(d.options), size=MANY) for d in space.decisions]
    choices = np.stack(columns, axis=1)
    _, first = _timed(lambda: count_choices(space, choices))
    again = min(_timed(lambda: count_choices(space, choices))[1] for _ in range(3))
    print(
        f"\n{MANY:,} random {space.name} networks, four costs each: {first:.2f} s, "
        f"{again:.2f} s when asked again."
    )


def _best(work: Callable[[], Any]) -> float:
    """The least of many runs: what else the machine does only ever adds."""
    return min(_timed(work)[1] for _ in range(51))


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    main()
