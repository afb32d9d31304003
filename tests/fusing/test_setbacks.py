"""Whatever goes wrong in making a kernel: the plain path, the same results, one warning, and the reason on request."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import backbeam as bb
from backbeam import backends
from backbeam_backends.fusing import Fused, machine
from backbeam_backends.particle_mesh import compiling
from backbeam_backends.setbacks import PlainPathWarning, Setbacks


def curved(x, k):
    return np.sqrt(x * x + k)


def fused(setbacks=None):
    return Fused(lambda x, k: curved_in(x, k), (), 1, setbacks)


def curved_in(x, k):
    xp = backends.of(x).namespace
    return xp.sqrt(x * x + k)


X, K = np.random.default_rng(1).normal(size=300), np.asarray(2.0)


@pytest.mark.parametrize(
    "error", [RuntimeError("LLVM ERROR"), OSError(28, "No space left"), ImportError("libLLVM.so"), KeyError("cpu")]
)
@pytest.mark.parametrize("step", ["_llvm", "_assemble", "load", "register_bits"])
def test_whatever_goes_wrong(monkeypatch, error, step):
    def broken(*_):
        raise error

    monkeypatch.setattr(machine, step, broken)
    # No folder: what an earlier test compiled would hide the fault.
    monkeypatch.setattr(machine, "users_folder", lambda *_: None)
    setbacks = Setbacks()
    function, again = fused(setbacks), fused(setbacks)
    with pytest.warns(PlainPathWarning, match="no compiled maps here .*same results, slower"):
        found = function(X, K)
    assert found == pytest.approx(curved(X, K), rel=1e-15)
    function(X, K)
    again(X, K)  # a second function fails in the same way and says nothing more: a warning would be an error here
    assert type(error).__name__ in setbacks.text


def test_nothing_is_refused_here():
    function = fused()
    function(X, K)
    assert function.kernels and not function.refused and not function.setbacks.reasons
    for name in ("numpy", "torch", "jax"):
        assert backends.get(name).setback() == ""


def test_a_function_that_asks_for_the_namespace_is_traced_again_and_again():
    """Each trace has a namespace of its own: one that is remembered from the first would refuse all others."""
    from backbeam.arrays import namespace

    for factor in (1.0, 2.0, 3.0):
        function = Fused(lambda x, k, factor=factor: namespace(x, k).sqrt(factor * x * x + k), (), 1)
        assert function(X, K) == pytest.approx(np.sqrt(factor * X * X + K), rel=1e-15)
        assert function.kernels and not function.refused


BROKEN = """
import sys, types
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {module!r}:
            raise {error}
sys.meta_path.insert(0, Broken())
import warnings
import backbeam as bb
beam = bb.Beam.gaussian(n=6000, species="electron", kinetic_energy=1e7, charge=1e-9, seed=1, sigma_x=1e-3,
    sigma_y=1e-3, sigma_tau=1e-3)
line = bb.Line([bb.Drift(0.3), bb.Quadrupole(0.2, k1=1.0)])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    out = bb.track(line, beam, space_charge=bb.SpaceCharge3D(grid=(8, 8, 8)))
print([w.category.__name__ for w in caught])
print(float(out.sigma("x")).hex(), bb.backends.get("numpy").setback() if hasattr(bb, "backends") else "")
"""


@pytest.mark.parametrize(
    ("module", "error"), [("numba", "ImportError('half installed')"), ("llvmlite", "OSError('cannot load libLLVM')")]
)
def test_a_broken_installation(module, error, tmp_path):
    """Where no machine code is kept: what is kept needs no Numba."""
    code = BROKEN.format(module=module, error=error)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    said, value = done.stdout.splitlines()
    assert said == "['PlainPathWarning']"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sizes = {"sigma_x": 1e-3, "sigma_y": 1e-3, "sigma_tau": 1e-3}
        beam = bb.Beam.gaussian(n=6000, species="electron", kinetic_energy=1e7, charge=1e-9, seed=1, **sizes)
        line = bb.Line([bb.Drift(0.3), bb.Quadrupole(0.2, k1=1.0)])
        out = bb.track(line, beam, space_charge=bb.SpaceCharge3D(grid=(8, 8, 8)))
    assert float.fromhex(value.split()[0]) == pytest.approx(float(out.sigma("x")), rel=1e-12)


# -- Numba's own cache -------------------------------------------------------------------------------------------------


def add_one(x, out):
    for i in range(x.size):
        out[i] += x[i]


def test_no_place_for_numbas_cache(monkeypatch):
    made = compiling.njit

    def nowhere(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function 'add_one': no locator available for file")
        return made(**options)

    monkeypatch.setattr(compiling, "njit", nowhere)
    out = np.zeros(5)
    compiling.Loop(add_one)(np.ones(5), out)
    assert (out == 1.0).all()


def test_a_disk_that_is_full_when_numba_writes(monkeypatch):
    loop = compiling.Loop(add_one)

    def full(*_):
        raise OSError(28, "No space left on device")

    loop.compiled = full
    out = np.zeros(5)
    loop(np.ones(5), out)
    loop(np.ones(5), out)
    assert (out == 2.0).all()
