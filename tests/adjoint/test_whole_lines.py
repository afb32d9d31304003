"""The gradient of a whole line is one number: whatever the adjoint, the library, and as differences have it."""

from __future__ import annotations

import numpy as np
import pytest
from adjoint_lines import CASES, awake, central_difference, deviation, host, kind_of

import backbeam as bb
from backbeam.plan import count_kicks
from backbeam.problem import Problem

ADJOINTS = (
    bb.Reversible(), bb.Reversible(anchor_every=1), bb.Checkpoint(slots=1), bb.Checkpoint(slots=3),
    bb.Reversible(anchor_every=2), bb.Reversible(anchor_every=5), bb.Store(),
)  # fmt: skip
every_line = pytest.mark.parametrize("label", CASES)


@every_line
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_all_adjoints_give_the_gradient_of_the_tape(label, library):
    case = CASES[label]
    witness = case.differentiate(bb.Tape(), "torch")
    assert witness.beam.backend.name == "torch"
    for adjoint in ADJOINTS if library == "numpy" else ADJOINTS[::3]:
        found = case.differentiate(adjoint, library)
        assert deviation(found.gradient, witness.gradient) <= 1e-9, adjoint
        assert float(found.value) == pytest.approx(float(witness.value), rel=1e-12)


@every_line
def test_gradient_is_that_of_central_differences(label):
    case = CASES[label]
    found = {n: g for n, g in case.differentiate(bb.Reversible()).gradient.items() if host(g).ndim == 0}
    differences = {n: np.asarray(central_difference(case, n)) for n in found}
    largest = {}
    for name, value in differences.items():
        largest[kind_of(name)] = max(largest.get(kind_of(name), 0.0), abs(float(value)))
    for name, value in differences.items():
        assert float(found[name]) == pytest.approx(float(value), abs=1e-6 * largest[kind_of(name)]), name


@pytest.mark.parametrize("field", ["coordinates", "charges"])
@pytest.mark.parametrize("label", ["fodo", "diagnostics"])
def test_gradient_of_each_particle_is_that_of_central_differences(label, field):
    """Along a random direction; each coordinate and each charge is moved by its own size."""
    case = CASES[label]
    line, beam = case.line(), case.draw()
    _, gradient = bb.value_and_grad(case.objective, line, beam, [f"beam.{field}"], **case.options())
    here = getattr(beam, field)
    direction = np.random.default_rng(5).normal(size=here.shape) * np.abs(here).mean(axis=-1, keepdims=True)

    def value(h):
        return float(case.objective(bb.track(line, beam.replace(**{field: here + h * direction}), **case.options())))

    h = 1e-6
    wanted = (value(h) - value(-h)) / (2.0 * h)
    assert np.sum(gradient[f"beam.{field}"] * direction) == pytest.approx(wanted, rel=2e-6)


@every_line
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_float32_with_anchors_is_within_a_thousandth(label, library):
    case = CASES[label]
    wanted = case.differentiate(bb.Store())
    for adjoint in (bb.Reversible(), bb.Reversible(anchor_every=2)):
        found = case.differentiate(adjoint, library, "float32")
        assert str(host(found.value).dtype) == "float64" and found.beam.dtype == "float32"
        assert deviation(found.gradient, wanted.gradient) <= 1e-3


def test_awake_with_its_58_parameters():
    case = awake()
    witness = case.differentiate(bb.Tape(), "torch").gradient
    for adjoint in (bb.Reversible(), bb.Checkpoint(slots=5), bb.Store()):
        assert deviation(case.differentiate(adjoint).gradient, witness) <= 1e-9, adjoint
    assert deviation(case.differentiate(bb.Reversible(), "torch").gradient, witness) <= 1e-9
    assert deviation(case.differentiate(bb.Reversible(), "numpy", "float32").gradient, witness) <= 1e-3
    for name in ("MQAWD_0.k1", "SD3.k2", "OCT7.k3", "D4.length", "MBAWH_3.angle"):
        kind = max(abs(float(g)) for n, g in witness.items() if kind_of(n) == kind_of(name))
        assert float(witness[name]) == pytest.approx(central_difference(case, name, 1e-5), abs=1e-6 * kind), name


