"""What a store promises, whatever the database; subclasses supply a `url` fixture."""

import math
import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np
import pytest

from nas.errors import InvalidRequestError
from nas.store import (
    AttemptRow,
    DeviceRow,
    JobState,
    MeasurementRow,
    Store,
    TrialEnd,
)
from tests.nas.store.build import architecture_row, evaluation_row, new_trial


class State(StrEnum):
    """A state of another room's, whose name is not its value."""

    RUNS = "running"


class RepositoryContract:
    @pytest.fixture
    def store(self, url):
        with Store.open(url) as store:
            yield store

    @pytest.fixture
    def job(self, store):
        return store.create_job("digits", spec={"trials": 40}, space={"stages": []}).id

    # jobs

    def test_a_job_comes_back_as_it_was_put_down(self, store):
        before = datetime.now(UTC)
        made = store.create_job(
            "digits",
            spec={"z": 1, "a": [1e16, None, "é"]},
            space={"name": "small"},
            objectives=[{"metric": "macs", "maximize": False, "known": True}],
            reference=(4e8, 0.1),
            owner="ann",
            attributes={"seed": 3},
        )
        assert store.find_job(made.id) == made
        assert list(made.spec) == ["z", "a"]  # in the order of the job file
        assert made.spec["a"] == [1e16, None, "é"]
        assert type(made.spec["a"][0]) is float
        assert made.objectives == ({"metric": "macs", "maximize": False, "known": True},)
        assert made.reference == (4e8, 0.1)
        assert (made.state, made.owner, made.kind) == (JobState.WAITING, "ann", "run")
        assert before <= made.created_at <= datetime.now(UTC)
        assert made.created_at.utcoffset() == timedelta(0)

    def test_a_job_is_found_by_id_by_latest_name_and_by_the_beginning_of_its_id(self, store):
        first, second = (store.create_job("digits", {}, {}) for _ in range(2))
        other = store.create_job("fashion", {}, {})
        assert store.find_job(first.id).id == first.id
        assert store.find_job("digits").id == second.id
        assert store.find_job(other.id[:7]).id == other.id
        assert store.find_job().id == other.id
        assert [job.id for job in store.list_jobs()] == [other.id, second.id, first.id]

    @pytest.mark.parametrize("text", ["nope", "", "%", "_", "'; DROP TABLE jobs; --"])
    def test_a_job_that_is_not_there_is_refused_with_those_that_are(self, store, text):
        store.create_job("digits", {}, {})
        with pytest.raises(InvalidRequestError, match="the latest are digits"):
            store.find_job(text)

    def test_an_ambiguous_beginning_asks_for_more(self, store):
        jobs = {store.create_job("digits", {}, {}).id for _ in range(17)}  # of 16 first digits
        shared = next(a[0] for a in jobs if sum(a[0] == b[0] for b in jobs) > 1)
        with pytest.raises(InvalidRequestError, match="write more"):
            store.find_job(shared)

    def test_states_keep_the_first_start_and_the_end(self, store, job):
        store.set_job_state(job, JobState.RUNNING)
        started = store.find_job(job).started_at
        store.set_job_state(job, JobState.FAILED, "a reason\0with a zero")
        ended = store.find_job(job)
        assert ended.message == "a reason\N{REPLACEMENT CHARACTER}with a zero"
        assert ended.started_at == started <= ended.ended_at
        store.set_job_state(job, JobState.RUNNING)
        resumed = store.find_job(job)
        assert (resumed.started_at, resumed.ended_at) == (started, None)
        with pytest.raises(InvalidRequestError, match="There is no job"):
            store.set_job_state("nope", JobState.RUNNING)

    def test_attributes_of_a_job_join_those_that_are_there(self, store, job):
        store.update_job(job, attributes={"baseline": "abc", "phi": 1})
        store.update_job(job, attributes={"phi": 2}, reference=(1.0, 2.0), ray_id="raysubmit_1")
        found = store.find_job(job)
        assert found.attributes == {"baseline": "abc", "phi": 2}
        assert (found.reference, found.ray_id) == ((1.0, 2.0), "raysubmit_1")

    def test_one_driver_holds_a_job_at_a_time(self, store, job):
        assert store.take_job(job, "one", lease_s=60)
        assert store.take_job(job, "one", lease_s=60)  # its own
        assert not store.take_job(job, "two", lease_s=60)
        assert not store.heartbeat(job, "two")
        assert store.heartbeat(job, "one")
        store.release_job(job, "two")
        assert not store.take_job(job, "two")
        store.release_job(job, "one")
        assert store.take_job(job, "two")
        assert not store.heartbeat(job, "one")
        assert not store.take_job("nope", "one")

    def test_a_job_whose_lease_ran_out_can_be_taken(self, store, job):
        assert store.take_job(job, "one", lease_s=-1)
        assert store.take_job(job, "two", lease_s=60)
        held = store.find_job(job)
        assert (held.driver, held.driver_pid) == ("two", os.getpid())
        assert held.lease_expires_at - held.heartbeat_at == timedelta(seconds=60)

    def test_a_job_whose_driver_died_on_this_machine_can_be_taken_at_once(self, store, url, job):
        code = f"from nas.store import Store; Store.open({url!r}).take_job({job!r}, 'one', 600)"
        subprocess.run([sys.executable, "-c", code], check=True)
        assert store.find_job(job).driver == "one"
        assert store.take_job(job, "two")

    # trials

    def test_trials_come_back_in_the_order_of_their_numbers(self, store, job):
        store.add_trials(job, [new_trial(n, state=State.RUNS) for n in (2, 0, 1)])
        store.add_trials(job, [new_trial(3, architecture=None, choices={"a": True, "b": 0.5})])
        rows = store.trials(job)
        assert [row.number for row in rows] == [0, 1, 2, 3]
        assert [row.state for row in rows] == ["running"] * 3 + ["waiting"]
        assert rows[0].architecture == architecture_row(0).fingerprint
        assert rows[3].architecture is None
        assert rows[3].choices == {"a": True, "b": 0.5}
        assert rows[0].started_at is not None
        assert rows[3].started_at is rows[3].ended_at is None

    def test_trials_of_one_state_are_asked_for_page_by_page(self, store, job):
        states = ["waiting", "running", "waiting", "waiting", "running"]
        store.add_trials(job, [new_trial(n, state=state) for n, state in enumerate(states)])
        assert [t.number for t in store.trials(job, state="running")] == [1, 4]
        assert [t.number for t in store.trials(job, state="waiting", after=0, limit=1)] == [2]
        assert store.trials(job, state="lost") == []

    def test_a_trial_that_breaks_a_bound_comes_in_already_ended(self, store, job):
        trial = new_trial(0, state="infeasible", violation=0.25, reason="breaks macs <= 400M")
        store.add_trials(job, [trial])
        (row,) = store.trials(job)
        assert (row.state, row.violation, row.reason) == ("infeasible", 0.25, "breaks macs <= 400M")
        assert row.ended_at is not None

    def test_what_a_sampler_keeps_with_a_trial_survives_to_the_last_bit(self, store, job):
        kept = {
            "nsga2:generation": 4,
            "distance": [math.inf, -math.inf, 0.1 + 0.2, 1e-320],
            "deep": {"x": [None, True, "\0 and \ud800", {"y": np.int64(3)}]},
            "array": np.array([1.5, np.nan]),
        }
        store.add_trials(job, [new_trial(0, attributes=kept)])
        found = store.trials(job)[0].attributes
        assert found["nsga2:generation"] == 4
        assert found["distance"] == [math.inf, -math.inf, 0.1 + 0.2, 1e-320]
        assert found["deep"] == {"x": [None, True, "\0 and \ud800", {"y": 3}]}
        assert found["array"][0] == 1.5
        assert math.isnan(found["array"][1])

    def test_a_trial_ends_with_everything_that_came_of_it(self, store, job):
        store.save_device(DeviceRow(id="cpu0", kind="cpu", name="Xeon"))
        store.add_trials(job, [new_trial(0, attributes={"generation": 0})])
        store.start_trials(job, [0])
        evaluation = evaluation_row(
            0, architecture=architecture_row(0).fingerprint, weights=("w.bin", "ab" * 32, 99)
        )
        measured = MeasurementRow(
            metric="latency_ms", value=3.5, evaluation=evaluation.key, device="cpu0", unit="ms"
        )
        end = TrialEnd(
            number=0,
            state="completed",
            values=(1e6, 0.5),
            errors=(0.0, 0.025),
            evaluation=evaluation,
            measurements=(measured,),
            attempts=(AttemptRow(trial=0, number=0, state="completed", worker="w1", seconds=2.0),),
        )
        store.finish_trial(job, end)
        (row,) = store.trials(job)
        assert (row.state, row.values, row.errors) == ("completed", (1e6, 0.5), (0.0, 0.025))
        assert (row.evaluation, row.reused) == (evaluation.key, False)
        assert row.attributes == {"generation": 0}
        assert row.created_at <= row.started_at <= row.ended_at
        assert store.evaluation(evaluation.key).weights == ("w.bin", "ab" * 32, 99)
        assert store.measurements_of(evaluation=evaluation.key)[0].value == 3.5
        assert [a.worker for a in store.attempts(job)] == ["w1"]
        assert store.count_trials(job) == {"completed": 1}

    def test_usage_adds_up_attempts_retries_and_what_was_saved(self, store, job):
        store.add_trials(job, [new_trial(n) for n in range(2)])
        evaluation = evaluation_row(0, architecture=architecture_row(0).fingerprint, seconds=7.0)
        attempts = (
            AttemptRow(trial=0, number=1, state="failed", seconds=2.0, energy_j=40.0),
            AttemptRow(trial=0, number=2, state="completed", seconds=5.0, energy_j=60.0),
        )
        first = TrialEnd(number=0, state="completed", evaluation=evaluation, attempts=attempts)
        store.finish_trial(job, first)
        reused = TrialEnd(number=1, state="completed", evaluation=evaluation.key, reused=True)
        store.finish_trial(job, reused)
        used = store.usage(job)[job]
        assert (used.seconds, used.failed_seconds) == (7.0, 2.0)
        assert (used.retries, used.saved_seconds, used.energy_j) == (1, 7.0, 100.0)
        assert store.usage("nobody") == {}

    def test_ends_are_written_together_or_not_at_all(self, store, job):
        store.add_trials(job, [new_trial(n) for n in range(2)])
        missing = MeasurementRow(metric="latency_ms", value=1.0, device="no such device")
        good = TrialEnd(number=0, state="completed", evaluation=evaluation_row(0))
        bad = TrialEnd(number=1, state="failed", measurements=(missing,))
        with pytest.raises(Exception, match=r"(?i)foreign key"):
            store.finish_trials(job, [good, bad])
        assert [row.state for row in store.trials(job)] == ["waiting", "waiting"]
        assert store.evaluation(good.evaluation.key) is None

    def test_a_trial_may_reuse_a_stored_evaluation_and_replace_its_attributes(self, store, job):
        stored = store.save_evaluation(evaluation_row(7))
        store.add_trials(job, [new_trial(0, origin="known")])
        end = TrialEnd(
            number=0,
            state="completed",
            values=(1.0, math.nan),
            evaluation=stored.key,
            reused=True,
            attributes={"rank": 1},
        )
        store.finish_trial(job, end)
        (row,) = store.trials(job, origins=["known"])
        assert (row.evaluation, row.reused, row.attributes) == (stored.key, True, {"rank": 1})
        assert math.isnan(row.values[1])
        assert store.trials(job, origins=["search"]) == []

    # several writes as one

    def test_what_is_done_together_is_written_at_its_end(self, store, job, url):
        with Store.open(url) as other:
            with store.together():
                store.add_trials(job, [new_trial(0)])
                with store.together():
                    store.save_evaluation(evaluation_row(0))
                assert len(store.trials(job)) == 1  # its own writes are seen
                seen = []
                thread = threading.Thread(target=lambda: seen.append(store.trials(job)))
                thread.start()
                thread.join()
                assert seen == [[]]  # another thread is not part of it
                assert other.trials(job) == []
            assert len(other.trials(job)) == 1
            assert other.evaluation(evaluation_row(0).key) is not None

    def test_what_is_done_together_is_written_whole_or_not_at_all(self, store, job):
        def fail_halfway():
            with store.together():
                store.add_trials(job, [new_trial(0)])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_halfway()
        assert store.trials(job) == []
        store.add_trials(job, [new_trial(0)])  # and the store goes on
        assert len(store.trials(job)) == 1

    # evaluations

    def test_an_evaluation_comes_back_as_it_was_saved(self, store, job):
        row = evaluation_row(
            0,
            architecture=architecture_row(0).fingerprint,
            job=job,
            status=State.RUNS,
            seed=2**40,
            val_accuracy_spread=0.01,
            test_accuracy=0.25,
            test_samples=np.int64(360),
            parameters=np.int64(5_288_548),
            metrics={"top5": 0.9, "loss": math.nan, "latency_ms": math.inf},
            curve=({"epoch": 1, "train_loss": math.nan}, {"epoch": 2, "train_loss": 0.5}),
            details={"per_class": [0.1, 0.2]},
            device="cpu",
        )
        saved = store.save_evaluation(row, architecture_row(0))
        assert store.evaluation(row.key).created_at == saved.created_at
        assert saved.metrics == {"top5": 0.9}  # the rest are no numbers
        assert math.isnan(saved.curve[0]["train_loss"])
        same = replace(saved, metrics=row.metrics, curve=row.curve, created_at=None)
        assert same == replace(row, status="running")

    def test_an_accuracy_of_nan_is_no_accuracy(self, store):
        row = evaluation_row(0, val_accuracy=math.nan, val_accuracy_se=np.float64("nan"))
        saved = store.save_evaluation(row)
        assert saved.val_accuracy is saved.val_accuracy_se is None

    def test_the_second_writer_of_a_key_keeps_the_first_row_and_its_weights(self, store):
        first = evaluation_row(0, val_accuracy=0.5, weights=("a.bin", "aa" * 32, 1))
        second = replace(first, val_accuracy=0.6, weights=("b.bin", "bb" * 32, 2))
        store.save_evaluation(first)
        kept = store.save_evaluation(second)
        assert (kept.val_accuracy, kept.weights) == (0.5, ("a.bin", "aa" * 32, 1))
        assert len(store.models()) == 1

    def test_a_completed_evaluation_takes_the_place_of_one_that_is_not(self, store):
        pruned = evaluation_row(0, status="pruned", val_accuracy=0.2, fidelity=1.0)
        store.save_evaluation(pruned)
        assert store.save_evaluation(replace(pruned, status="failed")).status == "pruned"
        full = evaluation_row(0, val_accuracy=0.7)
        assert store.save_evaluation(full).val_accuracy == 0.7
        assert store.save_evaluation(pruned).status == "completed"

    def test_many_keys_are_looked_up_at_once(self, store):
        for number in range(3):
            store.save_evaluation(evaluation_row(number))
        keys = [evaluation_row(number).key for number in range(1_200)]
        assert set(store.evaluations(keys)) == set(keys[:3])
        assert store.evaluations([]) == {}

    def test_an_architecture_is_found_by_the_beginning_of_its_fingerprint(self, store):
        store.save_architectures([architecture_row(n) for n in (0, 1, 0)])
        row = architecture_row(1)
        found = store.find_architecture(row.fingerprint[:12])
        assert replace(found, created_at=None) == row
        assert store.find_architecture("zz") is None
        assert store.find_architecture("") is None
        assert store.find_architecture("%") is None
        twin = architecture_row(2, fingerprint=row.fingerprint[:12] + "0" * 20)
        store.save_architectures([twin])
        with pytest.raises(InvalidRequestError, match="write more"):
            store.find_architecture(row.fingerprint[:12])

    # claims

    def test_a_key_is_claimed_by_one_owner_until_it_is_released(self, store, job):
        assert store.claim(["a", "b"], "one", 60, job=job) == {"a", "b"}
        assert store.claim(["b", "c"], "two", 60) == {"c"}
        assert store.claim(["a"], "one", 60) == {"a"}
        store.release(["a", "b"], "two")  # not its own
        assert store.claim(["a"], "two", 60) == set()
        store.release(["a"], "one")
        assert store.claim(["a"], "two", 60) == {"a"}
        assert store.claim([], "one", 60) == set()

    def test_an_expired_claim_can_be_taken_over_unless_it_was_renewed(self, store):
        store.claim(["a", "b"], "one", -1)
        assert store.claim(["a"], "two", 60) == {"a"}
        assert store.renew("one", 60) == 1
        assert store.claim(["b"], "two", 60) == set()

    def test_saving_an_evaluation_ends_the_claim_on_its_key(self, store):
        key = evaluation_row(0).key
        store.claim([key], "one", 60)
        store.save_evaluation(evaluation_row(0))
        assert store.claim([key], "two", 60) == {key}

    def test_threads_that_claim_the_same_keys_never_both_hold_one(self, store):
        keys, held = [str(number) for number in range(30)], {}

        def claim(owner):
            order = keys if owner % 2 else keys[::-1]
            held[owner] = [store.claim(order[i : i + 3], str(owner), 60) for i in range(0, 30, 3)]

        threads = [threading.Thread(target=claim, args=(owner,)) for owner in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        claimed = [key for rounds in held.values() for round_ in rounds for key in round_]
        assert sorted(claimed) == sorted(keys)
