"""Commands about the store itself: db upgrade, check, copy, delete, gc."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from nas.cli.options import DEFAULT_STORE, Json, StoreUrl, artifact_location, open_store
from nas.cli.output import console, errors, print_json


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Look after the store.", no_args_is_help=True)
    group.command()(upgrade)
    group.command()(check)
    group.command()(copy)
    group.command()(delete)
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
    first: Annotated[str, typer.Argument(metavar="[SOURCE]", help="URL of the store to copy.")],
    second: Annotated[
        str | None, typer.Argument(metavar="TARGET", help="URL of an empty or new store.")
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Copy a whole store, between SQLite and PostgreSQL either way; all of it or nothing."""
    from nas.store.copying import copy as copy_store

    source, target = (store, first) if second is None else (first, second)
    with open_store(source) as reading, open_store(target, create=True) as writing:
        with errors.status("Copying ...") as status:
            copied = copy_store(
                reading, writing, lambda name, rows: status.update(f"Copying {name}: {rows:,}")
            )
        place = writing.url
    if as_json:
        print_json({"target": place, "rows": copied})
        return
    for table, rows in copied.items():
        console.print(f"{table}: {rows:,}")
    console.print(f"Every row is in {place}. Files stay where they are:")
    console.print(f"  export NAS_ARTIFACTS={artifact_location(source)}")


def delete(
    job: Annotated[str, typer.Argument(help="Job id, prefix of one, or name.")],
    really: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what.")] = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Delete a job and what only it used; what other jobs use stays."""
    from nas.jobs.truth import find_truth
    from nas.store.deleting import delete_job

    opened = open_store(store)
    row = opened.find_job(job)
    find_truth(opened, row)  # a job whose driver is gone from its cluster is noted as ended
    deleted = delete_job(opened, row, artifact_location(store), dry_run=not really)
    if as_json:
        print_json({**asdict(deleted), "bytes": deleted.bytes, "done": really})
        return
    verb, files = "Deleted" if really else "Would delete", len(deleted.artifacts)
    console.print(
        f"{verb} {deleted.name} ({deleted.job}): {deleted.trials:,} trials, "
        f"{deleted.families} families, {deleted.evaluations:,} evaluations, "
        f"{deleted.architectures:,} architectures and {files} files "
        f"({deleted.bytes / 2**20:.1f} MiB). "
        f"{deleted.shared:,} of its evaluations stay, since others use them."
    )
    if not really:
        console.print(f"Do it with: nas db delete {deleted.job} --yes")


def gc(
    really: Annotated[bool, typer.Option("--yes", help="Do it; without, only say what.")] = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: Json = False,
) -> None:
    """Free the weights and checkpoints that no front, family or open job needs."""
    from nas.store import garbage

    freed = garbage.gc(open_store(store), artifact_location(store), dry_run=not really)
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
