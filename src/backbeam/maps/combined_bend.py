"""Combined-function bend: a sector bend with a dipole error, quadrupole and sextupole, split into bends and kicks.

The pieces in between are exact bends. What the quadrupole does beyond a bend is a matrix, so that for small
amplitudes at the reference momentum the whole is the matrix of the magnet, in any number of steps; the rest of the
field is a kick.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam import backends
from backbeam.arrays import join, namespace, over_particles, per_particle, rows
from backbeam.maps.base import Map
from backbeam.maps.bend import bend, bend_reverse, curvature_of, share_curvature
from backbeam.maps.linear import LinearBody
from backbeam.maps.matrices import dense, multiply, outer_product
from backbeam.maps.splitting import fold, splitting

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference


class Field(NamedTuple):
    """Curvature, gradients, and how much stronger than the curvature the dipole is; to meet particles."""

    h: Array
    k1: Array | float
    k2: Array | float
    excess: Array | float = 0.0
    """k0 - h."""


def _force(x: Array, y: Array, field: Field) -> tuple[Array, Array]:
    """Return d psi/dx - k1 x and d psi/dy + k1 y of `curved_kick`."""
    h, k1, k2, excess = field
    u, y2 = 1.0 + h * x, y * y
    slope, edge = k1 + k2 * x, h * h / u
    across = 0.5 * (h * slope + u * k2) + y2 * (k2 - h * k1) * edge / u / 24.0
    fx = u * excess + x * x * (h * k1 + 0.5 * u * k2) - y2 * across
    fy = -y * (x * (h * k1 + u * k2) - y2 * (h * k2 - edge * slope) / 6.0)
    return fx, fy


def curved_kick(X: Array, field: Field, weight: Array | float) -> Array:
    """Kick px and py by the curved multipole potential beyond its k1 (x^2 - y^2)/2, over a length ``weight``.

    k0, k1 and k2 are MAD-X's: the field on the plane y = 0 is By = k0 + k1 x + k2 x^2/2. With u = 1 + h x, Maxwell's
    equations in the curved frame, ``(psi_x/u)_x + (psi_y/u)_y = 0``, continue it off the plane::

        dpx = -weight (psi_x - k1 x)      dpy = -weight (psi_y + k1 y)
        psi = int u By dx - y^2/2 u By' + y^4/24 (h By'' - h^2 By'/u)

    A prime is d/dx. The part of k0 that is h belongs to the bend. The series goes on with
    -h^3 (k2 - h k1) y^6/(240 u^3), which is dropped. What is kept is the gradient of one function, so the kick is
    exactly symplectic.
    """
    x, px, y, py, tau, pt = rows(X)
    fx, fy = _force(x, y, field)
    return join(x, px - weight * fx, y, py - weight * fy, tau, pt)


def curved_kick_pullback(
    X: Array, field: Field, weight: Array | float, X1_bar: Array
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Cotangents of X, of the weight, and of h, k1, k2 and the excess, for `curved_kick` at X (positions stay)."""
    x, _, y, _, _, _ = rows(X)
    xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
    h, k1, k2, excess = field
    fx, fy = _force(x, y, field)
    u, y2, y3 = 1.0 + h * x, y * y, y * y * y
    slope, i = k1 + k2 * x, 1.0 / u
    g, g2 = h * i, h * h * i * i
    bent = k2 - h * k1
    beyond = x * (h * k1 + u * k2)  # u slope - k1
    f_xx = h * excess + h * x * (k1 + 0.5 * k2 * x) + beyond - y2 * h * (k2 - y2 * g2 * i * bent / 12.0)
    f_xy = -y * (h * slope + u * k2) - y3 * g2 * bent / 6.0
    f_yy = -beyond + 0.5 * y2 * h * (k2 - g * slope)
    wx, wy = -weight * pxb, -weight * pyb
    X_bar = join(xb + f_xx * wx + f_xy * wy, pxb, yb + f_xy * wx + f_yy * wy, pyb, taub, ptb)
    weight_bar = -over_particles(fx * pxb + fy * pyb)
    fx_h = (
        x * x * (k1 + 0.5 * k2 * x)
        + x * excess
        - 0.5 * y2 * (slope + x * k2 + y2 * g * i * (2.0 * bent - h * k1 - 2.0 * x * g * bent) / 12.0)
    )
    fy_h = -y * x * slope + y3 * (k2 - g * slope * (2.0 - g * x)) / 6.0
    h_bar = over_particles(fx_h * wx + fy_h * wy)
    k1_bar = over_particles(h * (x * x - 0.5 * y2 * (1.0 - y2 * g2 / 12.0)) * wx - y * (h * x + y2 * h * g / 6.0) * wy)
    k2_bar = over_particles(
        0.5 * (u * x * x - y2 * (u + h * x + y2 * g2 / 12.0)) * wx - y * (u * x - y2 * g / 6.0) * wy
    )
    return X_bar, weight_bar, h_bar, k1_bar, k2_bar, over_particles(u * wx)


