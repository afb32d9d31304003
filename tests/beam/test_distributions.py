"""Distributions against their closed forms, and their gradients against torch's and central differences.

Numbers of cases are ImpactX's benchmarks (examples/expanding_beam, examples/epac2004_benchmarks,
examples/distgen), as collected from its analysis scripts and runs of its wheel 26.10.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backbeam.arrays import sum_to_shape
from backbeam.beam import Beam
from backbeam.distributions import FAMILIES, PlanarDistribution
from backbeam.distributions.covariance import cholesky
from backbeam.distributions.shears import SHEARS
from backbeam.errors import InputError

COMMON = {"species": "electron", "kinetic_energy": 250e6, "charge": 1e-9}
THERMAL = {"species": "proton", "kinetic_energy": 0.1e6, "charge": 1.4285714285714285e-10,
           "k": 6.283185307179586, "kT": 3.6e-5}  # fmt: skip
SHAPE = {"sigma_x": 1e-3, "sigma_px": 2e-4, "correlation_x": 0.5, "beta_y": 2.0, "alpha_y": -1.5,
         "emittance_y": 1e-6,
         "sigma_tau": 3e-3, "sigma_pt": 1e-3, "correlation_tau": -0.3}  # fmt: skip
KINDS = (*FAMILIES, "thermal")


def draw(kind, n=1000, **more):
    if kind == "thermal":
        return Beam.draw(kind, n=n, **{**THERMAL, **more})
    return Beam.draw(kind, n=n, **{**COMMON, **SHAPE, **more})


@pytest.mark.parametrize("kind", FAMILIES)
def test_variates_have_mean_zero_and_covariance_one(kind):
    """Five standard errors of each sample moment."""
    n = 200_000
    u = FAMILIES[kind].draw(np.random.default_rng(0), n)
    assert u.shape == (6, n)
    assert (abs(u.mean(axis=1)) < 5 / n**0.5).all()
    products = u[:, None, :] * u[None, :, :]
    error = products.std(axis=-1) / n**0.5
    assert (abs(products.mean(axis=-1) - np.eye(6)) <= 5 * error + 1e-12).all()


@pytest.mark.parametrize("kind", [k for k, f in FAMILIES.items() if f.edge])
def test_edges_are_where_the_family_says(kind):
    u = FAMILIES[kind].draw(np.random.default_rng(1), 100_000)
    for row, edge in zip(u[0::2], FAMILIES[kind].edge, strict=True):
        assert 0.9 * edge < abs(row).max() <= edge * (1 + 1e-12)


@given(seed=st.integers(0, 2**32 - 1))
def test_invariants_of_the_families(seed):
    """What defines each: where its particles can be."""
    rng = np.random.default_rng(seed)
    x, px, y, py, _, _ = FAMILIES["kv"].draw(rng, 100)
    np.testing.assert_allclose(x**2 + px**2 + y**2 + py**2, 4.0, rtol=1e-12)
    u = FAMILIES["waterbag"].draw(rng, 100)
    assert (np.sum(u**2, axis=0) <= 8.0 * (1 + 1e-12)).all()
    x, _, y, _, _, _ = FAMILIES["semigaussian"].draw(rng, 100)
    assert (x**2 + y**2 <= 4.0 * (1 + 1e-12)).all()
    # Kurth: r^2 + p^2 - L^2 <= 1 in units of the edge, L the angular momentum.
    x, px, y, py, _, _ = FAMILIES["kurth4d"].draw(rng, 100) / 2.0
    assert (x**2 + y**2 + px**2 + py**2 - (x * py - y * px) ** 2 <= 1.0 + 1e-12).all()
    u = FAMILIES["kurth6d"].draw(rng, 100) / 5**0.5
    u[5] = -u[5]  # the partner of tau is -pt
    L = np.cross(u[0::2], u[1::2], axis=0)
    assert (np.sum(u**2, axis=0) - np.sum(L**2, axis=0) <= 1.0 + 1e-12).all()


def below(kind, r):
    """Fraction of particles within a part r of the edge, of a ball or a disk."""
    return {"uniform_ellipsoid": r**3, "kurth6d": r**3, "kurth4d": r**2, "kv": r**2, "semigaussian": r**2}[kind]


@pytest.mark.parametrize("kind", ["uniform_ellipsoid", "kurth6d", "kurth4d", "kv", "semigaussian"])
def test_density_in_space_is_uniform(kind):
    """Kolmogorov's distance of the radii, against its 1e-6 quantile."""
    n = 50_000
    u = FAMILIES[kind].draw(np.random.default_rng(2), n)
    rows = u[0::2] if FAMILIES[kind].ball else u[[0, 2]]
    r = np.sort(np.sqrt(np.sum(rows**2, axis=0)) / FAMILIES[kind].edge[0])
    assert abs(below(kind, r) - (np.arange(n) + 0.5) / n).max() < 2.7 / n**0.5


