"""Space-charge tune spread of PSB bunches beside Laslett's, and a footprint: ``python -m benchmarks.tune_spread``.

``--lattices`` is a folder with ``expected_madx.json``, which names the files of the CERN PS Booster. Protons of 160
MeV, bunches of sigma_z 4 m and 20 m, matched, with a kick at most every ``--every`` metres wherever elements begin.

1. The tunes of the middle of the bunch, from the way of probes without charge about the orbit in one turn, with and
   without space charge, beside the integral over the lattice, sigma from the optics (Laslett 1963; Schindl 1999)::

       dQ_x = -r_p lambda/(2 pi beta^2 gamma^3) oint beta_x/(sigma_x (sigma_x + sigma_y)) ds
       lambda = N/(sqrt(2 pi) sigma_z)

2. Tunes of probes of all amplitudes up to three sigma, by NAFF of a few hundred turns (``--turns``), as a picture.
"""

from __future__ import annotations

import argparse
import json
from math import pi, sqrt
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from benchmarks.common import RESULTS

import backbeam as bb
from backbeam.reference import Reference
from backbeam.species import species_named

EMITTANCES = (2.0e-6, 1.5e-6)
ELEMENTARY_CHARGE, CLASSICAL_RADIUS = 1.602176634e-19, 1.53469850e-18
"""Of the proton [C, m]."""


def booster(folder: Path) -> tuple[bb.Line, Reference]:
    """The PSB with its cavities off."""
    case = json.loads((folder / "expected_madx.json").read_text())["cases"]["psb"]
    reference = Reference.from_kinetic_energy(np.asarray(160e6), species_named("proton"))
    files = [folder / "madx" / name for name in case["files"]]
    loaded = bb.load(*files, line=case["sequence"], replace={"rfcavity": "drift"}, reference=reference)
    return loaded.line, reference


def laslett(o: bb.Optics, sigma_z: float, charge: float) -> tuple[float, float]:
    """Tune shifts in the middle of a Gaussian bunch."""
    reference, host = o.source.reference, o.on_host()
    beta, gamma = float(reference.beta), float(reference.gamma)
    density = charge / ELEMENTARY_CHARGE / (sqrt(2.0 * pi) * sigma_z)
    x, y = (np.sqrt(e * host[f"beta_{plane}"]) for e, plane in zip(EMITTANCES, "xy", strict=True))
    scale = -CLASSICAL_RADIUS * density / (2.0 * pi * beta**2 * gamma**3)
    return tuple(float(scale * np.trapezoid(host[f"beta_{plane}"] / (mine * (x + y)), host["s"]))
                 for plane, mine in (("x", x), ("y", y)))  # fmt: skip


def with_probes(beam: bb.Beam, probes: np.ndarray) -> bb.Beam:
    """The beam and, first, particles without charge ``(6, k)``."""
    X = np.concatenate([probes, beam.coordinates], axis=-1)
    q = np.concatenate([np.zeros(probes.shape[-1]), beam.charges])
    return bb.Beam.from_arrays(X, charges=q, species="proton", kinetic_energy=float(beam.reference.kinetic_energy))


def middle_tunes(line: bb.Line, beam: bb.Beam, o: bb.Optics, space_charge: Any) -> np.ndarray:
    """Fractions of the tunes of small amplitudes, from the matrix of one turn."""
    start = o["start"]
    size = 0.1 * np.sqrt([EMITTANCES[0] * start.beta_x, EMITTANCES[0] / start.beta_x,
                          EMITTANCES[1] * start.beta_y, EMITTANCES[1] / start.beta_y])  # fmt: skip
    probes = np.zeros((6, 8))
    for k in range(4):
        probes[k, 2 * k], probes[k, 2 * k + 1] = size[k], -size[k]
    after = bb.track(line, with_probes(beam, probes), space_charge=space_charge).coordinates[:4, :8]
    M = (after[:, 0::2] - after[:, 1::2]) / (2.0 * size)
    return np.asarray([np.arccos(0.5 * (M[k, k] + M[k + 1, k + 1])) / (2.0 * pi) for k in (0, 2)])


