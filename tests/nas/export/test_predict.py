"""Predictions need the exported file and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from nas.data.resize import read_picture
from nas.errors import InvalidRequestError
from nas.export import Predictor, load_predictor


@pytest.fixture(scope="module")
def predictor(exports) -> Predictor:
    return load_predictor(exports("safetensors").path)


def test_an_array_is_classified_as_its_file_is(predictor, trained, tmp_path):
    pixels = trained.data.test.images[0]
    Image.fromarray(pixels[:, :, 0]).save(tmp_path / "digit.png")
    from_file, from_array, from_flat = predictor.predict(
        [tmp_path / "digit.png", pixels, pixels[:, :, 0]]
    )
    assert from_file.top5 == from_array.top5 == from_flat.top5
    assert (from_array.path, from_flat.path) == ("array 1", "array 2")


def test_a_grey_picture_saved_in_colour_is_the_same_picture(predictor, trained, tmp_path):
    pixels = trained.data.test.images[0]
    Image.fromarray(pixels.repeat(3, axis=2)).save(tmp_path / "digit.png")
    in_colour, in_grey = predictor.predict([tmp_path / "digit.png", pixels])
    assert in_colour.top5 == in_grey.top5


def test_a_picture_of_another_size_is_first_stretched_as_the_data_set_was(
    predictor, trained, tmp_path
):
    rng = np.random.default_rng(0)
    for i, shape in enumerate(((40, 30), (3, 50), (8, 8), (1, 1))):
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(tmp_path / f"{i}.png")
        stored = read_picture(tmp_path / f"{i}.png", trained.data.source_size, "grey")
        from_file, from_stored = predictor.predict([tmp_path / f"{i}.png", stored])
        assert from_file.top5 == from_stored.top5


def test_the_five_best_come_in_order_and_are_shares(predictor, trained):
    for prediction in predictor.predict(list(trained.data.test.images[:20])):
        shares = [share for _, share in prediction.top5]
        assert len(shares) == 5
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1 + 1e-6
        assert prediction.top5[0] == (prediction.class_name, prediction.probability)


def test_the_batch_size_changes_nothing(predictor, trained):
    images = list(trained.data.test.images[:10])
    for one, all_ in zip(predictor.predict(images, batch_size=3), predictor.predict(images)):
        assert one.class_name == all_.class_name
        assert one.probability == pytest.approx(all_.probability, rel=1e-4)
    assert predictor.predict([]) == []


def test_an_unreadable_image_is_named(predictor, tmp_path):
    broken, text = tmp_path / "broken.png", tmp_path / "notes.txt"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    text.write_text("not a picture")
    for path in (broken, text, tmp_path / "absent.png", tmp_path):
        with pytest.raises(InvalidRequestError, match=f"Image `{path}` must be a picture"):
            predictor.predict([path])
    with pytest.raises(InvalidRequestError, match="Image `array 0`"):
        predictor.predict([np.zeros((8, 8))])


def test_a_file_of_something_else_is_refused(tmp_path):
    from safetensors.numpy import save_file

    Image.new("L", (8, 8)).save(tmp_path / "picture.png")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "first_byte.onnx").write_bytes(b"\x08hello")
    (tmp_path / "header.safetensors").write_bytes((10**15).to_bytes(8, "little") + b"{}")
    save_file({"a": np.zeros(3)}, tmp_path / "foreign.safetensors")
    with zipfile.ZipFile(tmp_path / "foreign.pt2", "w") as archive:
        archive.writestr("archive/data.pkl", "cos\nsystem\n(S'touch owned'\ntR.")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(InvalidRequestError, match=f"`{path}` must be a"):
            load_predictor(path)
    for path in (tmp_path, tmp_path / "absent.onnx"):
        with pytest.raises(InvalidRequestError, match=f"`{path}` must be a file"):
            load_predictor(path)


def test_a_network_of_another_package_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    tensor = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["n", 1])
    out = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["n", 1])
    node = onnx.helper.make_node("Identity", ["image"], ["logits"])
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "foreign", [tensor], [out]),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=10,
    )
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(InvalidRequestError, match="it has no model card"):
        load_predictor(tmp_path / "foreign.onnx")


def test_an_onnx_file_is_run_without_torch(exports, trained, tmp_path):
    Image.fromarray(trained.data.test.images[0][:, :, 0]).save(tmp_path / "digit.png")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from nas.export import load_predictor\n"
        "(p,) = load_predictor(sys.argv[1]).predict(sys.argv[2:])\n"
        "print(p.class_name)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, exports("onnx").path, tmp_path / "digit.png"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() in trained.data.classes
