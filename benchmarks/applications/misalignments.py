"""Whether error bars hold: `backbeam.examples.misalignments`, 100 times with other errors and other noise.

python benchmarks/applications misalignments
"""

from __future__ import annotations

import argparse

import numpy as np
from common import machine, versions, write
from scipy.stats import chi2

from backbeam.examples import misalignments as program


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args(arguments)
    scan = program.scan(given.particles)
    repeats = [program.identify(scan, seed) for seed in range(given.repeats)]
    held = program.holds(repeats)
    off = np.asarray([found.values - found.true for found in repeats])
    sigma = np.asarray([found.sigma for found in repeats])
    farthest = np.abs(off[:, :12]).max(axis=1)
    table = ["| unknown | bars hold, of " + f"{given.repeats} | rms deviation | σ of the Jacobian |", "|---" * 4 + "|"]
    for k, name in enumerate(program.UNKNOWNS):
        per, unit = (1.0, "") if name == "error" else (1e6, " µm")
        numbers = (per * np.sqrt(np.mean(off[:, k] ** 2)), per * sigma[:, k].mean())
        table.append(f"| {name} | {held[k]} | " + " | ".join(f"{number:.3g}{unit}" for number in numbers) + " |")
    # All 13 at once: the ellipsoid of 95 % about what was found.
    inside = sum(found.distance <= chi2.ppf(0.95, 13) for found in repeats)
    mean = np.mean([found.chi2 for found in repeats])
    facts = [
        f"- Error bars of 95 % hold in {held.sum()} of {held.size * given.repeats} cases ({held.mean():.1f} of "
        f"{given.repeats} repeats); the ellipsoid of 95 % for all 13 at once in {inside} of {given.repeats}.",
        f"- The offset that is farthest off is so by {1e6 * np.median(farthest):.2f} µm in the median repeat and by "
        f"{1e6 * farthest.max():.2f} µm in the worst; all 12 are within 2 µm in {np.sum(farthest <= 2e-6)}.",
        f"- χ² is {mean:.1f} on average, for {scan.rows.size - 13} degrees of freedom; a search takes "
        f"{np.mean([found.calls for found in repeats]):.1f} calls.",
    ]
    print("\n".join([*table, *facts]))
    if given.write:
        data = {
            "settings": vars(given), "machine": machine(), "versions": versions("backbeam", "numpy", "scipy"),
            "hold": dict(zip(program.UNKNOWNS, held.tolist(), strict=True)), "ellipsoids": int(inside),
            "farthest": farthest.tolist(), "chi2": float(mean),
        }  # fmt: skip
        write("applications-misalignments", data, program.draw(repeats), text([*table, "", *facts], given, arguments))


def text(lines: list[str], given: argparse.Namespace, arguments: list[str]) -> str:
    """Table and facts, and what they are of."""
    return f"""# Misalignments and an error of a gradient from what monitors read

`{" ".join(["python benchmarks/applications misalignments", *arguments])}`: {given.repeats} repeats with other errors
(offsets of {1e6 * program.OFFSET:.0f} µm rms, a gradient's of {100 * program.ERROR:.0f} % rms) and other noise
({1e6 * program.NOISE:.1f} µm rms of a reading); 6 quadrupoles, 17 settings.

{chr(10).join(lines)}

![Offsets true and found, deviations with their bars, pulls of all repeats](applications-misalignments.png)
"""
