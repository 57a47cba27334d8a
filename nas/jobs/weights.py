"""Weights of other projects, in and out of the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas.data.artifacts import get_bytes, put_bytes
from nas.errors import InvalidRequestError
from nas.jobs.naming import stored_architecture
from nas.search.records import architecture_row
from nas.store import ArtifactRow, Store
from search_spaces.architecture import Architecture

KIND = "weights"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Weights that are now in the store, and the network that they fit."""

    architecture: Architecture
    sha256: str
    size_bytes: int


def import_file(store: Store, location: str, path: Path, architecture: Architecture) -> Imported:
    """Read a state dict of torchvision, timm, lukemelas or our own, and keep it.

    Raises:
        InvalidRequestError: If the file holds code, or does not fit the network.
    """
    from safetensors.torch import save

    from nas.models.foreign import import_weights

    fitted, state = import_weights(path, architecture)
    kept = put_bytes(location, "weights", ".safetensors", save(state))
    store.save_architectures([architecture_row(fitted)])
    store.add_artifact(
        ArtifactRow(
            sha256=kept.sha256,
            kind=KIND,
            name=kept.name,
            bytes=kept.size_bytes,
            architecture=fitted.fingerprint,
            details={"imported_from": path.name},
        )
    )
    return Imported(architecture=fitted, sha256=kept.sha256, size_bytes=kept.size_bytes)


def export_file(store: Store, location: str, sha256: str, layout: str, path: Path) -> Architecture:
    """Write stored weights as another project names them, in a safetensors file.

    Args:
        sha256: Of the weights, or a unique beginning of it.

    Raises:
        InvalidRequestError: If there are no such weights, or the layout can't hold the network.
    """
    from safetensors.torch import load, save_file

    from nas.models.foreign import to_foreign

    rows = [row for row in store.artifacts_of(kind=KIND) if row.sha256.startswith(sha256)]
    if len({row.sha256 for row in rows}) != 1:
        found = "none" if not rows else f"{len(rows)}"
        raise InvalidRequestError(
            f"Weights must be named by a unique beginning of their SHA-256, but {sha256!r} "
            f"fits {found}. `nas show` lists them."
        )
    row = rows[0]
    if row.architecture is None:
        raise InvalidRequestError(f"It is not known which network weights {sha256!r} belong to.")
    architecture = stored_architecture(store, row.architecture)
    state = to_foreign(architecture, load(get_bytes(location, row.name, row.sha256)), layout)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        save_file({k: v.contiguous() for k, v in state.items()}, unfinished)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InvalidRequestError(f"Cannot write {path}: {error.strerror or error}.") from None
    return architecture
