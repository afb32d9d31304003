"""PALS: entries, expressions, sets, controllers and lines; and what each kind is."""

from __future__ import annotations

import math
from functools import partial

import pytest
import reading
from reading import passages

import backbeam as bb
from backbeam.lattices import LatticeError

BEGIN = """
    - begin: {kind: BeginningEle, ReferenceP: {species_ref: proton, pc_ref: 1.0e9}}"""
END = """
    - main: {kind: BeamLine, line: [begin, x]}
    - lat: {kind: Lattice, branches: [main]}
    - use: lat
"""
load = partial(reading.load, name="ring.pals.yaml")


def one(tmp_path, body, before="", after="", **more):
    """The element x of a line."""
    text = f"PALS:\n  facility:{BEGIN}{before}\n    - x: {{{body}}}{after}{END}"
    return load(tmp_path, text, **more).line.elements[-1]


def entry(text):
    return f"\n    - {text}"


# -- lines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("[a, b]", "ab"), ("[a, {a: {repeat: 3}}]", "aaaa"), ("[{ab: {repeat: -2}}, c]", "babac"),
        ("[ab, {ab: {repeat: 2}}]", "ababab"), ("[{c2: {inherit: c}}, c]", ["c2", "c"]),
        ("[{d: {kind: Marker}}, d]", "dd"),
    ],
)  # fmt: skip
def test_lines(tmp_path, line, wanted):
    elements = "".join(entry(f"{n}: {{kind: Marker}}") for n in "abc")
    text = f"PALS:\n  facility:{elements}{entry('ab: {kind: BeamLine, line: [a, b]}')}"
    loaded = load(tmp_path, f"{text}{entry(f'ring: {{kind: BeamLine, line: {line}}}')}", line="ring")
    assert passages(loaded) == list(wanted)


def test_which_line(tmp_path):
    text = f"""PALS:
  facility:{BEGIN}
    - q: {{kind: Quadrupole, length: 1}}
    - one: {{kind: BeamLine, line: [begin]}}
    - two: {{kind: BeamLine, line: [begin, q]}}
    - lat: {{kind: Lattice, branches: [{{one: {{inherit: two}}}}]}}
    - both: {{kind: Lattice, branches: [one, two]}}
"""
    assert passages(load(tmp_path, text + entry("use: lat"))) == ["begin", "q"]
    assert passages(load(tmp_path, text + entry("use: both"), line="one")) == ["begin"]
    assert load(tmp_path, text, line="lat").reference.species.name == "proton"
    with pytest.raises(bb.InputError, match="line is None; allowed: one of one, two"):
        load(tmp_path, text + entry("use: both"))


def test_files_that_are_joined_and_included(tmp_path):
    text = "PALS:\n  load: [sub/layout.pals.yaml, sub/layout.pals.yaml, SELF, late.pals.yaml]\n  facility:\n"
    loaded = load(
        tmp_path, text + "    - a: {kind: Marker}\n",
        sub__layout__yaml="unused: 1", late__yaml="unused: 1",
        **{"sub__layout.pals__yaml": "PALS:\n  facility:\n    - include: ../parts.yaml\n",
           "late.pals__yaml": "PALS:\n  facility:\n    - m: {kind: BeamLine, line: [p, a]}\n",
           "parts__yaml": "- p: {kind: Marker}\n"},
    )  # fmt: skip
    assert passages(loaded) == ["p", "a"]


# -- values ---------------------------------------------------------------------------------------------------


def test_constants_variables_and_what_is_made_of_them(tmp_path):
    before = entry("constants: {a: 2, b: a^2}") + entry("variables: [k: 0.5*b, {l: c_light/c_light}]")
    before += entry("m: {kind: variable, value: 'mass_of(\"proton\")/mass_of(species)'}")
    before = entry('constants: {species: "proton"}') + before
    loaded = load(
        tmp_path,
        f"PALS:\n  facility:{BEGIN}{before}"
        + entry("y: {kind: Sextupole, length: 0.3, MagneticMultipoleP: {Kn2L: 0.6}}")
        + entry("x: {kind: Quadrupole, length: expr(l*m), MagneticMultipoleP: {Kn1: k*y>MagneticMultipoleP.Kn2L}}")
        + END,
    )
    assert loaded.line["x"].k1 == pytest.approx(1.2) and loaded.line["x"].length == 1.0
    assert loaded.line.replace({"k": 1.0})["x"].k1 == pytest.approx(0.6)


