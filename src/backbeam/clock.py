"""Cavities whose field keeps time by itself: their phase when the reference comes by follows from its time of flight.

A cavity's ``phase`` is that of its field at the moment at which the reference passes, unless it has a ``clock``: then
it is that at the moment at which the reference leaves the start of the line, and::

    phase on arrival = phase + 2 pi f t,    c t = sum over the way before of L <gamma/(beta gamma)>

A cavity counts as a steady acceleration over its length, for which c t = L (gamma0 + gamma1)/(u0 + u1) with
u = beta gamma. So whatever changes the way or the speed before the cavity moves its phase; the derivatives go the same
way back, in a sweep over a few numbers an element, apart from the particles'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from backbeam.arrays import Array, namespace
from backbeam.errors import InputError
from backbeam.maps.rf import WAVE_NUMBER
from backbeam.plan import Bars

if TYPE_CHECKING:
    from backbeam.line import Line
    from backbeam.reference import Reference

Numbers = Mapping[str, Mapping[str, Array]]


class _Leg(NamedTuple):
    """An element on the way, and what the reference is before and behind it."""

    name: str
    is_long: bool
    gains: bool
    has_clock: bool
    ct: Array
    """c t on arrival [m]."""
    gamma: Array
    u: Array
    gamma1: Array
    u1: Array


def cavities_with_clock(line: Line) -> tuple[str, ...]:
    """Names of the cavities of a line that have a clock.

    Raises
    ------
    InputError
        If one of them is passed more than once, or stands behind an element whose time of flight is not known.
    """
    names = tuple(name for name, element in line.of_kind("rf_cavity").items() if element.clock)
    waiting, sequence = set(names), line.sequence
    for name in names:
        if sequence.count(name) > 1:
            raise InputError(f"{name}.clock", True, "false, where a line passes a cavity more than once")
    for name, element in zip(sequence, line.elements, strict=True):
        if waiting and element.kind in ("field_cavity", "buncher"):
            raise InputError(f"{sorted(waiting)[0]}.clock", True, f"false, behind {name}, a {element.kind}")
        waiting -= {name}
    return names


def refuse(line: Line, what: str) -> None:
    """Raise `InputError` if a cavity has a clock."""
    for name in cavities_with_clock(line):
        raise InputError(f"{name}.clock", True, f"false: {what} take phases as those on arrival")


def on_arrival(line: Line, P: Numbers, reference: Reference) -> dict[str, Array]:
    """Phase of each cavity with a clock when the reference arrives."""
    return {leg.name: _phase(leg, P[leg.name]) for leg in _legs(line, P, reference) if leg.has_clock}


def pulled_back(line: Line, P: Numbers, reference: Reference, bars: Bars) -> Bars:
    """Cotangents with what the phases on arrival add to those of all before; ``P`` holds the phases as given."""
    found = {name: dict(fields) for name, fields in bars.parameters.items()}
    ct_bar, gamma_bar = 0.0, 0.0
    per_volt = abs(reference.species.charge_number) / reference.species.mass
    for leg in reversed(_legs(line, P, reference)):
        mine, p, gamma1_bar = found[leg.name], P[leg.name], gamma_bar
        if leg.is_long:
            length, both_g, both_u = p["length"], leg.gamma + leg.gamma1, leg.u + leg.u1
            mine["length"] = mine["length"] + ct_bar * both_g / both_u
            ends = ((1.0 - both_g / both_u * g / u) / both_u for g, u in ((leg.gamma, leg.u), (leg.gamma1, leg.u1)))
            first, last = (ct_bar * length * end for end in ends)
            gamma_bar, gamma1_bar = first, gamma1_bar + last
        else:
            gamma_bar = 0.0
        gamma_bar = gamma_bar + gamma1_bar
        if leg.gains:
            xp, phase = namespace(leg.u), _phase(leg, p)
            mine["voltage"] = mine["voltage"] + gamma1_bar * per_volt * xp.cos(phase)
            turned = mine["phase"] - gamma1_bar * per_volt * p["voltage"] * xp.sin(phase)
            mine["phase"] = turned
            if leg.has_clock:
                mine["frequency"] = mine["frequency"] + WAVE_NUMBER * leg.ct * turned
                ct_bar = ct_bar + WAVE_NUMBER * p["frequency"] * turned
    return bars._replace(beta_gamma=bars.beta_gamma + gamma_bar * reference.beta, parameters=found)


def _phase(leg: _Leg, p: Mapping[str, Array]) -> Array:
    return p["phase"] + WAVE_NUMBER * p["frequency"] * leg.ct if leg.has_clock else p["phase"]


def _legs(line: Line, P: Numbers, reference: Reference) -> list[_Leg]:
    """The way of the reference, up to the last clock."""
    last = max(k for k, element in enumerate(line.elements) if element.kind == "rf_cavity" and element.clock)
    per_volt = abs(reference.species.charge_number) / reference.species.mass
    gamma, u, ct = reference.gamma, reference.beta_gamma, 0.0 * reference.beta_gamma
    xp, found = namespace(u), []
    for name, element in zip(line.sequence[: last + 1], line.elements[: last + 1], strict=True):
        gains = element.kind == "rf_cavity"
        leg = _Leg(name, element.is_thick, gains, gains and element.clock, ct, gamma, u, gamma, u)
        if gains:
            gain = per_volt * P[name]["voltage"] * xp.cos(_phase(leg, P[name]))
            gamma = gamma + gain
            u = xp.sqrt(u * u + gain * (2.0 * leg.gamma + gain))
            leg = leg._replace(gamma1=gamma, u1=u)
        if element.is_thick:
            ct = ct + P[name]["length"] * (leg.gamma + gamma) / (leg.u + u)
        found.append(leg)
    return found
