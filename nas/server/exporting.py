"""Exports that were asked for: each made in a process of its own, a few at a time.

The API and the page ask by `ask_export` and show `export_document`; `app.state.exporter` makes
them. Several servers on one store share the work by leases.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from starlette.responses import FileResponse, Response

from nas.data.artifacts import get_bytes
from nas.data.remote import is_remote
from nas.documents import Export
from nas.errors import InvalidRequestError, NasError
from nas.export.formats import get_format
from nas.jobs.deliver import network_to_export
from nas.jobs.process import child_environment, last_words
from nas.search.records import architecture_row
from nas.server.errors import Problem
from nas.server.settings import Settings
from nas.store import ArtifactRow, ExportRow, Store
from nas.store.exports import COMPLETED, RUNNING, WAITING

LEASE_S = 60.0
RENEW_EVERY_S = 2.0
LOOK_EVERY_S = 10.0


def ask_export(
    store: Store,
    settings: Settings,
    name: str,
    *,
    format: str,
    job: str | None,
    train: bool,
    owner: str,
) -> ExportRow:
    """Put down that a network is wanted as a file; the same wanted twice is made once.

    Args:
        name: A network, JOB/12, or a job: its family member that is best on validation.
        job: Whose data and recipe it goes by; None is the one that `name` names, or the latest.
        train: Whether it is trained first where there are no weights.

    Raises:
        InvalidRequestError: If there is no such network, job or format.
        Problem: 429 where enough wait.
    """
    get_format(format)
    own, network = network_to_export(store, name, job, files=False)
    parts = (own.id, network.fingerprint, format, str(train))
    export_id = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    found = store.find_export(export_id)
    if found is not None and found.state in (WAITING, RUNNING, COMPLETED):
        return found
    if store.count_exports((WAITING,)) >= settings.limits.waiting_exports:
        raise Problem(
            429,
            f"{settings.limits.waiting_exports} exports are waiting, as many as may; ask again "
            f"when some are done.",
            headers={"retry-after": "30"},
        )
    store.save_architectures([architecture_row(network)])
    return store.ask_export(
        ExportRow(
            id=export_id,
            job=own.id,
            architecture=network.fingerprint,
            format=format,
            trains=train,
            owner=owner,
        )
    )


def export_document(store: Store, row: ExportRow) -> Export:
    """An export as it is answered with."""
    return export_documents(store, [row])[0]


def export_documents(store: Store, rows: Sequence[ExportRow]) -> list[Export]:
    """The same of several, whose files are asked for at once."""
    files = store.artifacts(row.artifact for row in rows if row.artifact is not None)
    return [_document(row, files.get(row.artifact or 0)) for row in rows]


def _document(row: ExportRow, artifact: ArtifactRow | None) -> Export:
    suffix = get_format(row.format).suffix
    assert row.created_at is not None
    return Export(
        id=row.id,
        job=row.job,
        architecture=row.architecture,
        format=row.format,
        train=row.trains,
        state=row.state,
        message=row.message,
        sha256=artifact.sha256 if artifact else None,
        bytes=artifact.bytes if artifact else None,
        filename=f"{row.architecture[:12]}{suffix}" if artifact else None,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def export_file(store: Store, row: ExportRow) -> Response:
    """The file of an export, with its SHA-256 in `Repr-Digest` (RFC 9530) and as its ETag.

    Raises:
        Problem: 409 where it is not made yet, 404 where the file is gone.
    """
    artifact = None if row.artifact is None else store.artifacts([row.artifact]).get(row.artifact)
    document = _document(row, artifact)
    if artifact is None or document.filename is None:
        raise Problem(409, f"Export {row.id} is {row.state}; it has no file. {row.message}".strip())
    location = str(store.find_job(row.job).attributes["artifacts"])
    digest = base64.b64encode(bytes.fromhex(artifact.sha256)).decode()
    headers = {
        "etag": f'"{artifact.sha256}"',
        "repr-digest": f"sha-256=:{digest}:",
        "cache-control": "private, max-age=31536000, immutable",
        "content-disposition": f'attachment; filename="{document.filename}"',
    }
    kind = "application/octet-stream"
    if is_remote(location):
        try:
            content = get_bytes(location, artifact.name, artifact.sha256)
        except InvalidRequestError as error:
            raise Problem(404, str(error)) from None
        return Response(content, headers=headers, media_type=kind)
    path = Path(location) / artifact.name
    if not path.is_file() or not path.resolve().is_relative_to(Path(location).resolve()):
        raise Problem(404, "The file is no longer there; ask for the export again.")
    return FileResponse(path, headers=headers, media_type=kind)


class Exporter:
    """Makes exports that wait, `limits.exports` at once; `close` ends it."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._url = store, settings.store
        self._woken, self._closed = threading.Event(), threading.Event()
        self._worker = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._at_once = settings.limits.exports
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to work; again, after `close`."""
        self._closed.clear()
        for n in range(self._at_once):
            thread = threading.Thread(target=self._work, name=f"export-{n}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def wake(self) -> None:
        """Look for work at once."""
        self._woken.set()

    def close(self) -> None:
        """End, and leave what is under way to others."""
        self._closed.set()
        self._woken.set()
        while self._threads:
            self._threads.pop().join(timeout=10)

    def _work(self) -> None:
        while not self._closed.is_set():
            try:
                busy = self._make_next()
            except NasError:  # the store is away; it is asked again
                busy = False
            if not (busy or self._closed.is_set()):
                self._woken.wait(LOOK_EVERY_S)
                self._woken.clear()

    def _make_next(self) -> bool:
        for row in self._store.list_exports((WAITING, RUNNING), limit=50):
            if self._store.take_export(row.id, self._worker, LEASE_S):
                self._make(row.id)
                return True
        return False

    def _make(self, export_id: str) -> None:
        process = start_maker(self._url, export_id)
        while True:
            try:
                said, _ = process.communicate(timeout=RENEW_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                renewed = self._store.renew_export(export_id, self._worker, LEASE_S)
                if not renewed and self._is_lost(export_id):
                    process.kill()
            if self._closed.is_set():
                process.terminate()
        if self._closed.is_set() and process.returncode != 0:
            self._store.release_export(export_id, self._worker)
        elif process.returncode != 0:
            why = _why(said, process.returncode)
            self._store.end_export(export_id, worker=self._worker, message=why)

    def _is_lost(self, export_id: str) -> bool:
        """Whether another server took an export, or its job was deleted; one that is made is not
        lost, its process only takes a while to end."""
        row = self._store.find_export(export_id)
        return row is None or (row.state != COMPLETED and row.worker != self._worker)


def start_maker(store_url: str, export_id: str) -> subprocess.Popen[str]:
    """A process that makes one export."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "nas.server.export_one", export_id],
        env=child_environment(store_url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _why(said: str, status: int) -> str:
    return last_words(said) or f"the process that made it ended with status {status}"
