"""Recipes: hashes that never change, and fields with rules."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from nas.training.recipe import Augmentation, Recipe

GOLDEN = {
    Recipe(): "44136fa355b3678a1146ad16f7e8649e",
    Recipe(epochs=5, optimizer="adamw", augmentation=Augmentation(flip=True)): (
        "71f6874ffc1867e08824c52d57e8af06"
    ),
}


@pytest.mark.parametrize(("recipe", "digest"), GOLDEN.items())
def test_a_recipe_s_digest_never_changes(recipe: Recipe, digest: str) -> None:
    assert recipe.digest == digest


def test_a_field_at_its_default_changes_no_digest() -> None:
    assert Recipe(momentum=0.9, augmentation=Augmentation(cutout=0.0)).digest == Recipe().digest


@pytest.mark.parametrize(
    "change", [{"epochs": 0}, {"optimizer": "adam"}, {"momentum": 1.0}, {"epoch": 3}]
)
def test_wrong_fields_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(change)
