"""Pictures of a run: sizes along s over a bar of the lattice, and phase space before and after.

Figures are made without pyplot, so drawing changes no global state and needs no display. ``draw_run`` puts
together what ``draw_lattice``, ``draw_sizes`` and ``draw_phase_space`` draw into axes of your own.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backbeam import backends
from backbeam.arrays import COORDINATES
from backbeam.beam import PLANES, Beam
from backbeam.course import Course
from backbeam.errors import BackbeamError, InputError
from backbeam.extras import need
from backbeam.line import Line
from backbeam.units import quantity, scale_of, unit_text
from backbeam.whole_files import write_whole

# Without a home Matplotlib keeps its cache in a temporary folder, of which it says more than a line.
logging.getLogger("matplotlib").addFilter(lambda record: record.levelno >= logging.ERROR)

need("plot", "matplotlib", purpose="drawing")

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.colors import LinearSegmentedColormap, LogNorm  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Patch, Rectangle  # noqa: E402

FORMATS = (".png", ".pdf", ".svg")
INK, FAINT = "#22272e", "#8a929c"
X_COLOR, Y_COLOR, TAU_COLOR = "#1667b0", "#d1495b", "#3f8f5f"
DENSITY = LinearSegmentedColormap.from_list("density", ("#dfe9f5", "#7fb0dc", "#2b6cb0", "#173f7a", "#0b1f45"))
NAMES = {"x": "x", "px": r"p_x", "y": "y", "py": r"p_y", "tau": r"\tau", "pt": r"p_t"}
UNITS = {"x": "m", "px": "rad", "y": "m", "py": "rad", "tau": "m", "pt": ""}
KIND_COLORS = {
    "quadrupole": "#d1495b",
    "sector_bend": "#2e6f9e",
    "rectangular_bend": "#2e6f9e",
    "dipole_edge": "#2e6f9e",
    "sextupole": "#e0a030",
    "octupole": "#7a4fa3",
    "multipole": "#a3586d",
    "thin_multipole": "#a3586d",
    "solenoid": "#2a9d8f",
    "constant_focusing": "#7fb8ad",
    "rf_cavity": "#e07b39",
    "buncher": "#e07b39",
    "field_cavity": "#e07b39",
    "crab_cavity": "#c98a2b",
    "patch": "#8a929c",
    "corrector": "#6b7280",
    "linear_map": "#9aa3af",
    "aperture": "#22272e",
    "monitor": "#22272e",
    "screen": "#22272e",
    "marker": "#8a929c",
}
"""Colour of each kind of element; a kind that is not here is drawn in grey."""
STRENGTHS = ("k1", "k2", "k3", "k1l", "k2l", "k3l")
"""The first of these that an element has says on which side of the axis it is drawn."""


# -- parts ---------------------------------------------------------------------------------------------------


def draw_lattice(axes: Axes, line: Line, start: float = 0.0) -> None:
    """Draw a bar of the lattice: bends across the axis, what focuses x above it, what defocuses x below.

    Parameters
    ----------
    axes:
        Axes whose x is s [m].
    line:
        The beamline.
    start:
        Where it begins [m].
    """
    s, total = start, float(np.max(_on_host(line.length)))
    shown: dict[str, str] = {}
    axes.axhline(0.0, color=FAINT, lw=0.8, zorder=0)
    for element in line:
        length = float(np.max(_on_host(element.length))) if element.is_thick else 0.0
        color = element.color or KIND_COLORS.get(element.kind, "#9aa3af")
        if element.kind != "drift":
            shown.setdefault(element.kind, color)
            low, high = _extent(element)
            if length > 0.0:
                box = Rectangle((s, low), length, high - low, facecolor=color, edgecolor="white", lw=0.6)
                axes.add_patch(box)
            else:
                axes.plot([s, s], [-1.0, 1.0], color=color, lw=1.2, solid_capstyle="butt")
        s += length
    axes.set_ylim(-1.15, 1.15)
    axes.set_xlim(start, start + total if total > 0.0 else start + 1.0)
    axes.axis("off")
    if shown:
        handles = [Patch(color=color, label=kind.replace("_", " ")) for kind, color in shown.items()]
        axes.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=8, frameon=False, fontsize=8,
            handlelength=0.9, handleheight=0.9, handletextpad=0.5, columnspacing=1.4, borderaxespad=0.1,
            labelcolor=INK,
        )  # fmt: skip


def _extent(element: Any) -> tuple[float, float]:
    """Lower and upper end of an element's box."""
    for name in STRENGTHS:
        value = getattr(element, name, None)
        if value is not None and not element.kind.endswith("bend"):
            strength = float(np.ravel(_on_host(value))[0])
            return (0.0, 1.0) if strength >= 0.0 else (-1.0, 0.0)
    return (-0.7, 0.7) if element.kind.endswith("bend") else (-0.5, 0.5)


