"""Tunes by NAFF: of a line of known frequency, of two, and of tracking beside optics."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb
from backbeam.errors import InputError
from backbeam.naff import tunes_of


def cell() -> bb.Line:
    half = bb.Drift(1.2, name="d")
    return bb.Line([bb.Quadrupole(0.4, k1=0.6, name="qf"), half, bb.Quadrupole(0.4, k1=-0.6, name="qd"), half])


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
    X = np.zeros((6, 1))
    X[0], X[2] = 1e-6, 0.7e-6
    beam = bb.Beam.from_arrays(X, species="proton", kinetic_energy=4e8, charge=1e-12)
    o = bb.optics(cell(), beam)
    found = bb.track(cell(), beam, turns=160, record=bb.Record(particles=[0])).readings["turns"]
    x, px, y, py = found.particles[:4, 0, :]
    row = o["start"]
    planes = ((x, px, row.beta_x, row.alpha_x, o.tune_x), (y, py, row.beta_y, row.alpha_y, o.tune_y))
    for q, p, beta, alpha, tune in planes:
        normal = q / np.sqrt(beta), (alpha * q + beta * p) / np.sqrt(beta)
        assert np.isclose(tunes_of(*normal), tune % 1.0, atol=1e-8)
