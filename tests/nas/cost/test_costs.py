"""Exact costs: golden numbers, and hooks on the built model that agree to the unit."""

from __future__ import annotations

import csv
import re
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from nas.cost import COST_METRICS, count, count_layers, count_many, count_stages
from search_spaces.architecture import Architecture
from search_spaces.published import get_published, published_names
from search_spaces.spaces import SPACES
from tests.nas.architectures import ARCHITECTURES
from tests.nas.cost.twins import build_on_meta, hooks, live_memory_bytes


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("efficientnet_b0", 5_288_548, 385_814_752),
        ("mobilenet_v1", 4_231_976, 568_740_352),
        ("mobilenet_v2", 3_504_872, 300_774_272),
    ],
)
def test_counts_of_known_networks(name: str, parameters: int, macs: int) -> None:
    costs = count(get_published(name))
    assert (costs.parameters, costs.macs) == (parameters, macs)


def assert_counted_as_built(architecture: Architecture) -> None:
    model = build_on_meta(architecture)
    with hooks(model) as (macs, activations):
        memory_bytes = live_memory_bytes(model)
    costs = count(architecture)
    assert costs.macs == sum(macs.values())
    assert costs.activations == sum(activations.values())
    assert costs.parameters == sum(p.numel() for p in model.parameters())
    assert costs.memory_bytes == memory_bytes
    layers = {layer.name: layer for layer in count_layers(architecture)}
    assert {name: layers[name].macs for name in macs} == macs
    for name, module in model.named_modules():
        own = sum(p.numel() for p in module.parameters(recurse=False))
        if own:
            assert layers[name].parameters == own


@given(ARCHITECTURES)
@settings(deadline=None, max_examples=30)
def test_the_built_model_agrees_to_the_unit(architecture: Architecture) -> None:
    assert_counted_as_built(architecture)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_the_built_model_agrees_in_every_space(space) -> None:
    rng = np.random.default_rng(0)
    for _ in range(2):
        assert_counted_as_built(space.sample(rng))


@given(ARCHITECTURES)
@settings(deadline=None, max_examples=20)
def test_layers_and_stages_add_up_to_the_whole(architecture: Architecture) -> None:
    whole, layers = count(architecture), count_layers(architecture)
    stages = count_stages(architecture).values()
    for metric in ("macs", "parameters", "activations"):
        assert sum(getattr(layer, metric) for layer in layers) == getattr(whole, metric)
        assert sum(getattr(stage, metric) for stage in stages) == getattr(whole, metric)
    assert max(stage.memory_bytes for stage in stages) <= whole.memory_bytes


def test_many_are_counted_like_one() -> None:
    rng = np.random.default_rng(1)
    networks = [space.sample(rng) for space in SPACES.values() for _ in range(20)]
    table = count_many(networks)
    assert len(table) == len(networks)
    assert [table[i] for i in range(len(table))] == [count(network) for network in networks]
    assert all(getattr(table, metric).dtype == np.int64 for metric in COST_METRICS)
    assert len(count_many([])) == 0


def test_doubling_resolution_quadruples_convolution_macs() -> None:
    small = replace(get_published("mobilenet_v1"), resolution=128)
    large = replace(small, resolution=256)
    classifier = 1024 * 1000
    assert count(large).macs - classifier == 4 * (count(small).macs - classifier)


def test_memory_of_a_b0_by_hand() -> None:
    # the widest moment is the expansion to 96 channels at 112 x 112: batch-norm or activation
    # reads one such tensor and writes another
    peak = 2 * 96 * 112 * 112
    statistics = 42_016
    costs = count(get_published("efficientnet_b0"))
    assert costs.memory_bytes == 4 * (peak + costs.parameters + statistics)


def test_costs_are_listed_by_name() -> None:
    costs = count(get_published("efficientnet_b0"))
    assert tuple(getattr(costs, metric) for metric in COST_METRICS) == astuple(costs)


def _public_measurements() -> list[dict[str, str]]:
    for folder in Path(__file__).resolve().parents:
        file = folder.parent / "shared" / "reference" / "published_models.csv"
        if file.is_file():
            with file.open(newline="") as lines:
                return list(csv.DictReader(lines))
    return []


def _our_name(timm_name: str) -> str:
    name = timm_name.removeprefix("tf_").replace("semnasnet", "mnasnet_a1")
    name = re.sub(r"(mobilenet|efficientnet)(v\d)", r"\1_\2", name)
    name = re.sub(r"^mnasnet(?=_\d)", "mnasnet_b1", name)
    return re.sub(r"_(\d{3})$", lambda m: f"_{int(m[1]) / 100:g}", name).removesuffix("_1")


def test_activations_and_parameters_agree_with_a_public_table() -> None:
    rows = _public_measurements()
    if not rows:
        pytest.skip("the table of published models is not on this machine")
    checked = 0
    for row in rows:
        name = _our_name(row["arch"])
        if name not in published_names() or not row["macts"]:
            continue
        costs = count(replace(get_published(name), resolution=int(row["img_size"])))
        assert f"{costs.activations / 1e6:.2f}" == f"{float(row['macts']):.2f}", name
        assert f"{costs.parameters / 1e6:.2f}" == f"{float(row['param_count']):.2f}", name
        checked += 1
    assert checked > 70
