"""Schemathesis asks whatever the OpenAPI document allows, and more: no 5xx, nothing undocumented."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from nas.server.app import create_app
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


@pytest.fixture(scope="module")
def api() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        # nothing may be started here: every job and export is one too many
        limits = replace(Limits(), jobs=0, waiting_exports=0)
        settings = Settings(
            store=f"sqlite:///{folder}/nas.db",
            artifacts=f"{folder}/artifacts",
            hosts=("testserver",),
            data_roots=(Path(folder),),
            limits=limits,
        )
        app = create_app(settings)
        fill(app.state.store)
        yield schemathesis.openapi.from_asgi("/v1/openapi.json", app)
        app.state.store.close()


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@hypothesis_settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_that_the_document_promises(case: Any) -> None:
    if case.path.endswith("/events"):  # goes on for as long as a job does
        return
    case.call_and_validate(checks=CHECKS, headers={"Host": "testserver"})
