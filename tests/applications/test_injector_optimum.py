"""The injector at a small size: its gradient beside differences, its energy, a search, and the memory that it takes."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb
from backbeam.examples import injector_optimum as program


@pytest.fixture(scope="module")
def problem():
    return program.problem(particles=300, grid=8, step=1.0)


def test_gradient_by_all_parameters(problem):
    """20 of them, of line and beam, and 5 that follow: along a direction, beside a difference."""
    options = {"space_charge": problem.space_charge(), **problem.track_options(), "adjoint": "reversible"}
    f = bb.function(program.EMITTANCE, problem.line(), problem.beam(), program.VARY | program.TIES, **options)
    assert len(f.names) == 20
    direction = np.random.default_rng(2).normal(size=20)
    _, slope = f.value_and_grad(f.x0)
    h = 1e-5
    wanted = (f(f.x0 + h * direction) - f(f.x0 - h * direction)) / (2.0 * h)
    assert slope @ direction == pytest.approx(wanted, rel=1e-5)
    line, beam = f.unpack(f.x0 + 0.02 * direction)
    out = bb.track(line, beam, **options)
    assert float(out.reference.kinetic_energy) == pytest.approx(100e6, rel=1e-12)


def test_a_few_passes_make_the_emittance_smaller(problem):
    found = program.tune(problem, passes=3)
    assert found.gradients == 3
    options = {"space_charge": problem.space_charge(), **problem.track_options()}
    before = bb.track(problem.line(), problem.beam(), **options)
    after = bb.track(found.line, found.beam, **options)
    assert program.emittance(after) < 0.95 * program.emittance(before)
    line, beam = program.at(problem, found.values)
    np.testing.assert_allclose(beam.coordinates, found.beam.coordinates, rtol=1e-12)
    assert program.emittance(bb.track(line, beam, **options)) == pytest.approx(program.emittance(after), rel=1e-9)


def test_at_full_size_no_tape_fits():
    """Of 10^5 particles with a kick every 5 cm: not a tape into 24 GB, but what undoes its kicks into a hundredth."""
    needed = program.needs(program.problem(particles=100_000, grid=32, step=0.05))
    assert needed["tape"] > 24e9
    assert needed["reversible"] < 0.24e9
    fewer = program.needs(program.problem(particles=100_000, grid=32, step=0.2))
    assert fewer["reversible"] == pytest.approx(needed["reversible"], rel=0.01)
    assert fewer["tape"] < 0.8 * needed["tape"]
    assert program.peak() > 50e6
