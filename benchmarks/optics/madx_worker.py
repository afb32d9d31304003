"""MAD-X's twiss of one lattice, in an environment of its own: a case as JSON in, columns and summary as JSON out.

Its chromaticities once more, from its own maps of first and second order. And what the lattice is made of, for another
code: elements in order, as MAD-X has them after everything is expanded.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np
from cpymad.madx import Madx

COLUMNS = ("s", "betx", "alfx", "mux", "bety", "alfy", "muy", "dx", "dpx", "dy", "x", "y")
OFF = {"solenoid": ("ks",), "hkicker": ("kick",), "vkicker": ("kick",), "kicker": ("hkick", "vkick")}
"""What is off where an orbit bump is not wanted."""
SURVEY = ("X", "Y", "Z", "theta", "phi", "psi")
NUMBERS = ("q1", "q2", "dq1", "dq2", "alfa", "length")


def described(e: Any) -> dict[str, Any]:
    """One element; whatever does nothing here is a drift."""
    kind, length = e.base_type.name, float(e.length)
    if kind in ("sbend", "rbend") and e.angle:
        share = 0.5 * e.angle if kind == "rbend" else 0.0
        ends = {"entry": (e.e1, e.fint), "exit": (e.e2, e.fintx if e.fintx >= 0.0 else e.fint)}
        faces = {end: {"angle": share + face, "fint": fint, "hgap": e.hgap} for end, (face, fint) in ends.items()}
        return {"type": "bend", "length": length, "angle": e.angle, "k1": e.k1, "k2": e.k2, **faces}
    if kind == "quadrupole":
        return {"type": kind, "length": length, "k1": e.k1, "k1s": e.k1s}
    if kind == "sextupole":
        return {"type": kind, "length": length, "k2": e.k2, "k2s": e.k2s}
    if kind == "multipole":
        return {"type": kind, "length": 0.0, "knl": list(e.knl), "ksl": list(e.ksl)}
    return {"type": "drift", "length": length}


def chromaticities_of_maps(sector: Any) -> list[float]:
    """Slopes of the tunes by pt of a coupled ring on the axis, from each element's R and T: a difference of matrices.

    A matrix about the orbit w pt is R + 2 T w pt. Tunes are those of the eigenvectors, larger in x first.
    """
    axes = range(6)
    R = np.moveaxis([[sector[f"r{i + 1}{j + 1}"] for j in axes] for i in axes], -1, 0)
    T = np.moveaxis([[[sector[f"t{i + 1}{j + 1}{k + 1}"] for k in axes] for j in axes] for i in axes], -1, 0)
    ring = np.linalg.multi_dot(R[::-1])
    found = []
    for pt in (-1e-5, 1e-5):
        z = np.zeros(6)
        z[:4] = np.linalg.solve(np.eye(4) - ring[:4, :4], ring[:4, 5] * pt)
        z[5] = pt
        M = np.eye(6)
        for r, t in zip(R, T, strict=True):
            M, z = (r + 2.0 * t @ z) @ M, r @ z
        values, vectors = np.linalg.eig(M[:4, :4])
        S = np.kron(np.eye(2), [[0.0, 1.0], [-1.0, 0.0]])
        one = np.flatnonzero(np.imag(np.einsum("ik,ij,jk->k", vectors.conj(), S, vectors)) > 0.0)
        one = one[np.argsort(-np.sum(np.abs(vectors[:2, one]) ** 2, axis=0))]
        found.append(np.angle(values[one]) / (2.0 * np.pi))
    return [float(v) for v in (found[1] - found[0]) / 2e-5]


def main() -> None:
    """Answer one case."""
    case = json.load(sys.stdin)
    madx = Madx(stdout=False)
    madx.option(echo=False, warn=False, info=False)
    for file in case["files"]:
        os.chdir(os.path.dirname(file))
        madx.call(file)
    beam = ", ".join(f"{key}={case['beam'][key]}" for key in ("particle", "mass", "charge", "energy"))
    madx.input(f"beam, {beam};")
    madx.use(case["sequence"])
    madx.input(f"beam, {beam}, sequence={case['sequence']};")
    for element in madx.sequence[case["sequence"]].expanded_elements:
        if element.base_type.name == "rfcavity":
            madx.elements[element.name].volt = 0.0
        for name in OFF.get(element.base_type.name, ()) if case["quiet"] else ():
            madx.elements[element.name][name] = 0.0
    start = {} if case["ring"] else {"betx": 1.0, "bety": 1.0}
    found = madx.twiss(sequence=case["sequence"], sectormap=case["ring"], **start)
    madx.survey()
    survey = madx.table.survey
    json.dump(
        {
            "columns": {name: [float(v) for v in found[name]] for name in COLUMNS},
            "survey": {name: [float(v) for v in survey[name.lower()]] for name in SURVEY},
            "elements": [described(e) for e in madx.sequence[case["sequence"]].expanded_elements],
            "chromaticities_of_maps": chromaticities_of_maps(madx.table.sectortable) if case["ring"] else None,
            "numbers": {name: float(found.summary[name]) for name in NUMBERS},
        },
        sys.stdout,
    )


main()
