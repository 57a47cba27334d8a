"""The executor on a real Ray of two nodes, one of which is lost."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from cluster.executor import Report
from cluster.ray_tune import RayTuneExecutor
from tests.contracts import Listener, collect_all

pytestmark = [pytest.mark.ray, pytest.mark.long]


def wait_at_gate(gate: str) -> Generator[Report, None, str]:
    yield Report(1, {})
    while not Path(gate).exists():
        time.sleep(0.1)
    return "through"


@pytest.fixture
def two_nodes() -> Iterator[tuple[Any, Any]]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield cluster, cluster.add_node(num_cpus=1)
    cluster.shutdown()


def test_work_on_a_lost_node_starts_again_elsewhere_and_the_loss_is_not_counted(
    two_nodes: tuple[Any, Any], tmp_path: Path
) -> None:
    cluster, node = two_nodes
    listener = Listener()
    executor = RayTuneExecutor(
        wait_at_gate, listener, address=cluster.address, slots=2, max_worker_deaths=1
    )
    try:
        for key in ("a", "b"):
            executor.submit(key, str(tmp_path / "gate"))
        deadline = time.monotonic() + 120
        while len(listener.heard) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        cluster.remove_node(node, allow_graceful=False)
        (tmp_path / "gate").touch()
        results = collect_all(executor, 2)
    finally:
        executor.close()
    assert {result.error for result in results.values()} == {None}
    assert sorted(result.attempts for result in results.values()) in ([1, 1], [1, 2])
