"""The claim itself: the reversible gradient's memory does not grow with the number of kicks."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "memory.py"
PARTICLES, GRID = 20_000, 12
STATE = PARTICLES * 48 / 2**20
"""One state [MB]."""


@pytest.fixture(scope="module")
def memory():
    spec = importlib.util.spec_from_file_location("benchmark_of_memory", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells and resets a process's peak")
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_reversible_is_flat_and_store_is_not(memory, library):
    """30 kicks more cost the reversible gradient less than three states, and Store the 30 that it keeps."""
    few, many = (memory.in_fresh_process(library, "reversible", k, PARTICLES, GRID) for k in (10, 40))
    assert few["own"] > 4 * STATE  # it measures something
    assert many["peak"] == pytest.approx(few["peak"], rel=0.02)
    assert abs(many["own"] - few["own"]) < 3.0 * STATE
    few, many = (memory.in_fresh_process(library, "store", k, PARTICLES, GRID) for k in (10, 40))
    assert many["own"] - few["own"] == pytest.approx(30.0 * STATE, rel=0.2)
