"""Cavities: acceleration, adiabatic damping, slices, bunching."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import backbeam as bb
from backbeam.elements.cavity import Buncher, RFCavity
from backbeam.errors import InputError
from backbeam.maps.drift import drift
from backbeam.maps.linear import LinearBody
from backbeam.maps.rf import LinearRFGap, RFGap
from backbeam.reference import Reference
from backbeam.species import SPEED_OF_LIGHT, species_named

models = pytest.mark.parametrize("model", ["exact", "linear"])


def reference_of(kinetic_energy: float, species: str = "electron") -> Reference:
    return Reference.from_kinetic_energy(np.asarray(kinetic_energy), species_named(species))


def run(element, X, reference, fractions=(1.0,)):
    """Coordinates and reference after the element, taken in slices."""
    values = {k: np.asarray(float(v)) for k, v in element.parameters().items()}
    for fraction in fractions:
        for bound in element.body(fraction):
            p = {own: values[name] for own, name in bound.names}
            X, reference = bound.map.forward(X, reference, p), bound.map.reference_after(reference, p)
    return X, reference


def bunch(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(6, n)) * 1e-3


@models
@pytest.mark.parametrize("length", [None, 4.0])
def test_reference_gains_the_voltage_and_stays_at_the_origin(model, length):
    cavity = RFCavity(length, voltage=95e6, frequency=1.3e9, model=model)
    X, after = run(cavity, np.zeros((6, 2)), reference_of(5e6))
    assert float(after.kinetic_energy) == pytest.approx(100e6, rel=1e-13)
    assert not np.any(X)


@models
def test_adiabatic_damping_on_crest(model):
    """At the crest nothing kicks, so transverse momentum is conserved and its share of P0 falls."""
    before = reference_of(5e6)
    X = bunch(20)
    X[4] = 0.0
    X[0] = X[2] = 0.0
    X1, after = run(RFCavity(voltage=95e6, frequency=1.3e9, model=model), X, before)
    for row in (1, 3):
        np.testing.assert_allclose(X1[row] * after.momentum, X[row] * before.momentum, rtol=2e-15)
    np.testing.assert_allclose(X1[5] * after.momentum, X[5] * before.momentum, rtol=2e-15)


def emittances(X: np.ndarray) -> np.ndarray:
    return np.array([np.sqrt(np.linalg.det(np.cov(X[k : k + 2]))) for k in (0, 2, 4)])


def test_normalised_emittances_are_conserved_by_the_linear_model():
    before, X = reference_of(5e6), bunch(200)
    cavity = RFCavity(4.0, voltage=100e6, frequency=1.3e9, phase=-0.3, model="linear")
    X1, after = run(cavity, X, before)
    np.testing.assert_allclose(emittances(X1) * after.beta_gamma, emittances(X) * before.beta_gamma, rtol=1e-11)
    assert after.beta_gamma > 15.0 * before.beta_gamma


def test_volume_in_phase_space_is_conserved_by_the_exact_model():
    """det J = (P0/P0')^3, by differences."""
    before, rng = reference_of(3e6, "proton"), np.random.default_rng(3)
    cavity = RFCavity(0.6, voltage=1.5e6, frequency=352e6, phase=-0.5)
    X, h = rng.uniform(-1, 1, (6, 1)) * 3e-3, 1e-6
    steps = np.concatenate([h * np.eye(6), -h * np.eye(6)], axis=1)
    X1, after = run(cavity, X + steps, before)
    J = (X1[:, :6] - X1[:, 6:]) / (2.0 * h)
    assert np.linalg.det(J) == pytest.approx(float(before.beta_gamma / after.beta_gamma) ** 3, rel=1e-7)


def test_steady_acceleration_bends_a_slanted_path_as_in_closed_form():
    """x = px P0 int ds/P(s) = px P0 c/G [arcosh(gamma)], G = V/L; gaps are its trapezoidal rule."""
    before, length, voltage, px = reference_of(5e6), 3.0, 95e6, 1e-6
    X = np.zeros((6, 1))
    X[1] = px
    mass = before.species.mass
    gamma = float(before.gamma)
    ends = np.arccosh(np.array([gamma, gamma + voltage / mass]))
    wanted = px * float(before.momentum) * length / voltage * (ends[1] - ends[0])
    errors = []
    for steps in (40, 80):
        cavity = RFCavity(length, voltage=voltage, frequency=0.0, steps=steps)
        errors.append(abs(run(cavity, X, before)[0][0, 0] / wanted - 1.0))
    assert errors[1] < 2e-3
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)


@models
def test_slices_add_up(model):
    cavity = RFCavity(1.2, voltage=20e6, frequency=1.3e9, phase=-0.2, steps=8, model=model)
    X, before = bunch(10), reference_of(30e6)
    whole, after = run(cavity, X, before)
    halves, after_halves = run(cavity, X, before, (0.5, 0.25, 0.25))
    np.testing.assert_allclose(halves, whole, rtol=0, atol=1e-15)
    assert float(after_halves.beta_gamma) == pytest.approx(float(after.beta_gamma), rel=1e-14)
    _, after_uneven = run(cavity, X, before, (0.1, 0.37, 0.53))
    assert float(after_uneven.beta_gamma) == pytest.approx(float(after.beta_gamma), rel=1e-14)


@models
def test_a_slice_holds_its_part_of_the_gaps(model):
    cavity = RFCavity(1.2, voltage=20e6, frequency=1.3e9, steps=8, model=model)
    gap = RFGap if model == "exact" else LinearRFGap
    for fraction, gaps in ((1.0, 8), (0.5, 4), (0.3, 3), (0.01, 1)):
        maps = [bound.map for bound in cavity.body(fraction)]
        shares = [m.share for m in maps if isinstance(m, gap)]
        drifts = [m.fraction for m in maps if not isinstance(m, gap)]
        assert len(shares) == gaps and len(drifts) == gaps + 1
        assert sum(shares) == pytest.approx(fraction) and sum(drifts) == pytest.approx(fraction)


