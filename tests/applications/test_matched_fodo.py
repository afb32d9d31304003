"""The matched FODO cell with space charge: what goes in comes out, and goes on doing so."""

from __future__ import annotations

import pytest

import backbeam as bb
from backbeam.examples import matched_fodo as program


@pytest.fixture(scope="module")
def problem():
    return program.problem(particles=3000, grid=10)


@pytest.fixture(scope="module")
def begin(problem) -> dict[str, float]:
    return program.envelope(problem.line(), problem.beam())


def test_envelope_of_moments_is_that_of_the_symmetric_cell(problem, begin):
    """The cell turns into itself, seen backwards with x and y exchanged; its own field widens the bunch."""
    assert begin["beam.beta_x"] == pytest.approx(begin["beam.beta_y"], rel=1e-6)
    assert begin["beam.alpha_x"] == pytest.approx(-begin["beam.alpha_y"], rel=1e-6)
    bare = problem.beam().parameters()
    assert 1.1 * bare["beta_x"] < begin["beam.beta_x"] < 1.5 * bare["beta_x"]
    weak = problem.beam().with_parameters(charge=1e-15)
    alone = program.envelope(problem.line(), weak)
    assert alone["beam.beta_x"] == pytest.approx(float(bare["beta_x"]), rel=1e-5)


def test_particles_come_out_as_they_went_in(problem, begin):
    found = program.match(problem, begin)
    assert found.success and found.passes <= 6
    options = {"space_charge": problem.space_charge(), "slices": program.SLICES}
    out = bb.track(problem.line(), found.beam, **options)
    for plane in "xy":
        first, last = found.beam.twiss(plane), out.twiss(plane)
        assert float(last.beta) == pytest.approx(float(first.beta), rel=2e-4)
        assert float(last.alpha) == pytest.approx(float(first.alpha), abs=2e-4)
        assert float(out.sigma(plane)) == pytest.approx(float(found.beam.sigma(plane)), rel=0.01)
    ways = [program.sizes(problem, beam, 2) for beam in (problem.beam(), found.beam)]
    before, after = (program.beating(way, 2) for way in ways)
    assert before > 0.15
    assert after < 0.2 * before
    assert len(program.draw({"a": ways[0], "b": ways[1]}).axes) == 2
