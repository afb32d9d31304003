"""What a beam is judged by: objectives that give a number and pull a cotangent of it back to the beam.

``objective(beam)`` is the value, of the beam's batch shape; ``objective.pullback(beam, bar)`` is the
transpose of its derivative, by hand, so that a gradient needs no automatic differentiation. They add,
subtract and scale:
``2 * sigma("x") + sigma("y")``. `named` finds one by the name that the command line uses, and `expression` reads
such a sum of them, ``2 sigma_x + sigma_y``.

All moments are weighted by charge among the particles that are alive. Where a slope does not exist (a size or
an emittance of exactly 0, a beam that is all lost) it is 0.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backbeam import moments
from backbeam.arrays import COORDINATES, Array, namespace, per_particle
from backbeam.beam import PLANES, Beam, BeamCotangent
from backbeam.distributions.inputs import sign_of
from backbeam.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Objective:
    """Base of every objective."""

    @property
    def name(self) -> str:
        """What tables call it."""
        raise NotImplementedError

    def __call__(self, beam: Beam) -> Array:
        """Value ``(...)``."""
        raise NotImplementedError

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """Cotangents of the beam from that of the value ``(...)``."""
        raise NotImplementedError

    def __add__(self, other: Objective) -> WeightedSum:
        """Sum of two objectives."""
        if not isinstance(other, Objective):
            return NotImplemented
        return WeightedSum((*_terms(self), *_terms(other)))

    def __mul__(self, factor: float) -> WeightedSum:
        """An objective times a number."""
        if isinstance(factor, bool) or not isinstance(factor, int | float):
            return NotImplemented
        return WeightedSum(tuple((factor * weight, term) for weight, term in _terms(self)))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> WeightedSum:
        """An objective over a number."""
        return self * (1.0 / divisor)

    def __neg__(self) -> WeightedSum:
        """An objective with the other sign."""
        return self * -1.0

    def __sub__(self, other: Objective) -> WeightedSum:
        """Difference of two objectives."""
        if not isinstance(other, Objective):
            return NotImplemented
        return self + -other


@dataclass(frozen=True)
class WeightedSum(Objective):
    """Sum of weights times objectives."""

    terms: tuple[tuple[float, Objective], ...]

    @property
    def name(self) -> str:
        """``2 sigma_x + sigma_y``."""
        return " + ".join(term.name if weight == 1.0 else f"{weight:g} {term.name}" for weight, term in self.terms)

    def __call__(self, beam: Beam) -> Array:
        """Weighted sum of the values."""
        first, *others = (weight * term(beam) for weight, term in self.terms)
        return sum(others, first)

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """Weighted sum of the cotangents."""
        first, *others = (term.pullback(beam, weight * bar) for weight, term in self.terms)
        for other in others:
            X, q, beta_gamma = (a + b for a, b in zip(first[:3], other[:3], strict=True))
            first = BeamCotangent(X, q, beta_gamma, _added(first.readings, other.readings))
        return first


def _added(some: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Sum of cotangents of readings; what only one of them has stays."""
    total = dict(some)
    for name, bar in others.items():
        if name not in total:
            total[name] = bar
        elif isinstance(bar, list):
            total[name] = [a + b for a, b in zip(total[name], bar, strict=True)]
        else:
            total[name] = total[name] + bar
    return total


def _terms(objective: Objective) -> tuple[tuple[float, Objective], ...]:
    return objective.terms if isinstance(objective, WeightedSum) else ((1.0, objective),)


@dataclass(frozen=True)
class _OfCoordinate(Objective):
    """An objective of one coordinate."""

    coordinate: str

    def __post_init__(self) -> None:
        """Refuse what is no coordinate."""
        if self.coordinate not in COORDINATES:
            raise InputError("coordinate", self.coordinate, f"one of {', '.join(COORDINATES)}")

    def _row(self, beam: Beam) -> Array:
        k = COORDINATES.index(self.coordinate)
        return beam.coordinates[..., k : k + 1, :]

    def _cotangent(self, beam: Beam, row_bar: Array, q_bar: Array) -> BeamCotangent:
        return _among_six(COORDINATES.index(self.coordinate), row_bar, q_bar)


