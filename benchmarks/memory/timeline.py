"""Resident memory while a gradient through a few kicks is made: fig. 1 of arXiv 2605.27282, for every adjoint.

python benchmarks/memory timeline --libraries numpy torch --cheetah PYTHON
"""

from __future__ import annotations

from typing import Any

from common import write

from memory.fresh import case, run
from memory.options import COLOURS, about, adjoints_of, axes, parser
from memory.others import ask_cheetah, job
from memory.problems import expanding, on


def main(arguments: list[str]) -> int:
    options = parser(__doc__)
    options.add_argument("--kicks", type=int, default=3)
    options.add_argument("--particles", type=int, default=200_000)
    options.add_argument("--grid", type=int, default=32)
    given = options.parse_args(arguments)
    lines: dict[str, dict[str, Any]] = {}
    for library in given.libraries:
        tree = on(expanding(given.particles, given.grid, given.kicks), library, given.dtypes[0], given.device)
        names = adjoints_of(library)
        for name, found in zip(names, run(case(tree, name, "timeline") for name in names), strict=True):
            lines[f"{library} {name}"] = {"problem": found} if isinstance(found, str) else found
    if given.cheetah:
        (lines["cheetah"],) = ask_cheetah(given.cheetah, [job("timeline", given.particles, given.grid, given.kicks)])
    figure, fields = axes(len(given.libraries), width=4.6)
    for field, library in zip(fields[0], given.libraries, strict=True):
        for label, found in lines.items():
            owner, _, adjoint = label.partition(" ")
            if owner not in (library, "cheetah") or "problem" in found:
                continue
            field.plot(
                found["seconds"], [b / 1e6 for b in found["bytes"]], lw=1.2, color=COLOURS[adjoint or "cheetah"],
                label=adjoint or "Cheetah 0.8.4",
            )  # fmt: skip
        field.set(xlabel="time [s]", title=library)
        field.grid(alpha=0.3)
    fields[0][0].set_ylabel("memory beyond that before [MB]")
    fields[0][-1].legend()
    words = f"{given.kicks} kicks, {given.particles:,} particles, {given.grid}³ nodes, {given.dtypes[0]}"
    figure.suptitle(f"forward and backward through {words}")
    write("memory-timeline", {**about(), "problem": words, "lines": lines}, figure)
    return 0
