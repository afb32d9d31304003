"""Every map, and whole lines, as fused loops: the same numbers as NumPy's own operations give."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import backbeam as bb
from backbeam import backends
from backbeam import observables as ob
from backbeam.gradient import differentiate
from backbeam.plan.step import take, take_back
from backbeam_backends.blocks import transform
from backbeam_backends.fusing import Fused

sys.path.insert(0, str(Path(__file__).parents[1] / "maps"))

from map_cases import CASES
from map_harness import Mover, draw

NUMPY = backends.get("numpy")
TOLERANCE = {"float64": 2e-13, "float32": 4e-5}
PARTICLES = 203
"""No multiple of a vector."""


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """Machine code of the tests stays with the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def leaves(tree):
    if isinstance(tree, dict):
        tree = tuple(tree[key] for key in sorted(tree))
    return [leaf for branch in tree for leaf in leaves(branch)] if isinstance(tree, tuple) else [tree]


def scales(function, args, wanted, leaves=leaves):
    """What deviations count next to: a row's largest number; of a sum, what it may lose by cancellation, too.

    That shows when each number that is given moves by a part in a million on its own; ten roundings on the way count.
    """
    rng = np.random.default_rng(1)
    wide = transform(lambda a: a.astype(np.float64) if a.dtype.kind == "f" else a, tuple(args))
    moved = transform(lambda a: a * (1.0 + 1e-6 * rng.standard_normal(a.shape)) if a.dtype.kind == "f" else a, wide)
    with NUMPY.quiet():
        pairs = zip(leaves(function(*wide)), leaves(function(*moved)), strict=True)
        conditions = [1e7 * np.nan_to_num(np.abs(np.asarray(a, float) - np.asarray(b, float))) for a, b in pairs]
    for w, condition in zip(leaves(wanted), conditions, strict=True):
        w = np.abs(np.nan_to_num(np.asarray(w, float)))
        yield np.maximum(w.max(axis=-1, keepdims=True) if w.ndim > 1 else np.maximum(w, condition), 1e-30)


def compare(found, function, args, dtype, least=0.0):
    """What was found for some arguments, with what NumPy's own operations give; returns that.

    ``least`` is the smallest scale: on the axis there is little but rounding of numbers of order one, and in some sums.
    """
    wanted = function(*args)
    for f, w, scale in zip(leaves(found), leaves(wanted), scales(function, args, wanted), strict=True):
        f, w = np.asarray(f), np.asarray(w)
        assert f.shape == w.shape and f.dtype == w.dtype
        np.testing.assert_array_equal(np.isfinite(f), np.isfinite(w))
        f, w = np.nan_to_num(f.astype(np.float64)), np.nan_to_num(w.astype(np.float64))
        assert np.all(np.abs(f - w) <= TOLERANCE[dtype] * np.maximum(scale, least))
    return wanted


def there_and_back(mover):
    """Forward and inverse of a map, and what they make of the reference."""

    def function(X, beta_gamma, p):
        return mover.forward(X, beta_gamma, p), mover.inverse(X, beta_gamma, p)

    return function


def with_cotangents(mover):
    """Pullback and reverse of a map."""

    def function(X, beta_gamma, p, X_bar, beta_gamma_bar):
        pulled = mover.pullback(X, beta_gamma, p, X_bar, beta_gamma_bar)
        return pulled, mover.case.map.reverse(X, mover.reference(beta_gamma), p, X_bar)

    return function


def arguments(case, dtype, batch=()):
    X, beta_gamma, p = draw(case, 5, PARTICLES, batch)
    rng = np.random.default_rng(6)
    X_bar, beta_gamma_bar = rng.normal(size=X.shape), np.asarray(rng.normal(size=batch))
    cast = lambda t: {k: cast(v) for k, v in t.items()} if isinstance(t, dict) else t.astype(dtype)  # noqa: E731
    return tuple(cast(a) for a in (X, beta_gamma, p, X_bar, beta_gamma_bar))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.label)