@pytest.mark.parametrize("kind", ["kv", "kurth4d", "kurth6d", "waterbag"])
def test_stationary_families_look_the_same_after_a_rotation_of_phase(kind):
    """They are equilibria of linear focusing: positions a phase advance later have the same distribution."""
    n = 50_000
    u = FAMILIES[kind].draw(np.random.default_rng(3), n)
    u[5] = -u[5]  # the partner of tau is -pt
    last = 3 if FAMILIES[kind].ball else 2
    later = np.cos(1.1) * u[0 : 2 * last : 2] + np.sin(1.1) * u[1 : 2 * last : 2]
    a = np.sort(np.sum(u[0 : 2 * last : 2] ** 2, axis=0))
    b = np.sort(np.sum(later**2, axis=0))
    distance = abs(np.searchsorted(a, b, side="right") - np.arange(1, n + 1)).max() / n
    assert distance < 2.7 * (2 / n) ** 0.5


@pytest.mark.parametrize("kind", FAMILIES)
def test_sizes_correlations_and_twiss(kind):
    n = 100_000
    beam = draw(kind, n)
    C = beam.cov()
    tolerance = 5 * 3**0.5 / n**0.5
    np.testing.assert_allclose(beam.sigma()[[0, 1, 4, 5]], [1e-3, 2e-4, 3e-3, 1e-3], rtol=tolerance)
    assert C[0, 1] / (1e-3 * 2e-4) == pytest.approx(0.5, abs=tolerance)
    assert C[4, 5] / (3e-3 * 1e-3) == pytest.approx(-0.3, abs=tolerance)
    twiss = beam.twiss("y")
    assert twiss.beta == pytest.approx(2.0, rel=3 * tolerance)
    assert twiss.alpha == pytest.approx(-1.5, rel=3 * tolerance)
    assert twiss.emittance == pytest.approx(1e-6, rel=3 * tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_particles_in_every_library_bit_for_bit(kind, backend):
    ours, host = draw(kind, backend=backend.name, seed=3, mean_x=1e-4), draw(kind, seed=3, mean_x=1e-4)
    assert np.array_equal(backend.to_numpy(ours.coordinates), host.coordinates)
    assert np.array_equal(backend.to_numpy(ours.charges), host.charges)
    assert not np.array_equal(draw(kind, seed=4, mean_x=1e-4).coordinates, host.coordinates)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_is_the_same_beam(kind, backend):
    ours = draw(kind, backend=backend.name, dtype="float32")
    assert ours.dtype == "float32" and ours.coordinates.dtype == backend.namespace.float32
    host = draw(kind).coordinates
    error = abs(backend.to_numpy(ours.coordinates) - host).max(axis=1) / abs(host).max(axis=1)
    assert (error < 1e-6).all()


def test_impactx_lambda_mu():
    """Correlation -mu, sigma = lambda/sqrt(1 - mu^2), <x px> = -mu lambda_x lambda_px/(1 - mu^2)."""
    lx, lp, mu = 3.9984884770e-5, 2.6623538760e-5, -0.846574929020762
    s = (1 - mu**2) ** -0.5
    beam = Beam.gaussian(n=200_000, **COMMON, sigma_x=lx * s, sigma_px=lp * s, correlation_x=-mu)
    assert beam.cov()[0, 1] == pytest.approx(-mu * lx * lp * s * s, rel=0.01)
    assert beam.emittance("x") == pytest.approx(lx * lp * s, rel=0.01)


def test_expanding_ball():
    """Ball of 1 mm at 250 MeV: sigma_x = R/sqrt(5), sigma_t = sigma_x/(beta gamma)."""
    for kind in ("uniform_ellipsoid", "kurth6d", "waterbag"):
        beam = Beam.draw(kind, n=100_000, radius=1e-3, **COMMON)
        z = beam.tau * beam.reference.beta_gamma
        r = np.sqrt(beam.x**2 + beam.y**2 + z**2)
        assert 0.99e-3 * (kind != "waterbag") < r.max() <= 1e-3 * (1 + 1e-12)
        if kind != "waterbag":
            assert beam.sigma("x") == pytest.approx(4.472135955e-4, rel=0.01)
            assert beam.sigma("tau") == pytest.approx(9.1224186858e-07, rel=0.01)
        assert not beam.px.any() and not beam.pt.any()


def test_half_axes():
    beam = Beam.semigaussian(n=50_000, radius_x=2e-3, radius_y=1e-3, radius_tau=3e-3, **COMMON)
    assert ((beam.x / 2e-3) ** 2 + (beam.y / 1e-3) ** 2).max() <= 1 + 1e-12
    assert abs(beam.tau).max() == pytest.approx(3e-3, rel=1e-3)


@pytest.mark.parametrize("kind", ["gaussian", "thermal"])
def test_chirp_and_dispersion(kind):
    """What is added to the beam without them is so to the last digits, about the means."""
    plain = {"n": 20_000, "mean_x": 1e-3, "mean_pt": 2e-3}
    D, Dp, chirp = 0.7, -0.2, 0.01
    before = draw(kind, **plain)
    beam = draw(kind, **plain, dispersion_x=D, dispersion_px=Dp, dispersion_y=-0.1, chirp=chirp)
    pt = before.pt + chirp * before.tau - 2e-3
    np.testing.assert_allclose(beam.pt, pt + 2e-3, atol=1e-15)
    for name, slope in (("x", D), ("px", Dp), ("y", -0.1), ("py", 0.0)):
        np.testing.assert_allclose(getattr(beam, name), getattr(before, name) + slope * pt, atol=1e-15)
    assert np.array_equal(beam.tau, before.tau)


def test_dispersion_is_the_one_of_the_beam():
    """sigma^2 = beta emittance + (D sigma_pt)^2; the slope of pt on tau is the chirp, sigma_pt that of a slice."""
    n = 100_000
    beam = Beam.gaussian(n=n, **COMMON, beta_x=11.0, alpha_x=-2.0, emittance_x=1e-8, sigma_tau=1e-3, sigma_pt=5e-4,
                         dispersion_x=0.8, dispersion_px=0.1, chirp=2.0)  # fmt: skip
    spread = np.hypot(5e-4, 2.0 * 1e-3)
    error = 5.0 / n**0.5
    found, slope = beam.dispersion("x")
    assert found == pytest.approx(0.8, abs=error * (11e-8) ** 0.5 / spread)
    assert slope == pytest.approx(0.1, abs=error * (5e-8 / 11) ** 0.5 / spread)
    assert beam.sigma("pt") == pytest.approx(spread, rel=error)
    assert beam.sigma("x") == pytest.approx(np.hypot(11e-8**0.5, 0.8 * spread), rel=error)
    assert np.median(beam.slices(100).sigma_pt) == pytest.approx(5e-4, rel=0.1)


def test_normalized_emittance():
    beam = Beam.gaussian(n=100_000, **COMMON, beta_x=11.0, alpha_x=-2.1, normalized_emittance_x=2e-6)
    assert beam.normalized_emittance("x") == pytest.approx(2e-6, rel=0.02)


def test_thermal_is_impactx():
    """Its stated initial moments: its benchmark allows 3.5 %, three sampling errors here are 1 %."""
    beam = Beam.thermal(n=100_000, normalize=0.41604661, **THERMAL)
    for name, value in (("x", 0.002569162), ("y", 0.002569557), ("tau", 0.1757951)):
        assert beam.sigma(name) == pytest.approx(value, rel=0.01)
    for plane, value in (("x", 1.540773e-05), ("y", 1.541883e-05), ("z", 1.538814e-05)):
        assert beam.emittance(plane) == pytest.approx(value, rel=0.01)
    assert beam.sigma("pt") == pytest.approx(8.766106595137494e-05, rel=0.01)
    # Left out, the constant that makes the charges add up is found: ImpactX's to five digits.
    assert Beam.thermal(n=1, **THERMAL).recipe.normalize[0] == pytest.approx(0.41604661, rel=5e-5)


def test_thermal_without_charge_is_gaussian():
    beam = Beam.thermal(n=100_000, **{**THERMAL, "charge": 0.0})
    assert beam.recipe.normalize[0] == pytest.approx(1.0, rel=1e-6)
    assert beam.sigma("x") == pytest.approx(3.6e-5**0.5 / THERMAL["k"], rel=0.01)
    assert beam.mean()[0] == pytest.approx(0.0, abs=5 * beam.sigma("x") / 1e5**0.5)


def test_thermal_with_a_halo_of_the_same_temperature_is_the_one_without():
    """Both components have the same density, so the single one's normalisation serves both."""
    single = Beam.thermal(n=50_000, **THERMAL)
    norm = single.recipe.normalize[0]
    double = Beam.thermal(n=50_000, halo=0.3, normalize=norm, normalize_halo=norm, **THERMAL)
    np.testing.assert_allclose(double.coordinates, single.coordinates, rtol=1e-6, atol=1e-9)
    wide = Beam.thermal(n=50_000, halo=0.1, kT_halo=3.6e-4, normalize=0.3, normalize_halo=0.3, **THERMAL)
    assert wide.sigma("px") == pytest.approx((0.9 * 3.6e-5 + 0.1 * 3.6e-4) ** 0.5, rel=0.02)


def matrices(rng, rank):
    A = rng.standard_normal((6, rank)) * 10.0 ** rng.integers(-6, 0, (6, 1))
    return A @ A.T


@given(seed=st.integers(0, 2**32 - 1), rank=st.integers(0, 6))
def test_factor_of_any_semidefinite_covariance(seed, rank):
    C = matrices(np.random.default_rng(seed), rank)
    F = cholesky(C)
    assert np.array_equal(F, np.tril(F))
    scale = np.sqrt(np.outer(np.diag(C), np.diag(C))) + 1e-300
    assert (abs(F @ F.T - C) <= 1e-7 * scale).all()


def test_covariance_of_the_drawn_beam(backend):
    C = 1e-6 * np.stack([matrices(np.random.default_rng(k), 4) for k in range(2)])
    beam = Beam.gaussian(n=50_000, covariance=C, mean_y=1e-3, backend=backend.name, **COMMON)
    scale = np.sqrt(np.einsum("bi,bj->bij", *2 * [np.diagonal(C, axis1=1, axis2=2)]))
    assert (abs(backend.to_numpy(beam.cov()) - C) <= 0.03 * scale).all()
    assert backend.to_numpy(beam.mean("y")) == pytest.approx([1e-3, 1e-3], abs=1e-4)


def test_a_diagonal_covariance_draws_what_sizes_draw():
    sizes = np.asarray([1e-3, 1e-4, 2e-3, 2e-4, 3e-3, 3e-4])
    one = Beam.gaussian(n=100, covariance=np.diag(sizes**2), **COMMON)
    names = ("x", "px", "y", "py", "tau", "pt")
    two = Beam.gaussian(n=100, **{f"sigma_{n}": s for n, s in zip(names, sizes, strict=True)}, **COMMON)
    np.testing.assert_allclose(one.coordinates, two.coordinates, rtol=1e-14)


# -- gradients -----------------------------------------------------------------------------------------------

WAYS = {
    "sizes": {"sigma_x": 1e-3, "sigma_px": 2e-4, "correlation_x": 0.5, "sigma_pt": 1e-3, "mean_y": 1e-4,
              "sigma_tau": 1e-3, "dispersion_x": 2.0, "dispersion_px": -0.3, "dispersion_y": 0.1, "chirp": 3.0},
    "Twiss": {"beta_x": 2.0, "alpha_x": -1.5, "emittance_x": 1e-6, "beta_z": 0.5, "alpha_z": 0.2,
              "normalized_emittance_z": 1e-3, "mean_pt": 1e-3},
    "ball": {"radius": 1e-3, "sigma_px": 1e-4, "correlation_tau": 0.1, "sigma_pt": 1e-4, "mean_tau": 1e-3},
    "half-axes": {"radius_x": 1e-3, "radius_y": 2e-3, "radius_tau": 3e-3, "sigma_py": 1e-4},
}  # fmt: skip


def pulled(beam, X_bar):
    """Cotangents of the recipe's parameters and of beta_gamma, each in its own shape."""
    recipe, beta_gamma = beam.recipe, beam.reference.beta_gamma
    bars, beta_gamma_bar = recipe.assemble_pullback(recipe.variates(), recipe.parameters, beta_gamma, X_bar)
    own = {name: sum_to_shape(bar, recipe.parameters[name].shape) for name, bar in bars.items()}
    return own | {"beta_gamma": sum_to_shape(beta_gamma_bar, beta_gamma.shape)}


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_pullback_is_torchs(way, batched):
    given = WAYS[way]
    if batched:
        first = next(iter(given))
        given = {**given, first: given[first] * torch.tensor([1.0, 1.2, 0.9], dtype=torch.float64)}
    given = {k: torch.as_tensor(v, dtype=torch.float64).requires_grad_() for k, v in given.items()}
    energy = torch.tensor(5e6, dtype=torch.float64, requires_grad=True)
    kind = "gaussian" if way in ("sizes", "Twiss") else "uniform_ellipsoid"
    beam = Beam.draw(kind, n=60, species="electron", kinetic_energy=energy, charge=1e-9, backend="torch", **given)
    X_bar = torch.as_tensor(np.random.default_rng(4).standard_normal(beam.coordinates.shape))
    names = {**given, "beta_gamma": beam.reference.beta_gamma}
    value = (X_bar * beam.coordinates).sum()
    wanted = torch.autograd.grad(value, tuple(names.values()), materialize_grads=True)
    got = pulled(beam, X_bar)
    for name, want in zip(names, wanted, strict=True):
        assert got[name].shape == want.shape
        torch.testing.assert_close(got[name].detach(), want, rtol=1e-12, atol=1e-14, msg=name)


@pytest.mark.parametrize("way", WAYS)
def test_pullback_is_the_central_difference_on_every_library(way, backend):
    """Through `with_parameters`, for every parameter of the beam, those left at their defaults included."""
    rng = np.random.default_rng(5)
    kind = "gaussian" if way in ("sizes", "Twiss") else "kurth6d"
    beam = Beam.draw(kind, n=20, backend=backend.name, **{**COMMON, "kinetic_energy": 5e6}, **WAYS[way])
    X_bar = rng.standard_normal((6, 20))
    got = {name: float(backend.to_numpy(bar)) for name, bar in pulled(beam, backend.asarray(X_bar)).items()}
    # d(beta gamma)/dT = 1/(beta m c^2)
    got["kinetic_energy"] = got.pop("beta_gamma") / (float(beam.beta) * beam.species.mass)
    assert set(got) == set(beam.parameters()) - {"charge"}
    for name, slope in got.items():
        at = float(backend.to_numpy(beam.parameters()[name]))
        if at == 0.0 and name.startswith(("sigma", "radius")):
            continue  # at the end of what is allowed
        h = 1e-5 * abs(at) if at else 1e-4
        up, down = (
            (X_bar * backend.to_numpy(beam.with_parameters(**{name: v}).coordinates)).sum() for v in (at + h, at - h)
        )
        assert slope == pytest.approx((up - down) / (2 * h), rel=1e-5, abs=1e-9 / max(abs(at), 1.0)), name


def test_gradient_through_the_charge_is_torchs():
    for value, slope in ((1e-9, -1.0), (-1e-9, 1.0), (0.0, -1.0)):
        charge = torch.tensor(value, dtype=torch.float64, requires_grad=True)
        beam = Beam.gaussian(n=5, backend="torch", **{**COMMON, "charge": charge})
        beam.charges.sum().backward()
        assert float(charge.grad) == pytest.approx(slope, rel=1e-14)


def test_jax_grad_through_the_parameters():
    import jax

    def size(sigma_x, beta_y):
        beam = Beam.gaussian(n=100, backend="jax", sigma_x=sigma_x, beta_y=beta_y, emittance_y=1e-6, **COMMON)
        return beam.sigma("x") + 2.0 * beam.sigma("y")

    for function in (jax.grad(size, (0, 1)), jax.jit(jax.grad(size, (0, 1)))):
        a, b = function(1e-3, 2.0)
        beam = Beam.gaussian(n=100, sigma_x=1e-3, beta_y=2.0, emittance_y=1e-6, **COMMON)
        assert a == pytest.approx(beam.sigma("x") / 1e-3, rel=1e-12)
        assert b == pytest.approx(2.0 * beam.sigma("y") / (2 * 2.0), rel=1e-12)


def test_slopes_are_finite_at_the_ends():
    """Zero sizes, zero emittance and full correlation, for the pullback and for torch's differentiation."""
    for shape in (
        {"sigma_x": 0.0, "sigma_px": 1e-3, "correlation_x": 1.0},
        {"beta_x": 1.0, "emittance_x": 0.0},
    ):
        given = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in shape.items()}
        beam = Beam.gaussian(n=10, backend="torch", **COMMON, **given)
        bars = pulled(beam, torch.ones_like(beam.coordinates))
        beam.coordinates.sum().backward()
        for name, value in given.items():
            assert torch.isfinite(value.grad) and torch.isfinite(bars[name])
            assert float(bars[name].detach()) == pytest.approx(float(value.grad), rel=1e-12, abs=1e-14)


