"""Resident memory while a gradient through a few kicks is made: fig. 1 of arXiv 2605.27282, for every adjoint.

python benchmarks/memory timeline --libraries numpy torch --cheetah PYTHON
"""

from __future__ import annotations

from typing import Any

from common import write

from backbeam.memory.amounts import show_bytes
from memory.fresh import case, run
from memory.options import COLOURS, about, adjoints_of, axes, markdown, parser
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
    words = f"{given.kicks} kicks, {given.particles:,} particles, {given.grid}³ nodes, {given.dtypes[0]}"
    data = {**about(), "problem": words, "lines": {label: thinned(found) for label, found in lines.items()}}
    write("memory-timeline", data, picture(lines, given.libraries, words), text(lines, words, arguments))
    return 0


def thinned(found: dict[str, Any], most: int = 600) -> dict[str, Any]:
    """Not more points than a picture shows: of neighbours the one with the largest memory."""
    if "problem" in found or len(found["bytes"]) <= most:
        return found
    each = -(-len(found["bytes"]) // most)
    best = [max(range(k, min(k + each, len(found["bytes"]))), key=found["bytes"].__getitem__)
            for k in range(0, len(found["bytes"]), each)]  # fmt: skip
    return {"seconds": [round(found["seconds"][k], 4) for k in best], "bytes": [found["bytes"][k] for k in best]}


def picture(lines: dict[str, dict[str, Any]], libraries: list[str], words: str) -> Any:
    """Each line over its own time, for what is compared is memory."""
    figure, fields = axes(len(libraries), width=4.6)
    for field, library in zip(fields[0], libraries, strict=True):
        for label, found in lines.items():
            owner, _, adjoint = label.partition(" ")
            if owner not in (library, "cheetah") or "problem" in found:
                continue
            parts = [t / found["seconds"][-1] for t in found["seconds"]]
            field.plot(
                parts, [b / 1e6 for b in found["bytes"]], lw=1.2, color=COLOURS[adjoint or "cheetah"],
                label=adjoint or "Cheetah 0.8.4 (PyTorch)",
            )  # fmt: skip
        field.set(xlabel="part of the time of the gradient", title=library)
        field.grid(alpha=0.3)
        field.legend(fontsize=8)
    fields[0][0].set_ylabel("memory beyond that before [MB]")
    figure.suptitle(f"forward and backward through {words}")
    return figure


def text(lines: dict[str, dict[str, Any]], words: str, arguments: list[str]) -> str:
    """The highest point of each line."""
    body = []
    for label, found in lines.items():
        owner, _, adjoint = label.partition(" ")
        highest = found["problem"] if "problem" in found else show_bytes(max(found["bytes"]))
        body.append([owner, adjoint or "tape", highest])
    return f"""# Memory while a gradient is made

`python benchmarks/memory timeline {" ".join(arguments)}`: forward and backward through {words}.

Resident memory beyond that before, looked at every half millisecond or so.

{markdown(("code", "adjoint", "highest"), body)}
"""
