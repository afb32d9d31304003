"""Where the play is: the course, what comes into it, and every parameter of both by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from backbeam import backends
from backbeam.arrays import Array
from backbeam.course import Course
from backbeam.errors import InputError
from backbeam.matching.incoming import Incoming
from backbeam.matching.parts import on_the_host, part_named, parts_of, with_parts
from backbeam.moment_beam import LinearSpaceCharge
from backbeam.parameter_names import expand, unit_of
from backbeam.paths import BEAM, is_of_beam

REFERENCE, START = "reference", "start"


@dataclass(frozen=True, eq=False)
class Stage:
    """A course, the beam, and the lattice functions with which the line begins; None: it is a ring, or nobody asks."""

    course: Course
    beam: Incoming
    optics: Incoming | None = None
    on_moments: LinearSpaceCharge | None = None
    """What acts on a beam of moments, which the effects of a course do not."""

    # -- names -------------------------------------------------------------------------------------------------------

    def _is_incoming(self, name: str) -> bool:
        """Whether a name is one of what comes in; an element may be called beam, reference or start."""
        owner, line = name.rpartition(".")[0], self.course.line
        return is_of_beam(name, line) or (owner in (REFERENCE, START) and owner not in line)

    def _incoming(self, name: str) -> tuple[Incoming, str] | None:
        """What comes in that a name is of, and the field; None: it is of the course."""
        if not self._is_incoming(name):
            return None
        owner, _, field = name.rpartition(".")
        if owner == START and self.optics is None:
            raise InputError("vary", name, "left out, or start= given: lattice functions with which the line begins")
        mine = self.optics if owner == START else self.beam
        assert mine is not None
        known = ("kinetic_energy",) if owner == REFERENCE else mine.fields
        if field not in known:
            raise InputError("vary", name, f"{owner} with one of {', '.join(known)}")
        return mine, field

    def has(self, name: str) -> bool:
        """Whether there is a parameter of that name."""
        try:
            self.get(name)
        except InputError:
            return False
        return True

    def named(self, pattern: str) -> tuple[str, ...]:
        """Names that a name or a pattern stands for."""
        owner, _, field = pattern.rpartition(".")
        if self._is_incoming(pattern):
            mine = self.optics if owner == START else self.beam
            fitting = [name for name in (mine.fields if mine else ()) if fnmatchcase(name, field)]
            return tuple(f"{owner}.{name}" for name in fitting) or (pattern,)
        part = part_named(pattern, self.course)
        if part is not None:
            return (part.name,)
        if parts := parts_of(pattern, self.course):
            return tuple(part.name for part in parts)
        if not set(pattern) & set(".*?["):
            self._of_course(pattern)
        try:
            return expand([pattern], self.course, self.beam.given)
        except InputError as error:
            raise InputError("vary", error.value, error.allowed) from None

    def get(self, name: str) -> Any:
        """Value of a parameter, a float or an array of NumPy; 0 of one that its owner leaves out."""
        found = self._incoming(name)
        if found is None and (part := part_named(name, self.course)) is not None:
            value = part.of(on_the_host(self.course.get(part.whole)))
            return float(value) if not value.ndim else value
        value = self._of_course(name) if found is None else found[0].get(found[1])
        if hasattr(value, "shape"):
            value = backends.of(value).to_numpy(value)
            return float(value) if not value.ndim else value
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InputError("vary", name, "a parameter that is a number")
        return 0.0 if value is None else float(value)

    def _of_course(self, name: str) -> Any:
        """Value of a parameter or a knob; `InputError` for what is neither."""
        course = self.course
        if name in course.line.knobs:
            return course.line.knobs[name]
        owner, dot, field = name.rpartition(".")
        if not dot:
            knobs = ", ".join(course.line.knobs) or "none here"
            raise InputError("vary", name, f"a parameter such as {name}.k1, or a knob of the line: {knobs}")
        try:
            value, known = course.get(name), course.owner(owner).parameter_names()
        except InputError as error:
            raise InputError(f"vary.{name}", error.value, error.allowed) from None
        if field not in known:
            raise InputError("vary", name, f"{owner} with one of {', '.join(known)}")
        return value

    def unit(self, name: str) -> str:
        """Unit of a parameter."""
        field = name.rpartition(".")[2]
        return unit_of(f"{BEAM}.{field}" if self._is_incoming(name) else self._whole(name), self.course)

    def _whole(self, name: str) -> str:
        """The parameter that a name is of, or of a part of which it is."""
        part = None if self._is_incoming(name) else part_named(name, self.course)
        return name if part is None else part.whole

    # -- others ------------------------------------------------------------------------------------------------------

    def with_present(self, names: Iterable[str]) -> Stage:
        """Same stage, in which parameters of the course that were left out are 0."""
        mine = dict.fromkeys(self._whole(name) for name in names if not self._is_incoming(name))
        return replace(self, course=self.course.with_present(list(mine)))

    def replace(self, values: Mapping[str, Any]) -> Stage:
        """Same stage with other values."""
        of_course: dict[str, Any] = {}
        of_beam: dict[str, Any] = {}
        of_optics: dict[str, Any] = {}
        of_parts: dict[str, dict[tuple[int, ...], Any]] = {}
        for name, value in values.items():
            found = self._incoming(name)
            if found is None and (part := part_named(name, self.course)) is not None:
                of_parts.setdefault(part.whole, {})[part.place] = value
            elif found is None:
                of_course[name] = value
            else:
                (of_optics if found[0] is self.optics else of_beam)[found[1]] = value
        of_course |= {whole: with_parts(self.course.get(whole), changes) for whole, changes in of_parts.items()}
        course = self.course.replace(of_course) if of_course else self.course
        optics = self.optics and self.optics.replace(of_optics)
        return replace(self, course=course, beam=self.beam.replace(of_beam), optics=optics)

    def beside(self, array: Array) -> Stage:
        """Same stage, in the library of an array."""
        return replace(self, beam=self.beam.beside(array))

    # -- derivatives -------------------------------------------------------------------------------------------------

    def wrt(self, name: str, of_optics: bool = False) -> str:
        """What the derivative by a parameter is asked for as; an objective of optics alone calls it otherwise."""
        found = self._incoming(name)
        if found is None:
            return self._whole(name)
        incoming, field = found
        return f"{REFERENCE}.{field}" if of_optics and incoming is self.beam else incoming.wrt(field)

    def picked(self, name: str, bar: Array, of_optics: bool = False) -> Array:
        """The derivative by a parameter, from what was asked for as `wrt` says."""
        found = self._incoming(name)
        if found is None:
            part = part_named(name, self.course)
            return bar if part is None else part.of(bar)
        return bar if of_optics else found[0].picked(found[1], bar)

    @property
    def library(self) -> Any:
        """Adapter of the library that it is in."""
        return backends.of(self.beam.reference.beta_gamma)
