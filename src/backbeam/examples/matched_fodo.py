"""A FODO cell with space charge, and the bunch that comes out of it as it went in.

The cell of the problem ``fodo-space-charge``, 100 MeV and 1 nC: matched to the bare optics, the bunch leaves the first
cell a fifth larger. Here beta and alpha in both planes are varied until they are the same at the end as at the start:
first those of a beam of moments, in the linear field of an ellipsoid, by differences; then, from there on, those of
particles with `SpaceCharge3D`, whose four targets have exact gradients by the beam's own parameters.

    python -m backbeam.examples.matched_fodo --cells 5 --plot matched-fodo.png
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import least_squares

import backbeam as bb
from backbeam.problem import Problem

TARGETS = tuple(
    bb.Target(same.format(a), 0.0, tol=1e-4)
    for a in "xy"
    for same in ("log(beta_{0}) - log(beta_{0} @ start)", "alpha_{0} - alpha_{0} @ start")
)
BOUNDS = {f"beam.{name}_{a}": ends for a in "xy" for name, ends in (("beta", (0.5, 20.0)), ("alpha", (-8.0, 8.0)))}
SLICES = 4


def problem(particles: int, grid: int) -> Problem:
    """The shipped problem with so many particles and nodes."""
    return Problem.load("fodo-space-charge", {"beam.n": particles, "space_charge.grid": [grid] * 3})


def envelope(cell: bb.Line, beam: bb.Beam) -> dict[str, float]:
    """Beta and alpha of the periodic envelope of a `MomentBeam` with the beam's emittances, length and charge."""
    given = {name: float(value) for name, value in beam.parameters().items()}

    def moments(x: np.ndarray) -> bb.MomentBeam:
        cov = np.diag([0.0, 0.0, 0.0, 0.0, given["sigma_tau"] ** 2, given["sigma_pt"] ** 2])
        for k, (beta, alpha) in enumerate((x[:2], x[2:])):
            shape = np.asarray([[beta, -alpha], [-alpha, (1.0 + alpha * alpha) / beta]])
            cov[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = given[f"emittance_{'xy'[k]}"] * shape
        return bb.MomentBeam(np.zeros(6), cov, beam.reference, given["charge"])

    def change(x: np.ndarray) -> np.ndarray:
        """Of beta, as a share, and alpha, in both planes."""
        out = moments(x).track(cell, space_charge=bb.LinearSpaceCharge(), slices=SLICES)
        ends = [out.twiss(a) for a in "xy"]
        return np.ravel([(np.log(end.beta / x[2 * k]), end.alpha - x[2 * k + 1]) for k, end in enumerate(ends)])

    low, high = zip(*BOUNDS.values(), strict=True)
    start = [given[name.partition(".")[2]] for name in BOUNDS]
    return dict(zip(BOUNDS, least_squares(change, start, bounds=(low, high), x_scale="jac").x.tolist(), strict=True))


def with_start(beam: bb.Beam, begin: Mapping[str, float]) -> bb.Beam:
    """The same variates with other beta and alpha, given by names such as ``beam.beta_x``."""
    return beam.with_parameters(**{name.partition(".")[2]: value for name, value in begin.items()})


def match(given: Problem, begin: Mapping[str, float]) -> Any:
    """`bb.match` of particles from where the envelope says."""
    options: dict[str, Any] = {"space_charge": given.space_charge(), "slices": SLICES, "progress": False}
    return bb.match(TARGETS, given.line(), with_start(given.beam(), begin), BOUNDS, **options)


def sizes(given: Problem, beam: bb.Beam, cells: int) -> np.ndarray:
    """s, sigma_x and sigma_y [m] behind every slice of a row of cells: three rows."""
    way = bb.trace(given.line() * cells, beam, space_charge=given.space_charge(), slices=SLICES)
    return np.asarray([(float(s), float(seen.sigma("x")), float(seen.sigma("y"))) for s, _, seen in way]).T


def beating(seen: np.ndarray, cells: int) -> float:
    """Largest deviation of a size from what it was in the first cell, as a share of it."""
    columns = seen[1:, 1:].reshape(2, cells, -1)
    return float(np.max(np.abs(columns / columns[:, :1] - 1.0)))


def draw(ways: Mapping[str, np.ndarray]) -> Any:
    """Sizes along the cells, one picture below the other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 2.2 * len(ways)), layout="constrained")
    axes = figure.subplots(len(ways), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for ax, (title, (s, x, y)) in zip(axes, ways.items(), strict=True):
        ax.plot(s, 1e6 * x, color="#1667b0", label="σ_x")
        ax.plot(s, 1e6 * y, color="#d1495b", label="σ_y")
        ax.set_title(title, fontsize=9)
        ax.set_ylabel("size [µm]")
    axes[-1].set_xlabel("s [m]")
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Match, and follow three bunches along a row of cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", type=int, default=20_000)
    parser.add_argument("--grid", type=int, default=32)
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--plot", metavar="FILE")
    options = parser.parse_args(arguments)
    given = problem(options.particles, options.grid)
    begin = envelope(given.line(), given.beam())
    found = match(given, begin)
    print(found.table())
    bare = given.beam()
    beams = {"bare optics": bare, "envelope of moments": with_start(bare, begin), "particles": found.beam}
    ways = {f"matched to the {name}": sizes(given, beam, options.cells) for name, beam in beams.items()}
    for name, way in ways.items():
        print(f"{name}: sizes beat by {100 * beating(way, options.cells):.2f} % in {options.cells} cells")
    if options.plot:
        draw(ways).savefig(options.plot, dpi=120)


if __name__ == "__main__":
    main()
