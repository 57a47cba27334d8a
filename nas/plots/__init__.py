"""Front, family and progress as pictures: one description, drawn by matplotlib or plotly.

figure = front_figure(points, family=members)
write_plot(Path("front.png"), figure)   # or .svg, or one self-contained .html
"""

from nas.plots.family import FamilyPoint, family_figure
from nas.plots.figure import Figure
from nas.plots.front import FrontPoint, front_figure
from nas.plots.progress import ProgressPoint, progress_figure
from nas.plots.write import FORMATS, write_plot

__all__ = [
    "FORMATS",
    "FamilyPoint",
    "Figure",
    "FrontPoint",
    "ProgressPoint",
    "family_figure",
    "front_figure",
    "progress_figure",
    "write_plot",
]
