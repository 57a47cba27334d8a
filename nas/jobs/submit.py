"""Jobs on a Ray cluster: put down first, then handed to Ray, and what is true of them later."""

from __future__ import annotations

import getpass
import importlib.metadata
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cluster.errors import ClusterError
from cluster.ray_jobs import RayJobs
from nas.errors import InvalidRequestError, NasError
from nas.jobs.holding import CODE_VARIABLE
from nas.jobs.process import stop_process
from nas.jobs.secrets import holds_secret, refuse_secret_files, refuse_secrets
from nas.jobs.spec import JobSpec
from nas.jobs.start import spec_document, with_job_ids
from nas.jobs.truth import Truth, find_truth
from nas.search.objectives import parse_constraints
from nas.store import JobRow, JobState, Store
from search_spaces.published import get_published

PACKAGE = "nas-scale"
Code = Literal["installed", "wheel"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_FILE = re.compile(r"file:(/[A-Za-z0-9_./-]{1,400})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a job is to run, and how its driver gets at code and store there.

    Args:
        address: Of the head's dashboard.
        store_on_nodes: Variable or `file:/path` on the nodes whose value is the store's URL; None
            sends the URL itself, which must hold no password then.
        code: The package installed on the nodes, or a wheel of this one sent along.
        working_dir: Folder sent along, with the evaluators that the job file names.
    """

    address: str
    store_on_nodes: str | None = None
    code: Code = "installed"
    working_dir: str | None = None


def submit_job(
    store: Store,
    store_url: str,
    spec: JobSpec,
    artifacts: str,
    place: Place,
    request_key: str | None = None,
    owner: str | None = None,
) -> JobRow:
    """Put a job down and have Ray run its driver.

    Args:
        owner: Who asks; None is the user of this process.
        request_key: A request that is sent again with the same key finds the job it made.

    Raises:
        InvalidRequestError: If the job file is wrong, or a secret would travel.
        ClusterError: If the cluster can't be reached; the job is then failed with the reason.
    """
    if place.working_dir is not None:
        refuse_secret_files(place.working_dir)
    store_argument = _store_argument(store_url, place.store_on_nodes)
    cluster = RayJobs(place.address)
    known_by_ray = {"ray_address": cluster.address}
    job = put_down_job(store, spec, artifacts, request_key, owner, known_by_ray)
    known = job.ray_id is not None and cluster.find(job.ray_id) is not None
    never_ran = job.state == JobState.FAILED and job.started_at is None
    if known or not (job.state == JobState.WAITING or never_ran):
        return job  # the same request, sent again
    return _hand_over(store, cluster, job, store_argument, place)


def put_down_job(
    store: Store,
    spec: JobSpec,
    artifacts: str,
    request_key: str | None = None,
    owner: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> JobRow:
    """Put a job down as waiting, for a driver elsewhere to take up; its data is not looked at.

    Raises:
        InvalidRequestError, SearchSpaceError: If something is wrong whatever the data is.
    """
    check_without_data(spec)
    document = spec_document(with_job_ids(store, spec))
    refuse_secrets(artifacts, "NAS_ARTIFACTS")
    known = {"spec_digest": spec.digest, "artifacts": artifacts, **(attributes or {})}
    return store.create_job(
        spec.name,
        document,
        {"space": spec.space},
        owner=owner or getpass.getuser(),
        attributes=known,
        request_key=request_key,
    )


def resubmit_job(store: Store, store_url: str, job: JobRow, place: Place) -> JobRow:
    """Have Ray run the driver of a job again, on whatever node it likes."""
    truth = find_truth(store, job)
    if truth.state in (JobState.RUNNING, "pending"):
        raise InvalidRequestError(
            f"Job {job.name} ({job.id}) is {truth.state}. Stop it first: nas stop {job.id}."
        )
    store_argument = _store_argument(store_url, place.store_on_nodes)
    return _hand_over(store, RayJobs(place.address), job, store_argument, place)


def check_code(store: Store, job: JobRow) -> None:
    """Have a driver on a node end where its package is not the one that the job came with.

    Raises:
        InvalidRequestError: Then; the job is failed with the same sentence.
    """
    wanted, here = os.environ.get(CODE_VARIABLE), importlib.metadata.version(PACKAGE)
    if wanted is None or wanted == here:
        return
    message = (
        f"The job was submitted with {PACKAGE} {wanted}, but its driver's node has {here}; "
        f"install {PACKAGE}=={wanted} on the nodes, or send it along: --code wheel."
    )
    store.set_job_state(job.id, JobState.FAILED, message)
    raise InvalidRequestError(message)


def stop_job(store: Store, job: JobRow) -> Truth:
    """Ask a job's driver to end, wherever it runs; every result that came in is kept.

    Raises:
        InvalidRequestError: If nothing of it runs, or it runs on another machine without Ray.
    """
    truth = find_truth(store, job)
    if truth.state not in (JobState.RUNNING, JobState.WAITING, "pending"):
        raise InvalidRequestError(
            f"Job {job.name} ({job.id}) is {truth.state}; nothing is left to stop."
        )
    if job.ray_id is not None:
        RayJobs(str(job.attributes["ray_address"])).stop(job.ray_id)
        return truth
    if not (store.signal_driver(job.id) or stop_process(store, job)):
        raise InvalidRequestError(
            f"Job {job.name} ({job.id}) runs on {job.driver_host}; stop it there, with Ctrl-C."
        )
    return truth


def job_logs(job: JobRow) -> tuple[RayJobs, str]:
    """The cluster that holds a job's logs, and the id they are under."""
    if job.ray_id is None:
        raise InvalidRequestError(
            f"Job {job.name} ({job.id}) was not submitted to a cluster; its progress is where "
            f"it was started."
        )
    return RayJobs(str(job.attributes["ray_address"])), job.ray_id


def _hand_over(
    store: Store, cluster: RayJobs, job: JobRow, store_argument: str, place: Place
) -> JobRow:
    """The row knows Ray's id before Ray is asked, so that nothing is lost in between."""
    number = int(job.attributes.get("submissions", 0)) + 1
    ray_id = f"nas-{job.id}-{number}"
    version = importlib.metadata.version(PACKAGE)
    code = f"{CODE_VARIABLE}={shlex.quote(version)}"
    attributes = {
        "submissions": number,
        "ray_address": cluster.address,
        "code": f"{place.code} {version}",
    }
    store.update_job(job.id, ray_id=ray_id, attributes=attributes)
    store.set_job_state(job.id, JobState.WAITING)
    try:
        with tempfile.TemporaryDirectory(prefix="nas-wheel-") as folder:
            cluster.submit(
                f"{code} {store_argument} python -m nas resume {job.id}",
                id=ray_id,
                working_dir=place.working_dir,
                wheels=(_build_wheel(folder),) if place.code == "wheel" else (),
                metadata={"nas_job": job.id, "nas_name": job.name},
            )
    except NasError as error:
        store.set_job_state(job.id, JobState.FAILED, str(error))
        raise
    except ClusterError as error:
        store.set_job_state(job.id, JobState.FAILED, str(error))
        raise
    return store.find_job(job.id)


def _store_argument(url: str, on_nodes: str | None) -> str:
    """How the driver's command learns the store's URL, without a secret in it."""
    if on_nodes is not None:
        file = _FILE.fullmatch(on_nodes)
        if file is not None:
            return f'NAS_STORE="$(cat {shlex.quote(file[1])})"'
        if _VARIABLE.fullmatch(on_nodes):
            return f'NAS_STORE="${on_nodes}"'
        raise InvalidRequestError(
            f"`--store-on-nodes` must be a variable's name or file:/path, but got {on_nodes!r:.80}."
        )
    if holds_secret(url):
        raise InvalidRequestError(
            "The store's URL holds a password, which everybody who may list Ray's jobs would read; "
            "set it on the nodes and name where: --store-on-nodes NAS_STORE (a variable) or "
            "--store-on-nodes file:/path."
        )
    path = url.removeprefix("sqlite:///")
    if url.startswith("sqlite:///"):
        url = f"sqlite:///{Path(path).absolute()}"
    return f"NAS_STORE={shlex.quote(url)}"


def check_without_data(spec: JobSpec) -> None:
    """What can be wrong with a job file whatever its data is; the rest its driver says."""
    from search_spaces.spaces import get_space

    for name in spec.search.start_with:
        get_published(name)
    parse_constraints(spec.search.constraints)
    if isinstance(spec.space, str) and spec.evaluator.name != "table":
        get_space(spec.space)


def _build_wheel(folder: str) -> str:
    """A wheel of the package that runs here."""
    root = Path(__file__).parents[2]
    if not (root / "pyproject.toml").exists():
        raise InvalidRequestError(
            "`--code wheel` needs the package's sources; here it is installed without them. "
            f"Install {PACKAGE} on the nodes and leave --code out."
        )
    _run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, str(root)])
    return str(next(Path(folder).glob("*.whl")))


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NasError(f"Building the wheel failed: {done.stderr.strip()[-300:]}")
