"""The orbit of a line: from where it starts, or the one that closes, by Newton's method on the exact maps.

All maps are taken about a guess at once. To first order they are affine, z -> R z + b, and so is the line; what it
asks of the start is a system of six equations, and the orbit behind it is the next guess at every place (multiple
shooting: Stoer & Bulirsch, Introduction to Numerical Analysis, 7.3.5). Convergence is quadratic. A line of affine maps
is known after one look, with its derivatives, and so is one that leaves the axis alone.

At a fixed point the derivative of the orbit is that of its last step with the matrices held, so that the cotangent
goes back through the transposed matrices once, and once more for what the closing of the orbit asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.errors import TrackingError
from backbeam.lattice_functions.linearisation import Linear, linearised
from backbeam.lattice_functions.products import affine, as_one, from_start, products, solved, times, transposed

if TYPE_CHECKING:
    from backbeam.lattice_functions.passages import Passages
    from backbeam.species import Species

ITERATIONS = 30
"""Steps of Newton's method after which there is no orbit."""
TRACED_ITERATIONS = 8
"""Steps under a trace, where nobody can look whether it has converged."""


class Closing(NamedTuple):
    """What is asked of an orbit: that its first ``closed`` coordinates return, from the rest of ``start``.

    0: nothing, it starts at ``start``. 4: x, px, y, py return, at the tau and pt of ``start``. 6: all return.
    """

    closed: int
    start: Array
    """``(..., 6)``"""


class Orbit(NamedTuple):
    """An orbit, and every map about it."""

    z: Array
    """At the start and after every map ``(..., K + 1, 6)``."""
    linear: Linear
    M: Array | None = None
    """Matrix from the start to every place between two maps ``(..., K + 1, 6, 6)``, where it was found on the way."""


def find_orbit(passages: Passages, species: Species, vector: Array, beta_gamma: Array, closing: Closing) -> Orbit:
    """The orbit, to rounding.

    ``beta_gamma`` is that before each map ``(..., K)``.

    Raises
    ------
    TrackingError
        If Newton's method does not converge.
    """
    xp, backend = namespace(vector), backends.of(vector)
    constant, K = backend.constant, len(passages.steps)
    batch = tuple(beta_gamma.shape[:-1])
    given = (constant(vector), constant(beta_gamma))
    held = closing._replace(start=constant(closing.start))
    traced = backend.traced([vector, beta_gamma, closing.start])
    zero = xp.zeros((*batch, K + 1, 6), dtype=vector.dtype, device=device(vector))
    if passages.affine:
        linear = linearised(passages, species, vector, beta_gamma, zero[..., :-1, :])
        z, M = as_one(_affine_orbit, linear.R, linear.after, zero, closing.start, closing.closed, static=(4,))
        return Orbit(z, linear._replace(after=z[..., 1:, :]), M)
    z = zero if closing.closed else zero + held.start[..., None, :]
    change, converged = float("inf"), False
    if traced:
        z = _iterated(passages, species, *given, held, z)
    for iteration in range(0 if traced else ITERATIONS):
        with backend.quiet():
            linear = linearised(passages, species, *given, z[..., :-1, :])
            following = _following(linear, z, held)
        before, change = change, _largest(following - z) / (1.0 + _largest(following))
        rounding = float(xp.finfo(z.dtype).eps)
        # Close to rounding the change of the last steps only flickers.
        converged = change <= rounding or (change < 1e4 * rounding and change >= 0.25 * before)
        if change == 0.0:
            break
        z = following
        if converged:
            break
        if not change < float("inf"):
            raise TrackingError(_lost(closing, iteration))
    if not traced and not converged:
        raise TrackingError(_lost(closing, ITERATIONS))
    if backend.records([vector, beta_gamma, closing.start]):
        about = linearised(passages, species, vector, beta_gamma, constant(z)[..., :-1, :])
        z = _following(Linear(about.after, constant(about.R)), constant(z), closing)
    elif change == 0.0:
        return Orbit(z, linear)
    return Orbit(z, linearised(passages, species, vector, beta_gamma, z[..., :-1, :]))


