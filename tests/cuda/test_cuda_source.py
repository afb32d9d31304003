"""The CUDA C++ that is written for functions of arrays says what the functions do; no compiler and no GPU is needed."""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from array_api_compat import array_namespace
from interpreter import run

from backbeam import backends
from backbeam_backends.fusing import Fused
from backbeam_backends.fusing.cuda import CudaKernel
from backbeam_backends.fusing.nests import flatten

sys.path.insert(0, str(Path(__file__).parents[1] / "maps"))
sys.path.insert(0, str(Path(__file__).parents[1] / "fusing"))

from map_cases import CASES
from test_fused_maps import TOLERANCE, Mover, arguments, scales, there_and_back, with_cotangents


class Written(Fused):
    """What is traced is written down; nothing is called."""

    kernel = CudaKernel
    call = staticmethod(lambda kernel, n, batch, leaves: kernel)


def written(function, *args):
    """The kernel of a function of such arrays."""
    fused = Written(function, (), 0)
    assert fused.fuses(*args), fused.refused
    return fused.kernels[0]


def flat(tree):
    """Arrays in the order in which a kernel has them."""
    found = []
    flatten(tree, found, [])
    return found


def compare(kernel, args, function, tolerance, least=0.0):
    """What the interpreter makes of a kernel, with what NumPy's own operations give."""
    given, wanted = flat(list(args)), function(*args)
    fresh = iter(run(kernel, given))
    for output, b, scale in zip(kernel.outputs, flat(wanted), scales(function, args, wanted, flat), strict=True):
        a = given[output[1]] if output[0] == "same" else next(fresh)
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))
        a, b = np.nan_to_num(a.astype(np.float64)), np.nan_to_num(b.astype(np.float64))
        assert np.all(np.abs(a - b) <= tolerance * np.maximum(scale, least))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", [c for c in CASES if c.fuses], ids=lambda c: c.label)
def test_every_map(case, dtype):
    mover = Mover(case, backends.get("numpy"))
    args = arguments(case, dtype)
    for make, given in ((there_and_back, args[:3]), (with_cotangents, args)):
        function = make(mover)
        kernel = written(function, *given)
        for p in ({}, *case.singular):
            p = args[2] | {k: np.asarray(v, dtype=dtype) for k, v in p.items()}
            at = (*given[:2], p, *given[3:])
            compare(kernel, at, function, TOLERANCE[dtype], 10.0 * case.cancels)
        if dtype == "float32":
            loop = re.search(r"\) lanes\(.*?\n}\n", kernel.program.source, re.DOTALL)[0]
            wide = [
                s for s in loop.splitlines() if "double" in s and not re.search(r"sum\d|parts|warps|whole_block", s)
            ]
            assert not wide


def test_the_text_of_a_small_function():
    def function(x, k):
        xp = array_namespace(x)
        return xp.where(x > 0.0, k * x, x + 0.1), xp.sum(x * x, axis=-1)

    given = np.linspace(-1.0, 1.0, 90, dtype=np.float32), np.asarray(3.0, np.float32)
    kernel = written(function, *given)
    text = kernel.program.source
    for line in (
        'extern "C" __global__ void __launch_bounds__(256) lanes(',
        "    const float *__restrict__ in0,\n    const float *__restrict__ in1,\n    float *__restrict__ out0,\n"
        "    double *__restrict__ parts,\n    whole n)",
        "    __shared__ struct { float v1; } same;",
        "            const float v0 = r0[p];",
        "            const float v6 = v0 + 0.10000000149011612f;",
        "            out0[(place * 1LL + 0) * n + p] = v7;",
        "            sum0 += (double)v8;",
        "            out1[place * 1LL + 0] = v9;",
    ):
        assert line in text, text
    assert (kernel.program.rows, kernel.program.scalars, kernel.program.sums) == ((0,), (1,), 1)
    assert [kernel.program.blocks(n) for n in (1, 256, 257, 10**9)] == [1, 1, 2, 1024]
    compare(kernel, given, function, 1e-6)


def test_places_of_a_batch():
    """Each place has its own rows and its own setting; one that has no batch is the same for all."""

    def function(X, k, m):
        xp = array_namespace(X)
        return X[..., 1, :] * k[..., None] + m, xp.sum(X[..., 0, :], axis=-1)

    rng = np.random.default_rng(3)
    kernel = written(function, rng.normal(size=(2, 3, 6, 80)), rng.normal(size=(2, 3)), np.asarray(2.0))
    assert kernel.batch == (2, 3)
    text = kernel.program.source
    for line in (
        "for (int place = blockIdx.y; place < 6; place += gridDim.y) {",
        "const whole b0 = place / 3 % 2;",
        "const whole b1 = place / 1 % 3;",
        "= in0 + b0 * in0_0 + b1 * in0_1 + 1 * in0_2;",
        "= in1[b0 * 3 + b1];",
        "= in2[0];",
    ):
        assert line in text, text


def test_numbers_that_are_none_and_types_that_are_not_floats():
    def function(x, lost, alive):
        xp = array_namespace(x)
        turned = xp.where(alive & ~(x != x), x, xp.full_like(x, xp.nan))
        first = xp.where(xp.abs(x) > xp.inf, xp.zeros_like(lost), xp.maximum(lost, -xp.ones_like(lost)))
        return turned, first, alive & (lost < 3), xp.minimum(x, 0.5), xp.astype(lost, xp.float64)

    rng = np.random.default_rng(4)
    x, lost = rng.normal(size=100), rng.integers(-3, 9, 100).astype(np.int32)
    x[5] = np.nan
    given = x, lost, rng.uniform(size=100) > 0.5
    kernel = written(function, *given)
    compare(kernel, given, function, 0.0)
    assert "((double)__longlong_as_double(0x7ff8000000000000))" in kernel.program.source


def test_cloud_in_cell_has_all_of_its_kernels():
    text = files("backbeam_backends.particle_mesh").joinpath("cupy_cloud_in_cell.cu").read_text(encoding="utf-8")
    kernels = re.findall(r'extern "C" __global__ void (\w+)\(', text)
    assert kernels == ["deposit", "gather", "gather_slope", "gradient"]
    assert text.count("{") == text.count("}") and set(re.findall(r"\b(?:REAL|COMPONENTS)\b", text)) == {
        "REAL",
        "COMPONENTS",
    }
