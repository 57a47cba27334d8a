"""Weights move both ways, and the other project's own model gives the same numbers."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from nas.errors import InvalidRequestError
from nas.models.foreign import import_weights, load_foreign, to_foreign, with_settings_of
from nas.models.layouts import Layout, detect_layout, module_names
from nas.models.network import Network, build_model
from nas.models.weight_files import read_weights, write_weights
from search_spaces.architecture import Architecture, Head, Skip, Stage
from search_spaces.published import get_published
from tests.nas.models.oracle_models import fill, timm_model, torchvision_model

# their name -> ours
TORCHVISION = {
    "efficientnet_b0": "efficientnet_b0",
    "efficientnet_b1": "efficientnet_b1",
    "efficientnet_b5": "efficientnet_b5",
    "efficientnet_v2_s": "efficientnet_v2_s",
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v3_large": "mobilenet_v3_large",
    "mobilenet_v3_small": "mobilenet_v3_small",
    "mnasnet1_0": "mnasnet_b1",
}
TIMM = {
    "efficientnet_b0": "efficientnet_b0",
    "efficientnet_lite0": "efficientnet_lite0",
    "efficientnetv2_s": "efficientnet_v2_s",
    "mobilenetv1_100": "mobilenet_v1",
    "mobilenetv2_140": "mobilenet_v2_1.4",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "mobilenetv3_small_075": "mobilenet_v3_small_0.75",
    "mnasnet_100": "mnasnet_b1",
    "semnasnet_075": "mnasnet_a1_0.75",
    "mnasnet_small": "mnasnet_small",
    "tinynet_d": "tinynet_d",
    "tf_efficientnet_b0": "tf_efficientnet_b0",
    "tf_efficientnet_lite1": "tf_efficientnet_lite1",
    "tf_efficientnetv2_b3": "tf_efficientnet_v2_b3",
    "tf_mobilenetv3_small_100": "tf_mobilenet_v3_small",
}


def assert_same_outputs(ours: Network, theirs: nn.Module, tolerance: float = 0.0) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        # an odd and an even size, where "same" padding differs from torch's
        for size in (33, 64):
            x = torch.randn(2, 3, size, size, generator=generator)
            expected = theirs(x)
            assert expected.std() > 1e-3
            assert (ours(x) - expected).abs().max() <= tolerance * expected.abs().max()


def imported(name: str, theirs: nn.Module) -> Network:
    """Our network with their weights and their project's settings."""
    architecture = get_published(name)
    state = load_foreign(architecture, theirs.state_dict())
    architecture = with_settings_of(architecture, detect_layout(theirs.state_dict()))
    with torch.device("meta"):
        network = Network(architecture)
    network.load_state_dict(state, assign=True)
    return network.eval()


def assert_settings(ours: Network, theirs: nn.Module) -> None:
    norm = next(m for m in theirs.modules() if isinstance(m, nn.BatchNorm2d))
    assert ours.architecture.batch_norm_eps == norm.eps
    assert ours.architecture.batch_norm_momentum == norm.momentum


def assert_written_back(ours: Network, theirs: nn.Module, layout: str) -> None:
    state = to_foreign(ours.architecture, ours.state_dict(), layout)
    expected = theirs.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)


@pytest.mark.parametrize(("their_name", "name"), TORCHVISION.items(), ids=TORCHVISION)
def test_torchvisions_models_give_the_same_numbers(their_name: str, name: str) -> None:
    theirs = torchvision_model(their_name)
    ours = imported(name, theirs)
    assert_settings(ours, theirs)
    assert_same_outputs(ours, theirs)
    assert_written_back(ours, theirs, "torchvision")


@pytest.mark.parametrize(("their_name", "name"), TIMM.items(), ids=TIMM)
def test_timms_models_give_the_same_numbers(their_name: str, name: str) -> None:
    theirs = timm_model(their_name)
    ours = imported(name, theirs)
    assert_settings(ours, theirs)
    # timm's hidden layer is a 1x1 convolution, which sums in another order than a linear layer
    assert_same_outputs(ours, theirs, 1e-5 if ours.architecture.head.hidden_channels else 0.0)
    assert_written_back(ours, theirs, "timm")


def test_settings_of_every_efficientnet_in_torchvision() -> None:
    for i in range(8):
        name = f"efficientnet_b{i}"
        ours = with_settings_of(get_published(name), Layout.TORCHVISION)
        assert (ours.batch_norm_eps, ours.batch_norm_momentum) == (
            (1e-5, 0.1) if i < 5 else (1e-3, 0.01)
        )


def test_lukemelas_names_of_a_b0() -> None:
    # the names of EfficientNet-PyTorch's own B0, in its order; there is no oracle to build it
    b0 = get_published("efficientnet_b0")
    with torch.device("meta"):
        names = list(to_foreign(b0, Network(b0).state_dict(), "lukemelas"))
    assert len(names) == 360
    assert len([name for name in names if "num_batches" not in name]) == 311
    for expected in (
        "_conv_stem.weight",
        "_bn0.running_var",
        "_blocks.0._depthwise_conv.weight",
        "_blocks.0._bn2.weight",
        "_blocks.1._expand_conv.weight",
        "_blocks.15._se_expand.bias",
        "_conv_head.weight",
        "_bn1.bias",
        "_fc.bias",
    ):
        assert expected in names
    assert not any(name.startswith("_blocks.0._expand_conv") for name in names)


