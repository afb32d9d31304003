"""CuPy on a CUDA device: its kernels against array operations on the host, and gradients against NumPy's."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import backbeam as bb
from backbeam import backends
from backbeam import observables as ob
from backbeam.effects.mesh.cloud_in_cell import Plain
from backbeam.effects.space_charge.extents import Box
from backbeam.effects.space_charge.field import electric_field
from backbeam.gradient import differentiate
from backbeam_backends.blocks import transform

sys.path.insert(0, str(Path(__file__).parents[1] / "maps"))
sys.path.insert(0, str(Path(__file__).parents[1] / "fusing"))

from map_cases import CASES
from test_fused_maps import Mover, arguments, compare, there_and_back, with_cotangents

pytestmark = pytest.mark.gpu

GRID, GUARD = (7, 9, 8), 1
TOLERANCE = {"float64": 1e-13, "float32": 2e-5}


@pytest.fixture
def cupy():
    """The adapter."""
    return backends.get("cupy")


@pytest.fixture
def fusing(cupy, monkeypatch):
    """The adapter, which fuses for beams of any size."""
    monkeypatch.setattr(cupy, "fuse_from", 0)
    return cupy


def up(cupy, tree):
    return transform(cupy.asarray, tree)


def down(cupy, tree):
    return transform(cupy.to_numpy, tree)


def assert_close(found, wanted, tolerance):
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * max(np.nanmax(np.abs(wanted)), 1e-30))


@pytest.mark.parametrize("components", [1, 3, 4])
@pytest.mark.parametrize("count", [0, 1, 3000])
def test_cloud_in_cell(cupy, dtype, components, count):
    """Rows as they stand in a beam's coordinates; a particle at either end, one that is nowhere, one without charge."""
    rng = np.random.default_rng(7)
    centre, spacing = rng.normal(size=(3, 2)), rng.uniform(0.3, 1.0, (3, 2))
    half = 0.5 * (np.asarray(GRID) - 1.0) - GUARD
    X = rng.uniform(-1.0, 1.0, (2, 6, count))
    X[..., :1], X[..., 1:2] = 0.999, -0.999
    X[:, ::2, :] = X[:, ::2, :] * (half * spacing.T)[..., None] + centre.T[..., None]
    X[:, 2, 5:6] = np.nan
    values, factors = rng.normal(size=(2, components, 2, count))
    values[..., 7:9] = 0.0
    field, phi = rng.normal(size=(components, 2, *GRID)), rng.normal(size=(2, *GRID))
    host = [a.astype(dtype) for a in (X, centre, spacing, values, factors, field, phi)]

    def everything(weights, X, centre, spacing, values, factors, field, phi):
        r = (X[:, 0, :], X[:, 2, :], X[:, 4, :])
        arranged = weights.arrange(field)
        found, slopes = weights.gather_slope(arranged, factors, r, centre, spacing, GUARD)
        two, four = (electric_field(phi, Box(centre, spacing), weights, order) for order in (2, 4))
        return (
            weights.deposit(values, r, centre, spacing, GRID, GUARD),
            weights.gather(arranged, r, centre, spacing, GUARD),
            found,
            *slopes,
            weights.gather(two, r, centre, spacing, GUARD),
            weights.gather(weights.beside(two, phi), r, centre, spacing, GUARD),
            weights.gather(four, r, centre, spacing, 2),
        )

    with np.errstate(invalid="ignore"):
        wanted = everything(Plain(), *host)
    device = up(cupy, tuple(host))
    for a, b in zip(down(cupy, everything(cupy.cloud_in_cell(device), *device)), wanted, strict=True):
        if b.size:
            assert_close(a, b, TOLERANCE[dtype])


@pytest.mark.parametrize("case", [c for c in CASES if c.fuses], ids=lambda c: c.label)
def test_every_map(fusing, case, dtype):
    mover = Mover(case, backends.get("numpy"))
    args = arguments(case, dtype)
    for make, given in ((there_and_back, args[:3]), (with_cotangents, args)):
        function = make(mover)
        fused = fusing.compile(function)
        for p in ({}, *case.singular):
            p = args[2] | {k: np.asarray(v, dtype=dtype) for k, v in p.items()}
            at = (*given[:2], p, *given[3:])
            compare(down(fusing, fused(*up(fusing, at))), function, at, dtype, least=10.0 * case.cancels)
        assert fused.kernels


def test_sums_have_the_same_bits_each_time(fusing):
    xp = fusing.namespace
    x = fusing.asarray(np.random.default_rng(8).normal(size=1_000_001))
    run = fusing.compile(lambda x: backends.of(x).namespace.sum(x * x))
    first, second = float(run(x)), float(run(x))
    assert first == second == pytest.approx(float(xp.sum(x * x)), rel=1e-13)


@pytest.mark.parametrize("adjoint", [bb.Reversible(), bb.Store(), bb.Checkpoint(slots=2)], ids=repr)
def test_gradient_of_a_line(fusing, dtype, adjoint):
    line = bb.Line(
        [bb.Drift(0.2, name="d"), bb.Quadrupole(0.1, k1=12.0, name="q"), bb.Drift(0.3), bb.Aperture(3e-3, 3e-3)]
    )
    sizes = {f"sigma_{k}": 1e-3 for k in ("x", "y", "px", "py", "tau", "pt")}

    def gradient(library):
        beam = bb.Beam.gaussian(
            n=5000, species="electron", kinetic_energy=20e6, charge=1e-9, seed=3, backend=library, dtype=dtype, **sizes
        )
        model = bb.SpaceCharge3D(grid=(8, 9, 10))
        wrt = ["q.k1", "d.length", "beam.charge"]
        return differentiate(ob.sigma("x"), line, beam, wrt, adjoint=adjoint, space_charge=model, slices=2)

    wanted, found = gradient("numpy"), gradient("cupy")
    tolerance = 1e-10 if dtype == "float64" else 2e-3
    assert float(found.value) == pytest.approx(float(wanted.value), rel=tolerance)
    for name, bar in wanted.gradient.items():
        assert float(found.gradient[name]) == pytest.approx(float(bar), rel=tolerance)


def test_what_the_device_holds(cupy):
    array = cupy.asarray(np.ones(10**6))
    assert cupy.meter.free_memory(array) > 0
    assert 8_000_000 <= cupy.meter.peak_of(lambda: array + 1.0, array) < 9_000_000
    assert cupy.device_name(array) == cupy.devices()[0]
    with pytest.raises(ValueError, match=r"device is 'cuda:99'; allowed: cuda:\d+, CuPy's current device"):
        cupy.device("cuda:99")
