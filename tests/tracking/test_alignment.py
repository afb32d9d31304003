"""Errors of alignment by passage: each use its own, from a seed, with the spread that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb


def cell():
    q = bb.Quadrupole(0.2, k1=3.0, name="q.f", roll=0.1)
    return bb.Line([q, bb.Drift(0.5), bb.SectorBend(0.4, angle=0.1, name="b"), bb.Drift(0.5, name="d")])


def test_each_passage_has_its_own():
    line = cell() * 3
    machine = line.with_errors({"q*": {"dx": 1e-4, "roll": 1e-3}}, seed=4)
    assert [n for n in machine.names if n[0] == "q"] == ["q.f@1", "q.f@2", "q.f@3"]
    assert len({machine[f"q.f@{k}"].dx for k in (1, 2, 3)}) == 3
    assert abs(machine["q.f@1"].roll - 0.1) < 5e-3 and machine["q.f@1"].k1 == 3.0
    assert machine.sequence.count("b") == 3 and machine["b"] is line["b"]
    assert machine.length == line.length


def test_the_same_seed_is_the_same_machine():
    def errors(seed):
        machine = (cell() * 5).with_errors({"b": {"yaw": 1e-3}}, seed=seed)
        return [e.yaw for e in machine.elements if e.kind == "sector_bend"]

    assert errors(1) == errors(1) != errors(2)


def test_spread_and_ones_own_distribution():
    line = bb.Line([cell()] * 400)
    machine = line.with_errors({"b": {"dx": 2e-3}, "?": {"dy": lambda rng: rng.uniform(-1.0, 1.0)}}, seed=3)
    bends = [e for e in machine.elements if e.kind == "sector_bend"]
    assert np.std([e.dx for e in bends]) == pytest.approx(2e-3, rel=0.1)
    assert np.max([e.dy for e in bends]) < 1.0 and np.std([e.dy for e in bends]) == pytest.approx(3**-0.5, rel=0.1)
    assert all(e.dy is not None for e in machine.elements if e.name and e.name.startswith("d@"))


def test_an_element_used_once_keeps_its_name_and_its_gradient():
    machine = cell().with_errors({"b": {"roll": 1e-3}}, seed=1)
    beam = bb.Beam.from_arrays(np.zeros((6, 2)), species="electron", kinetic_energy=1e8, charge=1e-12)
    _, gradient = bb.value_and_grad(bb.observables.mean("py"), machine, beam, wrt=["b.roll"])
    assert float(gradient["b.roll"]) == pytest.approx(-np.sin(0.1), rel=1e-3)


def test_what_is_refused():
    with pytest.raises(bb.InputError, match="one of dx, dy, ds, pitch, yaw, roll"):
        cell().with_errors({"b": {"k1": 1e-3}}, seed=1)
    with pytest.raises(bb.InputError, match="a pattern of names"):
        cell().with_errors({"z*": {"dx": 1e-3}}, seed=1)
