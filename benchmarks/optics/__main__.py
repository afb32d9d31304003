"""Lattice functions of real rings and lines beside MAD-X's, element by element.

``--lattices`` is a folder with ``expected_madx.json``, which names files, sequence and beam of each case; ``--madx`` a
Python that has cpymad. Where the orbit is on the axis MAD-X's maps are exact to the order that is compared, so its
columns are a reference to rounding; its chromaticities are of truncated maps and are shown for comparison.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import backbeam as bb
from backbeam.reference import Reference
from backbeam.species import Species

HERE = Path(__file__).parent
PAIRS = (
    ("beta_x", "betx", 1.0), ("beta_y", "bety", 1.0), ("alpha_x", "alfx", 1.0), ("alpha_y", "alfy", 1.0),
    ("mu_x", "mux", 0.5 / np.pi), ("mu_y", "muy", 0.5 / np.pi), ("dispersion_x", "dx", 1.0),
)  # fmt: skip
CASES = ("psb", "elena", "pimms", "lanl_psr", "csr", "spear3", "booster_rf_off", "leir_no_bump", "ti2", "h6")


def compare(case: dict, folder: Path, python: str) -> dict:
    """Largest deviations of one lattice, relative to the largest of each column."""
    files = [folder / "madx" / name for name in case["files"]]
    ring, quiet = bool(case.get("tunes")), "kickers set to 0" in case.get("note", "")
    beam = case["beam"]
    asked = {"files": [str(f) for f in files], "sequence": case["sequence"], "beam": beam, "ring": ring, "quiet": quiet}
    with tempfile.TemporaryDirectory() as scratch:  # some of the files write tables where they are run
        answer = subprocess.run([python, HERE / "madx_worker.py"], input=json.dumps(asked), capture_output=True,
                                text=True, check=True, cwd=scratch)  # fmt: skip
    theirs = json.loads(answer.stdout[answer.stdout.index('{"columns"') :])
    reference = Reference(
        np.asarray(beam["beta"] * beam["gamma"]), Species("particle", beam["mass"] * 1e9, beam["charge"])
    )
    off = {"rfcavity": "drift"} if "rfcavity" in case["by_type"] else {}
    loaded = bb.load(*files, line=case["sequence"], replace=off, reference=reference)
    line = loaded.line
    if quiet:  # as the reference was made: no bump, and no solenoids
        off = ("ks", "hkick", "vkick")
        line = line.replace({path: 0.0 for path in line.parameters if path.rpartition(".")[2] in off})
    o = bb.optics(line, reference, "periodic" if ring else bb.Twiss(1.0, 1.0))
    mine, columns = o.on_host(), {name: np.asarray(values) for name, values in theirs["columns"].items()}
    s = columns["s"]
    near = np.abs(mine["s"][None, :] - s[:, None]) < 1e-6
    last = np.concatenate([np.diff(s) > 1e-6, [True]])
    rows = np.flatnonzero(near.any(axis=1) & last)
    at = near.shape[1] - 1 - np.argmax(near[rows][:, ::-1], axis=1)
    found = {}
    for ours, name, factor in PAIRS:
        deviation = np.abs(factor * mine[ours][at] - columns[name][rows]).max()
        found[ours] = float(deviation / max(np.abs(columns[name]).max(), 1e-9))
    floor = line.floor()
    stands = [
        np.abs(np.exp(1j * getattr(floor, name)[at]) - np.exp(1j * np.asarray(theirs["survey"][name])[rows])).max()
        if name in ("theta", "phi", "psi")
        else np.abs(getattr(floor, name)[at] - np.asarray(theirs["survey"][name])[rows]).max()
        for name in theirs["survey"]
    ]
    numbers = theirs["numbers"]
    orbit = max(np.abs(columns["x"]).max(), np.abs(columns["y"]).max())
    out = {"elements": len(line), "places": len(rows), "orbit": float(orbit), "deviations": found}
    out["floor"] = float(max(stands))
    theirs_beta = {name: columns[name][rows] for name in ("betx", "bety")}
    out["edwards_teng"] = [
        float(np.abs(mine_beta[at] - theirs_beta[name]).max() / np.abs(columns[name]).max())
        for mine_beta, name in zip(edwards_teng(o), ("betx", "bety"), strict=True)
    ]
    if ring:
        out["tunes"] = [abs(float(t) - numbers[q]) for t, q in ((o.tune_x, "q1"), (o.tune_y, "q2"))]
        out["tunes_of_phases"] = [abs(float(t) - columns[mu][-1]) for t, mu in ((o.tune_x, "mux"), (o.tune_y, "muy"))]
        out["compaction"] = abs(float(o.momentum_compaction) - numbers["alfa"])
        out["chromaticity"] = [float(o.chromaticity_x), float(o.chromaticity_y)]
        out["chromaticity_linear"] = linear_faced(line, reference)
        out["chromaticity_madx"] = [numbers["dq1"], numbers["dq2"]]
    return out


def edwards_teng(o: bb.Optics) -> tuple[np.ndarray, np.ndarray]:
    """Betas of the modes of Edwards and Teng (IEEE Trans. Nucl. Sci. 20 (1973) 885) from our own normal form.

    The block of mode 1 in x and px is the root of its determinant times a matrix of determinant 1, which is the mode's
    own: Sagan & Rubin, PRSTAB 2 (1999) 074001.
    """
    A = o.solution.A
    first, second = ((m[:, 0, 0] ** 2 + m[:, 0, 1] ** 2) / np.linalg.det(m) for m in (A[:, :2, :2], A[:, 2:4, 2:4]))
    return first, second


def linear_faced(line: bb.Line, reference: Reference) -> list[float]:
    """Chromaticities with linear faces of bends."""
    linear = {name: bend.replace(fringe="linear") for name, bend in line._named.items() if hasattr(bend, "fringe")}
    o = bb.optics(line.with_elements(linear), reference)
    return [float(o.chromaticity_x), float(o.chromaticity_y)]


def table(found: dict[str, dict]) -> str:
    """Markdown of all cases."""
    head = ["lattice", "elements", "largest orbit [m]", *(ours for ours, _, _ in PAIRS),
            "betas of Edwards-Teng", "tunes",
            "tunes of its phases", "compaction", "floor [m, rad]",
            "chromaticities per pt", "with linear faces", "MAD-X's"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, case in found.items():
        if "refused" in case:
            lines.append(f"| {name} | refused: {case['refused']} |" + " |" * (len(head) - 2))
            continue
        cells = [name, str(case["elements"]), f"{case['orbit']:.1g}"]
        cells += [f"{case['deviations'][ours]:.1e}" for ours, _, _ in PAIRS]
        ring = "tunes" in case
        cells.append(f"{max(case['edwards_teng']):.1e}")
        cells += [f"{max(case[key]):.1e}" if ring else "" for key in ("tunes", "tunes_of_phases")]
        cells += [f"{case['compaction']:.1e}" if ring else "", f"{case['floor']:.1e}"]
        for key in ("chromaticity", "chromaticity_linear", "chromaticity_madx"):
            cells.append(", ".join(f"{v:.8g}" for v in case[key]) if key in case else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Compare all cases and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lattices", type=Path, required=True)
    parser.add_argument("--madx", required=True)
    parser.add_argument("--only", nargs="*", default=CASES)
    arguments = parser.parse_args()
    cases = json.loads((arguments.lattices / "expected_madx.json").read_text())["cases"]
    found = {}
    for name in arguments.only:
        try:
            found[name] = compare(cases[name], arguments.lattices, arguments.madx)
        except bb.BackbeamError as error:
            found[name] = {"refused": str(error)}
        print(name, found[name], flush=True)
    results = HERE.parent / "results"
    results.joinpath("optics.json").write_text(json.dumps(found, indent=1) + "\n")
    text = f"""# Optics beside MAD-X

