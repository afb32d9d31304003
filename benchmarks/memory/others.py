"""Cheetah, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from backbeam.memory.resident import STEADY_HEAP

WORKER = Path(__file__).with_name("cheetah_worker.py")


def job(what: str, n: int, grid: int, kicks: int, dtype: str = "float64") -> dict[str, Any]:
    """A job for `ask_cheetah`: ``tape``, ``peak`` or ``timeline``."""
    return {"what": what, "particles": n, "grid": grid, "kicks": kicks, "dtype": dtype}


def ask_cheetah(python: str, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What its gradients take, by one fresh process; ``problem`` says what went wrong."""
    environment = {**os.environ, **STEADY_HEAP}
    environment.pop("PYTHONPATH", None)
    lines = "".join(json.dumps(one) + "\n" for one in jobs)
    done = subprocess.run(
        [python, str(WORKER)], input=lines, capture_output=True, text=True, env=environment, check=False
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
    return found + [{"problem": reason}] * (len(jobs) - len(found))
