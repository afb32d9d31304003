"""Cavities whose field keeps time by itself: phases by time of flight, whatever describes the beam; and gradients."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest

import backbeam as bb
from backbeam.problem import Problem
from backbeam.species import SPEED_OF_LIGHT

SIZE = bb.observables.sigma("x") + 1e-3 * bb.observables.named("sigma_pt")


def linac(**more):
    return bb.Line([
        bb.Drift(0.7, name="d"),
        bb.RFCavity(0.5, voltage=1e6, frequency=1.3e9, phase=0.4, clock=True, steps=16, name="a"),
        bb.Quadrupole(0.2, k1=3.0, name="q"),
        bb.RFCavity(1.0, voltage=2e6, frequency=1.3e9, phase=-1.0, structure="standing", name="s"),
        bb.Drift(0.3, name="e"),
        bb.RFCavity(None, voltage=1e6, frequency=2.6e9, phase=0.1, clock=True, name="c"),
        bb.Drift(0.5, name="f"),
    ]).replace(more)  # fmt: skip


def beam(backend="numpy", kinetic_energy=1e6):
    return bb.Beam.gaussian(
        n=100, species="electron", kinetic_energy=kinetic_energy, charge=1e-12, sigma_x=1e-3, sigma_px=1e-3,
        sigma_y=1e-3, sigma_tau=1e-3, sigma_pt=1e-3, seed=1, backend=backend,
    )  # fmt: skip


def test_phase_on_arrival():
    """Behind a drift: phase + 2 pi f L/(beta c); behind a uniform acceleration: with the mean of 1/beta in it."""
    wave = {"voltage": 1e5, "frequency": 3e9, "phase": 0.3}
    first = beam()
    out = bb.track(bb.Line([bb.Drift(0.77), bb.RFCavity(None, **wave, clock=True)]), first)
    phase = 0.3 + 2.0 * pi * 3e9 * 0.77 / float(first.beta) / SPEED_OF_LIGHT
    assert float(out.kinetic_energy) == pytest.approx(1e6 + 1e5 * np.cos(phase), rel=1e-13)
    before = bb.RFCavity(2.0, voltage=5e6, frequency=1.3e9)
    out = bb.track(bb.Line([before, bb.RFCavity(None, **wave, clock=True)]), first)
    gamma = np.linspace(float(first.gamma), float(bb.track(bb.Line([before]), first).gamma), 200_001)
    slowness = gamma / np.sqrt(gamma**2 - 1.0)
    way = 2.0 * float(np.mean(0.5 * (slowness[1:] + slowness[:-1])))
    phase = 0.3 + 2.0 * pi * 3e9 * way / SPEED_OF_LIGHT
    assert float(out.kinetic_energy) == pytest.approx(6e6 + 1e5 * np.cos(phase), rel=1e-9)


def test_the_field_does_not_know_the_reference():
    """One particle, described from two references: it meets the same field. With phases on arrival it does not."""

    def energy(share, clock):
        mass = 510998.95
        reference = bb.Beam.from_arrays(np.zeros((6, 1)), species="electron", kinetic_energy=share * 1e6, charge=0.0)
        P0 = float(reference.reference.beta_gamma) * mass
        X = np.zeros((6, 1))
        X[5] = (1.0 - share) * 1e6 / P0
        given = {"voltage": 3e5, "frequency": 1.3e9, "phase": -0.9, "clock": clock}
        cavities = [bb.RFCavity(None, **given, name=name) for name in ("one", "two")]
        line = bb.Line([bb.Drift(0.7), cavities[0], bb.Drift(0.4), cavities[1]])
        out = bb.track(line, reference.replace(coordinates=X))
        return float(out.kinetic_energy) + float(out.pt[0]) * float(out.reference.beta_gamma) * mass

    assert energy(1.0, True) == pytest.approx(energy(1.02, True), rel=1e-13)
    assert abs(energy(1.0, False) / energy(1.02, False) - 1.0) > 1e-3


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
@pytest.mark.parametrize("kicks", [{}, {"space_charge": bb.SpaceCharge3D((8, 8, 8), order=2), "slices": 2}])
def test_gradients_by_differences(library, kicks):
    """Of what changes a time of flight, before and in and behind cavities with a clock and without."""
    names = [f"{e}.length" for e in "dqefas"] + [f"{c}.{p}" for c in "asc" for p in ("voltage", "phase", "frequency")]
    names += ["q.k1", "beam.kinetic_energy"]
    _, found = bb.value_and_grad(SIZE, linac(), beam(library), names, **kicks)

    def at(name, value):
        given = beam(kinetic_energy=value) if name.startswith("beam") else beam()
        line = linac() if name.startswith("beam") else linac(**{name: value})
        return float(SIZE(bb.track(line, given, **kicks)))

    for name in names if library == "numpy" else names[::5]:
        value = 1e6 if name.startswith("beam") else linac().get(name)
        h = 1e-6 * max(abs(value), 0.1)
        near, far = (at(name, value + k * h) - at(name, value - k * h) for k in (1, 2))
        assert float(found[name]) == pytest.approx((8.0 * near - far) / (12.0 * h), rel=1e-6), name


def test_gradients_by_the_library_itself():
    import torch

    names = ["d.length", "a.phase", "c.frequency", "beam.kinetic_energy"]
    _, ours = bb.value_and_grad(SIZE, linac(), beam("torch"), names)
    _, tape = bb.value_and_grad(SIZE, linac(), beam("torch"), names, adjoint="tape")
    for name in names:
        assert float(ours[name]) == pytest.approx(float(tape[name]), rel=1e-11)
    length = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    SIZE(bb.track(linac(**{"d.length": length}), beam("torch"))).backward()
    assert float(length.grad) == pytest.approx(float(ours["d.length"]), rel=1e-11)


def test_a_batch_is_a_loop():
    lengths = np.asarray([0.7, 0.75, 0.9])
    several = bb.track(linac(**{"d.length": lengths}), beam())
    for k, length in enumerate(lengths):
        one = bb.track(linac(**{"d.length": float(length)}), beam())
        np.testing.assert_allclose(several.coordinates[k], one.coordinates, rtol=1e-12, atol=1e-15)
    assert len({float(energy) for energy in several.kinetic_energy}) == 3


def test_fields_are_held_at_the_momentum_that_there_is():
    """Behind a cavity with a clock the design momentum is the tracked one, and a held line is the line."""
    line, first = linac() + bb.Line([bb.Quadrupole(0.2, k1=2.0, name="last")]), beam()
    held = line.hold_fields(first.reference)
    out = bb.track(line, first)
    assert held["last"].design_momentum == pytest.approx(float(out.reference.momentum), rel=1e-12)
    np.testing.assert_allclose(bb.track(held, first).coordinates, out.coordinates, rtol=1e-11, atol=1e-15)


def test_in_a_file_and_where_it_has_no_answer():
    problem = Problem.parse("""
beam: {distribution: gaussian, species: electron, n: 20, charge: 0, kinetic_energy: 1e6, sigma_x: 1e-3}
lattice: [{drift: {length: 0.7}}, {rf_cavity: {voltage: 1e5, frequency: 1e9, clock: true, name: c}}]
""")
    assert problem.line()["c"].clock and Problem.parse(problem.dump()).line()["c"].clock
    with pytest.raises(bb.InputError, match=r"c\.clock is 1; allowed: true or false"):
        bb.RFCavity(voltage=1.0, frequency=1e9, clock=1, name="c")
    for line, options, said in (
        (problem.line() * 2, {}, "passes a cavity more than once"),
        (problem.line(), {"turns": 2}, "turn after turn"),
        (bb.Line([bb.Buncher(1.0, 1e9, name="b"), *problem.line()]), {}, "behind b, a buncher"),
    ):
        with pytest.raises(bb.InputError, match=rf"c\.clock is True; allowed: false, .*{said}"):
            bb.track(line, beam(), **options)
    with pytest.raises(bb.InputError, match=r"c\.clock is True; allowed: false: optics and moments"):
        bb.optics(problem.line(), beam().reference, start=bb.Twiss(beta_x=1.0, beta_y=1.0))
