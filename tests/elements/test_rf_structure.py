"""Standing- and travelling-wave structures: against their averaged equation, integrated by SciPy, and its limits.

Rosenzweig & Serafini, PRE 49 (1994) 1599, give the limit of gamma >> 1.
"""

from __future__ import annotations

from math import cos, log, pi, sin, sqrt

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import backbeam as bb
from backbeam.errors import InputError
from backbeam.species import ELECTRON_MASS, SPEED_OF_LIGHT

structures = pytest.mark.parametrize("structure", ["standing", "travelling"])


def matrix(line: bb.Line, kinetic_energy: float, h: float = 1e-6) -> np.ndarray:
    """d X1/d X at the reference, by differences."""
    X = np.concatenate([h * np.eye(6), -h * np.eye(6)], axis=1)
    beam = bb.Beam.from_arrays(X, species="electron", kinetic_energy=kinetic_energy, charge=0.0)
    Y = bb.track(line, beam).coordinates
    return (Y[:, :6] - Y[:, 6:]) / (2.0 * h)


def averaged(structure: str, kinetic_energy: float, voltage: float, length: float, frequency: float, phase: float):
    """Matrix of (x, px) with the kicks of both ends, and R56, by SciPy."""
    g, k = voltage / length / ELECTRON_MASS, 2.0 * pi * frequency / SPEED_OF_LIGHT
    gain, gamma0 = g * cos(phase), 1.0 + kinetic_energy / ELECTRON_MASS
    w2 = g * g / 8.0 if structure == "standing" else 0.0
    u = lambda s: sqrt((gamma0 + gain * s) ** 2 - 1.0)  # noqa: E731

    def slope(s, y):
        x, p, tau, e = y[:2], y[2:4], y[4:6], y[6:8]
        wave = -g * k * sin(phase)
        return np.concatenate([p / u(s), -(w2 / u(s) - 0.5 * wave / u(s) ** 2) * x, -e / u(s) ** 3, wave * tau])

    begin, end = ((gamma0 + gain * s) / u(s) * 0.5 * gain for s in (0.0, length))
    start = np.array([1.0, 0.0, -begin, u(0.0), 1.0, 0.0, 0.0, u(0.0)])
    y = solve_ivp(slope, (0.0, length), start, method="DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    across = np.array([y[:2], (y[2:4] + end * y[:2]) / u(length)])
    return across, np.array([y[4:6], y[6:8] / u(length)])


@structures
@pytest.mark.parametrize("phase", [0.0, -0.5, 1.0])
@pytest.mark.parametrize("frequency", [1.3e9, 2.856e9])
@pytest.mark.parametrize("voltage,length", [(60e6, 3.0), (20e6, 1.0)])
@pytest.mark.parametrize("model", ["exact", "linear"])
def test_averaged_equation(structure, phase, frequency, voltage, length, model):
    cavity = bb.RFCavity(length, voltage=voltage, frequency=frequency, phase=phase, structure=structure, model=model)
    R = matrix(bb.Line([cavity]), 5e6)
    across, along = averaged(structure, 5e6, voltage, length, frequency, phase)
    np.testing.assert_allclose(R[:2, :2], across, rtol=0, atol=1e-4 if phase else 1e-8)
    np.testing.assert_allclose(R[2:4, 2:4], across, rtol=0, atol=1e-4 if phase else 1e-8)
    np.testing.assert_allclose(R[4:, 4:], along, rtol=0, atol=3e-4 * np.abs(along).max() if phase else 1e-8)


def test_first_elements_of_a_strong_structure():
    """3 m, 60 MV, kinetic energy 5 MeV, on crest."""
    found = {s: matrix(bb.Line([bb.RFCavity(3.0, voltage=60e6, frequency=2.856e9, structure=s)]), 5e6) for s in
             ("standing", "travelling")}  # fmt: skip
    assert found["standing"][0, 0] == pytest.approx(-0.4508, abs=5e-5)
    assert found["travelling"][0, 0] == pytest.approx(-0.2442, abs=5e-5)


def rosenzweig_serafini(structure: str, kinetic_energy: float, voltage: float, length: float) -> np.ndarray:
    """Their equation for eta = 1 on crest, and its limit of eta = 0."""
    gamma, g = 1.0 + kinetic_energy / ELECTRON_MASS, voltage / length / ELECTRON_MASS
    after = gamma + g * length
    ends = [np.array([[1.0, 0.0], [s * 0.5 * g / e, 1.0]]) for s, e in ((1, after), (-1, gamma))]
    if structure == "travelling":
        body = np.array([[1.0, gamma / g * log(after / gamma)], [0.0, gamma / after]])
    else:
        a = sqrt(1.0 / 8.0) * log(after / gamma)
        body = np.array(
            [[cos(a), sqrt(8.0) * gamma / g * sin(a)], [-sqrt(1.0 / 8.0) * g / after * sin(a), gamma / after * cos(a)]]
        )
    return ends[0] @ body @ ends[1]


@structures
@pytest.mark.parametrize("kinetic_energy,tolerance", [(5e6, 1e-2), (60e6, 1e-3), (1e9, 1e-5)])
def test_limit_of_high_energy(structure, kinetic_energy, tolerance):
    line = bb.Line([bb.RFCavity(3.0, voltage=60e6, frequency=2.856e9, structure=structure)])
    wanted = rosenzweig_serafini(structure, kinetic_energy, 60e6, 3.0)
    np.testing.assert_allclose(matrix(line, kinetic_energy)[:2, :2], wanted, rtol=0, atol=tolerance)


def test_steady_acceleration_is_hyperbolic_motion():
    """At frequency 0 there is a uniform field: x and t of its closed form, at any angle."""
    g, length, gamma = 30e6 / ELECTRON_MASS, 0.5, 1.0 + 50e3 / ELECTRON_MASS
    u = sqrt(gamma**2 - 1.0)
    P, e = 0.2 * u, 0.05 * u
    X = np.zeros((6, 1))
    X[1], X[5] = P / u, e / u
    cavity = bb.RFCavity(
        length, voltage=g * length * ELECTRON_MASS, frequency=0.0, structure="travelling", radial_kick=False
    )
    out = bb.track(bb.Line([cavity]), bb.Beam.from_arrays(X, species="electron", kinetic_energy=50e3, charge=0.0))
    E0, E1, m = gamma + e, gamma + e + g * length, sqrt(1.0 + P * P)
    x = P / g * (np.arccosh(E1 / m) - np.arccosh(E0 / m))
    time = sqrt(E1**2 - m**2) - sqrt(E0**2 - m**2)
    own = sqrt((gamma + g * length) ** 2 - 1.0) - u
    assert out.coordinates[0, 0] == pytest.approx(x, rel=1e-12)
    assert out.coordinates[4, 0] == pytest.approx((time - own) / g, rel=1e-12)


@structures
def test_mirror_image_and_ends_are_radial_kicks(structure):
    """Without them both structures are the same, and on crest a drift in a uniform field."""
    X = np.random.default_rng(1).normal(size=(6, 9)) * 1e-3
    beam = bb.Beam.from_arrays(X, species="electron", kinetic_energy=5e6, charge=0.0)
    cavity = bb.RFCavity(2.0, voltage=30e6, frequency=2.856e9, phase=0.3, structure=structure, radial_kick=False)
    out = bb.track(bb.Line([cavity]), beam)
    other = bb.track(bb.Line([cavity.replace(structure="travelling")]), beam)
    np.testing.assert_array_equal(out.coordinates, other.coordinates)
    scale = float(beam.reference.beta_gamma) / float(out.reference.beta_gamma)
    np.testing.assert_allclose(out.coordinates[1], scale * X[1], rtol=1e-13)


@structures
def test_space_charge_in_a_structure_is_that_between_short_structures(structure):
    """Kicks within, or the same structure in pieces without ends of their own: the fringes cancel between pieces."""
    beam = bb.Beam.gaussian(
        n=2000, species="electron", kinetic_energy=5e6, charge=5e-10, seed=1, sigma_x=8e-4, sigma_px=1e-4,
        sigma_y=8e-4, sigma_py=1e-4, sigma_tau=8e-4, sigma_pt=1e-3,
    )  # fmt: skip
    sc = bb.SpaceCharge3D(grid=(16, 16, 16))
    whole = {"voltage": 15e6, "frequency": 1.3e9, "phase": -0.2, "structure": structure}
    one = bb.track(bb.Line([bb.RFCavity(1.0, **whole, steps=6)]), beam, space_charge=sc, slices=3)
    pieces = [bb.RFCavity(1.0 / 3.0, **{**whole, "voltage": 5e6}, steps=2, name=f"c{k}") for k in range(3)]
    many = bb.track(bb.Line(pieces), beam, space_charge=sc)
    assert one.lost == many.lost == 0
    for name in ("x", "px", "tau", "pt"):
        assert float(one.sigma(name)) == pytest.approx(float(many.sigma(name)), rel=1e-9)


@pytest.mark.parametrize(
    "fields,field",
    [
        ({"structure": "standing"}, "rf_cavity.length"),
        ({"structure": "travelling", "length": 0.0}, "rf_cavity.length"),
        ({"structure": "wave", "length": 1.0}, "rf_cavity.structure"),
        ({"radial_kick": "no"}, "rf_cavity.radial_kick"),
    ],
)
def test_bad_input_is_named(fields, field):
    with pytest.raises(InputError) as caught:
        bb.RFCavity(voltage=1e6, frequency=1e9, **fields)
    assert caught.value.field == field
