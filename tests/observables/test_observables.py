"""Objectives and their pullbacks against textbook formulas in torch and its differentiation of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from libraries import few_on_jax

from backbeam import backends
from backbeam import observables as obs
from backbeam.arrays import COORDINATES
from backbeam.beam import Beam
from backbeam.errors import InputError

ROWS = {name: k for k, name in enumerate(COORDINATES)}
PAIRS = {"x": (0, 1), "y": (2, 3), "z": (4, 5)}


def made_beam(backend="numpy", batch=(), n=50, dtype="float64", seed=0):
    """Charges that differ, some particles lost, all coordinates correlated, about off-axis means."""
    rng = np.random.default_rng(seed)
    X = 1e-3 * (rng.standard_normal((*batch, 6, 6)) @ rng.standard_normal((*batch, 6, n)) + rng.standard_normal((6, 1)))
    beam = Beam.from_arrays(
        X, species="electron", kinetic_energy=5e6, charges=-1e-12 * (0.1 + rng.random((*batch, n))),
        backend=backend, dtype=dtype,
    )  # fmt: skip
    lost_at = np.where(rng.random((*batch, n)) < 0.2, 7, -1).astype(np.int32)
    return beam.replace(lost_at=beam.backend.asarray(lost_at))


def textbook(X, q, alive, beta_gamma):
    """Mean, covariance and Twiss parameters as a textbook has them, in torch."""
    w = q * alive
    w = (w / w.sum(-1, keepdim=True))[..., None, :]
    mean = (w * X).sum(-1)
    D = X - mean[..., None]
    C = (w * D) @ D.mT
    found = {"mean": mean, "C": C, "square": (w * X * X).sum(-1), "charge": -(q * alive).sum(-1)}
    for plane, (i, j) in PAIRS.items():
        rows = {"rows": X[..., i, :], "charges": q * alive}
        emittance = torch.sqrt(C[..., i, i] * C[..., j, j] - C[..., i, j] ** 2)
        beta, alpha = C[..., i, i] / emittance, -C[..., i, j] / emittance
        found[plane] = {"emittance": emittance, "normalized_emittance": beta_gamma * emittance, "beta": beta,
                        "alpha": alpha, "gamma": C[..., j, j] / emittance, **rows}  # fmt: skip
    return found


def expected(name):
    """Return a function of `textbook`'s results."""
    if name == "mean_square_size":
        return lambda t: t["square"][..., 0] + t["square"][..., 2]
    if name == "energy_spread":
        return lambda t: torch.sqrt(t["C"][..., 5, 5])
    if name == "charge":
        return lambda t: t["charge"]
    kind, _, which = name.rpartition("_")
    if kind == "sigma":
        return lambda t: torch.sqrt(t["C"][..., ROWS[which], ROWS[which]])
    if kind == "mean":
        return lambda t: t["mean"][..., ROWS[which]]
    return lambda t: t[which][kind]


def mismatch_of(t):
    x = t["x"]
    beta, alpha = 0.7, -0.4
    return 0.5 * (x["beta"] * (1 + alpha**2) / beta - 2 * x["alpha"] * alpha + x["gamma"] * beta)


def weighted(t):
    return 2.5 * expected("sigma_x")(t) - 0.5 * expected("normalized_emittance_y")(t) + 3.0 * expected("alpha_x")(t)


def quantile_of(level, width):
    """Particle by particle: the integral of the bump over the part of the charge that each covers, by many points."""

    def value(t):
        x, q = t["x"]["rows"], t["x"]["charges"]
        order = torch.argsort(x, dim=-1)
        x, w = torch.gather(x, -1, order), torch.gather(q, -1, order)
        W = torch.cumsum(w, -1) / w.sum(-1, keepdim=True)

        def primitive(u):  # of 15/16 (1 - v^2)^2
            v = ((u - level) / width).clamp(-1.0, 1.0)
            return (v - 2.0 * v**3 / 3.0 + v**5 / 5.0) * 15.0 / 16.0

        return (x * torch.diff(primitive(W), dim=-1, prepend=primitive(torch.zeros_like(W[..., :1])))).sum(-1)

    return value


def within_of(shape):
    def value(t):
        x, y, q = t["x"]["rows"], t["y"]["rows"], t["x"]["charges"]
        f = torch.sigmoid
        if shape == "elliptical":
            return -(q * f((1.0 - (x / 2e-3) ** 2 - (y / 1e-3) ** 2) * 1e-3 / (2.0 * 3e-4))).sum(-1)
        slit = f((2e-3 - x) / 3e-4) * f((2e-3 + x) / 3e-4) * f((1e-3 - y) / 3e-4) * f((1e-3 + y) / 3e-4)
        return -(q * slit).sum(-1)

    return value


