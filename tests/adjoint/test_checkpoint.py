"""The schedule of checkpoints recomputes as little as can be, and keeps no more than it was allowed."""

from __future__ import annotations

import weakref
from functools import cache

import numpy as np
import pytest
from adjoint_lines import CASES, deviation

import backbeam as bb
from backbeam.adjoint import checkpoint
from backbeam.adjoint.checkpoint import spine, split


@cache
def fewest(length: int, slots: int) -> int:
    """Pieces that must be run to reverse a stretch whose first state is at hand: every choice is tried."""
    if length <= 1:
        return 0
    if slots == 0:
        return length * (length - 1) // 2
    return min(m + fewest(length - m, slots - 1) + fewest(m, slots) for m in range(1, length))


def scheduled(length: int, slots: int) -> int:
    """The same for our own choice."""
    if length <= 1:
        return 0
    if slots == 0:
        return length * (length - 1) // 2
    m = split(length, slots)
    assert 1 <= m < length
    return m + scheduled(length - m, slots - 1) + scheduled(m, slots)


@pytest.mark.parametrize("slots", [1, 2, 3, 4, 7, 12])
def test_no_schedule_recomputes_less(slots):
    for length in range(1, 60):
        assert scheduled(length, slots) == fewest(length, slots), length


def test_with_a_slot_for_every_state_nothing_is_recomputed():
    assert spine(10, 9) == list(range(1, 10))
    assert scheduled(10, 9) == 9  # the first run itself


@pytest.mark.parametrize("slots", [1, 2, 4, 30])
def test_pieces_run_and_states_alive_in_a_real_gradient(slots, monkeypatch):
    """At any time the states that live are the first, the last, the slots', and the one under way."""
    case = CASES["fodo"]
    kicks = bb.count_kicks(case.line(), **case.options())
    pieces = kicks
    alive: list[weakref.ref] = []
    counts = {"run": 0, "most": 0}
    true_run, true_advance, true_replay = checkpoint.run_and_keep, checkpoint.advance, checkpoint.replay

    def living() -> int:
        return len({id(array) for ref in alive if (array := ref()) is not None})

    def advance(piece, setting, state, P):
        counts["run"] += 1
        state, readings = true_advance(piece, setting, state, P)
        alive.append(weakref.ref(state.X))
        return state, readings

    def run_and_keep(pieces, *rest):
        counts["run"] += len(pieces)
        state, readings, kept = true_run(pieces, *rest)
        alive.extend(weakref.ref(X) for X in (state.X, *(one[0] for one in kept)))
        return state, readings, kept

    def replay(piece, setting, state, *rest):
        counts["most"] = max(counts["most"], living())
        return true_replay(piece, setting, state, *rest)

    for function in (run_and_keep, advance, replay):
        monkeypatch.setattr(checkpoint, function.__name__, function)
    found = case.differentiate(bb.Checkpoint(slots=slots))
    monkeypatch.undo()
    places = spine(pieces, slots)
    assert counts["run"] == pieces + fewest(pieces, slots) - (places[-1] if places else 0)
    # Besides the slots: the state at the end of the line, which the objective needs, and the one that a slotless
    # stretch has just run to.
    assert counts["most"] <= slots + 2
    assert deviation(found.gradient, case.differentiate(bb.Store()).gradient) <= 1e-13


def test_slots_are_a_whole_number():
    for bad in (0, -1, 2.0, True, "3"):
        with pytest.raises(bb.InputError, match=r"adjoint\.slots is .*; allowed: a whole number, at least 1"):
            bb.Checkpoint(slots=bad)


def test_a_line_without_kicks_is_cut_by_its_maps():
    line = bb.Line([bb.Drift(0.1), bb.Quadrupole(0.1, k1=3.0, name="q")] * 8)
    beam = CASES["fodo"].draw()
    wanted = bb.value_and_grad(bb.observables.sigma("x"), line, beam, ["q.k1"], adjoint=bb.Store())[1]
    found = bb.value_and_grad(bb.observables.sigma("x"), line, beam, ["q.k1"], adjoint=bb.Checkpoint(slots=2))[1]
    np.testing.assert_allclose(found["q.k1"], wanted["q.k1"], rtol=1e-13)
