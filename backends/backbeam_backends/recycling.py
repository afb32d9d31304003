"""Memory of large arrays, used again: what the system hands out anew must first be filled with zeros, page by page.

A kick of 10^6 particles writes 100 MB of results, and lets as much go. Given back to the system and asked for again,
these cost as long as the arithmetic. So, as the allocators of GPU libraries do, this keeps what was let go; but hardly
more than what was in use at once before, for it is not to raise the peak, and no longer than it serves.
"""

from __future__ import annotations

import threading
from collections import deque
from math import prod
from typing import Any

import numpy as np

LEAST = 1 << 16
"""Bytes from which on an array is worth it."""
SPARE = 4
"""As many bytes may wait as in so many of the largest waiting arrays."""
MARGIN = 1.125
"""What waits and what is on loan may be so much more than the most that was ever on loan at once: a little, lest a
small array that is new put out a large one."""
PATIENCE = 100
"""What has not been asked for while so many others came back is given to the system."""


class _Loan:
    """Memory that is on loan to an array and to all views of it; it comes back when the last one is gone."""

    def __init__(self, owner: Recycler, memory: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.owner, self.memory = owner, memory
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "data": (memory.ctypes.data, False),
        }

    def __del__(self) -> None:
        self.owner.take_back(self.memory)


class Recycler:
    """Hands out arrays and keeps the memory of those that are gone.

    A garbage collection may come between any two steps in here, end loans and call finalizers that ask for arrays. So
    what comes back is only noted, and put away by whoever is at it, once the step is done; and who asks in mid-step
    gets an array of the system's.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, np.ndarray]] = []
        self._back: deque[np.ndarray] = deque()
        """What has come back and is not put away yet."""
        self._returns = 0
        self._lent = self._most = 0
        """Bytes that are on loan, and the most that were at once."""
        self._lock = threading.RLock()
        self._busy = False
        """Whether the holder of the lock is in mid-step."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """`numpy.empty`."""
        dtype = np.dtype(dtype)
        size = prod(shape) * dtype.itemsize
        if size < LEAST:
            return np.empty(shape, dtype)
        with self._lock:
            if self._busy:
                return np.empty(shape, dtype)
            self._busy = True
            try:
                memory = self._take(size)
            finally:
                self._busy = False
        self._put_away()
        return np.asarray(_Loan(self, np.empty(size, np.uint8) if memory is None else memory, shape, dtype))

    def take_back(self, memory: np.ndarray) -> None:
        """Keep it for the next; let the oldest go where too much waits."""
        self._back.append(memory)
        self._put_away()

    def clear(self) -> None:
        """Give to the system all that waits."""
        self._put_away()
        with self._lock:
            self._waiting = []
            self._most = self._lent

    @property
    def waiting(self) -> int:
        """Bytes that wait to be used again."""
        return sum(m.nbytes for _, m in self._waiting)

    def _take(self, size: int) -> np.ndarray | None:
        """Memory of that size, the last that came back; None where none waits."""
        fitting = [k for k, (_, memory) in enumerate(self._waiting) if memory.nbytes == size]
        memory = self._waiting.pop(fitting[-1])[1] if fitting else None
        self._lent += size
        self._most = max(self._most, self._lent)
        while self._waiting and self._lent + self.waiting > MARGIN * self._most:
            self._waiting.pop(0)
        return memory

    def _put_away(self) -> None:
        """Put away what has come back, unless somebody is at it: who leaves looks once more."""
        while self._back and self._lock.acquire(blocking=False):
            try:
                if self._busy:
                    return
                self._busy = True
                try:
                    while self._back:
                        self._keep(self._back.popleft())
                finally:
                    self._busy = False
            finally:
                self._lock.release()

    def _keep(self, memory: np.ndarray) -> None:
        self._returns += 1
        self._lent -= memory.nbytes
        self._waiting.append((self._returns, memory))
        most = SPARE * max(m.nbytes for _, m in self._waiting)
        while self.waiting > most or self._waiting[0][0] < self._returns - PATIENCE:
            self._waiting.pop(0)