@dataclass(frozen=True)
class Mean(_OfCoordinate):
    """Mean of a coordinate."""

    @property
    def name(self) -> str:
        """``mean_x``."""
        return f"mean_{self.coordinate}"

    def __call__(self, beam: Beam) -> Array:
        """Mean [m or 1]."""
        return beam.mean(self.coordinate)

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """See `backbeam.moments.pullback`."""
        return self._cotangent(beam, *moments.pullback(self._row(beam), beam.charges, beam.alive, bar[..., None], None))


@dataclass(frozen=True)
class Sigma(_OfCoordinate):
    """Rms size of a coordinate about its mean."""

    label: str = "sigma"

    @property
    def name(self) -> str:
        """``sigma_x``."""
        return self.label if self.label != "sigma" else f"sigma_{self.coordinate}"

    def __call__(self, beam: Beam) -> Array:
        """Rms size [m or 1]."""
        return beam.sigma(self.coordinate)

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """d sigma = d variance/(2 sigma)."""
        variance_bar = moments.safe_divide(0.5 * bar, self(beam))
        return self._cotangent(
            beam,
            *moments.pullback(self._row(beam), beam.charges, beam.alive, None, variance_bar[..., None, None]),
        )


@dataclass(frozen=True)
class _OfPlane(Objective):
    """An objective of the second moments of a plane."""

    plane: str

    def __post_init__(self) -> None:
        """Refuse what is no plane."""
        if self.plane not in PLANES:
            raise InputError("plane", self.plane, f"one of {', '.join(PLANES)}")

    def _value(self, p: moments.Plane) -> Array:
        raise NotImplementedError

    def _value_pullback(self, p: moments.Plane, bar: Array) -> moments.Plane:
        raise NotImplementedError

    def __call__(self, beam: Beam) -> Array:
        """Value from the plane's moments."""
        return self._value(beam.plane(self.plane))

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """See `backbeam.moments.plane_pullback`."""
        plane_bar = self._value_pullback(beam.plane(self.plane), bar)
        pair_bar, q_bar = moments.plane_pullback(beam.pair(self.plane), beam.charges, beam.alive, plane_bar)
        return _among_six(PLANES[self.plane], pair_bar, q_bar)


@dataclass(frozen=True)
class Emittance(_OfPlane):
    """Geometric rms emittance [m]."""

    @property
    def name(self) -> str:
        """``emittance_x``."""
        return f"emittance_{self.plane}"

    def _value(self, p: moments.Plane) -> Array:
        return p.emittance

    def _value_pullback(self, p: moments.Plane, bar: Array) -> moments.Plane:
        return p.emittance_pullback(bar)


@dataclass(frozen=True)
class NormalizedEmittance(Emittance):
    """beta0 gamma0 times the geometric rms emittance [m]."""

    @property
    def name(self) -> str:
        """``normalized_emittance_x``."""
        return f"normalized_emittance_{self.plane}"

    def __call__(self, beam: Beam) -> Array:
        """Value [m]."""
        return beam.normalized_emittance(self.plane)

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """The reference's momentum counts too."""
        bars = super().pullback(beam, beam.reference.beta_gamma * bar)
        return BeamCotangent(bars.coordinates, bars.charges, bar * beam.emittance(self.plane))


@dataclass(frozen=True)
class TwissBeta(_OfPlane):
    """Twiss beta [m]."""

    @property
    def name(self) -> str:
        """``beta_x``."""
        return f"beta_{self.plane}"

    def _value(self, p: moments.Plane) -> Array:
        return p.beta

    def _value_pullback(self, p: moments.Plane, bar: Array) -> moments.Plane:
        return p.beta_pullback(bar)


@dataclass(frozen=True)
class TwissAlpha(_OfPlane):
    """Twiss alpha."""

    @property
    def name(self) -> str:
        """``alpha_x``."""
        return f"alpha_{self.plane}"

    def _value(self, p: moments.Plane) -> Array:
        return p.alpha

    def _value_pullback(self, p: moments.Plane, bar: Array) -> moments.Plane:
        return p.alpha_pullback(bar)


