"""Linear space charge of a beam that is known by its second moments: that of the uniform ellipsoid with the same ones.

In a uniform ellipsoid of half-axes sqrt(5) sigma the field is linear, and the growth of the second moments that it
causes is, to a few per cent, that of any other density with elliptical symmetry (Sacherer, IEEE Trans. Nucl. Sci. 18
(1971) 1105; Lapostolle, ibid. 1101). With the squares a_i of the half-axes in the rest frame, its field is::

    E_i = Q/(4 pi eps0) F_i x_i      F_i = (3/2) int_0^inf ds/((a_i + s) sqrt((a_1 + s)(a_2 + s)(a_3 + s)))

which is Carlson's R_D. With s = exp(u) the trapezoidal rule converges like exp(-2 pi^2/step): a step of 1/2 is exact to
rounding, for spheres and needles alike, and its derivative is that of the integrand.

A long bunch or coasting beam is a uniform ellipse of half-axes 2 sigma (Kapchinskij & Vladimirskij, 1959), of which the
growth of second moments is exact for every density with elliptical symmetry.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, pi
from typing import TYPE_CHECKING, Any

from array_api_compat import device

from backbeam.arrays import Array, namespace
from backbeam.effects.base import Effect
from backbeam.errors import InputError, Said
from backbeam.species import VACUUM_PERMITTIVITY

if TYPE_CHECKING:
    from backbeam.reference import Reference

_STEP = 0.5
_NODES = tuple(exp(-65.0 + _STEP * k) for k in range(181))


@dataclass(frozen=True)
class LinearSpaceCharge:
    """Space charge of a `MomentBeam`.

    Parameters
    ----------
    length:
        Length [m] over which the charge of a long bunch or coasting beam is even; None: a bunch, an ellipsoid.

    Examples
    --------
    >>> bb.LinearSpaceCharge()
    LinearSpaceCharge(length=None)
    """

    length: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no length."""
        length = self.length
        if length is not None and (isinstance(length, bool) or not 0 < length < float("inf")):
            raise InputError("space_charge.length", length, "a length in m, greater than 0, or None")

    def slopes(self, cov: Array, charge: Array, reference: Reference, ds: Array) -> tuple[Array, Array, Array]:
        """dpx/dx, dpy/dy, dpt/dtau of a kick over ``ds``; all ``(...)``. ``charge`` is a magnitude [C]."""
        strength, sizes = self._given(cov, reference)
        scale = strength * charge * ds
        xp = namespace(cov)
        if self.length is not None:
            a, b = (xp.sqrt(size) for size in sizes[:2])
            # E_x = lambda x/(pi eps0 A (A + B)), A = 2 a
            common = scale / (a + b)
            return common / a, common / b, xp.zeros_like(common)
        F = form_factors(sizes)
        u2 = reference.beta_gamma * reference.beta_gamma
        return scale * F[0] / u2, scale * F[1] / u2, -scale * F[2]

    def slopes_pullback(
        self, cov: Array, charge: Array, reference: Reference, ds: Array, bars: tuple[Array, Array, Array]
    ) -> tuple[Array, Array, Array, Array]:
        """Cotangents of the diagonal of cov ``(..., 6)``, of the charge, of beta_gamma and of ds."""
        strength, sizes = self._given(cov, reference)
        scale = strength * charge * ds
        xp, u = namespace(cov), reference.beta_gamma
        gamma2 = 1.0 + u * u
        zero = xp.zeros_like(scale)
        if self.length is not None:
            a, b = (xp.sqrt(size) for size in sizes[:2])
            kx, ky = bars[0] / ((a + b) * a), bars[1] / ((a + b) * b)
            scale_bar = kx + ky
            x_bar = -0.5 * scale * (scale_bar / (a + b) + kx / a) / a
            y_bar = -0.5 * scale * (scale_bar / (a + b) + ky / b) / b
            diagonal = xp.stack([x_bar, zero, y_bar, zero, zero, zero], axis=-1)
            # scale ~ 1/(beta^2 gamma^3 m) = 1/(u^2 gamma)
            u_bar = -scale * scale_bar * (2.0 / u + u / gamma2)
            return diagonal, strength * ds * scale_bar, u_bar, strength * charge * scale_bar
        F = form_factors(sizes)
        u2 = u * u
        scale_bar = (bars[0] * F[0] + bars[1] * F[1]) / u2 - bars[2] * F[2]
        F_bars = (scale * bars[0] / u2, scale * bars[1] / u2, -scale * bars[2])
        x_bar, y_bar, z_bar = form_factors_pullback(sizes, F_bars)
        diagonal = xp.stack([5.0 * x_bar, zero, 5.0 * y_bar, zero, 5.0 * u2 * z_bar, zero], axis=-1)
        u_bar = 2.0 * z_bar * sizes[2] / u - 2.0 * (bars[0] * F[0] + bars[1] * F[1]) * scale / (u2 * u)
        return diagonal, strength * ds * scale_bar, u_bar, strength * charge * scale_bar

    def _given(self, cov: Array, reference: Reference) -> tuple[Array | float, tuple[Array, ...]]:
        """Strength by charge and ds; and squares of sizes: half-axes in the rest frame, or rms."""
        species, u = reference.species, reference.beta_gamma
        strength = abs(species.charge_number) / (4.0 * pi * species.mass * VACUUM_PERMITTIVITY)
        x, y = cov[..., 0, 0], cov[..., 2, 2]
        if self.length is not None:
            gamma = namespace(u).sqrt(1.0 + u * u)
            return strength / (self.length * u * u * gamma), (x, y)
        # gamma sigma_z = gamma beta sigma_tau
        return strength, (5.0 * x, 5.0 * y, 5.0 * u * u * cov[..., 4, 4])


