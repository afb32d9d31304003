"""Turn by turn: as one long line, losses by turn, tunes by NAFF beside those of optics."""

from __future__ import annotations

import numpy as np
import pytest
from rings import fodo, reference

import backbeam as bb
from backbeam.errors import InputError
from backbeam.turns import tunes_of


def swarm(amplitudes: np.ndarray) -> bb.Beam:
    X = np.zeros((6, len(amplitudes)))
    X[0], X[2] = amplitudes, 0.7 * amplitudes
    return bb.Beam.from_arrays(X, species="proton", kinetic_energy=4e8, charge=1e-12)


def test_turns_are_one_long_line():
    beam = swarm(np.asarray([1e-4, 1e-3, 2e-3]))
    found = bb.track_turns(fodo(), beam, 7, particles=[2, 0])
    expected = bb.track(fodo() * 7, beam)
    assert np.array_equal(found.beam.coordinates, expected.coordinates)
    assert found.positions.shape == (6, 2, 8) and np.array_equal(found.positions[:, 0, -1], expected.coordinates[:, 2])
    assert np.allclose(found.mean[:, -1], expected.mean()) and np.allclose(found.sigma[:, 0], beam.sigma())
    assert np.isclose(found.beam.s, expected.s)


def test_losses_by_turn():
    line = bb.Line([fodo(), bb.Aperture(0.005, 0.005, name="a")])
    found = bb.track_turns(line, swarm(np.asarray([1e-4, 4.9e-3, 2e-2])), 20)
    assert found.lost_in[0] == 0 and found.lost_in[2] == 1 and found.alive[0] == 3
    for turn in range(1, 21):
        assert found.alive[turn] == 3 - np.sum((found.lost_in > 0) & (found.lost_in <= turn))


@pytest.mark.parametrize("q", (0.1234567, 0.4321, 0.01, 0.77))
def test_naff_finds_a_line(q):
    n = np.arange(512)
    x, p = np.cos(2 * np.pi * q * n + 0.3), -np.sin(2 * np.pi * q * n + 0.3)
    assert np.isclose(tunes_of(x + 0.2, p - 0.1), q, atol=1e-9)
    assert np.isclose(tunes_of(x), min(q, 1 - q), atol=1e-6 if q > 0.02 else 1e-4)
    assert np.isnan(tunes_of(np.zeros(64)))
    with pytest.raises(InputError, match="at least 8"):
        tunes_of(x[:5])


def test_naff_of_tracking_is_the_tune_of_optics():
    o = bb.optics(fodo(), reference())
    found = bb.track_turns(fodo(), swarm(np.asarray([1e-6])), 160, particles=[0])
    x, px, y, py = found.positions[:4, 0, :]
    row = o["start"]
    planes = ((x, px, row.beta_x, row.alpha_x, o.tune_x), (y, py, row.beta_y, row.alpha_y, o.tune_y))
    for q, p, beta, alpha, tune in planes:
        normal = q / np.sqrt(beta), (alpha * q + beta * p) / np.sqrt(beta)
        assert np.isclose(tunes_of(*normal), tune % 1.0, atol=1e-8)


def test_what_is_refused():
    with pytest.raises(InputError, match="at least 1"):
        bb.track_turns(fodo(), swarm(np.ones(1) * 1e-4), 0)
    with pytest.raises(InputError, match="from 0 to 0"):
        bb.track_turns(fodo(), swarm(np.ones(1) * 1e-4), 2, particles=[1])
