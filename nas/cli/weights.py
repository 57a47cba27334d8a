"""Commands about weights: import from and export to torchvision, timm and lukemelas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas.cli.options import DEFAULT_STORE, Json, StoreUrl, artifact_location, open_store
from nas.cli.output import console, print_json


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Weights of other projects, both ways.", no_args_is_help=True)
    group.command(name="import")(import_weights)
    group.command(name="export")(export_weights)
    app.add_typer(group, name="weights")


def import_weights(
    file: Annotated[Path, typer.Argument(help="A .safetensors file, or torch's without code.")],
    architecture: Annotated[str, typer.Option("--architecture", help="As efficientnet_b0.")],
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Read a state dict of torchvision, timm or lukemelas into the store."""
    from nas.jobs.naming import find_architecture
    from nas.jobs.weights import import_file

    network = find_architecture(architecture, store)
    opened = open_store(store, create=True)
    imported = import_file(opened, artifact_location(store), file, network)
    if as_json:
        print_json(
            {
                "fingerprint": imported.architecture.fingerprint,
                "sha256": imported.sha256,
                "bytes": imported.size_bytes,
            }
        )
        return
    console.print(
        f"{imported.size_bytes:,} bytes, network {imported.architecture.fingerprint[:12]}\n"
        f"Start a training from them with this in its recipe:\n"
        f"  initial_weights: {imported.sha256}"
    )


def export_weights(
    sha256: Annotated[str, typer.Argument(help="Of the weights, or a beginning of it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .safetensors file.")],
    layout: Annotated[str, typer.Option(help="torchvision, timm or lukemelas.")] = "timm",
    store: StoreUrl = DEFAULT_STORE,
) -> None:
    """Write stored weights as torchvision, timm or lukemelas name them."""
    from nas.jobs.weights import export_file

    architecture = export_file(open_store(store), artifact_location(store), sha256, layout, output)
    console.print(f"{output}: {layout}, network {architecture.fingerprint[:12]}")
