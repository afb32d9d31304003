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
CASES = ("psb", "elena", "pimms", "lanl_psr", "csr", "spear3", "booster_rf_off", "ti2", "h6")


def compare(case: dict, folder: Path, python: str) -> dict:
    """Largest deviations of one lattice, relative to the largest of each column."""
    files = [folder / "madx" / name for name in case["files"]]
    ring = bool(case.get("tunes"))
    beam = case["beam"]
    asked = {"files": [str(f) for f in files], "sequence": case["sequence"], "beam": beam, "ring": ring}
    with tempfile.TemporaryDirectory() as scratch:  # some of the files write tables where they are run
        answer = subprocess.run([python, HERE / "madx_worker.py"], input=json.dumps(asked), capture_output=True,
                                text=True, check=True, cwd=scratch)  # fmt: skip
    theirs = json.loads(answer.stdout[answer.stdout.index('{"columns"') :])
    reference = Reference(
        np.asarray(beam["beta"] * beam["gamma"]), Species("particle", beam["mass"] * 1e9, beam["charge"])
    )
    off = {"rfcavity": "drift"} if "rfcavity" in case["by_type"] else {}
    loaded = bb.load(*files, line=case["sequence"], replace=off, reference=reference)
    o = bb.optics(loaded.line, reference, "periodic" if ring else bb.Twiss(1.0, 1.0))
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
    numbers = theirs["numbers"]
    orbit = max(np.abs(columns["x"]).max(), np.abs(columns["y"]).max())
    out = {"elements": len(loaded.line), "places": len(rows), "orbit": float(orbit), "deviations": found}
    if ring:
        out["tunes"] = [abs(float(t) - numbers[q]) for t, q in ((o.tune_x, "q1"), (o.tune_y, "q2"))]
        out["compaction"] = abs(float(o.momentum_compaction) - numbers["alfa"])
        out["chromaticity"] = [float(o.chromaticity_x), float(o.chromaticity_y)]
        out["chromaticity_madx"] = [numbers["dq1"], numbers["dq2"]]
    return out


def table(found: dict[str, dict]) -> str:
    """Markdown of all cases."""
    head = ["lattice", "elements", "largest orbit [m]", *(ours for ours, _, _ in PAIRS), "tunes", "compaction",
            "chromaticities per pt", "MAD-X's"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, case in found.items():
        if "refused" in case:
            lines.append(f"| {name} | refused: {case['refused']} |" + " |" * (len(head) - 2))
            continue
        cells = [name, str(case["elements"]), f"{case['orbit']:.1g}"]
        cells += [f"{case['deviations'][ours]:.1e}" for ours, _, _ in PAIRS]
        cells += [f"{max(case['tunes']):.1e}", f"{case['compaction']:.1e}"] if "tunes" in case else ["", ""]
        for key in ("chromaticity", "chromaticity_madx"):
            cells.append(", ".join(f"{v:.6g}" for v in case[key]) if key in case else "")
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
largest value of the column (phases: of mu/2 pi); of tunes and momentum compaction, absolute. Cavities are off. MAD-X's
betas are Edwards-Teng, ours Mais-Ripken: the same without coupling, which TI2 has behind a rotation of its frame. Its
chromaticities are those of maps of second order and of its own dipole faces; ours are of the exact maps.

{table(found)}
"""
    results.joinpath("optics.md").write_text(text)


if __name__ == "__main__":
    main()
