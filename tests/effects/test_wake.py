"""Wakes: closed forms for a Gaussian bunch and a single particle, Xsuite's wakes, signs, bad input."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import gamma, ndtri, pbdv, wofz

import backbeam as bb
from backbeam.effects import Bunch, ResistiveWallWake, ResonatorWake, TableWake
from backbeam.effects.wake import COMPONENTS
from backbeam.errors import InputError
from backbeam.reference import Reference
from backbeam.species import KNOWN, SPEED_OF_LIGHT, VACUUM_PERMITTIVITY

XSUITE = json.loads((Path(__file__).parents[1] / "data" / "wakes_xsuite.json").read_text())
SIGMA, CHARGE, OFFSET, N = 1e-4, -1e-9, 1e-3, 20_000
ROWS = {"longitudinal": 5, "dipole": 1, "dipole_x": 1, "dipole_y": 3, "quadrupole_x": 1, "quadrupole_y": 3}


def bunch(X, q, momentum=1e9):
    """Electrons of that momentum [eV/c]."""
    species = KNOWN["electron"]
    return Bunch(X, np.asarray(q), None, Reference(np.asarray(momentum / species.mass), species))


def quiet_gaussian():
    """A line of particles off the axis, Gaussian in tau without noise."""
    X = np.zeros((6, N))
    X[4], X[0] = SIGMA * ndtri((np.arange(N) + 0.5) / N), OFFSET
    return X


def volts(wake, beam, row=5, **p):
    """What each particle gains, in V for its charge number: Delta E/Z, or beta0 Delta px P0 c/Z."""
    X1 = wake.forward(beam, {k: np.asarray(v) for k, v in p.items()})
    kick = (X1 - beam.X)[row] * float(beam.reference.momentum) / beam.reference.species.charge_number
    return kick if row == 5 else kick * float(beam.reference.beta)


def resonator_of_gaussian(R, Q, frequency, tau, is_longitudinal=True):
    """W of a Gaussian bunch of a unit of charge: the resonator's exponential against it is a complex error function."""
    w, root = 2 * math.pi * frequency, math.sqrt(1 - 0.25 / Q**2)
    decay = w * (0.5 / Q - 1j * root)
    amplitude = w * R * (1 / Q + 0.5j / (Q * Q * root) if is_longitudinal else -1j / (Q * root))
    t, sigma = tau / SPEED_OF_LIGHT, SIGMA / SPEED_OF_LIGHT
    return np.real(0.5 * amplitude * np.exp(-0.5 * (t / sigma) ** 2) * wofz(1j * (decay * sigma - t / sigma) / 2**0.5))


@pytest.mark.parametrize("Q", [0.6, 1.0, 50.0])
@pytest.mark.parametrize("frequency", [1e9, 3e11, 2e12])
def test_resonator_of_a_gaussian_bunch(frequency, Q):
    X = quiet_gaussian()
    given = {"R": 1e3, "Q": Q, "frequency": frequency}
    found = volts(ResonatorWake(**given), bunch(X, np.full(N, CHARGE / N)), **given)
    wanted = -CHARGE * resonator_of_gaussian(**given, tau=X[4])
    assert np.max(np.abs(found - wanted)) < 2e-3 * np.max(np.abs(wanted))
    assert np.mean(found) == pytest.approx(np.mean(wanted), rel=5e-4)
    across = ResonatorWake(**given, component="dipole")
    wanted = CHARGE * OFFSET * resonator_of_gaussian(**given, tau=X[4], is_longitudinal=False)
    found = volts(across, bunch(X, np.full(N, CHARGE / N)), 1, **given)
    assert np.max(np.abs(found - wanted)) < 5e-4 * np.max(np.abs(wanted))


def test_a_resonator_that_the_nodes_do_not_resolve_keeps_its_mean():
    """Closed-form averages: at twenty turns between nodes the bunch still loses what it must."""
    X, given = quiet_gaussian(), {"R": 1e3, "Q": 0.8, "frequency": 2e11}
    fine, coarse = (
        np.mean(volts(ResonatorWake(**given, nodes=n), bunch(X, np.full(N, CHARGE / N)), **given)) for n in (2000, 40)
    )
    assert coarse == pytest.approx(fine, rel=0.02)


