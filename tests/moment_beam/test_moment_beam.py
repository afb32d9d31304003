"""Beams of moments: as particles of exact moments, closed forms of space charge, gradients, readings, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import backbeam as bb
from backbeam import backends
from backbeam.errors import InputError
from backbeam.jacobians import values
from backbeam.moment_beam.linear_space_charge import form_factors, form_factors_pullback
from backbeam.reference import Reference
from backbeam.species import species_named

SIZES = np.asarray([1e-3, 2e-4, 1.5e-3, 3e-4, 2e-3, 1e-3])


def moments_of_a_beam(seed: int = 1, batch: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    F = np.tril(rng.uniform(-0.4, 0.4, (*batch, 6, 6)), -1) + np.eye(6)
    F = F * SIZES[:, None]
    return rng.uniform(-1, 1, (*batch, 6)) * 0.3 * SIZES, F @ np.swapaxes(F, -1, -2)


def particles(mean: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Twelve particles of exactly these moments."""
    F = np.linalg.cholesky(cov) * np.sqrt(6.0)
    return mean[:, None] + np.concatenate([F, -F], axis=1)


def reference(backend=None, energy: float = 5e7, species: str = "proton") -> Reference:
    found = Reference.from_kinetic_energy(np.asarray(energy), species_named(species))
    return found if backend is None else Reference(backend.asarray(found.beta_gamma), found.species)


def linear_line() -> bb.Line:
    model = {"model": "linear"}
    return bb.Line([
        bb.Quadrupole(0.3, k1=2.0, name="qf", **model), bb.Drift(0.7, name="d", **model), bb.Monitor(name="bpm"),
        bb.SectorBend(0.5, angle=0.2, e1=0.1, name="b", **model), bb.Drift(0.7, name="d2", **model),
        bb.Quadrupole(0.3, k1=-2.0, name="qd", **model), bb.Screen(0.02, 0.02, (40, 48), name="yag"),
        bb.Solenoid(0.4, ks=1.5, name="s", **model), bb.Drift(0.7, name="d3", **model),
    ])  # fmt: skip


def test_moments_are_those_of_particles_in_linear_lines():
    mean, cov = moments_of_a_beam()
    beam = bb.MomentBeam(mean, cov, reference(), 1e-12)
    X = particles(mean, cov)
    swarm = bb.Beam.from_arrays(X, species="proton", kinetic_energy=5e7, charge=1e-12)
    assert np.allclose(bb.MomentBeam.of(swarm).cov(), cov, rtol=1e-12, atol=1e-24)
    after, expected = bb.track(linear_line(), beam), bb.track(linear_line(), swarm)
    assert np.allclose(after.mean(), expected.mean(), rtol=1e-12, atol=1e-12 * np.abs(expected.mean()).max())
    assert np.abs(after.cov() - expected.cov()).max() < 1e-12 * np.abs(expected.cov()).max()
    assert np.allclose(after.readings["bpm"], expected.readings["bpm"], rtol=1e-12)
    for plane in "xyz":
        assert np.isclose(after.emittance(plane), expected.emittance(plane), rtol=1e-10)
    assert np.isclose(after.s, expected.s) and np.isclose(after.twiss("x").beta, expected.twiss("x").beta, rtol=1e-10)


def test_a_screen_sees_a_gaussian():
    mean, cov = moments_of_a_beam()
    beam = bb.MomentBeam(mean, cov, reference(species="electron"), 1e-12)
    image = bb.track(linear_line(), beam).readings["yag"]
    assert np.isclose(image.sum(), -1e-12, rtol=1e-3)
    many = bb.track(linear_line(), beam.to_particles(300_000)).readings["yag"]
    assert np.abs(image - many).max() < 0.02 * -many.min()


