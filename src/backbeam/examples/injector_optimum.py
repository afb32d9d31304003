"""An injector from 5 to 100 MeV tuned by 20 parameters under space charge, in memory that does not grow with the kicks.

The problem ``injector``: solenoids, a standing and two travelling waves, quadrupoles, a chicane. Varied are solenoids,
voltages, phases, drifts, quadrupoles, the chicane's angle, and spot and length of the bunch that comes in; the third
voltage follows, so that the reference ends at 100 MeV. The product of both normalised emittances is to be small, with
the bunch squeezed below 0.3 mm. Every pass there and back undoes its kicks one by one (`Reversible`): the program says
what its process took at most, and what PyTorch's tape would take for the same gradient.

    python -m backbeam.examples.injector_optimum --plot injector.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import backbeam as bb
from backbeam.adjoint import adjoint_named
from backbeam.memory.amounts import show_bytes
from backbeam.memory.forecast import forecast
from backbeam.problem import Problem

VARY: dict[str, Any] = {
    "s1.ks": (0.0, 8.0), "s2.ks": (-4.0, 4.0), "s3.ks": (-2.0, 2.0),
    "c1.voltage": (15e6, 25e6), "c2.voltage": (30e6, 45e6),
    "c1.phase": (-0.6, 0.6), "c2.phase": (-0.6, 0.2), "c3.phase": (-0.6, 0.2),
    "d1.length": (0.2, 1.0), "d2.length": (0.2, 1.2), "d3.length": (0.1, 1.0),
    **{f"q{k}.k1": (-8.0, 8.0) for k in range(1, 7)},
    "b1.angle": (0.06, 0.16), "beam.sigma_x": (0.2e-3, 0.8e-3), "beam.sigma_tau": (0.5e-3, 1.0e-3),
}  # fmt: skip
TIES = {
    "b2.angle": "-b1.angle", "b3.angle": "-b1.angle", "b4.angle": "b1.angle", "beam.sigma_y": "beam.sigma_x",
    "c3.voltage": "(95e6 - c1.voltage*cos(c1.phase) - c2.voltage*cos(c2.phase))/cos(c3.phase)",
}  # fmt: skip
EMITTANCE = "log(normalized_emittance_x) + log(normalized_emittance_y)"
SQUEEZED = bb.Target("sigma_tau", below=0.3e-3, tol=3e-6)


def problem(particles: int, grid: int, step: float) -> Problem:
    """The shipped problem with so many particles and nodes, and so much way between kicks [m]."""
    return Problem.load("injector", {"beam.n": particles, "space_charge.grid": [grid] * 3, "track.step": step})


def at(given: Problem, values: Mapping[str, float]) -> tuple[bb.Line, bb.Beam]:
    """Line and beam with values such as `bb.match` finds."""
    of_beam = {name.removeprefix("beam."): v for name, v in values.items() if name.startswith("beam.")}
    of_line = {name: v for name, v in values.items() if not name.startswith("beam.")}
    return given.line().replace(of_line), given.beam().with_parameters(**of_beam)


def tune(given: Problem, passes: int, begin: Mapping[str, float] | None = None) -> Any:
    """`bb.match` by SLSQP, from the problem as it stands or from values."""
    options: dict[str, Any] = {"space_charge": given.space_charge(), **given.track_options(), "adjoint": "reversible"}
    line, beam = at(given, begin or {})
    return bb.match([EMITTANCE, SQUEEZED], line, beam, VARY | TIES, passes=passes, progress=False, **options)


def emittance(beam: Any) -> float:
    """Geometric mean of both normalised emittances [m]."""
    return float(beam.normalized_emittance("x") * beam.normalized_emittance("y")) ** 0.5


def needs(given: Problem) -> dict[str, int]:
    """What a gradient takes at most [B] by each way to remember, on PyTorch, of which a tape can be had; foretold."""
    model = forecast(given.replace({"run.backend": "torch"}))
    return {one.name: model.needs(adjoint_named(one.name)).predicted_peak_bytes for one in model.adjoints()}


def peak() -> int:
    """What this process has held at most [B]."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def way(given: Problem, values: Mapping[str, float]) -> np.ndarray:
    """Rows along the line: s, both sizes, length [m], geometric mean of the normalised emittances [m]."""
    line, beam = at(given, values)
    seen = bb.trace(line, beam, space_charge=given.space_charge(), **given.track_options())
    rows = [(float(s), *(float(b.sigma(a)) for a in ("x", "y", "tau")), emittance(b)) for s, _, b in seen]
    return np.asarray(rows).T


def draw(before: np.ndarray, after: np.ndarray) -> Any:
    """Emittance, sizes and length along the line, as it was and as it is tuned."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 6.0), layout="constrained")
    emittances, sizes, lengths = figure.subplots(3, 1, sharex=True)
    for (s, x, y, tau, mean), line, label in ((before, ":", "before"), (after, "-", "tuned")):
        emittances.semilogy(s, 1e6 * mean, line, color="#22272e", label=label)
        sizes.plot(s, 1e3 * x, line, color="#1667b0", label=f"σ_x {label}")
        sizes.plot(s, 1e3 * y, line, color="#d1495b", label=f"σ_y {label}")
        lengths.plot(s, 1e3 * tau, line, color="#3f8f5f", label=label)
    for ax, label in ((emittances, "√(ε_x ε_y), normalised [µm]"), (sizes, "size [mm]"), (lengths, "σ_tau [mm]")):
        ax.set_ylabel(label)
        ax.legend(frameon=False, fontsize=8)
    lengths.set_xlabel("s [m]")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Tune, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", type=int, default=2000)
    parser.add_argument("--grid", type=int, default=12)
    parser.add_argument("--step", type=float, default=0.2, help="way between kicks [m]")
    parser.add_argument("--passes", type=int, default=40)
    parser.add_argument("--plot", metavar="FILE")
    options = parser.parse_args(arguments)
    given = problem(options.particles, options.grid, options.step)
    found = tune(given, options.passes)
    print(found.table())
    kicks = bb.count_kicks(found.line, space_charge=given.space_charge(), **given.track_options())
    tape = show_bytes(needs(given)["tape"])
    print(f"{kicks} kicks: the process took {show_bytes(peak())} at most; PyTorch's tape would take {tape}")
    if options.plot:
        draw(way(given, {}), way(given, found.values)).savefig(options.plot, dpi=120)


if __name__ == "__main__":
    main()
