"""`LineModule`: a beamline as a `torch.nn.Module`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from backbeam.beam import Beam
from backbeam.elements import Function
from backbeam.errors import InputError
from backbeam.line import Line
from backbeam.tracking import track
from backbeam.trainable import Rest, in_units, trainable, units_of
from backbeam_torch.arrays import mapped


class LineModule(nn.Module):
    """A beamline whose chosen settings are `torch.nn.Parameter`, called by their paths: ``state_dict()["qf.k1"]``.

    It takes a beam and gives the beam behind the line. What is trained besides ``trainable``: parameters of elements
    that are `torch.nn.Parameter` already, and the weights of modules in `Function` elements.

    Parameters
    ----------
    line:
        The beamline, in PyTorch's tensors or in numbers.
    trainable:
        Names of parameters (``qf.k1``, ``q1.dx``) and knobs; an error of alignment that is absent begins at 0. Or a
        mapping of names to what each is counted in, in SI units: ``{"q1.k1": 1.0, "q1.dx": 1e-4}``. Optimisers such as
        Adam step every parameter by about their learning rate, so that values should be of one size.
    beam:
        What goes through the line where ``forward`` is given no beam, and of which all but the coordinates is taken
        where it is given coordinates ``(..., 6, n)`` alone, as between the layers of `torch.nn.Sequential`.
    read:
        What is given back of the beam behind the line: an objective, a function of the beam. None: the beam.
    track:
        Further arguments of `backbeam.track`: effects, slices, an adjoint.

    Raises
    ------
    InputError
        For a name that is no parameter and no knob of the line.

    Examples
    --------
    >>> from backbeam_torch import LineModule
    >>> line = bb.Line([bb.Quadrupole(0.2, k1=3.0, name="q"), bb.Drift(1.0)])
    >>> module = LineModule(line, ["q.k1", "q.dx"])
    >>> list(module.state_dict())
    ['q.k1', 'q.dx']
    """

    def __init__(
        self,
        line: Line,
        trainable: Iterable[str] | Mapping[str, float] = (),
        *,
        beam: Beam | None = None,
        read: Callable[[Beam], Any] | None = None,
        **track: Any,
    ) -> None:
        super().__init__()
        if not isinstance(line, Line):
            raise InputError("line", line, "a Line")
        if read is not None and not callable(read):
            raise InputError("read", read, "a function of a beam, or None")
        self.beam, self.read, self.options = beam, read, track
        values, rest = _taken(line, trainable)
        self.rest = rest
        for path, value in values.items():
            node, name = self._node(path)
            node._parameters[name] = value
        modules = _modules_in(line)
        self._functions = tuple(modules)
        for owner, module in modules.items():
            node, name = self._node(owner)
            node._modules[name] = module

    def _node(self, path: str) -> tuple[nn.Module, str]:
        """The module that holds what is at a path, made where it is not there, and its name in it.

        PyTorch's names have no dots, but its paths do: what stands between two dots is a module. They are entered as
        they are, for an element may be called as a method of modules is.
        """
        node: nn.Module = self
        *owners, name = path.split(".")
        for owner in owners:
            inner = node._modules.get(owner)
            if inner is None:
                inner = node._modules[owner] = nn.Module()
            node = inner
        return node, name

    def _value(self, path: str) -> torch.Tensor:
        node, name = self._node(path)
        value = node._parameters[name] if name in node._parameters else getattr(node, name)  # parametrised since
        assert value is not None
        return value

    @property
    def line(self) -> Line:
        """The line with the present settings and weights, through which gradients go."""
        line = self.rest.merge({path: self._value(path) for path in self.rest.units})
        weights = {
            f"{owner}.{name.replace('.', '_')}": weight
            for owner in self._functions
            for name, weight in self.get_submodule(owner).named_parameters()
        }
        return line.replace(weights) if weights else line

    def settings(self) -> dict[str, Any]:
        """The present settings in SI units, as numbers or NumPy's arrays: ``line.replace(module.settings())``."""
        found = {}
        for path, unit in self.rest.units.items():
            host = in_units(self._value(path).detach().cpu().numpy(), unit)
            found[path] = host.item() if host.ndim == 0 else host
        return found

    def forward(self, beam: Beam | torch.Tensor | None = None) -> Any:
        """Track a beam, or coordinates ``(..., 6, n)`` that take the place of those of the module's own beam.

        The beam's data type and device are those of the outcome; parameters of another data type follow it.
        """
        if not isinstance(beam, Beam):
            if self.beam is None:
                raise InputError("beam", beam, "a Beam, for the module was given none: LineModule(..., beam=...)")
            if isinstance(beam, torch.Tensor) and (beam.ndim < 2 or beam.shape[-2] != 6):
                raise InputError("beam", f"a tensor of shape {tuple(beam.shape)}", "a Beam, or coordinates (..., 6, n)")
            beam = self.beam if beam is None else _with_coordinates(self.beam, beam)
        out = track(self.line, beam, **self.options)
        return out if self.read is None else self.read(out)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> LineModule:
        """What ``to``, ``cuda`` and ``float`` do: to the tensors of the line and of the beam, too."""
        super()._apply(fn, recurse)
        self.rest = Rest(mapped(self.rest.line, fn), self.rest.units)
        if self.beam is not None:
            self.beam = mapped(self.beam, fn)
        return self

    def extra_repr(self) -> str:
        """The line, how it is tracked, and what is trained."""
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"{self.rest.line!r}, trainable={list(self.rest.units)}{options}"


def _taken(line: Line, names: Iterable[str] | Mapping[str, float]) -> tuple[dict[str, nn.Parameter], Rest]:
    """What is to be trained, as parameters, and the rest of the line."""
    units = units_of(line, names)
    weights = {id(p) for module in _modules_in(line).values() for p in module.parameters()}
    for path, value in {**line.knobs, **line.parameters}.items():
        if isinstance(value, nn.Parameter) and path not in units and id(value) not in weights:
            units[path] = 1.0
    values, rest = trainable(line, units)
    found = {}
    for path, value in values.items():
        if isinstance(value, nn.Parameter):
            found[path] = value
            continue
        tensor = value.detach().clone() if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=torch.float64)
        found[path] = nn.Parameter(tensor)
    return found, rest


def _modules_in(line: Line) -> dict[str, nn.Module]:
    """The modules in `Function` elements, by the element's name."""
    found = {}
    for name in line.names:
        element = line[name]
        if isinstance(element, Function) and isinstance(element.function, nn.Module):
            found[name] = element.function
    return found


def _with_coordinates(beam: Beam, coordinates: torch.Tensor) -> Beam:
    """A beam with other particles; with another number of them, the charge is split evenly among them."""
    n = coordinates.shape[-1]
    beam = beam.to(dtype=coordinates.dtype)
    if n == beam.n:
        return beam.replace(coordinates=coordinates)
    q = (beam.charges.sum(-1, keepdim=True) / n).expand(*beam.charges.shape[:-1], n)
    return Beam(coordinates, q, beam.reference, torch.full_like(q, -1, dtype=torch.int32), beam.s)
