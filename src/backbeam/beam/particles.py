"""What particles must be to be a beam: of shapes that fit, finite, and going forward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backbeam import backends
from backbeam.arrays import Array, namespace, per_particle, rows
from backbeam.errors import InputError

if TYPE_CHECKING:
    from backbeam.reference import Reference


def together(X: Array, q: Array, reference: Reference) -> tuple[Array, Array]:
    """Coordinates and charges in the full batch shape."""
    xp, n = namespace(X), X.shape[-1]
    try:
        batch = np.broadcast_shapes(X.shape[:-2], q.shape[:-1], reference.beta_gamma.shape)
    except ValueError:
        shapes = f"{tuple(X.shape[:-2])}, {tuple(q.shape[:-1])}, {tuple(reference.beta_gamma.shape)}"
        raise InputError(
            "beam", f"batches of {shapes}", "batch axes of coordinates, charges, energy that fit"
        ) from None
    return xp.broadcast_to(X, (*batch, 6, n)), xp.broadcast_to(q, (*batch, n))


def check(X: Array, reference: Reference) -> None:
    """Refuse particles that are not finite, or do not go forward; traced ones are not looked at."""
    inverse_beta = reference.inverse_beta
    if backends.of(X).traced([X, inverse_beta]):
        return
    with backends.of(X).quiet():
        broken, turned, any_broken, any_turned = _faults(X, inverse_beta)
    if bool(any_broken):
        raise InputError("beam.coordinates", _found(broken, "NaN or inf"), "finite numbers")
    if bool(any_turned):
        found = _found(turned, "too little momentum along s")
        raise InputError("beam.coordinates", found, "px^2 + py^2 < p^2 = 1 + pt (2/beta0 + pt), in units of P0")


@backends.as_one
def _faults(X: Array, inverse_beta: Array) -> tuple[Array, ...]:
    """Which particles ``(..., n)`` are no numbers, and which go backwards; whether there are any of either."""
    xp = namespace(X)
    broken = xp.any(~xp.isfinite(X), axis=-2)
    _, px, _, py, _, pt = rows(X)
    e, p_squared = pt + per_particle(inverse_beta), pt * (2.0 * per_particle(inverse_beta) + pt)
    turned = (px * px + py * py - p_squared >= 1.0) | (e <= 0.0)
    return broken, turned, xp.any(broken), xp.any(turned)


def _found(where: Array, what: str) -> str:
    host = backends.of(where).to_numpy(where)
    first = tuple(int(k) for k in np.argwhere(host)[0])
    index = first[0] if len(first) == 1 else first
    return f"{int(host.sum())} of {host.size} particles with {what}, the first at index {index}"