def test_every_map(case, dtype):
    mover = Mover(case, NUMPY)
    args = arguments(case, dtype)
    for make, given in ((there_and_back, args[:3]), (with_cotangents, args)):
        function = make(mover)
        fused = Fused(function, (), 0)
        assert fused.fuses(*given) == case.fuses
        compare(fused(*given), function, given, dtype, least=10.0 * case.cancels)
        for singular in case.singular:
            p = args[2] | {k: np.asarray(v, dtype=dtype) for k, v in singular.items()}
            at = (given[0], given[1], p, *given[3:])
            compare(fused(*at), function, at, dtype, least=10.0 * case.cancels)
            at = (0.0 * at[0], *at[1:])
            compare(fused(*at), function, at, dtype, least=1e-2)


@pytest.mark.parametrize("label", ["drift", "linear_quadrupole", "matrix", "solenoid"])
def test_a_batch_is_a_loop(label):
    case = next(c for c in CASES if c.label == label)
    function = with_cotangents(Mover(case, NUMPY))
    fused = Fused(function, (), 0)
    for batch in ((3,), (2, 3), (6,)):
        args = arguments(case, "float64", batch)
        assert fused.fuses(*args)
        compare(fused(*args), function, args, "float64")
        one = {k: v.reshape((-1, *v.shape[len(batch) :]))[0] for k, v in args[2].items()}
        args = (args[0], args[1], one, *args[3:])  # one setting for all beams
        compare(fused(*args), function, args, "float64")


def test_a_particle_that_turns_round_is_nan_and_no_other():
    case = CASES[0]
    function = there_and_back(Mover(case, NUMPY))
    X, beta_gamma, p, *_ = arguments(case, "float64")
    X[1, 7] = 1.5
    fused = Fused(function, (), 0)
    assert fused.fuses(X, beta_gamma, p)
    with NUMPY.quiet():
        wanted = compare(fused(X, beta_gamma, p), function, (X, beta_gamma, p), "float64")
    assert np.isnan(wanted[0][0][0, 7]) and np.isnan(wanted[0][0]).sum() == 3


def line():
    return bb.Line([
        bb.Drift(0.2, name="d"), bb.Aperture(half_x=1.6e-3, half_y=1.5e-3, name="a1"),
        bb.Quadrupole(0.1, k1=10.0, dx=1e-4, roll=0.1, name="q"),
        bb.RFCavity(0.4, voltage=3e6, frequency=1.3e9, phase=0.3, steps=2, name="cavity"),
        bb.Aperture(half_x=1.3e-3, half_y=1.3e-3, shape="elliptical", dx=1e-4, name="a2"),
        bb.SectorBend(0.3, angle=0.2, e1=0.1, name="b"), bb.Drift(0.3, model="linear", name="end"),
    ])  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_gradient_of_a_line_that_loses_particles(monkeypatch, dtype):
    beam = bb.Beam.gaussian(
        n=1000, seed=2, species="electron", kinetic_energy=20e6, charge=1e-9, sigma_x=1e-3, sigma_y=8e-4,
        sigma_px=1e-3, sigma_py=7e-4, sigma_tau=9e-4, sigma_pt=2e-3, dtype=dtype,
    )  # fmt: skip
    wrt = ("q.k1", "q.dx", "q.roll", "cavity.phase", "cavity.voltage", "b.angle", "d.length", "beam.kinetic_energy")
    objective = ob.sigma("x") + 0.5 * ob.sigma("y") + 0.1 * ob.sigma("tau")
    found = {}
    for fuse_from in (0, 10**9):
        monkeypatch.setattr(NUMPY, "fuse_from", fuse_from, raising=False)
        found[fuse_from] = differentiate(objective, line(), beam, wrt, adjoint=bb.adjoint.Reversible())
        if fuse_from == 0:
            runs = [NUMPY.compile(function, static=(0, 1)) for function in (take, take_back)]
            assert all(run.kernels and not run.refused for run in runs)
    fused, plain = found.values()
    tolerance = 1e-11 if dtype == "float64" else 2e-3
    assert 0 < np.count_nonzero(plain.beam.lost_at >= 0) < 900
    np.testing.assert_array_equal(fused.beam.lost_at, plain.beam.lost_at)
    assert float(fused.value) == pytest.approx(float(plain.value), rel=tolerance)
    for name in wrt:
        assert float(fused.gradient[name]) == pytest.approx(float(plain.gradient[name]), rel=tolerance)
