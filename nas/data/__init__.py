"""Data: a name or a path to images in parts, and to batches."""

from nas.data.images import ImageData, Part
from nas.data.load import check_same, load_data, prepared_folder
from nas.data.resize import RESIZE_RULE, picture_to_input, pixels_to_input, read_picture
from nas.data.spec import DataSpec

__all__ = [
    "RESIZE_RULE",
    "DataSpec",
    "ImageData",
    "Part",
    "check_same",
    "load_data",
    "picture_to_input",
    "pixels_to_input",
    "prepared_folder",
    "read_picture",
]
