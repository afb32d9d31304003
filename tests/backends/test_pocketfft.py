"""SciPy's transforms without the package around them: the same bits as `scipy.fft`, which stands in for them."""

from __future__ import annotations

import numpy as np
import pytest

from backbeam_backends import pocketfft
from backbeam_backends.pocketfft import PocketFFT, ScipyTransforms, agrees, transforms

CASES = [
    ("rfft", "f", {"n": 16, "axis": -1}), ("rfft", "f", {"axis": 1}), ("rfft", "f", {"n": 4, "axis": 0}),
    ("fft", "z", {"n": 16, "axis": -2}), ("fft", "f", {"n": 12, "axis": 0}), ("fft", "z", {"axis": -1}),
    ("irfft", "z", {"n": 16, "axis": -1}), ("irfft", "z", {"axis": -1}), ("irfft", "z", {"n": 15, "axis": 1}),
    ("ifft", "z", {"axis": -2}), ("ifft", "z", {"n": 3, "axis": -2}), ("ifft", "z", {"n": 20, "axis": -2}),
    ("cosine", "f", {"axis": 1}), ("ifft_in_place", "z", {"axis": 1}),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "what", "options"), CASES)
def test_they_are_scipys(name, what, options, dtype):
    f = np.random.default_rng(5).normal(size=(5, 8, 9)).astype(dtype)
    given = {"f": f, "z": f + 1j * f[::-1]}[what]
    found, right = (getattr(one, name)(given.copy(), **options) for one in (transforms(), ScipyTransforms()))
    assert isinstance(transforms(), PocketFFT) and found.dtype == right.dtype
    np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
def test_what_is_given_is_not_written_on(name):
    z = np.random.default_rng(6).normal(size=(4, 8)) + (0.0 if name == "rfft" else 1j)
    before = z.copy()
    for n in (None, 4, 8, 16):
        getattr(transforms(), name)(z, n=n, axis=-1)
        np.testing.assert_array_equal(z, before)


class Other:
    """A module with the names of old and another meaning."""

    def __getattr__(self, name):
        return lambda f, *_: f


@pytest.mark.parametrize("module", [Other, lambda: None, lambda: 1 / 0])
def test_where_the_module_is_another_the_public_functions_serve(monkeypatch, module):
    monkeypatch.setattr(pocketfft, "_module", module)
    found = transforms.__wrapped__()
    assert isinstance(found, ScipyTransforms) and agrees(found)