def test_sets(tmp_path):
    before = entry("q1: {kind: Quadrupole, length: 0.5, MagneticMultipoleP: {Kn1: 0.5}}")
    after = entry("set: {parameter: 'q.*>MagneticMultipoleP.Kn1', value: '2*PARAMETER + SELF.length'}")
    after += entry("sets: [x>length: 2*1.5]")
    x = one(tmp_path, "inherit: q1, MagneticMultipoleP: {Kn1: 1.0}", before)
    assert (x.length, x.k1) == (0.5, 1.0)
    q = load(tmp_path, f"PALS:\n  facility:{BEGIN}{before}{after.replace('x>', 'q1>')}{END.replace('x', 'q1')}").line[
        "q1"
    ]
    assert (q.length, q.k1) == (3.0, 1.5)


def test_controllers(tmp_path):
    quad = "kind: Quadrupole, length: 0.5, MagneticMultipoleP: {Kn1: 0.7}"
    ps = "kind: Controller, variables: {i: 0.4}, controls: [{parameter: x>MagneticMultipoleP.Kn1, expression: 2*i}]"
    two = entry(f"ps: {{{ps}}}") + entry(f"pt: {{{ps.replace('2*i', 'i')}}}")
    text = f"PALS:\n  facility:{BEGIN}{entry(f'x: {{{quad}}}')}{two}"
    loaded = load(tmp_path, text + END)
    assert loaded.line["x"].k1 == pytest.approx(1.2) and set(loaded.knobs) == {"ps.i", "pt.i"}
    assert loaded.line.replace({"ps.i": 1.0})["x"].k1 == pytest.approx(2.4)
    high = "high: {kind: Controller, variables: {h: 3}, controls: [{parameter: ps>i, expression: h/10}]}"
    assert load(tmp_path, text + entry(high) + END).line["x"].k1 == pytest.approx(1.0)
    relative = load(tmp_path, text.replace("kind: Controller", "kind: Controller, control_type: RELATIVE") + END)
    assert relative.line["x"].k1 == pytest.approx(0.7)
    assert relative.line.replace({"ps.i": 0.5})["x"].k1 == pytest.approx(0.9)


# -- kinds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "length", "angle"),
    [
        ("length: 2, BendP: {g_ref: 0.1", 2.0, 0.2), ("BendP: {angle_ref: 0.2, radius_ref: 5.0", 1.0, 0.2),
        ("BendP: {g_ref: 0.25, L_chord: 1.9", 1.9183311987205216, 0.4795827996801304),
        ("length: 1.5, BendP: {angle_ref: 0.15", 1.5, 0.15), ("length: 0.8, BendP: {e1: 0.01", 0.8, 0.0),
        ("BendP: {angle_ref: 0.2, L_chord: 1", 0.1 / math.sin(0.1), 0.2),
    ],
)  # fmt: skip
def test_a_bend_is_any_two_of_three(tmp_path, given, length, angle):
    bend = one(tmp_path, f"kind: Bend, {given}}}")
    assert (bend.length, bend.angle) == (pytest.approx(length, rel=1e-14), pytest.approx(angle, rel=1e-14))


def test_faces_of_a_bend(tmp_path):
    bend = one(
        tmp_path,
        "kind: Bend, length: 1, BendP: {angle_ref: 0.2, e1: 0.05, e2_rect: 0, edge1_int: 0.01, edge2_int: 0.01}",
    )
    assert (bend.e1, bend.e2, bend.fint * bend.hgap) == (0.05, 0.1, 0.01)
    assert one(tmp_path, "kind: Bend, length: 1, BendP: {angle_ref: 0.2, tilt_ref: 1.5}").tilt == 1.5


