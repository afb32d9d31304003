"""What `backbeam.problem.journey` says of bits: each line of its table."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

import backbeam as bb
from backbeam.problem import Problem

SCRIPT = """
import hashlib, sys
import numpy as np
from backbeam.problem import Problem
n, backend, file, name = sys.argv[1:]
grid = ["space_charge.grid=[8,8,8]"] if "space" in name else []
found = Problem.load(name, [f"beam.n={n}", "track.slices=1", *grid]).run(backend=backend)
host = found.final.backend.to_numpy
X = host(found.final.coordinates)
np.save(file, X[:, ::1000])
print(hashlib.sha256(np.ascontiguousarray(X).tobytes()).hexdigest())
"""


def ran(tmp_path, n, threads, backend="numpy", name="fodo-space-charge"):
    """Digest of a run's last coordinates in a process of its own, and some of them."""
    file = tmp_path / f"{n}_{threads}_{backend}.npy"
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(n), backend, str(file), name], env=env,
                          capture_output=True, text=True, check=True)  # fmt: skip
    return done.stdout, np.load(file)


def close(a, b):
    assert np.max(np.abs(a - b) / np.max(np.abs(b), axis=1, keepdims=True)) < 1e-11


def test_the_same_run_in_another_process(tmp_path):
    assert ran(tmp_path, 20_000, 1)[0] == ran(tmp_path, 20_000, 1)[0]


@pytest.mark.parametrize(("name", "n"), [("fodo-space-charge", 300_000), ("wake", 200_000), ("fodo", 300_000)])
def test_any_number_of_threads(tmp_path, name, n):
    """A deposit of 2^18 particles and more is in parts."""
    assert ran(tmp_path, n, 1, name=name)[0] == ran(tmp_path, n, 2, name=name)[0]


GRADIENT = """
import hashlib
import backbeam as bb
beam = bb.Beam.gaussian(n=300_000, species="electron", kinetic_energy=5e7, charge=1e-9, sigma_x=1e-3, sigma_y=1e-3,
                        sigma_tau=1e-3, sigma_px=1e-4, sigma_pt=1e-4, seed=2)
line = bb.Line([bb.Drift(0.5, name="d"), bb.Quadrupole(0.2, k1=3.0, name="q")])
found = bb.value_and_grad(bb.observables.sigma("x"), line, beam, ["q.k1", "d.length", "beam.charge"], slices=1,
                          space_charge=bb.SpaceCharge3D((64, 16, 65)), adjoint=bb.Reversible())
print([float(a).hex() for a in (found[0], *found[1].values())])
"""


def test_any_number_of_threads_for_a_gradient():
    said = [
        subprocess.run([sys.executable, "-c", GRADIENT], env={**os.environ, "OMP_NUM_THREADS": str(threads)},
                       capture_output=True, text=True, check=True).stdout
        for threads in (1, 2)
    ]  # fmt: skip
    assert said[0] == said[1] and said[0].count("0x") == 4


def test_another_library_is_the_same_to_rounding(tmp_path):
    (_, one), (_, other) = ran(tmp_path, 20_000, 1), ran(tmp_path, 20_000, 1, "torch")
    close(one, other)


@pytest.mark.parametrize("name", ["fodo-space-charge", "fodo"])
def test_looking_changes_no_bit(name):
    problem = Problem.load(name, ["beam.n=300"])
    digests = {
        hashlib.sha256(np.ascontiguousarray(problem.run(points=points).final.coordinates).tobytes()).hexdigest()
        for points in (None, 7, 50)
    }
    assert len(digests) == 1


def test_particles_of_one_seed_are_the_same_in_every_library():
    made = {"n": 500, "species": "electron", "kinetic_energy": 1e7, "charge": 1e-10, "seed": 4, "sigma_x": 1e-3}
    plain, other = bb.Beam.gaussian(**made), bb.Beam.gaussian(**made, backend="torch")
    np.testing.assert_array_equal(other.backend.to_numpy(other.coordinates), plain.coordinates)
