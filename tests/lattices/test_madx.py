"""What MAD-X means: each of these was asked of MAD-X 5.09 itself, in other words and with other numbers."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
from reading import matrix

import backbeam as bb
from backbeam.elements.openings import Ellipse, Racetrack, Rectangle, RectEllipse
from backbeam.lattices import LatticeError

QUADS = "qf: quadrupole, l=0.5, k1=1.1; qd: quadrupole, l=0.5, k1=-1.3; m: marker; d: drift, l=0.25; "


def load(tmp_path, text, *, line=None, replace=None, **files):
    """A lattice from text; further files by name."""
    for name, content in files.items():
        (tmp_path / name.replace("_", ".")).write_text(content)
    path = tmp_path / "ring.madx"
    path.write_text(text)
    return bb.load(path, line=line, replace=replace)


def places(loaded):
    """(name, place of the entrance to 1e-9) of all that is no drift."""
    found, s = [], 0.0
    for name, element in zip(loaded.line.sequence, loaded.line.elements, strict=True):
        if element.kind != "drift":
            found.append((name, round(s, 9)))
        s += element.length if element.is_thick else 0.0
    return found


def value(tmp_path, text, of="x"):
    """Number that a variable has in the end."""
    loaded = load(tmp_path, f"{text}; q: quadrupole, l=1, k1:={of}; ring: line=(q); use, period=ring;")
    return loaded.line["q"].k1


# -- variables and expressions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text,wanted",
    [
        ("y=2; x=y; y=3", 2.0), ("y=2; x:=y; y=3", 3.0), ("x:=2*y; y=3", 6.0), ("x=y+1", 1.0), ("x:=1/y", 0.0),
        ("real const x=4", 4.0), ("x: =5", 5.0), ("X := Y; y=7", 7.0), ("x=pi/twopi", 0.5), ("pi=2; x=pi", math.pi),
        ("x=1;;x=2", 2.0), ("x=3 ! 4\n// x=5;\n/* x=6; \n x=7;*/", 3.0), ("title, 'it is; x=3!'; x=1", 1.0),
        ("a.b$1=2; x=a.b$1^2", 4.0), ("x=-2^2", -4.0), ("x=2^3^2", 64.0), ("qq: quadrupole, l=2; x=qq->l*2", 4.0),
        ("qq: quadrupole, k1:=y; x:=qq->k1; y=3", 3.0), ("qq: quadrupole; qq->k1=4; x=qq->k1", 4.0),
        ("x=1; if (x>=1 && y<>1) {x=2;} else {x=3;}", 2.0), ("x=4; if (x<1) {x=2;} elseif (x==4) {x=9;}", 9.0),
        ("y=3; if (y>2 || y>1 && y>9) {x=1;}", 1.0), ("x=0; while (x<5) {x=x+1;}", 5.0),
        ("s(a): macro = {x=a;}; exec, s(3)", 3.0), ("s(a): macro = {x=2*a;} exec, s(1+2)", 2.0),
        ("s(a): macro = {x=2*a;} exec, s(-1)", 0.0), ("y=3; s(a): macro = {x=2*a;} exec, s(2*y)", 4.0),
        ("s(a): macro = {x=2*a;} exec, s((1))", 0.0), ("s(a): macro = {x=2*a;} exec, s(1.5e-3)", 3e-3),
        ("y=4; s(a): macro = {x=a;}; exec, s($y)", 4.0), ("s(nn): macro = {vnn=3;}; exec, s(7); x=v7", 3.0),
        ("s(k): macro = {xk1=5;}; exec, s(2); x=x21", 5.0), ("x=exist(y)", 0.0), ("y=1; x=exist(y)", 1.0),
        ("x=abs(-2)+sinc(0)+frac(1.5)", 3.5), ("x=2; return; x=3", 2.0),
    ],
)  # fmt: skip
def test_variables(tmp_path, text, wanted):
    if "return" in text:
        (tmp_path / "v.str").write_text(text)
        text = "call, file='v.str'"
    assert value(tmp_path, text) == wanted


def test_a_class_is_copied_when_it_is_used(tmp_path):
    """What happens to a class afterwards does not reach what was made of it."""
    assert value(tmp_path, "a: quadrupole, k1=1; b: a; a->k1=2; x=b->k1") == 1.0
    assert value(tmp_path, "a: quadrupole, k1=1; b: a; a, k1=2; x=b->k1") == 1.0
    assert value(tmp_path, "a: quadrupole, k1=1; b: a; a: quadrupole, k1=2; x=b->k1 + 10*a->k1") == 21.0


def test_an_undefined_variable_is_zero_and_is_said(tmp_path):
    loaded = load(tmp_path, "q: quadrupole, l=1, k1 := kq;\nring: line=(q);")
    assert loaded.line["q"].k1 == 0.0 and loaded.knobs["kq"] == 0.0
    assert loaded.line.replace({"kq": 0.4})["q"].k1 == 0.4
    assert any("kq is not defined" in str(note) for note in loaded.report.guessed)


def test_files_call_files_and_stop_ends_all(tmp_path):
    loaded = load(
        tmp_path,
        f"{QUADS} call, file=more.str; ring: line=(qf); stop; ring: line=(qd);",
        more_str="qf->k1 = 9; return; x y z",
    )
    assert loaded.line["qf"].k1 == 9.0 and loaded.line.sequence == ("qf",)


# -- lines ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text,wanted",
    [
        ("ring: line=(qf, d, qd);", "qf d qd"), ("c: line=(qf, d); ring: line=(2*c, -c, m);", "qf d qf d d qf m"),
        ("ring: line=(3*qf, -(qd, d, m));", "qf qf qf m d qd"), ("c: line=(qf, (d, qd)); ring: line=(-c);", "qd d qf"),
        ("c(a, b): line=(a, 2*b); ring: line=(c(qf, qd), c(m, (d, qf)));", "qf qd qd m d qf d qf"),
        ("c: line=(qf,d); ring: line=(-2*c);", "d qf d qf"), ("ring: line = (QF ,\n d,& ! note\n qd\n);", "qf d qd"),
        ("t: sequence, l=2, refer=entry; q: qf, at=0.5; endsequence; ring: line=(d, t, qd);", "d drift_1 q drift_2 qd"),
    ],
)  # fmt: skip
def test_lines(tmp_path, text, wanted):
    assert " ".join(load(tmp_path, QUADS + text, line="ring").line.sequence) == wanted


def test_a_line_backwards_does_not_turn_its_bends_round(tmp_path):
    loaded = load(tmp_path, "b: sbend, l=1, angle=0.1, e1=0.02, e2=0.03; c: line=(b); ring: line=(-c);", line="ring")
    assert (loaded.line["b"].e1, loaded.line["b"].e2) == (0.02, 0.03)


def test_which_line_is_meant(tmp_path):
    text = QUADS + "c: line=(qf); ring: line=(c, d); other: line=(qd);"
    assert load(tmp_path, text + "use, period=other;").line.sequence == ("qd",)
    assert load(tmp_path, text + "use, period=other;", line="RING").line.name == "ring"
    with pytest.raises(bb.InputError, match="line is None; allowed: one of ring, other"):
        load(tmp_path, text)
    assert load(tmp_path, QUADS + "c: line=(qf); ring: line=(c, d);").line.name == "ring"  # not inside another
    with pytest.raises(bb.InputError, match="line is 'rign'"):
        load(tmp_path, text, line="rign")


# -- sequences --------------------------------------------------------------------------------------------------------

INNER = "t: sequence, l=2, refer=entry{}; q1: qf, at=0; m1: m, at=1.5; endsequence; "


@pytest.mark.parametrize(
    "text,wanted",
    [
        ("s: sequence, l=10, refer=entry; a: qf, at=1; endsequence;", [("a", 1.0)]),
        ("s: sequence, l=10; a: qf, at=1; endsequence;", [("a", 0.75)]),
        ("s: sequence, l=10, refer=exit; a: qf, at=1; endsequence;", [("a", 0.5)]),
        ("s: sequence, l=10, refer=entry; a: qf, at=1; b: qf, at=2, from=a; endsequence;", [("a", 1.0), ("b", 3.25)]),
        ("s: sequence, l=10; b: qf, at=-2, from=a; a: qf, at=4; endsequence;", [("b", 1.75), ("a", 3.75)]),
        (INNER.format("") + "s: sequence, l=10; t, at=3; endsequence;", [("q1", 2.0), ("m1", 3.5)]),
        (INNER.format("") + "s: sequence, l=10, refer=exit; t, at=3; endsequence;", [("q1", 1.0), ("m1", 2.5)]),
        (INNER.format(", refpos=m1") + "s: sequence, l=10; t, at=3; endsequence;", [("q1", 1.5), ("m1", 3.0)]),
        (INNER.format("") + "s: sequence, l=10; t, at=3; b: qd, at=2, from=t; endsequence;",
         [("q1", 2.0), ("m1", 3.5), ("b", 4.75)]),
        (INNER.format(", refpos=m1") + "s: sequence, l=10; t, at=3; b: qd, at=2, from=t; endsequence;",
         [("q1", 1.5), ("m1", 3.0), ("b", 4.75)]),
        (INNER.format("") + "s: sequence, l=10; t, at=3; b: qd, at=2, from=m1; endsequence;",
         [("q1", 2.0), ("m1", 3.5), ("b", 5.25)]),
        ("dx := 0.5; s: sequence, l:=2*l0, refer=entry; qf, at:=dx; qf, at=5; endsequence; dx=2; l0=4;",
         [("qf", 2.0), ("qf", 5.0)]),
    ],
)  # fmt: skip
def test_sequences(tmp_path, text, wanted):
    loaded = load(tmp_path, QUADS + text, line="s")
    assert places(loaded) == wanted
    assert loaded.line.length == pytest.approx(8.0 if "l0" in text else 10.0, abs=1e-12)


EDITED = (
    QUADS
    + "s: sequence, l=10, refer=entry; a: qf, at=1; b: qf, at=4; c: m, at=8; endsequence; "
    + "seqedit, sequence=s; {} endedit;"
)


@pytest.mark.parametrize(
    "edit,wanted",
    [
        ("", [("a", 1.0), ("b", 4.0), ("c", 8.0)]),
        ("flatten; move, element=a, by=0.5;", [("a", 1.5), ("b", 4.0), ("c", 8.0)]),
        ("move, element=a, to=6;", [("b", 4.0), ("a", 5.75), ("c", 8.0)]),
        ("move, element=a, to=1, from=b;", [("b", 4.0), ("a", 5.0), ("c", 8.0)]),
        ("reflect;", [("c", 2.0), ("b", 5.5), ("a", 8.5)]),
        ("cycle, start=c;", [("c", 0.0), ("a", 3.0), ("b", 6.0)]),
        ("cycle, start=b;", [("b", 0.0), ("c", 4.0), ("a", 7.0)]),
        ("replace, element=a, by=qd;", [("qd", 1.0), ("b", 4.0), ("c", 8.0)]),
        ("install, element=n, class=m, at=-1, from=b;", [("a", 1.0), ("n", 3.25), ("b", 4.0), ("c", 8.0)]),
        ("install, element=d2, class=qd, at=6;", [("a", 1.0), ("b", 4.0), ("d2", 5.75), ("c", 8.0)]),
        ("remove, element=a;", [("b", 4.0), ("c", 8.0)]),
        ("select, flag=seqedit, class=qf; remove, element=selected;", [("c", 8.0)]),
        ("select, flag=seqedit, pattern='^[ab]$'; move, element=selected, by=1;", [("a", 2.0), ("b", 5.0), ("c", 8.0)]),
        ("install, element=a, at=6; remove, element=a[2];", [("a", 1.0), ("b", 4.0), ("c", 8.0)]),
    ],
)  # fmt: skip
def test_edited_sequences(tmp_path, edit, wanted):
    loaded = load(tmp_path, EDITED.format(edit), line="s")
    assert places(loaded) == wanted and loaded.line.length == pytest.approx(10.0, abs=1e-12)


def test_extracted_sequences_begin_and_end_at_whole_elements(tmp_path):
    loaded = load(tmp_path, EDITED.format("") + "extract, sequence=s, from=a, to=c, newname=part;", line="part")
    assert places(loaded) == [("a", 0.0), ("b", 3.0), ("c", 7.0)] and loaded.line.length == pytest.approx(7.0)


def test_gaps_of_a_micrometre_are_none_and_overlaps_beyond_it_are_refused(tmp_path):
    text = "q: quadrupole, l=1, k1=1; s: sequence, l=3, refer=entry; a: q, at=0;\n b: q, at={}; endsequence;"
    assert [e.kind for e in load(tmp_path, text.format(1.0000005)).line][:2] == ["quadrupole"] * 2
    assert [e.kind for e in load(tmp_path, text.format(0.9999995)).line][:2] == ["quadrupole"] * 2
    with pytest.raises(LatticeError, match=r"ring.madx:2: b overlaps a by 5e-05 m in s"):
        load(tmp_path, text.format(0.99995))
    with pytest.raises(LatticeError, match=r"b overlaps a by 3 m"):  # MAD-X does not put them in order
        load(tmp_path, text.replace("at=0", "at=2").format(0))
    with pytest.raises(LatticeError, match=r"b reaches beyond the end by 0.5 m in s"):
        load(tmp_path, text.format(2.5))


# -- elements ---------------------------------------------------------------------------------------------------------


def one(tmp_path, text, **options):
    """The element of a definition."""
    return load(tmp_path, f"beam, particle=proton, pc=1; x: {text}; ring: line=(x);", **options).line["x"]


def test_a_rectangular_bend_is_given_by_its_chord(tmp_path):
    arc = 0.25 / math.sin(0.25)
    assert one(tmp_path, "rbend, l=1, angle=0.5").length == pytest.approx(arc, rel=1e-15)
    assert one(tmp_path, "rbend, l=1, angle=0.5; option, rbarc=false").length == 1.0
    assert one(tmp_path, "rbend, l=1, angle=0.5; option, -rbarc").length == 1.0
    assert one(tmp_path, "rbend, l=1, angle=0.5, e1=0.1").kind == "rectangular_bend"
    ring = load(tmp_path, "b: rbend, l=1, angle=0.5; s: sequence, l=10; b, at=3; endsequence;")
    assert places(ring) == [("b", round(3 - 0.5 * arc, 9))] and ring.line.length == pytest.approx(10.0)


def test_kicks(tmp_path):
    assert one(tmp_path, "hkicker, kick=1e-3").hkick == one(tmp_path, "hkicker, hkick=1e-3").hkick == 1e-3
    assert one(tmp_path, "vkicker, l=0.2, kick=1e-3").vkick == 1e-3
    both = one(tmp_path, "kicker, l=0.2, hkick=1e-3, vkick=-2e-3")
    assert (both.hkick, both.vkick, both.length) == (1e-3, -2e-3, 0.2)
    assert one(tmp_path, "hkicker, kick=1e-3, hkick=2e-3").hkick == 1e-3
    assert one(tmp_path, "hkicker, l=0.2").kind == "drift" and one(tmp_path, "hkicker").kind == "marker"


def test_cavities_in_megavolts_megahertz_and_turns(tmp_path):
    c = one(tmp_path, "rfcavity, l=1, volt=2, freq=100, lag=0.1")
    assert (c.voltage, c.frequency, c.phase) == (2e6, 1e8, pytest.approx(0.2 * math.pi - 0.5 * math.pi))
    crab = one(tmp_path, "crabcavity, l=1, volt=2, freq=100, lag=0.1")
    assert (crab.kind, crab.phase) == ("crab_cavity", c.phase)
    text = (
        "beam, particle=proton, pc=1; c: rfcavity, volt=2, freq=7, harmon=3; s: sequence, l=20; c, at=1; endsequence;"
    )
    loaded = load(tmp_path, text)
    beta = float(loaded.reference.beta)
    assert loaded.line["c"].frequency == pytest.approx(3 * beta * 299792458.0 / 20, rel=1e-15)
    assert one(tmp_path, "rfcavity, l=1, freq=100").kind == "drift"
    ion = load(tmp_path, "beam, particle=ion, mass=3.7, charge=2, pc=4; c: rfcavity, volt=2, freq=7; ring: line=(c);")
    assert ion.line["c"].voltage == 1e6  # MAD-X's volt is the gain, ours the voltage


def test_multipoles_of_any_order(tmp_path):
    m = one(tmp_path, "multipole, knl={0, 0.1, kx*2}, ksl:={0, 0, 0.3}; kx = 4")
    assert (m.k1l, m.k2l, m.k2sl, m.k3l) == (0.1, 0.0, 0.3, None) or m.k2l is None
    assert one(tmp_path, "multipole, knl={0, 0}").kind == "marker"
    deferred = load(tmp_path, "m: multipole, knl:={0, 0.1, kx*2}; ring: line=(m); kx=4;")
    assert deferred.line["m"].k2l == 8.0 and deferred.line.replace({"kx": 1.0})["m"].k2l == 2.0


def test_what_measures_or_collimates_is_a_marker_or_a_drift(tmp_path):
    for word in ("monitor", "hmonitor", "instrument", "placeholder", "rcollimator", "collimator"):
        assert one(tmp_path, word).kind == "marker"
        assert (one(tmp_path, f"{word}, l=0.3").kind, one(tmp_path, f"{word}, l=0.3").length) == ("drift", 0.3)


@pytest.mark.parametrize(
    "text,wanted",
    [
        ("aperture={0.1}", Ellipse(0.1)), ("apertype=ellipse, aperture={0.1, 0.2}", Ellipse(0.1, 0.2)),
        ("apertype=rectangle, aperture:={w, 2*w}", Rectangle(0.3, 0.6)), ("aperture={0}", None),
        ("apertype=rectellipse, aperture={0.1, 0.2, 0.3, 0.4}", RectEllipse(0.1, 0.2, 0.3, 0.4)),
        ("apertype='racetrack', aperture={0.1, 0.2, 0.05, 0.06}", Racetrack(0.1, 0.2, 0.05, 0.06)),
        ("apertype=profile.tfs, aperture={0.1}", None), ("apertype=rectangle, aperture={0.1}", None),
    ],
)  # fmt: skip
def test_apertures_are_the_pipe_of_an_element(tmp_path, text, wanted):
    element = one(tmp_path, f"rcollimator, l=0.3, {text}; w = 0.3")
    assert element.aperture == wanted and element.aperture_tests == (1 if wanted else 10)


def test_an_octagon(tmp_path):
    octagon = one(tmp_path, "marker, apertype=octagon, aperture={0.1, 0.1, pi/8, 3*pi/8}").aperture
    x, y = np.asarray([0.099, 0.099, 0.08, 0.0, -0.069]), np.asarray([0.0, 0.05, 0.08, -0.099, 0.069])
    np.testing.assert_array_equal(octagon.passes(x, y), [True, False, False, True, True])


def test_a_magnet_without_length_does_nothing(tmp_path):
    assert one(tmp_path, "quadrupole, k1=3").kind == "marker"


def test_a_matrix_is_turned_into_our_coordinates(tmp_path):
    m = one(tmp_path, "matrix, rm12=0.3, rm56=0.2, rm51=0.1, rm65=-0.4").matrix
    wanted = np.eye(6)
    wanted[0, 1], wanted[4, 5], wanted[4, 0], wanted[5, 4] = 0.3, -0.2, -0.1, 0.4
    np.testing.assert_array_equal(m, wanted)


@pytest.mark.parametrize(
    "text,species,momentum",
    [
        ("pc=2, particle=proton", "proton", 2e9), ("", "positron", 999999869.4),
        ("particle=electron, energy=3", "electron", 2.99999995648e9), ("particle=proton, gamma=2", "proton", None),
        ("particle=posmuon, pc=1", "muon+", 1e9), ("particle=proton, brho=10", "proton", 2.99792458e9),
        ("particle=ion, mass=0.93827208816, charge=-1, pc=1", "antiproton", 1e9),
        ("particle=ion, mass=193.7, charge=54, pc=5000", "ion", 5e12),
        ("sequence=ring, particle=proton, pc=4", "proton", 4e9), ("particle=proton, beta=0.6", "proton", 703704066.1),
    ],
)  # fmt: skip
def test_the_reference_particle(tmp_path, text, species, momentum):
    loaded = load(tmp_path, f"{QUADS} beam, {text}; ring: line=(qf);")
    assert loaded.reference.species.name == species
    if momentum is not None:
        assert float(loaded.reference.momentum) == pytest.approx(momentum, rel=1e-10)
    else:
        assert float(loaded.reference.gamma) == pytest.approx(2.0, rel=1e-14)
    assert load(tmp_path, f"{QUADS} ring: line=(qf);").reference is None


# -- what is refused, and what is said --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text,message",
    [
        ("x: elseparator, ex=1", "ring.madx:2: elseparator x: there is no such element here; replace="),
        ("x: quadrupole, l=1, k1=1, k3=2", "quadrupole x: k3 = 2.0 would change what it does"),
        ("x: sbend, l=1, angle=0.1, h1=0.2", "sbend x: h1 = 0.2 would change"),
        ("x: marker; efcomp, order=1, dkn={1}", "ring.madx:2: efcomp : errors of the field are not applied"),
        ("x: foo, l=1", "ring.madx:2: x: foo is no kind of element"),
        ("x: nllens, k1=1", "ring.madx:2: nllens x: k1 = 1.0 would change what it does"),
        ("x: elseparator, l=1, ex_l=2", "ring.madx:2: elseparator x: there is no such element here"),
        ("x: marker; y = (3", "ring.madx:2: expression is"),
        ("x: marker; y := y + 1; z = y", "lead back to itself"),
        ("x: marker; y := z; z := y; w = y", "lead back to itself"),
        ("x: marker; if (1) {y=2;}", "no comparison"),
        ("x: marker; while (1 > 0) {y=2;}", "more than 50000 statements in loops"),
        ("x: marker; m(a): macro = {exec, m(a);}; exec, m(1)", "nested more than 50 deep"),
        ("x: marker; if (1 > 0) {y=2;", "missing, or not closed"),
        ("x: marker; exec, nothing", "there is no such macro"),
        ("x: marker; call, file='../secret.madx'", "outside the folder of the first file"),
        ("x: marker; call, file='none.madx'", "no such file below"),
        ("x: marker; call, file='ring.madx'", "more than 20 deep|more than 50 deep"),
        ("x: marker; nothing->k1 = 3", "there is no element nothing"),
        ("x: line=(x)", "nested more than 50 deep"),
        ("x: line=(y)", "'y' is neither an element nor a line"),
    ],
)  # fmt: skip
def test_refusals_say_file_and_line(tmp_path, text, message):
    with pytest.raises((LatticeError, bb.InputError), match=message) as error:
        load(tmp_path, f"beam, particle=proton, pc=1;\n{text};\n ring: line=(x);", line="ring")
    assert "\n" not in str(error.value)


def test_what_is_switched_off_is_a_drift_whatever_else_it_says(tmp_path):
    text = "x: rfmultipole, l=1, freq=400, pnl={0, 1}, dx=1e-3; y: elseparator, l=1, tilt=1; ring: line=(x, y);"
    assert [e.kind for e in load(tmp_path, text).line] == ["drift", "drift"]


def test_what_is_refused_can_be_replaced(tmp_path):
    text = "x: elseparator, l=0.4, ex=1; y: sextupole, l=0.1, k2=3; ring: line=(x, y, x);"
    loaded = load(tmp_path, text, replace={"elseparator": "drift", "y": "marker"})
    assert [e.kind for e in loaded.line] == ["drift", "marker", "drift"] and loaded.line["x"].length == 0.4
    assert [str(n).partition(": ")[2] for n in loaded.report.replaced] == [
        "elseparator x by drift",
        "sextupole y by marker",
    ]
    with pytest.raises(bb.InputError, match="replace is 'wire'; allowed: a kind or an element of the line; its kinds"):
        load(tmp_path, text, replace={"elseparator": "drift", "wire": "drift"})
    with pytest.raises(bb.InputError, match=r"replace\['y'\] is 'nothing'"):
        load(tmp_path, text, replace={"y": "nothing"})


def test_the_report_says_what_was_passed_over(tmp_path):
    loaded = load(
        tmp_path,
        QUADS + "unused.k = 3; twiss, file=a; twiss; match; endmatch; odd; ring: line=(qf);",
    )
    said = str(loaded.report)
    assert "dropped: ring.madx:1: twiss: not carried out" in said and said.count("twiss") == 1
    assert "guessed: ring.madx:1: odd: not known" in said and "unused: 1 variables: unused.k" in said


# -- knobs ------------------------------------------------------------------------------------------------------------

RING = """
beam, particle=proton, pc=2;
lq = 0.4; kqf := 0.6 + trim; kqd := -kqf; trim = 0; a := twopi/16; where := 1;
qf: quadrupole, l:=lq, k1:=kqf; qd: quadrupole, l:=lq, k1:=kqd*2; b: rbend, l=1, angle:=a;
cell: sequence, l=6, refer=entry; qf, at=0; b, at:=where; qd, at=3; endsequence;
"""


def test_knobs_move_strengths_lengths_and_places(tmp_path):
    line = load(tmp_path, RING).line
    assert line.knobs["kqd"] == -0.6 and line["qd"].k1 == -1.2
    turned = line.replace({"trim": 0.1, "lq": 0.5, "where": 1.2, "a": 0.3})
    assert turned["qf"].k1 == pytest.approx(0.7) and turned["qd"].k1 == pytest.approx(-1.4)
    assert (turned["qf"].length, turned["qd"].length) == (0.5, 0.5) and turned["b"].angle == 0.3
    assert turned.length == pytest.approx(6.0, abs=1e-12) and turned["b"].length == pytest.approx(0.15 / math.sin(0.15))
    drifts = [e.length for e in turned if e.kind == "drift"]
    assert drifts == pytest.approx([0.7, 3 - 1.2 - 0.15 / math.sin(0.15), 2.5])
    assert set(line.knobs) == {"lq", "kqf", "kqd", "trim", "a", "where"}


def test_fringes_at_each_end(tmp_path):
    both = one(tmp_path, "sbend, l=1, angle=0.1, fint=0.5, hgap=0.02")
    assert (both.fint, both.hgap, both.fint_exit, both.hgap_exit) == (0.5, 0.02, None, None)
    other = one(tmp_path, "sbend, l=1, angle=0.1, fint=0.5, hgap=0.02, fintx=0.3")
    assert (other.fint, other.fint_exit, other.hgap_exit) == (0.5, 0.3, 0.02)
    none = one(tmp_path, "sbend, l=1, angle=0.1, fint=0.5, hgap=0.02, fintx=0")
    assert (none.fint, none.fint_exit) == (0.5, 0.0)
    exit = one(tmp_path, "sbend, l=1, angle=0.1, hgap=0.02, fintx=0.4")
    assert (exit.fint, exit.fint_exit, exit.hgap_exit) == (None, 0.4, 0.02)
    assert one(tmp_path, "sbend, l=1, angle=0.1, fint=0.5").fint is None  # no gap, no fringe


def test_the_field_of_a_bend_is_its_curvature_unless_it_has_another(tmp_path):
    assert one(tmp_path, "sbend, l=1, angle=0.1, k0=0.11").k0 == 0.11
    assert one(tmp_path, "sbend, l=1, angle=0.1, k0=0").k0 is None
    assert one(tmp_path, "sbend, l=1, angle=0.1, k0:=kz").k0 is None  # and so it is where a knob is 0


def test_thin_dipoles_bend_the_reference(tmp_path):
    thin = one(tmp_path, "multipole, knl={0.1, 0.2}, lrad=0.3")
    assert (thin.k0l, thin.angle, thin.lrad, thin.k1l) == (0.1, 0.1, 0.3, 0.2)
    straight = one(tmp_path, "multipole, knl={0, 0.2}, lrad=0.3")
    assert (straight.k0l, straight.angle, straight.lrad) == (None, None, None)
    other = one(tmp_path, "multipole, knl={0.1}, angle=0.3")
    assert (other.k0l, other.angle) == (0.1, 0.3)
    with pytest.raises(LatticeError, match=r"a skew dipole, ksl\[0\]"):
        one(tmp_path, "multipole, ksl={0.1}")


def test_changes_of_axes(tmp_path):
    assert one(tmp_path, "srotation, angle=0.1").roll == 0.1
    assert one(tmp_path, "xrotation, angle=0.1").pitch == -0.1
    assert one(tmp_path, "yrotation, angle=0.1").yaw == 0.1
    shift = one(tmp_path, "translation, dx=1e-3, dy=2e-3, ds=0.1")
    assert (shift.dx, shift.dy, shift.ds, shift.kind) == (1e-3, 2e-3, 0.1, "patch")
    assert one(tmp_path, "srotation, angle=0").kind == "marker"


def scripted(cells):
    """A ring that a script would write: bends, quadrupoles, sextupoles and monitors at their places, with knobs."""
    kinds = ("mb", "mqf", "mb", "ms", "bpm", "mqd")
    placed = [f"{kinds[k % 6]}.{k}: {kinds[k % 6]}, at={10 * k + 5}, slot_id={k};" for k in range(6 * cells)]
    return (
        "beam, particle=proton, pc=450; kqf := 0.01 + dkq; dkq = 0; l.mb = 6.2; l.mq = 3.0; ab := twopi/3000;"
        "mb: rbend, l:=l.mb, angle:=ab; mqf: quadrupole, l:=l.mq, k1:=kqf; mqd: quadrupole, l:=l.mq, k1:=-kqf;"
        f"bpm: monitor; ms: sextupole, l=0.4, k2:=ksx; ring: sequence, l={60 * cells};"
        + "\n".join(placed)
        + "endsequence;"
    )


@pytest.mark.long
@pytest.mark.parametrize("cells,seconds", [(58, 0.5), (1083, 10.0)])
def test_large_rings_are_read_in_seconds(tmp_path, cells, seconds):
    """Seconds of the processor, which are what the reader takes whoever else works beside it."""
    value(tmp_path, "x=1")  # the grammar is made when it is first used
    start = time.process_time()
    loaded = load(tmp_path, scripted(cells))
    assert time.process_time() - start < seconds
    assert len(loaded.line) == 12 * cells + 1 and loaded.line.length == pytest.approx(60.0 * cells)
    beam = bb.Beam.from_arrays(np.full((6, 5), 1e-6), species="proton", kinetic_energy=449e9, charge=0.0)
    assert np.isfinite(bb.track(loaded.line, beam).coordinates).all()
    assert loaded.line.replace({"dkq": 1e-4})["mqd.5"].k1 == -0.0101


# -- next to MAD-X -----------------------------------------------------------------------------------------------------

PROGRAMS = json.loads((Path(__file__).parents[1] / "data" / "madx_programs.json").read_text())["cases"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_next_to_madx(tmp_path, name):
    """Length and R of TWISS, about the orbit that begins at 0, in its coordinates."""
    case = PROGRAMS[name]
    path = tmp_path / "program.madx"
    path.write_text(case["text"])
    loaded = bb.load(path, line=case["line"])
    assert float(loaded.line.length) == pytest.approx(case["length"], rel=1e-12)
    sign = np.asarray([1.0, 1.0, 1.0, 1.0, -1.0, 1.0])
    reference = loaded.reference
    R = sign[:, None] * matrix(loaded.line, reference.species, float(reference.kinetic_energy)) * sign
    np.testing.assert_allclose(R, case["R"], rtol=1e-8, atol=1e-8)
