"""Matching beside MAD-X's ``match`` and Xsuite's: the same optimum, and how often each looks at the line for it.

Three questions: four quadrupoles that bring a round beam to given lattice functions at the end of a section; two
families of quadrupoles that bring the tunes of a real ring (PIMMS) to new values; and six supplies of a transfer line
of 3.2 km (TI2, from the SPS to the LHC), which are 1 or 2 % off, and are to bring beta, alpha and dispersion before
the LHC back to the design's. MAD-X and Xsuite take differences, and look at the line once more for each variable;
backbeam goes back once for all of them.

::

    python benchmarks/matching.py --lattices DIR --madx PYTHON --xsuite PYTHON [--write]

DIR holds ``madx/pimms/PIMM.seq``, ``betatron.str``, ``madx/sps_to_lhc_ti2/ti2.seq`` and ``ti2_liu.str`` (of CERN's
acc-models, in the test data of Xsuite). The two pythons are those that have cpymad and xtrack.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import backbeam as bb

RESULT = Path(__file__).parent / "results" / "matching.md"
START = {"beta_x": 5.0, "beta_y": 5.0}
WANTED = {"beta_x": 12.0, "alpha_x": -1.0, "beta_y": 5.0, "alpha_y": 0.5}
STRENGTHS = (2.0, -2.0, 2.0, -2.0)
"""Where k1 of the four quadrupoles starts [1/m^2]."""
LENGTHS = (1.0, 2.0, 1.0, 2.0)
"""Of the drifts behind them [m]; the quadrupoles are 0.2 m long."""
TUNES = {"tune_x": 1.67, "tune_y": 1.74}
KNOBS = ("qf1k1", "qd1k1")
FROM_SPS = {"beta_x": 17.06, "alpha_x": 0.46, "beta_y": 124.9, "alpha_y": -3.46, "dispersion_x": -0.3,
            "dispersion_px": 0.011}  # fmt: skip
"""Lattice functions with which TI2 begins."""
SUPPLIES = ("kqif.28600", "kqid.28700", "kqif.28800", "kqid.28900", "kqif.29000", "kqid.29100")
OFF = (0.99, 1.02, 0.99, 1.02, 0.99, 1.02)
"""By which factors they are wrong at the start."""
PLACE = "mqid.29500"
"""The last quadrupole of TI2."""
CODES = ("backbeam", "MAD-X lmdif", "MAD-X jacobian", "Xsuite")

MADX = """
import json, sys
from cpymad.madx import Madx

given = json.load(sys.stdin)
found = {}
for method in ("lmdif", "jacobian"):
    madx = Madx(stdout=False)
    if "begin" in given:
        for path in given["files"]:
            madx.call(path)
        madx.input("beam, particle=proton, energy=450.00097817061624; use, sequence=ti2;")
        for name, value in given["begin"].items():
            madx.input(f"{name} = {value!r};")
        start = ", ".join(f"{name}={value!r}" for name, value in given["at_start"].items())
        call = f"twiss, sequence=ti2, {start};"
        wanted = [(f"table(twiss,{given['place']},{n})/({value!r})", 1.0) for n, value in given["at_place"].items()]
        names, step = list(given["begin"]), 1e-6
    elif given["files"]:
        for path in given["files"]:
            madx.call(path)
        madx.input("beam, particle=proton, energy=1.1; use, sequence=pimms;")
        call = "twiss, sequence=pimms;"
        wanted = [("table(summ,q1)", given["tunes"][0]), ("table(summ,q2)", given["tunes"][1])]
        names, step = given["knobs"], 1e-6
    else:
        names, at, text = [], 0.0, ""
        for k, (k1, length) in enumerate(zip(given["strengths"], given["lengths"]), start=1):
            madx.input(f"k{k} = {k1}; q{k}: quadrupole, l=0.2, k1:=k{k};")
            names.append(f"k{k}")
            text += f"q{k}, at={at};"
            at += 0.2 + length
        madx.input(f"m: marker; s: sequence, l={at}, refer=entry; {text} m, at={at}; endsequence;")
        madx.input("beam, particle=proton, energy=1.938272; use, sequence=s;")
        start, end = given["start"], given["wanted"]
        call = f"twiss, sequence=s, betx={start['beta_x']}, bety={start['beta_y']}, alfx=0, alfy=0;"
        theirs = {"beta_x": "betx", "alpha_x": "alfx", "beta_y": "bety", "alpha_y": "alfy"}
        wanted = [(f"table(twiss,m,{theirs[name]})", value) for name, value in end.items()]
        step = 1e-6
    # A macro counts: it is what the matching calls once for every look at the line.
    madx.input("looks = 0; match, use_macro;")
    for name in names:
        madx.input(f"vary, name={name}, step={step};")
    madx.input(f"m1: macro={{ looks=looks+1; {call} }};")
    for what, value in wanted:
        madx.input(f"constraint, expr= {what}={value};")
    madx.input(f"{method}, calls=1000, tolerance=1e-18; endmatch;")
    found[method] = {"looks": madx.globals["looks"], "values": [madx.globals[name] for name in names]}
