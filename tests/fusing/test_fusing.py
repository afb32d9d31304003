"""What the tracer can do and what it leaves alone, and machine code that is kept on disk."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest
from array_api_compat import array_namespace

from backbeam import backends
from backbeam.arrays import namespace
from backbeam_backends.fusing import Fused, available, machine
from backbeam_backends.setbacks import PlainPathWarning


class Pair(NamedTuple):
    first: object
    second: object


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Machine code of the tests stays with the tests."""
    path = tmp_path_factory.getbasetemp() / "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    return path / "backbeam" / "kernels"


def rows(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def dtype_of(value, dtype):
    return np.dtype(dtype).type(value)


def fused(function, *args, static=()):
    """A function that is known to be a kernel for these arguments."""
    made = Fused(function, static, 0)
    assert made.fuses(*args)
    return made


def test_the_adapter_fuses_beams_but_not_a_few_particles(monkeypatch):
    numpy = backends.get("numpy")
    assert numpy.fuses and available()
    run = numpy.compile(lambda x: x * 2.0)
    assert run.fuses(rows(numpy.fuse_from)) and not numpy.compile(lambda x: x * 3.0).fuses(rows(numpy.fuse_from - 1))
    monkeypatch.setattr(numpy, "fuse_from", 100)
    assert numpy.compile(lambda x: x * 4.0).fuses(rows(100))


@pytest.mark.parametrize("n", [64, 65, 71, 127, 128, 1000, 1031, 5000])
def test_every_particle_counts_once(n):
    X = np.random.default_rng(1).integers(-9, 9, (2, n)).astype(np.float64)
    total = fused(lambda X: (X + 1.0, array_namespace(X).sum(X, axis=-1)), X)
    found, sums = total(X)
    np.testing.assert_array_equal(found, X + 1.0)
    np.testing.assert_array_equal(sums, X.sum(axis=-1))  # whole numbers: exact in any order


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-15), ("float32", 3e-7)])
def test_sums_are_accurate_and_the_same_each_time(dtype, tolerance):
    x = np.abs(rows(1_000_003, dtype=dtype))
    total = fused(lambda x: array_namespace(x).sum(x), x)
    wanted = x.astype(np.longdouble).sum()
    assert total(x) == total(x.copy()) and type(total(x)) is x.dtype.type
    assert abs(total(x) - wanted) <= tolerance * wanted


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_largest_and_the_smallest_particle(dtype):
    def function(X):
        xp = array_namespace(X)
        return xp.max(X, axis=-1), xp.min(X, axis=-1, keepdims=True), xp.max(abs(X)), xp.max(X[::2, :], axis=0)

    X = rows(4, 9001, dtype=dtype)
    X[2, 77], X[3, 9000] = np.nan, -np.inf
    for found, wanted in zip(fused(function, X)(X), function(X), strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


def test_structure_comes_back_as_it_was():
    def function(kind, pair, more):
        x, y = pair
        return {"sum": x + y, "as given": pair, "kind": (kind, None)}, [more["k"] * x], Pair(more["k"], y.shape[0])

    args = ("a", Pair(rows(70), rows(70, seed=1)), {"k": np.asarray(2.0), "unused": None})
    run = fused(lambda *a: function(*a)[:2], *args, static=(0,))
    found, wanted = run(*args), function(*args)[:2]
    np.testing.assert_array_equal(found[0]["sum"], wanted[0]["sum"])
    np.testing.assert_array_equal(found[1][0], wanted[1][0])
    assert found[0]["kind"] == ("a", None) and type(found[0]["as given"]) is Pair
    assert found[0]["as given"].first is args[1].first  # what is not changed is not copied
    assert run("b", *args[1:])[0]["kind"] == ("b", None)


def test_the_input_is_not_written_to_and_may_be_any_view():
    X = rows(6, 300)
    X.flags.writeable = False
    run = fused(lambda X, k: (X[::-1, :] * k, X[1, :]), X, np.asarray(3.0))
    for view in (X, X[:, 17:230], X[:, ::2], X[:, ::-1], np.asfortranarray(X), np.broadcast_to(X[:, :1], (6, 99))):
        found = run(view, np.asarray(3.0))
        np.testing.assert_array_equal(found[0], view[::-1] * 3.0)
        np.testing.assert_array_equal(found[1], view[1])
        found[1][...] = 0.0  # its own memory


def test_what_is_the_same_for_all_particles():
    def function(x, k):
        xp = array_namespace(x)
        flat = xp.broadcast_to(k, x.shape)
        return flat, xp.zeros_like(x), xp.sum(flat), xp.sin(k)

    x, k = rows(100), np.asarray([0.3])
    for found, wanted in zip(fused(function, x, k)(x, k), function(x, k), strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-15)


def test_only_a_matrix_that_is_given_is_inverted():
    x, matrix = rows(2, 100), rows(2, 2, seed=1)
    invert = lambda m, x: array_namespace(x).matmul(array_namespace(x).linalg.inv(m), x)  # noqa: E731
    np.testing.assert_allclose(fused(invert, matrix, x)(matrix, x), invert(matrix, x), rtol=1e-13)
    twice = Fused(lambda m, x: invert(2.0 * m, x), (), 0)
    np.testing.assert_array_equal(twice(matrix, x), invert(2.0 * matrix, x))
    assert not twice.fuses(matrix, x)


def test_threads_share_a_kernel():
    run = Fused(lambda x: (array_namespace(x).sqrt(abs(x)) * 3.0, array_namespace(x).sum(x * x)), (), 0)
    given = [rows(9000, seed=seed) for seed in range(16)]
    wanted = [run(x) for x in given]
    with ThreadPoolExecutor(4) as pool:
        for (a, b), (c, d) in zip(pool.map(run, given * 8), wanted * 8, strict=True):
            np.testing.assert_array_equal(a, c)
            assert b == d


def everything(x, y, k):
    xp = array_namespace(x, y)
    mask = (x > 0.0) & ~(y >= k) | (x == y)
    safe = xp.maximum(abs(x), 0.5)
    chosen = xp.where(mask, x, -y) + xp.where(mask, xp.zeros_like(x), xp.full_like(x, 2.0))
    smooth = xp.exp(x) - xp.log(safe) + xp.sinh(y) * xp.cosh(y) + xp.tanh(x) + xp.atan2(x, y) + xp.asinh(y)
    rounded = xp.floor(x) + xp.clip(y, -0.3, 0.4) + xp.minimum(x, y) + (x / k) ** 3 + xp.sqrt(safe)
    matrix = xp.reshape(xp.stack([k, 0.5 * k, -k, 1.0 + k]), (2, 2))
    turned = xp.matmul(matrix, xp.stack([x, y]))
    flags = xp.astype(xp.isfinite(x), x.dtype) + xp.astype(xp.isnan(y), x.dtype)
    return chosen, smooth, rounded, turned, flags, mask, xp.concat([turned, x[None, :]], axis=0)[1:, :]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-15), ("float32", 1e-6)])
