"""Every question about models equals the answer by brute force, on random small stores."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, delete, event, select
from sqlalchemy.pool import StaticPool

from nas.errors import InvalidRequestError
from nas.pareto import dominates, hypervolume, non_dominated, tied
from nas.store import DeviceRow, Filter, MeasurementRow, Store, TrialEnd, asking, sieve
from nas.store.evaluations import save_evaluations
from nas.store.fronts import PAIRS
from nas.store.schema import evaluations, fronts, metadata
from tests.nas.store.build import architecture_row, evaluation_row, networks, new_trial

NATURAL = (False, True)
START = datetime(2026, 1, 1, tzinfo=UTC)
ACCURACY = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, None, float("nan")])
COST = st.sampled_from([None, 0, 1, 2, 3, 4])
MODELS = st.lists(
    st.fixed_dictionaries(
        {
            "val_accuracy": ACCURACY,
            "val_accuracy_se": st.sampled_from([None, 0.0, 0.125, 0.25]),
            "test_accuracy": ACCURACY,
            "macs": COST,
            "parameters": COST,
            "status": st.sampled_from(["completed"] * 5 + ["failed"]),
            "recipe": st.sampled_from(["ten epochs", "ten epochs", "two epochs"]),
            "created_at": st.integers(0, 3).map(lambda day: START + timedelta(days=day)),
        }
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def memory():
    engine = create_engine("sqlite://", poolclass=StaticPool)
    event.listen(engine, "connect", lambda c, _: c.execute("PRAGMA foreign_keys=ON"))
    metadata.create_all(engine)
    return Store(engine)


FILLED = ("members", "fronts", "trials", "evaluations", "comparables", "jobs")


def emptied(store):
    with store._write() as connection:
        for name in FILLED:
            connection.exec_driver_sql(f"DELETE FROM {name}")
    return store


def rows_of(models):
    return [evaluation_row(i, key=f"{i:02}", **model) for i, model in enumerate(models)]


def save(store, rows, batch=4):
    """Some alone and some together, as jobs do."""
    for start in range(0, len(rows), batch):
        with store._write() as connection:
            save_evaluations(connection, rows[start : start + batch])


def value(row, metric):
    found = getattr(row, metric)
    return np.nan if found is None else float(found)


def points(rows, metrics):
    return np.array([[value(row, m) for m in metrics] for row in rows]).reshape(-1, len(metrics))


def front_by_force(rows, metrics, maximize=NATURAL):
    marks = non_dominated(points(rows, metrics), maximize)
    return {row.key for row, is_front in zip(rows, marks) if is_front}


def keys(rows):
    return {row.evaluation for row in rows}


def random_models(rng):
    """Like `MODELS`, but a thousand take no time."""
    accuracies, costs = [0.0, 0.25, 0.5, 0.75, 1.0, None, np.nan], [None, 0, 1, 2, 3, 4]
    return [
        {
            "val_accuracy": rng.choice(accuracies),
            "val_accuracy_se": rng.choice([None, 0.0, 0.125, 0.25]),
            "test_accuracy": rng.choice(accuracies),
            "macs": rng.choice(costs),
            "parameters": rng.choice(costs),
            "status": rng.choice(["completed"] * 5 + ["failed"]),
            "recipe": rng.choice(["ten epochs", "ten epochs", "two epochs"]),
            "created_at": START + timedelta(days=rng.randrange(4)),
        }
        for _ in range(rng.randrange(13))
    ]


def test_fronts_ties_and_the_best_equal_brute_force_in_a_thousand_random_stores(
    memory, monkeypatch
):
    for seed in range(1_000):
        rng = random.Random(seed)
        ask_as_of_many(monkeypatch, rng)
        store, rows = emptied(memory), rows_of(random_models(rng))
        save(store, rows, batch=rng.choice([1, 20, 20, 20]))
        some = [r for r in rows if (r.status, r.recipe) == ("completed", "ten epochs")]
        pair = rng.choice(PAIRS[:4])
        check_the_front(store, some, pair, turned=rng.random() < 0.5)
        if seed % 2:
            check_a_narrowed_front(store, some, pair, rng)
        else:
            check_the_best(store, some, pair, bound=rng.randint(1, 3))


def ask_as_of_many(monkeypatch, rng):
    """Have half of the questions go the ways that large stores are asked."""
    monkeypatch.setattr(sieve, "MANY", rng.choice([-1, 20_000]))
    monkeypatch.setattr(sieve, "LOOKED_AT", rng.choice([1, 2, 100]))
    monkeypatch.setattr(sieve, "LEVELS", rng.choice([1, 3]))
    monkeypatch.setattr(asking, "FEW", rng.choice([-1, 1, 50_000]))


def check_the_front(store, rows, pair, turned):
    where = Filter(recipe="ten epochs")
    metrics, directions = (pair[::-1], NATURAL[::-1]) if turned else (pair, NATURAL)
    found = store.front(where, metrics, directions, ties=pair[1] == "val_accuracy")
    assert keys(row for row in found if not row.tied) == front_by_force(rows, pair)
    errors = np.array([[0.0, value(r, "val_accuracy_se")] for r in rows]).reshape(-1, 2)
    if pair[1] == "val_accuracy":
        doubtful = tied(points(rows, pair), errors, NATURAL)
        assert keys(row for row in found if row.tied) == {
            row.key for row, is_tied in zip(rows, doubtful) if is_tied
        }


def check_a_narrowed_front(store, rows, pair, rng):
    since, until = (START + timedelta(days=day) for day in (rng.randrange(4), rng.randint(1, 4)))
    bound = rng.choice([None, 1, 2, 3])
    inside = [r for r in rows if since <= r.created_at < until]
    if bound is not None:
        inside = [r for r in inside if value(r, "parameters") <= bound]
    bounds = {} if bound is None else {"parameters": bound}
    where = Filter(recipe="ten epochs", since=since, until=until, at_most=bounds)
    assert keys(store.front(where, pair, NATURAL)) == front_by_force(inside, pair)


def check_the_best(store, rows, pair, bound):
    cost, accuracy = pair
    where = Filter(recipe="ten epochs", at_most={cost: bound})
    inside = [r for r in rows if value(r, cost) <= bound and value(r, accuracy) >= 0]
    (best,) = store.best(where, accuracy) or [None]
    if not inside:
        assert best is None
    else:
        first = min(inside, key=lambda r: (-value(r, accuracy), value(r, cost), r.key))
        assert best.evaluation == first.key
    floor = Filter(recipe="ten epochs", at_least={accuracy: bound / 4})
    enough = [r for r in rows if value(r, accuracy) >= bound / 4 and value(r, cost) >= 0]
    (cheapest,) = store.best(floor, cost) or [None]
    if not enough:
        assert cheapest is None
    else:
        first = min(enough, key=lambda r: (value(r, cost), -value(r, accuracy), r.key))
        assert cheapest.evaluation == first.key


FEWER = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FEWER
@given(models=MODELS, gone=st.sets(st.integers(0, 11)), more=MODELS)
def test_a_front_is_right_after_evaluations_are_deleted(memory, models, gone, more):
    store, rows = emptied(memory), rows_of(models)
    save(store, rows)
    with store._write() as connection:
        doomed = [f"{number:02}" for number in gone]
        connection.execute(delete(evaluations).where(evaluations.c.key.in_(doomed)))
    left = [r for i, r in enumerate(rows) if i not in gone]
    later = [evaluation_row(i, key=f"later {i:02}", **model) for i, model in enumerate(more)]
    for new in ([], later):
        save(store, new)
        left += new
        same = [r for r in left if (r.status, r.recipe) == ("completed", "ten epochs")]
        for pair in PAIRS[:4]:
            found = store.front(Filter(recipe="ten epochs"), pair)
            assert keys(found) == front_by_force(same, pair)
    if any((r.status, r.recipe) == ("completed", "ten epochs") for r in later):
        group = store.comparables(Filter(recipe="ten epochs"))[0].id
        with store._read() as connection:  # the next writer made it anew
            query = select(fronts.c.evaluation).where(fronts.c.comparable == group)
            assert None not in connection.execute(query).scalars().all()


@FEWER
@given(models=MODELS, metric=st.sampled_from(["val_accuracy", "macs"]), size=st.integers(1, 5))
def test_pages_are_the_list_in_parts(memory, models, metric, size):
    store, rows = emptied(memory), rows_of(models)
    save(store, rows)
    listed = [row.evaluation for row in store.models(order_by=metric)]
    paged, after = [], None
    while True:
        page = store.page(order_by=metric, limit=size, after=after)
        assert len(page.rows) <= size
        paged += [row.evaluation for row in page.rows]
        after = page.after
        if after is None:
            break
    assert paged == listed
    assert set(listed) == {row.key for row in rows if row.status == "completed"}
    worst_last = [value(next(r for r in rows if r.key == key), metric) for key in listed]
    there = [v for v in worst_last if not np.isnan(v)]
    assert there == sorted(there, reverse=metric == "val_accuracy")
    assert np.isnan(worst_last[len(there) :]).all()


@FEWER
@given(models=MODELS, which=st.integers(0, 11))
def test_what_dominates_a_model_and_what_is_near_it_equal_brute_force(memory, models, which):
    store, rows = emptied(memory), rows_of(models)
    save(store, rows)
    pair = ("macs", "val_accuracy")
    there = [r for r in rows if r.status == "completed" and not np.isnan(points([r], pair)).any()]
    if not there:
        return
    own = there[which % len(there)]
    same = [r for r in there if r.recipe == own.recipe]
    at = points([own], pair)[0]
    better = {r.key for r in same if dominates(points([r], pair)[0], at, NATURAL)}
    assert keys(store.dominating(own.key)) == better

    def distance(row):
        return float((((points([row], pair)[0] - at) / np.where(at == 0, 1.0, at)) ** 2).sum())

    cheaper = sorted((distance(r), r.key) for r in same if r.macs < own.macs)
    near = store.nearest(own.key, limit=3)
    assert [row.evaluation for row in near] == [key for _, key in cheaper[:3]]


def run_job(store, name, models, first=0):
    job = store.create_job(name, {}, {"name": f"space of {name}"}).id
    store.add_trials(job, [new_trial(i, architecture=None) for i in range(len(models))])
    for i, (macs, accuracy) in enumerate(models):
        row = evaluation_row(first + i, macs=macs, val_accuracy=accuracy, job=job)
        store.finish_trial(job, TrialEnd(number=i, state="completed", evaluation=row))
    return job


@FEWER
@given(
    mine=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8),
    yours=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8),
)
def test_what_a_job_added_and_its_hypervolume_equal_brute_force(memory, mine, yours):
    store = emptied(memory)
    first, second = run_job(store, "first", mine), run_job(store, "second", yours, 100)
    everything = np.array([*mine, *yours], dtype=float).reshape(-1, 2)
    both = non_dominated(everything, NATURAL)
    own = non_dominated(everything[: len(mine)], NATURAL)
    found = store.added(first, second)
    assert {(row.job, row.trial) for row in found.rows} == {
        (second, i) for i in range(len(yours)) if both[len(mine) + i]
    }
    assert {(row.job, row.trial) for row in found.displaced} == {
        (first, i) for i in range(len(mine)) if own[i] and not both[i]
    }
    assert keys(store.front(Filter(space="space of first"))) == keys(store.front(Filter(job=first)))
    corner = (4.5, 1.0)
    volumes = [hypervolume(mine[: i + 1], corner, NATURAL) for i in range(len(mine))]
    steps = store.hypervolume_over_time(first, corner)
    grown = [i for i, v in enumerate(volumes) if v > (volumes[i - 1] if i else 0.0)]
    assert [step.trial for step in steps] == grown
    assert [step.hypervolume for step in steps] == pytest.approx([volumes[i] for i in grown])


def test_fronts_narrowed_by_trials_and_measurements_equal_brute_force(store, monkeypatch):
    store.save_device(DeviceRow(id="phone", kind="cpu", name="phone"))
    for number in range(25):
        rng = random.Random(number)
        rows = some_networks(store, rng, number)
        latency = some_measurements(store, rng, rows)
        used = {space: some_trials(store, rng, rows, space) for space in ("wide", "narrow")}
        ask_as_of_many(monkeypatch, rng)
        recipe, bound = f"round {number}", rng.choice([1.0, 2.0, 3.0])
        fast = [r for r in rows if latency[r.key] <= bound]
        pair = (rng.choice(["macs", "parameters"]), "val_accuracy")
        for where, inside in (
            (Filter(job=used["wide"][0]), used["wide"][1]),
            (Filter(space="narrow"), used["narrow"][1]),
            (Filter(device="phone", at_most={"latency_ms": bound}), fast),
            (Filter(at_most={"latency_ms@phone": bound}, space="wide"), None),
        ):
            if inside is None:
                inside = [r for r in fast if r in used["wide"][1]]
            found = store.front(replace(where, recipe=recipe), pair, ties=True)
            assert keys(row for row in found if not row.tied) == front_by_force(inside, pair)
            errors = np.array([[0.0, r.val_accuracy_se] for r in inside]).reshape(-1, 2)
            doubtful = tied(points(inside, pair), errors, NATURAL)
            assert keys(row for row in found if row.tied) == {
                row.key for row, is_tied in zip(inside, doubtful) if is_tied
            }
            assert keys(store.front(replace(where, recipe=recipe), pair)) == (
                front_by_force(inside, pair)
            )
            best = store.best(replace(where, recipe=recipe), limit=3)
            ordered = sorted(-r.val_accuracy for r in inside)[:3]
            assert [-row.val_accuracy for row in best] == ordered
        axes = ("latency_ms", "val_accuracy")
        table = np.array([[latency[r.key], r.val_accuracy] for r in rows])
        expected = {r.key for r, on in zip(rows, non_dominated(table, NATURAL)) if on}
        assert keys(store.front(Filter(device="phone", recipe=recipe), axes)) == expected


def some_networks(store, rng, number):
    rows = []
    for i in range(100 * number, 100 * number + rng.randint(1, 9)):
        network = architecture_row(i)
        row = evaluation_row(
            i,
            architecture=network.fingerprint,
            recipe=f"round {number}",
            macs=rng.randrange(5),
            parameters=rng.randrange(5),
            val_accuracy=rng.randrange(5) / 4,
        )
        rows.append(store.save_evaluation(row, network))
    return rows


def some_measurements(store, rng, rows):
    """Latencies by evaluation: of its weights, or else of its network; the latest counts."""
    found = {}
    for row in rows:
        own = {"architecture": row.architecture}, {"evaluation": row.key}
        for whose in rng.choices(own, k=rng.randrange(4)):
            value = rng.choice([None, 1.0, 2.0, 3.0, 4.0])
            measured = MeasurementRow(metric="latency_ms", value=value, device="phone", **whose)
            store.add_measurements([measured])
            if value is not None:
                found[tuple(whose.values())] = value
    of_network = {row.key: found.get((row.architecture,), np.nan) for row in rows}
    return {row.key: found.get((row.key,), of_network[row.key]) for row in rows}


def some_trials(store, rng, rows, space):
    """A job whose trials used some of the evaluations."""
    job = store.create_job(f"{space} {rows[0].recipe}", {}, {"name": space}).id
    used = [row for row in rows if rng.random() < 0.6]
    store.add_trials(job, [new_trial(i, architecture=None) for i in range(len(used))])
    ends = [TrialEnd(number=i, state="completed", evaluation=r.key) for i, r in enumerate(used)]
    store.finish_trials(job, ends)
    return job, used


def test_data_set_and_recipe_are_named_in_full_by_name_or_by_their_beginning(store):
    store.save_evaluation(evaluation_row(0, recipe="abcd1", fidelity=1.0))
    store.save_evaluation(evaluation_row(1, recipe="abcd", fidelity=1.0))
    store.save_evaluation(evaluation_row(2, recipe="ffff", fidelity=2.0))

    def macs(**named):
        return [row.macs for row in store.front(Filter(**named))]

    assert macs(recipe="abcd") == [1_000_001]
    assert macs(recipe="ff") == macs(fidelity=2.0) == [1_000_002]
    assert macs(dataset="dig", recipe="abcd1") == [1_000_000]
    assert macs(dataset="other") == []
    with pytest.raises(InvalidRequestError, match="differ in recipe; name"):
        store.front(Filter(fidelity=1.0))
    with pytest.raises(InvalidRequestError, match="differ in recipe, fidelity; name"):
        store.front(Filter(mixed=("recipe",)))
    assert macs(mixed=("recipe", "fidelity")) == [1_000_000]
    with pytest.raises(InvalidRequestError, match="`mixed` must name some of dataset"):
        Filter(mixed=("epochs",))


@pytest.mark.parametrize("after", ["x", "bnVsbA", "WzEsMl0", "é", ""])
def test_a_cursor_that_no_page_gave_is_refused(store, after):
    networks(store, [0.5, 0.6])
    with pytest.raises(InvalidRequestError, match="`after` must be what the page before gave"):
        store.page(after=after, limit=1)
    page = store.page(limit=1)
    with pytest.raises(InvalidRequestError, match="`after` must be"):
        store.page(order_by="macs", limit=1, after=page.after)
