"""A beam found from its images, small: the emittances come near the true ones; six dimensions with space charge run."""

from __future__ import annotations

import pytest

from backbeam.examples import phase_space


def test_the_emittances_of_four_dimensions():
    found = phase_space.reconstruct(4, particles=3000, steps=70, strengths=5)
    assert found.measured.shape == (5, 48, 48) and float(found.measured.sum((1, 2)).min()) > 0.98
    assert found.history[-5:].mean() < 0.4 * found.history[0]
    for plane, (made, real) in phase_space.emittances(4, found).items():
        assert made == pytest.approx(real, rel=0.2), plane


def test_six_dimensions_with_space_charge(tmp_path, capsys):
    picture = tmp_path / "found.png"
    phase_space.main(
        ["--dimensions", "6", "--space-charge", "--steps", "2", "--particles", "300", "--plot", str(picture)]
    )
    assert "emittance z: found" in capsys.readouterr().out and picture.stat().st_size > 10_000
