"""A picture of optics: the lattice, beta functions, dispersion, orbit and phases along s, over one axis."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np

from backbeam.errors import InputError
from backbeam.lattice_functions.text import summary
from backbeam.plotting import INK, X_COLOR, Y_COLOR, Axes, Figure, FigureCanvasAgg, _style, draw_lattice

if TYPE_CHECKING:
    from backbeam.lattice_functions.table import Optics

DASHES = (0, (4, 1.6))
LONGEST_LEGEND = 400
"""Elements beyond which the lattice is drawn without the borders of its boxes."""


def draw_optics(optics: Optics, title: str = "") -> Figure:
    """Draw a table; panels of what is 0 everywhere are left out.

    Raises
    ------
    InputError
        For a table with batch axes.
    """
    if optics.solution.z.ndim > 2:
        raise InputError("optics", "a table with batch axes", "one line, to be drawn")
    host = optics.on_host()
    panels: list[tuple[str, float, Any]] = [("beta", 1.6, _draw_beta)]
    if np.any(host["dispersion_x"]) or np.any(host["dispersion_y"]):
        panels.append(("dispersion", 1.0, _draw_dispersion))
    if np.any(host["x"]) or np.any(host["y"]):
        panels.append(("orbit", 0.8, _draw_orbit))
    panels.append(("phase", 0.8, _draw_phase))
    heights = [0.3, *(height for _, height, _ in panels)]
    figure = Figure(figsize=(11.0, 1.2 + 2.1 * sum(heights)), dpi=130, facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights, hspace=0.2, left=0.075, right=0.975,
                               top=0.86, bottom=0.08)  # fmt: skip
    bar = figure.add_subplot(grid[0])
    draw_lattice(bar, optics.source.line)
    if len(optics.source.line) > LONGEST_LEGEND:
        for box in bar.patches:
            box.set_linewidth(0.0)
    axes = bar
    for k, (_, _, draw) in enumerate(panels):
        axes = figure.add_subplot(grid[k + 1], sharex=bar)
        draw(axes, host)
        _style(axes)
        axes.tick_params(labelbottom=k + 1 == len(panels))
    axes.set_xlabel("s [m]", labelpad=1)
    figure.suptitle(title or "Optics", x=0.075, y=0.985, ha="left", va="top", fontsize=14, fontweight="bold", color=INK)
    figure.text(0.075, 0.945, _subtitle(optics), ha="left", va="top", fontsize=9.5, color="#57606a")
    return figure


def _subtitle(optics: Optics) -> str:
    numbers = summary(optics)
    parts = [f"{len(optics.source.line)} elements, {numbers['length']:.6g} m"]
    if optics.periodic:
        tunes = [f"{numbers[name]:.5f}" for name in ("tune_x", "tune_y", "tune_z") if name in numbers]
        parts.append(f"tunes {', '.join(tunes)}")
    if "chromaticity_x" in numbers:
        parts.append(
            f"chromaticities {numbers['chromaticity_x']:.4g}, {numbers['chromaticity_y']:.4g} per {optics.per}"
        )
    return "; ".join(parts)


def _pair(
    axes: Axes, host: dict[str, Any], names: tuple[str, str], labels: tuple[str, str], factor: float = 1.0
) -> None:
    styles: tuple[dict[str, Any], ...] = ({"color": X_COLOR, "ls": "-"}, {"color": Y_COLOR, "ls": DASHES})
    for name, label, style in zip(names, labels, styles, strict=True):
        axes.plot(host["s"], factor * host[name], label=label, lw=1.5, **style)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=2, frameon=False, fontsize=9, handlelength=2.2,
        borderaxespad=0.0, labelcolor=INK,
    )  # fmt: skip


def _draw_beta(axes: Axes, host: dict[str, Any]) -> None:
    _pair(axes, host, ("beta_x", "beta_y"), (r"$\beta_x$", r"$\beta_y$"))
    axes.set_ylabel(r"$\beta$ [m]")
    axes.set_ylim(bottom=0.0)


def _draw_dispersion(axes: Axes, host: dict[str, Any]) -> None:
    _pair(axes, host, ("dispersion_x", "dispersion_y"), (r"$D_x$", r"$D_y$"))
    axes.set_ylabel("D [m]")


def _draw_orbit(axes: Axes, host: dict[str, Any]) -> None:
    _pair(axes, host, ("x", "y"), ("$x$", "$y$"), 1e3)
    axes.set_ylabel("orbit [mm]")


def _draw_phase(axes: Axes, host: dict[str, Any]) -> None:
    _pair(axes, host, ("mu_x", "mu_y"), (r"$\mu_x$", r"$\mu_y$"), 1.0 / (2.0 * pi))
    axes.set_ylabel(r"$\mu/2\pi$")
