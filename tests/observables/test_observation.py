"""Readings in mid-line: what a monitor and a screen see, and their pullbacks."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb
from backbeam import backends
from backbeam.observation import Centroid, Image

RNG = np.random.default_rng(11)
CASES = {"centroid": Centroid(), "image": Image(1.2e-3, 0.9e-3, (7, 5)), "coarse image": Image(1e-3, 1e-3, (2, 2))}
every_case = pytest.mark.parametrize("label", CASES)


def given(batch=(), n=60):
    X = RNG.uniform(-1.4e-3, 1.4e-3, (*batch, 6, n))
    q = -RNG.uniform(0.5, 1.5, (*batch, n)) * 1e-12
    return X, q, RNG.uniform(size=(*batch, n)) > 0.2


def on(backend, *arrays):
    return tuple(backend.asarray(a) for a in arrays)


def down(backend, array):
    return np.asarray(backend.to_numpy(array))


def plain_image(X, q, alive, image):
    """Pixel by pixel: a particle is a box of a pixel's size, and a pixel has what covers it."""
    (nx, ny), out = image.pixels, np.zeros(image.pixels)
    dx, dy = 2.0 * image.half_x / nx, 2.0 * image.half_y / ny
    for x, y, charge, here in zip(X[0], X[2], q, alive, strict=True):
        for i in range(nx):
            for j in range(ny):
                u = abs(x - (-image.half_x + (i + 0.5) * dx)) / dx
                v = abs(y - (-image.half_y + (j + 0.5) * dy)) / dy
                out[i, j] += here * charge * max(0.0, 1.0 - u) * max(0.0, 1.0 - v)
    return out


@pytest.mark.parametrize("label", ["image", "coarse image"])
def test_image_is_the_sum_of_what_each_pixel_sees(label, backend):
    image, (X, q, alive) = CASES[label], given()
    found = down(backend, image.read(*on(backend, X, q, alive)))
    np.testing.assert_allclose(found, plain_image(X, q, alive, image), rtol=1e-11, atol=1e-26)


def test_charge_well_inside_is_all_seen():
    X, q, alive = given()
    image = Image(2e-3, 2e-3, (16, 12))
    assert image.read(X, q, alive).sum() == pytest.approx(q[alive].sum(), rel=1e-13)


def test_charge_far_outside_is_not_seen_and_has_no_slope():
    X, q, alive = given()
    X = X + 1.0
    image = CASES["image"]
    assert not np.any(image.read(X, q, alive))
    X_bar, q_bar = image.pullback(X, q, alive, RNG.normal(size=image.pixels))
    assert not np.any(X_bar) and not np.any(q_bar)


def test_centroid_is_weighted_by_the_charge_of_what_is_alive(backend):
    X, q, alive = given()
    weight = q * alive
    wanted = [np.sum(weight * X[0]) / np.sum(weight), np.sum(weight * X[2]) / np.sum(weight)]
    np.testing.assert_allclose(down(backend, Centroid().read(*on(backend, X, q, alive))), wanted, rtol=1e-12)


@every_case
def test_pullback_is_the_transpose_of_the_derivative(label, backend):
    """Along a random direction, by central differences; the image is piecewise bilinear, so they are exact."""
    observation, (X, q, alive) = CASES[label], given()
    bar = RNG.normal(size=observation.read(X, q, alive).shape)
    X_bar, q_bar = observation.pullback(*on(backend, X, q, alive, bar))
    dX, dq, h = RNG.normal(size=X.shape) * 1e-3, RNG.normal(size=q.shape) * 1e-12, 1e-7
    ends = [observation.read(X + s * h * dX, q + s * h * dq, alive) for s in (1.0, -1.0)]
    wanted = np.sum(bar * (ends[0] - ends[1])) / (2.0 * h)
    found = np.sum(down(backend, X_bar) * dX) + np.sum(down(backend, q_bar) * dq)
    assert found == pytest.approx(wanted, rel=1e-6)
    assert down(backend, X_bar).shape == X.shape and down(backend, q_bar).shape == q.shape
    assert not np.any(down(backend, X_bar)[[1, 3, 4, 5]])  # only positions are seen
    assert not np.any(down(backend, X_bar)[:, ~alive])


