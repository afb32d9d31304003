"""Settings in, readings out: by moments and by particles, alone and in batches, as `backbeam.track` has them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import backbeam as bb
from backbeam.integrations import Machine

KIND = {"species": "electron", "kinetic_energy": 107e6, "charge": 5e-12}
LIMITS = {"q1.k1": (-30.0, 30.0), "cv.vkick": (-1e-3, 1e-3), "q1.dx": (-1e-3, 1e-3)}
READINGS = ["mean_x", "sigma_y", "emittance_x", "reading:bpm.y"]


def line(model):
    return bb.Line([
        bb.Drift(0.3, model=model), bb.Quadrupole(0.12, k1=5.0, name="q1", model=model), bb.Drift(0.3, model=model),
        bb.Corrector(0.02, vkick=1e-4, name="cv", model=model), bb.Drift(0.4, model=model), bb.Monitor(name="bpm"),
        bb.Quadrupole(0.12, k1=-4.0, name="q2", model=model), bb.Drift(0.5, model=model),
    ])  # fmt: skip


def particles(backend="numpy"):
    return bb.Beam.gaussian(
        n=300, backend=backend, seed=4, sigma_x=2e-4, sigma_px=4e-5, sigma_y=1e-4, sigma_py=3e-5, sigma_tau=1e-5,
        sigma_pt=1e-3, mean_x=1e-4, mean_py=2e-5, **KIND,
    )  # fmt: skip


@pytest.mark.parametrize("model", ["linear", "exact"])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_moments_are_those_that_track_finds(backend, model):
    beam = bb.MomentBeam.of(particles(backend))
    machine = Machine(line(model), beam, LIMITS, [*READINGS, "sigma_x @ cv"])
    settings = np.asarray([[7.0, 2e-4, 3e-4], [-9.0, -5e-4, 0.0]])
    together = machine(settings)
    for row, found in zip(settings, together, strict=True):
        np.testing.assert_allclose(machine(row), found, rtol=1e-13, atol=0)
        changed = line(model).replace(dict(zip(LIMITS, row.tolist(), strict=True)))
        out, half = bb.track(changed, beam), bb.track(bb.Line(list(changed)[:4]), beam)
        wanted = (out.mean("x"), out.sigma("y"), out.emittance("x"), out.readings["bpm"][1], half.sigma("x"))
        np.testing.assert_allclose(found, [float(value) for value in wanted], rtol=1e-11, atol=0)


def test_with_linear_space_charge_it_is_the_same_too():
    beam = bb.MomentBeam.of(particles()).replace(charge=1e-9)
    space_charge = bb.LinearSpaceCharge()
    machine = Machine(line("linear"), beam, LIMITS, ["sigma_x"], space_charge=space_charge, slices=2)
    changed = line("linear").replace({"q1.k1": 7.0, "q1.dx": 0.0})
    wanted = float(bb.track(changed, beam, space_charge=space_charge, slices=2).sigma("x"))
    assert machine.read({"q1.k1": 7.0})["sigma_x"] == pytest.approx(wanted, rel=1e-12)
    assert wanted != pytest.approx(float(bb.track(changed, beam).sigma("x")), rel=1e-3)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_particles(backend):
    machine = Machine(line("exact"), particles(backend), LIMITS, READINGS)
    assert machine.start.tolist() == [5.0, 1e-4, 0.0] and machine.readings == tuple(READINGS)
    k1 = np.asarray([7.0, -9.0, 0.0])
    found = machine.read({"q1.k1": k1, "cv.vkick": 2e-4})
    for j, value in enumerate(k1):
        out = bb.track(line("exact").replace({"q1.k1": float(value), "cv.vkick": 2e-4}), particles(backend))
        assert found["sigma_y"][j] == pytest.approx(float(out.sigma("y")), rel=1e-12)
        assert found["reading:bpm.y"][j] == pytest.approx(float(out.readings["bpm"][1]), rel=1e-12)


@pytest.mark.parametrize("moments", [True, False], ids=["moments", "particles"])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_images_and_places(backend, moments):
    """Of one setting and of several at once, as `track` has them."""
    cell = line("linear") + bb.Line([bb.Screen(half_x=2e-3, half_y=1e-3, pixels=(9, 7), name="yag")])
    beam = bb.MomentBeam.of(particles(backend)) if moments else particles(backend)
    machine = Machine(cell, beam, LIMITS, ["sigma_x @ cv", "mean_y"], images=["yag"])
    assert machine.images == {"yag": (9, 7)}
    settings = np.asarray([[7.0, 2e-4, 3e-4], [-9.0, -5e-4, 0.0]])
    together, images = machine.look(settings)
    assert images["yag"].shape == (2, 9, 7)
    for k, row in enumerate(settings):
        given = dict(zip(LIMITS, row.tolist(), strict=True))
        out, half = bb.track(cell.replace(given), beam), bb.track(bb.Line(list(cell.replace(given))[:4]), beam)
        np.testing.assert_allclose(together[k], [float(half.sigma("x")), float(out.mean("y"))], rtol=1e-11)
        np.testing.assert_allclose(images["yag"][k], out.readings["yag"], rtol=1e-9, atol=1e-22)
        read = machine.read(given)
        np.testing.assert_allclose(read["yag"], images["yag"][k], rtol=1e-12, atol=1e-24)
        assert read["mean_y"] == pytest.approx(together[k, 1], rel=1e-12)
    alone, _ = Machine(cell, beam, LIMITS, [], images="yag").look(settings)
    assert alone.shape == (2, 0)
    with pytest.raises(bb.InputError, match="a screen that the beam passes once"):
        Machine(cell, beam, LIMITS, [], images=["bpm"])


def test_knobs_are_settings_too(tmp_path):
    (tmp_path / "cell.madx").write_text(
        "kqf = 3.0; qf: quadrupole, l=0.2, k1:=kqf; qd: quadrupole, l=0.2, k1:=-0.9*kqf;"
        "cell: line=(qf, qd); beam, particle=electron, energy=0.107; use, period=cell;"
    )
    knobbed = bb.load(tmp_path / "cell.madx", line="cell").line
    beam = bb.MomentBeam.of(particles())
    machine = Machine(knobbed, beam, {"kqf": (0.0, 5.0)}, ["sigma_x"])
    wanted = float(bb.track(knobbed.replace({"kqf": 4.0}), beam).sigma("x"))
    assert machine.read({"kqf": 4.0})["sigma_x"] == pytest.approx(wanted, rel=1e-12)


def test_compiled_on_jax():
    """Few kinds of maps: each is a program that JAX compiles."""
    short = bb.Line([bb.Quadrupole(0.12, k1=5.0, name="q1", model="linear"), bb.Corrector(None, vkick=0.0, name="cv")])
    beam = bb.MomentBeam.of(particles())
    reference = bb.Reference(jnp.asarray(beam.reference.beta_gamma), beam.species)
    on_jax = bb.MomentBeam(jnp.asarray(beam.mean_), jnp.asarray(beam.cov_), reference, 5e-12)
    machine, wanted = (Machine(short, one, LIMITS, READINGS[:2]) for one in (on_jax, beam))
    settings = np.asarray([7.0, 2e-4, 3e-4])
    np.testing.assert_allclose(machine(settings), wanted(settings), rtol=1e-11)
    several = np.asarray([settings, 0.5 * settings])  # what was found for one shape must not be a trace's
    np.testing.assert_allclose(machine(several), wanted(several), rtol=1e-11)


@pytest.mark.parametrize(
    "settings,readings,said",
    [
        ({"q1.k7": (0, 1)}, ["sigma_x"], r"q1\.k7"),
        ({"q1.k1": (1, 0)}, ["sigma_x"], r"settings\.q1\.k1"),
        ({"q1.k1": 3.0}, ["sigma_x"], r"settings\.q1\.k1"),
        (["q1.k1"], ["sigma_x"], "mapping"),
        (LIMITS, "sigma_x", "a list"),
        (LIMITS, ["sigma_w"], "sigma_w"),
        (LIMITS, ["sigma_x @ q7"], "q7"),
    ],
)
def test_what_is_meant_otherwise(settings, readings, said):
    with pytest.raises(bb.InputError, match=said):
        Machine(line("linear"), bb.MomentBeam.of(particles()), settings, readings)
    if isinstance(readings, list):
        with pytest.raises(bb.InputError, match=said):
            Machine(line("linear"), particles(), settings, readings)
    machine = Machine(line("linear"), bb.MomentBeam.of(particles()), LIMITS, READINGS)
    with pytest.raises(bb.InputError, match="q2"):
        machine.read({"q2.k1": 1.0})
    with pytest.raises(bb.InputError, match=r"shape \(\.\.\., 3\)"):
        machine([1.0, 2.0])
