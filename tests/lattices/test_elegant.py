"""What elegant's files mean: lines, variables, types, and the traps of each."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import reading
from reading import matrix, passages

import backbeam as bb
from backbeam.lattices import LatticeError
from backbeam.lattices.rpn import evaluate_rpn

load = partial(reading.load, name="ring.lte")


def one(tmp_path, text, **more):
    """The only element of a line."""
    return load(tmp_path, f"x: {text}\nbl: line=(x)", **more).line.elements[0]


# -- text -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("drift, l=0.5", 0.5),
        ("DRIF,L=.5;", 0.5),
        ("drift,l = 0.5 ! metres", 0.5),
        ("drift,&\n l=0.&\n5", 0.5),  # a token in two
        ("drift, & ! why not\n! a line of its own\n\n l=0.5", 0.5),
        ('"DRIFT","L"="0.25 2 *"', 0.5),
        ('drift, l="1 2 /", n_bins=3', 0.5),
        ('drift,l=0.5,label=""', 0.5),
        ("quad, l=0.5, k1=0", 0.5),
        ("edrift, l=5.e-1,", 0.5),
    ],
)
def test_a_statement(tmp_path, text, length):
    assert one(tmp_path, text).length == pytest.approx(length, rel=1e-15)


def test_names_with_colons_and_quotes(tmp_path):
    loaded = load(tmp_path, '"L1:Q1": quad,l=0.1,k1=1\n::cell: line=("L1:Q1", d)\nd: drift,l=1\nring: line=(2*::cell)')
    assert passages(loaded) == ["L1:Q1", "d"] * 2


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("(a,b,c)", "abc"), ("(-l2,c)", "bac"), ("(2*a,2*(b,c))", "aabcbc"), ("(-2*(a,b),c)", "babac"),
        ("(l3)", "aba"), ("(-l3)", "aba"), ("(2*-l2)", "baba"), ("(-(a,(b,c)))", "cba"), ('("a","-l2")', "aba"),
        ("( a , b ,\tc )", "abc"),
    ],
)  # fmt: skip
def test_lines(tmp_path, line, wanted):
    text = "a: mark\nb: mark\nc: mark\nl2: line=(a,b)\nl3: line=(l2,a)\n"
    assert "".join(passages(load(tmp_path, f"{text}ring: line={line}", line="ring"))) == wanted


def test_an_element_may_follow_another(tmp_path):
    loaded = load(tmp_path, "q: quad,l=0.3,k1=2\nq2: q,k1=-2\nd: drift\nuse,bl\nother: line=(q)\nbl: line=(q,q2,d)")
    assert [e.k1 for e in loaded.line.elements[:2]] == [2.0, -2.0] and loaded.line["q2"].length == 0.3


def test_files_and_the_end_of_one(tmp_path):
    loaded = load(tmp_path, "#INCLUDE: sub/magnets.lte\nbl: line=(q)\nreturn\nq: drift,l=9",
                  sub__magnets__lte="q: quad,l=0.2,k1=1\nreturn\nq: drift")  # fmt: skip
    assert loaded.line["q"].kind == "quadrupole"


def test_sirepos_program_around_it(tmp_path):
    loaded = load(
        tmp_path, '#!/usr/bin/env python\nimport os\nlattice_file = """\nd: drift,l=2\nbl: line=(d)\n"""\nos.x()'
    )
    assert loaded.line["d"].length == 2.0
    with pytest.raises(LatticeError, match=r"^ring\.lte:4: "):
        load(tmp_path, 'import os\nlattice_file = """\n\nd: drift,l=2 +,\nbl: line=(d)\n"""')


# -- reverse Polish notation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 2 +", 3.0), ("3 4 -", -1.0), ("2 3 pow", 8.0), ("9 sqrt", 3.0), ("0.5 asin sin", 0.5),
        ("pi 2 /", math.pi / 2),        ("90 dsin", 1.0), ("180 dtor", math.pi), ("3 sqr", 9.0), ("4 rec", 0.25),
        ("2 chs", -2.0), ("1 2 swap -", 1.0),
        ("100 log", 2.0), ("1 exp ln", 1.0), ("3 = *", 9.0), ("x 1 +", 8.0), ("1e-3", 1e-3), ("", None),
    ],
)  # fmt: skip
def test_rpn(text, value):
    assert evaluate_rpn(text, {"x": 7.0}) == (None if value is None else pytest.approx(value, abs=1e-14))


@pytest.mark.parametrize("text", ["+", "1 +", "y", "1 sto x", "nan", "1_0", "1 2 ** 3", "0 rec", "-1 sqrt", "{rm}"])
def test_what_is_no_rpn_gets_one_line(text):
    with pytest.raises(bb.InputError, match=r"allowed: ") as error:
        evaluate_rpn(text, {})
    assert "\n" not in str(error.value)


def test_stored_variables_are_knobs(tmp_path):
    text = '% 1.5 sto kq\n% kq chs sto kd % 2\nqf: quad,l=0.2,k1="kq"\nqd: quad,l=0.2,k1="kd 2 *"\nbl: line=(qf,qd)'
    loaded = load(tmp_path, text.replace(" % 2", ""))
    assert loaded.line["qd"].k1 == -3.0 and set(loaded.knobs) == {"kq", "kd"}
    assert loaded.line.replace({"kq": 2.0})["qd"].k1 == -4.0


def test_a_variable_stored_again_means_the_new_value_from_there_on(tmp_path):
    loaded = load(
        tmp_path, '% 1 sto x\n% x 1 + sto y\na: drift,l="x y +"\n% x 4 + sto x\nb: drift,l="x y +"\nbl: line=(a,b)'
    )
    assert [e.length for e in loaded.line.elements] == [3.0, 7.0]
    assert "x is stored again" in str(loaded.report)


# -- elements -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("qua,l=1,k1=2", "quadrupole"), ("quadrupole,l=1,k1=2", "quadrupole"), ("kquad,l=1,k1=2", "quadrupole"),
        ("sext,l=1,k2=2", "sextupole"), ("ksext,l=1,k2=2", "sextupole"), ("octu,l=1,k3=2", "octupole"),
        ("hkicker,l=1,kick=1e-3", "corrector"), ("marker,fitpoint=1", "marker"), ("monitor", "marker"),
        ("hmon,l=0.1", "drift"), ("watch,filename=\"%s.w1\",mode=coord", "marker"), ("charge,total=1e-9", "marker"),
        ("lscdrift,l=1,lsc=1,bins=1024", "drift"), ("csrdrift,l=1,dz=0.01", "drift"), ("rcol,l=1,x_max=0.01", "drift"),
        ("maxamp,x_max=0.1", "marker"), ("script,command=\"rm -rf {x}\"", "marker"), ("malign", "marker"),
        ("rfdf,l=1", "drift"), ("wake,inputfile=\"a.sdds\",factor=\"8 1 /\"", "marker"),
        ("rfca,l=1,phase=90", "drift"),
    ],
)  # fmt: skip
def test_kinds(tmp_path, text, kind):
    assert one(tmp_path, text).kind == kind


def test_bends(tmp_path):
    sector = one(tmp_path, "csbend,l=1,angle=0.2,e1=0.1,e2=0.05,k1=-0.3,hgap=0.02,tilt=0.1")
    assert (sector.kind, sector.length, sector.e1, sector.e2, sector.k1, sector.tilt) == (
        "sector_bend", 1.0, 0.1, 0.05, -0.3, 0.1)  # fmt: skip
    assert (sector.fint, sector.hgap) == (0.5, 0.02)  # elegant's default
    straight = one(tmp_path, "rben,l=1,angle=0.2,e1=0.01")
    assert straight.length == pytest.approx(0.1 / math.sin(0.1), rel=1e-15)
    assert (straight.e1, straight.e2) == (pytest.approx(0.11), pytest.approx(0.1))
    by_field = one(tmp_path, "csbend,l=2,angle=0.2,use_bn=1,b1=3,b2=5")
    assert (by_field.k1, by_field.k2) == (pytest.approx(0.3), pytest.approx(0.5))
    assert one(tmp_path, "csbend,l=1,angle=0.2,e1=0.1,edge1_effects=0").e1 is None
    assert one(tmp_path, "quad,l=1,k1=2,fse=0.01").k1 == pytest.approx(2.02)


def test_a_bend_backwards(tmp_path):
    text = "b: sben,l=1,angle=0.2,e1=0,e2=0.2\nd: drift,l=1\nhalf: line=(b,d)\nall: line=(half,-half)"
    loaded = load(tmp_path, text)
    assert passages(loaded) == ["b", "d", "d", "b_reversed"]
    assert (loaded.line["b_reversed"].e1, loaded.line["b_reversed"].e2) == (0.2, None)
    assert "e1 and e2 exchanged" in str(loaded.report)
    even = load(tmp_path, text.replace("e1=0,", "e1=0.2,"))
    assert passages(even) == ["b", "d", "d", "b"] and not even.report.guessed


def test_solenoids_and_cavities(tmp_path):
    assert one(tmp_path, "sole,l=1,ks=0.5").ks == -0.5
    cavity = one(tmp_path, 'rfca,l=3,volt=20e6,phase="90 30 +",freq=2856e6,change_p0=1')
    assert (cavity.voltage, cavity.frequency, cavity.radial_kick) == (20e6, 2856e6, False)
    assert cavity.phase == pytest.approx(math.pi / 6)
    focusing = one(tmp_path, "rfca,l=3,volt=20e6,phase=90,freq=2856e6,change_p0=1,end1_focus=1,end2_focus=1")
    assert focusing.structure == "travelling" and focusing.radial_kick
    loaded = load(tmp_path, "c: rfca,l=1,volt=1e6,phase=90,freq=1e9\nbl: line=(c)")
    assert "CHANGE_P0 is 0" in str(loaded.report)


def test_the_energy_of_a_cavity_is_a_sine_of_time(tmp_path):
    """V sin(w t + phase): behind the crest, a late particle gains less than the reference."""
    line = load(tmp_path, "c: rfca,l=0,volt=1e6,phase=120,freq=1e9,change_p0=1\nbl: line=(c)").line
    w = 2.0 * math.pi * 1e9 / 299792458.0
    gain = 1e6 * w * math.cos(math.radians(120.0))
    p0 = float(
        bb.Beam.from_arrays(np.zeros((6, 1)), species="electron", kinetic_energy=1e9, charge=0.0).reference.momentum
    )
    assert matrix(line)[5, 4] == pytest.approx(gain / p0, rel=1e-3)  # P0 changes by a thousandth


def test_a_deflector(tmp_path):
    """V cos(phase + w t), towards +x by its voltage whatever the charge: the middle of the bunch at 90 degrees."""
    crab = one(tmp_path, "rfdf,l=0.5,voltage=1e6,phase=90,tilt=0.1,fse=0.1,time_offset=1e-10,frequency=1e9,n_kicks=11")
    assert (crab.kind, crab.length, crab.frequency, crab.tilt) == ("crab_cavity", 0.5, 1e9, 0.1)
    assert (crab.voltage, crab.phase) == (pytest.approx(1.1e6), pytest.approx(math.pi / 2 + 2 * math.pi * 0.1))
    thin = one(tmp_path, "rfdf,voltage=2e6,standing_wave=1")
    assert (thin.frequency, thin.phase, thin.length) == (2856e6, 0.0, None)
    line = bb.Line([thin])
    late = bb.Beam.from_arrays([[0.0]] * 4 + [[1e-4], [0.0]], species="electron", kinetic_energy=1e8, charge=0.0)
    angle = 2 * math.pi * 2856e6 * 1e-4 / 299792458.0
    wanted = 2e6 / float(late.reference.momentum) * math.cos(angle)
    assert float(bb.track(line, late).px[0]) == pytest.approx(wanted, rel=1e-12)


def test_text_that_says_how_a_field_changes_is_said(tmp_path):
    loaded = load(tmp_path, 'x: rfdf,voltage=1e6,voltage_waveform="v.sdds=t+v"\nbl: line=(x)')
    assert "voltage_waveform = 'v.sdds=t+v' is not looked at" in str(loaded.report)


def test_commands_in_a_file_are_never_run(tmp_path):
    ran = tmp_path / "ran"
    load(tmp_path, f'x: script,command="touch {ran}"\ny: watch,filename="{{touch {ran}}}"\nbl: line=(x,y)')
    assert not ran.exists()


def test_thin_and_thick_multipoles(tmp_path):
    assert one(tmp_path, "mult,order=2,knl=3").k2l == 3.0
    assert one(tmp_path, "mult,order=2,knl=3,l=2").k2 == 1.5


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("quad,l=1,k1=1,hkick=1e-3", "hkick = 0.001"), ("csbend,l=1,angle=0.1,k4=3", "k4 = 3"),
        ("alph,xmax=0.12", "alph x"),         ("matr,filename=a.mat", "matr x"), ("rftm110,voltage=1e6", "rftm110 x"),
        ("rfdf,l=1,voltage=1e6,standing_wave=1", "standing_wave of a cavity with a length"),
        ("malign,dp=0.01", "dp = 0.01"),
        ("cwiggler,l=1,b_max=1", "cwiggler x"), ("sext,l=1,k2=1,k1=0.1", "k1 of a sextupole"),
        ("csbend,l=1,angle=0.1,etilt=1e-3", "etilt"), ("csbend,l=1,angle=0.1,dz=1e-3", "dz"),
    ],
)  # fmt: skip
def test_what_would_change_the_optics_is_refused_with_its_place(tmp_path, text, what):
    with pytest.raises(LatticeError, match=rf"^ring\.lte:2: .*{what}"):
        load(tmp_path, f"! first\nx: {text}\nbl: line=(x)")
    word = text.partition(",")[0]
    assert load(tmp_path, f"x: {text}\nbl: line=(x)", replace={word: "drift"}).report.replaced


def test_what_is_dropped_and_unused_is_said(tmp_path):
    loaded = load(tmp_path, "d: lscdrift,l=1\nq: quad\nc: ecol,l=1,x_max=1\ns: script\nbl: line=(d,c,s)")
    report = str(loaded.report)
    assert (
        "space charge: d" in report
        and loaded.line["c"].aperture.half_x == 1.0
        and "1 elements: q" in report
        and "script" in report
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bl: line=(q)", "ring.lte:1: q is neither an element nor a line"),
        ("q: quod,l=1\nbl: line=(q)", "ring.lte:1: q: quod is neither a type of elegant nor an element above"),
        ("q: quad,l=1x\nbl: line=(q)", "ring.lte:1: l: expression is '1x'"),
        ("q: quad,l=\"1 +\"\nbl: line=(q)", "ring.lte:1: l: expression is '1 +'"),
        ("% 1 + sto x", "ring.lte:1: expression is"),
        ("d: drift\nbl: line=(d", "ring.lte:2: a line whose brackets do not close"),
        ("d: drift\nbl: line=(d))", "ring.lte:2: ')' stands behind the line"),
        ("d: drift\nbl: line=d", "ring.lte:2: a line is LINE="),
        ("d: drift\nbl: line=(*d)", "ring.lte:2: a number of repetitions"),
        ("a: line=(b)\nb: line=(a)", "one of a, b"),
        ("#include: ../other.lte", "outside the folder"),
        ("#include: ring.lte", "more than 20 deep"),
        ("d: drift", "it holds no line"),
        ("d: drift\na: line=(1000*d)\nb: line=(1000*a)\nbl: line=(1000*b)", "a line of more than 1000000 elements"),
        ("d: drift\nbl: line=(99999999999*d)", "a line of more than 1000000 elements"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_gets_one_line(tmp_path, text, message):
    with pytest.raises((LatticeError, bb.InputError)) as error:
        load(tmp_path, text)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_line_within_itself(tmp_path):
    with pytest.raises(LatticeError, match="in each other more than 100 deep"):
        load(tmp_path, "d: drift\na: line=(b,d)\nb: line=(a)", line="a")
