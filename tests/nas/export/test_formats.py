"""What every export format promises."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas.data.batches import InMemory, Preprocessing
from nas.errors import InvalidRequestError, NasError
from nas.export import (
    FORMATS,
    TOLERANCE,
    Exported,
    Predictor,
    export_model,
    load_predictor,
    make_card,
)
from nas.models.network import build_model
from search_spaces.architecture import Architecture
from search_spaces.spaces import SPACES
from tests.nas.export.conftest import Known, untrained


def export(known: Known, folder: Path, format: str, **changes) -> Exported:
    arguments = {
        "architecture": known.architecture,
        "state_dict": known.state,
        "card": known.card,
        "directory": folder,
        "format": format,
        "samples": known.data.test.images[:20],
    }
    return export_model(**(arguments | changes))


class FormatContract:
    """Promises of a format; subclasses name it."""

    format: str

    @pytest.fixture
    def exported(self, exports) -> Exported:
        return exports(self.format)

    @pytest.fixture
    def predictor(self, exported: Exported) -> Predictor:
        return load_predictor(exported.path)

    def test_the_file_answers_as_the_network_does(self, exported):
        assert 0 <= exported.largest_relative_difference <= TOLERANCE
        assert exported.images == 20

    def test_one_file_and_its_architecture_are_left(self, exported, trained):
        left = sorted(path.name for path in exported.path.parent.iterdir())
        name = trained.architecture.fingerprint[:12]
        assert left == sorted([f"{name}.architecture.json", name + FORMATS[self.format].suffix])
        text = exported.architecture_path.read_text()
        assert Architecture.from_json(text) == trained.architecture
        assert "\n  " in text

    def test_hash_and_size_are_those_of_the_file(self, exported):
        content = exported.path.read_bytes()
        assert exported.sha256 == hashlib.sha256(content).hexdigest()
        assert exported.size_bytes == len(content)

    def test_the_file_carries_what_deploying_needs(self, predictor, trained):
        assert predictor.format == self.format
        assert predictor.card == trained.card
        assert predictor.model.architecture == trained.architecture

    def test_any_batch_gives_the_logits_of_the_network(self, predictor, trained):
        model = build_model(trained.architecture).eval()
        model.load_state_dict(trained.state)
        prepare = Preprocessing.of(trained.data, trained.card.resolution)
        for size in (1, 2, 3, 64):
            ((images, _), *_) = InMemory(trained.data.val, torch.device("cpu")).in_order(size)
            inputs = prepare(images)
            with torch.inference_mode():
                expected = model(inputs).numpy()
            logits = predictor.model.run(np.ascontiguousarray(inputs.numpy()))
            assert np.abs(logits - expected).max() <= TOLERANCE * np.abs(expected).max()

    def test_pictures_are_classified_as_the_pipeline_does(self, predictor, trained, tmp_path):
        test = trained.data.test
        files = [tmp_path / f"{i}.png" for i in range(len(test))]
        for file, pixels in zip(files, test.images):
            Image.fromarray(pixels[:, :, 0]).save(file)
        predictions = predictor.predict(files)
        right = [
            p.class_name == trained.data.classes[label]
            for p, label in zip(predictions, test.labels)
        ]
        assert np.mean(right) == pytest.approx(trained.accuracy, abs=1e-9)
        assert trained.accuracy > 0.8
        assert [p.path for p in predictions] == [str(file) for file in files]

    def test_a_truncated_file_is_refused(self, exported, tmp_path):
        content = exported.path.read_bytes()
        damaged = tmp_path / exported.path.name
        for length in (0, 1, 9, 100, len(content) // 2, len(content) - 10):
            damaged.write_bytes(content[:length])
            with pytest.raises(InvalidRequestError, match="must be a"):
                load_predictor(damaged)

    def test_a_file_with_a_damaged_beginning_is_refused(self, exported, tmp_path):
        content = exported.path.read_bytes()
        damaged = tmp_path / exported.path.name
        damaged.write_bytes(content[:12] + bytes(200) + content[212:])
        with pytest.raises(InvalidRequestError, match="must be a"):
            load_predictor(damaged)

    def test_the_content_tells_the_format_not_the_name(self, exported, tmp_path):
        renamed = tmp_path / "model"
        renamed.write_bytes(exported.path.read_bytes())
        assert load_predictor(renamed).format == self.format

    def test_a_file_with_one_wrong_weight_is_not_left(
        self, exported, trained, tmp_path, monkeypatch
    ):
        """What is written are the trained weights; what was asked for has one bias off."""

        def write_another(path, model, architecture, card):
            shutil.copy(exported.path, path)

        broken = replace(FORMATS[self.format], write=write_another)
        monkeypatch.setitem(FORMATS, self.format, broken)
        state = {name: value.clone() for name, value in trained.state.items()}
        state["head.classifier.bias"][0] += 0.01
        with pytest.raises(NasError, match=r"within 0\.0001 .*no file was left") as failure:
            export(trained, tmp_path, self.format, state_dict=state)
        assert not isinstance(failure.value, InvalidRequestError)
        assert not list(tmp_path.iterdir())


class TestSafetensors(FormatContract):
    format = "safetensors"

    def test_weights_of_a_shape_that_is_not_the_architecture_s_are_refused(
        self, exported, tmp_path
    ):
        from safetensors import safe_open
        from safetensors.torch import load_file, save_file

        tensors = load_file(exported.path)
        with safe_open(exported.path, framework="pt") as file:
            metadata = file.metadata()
        tensors["head.classifier.bias"] = torch.zeros(11)
        save_file(tensors, tmp_path / "wrong.safetensors", metadata=metadata)
        with pytest.raises(InvalidRequestError, match="must be a safetensors file"):
            load_predictor(tmp_path / "wrong.safetensors")


class TestTorchProgram(FormatContract):
    format = "torch"


class TestOnnx(FormatContract):
    format = "onnx"

    def test_standard_fields_say_what_goes_in_and_out(self, exported):
        import onnx

        model = onnx.load(exported.path)
        onnx.checker.check_model(model, full_check=True)
        assert [entry.version for entry in model.opset_import if entry.domain == ""] == [18]
        (image,), (logits,) = model.graph.input, model.graph.output
        assert (image.name, logits.name) == ("image", "logits")
        assert [d.dim_value for d in image.type.tensor_type.shape.dim] == [0, 1, 12, 12]
        assert image.type.tensor_type.shape.dim[0].dim_param


def test_every_format_has_its_contract():
    tested = {c.format for c in FormatContract.__subclasses__()}
    assert tested == set(FORMATS)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("space", SPACES)
def test_networks_of_every_space_are_exported(space, format, digits, tmp_path):
    for seed in range(2 if format == "safetensors" else 1):  # tracing takes seconds
        architecture, state = untrained(space, seed, digits)
        exported = export_model(
            architecture,
            state,
            make_card(architecture, digits),
            tmp_path,
            format,
            digits.test.images[:8],
        )
        assert exported.largest_relative_difference <= TOLERANCE


Break = Callable[[Known], dict[str, object]]
WRONG: dict[str, tuple[Break, str]] = {
    "another network's card": (
        lambda k: {"card": replace(k.card, fingerprint="0" * 32)},
        "must be of architecture",
    ),
    "a card with too few classes": (
        lambda k: {"card": replace(k.card, classes=k.card.classes[:9])},
        "must have 10 classes",
    ),
    "images of another size": (
        lambda k: {"samples": np.zeros((3, 9, 8, 1), np.uint8)},
        "uint8 images of N x 8 x 8 x 1, but got uint8 of 3 x 9 x 8 x 1",
    ),
    "images as floats": (lambda k: {"samples": np.zeros((3, 8, 8, 1))}, "but got float64"),
    "no images": (lambda k: {"samples": np.zeros((0, 8, 8, 1), np.uint8)}, "but got uint8 of 0"),
    "weights missing": (
        lambda k: {"state_dict": {n: v for n, v in k.state.items() if "classifier" not in n}},
        "weights must be those of architecture",
    ),
    "a weight of another shape": (
        lambda k: {"state_dict": k.state | {"head.classifier.bias": torch.zeros(3)}},
        "weights must be those of architecture",
    ),
    "an unknown format": (
        lambda k: {"format": "tflite"},
        "Unknown format 'tflite'. Available: onnx, safetensors, torch.",
    ),
    "a name that leaves the folder": (lambda k: {"name": "../mine"}, "must be a plain file name"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_request_is_refused_and_leaves_nothing(case, trained, tmp_path):
    changes, message = WRONG[case]
    with pytest.raises(InvalidRequestError, match=message):
        export(trained, tmp_path / "inner", **{"format": "safetensors"} | changes(trained))
    assert not list(tmp_path.rglob("*.*"))


def test_a_network_that_answers_nan_is_not_exported(trained, tmp_path):
    broken = trained.state | {"head.classifier.bias": torch.full((10,), float("nan"))}
    with pytest.raises(NasError, match="no file was left"):
        export(trained, tmp_path, "safetensors", state_dict=broken)
    assert not list(tmp_path.iterdir())


def test_exporting_again_replaces_the_file(trained, tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_text("old")
    assert export(trained, tmp_path, "safetensors", name="mine").path == path
    assert load_predictor(path).card == trained.card


def test_one_image_is_enough_to_prove_that_the_batch_is_free(trained, tmp_path):
    exported = export(trained, tmp_path, "safetensors", samples=trained.data.test.images[:1])
    assert exported.images == 1


def test_a_missing_extra_is_named_with_the_command_that_installs_it(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(
        InvalidRequestError, match=r'needs onnxscript\..*pip install "nas-scale\[onnx\]"'
    ):
        export(trained, tmp_path, "onnx")


def test_a_folder_that_cannot_be_made_is_refused(trained, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRequestError, match="must be one that can be written to"):
        export(trained, tmp_path / "file" / "inner", "safetensors")