def test_resistive_wall_of_a_gaussian_bunch():
    """Powers against a Gaussian are parabolic cylinder functions."""
    X, b, conductivity = quiet_gaussian(), 1e-2, 6e7
    given = {"radius": b, "conductivity": conductivity, "length": 0.7}
    beam, sigma = bunch(X, np.full(N, CHARGE / N)), SIGMA / SPEED_OF_LIGHT
    t = X[4] / SPEED_OF_LIGHT

    def against(power):
        """Integral of u^(power - 1) lambda(t - u)."""
        weber = pbdv(-power, -t / sigma)[0]
        return sigma ** (power - 1) * gamma(power) / math.sqrt(2 * math.pi) * np.exp(-0.25 * (t / sigma) ** 2) * weber

    mu_0 = 1 / (VACUUM_PERMITTIVITY * SPEED_OF_LIGHT**2)
    C = math.sqrt(mu_0 / conductivity) / (2 * math.pi**1.5 * b)
    wanted = 0.7 * CHARGE * C / sigma**2 * (t * against(0.5) - against(1.5))
    found = volts(ResistiveWallWake(radius=b, conductivity=conductivity, nodes=256), beam, **given)
    middle = slice(N // 100, -N // 100)
    assert np.max(np.abs(found - wanted)[middle]) < 4e-3 * np.max(np.abs(wanted))
    loss = math.sqrt(0.5 * mu_0 / conductivity) * gamma(0.75) / (4 * math.pi**2 * b) * sigma**-1.5
    assert np.mean(found) == pytest.approx(-0.7 * CHARGE * loss, rel=2e-3)
    wanted = 0.7 * CHARGE * OFFSET * 2 * SPEED_OF_LIGHT / b**2 * C * against(0.5)
    across = ResistiveWallWake(radius=b, conductivity=conductivity, component="dipole_x", nodes=512)
    assert np.max(np.abs(volts(across, beam, 1, **given) - wanted)[middle]) < 5e-4 * np.max(np.abs(wanted))


def test_a_resistive_wall_is_not_looked_at_too_closely():
    """A point has nodes of some um; a bunch that is shorter than what the model holds for is warned of."""
    wake = ResistiveWallWake(radius=1e-2, conductivity=6e6)
    line = bb.Line([bb.Drift(0.2)])
    shape = {"species": "proton", "kinetic_energy": 1e9, "seed": 1}
    found = {}
    for dtype in ("float32", "float64"):
        for charge in (0.0, 1e-9):
            point = bb.Beam.gaussian(n=1, charge=charge, sigma_pt=1e-3, dtype=dtype, **shape)
            found[dtype, charge] = bb.value_and_grad(
                bb.observables.mean("pt"), line, point, ["beam.charge"], effects=[wake]
            )
    change = found["float64", 1e-9][0] - found["float64", 0.0][0]
    assert -1e-3 < change < 0.0
    for _, grad in found.values():
        assert float(grad["beam.charge"]) == pytest.approx(change / 1e-9, rel=1e-5)
    short = bb.Beam.gaussian(n=100, charge=1e-9, sigma_tau=1e-6, **shape)
    with pytest.warns(bb.BackbeamWarning, match=r"a beam of 4.8e-06 m .* is short .* long against 4.5e-05 m"):
        bb.track(line, short, effects=[wake])


def test_fundamental_theorem_of_beam_loading():
    """One particle loses half of what it leaves; the one that follows all of it; the one ahead nothing."""
    given = {"R": 50.0, "Q": 3.0, "frequency": 3e9}
    W0 = 2 * math.pi * 3e9 * 50.0 / 3.0
    wake = ResonatorWake(**given, nodes=4000)
    one = np.zeros((6, 1))
    assert volts(wake, bunch(one, [CHARGE]), **given)[0] == pytest.approx(-0.5 * CHARGE * W0, rel=1e-6)
    three = np.zeros((6, 3))
    three[4] = -1e-3, 0.0, 2e-6
    found = volts(wake, bunch(three, [0.0, CHARGE, 0.0]), **given)
    assert abs(found[0]) < 1e-12 * abs(CHARGE * W0)
    assert found[1:] == pytest.approx([-0.5 * CHARGE * W0, -CHARGE * W0], rel=2e-3)


def test_nothing_acts_ahead_of_itself():
    X, given = quiet_gaussian()[:, ::100], {"R": 1e3, "Q": 1.0, "frequency": 3e11}
    n = X.shape[1]
    q = np.full(n, CHARGE / n)
    tail = X[4] > 0.5 * SIGMA
    wake, bar = ResonatorWake(**given, nodes=200), np.zeros_like(X)
    bar[5, ~tail] = 1.0
    p = {k: np.asarray(v) for k, v in given.items()}
    by_charge = wake.pullback(bunch(X, q), p, bar).q
    cell = (X[4].max() - X[4].min()) / 199
    assert np.max(np.abs(by_charge[X[4] > 0.5 * SIGMA + 2 * cell])) < 1e-12 * np.max(np.abs(by_charge))


@pytest.mark.parametrize("component", XSUITE["kicks"])
def test_wakes_of_xsuite(component):
    """``data/wakes_xsuite.json`` says how it was made. Its slices have no shape, and it reads between their middles."""
    rng, n = np.random.default_rng(0), XSUITE["n"]
    X = np.zeros((6, n))
    X[4], X[0], X[2] = (
        1e-4 * rng.standard_normal(n),
        1e-3 * rng.standard_normal(n) + 2e-4,
        5e-4 * rng.standard_normal(n),
    )
    beam = bunch(X, np.full(n, XSUITE["charge"] / n), XSUITE["reference_momentum"])
    wake = ResonatorWake(**XSUITE["resonator"], component=component, nodes=2048)
    found = (wake.forward(beam, {k: np.asarray(v) for k, v in XSUITE["resonator"].items()}) - X)[ROWS[component], :100]
    wanted = np.asarray(XSUITE["kicks"][component])
    assert np.max(np.abs(found - wanted)) < 1e-3 * np.max(np.abs(wanted))


def test_table_of_a_resonator_is_the_resonator():
    X, given = quiet_gaussian(), {"R": 1e3, "Q": 1.2, "frequency": 3e11}
    w, Q = 2 * math.pi * 3e11, 1.2
    t = np.linspace(0.0, 1e-3, 3000) / SPEED_OF_LIGHT
    alpha = w / (2 * Q)
    turn = math.sqrt(w * w - alpha * alpha)
    W = 2 * alpha * 1e3 * np.exp(-alpha * t) * (np.cos(turn * t) - alpha / turn * np.sin(turn * t))
    beam = bunch(X, np.full(N, CHARGE / N))
    found = volts(TableWake(t * SPEED_OF_LIGHT, W), beam, scale=1.0)
    wanted = volts(ResonatorWake(**given), beam, **given)
    assert np.max(np.abs(found - wanted)) < 1e-4 * np.max(np.abs(wanted))


# -- in a line ---------------------------------------------------------------------------------------------------------

BEAM = {"species": "electron", "kinetic_energy": 1e9, "charge": 1e-9, "sigma_tau": 1e-4, "sigma_x": 1e-3, "n": 200}


def line():
    return bb.Line([bb.Drift(2.0, name="pipe"), bb.Marker(name="cavity"), bb.Drift(1.0, name="end")])


def test_of_a_metre_along_elements_and_whole_at_points():
    beam = bb.Beam.gaussian(**BEAM, seed=1)
    along = bb.ResonatorWake(R=1e3, Q=1.0, frequency=3e11)
    whole = bb.ResonatorWake(R=3e3, Q=1.0, frequency=3e11, at=("cavity",))
    a, b = (bb.track(line(), beam, effects=wake) for wake in (along, whole))
    assert np.max(np.abs(a.pt - b.pt)) < 2e-5 * np.max(np.abs(a.pt))  # the beam moves a little on the way
    assert bb.count_kicks(line(), effects=[along.replace(slices=3)]) == 6
    assert bb.count_kicks(line(), effects=[along.replace(slices=3, along="pipe")]) == 3
    first = bb.track(line(), beam, effects=along.replace(along=["pipe"]))
    np.testing.assert_array_equal(first.pt, bb.track(line(), beam, effects=along.replace(at=("pipe",), R=2e3)).pt)
    with pytest.raises(InputError, match="pip"):
        bb.track(line(), beam, effects=along.replace(along="pip"))
    pipe = {"radius": 5e-3, "conductivity": 6e7}
    a = bb.track(line(), beam, effects=bb.ResistiveWallWake(**pipe))
    b = bb.track(line(), beam, effects=bb.ResistiveWallWake(**pipe, at="cavity", length=3.0))
    assert np.max(np.abs(a.pt - b.pt)) < 2e-5 * np.max(np.abs(a.pt))  # the beam moves a little on the way


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_gradient_of_a_line_with_wakes(library):
    """By its own parameters, those of elements and the beam's; against differences."""
    beam = bb.Beam.gaussian(**BEAM, sigma_pt=1e-3, seed=1, backend=library)
    wakes = [
        bb.ResonatorWake(R=1e3, Q=1.0, frequency=3e11, name="w"),
        bb.ResonatorWake(R=1e7, Q=1.0, frequency=3e11, component="dipole", at="cavity", name="d"),
    ]
    goal = bb.observables.emittance("x")
    wrt = ["w.R", "w.Q", "w.frequency", "d.R", "pipe.length", "beam.charge", "beam.sigma_tau"]
    _, found = bb.value_and_grad(goal, line(), beam, wrt, effects=wakes, adjoint=bb.Reversible())
    host = bb.Beam.gaussian(**BEAM, sigma_pt=1e-3, seed=1)
    wanted = bb.value_and_grad(goal, line(), host, wrt, effects=wakes, adjoint=bb.Store())[1]
    for name in wrt:
        assert float(found[name]) == pytest.approx(float(wanted[name]), rel=1e-8)
    if library == "numpy":
        h = 1e-4
        a, b = (
            float(goal(bb.track(line(), host, effects=[wakes[0], wakes[1].replace(R=1e7 * (1 + step))])))
            for step in (h, -h)
        )
        assert (a - b) / (2e7 * h) == pytest.approx(float(found["d.R"]), rel=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bb.ResonatorWake(R=1.0, Q=0.5, frequency=1e9), "Q is 0.5"),
        (lambda: bb.ResonatorWake(R=1.0, Q=1.0, frequency=0.0), "frequency is 0.0"),
        (lambda: bb.ResonatorWake(R=1.0, Q=1.0, frequency=1.0, component="x"), "component is 'x'; allowed: long"),
        (lambda: bb.ResonatorWake(R=1.0, Q=1.0, frequency=1.0, nodes=2), "nodes is 2"),
        (lambda: bb.ResonatorWake(R=1.0, Q=1.0, frequency=1.0, nodes=64.0), "nodes is 64.0"),
        (lambda: bb.ResonatorWake(R=1.0, Q=1.0, frequency=1.0, along="a", at="b"), "left out beside along"),
        (lambda: bb.ResonatorWake(R=1.0, Q=1.0, frequency=1.0, along=3), "along is 3; allowed: names of elements"),
        (lambda: bb.ResistiveWallWake(radius=0.0, conductivity=1.0), "radius is 0.0"),
        (lambda: bb.ResistiveWallWake(radius=1.0, conductivity=1.0, at="a"), "length is None"),
        (lambda: bb.ResistiveWallWake(radius=1.0, conductivity=1.0, length=1.0), "length is 1.0"),
        (lambda: bb.ResistiveWallWake(radius=1.0, conductivity=1.0, component="quadrupole_x"), "component"),
        (lambda: bb.TableWake(distance=(0.1, 1.0), wake=(1.0, 0.0)), "distance"),
        (lambda: bb.TableWake(distance=(0.0, 1.0), wake=(1.0, 0.0, 0.0)), "wake is '3 numbers'; allowed: 2"),
        (lambda: bb.TableWake(distance=(0.0, 1.0), wake=(1.0, math.nan)), "wake"),
    ],
)  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_components_are_those_of_the_documentation():
    assert set(COMPONENTS) == set(ROWS)
