"""The lines on which all gradients are compared: small beams, few kicks, every kind of step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import backbeam as bb
from backbeam import backends
from backbeam import observables as ob
from backbeam.gradient import Gradient, differentiate
from backbeam.problem import Problem

ELECTRONS = {
    "species": "electron", "kinetic_energy": 20e6, "charge": 1e-9, "sigma_x": 1e-3, "sigma_y": 0.8e-3,
    "sigma_px": 1e-3, "sigma_py": 0.7e-3, "sigma_tau": 0.9e-3, "sigma_pt": 2e-3, "mean_x": 2e-4, "mean_py": 3e-4,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A line, a beam, an objective, and what its gradient is asked for."""

    line: Callable[[], bb.Line]
    wrt: Sequence[str]
    objective: Any = field(default_factory=lambda: ob.sigma("x") + 0.5 * ob.sigma("y") + 0.1 * ob.sigma("tau"))
    beam: dict[str, Any] = field(default_factory=lambda: ELECTRONS)
    kind: str = "gaussian"
    grid: tuple[int, int, int] | None = (6, 7, 8)
    slices: int | None = 2

    def options(self) -> dict[str, Any]:
        """Keyword arguments of `track`."""
        model = None if self.grid is None else bb.SpaceCharge3D(grid=self.grid)
        return {"space_charge": model, "slices": self.slices}

    def draw(self, backend: str = "numpy", dtype: str = "float64", **changes: Any) -> bb.Beam:
        """The beam, on any library."""
        given = {"n": 200, "seed": 3, **self.beam, **changes}
        return bb.Beam.draw(self.kind, backend=backend, dtype=dtype, **given)

    def differentiate(self, adjoint: bb.adjoint.Adjoint, backend: str = "numpy", dtype: str = "float64") -> Gradient:
        """Value and gradient."""
        beam = self.draw(backend, dtype)
        return differentiate(self.objective, self.line(), beam, self.wrt, adjoint=adjoint, **self.options())


def fodo() -> bb.Line:
    qf, qd = bb.Quadrupole(0.1, k1=12.0, name="qf"), bb.Quadrupole(0.1, k1=-12.0, name="qd")
    drift = bb.Drift(0.2, name="d")
    return bb.Line([drift, qf, drift, drift, qd, drift]) * 2


def accelerator() -> bb.Line:
    cavity = bb.RFCavity(1.0, voltage=8e6, frequency=1.3e9, phase=-0.4, steps=4, name="cavity")
    return bb.Line([bb.Drift(0.2), bb.Buncher(2e5, 1.3e9, name="buncher"), cavity, bb.Drift(0.3), cavity])


def apertures() -> bb.Line:
    return bb.Line([
        bb.Drift(0.2, name="d"), bb.Aperture(half_x=1.6e-3, half_y=1.5e-3, name="a1"),
        bb.Quadrupole(0.1, k1=10.0, name="q"),
        bb.RFCavity(0.4, voltage=3e6, frequency=1.3e9, phase=0.3, steps=2, name="cavity"),
        bb.Aperture(half_x=1.3e-3, half_y=1.3e-3, shape="elliptical", dx=1e-4, name="a2"), bb.Drift(0.3, name="end"),
    ])  # fmt: skip


def diagnostics() -> bb.Line:
    monitor = bb.Monitor(name="bpm", dx=1e-4)
    screen = bb.Screen(half_x=2e-3, half_y=3e-3, pixels=(6, 5), name="yag")
    corrector = bb.Corrector(0.1, hkick=3e-4, vkick=-2e-4, name="c")
    return bb.Line([monitor, corrector, bb.Drift(0.3), screen, bb.Quadrupole(0.1, k1=9.0, name="q"), monitor])


_PIXELS = np.random.default_rng(8).normal(size=(6, 5))
_READINGS = (
    ob.reading("bpm", "x", 0) + 3.0 * ob.reading("bpm", "y", 1) + 1e6 * ob.reading("yag", _PIXELS) + ob.sigma("x")
)  # 1 nC: the image counts as much as the rest

