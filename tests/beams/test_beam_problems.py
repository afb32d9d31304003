"""Beams of files in problems and on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from beam_files import beam_of
from command_line import call, call_json, refused

from backbeam.beam import Beam
from backbeam.errors import InputError
from backbeam.problem import Problem

LATTICE = [{"drift": {"length": 0.5}}, {"quadrupole": {"name": "qf", "length": 0.2, "k1": 2.0}}]
DRAWN = {"distribution": "gaussian", "species": "electron", "n": 300, "charge": 1e-10, "kinetic_energy": 5e6,
         "sigma_x": 1e-3, "sigma_px": 1e-4, "sigma_y": 1e-3, "sigma_py": 1e-4}  # fmt: skip


def write(folder, beam, name="p.yaml"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(yaml.safe_dump({"beam": beam, "lattice": LATTICE}))
    return folder / name


def test_a_run_starts_from_what_another_saved(tmp_path):
    first = write(tmp_path, DRAWN)
    call("run", first, "--save-beam", tmp_path / "out.h5", "--output", tmp_path / "folder")
    second = write(tmp_path / "second", {"file": "../out.h5"})
    found = call_json("run", second)
    before = json.loads((tmp_path / "folder" / "summary.json").read_text())
    assert found["particles"] == 300 and found["initial"]["s"] == pytest.approx(0.7)
    for moment in ("mean", "sigma", "emittance"):
        for name, value in before["final"][moment].items():
            assert found["initial"][moment][name] == pytest.approx(value, rel=1e-10, abs=1e-16)
    archive = write(tmp_path / "third", {"file": "../folder/final_beam.npz"})
    assert call_json("run", archive)["initial"] == before["final"]
    assert Beam.load(tmp_path / "folder" / "final_beam.npz").s == pytest.approx(0.7)


def test_keys_of_the_file(tmp_path, backend, dtype):
    beam_of("proton", 2.5e6).save(tmp_path / "b.h5")
    path = write(tmp_path, {"file": "b.h5", "charge": 5e-9, "format": "openpmd", "iteration": 1,
                            "reference_momentum": 70e6, "species": "proton"})  # fmt: skip
    beam = Problem.load(path).beam(backend.name, dtype=dtype)
    assert beam.backend is backend and beam.dtype == dtype and beam.n == 200
    assert float(beam.charge) == pytest.approx(5e-9, rel=1e-6)
    assert float(beam.reference.momentum) == pytest.approx(70e6, rel=1e-6)


def test_there_is_nothing_to_seed(tmp_path):
    beam_of().save(tmp_path / "b.npz")
    path = write(tmp_path, {"file": "b.npz", "charge": "1 nC"})
    assert float(Problem.load(path).beam().charge) == pytest.approx(-1e-9, rel=1e-14)
    with pytest.raises(InputError, match=r"beam\.seed is 3; allowed: left out"):
        Problem.load(path).beam(seed=3)
    assert "beam.seed is an unknown key" in refused("run", path, "--seed", 3)


def test_a_gradient_by_its_charge_and_a_forecast(tmp_path):
    beam_of().save(tmp_path / "b.npz")
    path = write(tmp_path, {"file": "b.npz"})
    found = call_json("gradient", path, "--objective", "sigma_x", "--wrt", "qf.k1,beam.charge")
    assert set(found["gradient"]) >= {"qf.k1", "beam.charge"}
    assert call_json("memory", path, "--wrt", "qf.k1", "--objective", "sigma_x")["particles"] == 200


@pytest.mark.parametrize(("beam", "message"), [
    ({"file": "none.h5"}, "beam.file is '"),
    ({"file": 5}, "beam.file is 5; allowed: text"),
    ({"file": "b.npz", "n": 100}, "beam.n is an unknown key"),
    ({"file": "b.npz", "format": "csv"}, "beam.file is '"),
    ({"species": "electron"}, "beam.distribution is missing"),
])  # fmt: skip
def test_what_is_wrong_is_one_line(tmp_path, beam, message):
    beam_of().save(tmp_path / "b.npz")
    assert message in refused("run", write(tmp_path, beam))


def test_where_it_cannot_be_saved_is_said_before_it_runs(tmp_path):
    path = write(tmp_path, DRAWN)
    assert "beam.save" in refused("run", path, "--save-beam", tmp_path / "beam.docx")
    assert "beam.save" in refused("run", path, "--save-beam", tmp_path / "no" / "beam.h5")
    assert not (tmp_path / "no").exists()
    assert np.isfinite(call_json("run", path)["final"]["sigma"]["x"])
