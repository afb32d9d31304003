"""Lattices written for other codes, and read again: the same matrix, knobs and all."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb
from backbeam.elements.openings import Ellipse, Outside
from backbeam.errors import InputError
from backbeam.lattices.expressions import Dialect
from backbeam.lattices.writers import write
from backbeam.problem import Problem

PARSE = Dialect(lower=False, zero_division=True).parse


def written(tmp_path, format, line, reference=None):
    """A line, written and read."""
    path = tmp_path / {"madx": "x.madx", "yaml": "x.yaml", "json": "x.json", "pals": "x.pals.yaml"}[format]
    path.write_text(write(format, line, reference))
    return bb.load(path)


MACHINE = """
beam: {species: proton, kinetic_energy: 1e9, distribution: gaussian, n: 10, charge: 0.0}
lattice:
  knobs: {kQ: 1.2, kd: -kQ*(1 + trim), trim: 0.1, lq: 0.3, a.b: 0.2, "odd:name": 1e-4}
  define:
    QF: {quadrupole: {length: lq, k1: kQ}}
    qf: {quadrupole: {length: 0.25, k1: kd, tilt: 0.02}}
    sb: {sector_bend: {length: 1.0, angle: a.b, k1: 0.1, e1: 0.02, e2: 0.03, fint: 0.4, hgap: 0.02, fint_exit: 0.0}}
    rb: {rectangular_bend: {length: 1.0, angle: 0.1, e1: 0.01, k0: 0.101, fint: 0.4, hgap: 0.02}}
  line:
    - QF
    - {drift: {length: 0.5}}
    - {drift: {length: 0.2, name: d.1, aperture: {rectangle: {half_x: 0.1, half_y: 0.2}}}}
    - sb
    - {marker: {name: m}}
    - rb
    - {sextupole: {length: 0.1, k2: 3.0, k2s: 1.0}}
    - qf
    - {thin_multipole: {k1l: 0.1, k2sl: 2.0}}
    - {thin_multipole: {k0l: 0.11, angle: 0.1, lrad: 0.3, k1l: 0.05}}
    - {thin_multipole: {k0l: 1e-3, k0sl: -2e-3}}
    - {multipole: {length: 0.2, k1: 0.5, k1s: 0.1, roll: 0.1, order: 6, steps: 8}}
    - {solenoid: {length: 0.4, ks: 0.3}}
    - {corrector: {length: 0.1, hkick: "'odd:name'", vkick: -2e-4}}
    - {corrector: {vkick: 1e-4}}
    - {rf_cavity: {length: 0.5, voltage: 1e6, frequency: 1e8, phase: -1.4, steps: 1, radial_kick: false}}
    - {crab_cavity: {voltage: 1e5, frequency: 1e8, phase: -1.2}}
    - {dipole_edge: {curvature: 0.1, e: 0.05}}
    - {patch: {dx: 1e-3, ds: 0.1}}
    - {patch: {pitch: 0.01}}
    - {octupole: {length: 0.1, k3: 10.0}}
    - {aperture: {half_x: 0.1, half_y: 0.05}}
    - {monitor: {name: bpm}}
    - QF
