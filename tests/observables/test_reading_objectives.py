"""Objectives of what monitors and screens saw, and sums of objectives in words."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb
from backbeam import observables as obs
from backbeam.errors import InputError

LENGTH = 0.7
DRIFT = bb.Drift(LENGTH / 2, name="d", model="linear")
SCREEN = bb.Screen(name="yag", half_x=4e-3, half_y=4e-3, pixels=(5, 4))
LINE = bb.Line([bb.Corrector(hkick=0.0, vkick=0.0, name="c"), DRIFT, bb.Monitor(name="bpm"), SCREEN, DRIFT])
TWICE = bb.Line([LINE, bb.Monitor(name="end")]) + LINE


def drawn(backend="numpy"):
    return bb.Beam.gaussian(
        n=60, species="electron", kinetic_energy=20e6, charge=1e-10, sigma_x=1e-3, sigma_px=1e-4, sigma_y=2e-3,
        mean_x=1e-4, seed=3, backend=backend,
    )  # fmt: skip


def gradient(objective, wrt, line=LINE, backend="numpy", **options):
    value, found = bb.value_and_grad(objective, line, drawn(backend), wrt, **options)
    return float(value), {name: float(slope) for name, slope in found.items()}


def test_monitor_sees_a_kick_times_the_way_to_it(backend):
    """Closed form: a kick moves the centroid by itself times the length of a linear drift."""
    wrt = ["c.hkick", "c.vkick", "beam.mean_x", "beam.mean_px"]
    value, found = gradient(obs.reading("bpm", "x"), wrt, backend=backend.name)
    assert value == pytest.approx(float(bb.track(LINE, drawn()).readings["bpm"][0]), rel=1e-12)
    assert found["c.hkick"] == pytest.approx(LENGTH / 2, rel=1e-12)
    assert found["beam.mean_px"] == pytest.approx(LENGTH / 2, rel=1e-12)
    assert found["beam.mean_x"] == pytest.approx(1.0, rel=1e-12)
    assert abs(found["c.vkick"]) < 1e-15
    _, found = gradient(obs.named("reading:bpm.y"), ["c.vkick"], backend=backend.name)
    assert found["c.vkick"] == pytest.approx(LENGTH / 2, rel=1e-12)


def test_each_passage_has_its_own_reading():
    """The second time at the same monitor, two kicks have acted, over three halves of the way and one."""
    for passage, way in ((0, 0.5), (1, 2.0)):
        objective = obs.named(f"reading:bpm[{passage}].x")
        assert objective.name == f"reading:bpm[{passage}].x"
        for adjoint in (bb.Reversible(), bb.Store(), bb.Checkpoint(2)):
            _, found = gradient(objective, ["c.hkick"], TWICE, adjoint=adjoint)
            assert found["c.hkick"] == pytest.approx(way * LENGTH, rel=1e-12)


def test_weights_of_pixels(autodiff):
    """Random weights: as torch and JAX differentiate, and as differences have it."""
    weights = np.random.default_rng(0).standard_normal((5, 4))
    objective = obs.reading("yag", weights.tolist())
    wrt = ["c.hkick", "d.length", "beam.charge", "beam.sigma_y"]
    value, found = gradient(objective, wrt)
    assert value == pytest.approx(float(np.sum(weights * bb.track(LINE, drawn()).readings["yag"])), rel=1e-12)
    other, tape = gradient(objective, wrt, backend=autodiff.name, adjoint=bb.Tape())
    assert other == pytest.approx(value, rel=1e-12)
    assert tape == pytest.approx(found, rel=1e-11)
    h = 1e-9
    seen = [float(objective(bb.track(LINE.replace({"c.hkick": k}), drawn()))) for k in (-h, h)]
    assert found["c.hkick"] == pytest.approx((seen[1] - seen[0]) / (2 * h), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.8])
def test_image_distance(smoothing):
    """By its definition with SciPy's Gaussian, and its gradient by the tape, on two screens' worth of settings."""
    from scipy.ndimage import gaussian_filter

    image = np.random.default_rng(4).uniform(size=(5, 4))
    objective = obs.image_distance("yag", image, smoothing=smoothing)
    wrt = ["c.hkick", "d.length", "beam.charge", "beam.sigma_y"]
    value, found = gradient(objective, wrt)
    seen = bb.track(LINE, drawn()).readings["yag"]
    a, b = (one / one.sum() for one in (seen, image))
    if smoothing:
        a, b = (gaussian_filter(one, smoothing, mode="constant", truncate=12.0) for one in (a, b))
    assert value == pytest.approx(np.sum((a - b) ** 2) / np.sum(b**2), rel=1e-9)
    other, tape = gradient(objective, wrt, backend="torch", adjoint=bb.Tape())
    assert other == pytest.approx(value, rel=1e-12)
    assert tape == pytest.approx(found, rel=1e-10, abs=1e-4)
    assert abs(found["beam.charge"]) * 1e-10 < 1e-13 * value, "whatever the charge"


def test_image_distance_of_what_agrees_and_of_nothing():
    seen = bb.track(LINE, drawn()).readings["yag"]
    same = obs.image_distance("yag", 3.0 * np.abs(seen), smoothing=1.0)
    value, found = gradient(same, ["c.hkick"])
    assert abs(value) < 1e-28 and abs(found["c.hkick"]) < 1e-10
    value, found = gradient(same, ["c.hkick"], LINE.replace({"c.hkick": 1.0}))
    assert value == 1.0 and found["c.hkick"] == 0.0
    two = bb.value_and_grad(same, LINE.replace({"c.hkick": np.asarray([0.0, 1e-3])}), drawn(), ["c.hkick"])
    assert two[0].shape == (2,) and two[0][1] > 1e-3 and two[1]["c.hkick"][1] > 0.0


def test_sums_add_the_cotangents_of_readings():
    """Two monitors, one of them twice, and the beam at the end: the sum of the gradients."""
    wrt = ["c.hkick", "d.length", "beam.mean_x"]
    terms = {"reading:bpm[1].x": 2.0, "reading:bpm[0].x": -0.5, "reading:end.x": 3.0, "mean_px": 0.1}
    total, found = gradient(obs.weighted(terms), wrt, TWICE)
    parts = [(w, *gradient(obs.named(name), wrt, TWICE)) for name, w in terms.items()]
    assert total == pytest.approx(sum(w * value for w, value, _ in parts), rel=1e-12)
    for name in wrt:
        assert found[name] == pytest.approx(sum(w * slopes[name] for w, _, slopes in parts), rel=1e-12)


def test_a_batch_of_settings_has_a_gradient_each():
    kicks = np.asarray([0.0, 1e-4, -2e-4])
    _, found = bb.value_and_grad(obs.reading("bpm", [1.0, 2.0]), LINE.replace({"c.hkick": kicks}), drawn(), ["c.vkick"])
    np.testing.assert_allclose(found["c.vkick"], np.full(3, LENGTH), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("sigma_x", {"sigma_x": 1.0}),
        ("sigma_x + 2 sigma_y", {"sigma_x": 1.0, "sigma_y": 2.0}),
        ("-1.5e-3*sigma_x - .5 mean_px + reading:q-1.x", {"sigma_x": -1.5e-3, "mean_px": -0.5, "reading:q-1.x": 1.0}),
        ("2 sigma_x", {"sigma_x": 2.0}),
        ("sigma_x+3*sigma_y/2", {"sigma_x": 1.0, "sigma_y": 1.5}),
    ],
)
def test_sums_in_words(text, terms):
    found = obs.expression(text)
    given = {t.name: w for w, t in found.terms} if isinstance(found, obs.WeightedSum) else {found.name: 1.0}
    assert given == terms
    again = obs.expression(found.name)
    assert again.name == found.name


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: obs.expression("sigma_x + size"), "'size'"),
        (lambda: obs.weighted({}), "at least one"),
        (lambda: obs.weighted({"sigma_x": float("nan")}), "a finite weight"),
        (lambda: obs.reading("bpm", "z"), "x or y"),
        (lambda: gradient(obs.reading("bmp", "x"), ["c.hkick"]), "bpm, yag"),
        (lambda: gradient(obs.reading("bpm", "x"), ["c.hkick"], TWICE), "passes 2 times"),
        (lambda: gradient(obs.reading("bpm", "x", 2), ["c.hkick"], TWICE), "one of 2 passages"),
        (lambda: gradient(obs.reading("yag", "x"), ["c.hkick"]), "x or y of a monitor"),
        (lambda: gradient(obs.reading("yag", [1.0, 2.0]), ["c.hkick"]), "weights that broadcast"),
        (lambda: gradient(obs.image_distance("yag", np.eye(4)), ["c.hkick"]), "a screen of the image's pixels, (4, 4)"),
        (lambda: gradient(obs.image_distance("bpm", np.eye(2)), ["c.hkick"]), "a screen of the image's pixels"),
        (lambda: obs.image_distance("yag", np.eye(4)).at("bpm"), "left out: a reading is of its monitor or screen"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(make, said):
    with pytest.raises(InputError, match="allowed: ") as error:
        make()
    assert said in str(error.value)
    assert "\n" not in str(error.value)
