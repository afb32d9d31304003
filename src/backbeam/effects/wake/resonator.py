"""The wake of a resonator: a mode of a cavity, or the broad band of all that is not smooth.

With w = 2 pi f, alpha = w/(2 Q) and w' = sqrt(w^2 - alpha^2) (Chao, eqs. 2.84 and 2.88; impedance
R/(1 + i Q (w/omega - omega/w)), and that times w/omega),

    longitudinal    W(t) = 2 alpha R exp(-alpha t) (cos w' t - alpha/w' sin w' t)        R in Ohm, per metre Ohm/m
    transverse      W(t) = 2 alpha R w/w' exp(-alpha t) sin w' t                         R in Ohm/m

Each is Re(a exp(-lambda t)), which is averaged over a triangle in closed form: exactly, whether the nodes resolve it or
not. With z = lambda h, h the time between nodes,

    (a psi)(0) = a phi_2(z),    (a psi)(l) = a exp(-(l - 1) z) phi_1(z)^2,  l > 0
    phi_1(z) = (1 - exp(-z))/z,    phi_2(z) = (1 - phi_1(z))/z
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from array_api_compat import device

from backbeam.arrays import namespace
from backbeam.effects.wake.base import Wake
from backbeam.errors import InputError
from backbeam.parameters import REQUIRED, parameter
from backbeam.species import SPEED_OF_LIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbeam.arrays import Array


@dataclass(frozen=True, kw_only=True)
class ResonatorWake(Wake):
    """Wake of a resonator.

    Parameters
    ----------
    R:
        Shunt impedance [Ohm], [Ohm/m] transverse; along elements that of each metre. V = R I, not V^2/(2 P).
    Q:
        Quality factor, greater than 1/2.
    frequency:
        Resonance frequency [Hz].

    Examples
    --------
    >>> bb.ResonatorWake(at="c1", R=1e6, Q=1e3, frequency=1.3e9).R
    1000000.0
    """

    R: Array | float = parameter(REQUIRED, unit="Ohm")
    Q: Array | float = parameter(REQUIRED, unit="1", positive=True)
    frequency: Array | float = parameter(REQUIRED, unit="Hz", positive=True)

    kind: ClassVar[str] = "resonator_wake"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.Q, int | float) and not self.Q > 0.5:
            raise InputError(self._label("Q"), self.Q, "a quality factor greater than 1/2")

    def averaged(self, spacing: Array, p: Mapping[str, Array]) -> Array:
        """W averaged over triangles."""
        xp, mode = namespace(spacing), _mode(p["Q"], self.is_longitudinal)
        w = 2.0 * math.pi * p["frequency"]
        z = mode.decay * (w / SPEED_OF_LIGHT * spacing)
        return (w * p["R"])[:, None] * xp.real(mode.amplitude[:, None] * _kernel(z, self.nodes)[0])

    def averaged_slopes(self, spacing: Array, p: Mapping[str, Array]) -> tuple[Array, Array, dict[str, Array]]:
        """W averaged over triangles, and its derivatives."""
        xp, mode = namespace(spacing), _mode(p["Q"], self.is_longitudinal)
        w = 2.0 * math.pi * p["frequency"]
        turns = w / SPEED_OF_LIGHT * spacing
        kernel, slope = _kernel(mode.decay * turns, self.nodes)
        scale, a = (w * p["R"])[:, None], mode.amplitude[:, None]
        shape = xp.real(a * kernel)
        by_turns = scale * xp.real((mode.amplitude * mode.decay)[:, None] * slope)
        by_Q = mode.amplitude_slope[:, None] * kernel + (mode.amplitude * mode.decay_slope * turns)[:, None] * slope
        return (
            scale * shape,
            by_turns * (w / SPEED_OF_LIGHT)[:, None],
            {
                "R": w[:, None] * shape,
                "Q": scale * xp.real(by_Q),
                "frequency": 2.0 * math.pi * (p["R"][:, None] * shape + by_turns * (spacing / SPEED_OF_LIGHT)[:, None]),
            },
        )


@dataclass(frozen=True)
class _Mode:
    """W/(w R) = Re(amplitude exp(-decay w t)): complex numbers ``(B,)``, and their derivatives with respect to Q."""

    amplitude: Array
    decay: Array
    amplitude_slope: Array
    decay_slope: Array


def _mode(Q: Array, is_longitudinal: bool) -> _Mode:
    xp = namespace(Q)
    s = xp.sqrt((1.0 - 0.5 / Q) * (1.0 + 0.5 / Q))  # w'/w
    s_slope = 0.25 / (Q * Q * Q * s)
    zero = xp.zeros_like(Q)
    if is_longitudinal:
        amplitude = _complex(1.0 / Q, 0.5 / (Q * Q * s))
        slope = _complex(-1.0 / (Q * Q), -1.0 / (Q * Q * Q * s) - 0.5 * s_slope / (Q * Q * s * s))
    else:
        amplitude = _complex(zero, -1.0 / (Q * s))
        slope = _complex(zero, 1.0 / (Q * Q * s) + s_slope / (Q * s * s))
    return _Mode(amplitude, _complex(0.5 / Q, -s), slope, _complex(-0.5 / (Q * Q), -s_slope))


def _kernel(z: Array, nodes: int) -> tuple[Array, Array]:
    """Average of exp(-z t) over triangles about t = 0, 1, ... ``(B, nodes)``, and its derivative with respect to z."""
    xp = namespace(z)
    z = z[:, None]
    phi_1, phi_2, phi_3 = _phi(z)
    slope_1, slope_2 = phi_2 - phi_1, 2.0 * phi_3 - phi_2
    before = xp.arange(nodes - 1, dtype=xp.real(z).dtype, device=device(z))
    decay = xp.exp(-before * z)
    value = xp.concat([phi_2, decay * (phi_1 * phi_1)], axis=-1)
    slope = xp.concat([slope_2, decay * (2.0 * phi_1 * slope_1 - before * (phi_1 * phi_1))], axis=-1)
    return value, slope


def _phi(z: Array) -> tuple[Array, Array, Array]:
    """phi_k = sum_j (-z)^j/(j + k)! for k = 1, 2, 3 and complex z with Re z >= 0, by series where |z| is small."""
    xp = namespace(z)
    is_small = xp.abs(z) < 1.0
    near = xp.where(is_small, z, xp.zeros_like(z))
    terms = 18
    series = xp.zeros_like(z) + 1.0 / math.factorial(terms + 3)
    for j in reversed(range(terms)):
        series = 1.0 / math.factorial(j + 3) - near * series
    far = xp.where(is_small, xp.ones_like(z), z)
    phi_1 = (1.0 - xp.exp(-far)) / far
    phi_2 = (1.0 - phi_1) / far
    phi_3 = xp.where(is_small, series, (0.5 - phi_2) / far)
    phi_2 = xp.where(is_small, 0.5 - near * series, phi_2)
    phi_1 = xp.where(is_small, 1.0 - near * (0.5 - near * series), phi_1)
    return phi_1, phi_2, phi_3


def _complex(real: Array, imaginary: Array) -> Array:
    xp = namespace(real)
    kind = xp.result_type(real.dtype, xp.complex64)
    return xp.astype(real, kind) + 1j * xp.astype(imaginary, kind)
