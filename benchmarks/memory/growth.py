"""Peak memory of a gradient against the number of kicks, measured and predicted: the picture of the README.

    python benchmarks/memory growth --libraries numpy torch --kicks 1 10 100 1000

A case that would take more than ``--limit`` (1 GB) is not run: its prediction is drawn alone.
"""

from __future__ import annotations

from typing import Any

from common import write

from backbeam.adjoint import adjoint_named
from backbeam.memory.amounts import parse_bytes, show_bytes
from backbeam.memory.forecast import forecast
from backbeam.problem import Problem
from memory.fresh import case, run
from memory.options import COLOURS, about, adjoints_of, axes, markdown, parser
from memory.problems import expanding, on


def main(arguments: list[str]) -> int:
    options = parser(__doc__)
    options.add_argument("--kicks", nargs="+", type=int, default=[1, 3, 10, 30, 100, 300, 1000])
    options.add_argument("--particles", type=int, default=100_000)
    options.add_argument("--grid", type=int, default=32)
    options.add_argument("--limit", default="1GB")
    options.add_argument("--measure-up-to", type=int, default=1000, help="kicks; more are predicted alone")
    options.add_argument("--reversible-up-to", type=int, help="the same for reversible alone")
    given = options.parse_args(arguments)
    limit = parse_bytes(given.limit, "limit")
    rows: list[dict[str, Any]] = []
    for library in given.libraries:
        for dtype in given.dtypes:
            for adjoint in adjoints_of(library):
                rows += series(library, dtype, adjoint, given, limit)
    data = {**about(), "particles": given.particles, "grid": given.grid, "rows": rows}
    write("memory-growth", data, picture(rows, given), text(rows, given, arguments))
    return 0


def series(library: str, dtype: str, adjoint: str, given: Any, limit: int) -> list[dict[str, Any]]:
    """Rows of one library, data type and adjoint."""
    rows, cases = [], []
    for kicks in given.kicks:
        tree = on(expanding(given.particles, given.grid, kicks), library, dtype, given.device)
        predicted = forecast(Problem(tree)).needs(adjoint_named(adjoint)).predicted_peak_bytes
        row = {
            "library": library,
            "dtype": dtype,
            "adjoint": adjoint,
            "kicks": kicks,
            "predicted_peak_bytes": predicted,
        }
        rows.append(row)
        most = given.reversible_up_to if adjoint == "reversible" else None
        if predicted <= limit and kicks <= (most or given.measure_up_to):
            cases.append((case(tree, adjoint), row))
    for (_, row), found in zip(cases, run(one for one, _ in cases), strict=True):
        row |= {"problem": found} if isinstance(found, str) else found
        seen = show_bytes(found["peak_bytes"]) if "peak_bytes" in row else found
        print(f"{library} {dtype} {adjoint}, {row['kicks']} kicks: {seen}", flush=True)
    return rows


def picture(rows: list[dict[str, Any]], given: Any) -> Any:
    """One field a library; marks are measured, lines predicted."""
    figure, fields = axes(len(given.libraries), width=4.2, height=4.4)
    for field, library in zip(fields[0], given.libraries, strict=True):
        for adjoint in adjoints_of(library):
            mine = [r for r in rows if (r["library"], r["adjoint"], r["dtype"]) == (library, adjoint, given.dtypes[0])]
            colour = COLOURS[adjoint]
            field.plot(
                [r["kicks"] for r in mine], [r["predicted_peak_bytes"] / 1e6 for r in mine], color=colour, lw=1.5
            )
            seen = [r for r in mine if "peak_bytes" in r]
            field.plot(
                [r["kicks"] for r in seen], [r["peak_bytes"] / 1e6 for r in seen], "o", color=colour, label=adjoint
            )
        field.set(xscale="log", yscale="log", xlabel="kicks", title=library)
        field.grid(alpha=0.3, which="both")
    fields[0][0].set_ylabel("peak memory of the gradient [MB]")
    fields[0][-1].legend()
    figure.suptitle(f"{given.particles:,} particles, {given.grid}³ nodes\nmeasured (marks), predicted (lines)")
    return figure


def text(rows: list[dict[str, Any]], given: Any, arguments: list[str]) -> str:
    """A table."""
    body = []
    for r in rows:
        peak = r.get("peak_bytes")
        deviation = f"{r['predicted_peak_bytes'] / peak - 1.0:+.1%}" if peak else "–"
        process = show_bytes(r["process_bytes"]) if peak else "–"
        body.append([
            r["library"], r["dtype"], r["adjoint"], r["kicks"], show_bytes(r["predicted_peak_bytes"]),
            show_bytes(peak) if peak else "–", deviation, process,
        ])  # fmt: skip
    headings = ("library", "dtype", "adjoint", "kicks", "predicted peak", "measured", "deviation", "of the process")
    return f"""# Peak memory of a gradient against the number of kicks

`python benchmarks/memory growth {" ".join(arguments)}`: {given.particles:,} particles, {given.grid}³ nodes.

The peak is what the gradient adds to the beam and the libraries; that of the process holds these too.

{markdown(headings, body)}
"""
