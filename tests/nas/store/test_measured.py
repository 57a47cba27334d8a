"""Questions about metrics that were measured on devices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.errors import InvalidRequestError
from nas.store import DeviceRow, Filter, MeasurementRow, Way
from tests.nas.store.build import architecture_row, networks


def measured(store, device, values, **how):
    store.save_device(DeviceRow(id=device, kind="cpu", name=f"the {device}"))
    how = {"runtime": "torch", "precision": "fp32", "batch_size": 1, "threads": 1, **how}
    rows = [
        MeasurementRow(
            metric="latency_ms",
            value=ms,
            architecture=architecture_row(i).fingerprint,
            device=device,
            **how,
        )
        for i, ms in enumerate(values)
    ]
    store.add_measurements(rows)


def test_latency_on_a_named_device_bounds_and_makes_fronts(store):
    networks(store, [0.5, 0.6, 0.7, 0.8])
    measured(store, "phone", [1.0, 3.0, 2.0, None])
    measured(store, "desk", [0.3, 0.1, 0.2, 0.4])
    front = store.front(Filter(device="phone"), ("latency_ms", "val_accuracy"))
    assert [row.val_accuracy for row in front] == [0.5, 0.7]
    named = store.front(metrics=("latency_ms@the desk", "accuracy"))
    assert [row.val_accuracy for row in named] == [0.6, 0.7, 0.8]
    within = Filter(device="phone", at_most={"latency_ms": 2.5, "macs": 1_000_002})
    assert [row.val_accuracy for row in store.best(within, limit=5)] == [0.7, 0.5]
    again = [None, None, 9.0, None]
    measured(store, "phone", again)  # the latest measurement that has a value counts
    assert [row.val_accuracy for row in store.best(within)] == [0.5]
    listed = store.models(Filter(device="phone"), "latency_ms")
    assert [row.val_accuracy for row in listed] == [0.5, 0.6, 0.7, 0.8]
    assert [row.macs for row in store.front(within)] == [1_000_000]


def test_rows_bring_the_measurements_that_were_asked_about(store):
    networks(store, [0.5, 0.6, 0.7])
    measured(store, "phone", [1.0, 2.0, None])
    measured(store, "desk", [0.3, 0.1, 0.2], batch_size=None)
    named, other = "latency_ms@the desk", "latency_ms@phone"
    front = store.front(metrics=(named, "val_accuracy"), also=[other])
    assert [dict(row.metrics) for row in front] == [{named: 0.1, other: 2.0}, {named: 0.2}]
    bounded = store.best(Filter(at_most={other: 5.0}), limit=5)
    assert [row.metrics[other] for row in bounded] == [2.0, 1.0]
    listed = store.page(Filter(device="phone"), "latency_ms").rows
    assert [row.metrics.get("latency_ms") for row in listed] == [1.0, 2.0, None]
    cheaper = store.nearest(front[1].evaluation, metrics=(named, "val_accuracy"))
    assert [row.metrics[named] for row in cheaper] == [0.1]
    assert "latency_ms" not in store.models()[0].metrics


def test_what_was_measured_where_and_how_can_be_asked(store):
    networks(store, [0.5])
    assert store.measured() == []
    measured(store, "phone", [1.0])
    measured(store, "phone", [1.0], precision="int8", batch_size=None)
    measured(store, "desk", [1.0])
    how = {"architecture": architecture_row(0).fingerprint, "device": "desk"}
    unclear = [MeasurementRow(metric=name, value=1.0, **how) for name in ("score", "val_accuracy")]
    nowhere = MeasurementRow(metric="energy_j", value=1.0, architecture=how["architecture"])
    store.add_measurements([*unclear, nowhere])
    assert [(m.name, m.device_name) for m in store.measured()] == [
        ("latency_ms@desk", "the desk"),
        ("latency_ms@phone", "the phone"),
    ]
    assert store.ways("latency_ms", "phone") == [
        Way(runtime="torch", precision="fp32", batch_size=1, threads=1),
        Way(runtime="torch", precision="int8", batch_size=None, threads=1),
    ]
    assert store.ways("latency_ms", "nowhere") == []


def test_measurements_made_in_several_ways_are_not_compared(store):
    networks(store, [0.5, 0.6])
    measured(store, "desk", [2.0, 1.0])
    measured(store, "desk", [1.0, 2.0], precision="int8")
    where = Filter(device="desk")
    with pytest.raises(InvalidRequestError, match=r"several of `precision` \('fp32', 'int8'\)"):
        store.front(where, ("latency_ms", "val_accuracy"))
    one = store.front(replace(where, precision="int8"), ("latency_ms", "val_accuracy"))
    assert [row.val_accuracy for row in one] == [0.5, 0.6]
    with pytest.raises(InvalidRequestError, match="known are: desk"):
        store.front(Filter(device="phone"))
