"""A beam found from its images, small: the emittances come near the true ones; six dimensions with space charge run."""

from __future__ import annotations

import pytest
import torch

from backbeam_torch.examples import phase_space


def test_the_emittances_of_four_dimensions():
    found = phase_space.reconstruct(4, particles=2000, steps=50, strengths=5)
    assert found.measured.shape == (5, 48, 48) and float(found.measured.sum((1, 2)).min()) > 0.98
    assert found.history[-5:].mean() < 0.4 * found.history[0]
    for plane, (made, real) in phase_space.emittances(4, found).items():
        assert made == pytest.approx(real, rel=0.25), plane


def test_six_dimensions_with_space_charge(tmp_path):
    found = phase_space.reconstruct(6, particles=200, steps=2, strengths=1, space_charge=True)
    assert found.measured.shape == (6, 48, 48)
    assert not torch.equal(found.measured[0], found.measured[1])  # the dipole is off, and on
    assert set(phase_space.emittances(6, found)) == {"x", "y", "z"}
    picture = tmp_path / "found.png"
    phase_space.draw(6, found).savefig(picture)
    assert picture.stat().st_size > 10_000


def test_the_command(capsys):
    phase_space.main(["--steps", "1", "--particles", "100"])
    assert "emittance y: found" in capsys.readouterr().out
