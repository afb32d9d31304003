"""The model's prediction beside measurement, over a grid of problems.

python benchmarks/memory prediction --libraries numpy --sizes 20000,16,12 1000000,64,3
"""

from __future__ import annotations

from typing import Any

from common import write

from backbeam.memory.amounts import parse_bytes, show_bytes
from backbeam.memory.forecast import forecast
from backbeam.problem import Problem
from backbeam.problem.measuring import adjoint_of
from memory.fresh import case, run
from memory.options import about, adjoints_of, markdown, parser
from memory.problems import expanding, on

SIZES = ("20000,16,12", "50000,24,40", "100000,32,3", "200000,48,6", "1000000,16,3", "1000000,64,3")
SETTINGS = {"checkpoint": {"slots": 4}}


def main(arguments: list[str]) -> int:
    options = parser(__doc__, dtypes=("float64", "float32"))
    options.add_argument("--sizes", nargs="+", default=SIZES, help="particles,nodes along an axis,kicks")
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
    for adjoint in adjoints_of(library):
        for size in given.sizes:
            n, grid, kicks = (int(part) for part in size.split(","))
            tree = on(expanding(n, grid, kicks), library, dtype, given.device)
            plain = {"name": adjoint, **SETTINGS.get(adjoint, {})}
            row = {
                "library": library, "dtype": dtype, "adjoint": adjoint, "particles": n, "grid": grid, "kicks": kicks,
                "predicted_peak_bytes": forecast(Problem(tree)).needs(adjoint_of(plain)).predicted_peak_bytes,
            }  # fmt: skip
            if row["predicted_peak_bytes"] <= limit:
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
