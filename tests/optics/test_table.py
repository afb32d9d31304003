"""The table: rows by name, places, what it refuses and in which words."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from rings import fodo, reference, ring

import backbeam as bb
from backbeam.errors import InputError, TrackingError
from backbeam.lattice_functions import pullback
from backbeam.reference import Reference


def test_rows_by_name_and_places():
    o = bb.optics(ring(), reference())
    assert o["b[3]"].s == o.s[o.place("b[3]")] and o["start"].s == 0.0
    assert np.isclose(o["end"].mu_x, 2 * np.pi * o.tune_x)
    some = bb.optics(ring(), reference(), at=["qf", "sd"])
    assert set(some.names) == {"qf", "sd"} and len(some.beta_x) == 16
    k = o.place("sd[0]")
    assert np.isclose(some[1].beta_x, o.beta_x[k]) and np.isclose(some.tune_x, o.tune_x)
    whole = pullback(o, {"beta_x": np.asarray([float(n in ("qf", "sd")) for n in o.names])}, ["qf.k1"])
    assert np.isclose(pullback(some, {"beta_x": np.ones(16)}, ["qf.k1"])["qf.k1"], whole["qf.k1"])
    assert np.allclose(pickle.loads(pickle.dumps(o)).beta_x, o.beta_x)


def test_steps_cut_elements_and_change_nothing_at_their_ends():
    o, fine = bb.optics(ring(), reference()), bb.optics(ring(), reference(), step=0.05)
    ends = [fine.place(f"d[{k}]") for k in range(32)]
    assert np.allclose(fine.beta_x[ends], [o[f"d[{k}]"].beta_x for k in range(32)], rtol=1e-9)
    assert np.diff(fine.s).max() < 0.05 + 1e-12 and np.isclose(fine.s[-1], o.s[-1])


def test_text_and_summary():
    text = repr(bb.optics(ring(steered=True), reference()))
    for part in ("tune x", "chromaticity x", "transition gamma", "D_y", "more", "start"):
        assert part in text
    batch = bb.optics(fodo().replace({"qf.k1": np.asarray([0.6, 0.61])}), reference())
    assert "batch=(2,)" in repr(batch)


def test_a_beam_begins_a_line_and_lends_its_reference():
    beam = bb.Beam.gaussian(
        n=20000, species="proton", charge=0.0, kinetic_energy=4e8, beta_x=4.0, alpha_x=1.0, emittance_x=1e-6,
        beta_y=8.0, alpha_y=-0.5, emittance_y=2e-6, sigma_tau=0.01, sigma_pt=1e-3,
    )  # fmt: skip
    o = bb.optics(fodo(), beam, start=beam)
    assert np.isclose(o["start"].beta_x, 4.0, rtol=0.05) and np.isclose(o["start"].alpha_y, -0.5, atol=0.05)
    after = bb.track(fodo(), beam)
    exact = o["end"].beta_x * (beam.cov()[0, 0] - o["start"].dispersion_x ** 2 * beam.sigma("pt") ** 2)
    assert np.isclose(after.sigma("x") ** 2, exact / o["start"].beta_x, rtol=2e-2)


REFUSED = (
    (dict(start="matched"), "periodic, a Twiss, or a beam"),
    (dict(per="E"), "pt or delta"),
    (dict(orbit=np.zeros(6)), "the orbit is found"),
    (dict(start=bb.Twiss(1.0, 1.0), pt=0.0), "orbit has it"),
    (dict(start=bb.Twiss(1.0, 1.0), orbit=np.zeros(5)), r"\(..., 6\)"),
    (dict(at=["qx"]), "names of elements"),
    (dict(step=-1.0), "greater than 0"),
)


@pytest.mark.parametrize("arguments, words", REFUSED, ids=lambda v: "")
def test_what_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        bb.optics(fodo(), reference(), **arguments)


def test_what_cannot_be_asked_of_a_table():
    o = bb.optics(ring(), reference())
    with pytest.raises(InputError, match=r"qf\[0\] ... qf\[7\]"):
        o["qf"]
    with pytest.raises(InputError, match="half"):
        bb.optics(ring(steered=True), reference())["hal"]
    with pytest.raises(AttributeError, match="beta_x"):
        o.betax  # noqa: B018
    with pytest.raises(AttributeError, match="only with cavities"):
        o.tune_z  # noqa: B018
    with pytest.raises(AttributeError, match="only a ring"):
        bb.optics(fodo(), reference(), bb.Twiss(1.0, 1.0)).tune_x  # noqa: B018
    with pytest.raises(InputError, match="start with one of pt"):
        pullback(o, {"tune_x": 1.0}, ["start.beta_x"])
    with pytest.raises(InputError, match="give it the value"):
        pullback(o, {"tune_x": 1.0}, ["qf.dx"])
    with pytest.raises(InputError, match="greater than 0"):
        bb.Twiss(-1.0, 1.0)
    with pytest.raises(InputError, match="a Reference"):
        bb.optics(fodo(), 1e9)


def test_no_closed_orbit_no_stable_motion_and_no_ring():
    with pytest.raises(TrackingError, match="mu_y"):
        bb.optics(fodo().replace({"qd.k1": 0.6}), reference())
    kick = bb.Line([fodo(), bb.ThinMultipole(k0l=0.9, name="hard")])
    with pytest.raises(TrackingError, match="closed orbit"):
        bb.optics(kick, reference())
    whole = bb.Line([bb.ThinMultipole(k1l=0.4, name="a"), bb.Drift(1.0), bb.ThinMultipole(k1l=-0.5), bb.Drift(1.0)])
    with pytest.raises(TrackingError, match=r"whole number|near the axis|not stable"):
        bb.optics(whole, reference())
    linac = bb.Line([fodo(), bb.RFCavity(0.2, voltage=1e6, frequency=1e8, phase=0.0, name="rf")])
    with pytest.raises(InputError, match="change the reference"):
        bb.optics(linac, reference())
    o = bb.optics(ring(cavity=True), reference())
    with pytest.raises(InputError, match="leaves the momentum"):
        pullback(o, {"tune_x": 1.0}, ["rf.phase"])
    assert 0.001 < o.tune_z < 0.01 and o.beta_z[0] > 0.0


def test_a_cavity_that_is_off_is_a_drift():
    line = ring(cavity=True).replace({"rf.voltage": 0.0})
    o = bb.optics(line, reference())
    assert o.solution.size == 4 and np.isclose(o.chromaticity_x, bb.optics(line, reference(), pt=0.0).chromaticity_x)


@pytest.mark.parametrize("energy", (1e5, 1e12))
def test_low_and_high_energies(energy):
    given = Reference.from_kinetic_energy(np.asarray(energy), reference().species)
    o = bb.optics(ring(), given)
    other = bb.optics(ring(), reference())
    assert np.isclose(o.tune_x, other.tune_x, rtol=1e-12)
    assert np.isclose(o.momentum_compaction, other.momentum_compaction, rtol=1e-8)
    beta = float(given.beta)
    assert np.allclose(o.dispersion_x * beta, other.dispersion_x * float(reference().beta), rtol=1e-9)
