"""Any differentiable function of a beam as an element."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from backbeam.elements.base import Bound, Element, parameter
from backbeam.elements.called import Called
from backbeam.errors import InputError

if TYPE_CHECKING:
    from backbeam.arrays import Array


@dataclass(frozen=True, eq=False)
class Function(Element):
    """A function of a beam between elements: a network, a fit, a map of one's own.

    Parameters
    ----------
    function:
        ``function(beam)`` gives a beam or its coordinates ``(..., 6, n)``, written in the beam's library. It sees what
        stands at its entrance: coordinates, charges, reference, who is alive; of a batch of beams all of them at once,
        along leading axes. The lost are not moved. Only coordinates are taken from what it gives. With ``weights`` it
        is called ``function(beam, **weights)``; a module of PyTorch is called with its own parameters, and with
        coordinates in the place of the beam.
    length:
        Length of the line that it stands for [m]. It is not cut: effects do not act along it.
    inverse:
        The function that undoes it, called likewise; without one a gradient keeps one state here.
    weights:
        Arrays by name that a gradient can be asked for: ``name.weight``. Those of a module are its parameters, with
        ``_`` for the dots in their names; their ``.grad`` follows from ``backward()`` too.

    Where the library does not differentiate by itself, a gradient takes ``function.pullback(beam, coordinates_bar)``,
    which gives the cotangent of the coordinates before it.

    Examples
    --------
    >>> bb.Function(lambda X: 2.0 * X, inverse=lambda X: X / 2.0, name="twice").name
    'twice'
    """

    function: Callable[..., Any] = None  # type: ignore[assignment]
    length: Array | float | None = parameter(None, unit="m")
    inverse: Callable[..., Any] | None = None
    weights: Mapping[str, Any] | None = field(default=None, repr=False)

    kind: ClassVar[str] = "function"
    in_files: ClassVar[bool] = False
    weight_names: ClassVar[tuple[str, ...]] = ()
    """Each element has its own."""
    module_names: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(self._label("function"), self.function, "a function of a beam")
        if self.inverse is not None and not callable(self.inverse):
            raise InputError(self._label("inverse"), self.inverse, "a function of a beam, or None")
        found = dict(self.weights or {})
        named = getattr(self.function, "named_parameters", None)
        module = {name: value for name, value in named()} if callable(named) and not found else {}
        object.__setattr__(self, "weights", None)
        object.__setattr__(self, "module_names", tuple(module))
        found |= {name.replace(".", "_"): value for name, value in module.items()}
        for name, value in found.items():
            if hasattr(type(self), name) or name in self.static() or not hasattr(value, "shape"):
                raise InputError(self._label(name), value, "an array, under a name that an element does not have")
            object.__setattr__(self, name, value)
        object.__setattr__(self, "weight_names", tuple(found))
        super().__post_init__()

    # -- parameters that belong to this one, not to its class --------------------------------------------------------

    @classmethod
    def own_names(cls) -> tuple[str, ...]:
        """Names of the parameters of every function."""
        return super().parameter_names()

    def parameter_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of every element, and its weights."""
        return (*type(self).own_names(), *self.weight_names)

    def rule(self, name: str) -> Mapping[str, Any]:  # type: ignore[override]
        """Unit and own shape of a parameter."""
        if name not in self.weight_names:
            return super().rule(name)
        shape = tuple(getattr(self, name).shape)
        return {"parameter": True, "unit": "1", "minimum": None, "positive": False, "shape": shape}

    def parameters(self) -> dict[str, Any]:
        """The parameters that are present, by name."""
        return {name: value for name in self.parameter_names() if (value := getattr(self, name)) is not None}

    def static(self) -> dict[str, Any]:
        """All else."""
        found = super().static()
        return {**found, "weight_names": self.weight_names, "module_names": self.module_names}

    def replace(self, **changes: Any) -> Self:
        """Same element with other values."""
        weights = {name: changes.pop(name, getattr(self, name)) for name in self.weight_names}
        made = super().replace(**{**changes, "weights": None})
        for name, value in {**weights, "weight_names": self.weight_names, "module_names": self.module_names}.items():
            object.__setattr__(made, name, value)
        return made

    # -- maps --------------------------------------------------------------------------------------------------------

    @property
    def divisible(self) -> bool:
        """It is taken as a whole."""
        return False

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """The call."""
        called = Called(self.function, self.inverse, self.weight_names, self.module_names)
        return (Bound(called, tuple((name, name) for name in self.weight_names)),)