@dataclass(frozen=True)
class Mismatch(_OfPlane):
    """Mismatch (beta gamma' - 2 alpha alpha' + gamma beta')/2 with wanted Twiss parameters (primed).

    1 where they agree, else more (Sands, SLAC-AP-85, 1991). With t = beta/beta' it is (t + 1/t + (alpha -
    alpha' t)^2/t)/2.
    """

    beta: float
    alpha: float

    def __post_init__(self) -> None:
        """Refuse a beta that is not positive."""
        super().__post_init__()
        if not self.beta > 0:
            raise InputError("mismatch.beta", self.beta, "a Twiss beta in m, greater than 0")

    @property
    def name(self) -> str:
        """``mismatch_x``."""
        return f"mismatch_{self.plane}"

    def _value(self, p: moments.Plane) -> Array:
        t = p.beta / self.beta
        difference = p.alpha - self.alpha * t
        return 0.5 * (t + moments.safe_divide(1.0 + difference * difference, t))

    def _value_pullback(self, p: moments.Plane, bar: Array) -> moments.Plane:
        t = p.beta / self.beta
        difference = p.alpha - self.alpha * t
        t_bar = 0.5 * bar * (1.0 - moments.safe_divide(1.0 + difference * difference, t * t))
        difference_bar = bar * moments.safe_divide(difference, t)
        from_beta = p.beta_pullback((t_bar - self.alpha * difference_bar) / self.beta)
        from_alpha = p.alpha_pullback(difference_bar)
        return moments.Plane(*(a + b for a, b in zip(from_beta, from_alpha, strict=True)))


@dataclass(frozen=True)
class MeanSquareSize(Objective):
    """<x^2 + y^2> about the axis [m^2]: offsets count."""

    @property
    def name(self) -> str:
        """``mean_square_size``."""
        return "mean_square_size"

    def _squares(self, beam: Beam) -> Array:
        return (beam.x * beam.x + beam.y * beam.y)[..., None, :]

    def __call__(self, beam: Beam) -> Array:
        """Mean of the squares."""
        return moments.centroid(self._squares(beam), beam.charges, beam.alive)[..., 0]

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """d<x^2 + y^2> = 2<x dx + y dy>."""
        squares_bar, q_bar = moments.pullback(self._squares(beam), beam.charges, beam.alive, bar[..., None], None)
        xp = namespace(beam.coordinates)
        position = xp.where(beam.alive[..., None, :], beam.coordinates, xp.zeros_like(beam.coordinates))
        both = 2.0 * squares_bar[..., 0, :]
        zero = xp.zeros_like(both)
        rows = (both * position[..., 0, :], zero, both * position[..., 2, :], zero, zero, zero)
        return BeamCotangent(xp.stack(rows, axis=-2), q_bar, xp.zeros_like(bar))


@dataclass(frozen=True)
class TransmittedCharge(Objective):
    """Magnitude of the charge [C] of all that is alive; by steps in the positions, whose slope is 0."""

    @property
    def name(self) -> str:
        """``charge``."""
        return "charge"

    def __call__(self, beam: Beam) -> Array:
        """Sum of the charges, of positive sign."""
        return sign_of(beam.species) * beam.charge

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """The same for every particle that is alive."""
        xp = namespace(beam.coordinates)
        alive = xp.astype(beam.alive, beam.charges.dtype)
        q_bar = sign_of(beam.species) * per_particle(bar) * alive
        zero = per_particle(per_particle(xp.zeros_like(bar)))
        return BeamCotangent(xp.zeros_like(beam.coordinates) + zero, q_bar, xp.zeros_like(bar))