def test_operations_are_numpys(dtype, tolerance):
    x, y, k = rows(333, dtype=dtype), rows(333, dtype=dtype, seed=1), np.asarray(0.7, dtype=dtype)
    x[:5], y[:5] = [np.nan, np.inf, -np.inf, 0.0, 1.0], [1.0, 2.0, 3.0, np.nan, 1.0]
    found = fused(everything, x, y, k)(x, y, k)
    with np.errstate(all="ignore"):
        wanted = everything(x, y, k)
    for f, w in zip(found, wanted, strict=True):
        assert f.dtype == w.dtype
        np.testing.assert_allclose(f, w, rtol=4 * tolerance, atol=4 * tolerance)


def test_types_follow_numpys_rules():
    x, whole = rows(80, dtype="float32"), np.arange(80, dtype=np.int32) - 1
    wide, where = np.asarray(0.1), lambda w, x: array_namespace(x).where(w == -1, w, array_namespace(x).full_like(w, 7))
    run = fused(
        lambda x, w, k: (0.1 * x, x * k, where(w, x), x + array_namespace(x).astype(w, x.dtype)), x, whole, wide
    )
    found, wanted = run(x, whole, wide), (0.1 * x, x * wide, where(whole, x), x + whole.astype(np.float32))
    for f, w in zip(found, wanted, strict=True):
        assert f.dtype == w.dtype
        np.testing.assert_array_equal(f, w)


