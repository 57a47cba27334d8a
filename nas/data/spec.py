"""DataSpec: which images, and how they are cut into parts."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class DataSpec(BaseModel):
    """A data set by name or path, with how its missing parts are cut; frozen and hashable.

    Args:
        source: 'digits' (scikit-learn's, embedded), the path of an .npz file, or the path of a
            folder of images with one subfolder a class, with or without train/val/test above;
            or either as a URL (`s3://bucket/pets`), which every node fetches once.
        validation_share: Share of each class's training images cut off for validation, where
            the set has no validation part; taken after the test part is cut.
        test_share: The same for the test part.
        split_seed: Seed of these cuts.
        max_unreadable_share: More unreadable images than this stop the job (folders).
        image_size: Folders are decoded to squares of this side, in pixels; None takes the
            median of the images' shorter sides, at most 64.
        color: Folders are decoded to this; 'auto' is grey where every image is.

    >>> DataSpec(source="digits") == DataSpec(source="digits", split_seed=0)
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field("digits", min_length=1)
    validation_share: float = Field(0.15, gt=0.0, lt=1.0)
    test_share: float = Field(0.2, gt=0.0, lt=1.0)
    split_seed: int = Field(0, ge=0, lt=2**32)
    max_unreadable_share: float = Field(0.01, ge=0.0, le=1.0)
    image_size: int | None = Field(None, ge=1, le=4096, description="pixels a side; folders only")
    color: Literal["auto", "grey", "rgb"] = "auto"
