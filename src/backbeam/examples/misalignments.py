"""Offsets of quadrupoles and an error of a gradient, found from what monitors read, with their uncertainties.

Six quadrupoles of 8 /m^2, a monitor behind each, electrons of 50 MeV. The scan has 17 settings, one batch: the nominal
optics, each quadrupole up and down by 30 %, four kicks at the entrance. Unknown are both offsets of each quadrupole and
the relative error of the third one's gradient. Least squares, with the exact Jacobian of the 204 readings; what the
noise of the monitors leaves unknown follows from the same Jacobian at the end, as the inverse of J^T J.

    python -m backbeam.examples.misalignments --plot misalignments.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares

import backbeam as bb
from backbeam.formulas import Variable

QUADRUPOLES = tuple(f"q{k}" for k in range(1, 7))
MONITORS = tuple(f"m{k}" for k in range(1, 7))
ODD = "q3"
"""Whose gradient is not what it is set to."""
UNKNOWNS = {f"{q}.{offset}": (-1e-3, 1e-3) for offset in ("dx", "dy") for q in QUADRUPOLES} | {"error": (-0.2, 0.2)}
"""By name the range in which each is looked for, which is also its scale."""
NOISE, OFFSET, ERROR = 2e-7, 3e-4, 0.04
"""Rms of the noise of a reading, 2 um a shot in the mean of 100 [m]; of the offsets [m]; of the relative error."""
BARS = 1.96
"""An error bar of 95 % in standard deviations."""


@dataclass(frozen=True, eq=False)
class Scan:
    """What the monitors would read, by the unknowns: `bb.function` of 12 readings in 17 settings."""

    function: Any
    rows: np.ndarray
    """Unit of each of the 204 residuals of the function [m]."""

    def readings(self, x: np.ndarray) -> np.ndarray:
        """All readings [m]: those of the first monitor in x, in every setting, then in y, then of the next."""
        return self.function.residuals(x) * self.rows

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """Their derivatives by the unknowns over their ranges ``(204, 13)`` [m]."""
        return self.function.jacobian(x) * self.rows[:, None]


@dataclass(frozen=True, eq=False)
class Found:
    """What was found; all of the unknowns in order, in m and 1."""

    true: np.ndarray
    values: np.ndarray
    covariance: np.ndarray
    chi2: float
    """Of the 204 readings."""
    calls: int

    @property
    def sigma(self) -> np.ndarray:
        """Standard deviations."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def distance(self) -> float:
        """Square of the distance from the truth in the metric of the covariance: a chi^2 of 13."""
        off = self.values - self.true
        return float(off @ np.linalg.solve(self.covariance, off))

    @property
    def pulls(self) -> np.ndarray:
        """Deviations from the truth in standard deviations."""
        return (self.values - self.true) / self.sigma


def line() -> bb.Line:
    """The line in all settings of the scan."""
    factors, kicks = np.ones((17, 6)), np.zeros((17, 2))
    for k in range(6):
        factors[1 + 2 * k : 3 + 2 * k, k] = 1.3, 0.7
    kicks[13:] = [[5e-4, 0.0], [-5e-4, 0.0], [0.0, 5e-4], [0.0, -5e-4]]
    k1 = {q: 8.0 * (-1) ** k * factors[:, k] for k, q in enumerate(QUADRUPOLES)}
    # A knob, so that one number stands behind a gradient that is another in each setting.
    wrong = (("k1", Variable("set") * (1.0 + Variable("error"))),)
    items: list[bb.Element] = [bb.Corrector(hkick=kicks[:, 0], vkick=kicks[:, 1], name="steer")]
    for q, m in zip(QUADRUPOLES, MONITORS, strict=True):
        magnet = bb.Quadrupole(0.1, k1=k1[q], name=q, formulas=wrong if q == ODD else ())
        items += [magnet, bb.Drift(0.3), bb.Monitor(name=m), bb.Drift(0.3)]
    return bb.Line(items, knobs={"set": k1[ODD], "error": 0.0})


