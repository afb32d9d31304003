"""Knobs: variables that parameters of a line follow, through all that lines are put through."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import backbeam as bb
from backbeam.formulas import Variable, evaluate
from backbeam.knobs import Knobs
from backbeam.lattices.expressions import Dialect

PARSE = Dialect(zero_division=True).parse


def follows(cls, *args, name, **parameters):
    """Element whose text parameters are formulas; its own values do not matter yet."""
    formulas = tuple((k, PARSE(v)) for k, v in parameters.items() if isinstance(v, str))
    values = {k: 0.0 if isinstance(v, str) else v for k, v in parameters.items()}
    return cls(*args, **values, name=name, formulas=formulas)


def line():
    cell = bb.Line(
        [
            follows(bb.Quadrupole, 0.3, k1="kqf", name="qf"), bb.Drift(0.5, name="d"),
            follows(bb.Quadrupole, 0.3, k1="kqd*(1 + trim)", name="qd"), follows(bb.Drift, length="ld", name="d2"),
        ],
        name="cell",
        knobs={"kqf": 1.2, "kqd": PARSE("-kqf"), "trim": 0.0, "ld": 0.4},
    )  # fmt: skip
    return cell.replace({"kqf": 1.2, "ld": 0.4})


def test_turning_a_knob_moves_what_follows_it():
    turned = line().replace({"kqf": 0.5, "trim": 0.1})
    assert (turned["qf"].k1, turned["qd"].k1) == (0.5, pytest.approx(-0.55))
    assert turned.knobs["kqd"] == -0.5 and turned.get("kqf") == 0.5 and turned["d"].length == 0.5
    assert line().replace({"kqd": -2.0}).replace({"kqf": 3.0})["qd"].k1 == -2.0  # a value of its own now
    assert line().replace({"qd.k1": -7.0}).replace({"kqf": 3.0})["qd"].k1 == -7.0  # follows nothing now
    both = line().replace({"qf.k1": 9.0, "kqf": 1.5})
    assert (both["qf"].k1, both["qd"].k1) == (9.0, -1.5)


def test_batches_of_settings():
    turned = line().replace({"kqf": np.asarray([0.5, 0.6])})
    np.testing.assert_allclose(turned["qd"].k1, [-0.5, -0.6])


@pytest.mark.parametrize(
    "through",
    [
        lambda x: x * 2, lambda x: bb.Line([bb.Marker(name="m")]) + x, lambda x: bb.Line([x, bb.Line([x])]),
        lambda x: pickle.loads(pickle.dumps(x)), lambda x: x.replace({"d.length": 0.6}),
        lambda x: x.with_elements({"d": bb.Drift(0.7, name="d")}), lambda x: (x + bb.Line([bb.Drift(0.1)])) * 2,
    ],
)  # fmt: skip
def test_knobs_go_where_the_line_goes(through):
    turned = through(line()).replace({"kqf": 0.25})
    assert turned["qf"].k1 == 0.25 and turned["qd"].k1 == -0.25 and turned.replace({"kqf": 1.0})["qd"].k1 == -1.0


def test_lines_whose_knobs_disagree_do_not_join():
    with pytest.raises(bb.InputError, match="knob is 'kqf'; allowed: one value in all parts"):
        line() + line().replace({"kqf": 3.0})


def test_an_element_in_a_line_without_its_knobs_keeps_its_value():
    alone = bb.Line([line()["qf"]], knobs={"other": 1.0})
    assert alone.replace({"other": 2.0})["qf"].k1 == 1.2


@pytest.mark.parametrize(
    "given,message",
    [
        ({"a": PARSE("b"), "b": PARSE("a+1")}, "lead back to itself"),
        ({"a": PARSE("a+1")}, "lead back to itself"),
        ({"a": PARSE("b")}, "knob is 'b'"),
        ({"a": "3"}, "a number, an array, or a formula"),
    ],
)
def test_bad_knobs(given, message):
    with pytest.raises(bb.InputError, match=message):
        Knobs(given)


def test_a_knob_that_there_is_not_is_told_from_one_that_there_is():
    with pytest.raises(bb.InputError, match="kq is 'kq'; allowed: kqf or kqd"):
        line().replace({"kq": 1.0})


def test_a_chain_of_ten_thousand_knobs():
    chain = Knobs({"v0": 1.0, **{f"v{k}": PARSE(f"v{k - 1} + 1") for k in range(1, 10_000)}})
    assert chain["v9999"] == 10_000.0
    assert chain.pull_back([(Variable("v9999"), 2.0)])["v0"] == 2.0


def test_pull_back_is_differences():
    knobs = Knobs({"a": 0.7, "b": 1.1, "c": PARSE("a*b^2"), "d": PARSE("sin(c)/a")})
    formulas = [PARSE("d*b"), PARSE("c - a"), PARSE("a")]
    bars = [0.3, -1.7, 2.2]

    def total(knobs):
        return sum(w * evaluate(f, knobs.__getitem__) for f, w in zip(formulas, bars, strict=True))

    found = knobs.pull_back(zip(formulas, bars, strict=True))
    for name in knobs:
        plus, minus = (total(knobs.replace({name: knobs[name] + h})) for h in (1e-6, -1e-6))
        assert found[name] == pytest.approx((plus - minus) / 2e-6, rel=1e-8)


def test_jax_knows_knobs():
    import jax

    leaves, tree = jax.tree.flatten(line())
    again = jax.tree.unflatten(tree, leaves)
    assert again.knobs.given == line().knobs.given and again.replace({"kqf": 2.0})["qd"].k1 == -2.0
    assert jax.tree.structure(again) == tree == jax.tree.structure(line().replace({"kqf": 3.0}))
    assert jax.grad(lambda k: line().replace({"kqf": k})["qd"].k1)(1.0) == -1.0


# -- gradients --------------------------------------------------------------------------------------------------------


def beam_of(backend, n=40):
    X = np.random.default_rng(7).normal(size=(6, n)) * 1e-3
    return bb.Beam.from_arrays(backend.asarray(X, dtype="float64"), species="proton", kinetic_energy=2e9, charge=1e-9)


SIZE = bb.observables.sigma("x")


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])  # on JAX: by a knob of MAD-X, of optics
def test_gradient_by_a_knob_is_the_sum_over_magnets_and_differences(library):
    backend = bb.backends.get(library)
    ring, beam = line(), beam_of(backend)
    knobs = ["kqf", "kqd", "trim", "ld"]
    _, found = bb.value_and_grad(SIZE, ring, beam, [*knobs, "qf.k1", "beam.charge"])
    assert set(found) == {*knobs, "qf.k1", "beam.charge"}
    _, parts = bb.value_and_grad(SIZE, ring, beam, ["qf.k1", "qd.k1", "d2.length"])
    host = {k: float(backend.to_numpy(v)) for k, v in (found | parts).items()}
    assert host["kqf"] == pytest.approx(host["qf.k1"] - host["qd.k1"], rel=1e-13)
    assert host["kqd"] == pytest.approx(host["qd.k1"], rel=1e-13)
    assert host["trim"] == pytest.approx(-1.2 * host["qd.k1"], rel=1e-13)
    assert host["ld"] == host["d2.length"]
    if backend.name == "numpy":
        for name in knobs:
            x = ring.knobs[name]
            step = [(w, ring.replace({name: x + h})) for h, w in ((1e-4, 8), (-1e-4, -8), (2e-4, -1), (-2e-4, 1))]
            wanted = sum(w * float(bb.track(at, beam).sigma()[0]) for w, at in step) / 12e-4
            assert host[name] == pytest.approx(wanted, rel=1e-7)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_gradients_of_a_batch_of_settings(library):
    backend = bb.backends.get(library)
    batch = line().replace({"kqf": np.asarray([0.9, 1.2, 1.4])})
    _, found = bb.value_and_grad(SIZE, batch, beam_of(backend), ["kqf", "trim"])
    for k, value in enumerate((0.9, 1.2, 1.4)):
        _, one = bb.value_and_grad(SIZE, line().replace({"kqf": value}), beam_of(backend), ["kqf", "trim"])
        for name in ("kqf", "trim"):
            here = backend.to_numpy(found[name])
            assert here.shape == (3,) and here[k] == pytest.approx(float(backend.to_numpy(one[name])), rel=1e-12)


def test_automatic_differentiation_goes_through_the_formulas(autodiff):
    beam, ring = beam_of(autodiff, 20), line()
    value = autodiff.asarray(np.asarray(1.2), dtype="float64")

    def size(kqf):
        return bb.track(ring.replace({"kqf": kqf}), beam).sigma()[..., 0]

    _, pull = autodiff.pull(size, [value])
    (slope,) = pull(autodiff.asarray(np.asarray(1.0), dtype="float64"))
    _, found = bb.value_and_grad(SIZE, ring, beam, "kqf")
    assert float(autodiff.to_numpy(slope)) == pytest.approx(float(autodiff.to_numpy(found["kqf"])), rel=1e-11)


def test_a_knob_that_nothing_follows_has_no_slope():
    alone = bb.Line([bb.Drift(0.1)], knobs={"a": 1.0})
    _, found = bb.value_and_grad(SIZE, alone, beam_of(bb.backends.get("numpy")), ["a"])
    assert found["a"] == 0.0
    with pytest.raises(bb.InputError, match="b is 'b'; allowed"):
        bb.value_and_grad(SIZE, alone, beam_of(bb.backends.get("numpy")), ["b"])
