"""Mutated files of the formats beside MAD-X: each is read, or refused in one line, in no time.

10^4 of each: ``python tests/lattices/test_mutated_others.py``.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from pathlib import Path

import pytest

import backbeam as bb

sys.path.insert(0, str(Path(__file__).parent))
from mutations import mutated

ELEGANT = """! a cell
% 1.5 sto kq
% kq chs 2 * sto kd
q: charge,total=1e-9
"L:QF": quad,l=0.2,k1="kq"
qd: kquad, l=0.2,&
  k1="kd"
b: csbend,l=1,angle="pi 16 /",e1=0.1,e2=0.05,k1=-0.3,hgap=0.02
d: lscdrift,l=0.5
c: rfca,l=1,volt=1e6,phase=90,freq=1e9,change_p0=1
t: rfdf,l=0.3,voltage="1e6 kq *",phase=90,n_kicks=5,voltage_waveform="v.sdds=t+v"
half: line=("L:QF",d,b,2*(d,qd),c,t)
ring: line=(q,2*half,-half)
use, ring
"""
XSUITE = json.dumps(
    {
        "__class__": "Environment",
        "elements": {
            "qf": {"__class__": "Quadrupole", "length": 0.2, "k1": 1.0, "shift_x": 1e-3},
            "b": {"__class__": "RBend", "length_straight": 1.0, "angle": 0.1, "edge_entry_angle": 0.01},
            "m": {"__class__": "Multipole", "knl": [0.0, 0.0, 1.0], "order": 2},
            "||drift_1": {"__class__": "Drift", "length": 0.5},
            "c": {"__class__": "Cavity", "voltage": 1e6, "frequency": 1e8, "lag": 180.0},
            "t": {"__class__": "CrabCavity", "crab_voltage": 1e6, "frequency": 1e8, "phase": 0.3, "num_kicks": 3},
        },
        "lines": {"ring": {"element_names": ["qf", "||drift_1", "b", "m", "c", "t"], "particle_ref": {"p0c": [1e9]}}},
        "_var_management_data": {"var_values": {"k": 1.5}},
        "_var_manager": [
            ["element_refs['qf'].k1", "(2.0 * vars['k'])"],
            ["element_refs['m'].knl[2]", "f.sin(vars['k'])"],
        ],
    },
    indent=1,
)
CHEETAH = json.dumps(
    {
        "version": "cheetah-0.8",
        "root": "cell",
        "elements": {
            "q": ["Quadrupole", {"length": 0.2, "k1": 3.0, "misalignment": [1e-4, 0.0], "metadata": {}}],
            "b": ["Dipole", {"length": 0.5, "angle": 0.2, "gap": 0.04, "fringe_integral": 0.5}],
            "c": ["Cavity", {"length": 1.0, "voltage": 1e6, "phase": 10.0, "frequency": 1e9}],
        },
        "lattices": {"cell": ["q", "inner", "inner"], "inner": ["b", "c"]},
    },
    indent=1,
)
PALS = """PALS:
  facility:
    - variables: {k: 0.5, l: 2*k}
    - begin: {kind: BeginningEle, ReferenceP: {species_ref: proton, pc_ref: 1.0e9}}
    - q: {kind: Quadrupole, length: 0.5, MagneticMultipoleP: {Kn1: k*l, Bn2: 0.1}}
    - q2: {inherit: q, length: 0.3}
    - b: {kind: Bend, length: 1, BendP: {angle_ref: 0.2, e1: q>length, edge1_int: 0.01, edge2_int: 0.01}}
    - set: {parameter: 'q.*>length', value: 2*PARAMETER}
    - ps: {kind: Controller, variables: {i: 0.4}, controls: [{parameter: q>MagneticMultipoleP.Kn1, expression: 2*i}]}
    - main: {kind: BeamLine, line: [begin, q, {q2: {repeat: 3}}, b, {m: {kind: Marker}}]}
    - lat: {kind: Lattice, branches: [main]}
    - use: lat
"""
BMAD = """parameter[p0c] = 1e9; parameter[particle] = proton
k = 0.5
q: quad, l = 0.5,
   k1 = 2*k