@pytest.mark.parametrize("scale", [1e-8, 0.5, 3.0, 1e3, 9e8])
def test_sine_and_cosine_are_within_two_units_in_the_last_place(scale):
    x = np.random.default_rng(3).uniform(-scale, scale, 20_000)
    x[:5000] = np.rint(x[:5000] / (np.pi / 2)) * (np.pi / 2)  # where they are next to nothing
    run = fused(lambda x: (array_namespace(x).sin(x), array_namespace(x).cos(x)), x)
    for found, wanted in zip(run(x), (np.sin(x.astype(np.longdouble)), np.cos(x.astype(np.longdouble))), strict=True):
        assert np.all(np.abs(found - wanted) <= 2.0 * np.spacing(np.abs(wanted).astype(np.float64)))


def units(found, wanted):
    """How many units in the last place it is off, at most."""
    return np.max(np.abs(found - wanted) / np.spacing(np.abs(wanted).astype(np.float64)))


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e3, 1e200])
def test_logarithm_and_angle_are_within_two_units_in_the_last_place(scale):
    x, y = scale * 10.0 ** np.random.default_rng(3).uniform(-2.0, 2.0, (2, 20_000))
    y[::2] *= -1.0
    x[1::4] *= -1.0
    run = fused(lambda x, y: (array_namespace(x).log1p(abs(x)), array_namespace(x).atan2(y, x)), x, y)
    wide = [a.astype(np.longdouble) for a in (x, y)]
    for found, wanted in zip(run(x, y), (np.log1p(np.abs(wide[0])), np.arctan2(wide[1], wide[0])), strict=True):
        assert units(found, wanted) <= 2.0
    small = np.linspace(-0.999, 0.4, 20_000)
    run = fused(lambda x: array_namespace(x).log1p(x), small)
    assert units(run(small), np.log1p(small.astype(np.longdouble))) <= 2.0


def test_logarithm_and_angle_of_what_is_no_number_or_on_an_axis_are_numpys():
    some = [0.0, -0.0, 1.0, -1.0, -2.0, 1e308, 5e-324, np.inf, -np.inf, np.nan]
    x, y = (a.ravel() for a in np.meshgrid(some, some))
    run = fused(lambda x, y: (array_namespace(x).log1p(x), array_namespace(x).atan2(y, x)), x, y)
    with np.errstate(all="ignore"):
        for found, wanted in zip(run(x, y), (np.log1p(x), np.arctan2(y, x)), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-15)
            np.testing.assert_array_equal(np.signbit(found[wanted == 0.0]), np.signbit(wanted[wanted == 0.0]))


def test_angles_beyond_what_a_kernel_can_reduce_are_numpys():
    x = rows(200)
    run = fused(lambda x: array_namespace(x).sin(x), x)
    x[[3, 150]] = [3e15, np.nan]
    np.testing.assert_array_equal(run(x), np.sin(x))


UNTRACEABLE = {
    "looks at values": lambda x: x * 2.0 if float(x[0]) > 0.0 else x,
    "decides": lambda x: x if array_namespace(x).any(x > 0.0) else -x,
    "sorts": lambda x: array_namespace(x).sort(x),
    "uses the mean of all": lambda x: x - array_namespace(x).sum(x) / x.shape[0],
    "subtracts the mean": lambda x: x - array_namespace(x).sum(x),
    "shifts": lambda x: x[1:] - x[:-1],
    "takes one": lambda x: x * x[3],
    "counts": lambda x: x / float(x.shape[0]),
    "makes pairs": lambda x: x[:, None] * x[None, :],
    "cuts off": lambda x: np.maximum.accumulate(x),
    "joins": lambda x: array_namespace(x).concat([x, x]),
    "divides by the largest": lambda x: x / array_namespace(x).max(x, axis=-1),
}


@pytest.mark.parametrize("what", UNTRACEABLE)
def test_what_is_no_single_pass_is_called_as_it_is(what):
    x = rows(100)
    run = Fused(UNTRACEABLE[what], (), 0)
    for _ in range(2):
        np.testing.assert_array_equal(run(x), UNTRACEABLE[what](x))
    assert not run.fuses(x)


