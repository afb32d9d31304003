"""Real beams of Astra, Bmad, distgen and elegant, with what is known of them. Runs with ``--beams DIR``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backbeam.beam import Beam
from backbeam.beams import BeamFileWarning
from backbeam.errors import BackbeamWarning, InputError


@pytest.fixture
def folder(request):
    return Path(request.config.getoption("--beams"))


def test_bmad(folder):
    beam = Beam.load(folder / "bmad_particles.h5")
    assert beam.n == 10_000 and beam.s == pytest.approx(0.445)
    assert float(beam.charge) == pytest.approx(-77e-12, rel=1e-12)
    assert float(beam.reference.momentum) == pytest.approx(41996891.31444237, rel=1e-15)
    assert float(beam.mean("tau")) == pytest.approx(0.0, abs=1e-16)
    np.testing.assert_allclose(beam.sigma(), [6.05510122e-5, 4.76857586e-4, 7.04379041e-5, 3.77566899e-4,
                                              8.99525987e-4, 1.42863748e-5], rtol=1e-8)  # fmt: skip


def test_astras_list_is_one_of_fixed_time(folder, tmp_path):
    with pytest.raises(InputError, match=r"beam\.iteration is None; allowed: one of 0, 1"):
        Beam.load(folder / "astra_particles.h5")
    with pytest.warns(BeamFileWarning, match="6 of 998"):
        beam = Beam.load(folder / "astra_particles.h5", iteration=0)
    assert float(beam.sigma("tau")) == pytest.approx(9.29697391e-05, rel=1e-8)  # by its times as they stand: 2.61e-3
    assert float(beam.charge) == pytest.approx(-9.92992e-11, rel=1e-6)
    beam.save(tmp_path / "again.h5")
    np.testing.assert_allclose(Beam.load(tmp_path / "again.h5").coordinates, beam.coordinates, rtol=3e-15, atol=3e-15)


def test_distgen_at_a_cathode(folder):
    with pytest.warns(BackbeamWarning, match="441.5"):  # so slow a reference is asked about
        beam = Beam.load(folder / "distgen_particles.h5")
    assert beam.n == 10_000 and float(beam.charge) == pytest.approx(-1e-11, rel=1e-12)
    assert float(beam.sigma("x")) == pytest.approx(2.00765883e-3, rel=1e-8)


@pytest.mark.parametrize(("name", "n", "beta_gamma"), [
    ("bunchFile-sourceFile.forward-beam-output.sdds", 5000, 711.638938859),
    ("SCRIPT-commandInputFile.beam.sdds", 100, None),
])  # fmt: skip
def test_elegant(folder, name, n, beta_gamma):
    with pytest.raises(InputError, match=r"^beam\.charge is None"):
        Beam.load(folder / name)
    beam = Beam.load(folder / name, charge=1e-9)
    assert beam.n == n and float(beam.charge) == pytest.approx(-1e-9, rel=1e-12)
    if beta_gamma is not None:
        assert float(beam.reference.beta_gamma) == pytest.approx(beta_gamma, rel=1e-11)
