"""Pictures of a search: the value of every trial, and the sizes of the beam before and after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backbeam.extras import need
from backbeam.plotting import FAINT, INK, X_COLOR, Y_COLOR, draw_lattice, draw_sizes

need("plot", "matplotlib", purpose="drawing")

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

if TYPE_CHECKING:
    from backbeam.line import Line
    from backbeam.matching.result import Match


def draw_history(axes: Axes, match: Match) -> None:
    """Draw the trials of a match into axes: those that hold the constraints, those that do not, and the bad ones."""
    trials = [trial for trial in match.history if trial.score is not None]
    numbers = np.asarray([trial.number for trial in trials])
    values = np.asarray([trial.score.value for trial in trials if trial.score is not None])
    holds = np.asarray([trial.score.violation <= 0.0 for trial in trials if trial.score is not None], dtype=bool)
    if match.function.goals.single or match.wanted[0].met is None:
        values = values * float(match.function.unit[0])
    bad = [trial.number for trial in match.history if trial.score is None]
    axes.plot(numbers[holds], values[holds], ".", color=FAINT, ms=4, label="trials")
    if not holds.all():
        axes.plot(numbers[~holds], values[~holds], "x", color=Y_COLOR, ms=4, label="constraints do not hold")
    if holds.any():
        best = np.minimum.accumulate(values[holds])
        axes.step(numbers[holds], best, where="post", color=X_COLOR, lw=1.6, label="best until then")
    if (values > 0.0).all():
        axes.set_yscale("log")
    for k, number in enumerate(bad):
        axes.axvline(number, color=Y_COLOR, lw=0.8, alpha=0.5, label="could not be tracked" if not k else None)
    single = [one for one in match.wanted if one.met is None]
    axes.set_xlabel("passes through the line", color=INK)
    axes.set_ylabel(single[0].name if single else "sum of squares of residuals", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(labelsize=8.5, color=FAINT, labelcolor=INK)
    axes.grid(axis="y", color="#e5e8eb", lw=0.6)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK)


def draw_search(match: Match, title: str = "") -> Figure:
    """Return a figure of how a search went."""
    figure = Figure(figsize=(7.0, 3.8), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    draw_history(figure.add_subplot(), match)
    text = title or f"{match.method}: {repr(match)[len('<Match: ') : -1]}"
    figure.suptitle(text, x=0.01, ha="left", fontsize=min(11.0, 11.0 * 90.0 / len(text)), fontweight="bold", color=INK)
    return figure


def draw_change(line: Line, before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]], title: str) -> Figure:
    """Return a figure of rms sizes along a line, before and after.

    Parameters
    ----------
    line:
        The beamline.
    before, after:
        Moments as `backbeam.problem.moments_of` gives them, in the order of s.
    title:
        What to write above.
    """
    figure = Figure(figsize=(9.0, 6.4), dpi=130, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    bar, *panels = figure.subplots(3, 1, sharex=True, height_ratios=(0.3, 1.0, 1.0))
    draw_lattice(bar, line, start=before[0]["s"])
    for axes, rows, heading in zip(panels, (before, after), ("before", "after"), strict=True):
        draw_sizes(axes, rows, ("x", "y"))
        axes.set_title(heading, loc="left", fontsize=10, color=INK)
    panels[1].set_xlabel("s [m]")
    figure.suptitle(title, x=0.01, ha="left", fontsize=min(13.0, 13.0 * 80.0 / max(len(title), 1)), fontweight="bold")
    return figure