def test_displaced_monitors_and_screens_read_in_their_own_frame():
    """As with particles of these moments: shifted, rolled, both, and a thick one, which reads in its middle."""
    mean, cov = moments_of_a_beam()
    model = {"model": "linear"}
    line = bb.Line([
        bb.Quadrupole(0.3, k1=2.0, name="qf", **model), bb.Monitor(name="shifted", dx=1e-3, dy=-2e-3),
        bb.Drift(0.4, name="d", **model), bb.Monitor(name="rolled", roll=0.7),
        bb.Monitor(name="both", dx=1e-3, roll=-1.2), bb.Monitor(0.5, name="thick", dy=1e-3, roll=0.3),
    ])  # fmt: skip
    found = bb.track(line, bb.MomentBeam(mean, cov, reference(), 1e-12)).readings
    drawn = bb.Beam.from_arrays(particles(mean, cov), species="proton", kinetic_energy=5e7, charge=1e-12)
    expected = bb.track(line, drawn).readings
    assert set(found) == set(expected) == {"shifted", "rolled", "both", "thick"}
    for name, seen in expected.items():
        atol = 5e-7 if name == "thick" else 1e-15  # an exact drift, in which slopes are not quite moments
        assert np.allclose(found[name], seen, rtol=1e-12, atol=atol), name
    plain = bb.track(line.replace({"shifted.dx": 0.0}), bb.MomentBeam(mean, cov, reference(), 1e-12)).readings
    assert np.allclose(found["shifted"] - plain["shifted"], [-1e-3, 0.0], atol=1e-16)
    screens = bb.Line(
        [bb.Screen(0.02, 0.02, (40, 48), name=name, **out) for name, out in (("s", {}), ("t", {"dx": 1e-3}))]
    )
    image = bb.track(screens, bb.MomentBeam(mean, cov, reference(), 1e-12)).readings
    assert np.allclose(image["t"][:-1], image["s"][1:], rtol=1e-9, atol=1e-30)  # a pixel is 1 mm


KINDS = ("sigma", "mean", "emittance", "normalized_emittance", "twiss_beta", "twiss_alpha", "mean_square_size")


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_particles(kind):
    mean, cov = moments_of_a_beam(2)
    o = bb.observables
    if kind == "mean_square_size":
        objective = 1e3 * o.mean_square_size(at="b") + o.mean_square_size()
    else:
        objective = getattr(o, kind)("x", at="b") + 0.3 * getattr(o, kind)("y")
    wrt = ["qf.k1", "b.angle", "d.length", "beam.beta_gamma"]
    swarm = bb.Beam.from_arrays(particles(mean, cov), species="proton", kinetic_energy=5e7, charge=1e-12)
    value, expected = bb.value_and_grad(objective, linear_line(), swarm, wrt)
    found_value, found = bb.value_and_grad(objective, linear_line(), bb.MomentBeam(mean, cov, reference()), wrt)
    assert np.isclose(found_value, value, rtol=1e-10)
    for name in wrt:
        assert np.isclose(found[name], expected[name], rtol=1e-8, atol=1e-10 * abs(float(value))), name


def test_form_factors():
    a = np.asarray([1e-6, 4e-6]), np.asarray([1e-6, 1e-10]), np.asarray([1e-6, 3e2])
    F = form_factors(a)
    assert np.allclose([f[0] for f in F], 1e-6**-1.5, rtol=1e-14)
    # Carlson: the three add to 3/sqrt(a1 a2 a3); and R_D of SciPy.
    from scipy.special import elliprd

    assert np.allclose(sum(F), 3.0 / np.sqrt(a[0] * a[1] * a[2]), rtol=1e-13)
    for k in range(3):
        others = [a[j] for j in range(3) if j != k]
        assert np.allclose(F[k], elliprd(*others, a[k]), rtol=1e-13)
    rng = np.random.default_rng(3)
    bars = tuple(rng.standard_normal(2) * 10.0**-9 for _ in range(3))
    given = [torch.tensor(v, requires_grad=True) for v in a]
    sum(torch.sum(f * torch.tensor(b)) for f, b in zip(form_factors(tuple(given)), bars, strict=True)).backward()
    for mine, theirs in zip(form_factors_pullback(a, bars), given, strict=True):
        assert np.allclose(mine, theirs.grad.numpy(), rtol=1e-10)


def expanding(charge: float = 1e-9) -> bb.MomentBeam:
    """A cold ball of electrons that doubles in 6 m, as ImpactX has it."""
    sizes = np.asarray([4.472135955e-4, 0.0, 4.472135955e-4, 0.0, 9.1224186858e-7, 0.0])
    return bb.MomentBeam(np.zeros(6), np.diag(sizes**2), reference(energy=2.5e8, species="electron"), charge)


def test_a_ball_that_doubles():
    drift = bb.Line([bb.Drift(6.0, model="linear") if hasattr(bb.Drift, "model") else bb.Drift(6.0)])
    after = bb.track(drift, expanding(), space_charge=bb.LinearSpaceCharge(), slices=400)
    # Of an independent covariance tracker: see tests/data/impactx/expanding_beam_3d_envelope.expected.yaml
    assert np.isclose(after.sigma("x"), 8.943897543283637e-4, rtol=1e-6)
    assert np.isclose(after.sigma("px"), 1.209793273581439e-4, rtol=1e-6)
    assert np.isclose(after.sigma("tau"), 1.8244051752700585e-6, rtol=2e-5)


