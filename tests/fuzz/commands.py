"""Command lines: plausible ones with something wrong in most, called within the process.

They leave with 0, 1 or 2. With 2 nothing is on stdout and one line on stderr; with 0 and ``--json`` one object.
"""

from __future__ import annotations

import json
import os
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import problems
from campaign import Fault
from click.testing import CliRunner
from values import garbled, nasty

from backbeam.cli.app import app
from backbeam.problem.text import write_tree

GOOD = """
beam: {distribution: gaussian, species: electron, n: 30, kinetic_energy: 1e8, charge: 1e-9, sigma_x: 1e-3,
       sigma_y: 1e-3, sigma_px: 1e-4, sigma_tau: 1e-3}
lattice: [{drift: {length: 0.2, name: d1}}, {quadrupole: {length: 0.1, k1: 3.0, name: qf}}, {monitor: {name: m}}]
space_charge: {grid: [6, 6, 6]}
track: {slices: 2}
gradient: {objective: sigma_x, wrt: [qf.k1]}
"""
RING = """
q1: quadrupole, l=0.3, k1:=kq; q2: quadrupole, l=0.3, k1=-1.2; d: drift, l=1.0; kq = 1.2;
beam, particle=proton, energy=3.0;
cell: line=(q1, d, q2, d); use, sequence=cell;
"""
FILES: dict[str, str | bytes] = {
    "good.yaml": GOOD, "ring.madx": RING, "bad.yaml": "beam: {n: [", "empty.yaml": "", "list.yaml": "[1, 2]",
    "anchor.yaml": "a: &x 1\nb: *x\n", "tag.yaml": "a: !!python/object:os.system 1\n",
    "latin.yaml": b"title: \xe4\n", "deep.yaml": "lattice: " + "[" * 300 + "]" * 300, "nul.yaml": b"beam: \x00",
    "cell.json": '{"a": [1, 2', "picture.png": b"\x89PNG", "beam.csv": "x,px\n1,2\n",
    "huge.yaml": "a: " + "9" * 400 + "\n", "ring.lte": "Q: QUAD,L=1\n", "mine.txt": "mine",
}  # fmt: skip
OVERRIDES = (
    "beam.n", "beam.charge", "beam.kinetic_energy", "beam.sigma_x", "beam.seed", "beam.species", "beam", "lattice",
    "track", "lattice.qf.k1", "lattice.qf.length", "lattice[0].drift.length", "lattice[1]", "track.slices",
    "track.step", "run.dtype", "run.backend", "run.device", "space_charge", "space_charge.grid",
    "space_charge.extent", "effects", "title", "gradient.objective", "gradient.wrt", "gradient.adjoint",
    "gradient.slots", "lattice.knobs.kq", "beam.file", "lattice.file",
)  # fmt: skip
OBJECTIVES = (
    "sigma_x",
    "2 sigma_x + sigma_y",
    "emittance_x",
    "reading:m.x",
    "charge",
    "beta_y - alpha_x",
    "mean_tau",
    "sigma",
)
WRT = ("qf.k1", "*.k1", "beam.charge", "beam.sigma_*", "d1.length,qf.k1", "*", "beam.*", "q*.*")

TARGETS = (
    "out", "out/in/it", "out", "good.yaml", "folder", "mine.txt", "/proc/x", "/dev/full", "x.png", "x.pdf", "x.npz",
    "x.h5", "x.csv", "", "a" * 300, "out2",
)  # fmt: skip
OF_OPTICS = (
    ["--periodic"], ["--start", "beta_x=1,beta_y=2"], ["--step", "0"], ["--pt", "nan"], ["--at", "q1"],
    ["--per", "x"], ["--csv"],
)  # fmt: skip
OF_LATTICES = (["--line", "cell"], ["--replace", "rfcavity=drift"], ["--line", "x"])


@cache
def folder() -> Path:
    """Files to name, of which one is made anew for each case."""
    path = Path(tempfile.mkdtemp(prefix="backbeam-fuzz-"))
    (path / "folder").mkdir()
    os.mkfifo(path / "pipe.yaml")
    np.savez(path / "archive.npz", a=np.zeros(3))
    fill(path)
    return path