def scan(particles: int) -> Scan:
    """Readings as a function of the unknowns, from a line without errors on."""
    beam = bb.Beam.gaussian(
        n=particles, seed=1, species="electron", kinetic_energy=50e6, charge=1e-11,
        sigma_x=2e-4, sigma_px=2e-5, sigma_y=2e-4, sigma_py=2e-5, sigma_tau=1e-4, sigma_pt=1e-4,
    )  # fmt: skip
    readings = [bb.observables.reading(m, axis) for m in MONITORS for axis in "xy"]
    function = bb.function(readings, line(), beam, UNKNOWNS)
    return Scan(function, np.repeat(function.unit, 17))


def identify(scan: Scan, seed: int) -> Found:
    """Errors and noise of a seed, and what is found of them."""
    rng = np.random.default_rng(seed)
    scale = scan.function.scale
    true = rng.standard_normal(13) * np.asarray([OFFSET] * 12 + [ERROR])
    measured = scan.readings(true / scale)
    measured = measured + NOISE * rng.standard_normal(measured.size)
    fit = least_squares(
        lambda x: (scan.readings(x) - measured) / NOISE, scan.function.x0, lambda x: scan.jacobian(x) / NOISE,
        method="lm", x_scale=1.0, ftol=1e-6,
    )  # fmt: skip
    covariance = np.linalg.inv(fit.jac.T @ fit.jac) * np.outer(scale, scale)
    return Found(true, fit.x * scale, covariance, 2.0 * fit.cost, fit.nfev)


def holds(repeats: Sequence[Found]) -> np.ndarray:
    """In how many repeats the error bar of 95 % of each unknown holds the truth."""
    return np.sum([np.abs(found.pulls) <= BARS for found in repeats], axis=0)


def draw(repeats: Sequence[Found]) -> Any:
    """Offsets of the first repeat, how far off they are, and the pulls of all repeats."""
    from matplotlib.figure import Figure

    first, k = repeats[0], np.arange(6)
    figure = Figure(figsize=(10.5, 3.3), layout="constrained")
    offsets, errors, pulls = figure.subplots(1, 3)
    for plane, color in enumerate(("#1667b0", "#d1495b")):
        mine, label = slice(6 * plane, 6 * plane + 6), "dx" if plane == 0 else "dy"
        at = k + 0.36 * (plane - 0.5)
        offsets.bar(at, 1e6 * first.true[mine], 0.34, color=color, alpha=0.35, label=f"{label} true")
        offsets.plot(at, 1e6 * first.values[mine], ".", color=color, label=f"{label} found")
        off = 1e6 * (first.values - first.true)[mine]
        errors.errorbar(at, off, 1e6 * BARS * first.sigma[mine], fmt=".", color=color, capsize=2, label=label)
    errors.axhline(0.0, color="#8a929c", linewidth=0.6)
    for ax, label in ((offsets, "offset [µm]"), (errors, "found − true, with bars of 95 % [µm]")):
        ax.set_xticks(k, QUADRUPOLES)
        ax.set_ylabel(label)
        ax.legend(frameon=False, fontsize=8)
    every = np.concatenate([found.pulls for found in repeats])
    t = np.linspace(-4.0, 4.0, 201)
    pulls.hist(every, bins=np.linspace(-4.0, 4.0, 33), density=True, color="#7fb0dc")
    pulls.plot(t, np.exp(-0.5 * t * t) / np.sqrt(2.0 * np.pi), color="#22272e", linewidth=1.0)
    pulls.set_xlabel(f"(found − true)/σ, {len(repeats)} repeats of 13")
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Find errors, print them with their bars, and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=1, help="with errors and noise of other seeds")
    parser.add_argument("--plot", metavar="FILE")
    given = parser.parse_args(arguments)
    seen = scan(given.particles)
    repeats = [identify(seen, seed) for seed in range(given.repeats)]
    first = repeats[0]
    print(f"chi² {first.chi2:.0f} of {seen.rows.size} readings and 13 unknowns, {first.calls} calls")
    for name, true, value, sigma in zip(UNKNOWNS, first.true, first.values, first.sigma, strict=True):
        unit, per = ("", 1.0) if name == "error" else (" µm", 1e6)
        print(f"{name:6} {per * value:9.4f} ± {per * BARS * sigma:.4f}{unit}, true {per * true:.4f}{unit}")
    if given.repeats > 1:
        print(f"bars of 95 % hold in {holds(repeats).sum()} of {13 * given.repeats}")
    if given.plot:
        draw(repeats).savefig(given.plot, dpi=120)


if __name__ == "__main__":
    main()
