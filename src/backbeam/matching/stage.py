"""Where the play is: the course, and what enters it; every parameter of both by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from backbeam import backends
from backbeam.arrays import Array
from backbeam.course import Course
from backbeam.errors import InputError
from backbeam.matching.starts import Start
from backbeam.parameter_names import expand, unit_of
from backbeam.paths import BEAM, is_of_beam

REFERENCE = "reference"


@dataclass(frozen=True, eq=False)
class Stage:
    """A course and a start."""

    course: Course
    start: Start

    # -- names -------------------------------------------------------------------------------------------------------

    def of_start(self, name: str) -> str | None:
        """Which field of the start a name is one of; None: it is of the course."""
        if not self._is_of_start(name):
            return None
        owner, _, field = name.rpartition(".")
        if field not in self.start.fields or (owner == REFERENCE and field != "kinetic_energy"):
            allowed = "reference.kinetic_energy" if owner == REFERENCE else (
                f"beam with one of {', '.join(self.start.fields)}"
            )  # fmt: skip
            raise InputError("vary", name, allowed)
        return field

    def _is_of_start(self, name: str) -> bool:
        line = self.course.line
        return is_of_beam(name, line) or (name.startswith(f"{REFERENCE}.") and REFERENCE not in line)

    def has(self, name: str) -> bool:
        """Whether there is a parameter of that name."""
        try:
            self.get(name)
        except InputError:
            return False
        return True

    def named(self, pattern: str) -> tuple[str, ...]:
        """Names that a name or a pattern stands for."""
        if self._is_of_start(pattern):
            owner, _, field = pattern.rpartition(".")
            fitting = tuple(f"{owner}.{name}" for name in self.start.fields if fnmatchcase(name, field))
            return fitting or (pattern,)
        try:
            return expand([pattern], self.course, self.start.given)
        except InputError as error:
            raise InputError("vary", error.value, error.allowed) from None

    def get(self, name: str) -> Any:
        """Value of a parameter; 0 of one that its owner leaves out."""
        field = self.of_start(name)
        if field is None:
            value = self.course.get(name)
            if value is not None and not hasattr(value, "shape") and not isinstance(value, int | float):
                raise InputError("vary", name, "a parameter that is a number")
        else:
            value = self.start.get(field)
        if hasattr(value, "shape"):
            value = backends.of(value).to_numpy(value)
            return float(value) if not value.ndim else value
        return 0.0 if value is None else float(value)

    def unit(self, name: str) -> str:
        """Unit of a parameter."""
        if self.of_start(name) is not None:
            name = f"{BEAM}.{name.rpartition('.')[2]}"
        return unit_of(name, self.course)

    # -- others ------------------------------------------------------------------------------------------------------

    def with_present(self, names: Iterable[str]) -> Stage:
        """Same stage, in which parameters of the course that were left out are 0."""
        return replace(self, course=self.course.with_present([n for n in names if self.of_start(n) is None]))

    def replace(self, values: Mapping[str, Any]) -> Stage:
        """Same stage with other values."""
        of_start: dict[str, Any] = {}
        of_course: dict[str, Any] = {}
        for name, value in values.items():
            field = self.of_start(name)
            (of_course if field is None else of_start)[field or name] = value
        course = self.course.replace(of_course) if of_course else self.course
        return Stage(course, self.start.replace(of_start))

    def beside(self, array: Array) -> Stage:
        """Same stage, its start in the library of an array."""
        return replace(self, start=self.start.beside(array))

    # -- derivatives -------------------------------------------------------------------------------------------------

    def wrt(self, name: str, optics: bool = False) -> str:
        """What the derivative by a parameter is asked for as."""
        field = self.of_start(name)
        if field is None:
            return name
        return f"{REFERENCE}.{field}" if optics else self.start.wrt(field)

    def picked(self, name: str, bar: Array, optics: bool = False) -> Array:
        """The derivative by a parameter, from what was asked for as `wrt` says."""
        field = self.of_start(name)
        return bar if field is None or optics else self.start.picked(field, bar)

    @cached_property
    def library(self) -> Any:
        """Adapter of the library that it is in."""
        return backends.of(self.start.reference.beta_gamma)
