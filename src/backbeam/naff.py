"""Tunes of turn-by-turn data by NAFF: the strongest line of a spectrum, between the lines of the discrete one."""

from __future__ import annotations

from math import pi

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.errors import InputError


def tunes_of(positions: Array, momenta: Array | None = None, *, newton: int = 8) -> Array:
    """Tune of turn-by-turn data ``(..., T)``: the strongest line of its spectrum, by NAFF.

    Parameters
    ----------
    positions:
        Of a monitor or particle, turn by turn [m].
    momenta:
        With them the tune is known from 0 to 1 (`positions - i momenta`, in normalised coordinates or not); without,
        from 0 to 1/2.
    newton:
        Steps from the maximum of the discrete spectrum to that of the continuous one.

    Returns
    -------
    tunes
        Fractional parts ``(...)``; NaN for data that stand still. With a Hann window the error falls like 1/T^4
        (Laskar, Physica D 67 (1993) 257).

    Examples
    --------
    >>> import numpy as np
    >>> positions = np.cos(2 * np.pi * 0.2314 * np.arange(256))
    >>> f"{float(bb.tunes_of(positions)):.4f}"
    '0.2314'
    """
    xp = namespace(positions)
    T = positions.shape[-1]
    if T < 8:
        raise InputError("positions", f"{T} turns", "at least 8")
    wide = xp.complex128 if positions.dtype == xp.float64 else xp.complex64
    n = xp.arange(T, dtype=positions.dtype, device=device(positions))
    window = 1.0 - xp.cos(2.0 * pi * (n + 0.5) / T)

    def centred(data: Array) -> Array:
        return data - xp.sum(window * data, axis=-1, keepdims=True) / T

    x = centred(positions)
    z = xp.astype(x, wide) if momenta is None else xp.astype(x, wide) - 1.0j * xp.astype(centred(momenta), wide)
    z = z * xp.astype(window, wide)
    size = xp.abs(backends.of(positions).fft.fft(z, n=T, axis=-1))
    upper = T // 2 if momenta is None else T
    first = xp.argmax(size[..., :upper], axis=-1)
    # The maximum of |F|^2, F(q) = sum z exp(-2 pi i q n), n from the middle, where F hardly turns.
    m = n - 0.5 * (T - 1)
    q = xp.astype(first, positions.dtype) / T
    for _ in range(newton + 6):
        turned = z * xp.exp(xp.astype(-2.0 * pi * q[..., None] * m, wide) * 1.0j)
        F0, F1, F2 = (xp.sum(turned * xp.astype((-2.0 * pi * m) ** j, wide) * (1.0j**j), axis=-1) for j in range(3))
        slope = 2.0 * xp.real(xp.conj(F0) * F1)
        curvature = 2.0 * (xp.real(xp.conj(F0) * F2) + xp.real(xp.conj(F1) * F1))
        change = -slope / xp.where(curvature < 0.0, curvature, xp.full_like(curvature, float("inf")))
        # Uphill by a quarter of a line of the spectrum where it is not yet concave.
        uphill = xp.where(slope > 0.0, xp.full_like(slope, 0.25 / T), xp.full_like(slope, -0.25 / T))
        change = xp.where(curvature < 0.0, xp.clip(change, -0.5 / T, 0.5 / T), uphill)
        q = q + change
    still = xp.max(size, axis=-1) == 0.0
    return xp.where(still, xp.full_like(q, float("nan")), xp.remainder(q, 1.0))
