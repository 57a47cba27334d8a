"""The built module: its shapes, its weights at the start, and the ways that it can run."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from nas.models.blocks import SameConv2d, drop_connect
from nas.models.network import build_model
from search_spaces.architecture import (
    Activation,
    Architecture,
    Block,
    Head,
    Operator,
    Padding,
    Skip,
    SqueezeExcitation,
    Stage,
    Stem,
)
from search_spaces.published import get_published
from search_spaces.spaces import SPACES
from tests.nas.architectures import ARCHITECTURES
from tests.search_spaces.examples import every_field


def images(architecture: Architecture, n: int = 2) -> torch.Tensor:
    size = architecture.resolution
    return torch.randn(n, architecture.input_channels, size, size)


@pytest.fixture(scope="module")
def small() -> Architecture:
    rng = np.random.default_rng(3)
    return SPACES["small_images"].sample(rng)


@given(ARCHITECTURES)
@settings(deadline=None, max_examples=20)
def test_any_network_trains_and_answers_for_each_class(architecture: Architecture) -> None:
    model = build_model(architecture)
    # a batch-norm needs two numbers a channel, which two images give at any size
    logits = model(images(architecture))
    assert logits.shape == (2, architecture.num_classes)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.eval()
    with torch.no_grad():
        assert torch.isfinite(model(images(architecture))).all()


@pytest.mark.parametrize("name", ["small", "every_field"])
def test_an_exported_program_gives_the_same_for_any_batch(name: str, small: Architecture) -> None:
    architecture = small if name == "small" else every_field()
    model = build_model(architecture).eval()
    program = torch.export.export(
        model, (images(architecture),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    for n in (1, 5):
        x = images(architecture, n)
        with torch.no_grad():
            torch.testing.assert_close(program.module()(x), model(x))


def test_channels_last_changes_no_answer(small: Architecture) -> None:
    model, x = build_model(small).eval(), images(small)
    with torch.no_grad():
        expected = model(x)
        model = model.to(memory_format=torch.channels_last)
        got = model(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_autocast_trains_in_bfloat16(small: Architecture) -> None:
    model, x = build_model(small), images(small)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x)
        loss = nn.functional.cross_entropy(logits, torch.zeros(2, dtype=torch.long))
    assert logits.dtype is torch.bfloat16
    loss.backward()
    assert all(p.grad is not None and p.grad.dtype is torch.float32 for p in model.parameters())


def test_convolutions_start_with_the_variance_that_their_fan_out_asks_for() -> None:
    torch.manual_seed(0)
    checked = 0
    for module in build_model(get_published("efficientnet_b0")).modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 5_000:
            fan_out = module.kernel_size[0] ** 2 * module.out_channels / module.groups
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.05)
            checked += 1
    assert checked > 40


def test_the_classifier_starts_uniform_within_the_root_of_its_outputs() -> None:
    torch.manual_seed(0)
    classifier = build_model(get_published("mobilenet_v2")).head.classifier
    bound = 1 / math.sqrt(1000)
    assert classifier.weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert classifier.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert not classifier.bias.any()


def test_drop_connect_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    dropped = drop_connect(torch.ones(4_000, 2, 3, 3), survival=0.75)
    kept = dropped.flatten(1).amax(1)
    assert torch.equal(dropped, kept[:, None, None, None].expand_as(dropped))
    assert sorted(set(kept.tolist())) == [0.0, pytest.approx(1 / 0.75)]
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.04)


def test_drop_connect_grows_along_the_network() -> None:
    # EfficientNet-B0: block i of 16 is dropped with 0.2 * i / 16, at most 0.1875
    model = build_model(get_published("efficientnet_b0"))
    survival = [block.survival for stage in model.stages for block in stage]
    assert survival == pytest.approx([1 - 0.2 * i / 16 for i in range(16)])


def test_answers_are_the_same_every_time_outside_training() -> None:
    architecture = every_field()
    model, x = build_model(architecture).eval(), images(every_field())
    with torch.no_grad():
        assert torch.equal(model(x), model(x))


@pytest.mark.parametrize(("size", "left", "right"), [(6, 0, 1), (7, 1, 1)])
def test_same_padding_is_uneven_on_even_sizes(size: int, left: int, right: int) -> None:
    conv = SameConv2d(1, 1, 3, stride=2, bias=False)
    x = torch.randn(1, 1, size, size)
    padded = nn.functional.pad(x, (left, right, left, right))
    assert torch.equal(conv(x), nn.functional.conv2d(padded, conv.weight, stride=2))


def test_both_paddings_agree_on_odd_sizes_only() -> None:
    def network(padding: Padding) -> nn.Module:
        torch.manual_seed(0)
        block = Block(operator=Operator.SEPARABLE, out_channels=8, kernel_size=5, stride=2)
        stages = (Stage(blocks=(block,)),)
        return build_model(
            Architecture(stem=Stem(channels=8), stages=stages, resolution=33, padding=padding)
        ).eval()

    ours, theirs = network(Padding.TORCH), network(Padding.SAME)
    with torch.no_grad():
        odd, even = torch.randn(1, 3, 33, 33), torch.randn(1, 3, 32, 32)
        torch.testing.assert_close(ours(odd), theirs(odd))
        assert not torch.allclose(ours(even), theirs(even))


def _one_block(block: Block, channels: int) -> nn.Module:
    network = Architecture(
        stem=Stem(channels=channels, stride=1), stages=(Stage(blocks=(block,)),), head=Head()
    )
    return build_model(network).eval().stages[0][0]


@pytest.mark.parametrize("out_channels", [2, 4, 6])
def test_a_pool_skip_adds_the_average_on_the_channels_that_both_have(out_channels: int) -> None:
    block = Block(operator=Operator.SEPARABLE, out_channels=out_channels, stride=2, skip=Skip.POOL)
    module, x = _one_block(block, channels=4), torch.ones(1, 4, 6, 6)
    with torch.no_grad():
        added = module(x) - module.body(x)
    common = min(4, out_channels)
    torch.testing.assert_close(added[:, :common], torch.ones(1, common, 3, 3))
    assert not added[:, common:].any()


def test_a_projection_skip_averages_and_projects() -> None:
    block = Block(operator=Operator.SEPARABLE, out_channels=6, stride=2, skip=Skip.PROJECTION)
    module, x = _one_block(block, channels=4), torch.randn(1, 4, 6, 6)
    with torch.no_grad():
        pooled = x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))
        expected = module.body(x) + nn.functional.conv2d(pooled, module.shortcut.conv.weight)
        torch.testing.assert_close(module(x), expected)


def test_channels_of_each_group_reach_every_group() -> None:
    block = Block(operator=Operator.MBCONV, out_channels=4, expanded_channels=6, groups=2)
    shuffle = _one_block(block, channels=4).body.shuffle
    numbered = torch.arange(6.0)[None, :, None, None]
    assert shuffle(numbered).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_squeeze_excitation_multiplies_by_its_gate() -> None:
    block = Block(
        operator=Operator.SEPARABLE,
        out_channels=4,
        squeeze_excitation=SqueezeExcitation(channels=2, activation=Activation.RELU),
    )
    excite, x = _one_block(block, channels=4).body.squeeze_excitation, torch.randn(2, 4, 5, 5)
    with torch.no_grad():
        means = x.flatten(2).mean(2)
        hidden = torch.relu(means @ excite.reduce.weight[:, :, 0, 0].T + excite.reduce.bias)
        gate = torch.sigmoid(hidden @ excite.expand.weight[:, :, 0, 0].T + excite.expand.bias)
        torch.testing.assert_close(excite(x), x * gate[:, :, None, None])
