"""Commands about the store itself: db upgrade, check, copy, gc."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from nas.cli.options import DEFAULT_STORE, Json, StoreUrl, artifact_location, open_store
from nas.cli.output import console, print_json


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Look after the store.", no_args_is_help=True)
    group.command()(upgrade)
    group.command()(check)
    group.command()(copy)
    group.command()(gc)
    app.add_typer(group, name="db")


def upgrade(store: StoreUrl = DEFAULT_STORE) -> None:
    """Bring the tables up to date with this version of the package."""
    from nas.store import tools

    console.print(f"The tables have version {tools.upgrade(store)}.")


def check(store: StoreUrl = DEFAULT_STORE, as_json: Json = False) -> None:
    """Look for damage: in the database, between its rows, and among the files."""
    from nas.store import tools

    problems = tools.check(open_store(store), artifact_location(store))
    if as_json:
        print_json([asdict(problem) for problem in problems])
    elif not problems:
        console.print("Nothing is wrong.")
    for problem in problems if not as_json else ():
        examples = f": {', '.join(problem.examples)}" if problem.examples else ""
        console.print(f"{problem.count} {problem.what}{examples}")
    if problems:
        raise typer.Exit(1)


def copy(
    target: Annotated[str, typer.Argument(help="URL of an empty or new store.")],
    store: StoreUrl = DEFAULT_STORE,
) -> None:
    """Copy a whole store, between SQLite and PostgreSQL either way."""
    from nas.store import tools

    copied = tools.copy(open_store(store), open_store(target, create=True))
    for table, rows in copied.items():
        console.print(f"{table}: {rows:,}")


def gc(
    really: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what.")] = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Free the weights and checkpoints that no front, family or open job needs."""
    from nas.store import tools

    freed = tools.gc(open_store(store), artifact_location(store), dry_run=not really)
    if as_json:
        print_json({**asdict(freed), "bytes": freed.bytes, "done": really})
        return
    verb = "Freed" if really else "Would free"
    console.print(
        f"{verb} {len(freed.artifacts)} files of weights ({freed.bytes / 2**20:.1f} MiB), "
        f"{len(freed.checkpoints)} checkpoints and {freed.claims} expired claims."
    )
    if not really:
        console.print("Do it with: nas db gc --yes")
