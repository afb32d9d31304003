"""Formulas of objectives: in Python and in words, where they have no slope or no value, and targets."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import backbeam as bb
from backbeam import observables as obs

BEAM = bb.Beam.gaussian(
    n=200, species="electron", kinetic_energy=5e6, charge=1e-10, sigma_x=1e-3, sigma_y=2e-3, sigma_px=1e-4, seed=1
)
X, Y = obs.sigma("x"), obs.sigma("y")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sigma_x", X),
        ("-sigma_x", -X),
        ("2 sigma_x+1e-3", 2 * X + 1e-3),
        ("1e-3 - 2*sigma_x", 1e-3 - 2 * X),
        ("(sigma_x - 1e-3)**2", (X - 1e-3) ** 2),
        ("sigma_x^-2 / sigma_y", X**-2 / Y),
        ("2 (sigma_x + sigma_y) * sigma_x", 2 * (X + Y) * X),
        ("log(sigma_x / sigma_y) + sqrt(sigma_x) + abs(-sigma_y)", obs.log(X / Y) + obs.sqrt(X) + abs(-Y)),
        ("3 / sigma_x", np.float64(3.0) / X),
        ("sigma_x**2**1", X**2),
        ("((sigma_x))", X),
        ("(sigma_x - mean_x) @ m1[2]", X.at("m1[2]") - obs.mean("x", at="m1[2]")),
        ('sigma_x @ "a (b)" / sigma_y@q-1', X.at("a (b)") / Y.at("q-1")),
        ("log(mismatch(x, beta=3, alpha=-1.5) @ m)", obs.log(obs.mismatch("x", beta=3.0, alpha=-1.5, at="m"))),
        ("quantile(y, 0.95) - quantile(y, 0.05)", obs.quantile("y", 0.95) - obs.quantile("y", 0.05)),
        (
            "charge_within(2e-3, 1e-3, width=1e-4, shape=elliptical)",
            obs.charge_within(2e-3, 1e-3, width=1e-4, shape="elliptical"),
        ),
    ],
)
def test_words_and_operators_say_the_same(text, wanted):
    if text == "sigma_x**2**1":
        with pytest.raises(bb.InputError, match="a formula such as"):
            obs.expression(text)
        return
    found = obs.expression(text)
    assert found == wanted and hash(found) == hash(wanted)
    assert obs.expression(found.name) == found
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_leaf_is_looked_at_once_and_given_the_sum_of_its_shares():
    counted: list[str] = []

    class Counting(obs.Sigma):
        def __call__(self, beam):
            counted.append("value")
            return super().__call__(beam)

        def pullback(self, beam, bar):
            counted.append("back")
            return super().pullback(beam, bar)

    x = Counting("x")
    objective = (x - 1e-3) ** 2 + x * Y / x - obs.log(x)
    assert objective.leaves == (x, Y)
    objective.pullback(BEAM, np.ones(()))
    assert counted == ["value", "back"]


def test_an_objective_of_somebody_else_sees_arrays_of_the_beams_library():
    """At a place as at the end, though PyTorch's small beams are tracked by NumPy."""
    seen: list[str] = []

    class Mine(obs.Objective):
        name = "mine"

        def __call__(self, beam):
            seen.append(beam.backend.name)
            return beam.mean("x")

        def pullback(self, beam, bar):
            return obs.mean("x").pullback(beam, bar)

    line = bb.Line([bb.Quadrupole(0.2, k1=3.0, name="q"), bb.Drift(1.0)])
    given = dict(species="electron", kinetic_energy=5e6, charge=1e-10, sigma_x=1e-3, mean_x=1e-4)
    torchs = bb.Beam.gaussian(n=50, backend="torch", **given)
    for mine in (Mine(), Mine().at("q")):
        value, slopes = bb.value_and_grad(2.0 * mine, line, torchs, ["q.k1"])
        wanted = bb.value_and_grad(2.0 * obs.mean("x", at=getattr(mine, "place", None)), line, torchs, ["q.k1"])
        assert value == wanted[0] and slopes["q.k1"] == wanted[1]["q.k1"]
    assert set(seen) == {"torch"}


@pytest.mark.parametrize(
    ("objective", "value"), [(obs.sqrt(Y), 0.0), (Y**1.5, 0.0), (abs(Y), 0.0), (X * Y, 0.0), (Y**0, 1.0)]
)
def test_where_there_is_no_slope_it_is_0(objective, value):
    flat = BEAM.replace(coordinates=BEAM.coordinates * np.asarray([1.0, 1.0, 0.0, 0.0, 1.0, 1.0])[:, None])
    assert objective(flat) == value
    bars = objective.pullback(flat, np.ones(()))
    assert not np.any(bars.coordinates[2:4]) and np.isfinite(bars.coordinates).all()


