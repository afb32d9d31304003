"""Bmad: statements and expressions, kinds, lines, superpositions, controllers, multipass."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import reading
from reading import matrix, passages

import backbeam as bb
from backbeam.lattices import LatticeError

HEAD = "parameter[p0c] = 1e9; parameter[particle] = proton\n"
load = partial(reading.load, name="ring.bmad")


def one(tmp_path, text, before="", after="", **more):
    """The only element of a line."""
    return load(tmp_path, f"{HEAD}{before}\nx: {text}\n{after}\nl: line = (x)\nuse, l", **more).line.elements[0]


# -- statements and values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("drift, l = 0.5", 0.5), ("DRIFT, L = 0.5 ! metres", 0.5), ("drift,\n l = 0.5", 0.5), ("drift, l =\n0.5", 0.5),
        ("drift, & ! so\n l = 0.5", 0.5), ("drift, descrip = \"a, b; c ! d\", l = 0.5; y: drift", 0.5),
        ("drift, l = (1 +\n 2)/6", 0.5), ("quad, l = 0.5, tracking_method = runge_kutta", 0.5),
        ("pipe, l = a", 0.25), ("drift, l = 2*a*cos(0)", 0.5), ("drift, l = q[l] + parameter[p0c]*1e-9", 1.75),
        ("drift, l = mass_of(proton)/mass_of(\"proton\")", 1.0), ("drift, l = nint(0.7)*twopi/pi", 2.0),
        ("q, l = 0.5", 0.5),
    ],
)  # fmt: skip
def test_values(tmp_path, text, length):
    assert one(tmp_path, text, "a = 0.25; q: quad, l = 0.75, k1 = 1").length == pytest.approx(length, rel=1e-14)


def test_titles_files_and_the_end(tmp_path):
    text = "no_digested\nprint k = `1 + 1`\ntitle\na: rubbish = ((( \n"
    text += "call, file = sub/q.bmad\nl: line = (q)\nuse, l\nend_file\nq[k1] = 9"
    loaded = load(tmp_path, HEAD + text, sub__q__bmad="q: quad, l = 1, k1 = 2\nreturn\nq[k1] = 7")
    assert loaded.line["q"].k1 == 2.0 and loaded.reference.species.name == "proton"
    assert float(loaded.reference.momentum) == pytest.approx(1e9)


def test_what_was_said_when_it_was_said(tmp_path):
    loaded = load(tmp_path, HEAD + """
        k = 1.5
        qf: quad, l = 1, k1 = k
        qd: quad, l = 1, k1 = -qf[k1]/2
        qf[k1] = 2*k
        *[l] = 0.5;  quadrupole::*d[tilt] = 0.1
        l: line = (qf, qd)
    """)  # fmt: skip
    assert [(e.k1, e.length) for e in loaded.line.elements] == [(3.0, 0.5), (-0.75, 0.5)]
    assert loaded.line["qd"].tilt == 0.1
    turned = loaded.line.replace({"k": 1.0})
    assert (turned["qf"].k1, turned["qd"].k1) == (2.0, -0.5)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("(a, b)", "ab"), ("(2*a, -ab, c)", "aabac"), ("(-2*(a, ab))", "baabaa"), ("(r, r, r)", "aba"),
        ("(f(b, c), f(c, c))", "bacc" "ac"), ("(2*-ab)", "baba"),
    ],
)  # fmt: skip
def test_lines(tmp_path, line, wanted):
    text = "a: marker; b: marker; c: marker; ab: line = (a, b); r: list = (a, b); f(x, y): line = (x, a, y)\n"
    wanted = {"(f(b, c), f(c, c))": "baccac"}.get(line, wanted)
    assert "".join(passages(load(tmp_path, f"{HEAD}{text}l: line = {line}\nuse, l"))) == wanted


# -- kinds ----------------------------------------------------------------------------------------------------


def test_bends(tmp_path):
    for text in ("l = 2, g = 0.1", "l = 2, angle = 0.2", "angle = 0.2, rho = 10", "l = 2, rho = 10"):
        bend = one(tmp_path, f"sbend, {text}, e1 = 0.05")
        assert (bend.length, bend.angle, bend.e1) == (pytest.approx(2.0), pytest.approx(0.2), 0.05)
    chord = one(tmp_path, "rbend, l = 1, angle = 0.2, e1 = 0.01")
    assert (chord.length, chord.e1, chord.e2) == (pytest.approx(0.1 / math.sin(0.1)), pytest.approx(0.11), 0.1)
    fringes = one(tmp_path, "sbend, l = 2, g = 0.1, fint = 0.5, hgap = 0.02, ref_tilt = pi/2")
    assert (fringes.fint, fringes.hgap, fringes.tilt) == (0.5, 0.02, math.pi / 2)


def test_fields_over_the_rigidity(tmp_path):
    rigidity = 1e9 / 299792458.0
    assert one(tmp_path, f"quad, l = 1, b1_gradient = {0.6 * rigidity}").k1 == pytest.approx(0.6, rel=1e-14)
    assert one(tmp_path, f"sbend, l = 2, b_field = {0.1 * rigidity}").angle == pytest.approx(0.2, rel=1e-14)
    assert one(tmp_path, f"sol_quad, l = 1, bs_field = {0.3 * rigidity}, k1 = 0.1").ks == pytest.approx(0.3, rel=1e-14)
    negative = HEAD.replace("proton", "electron")
    quad = load(tmp_path, f"{negative}x: quad, l = 1, b1_gradient = {-0.6 * rigidity}\nl: line = (x)").line["x"]
    assert quad.k1 == pytest.approx(0.6, rel=1e-14)


def test_other_kinds(tmp_path):
    assert one(tmp_path, "hkicker, l = 0.1, kick = 1e-3").hkick == 1e-3
    assert one(tmp_path, "kicker, vkick = 1e-3").vkick == 1e-3
    assert one(tmp_path, "ab_multipole, b2 = 1, a1 = 3").k2l == 2.0
    assert one(tmp_path, "multipole, k2l = 3").k2l == 3.0
    kicked = one(tmp_path, "quad, l = 0.5, k1 = 2, hkick = 1e-3")
    assert (kicked.k0, kicked.k1) == (pytest.approx(-2e-3), 2.0)
    moved = one(tmp_path, "quad, l = 0.5, k1 = 2, x_offset = 1e-3, x_pitch = 1e-4, y_pitch = 2e-4, tilt = 0.1")
    assert (moved.dx, moved.yaw, moved.pitch, moved.tilt, moved.pivot) == (1e-3, 1e-4, 2e-4, 0.1, "middle")
    linac = one(tmp_path, "lcavity, l = 2, gradient = 1e7, rf_frequency = 1e9, phi0 = 0.1")
    assert (linac.voltage, linac.structure) == (2e7, "standing") and linac.phase == pytest.approx(0.2 * math.pi)
    crab = one(tmp_path, "crab_cavity, l = 1, voltage = 1e6, rf_frequency = 1e9, phi0 = 0.1, tilt = 0.2")
    assert (crab.kind, crab.voltage, crab.tilt) == ("crab_cavity", 1e6, 0.2)
    assert crab.phase == pytest.approx(math.pi / 2 - 0.2 * math.pi)  # V sin(phi0 - w t)
    ring = one(tmp_path, "rfcavity, l = 1, voltage = 1e6, rf_frequency = 1e9")
    assert ring.phase == pytest.approx(math.pi / 2) and not ring.radial_kick
    assert one(tmp_path, "wiggler, l = 2").kind == one(tmp_path, "ecoll, l = 2, x_limit = 0.1").kind == "drift"
    assert one(tmp_path, "ecoll, l = 2, x_limit = 0.1").aperture.half_x == 0.1
    assert one(tmp_path, "patch, z_offset = 1, x_pitch = 0.1").kind == "patch"


# -- superposition --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("m: marker, superimpose, ref = q, ref_origin = beginning, offset = 0.3", ["q#1", "m", "q#2", "d"]),
        ("m: marker, superimpose, ref = q, ref_origin = end, offset = 0.4", ["q", "drift", "m", "drift"]),
        ("m: marker, superimpose, ref = d, offset = -1", ["q", "m", "d"]),
        ("m: marker, superimpose, offset = 0", ["m", "q", "d"]),
        ("m: marker, superimpose, offset = 3", ["q", "d", "m"]),
        ("k: kicker, l = 0.5, hkick = 1e-3, superimpose, ref = d", ["q", "drift", "k", "drift"]),
        ("k: kicker, l = 0.5, superimpose, ref = d, ele_origin = beginning, ref_origin = begin", ["q", "k", "drift"]),
        ("k: kicker, l = 2, superimpose, ref = d", ["q", "k"]),
    ],
)  # fmt: skip
def test_what_is_put_on_top(tmp_path, text, wanted):
    loaded = load(tmp_path, f"{HEAD}q: quad, l = 1, k1 = 0.2; d: drift, l = 2\n{text}\nl: line = (q, d); use, l")
    assert passages(loaded) == wanted
    assert float(loaded.line.length) == pytest.approx(3.0, abs=1e-15)


def test_a_magnet_that_is_cut_stays_the_same_magnet(tmp_path):
    text = "b: sbend, l = 2, angle = 0.3, e1 = 0.1, e2 = 0.05, k1 = 0.1\nl: line = (2*b); use, l\n"
    whole = load(tmp_path, HEAD + text)
    cut = load(tmp_path, HEAD + text + "m: marker, superimpose, ref = b, offset = 0.3")
    assert passages(cut) == ["b#1", "m", "b#2"] * 2
    for line in (whole.line, cut.line):
        assert float(line.length) == 4.0
    fine = [
        x.line.with_elements({n: x.line[n].replace(steps=40) for n in set(passages(x)) - {"m"}}) for x in (whole, cut)
    ]
    np.testing.assert_allclose(matrix(fine[1], "proton"), matrix(fine[0], "proton"), atol=1e-6)


# -- controllers and multipass --------------------------------------------------------------------------------


def test_overlays_and_groups_are_knobs(tmp_path):
    loaded = load(tmp_path, HEAD + """
        q: quad, l = 1, k1 = 9
        b: sbend, l = 1, angle = 0.1, k1 = 0.2
        l: line = (q, b); use, l
        ov1: overlay = {q[k1]: a + b^2, q[tilt]: 0.5}, var = {a, b}, a = 0.02
        ov2: overlay = {q[k1]: 0.7*hh}, var = {hh}, hh = 0.1
        gr1: group = {b[k1]: 0.4*sqrt(z)}, var = {z}, z = 4
        old: overlay = {q}, k1 = 1
        ov1[b] = 2
    """)  # fmt: skip
    assert loaded.line["q"].k1 == pytest.approx(0.02 + 4.0 + 0.07 + 1.0) and loaded.line["q"].tilt == pytest.approx(
        0.01
    )
    assert loaded.line["b"].k1 == pytest.approx(0.2)
    turned = loaded.line.replace({"ov1.a": 1.0, "ov1.b": 0.0, "gr1.z": 9.0, "old.k1": 0.0})
    assert turned["q"].k1 == pytest.approx(1.07) and turned["b"].k1 == pytest.approx(0.2 + 0.4)
    higher = "top: overlay = {ov1[a]: 2*s}, var = {s}, s = 3\nov1: overlay = {q[k1]: a}, var = {a}\n"
    text = f"{HEAD}q: quad, l = 1\nl: line = (q)\n"
    lower, upper = higher.splitlines()[1], higher.splitlines()[0]
    assert load(tmp_path, f"{text}{lower}\n{upper}").line["q"].k1 == 6.0


def test_multipass_is_unrolled(tmp_path):
    loaded = load(tmp_path, HEAD + """
        c: lcavity, l = 1, voltage = 1e7, rf_frequency = 1e9
        q: quad, l = 1, k1 = 1
        linac: line[multipass] = (c, q)
        erl: line = (linac, q, linac)
        use, erl
        expand_lattice
        c\\2[phi0_multipass] = 0.5
    """)  # fmt: skip
    assert passages(loaded) == ["c", "q", "q", "c_pass2", "q"]
    assert (loaded.line["c"].phase, loaded.line["c_pass2"].phase) == (0.0, pytest.approx(math.pi))


# -- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wiggler, l = 1, b_max = 2", "wiggler x: there is no such element here"), ("taylor", "taylor x"),
        ("match, beta_a1 = 3", "match x"), ("quad, l = 1, k1 = 1, b2 = 3", "b2 = 3"),
        ("sbend, l = 1, g = 0.1, h1 = 2", "h1 = 2"),
        ("multipole, k0l = 0.1", "bends the reference"), ("rfcavity, l = 1, voltage = 1, harmon = 4", "harmon = 4"),
        ("beambeam, n_particle = 1e10", "beambeam x"),
    ],
)  # fmt: skip
def test_what_would_change_the_optics_is_refused_with_its_place(tmp_path, text, message):
    with pytest.raises(LatticeError) as error:
        one(tmp_path, text)
    assert message in str(error.value) and str(error.value).startswith("ring.bmad:3: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q: quid, l = 1", "ring.bmad:1: q: quid is neither a type of Bmad nor an element above"),
        ("q: quad, l = 1 +* 2", "ring.bmad:1: expression is"), ("q: quad, l = z2", "it holds no line"),
        ("q: quad, l = z2 + 1", "there is no z2"), ("q[k1] = 3", "ring.bmad:1: q is not an element"),
        ("l: line = (q)", "q is neither an element nor a line"), ("l: line = (l); use, l", "more than 100 deep"),
        ("l: line = (--l)", "turned round"), ("l: line = (l", "brackets do not close"),
        ("l: line = l", "a line is name"),
        ("m: marker\nl: line = (99999999999*m)", "a line of more than"), ("call, file = ../x", "outside the folder"),
        ("call, file = ring.bmad", "more than 20 deep"), ("f(a): line = (a)\nl: line = (f)", "takes 1 arguments"),
        ("m: marker, superimpose, ref = q\nd: drift, l = 1\nl: line = (d)", "at q, which is not in the line"),
        ("m: marker, superimpose, offset = 9\nd: drift, l = 1\nl: line = (d)", "outside the line"),
        ("k: kicker, l = 1, superimpose, offset = 1\nq: quad, l = 2\nl: line = (q)", "k would overlap q"),
        ("q: quad, l = 1, b1_gradient = 3\nl: line = (q)", "needs a charged reference particle"),
        ("q: quad, l = 1\nq##2[k1] = 3", "one occurrence"), ("parameter[particle] = x; parameter[p0c] = 1\nm: marker\n"
         "l: line = (m)", "species is 'x'"),
        ("o: overlay = {q[k1]: a}, var = {a}\nq2: quad\nl: line = (q2)", "q is not an"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_gets_one_line(tmp_path, text, message):
    with pytest.raises((LatticeError, bb.InputError)) as error:
        load(tmp_path, text)
    assert message in str(error.value) and "\n" not in str(error.value)
