"""The command that writes a job for another tool: nas bridge."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from nas.cli.options import DEFAULT_STORE, JobName, Json, StoreUrl, open_store
from nas.cli.output import console, print_json


def register(app: typer.Typer) -> None:
    app.command()(bridge)


def bridge(
    tool: Annotated[str, typer.Argument(help="optuna or mlflow.")],
    job: JobName = None,
    target: Annotated[
        str | None,
        typer.Option(
            *("--output", "-o", "--tracking-uri"),
            help="Where to: for optuna a file, a journal if it ends in .journal or .log, else "
            "SQLite (default optuna.db); for mlflow a tracking URI (default sqlite:///mlflow.db).",
        ),
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Write a job as Optuna's or MLflow's own; again brings it up to date."""
    from nas.bridges import get_bridge
    from nas.bridges.history import read_history

    found = get_bridge(tool)
    opened = open_store(store)
    history = read_history(opened, opened.find_job(job))
    written = found.write(history, target or found.DEFAULT_TARGET)
    if as_json:
        print_json(asdict(written))
        return
    console.print(f"Wrote {written.name} to {written.target}: {written.trials} new or changed.")
    console.print(f"Look at it: {written.open_with}")