def test_a_kurth_beam_matched_with_its_space_charge():
    sizes = [1.46e-3, 6.84931506849e-4, 1.46e-3, 6.84931506849e-4, 4.919763831242075e-4, 2.0326178944803813e-3]
    beam = bb.MomentBeam(np.zeros(6), np.diag(np.square(sizes)), reference(energy=2e9), 1e-8)
    drift = bb.Drift(1.0, name="drift")
    line = bb.Line([drift, bb.ConstantFocusing(2.0, kx=0.7, ky=0.7, kt=0.7, name="c"), drift])
    after = bb.track(line, beam, space_charge=bb.LinearSpaceCharge(), slices=200)
    # Of an independent covariance tracker: see tests/data/impactx/kurth_6d_periodic_10nC_envelope.expected.yaml
    for name, value in (("x", 1.4644132419974895e-3), ("px", 6.828703587127712e-4), ("tau", 4.934635851501436e-4)):
        assert np.isclose(after.sigma(name), value, rtol=1e-6)


def test_a_matched_kv_beam_stays_as_it_is():
    # Envelope of a round KV beam in constant focusing k: a'' = -k^2 a + K/a + (2 eps)^2... with half-axis 2 sigma.
    energy, length, charge, k = 5e6, 3.0, 2e-8, 1.2
    given = reference(energy=energy)
    u, gamma = float(given.beta_gamma), float(given.gamma)
    eps0 = 8.8541878188e-12
    K = charge / length / (2 * np.pi * eps0 * given.species.mass * u * u * gamma)
    a, emittance = 4e-3, None
    emittance = a * np.sqrt(k * k - K / a**2) * a  # full, of the ellipse: a^4 k^2 - K a^2 = eps^2
    sigma, divergence = a / 2, emittance / a / 2
    cov = np.diag([sigma**2, divergence**2, sigma**2, divergence**2, 1.0, 1e-12])
    beam = bb.MomentBeam(np.zeros(6), cov, given, charge)
    channel = bb.Line([bb.ConstantFocusing(5.0, kx=k, ky=k, kt=0.0, name="c")])
    after = bb.track(channel, beam, space_charge=bb.LinearSpaceCharge(length=length), slices=500)
    assert K / a**2 > 0.05 * k * k
    assert np.isclose(after.sigma("x"), sigma, rtol=1e-5) and np.isclose(after.sigma("py"), divergence, rtol=1e-5)


@pytest.mark.parametrize("model", (None, bb.LinearSpaceCharge()), ids=("free", "space charge"))
def test_a_jacobian_of_places_and_of_optics(model):
    """Each place against a line that ends there; all rows by differences; twice through the same magnets."""
    o, options = bb.observables, {"space_charge": model, "slices": 2}
    line = linear_line() * 2
    beam = bb.MomentBeam(*moments_of_a_beam(3), reference(), 3e-10)
    for place, cut in (("qd[0]", 6), ("qf[1]", 10), ("s[1]", 17), ("start", 0)):
        there = bb.track(line[:cut] if cut else bb.Line([bb.Drift(0.0)]), beam, **options)
        for leaf in (o.sigma("x"), o.normalized_emittance("y"), o.mean("px")):
            found = bb.value_and_grad(leaf.at(place), line, beam, ["qf.k1"], **options)[0]
            assert found == pytest.approx(float(leaf(there)), rel=1e-12)
    objectives = [
        o.log(o.sigma("x", at="qd[0]")) * o.mean("x", at="qf[1]"), bb.Target("sigma_y", 1e-3, at="s[0]", tol=1e-4),
        "sigma_x / sigma_y @ qf[1]", o.optics("beta_x", "b[0]") * o.sigma("tau"),
    ]  # fmt: skip
    wrt = ["qf.k1", "d.length", "beam.charge", "beam.beta_gamma"]
    value, found = bb.jacobian(objectives, line, beam, wrt, **options)
    for k, one in enumerate(objectives):
        alone = bb.value_and_grad(one, line, beam, wrt, **options)
        assert value[k] == alone[0] and all(found[name][k] == alone[1][name] for name in wrt)

    def moved(name, by):
        if name == "beam.charge":
            return line, beam.replace(charge=3e-10 + by)
        if name == "beam.beta_gamma":
            return line, beam.replace(reference=beam.reference.with_beta_gamma(beam.reference.beta_gamma + by))
        return line.replace({name: line.get(name) + by}), beam

    for name, h in (("qf.k1", 1e-3), ("d.length", 1e-3), ("beam.charge", 1e-12), ("beam.beta_gamma", 1e-4)):
        f = {k: values(objectives, *moved(name, k * h), **options) for k in (-2, -1, 1, 2)}
        wanted = (f[-2] - 8 * f[-1] + 8 * f[1] - f[2]) / (12 * h)
        assert np.allclose(found[name], wanted, rtol=1e-6, atol=1e-9 * np.abs(value / h)), name


