"""CSR: the closed forms of Saldin et al. for a Gaussian bunch, ImpactX, limits, and a bunch compressor."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtri

import backbeam as bb
from backbeam.effects import CSR, Bunch, Effect, SteadyCSR
from backbeam.memory.resident import can_watch
from backbeam.problem import Problem
from backbeam.problem.measuring import measure
from backbeam.reference import Reference
from backbeam.species import KNOWN, VACUUM_PERMITTIVITY

IMPACTX = json.loads((Path(__file__).parents[1] / "data" / "csr_impactx.json").read_text())
SIGMA, CHARGE, N = 1e-4, -1e-9, 40_000
R = 10.0
FIELD = CHARGE / (4 * math.pi * VACUUM_PERMITTIVITY)


@dataclass(frozen=True, kw_only=True)
class Mirrored(SteadyCSR):
    """What ImpactX does: radiation acts behind."""

    kind: ClassVar[str] = "mirrored_csr"
    ahead: ClassVar[bool] = False


del Effect.kinds["mirrored_csr"]


def bunch(tau, momentum=1e9):
    X, species = np.zeros((6, len(tau))), KNOWN["electron"]
    X[4] = tau
    return Bunch(X, np.full(len(tau), CHARGE / len(tau)), None, Reference(np.asarray(momentum / species.mass), species))


def gaussian(n=N):
    """Gaussian without noise."""
    return SIGMA * ndtri((np.arange(n) + 0.5) / n)


def volts(effect, beam, **p):
    """What each particle of charge number -1 gains over a metre, times -1 [V]."""
    X1 = effect.forward(beam, {k: np.asarray(v) for k, v in {"length": 1.0, **p}.items()})
    return -(X1 - beam.X)[5] * float(beam.reference.momentum)


def density(z, derivative=0):
    """lambda or its slope, z ahead."""
    value = math.exp(-0.5 * (z / SIGMA) ** 2) / math.sqrt(2 * math.pi) / SIGMA
    return -z / SIGMA**2 * value if derivative else value


def saldin_in_bend(z, phi):
    """At the angle phi from the entrance: eq. 87 of Saldin et al., with its integral over the cube root."""
    slip = R * phi**3 / 24
    integral = quad(lambda u: 1.5 * density(z - u**1.5, 1), 0, slip ** (2 / 3), epsrel=1e-10)[0]
    return (
        -2 / (3 * R * R) ** (1 / 3) * (integral + (density(z - slip) - density(z - 4 * slip)) / slip ** (1 / 3)) * FIELD
    )


def saldin_behind(z, phi, x):
    """At a distance x R behind a bend of angle phi: their cases C and D, with psi the angle of the source."""
    slip = lambda psi: R / 24 * psi**3 * (psi + 4 * x) / (psi + x)  # noqa: E731
    last = slip(phi)

    def inner(s):
        psi = brentq(lambda psi: slip(psi) - s, 0, phi, xtol=1e-15)
        return density(z - s, 1) / (psi + 2 * x)

    integral = quad(lambda u: 3 * u * u * inner(u**3), 0, last ** (1 / 3), epsrel=1e-9, limit=200)[0]
    straight = density(z - last) - density(z - R * phi**2 / 6 * (phi + 3 * x))
    return -4 / R * (integral + straight / (phi + 2 * x)) * FIELD


def test_steady_state_of_a_gaussian_bunch():
    """Mean and rms are -0.3505 and 0.2460 of Q/(4 pi eps_0 R^(2/3) sigma^(4/3))."""
    tau = gaussian()
    found = volts(SteadyCSR(nodes=256), bunch(tau), angle=0.1, arc=1.0)
    unit = FIELD / (R ** (2 / 3) * SIGMA ** (4 / 3))
    assert np.mean(found) == pytest.approx(-0.3505 * unit, rel=1e-3)
    assert np.std(found) == pytest.approx(0.2460 * abs(unit), rel=1e-3)
    long = volts(CSR(nodes=256), bunch(tau), angle=10.0, arc=100.0, passed=100.0)
    np.testing.assert_allclose(long, found, atol=1e-12 * np.max(np.abs(found)))
    assert found[np.argmin(np.abs(tau + 2 * SIGMA))] * CHARGE > 0.0 > found[N // 2] * CHARGE  # the head gains


@pytest.mark.parametrize("passed", [0.1, 0.2, 0.4, 1.0])
def test_entrance_of_a_bend(passed):
    tau = gaussian()
    found = volts(CSR(nodes=400), bunch(tau), angle=0.1, arc=1.0, passed=passed)
    at = np.linspace(-2.5, 2.5, 11)
    wanted = np.asarray([saldin_in_bend(-t * SIGMA, passed / R) for t in at])
    assert np.max(np.abs(np.interp(at * SIGMA, tau, found) - wanted)) < 6e-3 * np.max(np.abs(wanted))


@pytest.mark.parametrize("behind", [1e-3, 0.05, 0.4, 3.0])
def test_drift_behind_a_bend(behind):
    tau = gaussian()
    found = volts(CSR(nodes=400), bunch(tau), angle=0.05, arc=0.5, passed=0.5, behind=behind)
    at = np.linspace(-2.5, 2.5, 11)
    wanted = np.asarray([saldin_behind(-t * SIGMA, 0.05, behind / R) for t in at])
    assert np.max(np.abs(np.interp(at * SIGMA, tau, found) - wanted)) < 6e-3 * np.max(np.abs(wanted))


def test_the_end_of_a_bend_is_no_step():
    beam, bend = bunch(gaussian(4000)), {"angle": 0.05, "arc": 0.5, "passed": 0.5}
    inside, behind = volts(CSR(), beam, **bend), volts(CSR(), beam, **bend, behind=1e-9)
    np.testing.assert_allclose(behind, inside, atol=1e-6 * np.max(np.abs(inside)))


def test_a_bend_that_is_straight():
    """No field, and no slope of it: what a bend does goes with the square of its angle there."""
    beam = bunch(gaussian(500))
    bar = np.random.default_rng(1).normal(size=beam.X.shape)
    for effect, more in ((CSR(nodes=32), {"passed": 0.3}), (SteadyCSR(nodes=32), {})):
        p = {k: np.asarray(v) for k, v in {"length": 0.1, "angle": 0.0, "arc": 0.5, **more}.items()}
        np.testing.assert_array_equal(effect.forward(beam, p), beam.X)
        bars = effect.pullback(beam, p, bar)
        assert all(a == 0.0 for a in bars.p.values())
    small = [np.max(np.abs(volts(CSR(nodes=32), beam, angle=a, arc=0.5, passed=0.3))) for a in (1e-9, 2e-9, -2e-9)]
    assert small[1] == pytest.approx(4 * small[0], rel=1e-6)
    assert small[2] == small[1] > 0.0


def test_the_way_back_undoes_it():
    """Bends and drifts are met from their other ends, and radiation of the way forward is taken back."""
    line = compressor(slices=2)
    beam = squeezed()
    effects = [bb.CSR(nodes=32), bb.SteadyCSR(nodes=32), bb.ResistiveWallWake(radius=5e-3, conductivity=6e7, nodes=32)]
    there = bb.track(line, beam, effects=effects)
    back = bb.track(line.backwards(), there, effects=effects)
    plain = bb.track(line.backwards(), bb.track(line, beam))
    assert np.max(np.abs(back.coordinates - beam.coordinates)) < 1e-12 + 10 * np.max(
        np.abs(plain.coordinates - beam.coordinates)
    )
    assert np.max(np.abs(there.pt - bb.track(line, beam).pt)) > 1e-5


# -- ImpactX: data/csr_impactx.json says how it was made ---------------------------------------------------------------


def test_steady_state_of_impactx():
    """Its kicks are those of the mirror image: there the tail gains energy, here the head does."""
    u = ndtri((np.arange(IMPACTX["n"]) + 0.5) / IMPACTX["n"])
    tau, p = 2e-5 * (u + 0.08 * (u * u - 1)), {"length": 0.5, "angle": 0.05, "arc": 0.5}
    species = KNOWN["electron"]
    beam = bunch(tau)._replace(reference=Reference.from_kinetic_energy(np.asarray(5e9), species))
    kicks = [
        (effect.forward(beam, {k: np.asarray(v) for k, v in p.items()}) - beam.X)[5, 250::500]
        for effect in (Mirrored(nodes=301), SteadyCSR(nodes=301))
    ]
    wanted = np.asarray(IMPACTX["bend"]["kicks"])
    assert np.max(np.abs(kicks[0] - wanted)) < 0.05 * np.max(np.abs(wanted))
    assert np.max(np.abs(kicks[1] - wanted)) > 0.5 * np.max(np.abs(wanted))


def test_chicane_of_impactx():
    rng = np.random.default_rng(0)
    X = np.diag([2e-5, 2e-6, 2e-5, 2e-6, 1e-4, 1e-5]) @ rng.standard_normal((6, IMPACTX["n"]))
    X[5] += 36.0 * X[4]
    beam = bb.Beam.from_arrays(X, species="electron", kinetic_energy=5e9, charge=1e-9)
    arc, rho, face = 0.500194828041958, 10.3462283686195526, 0.048345620280243

    def bend(name, sign):
        return bb.SectorBend(arc, angle=sign * arc / rho, model="linear", slices=20, name=name)

    def edge(name, sign):
        return bb.DipoleEdge(curvature=sign / rho, e=sign * face, name=name)

    def drift(name, length):
        return bb.Drift(length, model="linear", name=name)

    line = bb.Line(
        [
            bend("b1", -1), edge("e1", -1), drift("d1", 5.0058489435), edge("e2", 1), bend("b2", 1), drift("m", 1.0),
            bend("b3", 1), edge("e3", 1), drift("d2", 5.0058489435), edge("e4", -1), bend("b4", -1), drift("end", 2.0),
        ]
    )  # fmt: skip
    found = {
        label: bb.track(line, beam, effects=effects)
        for label, effects in (("without", []), ("mirrored", [Mirrored(nodes=150)]), ("right", [SteadyCSR(nodes=150)]))
    }
    quantities = {
        "sigma_tau": lambda b: b.sigma("tau"), "sigma_pt": lambda b: b.sigma("pt"), "mean_pt": lambda b: b.mean("pt"),
        "emittance_x": bb.observables.emittance("x"),
    }  # fmt: skip
    for name, of in quantities.items():
        without, with_csr = (IMPACTX["chicane"][key][name] for key in ("without", "with"))
        assert float(of(found["without"])) == pytest.approx(without, rel=1e-9)
        tolerance = 0.06 if name == "mean_pt" else 0.01
        assert float(of(found["mirrored"])) == pytest.approx(with_csr, rel=tolerance)
    lengths = [float(found[key].sigma("tau")) for key in ("mirrored", "without", "right")]
    assert lengths[0] < 0.97 * lengths[1] < 0.97 * 0.97 * lengths[2]


# -- a bunch compressor with space charge, wakes and CSR ---------------------------------------------------------------


def compressor(slices=1):
    """A chirped bunch is squeezed; every bend and drift has so many kicks."""

    def bend(name, angle, e1, e2):
        return bb.SectorBend(0.3, angle=angle, e1=e1, e2=e2, name=name, slices=slices)

    a = 0.1
    return bb.Line(
        [
            bb.Drift(0.5, name="linac", slices=slices),
            bend("b1", a, 0.0, a), bb.Drift(1.0, name="d1", slices=slices), bend("b2", -a, -a, 0.0),
            bb.Drift(0.3, name="d2", slices=slices),
            bend("b3", -a, 0.0, -a), bb.Drift(1.0, name="d3", slices=slices), bend("b4", a, a, 0.0),
            bb.Drift(0.5, name="d4", slices=slices),
        ]
    )  # fmt: skip


def squeezed(backend="numpy", n=300):
    return bb.Beam.gaussian(
        n=n, seed=1, species="electron", kinetic_energy=1e8, charge=5e-10, sigma_x=2e-4, sigma_y=2e-4, sigma_px=2e-5,
        sigma_py=2e-5, sigma_tau=3e-4, sigma_pt=2e-3, backend=backend,
    )  # fmt: skip


EFFECTS = [
    bb.SpaceCharge3D(grid=(8, 8, 8)),
    bb.ResonatorWake(R=3e4, Q=1.5, frequency=2e11, name="w", slices=1, nodes=32),
    bb.ResonatorWake(R=1e6, Q=1.0, frequency=2e11, component="dipole", at=("linac", "d2"), name="t", nodes=32),
    bb.CSR(nodes=32),
]
WRT = ["b2.angle", "b3.length", "d1.length", "d3.length", "w.R", "w.frequency", "t.Q", "beam.charge", "beam.sigma_tau"]
GOAL = bb.observables.emittance("x")


@pytest.fixture(scope="module")
def gradient():
    """By storing every state, on NumPy."""
    return bb.value_and_grad(GOAL, compressor(), squeezed(), WRT, effects=EFFECTS, adjoint=bb.Store())


@pytest.mark.parametrize(
    ("library", "adjoint"),
    [
        ("numpy", bb.Reversible()), ("numpy", bb.Checkpoint()), ("numpy", bb.Auto()), ("torch", bb.Reversible()),
        ("torch", bb.Checkpoint()),
    ],
)  # fmt: skip
def test_compressor_by_every_adjoint(library, adjoint, gradient):
    value, found = bb.value_and_grad(GOAL, compressor(), squeezed(library), WRT, effects=EFFECTS, adjoint=adjoint)
    assert float(value) == pytest.approx(float(gradient[0]), rel=1e-11)
    for name in WRT:
        assert float(found[name]) == pytest.approx(float(gradient[1][name]), rel=1e-9)


@pytest.mark.parametrize(
    ("library", "adjoint"),
    [
        ("torch", bb.Tape()),
        ("array_api_strict", bb.Reversible()),
        pytest.param("jax", bb.Reversible(), marks=pytest.mark.long),
    ],
)
def test_first_bend_on_every_library(library, adjoint):
    """A bend and the drift behind it have all kinds of kicks."""
    line = bb.Line(compressor().elements[:3])
    wrt = ["b1.angle", "b1.length", "d1.length", "w.R", "t.Q", "beam.charge", "beam.sigma_tau"]
    effects = [*EFFECTS[:2], EFFECTS[2].replace(at="linac"), EFFECTS[3]]
    wanted = bb.value_and_grad(GOAL, line, squeezed(), wrt, effects=effects, adjoint=bb.Store())[1]
    found = bb.value_and_grad(GOAL, line, squeezed(library), wrt, effects=effects, adjoint=adjoint)[1]
    for name in wrt:
        assert float(found[name]) == pytest.approx(float(wanted[name]), rel=1e-9)


@pytest.mark.parametrize("name", ["b2.angle", "d1.length", "w.R", "t.Q"])
def test_compressor_by_differences(name, gradient):
    owner, field = name.split(".")
    line, h = compressor(), 1e-5

    def value(factor):
        if owner in line.names:
            return float(
                GOAL(bb.track(line.replace({name: getattr(line[owner], field) * factor}), squeezed(), effects=EFFECTS))
            )
        moved = [e.replace(**{field: getattr(e, field) * factor}) if e.name == owner else e for e in EFFECTS]
        return float(GOAL(bb.track(line, squeezed(), effects=moved)))

    size = getattr(line[owner], field) if owner in line.names else getattr(EFFECTS[1 if owner == "w" else 2], field)
    slope = (8 * (value(1 + h) - value(1 - h)) - value(1 + 2 * h) + value(1 - 2 * h)) / (12 * h * size)
    assert slope == pytest.approx(float(gradient[1][name]), rel=1e-5)


@pytest.mark.long
@pytest.mark.skipif(not can_watch(), reason="Linux tells and resets a process's peak")
def test_memory_does_not_grow_with_the_kicks():
    """30 kicks more of three effects together cost the reversible gradient nothing; Store keeps a state for each."""
    n = 40_000

    def peak(slices, adjoint):
        problem = Problem({
            "beam": {
                "distribution": "gaussian", "species": "electron", "n": n, "kinetic_energy": 2.5e8, "charge": 2.5e-10,
                "sigma_x": 1e-4, "sigma_y": 1e-4, "sigma_tau": 5e-4, "seed": 1,
            },
            "lattice": [{"sector_bend": {"name": "b", "length": 0.2, "angle": 0.09}}, {"drift": {"length": 2.0}}],
            "space_charge": {"model": "3d", "grid": [10, 10, 10]},
            "effects": [{"resonator_wake": {"R": 1e3, "Q": 1.0, "frequency": 1e11}}, "csr"],
            "track": {"slices": slices},
        })  # fmt: skip
        return measure(problem, adjoint, wrt=("b.angle", "beam.charge")).peak_bytes / (48 * n)

    few, many = (peak(slices, bb.Reversible()) for slices in (2, 7))
    assert abs(many - few) < 0.5
    assert peak(7, bb.Store()) - peak(2, bb.Store()) == pytest.approx(30.0, rel=0.05)


@pytest.mark.parametrize("effect", [bb.CSR(), bb.SteadyCSR(name="radiation")], ids=lambda e: e.kind)
def test_a_line_without_bends_is_told(effect):
    beam = bb.Beam.gaussian(n=20, species="electron", kinetic_energy=1e8, charge=1e-10, sigma_tau=1e-4)
    said = f"{effect.name or effect.kind} does nothing: no element of the line bends"
    with pytest.warns(bb.BackbeamWarning, match=said):
        bb.track(bb.Line([bb.Drift(1.0)]), beam, effects=[effect])