def test_a_thermal_beam_has_gradients_of_offsets_and_charge_only():
    beam = Beam.thermal(n=10, **THERMAL)
    offsets = {f"mean_{c}" for c in ("x", "px", "y", "py", "tau", "pt")} | set(SHEARS)
    assert set(beam.parameters()) == {"charge"} | offsets
    moved = beam.with_parameters(mean_x=1e-3, charge=2e-10)
    np.testing.assert_allclose(moved.x, beam.x + 1e-3, rtol=1e-12)
    assert moved.charge == pytest.approx(2e-10, rel=1e-12)
    for name in ("k", "kT", "kinetic_energy"):
        with pytest.raises(InputError, match=f"beam.{name}"):
            beam.with_parameters(**{name: 1.0})


# -- what is refused -----------------------------------------------------------------------------------------

REFUSED = [
    ("beam.sigma_x", {"sigma_x": -1e-3}),
    ("beam.sigma_px", {"sigma_px": float("nan")}),
    ("beam.sigma_x", {"sigma_x": "1 mm"}),
    ("beam.sigma_x", {"sigma_x": torch.tensor(1e-3)}),
    ("beam.correlation_x", {"correlation_x": 1.5}),
    ("beam.beta_x", {"beta_x": 0.0, "emittance_x": 1e-6}),
    ("beam.emittance_x", {"beta_x": 1.0, "emittance_x": -1e-6}),
    ("beam.emittance_x", {"beta_x": 1.0}),
    ("beam.beta_x", {"emittance_x": 1e-6}),
    ("beam.beta_x", {"alpha_x": 1.0}),
    ("beam.beta_x", {"beta_x": 1.0, "emittance_x": 1e-6, "sigma_x": 1e-3}),
    ("beam.beta_y", {"beta_y": 1.0, "emittance_y": 1e-6, "sigma_py": 1e-3}),
    ("beam.normalized_emittance_x", {"beta_x": 1.0, "emittance_x": 1e-6, "normalized_emittance_x": 1e-6}),
    ("beam.radius_x", {"radius_x": 1e-3}),
    ("beam.sigma_z", {"sigma_z": 1e-3}),
    ("beam.sigma_x", {"covariance": np.eye(6), "sigma_x": 1e-3}),
    ("beam.covariance", {"covariance": np.eye(5)}),
    ("beam.covariance", {"covariance": -np.eye(6)}),
    ("beam.covariance", {"covariance": np.eye(6) + np.eye(6, k=1)}),
    ("beam.covariance", {"covariance": np.ones((6, 6)) - 2 * np.eye(6, k=1) - 2 * np.eye(6, k=-1)}),
    ("beam.covariance", {"covariance": np.eye(6) * np.nan}),
    ("beam.covariance", {"covariance": torch.eye(6).requires_grad_()}),
    ("beam.covariance", {"covariance": "diagonal"}),
    ("beam.mean_x", {"mean_x": float("inf")}),
    ("beam.dispersion_x", {"dispersion_x": float("nan")}),
    ("beam.dispersion_x", {"covariance": np.eye(6), "dispersion_x": 1.0}),
    ("beam.dispersion_z", {"dispersion_z": 1.0}),
    ("beam.chirp", {"chirp": "1 m"}),
]