@pytest.mark.parametrize("species,kinetic_energy,voltage", [("electron", 60e3, 500.0), ("proton", 3e6, 4e3)])
def test_ballistic_bunching(species, kinetic_energy, voltage):
    """Velocity modulation, then free flight: tau += L (1/beta - 1/beta0), gamma = gamma0 + V/m sin(k tau)."""
    reference, frequency = reference_of(kinetic_energy, species), 1.3e9
    k, bg = 2.0 * np.pi * frequency / SPEED_OF_LIGHT, float(reference.beta_gamma)
    length = bg**2 * float(reference.momentum) / (voltage * k)  # where the linear part of tau comes together
    X = np.zeros((6, 41))
    X[4] = np.linspace(-0.25, 0.25, 41) / k
    X1, after = run(Buncher(voltage, frequency), X, reference)
    assert float(after.beta_gamma) == pytest.approx(bg, rel=1e-15)
    X2 = drift(X1, after, np.asarray(length))
    gamma = float(reference.gamma) + voltage / reference.species.mass * np.sin(k * X[4])
    wanted = X[4] + length * (gamma / np.sqrt(gamma**2 - 1.0) - float(reference.inverse_beta))
    np.testing.assert_allclose(X2[4], wanted, rtol=0, atol=1e-10 * length)
    core = np.abs(k * X[4]) < 0.1
    assert np.abs(X2[4][core]).max() < 0.05 * np.abs(X[4][core]).max()


def test_linear_buncher_and_drift_bring_the_bunch_to_a_point():
    reference, voltage, frequency = reference_of(60e3), 500.0, 1.3e9
    k = 2.0 * np.pi * frequency / SPEED_OF_LIGHT
    length = float(reference.beta_gamma) ** 2 * float(reference.momentum) / (voltage * k)
    X = np.zeros((6, 5))
    X[4] = np.linspace(-1e-2, 1e-2, 5)
    X1, after = run(Buncher(voltage, frequency, model="linear"), X, reference)
    X2 = LinearBody(1.0).forward(X1, after, {"length": np.asarray(length)})
    assert np.abs(X2[4]).max() < 1e-15


def test_electrons_and_positrons_gain_alike():
    X, cavity = bunch(5), RFCavity(voltage=5e6, frequency=3e9, phase=0.3)
    ends = [run(cavity, X, reference_of(5e6, species)) for species in ("electron", "positron")]
    np.testing.assert_array_equal(ends[0][0], ends[1][0])
    assert ends[0][1].beta_gamma == ends[1][1].beta_gamma


@pytest.mark.parametrize(
    "make,field",
    [
        (lambda: RFCavity(voltage=None, frequency=1e9), "rf_cavity.voltage"),
        (lambda: RFCavity(voltage=1.0, frequency=1e9, phase=None), "rf_cavity.phase"),
        (lambda: RFCavity(voltage=1.0, frequency=-1e9), "rf_cavity.frequency"),
        (lambda: RFCavity(-1.0, voltage=1.0, frequency=1e9), "rf_cavity.length"),
        (lambda: RFCavity(1.0, voltage=1.0, frequency=1e9, steps=0), "rf_cavity.steps"),
        (lambda: RFCavity(1.0, voltage=1.0, frequency=1e9, model="matrix", name="c1"), "c1.model"),
        (lambda: Buncher(float("nan"), 1e9), "buncher.voltage"),
    ],
)
def test_bad_input_is_named(make, field):
    with pytest.raises(InputError) as caught:
        make()
    assert caught.value.field == field


def test_absent_length_is_a_thin_cavity():
    assert not RFCavity(voltage=1.0, frequency=1e9).is_thick
    assert RFCavity(0.0, voltage=1.0, frequency=1e9).is_thick


def test_space_charge_between_the_gaps_is_that_between_gaps_written_out():
    """Kicks in the middle of a slice, or in the drifts on either side of its gap: one limit, of second order."""
    beam = bb.Beam.gaussian(
        n=2000, species="electron", kinetic_energy=2e6, charge=5e-10, seed=1, sigma_x=8e-4, sigma_px=1e-4,
        sigma_y=8e-4, sigma_py=1e-4, sigma_tau=8e-4, sigma_pt=1e-3,
    )  # fmt: skip
    given = {"frequency": 1.3e9, "phase": -0.2}
    apart = []
    for count in (8, 16, 32):
        cavity = bb.RFCavity(1.0, voltage=15e6, steps=count, **given)
        drift, gap = bb.Drift(0.5 / count), bb.RFCavity(None, voltage=15e6 / count, **given)
        kicks = {"space_charge": bb.SpaceCharge3D((10, 10, 10), order=2)}
        one = bb.track(bb.Line([cavity]), beam, slices=count, **kicks)
        two = bb.track(bb.Line([drift, gap, drift]) * count, beam, **kicks)
        assert one.lost == two.lost == 0
        assert float(one.kinetic_energy) == pytest.approx(2e6 + 15e6 * np.cos(0.2), rel=1e-13)
        apart.append(one.sigma() / two.sigma() - 1.0)
    assert np.abs(apart[2][[0, 1, 4, 5]]).max() < 0.01
    for coarse, fine in pairwise(apart):
        assert np.all(np.abs(coarse / fine - 4.0)[[0, 1, 4, 5]] < 1.0)
