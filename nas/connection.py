"""How a server is asked: requests, problems, pages and events, for `nas.client`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import TypeAdapter, ValidationError

from nas.errors import InvalidRequestError, NasError

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


class Connection:
    """A server, asked synchronously; safe to use from several threads.

    Args:
        url: As `nas serve` prints it.
        token: As `nas token create` printed it; not needed on loopback without `--auth`.
        timeout_s: Of each answer; streams may be silent for longer.
        transport: In place of the network, for tests.
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

    def __exit__(self, *error: object) -> None:
        self.close()

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
        path, parameters = path_of("jobs", job, "events"), {"logs": logs}
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


def path_of(*parts: str) -> str:
    """Where something is, its names being data."""
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
def adapter(kind: Any) -> TypeAdapter[Any]:
    """What reads plain values as a kind of document."""
    return TypeAdapter(kind)


def _read(kind: Any, response: httpx2.Response) -> Any:
    if response.status_code >= 300:
        _refuse(response)
    try:
        return adapter(kind).validate_json(response.content)
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
