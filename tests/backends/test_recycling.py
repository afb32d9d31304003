"""Memory of large arrays is used again, never while anybody still looks at it."""

from __future__ import annotations

import gc
import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from backbeam_backends.recycling import LEAST, MARGIN, PATIENCE, SPARE, Recycler

N = LEAST // 8


def test_memory_is_used_again_once_the_last_view_is_gone():
    memory = Recycler()
    a = memory.empty((2, N), np.float64)
    view, address = a[1, 3:], a.ctypes.data
    a[...] = 7.0
    del a
    assert memory.waiting == 0
    b = memory.empty((2, N), np.float64)
    b[...] = 1.0
    assert b.ctypes.data != address and (view == 7.0).all()
    del view
    assert memory.waiting == 16 * N
    c = memory.empty((4, N), np.float32)
    assert c.ctypes.data == address and c.dtype == np.float32 and c.shape == (4, N) and c.flags.writeable
    assert memory.waiting == 0


def test_small_arrays_and_other_sizes_are_new():
    memory = Recycler()
    small = memory.empty((3,), np.float64)
    assert small.base is None and small.shape == (3,)
    larger = [memory.empty((rows, N), np.float64) for rows in (8, 2)]
    addresses = {a.ctypes.data for a in larger}
    larger.clear()
    assert memory.waiting == 80 * N
    other = memory.empty((1, N), np.float64)
    assert memory.waiting == 80 * N
    assert other.ctypes.data not in addresses and other.base is not None


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 5)), min_size=1, max_size=60))
def test_what_waits_hardly_raises_the_peak(steps):
    """Whatever is taken and let go, not an eighth more is held than the most that was ever in use at once."""
    memory = Recycler()
    held = []
    most = 0
    for rows, leave in steps:
        held = held[-leave:] if leave else []
        held.append(memory.empty((rows, N), np.float64))
        in_use = sum(a.nbytes for a in held)
        most = max(most, in_use)
        assert in_use + memory.waiting <= MARGIN * most
    held.clear()
    assert memory.waiting <= MARGIN * most
    memory.clear()
    assert memory.waiting == 0


def test_a_kick_after_kick_takes_nothing_new():
    """Sizes that come back in the same order find what was let go."""
    memory = Recycler()
    state = memory.empty((6, N), np.float64)
    known = set()
    for turn in range(5):
        grid, after = memory.empty((1, N), np.float64), memory.empty((6, N), np.float64)
        addresses = {grid.ctypes.data, after.ctypes.data, state.ctypes.data}
        assert turn < 2 or addresses <= known
        known |= addresses
        state = after
        del grid, after


def test_not_too_much_waits_nor_for_too_long():
    memory = Recycler()
    several = [memory.empty((2, N), np.float64) for _ in range(SPARE + 3)]
    del several
    assert memory.waiting == SPARE * 16 * N
    for _ in range(PATIENCE + SPARE + 1):
        memory.empty((1, N), np.float64)
    assert memory.waiting == 8 * N


def test_threads_never_share_memory():
    memory = Recycler()
    wrong = []

    def work(mine: int) -> None:
        for _ in range(300):
            a = memory.empty((N,), np.float64)
            a[...] = mine
            b = a[::7]
            del a
            if not (b == mine).all():
                wrong.append(mine)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


class Interrupted(list):
    """What waits, with a garbage collection between finding in it and taking out of it."""

    collection = None

    def pop(self, place=-1):
        collection, self.collection = self.collection, None
        if collection is not None:
            collection()
        return super().pop(place)


def waiting_in_three_sizes():
    memory = Recycler()
    arrays = [memory.empty((rows, N), np.float64) for rows in (4, 3, 2, 5)]
    held = [arrays.pop()]
    while arrays:
        arrays.pop(0)
    memory._waiting = Interrupted(memory._waiting)
    memory._returns += PATIENCE  # whatever comes back now puts the oldest out
    return memory, held


def test_a_loan_that_ends_while_another_is_made_breaks_neither():
    memory, held = waiting_in_three_sizes()
    memory._waiting.collection = held.clear
    got = memory.empty((3, N), np.float64)
    assert not held and got.base.memory.nbytes == got.nbytes == 24 * N
    again = memory.empty((5, N), np.float64)
    assert again.base.memory.nbytes == again.nbytes == 40 * N
    del got, again
    assert memory._lent == 0 and not memory._back


def test_a_finalizer_may_ask_for_an_array():
    memory, held = waiting_in_three_sizes()
    memory._waiting.collection = lambda: held.append(memory.empty((3, N), np.float64))
    got = memory.empty((3, N), np.float64)
    assert got.base.memory.nbytes == got.nbytes and held[-1].shape == (3, N)
    assert not np.shares_memory(got, held[-1])


def test_under_a_collector_that_never_rests():
    memory = Recycler()
    before = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        random = np.random.default_rng(5)
        for _ in range(300):
            loop = [memory.empty((int(random.integers(1, 6)), N), np.float64)]
            loop.append(loop)  # only a collection frees it
            got = memory.empty((int(random.integers(1, 6)), N), np.float64)
            assert got.base.memory.nbytes == got.nbytes
    finally:
        gc.set_threshold(*before)