"""


def machine():
    problem = Problem.parse(MACHINE, "machine")
    return problem.line(), problem.beam().reference


def out(line, reference):
    """Particles of millimetres and milliradians behind a line."""
    X = np.random.default_rng(5).normal(size=(6, 30)) * 1e-3
    beam = bb.Beam.from_arrays(X, species="proton", kinetic_energy=float(reference.kinetic_energy), charge=0.0)
    return bb.track(line, beam).coordinates


@pytest.mark.parametrize("format", ["madx", "yaml", "json"])
def test_round_trips_keep_the_matrix_the_length_and_the_knobs(tmp_path, format):
    line, reference = machine()
    if format == "madx":  # whose faces have all their orders
        line = line.with_elements({n: line[n].replace(fringe="hard") for n in ("sb", "rb")})
    loaded = written(tmp_path, format, line, reference)
    again = loaded.line
    assert loaded.reference.species == reference.species
    np.testing.assert_allclose(loaded.reference.beta_gamma, reference.beta_gamma, rtol=1e-14)
    assert float(again.length) == pytest.approx(float(line.length), abs=1e-13)
    here = {"kQ": "kq", "odd:name": "odd_name"} if format == "madx" else {}
    for turned in ({}, {"kQ": 1.0}, {"trim": -0.2, "lq": 0.35}, {"a.b": 0.15, "odd:name": 2e-4}):
        one, other = line.replace(turned), again.replace({here.get(n, n): v for n, v in turned.items()})
        np.testing.assert_allclose(out(other, reference), out(one, reference), rtol=0, atol=1e-13 * 3e-3)
        assert float(other.length) == pytest.approx(float(one.length), abs=1e-13)


def test_madx_names_have_no_capitals_and_are_kept_apart():
    text = write("madx", machine()[0])
    assert "\nqf: quadrupole" in text and "\nqf_1: quadrupole" in text and "\nodd_name = 0.0001;" in text
    assert "kd := (-kq)*(1 + trim);" in text and "machine: line=(part.0, part.10, part.20);" in text


@pytest.mark.parametrize(
    "element,reason",
    [
        (bb.ConstantFocusing(0.5, kx=1.0, ky=1.0, kt=0.0, name="x"), "there is no constant_focusing"),
        (bb.Quadrupole(0.5, k1=1.0, dx=1e-3, name="x"), "an error of alignment"),
        (bb.SectorBend(0.5, angle=0.1, roll=0.1, name="x"), "an error of alignment"),
        (bb.Multipole(0.5, k1=1.0, k2=1.0, name="x"), "a thick magnet of one order"),
        (bb.Solenoid(0.5, ks=1.0, k1=1.0, name="x"), "a solenoid without a quadrupole"),
        (bb.RFCavity(1.0, voltage=1e6, frequency=1e9, structure="standing", name="x"), "a standing-wave structure"),
        (bb.Patch(dx=1e-3, roll=0.1, name="x"), "shifts, or one rotation"),
        (bb.Aperture(half_x=0.1, half_y=0.1, action="absorb", name="x"), "an opening, rectangular or elliptical"),
        (bb.ThinMultipole(k0l=1e-3, k1l=0.1, name="x"), "has no other orders"),
        (bb.Quadrupole(0.5, k1=np.ones(2), name="x"), "one number"),
    ],
)
def test_what_madx_cannot_say_is_refused(element, reason):
    with pytest.raises(InputError, match=reason):
        write("madx", bb.Line([element]))


def test_what_madx_says_otherwise_is_remarked():
    text = write("madx", bb.Line([
        bb.RFCavity(1.0, voltage=1e6, frequency=1e9, name="c"), bb.SectorBend(1.0, angle=0.1, name="b"),
        bb.Drift(0.1, name="d", aperture=Outside(Ellipse(0.1))),
    ]))  # fmt: skip
    assert "! c: MAD-X's cavities have no radial kick, this one has" in text
    assert "! d: its opening cannot be said and is left out" in text
    assert "! faces of bends are linear here, and have all their orders in MAD-X" in text


def test_a_long_line_whose_lengths_follow_a_knob(tmp_path):
    quad = bb.Quadrupole(0.3, k1=1.0, name="q", formulas=(("length", PARSE("lq")),))
    line = bb.Line([quad, bb.Drift(0.2, name="d")] * 300, knobs={"lq": 0.3})
    again = written(tmp_path, "madx", line).line
    assert again.sequence == line.sequence
    assert float(again.replace({"lq": 0.31}).length) == pytest.approx(300 * 0.51, abs=1e-10)


def test_a_line_of_fixed_lengths_is_a_sequence(tmp_path):
    line = bb.Line([bb.Quadrupole(0.3, k1=1.0, name="q"), bb.Drift(0.2), bb.Marker(name="m"), bb.Drift(0.1)], name="s")
    assert "s: sequence, refer=entry, l = 0.6" in write("madx", line) and "drift" not in write("madx", line)
    assert written(tmp_path, "madx", line).line.sequence == line.sequence


def test_pals_keeps_the_optics_and_the_knobs(tmp_path):
    line, reference = machine()
    without = [n for n in line.names if line[n].kind in ("crab_cavity", "dipole_edge", "aperture", "thin_multipole")]
    line = line.with_elements({n: bb.Marker(name=n) for n in without})
    again = written(tmp_path, "pals", line, reference)
    assert float(again.reference.beta_gamma) == pytest.approx(float(reference.beta_gamma), rel=1e-14)
    for turned in ({}, {"kQ": 1.0}, {"trim": -0.2, "lq": 0.35}):
        one, other = line.replace(turned), again.line.replace(turned)
        assert float(other.length) == pytest.approx(float(one.length), abs=1e-13)
        np.testing.assert_allclose(out(other, reference), out(one, reference), rtol=0, atol=1e-8)
    simple = [n for n in line.names if line[n].kind in ("quadrupole", "sector_bend", "drift", "solenoid", "patch")]
    for name in simple:
        both = [out(bb.Line([x[name]]), reference) for x in (line, again.line)]
        np.testing.assert_allclose(both[1], both[0], rtol=0, atol=1e-16, err_msg=name)


@pytest.mark.parametrize(
    "element",
    [
        bb.ConstantFocusing(0.5, kx=1.0, ky=1.0, kt=0.0), bb.Quadrupole(0.5, k1=1.0, yaw=1e-3),
        bb.SectorBend(0.5, angle=0.1, roll=0.1), bb.RFCavity(1.0, voltage=1e6, frequency=1e9),
        bb.ThinMultipole(k0l=0.1, angle=0.1), bb.Quadrupole(0.5, k1=np.ones(2)),
    ],
)  # fmt: skip
def test_what_pals_cannot_say_is_refused(element):
    with pytest.raises(InputError, match="allowed"):
        write("pals", bb.Line([element]))
