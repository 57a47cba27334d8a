"""timm's grammar, both ways: timm's own rebuilt model gives our outputs with our weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas.errors import InvalidRequestError
from nas.models.foreign import to_foreign
from nas.models.network import build_model
from nas.models.timm_reader import from_timm
from nas.models.timm_strings import TimmModel, to_timm
from search_spaces.architecture import (
    Activation,
    Architecture,
    Block,
    Gate,
    Head,
    Operator,
    Padding,
    Skip,
    SqueezeExcitation,
    Stage,
    Stem,
)
from search_spaces.published import get_published, published_names
from tests.nas.architectures import ARCHITECTURES
from tests.nas.models.oracle_models import fill
from tests.oracles import import_oracle


def rebuilt_in_timm(model: TimmModel) -> nn.Module:
    """Run the code that we print, which is all that a person of timm has."""
    import_oracle("timm")
    names: dict[str, nn.Module] = {}
    exec(model.to_python(), names)
    return names["model"].eval()


def assert_rebuilt_with_our_outputs(architecture: Architecture) -> None:
    ours = fill(build_model(architecture)).eval()
    theirs = rebuilt_in_timm(to_timm(architecture))
    theirs.load_state_dict(to_foreign(architecture, ours.state_dict(), "timm"))
    x = torch.randn(2, architecture.input_channels, 33, 33)
    with torch.no_grad():
        expected = ours(x)
        difference = (theirs(x) - expected).abs().max()
    # timm's hidden layer is a 1x1 convolution, which sums in another order
    tolerance = 1e-5 * expected.abs().max() if architecture.head.hidden_channels else 0.0
    assert difference <= tolerance


def test_efficientnet_b0_reads_as_timm_writes_it() -> None:
    assert to_timm(get_published("efficientnet_b0")).arch_def == (
        ("ds_r1_k3_s1_c16_se0.25",),
        ("ir_r2_k3_s2_e6_c24_se0.25",),
        ("ir_r2_k5_s2_e6_c40_se0.25",),
        ("ir_r3_k3_s2_e6_c80_se0.25",),
        ("ir_r3_k5_s1_e6_c112_se0.25",),
        ("ir_r4_k5_s2_e6_c192_se0.25",),
        ("ir_r1_k3_s1_e6_c320_se0.25",),
    )


def test_mobilenet_v1_reads_as_timm_writes_it() -> None:
    assert to_timm(get_published("mobilenet_v1")).arch_def == (
        ("dsa_r1_k3_s1_c64",),
        ("dsa_r2_k3_s2_c128",),
        ("dsa_r2_k3_s2_c256",),
        ("dsa_r6_k3_s2_c512",),
        ("dsa_r2_k3_s2_c1024",),
    )


# AttentiveNAS projects its shortcuts, which timm's blocks don't have
_EXPRESSIBLE = [name for name in published_names() if not name.startswith("attentive_nas")]


@pytest.mark.parametrize("name", _EXPRESSIBLE)
def test_published_networks_are_read_back(name: str) -> None:
    architecture = get_published(name)
    model = to_timm(architecture)
    assert from_timm(model) == architecture
    assert TimmModel.from_dict(model.to_dict()) == model


@pytest.mark.parametrize(
    "name",
    [
        "efficientnet_b0",
        "mobilenet_v1_0.25",
        "mobilenet_v2_1.4",
        "mobilenet_v3_large_0.75",
        "mobilenet_v3_small",
        "mnasnet_a1_0.35",
        "tinynet_e",
        "tf_efficientnet_v2_b0",
    ],
)
def test_timms_rebuilt_model_gives_our_outputs(name: str) -> None:
    assert_rebuilt_with_our_outputs(get_published(name))


_ACTIVATIONS = st.sampled_from([a for a in Activation if a is not Activation.NONE])
_CHANNELS = st.sampled_from((3, 8, 10, 16))


@st.composite
def expressible(draw: st.DrawFn) -> Architecture:
    """Networks that timm's grammar has words for, some of them odd."""
    activation = draw(_ACTIVATIONS)
    hidden = draw(st.sampled_from((0, 0, 24)))
    se_activation, gate = draw(_ACTIVATIONS), draw(st.sampled_from(Gate))
    channels = draw(_CHANNELS)
    stem = Stem(channels=channels, activation=activation)
    stages = []
    for _ in range(draw(st.integers(1, 3))):
        blocks = []
        for i in range(draw(st.integers(1, 3))):
            operator = draw(st.sampled_from([o for o in Operator if o is not Operator.IDENTITY]))
            squeezed = operator is not Operator.CONV and draw(st.booleans())
            ends_active = draw(st.booleans())
            skip = Skip.NONE if ends_active else draw(st.sampled_from((Skip.NONE, Skip.IDENTITY)))
            out_channels = draw(_CHANNELS)
            groups = (channels, out_channels, 2)
            divides = operator is Operator.CONV and all(n % 2 == 0 for n in groups)
            blocks.append(
                Block(
                    operator=operator,
                    out_channels=out_channels,
                    expanded_channels=draw(st.sampled_from((8, 16, 24, 40))),
                    kernel_size=draw(st.sampled_from((3, 5))),
                    stride=draw(st.sampled_from((1, 2))) if i == 0 else 1,
                    groups=draw(st.sampled_from((1, 2))) if divides else 1,
                    activation=draw(_ACTIVATIONS),
                    pointwise_activation=ends_active,
                    squeeze_excitation=SqueezeExcitation(
                        channels=draw(st.integers(1, 20)), activation=se_activation, gate=gate
                    )
                    if squeezed
                    else None,
                    skip=skip,
                )
            )
            channels = out_channels
        stages.append(Stage(blocks=tuple(blocks)))
    return Architecture(
        stem=stem,
        stages=tuple(stages),
        head=Head(
            channels=draw(st.sampled_from((0, 20))),
            activation=activation,
            hidden_channels=hidden,
            hidden_bias=draw(st.booleans()),
        ),
        resolution=33,
        input_channels=draw(st.sampled_from((1, 3))),
        num_classes=5,
        drop_connect=0.2,
        padding=draw(st.sampled_from(Padding)),
    )