@pytest.mark.parametrize(("field", "given"), REFUSED)
def test_refused_parameters_name_their_field(field, given):
    with pytest.raises(InputError, match=f"^{re.escape(field)} is .*; allowed: ") as caught:
        Beam.gaussian(n=10, **COMMON, **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("field", "given"), [
    ("beam.k", {"k": -1.0}), ("beam.kT", {"kT": None}), ("beam.kT", {"kT": torch.tensor(1e-5)}),
    ("beam.halo", {"halo": 1.5}), ("beam.normalize", {"halo": 0.5}), ("beam.normalize", {"normalize": 5.0}),
    ("beam.sigma_x", {"sigma_x": 1e-3}), ("beam.normalize_halo", {"halo": 0.5, "normalize": 0.4}),
])  # fmt: skip
def test_refused_thermal_parameters_name_their_field(field, given):
    with pytest.raises(InputError, match=f"^{re.escape(field)} is "):
        Beam.thermal(n=10, **{**THERMAL, **given})


def test_two_half_axes_of_one_plane_are_refused():
    with pytest.raises(InputError, match=r"^beam.radius_x is .*left out where radius is given"):
        Beam.uniform_ellipsoid(n=10, radius=1e-3, radius_x=1e-3, **COMMON)


def test_recipe_is_kept_and_redraws_the_beam():
    beam = draw("gaussian")
    assert isinstance(beam.recipe, PlanarDistribution)
    again = beam.recipe.assemble(beam.recipe.variates(), beam.recipe.parameters, beam.reference.beta_gamma)
    assert np.array_equal(again, beam.coordinates)
