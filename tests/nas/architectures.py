"""Random small networks that use every field of the genotype, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

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

_CHANNELS = st.sampled_from((4, 8, 12, 20))
_KERNELS = st.sampled_from((1, 3, 5, 7))
_STRIDES = st.sampled_from((1, 2))
_ACTIVATIONS = st.sampled_from(Activation)


def _blocks(stride: st.SearchStrategy[int]) -> st.SearchStrategy[Block]:
    return st.builds(
        Block,
        operator=st.sampled_from([o for o in Operator if o is not Operator.IDENTITY]),
        out_channels=_CHANNELS,
        expanded_channels=st.sampled_from((8, 24, 40)),
        kernel_size=_KERNELS,
        stride=stride,
        groups=st.sampled_from((1, 2, 4)),
        activation=_ACTIVATIONS,
        pointwise_activation=st.booleans(),
        squeeze_excitation=st.none()
        | st.builds(
            SqueezeExcitation,
            channels=st.integers(1, 30),
            activation=_ACTIVATIONS,
            gate=st.sampled_from(Gate),
        ),
        skip=st.sampled_from(Skip),
    )


_STAGES = st.builds(
    lambda first, rest: Stage(blocks=(first, *rest)),
    _blocks(_STRIDES),
    st.lists(_blocks(st.just(1)), max_size=2),
)

ARCHITECTURES = st.builds(
    Architecture,
    stem=st.builds(
        Stem, channels=_CHANNELS, kernel_size=_KERNELS, stride=_STRIDES, activation=_ACTIVATIONS
    ),
    stages=st.lists(_STAGES, min_size=1, max_size=3).map(tuple),
    head=st.builds(
        Head,
        channels=st.sampled_from((0, 24)),
        activation=_ACTIVATIONS,
        hidden_channels=st.sampled_from((0, 16)),
        hidden_bias=st.booleans(),
    ),
    resolution=st.integers(1, 40),
    input_channels=st.sampled_from((1, 3)),
    num_classes=st.integers(1, 12),
    dropout=st.sampled_from((0.0, 0.2)),
    drop_connect=st.sampled_from((0.0, 0.5)),
    padding=st.sampled_from(Padding),
)