def fill(path: Path) -> None:
    """The files as they are at first."""
    for name, text in FILES.items():
        if not (path / name).is_file() or (path / name).read_bytes() != (
            text if isinstance(text, bytes) else text.encode()
        ):
            (path / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def a_file(random: Random) -> str:
    """Name of a file, most often of a good one."""
    strange = [
        *FILES,
        "folder",
        "pipe.yaml",
        "archive.npz",
        "nowhere.yaml",
        "/dev/null",
        "",
        "-",
        "a" * 300,
        "fodo",
        "fofo",
    ]
    return random.choice(["good.yaml"] * 12 + ["random.yaml"] * 3 + ["ring.madx"] * 2 + strange)


def word(random: Random) -> str:
    """What stands where something is expected."""
    value = nasty(random)
    return (value if isinstance(value, str) else json.dumps(value, default=str)).replace("\x00", "")


def on_problem(random: Random) -> list[str]:
    """Options of every command on a problem."""
    found = []
    for name, values in (
        ("--backend", ["numpy", "numpy", "torch", "numpty"]), ("--device", ["cpu", "cuda:9"]),
        ("--seed", ["1", "-1", "x"]), ("--dtype", ["float32", "float64", "int8"]), ("--line", ["cell", "x"]),
        ("--beam", ["good.yaml", "beam.csv", "x"]),
    ):  # fmt: skip
        if random.random() < 0.12:
            found += [name, random.choice([*values, word(random)])]
    for _ in range(random.choice([0, 0, 1, 1, 2])):
        value = random.choice([word(random), str(random.choice([1, 7, 0.01, -2, 1e3]))])
        found += ["--set", f"{random.choice(OVERRIDES)}={value}"]
    return found


def targets(random: Random, options: tuple[str, ...]) -> list[str]:
    """Where something is to be written."""
    return [w for option in options if random.random() < 0.15 for w in (option, random.choice(TARGETS))]


def gradient_words(random: Random) -> list[str]:
    """Objective and parameters."""
    found = []
    for option, values in (("--objective", OBJECTIVES), ("--wrt", WRT)):
        if random.random() < 0.5:
            found += [option, random.choice([*values, word(random)])]
    return found


def line(random: Random) -> list[str]:
    """A command line."""
    command = random.choice(
        ["run"] * 5 + ["gradient"] * 4 + ["memory", "lattice", "convert", "optics", "check", "examples", "help"]
    )
    found = [command]
    if command in ("run", "gradient", "memory", "check"):
        found += [a_file(random), *on_problem(random)]
        if command == "run":
            found += targets(random, ("--plot", "--output", "--save-beam", "--resume"))
            found += ["--checkpoint-every", random.choice(["1", "0", "x"])] if random.random() < 0.1 else []
        else:
            found += gradient_words(random)
        if command == "gradient":
            found += targets(random, ("--plot", "--output"))
            if random.random() < 0.3:
                found += [
                    random.choice(["--adjoint", "--slots", "--anchor-every"]),
                    random.choice(["store", "tape", "auto", "3", "0", "x"]),
                ]
        if command == "check":
            found += ["--backends", random.choice(["numpy", "numpy,torch", "numpy", word(random)])]
            found += ["--tolerance", random.choice(["inf", "nan", "-1", "1e-9"])] if random.random() < 0.2 else []
        if command == "memory":
            found += (
                ["--budget", random.choice(["1 GB", "0", "-1", "inf", "x", "1e400"])] if random.random() < 0.4 else []
            )
    elif command in ("lattice", "convert", "optics"):
        found += [random.choice(["ring.madx", "good.yaml", a_file(random)])]
        found += (
            ["--to", random.choice(["yaml", "json", "madx", "pals", "x"])]
            if command == "convert" and random.random() < 0.8
            else []
        )
        found += targets(random, ("--output",)) if command == "convert" else []
        if command == "optics" and random.random() < 0.6:
            found += random.choice([*OF_OPTICS, ["--start", word(random)], ["--step", word(random)]])
        if random.random() < 0.3:
            found += random.choice([*OF_LATTICES, ["--format", word(random)]])
    elif command == "examples":
        found += random.choice([[], ["--show", "fodo"], ["--show", word(random)]])
    if random.random() < 0.4 and command not in ("help", "convert"):
        found.append("--json")
    if random.random() < 0.1:
        found.insert(random.randrange(len(found) + 1), word(random))
    if random.random() < 0.05:
        k = random.randrange(len(found))
        found[k] = garbled(found[k], random).replace("\x00", "")
    return found


def prepared(random: Random) -> list[str]:
    """A command line, and the file that it may name."""
    path = folder()
    fill(path)
    (path / "random.yaml").write_text(write_tree(problems.tree(random)))
    for name in ("out", "out2"):
        if random.random() < 0.3 and (path / name).exists() and not (path / name / ".backbeam.json").exists():
            (path / name).unlink() if (path / name).is_file() else None
    return line(random)


def case(random: Random) -> str:
    """One command."""
    words = prepared(random)
    before = os.getcwd()
    os.chdir(folder())
    try:
        result = CliRunner().invoke(app, words)
    finally:
        os.chdir(before)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    try:
        return judged(words, result.exit_code, result.stdout, result.stderr)
    except Fault as fault:
        raise Fault(f"{fault}; {words}"[:600]) from None


def judged(words: list[str], code: int, out: str, err: str) -> str:
    """The verdict on how a command ended."""
    if words[0] != "convert" and (folder() / "mine.txt").read_text() != FILES["mine.txt"]:
        raise Fault("a file that is not ours was written over")
    said = err.splitlines()
    if code == 2:
        errors = [text for text in said if text.startswith("backbeam: error: ")]
        others = [text for text in said if not text.startswith(("backbeam: error: ", "backbeam: warning: "))]
        if len(errors) != 1 or (others and words[0] != "convert") or out:
            raise Fault(f"exit 2, with {err[:300]!r} and {out[:100]!r}")
        return "refused"
    if code not in (0, 1):
        raise Fault(f"exit {code}: {err[:300]}")
    if "Traceback" in err:
        raise Fault(err[-300:])
    if (
        "--json" in words
        and words.count("--json") == 1
        and code == 0
        and not {"--help", "-h", "--csv"} & set(words)
        and words[0] != "help"
    ):
        found: Any = json.loads(out, parse_constant=lambda text: (_ for _ in ()).throw(Fault(f"{text} in JSON")))
        if not isinstance(found, dict | list):
            raise Fault(f"no object: {out[:100]}")
    return "done" if code == 0 else "answered no"
