"""Bad input gets one line and exit code 2, and nothing is lost: the line says place, value, what is allowed."""
# ruff: noqa: E501

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

import backbeam.extras
from backbeam.beam import Beam
from backbeam.cli.app import app
from backbeam.errors import InputError

GOOD = """
beam: {distribution: gaussian, species: electron, n: 100, kinetic_energy: 1e8, charge: 1e-9, sigma_x: 1e-3, sigma_y: 1e-3, sigma_tau: 1e-3}
lattice:
  - drift: {length: 0.2, name: d1}
  - quadrupole: {length: 0.1, k1: 3.0, name: qf}
space_charge: {grid: [8, 8, 8]}
track: {slices: 2}
"""


def refused(arguments):
    """The line that a refused command prints; it prints one, says nothing else and leaves with 2."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("backbeam: error: ")
    return line.removeprefix("backbeam: error: ")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text(GOOD)
    return tmp_path


SET = [
    ("beam.sgima_x=1", "bad.yaml: beam.sgima_x is an unknown key; allowed: sigma_x or sigma_px or sigma_y"),
    ("baem.n=1", "bad.yaml: baem is an unknown key; allowed: beam"),
    ("colour=red", "bad.yaml: colour is an unknown key; allowed: one of title, beam, lattice, space_charge, effects, track, gradient, optimize, run"),
    ("track.slice=1", "bad.yaml: track.slice is an unknown key; allowed: slices"),
    ("track.slices=-1", "bad.yaml: track.slices is -1; allowed: a whole number, at least 0"),
    ("track.slices=2.5", "bad.yaml: track.slices is 2.5; allowed: a whole number, at least 0"),
    ("track.step=-1", "bad.yaml: track.step is -1.0; allowed: a length in m, greater than 0"),
    ("track={slices: 1, step: 1.0}", "bad.yaml: track.step is 1.0; allowed: slices or step, not both"),
    ("space_charge.grid=[3,8,8]", "bad.yaml: space_charge.grid is (3, 8, 8); allowed: three numbers of nodes (nx, ny, nz), each at least 6"),
    ("space_charge.grid=[8,8]", "bad.yaml: space_charge.grid is (8, 8); allowed: three numbers of nodes (nx, ny, nz), each at least 6"),
    ("space_charge.grid=8", "bad.yaml: space_charge.grid is 8; allowed: three numbers of nodes (nx, ny, nz), each at least 6"),
    ("space_charge.grid=[8,8,.inf]", "bad.yaml: space_charge.grid is (8, 8, inf); allowed: three numbers of nodes (nx, ny, nz), each at least 6"),
    ("space_charge.grid=[1024,1024,1024]", "bad.yaml: space_charge.grid is (1024, 1024, 1024); allowed: at most 134217728 nodes in all, as 512 x 512 x 512 are"),
    ("space_charge={model: pipe, width: 1.0, height: 1.0, length: 1.0, modes: [.inf, 1]}", "bad.yaml: space_charge.modes is (inf, 1); allowed: two numbers of waves"),
    ("beam.sigma_x=[1e-3]", "bad.yaml: beam.sigma_x is [0.001]; allowed: one value: a problem has one beam"),
    ("beam.kinetic_energy=1e300", "bad.yaml: beam.kinetic_energy is 1e+300; allowed: a kinetic energy in eV, greater than 0 and at most 1e+24"),
    ("space_charge.model=5d", "bad.yaml: space_charge.model is '5d'; allowed: 3d"),
    ("space_charge.extent=huge", "bad.yaml: space_charge.extent is 'huge'; allowed: "),
    ("space_charge.extent={rsm: {}}", "bad.yaml: space_charge.extent.rsm is 'rsm'; allowed: one of "),
    ("space_charge.extent={fixed: {lower: [0,0,0]}}", "bad.yaml: space_charge.extent.fixed is {'lower': (0, 0, 0)}; allowed: upper, too"),
    ("lattice[1].quadrupole.k3=1", "bad.yaml: lattice[1].quadrupole.k3 is an unknown key; allowed: one of name, "),
    ("lattice[1]={quadrapole: {}}", "bad.yaml: lattice[1].quadrapole is an unknown element; allowed: quadrupole"),
    ("lattice[1]={quadrupole: {length: 0.1}}", "bad.yaml: lattice[1].quadrupole.k1 is missing; allowed: a number in 1/m^2"),
    ("lattice[0].drift.length=.nan", "bad.yaml: lattice[0].drift.length is nan; allowed: a finite number in m"),
    ("lattice[1].quadrupole.k1=strong", "bad.yaml: lattice[1].quadrupole.k1 is 'strong'; allowed: a number in 1/m^2"),
    ("lattice[1].quadrupole.k1=.nan", "bad.yaml: lattice[1].quadrupole.k1 is nan; allowed: a finite number in 1/m^2"),
    ("lattice[1].quadrupole.model=thick", "bad.yaml: lattice[1].quadrupole.model is 'thick'; allowed: exact or linear"),
    ("lattice[1].quadrupole.name=a b", "bad.yaml: lattice[1].quadrupole.name is 'a b'; allowed: text without spaces and control characters"),
    ("lattice[1].quadrupole.name=d1", "bad.yaml: lattice is 'd1'; allowed: one element a name"),
    ("lattice[2]=3", "bad.yaml: lattice[2] is 3; allowed: [0] ... [1] at this place"),
    ("lattice.qx.k1=3", "bad.yaml: lattice.qx is no element of the line; allowed: one of d1, qf"),
    ("lattice.qf.length=.inf", "bad.yaml: lattice[1].quadrupole.length is inf; allowed: a finite number in m"),
    ("lattice=[]", "bad.yaml: lattice is []; allowed: at least one element"),
    ("lattice=null", "bad.yaml: lattice is missing; allowed: a list of elements, or a mapping with define and line"),
    ("lattice=[d1]", "bad.yaml: lattice[0] is 'd1', which is not defined; allowed: "),
    ("lattice=[7]", "bad.yaml: lattice[0] is 7; allowed: the name of something defined, {kind: {parameters}}, a list"),
    ("lattice={define: {a: [b], b: [a]}, line: [a]}", "bad.yaml: lattice.define.a is ['b']; allowed: a line that does not hold itself"),
    ("lattice={line: [{repeat: 0, line: []}]}", "bad.yaml: lattice.line[0].repeat is 0; allowed: a whole number, at least 1"),
    ("lattice={line: [{repeat: 10000000, line: [{marker: }]}]}", "bad.yaml: lattice.line[0].repeat is a line of 10000000 elements; "),
    ("lattice={model: thick, line: []}", "bad.yaml: lattice.model is 'thick'; allowed: exact or linear"),
    ("lattice={file: nowhere.yaml}", "nowhere.yaml: no such file or directory"),
    ("beam.distribution=gauss", "bad.yaml: beam.distribution is 'gauss'; allowed: "),
    ("beam.distribution=null", "bad.yaml: beam.distribution is missing; allowed: one of gaussian, "),
    ("beam.n=null", "bad.yaml: beam.n is missing; allowed: a number of macroparticles, at least 1"),
    ("beam.n=0", "bad.yaml: beam.n is 0; allowed: a whole number, at least 1"),
    ("beam.n=many", "bad.yaml: beam.n is 'many'; allowed: a whole number, at least 1"),
    ("beam.n=1.5", "bad.yaml: beam.n is 1.5; allowed: a whole number, at least 1"),
    ("beam.species=electrum", "bad.yaml: beam.species is 'electrum'; allowed: one of electron, "),
    ("beam.species={name: x, mass: -1, charge_number: 1}", "bad.yaml: beam.species.mass is -1; allowed: a rest energy in eV, greater than 0"),
    ("beam.charge=1e9", "bad.yaml: beam.charge is 1000000000.0; allowed: a charge in C, "),
    ("beam.charge=1 nm", "bad.yaml: beam.charge is '1 nm'; allowed: a number in C, alone or with C, "),
    ("beam.charge=.nan", "bad.yaml: beam.charge is nan; allowed: a charge in C, "),
    ("beam.kinetic_energy=-5", "bad.yaml: beam.kinetic_energy is -5; allowed: a kinetic energy in eV, greater than 0"),
    ("beam.sigma_x=-1", "bad.yaml: beam.sigma_x is -1; allowed: an rms size in m, at least 0"),
    ("beam.beta_x=1", "bad.yaml: beam."),
    ("beam.mean_x=.nan", "bad.yaml: beam.mean_x is nan; allowed: "),
    ("beam.mean_px=1.5", "bad.yaml: beam.coordinates is '100 of 100 particles with too little momentum along s, "),
    ("beam={}", "bad.yaml: beam.distribution is missing; allowed: one of "),
    ("beam=7", "bad.yaml: beam is 7; allowed: a mapping with distribution, species, n, "),
    ("run.backend=numpty", "bad.yaml: run.backend is 'numpty'; allowed: one of "),
    ("run.dtype=float16", "bad.yaml: run.dtype is 'float16'; allowed: float64, float32"),
    ("run.device=cuda:9", "bad.yaml: run.device is 'cuda:9'; allowed: cpu"),
    ("title=[1]", "bad.yaml: title is [1]; allowed: text"),
    ("gradient.wrt=qf.k1", "bad.yaml: gradient.wrt is 'qf.k1'; allowed: a list of parameters, such as [qf.k1, beam.charge]"),
    ("beam.n", "bad.yaml: --set is 'beam.n'; allowed: path=value, such as beam.n=1000000"),
    ("beam..n=1", "bad.yaml: --set is 'beam..n'; allowed: a path such as beam.n, "),
    ("beam.n.m=1", "bad.yaml: beam.n.m is 1; allowed: a path to something that there is"),
    ("beam.n=[1", "--set beam.n=[1: value: line "),
    ("beam.n=1e300", "bad.yaml: beam.n is "),
    ("beam.n=3000000000", "bad.yaml: beam.n is 3000000000; allowed: a whole number, at least 1 and at most 2147483647"),
    ("beam.n=2000000000", "bad.yaml: beam.n is 2000000000; allowed: at most "),
    ("track.slices=100000000", "bad.yaml: track.slices is 100000000; allowed: a whole number, at least 0 and at most 1000000"),
    ("effects=[{[1]: {}}]", "--set effects=[{[1]: {}}]: "),
    ("effects=[{csr: {name: [w]}}]", "bad.yaml: effects[0].csr.name is ('w',); allowed: text without control characters"),
    ('effects=[{"\\u202e": {}}]', "bad.yaml: effects[0].\\u202e is an unknown effect; allowed: one of csr, "),
    ("space_charge.model=[3d]", "bad.yaml: space_charge.model is ['3d']; allowed: "),
    ("lattice=[{drift: {length: 1.0}}, {quadrupole: {length: 1.0, k1: null}}]", "bad.yaml: lattice[1].quadrupole.k1 is missing; allowed: a number in 1/m^2"),
    ("lattice=[{rf_cavity: {length: 1.0, voltage: 1e6, frequency: 1e9, phase: null}}]", "bad.yaml: lattice[0].rf_cavity.phase is None; allowed: a number in rad"),
    ("lattice=[{rf_cavity: {length: 1.0, voltage: 1e6, frequency: 1e9, structure: standing, steps: null}}]", "bad.yaml: lattice[0].rf_cavity.steps is None; allowed: a whole number, at least 1"),
    ("lattice=[{field_cavity: {length: 1.0, scale: 1e6, frequency: 1e9, field_cos: []}}]", "bad.yaml: lattice[0].field_cavity.field_cos is '(0,) numbers'; allowed: one number at least"),
    ("effects=[{resonator_wake: {R: 1e5, Q: 1.0, frequency: 1e9, component: {a: 1}}}]", "bad.yaml: effects[0].resonator_wake.component is {'a': 1}; allowed: longitudinal, "),
    ("track.slices=600000", "bad.yaml: track is at least 1200000 kicks; allowed: at most 1000000 in a line"),
    ("track.step=1e-12", "bad.yaml: track.step is 1e-12; allowed: a length in m that makes at most 1000000 slices of "),
]  # fmt: skip


@pytest.mark.parametrize(("change", "line"), SET, ids=[change for change, _ in SET])
def test_fields(folder, change, line):
    assert refused(["run", "bad.yaml", "--set", change]).startswith(line)


FILES = {
    "binary": (b"\x89PNG\r\n\x1a\n\x00\x00", "bad.yaml: not a text file in UTF-8 (byte 0)"),
    "controls": (
        b"a: \x00\x01",
        "bad.yaml: line 1: the character '\\x00', which no text may hold",
    ),
    "empty": (b"", "bad.yaml: the file is empty; a problem has title, beam, "),
    "list": (b"- 1\n- 2\n", "bad.yaml: the file is not a mapping but a list; a problem has title, beam, "),
    "prose": (b"once upon a time\n", "bad.yaml: the file is not a mapping but a text; "),
    "syntax": (
        b"beam: {n: 1\nlattice: ]",
        "bad.yaml: line 2, column 8: while parsing a flow mapping: ",
    ),
    "tab": (b"beam:\n\tn: 1\n", "bad.yaml: line 2, column 1: while scanning for the next token: "),
    "twice": (b"beam: {n: 1}\nbeam: {n: 2}\n", "bad.yaml: line 2, column 1: the key 'beam' comes twice"),
    "number as key": (b"beam: {1: 2}\n", "bad.yaml: line 1, column 8: a key is text"),
    "two documents": (
        b"a: 1\n---\nb: 2\n",
        "bad.yaml: line 2, column 1: a second document: a problem is one",
    ),
    "alias": (b"a: *x\n", "bad.yaml: line 1, column 4: aliases (*name) are not used here"),
    "anchor": (b"a: &x [1]\nb: *x\n", "bad.yaml: line 1, column 4: anchors (&name) are not used here"),
    "object": (
        b"beam: !!python/object/apply:os.system ['touch hit']\n",
        "bad.yaml: line 1, column 7: the tag !!python/object/apply:os.system is not allowed: a problem file holds numbers, ",
    ),
    "name": (
        b"beam: !!python/name:os.system\n",
        "bad.yaml: line 1, column 7: the tag !!python/name:os.system is not allowed",
    ),
    "own tag": (b"beam: !thing {n: 1}\n", "bad.yaml: line 1, column 7: the tag !thing is not allowed"),
    "set": (b"beam: !!set {a, b}\n", "bad.yaml: line 1, column 7: the tag !!set is not allowed"),
    "deep": (b"[" * 5000, "bad.yaml: "),
}


@pytest.mark.parametrize("kind", FILES)
def test_files(folder, kind):
    content, line = FILES[kind]
    (folder / "bad.yaml").write_bytes(content)
    assert refused(["run", "bad.yaml"]).startswith(line)
    assert sorted(p.name for p in folder.iterdir()) == ["bad.yaml"], "nothing was run"


def test_places(folder):
    assert refused(["run", "fodi"]).startswith("fodi: no such file, and no such example; examples: awake, ")
    assert refused(["run", "fodi.yaml"]) == "fodi.yaml: no such file or directory"
    (folder / "sub").mkdir()
    assert refused(["run", "sub"]) == "sub: a folder, not a problem file"
    assert refused(["run", "bad.yaml/x.yaml"]) == "bad.yaml/x.yaml: not a directory"


def test_options(folder):
    assert refused(["run"]) == "Missing argument 'PROBLEM'; see backbeam run --help"
    assert refused(["rnu"]).startswith("No such command 'rnu'")
    assert refused(["run", "bad.yaml", "--sed", "1"]).startswith("No such option '--sed'")
    assert refused(["run", "bad.yaml", "--seed", "one"]).startswith(
        "Invalid value for '--seed': 'one' is not a valid integer"
    )
    assert (
        refused(["run", "bad.yaml", "--seed", "-1"]) == "bad.yaml: beam.seed is -1; allowed: a whole number, at least 0"
    )
    assert refused(["run", "bad.yaml", "--backend", "tpu"]).startswith(
        "bad.yaml: run.backend is 'tpu'; allowed: one of "
    )
    assert refused(["examples", "--show", "fod"]) == "--show is 'fod'; allowed: fodo"


@pytest.mark.parametrize("space_charge", ["null", "{grid: [8, 8, 8]}"])
def test_particles_that_would_turn_round(folder, space_charge):
    """In mid-line too: a corrector kicks them beyond p, and the line says where."""
    change = (
        "lattice=[{drift: {length: 0.1}}, {corrector: {hkick: 1.5, name: strong}}, {drift: {length: 0.1, name: after}}]"
    )
    options = ["--set", f"space_charge={space_charge}", "--set", "track.on_turn=raise"]
    line = refused(["run", "bad.yaml", "--set", change, *options])
    assert line.startswith("100 of 100 particles turn round (px^2 + py^2 > p^2) in element 'after'")


def test_nan_in_coordinates():
    X = np.zeros((6, 5))
    X[2, 3] = np.nan
    with pytest.raises(InputError, match="1 of 5 particles with NaN or inf, the first at index 3"):
        Beam.from_arrays(X, species="electron", kinetic_energy=1e8, charge=1e-9)


def test_backend_that_is_not_installed(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    line = refused(["run", "bad.yaml", "--backend", "cupy"])
    assert line.startswith("backend 'cupy' is not installed")
    assert "pip install 'backbeam[cupy-cuda12" in line


@pytest.mark.parametrize(
    ("library", "arguments", "extra"),
    [
        ("matplotlib", ["--plot", "new.png"], "plot"), ("rich", [], "cli"),
        ("yaml", [], "cli"), ("pydantic", [], "cli"),
    ],
)  # fmt: skip
def test_an_extra_that_is_not_installed(folder, library, arguments, extra):
    script = f"import sys; sys.modules[{library!r}] = None\nfrom backbeam.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", script, "run", "bad.yaml", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("backbeam: error: ")
    assert f"needs {library}" in line
    assert f"pip install 'backbeam[{extra}]'" in line


def test_no_click():
    script = "import sys; sys.modules['click'] = None\nfrom backbeam.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "backbeam: error: the command line needs click; pip install 'backbeam[cli]'\n"


def test_need_names_the_extra():
    with pytest.raises(backbeam.extras.MissingExtraError, match=r"dancing needs no_such_library.*backbeam\[dance\]"):
        backbeam.extras.need("dance", "no_such_library", purpose="dancing")


def test_float64_on_jax_without_x64(folder):
    """In a process of its own: the flag cannot be turned off here."""
    result = subprocess.run(
        [sys.executable, "-c", "from backbeam.cli import main; main()", "run", "bad.yaml", "--backend", "jax"],
        capture_output=True, text=True, env={**os.environ, "JAX_ENABLE_X64": "0"}, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("backbeam: error: bad.yaml: run.dtype is 'float64'; allowed: float32, or float64 after ")
    assert "JAX_ENABLE_X64=1" in line


def test_nothing_is_lost(folder):
    """Bad input leaves what is there as it was, whatever was asked to be written."""
    (folder / "old.png").write_text("precious")
    (folder / "out").mkdir()
    (folder / "out" / "summary.json").write_text("precious")
    turning = "lattice=[{corrector: {hkick: 1.5}}, {drift: {length: 0.1}}]"
    for change in ("beam.n=0", "lattice.qf.length=.inf", turning, "run.backend=nothing"):
        refused(
            [
                "run",
                "bad.yaml",
                "--set",
                "space_charge=null",
                "--set",
                "track.on_turn=raise",
                "--set",
                change,
                "--plot",
                "old.png",
                "--output",
                "out",
            ]
        )
    assert (folder / "old.png").read_text() == "precious"
    assert [p.name for p in (folder / "out").iterdir()] == ["summary.json"]
    assert (folder / "out" / "summary.json").read_text() == "precious"
    assert (folder / "bad.yaml").read_text() == GOOD


def test_targets_are_looked_at_before_anything_runs(folder, monkeypatch):
    from backbeam.problem import Problem

    def must_not_run(*arguments, **options):
        raise AssertionError("it ran")

    monkeypatch.setattr(Problem, "run", must_not_run)
    (folder / "file").write_text("a file")
    assert refused(["run", "bad.yaml", "--plot", "picture.txt"]) == (
        "--plot is 'picture.txt'; allowed: a file that ends in .png, .pdf, .svg"
    )
    assert refused(["run", "bad.yaml", "--plot", "no/picture.png"]).startswith("--plot is 'no/picture.png'; allowed: ")
    for target in ("file", "file/deeper"):
        assert refused(["run", "bad.yaml", "--output", target]) == (
            f"--output is '{target}'; allowed: a folder, or the name of a new one"
        )
