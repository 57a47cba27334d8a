"""An evaluator that takes milliseconds, and writes down what it is asked outside the store."""

import os
import time
from collections.abc import Generator

from nas.evaluation.contract import Request


def accuracy(request: Request) -> dict[str, float]:
    """A smooth function of the network: deeper and wider is better, with less and less gain."""
    assert request.architecture is not None
    work = sum(placed.block.out_channels for placed in request.architecture.walk())
    return {"val_accuracy": 1.0 - 1.0 / (1.0 + work / 50.0), "test_accuracy": 0.5}


def witnessed(request: Request) -> dict[str, float]:
    """The same, slowly, with a line in the file that `TOY_LOG` names."""
    time.sleep(float(os.environ.get("TOY_SECONDS", "0.02")))
    with open(os.environ["TOY_LOG"], "a") as log:
        log.write(request.key + "\n")
    return accuracy(request)


def sometimes_breaks(request: Request) -> dict[str, float]:
    """Fails, or answers with what is no number, for some networks."""
    assert request.architecture is not None
    blocks = len(list(request.architecture.walk()))
    if blocks % 3 == 0:
        raise RuntimeError("this network is cursed")
    if blocks % 3 == 1:
        return {"val_accuracy": float("nan")}
    return accuracy(request)


def always_breaks(request: Request) -> dict[str, float]:
    raise RuntimeError("nothing works")


def in_three_reports(request: Request) -> Generator[dict[str, float], None, dict[str, float]]:
    """Takes `TOY_SECONDS` for each of three epochs."""
    for _ in range(3):
        time.sleep(float(os.environ.get("TOY_SECONDS", "0.02")))
        yield {"val_accuracy": 0.1}
    return accuracy(request)


def timed(request: Request) -> Generator[dict[str, float], None, dict[str, float]]:
    """Three reports; some fail, some answer with no number. Its seconds go to `TOY_LOG`."""
    start = time.perf_counter()
    try:
        for _ in range(3):
            time.sleep(float(os.environ["TOY_SECONDS"]))
            yield {"val_accuracy": accuracy(request)["val_accuracy"]}
        return sometimes_breaks(request)
    finally:
        with open(os.environ["TOY_LOG"], "a") as log:
            log.write(f"{time.perf_counter() - start}\n")
