"""A Jacobian of many objectives in one sweep is, row by row, the gradients of each; objectives at places."""

from __future__ import annotations

import numpy as np
import pytest
from adjoint_lines import CASES, host

import backbeam as bb
from backbeam import observables as ob
from backbeam.jacobians import values

ADJOINTS = {"reversible": bb.Reversible(), "anchors": bb.Reversible(anchor_every=2), "store": bb.Store(),
            "checkpoint": bb.Checkpoint(slots=2)}  # fmt: skip


def several(case):
    """Of the end, the start and the middle, and the case's own."""
    line = case.line()
    name = line.sequence[len(line) // 2]
    place = f"{name}[0]" if line.sequence.count(name) > 1 else name
    return line, [
        case.objective,
        (ob.sigma("x", at=place) - 1e-3) ** 2 * 1e6,
        bb.Target(ob.log(ob.normalized_emittance("y")), -10.0, tol=0.1),
        ob.mean("pt", at="start") * 1e3 + ob.sigma("px", at="start") / ob.sigma("y"),
    ]


def deviation(found, wanted):
    """Largest of a row, next to the largest of that row, or a part of the largest of all where the row is rounding."""
    worst = 0.0
    for name, rows in wanted.items():
        floor = 1e-2 * max(np.max(np.abs(host(row))) for row in rows)
        for a, b in zip(found[name], rows, strict=True):
            worst = max(worst, np.max(np.abs(host(a) - host(b))) / max(np.max(np.abs(host(b))), floor))
    return worst


def gradients(objectives, *given, **options):
    """Values and derivatives one by one."""
    rows = [bb.value_and_grad(one, *given, **options) for one in objectives]
    return [host(value) for value, _ in rows], {name: [row[name] for _, row in rows] for name in rows[0][1]}


@pytest.mark.parametrize(
    ("label", "library", "adjoints", "small"),
    [
        ("acceleration", "numpy", ("reversible", "store"), 2000),
        ("bend", "numpy", ("checkpoint",), 2000),
        ("solenoid", "numpy", ("reversible",), 2000),
        ("apertures", "numpy", tuple(ADJOINTS), 2000),
        ("apertures", "numpy", ("reversible", "store"), 0),
        ("apertures", "torch", ("store",), 0),
        ("diagnostics", "numpy", ("anchors", "checkpoint"), 2000),
        ("diagnostics", "numpy", ("reversible",), 0),
        ("no space charge", "numpy", ("reversible", "store"), 2000),
        ("no space charge", "torch", ("tape",), 2000),
    ],
)
def test_rows_are_gradients(label, library, adjoints, small, monkeypatch):
    """Those of a small beam in one pass, those of a large one after the other."""
    monkeypatch.setattr("backbeam.plan.fan.SMALL", small)
    case = CASES[label]
    line, objectives = several(case)
    beam, options = case.draw(library, n=60), {**case.options(), "slices": 1}
    for adjoint in adjoints:
        options["adjoint"] = ADJOINTS.get(adjoint, adjoint)
        value, wanted = gradients(objectives, line, beam, case.wrt, **options)
        found, slopes = bb.jacobian(objectives, line, beam, case.wrt, **options)
        np.testing.assert_allclose(host(found), value, rtol=1e-12)
        assert list(slopes) == list(wanted)
        assert deviation(slopes, wanted) < 5e-12, adjoint


def test_rows_are_gradients_on_jax_too():
    """Under jit, so that all is compiled as one; next to NumPy."""
    import jax

    line = bb.Line([bb.Quadrupole(0.1, k1=9.0, name="q", model="linear")])
    objectives, wrt = [ob.mean("x", at="start"), ob.mean("px")], ["q.k1", "beam.coordinates"]

    def found(beam):
        return bb.jacobian(objectives, line, beam, wrt)

    value, slopes = jax.jit(found)(CASES["fodo"].draw("jax", n=30))
    wanted = found(CASES["fodo"].draw(n=30))
    np.testing.assert_allclose(value, wanted[0], rtol=1e-12)
    assert deviation(slopes, wanted[1]) < 1e-12


def test_turns_knobs_batches_and_functions():
    """A ring whose turns are undone one by one; settings in a batch; a knob; a function of a user's own."""
    ring = bb.Line(
        [bb.Quadrupole(0.1, k1=2.0, name="qf"), bb.Drift(0.4, name="d"), bb.Quadrupole(0.1, k1=-2.0, name="qd"),
         bb.Sextupole(0.1, k2=50.0, name="s"), bb.Monitor(name="bpm"), bb.Drift(0.4)],
    )  # fmt: skip
    ring = ring.replace({"qd.k1": np.asarray([-2.0, -1.9])})
    beam = CASES["fodo"].draw(n=40)

    def mine(b):
        return b.mean("x"), {"coordinates": np.asarray([1.0, 0, 0, 0, 0, 0])[:, None] * np.full(b.n, 1.0 / b.n)}

    objectives = ["sigma_x @ d[4]", "sigma_x @ d[0]", "mean_px @ end", ob.reading("bpm", "x", 2), mine]
    wrt = ["qf.k1", "s.k2", "beam.mean_x", "beam.coordinates", "beam.kinetic_energy"]
    value, wanted = gradients(objectives, ring, beam, wrt, turns=5)
    for adjoint in ("reversible", "store", "checkpoint"):
        found, slopes = bb.jacobian(objectives, ring, beam, wrt, turns=5, adjoint=adjoint)
        np.testing.assert_allclose(found, value, rtol=1e-12)
        assert found.shape == (5, 2) and slopes["beam.coordinates"].shape == (5, 2, 6, 40)
        assert deviation(slopes, wanted) < 1e-11
    np.testing.assert_allclose(values(objectives, ring, beam, turns=5), value, rtol=1e-12)


def test_places_are_where_the_line_is_cut():
    """The beam behind each passage of an element, against a line that ends there; in the gradient as well."""
    case, options = CASES["acceleration"], {"slices": 2, "space_charge": bb.SpaceCharge3D(grid=(6, 6, 6))}
    line, beam = case.line(), case.draw(n=60)
    assert line.sequence == ("drift_1", "buncher", "cavity", "drift_2", "cavity")
    objective = ob.normalized_emittance("x") / ob.sigma("tau")
    for place, cut in (("start", 0), ("buncher", 2), ("cavity[0]", 3), ("cavity[1]", 5), (bb.END, 5), (None, 5)):
        short = line[:cut] if cut else bb.Line([bb.Marker()])
        # What is ahead of a place has no part in it: names that the shorter line lacks are 0.
        names = [name for name in case.wrt if name.startswith("beam.") or name.partition(".")[0] in short]
        value, wanted = bb.value_and_grad(objective, short, beam, names, **options)
        for adjoint in ("reversible", "store", "checkpoint") if cut == 3 else ("reversible",):
            there, found = bb.value_and_grad(objective.at(place), line, beam, case.wrt, adjoint=adjoint, **options)
            assert there == pytest.approx(float(value), rel=1e-12)
            for name in case.wrt:
                slope = 0.0 if name not in names else float(wanted[name])
                assert found[name] == pytest.approx(slope, rel=1e-9, abs=1e-6 * (name == "beam.charge")), name


def test_the_beam_and_the_optics_in_one_formula():
    """By differences; names are the beam's, those of the start the optics' alone."""
    qf, qd, d = bb.Quadrupole(0.2, k1=2.0, name="qf"), bb.Quadrupole(0.2, k1=-2.0, name="qd"), bb.Drift(1.0, name="d")
    line = bb.Line([qf, d, qd, d])
    beam = CASES["fodo"].draw(n=50, species="proton", kinetic_energy=1e9)
    start = bb.Twiss(beta_x=3.0, beta_y=4.0, alpha_x=-1.0, alpha_y=0.5)
    objectives = [
        ob.sigma("x", at="d[0]") ** 2 / ob.optics("beta_x", "d[0]") / ob.emittance("x"),
        ob.log(ob.optics("beta_y", start=start)) * ob.sigma("x"),
        bb.Target("tune_x", 0.3, tol=0.01),
    ]
    wrt = ["qf.k1", "d.length", "beam.kinetic_energy", "beam.sigma_x", "start.beta_y"]
    found, slopes = bb.jacobian(objectives[:2], line, beam, wrt)
    assert list(slopes) == wrt
    assert deviation(slopes, gradients(objectives[:2], line, beam, wrt[:4])[1]) < 1e-11
    of_start = bb.value_and_grad(objectives[1], line, beam, wrt)[1]["start.beta_y"]
    assert slopes["start.beta_y"].tolist() == pytest.approx([0.0, float(of_start)], rel=1e-12) and of_start
    with_tune = bb.jacobian(objectives, line, beam, wrt[:4])
    assert found == pytest.approx(with_tune[0][:2], rel=1e-13)

    def moved(name, by):
        owner, _, field = name.partition(".")
        if owner == "beam":
            return line, beam.with_parameters(**{field: beam.parameters()[field] + by})
        return line.replace({name: line.get(name) + by}), beam

    for name, h in (("qf.k1", 1e-3), ("d.length", 1e-3), ("beam.kinetic_energy", 1e5), ("beam.sigma_x", 1e-6)):
        f = {k: values(objectives, *moved(name, k * h)) for k in (-2, -1, 1, 2)}
        wanted = (f[-2] - 8 * f[-1] + 8 * f[1] - f[2]) / (12 * h)
        assert with_tune[1][name] == pytest.approx(wanted, rel=1e-6, abs=1e-9 * abs(with_tune[0] / h).max()), name
    with pytest.raises(bb.InputError, match=r"allowed: beam\.kinetic_energy"):
        bb.value_and_grad(objectives[0], line, beam, ["reference.kinetic_energy"])
    of_optics = bb.jacobian(["tune_x", "optics.beta_x @ qf"], line, beam.reference, ["qf.k1", "reference.beta_gamma"])
    assert of_optics[0].shape == (2,) and of_optics[0][0] * 100 - 30 == pytest.approx(with_tune[0][2], rel=1e-12)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("sigma_x @ cavty", "objective: at is 'cavty'; allowed: cavity"),
        ("sigma_x @ cavity", "cavity[0] ... cavity[1]: the beam passes 2 times"),
        ("sigma_x @ cavity[2]", "one of 2 passages, counted from 0"),
        ("sigma_x @ nowhere", "an element of the line, start or end"),
        ("reading:bpm.x @ buncher", "left out: a reading is of its monitor or screen"),
    ],
)
def test_places_that_are_not_there(what, said):
    case = CASES["acceleration"]
    for ask in (lambda: bb.value_and_grad(what, case.line(), case.draw(n=20), ["buncher.voltage"]),
                lambda: bb.jacobian(["sigma_x", what], case.line(), case.draw(n=20), ["buncher.voltage"])):  # fmt: skip
        with pytest.raises(bb.InputError, match="allowed: ") as error:
            ask()
        assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", [[], "sigma_x", 3, {"sigma_x": 1.0}])
