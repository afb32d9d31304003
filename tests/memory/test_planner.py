"""The model's arithmetic, and the choice of an adjoint, with coefficients that are round numbers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import pytest

import backbeam as bb
from backbeam import backends
from backbeam.adjoint import Auto, Checkpoint, Reversible, Store, Tape, adjoint_named
from backbeam.course import Course
from backbeam.errors import BackbeamError, BackendError, InputError
from backbeam.gradient import differentiate
from backbeam.memory import choose, planner, table
from backbeam.memory.features import features, weigh
from backbeam.memory.forecast import forecast, model_of
from backbeam.memory.planner import unbidden
from backbeam.memory.table import made_of
from backbeam.problem import Problem
from backbeam.run import Run

pytestmark = pytest.mark.usefixtures("round_numbers")

N, GRID = 100_000, (32, 32, 32)
CELLS = math.prod(GRID)


def problem(backend="torch", dtype="float64", kicks=20, n=N, **more):
    return Problem({
        "beam": {
            "distribution": "uniform_ellipsoid", "species": "electron", "n": n, "kinetic_energy": 250e6,
            "charge": 1e-9, "radius": 1e-3, "seed": 1,
        },
        "lattice": [{"drift": {"length": 6.0, "name": "d"}}],
        "space_charge": {"model": "3d", "grid": list(GRID)}, "track": {"slices": kicks},
        "run": {"backend": backend, "dtype": dtype}, **more,
    })  # fmt: skip


def beam(n=200, backend="numpy", dtype="float64"):
    X = np.random.default_rng(2).normal(size=(6, n)) * 1e-4
    return bb.Beam.from_arrays(
        backends.get(backend).asarray(X, dtype=dtype), species="electron", kinetic_energy=50e6, charge=1e-10
    )


@dataclass
class Threads:
    """An adapter that shares work out among threads."""

    grids: int
    particles: int

    def deposit_grids(self, batch, n):
        return self.grids

    def in_hand(self, n, block=None):
        return self.particles


LINE = bb.Line([bb.Drift(0.3, name="d", slices=6)])
MODEL = bb.SpaceCharge3D(grid=(6, 6, 6))


# -- the model --------------------------------------------------------------------------------------------------------


def test_reversible_is_its_working_set():
    needs = forecast(problem()).needs(Reversible())
    assert (needs.particles, needs.cells, needs.kicks) == (N, CELLS, 20)
    assert needs.kept_bytes == needs.bytes_per_particle_per_kick == needs.bytes_per_cell_per_kick == 0.0
    assert needs.predicted_peak_bytes == 400 * N + 100 * CELLS
    assert (needs.bytes_per_particle_working, needs.bytes_per_cell_working) == (400.0, 100.0)


def test_where_the_grid_is_large_the_peak_is_on_the_grid():
    needs = forecast(problem(n=1000)).needs(Reversible())
    assert needs.predicted_peak_bytes == 100 * 1000 + 300 * CELLS


def test_store_keeps_a_state_a_kick():
    needs = forecast(problem()).needs(Store())
    assert (
        needs.kept_bytes == 20 * 48 * N
    )  # 20 kicks and the last half drift: 21 groups, of which the first is the beam
    assert needs.bytes_per_particle_per_kick == 48.0
    assert needs.predicted_peak_bytes == 20 * 48 * N + 450 * N + 100 * CELLS


def test_a_tape_is_the_sum_of_its_steps():
    needs = forecast(problem()).needs(Tape())
    faces = 33**3 - CELLS
    assert needs.kept_bytes == 20 * (1000 * N + 800 * CELLS + 10 * faces) + 21 * 200 * N
    assert needs.bytes_per_particle_per_kick == pytest.approx(1000 + 21 * 200 / 20)
    assert needs.bytes_per_cell_per_kick == 800.0


def test_substeps_of_an_integrator_count_and_unknown_maps_are_the_worst():
    lattice = [
        {"quadrupole": {"length": 0.1, "k1": 1.0, "order": 4, "steps": 3}},
        {"solenoid": {"length": 0.1, "ks": 0.1}},
    ]
    model = forecast(problem(space_charge=None, track=None, lattice=lattice))
    assert model.needs(Tape()).kept_bytes == (100 + 6 * 50 + 300) * N
    assert model.kicks == 0 and model.needs(Reversible()).predicted_peak_bytes == 200 * N


def test_losses_take_more():
    plain = forecast(problem())
    lossy = forecast(problem(lattice=[{"aperture": {"half_x": 0.1, "half_y": 0.1}}, {"drift": {"length": 6.0}}]))
    assert lossy.needs(Reversible()).predicted_peak_bytes - plain.needs(Reversible()).predicted_peak_bytes == 8 * N
    assert lossy.needs(Tape()).kept_bytes - plain.needs(Tape()).kept_bytes == (20 * 7 + 21 * 5) * N


def test_a_batch_counts_as_so_many_beams():
    one = beam(300)
    many = bb.Beam.from_arrays(np.stack([one.coordinates] * 4), species="electron", kinetic_energy=50e6, charge=1e-10)
    for adjoint in (Reversible(), Store(), Checkpoint(2)):
        a, b = (model_of(Course.of(LINE, space_charge=MODEL), x).needs(adjoint) for x in (one, many))
        assert b.predicted_peak_bytes == 4 * a.predicted_peak_bytes


def test_the_model_of_a_problem_is_that_of_its_run():
    tree = problem("numpy", n=2000)
    here = model_of(tree.course(), tree.beam())
    for adjoint in (Reversible(), Store(), Checkpoint(3)):
        assert here.needs(adjoint) == forecast(tree).needs(adjoint)


def test_nothing_is_drawn_and_no_device_is_needed():
    """10^12 particles on a GPU that is not here, with the coefficients of the processor, and that is said."""
    model = forecast(problem(n=10**12, run={"backend": "torch", "device": "cuda", "dtype": "float32"}))
    assert model.needs(Reversible(None)).predicted_peak_bytes == 400 * 10**12 + 100 * CELLS
    assert model.coefficients.borrowed
    assert (model.coefficients.setup, model.coefficients.wanted) == ("torch cpu float32", "torch gpu float32")


def test_a_library_of_which_nothing_is_known_is_refused():
    with pytest.raises(BackendError, match="nothing is known of the memory of array_api_strict cpu float64"):
        forecast(problem("array_api_strict"))


# -- the choice -------------------------------------------------------------------------------------------------------

AMOUNTS = {
    "store": 20 * 48 * N + 450 * N + 100 * CELLS,
    "reversible": 400 * N + 100 * CELLS,
}


def test_the_fastest_that_fits_is_chosen():
    model = forecast(problem("numpy"))
    assert choose(model, AMOUNTS["store"]).recommended.adjoint == Store()
    almost = choose(model, AMOUNTS["store"] - 48 * N).recommended
    assert isinstance(almost.adjoint, Checkpoint)  # with nearly all states kept little is recomputed
    assert almost.relative_time < model.needs(Reversible()).relative_time
    found = choose(model, AMOUNTS["reversible"])
    assert (found.recommended.adjoint, found.short_by) == (Reversible(), 0)


def test_it_says_by_how_much_nothing_fits():
    found = choose(forecast(problem("numpy")), AMOUNTS["reversible"] - 1000)
    assert found.recommended is None
    assert found.smallest.adjoint == Reversible()
    assert found.short_by == 1000


def take(monkeypatch, **times):
    """Let some adjoints take another time, whatever a plan is made of."""
    setups = {
        name: {**entry, "time": {of: {**known, **times} for of, known in entry["time"].items()}}
        for name, entry in table.load().items()
    }
    monkeypatch.setattr(table, "load", lambda: setups)


def test_slots_are_as_many_as_fit(monkeypatch):
    """Where reversing is slow, checkpoints are chosen: one slot more would not fit."""
    take(monkeypatch, reversible=50.0)
    model = forecast(problem("numpy"))
    budget = AMOUNTS["store"] - 5 * 48 * N
    found = choose(model, budget).recommended
    assert isinstance(found.adjoint, Checkpoint)
    assert found.predicted_peak_bytes <= budget
    assert model.needs(Checkpoint(found.adjoint.slots + 1)).predicted_peak_bytes > budget
    fewer = choose(model, budget - 3 * 48 * N).recommended
    assert fewer.adjoint == Checkpoint(found.adjoint.slots - 3)
    assert fewer.relative_time > found.relative_time > model.times["store"]


def test_in_float32_anchors_are_spread_until_they_fit(monkeypatch):
    take(monkeypatch, store=50.0)
    model = forecast(problem("numpy", "float32", kicks=200))
    most = model.needs(Reversible()).predicted_peak_bytes
    assert choose(model, most).recommended.adjoint == Reversible()
    fewer = choose(model, most - 1).recommended
    assert fewer.adjoint == Reversible(32)
    assert choose(model, fewer.predicted_peak_bytes - 1).recommended.adjoint == Reversible(64)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_more_memory_is_never_slower(backend, dtype):
    model = forecast(problem(backend, dtype, kicks=60))
    times = []
    for budget in np.geomspace(1e7, 1e11, 25):
        found = choose(model, int(budget))
        if found.recommended is None:
            assert found.short_by > 0 and not times
            continue
        assert found.recommended.predicted_peak_bytes <= budget and found.short_by == 0
        times.append(found.recommended.relative_time)
    assert times == sorted(times, reverse=True) and len(set(times)) > 1


# -- adjoint="auto" ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_auto_gives_the_gradient_of_what_it_chose(name):
    options = {"space_charge": MODEL}
    here, wrt = beam(backend=name), ["d.length", "beam.charge"]
    found = differentiate(bb.observables.sigma("x"), LINE, here, wrt, adjoint="auto", **options)
    assert found.adjoint == Store()  # there is room, and it is the fastest
    model = model_of(Course.of(LINE, **options), here)
    tight = Auto(budget=model.needs(Reversible()).predicted_peak_bytes)
    slower = differentiate(bb.observables.sigma("x"), LINE, here, wrt, adjoint=tight, **options)
    assert slower.adjoint == Reversible()
    _, right = bb.value_and_grad(bb.observables.sigma("x"), LINE, here, wrt, adjoint=Checkpoint(2), **options)
    for one in (found, slower):
        for key, value in right.items():
            assert float(one.gradient[key]) == pytest.approx(float(value), rel=1e-9)


def test_unless_told_otherwise_a_tenth_of_what_is_free_may_be_taken(monkeypatch):
    monkeypatch.setattr(planner, "LITTLE", 0)
    course = Course.of(LINE, space_charge=MODEL)
    model = model_of(course, beam())
    most, least = (model.needs(adjoint).predicted_peak_bytes for adjoint in (Store(), Reversible()))
    free = [10 * most + 10, int(least / 0.8) + 2, int(least / 0.8) - 2000, None]
    monkeypatch.setattr(type(backends.get("numpy").meter), "free_memory", lambda self, array: free[0])
    found = []
    while free:
        try:
            found.append(unbidden(Run(course, beam()), course.plan))
        except BackbeamError as error:
            found.append(str(error))
        free.pop(0)
    assert [found[0], found[1], found[3]] == [Store(), Reversible(), Reversible()]
    assert re.fullmatch("no adjoint fits in .*: reversible needs least, .* more", found[2])


@pytest.mark.usefixtures("no_question")
@pytest.mark.parametrize(("times", "chosen"), [({}, Store()), ({"reversible": 2.7}, Reversible())])
def test_small_beams_ask_nobody_and_of_two_as_fast_take_the_one_that_undoes(monkeypatch, times, chosen):
    take(monkeypatch, **times)
    for adjoint in (None, Auto(), "auto"):
        found = differentiate("sigma_x", LINE, beam(), ["d.length"], space_charge=MODEL, adjoint=adjoint)
        assert found.adjoint == chosen
    rows = bb.jacobian(["sigma_x", "sigma_y"], LINE, beam(), ["d.length"], space_charge=MODEL)[1]["d.length"]
    assert rows[0] == pytest.approx(found.gradient["d.length"], rel=1e-12)


@pytest.mark.usefixtures("no_question")
def test_under_a_transform_it_is_reversible(monkeypatch):
    """Which may make many beams of one: nobody asks how much is free."""
    import torch

    monkeypatch.setattr(planner, "LITTLE", 0)
    here = beam(backend="torch")

    def size(length):
        return bb.track(LINE.replace({"d.length": length}), here, space_charge=MODEL).sigma("x")

    lengths = torch.tensor([1.0, 1.1], dtype=torch.float64)
    slopes = torch.func.vmap(torch.func.grad(size))(lengths)
    _, right = bb.value_and_grad(
        "sigma_x", LINE.replace({"d.length": lengths}), here, ["d.length"], space_charge=MODEL, adjoint="store"
    )
    torch.testing.assert_close(slopes, right["d.length"], rtol=1e-11, atol=0.0)


@pytest.fixture
def no_question(monkeypatch):
    """No adapter is asked what is free."""

    def free_memory(self, array):
        raise AssertionError("asked")

    for name in ("numpy", "torch"):
        monkeypatch.setattr(type(backends.get(name).meter), "free_memory", free_memory)


def test_a_library_of_which_nothing_is_known_undoes():
    found = differentiate("sigma_x", LINE, beam(backend="array_api_strict"), ["d.length"], space_charge=MODEL)
    assert found.adjoint == Reversible()


LINEAR = [bb.Quadrupole(0.2, k1=k, model="linear") for k in (3.0, -3.0)]


@pytest.mark.parametrize(
    ("elements", "of"),
    [(LINEAR, table.MATRIX), ([*LINEAR, bb.Monitor()], table.MATRIX), ([*LINEAR, bb.Drift(1.0)], table.MAPS)],
)
def test_what_the_time_of_a_line_goes_into(elements, of):
    line = bb.Line(elements)
    assert made_of(Course.of(line).plan) == of
    assert made_of(Course.of(line, turns=3).plan) in (of, table.MAPS)
    assert made_of(Course.of(line, space_charge=MODEL).plan) == table.KICKS


def test_auto_when_torch_records():
    import torch

    X = torch.tensor(np.random.default_rng(5).normal(size=(6, 100)) * 1e-4, requires_grad=True)
    here = bb.Beam.from_arrays(X, species="electron", kinetic_energy=50e6, charge=1e-10)
    bars = []
    for adjoint in ("auto", Auto(budget=76_000), "store", None):
        out = bb.track(LINE, here, space_charge=MODEL, adjoint=adjoint)
        (bar,) = torch.autograd.grad(out.sigma("x"), X)
        bars.append(bar)
    for bar in bars[1:]:
        torch.testing.assert_close(bar, bars[0], rtol=1e-9, atol=0.0)
    with pytest.raises(BackbeamError, match="no adjoint fits"):
        bb.track(LINE, here, space_charge=MODEL, adjoint=Auto(budget=1000))
    with torch.no_grad():  # nothing is recorded, so nothing need fit
        bb.track(LINE, here, space_charge=MODEL, adjoint=Auto(budget=1000))


@pytest.mark.parametrize("budget", [0, -1, 1.5, "8GiB", True])
def test_a_bad_budget_is_refused(budget):
    with pytest.raises(InputError, match=r"adjoint\.budget"):
        Auto(budget)


def test_auto_has_a_name_and_no_other_name_passes():
    assert adjoint_named("auto") == Auto()
    with pytest.raises(InputError, match="reversible, store, checkpoint, tape, auto"):
        bb.value_and_grad(bb.observables.sigma("x"), LINE, beam(), ["d.length"], adjoint="automatic")


def test_of_two_that_are_as_fast_the_one_that_takes_clearly_less_is_chosen(monkeypatch):
    take(monkeypatch, reversible=2.7)
    assert choose(forecast(problem()), 10**12).recommended.adjoint == Reversible()  # 2.7 is as good as 2.5
    take(monkeypatch, reversible=2.8)
    assert choose(forecast(problem()), 10**12).recommended.adjoint == Store()


def test_grids_of_threads_are_counted():
    one = forecast(problem(backend="numpy"))
    kick = next(step for step in one.plan if type(step).__name__ == "Kick")
    sizes = features(kick, N, 1, Threads(grids=3, particles=32_000))
    assert sizes["share"] == 3 * CELLS and (sizes["particle"], sizes["hand"]) == (N, 32_000)
    alone = features(kick, 20_000, 1, Threads(grids=0, particles=20_000))
    assert (alone["particle"], alone["whole"], alone["share"]) == (0.0, 20_000, 0.0)
    assert weigh({"particle": 3.0}, alone) == 60_000 and weigh({"particle": 3.0, "whole": 5.0}, alone) == 100_000


def test_blocks_are_in_hand_one_for_each_thread(monkeypatch):
    numpy = backends.get("numpy")
    for threads in (1, 2):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        hands = [numpy.meter.in_hand(n, 16_000) for n in (10_000, 31_999, 32_000, 48_000, 160_000)]
        assert hands == [10_000, 31_999, 16_000, 16_000 * threads, 16_000 * threads]
        # Of large blocks the first is a sixth, and done alone.
        hands = [numpy.meter.in_hand(n, 30_000) for n in (59_999, 65_000, 125_000)]
        assert hands == [59_999, 30_000 * threads, 30_000 * threads]
    assert backends.get("jax").meter.in_hand(10**6) == 0


def test_threads_get_grids_of_their_own_from_many_particles_on(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert [backends.get(name).meter.deposit_grids(1, 10**7) for name in ("numpy", "torch", "jax")] == [1, 1, 0]
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert backends.get("numpy").meter.deposit_grids(1, 1000) == 0
    assert backends.get("torch").meter.deposit_grids(1, 10**7) == backends.get("numpy").meter.deposit_grids(1, 10**7)
