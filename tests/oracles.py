"""torchvision and timm as oracles, on a torch without CUDA; never needed by the package itself.

Their compiled operators cannot load there. Declaring the two that torchvision's import asks for
is enough: models work, and only `torchvision.ops`' boxes would raise.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest
import torch

_KEEP_ALIVE: list[torch.library.Library] = []


def import_oracle(name: str) -> ModuleType:
    """Import torchvision, timm or a module of theirs, or skip the test where it is absent."""
    if not _KEEP_ALIVE and not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEEP_ALIVE.append(library)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        pytest.skip(f"{name} is a test oracle that is not installed: {error}")
