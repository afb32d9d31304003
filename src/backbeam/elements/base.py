"""What an element is: a name, parameters with units, and the maps that it is made of.

An element is an immutable dataclass. Its *parameters* (fields made with `parameter`) are what a gradient can be
asked for: numbers, or arrays of any library, with leading axes for a batch of settings. A parameter left at None is
absent: it costs nothing, and the maps that would need it are left out. All other fields are static.

`body` returns the maps that cover a fraction of the element, `entrance` and `exit` those at its ends, `into` and
`out_of` those from the frame of the design into its own and back. Each is bound to the element's parameters by name:
a gradient with respect to a map's parameter is one with respect to the element's.

To add an element: a file with one family, a line in ``elements/__init__.py``, and a case in
``tests/elements/element_cases.py``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from backbeam.backwards import turned
from backbeam.elements.openings import opening_of
from backbeam.errors import InputError
from backbeam.maps.misalignment import Misalign
from backbeam.maps.rigid import FACES, ROTATIONS, SHIFTS, Face, Rigid
from backbeam.parameters import REQUIRED, Parametrised, parameter
from backbeam.proportion import ANGLE, PHASE

if TYPE_CHECKING:
    from fractions import Fraction

    from backbeam.arrays import Array
    from backbeam.formulas import Formula
    from backbeam.maps.base import Map


__all__ = ["MODELS", "REQUIRED", "Bound", "Element", "Parametrised", "bind", "parameter", "steps_over"]


class Bound(NamedTuple):
    """A map, and which of the element's parameters each of its own parameters is."""

    map: Any
    """A `Map`, or what a step of its own is made of: an opening, a reading, a call."""
    names: tuple[tuple[str, str], ...]
    """Pairs (map's parameter, element's parameter)."""


def bind(map: Map, **renamed: str) -> Bound:
    """Bind a map's parameters to the element's of the same name, but for those renamed."""
    return Bound(map, tuple((p, renamed.get(p, p)) for p in map.parameters))


_STRENGTH = re.compile(r"k\d+s?l?|ks|hkick|vkick|curvature")

MODELS = ("exact", "linear")
"""exact: the full Hamiltonian, split where it must be. linear: its first-order matrix about the reference."""


ERRORS = (*SHIFTS, *ROTATIONS)
"""Names of the errors of alignment."""


MOST_STEPS = 1_000_000
"""More steps or slices of one element than this are taken for a slip."""


