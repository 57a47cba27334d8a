"""The OpenAPI document: what FastAPI finds, with problems, the token and the job file's schema."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from nas.documents import Problem
from nas.jobs.spec import JobSpec
from nas.server.errors import PROBLEM, problem_document

PLACE = "#/components/schemas/{model}"
ALWAYS = (400, 401, 403, 413, 421, 422, 429, 503)
"""Statuses that any request may get."""
WHAT = {
    400: "The request can't be read.",
    401: "No token, or none that is good.",
    403: "The token's scope does not hold this, or a page of another site asks.",
    404: "There is nothing of that name.",
    409: "It can't be done as things stand.",
    413: "Larger than a request may be.",
    416: "No such part of the file.",
    415: "Neither JSON nor YAML.",
    421: "The server is not known by this name.",
    422: "Something in the request is wrong; `field` says what.",
    429: "Too much at once; `Retry-After` says when to try again.",
    503: "The store or the cluster does not answer, or not in time.",
}


def add_openapi(app: FastAPI) -> None:
    """Have the app describe itself."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    found: dict[str, Any] = get_openapi(
        title="nas-scale",
        version=app.version,
        summary="Jobs, models and families of one store.",
        description="Dates are in UTC. Lists come page by page: ask with `after` of the page "
        "before. Errors are problem+json (RFC 9457).",
        routes=app.routes,
    )
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = TypeAdapter(Problem).json_schema(ref_template=PLACE)
    spec = JobSpec.model_json_schema(ref_template=PLACE)
    schemas.update(spec.pop("$defs"))
    schemas["JobSpec"] = spec
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    found["security"] = [{"token": []}]
    for path in found["paths"].values():
        for operation in path.values():
            _describe_problems(operation["responses"])
    return found


def _describe_problems(responses: dict[str, Any]) -> None:
    declared = {int(status) for status in responses if int(status) >= 400}
    for status in sorted(declared | set(ALWAYS)):
        responses[str(status)] = {
            "description": WHAT[status],
            "content": {
                PROBLEM: {
                    "schema": {"$ref": PLACE.format(model="Problem")},
                    "example": problem_document(status, WHAT[status]),
                }
            },
        }