def test_an_error_of_the_function_is_its_own():
    def function(x):
        raise ZeroDivisionError("mine")

    with pytest.warns(PlainPathWarning), pytest.raises(ZeroDivisionError, match="mine"):
        Fused(function, (), 0)(rows(100))


def test_fused_functions_may_call_one_another():
    inner = Fused(lambda x: x * x, (), 0)
    x = rows(100)
    np.testing.assert_allclose(fused(lambda x: inner(x) + 1.0, x)(x), np.square(x) + 1.0, rtol=1e-15)


def test_a_long_batch_is_a_loop_too():
    """Its length does not compare with the number of particles, and need not."""

    def function(x, k):
        return x * k[..., None], namespace(x).sum(x, axis=-1)

    x, k = np.random.default_rng(4).normal(size=(70, 200)), np.linspace(0.0, 1.0, 70)
    found = Fused(function, (), 0)
    for a, b in zip(found(x, k), function(x, k), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)
    assert [kernel.batch for kernel in found.kernels] == [(70,)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_place_of_a_batch_has_its_own_numbers(dtype):
    """Of two axes: numbers of both, of one, of none; rows that are views; and sums, for each place."""

    def function(X, both, first, second, all_, matrix):
        xp = namespace(X)
        Y = X * both[..., None, None] + first[..., None] * second[..., None] - all_
        Y = Y + (matrix[..., 0, 0] - matrix[..., 1, 0])[..., None, None]
        return Y, xp.sum(Y * X, axis=-1), xp.sum(xp.sum(Y, axis=-1), axis=-1)

    X = np.moveaxis(rows(4, 3, 200, 2, dtype=dtype), -1, 2)[:, ::-1]  # (4, 3, 2, 200), its rows not contiguous
    given = [rows(*shape, dtype=dtype, seed=k) for k, shape in enumerate([(4, 3), (4, 1, 1), (1, 3, 1)])]
    given += [dtype_of(0.7, dtype), rows(4, 3, 2, 2, dtype=dtype, seed=9)]
    run = fused(function, X, *given)
    for found, wanted in zip(run(X, *given), function(X, *given), strict=True):
        assert found.shape == wanted.shape and found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=0, atol=np.finfo(dtype).eps * 5e3)
    assert {kernel.batch for kernel in run.kernels} == {(4, 3)}


def test_one_angle_too_large_in_one_place_of_a_batch_is_noticed():
    x = rows(5, 100)
    run = fused(lambda x: (namespace(x).sin(x), namespace(x).sum(x, axis=-1)), x)
    x[3, 50] = 3e15
    np.testing.assert_array_equal(run(x)[0], np.sin(x))


def test_an_axis_as_long_as_the_beam_is_never_mistaken():
    X, k = rows(70, 70), rows(70, seed=1)
    run = Fused(lambda X, k: (X * k, X * k[:, None]), (), 0)
    for found, wanted in zip(run(X, k), (X * k, X * k[:, None]), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_machine_code_is_kept_on_disk(own_cache, monkeypatch):
    x = rows(100)
    function = lambda x: x * 1.2345 + 0.5  # noqa: E731
    wanted = fused(function, x)(x)
    files = set(own_cache.glob("*.o"))
    assert files

    def refuse(assembly):
        raise AssertionError("compiled again")

    with monkeypatch.context() as patch:
        patch.setattr(machine, "_assemble", refuse)
        np.testing.assert_array_equal(fused(function, x)(x), wanted)
    for path in files:
        path.write_bytes(path.read_bytes()[:-40])  # cut short
    np.testing.assert_array_equal(fused(function, x)(x), wanted)
    assert set(own_cache.iterdir()) == files


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path / "file"))
    x = rows(100)
    np.testing.assert_array_equal(fused(lambda x: x * 5.4321, x)(x), x * 5.4321)


def test_an_axis_too_long_to_be_unrolled_is_left_to_numpy():
    X, k = np.random.default_rng(1).normal(size=(2, 3, 70, 80)), np.arange(6.0).reshape(2, 3)
    fused = Fused(lambda X, k: X[..., 1, :] * k[..., None], (), 0)
    np.testing.assert_array_equal(fused(X, k), X[..., 1, :] * k[..., None])
    assert not fused.kernels
