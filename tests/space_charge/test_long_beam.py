"""Space charge in 2.5 dimensions: KV and Gaussian closed forms, ImpactX, the three-dimensional field, bad input."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.special import wofz

import backbeam as bb
from backbeam import backends
from backbeam.effects import Bunch, SpaceCharge3D, SpaceCharge25D
from backbeam.effects.space_charge.long_beam import PROFILES
from backbeam.effects.space_charge.plane_green import plane_green
from backbeam.errors import InputError
from backbeam.problem import Problem
from backbeam.reference import Reference
from backbeam.species import KNOWN, VACUUM_PERMITTIVITY

IMPACTX = json.loads((Path(__file__).parents[1] / "data" / "long_beam_impactx.json").read_text())
LENGTH, CHARGE, SIGMA_TAU = 0.1, 1e-8, 0.5
SX, SY = 1e-3, 2e-3
every_profile = pytest.mark.parametrize("profile", PROFILES)


def bunch(X, kinetic_energy=20e6, charge=CHARGE):
    reference = Reference.from_kinetic_energy(np.asarray(kinetic_energy), KNOWN["proton"])
    return Bunch(X, np.full(X.shape[-1], charge / X.shape[-1]), None, reference)


def kick(model, beam):
    """Changes of (px, py, pt)."""
    return (model.forward(beam, {"length": np.asarray(LENGTH)}) - beam.X)[[1, 3, 5]]


def per_density(reference):
    """Change of a momentum for a field of lambda/(4 pi eps_0) [1/m], times what that is of lambda in C/m of tau."""
    u, gamma = float(reference.beta_gamma), float(reference.gamma)
    # beta_b gamma^2 P0 c = u gamma P0 c; a length tau is beta tau long
    return (
        LENGTH / (4 * math.pi * VACUUM_PERMITTIVITY) / (u * gamma * float(reference.momentum)) / float(reference.beta)
    )


def gaussian(n=100_000):
    rng = np.random.default_rng(0)
    X = np.zeros((6, n))
    X[0], X[2], X[4] = SX * rng.standard_normal(n), SY * rng.standard_normal(n), SIGMA_TAU * rng.standard_normal(n)
    return X


def bassetti_erskine(x, y):
    """Field (Ex, Ey) of a line of unit density over 4 pi eps_0, with SX < SY [1/m]: CERN-ISR-TH/80-06."""
    s = math.sqrt(2 * (SY**2 - SX**2))
    far, near = wofz((np.abs(y) + 1j * np.abs(x)) / s), wofz((np.abs(y) * SX / SY + 1j * np.abs(x) * SY / SX) / s)
    w = far - np.exp(-0.5 * (x / SX) ** 2 - 0.5 * (y / SY) ** 2) * near
    return 2 * math.sqrt(math.pi) / s * np.stack([np.sign(x) * w.real, np.sign(y) * w.imag])


def deviation(found, wanted, among):
    """Rms of the difference over that of what is wanted."""
    return math.sqrt(np.mean((found - wanted)[:, among] ** 2) / np.mean(wanted[:, among] ** 2))


@pytest.fixture(scope="module")
def beam():
    return bunch(gaussian())


@every_profile
def test_gaussian_beam(profile, beam):
    x, y, tau = beam.X[0], beam.X[2], beam.X[4]
    density = CHARGE * np.exp(-0.5 * (tau / SIGMA_TAU) ** 2) / (math.sqrt(2 * math.pi) * SIGMA_TAU)
    wanted = per_density(beam.reference) * density * bassetti_erskine(x, y)
    core = (np.abs(x) < 2 * SX) & (np.abs(y) < 2 * SY) & (np.abs(tau) < 2 * SIGMA_TAU)
    found = kick(SpaceCharge25D(grid=(32, 32, 64), profile=profile), beam)
    assert deviation(found[:2], wanted, core) < (0.02 if profile == "shared" else 0.04)
    assert np.sum(found[:2] * wanted) / np.sum(wanted**2) == pytest.approx(1.0, abs=0.01)
    np.testing.assert_array_equal(found[2], 0.0)


@every_profile
@pytest.mark.parametrize("order", [2, 4])
def test_kv_beam(profile, order):
    """Inside an ellipse of constant density the field is 4 lambda x/(a (a + b)), as linear as the grid is fine."""
    n, a, b = 200_000, 2e-3, 3e-3
    rng = np.random.default_rng(2)
    r, angle = np.sqrt(rng.random(n)), 2 * math.pi * rng.random(n)
    X = np.zeros((6, n))
    X[0], X[2], X[4] = a * r * np.cos(angle), b * r * np.sin(angle), rng.uniform(-1.0, 1.0, n)
    beam = bunch(X)
    wanted = per_density(beam.reference) * 0.5 * CHARGE * 4 / (a + b) * np.stack([X[0] / a, X[2] / b])
    inside = (r < 0.8) & (np.abs(X[4]) < 0.7)
    found = kick(SpaceCharge25D(grid=(48, 48, 16), profile=profile, order=order), beam)[:2]
    for k, at in ((0, X[0]), (1, X[2])):
        slope = np.sum((found[k] * at)[inside]) / np.sum((wanted[k] * at)[inside])
        assert slope == pytest.approx(1.0, abs=5e-3)
    assert deviation(found, wanted, inside) < (0.03 if profile == "shared" else 0.06)


def test_impactx(beam):
    """``data/long_beam_impactx.json`` says how it was made; its grid is of second order, with quadratic shapes."""
    wanted = np.asarray(IMPACTX["kicks"])
    found = kick(SpaceCharge25D(grid=(64, 64, 100), order=2), beam)[:2, :100]
    assert deviation(found, wanted, slice(None)) < 0.02


def test_a_long_bunch_has_the_field_of_three_dimensions(beam):
    """With the same weights on the same grid; but for its fourth order along the beam, too."""
    grid = (24, 24, 48)
    found = kick(SpaceCharge25D(grid=grid, profile="sliced"), beam)[:2]
    wanted = kick(SpaceCharge3D(grid=grid), beam)[:2]
    core = np.abs(beam.X[4]) < 2 * SIGMA_TAU
    assert deviation(found, wanted, core) < 0.01


def test_green_function_is_a_mean_over_cells(backend):
    ratio = 0.7
    found = backend.to_numpy(plane_green((3, 4), backend.asarray([ratio], dtype="float64"), 2)[0])[0]
    for i, j in ((0, 0), (1, 0), (0, 2), (2, 3)):
        inner = lambda y, x: -math.log(x * x + y * y)  # noqa: E731
        # A quarter of the cell about 0 is enough, and has its corner there.
        left = 0.0 if i == 0 else i - 0.5
        lower, upper = (0.0 if j == 0 else (j - 0.5) * ratio), (j + 0.5) * ratio
        area = (i + 0.5 - left) * (upper - lower)
        assert found[i, j] == pytest.approx(dblquad(inner, left, i + 0.5, lower, upper)[0] / area, rel=1e-7)


def test_where_there_is_only_float32():
    """Gauss points take the place of differences that cancel; the step between them is small."""
    numpy = backends.get("numpy")
    for order in (2, 4):
        wide = plane_green((40, 40), numpy.asarray([0.3], dtype="float64"), order)
        narrow = plane_green((40, 40), numpy.asarray([0.3], dtype="float32"), order)
        for a, b in zip(narrow, wide, strict=True):
            assert np.max(np.abs(a - b)) < 3e-4 * np.max(np.abs(b))


def test_in_a_problem_and_a_gradient():
    """``space_charge: {model: 2.5d}``; the gradient of a line by two adjoints."""
    problem = Problem({
        "beam": {
            "distribution": "gaussian", "species": "proton", "n": 500, "kinetic_energy": 2e6, "charge": 1e-9,
            "sigma_x": 1e-3, "sigma_y": 2e-3, "sigma_tau": 0.3, "seed": 1,
        },
        "lattice": [{"drift": {"length": 1.0, "name": "d"}}],
        "space_charge": {"model": "2.5d", "grid": [12, 12, 16], "profile": "sliced"}, "track": {"slices": 4},
    })  # fmt: skip
    model = problem.space_charge()
    assert model == SpaceCharge25D(grid=(12, 12, 16), profile="sliced")
    found = [
        bb.value_and_grad(
            bb.observables.sigma("x"), problem.line(), problem.beam(), ["d.length", "beam.charge", "beam.sigma_tau"],
            space_charge=model, slices=4, adjoint=adjoint,
        )
        for adjoint in (bb.Reversible(), bb.Store())
    ]  # fmt: skip
    for name, value in found[0][1].items():
        assert float(value) == pytest.approx(float(found[1][1][name]), rel=1e-9)
    assert float(found[0][1]["beam.charge"]) > 0.0 > float(found[0][1]["beam.sigma_tau"])


@every_profile
def test_fields(profile, beam):
    """The potential of the nodes is the one whose slope the particles feel."""
    model = SpaceCharge25D(grid=(16, 18, 20), profile=profile, order=2)
    found = model.fields(*beam)
    assert found.rho.shape == found.phi.shape == (16, 18, 20)
    assert np.sum(found.rho) * np.prod(found.spacing) == pytest.approx(CHARGE, rel=1e-12)
    at = (6, 9, 10)
    X = np.zeros((6, beam.X.shape[1] + 1))
    X[:, :-1] = beam.X
    x, y, z = found.lower + found.spacing * at
    X[[0, 2, 4], -1] = x, y, -z / float(beam.reference.beta)
    probed = beam._replace(X=X, q=np.append(beam.q, 0.0))
    slope = (found.phi[7, 9, 10] - found.phi[5, 9, 10]) / (2 * found.spacing[0])
    # -grad phi/(beta gamma^2 P0 c)
    per_slope = -LENGTH / (float(beam.reference.beta_gamma * beam.reference.gamma) * float(beam.reference.momentum))
    assert kick(model, probed)[0, -1] == pytest.approx(slope * per_slope, rel=1e-9)


@every_profile
def test_a_stray_particle_does_not_coarsen_the_core(profile, beam):
    """Two levels, as in three dimensions."""
    core = np.abs(beam.X[0]) < 2 * SX
    found = kick(SpaceCharge25D(grid=(32, 32, 32), profile=profile), beam)
    X = beam.X.copy()
    X[0, -1] = 0.5
    strayed = kick(SpaceCharge25D(grid=(32, 32, 32), profile=profile), beam._replace(X=X))
    among = core & (np.arange(core.size) < core.size - 1)
    assert deviation(strayed[:2], found[:2], among) < 0.02
    one = kick(SpaceCharge25D(grid=(32, 32, 32), profile=profile, extent="beam"), beam._replace(X=X))
    assert deviation(one[:2], found[:2], among) > 0.3


def test_bad_profile():
    with pytest.raises(InputError, match=r"space_charge.profile is 'own'; allowed: shared or sliced"):
        SpaceCharge25D(profile="own")
