"""Small networks by hand, for the tests of this package."""

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

# expansion, kernel, stride, channels, repeats: Table 1, arXiv:1905.11946
_B0 = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def efficientnet_b0() -> Architecture:
    """EfficientNet-B0 as TensorFlow's code has it, padding apart."""
    stages, in_channels = [], 32
    for expansion, kernel_size, stride, out_channels, repeats in _B0:
        blocks = []
        for i in range(repeats):
            blocks.append(
                Block(
                    operator=Operator.MBCONV if expansion > 1 else Operator.SEPARABLE,
                    out_channels=out_channels,
                    expanded_channels=in_channels * expansion if expansion > 1 else None,
                    kernel_size=kernel_size,
                    stride=stride if i == 0 else 1,
                    squeeze_excitation=SqueezeExcitation(channels=in_channels // 4),
                    skip=Skip.IDENTITY,
                )
            )
            in_channels = out_channels
        stages.append(Stage(blocks=tuple(blocks)))
    return Architecture(
        stem=Stem(channels=32),
        stages=tuple(stages),
        head=Head(channels=1280),
        dropout=0.2,
        drop_connect=0.2,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.01,
    )


def every_field() -> Architecture:
    """A network in which no field has its default."""
    block = Block(
        operator=Operator.MBCONV,
        out_channels=24,
        expanded_channels=72,
        kernel_size=5,
        groups=2,
        activation=Activation.RELU6,
        squeeze_excitation=SqueezeExcitation(
            channels=18, activation=Activation.RELU, gate=Gate.HARD_SIGMOID
        ),
        skip=Skip.PROJECTION,
    )
    separable = Block(
        operator=Operator.SEPARABLE,
        out_channels=32,
        stride=2,
        activation=Activation.RELU,
        pointwise_activation=True,
        skip=Skip.POOL,
    )
    return Architecture(
        stem=Stem(channels=16, kernel_size=5, stride=1, activation=Activation.HARD_SWISH),
        stages=(Stage(blocks=(block,)), Stage(blocks=(separable,))),
        head=Head(channels=64, activation=Activation.RELU, hidden_channels=128, hidden_bias=False),
        resolution=96,
        input_channels=1,
        num_classes=10,
        dropout=0.1,
        drop_connect=0.3,
        batch_norm_eps=1e-3,
        batch_norm_momentum=0.01,
        padding=Padding.SAME,
    )


def mobilenet_v1_start() -> Architecture:
    """The first stages of MobileNetV1, without a head convolution."""
    rows = ((64, 1), (128, 2), (256, 2))
    stages = tuple(
        Stage(
            blocks=(
                Block(
                    operator=Operator.SEPARABLE,
                    out_channels=channels,
                    stride=stride,
                    activation=Activation.RELU,
                    pointwise_activation=True,
                ),
            )
        )
        for channels, stride in rows
    )
    return Architecture(stem=Stem(channels=32, activation=Activation.RELU), stages=stages)
