"""Models as files: asked for, polled, downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from nas.documents import Export
from nas.errors import InvalidRequestError
from nas.server.api.common import Reader, Submitter, TheSettings, TheStore
from nas.server.api.facts import SAME
from nas.server.errors import Problem
from nas.server.exporting import (
    Exporter,
    ask_export,
    export_document,
    export_documents,
    export_file,
)
from nas.store import ExportRow, Store

router = APIRouter(tags=["exports"])
ExportId = Annotated[str, Path(max_length=64)]
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file; `Repr-Digest` and `ETag` hold its SHA-256.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    206: {
        "description": "A part of the file.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    416: {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A network that is wanted as a file.

    Args:
        model: A published name, a fingerprint, JOB/12, or a job: its best family member.
        job: Whose data and recipe it goes by; the one that `model` names, or the latest.
        train: Train it first where there are no weights of the job's full recipe.
    """

    model: Annotated[str, Field(min_length=1, max_length=100)]
    format: Literal["onnx", "safetensors", "torch"] = "onnx"
    job: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    train: bool = False


EXAMPLES = {"trial": {"value": {"model": "flowers/12", "format": "onnx"}}}


@router.post("/exports", status_code=202, responses={404: {}})
def ask(
    asking: Submitter,
    request: Request,
    response: Response,
    store: TheStore,
    settings: TheSettings,
    wanted: Annotated[Wanted, Body(openapi_examples=EXAMPLES)],
) -> Export:
    """Ask for a model as a file; the same asked twice is made once."""
    if "\0" in f"{wanted.model}{wanted.job}":
        raise Problem(422, "A name must not hold the character NUL.", "model")
    try:
        row = ask_export(
            store,
            settings,
            wanted.model,
            format=wanted.format,
            job=wanted.job,
            train=wanted.train,
            owner=asking.name,
        )
    except InvalidRequestError as error:
        raise Problem(404, str(error), "model") from None
    exporter: Exporter = request.app.state.exporter
    exporter.wake()
    response.headers["location"] = f"/v1/exports/{row.id}"
    return export_document(store, row)


@router.get("/exports")
def exports(
    reader: Reader,
    store: TheStore,
    state: Annotated[Literal["waiting", "running", "completed", "failed"] | None, Query()] = None,
) -> list[Export]:
    """The latest exports that were asked for, at most 200, the oldest of them first."""
    rows = store.list_exports(() if state is None else (state,), limit=200, latest=True)
    return export_documents(store, rows)


@router.get("/exports/{export}", responses={404: {}})
def export(reader: Reader, store: TheStore, export: ExportId) -> Export:
    """How an export stands."""
    return export_document(store, _find(store, export))


@router.get(
    "/exports/{export}/file", response_class=Response, responses={**FILE, **SAME, 404: {}, 409: {}}
)
def file(reader: Reader, request: Request, store: TheStore, export: ExportId) -> Response:
    """The file of an export."""
    answer = export_file(store, _find(store, export))
    if request.headers.get("if-none-match", "") == answer.headers["etag"]:
        return Response(status_code=304, headers={"etag": answer.headers["etag"]})
    return answer


def _find(store: Store, export_id: str) -> ExportRow:
    row = store.find_export(export_id)
    if row is None:
        raise Problem(404, f"There is no export {export_id!r:.80}.")
    return row