def formula(t):
    x, y, both = expected("sigma_x")(t), expected("sigma_y")(t), expected("emittance_x")(t) + expected("emittance_y")(t)
    rest = torch.log(both) - 3 * torch.abs(expected("alpha_y")(t)) ** 1.5
    return (x - 1e-3) ** 2 / y**3 + torch.sqrt(x * y) * rest - 0.5 / x


OBJECTIVES = {name: (objective, expected(name)) for name, objective in obs.catalogue().items()} | {
    "mismatch_x": (obs.mismatch("x", beta=0.7, alpha=-0.4), mismatch_of),
    "weighted sum": (
        2.5 * obs.sigma("x") - obs.normalized_emittance("y") / 2 + obs.twiss_alpha("x") * 3,
        weighted,
    ),
    "quantile": (obs.quantile("x", 0.8, width=0.15), quantile_of(0.8, 0.15)),
    "within a rectangle": (obs.charge_within(2e-3, 1e-3, width=3e-4), within_of("rectangular")),
    "within an ellipse": (obs.charge_within(2e-3, 1e-3, width=3e-4, shape="elliptical"), within_of("elliptical")),
    "formula": (
        obs.expression("(sigma_x - 1e-3)**2 / sigma_y^3 + sqrt(sigma_x*sigma_y) "
                       "* (log(emittance_x + emittance_y) - 3 abs(alpha_y)**1.5) - 0.5 / sigma_x"),
        formula,
    ),
}  # fmt: skip


@pytest.mark.parametrize("batch", [(), (2, 3)])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_value_and_pullback_are_torchs(name, batch):
    objective, formula = OBJECTIVES[name]
    beam = made_beam("torch", batch)
    X, q = (a.detach().clone().requires_grad_() for a in (beam.coordinates, beam.charges))
    beta_gamma = beam.reference.beta_gamma.detach().clone().expand(batch).clone().requires_grad_()
    value = formula(textbook(X, q, beam.alive, beta_gamma))
    torch.testing.assert_close(objective(beam), value.detach(), rtol=1e-12, atol=0.0)
    bar = torch.as_tensor(np.random.default_rng(1).standard_normal(batch))
    wanted = torch.autograd.grad((bar * value).sum(), (X, q, beta_gamma), materialize_grads=True)
    for got, want in zip(objective.pullback(beam, bar)[:3], wanted, strict=True):
        assert got.shape == want.shape
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12 * float(want.abs().max()))


@few_on_jax("name", list(OBJECTIVES))
def test_every_library_gives_the_same(name, backend):
    objective, _ = OBJECTIVES[name]
    mine, host = made_beam(backend.name, (2,)), made_beam("numpy", (2,))
    np.testing.assert_allclose(backend.to_numpy(objective(mine)), objective(host), rtol=1e-12)
    bar = np.random.default_rng(2).standard_normal(2)
    for got, want in zip(
        objective.pullback(mine, backend.asarray(bar))[:3], objective.pullback(host, bar)[:3], strict=True
    ):
        np.testing.assert_allclose(backend.to_numpy(got), want, rtol=1e-11, atol=1e-12 * abs(want).max())


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "formula"])
@pytest.mark.parametrize("case", ["all lost", "one particle", "cold"])
def test_singular_beams(name, case):
    """A defined number and finite slopes, for the pullback and for torch's differentiation of the value."""
    objective, _ = OBJECTIVES[name]
    beam = made_beam("torch", n=1 if case == "one particle" else 20)
    beam = beam.replace(lost_at=torch.full_like(beam.lost_at, 3 if case == "all lost" else -1))
    X = beam.coordinates if case != "cold" else beam.coordinates * torch.tensor([1.0, 0.0] * 3)[:, None]
    beam = beam.replace(coordinates=X.detach().requires_grad_())
    value = objective(beam)
    assert torch.isfinite(value)
    if case == "all lost" and name != "weighted sum":
        assert value == 0.0
    if value.requires_grad:
        (slope,) = torch.autograd.grad(value, beam.coordinates)
        assert torch.isfinite(slope).all()
    bars = objective.pullback(beam.replace(coordinates=X.detach()), torch.ones((), dtype=torch.float64))
    assert all(torch.isfinite(b).all() for b in bars[:3])


