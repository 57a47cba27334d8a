"""Folders of images: layouts, pictures of all kinds, and broken ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.data import DataSpec, load_data
from nas.errors import InvalidRequestError
from tests.nas.data.conftest import write_picture


def spec(folder: Path, **settings: object) -> DataSpec:
    return DataSpec.model_validate({"source": str(folder), **settings})


def test_a_folder_is_read_with_its_subfolders_as_classes(picture_folder: Path) -> None:
    data = load_data(spec(picture_folder))
    assert data.classes == ("left", "right")
    assert data.source_size == (8, 8)  # 10 x 8 pictures: the shorter side
    assert data.channels == 1
    assert data.sizes == "14 train, 2 validation, 4 test"


def test_parts_above_the_classes_are_kept(picture_folder: Path, tmp_path: Path) -> None:
    for part in ("train", "Validation", "test"):
        shutil.copytree(picture_folder, tmp_path / "parts" / part)
    data = load_data(spec(tmp_path / "parts"))
    assert data.split == "test given, val given"
    assert data.sizes == "20 train, 20 validation, 20 test"


def test_classes_called_train_and_test_are_classes(tmp_path: Path) -> None:
    for i in range(10):
        write_picture(tmp_path / "train" / f"{i}.png", i)
        write_picture(tmp_path / "test" / f"{i}.png", 100 + i)
    assert load_data(spec(tmp_path)).classes == ("test", "train")


def test_renaming_and_copying_files_changes_nothing(picture_folder: Path, tmp_path: Path) -> None:
    before = load_data(spec(picture_folder))
    copied = shutil.copytree(picture_folder, tmp_path / "elsewhere")
    for i, path in enumerate(sorted(copied.glob("*/*.png"))):
        path.rename(path.with_name(f"{99 - i}.PNG"))
    after = load_data(spec(copied))
    assert after.content_hash == before.content_hash
    assert np.array_equal(after.train.images, before.train.images)
    assert np.array_equal(after.test.labels, before.test.labels)


def test_a_changed_pixel_size_or_color_is_another_content(picture_folder: Path) -> None:
    before = load_data(spec(picture_folder)).content_hash
    assert load_data(spec(picture_folder, image_size=6)).content_hash != before
    assert load_data(spec(picture_folder, color="rgb")).content_hash != before
    write_picture(picture_folder / "left" / "0.png", seed=77)
    assert load_data(spec(picture_folder)).content_hash != before


def test_one_picture_in_color_makes_the_set_rgb(picture_folder: Path) -> None:
    write_picture(picture_folder / "left" / "color.png", seed=5, mode="RGB")
    assert load_data(spec(picture_folder)).channels == 3
    assert load_data(spec(picture_folder, color="grey")).channels == 1


def test_large_pictures_are_read_at_64_unless_asked_otherwise(picture_folder: Path) -> None:
    for i in range(30):
        write_picture(picture_folder / "left" / f"large{i}.jpg", seed=i, size=(200, 150))
    data = load_data(spec(picture_folder))
    assert data.source_size == (64, 64)
    assert any("64 x 64" in note for note in data.notes)
    assert load_data(spec(picture_folder, image_size=96)).source_size == (96, 96)


def test_every_kind_of_picture_is_read(picture_folder: Path) -> None:
    left = picture_folder / "left"
    rgb = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    for suffix in ("jpg", "bmp", "webp", "gif", "tif", "ppm"):
        Image.fromarray(rgb).save(left / f"rgb.{suffix}")
    Image.fromarray(rgb).convert("P").save(left / "palette.png")
    Image.fromarray(rgb).convert("RGBA").save(left / "rgba.png")
    Image.fromarray(rgb).convert("CMYK").save(left / "cmyk.jpg")
    Image.fromarray(rgb).convert("LA").save(left / "la.png")
    Image.fromarray(rgb).convert("1").save(left / "one_bit.png")
    Image.fromarray(rgb[..., 0].astype(np.uint16) * 257).save(left / "deep.png")
    data = load_data(spec(picture_folder))
    assert len(data.train) + len(data.val) + len(data.test) == 32
    assert not any("unreadable" in note for note in data.notes)


def test_a_few_unreadable_pictures_are_named_and_left_out(picture_folder: Path) -> None:
    (picture_folder / "left" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    good = (picture_folder / "left" / "0.png").read_bytes()
    (picture_folder / "right" / "half.png").write_bytes(good[: len(good) // 2])
    data = load_data(spec(picture_folder, max_unreadable_share=0.1))
    (note,) = (note for note in data.notes if "unreadable" in note)
    assert note == "2 unreadable of 22 images left out: left/bad.png, right/half.png"
    assert len(data.train) + len(data.val) + len(data.test) == 20


def test_many_unreadable_pictures_stop_with_their_names(picture_folder: Path) -> None:
    for i in range(3):
        (picture_folder / "left" / f"bad{i}.jpg").write_bytes(b"")
    with pytest.raises(InvalidRequestError, match=r"1\.0%.* 3 of 23: left/bad0\.jpg, left/bad1"):
        load_data(spec(picture_folder))


def test_a_class_of_unreadable_pictures_is_empty(picture_folder: Path) -> None:
    (picture_folder / "void").mkdir()
    (picture_folder / "void" / "bad.png").write_bytes(b"?")
    with pytest.raises(InvalidRequestError, match="'void'"):
        load_data(spec(picture_folder, max_unreadable_share=1.0))


def test_other_files_are_counted_and_hidden_ones_are_not(picture_folder: Path) -> None:
    (picture_folder / "left" / "notes.txt").write_text("a note")
    (picture_folder / "left" / ".DS_Store").write_text("hidden")
    (picture_folder / ".git").mkdir()
    data = load_data(spec(picture_folder))
    assert any(note.startswith("1 files without an image's extension") for note in data.notes)


def test_an_empty_class_folder_is_named(picture_folder: Path) -> None:
    (picture_folder / "void").mkdir()
    with pytest.raises(InvalidRequestError, match=r"pictures/void.*must hold images"):
        load_data(spec(picture_folder))


def test_a_single_class_is_refused(picture_folder: Path) -> None:
    shutil.rmtree(picture_folder / "left")
    with pytest.raises(InvalidRequestError, match="at least 2 classes, but got 'right'"):
        load_data(spec(picture_folder))


def test_a_folder_without_subfolders_is_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png", 0)
    with pytest.raises(InvalidRequestError, match="one subfolder a class"):
        load_data(spec(tmp_path))


def test_a_test_class_without_training_images_is_named(
    picture_folder: Path, tmp_path: Path
) -> None:
    for part in ("train", "test"):
        shutil.copytree(picture_folder, tmp_path / "parts" / part)
    (tmp_path / "parts" / "test" / "left").rename(tmp_path / "parts" / "test" / "up")
    with pytest.raises(InvalidRequestError, match=r"parts/test/up"):
        load_data(spec(tmp_path / "parts"))


def test_two_folders_for_one_part_are_refused(picture_folder: Path, tmp_path: Path) -> None:
    for part in ("train", "val", "valid"):
        shutil.copytree(picture_folder, tmp_path / "parts" / part)
    with pytest.raises(InvalidRequestError, match="each part once"):
        load_data(spec(tmp_path / "parts"))


def test_one_image_a_class_can_not_be_cut(tmp_path: Path) -> None:
    write_picture(tmp_path / "a" / "1.png", 1)
    write_picture(tmp_path / "b" / "1.png", 2)
    with pytest.raises(InvalidRequestError, match="at least 2 images"):
        load_data(spec(tmp_path))


def test_a_cached_folder_is_not_decoded_again(picture_folder: Path, tmp_path: Path) -> None:
    first = load_data(spec(picture_folder), cache=tmp_path / "cache")
    shutil.rmtree(picture_folder)
    again = load_data(
        spec(picture_folder), cache=tmp_path / "cache", expected_hash=first.content_hash
    )
    assert np.array_equal(first.train.images, again.train.images)
