"""The AWAKE optimum at a small size: gradients arrive earlier and lower, within bounds, and not for one beam alone."""

from __future__ import annotations

import numpy as np
import pytest

from backbeam.examples import awake_optimum as awake

PARTICLES = 300


@pytest.fixture(scope="module")
def case() -> awake.Sample:
    return awake.sample(seed=1, particles=PARTICLES)


@pytest.mark.parametrize("method", ["SLSQP", "L-BFGS-B"])
def test_gradient_methods_reach_the_design(case, method):
    """From 500 times its value, in some twenty calls; particles that the method has not seen agree."""
    f = case.function
    assert len(f.names) == 58
    assert f.unit[0] > 100 * awake.DESIGN
    found = awake.search(method, case, calls=25)
    assert found.reaches(awake.DESIGN) is not None
    assert len(found.values) <= 25
    assert np.all(found.x >= f.bounds.lb) and np.all(found.x <= f.bounds.ub)
    line, _ = f.unpack(found.x)
    other = awake.sample(seed=2, particles=2000).beam
    assert awake.size(line, case.beam) == pytest.approx(found.best[-1], rel=1e-9)
    assert awake.size(line, other) < awake.size(case.line, other)


def test_nelder_mead_is_not_there_after_twice_the_calls(case):
    found = awake.search("Nelder-Mead", case, calls=64)
    assert len(found.values) == 64
    assert found.reaches(awake.DESIGN) is None
    assert np.all(np.diff(found.best) <= 0.0)


def test_it_runs_as_a_program(tmp_path, capsys):
    picture = tmp_path / "optimum.png"
    awake.main(["--particles", "100", "--calls", "2", "--methods", "SLSQP", "Nelder-Mead", "--plot", str(picture)])
    said = capsys.readouterr().out
    assert "sample 1: start" in said and "method SLSQP" in said and "method Nelder-Mead" in said
    assert picture.read_bytes().startswith(b"\x89PNG")
