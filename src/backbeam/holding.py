"""Magnets that keep their field while the energy of the reference moves, as those of a machine do.

A strength such as k1 is a field over the momentum of the reference. If a cavity upstream is out of phase, the reference
has another momentum, and a line that is stated in strengths would set all its magnets anew. With a
``design_momentum`` an element's field is its strength at that momentum, whatever comes along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backbeam import backends, clock
from backbeam.arrays import namespace
from backbeam.errors import InputError
from backbeam.maps.held import DESIGN

if TYPE_CHECKING:
    from backbeam.elements.base import Element
    from backbeam.line import Line
    from backbeam.reference import Reference


def hold_fields(line: Line, reference: Reference) -> Line:
    """Return the line with the field of every magnet held at what it is for this reference.

    Parameters
    ----------
    line:
        The line as designed.
    reference:
        Reference at its beginning; its momentum along the line is that of the design.

    Raises
    ------
    InputError
        If one element is passed at two momenta, so that its strength means two fields.
    """
    design: dict[str, Any] = {}
    phases = _phases_on_arrival(line, reference) if line.has_clocks else {}
    for element, name in zip(line.elements, line.sequence, strict=True):
        if element.strengths():
            momentum = _number(reference.momentum)
            if name in design and not _same(design[name], momentum):
                allowed = "an element that is passed at one momentum: give each passage a name of its own"
                raise InputError(f"{name}.{DESIGN}", f"both {design[name]} and {momentum}", allowed)
            design[name] = momentum
        reference = _after(element, reference, {"phase": phases[name]} if name in phases else {})
    return line.with_elements({name: _held(line[name], momentum) for name, momentum in design.items()})


def _held(element: Element, momentum: Any) -> Element:
    """The element with its momentum, and a thick bend with the field that was that of the reference."""
    changes = {DESIGN: momentum}
    if element.curved and element.is_thick and element.k0 is None:
        changes["k0"] = element.angle / element.length
    return element.replace(**changes)


def _phases_on_arrival(line: Line, reference: Reference) -> dict[str, Any]:
    """Of cavities whose field keeps time by itself."""
    clock.cavities_with_clock(line)
    zero = namespace(reference.beta_gamma).zeros_like(reference.beta_gamma)
    values = {name: {p: v + zero for p, v in line[name].parameters().items()} for name in line.names}
    return clock.on_arrival(line, values, reference)


def _after(element: Element, reference: Reference, other: Mapping[str, Any]) -> Reference:
    """Reference behind an element, some of whose parameters are others."""
    accelerating = [
        bound for bound in (*element.body(1.0), *element.exit()) if getattr(bound.map, "accelerates", False)
    ]
    if not accelerating:
        return reference
    zero = namespace(reference.beta_gamma).zeros_like(reference.beta_gamma)
    values = {name: value + zero for name, value in {**element.parameters(), **other}.items()}
    for bound in accelerating:
        reference = bound.map.reference_after(reference, {mine: values[field] for mine, field in bound.names})
    return reference


def _number(momentum: Any) -> Any:
    """A plain number where nothing watches it."""
    backend = backends.of(momentum)
    if momentum.ndim or backend.traced([momentum]) or backend.records([momentum]):
        return momentum
    return float(backend.to_numpy(momentum))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-12 * abs(one)
    return one is other
