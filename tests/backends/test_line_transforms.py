"""Transforms of lines by code of our own against SciPy's of whole lines."""

from __future__ import annotations

import numpy as np
import pytest

from backbeam_backends import line_transforms
from backbeam_backends.fusing import machine, transform
from backbeam_backends.line_transforms import LineTransforms
from backbeam_backends.pocketfft import transforms
from backbeam_backends.setbacks import PlainPathWarning, Setbacks

LENGTHS = (1, 2, 3, 5, 6, 8, 15, 20, 36, 64)
NAMES = ("padded", "cut", "filtered", "filtered_both", "cosine")


def given(name, n, lines=37, dtype=np.float64):
    """Two grids of lines, and what belongs to them."""
    rng = np.random.default_rng(7)
    f, h, long = (rng.normal(size=(2, m, lines, 2)).astype(dtype) @ [1.0, 1j] for m in (n, n, 2 * n))
    if dtype == np.float32:
        f, h, long = (a.astype(np.complex64) for a in (f, h, long))
    g = rng.normal(size=(2, n + 1, lines)).astype(dtype)
    return {"padded": (f,), "cut": (long,), "filtered": (f, g), "filtered_both": (f, h, g), "cosine": (g,)}[name]


def called(of, name, arrays):
    """All results, of arrays that may be written on."""
    found = getattr(of, name)(*(a.copy() for a in arrays), **({"axis": -2} if name == "cosine" else {}))
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", LENGTHS)
def test_they_are_those_of_whole_lines(monkeypatch, n, name):
    made = []
    monkeypatch.setattr(line_transforms, "_run", lambda *a, run=line_transforms._run: (made.append(a), run(*a)))
    arrays = given(name, n)
    found, right = (called(one, name, arrays) for one in (LineTransforms(transforms(), Setbacks()), transforms()))
    assert len(made) == 1
    for a, b in zip(found, right, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0.0, atol=3e-15 * np.abs(b).max())


@pytest.mark.parametrize("name", NAMES)
def test_bits_hang_neither_on_threads_nor_on_neighbours(monkeypatch, name):
    own, arrays = LineTransforms(transforms(), Setbacks()), given(name, 12, 300)
    right = called(own, name, arrays)
    monkeypatch.setattr(line_transforms, "WORTH", 1)
    for threads in (2, 3):
        monkeypatch.setattr(line_transforms, "thread_count", lambda threads=threads: threads)
        for a, b in zip(called(own, name, arrays), right, strict=True):
            np.testing.assert_array_equal(a, b)
    some = called(own, name, [a[..., 11:131] for a in arrays])
    for a, b in zip(some, right, strict=True):
        if name != "cosine":  # of which two are one that is complex
            np.testing.assert_array_equal(a, b[..., 11:131])


@pytest.mark.parametrize("case", [{"n": 7}, {"n": 1025}, {"n": 8, "lines": 5}, {"n": 8, "dtype": np.float32}], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_what_there_is_no_code_for_is_scipys(monkeypatch, case, name):
    monkeypatch.setattr(machine, "register_bits", lambda: 512)
    monkeypatch.setattr(machine, "load", lambda *_: 1 / 0)
    arrays, setbacks = given(name, **case), Setbacks()
    found, right = (called(one, name, arrays) for one in (LineTransforms(transforms(), setbacks), transforms()))
    for a, b in zip(found, right, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not setbacks.text


def test_where_no_code_can_be_made_it_is_said_once(monkeypatch):
    monkeypatch.setattr(machine, "load", lambda *_: 1 / 0)
    line_transforms._made.cache_clear()
    setbacks, arrays = Setbacks(), given("filtered", 8)
    own = LineTransforms(transforms(), setbacks)
    with pytest.warns(PlainPathWarning, match="no compiled transforms"):
        found = own.filtered(*arrays)
    np.testing.assert_array_equal(found, transforms().filtered(*arrays))
    assert own.padded(arrays[0]).shape == (2, 16, 37)


def test_code_for_other_registers():
    """Of half the width, as other processors have them."""
    f = given("padded", 6)[0]
    made, code = np.empty((2, 12, 37), complex), machine.load(transform.padded(6, 2), transform.NAME)
    line_transforms._run(code, f, made)
    np.testing.assert_allclose(made, transforms().padded(f), rtol=0.0, atol=1e-14)
