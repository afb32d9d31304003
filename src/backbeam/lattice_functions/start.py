"""With which lattice functions a line begins: given ones, or those of a beam."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from array_api_compat import device

from backbeam.arrays import Array, namespace
from backbeam.errors import InputError, Said
from backbeam.lattice_functions.solution import Beginning
from backbeam.moments import safe_divide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbeam.beam import Beam


@dataclass(frozen=True)
class Twiss:
    """Lattice functions at the start of a line that is no ring: numbers, or arrays with batch axes.

    Parameters
    ----------
    beta_x, beta_y:
        Twiss beta [m], greater than 0.
    alpha_x, alpha_y:
        Twiss alpha.
    dispersion_x, dispersion_px, dispersion_y, dispersion_py:
        Change of the orbit with pt [m, 1].

    Examples
    --------
    >>> start = bb.Twiss(beta_x=10.0, alpha_x=-1.0, beta_y=5.0)
    >>> start.beta_x
    10.0
    """

    beta_x: Array | float
    beta_y: Array | float
    alpha_x: Array | float = 0.0
    alpha_y: Array | float = 0.0
    dispersion_x: Array | float = 0.0
    dispersion_px: Array | float = 0.0
    dispersion_y: Array | float = 0.0
    dispersion_py: Array | float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no lattice function."""
        for f in fields(self):
            value = getattr(self, f.name)
            if hasattr(value, "shape"):
                continue
            positive = f.name.startswith("beta")
            if isinstance(value, bool) or not isinstance(value, int | float) or (positive and not value > 0):
                unit = "a beta in m, greater than 0" if positive else "a number"
                raise InputError(f"start.{f.name}", value, unit)

    @classmethod
    def of(cls, beam: Beam) -> Twiss:
        """Lattice functions of a beam: of its second moments without what pt does to them."""
        var = beam.sigma("pt") ** 2
        found: dict[str, Any] = {}
        cov = beam.cov()
        for plane, k in (("x", 0), ("y", 2)):
            D, Dp = safe_divide(cov[..., k, 5], var), safe_divide(cov[..., k + 1, 5], var)
            qq = cov[..., k, k] - D * D * var
            qp = cov[..., k, k + 1] - D * Dp * var
            pp = cov[..., k + 1, k + 1] - Dp * Dp * var
            square = qq * pp - qp * qp
            if not beam.backend.traced([square]) and not bool(namespace(square).all(square > 0.0)):
                allowed = f"a beam with an emittance in {plane}, besides what its dispersion makes"
                raise InputError("start", Said(f"a beam without one in {plane}"), allowed)
            emittance = namespace(qq).sqrt(square)
            found |= {f"beta_{plane}": qq / emittance, f"alpha_{plane}": -qp / emittance}
            found |= {f"dispersion_{plane}": D, f"dispersion_p{plane}": Dp}
        return cls(**found)

    def arrays(self, as_array: Any) -> dict[str, Array]:
        """Every field as an array beside another."""
        return {f.name: as_array(getattr(self, f.name), f"start.{f.name}") for f in fields(self)}


def beginning(given: Mapping[str, Array]) -> Beginning:
    """Normal form and dispersion from the fields of a `Twiss`."""
    xp = namespace(*given.values())
    names = list(given)
    spread = dict(zip(names, xp.broadcast_arrays(*given.values()), strict=True))
    zero, one = xp.zeros_like(spread["beta_x"]), xp.ones_like(spread["beta_x"])
    rows = []
    for k, plane in enumerate("xy"):
        root = xp.sqrt(spread[f"beta_{plane}"])
        before, after = [zero] * (2 * k), [zero] * (2 - 2 * k)
        rows.append([*before, root, zero, *after])
        rows.append([*before, -spread[f"alpha_{plane}"] / root, 1.0 / root, *after])
    A = xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)
    of_pt = [spread[f"dispersion_{q}"] for q in ("x", "px", "y", "py")]
    return Beginning(A, xp.stack([*of_pt, zero, one], axis=-1))


def beginning_pullback(given: Mapping[str, Array], A_bar: Array, v_bar: Array) -> dict[str, Array]:
    """Cotangents of the fields of a `Twiss`."""
    xp = namespace(A_bar)
    found: dict[str, Array] = {}
    for k, plane in ((0, "x"), (2, "y")):
        beta, alpha = given[f"beta_{plane}"], given[f"alpha_{plane}"]
        root = xp.sqrt(beta)
        slope_bar = A_bar[..., k + 1, k]
        root_bar = A_bar[..., k, k] + (alpha * slope_bar - A_bar[..., k + 1, k + 1]) / beta
        found |= {f"beta_{plane}": 0.5 * root_bar / root, f"alpha_{plane}": -slope_bar / root}
        found |= {f"dispersion_{plane}": v_bar[..., k], f"dispersion_p{plane}": v_bar[..., k + 1]}
    return found


def axis(like: Array, pt: Array | None = None) -> Array:
    """Coordinates of the reference ``(..., 6)``; or of a particle of another energy on it."""
    xp = namespace(like)
    if pt is None:
        return xp.zeros(6, dtype=like.dtype, device=device(like))
    zero = xp.zeros_like(pt)
    return xp.stack([zero, zero, zero, zero, zero, pt], axis=-1)
