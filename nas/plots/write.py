"""Figures to files, by the file's ending."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from nas.errors import InvalidRequestError
from nas.plots.figure import Figure


def _write_png(path: Path, figure: Figure) -> None:
    from nas.plots.draw_matplotlib import write_image

    write_image(path, figure, "png")


def _write_svg(path: Path, figure: Figure) -> None:
    from nas.plots.draw_matplotlib import write_image

    write_image(path, figure, "svg")


def _write_html(path: Path, figure: Figure) -> None:
    from nas.plots.draw_plotly import write_html

    write_html(path, figure)


FORMATS: dict[str, Callable[[Path, Figure], None]] = {
    ".png": _write_png,
    ".svg": _write_svg,
    ".html": _write_html,
}


def write_plot(path: Path | str, figure: Figure) -> Path:
    """Write a figure as PNG, SVG or one self-contained HTML file, and return its path.

    Raises:
        InvalidRequestError: If the name ends otherwise, or cannot be written.
    """
    path = Path(path)
    write = FORMATS.get(path.suffix.lower())
    if write is None:
        raise InvalidRequestError(
            f"A plot's file must end in {', '.join(FORMATS)}, but got {path.name!r}."
        )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary, figure)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InvalidRequestError(
            f"The plot {str(path)!r} must be in a folder that can be written to, "
            f"but got: {error.strerror or error}."
        ) from None
    return path