def test_strengths_in_all_four_forms(tmp_path):
    rigidity = 1e9 / 299792458.0
    for strength in ("Kn1: 0.6", "Kn1L: 0.3", f"Bn1: {0.6 * rigidity}", f"Bn1L: {0.3 * rigidity}"):
        x = one(tmp_path, f"kind: Quadrupole, length: 0.5, MagneticMultipoleP: {{{strength}}}")
        assert x.k1 == pytest.approx(0.6, rel=1e-14)
    assert one(tmp_path, "kind: Sextupole, MagneticMultipoleP: {Kn2L: 0.3, Ks1L: 0.1}").k1sl == 0.1
    x = one(tmp_path, "kind: Quadrupole, length: 0.5, MagneticMultipoleP: {Kn1: 0.6, Kn2: 3}")
    assert x.kind == "multipole" and (x.k1, x.k2) == (0.6, 3.0)


def test_solenoids_kickers_and_cavities(tmp_path):
    assert one(tmp_path, "kind: Solenoid, length: 1, SolenoidP: {Ksol: 0.3}").ks == 0.3
    assert one(tmp_path, "kind: Kicker, MagneticMultipoleP: {Kn0L: 1.0e-3}").hkick == -1e-3
    for given in (
        "gradient: 1.0e8",
        "voltage: 4.0e7",
        "gradient: 1.6e8, L_active: 0.25",
        "gradient: 1.0e8, voltage: 4.0e7",
    ):
        cavity = one(tmp_path, f"kind: RFCavity, length: 0.4, RFP: {{{given}, frequency: 1.0e9, phase: 0.25}}")
        assert cavity.voltage == pytest.approx(4e7) and cavity.phase == pytest.approx(0.5 * math.pi)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("kind: Sextupole, length: 0.5, ElectricMultipoleP: {En2: 5.0}", "ElectricMultipoleP.En2 = 5.0"),
        ("kind: Wiggler, length: 1", "Wiggler x: there is no such element here"),
        ("kind: Quadrupole, length: 1, MagneticMultipoleP: {tilt1: 0.3, Kn1: 1}", "MagneticMultipoleP.tilt1 = 0.3"),
        ("kind: Quadrupole, length: long", "long has no value"),
        ("kind: Quadrupole, length: [1]", "is neither a number nor an expression"),
        ("kind: Quadrupole, length: 1 +", "expression is"),
        ("inherit: nobody", "inherit is 'nobody'"),
        ("kind: Quadrupole, length: x>length", "lead to each other"),
        ("no: kind", "without a kind"),
    ],
)
def test_what_is_refused_has_its_place(tmp_path, body, message):
    with pytest.raises(LatticeError) as error:
        one(tmp_path, body)
    assert message in str(error.value) and str(error.value).startswith("ring.pals.yaml:4: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the root PALS"), ("PALS: 3", "the root PALS"), ("PALS:\n  facility: {a: 1}", "a list is expected"),
        ("PALS: &a\n  facility: []", "anchors"), ("PALS:\n  facility: [3]", "an entry has one name"),
        ("PALS:\n  load: [../../x.yaml]", "outside the folder"), ("PALS:\n  facility: []", "it holds no line"),
        ("PALS:\n  facility:\n    - l: {kind: BeamLine, line: [q]}", "q is neither an element nor a line"),
        ("PALS:\n  facility:\n    - l: {kind: BeamLine, line: [l]}", "in each other more than 100 deep"),
        ("PALS:\n  facility:\n    - m: {kind: Marker}\n    - l: {kind: BeamLine, line: [{m: {repeat: 99999999999}}]}",
         "a line of more than"),
        ("PALS:\n  facility:\n    - constants: {pi: 3}", "a constant of PALS"),
        ("PALS:\n  facility:\n    - set: {parameter: q>a, value: 1}", "of an element above"),
        ("PALS:\n  facility:\n    - b: {kind: BeginningEle, ReferenceP: {species_ref: tachyon, pc_ref: 1}}\n"
         "    - l: {kind: BeamLine, line: [b]}", "species is 'tachyon'"),
        ("PALS:\n  facility:\n    - q: {kind: Quadrupole, length: 1, MagneticMultipoleP: {Bn1: 1}}\n"
         "    - l: {kind: BeamLine, line: [q]}", "a field needs a charged reference particle"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_gets_one_line(tmp_path, text, message):
    with pytest.raises((LatticeError, bb.InputError)) as error:
        load(tmp_path, text)
    assert message in str(error.value) and "\n" not in str(error.value)
