"""RF gap: energy gain, Panofsky-Wenzel, the wave equation, ImpactX, and the limits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import i0, i1

from backbeam.maps.rf import LinearRFGap, RFGap
from backbeam.reference import Reference
from backbeam.species import ELECTRON_MASS, PROTON_MASS, SPEED_OF_LIGHT, species_named

VECTORS = Path(__file__).parents[1] / "data" / "element_vectors.json"
"""From a run of impactx-noacc 26.10."""

both_gaps = pytest.mark.parametrize("gap", [RFGap(), LinearRFGap()], ids=["exact", "linear"])


def reference_of(kinetic_energy: float, species: str = "electron", dtype=np.float64) -> Reference:
    return Reference.from_kinetic_energy(np.asarray(kinetic_energy, dtype=dtype), species_named(species))


def setting(voltage: float, frequency: float, phase: float, dtype=np.float64) -> dict[str, np.ndarray]:
    values = {"voltage": voltage, "frequency": frequency, "phase": phase}
    return {k: np.asarray(v, dtype=dtype) for k, v in values.items()}


def wave_number(frequency: float) -> float:
    return 2.0 * np.pi * frequency / SPEED_OF_LIGHT


def kick(gap, reference: Reference, p: dict, X: np.ndarray) -> np.ndarray:
    """Changes of (px, py, pt) in units of the momentum before the gap, beyond the reference's gain."""
    growth = gap.reference_after(reference, p).beta_gamma / reference.beta_gamma
    return (gap.forward(X, reference, p) * growth - X)[..., 1::2, :]


@pytest.mark.parametrize("species,charge", [("electron", 1), ("proton", 1), ("alpha", 2), ("H-", 1)])
@pytest.mark.parametrize("share", [1.0, 0.25])
def test_total_energy_grows_by_the_voltage_at_the_time_of_arrival(species, charge, share):
    reference, p = reference_of(8e6, species), setting(3e6, 650e6, 0.7)
    gap, rng = RFGap(share), np.random.default_rng(1)
    X = np.zeros((6, 50))
    X[4], X[5] = rng.uniform(-0.2, 0.2, 50), rng.uniform(-0.02, 0.02, 50)
    after = gap.reference_after(reference, p)
    mass, k = reference.species.mass, wave_number(650e6)

    def energy(ref, pt):
        return mass * (ref.gamma + pt * ref.beta_gamma)

    gain = energy(after, gap.forward(X, reference, p)[5]) - energy(reference, X[5])
    np.testing.assert_allclose(gain, charge * share * 3e6 * np.cos(0.7 + k * X[4]), rtol=0, atol=1e-13 * mass)
    expected = charge * share * 3e6 * np.cos(0.7)
    assert mass * (after.gamma - reference.gamma) == pytest.approx(expected, rel=1e-12)


def test_on_axis_is_the_short_rf_of_impactx():
    """Its pt is (E0 - E)/(m c^2): pt -= V cos(kt + phi) - V cos(phi); of the reference pt -= V cos(phi)."""
    voltage, k, phase = 0.02, 30.0, 1.1
    reference = reference_of(200e6, "proton")
    p = setting(voltage * PROTON_MASS, k * SPEED_OF_LIGHT / (2.0 * np.pi), phase)
    X = np.zeros((6, 9))
    X[1], X[3] = np.linspace(-2e-3, 1e-3, 9), np.linspace(1e-3, -1e-3, 9)
    X[4], X[5] = np.linspace(-0.1, 0.12, 9), np.linspace(0.01, -0.02, 9)

    before = np.sqrt(reference.gamma**2 - 1.0)
    dynamic = -X[5] * before - voltage * np.cos(k * X[4] + phase) + voltage * np.cos(phase)
    after = np.sqrt((reference.gamma + voltage * np.cos(phase)) ** 2 - 1.0)
    wanted = X.copy()
    wanted[1], wanted[3], wanted[5] = X[1] * before / after, X[3] * before / after, -dynamic / after
    np.testing.assert_allclose(RFGap().forward(X, reference, p), wanted, rtol=0, atol=1e-15)


