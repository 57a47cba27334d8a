"""A job with a trial of every kind, in a store."""

from datetime import UTC, datetime

import pytest

from nas.bridges.history import read_history
from nas.store import JobState, MemberRow, Store, TrialEnd
from tests.nas.store.build import architecture_row, evaluation_row, new_trial

OBJECTIVES = [{"metric": "macs", "maximize": False}, {"metric": "accuracy", "maximize": True}]
SPACE = {"decisions": {"kernel": [3, 5, 7], "block": ["mbconv", "fused"]}, "finite": False}
CURVE = ({"epoch": 1, "val_accuracy": 0.25}, {"epoch": 2, "val_accuracy": 0.5, "train_loss": 1.5})


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path}/nas.db"


@pytest.fixture
def store(sqlite_url):
    with Store.open(sqlite_url) as store:
        yield store


@pytest.fixture
def job(store):
    """Trials 0 completed, 1 pruned, 2 infeasible (beyond a bound), 3 failed, 4 running."""
    spec = {"search": {"trials": 5, "constraints": ["macs <= 1000001"]}, "recipe": {"epochs": 2}}
    job = store.create_job("toy", spec, SPACE, objectives=OBJECTIVES).id
    choices = [{"kernel": 3 + 2 * (n % 3), "block": "mbconv"} for n in range(5)]
    store.add_trials(job, [new_trial(n, choices=choices[n], state="running") for n in range(5)])
    rows = [
        evaluation_row(
            n,
            architecture=architecture_row(n).fingerprint,
            job=job,
            curve=CURVE,
            metrics={"latency_ms@pixel": 2.5},
            test_accuracy=0.45,
            parameters=7,
            status=status,
            created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        )
        for n, status in enumerate(["completed", "pruned"])
    ]
    store.finish_trial(
        job,
        TrialEnd(number=0, state="completed", values=(1e6, 0.5), evaluation=rows[0]),
    )
    store.finish_trial(job, TrialEnd(number=1, state="pruned", evaluation=rows[1]))
    store.finish_trial(
        job, TrialEnd(number=2, state="infeasible", violation=0.25, reason="macs 2 M > 1 M")
    )
    store.finish_trial(job, TrialEnd(number=3, state="failed", reason="out of memory"))
    store.save_family(
        job,
        "main",
        baseline=architecture_row(0).fingerprint,
        rule="compound",
        coefficients={"alpha": 1.2},
        rows=[
            MemberRow(
                number=0, architecture=architecture_row(0).fingerprint, evaluation=rows[0].key
            )
        ],
    )
    store.set_job_state(job, JobState.STOPPED)
    return job


@pytest.fixture
def history(store, job):
    return read_history(store, store.find_job(job))
