"""The resize rule: how any picture becomes the square that a network reads.

1. Decode, turn upright by EXIF, lay transparency on white, 16 bits to 8 by the upper byte.
2. Grey (ITU-R 601 luma) or RGB, as the data set is.
3. Stretch to the data set's stored size: bilinear with antialiasing, rounded to uint8. The
   whole picture stays in view; its aspect ratio does not.
4. Stretch to the network's resolution: bilinear with antialiasing, in floats.
5. Divide by 255, subtract the mean, divide by the standard deviation, a channel each.

Steps 1 to 3 happen once, when a folder is loaded; 4 and 5 in batch on the device. An exported
model's preprocessing is all five; `picture_to_input` does them without torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from nas.data.images import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

RESIZE_RULE = (
    "stretch to the stored size (bilinear, antialias, uint8), then to the resolution "
    "(bilinear, antialias, float)"
)

Color = Literal["grey", "rgb"]


def read_picture(file: str | Path | IO[bytes], size: tuple[int, int], color: Color) -> Pixels:
    """Steps 1 to 3: decode to uint8, height x width x 1 or 3.

    Args:
        size: Height and width, in pixels.

    Raises:
        OSError, ValueError, SyntaxError: What Pillow raises for a file that it can't read.
    """
    from PIL import Image, ImageOps

    with Image.open(file) as opened:
        # lets the JPEG decoder skip detail that the resize would throw away anyway
        opened.draft(None, (2 * size[1], 2 * size[0]))
        picture = _eight_bit(ImageOps.exif_transpose(opened))
        picture = _on_white(picture).convert("L" if color == "grey" else "RGB")
    if picture.size != (size[1], size[0]):
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.uint8).reshape(*size, -1)


def _eight_bit(picture: Image) -> Image:
    from PIL import Image

    if picture.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8))


def _on_white(picture: Image) -> Image:
    from PIL import Image

    if not picture.has_transparency_data:
        return picture
    upper = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", upper.size, "white"), upper)


def pixels_to_input(
    pixels: Pixels, resolution: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> NDArray[np.float32]:
    """Steps 4 and 5, without torch: height x width x C to float32, C x resolution x resolution."""
    from PIL import Image

    planes = []
    for channel in range(pixels.shape[2]):
        plane = pixels[:, :, channel].astype(np.float32)
        if plane.shape != (resolution, resolution):
            side = (resolution, resolution)
            plane = np.asarray(Image.fromarray(plane).resize(side, Image.Resampling.BILINEAR))
        planes.append((plane / 255.0 - mean[channel]) / std[channel])
    return np.stack(planes).astype(np.float32)


def picture_to_input(
    file: str | Path | IO[bytes],
    stored_size: tuple[int, int],
    resolution: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
) -> NDArray[np.float32]:
    """All five steps, for one picture and an exported model; grey where `mean` has one value.

    Returns:
        float32, C x resolution x resolution.
    """
    pixels = read_picture(file, stored_size, "grey" if len(mean) == 1 else "rgb")
    return pixels_to_input(pixels, resolution, mean, std)
