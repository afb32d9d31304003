"""Blocks of particles that stay in the processor's cache, shared out among its cores.

A map of 10^6 particles, written as array operations, is bound by memory: every temporary travels to it and back, and
is 8 MB that the system must first fill with zeros. The same operations on a few thousand particles at a time never
leave the cache, and what they need besides input and output does not grow with the beam.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import pairwise
from math import prod
from time import perf_counter
from typing import Any

import numpy as np

from backbeam_backends.places import Making

BLOCK = 8_000
"""Least number of particles of a block: 48 B each and a dozen temporaries of 8 B stay in a cache of 1 MB.

Not a power of two, which would put all rows of a block into the same few sets of that cache.
"""

FIRST, LEAST_FIRST = 6, 4_200
"""How many times smaller the first one of large blocks is than the others, and how many particles it has at least:
enough for compiled loops."""

WORTH = 1e-3
"""Seconds of work for which a thread is started; how many there are changes no result."""


def thread_count() -> int:
    """Cores that this process may run on, capped by OMP_NUM_THREADS as in other numerical libraries."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores, int(wanted))) if wanted.isdecimal() else cores


def blockwise(
    function: Callable[[Any, Any], tuple[Any, Any]],
    particles: Any,
    shared: Any,
    combine: Callable[[Any, Any], Any],
    threads: Callable[[], int],
    block: int | None = None,
    empty: Callable[[tuple[int, ...], Any], np.ndarray] = np.empty,
) -> tuple[Any, Any]:
    """`Backend.blockwise` for NumPy arrays. What is combined is combined in the order of the blocks."""
    found = leaves(particles)
    n = max((a.shape[-1] for a in found), default=0)
    if block is None:
        block = max(256, BLOCK // max(prod(a.shape[:-2]) for a in found)) if found else BLOCK
    starts = cuts(n, block, max((prod(a.shape[:-2]) for a in found), default=1))
    count = len(starts) - 1
    if count == 1:
        return function(particles, shared)
    parts: list[Any] = [None] * count

    def cut(k: int) -> Any:
        return transform(lambda a: a[..., starts[k] : starts[k + 1]], particles)

    began, watched = perf_counter(), Making()
    first, parts[0] = watched.of(function, cut(0), shared)
    ahead = (perf_counter() - began) * (n - starts[1]) / starts[1]
    whole = transform(lambda a: empty((*a.shape[:-1], n), a.dtype), first)
    outputs = leaves(whole)

    turns = watched.results(leaves(first))

    def places_of(k: int) -> list[np.ndarray]:
        return [out[..., starts[k] : starts[k + 1]] for out in outputs]

    watched.settle(leaves(first), places_of(0), {})
    failures: list[BaseException] = []

    def work(blocks: range) -> None:
        try:
            for k in blocks:
                places = places_of(k)
                making = Making({turn: places[number] for turn, number in turns.items()})
                result, parts[k] = making.of(function, cut(k), shared)
                making.settle(leaves(result), places, turns)
        except BaseException as error:
            failures.append(error)

    shares = max(1, min(threads(), count - 1, round(ahead / WORTH)))
    edges = [1 + (count - 1) * t // shares for t in range(shares + 1)]
    # A context of its own for each: NumPy keeps in it what it warns of.
    helpers = [
        threading.Thread(target=copy_context().run, args=(work, range(edges[t], edges[t + 1])))
        for t in range(1, shares)
    ]
    for helper in helpers:
        helper.start()
    work(range(edges[0], edges[1]))
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]
    total = parts[0]
    for part in parts[1:]:
        total = combine(total, part)
    return whole, total


def shared_out(function: Callable[[int, int], None], count: int, threads: int) -> None:
    """``function(first, last)`` for all of so many things, by some threads: no result may hang on how many."""
    shares = max(1, min(threads, count))
    edges = [count * t // shares for t in range(shares + 1)]
    if shares == 1:
        function(0, count)
        return
    with ThreadPoolExecutor(shares - 1) as pool:
        others = [pool.submit(function, *ends) for ends in pairwise(edges[1:])]
        function(*edges[:2])
        for other in others:
            other.result()


def cuts(n: int, block: int, rows: int = 1) -> list[int]:
    """Where blocks of so many particles, of so many beams, begin and end: one block for less than two.

    The first one is done alone, to see how long it takes and what it makes, and its results are copied: so where blocks
    are large it is small. The others are even in number then, as threads often are.
    """
    if n < 2 * block:
        return [0, n]
    first = block // FIRST
    if rows * first < LEAST_FIRST:
        return [n * k // (n // block) for k in range(n // block + 1)]
    count = 2 * -(-(n - first) // (2 * block))
    return [0, *(first + (n - first) * k // count for k in range(count + 1))]


def in_hand(n: int, threads: int, block: int | None = None, rows: int = 1) -> int:
    """Particles of the blocks that are in hand at once, of a beam of ``n``: a block for each thread."""
    starts = cuts(n, BLOCK if block is None else block, rows)
    count = len(starts) - 2
    return n if count == 0 else -(-(n - starts[1]) * min(threads, count) // count)


def transform(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Nest of the same form with the function of each array, and of those in the same place of other nests."""
    if isinstance(tree, dict):
        return {key: transform(function, tree[key], *(o[key] for o in others)) for key in tree}
    if isinstance(tree, tuple | list):
        parts = [transform(function, *branch) for branch in zip(tree, *others, strict=True)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return None if tree is None else function(tree, *others)


def leaves(tree: Any) -> list[Any]:
    """The arrays of a nest, in order."""
    found: list[Any] = []
    _gather(tree, found)
    return found


def _gather(tree: Any, found: list[Any]) -> None:
    if isinstance(tree, dict):
        for branch in tree.values():
            _gather(branch, found)
    elif isinstance(tree, tuple | list):
        for branch in tree:
            _gather(branch, found)
    elif tree is not None:
        found.append(tree)


def add(a: Any, b: Any) -> Any:
    """Sum of two nests of one form."""
    return transform(lambda x, y: x + y, a, b)
