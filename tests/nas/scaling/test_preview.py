"""What training will take, before it is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.cost import count
from nas.errors import InvalidRequestError
from nas.scaling import (
    Throughput,
    estimate_training_memory,
    family,
    get_rule,
    predict_training_seconds,
    preview,
)
from search_spaces.architecture import Architecture
from search_spaces.published import get_published
from tests.nas.scaling.networks import baselines

B0 = get_published("efficientnet_b0")
SPEED = Throughput(images_per_second=500.0, macs=count(B0).macs)


def test_time_grows_as_macs_images_and_epochs_do() -> None:
    one = predict_training_seconds(count(B0).macs, epochs=1, images=500, throughput=SPEED)
    assert one == pytest.approx(1.0)
    more = predict_training_seconds(
        2 * count(B0).macs, epochs=3, images=1000, throughput=SPEED, devices=4
    )
    assert more == pytest.approx(2 * 3 * 2 / 4)


def test_a_row_for_every_member_in_order() -> None:
    members = family(B0, get_rule("compound"), [2, 0, 1])
    rows = preview(members, batch_size=32, epochs=10, images=50_000, throughput=SPEED, devices=2)
    assert [row.label for row in rows] == ["phi 2", "phi 0", "phi 1"]
    assert [row.costs for row in rows] == [member.costs for member in members]
    baseline = rows[1]
    assert baseline.training_seconds == pytest.approx(10 * 50_000 / 1000)
    assert baseline.gpu_hours == pytest.approx(10 * 50_000 / 500 / 3600)
    assert baseline.training_memory_bytes == estimate_training_memory(B0, 32)


def test_without_a_measured_speed_there_is_no_time() -> None:
    (row,) = preview(family(B0, get_rule("compound"), [1]), batch_size=8)
    assert (row.training_seconds, row.gpu_hours) == (None, None)
    assert row.training_memory_bytes > 0


@pytest.mark.parametrize("baseline", [baselines()[i] for i in (0, 1, 4, 9)])
def test_memory_is_what_autograd_keeps(baseline: Architecture) -> None:
    torch = pytest.importorskip("torch")
    from nas.models.network import build_model

    network = replace(baseline, resolution=64)
    model = build_model(network).train()
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, object] = {}  # holds them, so that no address is used twice

    def keep(tensor):  # type: ignore[no-untyped-def]
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(torch.randn(2, network.input_channels, 64, 64)).sum()
    measured = sum(
        tensor.untyped_storage().nbytes()  # type: ignore[attr-defined]
        for address, tensor in kept.items()
        if address not in own
    )
    per_batch = estimate_training_memory(network, 3) - estimate_training_memory(network, 1)
    assert per_batch == pytest.approx(measured, rel=0.03)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Throughput(images_per_second=0.0, macs=1),
        lambda: predict_training_seconds(1, epochs=0, images=1, throughput=SPEED),
        lambda: predict_training_seconds(1, epochs=1, images=1, throughput=SPEED, devices=0),
        lambda: estimate_training_memory(B0, 0),
    ],
)
def test_a_senseless_setting_is_refused(wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidRequestError, match="must be"):
        wrong()
