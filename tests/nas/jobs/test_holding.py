"""Who may drive a job: one at a time, and the next once the lease of a dead one has run out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nas.errors import InvalidRequestError
from nas.jobs.holding import CODE_VARIABLE, held
from nas.store import JobRow, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/nas.db") as store:
        yield store


@pytest.fixture
def job(store: Store) -> JobRow:
    """One that a driver holds of whose death nobody can know: its process id is alive here."""
    job = store.create_job("job", {}, {})
    assert store.take_job(job.id, "elsewhere", 2.0)
    return job


def test_at_hand_a_job_that_another_drives_is_refused_at_once(store: Store, job: JobRow) -> None:
    with pytest.raises(InvalidRequestError, match="another driver"), held(store, job, "me"):
        raise AssertionError("it was taken")
    assert store.find_job(job.id).driver == "elsewhere"


def test_a_driver_on_a_node_waits_for_the_lease_of_one_that_died_elsewhere(
    store: Store, job: JobRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CODE_VARIABLE, "1.0")
    with held(store, job, "me"):
        assert store.find_job(job.id).driver == "me"
    assert store.find_job(job.id).driver is None
