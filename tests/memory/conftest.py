"""A table of round numbers in the place of the measured one."""

from __future__ import annotations

import made_up
import pytest

from backbeam.memory import table


@pytest.fixture
def round_numbers(monkeypatch):
    """Predictions that can be told by hand, the same with Numba and without."""
    monkeypatch.setattr(table, "load", lambda: made_up.SETUPS)
    monkeypatch.setattr(table, "fuses", lambda backend: False)
