"""Where every map of a line takes a point, and its matrix there: exact, and with a pullback.

The matrix is what the map's own pullback makes of six unit cotangents, so it is exact for every map, at any point. Its
cotangent needs second derivatives. An automatic differentiation goes through the pullback; by hand they are differences
of pullbacks, of fourth order, about the point::

    sum_ij R_bar_ij dR_ij = sum_j d/dh [R_bar_{:,j} . df(z + h e_j)]

whose points are one beam of particles, in one call. With the step of `STEP` they are good to 1e-11 in float64 (1e-5 in
float32), and exact for linear maps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from array_api_compat import device

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.lattice_functions.products import transposed
from backbeam.reference import Reference

if TYPE_CHECKING:
    from backbeam.lattice_functions.passages import Kind, Passages
    from backbeam.maps.base import Map
    from backbeam.species import Species

STEP = {"float64": 1e-4, "float32": 2e-2}
"""Step of the differences [m, 1]."""
STENCIL = ((1.0, 2.0 / 3.0), (-1.0, -2.0 / 3.0), (2.0, -1.0 / 12.0), (-2.0, 1.0 / 12.0))
"""Points and weights of a first derivative, in steps: of fourth order."""


class Linear(NamedTuple):
    """Every map of a line to first order."""

    after: Array
    """Where it takes its point ``(..., K, 6)``."""
    R: Array
    """Its matrix there ``(..., K, 6, 6)``."""


class LinearBars(NamedTuple):
    """Cotangents of what `linearised` starts from."""

    z: Array
    beta_gamma: Array
    vector: Array


def step_of(z: Array) -> float:
    """Step of the differences for arrays like this one."""
    return STEP["float32" if z.dtype == namespace(z).float32 else "float64"]


def linearised(passages: Passages, species: Species, vector: Array, beta_gamma: Array, z: Array) -> Linear:
    """Every map about its own point.

    Parameters
    ----------
    passages, species:
        The line, and what goes through it.
    vector:
        Its parameters ``(..., n)``.
    beta_gamma:
        P0/(m c) before each map ``(..., K)``.
    z:
        Coordinates before each map ``(..., K, 6)``.
    """
    found, xp, batch = [], namespace(z), tuple(z.shape[:-2])
    for number, kind in enumerate(passages.kinds):
        if number in passages.held:
            found.append(tuple(xp.broadcast_to(part, (*batch, *part.shape)) for part in passages.held[number]))
            continue
        own = (taken(kind, vector, z), _at(z, kind, -2), _at(beta_gamma, kind, -1))
        found.append(_compiled(_about, kind, species, z)(kind.map, species, *own))
    index = _index(passages.order, z)
    after, R = (xp.concat([pair[k] for pair in found], axis=-2 - k) for k in (0, 1))
    return Linear(xp.take(after, index, axis=-2), xp.take(R, index, axis=-3))


def linearised_pullback(
    passages: Passages, species: Species, vector: Array, beta_gamma: Array, z: Array, after: Array, R: Array | None
) -> LinearBars:
    """Cotangents from those of `linearised`: ``after`` and ``R``, or None, which is cheaper."""
    xp = namespace(z)
    size, batch = vector.shape[-1], tuple(z.shape[:-2])
    z_bars, beta_gamma_bars, positions, values = [], [], [], []
    for kind in passages.kinds:
        own = (taken(kind, vector, z), _at(z, kind, -2), _at(beta_gamma, kind, -1))
        mine = (_at(after, kind, -2), None if R is None else _at(R, kind, -3))
        z_bar, beta_gamma_bar, found = _compiled(_about_pullback, kind, species, z)(kind.map, species, *own, *mine)
        z_bars.append(z_bar)
        beta_gamma_bars.append(xp.zeros_like(z_bar[..., 0]) + beta_gamma_bar)
        for name, (index, shape) in kind.taken.items():
            flat = xp.broadcast_to(found[name], (*batch, len(kind.at), *shape))
            values.append(xp.reshape(flat, (-1, len(index))))
            positions.append(index)
    index = _index(passages.order, z)
    into = backends.of(z)
    total = into.scatter_add(
        xp.concat(values, axis=-1), _index([i for part in positions for i in part.tolist()], z), size
    )
    return LinearBars(
        xp.take(xp.concat(z_bars, axis=-2), index, axis=-2),
        xp.take(xp.concat(beta_gamma_bars, axis=-1), index, axis=-1),
        xp.reshape(total, (*batch, size)),
    )


def taken(kind: Kind, vector: Array, z: Array) -> dict[str, Array]:
    """Parameters of the maps of a kind, each ``(..., m, own shape)``."""
    xp = namespace(vector)
    batch, m = tuple(z.shape[:-2]), len(kind.at)
    found = {}
    for name, (index, shape) in kind.taken.items():
        values = xp.take(vector, _index(index, z), axis=-1)
        values = xp.reshape(values, (*values.shape[:-1], m, *shape)) if shape else values
        whole = (*batch, m, *shape)
        found[name] = values if values.shape == whole else xp.broadcast_to(values, whole)
    return found


def _about(map_: Map, species: Species, p: Any, z: Array, beta_gamma: Array) -> tuple[Array, Array]:
    """A kind of map about its points ``(..., m, 6)``."""
    xp, reference = namespace(z), Reference(beta_gamma, species)
    unit = xp.broadcast_to(xp.eye(6, dtype=z.dtype, device=device(z)), (*z.shape[:-1], 6, 6))
    if map_.linear and not map_.accelerates:
        both = map_.forward(xp.concat([unit, z[..., None]], axis=-1), reference, p)
        return both[..., 6], both[..., :6]
    after = map_.forward(z[..., None], reference, p)[..., 0]
    X = xp.broadcast_to(z[..., None], unit.shape)
    return after, transposed(map_.pullback(X, reference, p, unit)[0])


def _about_pullback(
    map_: Map, species: Species, p: Any, z: Array, beta_gamma: Array, after_bar: Array, R_bar: Array | None
) -> tuple[Array, Any, dict[str, Array]]:
    """Cotangents of the points, of the reference and of the parameters of a kind of map."""
    xp, reference, step = namespace(z), Reference(beta_gamma, species), step_of(z)
    unit = xp.eye(6, dtype=z.dtype, device=device(z))
    points, cotangents = [z[..., None]], [after_bar[..., None]]
    if R_bar is not None:
        for where, weight in STENCIL:
            points.append(z[..., None] + (where * step) * unit)
            cotangents.append((weight / step) * R_bar)
    X, X1_bar = xp.concat(points, axis=-1), xp.concat(cotangents, axis=-1)
    X_bar, beta_gamma_bar, bars = map_.pullback(X, reference, p, X1_bar)
    return xp.sum(X_bar, axis=-1), beta_gamma_bar, bars


def _compiled(function: Any, kind: Kind, species: Species, z: Array) -> Any:
    return backends.of(z).compile(function, static=(0, 1))


def _at(values: Array, kind: Kind, axis: int) -> Array:
    """Of values of all maps, along an axis, those of a kind."""
    return namespace(values).take(values, _index(kind.at, values), axis=axis)


def _index(host: Any, like: Array) -> Array:
    """Whole numbers of the host as an index beside an array."""
    if isinstance(like, np.ndarray):
        return np.asarray(host)
    xp = namespace(like)
    return xp.asarray([int(k) for k in host], dtype=xp.int32, device=device(like))
