"""Ocelot: Python that is looked at and never run."""

from __future__ import annotations

import math
from functools import partial

import pytest
import reading
from reading import passages

import backbeam as bb
from backbeam.lattices import LatticeError

HEAD = '"""A lattice."""\nfrom ocelot import *\nimport numpy as np\n'
load = partial(reading.load, name="ring.py")


def one(tmp_path, text):
    """The only element of a cell."""
    return load(tmp_path, f"{HEAD}x = {text}\ncell = (x,)").line.elements[0]


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("Drift(l=0.5)", 0.5), ("Drift(0.5)", 0.5), ("Drift(l=a/2 + 2**-2, eid='d')", 0.75), ("Drift(l=-a*-0.5)", 0.5),
        ("Drift(l=np.sqrt(a))", 1.0), ("Drift(l=sin(np.pi/2))", 1.0), ("Drift(l=q.l*2)", 0.4),
        ("Undulator(0.02, 10)", 0.2),
        ("Monitor(eid='m', l=0.1)", 0.1),
    ],
)  # fmt: skip
def test_values(tmp_path, text, length):
    loaded = load(tmp_path, f"{HEAD}a = 1.0\nq = Quadrupole(l=0.2)\nx = {text}\ncell = [x]")
    assert float(loaded.line.length) == pytest.approx(length, rel=1e-15)


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("(a, b)", "ab"), ("[a, (b, c)]", "abc"), ("(ab, ab, c)", "ababc"), ("(a,)*3", "aaa"), ("2*[ab]", "abab"),
        ("ab + (c,)", "abc"), ("(ab,)*(1 + 1) + [c]", "ababc"),
    ],
)  # fmt: skip
def test_cells(tmp_path, cell, wanted):
    text = HEAD + "a = Marker()\nb = Marker(eid='b')\nc = Marker('c')\nab = (a, b)\n"
    assert "".join(passages(load(tmp_path, f"{text}cell = {cell}"))) == wanted
    assert "".join(passages(load(tmp_path, f"{text}lat = MagneticLattice({cell})", line="lat"))) == wanted


def test_kinds(tmp_path):
    quad = one(tmp_path, "Quadrupole(l=0.2, k1=2.0, tilt=0.1)")
    assert (quad.kind, quad.k1, quad.tilt) == ("quadrupole", 2.0, 0.1)
    bend = one(tmp_path, "SBend(l=1.0, angle=0.2, e1=0.1, gap=0.04, fint=0.5, fintx=0.5)")
    assert (bend.e1, bend.hgap, bend.fint) == (0.1, 0.02, 0.5)
    straight = one(tmp_path, "RBend(l=1.0, angle=0.2)")
    assert (straight.length, straight.e1, straight.e2) == (1.0, 0.1, 0.1)
    cavity = one(tmp_path, "Cavity(l=1.0, v=0.02, phi=30.0, freq=1.3e9)")
    assert (cavity.voltage, cavity.structure) == (2e7, "standing") and cavity.phase == pytest.approx(-math.pi / 6)
    assert one(tmp_path, "Hcor(l=0.1, angle=1e-3)").hkick == one(tmp_path, "Vcor(0.1, 1e-3)").vkick == 1e-3
    assert one(tmp_path, "Solenoid(l=1.0, k=0.5)").ks == 1.0 and one(tmp_path, "Multipole(kn=[0, 0, 3])").k2l == 3.0


def test_attributes_set_later(tmp_path):
    loaded = load(tmp_path, HEAD + "q = Quadrupole(l=0.2, k1=1)\nd = Drift(1)\nq.k1 = -2*q.k1\ncell = (q, d)")
    assert loaded.line["q"].k1 == -2.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q = Quadrupole(l=open('x').read())\ncell = (q,)", "ring.py:5: q is not known: read is not carried out"),
        ("import os\nq = os.system('x')\ncell = (q,)", "ring.py:6: q is not known: system is not carried out"),
        ("cell = [Drift(l=i) for i in range(3)]", "ring.py:4: ListComp is not carried out"),
        ("cell = ()\nfor i in range(3):\n    cell += (Drift(1),)", "ring.py:5: a for statement is not carried out"),
        ("cell = (__import__('os'),)", "ring.py:4: __import__ is not carried out"),
        ("q = Quadrupole(l='long')\nq.l = 'x'\ncell = (q,)", None),
        ("q = Quadrupole(l=[1])\ncell = (q,)", "ring.py:4: l is '[1]', not a number"),
        ("q = Undulator(0.02, 10, Kx=1.0)\ncell = (q,)", "ring.py:4: Undulator q: Kx = 1.0 would change"),
        ("q = Matrix(l=1)\ncell = (q,)", "ring.py:5: q is not known: Matrix is not carried out"),
        ("cell = (Drift(1)", "ring.py:4: no Python"), ("x = 3", "it holds no line"),
        ("m = Marker()\ncell = (m,)*99999999999", "a line of more than"), ("a = 1/0\ncell = (a,)", "ring.py:4: 1 / 0"),
        ("m = Marker()\ncell = ((m,)*100000)*100000", "a line of more than"), ("cell = " + "-" * 500 + "1", "deep"),
        ("x = 9**9**9**9\nm = Marker()\ncell = (m,)", "ring.py:4: "),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_said_and_never_run(tmp_path, text, message):
    if message is None:
        assert load(tmp_path, HEAD + text).line["q"].kind == "marker"
        return
    with pytest.raises((LatticeError, bb.InputError)) as error:
        load(tmp_path, HEAD + text)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_program_is_never_run(tmp_path):
    ran = tmp_path / "ran"
    loaded = load(tmp_path, HEAD + f"import os\nq = Marker()\ncell = (q,)\nif True:\n    os.system('touch {ran}')\n")
    assert not ran.exists() and len(loaded.line.elements) == 1