@given(expressible())
@settings(deadline=None, max_examples=25)
def test_what_can_be_said_is_rebuilt_and_read_back(architecture: Architecture) -> None:
    assert from_timm(to_timm(architecture)) == architecture
    assert_rebuilt_with_our_outputs(architecture)


@given(ARCHITECTURES)
@settings(deadline=None, max_examples=200)
def test_any_network_is_read_back_or_refused_by_name(architecture: Architecture) -> None:
    try:
        model = to_timm(architecture)
    except InvalidRequestError as error:
        refusal = str(error)
    else:
        refusal = ""
        assert from_timm(model) == architecture
    assert not refusal or refusal.startswith("timm's strings cannot express")


def test_timm_drops_whole_blocks_as_often_as_we_do() -> None:
    for name in ("efficientnet_b0", "mobilenet_v3_small"):
        architecture = replace(get_published(name), drop_connect=0.2)
        theirs = rebuilt_in_timm(to_timm(architecture))
        ours = build_model(architecture)
        for stage, blocks in zip(ours.stages, theirs.blocks):
            for block, their_block in zip(stage, blocks):
                dropped = getattr(their_block.drop_path, "drop_prob", 0.0)
                assert 1 - block.survival == pytest.approx(dropped)


def _with_first_block(**changes: object) -> Architecture:
    b0 = get_published("efficientnet_b0")
    first, *rest = b0.stages
    return replace(b0, stages=(Stage(blocks=(replace(first.blocks[0], **changes),)), *rest))


@pytest.mark.parametrize(
    ("architecture", "named"),
    [
        (_with_first_block(skip=Skip.POOL), "the pool skip of block 1 of stage 1"),
        (_with_first_block(skip=Skip.PROJECTION), "the projection skip of block 1 of stage 1"),
        (_with_first_block(groups=2), "the groups of block 1 of stage 1"),
        (_with_first_block(activation=Activation.NONE), "the absent activation of block 1"),
        (_with_first_block(operator=Operator.CONV), "the squeeze-excitation of block 1"),
        (
            _with_first_block(operator=Operator.MBCONV, expanded_channels=100),
            "the 100 expanded channels of block 1 of stage 1",
        ),
        (
            _with_first_block(
                squeeze_excitation=SqueezeExcitation(channels=8, gate="hard_sigmoid")
            ),
            "different gates",
        ),
        (replace(get_published("mobilenet_v2"), stem=Stem(channels=32, stride=1)), "a stem of str"),
        (replace(get_published("mobilenet_v2"), head=Head(channels=8)), "another activation"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(architecture: Architecture, named: str) -> None:
    with pytest.raises(InvalidRequestError, match=named):
        to_timm(architecture)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("uir_r1_k3_s1_e4_c32", "'uir'"),
        ("ir_r1_k3_s1_e6_c32_cc4", "'cc4'"),
        ("ir_r1_k3.5_s1_e6_c32", r"'k3\.5'"),
        ("ir_r1_k3_s1_c32", "token 'e'"),
        ("ds_k3_s1_c32", "token 'r'"),
        ("ir_r1_k3_s1_e6_c32_gs8", "'gs'"),
        ("ds_r9999_k3_s1_c32", "from 1 to 1000"),
    ],
)
def test_strings_without_a_counterpart_are_refused(text: str, named: str) -> None:
    model = replace(to_timm(get_published("efficientnet_b0")), arch_def=((text,),))
    with pytest.raises(InvalidRequestError, match=named):
        from_timm(model)


def test_tokens_that_timm_ignores_are_read() -> None:
    model = to_timm(get_published("efficientnet_b0"))
    first = ("ds_r1_k3_s1_e1_c16_se0.25",)
    assert from_timm(replace(model, arch_def=(first, *model.arch_def[1:]))) == from_timm(model)