NOTHING = obs.mean("tau") - obs.mean("tau")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: obs.log(X - 1.0)(BEAM), "objective log(sigma_x - 1): sigma_x - 1 is -0.99"),
        (lambda: obs.log(NOTHING)(BEAM), "a number greater than 0"),
        (lambda: obs.sqrt(X - 1.0)(BEAM), "a number that is not negative"),
        (lambda: (X / NOTHING)(BEAM), "a number that is not 0"),
        (lambda: X ** float("nan"), "a finite number"),
        (lambda: obs.log("sigma_x"), "an objective, such as"),
        (lambda: obs.expression("sigma_x + size"), "'size'"),
        (lambda: obs.expression("2 3 sigma_y"), "a formula such as"),
        (lambda: obs.expression(""), "a formula such as"),
        (lambda: obs.expression("3"), "a formula such as"),
        (lambda: obs.expression("sigma_x +"), "a formula such as"),
        (lambda: obs.expression("log sigma_x"), "a formula such as"),
        (lambda: obs.expression("log(2)"), "a formula such as"),
        (lambda: obs.expression("sigma_x / 0"), "a formula such as"),
        (lambda: obs.expression("sigma_x ** sigma_y"), "a formula such as"),
        (lambda: obs.expression("(" * 2000 + "sigma_x" + ")" * 2000), "a formula such as"),
        (lambda: obs.expression("__import__('os')"), "a formula such as"),
        (lambda: obs.expression("quantile(x"), "a formula such as"),
        (lambda: obs.expression("quantile(x 0.5)"), "a formula such as"),
        (lambda: obs.expression("quantile(x, 0.5, depth=1)"), "a formula such as"),
        (lambda: obs.expression("quantile(x, 2)"), "quantile.level is 2.0"),
        (lambda: obs.expression("quantile"), "'quantile'"),
        (lambda: obs.expression("mismatch(x, beta=y)"), "mismatch.beta is 'y'"),
        (lambda: bb.Target("sigma_x"), "a value, or a bound"),
        (lambda: bb.Target("sigma_x", 1.0, below=2.0), "a value or bounds, not both"),
        (lambda: bb.Target("sigma_x", below=1.0, above=2.0), "below is 1.0; allowed: at least above, which is 2"),
        (lambda: bb.Target("sigma_x", float("inf")), "a finite number"),
        (lambda: bb.Target("sigma_x", True), "a finite number"),
        (lambda: bb.Target("sigma_x", 1.0, tol=0.0), "a number greater than 0"),
        (lambda: bb.Target("sigma_x", 1.0, weight=-1.0), "a number that is not negative"),
        (lambda: bb.Target(3.0, 1.0), "an objective, such as"),
        (lambda: bb.Target("sigma_x", 1.0, at=3), "the name of an element"),
        (lambda: bb.Target(bb.Target("sigma_x", 1.0), 1.0), "not a Target"),
        (lambda: obs.sigma("x", at="m1")(BEAM), "asked of a line"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(make, said):
    with pytest.raises(bb.InputError, match="allowed: ") as error:
        make()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_batch_says_the_worst_of_its_values():
    two = BEAM.replace(coordinates=np.stack([BEAM.coordinates, 0.0 * BEAM.coordinates]))
    with pytest.raises(bb.InputError, match="sigma_x is 0 at least"):
        obs.log(X)(two)


@pytest.mark.parametrize("value", [0.5e-3, 1e-3, 2e-3, 3e-3])
def test_residuals_of_targets(value):
    """Against the definition, by a size that is set; the slope by differences, away from the bounds."""
    size = float(X(BEAM))

    def beam(s):
        return BEAM.replace(coordinates=BEAM.coordinates * (s / size))

    targets = {
        bb.Target(X, 1e-3, tol=1e-5, weight=2.0): lambda s: 2.0 * (s - 1e-3) / 1e-5,
        bb.Target(X, 2e-3): lambda s: (s - 2e-3) / 2e-3,
        bb.Target(X, 0.0): lambda s: s,
        bb.Target(X, below=2e-3): lambda s: max(s - 2e-3, 0.0) / 2e-3,
        bb.Target(X, above=1e-3, tol=1.0): lambda s: min(s - 1e-3, 0.0),
        bb.Target(X, above=1e-3, below=2e-3, weight=3.0): lambda s: 3 * (
            max(s - 2e-3, 0.0) / 2e-3 + min(s - 1e-3, 0.0) / 1e-3
        ),
    }  # fmt: skip
    for target, wanted in targets.items():
        assert target(beam(value)) == pytest.approx(wanted(value), rel=1e-9, abs=1e-12), target
        if value not in (1e-3, 2e-3):
            slope = np.sum(target.pullback(beam(value), np.ones(())).coordinates * beam(value).coordinates) / value
            h = 1e-7
            assert slope == pytest.approx((wanted(value + h) - wanted(value - h)) / (2 * h), rel=1e-7, abs=1e-9)
    assert np.isnan(bb.Target(X, below=1.0).combine(np.asarray(np.nan)))
    assert pickle.loads(pickle.dumps(bb.Target("sigma_x @ m", 1.0))) == bb.Target(X, 1, at="m")
