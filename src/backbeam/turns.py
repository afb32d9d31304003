"""A beam through a ring turn by turn, and the tunes of what it did there.

Every turn is the same plan, compiled once; nothing grows with the number of turns but what is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING

from array_api_compat import device

from backbeam import backends, moments
from backbeam.arrays import Array, namespace
from backbeam.beam import Beam
from backbeam.course import Course
from backbeam.errors import InputError, TrackingError
from backbeam.plan import ALIVE, State, advance
from backbeam.run import Run

if TYPE_CHECKING:
    from backbeam.effects.base import Effect
    from backbeam.line import Line


@dataclass(frozen=True, eq=False)
class Turns:
    """What was recorded at the start of the ring, before the first and after every turn: T + 1 times."""

    beam: Beam
    """The beam at the end."""
    mean: Array
    """``(..., 6, T + 1)`` [m, 1], of those alive."""
    sigma: Array
    """rms sizes ``(..., 6, T + 1)``."""
    alive: Array
    """Number of particles alive ``(..., T + 1)``."""
    lost_in: Array
    """Turn in which each particle was lost ``(..., n)``, from 1; 0: it is alive, or was lost before."""
    positions: Array | None
    """Coordinates of the chosen particles ``(..., 6, k, T + 1)``."""


def track_turns(
    line: Line,
    beam: Beam,
    turns: int,
    *,
    particles: Sequence[int] | None = None,
    space_charge: Effect | None = None,
    effects: Iterable[Effect] = (),
    slices: int | None = None,
    step: float | None = None,
) -> Turns:
    """Track a beam through a line again and again.

    Parameters
    ----------
    line, beam, space_charge, effects, slices, step:
        As in `backbeam.track`.
    turns:
        How many times.
    particles:
        Indices of those whose coordinates are recorded after every turn; None: none.

    Raises
    ------
    InputError
        For a number of turns below 1, or a particle that there is not.
    TrackingError
        If particles turn round; it says by which turn.
    """
    if isinstance(turns, bool) or not isinstance(turns, int) or turns < 1:
        raise InputError("turns", turns, "a whole number, at least 1")
    run = Run(Course.of(line, space_charge=space_charge, effects=effects, slices=slices, step=step), beam)
    chosen = None if particles is None else [int(k) for k in particles]
    for k in chosen or []:
        if not 0 <= k < beam.n:
            raise InputError("particles", k, f"indices from 0 to {beam.n - 1}")
    plan, state = run.course.plan, run.state()
    setting = run.setting(plan)
    xp = namespace(state.X)
    lost_in = xp.zeros_like(state.lost_at)
    index = None if chosen is None else xp.asarray(chosen, dtype=xp.int32, device=device(state.X))
    seen = [_looked(state, index)]
    for turn in range(1, turns + 1):
        before = state.lost_at == ALIVE
        state, _ = advance(plan, setting, state, run.parameters)
        now = before & (state.lost_at != ALIVE)
        lost_in = xp.where(now, xp.full_like(lost_in, turn), lost_in)
        seen.append(_looked(state, index))
        if not run.backend.traced([state.X]) and not bool(xp.all(xp.isfinite(seen[-1][0]))):
            raise TrackingError(f"particles turn round (px^2 + py^2 > p^2) in turn {turn}")
    mean, sigma, alive = (xp.stack([one[k] for one in seen], axis=-1) for k in range(3))
    positions = None if index is None else xp.stack([one[3] for one in seen], axis=-1)
    final = run.result(state, plan, ()).replace(s=beam.s + turns * line.length)
    return Turns(final, mean, sigma, alive, lost_in, positions)


def _looked(state: State, index: Array | None) -> tuple[Array, ...]:
    """Mean, rms sizes, number alive, and the chosen particles."""
    xp, alive = namespace(state.X), state.lost_at == ALIVE
    mean = moments.centroid(state.X, state.q, alive)
    sigma = moments.safe_sqrt(moments.variance(state.X, state.q, alive))
    count = xp.sum(xp.astype(alive, xp.int32), axis=-1)
    return (mean, sigma, count, *(() if index is None else (xp.take(state.X, index, axis=-1),)))


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
