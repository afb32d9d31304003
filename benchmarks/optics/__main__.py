"""Lattice functions of real rings and lines beside MAD-X's, element by element, and chromaticities beside Xsuite's.

``--lattices`` is a folder with ``expected_madx.json``, which names files, sequence and beam of each case; ``--madx`` a
Python that has cpymad, ``--xsuite`` one that has xtrack. Where the orbit is on the axis MAD-X's maps are exact to the
order that is compared, so its columns are a reference to rounding.
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
from backbeam.reference import Reference
from backbeam.species import Species

HERE = Path(__file__).parent
PAIRS = (
    ("beta_x", "betx", 1.0), ("beta_y", "bety", 1.0), ("alpha_x", "alfx", 1.0), ("alpha_y", "alfy", 1.0),
    ("mu_x", "mux", 0.5 / np.pi), ("mu_y", "muy", 0.5 / np.pi), ("dispersion_x", "dx", 1.0),
)  # fmt: skip
DYNAMIC = {
    "ring": "csr", "turns": 200, "half_width": 0.3, "emittance": 1e-4, "amplitudes": np.arange(0.5, 8.1, 0.5),
    "angles": np.linspace(0.1, 1.5, 8),
}  # fmt: skip
"""A grid of starting points of a ring, the opening at its end and the number of turns; emittance in m."""
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
        finer = line.with_elements({name: split_finer(e) for name, e in line._named.items()})
        hard = {path: 0.0 for path in line.parameters if path.rpartition(".")[2] in ("fint", "fint_exit")}
        out["chromaticity"] = {
            "ours": list_of(o.chromaticities),
            "finely": list_of(bb.optics(finer, reference).chromaticities),
            "without_extent": list_of(bb.optics(finer.replace(hard), reference).chromaticities),
            "linear_faces": list_of(bb.optics(linear_faced(line), reference).chromaticities),
            "madx": [numbers["dq1"], numbers["dq2"]],
            "madx_maps": theirs["chromaticities_of_maps"],
        }
        out["for_xsuite"] = {"elements": theirs["elements"], "beam": beam}
        if case["sequence"] == DYNAMIC["ring"]:
            starts = grid_of(o)
            opening = {"type": "opening", "half_width": DYNAMIC["half_width"]}
            out["for_xsuite"] |= {"elements": [*theirs["elements"], opening], "starts": starts.tolist(),
                                  "turns": DYNAMIC["turns"]}  # fmt: skip
            out["stays"] = who_stays(finer, reference, starts)
    return out


def edwards_teng(o: bb.Optics) -> tuple[np.ndarray, np.ndarray]:
    """Betas of the modes of Edwards and Teng (IEEE Trans. Nucl. Sci. 20 (1973) 885) from our own normal form.

    The block of mode 1 in x and px is the root of its determinant times a matrix of determinant 1, which is the mode's
    own: Sagan & Rubin, PRSTAB 2 (1999) 074001.
    """
    A = o.solution.A
    first, second = ((m[:, 0, 0] ** 2 + m[:, 0, 1] ** 2) / np.linalg.det(m) for m in (A[:, :2, :2], A[:, 2:4, 2:4]))
    return first, second


def grid_of(o: bb.Optics) -> np.ndarray:
    """x, px, y, py ``(4, n)`` of a polar grid of amplitudes at the start."""
    start, size = o["start"], DYNAMIC["emittance"] ** 0.5
    r, angle = (a.ravel() for a in np.meshgrid(DYNAMIC["amplitudes"], DYNAMIC["angles"]))
    rows = []
    for amplitude, beta, alpha in (
        (r * np.cos(angle), start.beta_x, start.alpha_x), (r * np.sin(angle), start.beta_y, start.alpha_y)
    ):  # fmt: skip
        rows += [size * amplitude * beta**0.5, -size * amplitude * alpha / beta**0.5]
    return np.asarray(rows)


def who_stays(line: bb.Line, reference: Reference, starts: np.ndarray) -> list[bool]:
    """Which of the particles are there after all turns."""
    X = np.concatenate([starts, np.zeros((2, starts.shape[1]))])
    beam = bb.Beam.from_arrays(X, species=reference.species, reference_momentum=reference.momentum, charge=0.0)
    half = DYNAMIC["half_width"]
    opened = bb.Line([line, bb.Aperture(half, half, name="beyond_the_grid")])
    return bb.track(opened, beam, turns=DYNAMIC["turns"]).alive.tolist()


def list_of(values: Any) -> list[float]:
    """As JSON holds them."""
    return [float(v) for v in values]


def linear_faced(line: bb.Line) -> bb.Line:
    """The line with linear faces of bends."""
    linear = {name: bend.replace(fringe="linear") for name, bend in line._named.items() if hasattr(bend, "fringe")}
    return line.with_elements(linear)


def split_finer(element: bb.Element) -> bb.Element:
    """A magnet that is split in four times as many steps: the error of order 6 is 4000 times smaller."""
    return element.replace(steps=4 * (element.steps or 1)) if hasattr(element, "steps") else element


def beside_xsuite(found: dict[str, dict], python: str) -> None:
    """Add the chromaticities of Xsuite's exact maps to all rings: one process, as it compiles for minutes."""
    asked = {name: case.pop("for_xsuite") for name, case in found.items() if "for_xsuite" in case}
    if not asked:
        return
    with tempfile.TemporaryDirectory() as scratch:
        answer = subprocess.run([python, HERE / "xsuite_worker.py"], input=json.dumps(asked), capture_output=True,
                                text=True, check=True, cwd=scratch)  # fmt: skip
    for name, theirs in json.loads(answer.stdout[answer.stdout.index("{") :]).items():
        found[name]["chromaticity"] |= {"xsuite": theirs["as_it_is"], "xsuite_without_extent": theirs["without_extent"]}
        if "stays" in theirs:
            found[name]["stays_in_xsuite"] = theirs["stays"]


