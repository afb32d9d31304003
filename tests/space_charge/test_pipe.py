"""Space charge in a pipe: formulas, closed forms, conservation laws, pullback, the FODO cell of JuTrack."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
from bunches import given, reference, reference_for, warm, worst, worst_row
from called import forward, inverse, pullback, reverse

from backbeam import backends, observables
from backbeam.beam import Beam
from backbeam.effects.space_charge import pipe_waves as module
from backbeam.effects.space_charge.pipe import ORIGINS, SpaceCharge2DPipe
from backbeam.elements import Drift, Quadrupole
from backbeam.errors import InputError, TrackingError
from backbeam.gradient import value_and_grad
from backbeam.line import Line
from backbeam.reference import Reference
from backbeam.species import ELEMENTARY_CHARGE, SPEED_OF_LIGHT, VACUUM_PERMITTIVITY
from backbeam.tracking import track

DS = np.asarray(0.1)
PIPE = SpaceCharge2DPipe(0.05, 0.03, 0.2, (5, 7))
PIPES = {origin: SpaceCharge2DPipe(0.05, 0.03, 0.2, (5, 7), origin) for origin in ORIGINS}
BATCHES = {"single": ((), None), "some lost": ((), 0.2), "batch, some lost": ((2,), 0.2)}


def perveance(ref, current):
    """K = q I/(2 pi eps0 m c^3 beta^3 gamma^3), m in kg."""
    charge = ref.species.charge_number * ELEMENTARY_CHARGE
    mass = ref.species.mass * ELEMENTARY_CHARGE / SPEED_OF_LIGHT**2
    momentum = mass * SPEED_OF_LIGHT * float(ref.beta_gamma)
    return charge * current * mass**2 / (2 * math.pi * VACUUM_PERMITTIVITY * momentum**3)


def current(ref, q, pipe):
    return float(ref.beta) * SPEED_OF_LIGHT * np.sum(q) / pipe.length


def kick(pipe, X, q, ref, alive=None):
    """Change of (px, py) over DS."""
    return (forward(pipe, X, q, alive, ref, DS) - X)[..., (1, 3), :]


def points(x, y):
    """Coordinates of particles without momentum."""
    return np.stack([x, 0 * x, y, 0 * x, 0 * x, 0 * x])


def sunflower(n, radius):
    """Evenly spread points of a disc."""
    k = np.arange(n) + 0.5
    r, angle = radius * np.sqrt(k / n), k * math.pi * (3.0 - math.sqrt(5.0))
    return r * np.cos(angle), r * np.sin(angle)


def round_gaussian(n, sigma):
    """Points of a quiet round Gaussian, symmetric in x and in y."""
    x, y = sunflower(n, 1.0)
    stretch = sigma * np.sqrt(-2.0 * np.log1p(-np.minimum(x * x + y * y, 1.0 - 1e-9)) / (x * x + y * y))
    x, y = x * stretch, y * stretch
    return np.concatenate([x, -x, x, -x]), np.concatenate([y, y, -y, -y])


# -- the formulas --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("species", ["proton", "antiproton", "alpha"])
def test_formulas_of_the_source(species, origin):
    """One wave after the other, in the notation of Qiang (2017) and JuTrack."""
    ref, pipe = reference(species), PIPES[origin]
    X, q, _, _ = warm(n=20)
    q = np.sign(ref.species.charge_number) * np.abs(q)
    x, y = X[0], X[2]
    X0 = x - np.min(x) if origin == "corner" else x + 0.5 * pipe.width
    Y0 = y - np.min(y) if origin == "corner" else y + 0.5 * pipe.height
    a, b, K = pipe.width, pipe.height, perveance(ref, current(ref, q, pipe))
    target = np.zeros((2, 20))
    for l in range(1, 6):
        for m in range(1, 8):
            alpha, beta = l * math.pi / a, m * math.pi / b
            phi = 16 * math.pi / (a * b * (alpha**2 + beta**2))
            phi *= np.sum(q / np.sum(q) * np.sin(alpha * X0) * np.sin(beta * Y0))
            target[0] -= 0.5 * K * DS * phi * alpha * np.cos(alpha * X0) * np.sin(beta * Y0)
            target[1] -= 0.5 * K * DS * phi * beta * np.sin(alpha * X0) * np.cos(beta * Y0)
    X1 = forward(pipe, X, q, None, ref, DS)
    assert worst(kick(pipe, X, q, ref), target) < 1e-12
    np.testing.assert_array_equal(X1[[0, 2, 4, 5]], X[[0, 2, 4, 5]])


def test_uniform_round_beam():
    """Far from the walls the kick is K ds x/R^2, as far as the waves resolve the edge."""
    ref, radius = reference(), 2e-3
    pipe = SpaceCharge2DPipe(0.02, 0.02, 0.3, (80, 80))
    x, y = sunflower(6000, radius)
    q = np.full(6000, 1e-12)
    found, scale = kick(pipe, points(x, y), q, ref), perveance(ref, current(ref, q, pipe)) * DS / radius
    inner = np.hypot(x, y) < 0.8 * radius
    for row, at in zip(found[:, inner], (x[inner], y[inner]), strict=True):
        assert np.sum(row * at) / np.sum(at * at) == pytest.approx(scale / radius, rel=3e-3)
        assert np.max(np.abs(row - scale * at / radius)) < 0.03 * scale


def test_round_gaussian_beam():
    """K ds (1 - exp(-r^2/2 sigma^2))/r."""
    ref, sigma = reference(), 5e-4
    pipe = SpaceCharge2DPipe(0.02, 0.02, 0.3, (60, 60))
    x, y = round_gaussian(4000, sigma)
    q = np.full(x.size, 1e-12)
    r = np.hypot(x, y)
    radial = perveance(ref, current(ref, q, pipe)) * DS * -np.expm1(-0.5 * (r / sigma) ** 2) / r
    found = kick(pipe, points(x, y), q, ref)
    assert np.max(np.abs(found - radial * np.stack([x, y]) / r)) < 0.01 * np.max(radial)
    assert np.sum(found[0] * x + found[1] * y) / np.sum(radial * r) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("species", ["proton", "antiproton"])
@pytest.mark.parametrize("offset", [0.1, 0.3])
def test_walls_attract_a_beam_off_the_axis(species, offset):
    """All images of a line charge between two walls together: pi K ds tan(pi x0/a)/(2 a), outwards."""
    ref = reference(species)
    pipe = SpaceCharge2DPipe(0.01, 0.03, 0.3, (40, 120))
    x, y = round_gaussian(500, 4e-4)
    q = np.full(x.size, 1e-13 * ref.species.charge_number)
    found = np.mean(kick(pipe, points(x + offset * pipe.width, y), q, ref), axis=-1)
    K = perveance(ref, current(ref, q, pipe))
    target = 0.5 * math.pi * K * DS / pipe.width * math.tan(math.pi * offset)
    assert found[0] == pytest.approx(target, rel=1e-3)
    assert abs(found[1]) < 1e-6 * found[0]
    mirrored = np.mean(kick(pipe, points(x - offset * pipe.width, y), q, ref), axis=-1)
    assert mirrored[0] == pytest.approx(-found[0], rel=1e-10)


def test_symmetric_beam_is_not_kicked_as_a_whole():
    ref = reference()
    x, y = round_gaussian(100, 1e-3)
    x, y = np.append(x, 0.0), np.append(3.0 * y, 0.0)
    found = kick(PIPE, points(x, y), np.full(x.size, 1e-12), ref)
    assert np.max(np.abs(found[:, -1])) < 1e-13 * np.max(np.abs(found))
    assert np.max(np.abs(np.mean(found, axis=-1))) < 1e-14 * np.max(np.abs(found))


def test_converges_with_the_number_of_waves():
    ref, (x, y) = reference(), round_gaussian(500, 1e-3)
    X, q = points(x + 2e-3, y), np.full(x.size, 1e-12)
    finest = kick(SpaceCharge2DPipe(0.02, 0.02, 1.0, (64, 64)), X, q, ref)
    pipes = (SpaceCharge2DPipe(0.02, 0.02, 1.0, (n, n)) for n in (4, 8, 16, 32))
    errors = [worst(kick(pipe, X, q, ref), finest) for pipe in pipes]
    assert all(b < 0.6 * a for a, b in itertools.pairwise(errors))
    assert errors[-1] < 1e-2 < errors[0]


def test_symplectic():
    """All particles together, each with the weight of its charge."""
    n, ref = 5, reference(kinetic_energy=1e5)
    X, q, _, _ = warm(n=n)
    q = np.abs(q) * 1e4
    X, q, ds = given(backends.get("torch"), X, q, DS)
    there = reference_for(backends.get("torch"), ref)

    def move(flat):
        x, px, y, py = flat.reshape(4, n)
        zero = torch.zeros_like(x)
        return forward(PIPE, torch.stack([x, px, y, py, zero, zero]), q, None, there, ds)[:4].reshape(-1)

    J = torch.autograd.functional.jacobian(move, X[:4].reshape(-1)).numpy()
    pairs = np.kron(np.eye(2), np.array([[0.0, 1.0], [-1.0, 0.0]]))
    form = np.kron(pairs, np.diag(q.numpy() / np.sum(q.numpy())))
    assert np.max(np.abs(J - np.eye(4 * n))) > 1.0
    np.testing.assert_allclose(J.T @ form @ J, form, atol=1e-13 * np.max(np.abs(J)) ** 2)


# -- what is not there ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ORIGINS)
def test_nothing_to_do(backend, origin):
    """No charge, no length, nobody alive."""
    X, q, _, _ = warm(n=30, batch=(2,))
    ref, dead = reference_for(backend, reference(batch=(2,))), np.zeros(q.shape, dtype=bool)
    for charge, alive, ds in ((0 * q, None, 0.1), (q, None, 0.0), (q, dead, 0.1)):
        X0, q0, alive0, ds0 = given(backend, X, charge, alive, np.full(2, ds))
        X1 = forward(PIPES[origin], X0, q0, alive0, ref, ds0)
        np.testing.assert_array_equal(backend.to_numpy(X1), X)
        bars = pullback(PIPES[origin], X0, q0, alive0, ref, ds0, X0)
        assert all(np.all(np.isfinite(backend.to_numpy(bar))) for bar in bars)


@pytest.mark.parametrize("origin", ORIGINS)
def test_the_lost_have_no_influence(origin):
    X, q, alive, _ = warm(n=60, lost=0.3)
    X[..., ~alive] = 7.0
    pipe, ref = PIPES[origin], reference()
    X1 = forward(pipe, X, q, alive, ref, DS)
    np.testing.assert_array_equal(X1[:, ~alive], X[:, ~alive])
    np.testing.assert_allclose(X1[:, alive], forward(pipe, X[:, alive], q[alive], None, ref, DS), rtol=1e-13)
    bar = np.random.default_rng(3).normal(size=X.shape)
    X_bar, q_bar, _, _ = pullback(pipe, X, q, alive, ref, DS, bar)
    np.testing.assert_array_equal(X_bar[:, ~alive], bar[:, ~alive])
    np.testing.assert_array_equal(q_bar[~alive], 0.0)


@pytest.mark.parametrize("origin", ORIGINS)
def test_inverse(backend, origin):
    X, q, alive, ds = warm(batch=(2,), lost=0.1)
    ref, q = reference("electron", 1e6, (2,)), -np.abs(q)
    X0, q0, alive0, ds0 = given(backend, X, q, alive, ds)
    there = reference_for(backend, ref)
    X1 = forward(PIPES[origin], X0, q0, alive0, there, ds0)
    assert worst(backend.to_numpy(X1), X) > 1e-3
    assert worst_row(backend.to_numpy(inverse(PIPES[origin], X1, q0, alive0, there, ds0)), X) < 1e-15


@pytest.mark.parametrize("origin", ORIGINS)
def test_outside_is_an_error(origin):
    ref, pipe = reference(), PIPES[origin]
    X, q, _, _ = warm(n=30)
    X[2, :2] = [0.5 * pipe.height * (1 + 1e-7), -0.5 * pipe.height]
    forward(pipe, X, q, None, ref, DS)
    hits = [(0, 4, 0.06), (2, 5, 0.04), (0, 7, np.nan)]
    if origin == "centre":
        hits = [(0, 4, 0.026), (0, 5, -0.026), (2, 6, 0.016), (2, 7, -0.016), (2, 8, np.nan)]
    alive = np.ones(30, dtype=bool)
    for count, (row, particle, at) in enumerate(hits, start=1):
        X[row, particle], alive[particle] = at, False
        message = rf"{count} of 30 particles are outside the pipe of 0\.05 m x 0\.03 m"
        with pytest.raises(TrackingError, match=message):
            forward(pipe, X, q, None, ref, DS)
    assert np.all(np.isfinite(forward(pipe, X, q, alive, ref, DS)[:, alive]))


def test_outside_is_nan_where_the_library_traces():
    adapter, ref = backends.get("jax"), reference()
    X, q, _, _ = warm(n=30)
    move = adapter.compile(lambda X, q: forward(PIPE, X, q, None, reference_for(adapter, ref), 0.1))
    assert np.all(np.isfinite(np.asarray(move(*given(adapter, X, q)))))
    X[0, 4] = 0.026
    assert np.all(np.isnan(np.asarray(move(*given(adapter, X, q)))[[1, 3]]))


@pytest.mark.parametrize(
    ("field", "value"),
    [("width", 0.0), ("height", -1.0), ("length", math.inf), ("width", "wide"), ("modes", (12,)),
     ("modes", (0, 3)), ("modes", (2.5, 3)), ("modes", 12), ("origin", "middle"), ("grid_gradient", "none")],
)  # fmt: skip
def test_bad_settings(field, value):
    with pytest.raises(InputError, match=f"space_charge.{field} is"):
        SpaceCharge2DPipe(**{"width": 0.1, "height": 0.1, "length": 1.0, field: value})


# -- the pullback --------------------------------------------------------------------------------------------


def tape(backend, pipe, X, q, alive, ref, ds, X1_bar):
    """Cotangents of X, q, beta_gamma and ds by the library's own automatic differentiation."""
    X, q, alive, beta_gamma, ds, X1_bar = given(backend, X, q, alive, ref.beta_gamma, ds, X1_bar)

    def kicked(X, q, beta_gamma, ds):
        return forward(pipe, X, q, alive, Reference(beta_gamma, ref.species), ds)

    inputs = (X, q, beta_gamma, ds)
    if backend.name == "torch":
        inputs = tuple(a.requires_grad_() for a in inputs)
        bars = torch.autograd.grad(kicked(*inputs), inputs, X1_bar)
    else:
        bars = jax.jit(lambda X1_bar, *inputs: jax.vjp(kicked, *inputs)[1](X1_bar))(X1_bar, *inputs)
    return [backend.to_numpy(a) for a in bars]