@dataclass(frozen=True, eq=False)
class Element(Parametrised):
    """Base of every element.

    Errors of alignment move the element as a rigid body, its faces with it (`backbeam.maps.rigid`): exact for any
    angle, whatever the element's model. Those that are absent cost nothing, and so does the linearity of a line:
    displacements in the plane of a straight magnet's face add numbers, a roll or a tilt is a matrix, the rest is exact.

    Parameters
    ----------
    name:
        How results and gradients refer to it; the line numbers those without one.
    formulas:
        Pairs (parameter, formula of the line's knobs) of the parameters that have one; see `backbeam.knobs`.
    slices:
        Number of space-charge kicks in it; None leaves it to `track`.
    dx, dy, ds:
        Displacement [m], in the axes of the pivot.
    pitch, yaw, roll:
        Rotations about the pivot [rad]: from s towards y, from s towards x, from x towards y. The roll is made first,
        then the pitch, then the yaw: MAD-X's dphi, dtheta and dpsi, Xsuite's rot_x_rad, rot_y_rad and
        rot_s_rad_no_frame.
    tilt:
        Rotation of the design about s [rad], from x towards y: a bend bends the line in a plane turned by it.
    design_momentum:
        P0 c [eV] at which its strengths are stated: it then keeps its field while the reference's momentum moves.
        Absent, strengths are those over the momentum of whatever reference comes along. See `Line.hold_fields`.
    aperture:
        Opening of the pipe in it, in its own frame: a radius [m] or one of `backbeam.openings`. Who is outside is lost.
    aperture_tests:
        Parts of its length between tests of the opening, which are made at the entrance, between parts, and at the
        exit. They are the element's, wherever effects kick; each cuts its map.
    pivot:
        The point, and the axes, that errors are about: "entrance", "middle" of the chord, its axes along the chord
        (Bmad, PALS), or "exit".

    Examples
    --------
    >>> bb.Drift(1.0).is_thick, bb.Marker().is_thick
    (True, False)
    >>> bb.Quadrupole(0.2, k1=3.0).replace(k1=4.0).k1
    4.0
    """

    slices: int | None = field(default=None, kw_only=True)
    dx: Array | float | None = parameter(None, unit="m", kw_only=True)
    dy: Array | float | None = parameter(None, unit="m", kw_only=True)
    ds: Array | float | None = parameter(None, unit="m", kw_only=True)
    pitch: Array | float | None = parameter(None, unit="rad", usual=ANGLE, kw_only=True)
    yaw: Array | float | None = parameter(None, unit="rad", usual=ANGLE, kw_only=True)
    roll: Array | float | None = parameter(None, unit="rad", usual=PHASE, kw_only=True)
    tilt: Array | float | None = parameter(None, unit="rad", usual=PHASE, kw_only=True)
    design_momentum: Array | float | None = parameter(None, unit="eV", positive=True, kw_only=True)
    pivot: str = field(default="entrance", kw_only=True)
    aperture: Any = field(default=None, kw_only=True)
    aperture_tests: int = field(default=10, kw_only=True)
    formulas: tuple[tuple[str, Formula], ...] = field(default=(), kw_only=True, repr=False)

    kind: ClassVar[str] = "element"
    """What problem files call it."""
    kinds: ClassVar[dict[str, type[Element]]] = {}
    """Every element that a problem file can name, by its kind: those that are defined."""
    in_files: ClassVar[bool] = True
    """Whether a problem file can describe it."""
    color: ClassVar[str | None] = None
    """Of its box in pictures of a line; None: grey, or what `backbeam.plotting` has for its kind."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What a kind has that others have not: length, k1, voltage."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in cls.__dict__ and cls.in_files:
            Element.kinds[cls.kind] = cls

    def __post_init__(self) -> None:
        named = self.name is not None
        if named and (
            not isinstance(self.name, str) or not self.name.isprintable() or not self.name or " " in self.name
        ):
            raise InputError("name", self.name, "text without spaces and control characters")
        self._check_parameters()
        model = getattr(self, "model", "exact")
        if not isinstance(model, str) or model not in MODELS:
            raise InputError(self._label("model"), model, " or ".join(MODELS))
        if self.aperture is not None:
            object.__setattr__(self, "aperture", opening_of(self.aperture, self._label("aperture")))
        if self.pivot not in tuple(FACES):
            raise InputError(self._label("pivot"), self.pivot, " or ".join(FACES))
        for name, allowed in (("order", (2, 4, 6)), ("steps", None), ("slices", None), ("aperture_tests", None)):
            value = getattr(self, name, None)
            if value is None and getattr(type(self), name, None) is None:
                continue
            least = int(name != "slices")
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(self._label(name), value, f"a whole number, at least {least}")
            if value > MOST_STEPS:
                raise InputError(self._label(name), value, f"a whole number, at most {MOST_STEPS}")
            if allowed and value not in allowed:
                raise InputError(self._label(name), value, "2, 4 or 6")
        if self.design_momentum is not None and not self.strengths():
            raise InputError(self._label("design_momentum"), self.design_momentum, "left out: it has no field to keep")

    @classmethod
    def strengths(cls) -> tuple[str, ...]:
        """Names of the parameters that are a field over the momentum of the reference: k1, k2s, k0l, ks, hkick."""
        return tuple(name for name in cls.parameter_names() if _STRENGTH.fullmatch(name))

    def replace(self, **changes: Any) -> Self:
        """Same element with other values; a parameter that is given one no longer follows its formula."""
        changes.setdefault("formulas", tuple(pair for pair in self.formulas if pair[0] not in changes))
        return super().replace(**changes)

    def backwards(self) -> Element:
        """The element that undoes this one, met from its other end; see `backbeam.backwards`."""
        return turned(self)

    # -- maps --------------------------------------------------------------------------------------------------------

    @property
    def curved(self) -> bool:
        """Whether it bends the reference, by its parameter ``angle``."""
        return "angle" in self.parameters()

    @property
    def is_thick(self) -> bool:
        """Whether it has a length: then it can be sliced, and space charge acts in it."""
        return getattr(self, "length", None) is not None

    @property
    def divisible(self) -> bool:
        """Whether `body` can cover a part of it: then effects act along it."""
        return self.is_thick

    @property
    def bends(self) -> bool:
        """Whether the reference turns in it over a length."""
        return self.is_thick and getattr(self, "angle", None) is not None

    def into(self) -> tuple[Bound, ...]:
        """Maps from the frame of the design into its own, at its entrance."""
        return self._frame(0)

    def out_of(self) -> tuple[Bound, ...]:
        """Maps from its own frame back into that of the design, at its exit."""
        return self._frame(1)

    def _frame(self, end: int) -> tuple[Bound, ...]:
        """The change of frame at the entrance (0) or the exit (1), if there is anything to it."""
        present = tuple(n for n in (*ERRORS, "tilt") if getattr(self, n) is not None)
        if not present:
            return ()
        face = FACES[self.pivot][end]
        if not self.is_thick:
            face = face._replace(reach=0.0) if self.curved else Face()
        in_plane = not set(present) & {"ds", "pitch", "yaw"}
        if in_plane and (not self.curved or face == Face() or present == ("tilt",)):
            return (bind(Misalign(present, 1 - 2 * end)),)
        return (bind(Rigid(present, 1 - 2 * end, face, self.curved)),)

    def entrance(self) -> tuple[Bound, ...]:
        """Maps at its beginning (an edge)."""
        return ()

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """Maps over a fraction of its length; of a thin element, its maps."""
        return ()

    def piece(self, start: Fraction, stop: Fraction) -> tuple[Bound, ...]:
        """Maps between two places, as parts of its length; of most elements, those of the difference."""
        return self.body(float(stop - start))

    def middle(self) -> tuple[Bound, ...]:
        """Maps in the middle of a thick element, where it looks at the beam."""
        return ()

    def exit(self) -> tuple[Bound, ...]:
        """Maps at its end."""
        return ()


def steps_over(steps: int, fraction: float) -> int:
    """Number of integrator steps on a fraction of an element that has so many on its whole length: at least one."""
    return max(1, math.ceil(steps * fraction - 1e-9))