def test_linear_gap_at_zero_crossing_is_the_buncher_of_impactx():
    record = json.loads(VECTORS.read_text())
    case = next(v for v in record["vectors"] if v["id"] == "buncher")
    # Not from the kinetic energy: its proton mass is that of CODATA 2022.
    reference = Reference(np.asarray(case["ref_in"]["pz"]), species_named("proton"))
    V, k = case["params"]["V"], case["params"]["k"]
    p = setting(V * float(reference.momentum), k * SPEED_OF_LIGHT / (2.0 * np.pi), -0.5 * np.pi)
    sign = np.array([1, 1, 1, 1, 1, -1.0])[:, None]  # its pt is the opposite of ours
    X, wanted = np.asarray(record["input"]).T * sign, np.asarray(case["out"]).T * sign
    np.testing.assert_allclose(LinearRFGap().forward(X, reference, p), wanted, rtol=0, atol=1e-15)


@pytest.mark.parametrize("radius", [0.0, 1e-6, 0.3, 2.0, 5.0], ids=lambda u: f"kappa_r={u}")
def test_radius_enters_through_modified_bessel_functions(radius):
    reference, p = reference_of(3e6, "proton"), setting(2e5, 352e6, -0.6)
    k, bg = wave_number(352e6), float(reference.beta_gamma)
    r, azimuth, tau = radius * bg / k, np.linspace(0.0, 6.0, 7), np.linspace(-0.01, 0.012, 7)
    X = np.zeros((6, 7))
    X[0], X[2], X[4] = r * np.cos(azimuth), r * np.sin(azimuth), tau
    amplitude, theta = 2e5 / float(reference.momentum), -0.6 + k * tau
    radial = -amplitude / bg * i1(radius) * np.sin(theta)
    wanted = np.array(
        [
            radial * np.cos(azimuth),
            radial * np.sin(azimuth),
            amplitude * (i0(radius) * np.cos(theta) - np.cos(-0.6)),
        ]
    )
    for found, row in zip(kick(RFGap(), reference, p, X), wanted, strict=True):
        np.testing.assert_allclose(found, row, rtol=0, atol=3e-15 * max(np.abs(row).max(), amplitude))


def slopes(gap, reference, p, X, row, h):
    """Fourth-order central difference of the kick along one coordinate."""
    step = np.zeros((6, 1))
    step[row] = h
    near = kick(gap, reference, p, X + step) - kick(gap, reference, p, X - step)
    far = kick(gap, reference, p, X + 2.0 * step) - kick(gap, reference, p, X - 2.0 * step)
    return (8.0 * near - far) / (12.0 * h)


@both_gaps
@pytest.mark.parametrize("size", [0.3, 3.0, 14.0], ids=lambda u: f"kappa_r={u}")
def test_panofsky_wenzel(gap, size):
    """The kick has no curl; at 14 the series has long not converged, and it has none there either."""
    reference, p = reference_of(3e6, "proton"), setting(2e5, 352e6, -0.6)
    scale = float(reference.beta_gamma) / wave_number(352e6)
    X = np.random.default_rng(3).uniform(-1.0, 1.0, (6, 20)) * size * scale / np.sqrt(2.0)
    along_x, along_y, along_tau = (slopes(gap, reference, p, X, row, 1e-3 * scale) for row in (0, 2, 4))
    tolerance = 1e-9 * max(np.abs(a).max() for a in (along_x, along_y, along_tau))
    np.testing.assert_allclose(along_x[1], along_y[0], rtol=0, atol=tolerance)
    np.testing.assert_allclose(along_x[2], -along_tau[0], rtol=0, atol=tolerance)
    np.testing.assert_allclose(along_y[2], -along_tau[1], rtol=0, atol=tolerance)


@both_gaps
def test_what_focuses_in_time_defocuses_across(gap):
    """The wave equation of a wave at the speed beta0: d(dpx)/dx + d(dpy)/dy = (1/beta0^2 - 1) d(dpt)/dtau."""
    reference, p = reference_of(3e6, "proton"), setting(2e5, 352e6, -0.6)
    scale = float(reference.beta_gamma) / wave_number(352e6)
    X = np.random.default_rng(4).uniform(-1.5, 1.5, (6, 20)) * scale
    along_x, along_y, along_tau = (slopes(gap, reference, p, X, row, 1e-3 * scale) for row in (0, 2, 4))
    divergence = along_x[0] + along_y[1]
    wanted = (1.0 / float(reference.beta) ** 2 - 1.0) * along_tau[2]
    assert np.abs(divergence).max() > 1e-2
    np.testing.assert_allclose(divergence, wanted, rtol=0, atol=1e-9 * np.abs(divergence).max())


