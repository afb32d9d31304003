"""A leading axis of settings, of beams or of both: a leading axis of values and gradients, equal to the loop."""

from __future__ import annotations

import numpy as np
import pytest
from adjoint_lines import CASES, apertures, fodo, host

import backbeam as bb

WRT = ("qf.k1", "d.length", "beam.charge", "beam.sigma_x")
OBJECTIVE = bb.observables.sigma("x") + bb.observables.emittance("y")
ADJOINTS = (bb.Reversible(), bb.Reversible(anchor_every=3), bb.Checkpoint(slots=2), bb.Store())
CASE = CASES["fodo"]


def close(found, wanted):
    wanted = np.asarray(wanted)
    np.testing.assert_allclose(host(found), wanted, rtol=0, atol=1e-11 * np.abs(wanted).max())


@pytest.mark.parametrize("adjoint", ADJOINTS, ids=repr)
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_settings_with_space_charge_equal_the_loop(library, adjoint):
    beam = CASE.draw(library)
    settings = [11.0, 12.0, 13.5]
    batched = fodo().replace({"qf.k1": beam.as_mine(settings)})
    value, gradient = bb.value_and_grad(OBJECTIVE, batched, beam, WRT, adjoint=adjoint, **CASE.options())
    singles = [
        bb.value_and_grad(OBJECTIVE, fodo().replace({"qf.k1": k1}), CASE.draw(), WRT, **CASE.options())
        for k1 in settings
    ]
    assert value.shape == (3,)
    close(value, [v for v, _ in singles])
    for name in WRT:
        assert gradient[name].shape == (3,), name
        close(gradient[name], [g[name] for _, g in singles])


def test_tape_gives_a_gradient_for_each_setting_too():
    beam = CASE.draw("torch")
    batched = fodo().replace({"qf.k1": beam.as_mine([11.0, 13.0])})
    wanted = bb.value_and_grad(OBJECTIVE, batched, beam, WRT, **CASE.options())[1]
    found = bb.value_and_grad(OBJECTIVE, batched, beam, WRT, adjoint=bb.Tape(), **CASE.options())[1]
    for name in WRT:
        close(found[name], host(wanted[name]))


@pytest.mark.parametrize("adjoint", ADJOINTS, ids=repr)
def test_beams_times_settings(adjoint):
    """Two beams and three settings by broadcasting; per-particle gradients keep both axes."""
    seeds, settings = (1, 2), (11.0, 12.0, 13.5)
    beams = [CASE.draw(seed=s, n=80) for s in seeds]
    X = np.stack([b.coordinates for b in beams])[:, None]
    given = {"species": "electron", "kinetic_energy": 20e6, "charge": 1e-9}
    beam = bb.Beam.from_arrays(X, **given)
    assert X.shape == (2, 1, 6, 80)
    line = fodo().replace({"qf.k1": np.asarray(settings), "qd.length": np.asarray([0.1, 0.11, 0.12])})
    wrt = ("qf.k1", "qd.length", "beam.charge", "beam.coordinates", "beam.kinetic_energy")
    value, gradient = bb.value_and_grad(OBJECTIVE, line, beam, wrt, adjoint=adjoint, **CASE.options())
    assert value.shape == (2, 3) and gradient["beam.coordinates"].shape == (2, 3, 6, 80)
    for i, j in np.ndindex(2, 3):
        single = fodo().replace({"qf.k1": settings[j], "qd.length": 0.1 + 0.01 * j})
        v, g = bb.value_and_grad(OBJECTIVE, single, bb.Beam.from_arrays(X[i, 0], **given), wrt, **CASE.options())
        assert float(value[i, j]) == pytest.approx(float(v), rel=1e-11)
        for name in wrt:
            close(gradient[name][i, j], g[name])


@pytest.mark.parametrize("adjoint", ADJOINTS, ids=repr)
def test_each_setting_loses_its_own_particles(adjoint):
    case = CASES["apertures"]
    wrt, settings = ("q.k1", "cavity.voltage", "beam.charge"), np.asarray([-20.0, 10.0, 40.0])
    line = apertures().replace({"q.k1": settings, "cavity.voltage": np.asarray([1e6, 2e6, 5e6])})
    value, gradient = bb.value_and_grad(case.objective, line, case.draw(), wrt, adjoint=adjoint, **case.options())
    out = bb.track(line, case.draw(), **case.options())
    assert len(set(out.lost.tolist())) == 3
    for k in range(3):
        single = apertures().replace({"q.k1": settings[k], "cavity.voltage": (1e6, 2e6, 5e6)[k]})
        v, g = bb.value_and_grad(case.objective, single, case.draw(), wrt, **case.options())
        assert float(value[k]) == pytest.approx(float(v), rel=1e-11)
        for name in wrt:
            close(gradient[name][k], g[name])


def test_readings_of_a_batch():
    case = CASES["diagnostics"]
    line = case.line().replace({"c.hkick": np.asarray([1e-4, 2e-4])})
    value, gradient = bb.value_and_grad(case.objective, line, case.draw(), ["c.hkick", "q.k1"], **case.options())
    for k, kick in enumerate((1e-4, 2e-4)):
        v, g = bb.value_and_grad(
            case.objective, case.line().replace({"c.hkick": kick}), case.draw(), ["c.hkick", "q.k1"], **case.options()
        )
        assert float(value[k]) == pytest.approx(float(v), rel=1e-11)
        for name in g:
            close(gradient[name][k], g[name])


@pytest.mark.long
def test_settings_on_jax():
    case = CASES["no space charge"]
    beam = case.draw("jax")
    line = fodo().replace({"qf.k1": beam.as_mine([11.0, 13.0])})
    _, gradient = bb.value_and_grad(OBJECTIVE, line, beam, ["qf.k1", "d.length"])
    _, wanted = bb.value_and_grad(
        OBJECTIVE, fodo().replace({"qf.k1": np.asarray([11.0, 13.0])}), case.draw(), ["qf.k1", "d.length"]
    )
    for name in wanted:
        close(gradient[name], wanted[name])
