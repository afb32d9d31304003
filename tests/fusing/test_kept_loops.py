"""Numba's loops without Numba: the same bits from the code that is kept, and Numba itself where none can be."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from backbeam_backends.fusing import machine
from backbeam_backends.particle_mesh import numba_kernels
from backbeam_backends.particle_mesh.kept_loops import KeptLoops
from backbeam_backends.particle_mesh.numba_cloud_in_cell import frame, scratch

GRID = (7, 8, 9)


def arguments(dtype, n=50):
    rng = np.random.default_rng(3)
    x, y, z, q = rng.uniform(-1.0, 1.0, (4, n)).astype(dtype)
    place = frame(np.zeros((3, 1), dtype), np.full((3, 1), 0.4, dtype), 0, GRID, 1)
    return q, x, y, z, place


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_kept_code_gives_the_bits_of_numbas_own(cache, dtype):
    q, *rows, place = arguments(dtype)
    nodes = []
    for loops in (numba_kernels, KeptLoops("numba_kernels"), KeptLoops("numba_kernels")):  # made, and found again
        node = np.zeros(GRID)
        loops.deposit(q, *rows, place, node.reshape(-1), *GRID[1:], *scratch(q))
        nodes.append(node)
    assert nodes[0].sum() == pytest.approx(q.sum(dtype=np.float64), rel=1e-6)
    for node in nodes[1:]:
        np.testing.assert_array_equal(node, nodes[0])
    assert len(list(cache.rglob("*.o"))) == 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_loops_of_vectors_too(cache, dtype):
    """Where code that is aligned otherwise, or joins what Numba keeps apart, would show."""
    q, *rows, place = arguments(dtype)
    field = np.random.default_rng(4).normal(size=(*GRID, 4)).astype(dtype)
    found = []
    for loops in (numba_kernels, KeptLoops("numba_kernels")):
        out = np.zeros((7, q.size), dtype)
        loops.gather_slope(field.reshape(-1), q, q, q, q, *rows, place, *GRID[1:], *out, *scratch(q))
        found.append(out)
    assert (found[0] != 0.0).all()
    np.testing.assert_array_equal(*found)


def test_arrays_that_are_not_contiguous_are_another_kind(cache):
    q, *rows, place = arguments(np.float64, 100)
    node, right = np.zeros(GRID), np.zeros(GRID)
    KeptLoops("numba_kernels").deposit(q[::2], *(a[::2] for a in rows), place, node.reshape(-1), *GRID[1:], *scratch(q))
    numba_kernels.deposit(
        q[::2].copy(), *(a[::2].copy() for a in rows), place, right.reshape(-1), *GRID[1:], *scratch(q)
    )
    np.testing.assert_array_equal(node, right)


def test_where_no_code_can_be_made_numbas_loop_runs(cache, monkeypatch):
    def refuse(*_):
        raise RuntimeError("LLVM")

    monkeypatch.setattr(machine, "load_kept", refuse)
    q, *rows, place = arguments(np.float64)
    node = np.zeros(GRID)
    KeptLoops("numba_kernels").deposit(q, *rows, place, node.reshape(-1), *GRID[1:], *scratch(q))
    assert node.sum() == pytest.approx(q.sum(), rel=1e-12)


AGAIN = """
import sys
import backbeam as bb
sizes = {"sigma_x": 1e-3, "sigma_y": 1e-3, "sigma_tau": 1e-3}
beam = bb.Beam.gaussian(n=6000, species="electron", kinetic_energy=1e7, charge=1e-9, seed=1, **sizes)
out = bb.track(bb.Line([bb.Drift(0.3)]), beam, space_charge=bb.SpaceCharge3D(grid=(8, 8, 8)))
print(float(out.sigma("x")).hex(), "numba" in sys.modules, "scipy.fft" in sys.modules)
"""


def test_a_second_process_imports_neither_numba_nor_scipys_transforms(cache):
    run = [sys.executable, "-c", AGAIN]
    first, again = (subprocess.run(run, capture_output=True, text=True, env=os.environ, check=True) for _ in range(2))
    value, with_numba, with_scipy = again.stdout.split()
    assert (value, with_numba, with_scipy) == (first.stdout.split()[0], "False", "False")
    assert first.stdout.split()[1] == "True"


def test_of_a_numba_that_is_broken_nothing_is_kept(cache):
    """Else its loops would begin what others, that are not kept, cannot end: all is plain, with one warning."""
    run = [sys.executable, "-c", AGAIN]
    whole = subprocess.run(run, capture_output=True, text=True, env=os.environ, check=True)
    (cache / "numba").mkdir()
    (cache / "numba" / "__init__.py").write_text("raise ImportError('half of it is gone')")
    broken = subprocess.run(
        run, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(cache)}, check=True
    )
    values = [float.fromhex(one.stdout.split()[0]) for one in (whole, broken)]
    assert values[1] == pytest.approx(values[0], rel=1e-12)
    assert broken.stderr.count("half of it is gone") == 1