@pytest.mark.parametrize("model", (bb.LinearSpaceCharge(), bb.LinearSpaceCharge(length=0.8)), ids=("bunch", "long"))
def test_gradients_through_space_charge(model):
    mean, cov = moments_of_a_beam(4)
    rng = np.random.default_rng(6)
    weights = rng.standard_normal((6, 6)) / SIZES[:, None] / SIZES
    weights_mean = rng.standard_normal(6) / SIZES
    wrt = ["qf.k1", "b.angle", "d.length", "s.length", "beam.charge", "beam.beta_gamma", "beam.cov", "beam.mean"]

    def objective(beam):
        xp = torch if isinstance(beam.cov(), torch.Tensor) else np
        value = (xp.asarray(weights) * beam.cov()).sum() + (xp.asarray(weights_mean) * beam.mean()).sum()
        return value, {"mean": weights_mean, "cov": weights}

    options = {"space_charge": model, "slices": 2}
    beam = bb.MomentBeam(mean, cov, reference(energy=5e6), 3e-10)
    value, found = bb.value_and_grad(objective, linear_line(), beam, wrt, **options)
    free = bb.value_and_grad(objective, linear_line(), beam.replace(charge=0.0), ["beam.mean"])[0]
    assert abs(value / free - 1) > 1e-3

    def leaf(v):
        return torch.tensor(np.asarray(v, dtype=np.float64), requires_grad=True)

    line = linear_line()
    leaves = {path: leaf(v) for path, v in line.parameters.items()}
    own = {"mean": leaf(mean), "cov": leaf(cov), "charge": leaf(3e-10), "beta_gamma": leaf(beam.reference.beta_gamma)}
    given = Reference(own["beta_gamma"], beam.species)
    theirs = bb.track(line.replace(leaves), bb.MomentBeam(own["mean"], own["cov"], given, own["charge"]), **options)
    objective(theirs)[0].backward()
    for name in wrt:
        leaf_ = own[name[5:]] if name.startswith("beam.") else leaves[name]
        expected = leaf_.grad.numpy()
        if name == "beam.cov":
            expected = 0.5 * (expected + expected.T)
        assert np.allclose(found[name], expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max()), name


def test_every_library_and_batches(backend):
    mean, cov = moments_of_a_beam(5, (2,))
    line = linear_line()
    if backend.name == "jax":  # which compiles every kind of map
        line = bb.Line([line["qf"], line["d"]])
    beam = bb.MomentBeam(backend.asarray(mean), backend.asarray(cov), reference(backend), backend.asarray([0.0, 2e-10]))
    options = {"space_charge": bb.LinearSpaceCharge()} if backend.name != "jax" else {}
    after = bb.track(line, beam, **options)
    objective = bb.observables.sigma("x")
    _, gradient = bb.value_and_grad(objective, line, beam, ["qf.k1"], **options)
    for k in range(2):
        one = bb.MomentBeam(mean[k], cov[k], reference(), [0.0, 2e-10][k])
        expected = bb.track(line, one, **options)
        assert np.allclose(backend.to_numpy(after.cov())[k], expected.cov(), rtol=1e-10, atol=1e-22)
        own = bb.value_and_grad(objective, line, one, ["qf.k1"], **options)[1]["qf.k1"]
        assert np.isclose(backend.to_numpy(gradient["qf.k1"])[k], own, rtol=1e-9)


def test_what_is_refused():
    mean, cov = moments_of_a_beam()
    beam = bb.MomentBeam(mean, cov, reference())
    with pytest.raises(InputError, match=r"\(..., 6, 6\)"):
        bb.MomentBeam(mean, mean, reference())
    with pytest.raises(InputError, match="LinearSpaceCharge"):
        bb.track(linear_line(), beam, space_charge=bb.SpaceCharge3D())
    with pytest.raises(InputError, match="greater than 0"):
        bb.LinearSpaceCharge(length=-1.0)
    with pytest.raises(InputError, match="a size, mean"):
        bb.value_and_grad("charge", linear_line(), beam, ["qf.k1"])
    with pytest.raises(InputError, match="one of mean"):
        bb.value_and_grad(bb.observables.sigma("x"), linear_line(), beam, ["beam.sigma_x"])
    with pytest.raises(InputError, match="observable"):
        bb.value_and_grad(lambda b: b.sigma("x"), linear_line(), beam, ["qf.k1"])
    assert backends.get("numpy").name in repr(beam)
