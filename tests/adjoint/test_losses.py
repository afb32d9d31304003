"""What changes on the way comes back exactly: who is lost, and the reference energy."""

from __future__ import annotations

import numpy as np
import pytest
from adjoint_lines import CASES, accelerator, apertures, deviation

import backbeam as bb
from backbeam.adjoint.base import zero_parameters
from backbeam.course import Course
from backbeam.plan import ALIVE, LOST_BEFORE, Bars, advance, compile_line, retreat
from backbeam.run import Run


def there_and_back(line, beam, options):
    """States at the start, at the end, and as the way back finds the start."""
    course = Course.of(line, **options)
    run = Run(course, beam)
    plan = compile_line(line, course.slicing, course.effects)
    setting = run.setting(plan)
    first = run.state()
    last, _ = advance(plan, setting, first, run.parameters)
    rng = np.random.default_rng(0)
    X_bar, parameters = rng.normal(size=last.X.shape), zero_parameters(first, run.parameters, run.core_ranks)
    bars = Bars(X_bar, np.zeros_like(first.q), np.zeros_like(first.beta_gamma), parameters)
    back, bars = retreat(plan, setting, last, run.parameters, bars, ())
    return first, last, back, bars


def test_the_lost_come_back_to_life_where_they_were_lost():
    case = CASES["apertures"]
    first, last, back, _ = there_and_back(apertures(), case.draw(), case.options())
    steps, counts = np.unique(last.lost_at, return_counts=True)
    assert steps.tolist() == [ALIVE, 0, 1] and counts.min() > 10
    np.testing.assert_array_equal(back.lost_at, first.lost_at)
    assert np.all(first.lost_at == ALIVE)
    np.testing.assert_allclose(back.X, first.X, rtol=0, atol=1e-17)
    np.testing.assert_allclose(back.beta_gamma, first.beta_gamma, rtol=1e-15)
    assert last.beta_gamma > 1.05 * first.beta_gamma


def test_reference_energy_comes_back():
    case = CASES["acceleration"]
    first, last, back, _ = there_and_back(accelerator(), case.draw(), case.options())
    assert last.beta_gamma > 1.6 * first.beta_gamma
    np.testing.assert_allclose(back.beta_gamma, first.beta_gamma, rtol=2e-15)
    np.testing.assert_allclose(back.X, first.X, rtol=0, atol=1e-16)


def test_who_was_lost_before_the_line_stays_out_of_it():
    """They are not moved, carry no charge, have the number of the step of then, and no gradient but their own."""
    case = CASES["apertures"]
    once = bb.track(apertures(), case.draw(), **case.options())
    line = bb.Line([bb.Drift(0.2), bb.Aperture(half_x=1e-3, half_y=1e-3), bb.Drift(0.3)])
    first, last, back, bars = there_and_back(line, once, case.options())
    gone = np.asarray(once.lost_at) >= 0
    assert gone.sum() > 20 and np.all(first.lost_at[gone] == LOST_BEFORE)
    assert (last.lost_at == 0).sum() > 5
    np.testing.assert_array_equal(last.X[:, gone], first.X[:, gone])
    np.testing.assert_array_equal(back.lost_at, first.lost_at)
    np.testing.assert_array_equal(bars.X[:, gone], np.random.default_rng(0).normal(size=last.X.shape)[:, gone])
    assert not np.any(bars.q[gone])
    twice = bb.track(line, once, **case.options())
    np.testing.assert_array_equal(np.asarray(twice.lost_at)[gone], np.asarray(once.lost_at)[gone])


@pytest.mark.parametrize("adjoint", [bb.Reversible(), bb.Checkpoint(slots=1), bb.Store()], ids=repr)
def test_a_beam_that_is_all_lost_has_a_gradient_of_zero(adjoint):
    line = bb.Line([bb.Drift(0.2, name="d"), bb.Aperture(half_x=1e-9, half_y=1e-9), bb.Drift(0.3, name="e")])
    case = CASES["apertures"]
    objective = bb.observables.sigma("x") + bb.observables.mean_square_size()
    value, gradient = bb.value_and_grad(
        objective, line, case.draw(), ["d.length", "e.length", "beam.charge"], adjoint=adjoint, **case.options()
    )
    assert value == 0.0 and all(g == 0.0 for g in gradient.values())


def test_transmitted_charge():
    """It is that of the particles which pass: its slope with the whole is their share."""
    case = CASES["apertures"]
    wrt = ["beam.charge", "q.k1"]
    value, found = bb.value_and_grad(
        bb.observables.transmitted_charge(), case.line(), case.draw(), wrt, **case.options()
    )
    out = bb.track(case.line(), case.draw(), **case.options())
    share = 1.0 - float(out.lost) / out.n
    assert 0.1 < share < 0.9
    assert float(value) == pytest.approx(1e-9 * share, rel=1e-12)
    assert float(found["beam.charge"]) == pytest.approx(share, rel=1e-12)
    assert float(found["q.k1"]) == 0.0


def test_losses_agree_with_the_tape_on_every_library():
    case = CASES["apertures"]
    wanted = case.differentiate(bb.Tape(), "torch").gradient
    for library in ("numpy", "torch", "array_api_strict"):
        assert deviation(case.differentiate(bb.Reversible(), library).gradient, wanted) <= 1e-11
