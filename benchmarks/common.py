"""What the benchmarks share: a description of the machine, paired timing, and where results go."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """CPU model, cores that this process may use, and the threads that the environment asks for."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    affinity = getattr(os, "sched_getaffinity", None)
    threads = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "threads": {name: os.environ[name] for name in threads if name in os.environ},
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions(*names: str) -> dict[str, str | None]:
    """Versions of Python and of distributions; None for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def interleaved(functions: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds that each function took, in ``repeats`` rounds of one call each: what slows the machine slows all.

    One call of each comes before, so that what is compiled or loaded is not timed. A function waits for its own
    result.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(repeats):
        for name, function in functions.items():
            start = perf_counter()
            function()
            seconds[name].append(perf_counter() - start)
    return seconds


def write(
    name: str, data: Mapping[str, Any], figure: Any = None, text: str | None = None, folder: Path = RESULTS
) -> None:
    """Write ``results/NAME.json``, and of the same name a picture of Matplotlib and a text in markdown, if given."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    if figure is not None:
        figure.savefig(folder / f"{name}.png", dpi=120, metadata={"Software": None})
    if text is not None:
        (folder / f"{name}.md").write_text(text.rstrip() + "\n", encoding="utf-8")
