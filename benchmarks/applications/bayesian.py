"""backbeam as prior mean against a constant one: `backbeam_torch.examples.bayesian_optimisation` on ten machines.

OMP_NUM_THREADS=1 python benchmarks/applications bayesian
"""

from __future__ import annotations

import argparse
from time import process_time
from typing import Any

import numpy as np
from common import machine, versions, write

from backbeam_torch.examples import bayesian_optimisation as program


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--write", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args(arguments)
    table = ["| machine | first points [µm] | constant mean [µm] | backbeam mean [µm] | better |", "|---" * 5 + "|"]
    print("\n".join(table), flush=True)
    found: dict[str, list[np.ndarray]] = {mean: [] for mean in program.MEANS}
    seconds = dict.fromkeys(program.MEANS, 0.0)
    for seed in range(given.seeds):
        for mean in program.MEANS:
            began = process_time()
            found[mean].append(program.search(mean, seed, given.steps))
            seconds[mean] += (process_time() - began) / given.seeds / given.steps
        ends = [1e3 * np.exp(-found[mean][-1][-1]) for mean in program.MEANS]
        first = 1e3 * np.exp(-found["constant"][-1][program.FIRST - 1])
        better = program.MEANS[int(np.argmin(ends))]
        table.append(f"| {seed} | {first:.0f} | {ends[0]:.0f} | {ends[1]:.0f} | {better} |")
        print(table[-1], flush=True)
    wins = sum(b[-1] > c[-1] for c, b in zip(found["constant"], found["backbeam"], strict=True))
    fact = (
        f"The mean by backbeam ends better on {wins} of {given.seeds} machines. A step takes "
        f"{seconds['constant']:.2f} s with the constant mean and {seconds['backbeam']:.2f} s with backbeam's."
    )
    print(fact)
    if given.write:
        data: dict[str, Any] = {
            "settings": vars(given), "machine": machine(), "versions": versions("torch", "botorch", "gpytorch"),
            "best": {mean: np.asarray(searches).tolist() for mean, searches in found.items()}, "seconds": seconds,
        }  # fmt: skip
        write("applications-bayesian", data, program.draw(found), text([*table, "", fact], given, arguments))


def text(lines: list[str], given: argparse.Namespace, arguments: list[str]) -> str:
    """The table, and what it is of."""
    return f"""# Bayesian optimisation with backbeam as prior mean

`{" ".join(["python benchmarks/applications bayesian", *arguments])}`: five settings of a section with three quadrupoles
and two correctors, {program.FIRST} first points (Sobol's, the same for both) and {given.steps} steps of BoTorch's
log expected improvement; the rms distance of a particle from the centre of a screen, of the best settings. Each machine
has errors of its own, which the line behind the mean does not know. Seconds are of one thread of the processor.

{chr(10).join(lines)}

![Rms distance of the best settings so far, and medians](applications-bayesian.png)
"""
