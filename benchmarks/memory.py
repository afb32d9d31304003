"""Peak memory of a gradient against the number of space-charge kicks, each measured in a process of its own.

Prints a markdown table. The peak is the kernel's high-water mark of resident memory (VmHWM): what `top` would show.
Beside it stands how much of that the gradient itself took: the peak above what was resident right before it, when the
library was loaded, the beam drawn, and a gradient of two kicks had been made, so that compilers have done their work.

    python benchmarks/memory.py                        # numpy, torch, jax; 10, 40 and 160 kicks
    python benchmarks/memory.py --libraries torch --adjoints reversible tape --kicks 10 40 --particles 20000
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

MEGABYTE = 2**20


def resident(mark: str) -> float:
    """VmRSS (now) or VmHWM (most so far) of this process [MB].

    Not `getrusage`: its mark outlives an exec, so that a small child of a large process seems large.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(mark + ":"):
            return int(line.split()[1]) / 1024.0
    raise RuntimeError(f"this kernel does not say {mark}")


def measure(library: str, adjoint: str, kicks: int, particles: int, grid: int) -> dict[str, float]:
    """Peak resident memory, and how much of it came with the gradient [MB]."""
    import backbeam as bb
    from backbeam.adjoint import adjoint_named

    beam = bb.Beam.uniform_ellipsoid(
        n=particles, species="electron", kinetic_energy=250e6, charge=1e-9, radius=1e-3, backend=library
    )
    options = {"space_charge": bb.SpaceCharge3D(grid=(grid,) * 3), "adjoint": adjoint_named(adjoint)}

    def gradient(slices: int) -> float:
        line = bb.Line([bb.Drift(6.0, name="d", slices=slices)])
        wrt = ["d.length", "beam.charge"]
        _, found = bb.value_and_grad(bb.observables.sigma("x"), line, beam, wrt, **options)
        return float(found["d.length"])

    gradient(2)
    # What has been freed goes back, and the mark is set back: the compilers' own is not taken for the gradient's.
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    gradient(kicks)
    peak = resident("VmHWM")
    return {"peak": peak, "own": peak - before}


def in_fresh_process(library: str, adjoint: str, kicks: int, particles: int, grid: int) -> dict[str, float]:
    """`measure`, by a process that has done nothing else."""
    arguments = [library, adjoint, str(kicks), str(particles), str(grid)]
    environment = {**os.environ, "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, __file__, "--worker", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{library} {adjoint} {kicks}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--libraries", nargs="+", default=["numpy", "torch", "jax"])
    parser.add_argument("--adjoints", nargs="+", default=["reversible"])
    parser.add_argument("--kicks", nargs="+", type=int, default=[10, 40, 160])
    parser.add_argument("--particles", type=int, default=50_000)
    parser.add_argument("--grid", type=int, default=16)
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        library, adjoint, *numbers = given.worker
        print(json.dumps(measure(library, adjoint, *map(int, numbers))))
        return
    beam_size = given.particles * 48 / MEGABYTE
    print(f"{given.particles} particles (a state is {beam_size:.1f} MB), {given.grid}³ nodes, float64; memory in MB\n")
    print("| library | adjoint | kicks | peak | of the first | the gradient's own | of the first |")
    print("|---|---|---|---|---|---|---|")
    for library in given.libraries:
        for adjoint in given.adjoints:
            first = None
            for kicks in given.kicks:
                found = in_fresh_process(library, adjoint, kicks, given.particles, given.grid)
                first = first or found
                cells = [f"{found[key]:.1f} | {found[key] / first[key] - 1.0:+.1%}" for key in ("peak", "own")]
                print(f"| {library} | {adjoint} | {kicks} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
