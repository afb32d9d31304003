"""Tracking from the outside: what comes out, what is seen on the way, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import backbeam as bb

MODEL = bb.SpaceCharge3D(grid=(6, 6, 6))


def beam(backend="numpy", **changes):
    given = {
        "n": 80, "species": "electron", "kinetic_energy": 20e6, "charge": 1e-10, "sigma_x": 1e-3, "sigma_y": 1e-3,
        "sigma_px": 1e-3, "sigma_tau": 1e-3, "sigma_pt": 1e-3, "seed": 4, **changes,
    }  # fmt: skip
    return bb.Beam.gaussian(backend=backend, **given)


def line():
    return bb.Line([
        bb.Monitor(name="bpm"), bb.Drift(0.3, name="d"), bb.Quadrupole(0.1, k1=8.0, dx=1e-4, name="q"),
        bb.Aperture(half_x=1.5e-3, half_y=1.5e-3, name="a"),
        bb.RFCavity(0.4, voltage=2e6, frequency=1.3e9, steps=4, name="c"),
        bb.Screen(half_x=2e-3, half_y=2e-3, pixels=(8, 6), name="yag"), bb.Drift(0.2), bb.Monitor(name="end"),
    ])  # fmt: skip


# -- what comes out ---------------------------------------------------------------------------------------------------


def test_the_end_of_the_line():
    start = beam()
    out = bb.track(line(), start, space_charge=MODEL)
    assert out.s == pytest.approx(1.0) and start.s == 0.0
    assert float(out.kinetic_energy) == pytest.approx(22e6, rel=1e-12)
    assert out.n == start.n and out.species == start.species and out.recipe is None
    np.testing.assert_array_equal(out.charges, start.charges)
    assert list(out.readings) == ["bpm", "yag", "end"]
    assert bb.track(line(), out).s == pytest.approx(2.0)


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])  # JAX cannot write
def test_the_input_is_not_written_to(library):
    start = beam(library, n=20)
    before = np.array(start.backend.to_numpy(start.coordinates))
    wrt = ["q.k1", "beam.charge"]
    bb.value_and_grad(bb.observables.sigma("x"), line(), start, wrt, space_charge=MODEL)
    np.testing.assert_array_equal(start.backend.to_numpy(start.coordinates), before)


def test_an_empty_line_gives_the_beam_back():
    start = beam()
    out = bb.track(bb.Line([]), start)
    np.testing.assert_array_equal(out.coordinates, start.coordinates)
    assert out.s == 0.0 and float(out.lost) == 0


@pytest.mark.parametrize("options", [{}, {"space_charge": MODEL}], ids=["alone", "space charge"])
@pytest.mark.parametrize("element", [bb.Drift(0.0), bb.Quadrupole(0.0, k1=5.0), bb.Solenoid(0.0, ks=1.0)], ids=repr)
def test_a_thick_element_of_no_length_does_nothing(element, options):
    start = beam()
    out = bb.track(bb.Line([element]), start, **options)
    np.testing.assert_allclose(out.coordinates, start.coordinates, rtol=0, atol=1e-18)
    assert bb.count_kicks(bb.Line([element]), **options) == 0


def test_a_length_that_only_an_array_knows_to_be_zero():
    """It is kicked over no distance: nothing happens, and the derivative is there."""
    start = beam()
    zero = bb.Line([bb.Drift(np.asarray(0.0), name="d")])
    out = bb.track(zero, start, space_charge=MODEL)
    np.testing.assert_allclose(out.coordinates, start.coordinates, rtol=0, atol=1e-17)
    _, gradient = bb.value_and_grad(bb.observables.sigma("x"), zero, start, ["d.length"], space_charge=MODEL)
    values = [
        float(bb.track(zero.replace({"d.length": h}), start, space_charge=MODEL).sigma("x")) for h in (1e-6, 2e-6)
    ]
    at_zero = float(start.sigma("x"))
    assert float(gradient["d.length"]) == pytest.approx((4 * values[0] - values[1] - 3 * at_zero) / 2e-6, rel=1e-5)


def test_numbers_and_arrays_of_one_library_meet(backend):
    settings = backend.asarray([3.0, 8.0], dtype="float64")
    out = bb.track(bb.Line([bb.Quadrupole(0.1, k1=settings), bb.Drift(np.asarray(0.5))]), beam(backend.name))
    assert tuple(out.coordinates.shape) == (2, 6, 80) and tuple(out.lost.shape) == (2,)
    single = bb.track(bb.Line([bb.Quadrupole(0.1, k1=8.0), bb.Drift(0.5)]), beam())
    np.testing.assert_allclose(backend.to_numpy(out.coordinates)[1], single.coordinates, rtol=0, atol=1e-17)


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_float32_stays_float32(library):
    start = beam(library, dtype="float32")
    out = bb.track(line(), start, space_charge=MODEL)
    assert out.dtype == "float32"
    assert all(str(start.backend.to_numpy(r).dtype) == "float32" for r in out.readings.values())
    _, gradient = bb.value_and_grad(
        bb.observables.sigma("x"), line(), start, ["q.k1", "beam.charge"], space_charge=MODEL
    )
    assert all(str(start.backend.to_numpy(g).dtype) == "float32" for g in gradient.values())


# -- readings ---------------------------------------------------------------------------------------------------------


def test_readings_are_those_of_the_beam_there():
    start = beam(mean_x=3e-4, mean_py=1e-4)
    cut = bb.Line(line().elements[:5])
    out, there = bb.track(line(), start, space_charge=MODEL), bb.track(cut, start, space_charge=MODEL)
    np.testing.assert_allclose(out.readings["bpm"], [start.mean("x"), start.mean("y")], rtol=1e-13)
    np.testing.assert_allclose(out.readings["end"], [out.mean("x"), out.mean("y")], rtol=1e-13)
    assert out.readings["yag"].shape == (8, 6)
    on_screen = np.asarray(there.alive) & (np.abs(there.x) < 1.7e-3) & (np.abs(there.y) < 1.7e-3)
    assert 0.5 * start.n < on_screen.sum() < start.n
    seen = float(np.sum(out.readings["yag"]))
    assert float(np.sum(there.charges[on_screen])) >= seen >= float(there.charge)  # electrons: charges are negative


def test_an_element_passed_several_times_gives_a_list():
    bpm = bb.Monitor(name="bpm")
    out = bb.track(bb.Line([bpm, bb.Drift(0.5), bpm, bb.Drift(0.5), bpm]), beam(mean_px=1e-3))
    readings = out.readings["bpm"]
    assert isinstance(readings, list) and len(readings) == 3
    steps = np.diff([float(r[0]) for r in readings])
    assert steps[0] == pytest.approx(steps[1], rel=1e-12) and steps[0] == pytest.approx(5e-4, rel=0.3)


# -- on the way -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"space_charge": MODEL, "slices": 3}], ids=["alone", "space charge"])
def test_trace_ends_where_track_does(options):
    start = beam()
    seen = list(bb.trace(line(), start, **options))
    out = bb.track(line(), start, **options)
    s, name, last = seen[-1]
    assert s == pytest.approx(out.s) and name == "end"
    # Half maps are not merged, and an integrator of two halves has another error of its own.
    np.testing.assert_allclose(last.coordinates, out.coordinates, rtol=0, atol=1e-12 if options else 1e-17)
    np.testing.assert_array_equal(np.asarray(last.lost_at) >= 0, np.asarray(out.lost_at) >= 0)
    assert float(last.reference.beta_gamma) == pytest.approx(float(out.reference.beta_gamma), rel=1e-14)
    assert seen[0][0] == 0.0 and seen[0][1] == ""
    assert all(b >= a for (a, _, _), (b, _, _) in pairwise(seen))
    readings = {n: b.readings[n] for _, n, b in seen if b.readings}
    assert set(readings) == {"bpm", "yag", "end"}
    for name, reading in readings.items():
        scale = np.abs(out.readings[name]).max()
        np.testing.assert_allclose(reading, out.readings[name], rtol=0, atol=(1e-9 if options else 1e-13) * scale)


def test_trace_begins_where_the_beam_stands():
    start = bb.track(line(), beam())
    places = [s for s, _, _ in bb.trace(bb.Line([bb.Drift(0.5)]), start, slices=2)]
    assert places == pytest.approx([1.0, 1.25, 1.5])


# -- losses -----------------------------------------------------------------------------------------------------------


def test_the_lost_stay_where_they_were_lost_and_remember_the_step():
    first, second = bb.Aperture(half_x=1.5e-3, half_y=9.0), bb.Aperture(half_x=1.0e-3, half_y=9.0)
    start = beam(n=400)
    drift = bb.Drift(0.5, name="d")
    out = bb.track(bb.Line([drift, first, drift, second, drift]), start, space_charge=MODEL)
    at_first, at_second = (bb.track(bb.Line([drift, first, drift][:k]), start, space_charge=MODEL) for k in (1, 3))
    lost_at = np.asarray(out.lost_at)
    hit = np.abs(at_first.x) > 1.5e-3
    np.testing.assert_array_equal(lost_at == 0, hit)
    np.testing.assert_array_equal(lost_at == 1, ~hit & (np.abs(at_second.x) > 1.0e-3))
    assert hit.sum() > 20 and (lost_at == 1).sum() > 20
    np.testing.assert_array_equal(np.asarray(out.coordinates)[:, hit], np.asarray(at_first.coordinates)[:, hit])
    gone = lost_at == 1
    np.testing.assert_array_equal(np.asarray(out.coordinates)[:, gone], np.asarray(at_second.coordinates)[:, gone])
    assert float(out.lost) == hit.sum() + gone.sum()
    assert float(out.charge) == pytest.approx(-1e-10 * (1.0 - float(out.lost) / 400), rel=1e-12)


def test_an_aperture_of_the_other_action_takes_what_is_inside():
    start = beam()
    inside = (np.abs(start.x) <= 5e-4) & (np.abs(start.y) <= 5e-4)
    out = bb.track(bb.Line([bb.Aperture(half_x=5e-4, half_y=5e-4, action="absorb")]), start)
    np.testing.assert_array_equal(np.asarray(out.lost_at) >= 0, inside)


def test_all_lost_is_no_error():
    """No charge, no moments, no kick: zeros."""
    narrow = bb.Line([bb.Aperture(half_x=1e-12, half_y=1e-12), bb.Drift(0.4), bb.Monitor(name="m")])
    out = bb.track(narrow, beam(), space_charge=MODEL)
    assert float(out.lost) == 80 and float(out.charge) == 0.0 and float(out.sigma("x")) == 0.0
    np.testing.assert_array_equal(out.readings["m"], [0.0, 0.0])
    assert np.all(np.isfinite(out.coordinates))


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"space_charge": MODEL, "slices": 2}], ids=["alone", "space charge"])
@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_particles_that_turn_round_are_reported_with_their_place(library, options):
    """No warning before it; the gradient says the same."""
    start = beam(library, sigma_x=1e-2)
    strong = bb.Line([bb.Drift(0.1), bb.Quadrupole(0.5, k1=-400.0, name="strong"), bb.Drift(1.0)])
    said = r"\d+ of 80 particles turn round \(px\^2 \+ py\^2 > p\^2\) in element 'strong', by s = 0\.\d+ m"
    with pytest.raises(bb.TrackingError, match=said):
        bb.track(strong, start, on_turn="raise", **options)
    with pytest.raises(bb.TrackingError, match=said):
        bb.value_and_grad(bb.observables.sigma("x"), strong, start, ["strong.k1"], on_turn="raise", **options)


def test_parameters_of_another_library_are_refused():
    torch = pytest.importorskip("torch")
    quadrupole = bb.Quadrupole(0.1, k1=torch.tensor(3.0), name="q")
    with pytest.raises(bb.InputError, match=r"q\.k1 is 'an array of torch'; allowed: a number, or an array of numpy"):
        bb.track(bb.Line([quadrupole]), beam())


def test_batches_that_do_not_broadcast_are_refused():
    line = bb.Line([bb.Quadrupole(0.1, k1=np.ones(3)), bb.Drift(np.ones(2))])
    with pytest.raises(bb.InputError, match=r"batch is .*\(3,\).*\(2,\).*; allowed: shapes that broadcast"):
        bb.track(line, beam())


def test_a_parameter_of_the_wrong_shape_is_refused():
    with pytest.raises(bb.InputError, match=r"linear_map_1\.matrix is .*\(6, 5\).*; allowed: shape"):
        bb.track(bb.Line([bb.LinearMap(np.ones((6, 5)))]), beam())


@pytest.mark.parametrize("wrong", [None, [bb.Drift(1.0)], bb.Drift(1.0)], ids=["none", "list", "element"])
def test_what_is_no_line_is_refused(wrong):
    with pytest.raises(bb.InputError, match=r"line is .*; allowed: a Line"):
        bb.track(wrong, beam())


def test_what_is_no_beam_is_refused():
    with pytest.raises(bb.InputError, match=r"beam is .*; allowed: a Beam"):
        bb.track(line(), np.zeros((6, 3)))


# -- the door to gradients --------------------------------------------------------------------------------------------


def test_any_function_of_the_beam_is_an_objective(autodiff):
    """Whatever the library differentiates; and it agrees with the observable of the same name."""
    short = bb.Line([bb.Drift(0.3, name="d"), bb.Monitor(name="m")])
    start = beam(autodiff.name, mean_px=1e-3)
    value, found = bb.value_and_grad(lambda b: b.sigma("x") + b.readings["m"][0], short, start, ["d.length"])
    wanted = bb.observables.sigma("x") + bb.observables.reading("m", "x")
    reference, gradient = bb.value_and_grad(wanted, short, start, ["d.length"])
    assert float(value) == pytest.approx(float(reference), rel=1e-12)
    assert float(found["d.length"]) == pytest.approx(float(gradient["d.length"]), rel=1e-11)


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_value_and_cotangent_of_ones_own(library):
    """Mean of x^4 by hand: of the coordinates alone, or with all other fields."""
    short = bb.Line([bb.Drift(0.3, name="d"), bb.Monitor(name="m")])
    start = beam(library)

    def cotangent(b):
        X, n = np.asarray(b.backend.to_numpy(b.coordinates)), b.n
        bar = np.zeros_like(X)
        bar[0] = 4.0 * X[0] ** 3 / n
        return b.as_mine(float(np.mean(X[0] ** 4))), b.as_mine(bar)

    def detailed(b):
        value, bar = cotangent(b)
        return value, {"coordinates": bar, "charges": None, "readings": {"m": b.as_mine([0.0, 0.0])}}

    def at(length):
        out = bb.track(short.replace({"d.length": length}), start)
        return float(np.mean(np.asarray(out.backend.to_numpy(out.x)) ** 4))

    wanted = (at(0.3 + 1e-6) - at(0.3 - 1e-6)) / 2e-6
    for objective in (cotangent, detailed):
        value, found = bb.value_and_grad(objective, short, start, ["d.length"])
        assert float(value) == pytest.approx(at(0.3), rel=1e-12)
        assert float(found["d.length"]) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    "objective,said",
    [
        ("sigma_q", "objective is 'sigma_q'; allowed: one of sigma_x, sigma_px"),
        (3.0, "objective is 3.0; allowed: an observable, or a function of a beam"),
        (lambda b: b.sigma("x"), r"allowed: on numpy: an observable, or a function that gives \(value, cotangent\)"),
        (
            lambda b: (b.sigma("x"), {"sizes": 0.0}),
            r"objective is \['sizes'\]; allowed: cotangents of coordinates, charges",
        ),
    ],
    ids=["text", "number", "plain function", "unknown field"],
)
def test_objectives_that_cannot_be(objective, said):
    with pytest.raises(bb.InputError, match=said):
        bb.value_and_grad(objective, line(), beam(), ["d.length"])


@pytest.mark.parametrize(
    "wrt,said",
    [
        ([], "wrt is .*; allowed: at least one name"),
        (["qq.k1"], "element is 'qq'; allowed: q"),
        (["q.k9"], r"q\.k9"),
        (["beam.sigma"], r"wrt is 'beam\.sigma'; allowed: beam with one of coordinates"),
        (["c.steps"], r"wrt is 'c\.steps'; allowed: c with one of"),
        (["bpm.length"], r"bpm\.length"),
    ],
)
def test_names_that_are_not_known(wrt, said):
    with pytest.raises(bb.InputError, match=said):
        bb.value_and_grad(bb.observables.sigma("x"), line(), beam(), wrt)


def test_tape_needs_a_library_that_differentiates():
    with pytest.raises(bb.InputError, match=r"adjoint is 'tape'; allowed: reversible, store or checkpoint: numpy"):
        bb.value_and_grad(bb.observables.sigma("x"), line(), beam(), ["d.length"], adjoint=bb.Tape())


def test_a_single_name_may_be_plain_text():
    _, gradient = bb.value_and_grad(bb.observables.sigma("x"), line(), beam(), "q.k1")
    assert list(gradient) == ["q.k1"]
