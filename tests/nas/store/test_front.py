"""The front as a query equals the front by brute force, on random stores."""

import itertools

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.pareto import non_dominated, tied
from nas.store import Filter
from tests.nas.store.build import evaluation_row

tags = itertools.count()
ACCURACY = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, None, float("nan")])
ERROR = st.sampled_from([None, 0.0, 0.125, 0.25])
COST = st.sampled_from([None, 0, 1, 2, 3])
MODELS = st.lists(
    st.fixed_dictionaries(
        {
            "val_accuracy": ACCURACY,
            "val_accuracy_se": ERROR,
            "test_accuracy": ACCURACY,
            "test_accuracy_se": ERROR,
            "macs": COST,
            "parameters": COST,
            "metrics": st.fixed_dictionaries(
                {}, optional={"latency_ms": st.sampled_from([0.5, 1.0, float("nan")])}
            ),
        }
    ),
    max_size=14,
)
FEW = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
AXES = st.sampled_from(
    [
        ("macs", "val_accuracy"),
        ("test_accuracy", "parameters"),
        ("latency_ms", "accuracy"),
        ("val_accuracy", "test_accuracy"),
        ("macs", "parameters", "val_accuracy"),
        ("macs",),
    ]
)


def number(model, metric):
    value = {**model, **model["metrics"], "accuracy": model["val_accuracy"]}.get(metric)
    return np.nan if value is None else float(value)


def error(model, metric):
    name = "val_accuracy" if metric == "accuracy" else metric
    return number(model, f"{name}_se") if name.endswith("accuracy") else 0.0


@FEW
@given(models=MODELS, axes=AXES, flip=st.lists(st.booleans(), min_size=3, max_size=3))
def test_the_front_and_its_ties_equal_brute_force(store, models, axes, flip):
    dataset = f"data {next(tags)}"
    rows = [
        evaluation_row(0, key=f"{dataset} {i}", dataset=dataset, **model)
        for i, model in enumerate(models)
    ]
    for row in rows:
        store.save_evaluation(row)
    maximize = [m.endswith("accuracy") != f for m, f in zip(axes, flip)]
    found = store.front(Filter(dataset=dataset), axes, maximize, ties=True)
    points = np.array([[number(m, a) for a in axes] for m in models]).reshape(-1, len(axes))
    errors = np.array([[error(m, a) for a in axes] for m in models]).reshape(-1, len(axes))
    front, doubtful = non_dominated(points, maximize), tied(points, errors, maximize)
    keys = np.array([row.key for row in rows], dtype=object)
    assert {row.evaluation for row in found if not row.tied} == set(keys[front])
    assert {row.evaluation for row in found if row.tied} == set(keys[doubtful])
    assert {row.evaluation for row in store.front(Filter(dataset=dataset), axes, maximize)} == (
        set(keys[front])
    )
    order = [points[list(keys).index(row.evaluation), 0] for row in found]
    assert order == sorted(order, reverse=maximize[0])


@FEW
@given(models=MODELS, bound=st.sampled_from([1, 2]), floor=st.sampled_from([0.25, 0.5]))
def test_bounds_leave_out_what_breaks_them_before_anything_is_compared(store, models, bound, floor):
    dataset = f"data {next(tags)}"
    for i, model in enumerate(models):
        store.save_evaluation(evaluation_row(0, key=f"{dataset} {i}", dataset=dataset, **model))
    inside = [
        i
        for i, model in enumerate(models)
        if number(model, "parameters") <= bound and number(model, "val_accuracy") >= floor
    ]
    points = np.array([[number(models[i], a) for a in ("macs", "accuracy")] for i in inside])
    front = non_dominated(points.reshape(-1, 2), maximize=(False, True))
    where = Filter(dataset=dataset, at_most={"parameters": bound}, at_least={"accuracy": floor})
    expected = {f"{dataset} {i}" for i, is_front in zip(inside, front) if is_front}
    assert {row.evaluation for row in store.front(where)} == expected
