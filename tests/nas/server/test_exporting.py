"""Who makes an export, and who may say how it ended."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from nas.search.records import architecture_row
from nas.server import exporting
from nas.server.settings import Settings
from nas.store import ArtifactRow, ExportRow, Store
from search_spaces.published import get_published
from tests.nas.server.conftest import wait_for


@pytest.fixture
def asked(store: Store) -> ExportRow:
    network = architecture_row(get_published("mobilenet_v2"))
    store.save_architectures([network])
    job = store.create_job("a", spec={}, space={})
    row = ExportRow(
        id="e",
        job=job.id,
        architecture=network.fingerprint,
        format="onnx",
        trains=False,
        owner="ann",
    )
    return store.ask_export(row)


def test_a_maker_that_takes_long_to_end_is_not_killed_once_its_file_is_there(
    store: Store, settings: Settings, asked: ExportRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[str]] = []

    def start(*_: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "import time; time.sleep(1.5)"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    monkeypatch.setattr(exporting, "start_maker", start)
    monkeypatch.setattr(exporting, "RENEW_EVERY_S", 0.1)
    file = store.add_artifact(ArtifactRow(sha256="ab", kind="onnx", name="x", bytes=1))
    exporter = exporting.Exporter(store, settings)
    exporter.start()
    try:
        wait_for(lambda: started)
        store.end_export(asked.id, artifact=file.id)
        wait_for(lambda: started[0].returncode is not None)
    finally:
        exporter.close()
    found = store.find_export(asked.id)
    assert found is not None
    assert (started[0].returncode, found.state, found.artifact) == (0, "completed", file.id)


def test_who_lost_an_export_says_nothing_of_its_end(store: Store, asked: ExportRow) -> None:
    assert store.take_export(asked.id, "first", lease_s=-1.0)
    assert store.take_export(asked.id, "second", lease_s=60.0)
    store.end_export(asked.id, worker="first", message="killed")
    found = store.find_export(asked.id)
    assert found is not None
    assert (found.state, found.worker) == ("running", "second")
    store.end_export(asked.id, worker="second", message="no space left")
    found = store.find_export(asked.id)
    assert found is not None
    assert (found.state, found.message) == ("failed", "no space left")