@dataclass(frozen=True, eq=False)
class Reading(Objective):
    """Weighted sum over what a monitor or a screen in the line saw.

    Parameters
    ----------
    element:
        Name of the monitor (centroid x, y [m]) or the screen (charge of each pixel [C]).
    weights:
        Array of the reading's own shape, ``(2,)`` or ``(nx, ny)``, or what broadcasts to it.
    passage:
        Which of the readings, from 0, where the beam passes the element several times.
    """

    element: str
    weights: Any
    passage: int | None = None

    @property
    def name(self) -> str:
        """``reading:yag``."""
        return f"reading:{self._passed}"

    @property
    def _passed(self) -> str:
        return self.element if self.passage is None else f"{self.element}[{self.passage}]"

    def _seen(self, beam: Beam) -> Array:
        """The one reading."""
        if self.element not in beam.readings:
            known = ", ".join(beam.readings) or "that there is; this line has none"
            raise InputError("objective", self.name, f"the reading of a monitor or screen: {known}")
        found = beam.readings[self.element]
        if not isinstance(found, list):
            found = [found]
        elif self.passage is None:
            allowed = f"{self.element}[0] ... {self.element}[{len(found) - 1}]: the beam passes {len(found)} times"
            raise InputError("objective", self.name, allowed)
        if not -len(found) <= (self.passage or 0) < len(found):
            raise InputError("objective", self.name, f"one of {len(found)} passages, counted from 0")
        return found[self.passage or 0]

    def _weights(self, beam: Beam, seen: Array) -> Array:
        """Weights of the shape of the reading ``(..., *own)``."""
        try:
            return namespace(seen).broadcast_to(beam.as_mine(self.weights, "weights"), seen.shape)
        except (ValueError, TypeError, RuntimeError):
            allowed = f"weights that broadcast to the reading's shape {tuple(seen.shape)}"
            raise InputError("objective", self.name, allowed) from None

    def __call__(self, beam: Beam) -> Array:
        """Sum of weights times reading."""
        seen = self._seen(beam)
        return namespace(seen).sum(self._weights(beam, seen) * seen, axis=self._own(beam, seen))

    @staticmethod
    def _own(beam: Beam, seen: Array) -> tuple[int, ...]:
        """Axes of the reading behind the batch."""
        return tuple(range(beam.coordinates.ndim - 2, seen.ndim))

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """The weights; what came out of the line has no part in it."""
        xp = namespace(beam.coordinates)
        seen = self._seen(beam)
        spread = xp.reshape(bar, (*bar.shape, *[1] * len(self._own(beam, seen))))
        mine: Any = spread * self._weights(beam, seen)
        found = beam.readings[self.element]
        if isinstance(found, list):
            passed = (self.passage or 0) % len(found)
            mine = [mine if k == passed else xp.zeros_like(one) for k, one in enumerate(found)]
        nothing = (xp.zeros_like(beam.coordinates), xp.zeros_like(beam.charges), xp.zeros_like(bar))
        return BeamCotangent(*nothing, {self.element: mine})


AXES = {"x": (1.0, 0.0), "y": (0.0, 1.0)}
"""Weights of a monitor's centroid that leave one of its two numbers."""


@dataclass(frozen=True, eq=False)
class MonitorReading(Reading):
    """Centroid x or y [m] that a monitor saw."""

    component: str = "x"

    @property
    def name(self) -> str:
        """``reading:bpm1.x``."""
        return f"reading:{self._passed}.{self.component}"

    def _seen(self, beam: Beam) -> Array:
        seen = super()._seen(beam)
        if seen.ndim != beam.coordinates.ndim - 1:
            raise InputError("objective", self.name, "x or y of a monitor; a screen has pixels instead")
        return seen


def _among_six(first: int, rows_bar: Array, q_bar: Array) -> BeamCotangent:
    """Cotangent of a few neighbouring rows ``(..., k, n)`` as one of the beam."""
    xp = namespace(rows_bar)
    zero = xp.zeros_like(rows_bar[..., :1, :])
    k = rows_bar.shape[-2]
    X_bar = xp.concat([*([zero] * first), rows_bar, *([zero] * (6 - first - k))], axis=-2)
    return BeamCotangent(X_bar, q_bar, xp.zeros_like(rows_bar[..., 0, 0]))


def sigma(coordinate: str) -> Objective:
    """Rms size of x, px, y, py, tau or pt about its mean [m or 1]."""
    return Sigma(coordinate)


def mean(coordinate: str) -> Objective:
    """Mean of x, px, y, py, tau or pt [m or 1]."""
    return Mean(coordinate)


def energy_spread() -> Objective:
    """Rms of pt = (E - E0)/(P0 c)."""
    return Sigma("pt", "energy_spread")


def emittance(plane: str) -> Objective:
    """Geometric rms emittance of plane x, y or z, which is (tau, pt) [m]."""
    return Emittance(plane)


def normalized_emittance(plane: str) -> Objective:
    """beta0 gamma0 times the geometric rms emittance of plane x, y or z [m]."""
    return NormalizedEmittance(plane)


def twiss_beta(plane: str) -> Objective:
    """Twiss beta of plane x, y or z [m]."""
    return TwissBeta(plane)


def twiss_alpha(plane: str) -> Objective:
    """Twiss alpha of plane x, y or z."""
    return TwissAlpha(plane)


def mismatch(plane: str, *, beta: float, alpha: float = 0.0) -> Objective:
    """Mismatch of a plane with wanted Twiss parameters: 1 where they agree, else more."""
    return Mismatch(plane, beta, alpha)


def mean_square_size() -> Objective:
    """<x^2 + y^2> about the axis [m^2]."""
    return MeanSquareSize()