def table(found: dict[str, dict]) -> str:
    """Markdown of all cases."""
    head = ["lattice", "elements", "largest orbit [m]", *(ours for ours, _, _ in PAIRS),
            "betas of Edwards-Teng", "tunes",
            "tunes of its phases", "compaction", "floor [m, rad]"]  # fmt: skip
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
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def dynamic_aperture_words(found: dict[str, dict]) -> str:
    """How many points of the grid stay in one code and not in the other."""
    case = found.get(DYNAMIC["ring"], {})
    if "stays_in_xsuite" not in case:
        return "Not compared: no Xsuite."
    ours, theirs = np.asarray(case["stays"]), np.asarray(case["stays_in_xsuite"])
    return (
        f"{ours.size} starting points of the ring {DYNAMIC['ring']} (16 amplitudes to 8 times the square root of\n"
        f"beta {DYNAMIC['emittance']:g} m, 8 angles), {DYNAMIC['turns']} turns, opening of {DYNAMIC['half_width']} m "
        f"at its end: {ours.sum()} stay here, {theirs.sum()} in Xsuite;\n"
        f"{np.sum(ours != theirs)} stay in one and not in the other."
    )


CHROMATICITIES = (
    ("ours", "as read", ""), ("finely", "split finely", ""), ("madx", "MAD-X's", "finely"),
    ("madx_maps", "of MAD-X's maps", "finely"), ("xsuite", "Xsuite's", "finely"),
    ("without_extent", "without extent", ""), ("xsuite_without_extent", "Xsuite's", "without_extent"),
    ("linear_faces", "linear faces", ""),
)  # fmt: skip
"""Key, head of the column, and which of ours it is compared with."""
CAUSES = {
    "psb": "extent of fringes",
    "elena": "extent of fringes",
    "spear3": "Xsuite's gradient in a turned face",
    "booster_rf_off": "Xsuite's gradient in a turned face",
    "leir_no_bump": "coupling, of which MAD-X's summary does not know",
}


