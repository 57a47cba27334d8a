"""Options that many commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nas.jobs.spec import JobSpec
    from nas.store import Store

DEFAULT_STORE = "sqlite:///nas.db"

StoreUrl = Annotated[
    str, typer.Option("--store", envvar="NAS_STORE", help="SQLite or PostgreSQL, as a URL.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
JobName = Annotated[
    str | None, typer.Argument(help="Job id, prefix of one, or name; the latest if left out.")
]


def open_store(url: str, *, create: bool = False) -> Store:
    """Open the store; only the commands that begin something make a new one."""
    from nas.store import Store

    return Store.open(url, create=create)


def artifact_location(store_url: str) -> str:
    """`NAS_ARTIFACTS`, or the folder `nas-artifacts` beside an SQLite file."""
    given = os.environ.get("NAS_ARTIFACTS")
    if given:
        return given
    path = store_url.removeprefix("sqlite:///")
    folder = os.path.dirname(path) if store_url.startswith("sqlite:///") else ""
    return os.path.abspath(os.path.join(folder, "nas-artifacts"))


def job_settings(
    job: str | None,
    file: Path | None,
    data: str | None,
    epochs: int | None,
    store: str,
    executor: str | None = None,
    workers: int | None = None,
) -> JobSpec | None:
    """Data and recipe by the flags that train one network; None where none was given.

    Raises:
        InvalidRequestError: If the flags don't go together.
    """
    from nas.errors import InvalidRequestError

    if job is not None and file is not None:
        raise InvalidRequestError("`--job` and `--file` must not be given together.")
    if job is None and file is None and data is None and epochs is None:
        return None
    from nas.jobs.spec import JobSpec, job_from_dict, load_job
    from nas.jobs.start import job_spec

    if file is not None:
        spec = load_job(file)
    elif job is not None:
        spec = job_spec(open_store(store).find_job(job))
    else:
        spec = JobSpec(name="job")
    document = spec.model_dump(mode="json", exclude_defaults=True)
    if data is not None:
        document["data"] = {"source": data}
    if epochs is not None:
        recipe = spec.full_recipe.model_dump(mode="json", exclude_defaults=True)
        document["final_recipe"] = {**recipe, "epochs": epochs}
    execution = {"executor": executor, "workers": workers}
    given = {key: value for key, value in execution.items() if value is not None}
    if given:
        document["execution"] = {**document.get("execution", {}), **given}
    return job_from_dict(document, "The flags")