class _Lens:
    """What the quadrupole does beyond the bend in a piece of length L, at its middle: B(-L/2) C(L) B(-L/2).

    B is the matrix of the bend alone and C that of the bend with the quadrupole (`backbeam.maps.linear.LinearBody`), so
    that half a bend before and half behind make it C(L).
    """

    def __init__(self, part: float, reference: Reference, p: Parameters) -> None:
        self.reference, self.p = reference, p
        self.whole = LinearBody(part, gradient=True, curvature=True)
        self.back = LinearBody(-0.5 * part, curvature=True)
        self.C, self.B = dense(self.whole.entries(reference, p)), dense(self.back.entries(reference, p))
        self.matrix = multiply(self.B, multiply(self.C, self.B))

    def undone(self) -> Array:
        """The inverse: that of pieces of the other sign."""
        return _Lens(-self.whole.fraction, self.reference, self.p).matrix

    def pullback(self, bar: Array) -> tuple[Array, Cotangents]:
        """Cotangents of beta_gamma and of the parameters, from that of the matrix."""
        matrix_transpose = namespace(bar).matrix_transpose
        Bt, CB, BC = matrix_transpose(self.B), multiply(self.C, self.B), multiply(self.B, self.C)
        C_bar = multiply(Bt, multiply(bar, Bt))
        B_bar = multiply(bar, matrix_transpose(CB)) + multiply(matrix_transpose(BC), bar)
        beta_gamma_bar, bars = self.whole.entries_pullback(self.reference, self.p, _entries(C_bar))
        more, others = self.back.entries_pullback(self.reference, self.p, _entries(B_bar))
        return beta_gamma_bar + more, bars | {k: bars[k] + bar for k, bar in others.items()}


def _entries(matrix: Array) -> dict[tuple[int, int], Array]:
    return {(i, j): matrix[..., i, j] for i in range(6) for j in range(6)}


