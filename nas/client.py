"""`Client`: a server's jobs, models and files from Python, by the names of the command line.

with Client("http://127.0.0.1:8000", token="nas_...") as client:
    job = client.submit("job.yaml")
    for progress in client.progress(job.id):
        print(progress.done, progress.total, progress.best_accuracy)
    for model in client.pareto(job.id):
        print(model.macs, model.val_accuracy)
    client.export(f"{job.id}/3", "onnx", "models/")
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.connection import Connection, RefusedError, ServerError, adapter, path_of
from nas.documents import (
    Allowed,
    Card,
    CostReport,
    Export,
    FamilyPage,
    Job,
    JobPage,
    Log,
    Me,
    ModelPage,
    Network,
    Progress,
    PublishedNetwork,
    Space,
    Status,
    Trial,
    TrialPage,
    Tried,
)
from nas.store.questions import Added, Comparable, Measured, ModelRow, VolumePoint
from nas.store.rows import EvaluationRow, FamilyRow
from search_spaces.architecture import Architecture

__all__ = ["Client", "RefusedError", "ServerError"]


class Client(Connection):
    """One server, asked synchronously; safe to use from several threads.

    Args:
        url: As `nas serve` prints it.
        token: As `nas token create` printed it; not needed on loopback without `--auth`.
        timeout_s: Of each answer; streams may be silent for longer.
        transport: In place of the network, for tests.

    Raises:
        RefusedError: From any method, if the request is wrong or not allowed.
        ServerError: From any method, if the server can't be reached or fails.
    """

    def me(self) -> Me:
        """Who the token belongs to, and its scope."""
        return self._get(Me, "me")

    # jobs

    def submit(self, job: str | Path | Mapping[str, Any], request_key: str | None = None) -> Job:
        """Submit a job: a job file, or the plain values of one.

        Args:
            request_key: The same key again makes no second job. Without, each call makes one,
                however often the connection breaks on the way.
        """
        key = {"idempotency-key": request_key or secrets.token_hex(16)}
        return self._post(Job, "jobs", job, key)

    def check(self, job: str | Path | Mapping[str, Any]) -> Tried:
        """What a job would be; nothing is started."""
        return self._post(Tried, "jobs/validate", job)

    def jobs(self, *, state: str | None = None, owner: str | None = None) -> Iterator[Job]:
        """Jobs, the latest first; asked for page by page."""
        return self._pages(JobPage, "jobs", state=state, owner=owner)

    def status(self, job: str) -> Status:
        """How a job stands, and what it has found so far."""
        return self._get(Status, path_of("jobs", job))

    def stop(self, job: str) -> Job:
        """End a job politely; every result that came in is kept."""
        return self._post(Job, path_of("jobs", job, "stop"))

    def resume(self, job: str) -> Job:
        """Go on with a job that was stopped or lost."""
        return self._post(Job, path_of("jobs", job, "resume"))

    def trials(self, job: str) -> Iterator[Trial]:
        """A job's trials by their number; asked for page by page."""
        return self._pages(TrialPage, path_of("jobs", job, "trials"))

    def logs(self, job: str, *, follow: bool = False) -> Iterator[str]:
        """What a job has printed; with `follow`, as it does until it ends."""
        if follow:
            for event, data in self._events(job, logs=True):
                if event == "log":
                    yield str(data)
            return
        offset = 0
        while (log := self._get(Log, path_of("jobs", job, "log"), offset=offset)).text:
            offset = log.next
            yield log.text

    def progress(self, job: str) -> Iterator[Progress]:
        """How far a job is, whenever that changes, until it ends."""
        for event, data in self._events(job, logs=False):
            if event == "progress":
                yield adapter(Progress).validate_python(data)

    def wait(self, job: str) -> Status:
        """Wait until a job ends."""
        for _ in self.progress(job):
            pass
        return self.status(job)

    # models

    def kinds(self) -> list[Comparable]:
        """What may be compared with each other, the largest first."""
        return self._get(list[Comparable], "kinds")

    def measured(self) -> list[Measured]:
        """Metrics that were measured on devices; their `name` is an axis, or part of a bound."""
        return self._get(list[Measured], "measured")

    def pareto(
        self,
        job: str | None = None,
        x: str | None = None,
        y: str | None = None,
        where: Sequence[str] = (),
        **narrowed: Any,
    ) -> list[ModelRow]:
        """The models that no other beats in both metrics.

        Args:
            x, y: Default: the job's objectives, else MACs and validation accuracy.
            where: Bounds, as 'macs <= 300M'.
            narrowed: `of`, `ties`, `dataset`, `kind`, `recipe`, `space`, `family`, `since`,
                `device`, `mixed` and what else `/v1/front` takes.
        """
        return self._get(list[ModelRow], "front", job=job, x=x, y=y, where=where, **narrowed)

    def models(
        self,
        job: str | None = None,
        sort: str | None = None,
        where: Sequence[str] = (),
        **narrowed: Any,
    ) -> Iterator[ModelRow]:
        """Evaluated models, the best by one metric first; asked for page by page."""
        return self._pages(ModelPage, "models", job=job, sort=sort, where=where, **narrowed)

    def best(
        self, metric: str = "val_accuracy", where: Sequence[str] = (), **narrowed: Any
    ) -> ModelRow | None:
        """The best within bounds, as under 'macs <= 300M' and 'latency_ms <= 10'."""
        found = self._get(list[ModelRow], "models/best", metric=metric, where=where, **narrowed)
        return found[0] if found else None

    def model(self, evaluation: str) -> EvaluationRow:
        """One evaluation with everything that was measured in it."""
        return self._get(EvaluationRow, path_of("models", evaluation))

    def nearest(self, evaluation: str, **narrowed: Any) -> list[ModelRow]:
        """The models nearest to one that are cheaper."""
        return self._get(list[ModelRow], path_of("models", evaluation, "nearest"), **narrowed)

    def dominating(self, evaluation: str, **narrowed: Any) -> list[ModelRow]:
        """The models that beat one."""
        return self._get(list[ModelRow], path_of("models", evaluation, "dominating"), **narrowed)

    def compare(self, job: str, to: str) -> Added:
        """What a job added to another's front, and which of the other's models that displaces."""
        return self._get(Added, path_of("jobs", job, "added"), to=to)

    def hypervolume(self, job: str) -> list[VolumePoint]:
        """How the hypervolume of a job's front grew."""
        return self._get(list[VolumePoint], path_of("jobs", job, "hypervolume"))

    def show(self, name: str) -> Network:
        """A network as data with its costs: a published name, a fingerprint, or JOB/12."""
        return self._get(Network, path_of("architectures", name))

    def card(self, name: str) -> Card:
        """What is known of a network: evaluations, measurements, files."""
        return self._get(Card, path_of("architectures", name, "card"))

    def cost(
        self, network: str | Architecture | Mapping[str, Any], resolution: int | None = None
    ) -> CostReport:
        """Exact costs of a network, by name or as data."""
        if isinstance(network, str):
            network = self.show(network).document
        elif isinstance(network, Architecture):
            network = network.to_dict()
        return self._post(CostReport, "costs", network, resolution=resolution)

    def families(self, job: str | None = None) -> Iterator[FamilyRow]:
        """Families with their members, the latest first."""
        return self._pages(FamilyPage, "families", job=job)

    def family(self, family: str) -> FamilyRow:
        """A family with its members."""
        return self._get(FamilyRow, path_of("families", family))

    # facts

    def allowed(self) -> Allowed:
        """What a posted job may name on this server."""
        return self._get(Allowed, "allowed")

    def spaces(self) -> list[Space]:
        """The spaces that can be searched."""
        return self._get(list[Space], "spaces")

    def space(self, name: str) -> dict[str, Any]:
        """A space as data."""
        return self._get(dict[str, Any], path_of("spaces", name))

    def published(self) -> list[PublishedNetwork]:
        """The papers' networks."""
        return self._get(list[PublishedNetwork], "published")

    # files

    def export(
        self,
        model: str,
        format: str = "onnx",
        directory: str | Path = ".",
        *,
        job: str | None = None,
        train: bool = False,
        patience_s: float = 3_600.0,
    ) -> Path:
        """Have a model made into a file, and download it; its SHA-256 is checked.

        Args:
            model: A network, JOB/12, or a job: its best family member.
            train: Train it first where there are no weights of the job's full recipe.

        Raises:
            ServerError: If it could not be made, or takes too long.
        """
        export = self.ask_export(model, format, job=job, train=train)
        until, pause_s = time.monotonic() + patience_s, 0.2
        while export.state in ("waiting", "running"):
            if time.monotonic() > until:
                raise ServerError(f"Export {export.id} took longer than {patience_s:g} s.")
            time.sleep(pause_s)
            pause_s = min(5.0, 1.5 * pause_s)
            export = self._get(Export, path_of("exports", export.id))
        if export.state != "completed":
            raise ServerError(f"Export {export.id} failed: {export.message}")
        return self.download(export, directory)

    def ask_export(
        self, model: str, format: str = "onnx", *, job: str | None = None, train: bool = False
    ) -> Export:
        """Ask for a file without waiting for it."""
        wanted = {"model": model, "format": format, "job": job, "train": train}
        return self._post(Export, "exports", wanted)

    def exports(self, state: str | None = None) -> list[Export]:
        """Exports that were asked for."""
        return self._get(list[Export], "exports", state=state)

    def download(self, export: Export, directory: str | Path = ".") -> Path:
        """Download the file of a completed export; it appears whole and checked, or not at all."""
        path = Path(directory) / Path(export.filename or export.id).name
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        digest = hashlib.sha256()
        try:
            with unfinished.open("wb") as file:
                for part in self._download(path_of("exports", export.id, "file")):
                    digest.update(part)
                    file.write(part)
            if digest.hexdigest() != export.sha256:
                raise ServerError(f"{path.name} arrived damaged: its SHA-256 differs; try again.")
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
        return path
