"""Parameters: the fields of an element or an effect that a gradient can be asked for.

A parameter is a number, or an array of any library with leading axes for a batch of settings. One left at None is
absent: it costs nothing. All other fields are static, and compiled code may depend on them.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self

from backbeam import registry
from backbeam.errors import InputError
from backbeam.scalars import make_plain
from backbeam.words import unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbeam.proportion import Usual

REQUIRED: Any = object()


def parameter(
    default: Any = None,
    *,
    unit: str,
    minimum: float | None = None,
    positive: bool = False,
    nonzero: bool = False,
    shape: tuple[int | None, ...] = (),
    usual: Usual | None = None,
    kw_only: bool = False,
) -> Any:
    """Dataclass field of a parameter; ``REQUIRED`` as default makes it so, None makes it absent.

    ``shape`` is its own shape behind the batch axes, None in it any number; ``minimum``, ``positive`` and ``nonzero``
    bound plain numbers, and beyond the ``usual`` ones there is a warning.
    """
    metadata = {"parameter": True, "unit": unit, "minimum": minimum, "positive": positive, "shape": shape}
    metadata |= {"nonzero": nonzero, "usual": usual}
    if default is REQUIRED:
        return field(metadata=metadata, kw_only=kw_only)
    return field(default=default, metadata=metadata, kw_only=kw_only)


@dataclass(frozen=True, eq=False)
class Parametrised:
    """Base of what has a name, parameters, and static settings.

    Parameters
    ----------
    name:
        How results and gradients refer to it.
    """

    name: str | None = field(default=None, kw_only=True)

    kind: ClassVar[str]
    """What problem files call it."""

    def __init_subclass__(cls) -> None:
        registry.enter(registry.Tree(cls, flatten, unflatten))
        cls.__repr__ = cls.__repr__  # type: ignore[method-assign]  # what it inherits; else a dataclass writes its own

    def __new__(cls, *_: Any, **given: Any) -> Self:
        """Refuse a keyword that is no field, with what it is called here."""
        allowed = _keywords(cls)  # type: ignore[arg-type]  # classes are hashed, not their instances
        for name in given.keys() - allowed.keys():
            raise unknown(f"{cls.__name__}.{name}", name, allowed, what="an unknown keyword")
        return object.__new__(cls)

    def __repr__(self) -> str:
        """Class and fields, but for those that are as they are by default."""
        told = [f for f in fields(self) if f.repr and not _is_default(f, getattr(self, f.name))]
        told.sort(key=lambda f: bool(f.kw_only))
        return f"{type(self).__name__}({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in told)})"

    def _label(self, name: str) -> str:
        return f"{self.name or self.kind}.{name}"

    def _check_parameters(self) -> None:
        """Make numbers plain. Raise `InputError` for one out of its bounds; arrays are looked at by `track`."""
        make_plain(self)
        for f in fields(self):
            if f.metadata.get("parameter"):
                self._check_parameter(f.name, f.metadata)

    def _check_parameter(self, name: str, rule: Mapping[str, Any]) -> None:
        value = getattr(self, name)
        if value is None and self.__dataclass_fields__[name].default is not None:  # one that it always has
            raise InputError(self._label(name), value, f"a number in {rule['unit']}")
        if value is None or hasattr(value, "shape"):
            return  # absent, or an array: looked at by `track`, which knows its library
        unit = "without unit" if rule["unit"] == "1" else f"in {rule['unit']}"
        if rule["shape"]:
            raise InputError(self._label(name), value, f"an array of shape {rule['shape']} {unit}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            if callable(getattr(value, "__array_namespace__", None)) or type(value).__module__ != "builtins":
                return  # an array-like or a placeholder of a pytree
            raise InputError(self._label(name), value, f"a number {unit}")
        if not _is_finite(value):
            raise InputError(self._label(name), value, f"a finite number {unit}")
        if rule["positive"] and not value > 0:
            raise InputError(self._label(name), value, f"a number {unit}, greater than 0")
        if rule["nonzero"] and value == 0:
            raise InputError(self._label(name), value, f"a number {unit}, not 0")
        if rule["minimum"] is not None and value < rule["minimum"]:
            raise InputError(self._label(name), value, f"a number {unit}, at least {rule['minimum']:g}")
        if rule["usual"] is not None:
            rule["usual"].ask(self._label(name), value)

    @classmethod
    def parameter_names(cls) -> tuple[str, ...]:
        """Names of all parameters that it can have."""
        return _parameter_names(cls)  # type: ignore[arg-type]  # classes are hashed, not their instances

    @classmethod
    def rule(cls, name: str) -> Mapping[str, Any]:
        """Unit, own shape and bounds of a parameter."""
        return cls.__dataclass_fields__[name].metadata

    def parameters(self) -> dict[str, Any]:
        """The parameters that are present, by name."""
        return {n: v for n in self.parameter_names() if (v := getattr(self, n)) is not None}

    def static(self) -> dict[str, Any]:
        """The fields that are no parameters, and which parameters are absent: what a compiled line depends on."""
        names = self.parameter_names()
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in names}

    def replace(self, **changes: Any) -> Self:
        """Same thing with other values."""
        for name in changes:
            if name not in {f.name for f in fields(self)}:
                raise InputError(self._label(name), changes[name], f"one of {', '.join(f.name for f in fields(self))}")
        return replace(self, **changes)


def _is_finite(value: float) -> bool:
    """Whether a number is one; a whole number may be too large for a float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _is_default(f: Field[Any], value: Any) -> bool:
    if f.default is MISSING and f.default_factory is MISSING:
        return False
    default = f.default if f.default_factory is MISSING else f.default_factory()
    return value is default or (not hasattr(value, "shape") and type(value) is type(default) and value == default)


@cache
def _keywords(cls: type[Parametrised]) -> dict[str, None]:
    """Names of what it is made from, in the order in which it may be given."""
    return dict.fromkeys(f.name for f in sorted(fields(cls), key=lambda f: bool(f.kw_only)) if f.init)


@cache
def _parameter_names(cls: type[Parametrised]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls) if f.metadata.get("parameter"))


def flatten(thing: Parametrised) -> tuple[tuple[Any, ...], Any]:
    """Parameters that are present; class, their names and the static fields."""
    parameters = thing.parameters()
    return tuple(parameters.values()), (type(thing), tuple(parameters), tuple(thing.static().items()))


def unflatten(static: Any, leaves: Any) -> Parametrised:
    """Rebuild without validation: the leaves may be placeholders."""
    cls, names, fixed = static
    thing = object.__new__(cls)
    values = dict.fromkeys(f.name for f in fields(cls)) | dict(fixed) | dict(zip(names, leaves, strict=True))
    for name, value in values.items():
        object.__setattr__(thing, name, value)
    return thing
