"""What the adapters count, against what can be told by hand."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from backbeam import backends
from backbeam.memory.resident import STEADY_HEAP, can_watch

MEGABYTE = 10**6
N = 100_000

GROWTH = """
import json, os
import numpy as np
from backbeam.memory.resident import watch

def grow():
    a = np.ones(5_000_000)          # 40 MB
    b = a + 1.0                     # 40 MB more
    del a
    return float((b * 2.0).sum())   # and 40 again, in the place of the first
print(json.dumps(watch(grow).own))
"""


@pytest.mark.skipif(not can_watch(), reason="Linux tells and resets a process's peak")
def test_resident_memory_rises_by_what_is_held_at_once():
    import os

    done = subprocess.run(
        [sys.executable, "-c", GROWTH], capture_output=True, text=True, env={**os.environ, **STEADY_HEAP}, check=True
    )
    assert json.loads(done.stdout) == pytest.approx(80 * MEGABYTE, abs=1.5 * MEGABYTE)


def test_free_memory_is_what_the_machine_says():
    import os

    free = backends.get("numpy").meter.free_memory(np.ones(3))
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 10 * MEGABYTE < free < whole


def test_numpy_books_the_arrays_that_live_at_once():
    def grow():
        a = np.ones(N)
        b = a + 1.0
        del a
        return (b * 2.0).sum()

    assert backends.get("numpy").meter.peak_of(grow, np.ones(3)) == pytest.approx(2 * 8 * N, rel=0.01)


def test_torch_tells_what_it_saves():
    import torch

    x, y = (torch.linspace(0.1, 1.0, N, dtype=torch.float64) for _ in range(2))
    count = backends.get("torch").meter.tape_bytes
    assert count(lambda x: (x + 1.0).sum(), [x]) == 0
    assert count(lambda x: x.exp().sum(), [x]) == 8 * N  # its result
    assert count(lambda x, y: (x * y).sum(), [x, y]) == 0  # the inputs themselves, which do not count
    assert count(lambda x: (x.exp() * x.sin()).sum(), [x]) == 2 * 8 * N  # exp once, though two want it; sin


def test_jax_tells_what_its_pullback_holds():
    import jax.numpy as jnp

    x = jnp.linspace(0.1, 1.0, N)
    count = backends.get("jax").meter.tape_bytes
    assert count(lambda x: (x + 1.0).sum(), [x]) == 0
    assert count(lambda x: jnp.exp(x).sum(), [x]) == 8 * N
    assert 2 * 8 * N <= count(lambda x: (jnp.exp(x) * jnp.tanh(x)).sum(), [x]) <= 4 * 8 * N


def test_jax_tells_what_it_compiled():
    import jax.numpy as jnp

    x = jnp.linspace(0.1, 1.0, N)
    found = backends.get("jax").meter.compiled_memory(_rows, (), [x])
    assert found["arguments"] == 8 * N
    assert 3 * 8 * N <= found["results"] < 3 * 8 * N + 100  # and where each of them is
    assert 0 <= found["scratch"] < 8 * N


def _rows(x):
    return x, 2.0 * x, 3.0 * x


@pytest.mark.parametrize("name", ["numpy", "array_api_strict"])
def test_libraries_without_differentiation_have_no_tape(name):
    backend = backends.get(name)
    with pytest.raises(TypeError, match="does not differentiate"):
        backend.meter.tape_bytes(lambda x: x, [backend.asarray([1.0])])
    assert backend.meter.compiled_memory(_rows, (), [backend.asarray([1.0])]) is None
