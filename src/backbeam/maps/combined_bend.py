"""Combined-function bend: a sector bend with quadrupole and sextupole, split into exact bends and kicks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam.arrays import join, namespace, over_particles, per_particle, rows
from backbeam.maps.base import Map
from backbeam.maps.bend import bend, bend_reverse, curvature_of, share_curvature
from backbeam.maps.splitting import fold

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.reference import Reference


class Field(NamedTuple):
    """Curvature and gradients, with a trailing axis to meet particles."""

    h: Array
    k1: Array | float
    k2: Array | float


def _force(x: Array, y: Array, field: Field) -> tuple[Array, Array]:
    """Return d psi/dx and d psi/dy of `curved_kick`."""
    h, k1, k2 = field
    u, y2 = 1.0 + h * x, y * y
    slope, edge = k1 + k2 * x, h * h / u
    across = 0.5 * (h * slope + u * k2) + y2 * (k2 - h * k1) * edge / u / 24.0
    fx = u * x * (k1 + 0.5 * k2 * x) - y2 * across
    fy = -y * (u * slope - y2 * (h * k2 - edge * slope) / 6.0)
    return fx, fy


def curved_kick(X: Array, field: Field, weight: Array | float) -> Array:
    """Kick px and py by the gradient of the curved multipole potential, over a length ``weight``.

    k1 and k2 are MAD-X's: the field on the plane y = 0 is By = k1 x + k2 x^2/2. With u = 1 + h x, Maxwell's
    equations in the curved frame, ``(psi_x/u)_x + (psi_y/u)_y = 0``, continue it off the plane::

        dpx = -weight psi_x      dpy = -weight psi_y
        psi = int u By dx - y^2/2 u By' + y^4/24 (h By'' - h^2 By'/u)

    A prime is d/dx. The series goes on with -h^3 (k2 - h k1) y^6/(240 u^3), which is dropped. What is kept is
    the gradient of one function, so the kick is exactly symplectic.
    """
    x, px, y, py, tau, pt = rows(X)
    fx, fy = _force(x, y, field)
    return join(x, px - weight * fx, y, py - weight * fy, tau, pt)


def curved_kick_pullback(
    X: Array, field: Field, weight: Array | float, X1_bar: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """Cotangents of X, of the weight, and of h, k1 and k2, for `curved_kick` at X (positions stay)."""
    x, _, y, _, _, _ = rows(X)
    xb, pxb, yb, pyb, taub, ptb = rows(X1_bar)
    h, k1, k2 = field
    fx, fy = _force(x, y, field)
    u, y2, y3 = 1.0 + h * x, y * y, y * y * y
    slope, i = k1 + k2 * x, 1.0 / u
    g, g2 = h * i, h * h * i * i
    bent = k2 - h * k1
    f_xx = h * x * (k1 + 0.5 * k2 * x) + u * slope - y2 * h * (k2 - y2 * g2 * i * bent / 12.0)
    f_xy = -y * (h * slope + u * k2) - y3 * g2 * bent / 6.0
    f_yy = -u * slope + 0.5 * y2 * h * (k2 - g * slope)
    wx, wy = -weight * pxb, -weight * pyb
    X_bar = join(xb + f_xx * wx + f_xy * wy, pxb, yb + f_xy * wx + f_yy * wy, pyb, taub, ptb)
    weight_bar = -over_particles(fx * pxb + fy * pyb)
    fx_h = x * x * (k1 + 0.5 * k2 * x) - 0.5 * y2 * (
        slope + x * k2 + y2 * g * i * (2.0 * bent - h * k1 - 2.0 * x * g * bent) / 12.0
    )
    fy_h = -y * x * slope + y3 * (k2 - g * slope * (2.0 - g * x)) / 6.0
    h_bar = over_particles(fx_h * wx + fy_h * wy)
    k1_bar = over_particles((u * x - 0.5 * y2 * h * (1.0 - y2 * g2 / 12.0)) * wx - y * (u + y2 * h * g / 6.0) * wy)
    k2_bar = over_particles(
        0.5 * (u * x * x - y2 * (u + h * x + y2 * g2 / 12.0)) * wx - y * (u * x - y2 * g / 6.0) * wy
    )
    return X_bar, weight_bar, h_bar, k1_bar, k2_bar


@dataclass(frozen=True)
class CombinedBend(Map):
    """A sector bend with gradients: bend, kick, bend, composed symmetrically to order 2, 4 or 6.

    Parameters
    ----------
    gradients:
        Which of "k1" and "k2" there are.
    order, steps:
        Order of the splitting and number of equal steps over this map.
    fraction:
        Part of the element's length that this map covers.
    """

    gradients: tuple[str, ...] = ("k1",)
    order: int = 4
    steps: int = 1
    fraction: float = 1.0

    @property
    def parameters(self) -> tuple[str, ...]:
        """Length [m] along the arc, angle [rad], and what there is of k1 [1/m^2] and k2 [1/m^3]."""
        return ("length", "angle", *self.gradients)

    def _field(self, p: Parameters) -> Field:
        k1, k2 = (per_particle(p[k]) if k in self.gradients else 0.0 for k in ("k1", "k2"))
        return Field(per_particle(curvature_of(p)), k1, k2)

    def _run(self, X: Array, reference: Reference, p: Parameters, sign: float) -> Array:
        length, curvature, field = p["length"], curvature_of(p), self._field(p)

        def act(kind: str, part: float, X: Array) -> Array:
            span = sign * part * self.fraction * length
            if kind == "drift":
                return bend(X, reference, span, curvature)
            return curved_kick(X, field, per_particle(span))

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
        zero = namespace(X1).zeros_like(X1[..., 0, 0])

        def act(kind: str, part: float, carry: Any) -> Any:
            X, X_bar, beta_gamma_bar, length_bar, curvature_bar, gradient_bars = carry
            scale = part * self.fraction
            span = scale * length
            if kind == "drift":
                X, X_bar, more, span_bar, h_bar = bend_reverse(X, reference, span, curvature, X_bar)
                beta_gamma_bar = beta_gamma_bar + more
            else:
                weight = per_particle(span)
                X = curved_kick(X, field, -weight)
                X_bar, span_bar, h_bar, *strengths = curved_kick_pullback(X, field, weight, X_bar)
                gradient_bars = tuple(b + s for b, s in zip(gradient_bars, strengths, strict=True))
            return X, X_bar, beta_gamma_bar, length_bar + scale * span_bar, curvature_bar + h_bar, gradient_bars

        start = (X1, X1_bar, zero, zero, zero, (zero, zero))
        X, X_bar, beta_gamma_bar, length_bar, curvature_bar, gradient_bars = fold(
            self.order, self.steps, act, start, X1, backwards=True
        )
        from_curvature, angle_bar = share_curvature(p, curvature_bar)
        bars = {"length": length_bar + from_curvature, "angle": angle_bar}
        of = dict(zip(("k1", "k2"), gradient_bars, strict=True))
        return X, X_bar, beta_gamma_bar, bars | {k: of[k] for k in self.gradients}

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, Array, Cotangents]:
        """Run forward, then `reverse`."""
        return self.reverse(self.forward(X, reference, p), reference, p, X1_bar)[1:]
