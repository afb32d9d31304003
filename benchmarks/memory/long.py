"""A long line in little memory: a reversible gradient through 1000 kicks, and what a tape would have needed.

    python benchmarks/memory long --libraries numpy torch

The process does nothing else; its peak resident memory holds Python, the libraries, the beam, and what is compiled.
What `Tape` and `Store` would have needed is the model's prediction, for the libraries that have a tape.
"""

from __future__ import annotations

from typing import Any

from common import write

from backbeam.adjoint import adjoint_named
from backbeam.memory.amounts import show_bytes
from backbeam.memory.forecast import forecast
from backbeam.problem import Problem
from memory.fresh import case, run
from memory.options import about, markdown, parser
from memory.problems import expanding, on


def main(arguments: list[str]) -> int:
    options = parser(__doc__)
    options.add_argument("--kicks", type=int, default=1000)
    options.add_argument("--particles", type=int, default=100_000)
    options.add_argument("--grid", type=int, default=32)
    given = options.parse_args(arguments)
    rows = []
    for library in given.libraries:
        tree = on(expanding(given.particles, given.grid, given.kicks), library, given.dtypes[0], given.device)
        model = forecast(Problem(tree))
        row: dict[str, Any] = {"library": library, "dtype": given.dtypes[0]}
        for adjoint in model.adjoints():
            row[f"predicted_{adjoint.name}_bytes"] = model.needs(adjoint_named(adjoint.name)).predicted_peak_bytes
        (found,) = run([case(tree, "reversible", "once")])
        row |= {"problem": found} if isinstance(found, str) else found
        rows.append(row)
        print(row, flush=True)
    data = {**about(), "kicks": given.kicks, "particles": given.particles, "grid": given.grid, "rows": rows}
    write("memory-long", data, text=text(rows, given, arguments))
    return 0


def text(rows: list[dict[str, Any]], given: Any, arguments: list[str]) -> str:
    """A table."""
    body = []
    for r in rows:
        if "problem" in r:
            body.append([r["library"], r["problem"], "", "", "", "", ""])
            continue
        others = [r.get(f"predicted_{name}_bytes") for name in ("store", "tape")]
        body.append([
            r["library"], show_bytes(r["process_bytes"]), show_bytes(r["peak_bytes"]),
            show_bytes(r["predicted_reversible_bytes"]), f"{r['seconds']:.1f} s",
            *("no tape" if size is None else show_bytes(size) for size in others),
        ])  # fmt: skip
    headings = (
        "library", "peak of the process", "of it the gradient", "predicted", "time of the gradient",
        "Store would need", "Tape would need",
    )  # fmt: skip
    return f"""# A reversible gradient through {given.kicks} kicks

`python benchmarks/memory long {" ".join(arguments)}`: {given.particles:,} particles, {given.grid}³ nodes,
{given.dtypes[0]}; sigma_x with respect to the charge of the beam. What others would need is the model's prediction.

{markdown(headings, body)}
"""
