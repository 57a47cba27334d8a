"""Fronts by what was measured on a device, on the command line."""

from pathlib import Path

import pytest

from nas.store import Store
from tests.nas.cli.commands import answer, refusal
from tests.nas.server.pages.library import LATENCIES, NETWORKS, PHONE, fill


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/nas.db"
    with Store.open(url) as opened:
        fill(opened)
    return url


def test_latency_is_an_axis_a_bound_and_an_order(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    latency = f"latency_ms@{PHONE}"
    asked = ("imagenet-look", "--store", store, "--measured", "precision=fp32")
    front = answer(capsys, "pareto", *asked, "--x", latency)
    assert [row["metrics"][latency] for row in front] == [9.0, 12.0, 21.0]
    bounded = answer(capsys, "pareto", *asked, "--x", latency, "--where", f"{latency} <= 12")
    assert [row["val_accuracy"] for row in bounded] == [
        NETWORKS[name] for name in ("mobilenet_v1", "mobilenet_v2")
    ]
    listed = answer(capsys, "models", *asked, "--sort", latency, "--limit", "4")
    assert [row["metrics"][latency] for row in listed] == sorted(LATENCIES.values())


def test_what_is_unclear_or_unknown_is_said(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("pareto", "imagenet-look", "--store", store, "--x")
    assert "several of `precision`" in refusal(capsys, *asked, f"latency_ms@{PHONE}")
    assert f"known are: {PHONE}" in refusal(capsys, *asked, "latency_ms@toaster")
    unclear = (*asked, f"latency_ms@{PHONE}", "--measured", "speed=3")
    assert "one of runtime, precision" in refusal(capsys, *unclear)
