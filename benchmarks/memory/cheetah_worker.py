"""Cheetah's gradient through space-charge kicks, watched; run by the interpreter of an environment that has it.

Reads one job a line, answers a line each: ``tape`` the bytes that are kept between forward and backward (saved-tensor
hooks, each storage once), ``timeline`` resident memory meanwhile, ``peak`` its high-water mark.
"""

from __future__ import annotations

import json
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import cheetah
import torch


def resident(mark: str = "VmRSS") -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(mark + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(mark)


def gradient(job: dict[str, Any]) -> Any:
    """Forward run of sigma_x of an expanding ball, with respect to its charge; it gives the value."""
    dtype = getattr(torch, job["dtype"])

    def number(value: float) -> torch.Tensor:
        return torch.tensor(value, dtype=dtype)

    torch.manual_seed(1)
    beam = cheetah.ParticleBeam.uniform_3d_ellipsoid(
        num_particles=job["particles"], radius_x=number(1e-3), radius_y=number(1e-3), radius_tau=number(1e-3),
        sigma_px=number(1e-12), sigma_py=number(1e-12), sigma_p=number(1e-12), energy=number(250e6 + 510998.95),
        total_charge=number(1e-9), dtype=dtype,
    )  # fmt: skip
    length = 6.0 / job["kicks"]
    elements = []
    for _ in range(job["kicks"]):
        elements.append(cheetah.Drift(number(length), tracking_method="drift_kick_drift", dtype=dtype))
        elements.append(cheetah.SpaceChargeKick(number(length), grid_shape=(job["grid"],) * 3, dtype=dtype))
    segment = cheetah.Segment(elements)

    def forward() -> torch.Tensor:
        charge = torch.ones((), dtype=dtype, requires_grad=True)
        start = cheetah.ParticleBeam(
            beam.particles, energy=beam.energy, particle_charges=beam.particle_charges * charge, species=beam.species,
            dtype=dtype,
        )  # fmt: skip
        return segment.track(start).sigma_x

    return forward


def tape(job: dict[str, Any]) -> dict[str, Any]:
    saved: dict[int, torch.UntypedStorage] = {}

    def pack(x: torch.Tensor) -> torch.Tensor:
        storage = x.untyped_storage()
        saved[storage.data_ptr()] = storage
        return x

    forward = gradient(job)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        forward()
    return {"tape_bytes": sum(s.nbytes() for s in saved.values())}


def peak(job: dict[str, Any]) -> dict[str, Any]:
    forward = gradient(job)
    forward().backward()
    before = resident()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    start = perf_counter()
    forward().backward()
    most = resident("VmHWM")
    return {"peak_bytes": most - before, "process_bytes": most, "seconds": perf_counter() - start}


def timeline(job: dict[str, Any]) -> dict[str, Any]:
    forward = gradient(job)
    forward().backward()
    times: list[float] = []
    sizes: list[int] = []
    before, start, done = resident(), perf_counter(), threading.Event()

    def look() -> None:
        while not done.is_set():
            times.append(perf_counter() - start)
            sizes.append(resident() - before)
            sleep(5e-4)

    watcher = threading.Thread(target=look)
    watcher.start()
    forward().backward()
    done.set()
    watcher.join()
    return {"seconds": times, "bytes": sizes}


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        found = {"tape": tape, "peak": peak, "timeline": timeline}[job["what"]](job)
        print(json.dumps({**found, "version": version("cheetah-accelerator")}), flush=True)


if __name__ == "__main__":
    main()