def test_linear_gap_is_the_slope_of_the_exact_one_at_the_reference():
    reference, p = reference_of(3e6, "proton"), setting(2e5, 352e6, -0.6)
    h = 1e-6
    ahead, behind = (RFGap().forward(sign * h * np.eye(6), reference, p) for sign in (1.0, -1.0))
    exact = (ahead - behind) / (2.0 * h)
    linear = LinearRFGap().forward(np.eye(6), reference, p)
    np.testing.assert_allclose(exact, linear, rtol=0, atol=1e-9)


@both_gaps
def test_reference_particle_stays_at_the_origin(gap):
    assert not np.any(gap.forward(np.zeros((6, 3)), reference_of(5e6), setting(2e7, 1.3e9, 0.4)))


def test_direct_voltage_gives_every_particle_the_same_energy():
    reference, p = reference_of(1e5), setting(3e5, 0.0, 0.0)
    X = np.random.default_rng(5).uniform(-1e-2, 1e-2, (6, 30))
    growth = RFGap().reference_after(reference, p).beta_gamma / reference.beta_gamma
    wanted = X.copy()
    wanted[1::2] /= growth
    np.testing.assert_allclose(RFGap().forward(X, reference, p), wanted, rtol=1e-15)


@both_gaps
def test_low_frequency_tends_to_direct_voltage_in_gradient_too(gap):
    """d X1/d frequency is finite at 0 and is the same as at 1 Hz."""
    reference, rng = reference_of(1e5), np.random.default_rng(6)
    X, X1_bar = rng.uniform(-1e-2, 1e-2, (6, 30)), rng.normal(size=(6, 30))
    at_zero, at_one = (gap.pullback(X, reference, setting(3e5, f, -0.4), X1_bar) for f in (0.0, 1.0))
    np.testing.assert_allclose(at_zero[0], at_one[0], rtol=0, atol=1e-7)
    assert at_zero[2]["frequency"] == pytest.approx(at_one[2]["frequency"], rel=1e-6)
    assert at_zero[2]["frequency"] != 0.0


@both_gaps
def test_no_voltage_is_the_identity(gap):
    reference, p = reference_of(3e6, "proton"), setting(0.0, 1e9, 0.4)
    X = np.random.default_rng(7).uniform(-1e-2, 1e-2, (6, 10))
    np.testing.assert_array_equal(gap.forward(X, reference, p), X)
    assert gap.reference_after(reference, p).beta_gamma == reference.beta_gamma


@pytest.mark.parametrize("voltage", [-1.2e6, -3e6], ids=["below rest", "total energy negative"])
def test_slowed_below_rest_is_nan(voltage):
    reference, p = reference_of(1e6), setting(voltage, 1e9, 0.0)
    with np.errstate(invalid="ignore"):
        assert np.isnan(RFGap().reference_after(reference, p).beta_gamma)
        assert np.all(np.isnan(RFGap().forward(np.ones((6, 2)) * 1e-3, reference, p)[1::2]))


@pytest.mark.parametrize(
    "kinetic_energy,species", [(1e2, "electron"), (5e6, "electron"), (1e11, "electron"), (2e4, "H-")]
)
def test_reference_before_undoes_reference_after(kinetic_energy, species, dtype):
    reference = reference_of(kinetic_energy, species, dtype=dtype)
    p = setting(7.0 * kinetic_energy, 1e9, 0.3, dtype)
    back = RFGap().reference_before(RFGap().reference_after(reference, p), p)
    assert back.beta_gamma.dtype == np.dtype(dtype)
    ratio = float(back.beta_gamma / reference.beta_gamma)
    assert ratio == pytest.approx(1.0, abs=30 * float(np.finfo(dtype).eps))


def test_float32_resolves_the_curvature_at_the_crest(backend):
    """Energy lost off crest, V' (1 - cos(k tau)): five digits of a change that is 1e-9 of the gain."""
    k, tau = wave_number(1.3e9), np.geomspace(1e-6, 1e-4, 20)
    X = np.zeros((6, 20), dtype=np.float32)
    X[4] = tau
    up = lambda v: backend.asarray(np.asarray(v), dtype="float32")  # noqa: E731
    reference = Reference.from_kinetic_energy(up(5e6), species_named("electron"))
    p = {"voltage": up(2e7), "frequency": up(1.3e9), "phase": up(0.0)}
    found = np.asarray(backend.to_numpy(RFGap().forward(up(X), reference, p)))[5].astype(np.float64)
    after = reference_of(25e6)
    wanted = -2e7 * 2.0 * np.sin(0.5 * k * tau) ** 2 / (ELECTRON_MASS * float(after.beta_gamma))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