def assert_close(found, target, X1_bar, tolerance=1e-12):
    """Compare; of X_bar, the part beyond the identity too, which holds all that the field does."""
    X_bar, *others = found
    assert worst(X_bar - X1_bar, target[0] - X1_bar) < tolerance
    for a, b in zip(others, target[1:], strict=True):
        assert a.shape == b.shape
        assert worst(a, b) < tolerance


def strong(batch, lost):
    """A kick whose derivative is far from the identity's, so that comparisons have digits."""
    X, q, alive, ds = warm(batch=batch, lost=lost)
    return X, 1e3 * q, alive, ds, reference(kinetic_energy=1e6, batch=batch)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("origin", ORIGINS)
def test_against_automatic_differentiation(autodiff, origin, batch):
    X, q, alive, ds, ref = strong(*BATCHES[batch])
    X1_bar, pipe = np.random.default_rng(5).normal(size=X.shape), PIPES[origin]
    target = tape(autodiff, pipe, X, q, alive, ref, ds, X1_bar)
    assert worst(target[0], X1_bar) > 0.1
    assert_close(pullback(pipe, X, q, alive, ref, ds, X1_bar), target, X1_bar)
    before, *bars = reverse(pipe, forward(pipe, X, q, alive, ref, ds), q, alive, ref, ds, X1_bar)
    assert worst(before, X) < 1e-14
    assert_close(bars, target, X1_bar)


