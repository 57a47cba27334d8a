"""Weights of torchvision, timm and lukemelas (EfficientNet-PyTorch), read and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from nas.errors import InvalidRequestError
from nas.models.layouts import (
    WRITABLE,
    Layout,
    detect_layout,
    module_names,
    torchvision_family,
)
from nas.models.network import Network
from nas.models.weight_files import read_weights
from search_spaces.architecture import Architecture, Padding
from search_spaces.published import PUBLISHED

StateDict = dict[str, Tensor]

_COUNTER = "num_batches_tracked"


def import_weights(path: Path, architecture: Architecture) -> tuple[Architecture, StateDict]:
    """Read a file of weights for a network, whoever wrote it.

    Returns:
        The architecture with the batch-norm settings and the padding of the project that the
        weights come from, and the state dict of its built model.

    Raises:
        InvalidRequestError: If the file holds anything but tensors, or they don't fit.
    """
    weights = _without_wrapper(read_weights(path))
    state = load_foreign(architecture, weights)
    return with_settings_of(architecture, detect_layout(weights)), state


def load_foreign(architecture: Architecture, weights: Mapping[str, Tensor]) -> StateDict:
    """Turn a state dict of torchvision, timm or lukemelas into ours, in fp32.

    Counters of batches may be absent; everything else must be there, and nothing more.

    Raises:
        InvalidRequestError: If a tensor is missing, left over or of another shape.
    """
    weights = _without_wrapper(weights)
    names = _tensor_names(architecture, detect_layout(weights))
    state, left = {}, set(weights)
    for ours, template in _templates(architecture).items():
        theirs = names[ours]
        left.discard(theirs)
        if theirs in weights:
            state[ours] = _fitted(theirs, weights[theirs], template)
        elif ours.endswith(_COUNTER):
            state[ours] = torch.zeros((), dtype=torch.long)
        else:
            raise InvalidRequestError(
                f"The weights must hold `{theirs}` for this architecture, but they don't; "
                "they are another network's."
            )
    unknown = sorted(name for name in left if not name.endswith(_COUNTER))
    if unknown:
        raise InvalidRequestError(
            f"The weights hold {len(unknown)} tensors that this architecture has no layer for, "
            f"`{unknown[0]}` among them; they are another network's."
        )
    return state


def to_foreign(
    architecture: Architecture, state_dict: Mapping[str, Tensor], layout: str = "torchvision"
) -> StateDict:
    """Turn our state dict into torchvision's, timm's or lukemelas'.

    Raises:
        InvalidRequestError: If that layout has no place for a layer of this network.
    """
    if layout not in WRITABLE:
        known = ", ".join(WRITABLE)
        raise InvalidRequestError(f"`layout` must be one of {known}, but got {layout!r}.")
    chosen = Layout(layout)
    if chosen is Layout.TORCHVISION:
        chosen = torchvision_family(architecture)
    names = _tensor_names(architecture, chosen)
    state = {theirs: state_dict[ours] for ours, theirs in names.items()}
    if chosen is Layout.TIMM and architecture.head.hidden_channels:
        state["conv_head.weight"] = state["conv_head.weight"][:, :, None, None]
    return state


# eps and momentum of batch-norm in torchvision's own models
_TORCHVISION_BATCH_NORM = {
    "efficientnet_b5": (1e-3, 0.01),
    "efficientnet_b6": (1e-3, 0.01),
    "efficientnet_b7": (1e-3, 0.01),
    "efficientnet_v2_s": (1e-3, 0.1),
    "efficientnet_v2_m": (1e-3, 0.1),
    "efficientnet_v2_l": (1e-3, 0.1),
    "mobilenet_v3_large": (1e-3, 0.01),
    "mobilenet_v3_small": (1e-3, 0.01),
    "mnasnet_b1": (1e-5, 1 - 0.9997),
}


def with_settings_of(architecture: Architecture, layout: Layout) -> Architecture:
    """The same network with the batch-norm settings and the padding of a project's own model.

    timm's `tf_` models are told by the architecture's "same" padding.
    """
    if layout is Layout.OURS:
        return architecture
    if layout is Layout.LUKEMELAS:
        return _with(architecture, 1e-3, 0.01, Padding.SAME)
    if layout is Layout.TIMM:
        same = architecture.padding is Padding.SAME
        return _with(architecture, 1e-3 if same else 1e-5, 0.1, architecture.padding)
    eps, momentum = next(
        (
            settings
            for name, settings in _TORCHVISION_BATCH_NORM.items()
            if _same_layers(architecture, PUBLISHED[name].architecture)
        ),
        (1e-5, 0.1),
    )
    return _with(architecture, eps, momentum, Padding.TORCH)


def _same_layers(one: Architecture, other: Architecture) -> bool:
    return (one.stem, one.stages, one.head) == (other.stem, other.stages, other.head)


def _with(
    architecture: Architecture, eps: float, momentum: float, padding: Padding
) -> Architecture:
    return replace(architecture, batch_norm_eps=eps, batch_norm_momentum=momentum, padding=padding)


@lru_cache(maxsize=8)
def _templates(architecture: Architecture) -> StateDict:
    """The state dict of the built model, without memory for its numbers."""
    with torch.device("meta"):
        return Network(architecture).state_dict()


def _tensor_names(architecture: Architecture, layout: Layout) -> dict[str, str]:
    """Our name of each tensor -> theirs."""
    ours = _templates(architecture)
    if layout is Layout.OURS:
        return {name: name for name in ours}
    modules = module_names(architecture, layout)
    split = {name: name.rsplit(".", 1) for name in ours}
    return {name: f"{modules[module]}.{tensor}" for name, (module, tensor) in split.items()}


def _without_wrapper(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Names without the `module.` that data-parallel training puts before all of them."""
    if weights and all(name.startswith("module.") for name in weights):
        return {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    return weights


def _fitted(name: str, tensor: Tensor, template: Tensor) -> Tensor:
    """The tensor in our shape; 1x1 convolutions and linear layers hold the same numbers."""
    if _squeezed(tensor) != _squeezed(template):
        raise InvalidRequestError(
            f"`{name}` must be of shape {tuple(template.shape)} for this architecture, "
            f"but got {tuple(tensor.shape)}."
        )
    return tensor.reshape(template.shape).to(template.dtype)


def _squeezed(tensor: Tensor) -> tuple[int, ...]:
    shape = tuple(tensor.shape)
    return shape[:2] if shape[2:] == (1, 1) else shape
