"""Objectives of one's own: any function of a beam, among others and on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backbeam.arrays import Array, namespace
from backbeam.beam import Beam, BeamCotangent
from backbeam.errors import InputError, Said
from backbeam.observables.base import Objective
from backbeam.observables.places import placed


@dataclass(frozen=True, eq=False)
class Own(Objective):
    """A function of a beam as a leaf; its library differentiates it where it does not do so itself."""

    function: Callable[[Any], Any]
    label: str

    @property
    def name(self) -> str:
        """As it was called."""
        return self.label

    @property
    def is_foreign(self) -> bool:
        """It is written for one library."""
        return True

    def __call__(self, beam: Beam) -> Array:
        """Value ``(...)``."""
        found = self.function(beam)
        return self._checked(found[0] if isinstance(found, tuple) else found, beam)

    def _checked(self, value: Any, beam: Beam) -> Array:
        batch = tuple(beam.coordinates.shape[:-2])
        if isinstance(value, int | float):
            value = namespace(beam.coordinates).broadcast_to(beam.as_mine(float(value)), batch)
        shape = getattr(value, "shape", None)
        if shape is None or tuple(shape) != batch or "complex" in str(value.dtype):
            shown = Said(type(value).__name__ if shape is None else f"a value of {value.dtype}, shape {tuple(shape)}")
            raise InputError(f"objective {self.name}", shown, f"a real number for each setting, shape {batch}")
        return value

    def pullback(self, beam: Beam, bar: Array) -> BeamCotangent:
        """By the function's own pullback, by the cotangent that it gives beside its value, or by its library."""
        by_hand = getattr(self.function, "pullback", None)
        if by_hand is not None:
            return _filled(beam, by_hand(beam, bar))
        if beam.backend.has_autodiff:
            found = self._by_library(beam, bar)
            if found is not None:
                return found
        given = self.function(beam)
        if not isinstance(given, tuple) or len(given) != 2:
            allowed = "a function with pullback(beam, bar), or one that gives (value, cotangent)"
            raise InputError(f"objective {self.name}", Said(f"no gradient on {beam.backend.name}"), allowed)
        return _filled(beam, given[1], bar)

    def _by_library(self, beam: Beam, bar: Array) -> BeamCotangent | None:
        """Cotangents by automatic differentiation; None where the function gives its own."""
        gives: list[bool] = []

        def function(X: Array, q: Array, beta_gamma: Array, s: Array, *seen: Array) -> Array:
            reference, readings = beam.reference.with_beta_gamma(beta_gamma), _named(beam.readings, seen)
            found = self.function(Beam(X, q, reference, beam.lost_at, s, None, readings, beam.ledger))
            gives.append(isinstance(found, tuple))
            return self._checked(found[0] if gives[-1] else found, beam)

        u = beam.reference.beta_gamma
        seen = [one for found in beam.readings.values() for one in (found if isinstance(found, list) else [found])]
        along = namespace(u).zeros_like(u) + beam.home().asarray(beam.s)
        _, pull = beam.backend.pull(function, [beam.coordinates, beam.charges, u, along, *seen])
        if gives[-1]:
            return None
        X_bar, q_bar, u_bar, s_bar, *seen_bar = pull(bar)
        return BeamCotangent(X_bar, q_bar, u_bar, _named(beam.readings, seen_bar), s_bar)


def own(function: Callable[[Any], Any], *, at: str | None = None, name: str | None = None) -> Objective:
    """A function of a beam as an objective: it can stand in formulas, in a `Target`, and at a place of the line.

    Parameters
    ----------
    function:
        ``function(beam)`` gives a number for each setting, written in the beam's library. PyTorch and JAX differentiate
        it; elsewhere it has ``function.pullback(beam, bar)``, which gives the cotangent of the coordinates or a
        `BeamCotangent`, or it gives ``(value, cotangent)``.
    at:
        Element behind which the beam is meant, as ``m1`` or ``m1[2]``; None: the end. On the way a function sees
        coordinates, charges, reference and who is alive: s is no number there, and there are no readings.
    name:
        What tables call it; None: its own.

    Examples
    --------
    >>> from backbeam import observables as obs
    >>> line = bb.Line([bb.Drift(1.0, name="d"), bb.Quadrupole(0.2, k1=3.0, name="q")])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3,
    ...                         sigma_px=1e-3, backend="torch")
    >>> fourth = obs.own(lambda beam: (beam.coordinates[..., 0, :] ** 4).mean(-1), at="d", name="fourth")
    >>> value, gradient = bb.value_and_grad(fourth / obs.sigma("x", at="d") ** 4, line, beam, ["d.length"])
    >>> f"{float(value):.0f}", abs(float(gradient["d.length"])) > 0.0
    ('3', True)
    """
    if isinstance(function, Objective) or not callable(function):
        raise InputError("own", function, "a function of a beam; an objective has at=, or objective.at(...)")
    return placed(Own(function, str(name or getattr(function, "__name__", type(function).__name__))), at)


def _named(like: Mapping[str, Any], values: Sequence[Array]) -> dict[str, Any]:
    """Values in the order of readings, by their names; a list where an element is passed several times."""
    left = iter(values)
    return {n: [next(left) for _ in found] if isinstance(found, list) else next(left) for n, found in like.items()}


def _filled(beam: Beam, given: Any, scale: Array | None = None) -> BeamCotangent:
    """A cotangent of a beam from one of its coordinates, or from those of some of its fields; zeros for the rest."""
    if isinstance(given, BeamCotangent):
        given = given._asdict()
    fields = given if isinstance(given, Mapping) else {"coordinates": given}
    unknown = set(fields) - set(BeamCotangent._fields)
    if unknown:
        raise InputError("own", sorted(unknown), f"cotangents of {', '.join(BeamCotangent._fields)}")

    def scaled(bar: Any) -> Any:
        if scale is None:
            return bar
        return [scaled(one) for one in bar] if isinstance(bar, list) else _times(scale, beam.as_mine(bar))

    xp, u = namespace(beam.coordinates), beam.reference.beta_gamma
    likes = {"coordinates": beam.coordinates, "charges": beam.charges, "beta_gamma": u, "s": u}
    found = {n: scaled(fields[n]) if fields.get(n) is not None else xp.zeros_like(x) for n, x in likes.items()}
    readings = {name: scaled(bar) for name, bar in (fields.get("readings") or {}).items()}
    return BeamCotangent(**found, readings=readings)


def _times(scale: Array, bar: Array) -> Array:
    """A cotangent times a number for each setting."""
    return namespace(bar).reshape(scale, (*scale.shape, *[1] * (bar.ndim - scale.ndim))) * bar
