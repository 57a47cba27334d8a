"""Who makes an export, and who may say how it ended."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load
from starlette.testclient import TestClient

from nas.data.remote import is_remote
from nas.jobs.spec import job_from_dict
from nas.jobs.submit import put_down_job
from nas.search.records import architecture_row
from nas.server import exporting
from nas.server.app import create_app
from nas.server.settings import Settings
from nas.store import ArtifactRow, ExportRow, Store
from search_spaces.published import get_published
from search_spaces.spaces import SPACES
from tests.nas.server.conftest import wait_for

JOB = {
    "name": "digits",
    "data": "digits",
    "space": "small_images",
    "resolution": 8,
    "recipe": {"epochs": 1, "batch_size": 64, "learning_rate": 0.1},
    "scaling": None,
    "execution": {"executor": "inline", "workers": 1},
}


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


def test_an_export_at_a_url_is_made_kept_there_and_downloaded_whole(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    place = (tmp_path / "bucket").as_uri()
    assert is_remote(place)
    space = SPACES["small_images"].for_task(num_classes=10, input_channels=1, resolution=8)
    network = space.sample(np.random.default_rng(0))
    store.save_architectures([architecture_row(network)])
    job = put_down_job(store, job_from_dict(JOB), place)
    app = create_app(replace(settings, artifacts=place))
    with TestClient(app, base_url="http://localhost") as client:
        body = {"model": network.fingerprint, "format": "safetensors", "job": job.id, "train": True}
        export = client.post("/v1/exports", json=body).json()
        where = f"/v1/exports/{export['id']}"
        ended = wait_for(
            lambda: (e := client.get(where).json())["state"] in ("completed", "failed") and e, 300
        )
        assert ended["state"] == "completed", ended["message"]
        answer = client.get(f"{where}/file")
        assert answer.status_code == 200
        assert hashlib.sha256(answer.content).hexdigest() == ended["sha256"]
        assert answer.headers["etag"] == f'"{ended["sha256"]}"'
        assert load(answer.content)
        kept = list((tmp_path / "bucket" / "exports").iterdir())
        assert [file.read_bytes() for file in kept] == [answer.content]
        kept[0].write_bytes(b"damaged")
        assert client.get(f"{where}/file").status_code == 503
        kept[0].unlink()
        assert client.get(f"{where}/file").status_code == 404
