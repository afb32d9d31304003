"""The table of `backbeam.memory.table` for people: bytes a particle and a cell, of every library, adjoint, data type.

python benchmarks/memory coefficients
"""

from __future__ import annotations

from typing import Any

from common import write

from backbeam.memory import table
from memory.options import about, markdown

STATE = {"float64": 48, "float32": 24}
ANCHORS = 16
KICK = "SpaceCharge3D"


def main(arguments: list[str]) -> int:
    rows = [row for setup, data in sorted(table.load().items()) for row in rows_of(setup, data)]
    write("memory-coefficients", {**about(), "rows": rows}, text=text(rows))
    print(text(rows))
    return 0


def rows_of(setup: str, data: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each adjoint."""
    rows = []
    for adjoint, working in data["working"].items():
        kept = kept_of(adjoint, setup.split()[2], data)
        residuals = data.get("worst_residuals", {})
        rows.append({
            "setup": setup, "adjoint": adjoint, "kept": kept, "working": working[KICK],
            "worst_residual_kept": residuals.get("tape, kept") if adjoint == "tape" else None,
            "worst_residual_peak": residuals.get(f"{adjoint}, working"),
            "time": data["time"]["kicks"].get(adjoint), "versions": data["versions"],
        })  # fmt: skip
    return rows


def kept_of(adjoint: str, dtype: str, data: dict[str, Any]) -> dict[str, float] | str:
    """Bytes that a kick with a drift adds; words where there is more to say."""
    if adjoint == "tape":
        kick, drift = data["tape"][KICK], data["tape"]["Drift"]
        return {"particle": kick["particle"] + drift["particle"], "cell": kick["cell"], "face": kick.get("face", 0.0)}
    if adjoint == "store":
        return {"particle": STATE[dtype], "cell": 0.0}
    if adjoint == "checkpoint":
        return f"{STATE[dtype]} a slot"
    return "0" if dtype == "float64" else f"{STATE[dtype]} every {ANCHORS} kicks"


def text(rows: list[dict[str, Any]]) -> str:
    """Both tables in one."""
    body = []
    for r in rows:
        kept = r["kept"]
        alpha, beta = (kept, "0") if isinstance(kept, str) else (f"{kept['particle']:.4g}", f"{kept['cell']:.4g}")
        if not isinstance(kept, str) and kept.get("face"):
            beta += f" (and {kept['face']:.3g} a face)"
        off = ["counted" if r["worst_residual_kept"] is None else f"{r['worst_residual_kept']:.2%}"]
        off.append(f"{r['worst_residual_peak']:.1%}" if r["worst_residual_peak"] is not None else "–")
        body.append([
            r["setup"], r["adjoint"], alpha, beta, off[0], " or ".join(sum_of(form) for form in r["working"]), off[1],
            f"{r['time']:.1f}",
        ])  # fmt: skip
    headings = (
        "setup", "adjoint", "kept a kick, B/particle", "B/cell", "worst residual", "working set", "of the peak",
        "time over tracking",
    )  # fmt: skip
    return f"""# Coefficients of the memory of a gradient

`python benchmarks/memory calibrate` measured them, `python benchmarks/memory coefficients` made this table of them.

The peak of a gradient is what is kept, and the working set, of which the largest form counts. What `Store`,
`Checkpoint` and `Reversible` keep is counted by the code that cuts the plan; a `Tape` is what the library says that
it keeps, for a kick and a drift. Residuals are those of the fits: of what a kick leaves on the tape, and of the peak.
p: number of particles, h: of particles in the blocks that threads have in hand (beams of less than two blocks have
coefficients of their own), c: of cells, s: of cells of grids that threads fill besides; numbers of bytes in front.

{markdown(headings, body)}
"""


def sum_of(form: dict[str, float]) -> str:
    """``420 p + 290 c + 2.3 MB``."""
    letters = {"particle": "p", "hand": "h", "cell": "c", "share": "s"}
    words = [f"{c:.4g} {letters[name]}" for name, c in form.items() if c and name in letters]
    if form.get("fixed"):
        words.append(f"{form['fixed'] / 1e6:.2g} MB")
    return " + ".join(words)