def _iterated(
    passages: Passages, species: Species, vector: Array, beta_gamma: Array, closing: Closing, z: Array
) -> Array:
    """A fixed number of steps of Newton's method."""

    def body(z: Array, _: None) -> tuple[Array, None]:
        linear = linearised(passages, species, vector, beta_gamma, z[..., :-1, :])
        return _following(linear, z, closing), None

    return backends.of(z).scan(body, z, None, TRACED_ITERATIONS)[0]


def _lost(closing: Closing, iteration: int) -> str:
    what = "closed orbit" if closing.closed else "orbit"
    return f"there is no {what} near the axis: Newton's method on the exact maps fails after {iteration + 1} steps"


def _largest(z: Array) -> float:
    xp = namespace(z)
    size = xp.max(xp.abs(z)) if 0 not in z.shape else xp.sum(z)
    return float(size) if bool(xp.isfinite(size)) else float("inf")


def _following(linear: Linear, z: Array, closing: Closing) -> Array:
    """The orbit of the affine maps about a guess ``(..., K + 1, 6)``."""
    return as_one(_affine_orbit, linear.R, linear.after, z, closing.start, closing.closed, static=(4,))[0]


def _affine_orbit(R: Array, after: Array, z: Array, start: Array, n: int) -> tuple[Array, Array]:
    """The orbit of affine maps, and their products."""
    xp = namespace(z)
    b = after - times(R, z[..., :-1, :])
    along = from_start(products(affine(R, b)))
    start = xp.broadcast_to(start, z[..., 0, :].shape)
    if n:
        total = along[..., -1, :, :]
        rest = xp.concat([start[..., n:], xp.ones_like(start[..., :1])], axis=-1)
        known = times(total[..., :n, n:], rest)
        first = solved(_unit(total, n) - total[..., :n, :n], known[..., None])[..., 0]
        start = xp.concat([first, start[..., n:]], axis=-1)
    first = xp.concat([start, xp.ones_like(start[..., :1])], axis=-1)
    found = times(along, xp.broadcast_to(first[..., None, :], (*along.shape[:-2], 7)))
    return found[..., :6], along[..., :6, :6]


def _unit(M: Array, n: int) -> Array:
    xp = namespace(M)
    return xp.eye(n, dtype=M.dtype, device=device(M))


def orbit_pullback(R: Array, z_bar: Array, closed: int) -> tuple[Array, Array]:
    """Cotangents of where each map takes the orbit ``(..., K, 6)``, and of what is given of the start ``(..., 6)``.

    ``z_bar (..., K + 1, 6)`` is that of the orbit, ``R`` the matrices about it.
    """
    return as_one(_orbit_pullback, R, z_bar, closed, static=(2,))


def _orbit_pullback(R: Array, z_bar: Array, closed: int) -> tuple[Array, Array]:
    xp = namespace(R)
    back = _back(R, z_bar)
    if closed:
        M = _total(R)
        asked = solved(_unit(M, closed) - transposed(M[..., :closed, :closed]), back[..., 0, :closed, None])
        asked = xp.concat([asked[..., 0], xp.zeros_like(back[..., 0, closed:])], axis=-1)
        z_bar = xp.concat([z_bar[..., :-1, :], z_bar[..., -1:, :] + asked[..., None, :]], axis=-2)
        back = _back(R, z_bar)
    start_bar = back[..., 0, :]
    if closed:
        start_bar = xp.concat([xp.zeros_like(start_bar[..., :closed]), start_bar[..., closed:]], axis=-1)
    return back[..., 1:, :], start_bar


def _total(R: Array) -> Array:
    return products(R)[..., -1, :, :]


def _back(R: Array, z_bar: Array) -> Array:
    """Sums of cotangents brought back: l_K = z_bar_K, l_k = z_bar_k + R_{k+1}^T l_{k+1}."""
    xp = namespace(R)
    factors = xp.flip(transposed(R), axis=-3)
    added = xp.flip(z_bar[..., :-1, :], axis=-2)
    along = from_start(products(affine(factors, added)))
    last = xp.concat([z_bar[..., -1, :], xp.ones_like(z_bar[..., -1, :1])], axis=-1)
    found = times(along, xp.broadcast_to(last[..., None, :], (*along.shape[:-2], 7)))
    return xp.flip(found[..., :6], axis=-2)
