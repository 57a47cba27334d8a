"""Schemathesis asks what the OpenAPI document allows, and more: no 5xx, nothing undocumented."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from nas.server.api import routers
from nas.server.app import create_app
from nas.server.openapi import add_openapi
from nas.server.settings import Limits, Settings
from tests.nas.server.filled import fill

EXAMPLES = 12
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def operations() -> list[tuple[str, str]]:
    """Path and method of everything that the document has, but for what goes on for long."""
    app = FastAPI()
    for router in routers():
        app.include_router(router, prefix="/v1")
    add_openapi(app)
    paths = app.openapi()["paths"]
    return [(p, m) for p, item in paths.items() for m in item if not p.endswith("/events")]


@pytest.fixture(scope="module")
def document() -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder:
        # nothing may be started here: every job and export is one too many
        limits = replace(Limits(), jobs=0, waiting_exports=0)
        settings = Settings(
            store=f"sqlite:///{folder}/nas.db",
            artifacts=f"{folder}/artifacts",
            hosts=("testserver",),
            data_sets=(),  # nothing is read either
            limits=limits,
        )
        app = create_app(settings)
        fill(app.state.store)
        yield schemathesis.openapi.from_asgi("/v1/openapi.json", app)
        app.state.store.close()


@pytest.mark.parametrize(("path", "method"), operations())
def test_every_answer_is_one_that_the_document_promises(
    document: Any, path: str, method: str
) -> None:
    operation = document[path][method]
    modes = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @hypothesis_settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
    )
    @given(case=st.one_of(modes))
    def check(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, timeout=120)

    check()
