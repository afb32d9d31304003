"""Misalignments identified from a scan: Jacobian beside differences, deviations beside their bars."""

from __future__ import annotations

import numpy as np
import pytest

from backbeam.examples import misalignments as program


@pytest.fixture(scope="module")
def scan() -> program.Scan:
    return program.scan(particles=50)


@pytest.fixture(scope="module")
def repeats(scan) -> list[program.Found]:
    return [program.identify(scan, seed) for seed in range(2)]


def test_jacobian_of_all_readings(scan):
    x, direction = np.random.default_rng(3).normal(0.0, 0.1, (2, 13))
    found = scan.jacobian(x) @ direction
    h = 1e-4
    wanted = (scan.readings(x + h * direction) - scan.readings(x - h * direction)) / (2.0 * h)
    assert found.shape == (204,)
    np.testing.assert_allclose(found, wanted, atol=1e-7 * np.abs(wanted).max())


def test_what_is_found_is_true_within_its_bars(repeats):
    """26 pulls, of which 1 or 2 beyond their bar of 95 % are to be expected; the noise explains what is left."""
    for found in repeats:
        assert np.all(np.abs(found.values - found.true)[:12] < 2e-6)
        assert np.all(np.abs(found.true[:12]) > 0) and np.abs(found.true[12]) > 1e-3
        assert 191 - 4 * np.sqrt(2 * 191) < found.chi2 < 191 + 4 * np.sqrt(2 * 191)
        assert found.distance < 40.0  # once in 10^4 for 13
        assert found.calls <= 6
    assert program.holds(repeats).sum() >= 22
    assert 0.5 < np.std([found.pulls for found in repeats]) < 1.5


def test_it_draws(repeats):
    figure = program.draw(repeats)
    assert len(figure.axes) == 3
