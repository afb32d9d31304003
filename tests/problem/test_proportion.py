"""Values that nobody means: a warning with the question; units in problem files; other codes' words."""

from __future__ import annotations

import json
from math import pi

import pytest
from click.testing import CliRunner

import backbeam as bb
from backbeam.cli.app import app
from backbeam.problem import Problem
from backbeam.problem.lattice import read_lattice
from backbeam.quantities import quantity

PROBLEM = """
beam: {distribution: gaussian, species: electron, n: 50, kinetic_energy: %s, charge: 0.0,
       sigma_x: %s, sigma_px: 1e-5, sigma_y: 1 mm, sigma_py: 1e-5, sigma_tau: 1e-3, sigma_pt: 1e-7}
lattice: [{rf_cavity: {voltage: 1 kV, frequency: %s, phase: %s, name: c}}, {drift: {length: 20 cm}}]
"""


@pytest.mark.parametrize(
    "make,said",
    [
        (lambda: bb.RFCavity(voltage=1.0, frequency=1e9, phase=-30), r"rf_cavity.phase is -30 rad, .* degrees\?"),
        (lambda: bb.SectorBend(1.0, 10.0, name="b"), r"b.angle is 10 rad, .* degrees"),
        (lambda: bb.Buncher(1.0, 1.3), r"buncher.frequency is 1.3 Hz, .* GHz"),
        (lambda: bb.CrabCavity(voltage=1.0, frequency=400.0), r"crab_cavity.frequency is 400 Hz"),
        (lambda: bb.Drift(1.0, roll=45), r"drift.roll is 45 rad"),
        (lambda: bb.Species("x", 938.0, 1.0), r"species.mass is 938 eV"),
        (
            lambda: bb.Beam.gaussian(
                n=5, species="electron", kinetic_energy=5.0, charge=0.0, sigma_x=1e-3, sigma_px=1e-3, sigma_y=1e-3,
                sigma_py=1e-3, sigma_tau=1e-3, sigma_pt=1e-3,
            ),
            r"beam.kinetic_energy is 5 eV, .* MeV",
        ),
    ],
)  # fmt: skip
def test_out_of_proportion_is_asked_about(make, said):
    with pytest.warns(bb.BackbeamWarning, match=said) as caught:
        make()
    assert len(caught) == 1 and "\n" not in str(caught[0].message)


def test_the_usual_is_not():
    """Warnings are errors here: at the border, at 0, and in arrays nothing is said."""
    bb.RFCavity(voltage=1.0, frequency=0.0, phase=2.0 * pi)
    bb.RFCavity(voltage=1.0, frequency=1e4, phase=-pi)
    bb.SectorBend(1.0, -pi)


@pytest.mark.parametrize(
    "text,unit,value",
    [
        ("30 deg", "rad", pi / 6), ("100 MeV", "eV", 1e8), ("1.3 GHz", "Hz", 1.3e9), ("5 mm", "m", 0.005),
        ("5mm", "m", 0.005), ("-2.5e1 um", "m", -25e-6), ("+.5 mrad", "rad", 5e-4), ("250 pC", "C", 250e-12),
        ("2 1/m^2", "1/m^2", 2.0), ("2 m^-2", "1/m^2", 2.0), ("7 eV", "eV", 7.0), ("3 \u00b5m", "m", 3e-6),
    ],
)  # fmt: skip
def test_quantities(text, unit, value):
    assert quantity(text, unit, "f") == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    "text,unit",
    [("30 deg", "m"), ("5 Mm", "m"), ("5 MM", "m"), ("1.3 ghz", "Hz"), ("5", "m"), ("mm", "m"), ("5 mm mm", "m"),
     ("5 * mm", "m"), ("1_000 mm", "m"), ("nan m", "m"), ("5 m", "1"), ("", "m"), ("1e400 mm m", "m")],
)  # fmt: skip
def test_no_quantities(text, unit):
    with pytest.raises(bb.InputError) as caught:
        quantity(text, unit, "f")
    assert caught.value.field == "f"


def test_units_in_a_problem_file_are_what_they_say():
    written = Problem.parse(PROBLEM % ("100 MeV", "0.3 mm", "1.3 GHz", "-30 deg")).run()
    plain = Problem.parse(PROBLEM % ("1e8", "3e-4", "1.3e9", repr(-pi / 6))).run()
    assert float(written.final.sigma("x")) == float(plain.final.sigma("x"))
    assert float(written.final.kinetic_energy) == pytest.approx(float(plain.final.kinetic_energy), rel=1e-15)


@pytest.mark.parametrize("field,value", [("phase", "30 mm"), ("voltage", "3 GHz"), ("steps", "3 m")])
def test_unit_of_another_kind_is_refused(field, value):
    with pytest.raises(bb.InputError) as caught:
        read_lattice([{"rf_cavity": {"voltage": 1.0, "frequency": 1e9, field: value}}])
    assert caught.value.field.endswith(f"rf_cavity.{field}")


@pytest.mark.parametrize(
    "kind,word,here",
    [("drift", "l", "length"), ("buncher", "lag", "phase"), ("sector_bend", "gap", "hgap"), ("rf_cavity", "volt", "V")],
)
def test_words_of_other_codes(kind, word, here):
    with pytest.raises(bb.InputError) as caught:
        read_lattice([{kind: {word: 1.0}}])
    assert here in caught.value.allowed and len(caught.value.allowed) < 50


def test_one_line_on_stderr_and_in_json(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text((PROBLEM % ("999.0", "1 mm", "1.3 GHz", "0.0")).replace("sigma_px: 1e-5", "sigma_px: 1e-7"))
    result = CliRunner().invoke(app, ["run", str(file), "--json", "--set", "lattice.c.phase=6 deg"])
    assert result.exit_code == 0, result.stderr
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("backbeam: warning: beam.kinetic_energy is 999 eV")
    assert json.loads(result.stdout)["warnings"] == [line.removeprefix("backbeam: warning: ")]