`python -m benchmarks.optics --lattices DIR --madx PYTHON`. Largest deviation along the line, relative to the
largest value of the column (phases: of mu/2 pi); of tunes and momentum compaction, absolute; of floor coordinates the
largest of all six. Cavities are off.

- *Tunes*: beside the summary of MAD-X's twiss, and beside the end of its own columns mux and muy. Its summary is off
  its columns by as much as it is off ours.
- *TI2* is coupled behind a rotation of its frame, *LEIR* by skew quadrupoles. MAD-X's betas are those of Edwards and
  Teng, ours those of Mais and Ripken: the same only without coupling. Edwards-Teng's, made from our normal form, are in
  a column of their own.
- *Chromaticities* of the exact maps, with the nonlinear faces of bends that a MAD-X file means (`fringe="hard"`) and
  its maps of second order have; and once more with linear ones. The correction for the extent of a fringe does not
  depend on the momentum here. How it does is a matter of codes: ELENA's vertical one per delta is -1.595 here, -1.580
  in MAD-X's maps of second order, and -1.731 in its PTC.
- *LEIR* is without its orbit bump of 17 cm, beyond maps of second order, and without solenoids.

{table(found)}
"""
    results.joinpath("optics.md").write_text(text)


if __name__ == "__main__":
    main()
