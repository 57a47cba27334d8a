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
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2
from pydantic import TypeAdapter, ValidationError

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
from nas.errors import InvalidRequestError, NasError
from nas.store.questions import Added, Comparable, ModelRow, VolumePoint
from nas.store.rows import EvaluationRow, FamilyRow
from search_spaces.architecture import Architecture

T = TypeVar("T")
YAML = {"content-type": "application/yaml"}
TRIES = 3
PAGE = 200


class RefusedError(InvalidRequestError):
    """A request that the server refused; `field` and `line` say where it was wrong, if anywhere."""

    def __init__(self, message: str, status: int, field: str | None, line: int | None) -> None:
        super().__init__(message)
        self.status, self.field, self.line = status, field, line


class ServerError(NasError):
    """A server that can't be reached, or failed; it may work again later."""


class Client:
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

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout_s: float = 30.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self._timeout_s = timeout_s
        self._http = httpx2.Client(
            base_url=f"{url.rstrip('/')}/v1/",
            headers=headers,
            timeout=timeout_s,
            transport=transport,
        )

    def close(self) -> None:
        """Close the connections; may be called twice."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

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
        return self._get(Status, _path("jobs", job))

    def stop(self, job: str) -> Job:
        """End a job politely; every result that came in is kept."""
        return self._post(Job, _path("jobs", job, "stop"))

    def resume(self, job: str) -> Job:
        """Go on with a job that was stopped or lost."""
        return self._post(Job, _path("jobs", job, "resume"))

    def trials(self, job: str) -> Iterator[Trial]:
        """A job's trials by their number; asked for page by page."""
        return self._pages(TrialPage, _path("jobs", job, "trials"))

    def logs(self, job: str, *, follow: bool = False) -> Iterator[str]:
        """What a job has printed; with `follow`, as it does until it ends."""
        if follow:
            for event, data in self._events(job, logs=True):
                if event == "log":
                    yield str(data)
            return
        offset = 0
        while (log := self._get(Log, _path("jobs", job, "log"), offset=offset)).text:
            offset = log.next
            yield log.text

    def progress(self, job: str) -> Iterator[Progress]:
        """How far a job is, whenever that changes, until it ends."""
        for event, data in self._events(job, logs=False):
            if event == "progress":
                yield _adapter(Progress).validate_python(data)

    def wait(self, job: str) -> Status:
        """Wait until a job ends."""
        for _ in self.progress(job):
            pass
        return self.status(job)

    # models

    def kinds(self) -> list[Comparable]:
        """What may be compared with each other, the largest first."""
        return self._get(list[Comparable], "kinds")

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
        return self._get(EvaluationRow, _path("models", evaluation))

    def nearest(self, evaluation: str, **narrowed: Any) -> list[ModelRow]:
        """The models nearest to one that are cheaper."""
        return self._get(list[ModelRow], _path("models", evaluation, "nearest"), **narrowed)

    def dominating(self, evaluation: str, **narrowed: Any) -> list[ModelRow]:
        """The models that beat one."""
        return self._get(list[ModelRow], _path("models", evaluation, "dominating"), **narrowed)

    def compare(self, job: str, to: str) -> Added:
        """What a job added to another's front, and which of the other's models that displaces."""
        return self._get(Added, _path("jobs", job, "added"), to=to)

    def hypervolume(self, job: str) -> list[VolumePoint]:
        """How the hypervolume of a job's front grew."""
        return self._get(list[VolumePoint], _path("jobs", job, "hypervolume"))

    def show(self, name: str) -> Network:
        """A network as data with its costs: a published name, a fingerprint, or JOB/12."""
        return self._get(Network, _path("architectures", name))

    def card(self, name: str) -> Card:
        """What is known of a network: evaluations, measurements, files."""
        return self._get(Card, _path("architectures", name, "card"))

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
        return self._get(FamilyRow, _path("families", family))

    # facts

    def allowed(self) -> Allowed:
        """What a posted job may name on this server."""
        return self._get(Allowed, "allowed")

    def spaces(self) -> list[Space]:
        """The spaces that can be searched."""
        return self._get(list[Space], "spaces")

    def space(self, name: str) -> dict[str, Any]:
        """A space as data."""
        return self._get(dict[str, Any], _path("spaces", name))

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
        export, until = self.ask_export(model, format, job=job, train=train), time.monotonic()
        until += patience_s
        pause_s = 0.2
        while export.state in ("waiting", "running"):
            if time.monotonic() > until:
                raise ServerError(f"Export {export.id} took longer than {patience_s:g} s.")
            time.sleep(pause_s)
            pause_s = min(5.0, 1.5 * pause_s)
            export = self._get(Export, _path("exports", export.id))
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
                for part in self._download(_path("exports", export.id, "file")):
                    digest.update(part)
                    file.write(part)
            if digest.hexdigest() != export.sha256:
                raise ServerError(f"{path.name} arrived damaged: its SHA-256 differs; try again.")
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
        return path

    # how it is asked

    def _get(self, kind: type[T], path: str, /, **parameters: Any) -> T:
        answer: T = _read(kind, self._ask("GET", path, params=_given(parameters)))
        return answer

    def _post(
        self,
        kind: type[T],
        path: str,
        document: str | Path | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> T:
        content: dict[str, Any] = {"headers": dict(headers or {}), "params": _given(parameters)}
        if isinstance(document, Mapping):
            content["json"] = document
        elif document is not None:
            content["content"] = _job_text(Path(document))
            content["headers"] |= YAML
        answer: T = _read(kind, self._ask("POST", path, **content))
        return answer

    def _ask(self, method: str, path: str, **content: Any) -> httpx2.Response:
        # what may be sent twice without doing anything twice is
        repeatable = method == "GET" or "idempotency-key" in content.get("headers", {})
        for last in range(TRIES if repeatable else 1, 0, -1):
            try:
                return self._http.request(method, path, **content)
            except httpx2.TransportError as error:
                if last == 1:
                    raise self._unreachable(error) from error
                time.sleep(0.2)
        raise AssertionError

    def _pages(self, kind: Any, path: str, /, **parameters: Any) -> Iterator[Any]:
        after: Any = None
        while True:
            page = self._get(kind, path, after=after, limit=PAGE, **parameters)
            yield from page.rows
            after = page.after
            if after is None:
                return

    def _events(self, job: str, logs: bool) -> Iterator[tuple[str, Any]]:
        """Server-sent events until `end`; a connection that breaks is made again from there."""
        headers: dict[str, str] = {}
        timeout = httpx2.Timeout(self._timeout_s, read=60.0)  # the server pings more often
        path, parameters = _path("jobs", job, "events"), {"logs": logs}
        failures = 0
        while failures < TRIES:
            try:
                with self._http.stream(
                    "GET", path, params=parameters, headers=headers, timeout=timeout
                ) as response:
                    if response.status_code != 200:
                        response.read()
                        _refuse(response)
                    for event, data, place in _parse_events(response.iter_lines()):
                        failures = 0
                        if place:
                            headers["last-event-id"] = place
                        if event == "end":
                            return
                        yield event, json.loads(data)
            except httpx2.TransportError as error:
                if failures == TRIES - 1:
                    raise self._unreachable(error) from error
            failures += 1
            time.sleep(0.5)
        raise ServerError("The server closes the connection before the job has ended.")

    def _download(self, path: str) -> Iterator[bytes]:
        try:
            with self._http.stream("GET", path) as response:
                if response.status_code != 200:
                    response.read()
                    _refuse(response)
                yield from response.iter_bytes()
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> ServerError:
        place = str(self._http.base_url).removesuffix("/v1/")
        return ServerError(f"The server {place} does not answer: {error or type(error).__name__}.")


def _path(*parts: str) -> str:
    from urllib.parse import quote

    return "/".join(quote(part, safe="/") for part in parts)


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _job_text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidRequestError(f"Cannot read the job file {path}: {reason}.") from None


def _parse_events(lines: Iterator[str]) -> Iterator[tuple[str, str, str]]:
    """Events with their kind, data and id, as the standard has them.

    >>> list(_parse_events(iter(["id: 7", "event: log", 'data: "x"', "", ": ping", ""])))
    [('log', '"x"', '7')]
    """
    fields: dict[str, list[str]] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        if "data" in fields:
            kind, place = fields.get("event", ["message"])[-1], fields.get("id", [""])[-1]
            yield kind, "\n".join(fields["data"]), place
        fields = {}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _read(kind: Any, response: httpx2.Response) -> Any:
    if response.status_code >= 300:
        _refuse(response)
    try:
        return _adapter(kind).validate_json(response.content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ServerError(
            f"The server answers otherwise than this client expects: {place}: {first['msg']}."
        ) from None


def _refuse(response: httpx2.Response) -> None:
    """Raise what a problem+json says."""
    try:
        problem = response.json()
        detail = str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        raise ServerError(f"The server answers with status {response.status_code}.") from None
    if response.status_code >= 500:
        raise ServerError(detail)
    field, line = problem.get("field"), problem.get("line")
    raise RefusedError(detail, response.status_code, field, line)
