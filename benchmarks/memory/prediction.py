"""The model's prediction beside measurement, over a grid of problems.

python benchmarks/memory prediction --libraries numpy --particles 20000 1000000 --grids 16 64
"""

from __future__ import annotations

from typing import Any

from common import write

from backbeam.adjoint import adjoint_named
from backbeam.memory.amounts import parse_bytes, show_bytes
from backbeam.memory.forecast import forecast
from backbeam.memory.measuring import adjoint_of
from backbeam.problem import Problem
from memory.fresh import case, run
from memory.options import about, adjoints_of, markdown, parser
from memory.problems import expanding, on

SETTINGS = {"checkpoint": {"slots": 4}}


def main(arguments: list[str]) -> int:
    options = parser(__doc__, dtypes=("float64", "float32"))
    options.add_argument("--particles", nargs="+", type=int, default=[20_000, 100_000, 1_000_000])
    options.add_argument("--grids", nargs="+", type=int, default=[16, 32, 64])
    options.add_argument("--kicks", nargs="+", type=int, default=[3, 12])
    options.add_argument("--limit", default="6GB", help="largest predicted peak that is run")
    given = options.parse_args(arguments)
    limit = parse_bytes(given.limit, "limit")
    rows: list[dict[str, Any]] = []
    for library in given.libraries:
        for dtype in given.dtypes:
            rows += grid_of(library, dtype, given, limit)
    write("memory-prediction", {**about(), "rows": rows}, text=text(rows, arguments))
    return 0


def grid_of(library: str, dtype: str, given: Any, limit: int) -> list[dict[str, Any]]:
    """Rows of one library and data type."""
    rows, cases = [], []
    for n in given.particles:
        for grid in given.grids:
            for kicks in given.kicks:
                tree = on(expanding(n, grid, kicks), library, dtype, given.device)
                model = forecast(Problem(tree))
                for adjoint in adjoints_of(library):
                    plain = {"name": adjoint, **SETTINGS.get(adjoint, {})}
                    needs = model.needs(adjoint_of(plain) if adjoint in SETTINGS else adjoint_named(adjoint))
                    row = {
                        "library": library, "dtype": dtype, "adjoint": adjoint, "particles": n, "grid": grid,
                        "kicks": kicks, "predicted_peak_bytes": needs.predicted_peak_bytes,
                    }  # fmt: skip
                    if needs.predicted_peak_bytes <= limit:
                        rows.append(row)
                        cases.append(case(tree, adjoint, **SETTINGS.get(adjoint, {})))
    for row, found in zip(rows, run(cases), strict=True):
        row |= {"problem": found} if isinstance(found, str) else found
        print(*row.values(), flush=True)
    return rows


def text(rows: list[dict[str, Any]], arguments: list[str]) -> str:
    """A table, and the worst."""
    body, worst = [], 0.0
    for r in rows:
        if "peak_bytes" not in r:
            body.append(
                [r["library"], r["dtype"], r["adjoint"], r["particles"], r["grid"], r["kicks"], "–", "–", r["problem"]]
            )
            continue
        off = r["predicted_peak_bytes"] / r["peak_bytes"] - 1.0
        worst = max(worst, abs(off))
        body.append([
            r["library"], r["dtype"], r["adjoint"], f"{r['particles']:,}", f"{r['grid']}³", r["kicks"],
            show_bytes(r["predicted_peak_bytes"]), show_bytes(r["peak_bytes"]), f"{off:+.1%}",
        ])  # fmt: skip
    headings = ("library", "dtype", "adjoint", "particles", "nodes", "kicks", "predicted", "measured", "deviation")
    return f"""# Predicted and measured peak memory

`python benchmarks/memory prediction {" ".join(arguments)}`; the worst deviation is {worst:.1%}.

{markdown(headings, body)}
"""
