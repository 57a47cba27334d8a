"""Loading: parts, shares, statistics, hashes, and the cache."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.data import DataSpec, ImageData, load_data
from nas.data.images import channel_statistics
from nas.data.split import stratified_mask
from nas.errors import InvalidRequestError
from tests.nas.data.conftest import Arrays

DIGITS_HASH = "e2f75f08"


def same_images(one: ImageData, other: ImageData) -> bool:
    return all(
        np.array_equal(a.images, b.images) and np.array_equal(a.labels, b.labels)
        for a, b in zip((one.train, one.val, one.test), (other.train, other.val, other.test))
    )


def test_the_digits_content_hash_is_the_same_everywhere() -> None:
    data = load_data(DataSpec())
    assert data.content_hash.startswith(DIGITS_HASH)
    assert data.sizes == "1222 train, 216 validation, 359 test"
    assert data.split == "test 0.2 seed 0, val 0.15 seed 0"
    assert any(data.sizes in note for note in data.notes)


def test_cut_parts_together_are_the_source_and_share_no_image() -> None:
    data = load_data(DataSpec())
    pictures = np.concatenate([p.images for p in (data.train, data.val, data.test)])
    assert len(pictures) == 1797
    whole = np.unique(pictures.reshape(1797, -1), axis=0)
    assert len(whole) == 1797  # the digits have no two equal images


def test_another_seed_cuts_other_images_and_names_another_split() -> None:
    one, other = load_data(DataSpec()), load_data(DataSpec(split_seed=1))
    assert not np.array_equal(one.test.images, other.test.images)
    assert one.split != other.split
    assert one.content_hash == other.content_hash


def test_the_test_part_does_not_depend_on_the_validation_share() -> None:
    one, other = load_data(DataSpec()), load_data(DataSpec(validation_share=0.3))
    assert np.array_equal(one.test.images, other.test.images)


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_cut_takes_its_share_of_every_class(counts: list[int], share: float, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    taken = stratified_mask(labels, share, seed)
    for label, count in enumerate(counts):
        cut = int(taken[labels == label].sum())
        assert cut == 0 if count == 1 else 1 <= cut <= count - 1
        assert abs(cut - share * count) <= 1
    assert np.array_equal(taken, stratified_mask(labels, share, seed))


def test_given_parts_are_kept_and_need_no_seed(
    arrays: Arrays, save_npz: Callable[[Arrays], str]
) -> None:
    arrays |= {"x_val": arrays["x_test"][:3], "y_val": arrays["y_test"][:3]}
    source = save_npz(arrays)
    data = load_data(DataSpec(source=source, split_seed=7))
    assert np.array_equal(data.test.images[..., 0], arrays["x_test"])
    assert np.array_equal(data.val.images[..., 0], arrays["x_val"])
    assert data.split == load_data(DataSpec(source=source)).split == "test given, val given"


def test_statistics_are_those_of_the_training_part() -> None:
    data = load_data(DataSpec())
    pixels = data.train.images / 255.0
    assert data.mean == pytest.approx((pixels.mean(),))
    assert data.std == pytest.approx((pixels.std(),))


def test_statistics_are_a_channel_each() -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 3, 2, 3), dtype=np.uint8)
    mean, std = channel_statistics(images)
    assert mean == pytest.approx((images / 255.0).mean((0, 1, 2)))
    assert std == pytest.approx((images / 255.0).std((0, 1, 2)))
    assert channel_statistics(np.zeros((2, 2, 2, 1), np.uint8)) == ((0.0,), (1.0,))


@pytest.mark.parametrize("source", ["nothing", "images.txt", "missing.npz"])
def test_a_missing_source_is_named(source: str) -> None:
    with pytest.raises(InvalidRequestError, match=source):
        load_data(DataSpec(source=source))


@pytest.mark.parametrize("setting", [{"image_size": 16}, {"color": "rgb"}])
def test_settings_of_folders_are_refused_elsewhere(setting: dict[str, str]) -> None:
    with pytest.raises(InvalidRequestError, match="resolution"):
        load_data(DataSpec.model_validate(setting))


def test_a_cached_data_set_is_the_same_and_mapped(tmp_path: Path) -> None:
    plain = load_data(DataSpec())
    for _ in range(2):
        cached = load_data(DataSpec(), cache=tmp_path)
        assert same_images(cached, plain)
        assert (cached.mean, cached.std, cached.classes) == (plain.mean, plain.std, plain.classes)
        assert (cached.split, cached.notes) == (plain.split, plain.notes)
        assert isinstance(cached.train.images, np.memmap)


def test_with_the_expected_hash_a_cached_set_needs_no_source(
    arrays: Arrays, save_npz: Callable[[Arrays], str], tmp_path: Path
) -> None:
    spec = DataSpec(source=save_npz(arrays))
    first = load_data(spec, cache=tmp_path / "cache")
    Path(spec.source).unlink()
    again = load_data(spec, cache=tmp_path / "cache", expected_hash=first.content_hash)
    assert same_images(first, again)


def test_a_changed_source_is_an_error_by_name(
    arrays: Arrays, save_npz: Callable[[Arrays], str], tmp_path: Path
) -> None:
    spec = DataSpec(source=save_npz(arrays))
    before = load_data(spec, cache=tmp_path / "cache")
    arrays["x_train"][0, 0, 0] ^= 1
    save_npz(arrays)
    after = load_data(spec, cache=tmp_path / "cache")
    assert after.content_hash != before.content_hash
    with pytest.raises(InvalidRequestError, match=r"images\.npz.*began with"):
        load_data(spec, expected_hash=before.content_hash)


def test_other_shares_are_another_entry_of_the_cache(tmp_path: Path) -> None:
    one = load_data(DataSpec(), cache=tmp_path)
    other = load_data(DataSpec(validation_share=0.3), cache=tmp_path)
    assert len(other.val) > len(one.val)


@pytest.mark.parametrize("file", ["meta.json", "train_images.npy", "val_labels.npy"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_cache_is_made_again(tmp_path: Path, file: str, damage: str) -> None:
    plain = load_data(DataSpec(), cache=tmp_path)
    (path,) = tmp_path.glob(f"*/{file}")
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    again = load_data(DataSpec(), cache=tmp_path, expected_hash=plain.content_hash)
    assert same_images(again, load_data(DataSpec()))
    assert len(list(tmp_path.iterdir())) == 1


def test_whoever_makes_the_cache_at_once_gets_it(
    arrays: Arrays, save_npz: Callable[[Arrays], str], tmp_path: Path
) -> None:
    spec, cache = DataSpec(source=save_npz(arrays)), tmp_path / "cache"
    with ThreadPoolExecutor(8) as threads:
        loaded = list(threads.map(lambda _: load_data(spec, cache=cache), range(40)))
    assert all(same_images(data, loaded[0]) for data in loaded)
    assert len(list(cache.iterdir())) == 1