@pytest.mark.parametrize(
    "name,smaller",
    [
        ("expanding-beam", {"space_charge.grid": [6, 6, 6]}),
        ("fodo-space-charge", {"space_charge.grid": [6, 6, 6]}),
        ("jutrack-fodo", {"space_charge.modes": [5, 5], "lattice.steps": 8}),
    ],
)
def test_shipped_problems(name, smaller):
    """Small, but otherwise as they are shipped."""
    problem = Problem.load(name, {"beam.n": 200, **smaller})
    options = {"space_charge": problem.space_charge(), **problem.track_options()}
    wrt = [*list(problem.line().parameters), "beam.charge", "beam.kinetic_energy"]
    objective = bb.observables.sigma("x") + bb.observables.emittance("y")
    gradients = [
        bb.value_and_grad(objective, problem.line(), problem.beam(backend), wrt, adjoint=adjoint, **options)[1]
        for backend, adjoint in [
            ("torch", bb.Tape()), ("numpy", bb.Reversible()), ("torch", bb.Reversible()), ("numpy", bb.Store()),
            ("numpy", bb.Checkpoint(slots=2)),
        ]
    ]  # fmt: skip
    assert bb.count_kicks(problem.line(), **options) >= 6
    for gradient in gradients[1:]:
        assert deviation(gradient, gradients[0]) <= 1e-9


@pytest.mark.long
@pytest.mark.parametrize(
    ("label", "adjoints"),
    [("expanding", (bb.Reversible(), bb.Checkpoint(slots=2), bb.Store())), ("diagnostics", (bb.Reversible(),))],
)
def test_jax_gives_the_same(label, adjoints):
    case = CASES[label]
    wanted = case.differentiate(bb.Store())
    for adjoint in adjoints:
        found = case.differentiate(adjoint, "jax")
        assert found.beam.backend.name == "jax"
        assert deviation(found.gradient, wanted.gradient) <= 1e-9, adjoint


@pytest.mark.long
def test_jax_tape_is_the_witness_of_the_same():
    case = CASES["no space charge"]
    assert deviation(case.differentiate(bb.Tape(), "jax").gradient, case.differentiate(bb.Store()).gradient) <= 1e-9


def test_a_parameter_that_is_absent_counts_as_zero():
    """Asked for, it is there; a misalignment of zero has a gradient."""
    case = CASES["fodo"]
    wrt = ["qf.dx", "qf.roll", "d.dy"]
    objective = bb.observables.mean("x") + bb.observables.mean("y")
    value, found = bb.value_and_grad(objective, case.line(), case.draw(), wrt, **case.options())
    line = case.line().replace({"qf.dx": 0.0, "qf.roll": 0.0, "d.dy": 0.0})
    assert value == pytest.approx(float(objective(bb.track(case.line(), case.draw(), **case.options()))), rel=1e-12)

    def at(path, h):
        return float(objective(bb.track(line.replace({path: h}), case.draw(), **case.options())))

    for path in ("qf.dx", "qf.roll"):
        assert float(found[path]) == pytest.approx((at(path, 1e-7) - at(path, -1e-7)) / 2e-7, rel=1e-6)
    # A drift is the same wherever it stands, but for rounding: space charge does not see the move either.
    assert abs(float(found["d.dy"])) < 1e-12


def test_a_repeated_element_gathers_the_gradient_of_every_use():
    case = CASES["fodo"]
    line, beam = case.line(), case.draw()
    apart = bb.Line([e.replace(name=f"{n}_{k}") for k, (n, e) in enumerate(zip(line.sequence, line, strict=True))])
    names = [n for n in apart.names if n.startswith("qf")]
    assert len(names) == 2
    _, shared = bb.value_and_grad(case.objective, line, beam, ["qf.k1"], **case.options())
    _, each = bb.value_and_grad(case.objective, apart, beam, [f"{n}.k1" for n in names], **case.options())
    assert float(shared["qf.k1"]) == pytest.approx(sum(float(g) for g in each.values()), rel=1e-12)


def test_reports_say_what_was_kept():
    case = CASES["fodo"]
    kicks = bb.count_kicks(case.line(), **case.options())
    assert kicks == 24
    assert case.differentiate(bb.Reversible()).report.anchors == 0
    assert case.differentiate(bb.Reversible(anchor_every=5)).report.anchors == 4
    assert case.differentiate(bb.Reversible(anchor_every=1)).report.anchors == kicks - 1
    assert 0.0 < float(case.differentiate(bb.Reversible()).report.mismatch) < 1e-12
    assert case.differentiate(bb.Checkpoint(slots=3)).report.anchors == 3
    assert case.differentiate(bb.Store()).report.anchors >= kicks
    # float32 is anchored by itself
    assert case.differentiate(bb.Reversible(), "numpy", "float32").report.anchors == 1


def test_count_kicks_of_a_plan_counts_repeats():
    from backbeam.plan import Slicing, compile_line

    assert count_kicks(compile_line(bb.Line([bb.Drift(1.0)]), Slicing(7), {"space charge": bb.SpaceCharge3D()})) == 7