@pytest.mark.parametrize("origin", ORIGINS)
def test_against_finite_differences(origin):
    """Directional derivatives, which NumPy can check without any help."""
    rng = np.random.default_rng(6)
    X, q, alive, ds = warm(lost=0.1)
    ref, pipe = reference(), PIPES[origin]
    X1_bar = rng.normal(size=X.shape)
    bars = pullback(pipe, X, q, alive, ref, ds, X1_bar)
    sizes = (np.std(X, axis=-1, keepdims=True) * np.ones_like(X), np.abs(q), ref.beta_gamma, ds)
    values = (X, q, ref.beta_gamma, ds)

    def value(X, q, beta_gamma, ds):
        return np.sum(X1_bar * (forward(pipe, X, q, alive, ref.with_beta_gamma(beta_gamma), ds) - X))

    for k in range(4):
        direction = sizes[k] * rng.normal(size=np.shape(sizes[k]))
        moved = [
            value(*(v + step * direction if k == j else v for j, v in enumerate(values))) for step in (1e-5, -1e-5)
        ]
        bar = bars[k] - X1_bar if k == 0 else bars[k]
        assert (moved[0] - moved[1]) / 2e-5 == pytest.approx(np.sum(bar * direction), rel=1e-7)


@pytest.mark.parametrize("origin", ORIGINS)
def test_every_library_has_the_same_pullback(backend, dtype, origin):
    X, q, alive, ds = warm(lost=0.2)
    ref, pipe = reference(), PIPES[origin]
    X1_bar = np.random.default_rng(7).normal(size=X.shape)
    target = reverse(pipe, X, q, alive, ref, ds, X1_bar)
    X0, q0, alive0, ds0, bar0 = given(backend, X, q, alive, ds, X1_bar, dtype=dtype)
    found = reverse(pipe, X0, q0, alive0, reference_for(backend, ref, dtype), ds0, bar0)
    for a, b in zip(found, target, strict=True):
        assert str(a.dtype).endswith(dtype)
        assert worst(backend.to_numpy(a), b) < (1e-13 if dtype == "float64" else 1e-4)


