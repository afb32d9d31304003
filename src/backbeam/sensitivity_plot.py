"""Picture of a gradient: how many per cent the objective changes for a per cent of each parameter."""

from __future__ import annotations

from typing import Any

import numpy as np

from backbeam.extras import need
from backbeam.plotting import FAINT, INK, X_COLOR, Y_COLOR

need("plot", "matplotlib", purpose="drawing")

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402


def draw_sensitivities(axes: Axes, found: Any) -> None:
    """Draw a bar for each parameter, in the order of the line.

    Parameters
    ----------
    axes:
        Where to.
    found:
        A `backbeam.problem.Derivative`. Parameters of value 0 have no relative sensitivity, and no bar.
    """
    names = list(found.gradient)
    relative = np.asarray([found.relative(name) or 0.0 for name in names])
    places = np.arange(len(names))
    colors = [X_COLOR if r >= 0.0 else Y_COLOR for r in relative]
    axes.barh(places, relative, color=colors, height=0.7)
    axes.axvline(0.0, color=INK, lw=0.8)
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(labelsize=8.5, color=FAINT, labelcolor=INK)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e5e8eb", lw=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(f"(p/f) df/dp of f = {found.question.objective.name}", color=INK)


def draw_gradient(found: Any, title: str) -> Figure:
    """Return a figure of all relative sensitivities of a `backbeam.problem.Derivative`."""
    figure = Figure(figsize=(8.5, 1.7 + 0.24 * len(found.gradient)), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    draw_sensitivities(figure.add_subplot(), found)
    size = min(12.0, 12.0 * 78.0 / max(len(title), 1))
    figure.suptitle(title, x=0.01, ha="left", fontsize=size, fontweight="bold", color=INK)
    return figure