def test_a_jacobian_is_of_a_list(wrong):
    case = CASES["bend"]
    with pytest.raises(bb.InputError, match="objectives"):
        bb.jacobian(wrong, case.line(), case.draw(n=20), ["b.angle"])
    with pytest.raises(bb.InputError, match="at least one name"):
        bb.jacobian(["sigma_x"], case.line(), case.draw(n=20), [])


def test_auto_counts_the_rows():
    """What is left for the states beside the cotangents of all objectives."""
    case = CASES["no space charge"]
    line, beam, ask = case.line(), case.draw(n=10_000), [ob.sigma("x", at=f"d[{k}]") for k in range(8)]
    given = {"adjoint": bb.Auto(budget=4_500_000), **case.options()}
    bb.value_and_grad(ask[0], line, beam, ["qf.k1"], **given)
    with pytest.raises(bb.BackbeamError, match="no adjoint fits in"):
        bb.jacobian(ask, line, beam, ["qf.k1"], **given)


def test_a_place_takes_no_memory_and_a_row_that_of_its_cotangents():
    """Peaks of what NumPy holds, by particle: a cotangent of coordinates and charge is 56 B."""
    import tracemalloc

    line, beam = CASES["fodo"].line(), CASES["fodo"].draw(n=10_000)
    places = [f"d[{k}]" for k in range(8)]

    def peak(ask):
        ask()
        tracemalloc.start()
        ask()
        found = tracemalloc.get_traced_memory()[1] / beam.n
        tracemalloc.stop()
        return found

    def gradient(what):
        return peak(lambda: bb.value_and_grad(what, line, beam, ["qf.k1"], adjoint="reversible"))

    at_end = gradient("sigma_x")
    assert gradient(ob.sigma("x", at="d[3]")) < at_end + 60
    assert gradient(sum((ob.sigma("x", at=place) for place in places), 0.0)) < at_end + 60
    many = peak(lambda: bb.jacobian([ob.sigma("x", at=p) for p in places], line, beam, ["qf.k1"], adjoint="reversible"))
    assert many < at_end + 60 + 56 * len(places)