def test_compiled_is_the_same():
    adapter = backends.get("jax")
    X, q, alive, ds = warm(batch=(2,), lost=0.2)
    ref, X1_bar = reference(batch=(2,)), np.random.default_rng(8).normal(size=X.shape)
    target = reverse(PIPE, forward(PIPE, X, q, alive, ref, ds), q, alive, ref, ds, X1_bar)

    @adapter.compile
    def there_and_back(X, q, alive, beta_gamma, ds, X1_bar):
        here = Reference(beta_gamma, ref.species)
        return reverse(PIPE, forward(PIPE, X, q, alive, here, ds), q, alive, here, ds, X1_bar)

    found = there_and_back(*given(adapter, X, q, alive, ref.beta_gamma, ds, X1_bar))
    for a, b in zip(found, target, strict=True):
        assert worst(adapter.to_numpy(a), b) < 1e-12


def test_blocks_are_the_same(monkeypatch):
    """Particles a block at a time, as large beams go on a processor."""
    X, q, alive, ds = warm(n=700, batch=(2,), lost=0.2)
    ref, X1_bar = reference(batch=(2,)), np.random.default_rng(9).normal(size=X.shape)
    found = []
    for size in (module.PARTICLES_AT_ONCE, 256):
        monkeypatch.setattr(module, "PARTICLES_AT_ONCE", size)
        X1 = forward(PIPE, X, q, alive, ref, ds)
        found.append((X1, *reverse(PIPE, X1, q, alive, ref, ds, X1_bar)))
    for a, b in zip(*found, strict=True):
        assert worst(a, b) < 1e-14