def compare(line: bb.Line, reference: Reference, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Tune shifts of both bunches by both models, and Laslett's."""
    o, fine = bb.optics(line, reference), bb.optics(line, reference, step=0.2)
    bare, found = [float(q) % 1.0 for q in (o.tune_x, o.tune_y)], []
    for sigma_z, charge in ((4.0, 0.8e-9), (20.0, 4e-9)):
        expected = laslett(fine, sigma_z, charge)
        beam = bb.Beam.matched(
            o, n=arguments.particles, seed=1, charge=charge, emittance_x=EMITTANCES[0], emittance_y=EMITTANCES[1],
            sigma_tau=sigma_z / float(reference.beta), sigma_pt=0.0,
        )  # fmt: skip
        for model in (bb.SpaceCharge3D, bb.SpaceCharge25D):
            began = process_time()
            tunes = middle_tunes(line, beam, o, model(grid=(arguments.grid,) * 3, every=arguments.every))
            shifts = [float(t - q) for t, q in zip(tunes, bare, strict=True)]
            found.append({"sigma_z": sigma_z, "model": model.kind, "shifts": shifts, "laslett": expected,
                          "ratios": [s / e for s, e in zip(shifts, expected, strict=True)],
                          "seconds": process_time() - began})  # fmt: skip
            print(found[-1], flush=True)
    return found


def footprint(line: bb.Line, reference: Reference, arguments: argparse.Namespace) -> dict[str, Any]:
    """Tunes of probes of amplitudes up to three sigma in the middle of the short bunch, by NAFF."""
    o = bb.optics(line, reference)
    charge, sigma_z, start = 12e-9, 4.0, o["start"]
    beam = bb.Beam.matched(
        o, n=arguments.particles // 4, seed=1, charge=charge, emittance_x=EMITTANCES[0], emittance_y=EMITTANCES[1],
        sigma_tau=sigma_z / float(reference.beta), sigma_pt=0.0,
    )  # fmt: skip
    amplitudes = np.asarray([0.15, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0])
    ax, ay = (a.ravel() for a in np.meshgrid(amplitudes, amplitudes, indexing="ij"))
    probes = np.zeros((6, len(ax)))
    for k, a, e, plane in ((0, ax, EMITTANCES[0], "x"), (2, ay, EMITTANCES[1], "y")):
        beta, alpha = getattr(start, f"beta_{plane}"), getattr(start, f"alpha_{plane}")
        probes[k], probes[k + 1] = a * np.sqrt(e * beta), -alpha * a * np.sqrt(e / beta)
    end = bb.track(
        line, with_probes(beam, probes), turns=arguments.turns, record=bb.Record(particles=range(len(ax))),
        space_charge=bb.SpaceCharge3D(grid=(32, 32, 32), every=2.0 * arguments.every),
    )  # fmt: skip
    turns, tunes = end.readings["turns"].particles, []
    for k, plane in ((0, "x"), (2, "y")):
        beta, alpha = getattr(start, f"beta_{plane}"), getattr(start, f"alpha_{plane}")
        q, p = turns[k], alpha * turns[k] + beta * turns[k + 1]
        tunes.append(bb.tunes_of(q, p).tolist())
    bare = [float(q) % 1.0 for q in (o.tune_x, o.tune_y)]
    fine = bb.optics(line, reference, step=0.2)
    return {"amplitudes": [ax.tolist(), ay.tolist()], "tunes": tunes, "bare": bare, "turns": arguments.turns,
            "particles": arguments.particles // 4,
            "laslett": laslett(fine, sigma_z, charge), "emittance_growth": _growth(end)}  # fmt: skip


def _growth(end: bb.Beam) -> list[float]:
    turns = end.readings["turns"]
    return [float(turns.emittance(plane)[-1] / turns.emittance(plane)[0] - 1.0) for plane in "xy"]


def draw(found: dict[str, Any], path: Path) -> None:
    """Lines of equal amplitude in the plane of tunes, with the bare tune and Laslett's."""
    import matplotlib.pyplot as plt

    side = int(sqrt(len(found["tunes"][0])))
    qx, qy = (np.reshape(q, (side, side)) for q in found["tunes"])
    figure, axes = plt.subplots(figsize=(5.5, 5.0), layout="constrained")
    for k in range(side):
        axes.plot(qx[k], qy[k], color="C0", lw=0.8)
        axes.plot(qx[:, k], qy[:, k], color="C1", lw=0.8)
    axes.scatter(qx.ravel(), qy.ravel(), c=np.add(*found["amplitudes"]), s=14, cmap="viridis", zorder=3)
    axes.plot(*found["bare"], "k*", label="without space charge")
    axes.plot(*(q + d for q, d in zip(found["bare"], found["laslett"], strict=True)), "r+", ms=12,
              label="Laslett, middle of the bunch")  # fmt: skip
    axes.set_xlabel("fraction of the tune in x")
    axes.set_ylabel("fraction of the tune in y")
    axes.legend(loc="upper left")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Both parts, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lattices", type=Path, required=True)
    parser.add_argument("--particles", type=int, default=200_000)
    parser.add_argument("--grid", type=int, default=48)
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--turns", type=int, default=128)
    parser.add_argument("--only", choices=("laslett", "footprint"))
    arguments = parser.parse_args()
    line, reference = booster(arguments.lattices)
    path = RESULTS / "tune-spread.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    if arguments.only != "footprint":
        found["laslett"] = compare(line, reference, arguments)
    if arguments.only != "laslett":
        found["footprint"] = footprint(line, reference, arguments)
        draw(found["footprint"], RESULTS / "tune-footprint.png")
    path.write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "tune-spread.md").write_text(text(found, arguments))


TEXT = """# Space-charge tune spread of the PS Booster

`python -m benchmarks.tune_spread --lattices DIR`: protons of 160 MeV, {particles} particles on a grid of {grid}^3, a
kick at most every {every:g} m; matched Gaussian bunches, rms emittances 2 and 1.5 um. The charge is small, so that
shifts are of first order, as Laslett's are.

| sigma_z [m] | model | dQ_x | dQ_y | over Laslett's |
|---|---|---|---|---|
{rows}
"""
PICTURE = """
![tunes of probes up to three sigma](tune-footprint.png)

Tunes of probes of up to three sigma in x and y, in the middle of a bunch of 12 nC, sigma_z 4 m, by NAFF over {turns}
turns of {particles} particles; blue lines are of one amplitude in x, orange ones of one in y. The rms emittances change
by {growth} meanwhile. Shifts as large as these are not of first order: the innermost stay behind Laslett's.
"""


def text(found: dict[str, Any], arguments: argparse.Namespace) -> str:
    """What was found, in Markdown."""
    rows = []
    for row in found.get("laslett", ()):
        shifts = " | ".join(f"{s:.5f}" for s in row["shifts"])
        ratios = ", ".join(f"{r:.4f}" for r in row["ratios"])
        rows.append(f"| {row['sigma_z']:g} | {row['model']} | {shifts} | {ratios} |")
    said = TEXT.format(**vars(arguments), rows="\n".join(rows))
    if "footprint" in found:
        growth = " and ".join(f"{100 * g:.1f} %" for g in found["footprint"]["emittance_growth"])
        said += PICTURE.format(
            turns=found["footprint"]["turns"], particles=found["footprint"].get("particles", 25_000), growth=growth
        )
    return said


if __name__ == "__main__":
    main()
