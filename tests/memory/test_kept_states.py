"""What an adjoint is said to keep is what its forward run hands over, to the byte."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb
from backbeam.adjoint import Checkpoint, Reversible, Store, checkpoint
from backbeam.adjoint.base import cut, zero_parameters
from backbeam.adjoint.checkpoint import longest_piece, recomputed
from backbeam.course import Course
from backbeam.plan import Bars, unroll
from backbeam.run import Run

N = 50
ADJOINTS = (Reversible(), Reversible(3), Reversible(1), Store(), Checkpoint(1), Checkpoint(3), Checkpoint(50))


def lines():
    """Lines with and without kicks, with losses here and there, with maps that merge."""
    drift, quad = bb.Drift(0.1, name="d"), bb.Quadrupole(0.1, k1=2.0, name="q")
    aperture, linear = bb.Aperture(half_x=0.1, half_y=0.1), bb.Drift(0.1, model="linear")
    yield "drift", bb.Line([bb.Drift(0.5, name="d", slices=7)])
    yield "magnets", bb.Line([drift, quad, drift, quad, bb.Monitor(name="m"), drift])
    yield "losses", bb.Line([drift, aperture, quad, drift, aperture, bb.Marker(), drift, quad])
    yield "losses at the end", bb.Line([drift, drift, aperture])
    yield "merged", bb.Line([linear, linear, drift, linear, linear, quad, aperture, linear])
    yield "bend", bb.Line([bb.SectorBend(0.2, angle=0.1, e1=0.01), quad, bb.Screen(half_x=0.1, half_y=0.1, name="s")])


LINES = dict(lines())


def prepared(line, kicks, dtype="float64"):
    X = np.random.default_rng(3).normal(size=(6, N)) * 1e-4
    beam = bb.Beam.from_arrays(X.astype(dtype), species="electron", kinetic_energy=50e6, charge=1e-10)
    model = bb.SpaceCharge3D(grid=(6, 6, 6)) if kicks else None
    run = Run(Course.of(line, space_charge=model, slices=2), beam)
    return run, run.course.plan, run.setting(run.course.plan)


def arrays_of(nest):
    if isinstance(nest, dict):
        nest = list(nest.values())
    if isinstance(nest, list | tuple):
        return [a for part in nest for a in arrays_of(part)]
    return [nest]


@pytest.mark.parametrize("kicks", [True, False], ids=["kicks", "no kicks"])
@pytest.mark.parametrize("adjoint", ADJOINTS, ids=str)
@pytest.mark.parametrize("label", LINES)
def test_the_count_is_what_the_forward_run_keeps(label, adjoint, kicks):
    run, plan, setting = prepared(LINES[label], kicks)
    first = run.state()
    _, _, kept = adjoint.forward(run.backend, plan, setting, first, run.parameters)
    mine = {a.__array_interface__["data"][0]: a.nbytes for a in arrays_of(kept) if a.shape[-1:] == (N,)}
    of_beam = {a.__array_interface__["data"][0] for a in (first.X, first.q, first.lost_at)}
    found = sum(size for place, size in mine.items() if place not in of_beam)
    assert found == N * adjoint.kept_bytes(unroll(plan), "float64", setting.masked)


def test_float32_is_anchored_by_default_and_halves_the_states():
    line = bb.Line([bb.Drift(0.5, name="d", slices=40)])
    _, plan, setting = prepared(line, True)
    assert Reversible().kept_bytes(unroll(plan), "float64", setting.masked) == 0
    assert Reversible().kept_bytes(unroll(plan), "float32", setting.masked) == 2 * 24  # 40 kicks, an anchor every 16
    assert Store().kept_bytes(unroll(plan), "float32", setting.masked) == 39 * 24 + 24


@pytest.mark.parametrize("slots", [1, 2, 3, 7, 30])
@pytest.mark.parametrize("slices", [1, 2, 5, 12, 20])
def test_recomputation_is_counted_as_it_is_done(monkeypatch, slots, slices):
    run, plan, setting = prepared(bb.Line([bb.Drift(0.5, name="d", slices=slices)]), True)
    adjoint, done = Checkpoint(slots), []
    right = checkpoint.advance
    monkeypatch.setattr(checkpoint, "advance", lambda *given: done.append(1) or right(*given))
    first = run.state()
    last, _, kept = adjoint.forward(run.backend, plan, setting, first, run.parameters)
    done.clear()
    nothing = (np.zeros_like(a) for a in (first.X, first.q, first.beta_gamma))
    adjoint.backward(
        run.backend,
        plan,
        setting,
        first,
        last,
        kept,
        run.parameters,
        Bars(*nothing, zero_parameters(first, run.parameters, run.core_ranks)),
        (),
    )
    assert len(done) == recomputed(len(cut(unroll(plan), 1)), slots)


def test_the_longest_piece_counts_maps_between_kicks():
    line = bb.Line(
        [bb.ThinMultipole(k2l=0.1), bb.ThinMultipole(k2l=0.1), bb.Monitor(name="m"), bb.Drift(0.2, name="d")]
    )
    assert longest_piece(prepared(line, True)[1]) == 4  # two thin ones, half a drift, and the whole one after the kick
    assert longest_piece(prepared(line, False)[1]) == 1
