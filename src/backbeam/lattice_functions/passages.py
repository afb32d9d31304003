"""The maps of a line in the order in which the beam passes them, those that are alike together.

Optics asks the same of every map: where it takes the orbit, and its first-order matrix there. Maps that are alike but
for their parameters are asked together, along an axis of their own behind the batch. So a ring of a thousand elements
is a few calls, one for each kind of map.

All parameters of a line are one vector ``(..., n)``, from which each kind takes what it needs by index; a cotangent
of the vector is one of them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backbeam import backends, clock
from backbeam.arrays import Array, namespace
from backbeam.errors import InputError
from backbeam.plan import Apply, Observe, Slicing, compile_pieces
from backbeam.reference import Reference
from backbeam.run import broadcast_shapes

if TYPE_CHECKING:
    from backbeam.line import Line
    from backbeam.maps.base import Map
    from backbeam_backends import Backend


class Kind(NamedTuple):
    """Maps that are alike."""

    map: Map
    at: np.ndarray
    """Which of the line's maps they are ``(m,)``."""
    taken: dict[str, tuple[np.ndarray, tuple[int, ...]]]
    """Of each parameter of the map: where its numbers stand in the vector, and its own shape."""


@dataclass(frozen=True, eq=False)
class Passages:
    """What of a line does not depend on its numbers: its maps in order, and the places between them.

    Parameters
    ----------
    steps:
        Every map, in order: K of them.
    ends:
        How many maps there are before each place ``(N,)``.
    names:
        Name of the element that ends at each place; "" at the start.
    fractions:
        What part of that element lies between the place and the one before it ``(N,)``.
    slots:
        Where each parameter ``(element, name)`` stands in the vector: first index and own shape.
    held:
        Of an affine line, where maps of a kind take the axis ``(m, 6)`` and their matrices ``(m, 6, 6)``, by the number
        of the kind, if its parameters are held at what they are.
    looks:
        Every reading of a monitor or screen, with the number of maps before it: it stands in the element's own frame.
    """

    steps: tuple[Apply, ...]
    ends: np.ndarray
    names: tuple[str, ...]
    fractions: np.ndarray
    slots: dict[tuple[str, str], tuple[int, tuple[int, ...]]]
    held: Mapping[int, tuple[Array, Array]] = field(default_factory=dict)
    looks: tuple[tuple[int, Observe], ...] = ()

    @classmethod
    def of(cls, line: Line, slicing: Slicing) -> Passages:
        """Passages of a line; apertures do not matter to its optics."""
        if line.has_clocks:
            clock.refuse(line, "optics and moments")
        steps: list[Apply] = []
        looks: list[tuple[int, Observe]] = []
        ends, names, fractions = [0], [""], [0.0]
        for name, fraction, piece in compile_pieces(line, slicing, {}):
            for step in piece:
                if isinstance(step, Apply):
                    steps.append(step)
                elif isinstance(step, Observe):
                    looks.append((len(steps), step))
            ends.append(len(steps))
            names.append(name)
            fractions.append(fraction)
        return cls(
            tuple(steps), np.asarray(ends), tuple(names), np.asarray(fractions), parameter_slots(line),
            looks=tuple(looks),
        )  # fmt: skip

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """The maps by kind."""
        found: dict[Map, list[int]] = {}
        for k, step in enumerate(self.steps):
            found.setdefault(step.map, []).append(k)
        return tuple(self._kind(map_, places) for map_, places in found.items())

    def _kind(self, map_: Map, places: list[int]) -> Kind:
        taken = {}
        for name in map_.parameters:
            slots = []
            for k in places:
                step = self.steps[k]
                slots.append(self.slots[step.element, dict(step.names)[name]])
            shape = slots[0][1]
            first = np.asarray([slot[0] for slot in slots])
            taken[name] = (np.ravel(first[:, None] + np.arange(prod(shape))), shape)
        return Kind(map_, np.asarray(places), taken)

    @cached_property
    def order(self) -> np.ndarray:
        """Index that puts what was found kind by kind into the order of the line ``(K,)``."""
        return np.argsort(np.concatenate([kind.at for kind in self.kinds])) if self.kinds else np.zeros(0, dtype=int)

    @cached_property
    def affine(self) -> bool:
        """Whether every map is a matrix and a shift, about any orbit the same, and none changes the reference."""
        return all(kind.map.affine and not kind.map.accelerates for kind in self.kinds)

    @property
    def accelerating(self) -> tuple[int, ...]:
        """Which maps change the reference."""
        return tuple(k for k, step in enumerate(self.steps) if step.map.accelerates)

    @cached_property
    def last(self) -> dict[str, list[int]]:
        """Place at the end of every passage of each element."""
        found: dict[str, list[int]] = {}
        done = 0.0
        for k, name in enumerate(self.names):
            done += self.fractions[k]
            if name and (done > 1.0 - 1e-9 or not self.fractions[k]):
                found.setdefault(name, []).append(k)
                done = 0.0
        return found

    def maps_behind(self, elements: int) -> int:
        """How many maps so many elements of the line are."""
        places = [0, *sorted(place for each in self.last.values() for place in each)]
        return int(self.ends[places[elements]])

    def thick(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the places whose element has a length: which they are, and where the length stands in the vector."""
        places = [k for k, name in enumerate(self.names) if (name, "length") in self.slots]
        return np.asarray(places, dtype=int), np.asarray([self.slots[self.names[k], "length"][0] for k in places], int)


def parameter_slots(line: Line) -> dict[tuple[str, str], tuple[int, tuple[int, ...]]]:
    """Where each parameter ``(element, name)`` stands in the vector of all: first index and own shape."""
    slots, start = {}, 0
    for path, value in line.parameters.items():
        name, _, field = path.rpartition(".")
        shape = _own_shape(line, path, value)
        slots[name, field] = (start, shape)
        start += prod(shape)
    return slots


def parameter_vector(line: Line, reference: Reference | None = None) -> tuple[Array, Backend]:
    """All parameters of a line as one array ``(..., n)``, beside a reference's, and the library that it is of."""
    values = line.parameters
    shaped = {path: v for path, v in values.items() if hasattr(v, "shape")}
    beside = [*([] if reference is None else [reference.beta_gamma]), *shaped.values()]
    backend = _library(beside)
    like = next((v for v in beside if _is_of(v, backend)), None)
    device = None if like is None or backend.traced([like]) else backend.device_name(like)
    dtype = "float32" if like is not None and like.dtype == namespace(like).float32 else "float64"

    def array(value: Any) -> Array:
        return backend.asarray(value, dtype=dtype, device=None if _is_of(value, backend) else device)

    if not shaped:
        return array(list(values.values())), backend
    batches, flat = [], []
    for path, value in values.items():
        own = _own_shape(line, path, value)
        value = array(value)
        lead = value.ndim - len(own)
        if lead < 0 or tuple(value.shape[lead:]) != own:
            allowed = f"shape (..., {', '.join(map(str, own))})"
            raise InputError(path, f"an array of shape {tuple(value.shape)}", allowed)
        batches.append(tuple(value.shape[:lead]))
        flat.append((value, prod(own)))
    batch = broadcast_shapes(*batches)
    xp = backend.namespace
    spread = [xp.broadcast_to(xp.reshape(v, (*b, n)), (*batch, n)) for (v, n), b in zip(flat, batches, strict=True)]
    return xp.concat(spread, axis=-1), backend


def _own_shape(line: Line, path: str, value: Any) -> tuple[int, ...]:
    """Shape of a parameter behind its batch axes; where it may have any number of entries, that of the value."""
    name, _, field = path.rpartition(".")
    shape = type(line[name]).rule(field)["shape"]
    return tuple(value.shape[-len(shape) :]) if None in shape else tuple(shape)


def _library(arrays: list[Any]) -> Backend:
    """The one library of some arrays; NumPy's go with every other."""
    found = {backend.name: backend for a in arrays if hasattr(a, "shape") for backend in [backends.of(a)]}
    found.setdefault("numpy", backends.get("numpy"))
    others = [name for name in found if name != "numpy"]
    if len(others) > 1:
        raise InputError("line", f"arrays of {' and '.join(others)}", "parameters of one array library")
    return found[others[0]] if others else found["numpy"]


def _is_of(value: Any, backend: Backend) -> bool:
    return hasattr(value, "shape") and backends.of(value) is backend