@every_case
def test_pullback_is_that_of_torch(label):
    torch, backend = pytest.importorskip("torch"), backends.get("torch")
    observation, (X, q, alive) = CASES[label], given()
    X, q, alive = on(backend, X, q, alive)
    X.requires_grad_(), q.requires_grad_()
    reading = observation.read(X, q, alive)
    bar = torch.as_tensor(RNG.normal(size=tuple(reading.shape)))
    wanted = torch.autograd.grad(reading, (X, q), bar)
    for found, tape in zip(observation.pullback(X.detach(), q.detach(), alive, bar), wanted, strict=True):
        torch.testing.assert_close(found, tape, rtol=1e-11, atol=1e-12 * float(tape.abs().max()))


@every_case
@pytest.mark.parametrize("batch", [(2, 2)])
def test_batch_equals_loop(label, batch, backend):
    observation, (X, q, alive) = CASES[label], given(batch)
    found = down(backend, observation.read(*on(backend, X, q, alive)))
    bar = RNG.normal(size=found.shape)
    X_bar, q_bar = (down(backend, a) for a in observation.pullback(*on(backend, X, q, alive, bar)))
    for k in np.ndindex(*batch):
        one = observation.read(X[k], q[k], alive[k])
        np.testing.assert_allclose(found[k], one, rtol=0, atol=1e-13 * np.abs(one).max())
        for part, whole in zip(observation.pullback(X[k], q[k], alive[k], bar[k]), (X_bar, q_bar), strict=True):
            np.testing.assert_allclose(whole[k], part, rtol=0, atol=1e-12 * np.abs(part).max())


@every_case
def test_nobody_alive(label, backend):
    observation, (X, q, _) = CASES[label], given()
    nobody = np.zeros(q.shape, dtype=bool)
    reading = observation.read(*on(backend, X, q, nobody))
    assert not np.any(down(backend, reading))
    bar = np.ones(tuple(reading.shape))
    for part in observation.pullback(*on(backend, X, q, nobody, bar)):
        assert not np.any(down(backend, part))


@every_case
def test_a_beam_without_charge_has_finite_cotangents(label):
    observation, (X, q, alive) = CASES[label], given()
    bar = RNG.normal(size=observation.read(X, q, alive).shape)
    for part in observation.pullback(X, np.zeros_like(q), alive, bar):
        assert np.all(np.isfinite(part))


def test_the_image_is_linear_in_the_charges_at_no_charge_too():
    image, (X, q, alive) = CASES["image"], given()
    bar = RNG.normal(size=image.pixels)
    _, q_bar = image.pullback(X, np.zeros_like(q), alive, bar)
    assert np.sum(q_bar * q) == pytest.approx(np.sum(bar * image.read(X, q, alive)), rel=1e-12)


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_a_long_monitor_reads_in_its_middle(slices):
    X = np.random.default_rng(2).uniform(-1e-3, 1e-3, (6, 20))
    start = bb.Beam.from_arrays(X, species="electron", kinetic_energy=1e7, charge=1e-10)
    apart = [bb.Drift(0.15), bb.Monitor(name="m"), bb.Drift(0.15)]
    whole = bb.track(bb.Line([bb.Monitor(0.3, name="m")]), start)
    np.testing.assert_allclose(whole.readings["m"], bb.track(bb.Line(apart), start).readings["m"], rtol=1e-13)
    kicked = bb.track(
        bb.Line([bb.Monitor(0.3, name="m")]), start, space_charge=bb.SpaceCharge3D(grid=(8,) * 3), slices=slices
    )
    assert kicked.readings["m"].shape == (2,) and kicked.s == pytest.approx(0.3)
    assert np.abs(kicked.readings["m"] - whole.readings["m"]).max() < 1e-5
