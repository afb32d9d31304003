"""What a kick adds to the memory of a gradient, against particles and cells, and the fit of arXiv 2605.27282.

    python benchmarks/memory scaling --libraries torch jax --cheetah PYTHON

Delta is the growth of memory by one kick: of a tape the bytes that the library keeps (from one kick to three), of the
other adjoints that of the measured peak: from 4 kicks to 20, for `Store` to 52, where there are anchors from 20
to 52; on one core, where nothing is done at the same time as anything else.
Delta = alpha N_particles + beta N_cells is fitted with each point weighted by its own size (the paper's appendix D).
Our transforms have one frequency, and the Green function one corner, more than the grid has nodes along each axis, so
a third term counts N_faces = (n + 1)^3 - n^3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from common import write

from memory.fitting import fit, residuals, value
from memory.fresh import case, run
from memory.options import ADJOINTS, COLOURS, about, adjoints_of, axes, markdown, parser
from memory.others import ask_cheetah, job
from memory.problems import expanding, on

SETTINGS = {"checkpoint": {"slots": 2}}
"""So few that they are all in use with 4 kicks, and more kicks add none."""
NOTHING = 1e4
"""Bytes; what is less lies on the lower edge of the picture."""
KICKS = (4, 20)
KICKS_VARYING = (4, 52)
"""Of `Store`: the more kicks, the less does it matter that its peaks vary."""
KICKS_ANCHORED = (20, 52)
KICKS_TAPED = (1, 3)


def main(arguments: list[str]) -> int:
    options = parser(__doc__, dtypes=("float64", "float32"))
    options.add_argument("--particles", nargs="+", type=int, default=[30_000, 60_000, 100_000, 200_000])
    options.add_argument("--grids", nargs="+", type=int, default=[16, 24, 32, 48])
    options.add_argument("--adjoints", nargs="+", default=list(ADJOINTS))
    options.add_argument("--standard", nargs=2, type=int, default=[100_000, 32], help="the other one meanwhile")
    given = options.parse_args(arguments)
    n0, g0 = given.standard
    points = list(dict.fromkeys([*((n, g0) for n in given.particles), *((n0, g) for g in given.grids)]))
    found: dict[str, dict[str, Any]] = {}
    for dtype in given.dtypes:
        for library in given.libraries:
            for adjoint in adjoints_of(library, given.adjoints):
                label = f"{library} {adjoint} {dtype}"
                found[label] = growth(library, adjoint, dtype, points, given.device)
                concluded(label, found[label], points)
        if given.cheetah:
            label = f"cheetah tape {dtype}"
            found[label] = growth_of_cheetah(given.cheetah, dtype, points)
            concluded(label, found[label], points)
    data = {**about(), "points": points, "found": found}
    write("memory-scaling", data, picture(found, points, given), text(found, arguments))
    return 0


def growth(library: str, adjoint: str, dtype: str, points: list[tuple[int, int]], device: str | None) -> dict[str, Any]:
    """Delta at each point [bytes]; None where it could not be had."""
    taped = adjoint == "tape"
    anchored = adjoint == "reversible" and dtype == "float32"
    varying = adjoint == "store"
    few, many = KICKS_TAPED if taped else KICKS_ANCHORED if anchored else KICKS_VARYING if varying else KICKS
    cases = []
    for n, grid in points:
        for kicks in (few, many):
            tree = on(expanding(n, grid, kicks), library, dtype, device)
            what, settings = "tape" if taped else "peak", SETTINGS.get(adjoint, {})
            cases.append(case(tree, adjoint, what, **settings))
    answers = [
        None if isinstance(a, str) else a["tape_bytes" if taped else "peak_bytes"] for a in run(cases, one_core=True)
    ]
    pairs = zip(answers[::2], answers[1::2], strict=True)
    return {"delta": [None if a is None or b is None else (b - a) / (many - few) for a, b in pairs]}


def growth_of_cheetah(python: str, dtype: str, points: list[tuple[int, int]]) -> dict[str, Any]:
    """The same of Cheetah's tape."""
    jobs = [job("tape", n, grid, kicks, dtype) for n, grid in points for kicks in (1, 3)]
    answers = [found.get("tape_bytes") for found in ask_cheetah(python, jobs)]
    pairs = zip(answers[::2], answers[1::2], strict=True)
    return {"delta": [None if a is None or b is None else (b - a) / 2 for a, b in pairs]}


