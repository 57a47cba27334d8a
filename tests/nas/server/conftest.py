"""A server's store, its data folder with a table and links out of it, and its settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nas.server.settings import Settings
from nas.store import Store

TABLE_JOB: dict[str, Any] = {
    "name": "toy",
    "evaluator": {"name": "table", "file": "bench.csv", "known_costs": ["flops"]},
    "search": {"trials": 6, "sampler": "random", "objectives": ["mean_acc: maximize", "flops"]},
    "space": "finite",
}


def table_text() -> str:
    """A benchmark of 400 rows: more operations are better, with less and less gain."""
    rows = ["kernel,depth,width,mean_acc,flops"]
    for kernel in range(1, 5):
        for depth in range(10):
            for width in range(10):
                flops = kernel * (depth + 1) * (width + 1)
                rows.append(f"{kernel},{depth},{width},{100 * flops / (50 + flops):.4f},{flops}")
    return "\n".join(rows) + "\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    root = tmp_path / "data"
    root.mkdir()
    (root / "bench.csv").write_text(table_text())
    secret = tmp_path / "secret.csv"
    secret.write_text(table_text())
    (root / "link.csv").symlink_to(secret)
    (root / "circle").symlink_to(root / "circle")
    return Settings(
        store=f"sqlite:///{tmp_path}/nas.db",
        artifacts=str(tmp_path / "artifacts"),
        data_roots=(root,),
        evaluators=("training", "table"),
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with Store.open(settings.store) as opened:
        yield opened


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found
