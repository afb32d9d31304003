"""Linear maps: drift, quadrupole, bend and combined function in one; the solenoid; any matrix.

All but the last are exact solutions of linear equations of motion, written in integrals of x'' = -k x
(`focusing_integrals`), so that gradient, curvature and a solenoid's field may pass through 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import TYPE_CHECKING, ClassVar

from backbeam.arrays import broadcast, namespace
from backbeam.errors import TrackingError
from backbeam.maps.base import Map
from backbeam.maps.matrices import SymplecticMatrix, multiply, outer_product
from backbeam.maps.smooth import stumpff

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backbeam.arrays import Array
    from backbeam.maps.base import Cotangents, Parameters
    from backbeam.maps.matrices import Entries
    from backbeam.reference import Reference

    Integrals = tuple[Array | float, ...]


def focusing_integrals(planes: Sequence[Array | float], L: Array, count: int) -> list[Integrals]:
    """Return, for the focusing strength k of each plane, I_j = L^j c_j(k L^2) for j < count.

    I_0 and I_1 are the cosine- and sine-like solutions of x'' = -k x; each is the integral over L of the one
    before it. A plain number k, which must be 0, says that there is never any focusing: I_j = L^j/j!.
    """
    powers = [1.0]
    for _ in range(1, count):
        powers.append(L * powers[-1])
    free: Integrals = tuple(power / factorial(j) for j, power in enumerate(powers))
    varying = [k for k in planes if type(k) is not float]
    if not varying:
        return [free for _ in planes]
    # All planes at once, because small arrays cost by the call.
    xp = namespace(L)
    k = xp.stack(broadcast(*varying, L)[:-1], axis=0)
    c = stumpff(k * L * L, count)
    focused = iter([tuple(powers[j] * c[j][i, ...] for j in range(count)) for i in range(len(varying))])
    return [free if type(k) is float else next(focused) for k in planes]


def focusing_integrals_pullback(
    k: Array | float, L: Array, I: Integrals, I_bar: Sequence[Array]
) -> tuple[Array, Array]:
    """Cotangents of k and L from those of one plane's first integrals; ``I`` holds two more than ``I_bar``.

    dI_j/dL = I_{j-1} with I_{-1} = -k I_1, and dI_j/dk = (j I_{j+2} - L I_{j+1})/2.
    """
    k_bar, L_bar = 0.0, 0.0
    for j, bar in enumerate(I_bar):
        k_bar = k_bar + 0.5 * (j * I[j + 2] - L * I[j + 1]) * bar
        L_bar = L_bar + (I[j - 1] if j else -k * I[1]) * bar
    return k_bar, L_bar


@dataclass(frozen=True)
class LinearBody(SymplecticMatrix, Map):
    """First-order map of a drift, quadrupole, sector bend or combined-function bend, over a fraction of it.

    With h = angle/length, kx = h^2 + k1 and ky = -k1::

        x'' = -kx x + h pt/beta0        y'' = -ky y        tau' = h x/beta0 - pt/(beta0 gamma0)^2

    so that, with the `focusing_integrals` I_j of kx over L = fraction length (Brown, SLAC-75, 1982)::

        x   = I0 x + I1 px + h/beta0 I2 pt
        px  = -kx I1 x + I0 px + h/beta0 I1 pt
        tau = tau + h/beta0 (I1 x + I2 px) + (h^2/beta0^2 I3 - L/(beta0 gamma0)^2) pt

    Parameters
    ----------
    fraction:
        Part of the element's length that this map covers.
    gradient:
        Whether there is a parameter k1 [1/m^2].
    curvature:
        Whether there is a parameter angle [rad], that of the whole length.
    """

    fraction: float = 1.0
    gradient: bool = False
    curvature: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """Length [m], then k1 [1/m^2] and angle [rad] where present."""
        return ("length", *(("k1",) if self.gradient else ()), *(("angle",) if self.curvature else ()))

    def _strengths(self, p: Parameters) -> tuple[Array, Array | float, Array | float]:
        """Length covered, k1 and h; a plain 0 for what is absent."""
        h = p["angle"] / p["length"] if self.curvature else 0.0
        return self.fraction * p["length"], p["k1"] if self.gradient else 0.0, h

    def entries(self, reference: Reference, p: Parameters) -> Entries:
        """Entries of the matrix."""
        L, k1, h = self._strengths(p)
        kx, ky = h * h + k1, -k1
        x, y = focusing_integrals((kx, ky), L, 4 if self.curvature else 2)
        out = {(0, 0): x[0], (0, 1): x[1], (1, 1): x[0], (2, 2): y[0], (2, 3): y[1], (3, 3): y[0]}
        out |= {(4, 4): 1.0, (4, 5): -L / (reference.beta_gamma * reference.beta_gamma), (5, 5): 1.0}
        if self.gradient or self.curvature:
            out[1, 0] = -kx * x[1]
        if self.gradient:
            out[3, 2] = -ky * y[1]
        if self.curvature:
            g = h * reference.inverse_beta
            out |= {(0, 5): g * x[2], (1, 5): g * x[1], (4, 0): g * x[1], (4, 1): g * x[2]}
            out[4, 5] = out[4, 5] + g * g * x[3]
        return out

    def entries_pullback(self, reference: Reference, p: Parameters, B: Entries) -> tuple[Array, Cotangents]:
        """Cotangents of ``beta_gamma`` and of each parameter, from those of the entries."""
        L, k1, h = self._strengths(p)
        kx, ky = h * h + k1, -k1
        x_bar, y_bar = [B[0, 0] + B[1, 1], B[0, 1]], [B[2, 2] + B[3, 3], B[2, 3]]
        kx_bar = ky_bar = h_bar = inverse_beta_bar = 0.0
        x, y = focusing_integrals((kx, ky), L, 6 if self.curvature else 4)
        if self.gradient or self.curvature:
            x_bar[1] = x_bar[1] - kx * B[1, 0]
            kx_bar = -x[1] * B[1, 0]
        if self.gradient:
            y_bar[1] = y_bar[1] - ky * B[3, 2]
            ky_bar = -y[1] * B[3, 2]
        if self.curvature:
            g, first, second = h * reference.inverse_beta, B[1, 5] + B[4, 0], B[0, 5] + B[4, 1]
            x_bar = [x_bar[0], x_bar[1] + g * first, g * second, g * g * B[4, 5]]
            g_bar = x[1] * first + x[2] * second + 2.0 * g * x[3] * B[4, 5]
            h_bar, inverse_beta_bar = reference.inverse_beta * g_bar, h * g_bar
        along_x = focusing_integrals_pullback(kx, L, x, x_bar)
        along_y = focusing_integrals_pullback(ky, L, y, y_bar)
        kx_bar, ky_bar = kx_bar + along_x[0], ky_bar + along_y[0]
        u = reference.beta_gamma
        L_bar = along_x[1] + along_y[1] - B[4, 5] / (u * u)
        bars: Cotangents = {"length": self.fraction * L_bar}
        if self.gradient:
            bars["k1"] = kx_bar - ky_bar
        if self.curvature:
            bars["angle"] = (h_bar + 2.0 * h * kx_bar) / p["length"]
            bars["length"] = bars["length"] - h * bars["angle"]
        return reference.pull_back(inverse_beta=inverse_beta_bar, beta_gamma=2.0 * L * B[4, 5] / u**3), bars


@dataclass(frozen=True)
class LinearSolenoid(SymplecticMatrix, Map):
    """First-order map of a solenoid with its two fringes, over a fraction of it.

    With K = ks/2 it is focusing by K^2 in both planes and a rotation by K L from y towards x, which commute;
    its entries are products of C = cos(K L) and S = sin(K L)/K (Brown, SLAC-75, 1982). Momenta are
    canonical in the field, so that the fringes need no map of their own.

    The parameters are length [m] and ks = B/(B rho) [1/m]; B rho has the sign of the charge.
    """

    fraction: float = 1.0

    @property
    def parameters(self) -> tuple[str, ...]:
        """Length [m] and ks [1/m]."""
        return ("length", "ks")

    def entries(self, reference: Reference, p: Parameters) -> Entries:
        """Entries of the matrix."""
        L, K = self.fraction * p["length"], 0.5 * p["ks"]
        C, S = focusing_integrals((K * K,), L, 2)[0]
        a, b, c = C * C, C * S, K * S * S
        Kb, KKb, KKc = K * b, K * K * b, K * K * c
        return {
            (0, 0): a, (0, 1): b, (0, 2): Kb, (0, 3): c,
            (1, 0): -KKb, (1, 1): a, (1, 2): -KKc, (1, 3): Kb,
            (2, 0): -Kb, (2, 1): -c, (2, 2): a, (2, 3): b,
            (3, 0): KKc, (3, 1): -Kb, (3, 2): -KKb, (3, 3): a,
            (4, 4): 1.0, (4, 5): -L / (reference.beta_gamma * reference.beta_gamma), (5, 5): 1.0,
        }  # fmt: skip

    def entries_pullback(self, reference: Reference, p: Parameters, B: Entries) -> tuple[Array, Cotangents]:
        """Cotangents of ``beta_gamma`` and of each parameter, from those of the entries."""
        L, K, u = self.fraction * p["length"], 0.5 * p["ks"], reference.beta_gamma
        I = focusing_integrals((K * K,), L, 4)[0]
        C, S = I[0], I[1]
        b, c = C * S, K * S * S
        Kb_bar = B[0, 2] + B[1, 3] - B[2, 0] - B[3, 1]
        KKb_bar, KKc_bar = -B[1, 0] - B[3, 2], B[3, 0] - B[1, 2]
        a_bar = B[0, 0] + B[1, 1] + B[2, 2] + B[3, 3]
        b_bar = B[0, 1] + B[2, 3] + K * Kb_bar + K * K * KKb_bar
        c_bar = B[0, 3] - B[2, 1] + K * K * KKc_bar
        K_bar = b * Kb_bar + 2.0 * K * (b * KKb_bar + c * KKc_bar) + S * S * c_bar
        I_bar = (2.0 * C * a_bar + S * b_bar, C * b_bar + 2.0 * K * S * c_bar)
        k_bar, L_bar = focusing_integrals_pullback(K * K, L, I, I_bar)
        bars = {"length": self.fraction * (L_bar - B[4, 5] / (u * u)), "ks": 0.5 * K_bar + K * k_bar}
        return 2.0 * L * B[4, 5] / u**3, bars


@dataclass(frozen=True)
class MatrixMap(Map):
    """Any matrix ``(..., 6, 6)``, symplectic or not: the parameter ``matrix``.

    Its inverse is the general one; a singular matrix has none (on libraries that do not say so it is not finite).
    """

    linear: ClassVar[bool] = True

    @property
    def parameters(self) -> tuple[str, ...]:
        """The matrix."""
        return ("matrix",)

    @property
    def ranks(self) -> Mapping[str, int]:
        """Rows and columns."""
        return {"matrix": 2}

    def forward(self, X: Array, reference: Reference, p: Parameters) -> Array:
        """Matrix times X."""
        return multiply(p["matrix"], X)

    def inverse(self, X1: Array, reference: Reference, p: Parameters) -> Array:
        """Inverse matrix times X1."""
        return multiply(inverse_of(p["matrix"]), X1)

    def pullback(self, X: Array, reference: Reference, p: Parameters, X1_bar: Array) -> tuple[Array, float, Cotangents]:
        """Transposed matrix times the cotangent; the matrix's own is a sum of outer products."""
        transposed = namespace(X).matrix_transpose(p["matrix"])
        return multiply(transposed, X1_bar), 0.0, {"matrix": outer_product(X1_bar, X)}


def inverse_of(matrix: Array) -> Array:
    """Inverse of matrices ``(..., 6, 6)``; `TrackingError` for a singular one."""
    try:
        return namespace(matrix).linalg.inv(matrix)
    except (ValueError, RuntimeError):  # what NumPy and PyTorch raise
        raise TrackingError("a singular matrix cannot be undone: keep what it does, with adjoint='store'") from None
