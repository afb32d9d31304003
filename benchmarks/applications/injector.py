"""An injector of a size that no tape could remember: `backbeam.examples.injector_optimum`, coarse and at full size.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/applications injector

The search begins with few particles and kicks, and goes on from there with many. The peak is that of the whole process,
Python, libraries and beam among it. What a tape takes is foretold; at a small size, where it can be had, both are
measured as well, in processes of their own.
"""

from __future__ import annotations

import argparse
from time import process_time
from typing import Any

from common import machine, versions, write
from memory.fresh import case, run

import backbeam as bb
from backbeam.examples import injector_optimum as program
from backbeam.memory.amounts import show_bytes

HEADINGS = (
    "particles",
    "nodes",
    "kicks",
    "passes",
    "seconds",
    "emittance before",
    "after",
    "σ_tau",
    "peak of the process",
)


def tuned(size: tuple[int, int, float], passes: int, begin: dict[str, float]) -> tuple[dict[str, Any], Any]:
    """A search at a size, and what it took."""
    given = program.problem(*size)
    options: dict[str, Any] = {"space_charge": given.space_charge(), **given.track_options()}
    line, beam = program.at(given, begin)
    before, began = program.emittance(bb.track(line, beam, **options)), process_time()
    found = program.tune(given, passes, begin)
    row = {"particles": size[0], "grid": size[1], "kicks": bb.count_kicks(line, **options), "passes": found.passes}
    row |= {"seconds": process_time() - began, "peak_bytes": program.peak(), "before": before}
    out = bb.track(found.line, found.beam, **options)
    return row | {"after": program.emittance(out), "sigma_tau": float(out.sigma("tau"))}, found


def tape(size: tuple[int, int, float]) -> dict[str, Any]:
    """Peak of a gradient at a size by a tape and by undoing, foretold and measured [B]."""
    given = program.problem(*size).replace({"run.backend": "torch"})
    foretold, found = program.needs(given), {}
    for adjoint in ("reversible", "tape"):
        (measured,) = run([case(given.tree, adjoint)])
        found[adjoint] = {"foretold": foretold[adjoint], "measured": measured}
    return found


def cells(row: dict[str, Any]) -> str:
    sizes = [f"{row['particles']:,}", f"{row['grid']}³", str(row["kicks"]), str(row["passes"]), f"{row['seconds']:.0f}"]
    lengths = [f"{1e6 * row[key]:.3f} µm" for key in ("before", "after")] + [f"{1e3 * row['sigma_tau']:.3f} mm"]
    return f"| {' | '.join([*sizes, *lengths, show_bytes(row['peak_bytes'])])} |"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--coarse", nargs=3, default=("2000", "12", "0.2"), help="particles, nodes a side, step [m]")
    parser.add_argument("--full", nargs=3, default=("100000", "32", "0.05"))
    parser.add_argument("--small", nargs=3, default=("2000", "12", "0.4"), help="at which a tape is measured")
    parser.add_argument("--passes", nargs=2, type=int, default=(60, 4), help="of the coarse and the full search")
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args(arguments)
    coarse, full, small = ((int(n), int(g), float(s)) for n, g, s in (given.coarse, given.full, given.small))
    table = [f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
    print("\n".join(table), flush=True)
    rows, values = [], {}
    for size, passes in zip((coarse, full), given.passes, strict=True):
        row, found = tuned(size, passes, values)
        rows.append(row)
        values = found.values
        table.append(cells(row))
        print(table[-1], flush=True)
    needed = program.needs(program.problem(*full))
    memory = ["| a gradient at full size, PyTorch | foretold |", "|---|---|"]
    memory += [f"| {name} | {show_bytes(size)} |" for name, size in needed.items()]
    measured = tape(small)
    memory += ["", "| at the small size, PyTorch | foretold | measured |", "|---|---|---|"]
    for name, one in measured.items():
        shown = one["measured"] if isinstance(one["measured"], str) else show_bytes(one["measured"]["peak_bytes"])
        memory.append(f"| {name} | {show_bytes(one['foretold'])} | {shown} |")
    print("\n".join([*memory, found.table()]), flush=True)
    if given.write:
        figure = program.draw(program.way(program.problem(*full), {}), program.way(program.problem(*full), values))
        data = {
            "settings": vars(given), "machine": machine(), "versions": versions("backbeam", "numpy", "scipy", "torch"),
            "rows": rows, "needs": needed, "small": measured, "match": found.summary(),
        }  # fmt: skip
        write("applications-injector", data, figure, text([*table, "", *memory], found.table(), given, arguments))


def text(lines: list[str], found: str, given: argparse.Namespace, arguments: list[str]) -> str:
    """Tables, and what they are of."""
    return f"""# An injector tuned by 20 parameters in constant memory

`{" ".join(["python benchmarks/applications injector", *arguments])}`: the full size in the second line, with
{given.passes[1]} passes from where the coarse search ended. A pass is values and 20 derivatives of two objectives, the
emittance and the length of the bunch, on NumPy with `Reversible()`. Emittance: geometric mean of both normalised ones.
Seconds are of the processor. The small size is {given.small[0]} particles, {given.small[1]}³ nodes, a kick every
{given.small[2]} m.

{chr(10).join(lines)}

```
{found}
```

![Emittance, sizes and length along the injector, before and after](applications-injector.png)
"""