def transmitted_charge() -> Objective:
    """Magnitude of the charge of all that is alive [C]."""
    return TransmittedCharge()


def reading(element: str, what: Any, passage: int | None = None) -> Objective:
    """What a monitor or screen in mid-line saw.

    Parameters
    ----------
    element:
        Its name.
    what:
        "x" or "y" of a monitor [m]; or weights, of the pixels of a screen or of both numbers of a monitor, for the
        sum of weights times reading.
    passage:
        Which of the readings, from 0, where the beam passes the element several times.
    """
    if not isinstance(what, str):
        return Reading(element, what, passage)
    if what not in AXES:
        raise InputError("reading", what, "x or y, or weights")
    return MonitorReading(element, AXES[what], passage, what)


def optics(what: str, at: str | None = None, **options: Any) -> Objective:
    """A lattice function of the line, or a number of a ring: it judges the line, not the beam.

    Parameters
    ----------
    what:
        A column of the table of `backbeam.optics` (``beta_x``, ``mu_x``, ``dispersion_x``, ``x``, ...), or ``tune_x``,
        ``chromaticity_x``, ``momentum_compaction``, ...
    at:
        Element at whose end a column is meant, or "start" or "end"; None for a number.
    options:
        ``start``, ``pt`` and ``per``, as in `backbeam.optics`.
    """
    from backbeam.lattice_functions.objectives import OfOptics

    return OfOptics(what, at, **options)


def catalogue() -> Mapping[str, Objective]:
    """Return every objective that has a name of its own, by that name."""
    of_planes = (Emittance, NormalizedEmittance, TwissBeta, TwissAlpha)
    objectives: list[Objective] = [
        *(Sigma(c) for c in COORDINATES),
        *(Mean(c) for c in COORDINATES),
        *(kind(plane) for kind in of_planes for plane in PLANES),
        MeanSquareSize(),
        energy_spread(),
        TransmittedCharge(),
    ]
    return {objective.name: objective for objective in objectives}


_READING = re.compile(r"reading:([^\s.\[\]]+)(?:\[(\d+)\])?\.([xy])")
_TERM = re.compile(r"(?:([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*[*\s]\s*)?(\S+)")


def named(text: str) -> Objective:
    """Objective by its name: ``sigma_x``, ``mean_tau``, ``normalized_emittance_y``, ``charge``, ``reading:bpm1.x``, ...

    ``reading:bpm1[2].x`` is the third reading of a monitor that is passed several times.

    Raises
    ------
    InputError
        If there is none of that name; it lists them all.
    """
    found = catalogue()
    if text in found:
        return found[text]
    match = _READING.fullmatch(text)
    if match is None:
        raise InputError("objective", text, f"one of {', '.join(found)}, reading:MONITOR.x, reading:MONITOR.y")
    element, passage, component = match.groups()
    return reading(element, component, None if passage is None else int(passage))


def expression(text: str) -> Objective:
    """Objective by its name, or a weighted sum: ``2 sigma_x + 0.5*sigma_y - mean_x``, with spaces around + and -.

    Raises
    ------
    InputError
        For what is no such sum, or a name that is not known.
    """
    parts = re.split(r"\s+([-+])\s+", str(text).strip())
    signs = [1.0, *(1.0 if sign == "+" else -1.0 for sign in parts[1::2])]
    terms: list[tuple[float, Objective]] = []
    for sign, part in zip(signs, parts[::2], strict=True):
        match = _TERM.fullmatch(part)
        if match is None:
            raise InputError("objective", text, "an objective, or a sum such as 2 sigma_x + 0.5 sigma_y")
        weight, name = match.groups()
        terms.append((sign * float(weight or 1.0), named(name)))
    return terms[0][1] if len(terms) == 1 and terms[0][0] == 1.0 else WeightedSum(tuple(terms))


def weighted(weights: Mapping[str, float]) -> Objective:
    """Weighted sum of objectives by their names: ``{"sigma_x": 1.0, "sigma_y": 2.0}``.

    Raises
    ------
    InputError
        For no terms, a weight that is no finite number, or a name that is not known.
    """
    if not weights:
        raise InputError("objective", weights, "at least one objective with its weight")
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
            raise InputError(f"objective.{name}", weight, "a finite weight")
    return WeightedSum(tuple((float(weight), named(name)) for name, weight in weights.items()))
