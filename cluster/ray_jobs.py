"""Jobs on a Ray cluster, through the head's dashboard: submit, look, read logs, stop.

What is sent can be read by anybody who may list Ray's jobs, so nothing here takes secrets.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cluster.errors import ClusterError, WrongClusterError, wants_token

ANSWER_WITHIN_S = 5.0
TAKE_WITHIN_S = 120.0
"""For requests that send something, a package with the code included."""
USUAL_PORT = 8265

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RayJob:
    """A job as Ray knows it.

    Args:
        state: 'pending', 'running', 'stopped', 'succeeded' or 'failed'.
        message: Ray's own words on it.
    """

    id: str
    state: str
    message: str

    @property
    def ended(self) -> bool:
        return self.state in ("stopped", "succeeded", "failed")


class RayJobs:
    """The jobs of one cluster.

    A token is taken from where Ray looks for one: `RAY_AUTH_TOKEN`, `RAY_AUTH_TOKEN_PATH` or
    `~/.ray/auth_token`.

    Args:
        address: Of the head's dashboard, as http://HEAD:8265.

    Raises:
        ClusterError: If nothing answers there within seconds, the token is missing or wrong, or
            the cluster runs another version of Ray.
    """

    def __init__(self, address: str) -> None:
        self.address = _checked(address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            self._client: Any = _make_client(self.address)
        except Exception as error:  # see `_asked`
            raise _sorry(self.address, error, is_known=False) from error
        self._check_version()

    def submit(
        self,
        entrypoint: str,
        *,
        id: str,
        working_dir: str | None = None,
        wheels: tuple[str, ...] = (),
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Have a node of the cluster run a command; returns the id that Ray knows it by.

        Args:
            id: Chosen here, so that a request that is sent twice makes one job.
            working_dir: Folder sent along and run in.
            wheels: Wheel files installed for the job.
        """
        environment: dict[str, Any] = {}
        if working_dir is not None:
            environment["working_dir"] = working_dir
        if wheels:
            environment["py_modules"] = list(wheels)
        if self.find(id) is not None:
            return id
        return str(
            _asked(
                self.address,
                lambda: self._client.submit_job(
                    entrypoint=entrypoint,
                    submission_id=id,
                    runtime_env=environment,
                    metadata=dict(metadata or {}),
                ),
            )
        )

    def find(self, id: str) -> RayJob | None:
        """A job, or None for one that this cluster does not know (any more)."""
        try:
            details = self._client.get_job_info(id)
        except RuntimeError as error:
            if re.search(r"\b404\b|does not exist", str(error)):
                return None
            raise _sorry(self.address, error) from error
        except Exception as error:
            raise _sorry(self.address, error) from error
        return RayJob(id=id, state=str(details.status).lower(), message=details.message or "")

    def logs(self, id: str) -> str:
        """Everything that the job has printed so far."""
        return str(_asked(self.address, lambda: self._client.get_job_logs(id)))

    def follow(self, id: str) -> Iterator[str]:
        """What the job prints, as it does, until it ends."""
        loop = asyncio.new_event_loop()
        lines = self._client.tail_job_logs(id)
        try:
            while True:
                try:
                    yield str(loop.run_until_complete(anext(lines)))
                except StopAsyncIteration:
                    return
        finally:
            loop.run_until_complete(lines.aclose())
            loop.close()

    def stop(self, id: str) -> bool:
        """Have Ray end a job, politely first; False where it had ended already."""
        return bool(_asked(self.address, lambda: self._client.stop_job(id)))

    def _check_version(self) -> None:
        from importlib.metadata import version

        here, there = version("ray"), str(self._client.get_version())
        there = getattr(self._client, "_server_ray_version", there)
        if here.split(".")[:2] != there.split(".")[:2]:
            raise WrongClusterError(
                f"The cluster at {self.address} runs Ray {there}, but Ray {here} is installed "
                f"here; install ray=={there}, or another version on the cluster."
            )


def _make_client(address: str) -> Any:
    """Ray's own client, which by itself would wait for ever for a head that hangs."""
    from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):
        def _do_request(self, method: str, *arguments: Any, **named: Any) -> Any:
            named.setdefault("timeout", ANSWER_WITHIN_S if method == "GET" else TAKE_WITHIN_S)
            return super()._do_request(method, *arguments, **named)

    return Client(address)


def _checked(address: str) -> str:
    """The address with its scheme and port; what answers there is found out in seconds."""
    text = address if "://" in address else f"http://{address}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or USUAL_PORT
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme not in ("http", "https") or parts.path not in ("", "/"):
        raise WrongClusterError(
            f"`address` must be that of the head's dashboard, as http://HEAD:{USUAL_PORT}, "
            f"but got {address!r:.120}."
        )
    try:
        socket.create_connection((host, port), timeout=ANSWER_WITHIN_S).close()
    except OSError as error:
        raise _no_dashboard(address, str(error)) from error
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}:{port}"


def _asked(address: str, question: Callable[[], _T]) -> _T:
    try:
        return question()
    except Exception as error:  # the client raises bare ones, and those of its libraries
        raise _sorry(address, error) from error


def _no_dashboard(address: str, reason: str) -> ClusterError:
    return WrongClusterError(
        f"No Ray dashboard answers at {address!r} ({reason}); give the head's, as "
        f"http://HEAD:{USUAL_PORT}, and see that `ray start` printed a dashboard."
    )


def _sorry(address: str, error: Exception, *, is_known: bool = True) -> ClusterError:
    """A sentence for it.

    Args:
        is_known: Whether a cluster has answered there before.
    """
    text = " ".join(str(error).split())
    if type(error).__name__ == "AuthenticationError" or re.search(r"\b40[13]\b", text):
        return wants_token(address)
    if type(error).__name__ in ("ReadTimeout", "ConnectTimeout"):
        return _no_dashboard(address, f"nothing came within {ANSWER_WITHIN_S:g} s")
    if not is_known:
        return _no_dashboard(address, f"what does said: {text[:120]}")
    return ClusterError(f"The Ray cluster at {address} refused: {text[:300]}")