json.dump(found, open(given["result"], "w"))
"""

XSUITE = """
import json, sys
import xobjects, xtrack as xt

xobjects.settings.allow_kernel_compilation = True
given = json.load(sys.stdin)
if given["files"]:
    env = xt.load(given["files"], format="madx")
    line = env["pimms"]
    line.particle_ref = xt.Particles(p0c=given["p0c"], mass0=xt.PROTON_MASS_EV)
    targets = [xt.TargetSet(qx=given["tunes"][0], qy=given["tunes"][1], tol=1e-9)]
    names, options = given["knobs"], {}
else:
    env, names, parts = xt.Environment(), [], []
    for k, (k1, length) in enumerate(zip(given["strengths"], given["lengths"]), start=1):
        env[f"k{k}"] = k1
        names.append(f"k{k}")
        env.new(f"q{k}", xt.Quadrupole, length=0.2, k1=f"k{k}")
        env.new(f"d{k}", xt.Drift, length=length)
        parts += [f"q{k}", f"d{k}"]
    env.new("m", xt.Marker)
    line = env.new_line(components=[*parts, "m"])
    line.particle_ref = xt.Particles(p0c=given["p0c"], mass0=xt.PROTON_MASS_EV)
    end = given["wanted"]
    targets = [xt.TargetSet(betx=end["beta_x"], alfx=end["alpha_x"], bety=end["beta_y"], alfy=end["alpha_y"], at="m",
                            tol=1e-9)]
    options = {"betx": given["start"]["beta_x"], "bety": given["start"]["beta_y"]}
search = line.match(solve=False, method="4d", vary=xt.VaryList(names, step=1e-6), targets=targets, **options)
before = search._err.call_counter
search.solve()
json.dump({"looks": search._err.call_counter - before, "values": [float(env[name]) for name in names]},
          open(given["result"], "w"))
