"""PocketFFT as SciPy has it, without the package around it, whose import takes as long as all of ours.

`scipy.fft` keeps float32, transforms several rows in one register and uses threads; NumPy's own transforms do not. Its
machine code is one module that imports nothing. It is not public: where it is not found, or does not do what it did,
`scipy.fft` does the same, to the same bits.
"""

from __future__ import annotations

from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

from backbeam_backends.blocks import thread_count
from backbeam_backends.transforms import Transforms

THREADS_FROM = 1 << 16
"""Numbers in an array from which on its transform is shared out among threads."""
NAME = "pypocketfft"


class PocketFFT(Transforms):
    """Transforms by the module itself."""

    xp = np

    def __init__(self, module: Any) -> None:
        self.module = module

    def rfft(self, f: np.ndarray, n: int | None = None, axis: int = -1) -> np.ndarray:
        """As `scipy.fft.rfft`."""
        return self.module.r2c(_of_length(f, n, axis), (axis,), True, 0, None, workers(f))

    def irfft(self, f: np.ndarray, n: int | None = None, axis: int = -1) -> np.ndarray:
        """As `scipy.fft.irfft`."""
        n = 2 * (f.shape[axis] - 1) if n is None else n
        return self.module.c2r(_of_length(f, n // 2 + 1, axis), (axis,), n, False, 2, None, workers(f))

    def fft(self, f: np.ndarray, n: int | None = None, axis: int = -1) -> np.ndarray:
        """As `scipy.fft.fft`."""
        given = _of_length(f, n, axis)
        return self.module.c2c(given, (axis,), True, 0, given if _is_new(given, f) else None, workers(f))

    def ifft(self, f: np.ndarray, n: int | None = None, axis: int = -1) -> np.ndarray:
        """As `scipy.fft.ifft`."""
        given = _of_length(f, n, axis)
        return self.module.c2c(given, (axis,), False, 2, given if _is_new(given, f) else None, workers(f))

    def ifft_in_place(self, f: np.ndarray, *, axis: int) -> np.ndarray:
        """Written on where it is complex."""
        return self.module.c2c(f, (axis,), False, 2, f if f.dtype.kind == "c" else None, workers(f))

    def cosine(self, g: np.ndarray, *, axis: int) -> np.ndarray:
        """As `scipy.fft.dct`."""
        return self.module.dct(g, 1, (axis,), 0, None, workers(g))


class ScipyTransforms(Transforms):
    """The same by the public functions."""

    xp = np

    def __init__(self) -> None:
        import scipy.fft

        self.scipy = scipy.fft

    def rfft(self, f: np.ndarray, n: int | None = None, axis: int = -1) -> np.ndarray:
        """`scipy.fft.rfft`."""
        return self.scipy.rfft(f, n=n, axis=axis, workers=workers(f))

    def irfft(self, f: np.ndarray, n: int | None = None, axis: int = -1) -> np.ndarray:
        """`scipy.fft.irfft`."""
        return self.scipy.irfft(f, n=n, axis=axis, workers=workers(f))

    def fft(self, f: np.ndarray, n: int | None = None, axis: int = -1) -> np.ndarray:
        """`scipy.fft.fft`."""
        return self.scipy.fft(f, n=n, axis=axis, workers=workers(f))

    def ifft(self, f: np.ndarray, n: int | None = None, axis: int = -1) -> np.ndarray:
        """`scipy.fft.ifft`."""
        return self.scipy.ifft(f, n=n, axis=axis, workers=workers(f))

    def ifft_in_place(self, f: np.ndarray, *, axis: int) -> np.ndarray:
        """Written on where SciPy can."""
        return self.scipy.ifft(f, axis=axis, overwrite_x=True, workers=workers(f))

    def cosine(self, g: np.ndarray, *, axis: int) -> np.ndarray:
        """`scipy.fft.dct`."""
        return self.scipy.dct(g, axis=axis, type=1, workers=workers(g))


def workers(a: np.ndarray) -> int:
    """Threads, where they are worth starting; blocks are shared out among the cores already."""
    return thread_count() if a.size > THREADS_FROM else 1


@cache
def transforms() -> Transforms:
    """Those of this process."""
    try:
        found = PocketFFT(_module())
        if agrees(found):
            return found
    except Exception:  # whatever it is, the public functions are there
        pass
    return ScipyTransforms()


def _module() -> Any:
    """The module with the machine code, loaded from its file."""
    package = find_spec("scipy")
    assert package is not None and package.submodule_search_locations
    folder = Path(package.submodule_search_locations[0]) / "fft" / "_pocketfft"
    path = next(p for suffix in EXTENSION_SUFFIXES if (p := folder / f"{NAME}{suffix}").is_file())
    spec = spec_from_file_location(NAME, path, loader=ExtensionFileLoader(NAME, str(path)))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def agrees(found: Transforms) -> bool:
    """Whether they are what NumPy says they are, of a few numbers."""
    f = np.asarray([[3.0, -1.0, 0.5, 2.0, 7.0]])
    z, fft = f + 1j * f[:, ::-1] ** 2, np.fft
    pairs = [
        (found.rfft(f, n=8), fft.rfft(f, n=8)), (found.irfft(z, n=8), fft.irfft(z, n=8)),
        (found.irfft(z), fft.irfft(z)), (found.fft(z, n=8), fft.fft(z, n=8)), (found.fft(f, axis=-1), fft.fft(f)),
        (found.ifft(z, n=4), fft.ifft(z, n=4)), (found.ifft_in_place(z.copy(), axis=-1), fft.ifft(z)),
        (found.cosine(f, axis=-1), fft.rfft([[3.0, -1.0, 0.5, 2.0, 7.0, 2.0, 0.5, -1.0]]).real),
    ]  # fmt: skip
    return all(a.shape == b.shape and np.allclose(a, b, rtol=1e-12, atol=1e-12) for a, b in pairs)


def _of_length(f: np.ndarray, n: int | None, axis: int) -> np.ndarray:
    """As many entries along an axis, those that are not there 0."""
    m = f.shape[axis]
    if n is None or n == m:
        return f
    inner: list[slice] = [slice(None)] * f.ndim
    inner[axis] = slice(0, min(m, n))
    if n < m:
        return f[tuple(inner)]
    shape = list(f.shape)
    shape[axis] = n
    longer = np.zeros(shape, f.dtype)
    longer[tuple(inner)] = f
    return longer


def _is_new(given: np.ndarray, f: np.ndarray) -> bool:
    """Whether it was made here, and is complex: then it may be written on."""
    return given is not f and given.base is None and given.dtype.kind == "c"
