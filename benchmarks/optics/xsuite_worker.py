"""Chromaticities of Xsuite's exact maps, and who stays in a ring, in an environment of its own: JSON in, JSON out.

Of its own tracking, by differences of fourth order: the closed orbit of four energies near the design's, the matrix
about each, its eigenvalues. Bends are exact, with its full model of their faces and finely split gradients.
"""

from __future__ import annotations

import json
import os
import sys
from typing import NamedTuple

os.environ["XSUITE_ALLOW_KERNEL_COMPILATION"] = "1"

import numpy as np
import xtrack as xt

OFFSETS = ((-2.0, 1.0 / 12.0), (-1.0, -2.0 / 3.0), (1.0, 2.0 / 3.0), (2.0, -1.0 / 12.0))
"""Points of a difference of fourth order, and their weights."""
ENERGY, AMPLITUDE = 5e-5, 2e-5
"""Steps in pt, and in x, px, y, py."""

ENDS = ("entry", "exit")


def element(given: dict) -> object:
    """Xsuite's element of one of MAD-X's, exact."""
    if given["type"] == "opening":
        half = given["half_width"]
        return xt.LimitRect(min_x=-half, max_x=half, min_y=-half, max_y=half)
    length = given["length"]
    finely = {"integrator": "yoshida-6", "num_multipole_kicks": 98}
    exact = {"model": "drift-kick-drift-exact", **finely}
    if given["type"] == "bend":
        faces = {f"edge_{end}_{name}": value for end in ENDS for name, value in given[end].items()}
        models = {f"edge_{end}_model": "full" for end in ENDS}
        return xt.Bend(length=length, angle=given["angle"], k0_from_h=True, k1=given["k1"], k2=given["k2"],
                       model="bend-kick-bend", **finely, **models, **faces)  # fmt: skip
    if given["type"] == "quadrupole":
        return xt.Quadrupole(length=length, k1=given["k1"], k1s=given["k1s"], **exact)
    if given["type"] == "sextupole":
        return xt.Sextupole(length=length, k2=given["k2"], k2s=given["k2s"], **exact)
    if given["type"] == "multipole":
        return xt.Multipole(knl=given["knl"], ksl=given["ksl"])
    return xt.Drift(length=length, model="exact")


class Ring(NamedTuple):
    """A part of the one line that is tracked: what tracks is compiled for all rings at once."""

    line: xt.Line
    start: int
    stop: int
    reference: xt.Particles

    def after(self, z: np.ndarray, pt: np.ndarray | float, turns: int = 1) -> xt.Particles:
        """Particles that began at x, px, y, py ``(4, n)``, in this order."""
        p = self.line.build_particles(x=z[0], px=z[1], y=z[2], py=z[3], zeta=0.0, ptau=pt, particle_ref=self.reference)
        for _ in range(turns):
            self.line.track(p, ele_start=self.start, ele_stop=self.stop)
        p.sort(interleave_lost_particles=True)
        return p

    def around(self, z: np.ndarray, pt: np.ndarray) -> np.ndarray:
        """x, px, y, py ``(4, n)`` after a turn."""
        p = self.after(z, pt)
        return np.stack([p.x, p.px, p.y, p.py])


def tunes(ring: Ring, pt: np.ndarray) -> np.ndarray:
    """Fractional tunes ``(2, m)`` about the closed orbits of m energies."""
    z = np.zeros((4, len(pt)))
    for _ in range(4):
        shifts = np.asarray([0.0, *(where for where, _ in OFFSETS)])
        starts = z[:, :, None, None] + AMPLITUDE * np.eye(4)[:, None, :, None] * shifts
        ends = ring.around(starts.reshape(4, -1), np.broadcast_to(pt[:, None, None], starts.shape[1:]).ravel())
        ends = ends.reshape(starts.shape)
        R = sum(weight * ends[..., k + 1] for k, (_, weight) in enumerate(OFFSETS)) / AMPLITUDE
        R = np.moveaxis(R, 1, 0)  # (m, to, from)
        z = z + np.linalg.solve(np.eye(4) - R, (ends[:, :, 0, 0] - z).T[..., None])[..., 0].T
    values, vectors = np.linalg.eig(R)
    S = np.kron(np.eye(2), [[0.0, 1.0], [-1.0, 0.0]])
    found = np.empty((2, len(pt)))
    for m, (w, v) in enumerate(zip(values, vectors, strict=True)):
        signs = np.imag(np.einsum("ik,ij,jk->k", v.conj(), S, v))  # of one of each pair
        one = np.flatnonzero(signs > 0.0)
        one = one[np.argsort(-np.sum(np.abs(v[:2, one]) ** 2, axis=0))]
        found[:, m] = (np.angle(w[one]) / (2.0 * np.pi)) % 1.0
    return found


def chromaticities(ring: Ring) -> list[float]:
    """Per pt."""
    q = tunes(ring, ENERGY * np.asarray([where for where, _ in OFFSETS]))
    q = q + np.round(q[:, :1] - q)  # of one revolution
    return [float(np.sum(row * [w for _, w in OFFSETS]) / ENERGY) for row in q]


def main() -> None:
    """Answer all cases, with and without the extent of fringes."""
    cases = json.load(sys.stdin)
    line = xt.Line([element(e) for case in cases.values() for e in case["elements"]])
    line.particle_ref = xt.Particles(mass0=1e9, gamma0=10.0)
    line.build_tracker()
    rings, start = {}, 0
    for name, case in cases.items():
        beam, stop = case["beam"], start + len(case["elements"])
        reference = xt.Particles(mass0=beam["mass"] * 1e9, q0=beam["charge"], gamma0=beam["gamma"])
        rings[name], start = Ring(line, start, stop, reference), stop
    answer = {name: {"as_it_is": chromaticities(ring)} for name, ring in rings.items()}
    for name, case in cases.items():
        if "starts" in case:
            answer[name]["stays"] = (
                rings[name].after(np.asarray(case["starts"]), 0.0, case["turns"]).state > 0
            ).tolist()
    for part in line.elements:
        if isinstance(part, xt.Bend):
            part.edge_entry_fint = part.edge_exit_fint = 0.0
    for name, ring in rings.items():
        answer[name]["without_extent"] = chromaticities(ring)
    json.dump(answer, sys.stdout)


main()