"""


def section() -> bb.Line:
    """Four quadrupoles and the drifts behind them."""
    items: list[Any] = []
    for k, (k1, length) in enumerate(zip(STRENGTHS, LENGTHS, strict=True), start=1):
        items += [bb.Quadrupole(0.2, k1=k1, name=f"q{k}"), bb.Drift(length, name=f"d{k}")]
    return bb.Line(items)


def match_section() -> bb.Match:
    """Lattice functions at the end of the section."""
    proton = bb.Reference.from_kinetic_energy(1e9, "proton")
    targets = [bb.Target(f"optics.{name}", value, at="end") for name, value in WANTED.items()]
    return bb.match(targets, section(), proton, ["*.k1"], start=bb.Twiss(**START), progress=False)


def match_ring(files: list[str]) -> bb.Match:
    """Tunes of the ring."""
    proton = bb.Reference.from_kinetic_energy(1.1e9 - 938.27208816e6, "proton")
    line = bb.load(*files, line="pimms", reference=proton).line
    targets = [bb.Target(name, value) for name, value in TUNES.items()]
    return bb.match(targets, line, proton, list(KNOBS), progress=False)


def match_transfer(files: list[str]) -> tuple[bb.Match, dict[str, Any]]:
    """Lattice functions before the LHC, and how the others are asked for them."""
    momentum, mass = 450e9, 938.27208816e6
    proton = bb.Reference.from_kinetic_energy((momentum**2 + mass**2) ** 0.5 - mass, "proton")
    line, start = bb.load(*files, line="ti2", reference=proton).line, bb.Twiss(**FROM_SPS)
    design = bb.optics(line, proton, start)[PLACE]
    wanted = {name: float(getattr(design, name)) for name in FROM_SPS}
    begin = {name: factor * float(line.knobs[name]) for name, factor in zip(SUPPLIES, OFF, strict=True)}
    targets = [bb.Target(f"optics.{name}", value, at=PLACE) for name, value in wanted.items()]
    found = bb.match(targets, line.replace(begin), proton, list(SUPPLIES), start=start, progress=False)
    names = {"beta_x": "betx", "alpha_x": "alfx", "beta_y": "bety", "alpha_y": "alfy", "dispersion_x": "dx",
             "dispersion_px": "dpx"}  # fmt: skip
    at_start, at_place = ({names[name]: value for name, value in given.items()} for given in (FROM_SPS, wanted))
    asked = {"begin": begin, "at_start": at_start, "at_place": at_place, "place": PLACE, "files": files}
    return found, asked


def theirs(python: str, program: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What another code finds, in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / "result.json"
        given = json.dumps({**asked, "result": str(result)})
        subprocess.run([python, "-c", program], input=given, text=True, check=True, capture_output=True, cwd=scratch)
        return json.loads(result.read_text())


def rows(found: bb.Match, asked: dict[str, Any], madx: str, xsuite: str | None) -> dict[str, tuple[int, np.ndarray]]:
    """Looks at the line, and values found, by code."""
    by_madx = theirs(madx, MADX, asked)
    each = {"MAD-X lmdif": by_madx["lmdif"], "MAD-X jacobian": by_madx["jacobian"]}
    if xsuite is not None:
        each["Xsuite"] = theirs(xsuite, XSUITE, asked)
    mine = found.passes, np.asarray([one.found for one in found.varied])
    return {"backbeam": mine, **{n: (int(e["looks"]), np.asarray(e["values"])) for n, e in each.items()}}


def table(title: str, each: dict[str, tuple[int, np.ndarray]]) -> str:
    """Rows of a table."""
    best = each["backbeam"][1]
    lines = [
        f"## {title}",
        "",
        "| code | looks at the line | values found | largest relative deviation |",
        "|---|---|---|---|",
    ]
    for code in (code for code in CODES if code in each):
        looks, values = each[code]
        deviation = float(np.max(np.abs(values / best - 1.0)))
        shown = ", ".join(f"{value:.9f}" for value in values)
        lines.append(f"| {code} | {looks} | {shown} | {'' if code == 'backbeam' else f'{deviation:.1e}'} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lattices", required=True, type=Path)
    parser.add_argument("--madx", required=True)
    parser.add_argument("--xsuite", required=True)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    files = [str(given.lattices / "madx" / "pimms" / name) for name in ("PIMM.seq", "betatron.str")]
    common = {"start": START, "wanted": WANTED, "strengths": STRENGTHS, "lengths": LENGTHS, "knobs": KNOBS,
              "tunes": list(TUNES.values())}  # fmt: skip
    first, second = match_section(), match_ring(files)
    ti2 = [str(given.lattices / "madx" / "sps_to_lhc_ti2" / name) for name in ("ti2.seq", "ti2_liu.str")]
    third, third_asked = match_transfer(ti2)
    momenta = [(energy**2 - 938.27208816e6**2) ** 0.5 for energy in (1.938272e9, 1.1e9)]
    first_asked = {**common, "files": [], "p0c": momenta[0]}
    second_asked = {**common, "files": files, "p0c": momenta[1]}
    text = [
        "# Matching beside MAD-X and Xsuite\n",
        "Looks: how often a code finds the optics of the line, there and back in backbeam's case; the others take a "
        "difference for each variable. Two more of backbeam's, there alone, are for what its table says of start and "
        "end. MAD-X's method jacobian does not leave the start of the first and the third question; its lmdif finds "
        "other strengths for TI2, with which the lattice functions are as wanted to 7e-6. Xsuite is "
        "asked the first two. Printed by `python benchmarks/matching.py`.\n",
        table(
            "Four quadrupoles: beta and alpha of both planes at the end",
            rows(first, first_asked, given.madx, given.xsuite),
        ),
        "",
        table("PIMMS: both tunes by two families of quadrupoles", rows(second, second_asked, given.madx, given.xsuite)),
        "",
        table(
            "TI2: beta, alpha and dispersion before the LHC by six supplies",
            rows(third, third_asked, given.madx, None),
        ),
    ]
    print("\n".join(text))
    print(first.table(), second.table(), third.table(), sep="\n\n")
    if given.write:
        RESULT.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