b: sbend, l = 1, g = 0.1, e1 = q[l]/10
c: lcavity, l = 1, voltage = 1e6, rf_frequency = 1e9
t: crab_cavity, l = 1, voltage = 1e6, rf_frequency = 1e9, phi0 = 0.1
d: drift, l = 2
m: marker, superimpose, ref = d, offset = 0.3
ov: overlay = {q[k1]: a^2, b[k1]: 0.1*a}, var = {a}, a = 0.4
linac: line[multipass] = (c, t, d)
ring: line = (2*q, b, linac, -linac)
q[tilt] = 0.1
use, ring
"""
OCELOT = """from ocelot import *
import numpy as np
lq = 0.2
q = Quadrupole(l=lq, k1=2.0*np.pi, eid='q1')
b = SBend(l=1.0, angle=0.1, e1=0.05, gap=0.04, fint=0.5, fintx=0.5)
c = Cavity(l=1.0, v=0.01, phi=10.0, freq=1.3e9)
d = Drift(l=lq/2 + 0.3)
half = (q, d, b)
q.k1 = -q.k1
cell = (half,)*2 + [c, d]
"""
FILES = {"x.lte": ELEGANT, "xs.json": XSUITE, "ch.json": CHEETAH, "x.pals.yaml": PALS, "x.bmad": BMAD, "x.py": OCELOT}
FORMATS = {"xs.json": "xsuite", "ch.json": "cheetah"}


def read(text, folder, name):
    """Seconds that it took to read or to refuse a text; what it said."""
    path = folder / name
    path.write_text(text, encoding="utf-8", errors="replace")
    start = time.perf_counter()
    said = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bb.BackbeamWarning)  # a face of 5 rad is asked about
            bb.load(path, format=FORMATS.get(name))
    except bb.BackbeamError as error:
        said = str(error)
        assert said and "\n" not in said and len(said) < 1000, said
    return time.perf_counter() - start, said


@pytest.mark.parametrize("name", FILES)
def test_mutated_files(tmp_path, name):
    assert read(FILES[name], tmp_path, name)[1] == ""
    for seed in range(80):
        seconds, _ = read(mutated(FILES[name], seed), tmp_path, name)
        assert seconds < 20.0, seed


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.py", "x = " + "-" * 100_000 + "1\ncell = x"),
        ("x.py", "x = " + "1+" * 100_000 + "1\nm = Marker()\ncell = (m, x)"),
        ("x.py", "x = " + "(" * 100_000 + ")" * 100_000),
        ("x.py", "c0 = Marker()\n" + "\n".join(f"c{k + 1} = (c{k}, c{k})" for k in range(60)) + "\ncell = c60"),
        ("xs.json", '{"a": ' * 100_000 + "}" * 100_000),
        ("x.lte", "m: mark\n" + "\n".join(f"l{k + 1}: line=(10*l{k})" for k in range(40)).replace("l0", "m")),
        ("x.bmad", "m: marker\n" + "\n".join(f"l{k + 1}: line=(10*l{k})" for k in range(40)).replace("l0", "m")),
        ("x.bmad", "e: line = ()\nl: line = (9999999*e)\nuse, l"),
        ("x.bmad", "a0 = 1\n" + "\n".join(f"a{k + 1} = a{k} + a{k}" for k in range(200)) + "\nq: quad, l = a200"),
        ("x.bmad", "l0: line = ()\n" + "\n".join(f"l{k + 1}: line = (l{k}, l{k})" for k in range(60))),
        ("x.lte", "l0: line=(m)\nm: mark\n" + "\n".join(f"l{k + 1}: line=(l{k},l{k})" for k in range(60))),
        ("x.bmad", "l: line = " + "(" * 5000 + "m" + ")" * 5000),
        ("x.lte", 'q: quad,l="' + "1 " * 200_000 + '"\nl: line=(q)'),
        ("x.pals.yaml", "PALS:\n  facility:\n    - l0: {kind: BeamLine, line: []}\n" + "\n".join(
            f"    - l{k + 1}: {{kind: BeamLine, line: [l{k}, l{k}]}}" for k in range(60))),
    ],
)  # fmt: skip
def test_bombs(tmp_path, name, text):
    seconds, _ = read(text, tmp_path, name)
    assert seconds < 30.0


def main(count: int = 10_000) -> None:
    """Read so many mutations of each, and say how long the worst took and how much memory all."""
    import tempfile

    for name, text in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            found = []
            for seed in range(count):
                try:
                    found.append((*read(mutated(text, seed), Path(folder), name), seed))
                except Exception as error:
                    raise AssertionError(f"{name}, seed {seed}") from error
        worst = max(found)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        good = sum(not said for _, said, _ in found)
        print(f"{name}: {count} files, {good} read, the others refused in one line each; longest {worst[0]:.3f} s "
              f"(seed {worst[2]}); peak memory {peak:.0f} MB", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
