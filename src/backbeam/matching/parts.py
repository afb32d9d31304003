"""Parts of parameters that are arrays: ``m.matrix[0,1]`` of a linear map, ``c.field_cos[2]`` of a cavity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.course import Course
from backbeam.errors import InputError
from backbeam.matching.incoming import beside

_BRACKETED = re.compile(r"(.+)\[\s*(\d+(?:\s*,\s*\d+)*)\s*\]")


class Part(NamedTuple):
    """One number of a parameter."""

    whole: str
    place: tuple[int, ...]

    @property
    def name(self) -> str:
        """``m.matrix[0,1]``."""
        return f"{self.whole}[{','.join(map(str, self.place))}]"

    def of(self, value: Any) -> Any:
        """That number of a value of the parameter ``(..., own shape)``."""
        return value[(..., *self.place)]


def parts_of(whole: str, course: Course) -> tuple[Part, ...]:
    """All parts of a parameter, in order; of one that is a number, or not there, none."""
    return (
        tuple(Part(whole, index) for index in np.ndindex(own_shape(whole, course))) if own_shape(whole, course) else ()
    )


def part_named(name: str, course: Course) -> Part | None:
    """The part that a name stands for, if it stands for one."""
    found = _BRACKETED.fullmatch(name)
    shape = own_shape(found[1], course) if found else ()
    if not found or not shape:
        return None
    place = tuple(int(number) for number in found[2].split(","))
    if len(place) != len(shape) or any(k >= n for k, n in zip(place, shape, strict=True)):
        last = ",".join(str(n - 1) for n in shape)
        raise InputError("vary", name, f"{found[1]}[{','.join('0' for _ in shape)}] ... {found[1]}[{last}]")
    return Part(found[1], place)


def own_shape(name: str, course: Course) -> tuple[int, ...]:
    """Shape of a parameter behind the axes of its settings; () for a number, and for what is no parameter."""
    owner, dot, field = name.rpartition(".")
    if not dot or not (owner in course.line or owner in course.effects):
        return ()
    known = course.owner(owner)
    rank = len(known.rule(field)["shape"]) if field in known.parameter_names() else 0
    return tuple(np.shape(course.get(name)))[-rank:] if rank else ()


def with_parts(whole: Any, changes: Mapping[tuple[int, ...], Any]) -> Array:
    """A parameter with other numbers in some places; settings of these are in front of it."""
    rank = len(next(iter(changes)))
    given = [v for v in (*changes.values(), whole) if hasattr(v, "shape")]
    like: Any = next((v for v in given if not isinstance(v, np.ndarray | np.generic)), np.zeros(()))
    A, xp = beside(whole, like), namespace(like)
    shape = tuple(A.shape[A.ndim - rank :])
    each = [beside(changes[k], like) if k in changes else A[(..., *k)] for k in np.ndindex(shape)]
    flat = xp.stack(xp.broadcast_arrays(*each), axis=-1)
    return xp.reshape(flat, (*flat.shape[:-1], *shape))


def on_the_host(value: Any) -> np.ndarray:
    """A value of a parameter as an array of NumPy."""
    return np.asarray(backends.of(value).to_numpy(value) if hasattr(value, "shape") else value, dtype=np.float64)
