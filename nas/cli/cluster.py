"""Commands about jobs on a cluster: submit, logs, stop."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nas.cli.options import DEFAULT_STORE, JobName, Json, StoreUrl, artifact_location, open_store
from nas.cli.output import console, print_json
from nas.errors import InvalidRequestError

if TYPE_CHECKING:
    from nas.jobs.submit import Place

Address = Annotated[
    str,
    typer.Option(
        "--address", envvar="RAY_API_SERVER_ADDRESS", help="The head's dashboard, http://HEAD:8265."
    ),
]
StoreOnNodes = Annotated[
    str | None,
    typer.Option(
        "--store-on-nodes",
        help="Variable or file:/path on the nodes that holds the store's URL, so that no password "
        "travels.",
    ),
]
CodeChoice = Annotated[str, typer.Option("--code", help="installed (on the nodes) or wheel.")]
WorkingDir = Annotated[
    Path | None, typer.Option("--working-dir", help="Folder sent along, with your evaluator.")
]


def register(app: typer.Typer) -> None:
    app.command()(submit)
    app.command()(logs)
    app.command()(stop)


def submit(
    job: Annotated[Path, typer.Argument(help="The job file (YAML).")],
    address: Address,
    store: StoreUrl = DEFAULT_STORE,
    store_on_nodes: StoreOnNodes = None,
    code: CodeChoice = "installed",
    working_dir: WorkingDir = None,
    request_key: Annotated[
        str | None, typer.Option("--request-key", help="The same key again makes no second job.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a job on a Ray cluster: `nas status`, `nas logs -f` and `nas stop` go on from here."""
    from nas.jobs.spec import load_job
    from nas.jobs.submit import submit_job

    spec = load_job(job)
    opened = open_store(store, create=True)
    artifacts = artifact_location(store)
    place = make_place(address, store_on_nodes, code, working_dir)
    row = submit_job(opened, store, spec, artifacts, place, request_key)
    if as_json:
        print_json({"id": row.id, "name": row.name, "ray_id": row.ray_id, "state": row.state})
        return
    console.print(f"Submitted {row.name} ({row.id}) as {row.ray_id}. Go on with:")
    console.print(f"  nas logs {row.id} -f\n  nas status {row.id}\n  nas stop {row.id}")


def logs(
    job: JobName = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job ends.")] = False,
    store: StoreUrl = DEFAULT_STORE,
) -> None:
    """What a submitted job has printed."""
    from nas.jobs.submit import job_logs

    cluster, ray_id = job_logs(open_store(store).find_job(job))
    for text in cluster.follow(ray_id) if follow else [cluster.logs(ray_id)]:
        sys.stdout.write(text)
        sys.stdout.flush()


def stop(job: JobName = None, store: StoreUrl = DEFAULT_STORE) -> None:
    """End a running job politely; every result that came in is kept."""
    from nas.jobs.submit import stop_job

    opened = open_store(store)
    row = opened.find_job(job)
    stop_job(opened, row)
    console.print(f"Asked {row.name} ({row.id}) to stop. Go on with it: nas resume {row.id}")


def make_place(
    address: str, store_on_nodes: str | None, code: str, working_dir: Path | None
) -> Place:
    """Where a job is to run, by the flags."""
    from nas.jobs.submit import Place

    if code not in ("installed", "wheel"):
        raise InvalidRequestError(f"`--code` must be installed or wheel, but got {code!r}.")
    return Place(
        address=address,
        store_on_nodes=store_on_nodes,
        code="wheel" if code == "wheel" else "installed",
        working_dir=None if working_dir is None else str(working_dir.absolute()),
    )
