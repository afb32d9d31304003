"""A machine as a LUME model, as Xopt's evaluator and as Badger's environment."""

from __future__ import annotations

import numpy as np
import pytest
import stand_ins

import backbeam as bb
from backbeam.integrations import Machine
from backbeam.integrations.lume_model import LineModel
from backbeam.integrations.xopt_machine import badger_environment, evaluation, evaluator, vocs


def machine(moments=True):
    line = bb.Line([
        bb.Quadrupole(0.1, k1=3.0, name="q"), bb.Corrector(None, hkick=0.0, name="c"), bb.Drift(1.0),
        bb.Monitor(name="m"),
    ])  # fmt: skip
    beam = bb.Beam.gaussian(
        n=200,
        species="electron",
        kinetic_energy=50e6,
        charge=1e-10,
        sigma_x=1e-3,
        sigma_px=1e-4,
        sigma_y=1e-3,
        mean_x=1e-3,
    )
    limits = {"q.k1": (-9.0, 9.0), "c.hkick": (-1e-3, 1e-3)}
    return Machine(line, bb.MomentBeam.of(beam) if moments else beam, limits, ["sigma_x", "reading:m.x"])


@pytest.mark.parametrize("moments", [True, False], ids=["moments", "particles"])
def test_a_lume_model(moments):
    there = machine(moments)
    model = LineModel(there)
    from lume.exceptions import ReadOnlyError
    from lume.model import LUMEModel

    assert isinstance(model, LUMEModel)
    wanted = there.read({})
    assert model.get(["q.k1", "sigma_x"]) == {"q.k1": 3.0, "sigma_x": wanted["sigma_x"]}
    assert model.supported_variables["q.k1"].unit == "1/m^2"
    model.set({"q.k1": -5.0})
    model.set({"c.hkick": 1e-4})
    assert model.get_value("reading:m.x") == there.read({"q.k1": -5.0, "c.hkick": 1e-4})["reading:m.x"]
    for bad, error, said in (
        ({"q.k1": 99.0}, ValueError, "out of valid range"), ({"sigma_x": 1.0}, ReadOnlyError, "read-only"),
        ({"q.k2": 1.0}, ValueError, "not supported"),
    ):  # fmt: skip
        with pytest.raises(error, match=said):
            model.set(bad)
    assert model.get_value("q.k1") == -5.0
    model.reset()
    assert model.get_value("q.k1") == 3.0 and model.get_value("sigma_x") == wanted["sigma_x"]


@pytest.mark.parametrize("moments", [True, False], ids=["moments", "particles"])
def test_a_lume_model_has_images(moments):
    given = machine(moments)
    cell = given.line + bb.Line([bb.Screen(half_x=4e-3, half_y=4e-3, pixels=(8, 6), name="yag")])
    limits = dict(zip(given.settings, zip(given.low, given.high, strict=True), strict=True))
    there = Machine(cell, given.beam, limits, ["sigma_x @ c"], images=["yag"])
    model = LineModel(there)
    variable = model.supported_variables["yag"]
    assert variable.shape == (8, 6) and variable.unit == "C" and variable.read_only
    model.set({"q.k1": -5.0})
    seen = model.get(["yag", "sigma_x @ c"])
    out = bb.track(cell.replace({"q.k1": -5.0}), given.beam)
    np.testing.assert_allclose(seen["yag"], out.readings["yag"], rtol=1e-9, atol=1e-20)
    assert set(evaluation(there)({"q.k1": -5.0})) == {"sigma_x @ c"}, "a row of a table has no place for images"


def test_an_evaluator_takes_candidates_at_once(monkeypatch):
    stand_ins.stand_in(monkeypatch, "xopt", Evaluator=stand_ins.Evaluator, VOCS=stand_ins.VOCS)
    there = machine()
    made = evaluator(there)
    candidates = {"q.k1": np.asarray([-5.0, 0.0, 5.0]), "c.hkick": np.asarray([0.0, 1e-4, 0.0]), "a_constant": 1.0}
    assert made.vectorized
    found = made.function(candidates)
    for k in range(3):
        alone = evaluation(there)({name: candidates[name][k] for name in there.settings})
        assert {name: value[k] for name, value in found.items()} == pytest.approx(alone, rel=1e-12)
    question = vocs(there, {"sigma_x": "MINIMIZE"})
    assert set(question.variables) == {"q.k1", "c.hkick"} and "sigma_x" in question.objectives


def test_a_candidate_that_cannot_be_tracked_is_no_number(monkeypatch):
    there = machine()
    read = there.read

    def refuse(settings):
        if np.any(np.asarray(settings["q.k1"]) > 8.0):
            raise bb.TrackingError("turned round")
        return read(settings)

    monkeypatch.setattr(there, "read", refuse)
    found = evaluation(there)({"q.k1": np.asarray([1.0, 8.5]), "c.hkick": 0.0})
    assert np.isfinite(found["sigma_x"][0]) and np.isnan(found["sigma_x"][1])


def test_an_environment_of_badger(monkeypatch):
    stand_ins.stand_in(monkeypatch, "badger.environment", Environment=stand_ins.Environment)
    there = machine()
    Environment = badger_environment(there, "ares")
    assert Environment.name == "ares" and Environment.variables["q.k1"] == [-9.0, 9.0]
    environment, other = Environment(), Environment()
    environment.set_variables({"q.k1": 5.0})
    assert environment.get_variables(["q.k1", "c.hkick"]) == {"q.k1": 5.0, "c.hkick": 0.0}
    assert environment.get_observables(["sigma_x"]) == {"sigma_x": there.read({"q.k1": 5.0})["sigma_x"]}
    assert other.get_variables(["q.k1"]) == {"q.k1": 3.0}
