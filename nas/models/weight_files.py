"""Files that hold nothing but named tensors: safetensors, and torch files without code."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.errors import InvalidRequestError

_WRAPPERS = ("state_dict", "model", "model_state_dict", "state_dict_ema")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the named tensors of a file, on the CPU; its contents decide the format.

    A state dict inside a checkpoint (under `state_dict` or `model`) is found.

    Raises:
        InvalidRequestError: If there is no such file, it is damaged, or it is a pickle that
            needs code to be run, which is never done.
    """
    if not path.is_file():
        raise InvalidRequestError(f"There is no file of weights at {str(path)!r}.")
    content = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise InvalidRequestError(f"{str(path)!r} must hold named tensors, but got none.")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InvalidRequestError(
                f"{str(path)!r} must hold named tensors only, but {name!r} is a "
                f"{type(value).__name__}; save the model's `state_dict()`."
            )
    return dict(content)


def write_weights(state_dict: Mapping[str, Tensor], path: Path) -> None:
    """Write named tensors as `.safetensors`, or as a torch file by `.pt` or `.pth`.

    Raises:
        InvalidRequestError: If the file's ending is none of these.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state_dict.items()}
    if path.suffix not in (".safetensors", ".pt", ".pth"):
        raise InvalidRequestError(
            f"A file of weights must end in .safetensors, .pt or .pth, but got {path.name!r}."
        )
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import save_file

            save_file(tensors, partial)
        else:
            torch.save(tensors, partial)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _is_safetensors(path: Path) -> bool:
    # eight bytes of length, then JSON
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        raise InvalidRequestError(f"{str(path)!r} is a damaged safetensors file: {error}") from None


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InvalidRequestError(
            f"{str(path)!r} must hold tensors only, but it is a pickle that needs code or is "
            f"damaged ({_reason(error)}); save the model's `state_dict()`, or use safetensors."
        ) from None
    # what a damaged file makes torch raise is open-ended
    except Exception as error:
        raise InvalidRequestError(
            f"{str(path)!r} must be a safetensors or a torch file, but reading it failed: "
            f"{_reason(error)}."
        ) from None


def _reason(error: Exception) -> str:
    """What torch says in many lines, in one: the line that names the code where there is one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "GLOBAL" in line or "Unsupported" in line]
    text = (named or lines or [type(error).__name__])[0]
    return text.split(". ")[0].removeprefix("WeightsUnpickler error: ")[:200].rstrip(".")