def test_frozen_is_the_gradient_with_the_corner_held_still():
    """It equals that of a fixed pipe in the same place, and is not the exact one."""
    X, q, alive, ds, ref = strong((), 0.2)
    X1_bar = np.random.default_rng(10).normal(size=X.shape)
    exact, frozen = (SpaceCharge2DPipe(0.05, 0.03, 0.2, (5, 7), "corner", how) for how in ("exact", "frozen"))
    np.testing.assert_array_equal(forward(exact, X, q, alive, ref, ds), forward(frozen, X, q, alive, ref, ds))
    bars = pullback(frozen, X, q, alive, ref, ds, X1_bar)
    shift = np.zeros((6, 1))
    shift[0], shift[2] = (np.min(X[k, alive]) + 0.5 * size for k, size in ((0, 0.05), (2, 0.03)))
    assert_close(bars, pullback(PIPE, X - shift, q, alive, ref, ds, X1_bar), X1_bar)
    assert worst(pullback(exact, X, q, alive, ref, ds, X1_bar)[0], bars[0]) > 1e-3


def test_particles_that_share_the_corner_share_the_gradient(autodiff):
    rng = np.random.default_rng(11)
    X = points(*np.clip(rng.normal(size=(2, 40)) * 3e-3, -2e-3, 1e-2))
    q, ref, X1_bar = np.full(40, 1e-9), reference(kinetic_energy=1e6), rng.normal(size=X.shape)
    assert np.sum(X[0] == -2e-3) > 2
    target = tape(autodiff, PIPES["corner"], X, q, None, ref, DS, X1_bar)
    assert_close(pullback(PIPES["corner"], X, q, None, ref, DS, X1_bar), target, X1_bar)