def test_float32_pullback_agrees_with_float64():
    for name, (objective, _) in OBJECTIVES.items():
        narrow, wide = made_beam(dtype="float32"), made_beam()
        one = np.ones(())
        for got, want in zip(
            objective.pullback(narrow, one.astype(np.float32))[:3], objective.pullback(wide, one)[:3], strict=True
        ):
            assert got.dtype == np.float32, name
            np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-5 * abs(want).max(), err_msg=name)


def test_quantiles_are_those_of_a_gaussian():
    """And of what is weighted by charge: a particle twice as charged counts as two of its kind."""
    beam = Beam.gaussian(n=200_000, species="proton", kinetic_energy=1e9, charge=1e-9, sigma_x=1e-3, mean_x=2e-4)
    for level, z in ((0.5, 0.0), (0.841345, 1.0), (0.05, -1.644854)):
        assert obs.quantile("x", level)(beam) == pytest.approx(2e-4 + z * 1e-3, abs=1.5e-5)
    X = 1e-3 * np.random.default_rng(3).standard_normal((6, 40))
    twice = np.where(np.arange(40) < 20, 2e-12, 1e-12)
    some = Beam.from_arrays(X, species="proton", kinetic_energy=1e9, charges=twice)
    many = Beam.from_arrays(np.concatenate([X, X[:, :20]], axis=1), species="proton", kinetic_energy=1e9, charge=6e-11)
    for width in (0.05, 0.3):
        wanted = float(obs.quantile("x", 0.6, width=width)(many))
        assert obs.quantile("x", 0.6, width=width)(some) == pytest.approx(wanted, rel=1e-12)


def test_an_edge_of_no_width_is_an_aperture():
    beam = made_beam(n=2000)
    sharp = obs.charge_within(1.5e-3, 1e-3, width=1e-9, shape="elliptical")
    inside = (beam.x / 1.5e-3) ** 2 + (beam.y / 1e-3) ** 2 < 1.0
    assert sharp(beam) == pytest.approx(-np.sum(beam.charges[inside & beam.alive]), rel=1e-6)
    assert np.isfinite(sharp.pullback(beam, np.ones(())).coordinates).all()


def test_mismatch_is_one_when_matched_and_grows():
    beam = made_beam()
    beta, alpha, _, _ = beam.twiss("y")
    assert obs.mismatch("y", beta=float(beta), alpha=float(alpha))(beam) == pytest.approx(1.0, rel=1e-14)
    assert obs.mismatch("y", beta=2 * float(beta), alpha=float(alpha))(beam) > 1.1


def test_names_are_those_of_the_catalogue():
    for name, objective in obs.catalogue().items():
        assert obs.named(name).name == name == objective.name
    assert (2 * obs.sigma("x") + obs.sigma("y")).name == "2 sigma_x + sigma_y"
    assert obs.twiss_beta("x") == obs.named("beta_x")
    assert hash(obs.mean("tau")) == hash(obs.named("mean_tau"))


@pytest.mark.parametrize("make", [lambda: obs.named("size_x"), lambda: obs.sigma("z"),
                                  lambda: obs.emittance("tau"),
                                  lambda: obs.mismatch("x", beta=0.0),
                                  lambda: obs.quantile("x", 1.0), lambda: obs.quantile("x", 0.9, width=0.2),
                                  lambda: obs.quantile("z", 0.5), lambda: obs.charge_within(0.0, 1.0, width=1e-3),
                                  lambda: obs.charge_within(1.0, 1.0, width=1e-3, shape="round"),
                                  lambda: obs.image_distance("yag", [1.0, 2.0]),
                                  lambda: obs.image_distance("yag", np.zeros((3, 3))),
                                  lambda: obs.image_distance("yag", -np.eye(3)),
                                  lambda: obs.image_distance("yag", np.eye(3), smoothing=-1)])  # fmt: skip
def test_unknown_names_list_what_is_allowed(make):
    with pytest.raises(InputError, match="allowed: "):
        make()


def test_operators_refuse_what_is_no_objective():
    for wrong in (
        lambda: obs.sigma("x") + "y",
        lambda: obs.sigma("x") * None,
        lambda: obs.sigma("x") - True,
        lambda: obs.sigma("x") ** obs.sigma("y"),
    ):
        with pytest.raises(TypeError):
            wrong()


def test_jax_grad_of_an_objective_is_its_pullback():
    import jax

    beam = made_beam("jax", n=20)
    objective = obs.emittance("y") * 2.0
    slope = jax.jit(jax.grad(lambda X: objective(beam.replace(coordinates=X))))(beam.coordinates)
    X_bar = objective.pullback(beam, backends.get("jax").asarray(1.0))[0]
    np.testing.assert_allclose(slope, X_bar, rtol=1e-10, atol=1e-12 * float(abs(X_bar).max()))