def acting_on_moments(space_charge: Any, effects: Any, on_turn: str, record: Any) -> LinearSpaceCharge | None:
    """What acts on a `MomentBeam`, of the arguments of `backbeam.track`.

    Raises
    ------
    InputError
        For an effect that only particles have, a record, and for two that say the same.
    """
    given = [] if space_charge is None else [("space_charge", space_charge)]
    several = list(effects) if isinstance(effects, list | tuple) else [effects]
    given += [(f"effects[{k}]", effect) for k, effect in enumerate(several)]
    for field, effect in given:
        if not isinstance(effect, LinearSpaceCharge):
            shown = Said(f"{effect.kind}") if isinstance(effect, Effect) else effect
            raise InputError(field, shown, "LinearSpaceCharge(): a MomentBeam has no particles")
    if len(given) > 1:
        raise InputError(given[1][0], given[1][1], "one LinearSpaceCharge")
    if on_turn not in ("lose", "raise"):
        raise InputError("track.on_turn", on_turn, "lose or raise")
    if record is not None:
        raise InputError("record", record, "left out with a MomentBeam: monitors see it in every turn")
    return given[0][1] if given else None


def form_factors(squares: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    """The three F_i ``(...)`` of an ellipsoid with these squares of half-axes [m^2 -> 1/m^3]."""
    _, shares, kernel, scale = _integrand(squares)
    xp = namespace(kernel)
    first, second, third = (scale * xp.sum(kernel * share, axis=-1) for share in shares)
    return first, second, third


def form_factors_pullback(
    squares: tuple[Array, Array, Array], bars: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """Cotangents of the squares: d log of the integrand is -1/(2 (a_j + s)), and once more -1/(a_i + s)."""
    largest, shares, kernel, scale = _integrand(squares)
    xp = namespace(kernel)
    total = sum((bar[..., None] * share for bar, share in zip(bars[1:], shares[1:], strict=True)),
                bars[0][..., None] * shares[0])  # fmt: skip
    found = [
        -(scale / largest) * xp.sum(kernel * share * (0.5 * total + bar[..., None] * share), axis=-1)
        for bar, share in zip(bars, shares, strict=True)
    ]
    return found[0], found[1], found[2]


def _integrand(squares: tuple[Array, Array, Array]) -> tuple[Array, list[Array], Array, Array]:
    """Largest square; 1/(a_i + s) and the rest of the integrand at the nodes, in units of it; what the sum is times."""
    xp = namespace(*squares)
    largest = xp.maximum(xp.maximum(squares[0], squares[1]), squares[2])
    s = xp.asarray(list(_NODES), dtype=largest.dtype, device=device(largest))
    shares = [1.0 / ((a / largest)[..., None] + s) for a in squares]
    kernel = s * xp.sqrt(shares[0]) * xp.sqrt(shares[1]) * xp.sqrt(shares[2])
    return largest, shares, kernel, 1.5 * _STEP / (largest * xp.sqrt(largest))