def chromaticity_table(found: dict[str, dict]) -> str:
    """Markdown of the rings' chromaticities per pt, each with its relative deviation from ours in brackets."""
    head = ["ring", *(title for _, title, _ in CHROMATICITIES), "what differs"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, case in found.items():
        values = case.get("chromaticity")
        if values is None:
            continue
        cells = [name]
        for key, _, beside in CHROMATICITIES:
            given, ours = values.get(key, []), values.get(beside, [None, None])
            cells.append(", ".join(f"{v:.8g}" + (f" ({abs(v / w - 1.0):.0e})" if w else "")
                                   for v, w in zip(given, ours, strict=False)))  # fmt: skip
        lines.append("| " + " | ".join([*cells, CAUSES.get(name, "")]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Compare all cases and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lattices", type=Path, required=True)
    parser.add_argument("--madx", required=True)
    parser.add_argument("--xsuite", help="without it its columns are empty")
    parser.add_argument("--only", nargs="*", default=CASES)
    arguments = parser.parse_args()
    cases = json.loads((arguments.lattices / "expected_madx.json").read_text())["cases"]
    found = {}
    for name in arguments.only:
        try:
            found[name] = compare(cases[name], arguments.lattices, arguments.madx)
        except bb.BackbeamError as error:
            found[name] = {"refused": str(error)}
        print(name, {key: value for key, value in found[name].items() if key != "for_xsuite"}, flush=True)
    if arguments.xsuite:
        beside_xsuite(found, arguments.xsuite)
    write(found)


def write(found: dict[str, dict]) -> None:
    """All that was found, as JSON and as a page."""
    results = HERE.parent / "results"
    results.joinpath("optics.json").write_text(json.dumps(found, indent=1) + "\n")
    text = f"""# Optics beside MAD-X and Xsuite

`python -m benchmarks.optics --lattices DIR --madx PYTHON --xsuite PYTHON`. Largest deviation along the line, relative
to the largest value of the column (phases: of mu/2 pi); of tunes and momentum compaction, absolute; of floor
coordinates the largest of all six. Cavities are off.

- *Tunes*: beside the summary of MAD-X's twiss, and beside the end of its own columns mux and muy. Its summary is off
  its columns by as much as it is off ours.
- *TI2* is coupled behind a rotation of its frame, *LEIR* by skew quadrupoles. MAD-X's betas are those of Edwards and
  Teng, ours those of Mais and Ripken: the same only without coupling. Edwards-Teng's, made from our normal form, are in
  a column of their own.
- *LEIR* is without its orbit bump of 17 cm, beyond maps of second order, and without solenoids.

{table(found)}

## Chromaticities

Per pt, x and y, with the nonlinear faces of bends that a MAD-X file means (`fringe="hard"`); in brackets the relative
deviation from ours, split finely. Xsuite's are of its tracking, with exact bends and its full model of their faces.

- *As read* a magnet is split as by default: an error of 1e-6 or so, which four times as many steps take away. What is
  left beside MAD-X and Xsuite is 1e-7 and less, except where the last column names a cause.
- *Extent of fringes* (fint, hgap): it weakens the focusing of a face in y. How that depends on the momentum is a matter
  of codes: here not at all; MAD-X's terms of second order are those of a fringe without extent; Xsuite has a third
  rule. Without extent (*without extent*, *Xsuite's*) nothing is left.
- *Coupling*: MAD-X's summary is of uncoupled tunes. Tunes of its own maps of first and second order (*of MAD-X's maps*)
  have our chromaticity.
- *Gradient in a turned face*: MAD-X's rule and ours are that of K. Brown, a kick of a thin sextupole, k1 tan(e);
  Xsuite has another. Single magnets without gradient, or with faces that are not turned, have its maps of second
  order. With both, SPEAR3's bend without k2 has T111 0.029364 and T211 -0.005175 here, 0.035873 and 0.009712 in
  Xsuite; equations of motion, integrated in the plane from face to face, give 0.0293644 and -0.0051745.

{chromaticity_table(found)}

## Dynamic aperture

{dynamic_aperture_words(found)}
"""
    results.joinpath("optics.md").write_text(text)


if __name__ == "__main__":
    main()
