"""What waits for use again is let go before memory is measured."""

from __future__ import annotations

import numpy as np
import pytest

from backbeam import backends


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_nothing_waits_after_a_release(name):
    backend = backends.get(name)
    memory = getattr(backend, "host", backend).recycler
    array = memory.empty((100_000,), np.float64)
    del array
    assert memory.waiting >= 800_000
    backend.meter.release()
    assert memory.waiting == 0