@pytest.mark.parametrize("layout", ["torchvision", "timm", "lukemelas"])
def test_weights_come_back_from_every_layout(layout: str) -> None:
    b0 = get_published("efficientnet_b0")
    state = fill(build_model(b0)).state_dict()
    again = load_foreign(b0, to_foreign(b0, state, layout))
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)


def test_lukemelas_weights_bring_tensorflows_padding() -> None:
    settings = with_settings_of(get_published("efficientnet_b0"), Layout.LUKEMELAS)
    assert settings == get_published("tf_efficientnet_b0")


@pytest.fixture(scope="module")
def tiny() -> Architecture:
    return get_published("mobilenet_v1_0.25_128")


@pytest.fixture(scope="module")
def tiny_state(tiny: Architecture) -> dict[str, torch.Tensor]:
    return fill(build_model(tiny)).state_dict()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_files_of_weights_are_read_back(suffix, tmp_path: Path, tiny, tiny_state) -> None:
    file = tmp_path / f"weights{suffix}"
    write_weights(to_foreign(tiny, tiny_state, "timm"), file)
    architecture, state = import_weights(file, tiny)
    assert architecture == with_settings_of(tiny, Layout.TIMM)
    assert all(torch.equal(state[name], tiny_state[name]) for name in tiny_state)
    assert os.listdir(tmp_path) == [file.name]


def test_a_checkpoint_of_parallel_training_is_read(tmp_path: Path, tiny, tiny_state) -> None:
    file = tmp_path / "last.pth"
    theirs = to_foreign(tiny, tiny_state, "timm")
    half = {
        f"module.{name}": t.half() if t.is_floating_point() else t for name, t in theirs.items()
    }
    torch.save({"epoch": 3, "state_dict": half}, file)
    _, state = import_weights(file, tiny)
    assert all(t.dtype in (torch.float32, torch.int64) for t in state.values())


def test_counters_of_batches_may_be_absent(tiny, tiny_state) -> None:
    theirs = to_foreign(tiny, tiny_state, "timm")
    bare = {name: t for name, t in theirs.items() if "num_batches" not in name}
    state = load_foreign(tiny, bare)
    build_model(tiny).load_state_dict(state)


class Malicious:
    def __reduce__(self):
        return (os.mkdir, ("/tmp/this_must_not_appear",))


def test_a_pickle_that_needs_code_is_refused_and_not_run(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save({"stem": Malicious()}, file)
    with pytest.raises(InvalidRequestError, match="mkdir") as refusal:
        read_weights(file)
    assert not Path("/tmp/this_must_not_appear").exists()
    assert "\n" not in str(refusal.value)


def test_a_pickled_module_is_refused_with_its_class(tmp_path: Path, tiny) -> None:
    file = tmp_path / "model.pt"
    torch.save(build_model(tiny), file)
    with pytest.raises(InvalidRequestError, match=r"Network.*state_dict"):
        read_weights(file)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04broken", b"\x80\x02broken", b"\x10\0\0\0\0\0\0\0{nothing"]
)
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(content)
    with pytest.raises(InvalidRequestError) as refusal:
        read_weights(file)
    assert "\n" not in str(refusal.value)


def test_what_holds_no_tensors_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    torch.save({"accuracy": 0.5}, file)
    with pytest.raises(InvalidRequestError, match="accuracy"):
        read_weights(file)
    with pytest.raises(InvalidRequestError, match=r"no file.*absent\.pt"):
        read_weights(tmp_path / "absent.pt")
    with pytest.raises(InvalidRequestError, match=r"\.safetensors, \.pt or \.pth"):
        write_weights({}, tmp_path / "weights.bin")


def test_weights_of_another_network_are_refused_by_name(tiny, tiny_state) -> None:
    theirs = to_foreign(tiny, tiny_state, "timm")
    with pytest.raises(InvalidRequestError, match=r"`classifier\.weight`.*\(10, 256\).*\(1000, "):
        load_foreign(replace(tiny, num_classes=10), theirs)
    with pytest.raises(InvalidRequestError, match=r"must hold `conv_head\.weight`"):
        load_foreign(replace(tiny, head=Head(channels=64)), theirs)
    with pytest.raises(InvalidRequestError, match="names of torchvision, timm"):
        load_foreign(tiny, {"weight": torch.zeros(1)})
    extra = {**theirs, "blocks.0.0.bn9.weight": torch.zeros(1)}
    with pytest.raises(InvalidRequestError, match="bn9"):
        load_foreign(tiny, extra)


def test_what_a_layout_has_no_place_for_is_refused() -> None:
    v3 = get_published("mobilenet_v3_large")
    with pytest.raises(InvalidRequestError, match="hidden layer"):
        module_names(v3, Layout.LUKEMELAS)
    v2 = get_published("efficientnet_v2_s")
    with pytest.raises(InvalidRequestError, match="conv block"):
        module_names(v2, Layout.LUKEMELAS)
    with pytest.raises(InvalidRequestError, match="must be one of torchvision, timm, lukemelas"):
        to_foreign(v2, {}, "keras")
    first = v2.stages[1].blocks[0]
    projected = replace(
        v2, stages=(v2.stages[0], Stage(blocks=(replace(first, skip=Skip.PROJECTION),)))
    )
    with pytest.raises(InvalidRequestError, match="projection skip"):
        module_names(projected, Layout.TIMM)
