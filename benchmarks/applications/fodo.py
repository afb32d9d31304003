"""A matched bunch with space charge along twenty cells: `backbeam.examples.matched_fodo` with 100,000 particles.

python benchmarks/applications fodo
"""

from __future__ import annotations

import argparse

from common import machine, versions, write

from backbeam.examples import matched_fodo as program


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", type=int, default=100_000)
    parser.add_argument("--grid", type=int, default=32)
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args(arguments)
    problem = program.problem(given.particles, given.grid)
    bare = problem.beam()
    begin = program.envelope(problem.line(), bare)
    found = program.match(problem, begin)
    beams = {"bare optics": bare, "envelope of moments": program.with_start(bare, begin), "particles": found.beam}
    ways = {f"matched to the {name}": program.sizes(problem, beam, given.cells) for name, beam in beams.items()}
    table = ["| bunch | beta_x, alpha_x | beta_y, alpha_y | change of a size from cell to cell |", "|---" * 4 + "|"]
    for (title, way), beam in zip(ways.items(), beams.values(), strict=True):
        p = beam.parameters()
        shapes = [f"{float(p[f'beta_{a}']):.4f} m, {float(p[f'alpha_{a}']):+.4f}" for a in "xy"]
        table.append(f"| {title} | {' | '.join(shapes)} | {100 * program.beating(way, given.cells):.2f} % |")
    print("\n".join([found.table(), *table]))
    if given.write:
        data = {
            "settings": vars(given), "machine": machine(), "versions": versions("backbeam", "numpy", "scipy"),
            "envelope": begin, "match": found.summary(),
            "beating": {title: program.beating(way, given.cells) for title, way in ways.items()},
        }  # fmt: skip
        write("applications-fodo", data, program.draw(ways), text(found.table(), table, given, arguments))


def text(found: str, table: list[str], given: argparse.Namespace, arguments: list[str]) -> str:
    """What the match says, and the table."""
    return f"""# A FODO cell with space charge, matched to its periodic envelope

`{" ".join(["python benchmarks/applications fodo", *arguments])}`: {given.particles:,} particles,
{given.grid}³ nodes, {given.cells} cells. The match of the particles begins at the envelope of a beam of
moments in the linear field of an ellipsoid.

```
{found}
```

{chr(10).join(table)}

![Sizes along the cells for three bunches](applications-fodo.png)
"""
