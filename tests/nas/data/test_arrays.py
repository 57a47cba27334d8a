"""Reading .npz files, and what is wrong with those that can't be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from nas.data import DataSpec, load_data
from nas.errors import InvalidRequestError
from tests.nas.data.conftest import Arrays

SaveNpz = Callable[[Arrays], str]


def test_grey_and_rgb_are_read_with_and_without_a_channel_axis(
    arrays: Arrays, save_npz: SaveNpz
) -> None:
    flat = load_data(DataSpec(source=save_npz(arrays)))
    deep = {k: v[..., None] if k[0] == "x" else v for k, v in arrays.items()}
    assert load_data(DataSpec(source=save_npz(deep))).content_hash == flat.content_hash
    assert (flat.channels, flat.source_size) == (1, (5, 4))
    rgb = {k: np.repeat(v[..., None], 3, -1) if k[0] == "x" else v for k, v in arrays.items()}
    assert load_data(DataSpec(source=save_npz(rgb))).channels == 3


def test_compression_and_key_order_change_no_hash(
    arrays: Arrays, save_npz: SaveNpz, tmp_path: Path
) -> None:
    np.savez_compressed(tmp_path / "other.npz", **dict(reversed(arrays.items())))
    other = load_data(DataSpec(source=str(tmp_path / "other.npz")))
    assert other.content_hash == load_data(DataSpec(source=save_npz(arrays))).content_hash


def test_without_classes_the_distinct_labels_are_the_classes(
    arrays: Arrays, save_npz: SaveNpz
) -> None:
    del arrays["classes"]
    arrays["y_train"], arrays["y_test"] = arrays["y_train"] * 10 + 5, arrays["y_test"] * 10 + 5
    data = load_data(DataSpec(source=save_npz(arrays)))
    assert data.classes == ("5", "15", "25")
    assert np.array_equal(data.test.labels, np.arange(6) % 3)


def test_labels_in_one_column_are_read(arrays: Arrays, save_npz: SaveNpz) -> None:
    arrays["y_train"] = arrays["y_train"][:, None].astype(np.uint8)
    assert load_data(DataSpec(source=save_npz(arrays))).train.labels.ndim == 1


def test_arrays_of_other_names_are_noted(arrays: Arrays, save_npz: SaveNpz) -> None:
    data = load_data(DataSpec(source=save_npz(arrays | {"x_vall": np.zeros(3)})))
    assert any("`x_vall`" in note for note in data.notes)


def test_a_part_that_lacks_a_class_is_noted(arrays: Arrays, save_npz: SaveNpz) -> None:
    arrays["y_test"] = np.zeros(6, np.int64)
    data = load_data(DataSpec(source=save_npz(arrays)))
    assert any("test part has no image of 2 classes" in note for note in data.notes)


NAN = np.full((12, 5, 4), np.nan, np.float32)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"x_train": None}, "`x_train` beside `y_train`"),
        ({"y_test": None}, "`y_test` beside `x_test`"),
        ({"x_train": None, "y_train": None}, "`x_train` and `y_train`"),
        ({"x_train": NAN}, "float32 with NaN"),
        ({"x_train": np.zeros((12, 5, 4))}, "uint8, 0 to 255, but got float64"),
        ({"x_train": np.zeros((12, 3, 5, 4), np.uint8)}, "but got 12 x 3 x 5 x 4"),
        ({"x_train": np.zeros((12, 0, 4), np.uint8)}, "12 x 0 x 4"),
        ({"x_train": np.zeros(12, np.uint8)}, "but got 12"),
        ({"x_test": np.zeros((6, 4, 4), np.uint8)}, r"shape of `x_train`, \(5, 4, 1\)"),
        ({"y_train": np.arange(11)}, "each of the 12 images, but got 11"),
        ({"y_train": np.linspace(0, 1, 12)}, "whole numbers"),
        ({"y_train": np.full(12, np.nan)}, "whole numbers"),
        ({"y_train": np.arange(12) % 3 - 1}, "from 0 to 2.*but got -1"),
        ({"y_train": np.arange(12) % 4}, "from 0 to 2.*but got 3"),
        ({"y_test": np.arange(6) % 4}, "test part.*but got 3"),
        ({"y_train": np.arange(12) % 2}, "none of 'cat'"),
        ({"classes": np.array(["ant"])}, "at least 2 classes"),
        ({"classes": np.array(["ant", "bee", "ant"])}, "'ant' twice"),
        ({"classes": np.zeros((3, 2))}, "list of names"),
        ({"classes": None, "y_train": np.zeros(12, np.int64), "y_test": np.zeros(6, int)}, "2 cl"),
        ({"classes": None, "y_test": np.full(6, 9)}, "must occur in `y_train`, but got 9"),
        ({"x_test": np.zeros((0, 5, 4), np.uint8), "y_test": np.zeros(0, int)}, "must hold images"),
        ({"y_train": np.array([None] * 12)}, "plain arrays"),
    ],
)
def test_what_is_wrong_with_an_npz_is_said_with_its_name(
    arrays: Arrays, save_npz: SaveNpz, change: dict[str, Any], told: str
) -> None:
    changed = {k: v for k, v in (arrays | change).items() if v is not None}
    with pytest.raises(InvalidRequestError, match=told) as error:
        load_data(DataSpec(source=save_npz(changed)))
    assert "images.npz" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_npz_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.npz").write_bytes(content)
    with pytest.raises(InvalidRequestError, match=r"broken\.npz"):
        load_data(DataSpec(source=str(tmp_path / "broken.npz")))


def test_an_npz_cut_at_any_place_is_named(
    arrays: Arrays, save_npz: SaveNpz, tmp_path: Path
) -> None:
    content = Path(save_npz(arrays)).read_bytes()
    for length in range(0, len(content), 97):
        (tmp_path / "cut.npz").write_bytes(content[:length])
        with pytest.raises(InvalidRequestError, match=r"cut\.npz"):
            load_data(DataSpec(source=str(tmp_path / "cut.npz")))


any_array = numpy_st.arrays(
    dtype=st.sampled_from([np.uint8, np.int64, np.float32, np.dtype("U3"), np.bool_]),
    shape=numpy_st.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)
keys = st.sampled_from(["x_train", "y_train", "x_val", "y_val", "x_test", "y_test", "classes"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes=st.dictionaries(keys, any_array, max_size=4))
def test_any_arrays_load_or_are_refused(
    arrays: Arrays, save_npz: SaveNpz, changes: dict[str, Any]
) -> None:
    told = "loaded from images.npz"
    try:
        data = load_data(DataSpec(source=save_npz(arrays | changes)))
    except InvalidRequestError as error:
        told = str(error)
    else:
        assert data.train.images.dtype == np.uint8
        assert data.train.labels.max() < len(data.classes)
    assert "images.npz" in told