def test_float32_keeps_its_digits():
    """A beam a thousand times smaller than the pipe, on its axis."""
    rng = np.random.default_rng(12)
    pipe = SpaceCharge2DPipe(0.1, 0.1, 1.0)
    X = rng.normal(size=(6, 300)) * 1e-4
    q, ref = np.full(300, 1e-10), reference()
    narrow = lambda a: np.asarray(a, dtype=np.float32)  # noqa: E731
    small = Reference(narrow(ref.beta_gamma), ref.species)
    still = np.where(np.arange(6)[:, None] % 2 == 0, X, 0.0)
    found = forward(pipe, narrow(still), narrow(q), None, small, narrow(DS))
    assert worst(found[[1, 3]], forward(pipe, still, q, None, ref, DS)[[1, 3]]) < 1e-5
    X1_bar = rng.normal(size=X.shape)
    X1_bar[[0, 2]] = 0.0
    bars = pullback(pipe, narrow(X), narrow(q), None, small, narrow(DS), narrow(X1_bar))
    target = pullback(pipe, X, q, None, ref, DS, X1_bar)
    assert worst(bars[0][[0, 2]], target[0][[0, 2]]) < 1e-5
    for a, b in zip(bars[1:], target[1:], strict=True):
        assert worst(a, b) < 1e-4


# -- the FODO cell of JuTrack --------------------------------------------------------------------------------

FODO = json.loads((Path(__file__).parents[1] / "data" / "jutrack_fodo.json").read_text())
PARAMETERS = {
    "D1L": "D1.length", "Q1L": "Q1.length", "Q1k": "Q1.k1", "D2L": "D2.length", "Q2L": "Q2.length",
    "Q2k": "Q2.k1", "D3L": "D3.length",
}  # fmt: skip


def fodo_line():
    """20 integrator steps in each half of a slice of a quadrupole."""
    elements = []
    for item in FODO["lattice"]:
        name, slices = item["name"], item["sc_slices"]
        if item["type"] == "drift":
            elements.append(Drift(item["L"], name=name, slices=slices))
        else:
            integrator = {"splitting": "drift-kick", "order": 4, "steps": 2 * slices * 20}
            elements.append(Quadrupole(item["L"], k1=item["k1"], **integrator, slices=slices, name=name))
    return Line(elements)


def fodo_beam():
    """The reference's particles, and its strength K: its constants are not all CODATA 2018."""
    d, rng = FODO["distribution"], np.random.default_rng(0)
    coordinates = []
    for plane in "xy":
        u1, u2 = rng.random((12, 2, 5000)).sum(0) - 6
        mu = d[f"mu{plane}"]
        along = u1 / math.sqrt(1 - mu * mu)
        coordinates += [d[f"sig{plane}"] * along, d[f"sigp{plane}"] * (u2 - mu * along)]
    X = np.stack([*coordinates, np.zeros(5000), np.zeros(5000)])
    np.testing.assert_allclose(X[:4, 0], FODO["first_particle_initial_x_px_y_py"], rtol=1e-13)
    given = {"species": "proton", "kinetic_energy": FODO["beam"]["energy_eV"]}
    ref = Beam.from_arrays(X, charge=0.0, **given).reference
    current = FODO["beam"]["current_A"]
    ours, theirs = perveance(ref, current), FODO["space_charge"]["K"]
    assert ours == pytest.approx(theirs, rel=5e-10)
    return Beam.from_arrays(X, charge=current * theirs / ours / (float(ref.beta) * SPEED_OF_LIGHT), **given)


@pytest.mark.parametrize("origin", ORIGINS)
def test_fodo_of_jutrack(origin):
    """Emittance growth, a particle, derivatives with respect to every length and strength: to rounding."""
    s, target = FODO["space_charge"], FODO["results"][origin]
    pipe = SpaceCharge2DPipe(s["a_m"], s["b_m"], 1.0, (s["Nl"], s["Nm"]), origin)
    line, beam = fodo_line(), fodo_beam()
    out = track(line, beam, space_charge=pipe)
    np.testing.assert_allclose(out.coordinates[:4, 0], target["final_particle0"], rtol=1e-12)
    for k, plane in enumerate("xy"):
        emittance = observables.emittance(plane)
        before = emittance(beam)
        assert before == pytest.approx(target["emit0"][k], rel=1e-13)
        after, gradient = value_and_grad(emittance, line, beam, list(PARAMETERS.values()), space_charge=pipe)
        assert after / before == pytest.approx(target["ratio"][k], rel=1e-12)
        for theirs, ours in PARAMETERS.items():
            assert gradient[ours] / before == pytest.approx(target["grad"][theirs][k], rel=1e-9)