def concluded(label: str, one: dict[str, Any], points: list[tuple[int, int]]) -> None:
    """Add the fit to what was found."""
    rows, sizes = [], []
    for (n, grid), delta in zip(points, one["delta"], strict=True):
        if delta is not None:
            rows.append({"particle": float(n), "cell": float(grid**3), "face": float((grid + 1) ** 3 - grid**3)})
            sizes.append(delta)
    if len(sizes) < 4 or np.abs(np.asarray(sizes) / [r["particle"] for r in rows]).max() < 8.0:
        one["fit"] = None  # nothing to speak of: less than a number a particle
        print(f"{label}: nothing that could be fitted", flush=True)
        one["largest_per_particle"] = float(
            max((abs(s) / r["particle"] for s, r in zip(sizes, rows, strict=True)), default=0)
        )
        return
    one["fit"] = fit(rows, sizes, ("particle", "cell", "face"))
    one["worst_residual"] = float(np.abs(residuals([one["fit"]], rows, sizes)).max())
    one["fit_without_faces"] = fit(rows, sizes, ("particle", "cell"))
    one["worst_residual_without_faces"] = float(np.abs(residuals([one["fit_without_faces"]], rows, sizes)).max())
    print(f"{label}: {one['fit']}, worst residual {one['worst_residual']:.2%}", flush=True)


def picture(found: dict[str, Any], points: list[tuple[int, int]], given: Any) -> Any:
    """Delta against particles, and against cells."""
    figure, fields = axes(2, len(given.libraries), width=5.0, height=3.6)
    n0, g0 = given.standard
    for row, library in zip(fields, given.libraries, strict=True):
        for label, one in found.items():
            owner, adjoint, dtype = label.split()
            if owner not in (library, "cheetah") or dtype != given.dtypes[0]:
                continue
            colour = COLOURS["cheetah" if owner == "cheetah" else adjoint]
            name = "Cheetah 0.8.4" if owner == "cheetah" else adjoint
            for field, mine, along in (
                (row[0], [k for k, (_, g) in enumerate(points) if g == g0], lambda p: p[0]),
                (row[1], [k for k, (n, _) in enumerate(points) if n == n0], lambda p: p[1] ** 3),
            ):
                mine = [k for k in sorted(mine, key=lambda k: along(points[k])) if one["delta"][k] is not None]
                x, y = [along(points[k]) for k in mine], [max(one["delta"][k], NOTHING) / 1e6 for k in mine]
                field.plot(x, y, "o", color=colour, label=name)
                if one["fit"]:
                    fitted = [
                        value(one["fit"], {"particle": n, "cell": g**3, "face": (g + 1) ** 3 - g**3}) / 1e6
                        for n, g in (points[k] for k in mine)
                    ]
                    field.plot(x, fitted, "-", color=colour, lw=1)
        for field, what in zip(row, (f"particles ({g0}³ nodes)", f"nodes ({n0:,} particles)"), strict=True):
            field.set(xscale="log", yscale="log", xlabel=what, title=f"{library}, {given.dtypes[0]}")
            field.grid(alpha=0.3, which="both")
        row[0].set_ylabel("memory that a kick adds [MB]")
        row[0].legend(fontsize=8)
    return figure


def text(found: dict[str, Any], arguments: list[str]) -> str:
    """The coefficients."""
    body = []
    for label, one in found.items():
        if one["fit"] is None:
            body.append([*label.split(), "0", "0", "0", f"at most {one['largest_per_particle']:.1f} B/particle"])
            continue
        fitted = one["fit"]
        body.append([
            *label.split(), f"{fitted['particle']:.1f}", f"{fitted['cell']:.1f}", f"{fitted['face']:.1f}",
            f"{one['worst_residual']:.2%} (without faces {one['worst_residual_without_faces']:.2%})",
        ])  # fmt: skip
    headings = ("code", "adjoint", "dtype", "alpha [B/particle]", "beta [B/cell]", "[B/face]", "worst residual")
    return f"""# Memory that a kick adds to a gradient

`python benchmarks/memory scaling {" ".join(arguments)}`

Delta = alpha N_particles + beta N_cells + a term of the faces of the grid, as in arXiv 2605.27282; a drift between two
kicks is in it. Of a tape Delta is what the library keeps, of the others it is the growth of the measured peak.

{markdown(headings, body)}
"""
