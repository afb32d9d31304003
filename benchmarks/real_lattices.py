"""Real lattices of elegant, Bmad, PALS, Xsuite and Cheetah, next to what is known of them.

::

    python benchmarks/real_lattices.py LATTICES [--write]

LATTICES is a folder with ``expected_*.json`` and the files that they name. ``--write`` renews
``benchmarks/results/real-lattices.md``; the tests of the same files are ``pytest tests/lattices --lattices LATTICES``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

import backbeam as bb

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "lattices"))
from reading import fractional_tunes, matrix

RESULT = Path(__file__).parent / "results" / "real-lattices.md"
LINEAR = ("drift", "quadrupole", "sector_bend", "rectangular_bend", "dipole_edge", "solenoid")
INSTEAD = {
    "slc.lte": {"scatter": "marker", "malign": "marker"},
    "PClinac_TESSA_LSC.lte": {"cwiggler": "drift", "malign": "marker"},
    "small_ring.bmad": {"rfcavity": "drift"},
}
"""What is put in the place of what the table of known values leaves out, or of what has no map."""
REASONS = {
    "slc.lte": "scatter and malign are refused, and put aside here; the table has no R",
    "PClinac_TESSA_LSC.lte": "cwiggler and malign are refused, and put aside here",
    "small_ring.bmad": "without its cavities, as in the table",
    "Dragt_PSR_small_ring.bmad": "the table's reader left b1_gradient out; tunes as published (Dragt): 0.254, 0.250",
    "iota.pals.yaml": "its design: tunes of 0.3 and 0.3",
}


def linear(line: bb.Line) -> bb.Line:
    """The line with the linear models that its elements have."""
    return line.with_elements({n: line[n].replace(model="linear") for n in line.names if line[n].kind in LINEAR})


def row(path: Path, wanted: dict, line: str | None = None) -> str:
    """One line of the table: what was read, and by how much it is not what is known."""
    loaded = bb.load(path, line=line, replace=INSTEAD.get(path.name))
    reference = loaded.reference
    species, energy = ("electron", 1e9) if reference is None else (reference.species, float(reference.kinetic_energy))
    R = matrix(linear(loaded.line), species, energy)
    known = wanted.get("R4", wanted.get("R"))
    shown = ""
    if known is not None:
        there = np.asarray(known)[:4, :4]
        shown = f"{(np.abs(R[:4, :4] - there) / (1.0 + np.abs(there))).max():.0e}"
    stable = all(abs(np.trace(R[k : k + 2, k : k + 2])) < 2.0 for k in (0, 2))
    tunes = ", ".join(f"{t:.4f}" for t in fractional_tunes(R)) if stable else ""
    length = f"{abs(float(loaded.line.length) - wanted['length']):.0e}" if "length" in wanted else ""
    reason = REASONS.get(path.name, "")
    return (
        f"| {path.name} | {len(loaded.line.elements)} | {float(loaded.line.length):.4f} | {length} | {shown} | {tunes} "
        f"| {len(loaded.line.knobs)} | {reason} |"
    )


def documents(folder: Path) -> tuple[int, dict[str, str]]:
    """How many of PALS's documents hold a line that is read, and what is said of the others."""
    read, said = 0, {}
    for path in sorted(folder.rglob("*.pals.yaml")):
        name = str(path.relative_to(folder))
        if "loading/" in name and path.name != "joiner.pals.yaml":
            continue
        try:
            bb.load(path)
            read += 1
        except bb.BackbeamError as error:
            said[name] = str(error).replace(f"{path}: ", "")
    return read, said


def table(folder: Path) -> str:
    """The committed page."""
    known = {n: json.loads((folder / f"expected_{n}.json").read_text())["cases"] for n in ("elegant", "bmad", "madx")}
    rows = [row(folder / "elegant" / "sirepo" / name, w, w["line"]) for name, w in known["elegant"].items()]
    rows += [row(folder / "bmad" / name, w) for name, w in known["bmad"].items()]
    rows.append(row(folder / "pals" / "iota.pals.yaml", {"length": 39.968229714800}))
    for name in ("pimms_env", "pimms_line", "h6_env", "h6_line"):
        rows.append(row(folder / "xsuite" / f"{name}.json", known["madx"][name.partition("_")[0]]))
    path = folder / "cheetah" / "own_all_kinds.json"
    rows.append(row(path, {"length": json.loads(path.with_suffix(".expected.json").read_text())["length"]}))
    read, said = documents(folder / "pals")
    joiners = [name for name, line in said.items() if "joiner" in name and line == "it holds no line"]
    said = {name: line for name, line in said.items() if name not in joiners}
    head = [
        "| file | elements | length, m | off by | R off by | fractional tunes | knobs | |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    notes = "\n".join(f"- `{name}`: {line}" for name, line in said.items())
    return f"""# Real lattices of elegant, Bmad, PALS, Xsuite and Cheetah

`python benchmarks/real_lattices.py LATTICES --write`. R: largest |ours - known| / (1 + |known|) of its transverse
block, with linear models; what is known of Xsuite's files is MAD-X's, of the same machines. Cheetah's file is compared
by particles, to 1e-10, in the tests.

{chr(10).join([*head, *rows])}

Of PALS's example documents, those of `loading/` but for its joiners aside, {read} are read. {len(joiners)} joiners
hold no line. Of the others it is said:

{notes}
"""


def main() -> None:
    """Read all; print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lattices", type=Path)
    parser.add_argument("--write", action="store_true", help=f"renew {RESULT.name}")
    given = parser.parse_args()
    page = table(given.lattices)
    if given.write:
        RESULT.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