def draw_sizes(axes: Axes, rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    """Draw rms sizes along s.

    Parameters
    ----------
    axes:
        Where to draw.
    rows:
        Moments as `backbeam.problem.moments_of` gives them, in the order of s.
    names:
        Coordinates of one unit, such as ``("x", "y")``.
    """
    colors = {"x": X_COLOR, "px": X_COLOR, "y": Y_COLOR, "py": Y_COLOR}
    s = [row["s"] for row in rows]
    values = {name: np.asarray([_or_nan(row["sigma"][name]) for row in rows]) for name in names}
    largest = max((float(np.nanmax(v)) for v in values.values() if np.isfinite(v).any()), default=0.0)
    factor, prefix = _axis_scale(largest)
    few = {"marker": "o", "ms": 3.5} if len(s) < 50 else {}
    for k, name in enumerate(names):
        # Dashes, so that curves which coincide can all be seen.
        style = {"ls": "-" if k == 0 else (0, (4, 1.6)), "lw": 1.9, **few}
        color = colors.get(name, TAU_COLOR)
        axes.plot(s, values[name] / factor, color=color, label=rf"$\sigma_{{{NAMES[name]}}}$", **style)
    axes.set_ylabel(rf"$\sigma$ [{unit_text(prefix, UNITS[names[0]])}]")
    axes.set_ylim(0.0, 1.12 * largest / factor if largest > 0.0 else 1.0)
    axes.legend(loc="best", ncols=len(names), frameon=False, fontsize=10, handlelength=2.2, labelcolor=INK)
    _style(axes)


def _on_host(value: Any) -> np.ndarray:
    """A parameter as NumPy has it: one that requires a gradient, or lies on a device, too."""
    return backends.of(value).to_numpy(value) if hasattr(value, "shape") else np.asarray(value)


def draw_phase_space(axes: Axes, beam: Beam, plane: str, limits: tuple[float, float], heading: str = "") -> None:
    """Draw the density of a beam in a plane, with its rms ellipse.

    Parameters
    ----------
    axes:
        Where to draw.
    beam:
        A beam without batch axes; lost particles are left out.
    plane:
        x, y or z.
    limits:
        Half widths of the picture, in position [m] and momentum [1], about the mean.
    heading:
        What to write above it, before the emittance.
    """
    if plane not in PLANES:
        raise InputError("plane", plane, f"one of {', '.join(PLANES)}")
    q, p, weights = _pair(beam, plane)
    first = PLANES[plane]
    names = COORDINATES[first : first + 2]
    (factor_q, prefix_q), (factor_p, prefix_p) = map(_axis_scale, limits)
    half_q, half_p = limits[0] / factor_q, limits[1] / factor_p
    if q.size:
        q, p = q / factor_q, p / factor_p
        centre_q, centre_p = np.average(q, weights=weights), np.average(p, weights=weights)
        u, v = q - centre_q, p - centre_p
        bins = int(np.clip(np.sqrt(q.size) / 2.5, 24, 140)) | 1  # odd: a cold beam lies in the middle of a row
        box = [[-half_q, half_q], [-half_p, half_p]]
        density, edges_q, edges_p = np.histogram2d(u, v, bins=bins, range=box, weights=weights)
        top = float(density.max())
        if top > 0.0:
            shown = np.ma.masked_less_equal(density.T, 0.0)
            least = max(float(density[density > 0.0].min()), top * 1e-3)
            norm = LogNorm(vmin=least if least < top else 0.5 * top, vmax=top)
            axes.pcolormesh(edges_q, edges_p, shown, cmap=DENSITY, norm=norm, rasterized=True)
        _draw_ellipse(axes, u, v, weights)
    axes.set_xlim(-half_q, half_q)
    axes.set_ylim(-half_p, half_p)
    axes.set_xlabel(f"${NAMES[names[0]]}$ [{unit_text(prefix_q, UNITS[names[0]])}]", labelpad=1)
    unit_p = unit_text(prefix_p, UNITS[names[1]])
    axes.set_ylabel(f"${NAMES[names[1]]}$" + (f" [{unit_p}]" if unit_p else ""), labelpad=1)
    emittance = quantity(float(beam.backend.to_numpy(beam.emittance(plane))), "m", 4)
    axes.set_title(f"{heading}   $\\varepsilon$ = {emittance}".strip(), loc="left", fontsize=9.5, color=INK, pad=5)
    _style(axes)


def _draw_ellipse(axes: Axes, u: np.ndarray, v: np.ndarray, weights: np.ndarray) -> None:
    """The ellipse u^T cov^-1 u = 4: two rms sizes."""
    cov = np.cov(np.stack([u, v]), aweights=weights) if u.size > 1 else np.zeros((2, 2))
    if not np.isfinite(cov).all():
        return
    # In units of the sizes, so that an ellipse of any shape is well conditioned.
    size = np.sqrt(np.diag(cov))
    if (size > 0.0).all():
        angle = np.linspace(0.0, 2.0 * np.pi, 181)
        r = np.clip(cov[0, 1] / (size[0] * size[1]), -1.0, 1.0)
        a, b = np.cos(angle), r * np.cos(angle) + np.sqrt(1.0 - r * r) * np.sin(angle)
        axes.plot(2.0 * size[0] * a, 2.0 * size[1] * b, color="#e07b39", lw=1.3)


# -- the whole picture ---------------------------------------------------------------------------------------


def draw_run(outcome: Any, rows: Iterable[tuple[str, dict[str, Any]]], title: str) -> Figure:
    """Draw a run: lattice, sizes along s, and phase space before and after.

    Parameters
    ----------
    outcome:
        What `backbeam.problem.Problem.run` returned.
    rows:
        (element, moments) along s, ``outcome.rows``.
    title:
        What to write above.
    """
    moments = [row for _, row in rows]
    figure = Figure(figsize=(11.0, 11.6), dpi=130, facecolor="white")
    FigureCanvasAgg(figure)
    outer = figure.add_gridspec(
        2, 1, height_ratios=(1.0, 1.32), hspace=0.19, left=0.075, right=0.975, top=0.9, bottom=0.05
    )
    along = outer[0].subgridspec(3, 1, height_ratios=(0.34, 1.7, 1.0), hspace=0.12)
    bar = figure.add_subplot(along[0])
    transverse = figure.add_subplot(along[1], sharex=bar)
    longitudinal = figure.add_subplot(along[2], sharex=bar)
    draw_lattice(bar, outcome.line, start=moments[0]["s"])
    draw_sizes(transverse, moments, ("x", "y"))
    draw_sizes(longitudinal, moments, ("tau",))
    transverse.tick_params(labelbottom=False)
    longitudinal.set_xlabel("s [m]", labelpad=1)
    spaces = outer[1].subgridspec(2, 3, hspace=0.36, wspace=0.3)
    for column, plane in enumerate(PLANES):
        limits = _limits(outcome.initial, outcome.final, plane)
        for row, (beam, heading) in enumerate(((outcome.initial, "before"), (outcome.final, "after"))):
            draw_phase_space(figure.add_subplot(spaces[row, column]), beam, plane, limits[row], heading)
    figure.suptitle(
        title,
        x=0.075,
        y=0.985,
        ha="left",
        va="top",
        fontsize=_title_size(title),
        fontweight="bold",
        color=INK,
    )
    figure.text(0.075, 0.955, _subtitle(outcome), ha="left", va="top", fontsize=9.5, color="#57606a")
    return figure


def _title_size(title: str) -> float:
    """Font size at which a title fits the width of the figure."""
    return min(15.0, 15.0 * 72.0 / max(len(title), 1))


def _subtitle(outcome: Any) -> str:
    summary = outcome.summary()
    kicks = _kicks(outcome.course)
    lost = f", {summary['lost']:,} lost" if summary["lost"] else ""
    return (
        f"{summary['particles']:,} macroparticles ({outcome.initial.species.name}){lost}, {kicks}, "
        f"{summary['backend']} {summary['dtype']} on {summary['device']}"
    )


def _kicks(course: Course) -> str:
    """Kicks of each effect: ``20 kicks of space charge 3d``."""
    kinds = [(course.kicks_of(name), effect.kind.replace("_", " ")) for name, effect in course.effects.items()]
    return ", ".join(f"{count} kicks of {kind}" for count, kind in kinds) or "no collective effects"


def _limits(before: Beam, after: Beam, plane: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Half widths of both pictures of a plane: the same, unless one would be a speck in the other."""
    own = []
    for beam in (before, after):
        q, p, weights = _pair(beam, plane)
        widths = []
        for a in (q, p):
            deviation = np.abs(a - np.average(a, weights=weights)) if a.size else np.zeros(1)
            widths.append(1.12 * min(float(deviation.max()), 6.0 * float(np.sqrt(np.mean(deviation**2)))))
        own.append(widths)
    chosen = [list(own[0]), list(own[1])]
    for k in range(2):
        first, second = own[0][k], own[1][k]
        largest = max(first, second) or 1.0
        smallest = min(first, second)
        if smallest == 0.0 or max(first, second) < 6.0 * smallest:
            chosen[0][k] = chosen[1][k] = largest
    (q0, p0), (q1, p1) = chosen
    return (q0, p0), (q1, p1)


def _pair(beam: Beam, plane: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Position, momentum, weight of the particles alive, on the host; without charge all weigh the same."""
    host = beam.backend.to_numpy
    if beam.coordinates.ndim != 2:
        raise InputError("beam", f"a batch of shape {tuple(beam.coordinates.shape[:-2])}", "one beam, to be drawn")
    alive = host(beam.alive)
    X = np.asarray(host(beam.coordinates), dtype=np.float64)[:, alive]
    weights = np.abs(np.asarray(host(beam.charges), dtype=np.float64))[alive]
    weights = weights / weights.max() if weights.size and weights.max() > 0.0 else np.ones_like(weights)
    k = PLANES[plane]
    return X[k], X[k + 1], weights


def _axis_scale(largest: float) -> tuple[float, str]:
    """Power of 1000 and its prefix for an axis that ends at ``largest``: its marks are no small fractions."""
    return scale_of((0.2 * largest,))


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(labelsize=8.5, color=FAINT, labelcolor=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(color="#e5e8eb", lw=0.6)
    axes.set_axisbelow(True)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


# -- files ---------------------------------------------------------------------------------------------------


def check_target(path: Path, field: str = "plot") -> None:
    """Raise `InputError` if a picture could not be written there."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(field, str(path), f"a file that ends in {', '.join(FORMATS)}")
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(field, str(path), "a file in a folder that exists")


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the format is that of the name's end. An older file is replaced at once or not at all.

    Raises
    ------
    InputError
        For a format that is not known, or a folder that does not exist.
    BackbeamError
        If the file cannot be written.
    """
    path = Path(path)
    check_target(path)
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:].lower())
    try:
        write_whole(path, picture.getvalue())
    except OSError as error:
        raise BackbeamError(f"{path}: {(error.strerror or str(error)).lower()}") from None
