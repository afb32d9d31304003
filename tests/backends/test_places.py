"""Results of blocks are written where they belong; a block that turns out otherwise than the first is copied."""

from __future__ import annotations

import numpy as np
import pytest

from backbeam import backends
from backbeam_backends import blocks, places

NUMPY = backends.get("numpy")
N = 5_000


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 1_000)


def doubled(x):
    return 2.0 * x


def twice(x):
    made = places.empty(x.shape, x.dtype)
    np.multiply(x, 2.0, out=made)
    return made


@pytest.mark.parametrize("threads", [1, 3])
def test_blocks_behind_the_first_are_in_their_places(threads):
    there = []

    def function(x, _):
        first = twice(x)  # asked for first, and no result
        second = twice(first)
        there.append(second.base is not None)
        return (second, first + 1.0), second.sum()

    x = np.arange(float(N))
    (four, more), total = blocks.blockwise(function, x, None, blocks.add, lambda: threads)
    np.testing.assert_array_equal(four, 4.0 * x)
    np.testing.assert_array_equal(more, 2.0 * x + 1.0)
    assert total == 4.0 * x.sum()
    assert there.count(False) == 1 and len(there) == 5


def test_blocks_that_are_not_alike():
    """Results change their order, share their memory, are those of another time, or none is made."""

    def function(x, _):
        a, b = twice(x), twice(3.0 * x)
        kind = int(x[0]) // 1_000 % 5
        found = {0: (a, b), 1: (b, a), 2: (a[::1], a), 3: (b, b), 4: (x, b[:])}[kind]
        return found, None

    x = np.arange(float(N))
    (first, second), _ = blocks.blockwise(function, x, None, blocks.add, lambda: 1)
    part = [slice(1_000 * k, 1_000 * (k + 1)) for k in range(5)]
    for k, (one, two) in enumerate([(2, 6), (6, 2), (2, 2), (6, 6), (1, 6)]):
        np.testing.assert_array_equal(first[part[k]], one * x[part[k]])
        np.testing.assert_array_equal(second[part[k]], two * x[part[k]])


def test_one_array_twice_and_an_input():
    def function(x, _):
        a = twice(x)
        return (a, x, a), None

    x = np.arange(float(N))
    (a, same, again), _ = blocks.blockwise(function, x, None, blocks.add, lambda: 2)
    np.testing.assert_array_equal(a, 2.0 * x)
    np.testing.assert_array_equal(again, a)
    np.testing.assert_array_equal(same, x)


def test_blocks_within_blocks_and_errors():
    def inner(x, _):
        return twice(x), None

    def function(x, _):
        if x[0] >= 4_000:
            raise ValueError("the last")
        return blocks.blockwise(inner, x, None, blocks.add, lambda: 1, 100)[0], None

    x = np.arange(float(N))
    found, _ = blocks.blockwise(function, x[:4_000], None, blocks.add, lambda: 1)
    np.testing.assert_array_equal(found, 2.0 * x[:4_000])
    with pytest.raises(ValueError, match="the last"):
        blocks.blockwise(function, x, None, blocks.add, lambda: 1)
    assert places.empty((3,), float).base is None  # nobody is asked once a block is over


def test_kernels_write_there(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 20_000)
    run = NUMPY.compile(doubled)
    x = np.random.default_rng(0).standard_normal(100_000)
    inside = []

    def function(x, _):
        found = run(x)
        inside.append(found.base is not None)
        return found, None

    found, _ = NUMPY.blockwise(function, x)
    np.testing.assert_array_equal(found, 2.0 * x)
    assert inside.count(True) == 4 or not run.fuses(x[:20_000])