@dataclass(frozen=True)
class CombinedBend(Map):
    """A sector bend with gradients: bend, kick, bend, composed symmetrically to order 2, 4 or 6.

    A kick is half of `curved_kick`, the lens of the quadrupole, and the other half.

    Parameters
    ----------
    strengths:
        Which of "k0", "k1" and "k2" there are.
    order, steps:
        Order of the splitting and number of equal steps over this map.
    fraction:
        Part of the element's length that this map covers.
    """

    strengths: tuple[str, ...] = ("k1",)
    order: int = 4
    steps: int = 1
    fraction: float = 1.0

    @property
    def parameters(self) -> tuple[str, ...]:
        """Length [m] along the arc, angle [rad], and what there is of k0 [1/m], k1 [1/m^2] and k2 [1/m^3]."""
        return ("length", "angle", *self.strengths)

    def _field(self, p: Parameters) -> Field:
        h = curvature_of(p)
        k1, k2 = (per_particle(p[k]) if k in self.strengths else 0.0 for k in ("k1", "k2"))
        excess = per_particle(p["k0"] - h) if "k0" in self.strengths else 0.0
        return Field(per_particle(h), k1, k2, excess)

    def _lenses(self, reference: Reference, p: Parameters) -> dict[float, _Lens]:
        """The lens of each different kick."""
        if "k1" not in self.strengths:
            return {}
        parts = dict.fromkeys(part for kind, part in splitting(self.order, self.steps) if kind == "kick")
        return {part: _Lens(part * self.fraction, reference, p) for part in parts}

    def _run(self, X: Array, reference: Reference, p: Parameters, sign: float) -> Array:
        length, curvature, field = p["length"], curvature_of(p), self._field(p)
        lenses = self._lenses(reference, p)
        matrices = {part: lens.matrix if sign > 0 else lens.undone() for part, lens in lenses.items()}

        def act(kind: str, part: float, X: Array) -> Array:
            span = sign * part * self.fraction * length
            if kind == "drift":
                # Else XLA makes a bend anew for each row of the next: in float32 six times as much to compile.
                return backends.of(X).settle(bend(X, reference, span, curvature))
            half = per_particle(0.5 * span)
            X = curved_kick(X, field, half)
            return curved_kick(multiply(matrices[part], X) if lenses else X, field, half)

        return fold(self.order, self.steps, act, X, X)

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Run the sequence."""
        return self._run(X, reference, p, 1.0)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Run the sequence backwards: it is symmetric, so only the signs change."""
        return self._run(X1, reference, p, -1.0)

    def reverse(
        self, X1: Array, reference: Reference, p: Parameters, X1_bar: Array
    ) -> tuple[Array, Array, Array, Cotangents]:
        """Undo each bend and kick, pulling back on the way: nothing is stored."""
        length, curvature, field = p["length"], curvature_of(p), self._field(p)
        lenses = self._lenses(reference, p)
        undo = {part: (lens.undone(), namespace(X1).matrix_transpose(lens.matrix)) for part, lens in lenses.items()}
        zero = namespace(X1).zeros_like(X1[..., 0, 0])
        order = list(lenses)
        no_bars = tuple(zero[..., None, None] + 0.0 * lens.matrix for lens in lenses.values())

        def half_kick(X: Array, X_bar: Array, scale: float, bars: Any) -> Any:
            weight = per_particle(0.5 * scale * length)
            X = curved_kick(X, field, -weight)
            X_bar, span_bar, *found = curved_kick_pullback(X, field, weight, X_bar)
            return X, X_bar, tuple(b + f for b, f in zip(bars, (0.5 * scale * span_bar, *found), strict=True))

        def act(kind: str, part: float, carry: Any) -> Any:
            X, X_bar, beta_gamma_bar, bars, matrix_bars = carry
            scale = part * self.fraction
            if kind == "drift":
                X, X_bar, more, span_bar, h_bar = bend_reverse(X, reference, scale * length, curvature, X_bar)
                X, X_bar = (backends.of(a).settle(a) for a in (X, X_bar))  # as on the way there
                bars = (bars[0] + scale * span_bar, bars[1] + h_bar, *bars[2:])
                return X, X_bar, beta_gamma_bar + more, bars, matrix_bars
            X, X_bar, bars = half_kick(X, X_bar, scale, bars)
            if lenses:
                inverse, transposed = undo[part]
                X = multiply(inverse, X)
                found = outer_product(X_bar, X)
                matrix_bars = tuple(m + found if k == part else m for k, m in zip(order, matrix_bars, strict=True))
                X_bar = multiply(transposed, X_bar)
            X, X_bar, bars = half_kick(X, X_bar, scale, bars)
            return X, X_bar, beta_gamma_bar, bars, matrix_bars

        start = (X1, X1_bar, zero, (zero,) * 5, no_bars)
        X, X_bar, beta_gamma_bar, (length_bar, h_bar, k1_bar, k2_bar, excess_bar), matrix_bars = fold(
            self.order, self.steps, act, start, X1, backwards=True
        )
        of = {"k1": k1_bar, "k2": k2_bar, "k0": excess_bar}
        if "k0" in self.strengths:
            h_bar = h_bar - excess_bar
        from_curvature, angle_bar = share_curvature(p, h_bar)
        bars = {"length": length_bar + from_curvature, "angle": angle_bar} | {k: of[k] for k in self.strengths}
        for part, matrix_bar in zip(order, matrix_bars, strict=True):
            more, found = lenses[part].pullback(matrix_bar)
            beta_gamma_bar = beta_gamma_bar + more
            bars |= {name: bars[name] + bar for name, bar in found.items()}
        return X, X_bar, beta_gamma_bar, bars

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Run forward, then `reverse`."""
        return self.reverse(self.forward(X, reference, p), reference, p, X1_bar)[1:]
