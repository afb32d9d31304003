"""Which part of a kick leaves how much on PyTorch's tape: fig. 3 to 6 of arXiv 2605.27282.

    python benchmarks/memory substeps

Each tensor that PyTorch saves for the way back is put down to the function of the kick that was at work, by the stack
of calls; each storage counts once, for who saved it first.
"""

from __future__ import annotations

import sys
from typing import Any

from common import write

from backbeam.memory.taping import forward_run
from backbeam.problem import Problem
from memory.fitting import fit
from memory.options import about, axes, markdown, parser
from memory.problems import expanding, on

PARTS = {
    "transforms": "s ↔ t", "extents": "box", "cloud_in_cell:locate": "cells and weights",
    "cloud_in_cell:deposit": "deposit", "cloud_in_cell:gather": "gather", "green": "Green function",
    "poisson": "solve", "stencil": "field from potential", "drift": "drift", "kick": "update",
}  # fmt: skip
"""File, or file and function, from which a part of the kick is told; what is left of the kick is the update."""


def main(arguments: list[str]) -> int:
    options = parser(__doc__, dtypes=("float64", "float32"))
    options.add_argument("--particles", nargs="+", type=int, default=[10_000, 30_000])
    options.add_argument("--grids", nargs="+", type=int, default=[16, 24, 32])
    given = options.parse_args(arguments)
    found = {dtype: split_of(dtype, given.particles, given.grids, given.device) for dtype in given.dtypes}
    write("memory-substeps", {**about(), "found": found}, picture(found, given), text(found, arguments))
    return 0


def split_of(dtype: str, particles: list[int], grids: list[int], device: str | None) -> dict[str, dict[str, float]]:
    """B/particle and B/cell of each part."""
    rows, sizes = [], []
    for n in particles:
        for grid in grids:
            one, three = (saved(on(expanding(n, grid, kicks), "torch", dtype, device)) for kicks in (1, 3))
            rows.append({"particle": float(n), "cell": float(grid**3), "face": float((grid + 1) ** 3 - grid**3)})
            sizes.append({part: 0.5 * (three.get(part, 0) - one.get(part, 0)) for part in three})
    parts = sorted({part for size in sizes for part in size}, key=list(PARTS.values()).index)
    return {
        part: fit(rows, [max(size.get(part, 0.0), 1.0) for size in sizes], ("particle", "cell", "face"))
        for part in parts
    }


def saved(tree: dict[str, Any]) -> dict[str, int]:
    """Bytes on the tape by part of the kick."""
    import torch

    problem = Problem(tree)
    function, inputs = forward_run(problem.course(), problem.beam())
    leaves = [x.detach().requires_grad_(True) for x in inputs]
    given = {x.untyped_storage().data_ptr() for x in leaves}
    owners: dict[int, tuple[str, Any]] = {}

    def pack(x: torch.Tensor) -> torch.Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in given:
            owners.setdefault(storage.data_ptr(), (part_at_work(), storage))
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        function(*leaves)
    found: dict[str, int] = {}
    for part, storage in owners.values():
        found[part] = found.get(part, 0) + storage.nbytes()
    return found


def part_at_work() -> str:
    """The part of the kick from which PyTorch was called."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename.rpartition("/")[2].removesuffix(".py")
        for key, part in PARTS.items():
            file, _, function = key.partition(":")
            if name == file and (not function or frame.f_code.co_name.startswith(function)):
                return part
        frame = frame.f_back
    return PARTS["kick"]


def picture(found: dict[str, dict[str, dict[str, float]]], given: Any) -> Any:
    """Bars of both coefficients."""
    figure, fields = axes(2, width=5.0)
    parts = list(found[given.dtypes[0]])
    for field, key, unit in zip(fields[0], ("particle", "cell"), ("B/particle", "B/cell"), strict=True):
        field.barh(parts, [found[given.dtypes[0]][part][key] for part in parts], color="#b2182b")
        field.set(xlabel=f"on the tape, {unit} a kick", title=f"torch, {given.dtypes[0]}")
        field.invert_yaxis()
    return figure


def text(found: dict[str, dict[str, dict[str, float]]], arguments: list[str]) -> str:
    """A table."""
    body = []
    for dtype, parts in found.items():
        for part, c in parts.items():
            body.append([dtype, part, f"{c['particle']:.1f}", f"{c['cell']:.1f}", f"{c['face']:.1f}"])
        sums = [sum(c[key] for c in parts.values()) for key in ("particle", "cell", "face")]
        body.append([dtype, "**all**", *(f"**{s:.1f}**" for s in sums)])
    return f"""# What the parts of a kick leave on PyTorch's tape

`python benchmarks/memory substeps {" ".join(arguments)}`

{markdown(("dtype", "part", "B/particle", "B/cell", "B/face"), body)}
"""