CASES: dict[str, Case] = {
    "expanding": Case(
        lambda: bb.Line([bb.Drift(3.0, name="d")]), ("d.length", "beam.charge", "beam.kinetic_energy", "beam.radius"),
        kind="uniform_ellipsoid", beam={"species": "electron", "kinetic_energy": 250e6, "charge": 1e-9, "radius": 1e-3},
        slices=4,
    ),
    "fodo": Case(fodo, ("qf.k1", "qd.k1", "qf.length", "d.length", "beam.charge", "beam.sigma_x", "beam.coordinates")),
    "acceleration": Case(
        accelerator, ("cavity.voltage", "cavity.phase", "cavity.length", "cavity.frequency", "buncher.voltage",
                      "beam.kinetic_energy", "beam.charge", "beam.sigma_tau"),
        objective=ob.normalized_emittance("x") + 0.1 * ob.energy_spread() + ob.sigma("tau"),
    ),
    "misaligned": Case(
        lambda: bb.Line([
            bb.Drift(0.2), bb.Quadrupole(0.3, k1=8.0, dx=3e-4, dy=-2e-4, roll=0.1, name="q"), bb.Drift(0.4),
        ]),
        ("q.dx", "q.dy", "q.roll", "q.k1"), objective=ob.mean_square_size(),
    ),
    "bend": Case(
        lambda: bb.Line([
            bb.SectorBend(0.5, angle=0.3, e1=0.1, e2=0.12, fint=0.5, hgap=0.02, name="b"), bb.Drift(0.3),
            bb.SectorBend(0.4, angle=-0.2, k1=0.9, name="c"),
        ]),
        ("b.angle", "b.e1", "b.e2", "b.fint", "b.hgap", "b.length", "c.k1", "c.angle", "beam.kinetic_energy"),
    ),
    "solenoid": Case(
        lambda: bb.Line([bb.Drift(0.3, name="d"), bb.Solenoid(0.4, ks=1.5, name="s"), bb.Drift(0.2)]),
        ("s.ks", "s.length", "d.length", "beam.sigma_px"),
        objective=ob.emittance("x") + 1e-3 * ob.mismatch("y", beta=2.0),
    ),
    "apertures": Case(
        apertures, ("q.k1", "cavity.phase", "d.length", "beam.charge", "beam.kinetic_energy", "beam.sigma_y")
    ),
    "diagnostics": Case(
        diagnostics, ("c.hkick", "c.vkick", "q.k1", "bpm.dx", "beam.charge", "beam.mean_x", "beam.charges"),
        objective=_READINGS,
    ),
    "no space charge": Case(fodo, ("qf.k1", "d.length"), grid=None, slices=None),
}  # fmt: skip


def awake() -> Case:
    """The shipped AWAKE line and its 58 lengths, strengths and angles; magnets in fewer kicks."""
    problem = Problem.load("awake", {"lattice.steps": 4})
    line, given = problem.line(), dict(problem.tree["beam"])
    kind, _, _ = (given.pop(name) for name in ("distribution", "n", "seed"))
    wrt = tuple(p for p in line.parameters if kind_of(p) in ("length", "k1", "k2", "k3", "angle"))
    assert len(wrt) == 58
    return Case(lambda: line, wrt, ob.mean_square_size(), given, kind, None, None)


def host(array: Any) -> np.ndarray:
    """On the host, in float64."""
    return np.asarray(backends.of(array).to_numpy(array), dtype=np.float64)


def kind_of(name: str) -> str:
    """Gradients are of one kind if they are with respect to the same field."""
    return name.rpartition(".")[2]


def central_difference(case: Case, name: str, h: float = 1e-6) -> float:
    """Derivative of a case's value, with respect to a number, by central differences."""
    line, beam = case.line(), case.draw()
    owner, _, field_name = name.rpartition(".")
    here = float(beam.parameters()[field_name] if owner == "beam" else line.get(name))
    step = h * max(abs(here), 1e-3 if field_name in ("dx", "dy") else 0.0)

    def value(x: float) -> float:
        changed = (
            (line, beam.with_parameters(**{field_name: x})) if owner == "beam" else (line.replace({name: x}), beam)
        )
        return float(case.objective(bb.track(*changed, **case.options())))

    return (value(here + step) - value(here - step)) / (2.0 * step)


def deviation(found: dict[str, Any], wanted: dict[str, Any]) -> float:
    """Largest difference of two gradients, relative to the largest of its kind."""
    largest: dict[str, float] = {}
    for name, value in wanted.items():
        assert np.all(np.isfinite(host(value))) and np.any(host(value) != 0.0), name
        largest[kind_of(name)] = max(largest.get(kind_of(name), 0.0), float(np.abs(host(value)).max()))
    assert set(found) == set(wanted)
    return max(float(np.abs(host(found[n]) - host(wanted[n])).max()) / largest[kind_of(n)] for n in wanted)
