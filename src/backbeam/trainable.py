"""A line as its trainable values and the rest: what an optimiser turns, and what it must not touch.

Of all that a line holds, the values of some parameters and knobs are taken out into a plain dict, which optimisers of
JAX and PyTorch go through as they do through any other; `Rest` holds everything else and puts a line together again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backbeam import registry
from backbeam.arrays import Array
from backbeam.errors import InputError
from backbeam.line import Line


@dataclass(frozen=True, eq=False)
class Rest:
    """A line whose trainable values come from elsewhere; for JAX a tree without leaves, so that no gradient goes to it.

    Parameters
    ----------
    line:
        The line with the values that it began with.
    units:
        By name of what is trainable, in how much of its SI unit its value is counted.
    """

    line: Line
    units: Mapping[str, float]

    def merge(self, values: Mapping[str, Any]) -> Line:
        """The line with these values; what is not among them keeps the value that it began with."""
        for name in values:
            if name not in self.units:
                raise InputError("values", name, f"one of {', '.join(self.units)}")
        return self.line.replace({name: in_units(value, self.units[name]) for name, value in values.items()})


registry.enter(registry.Tree(Rest, lambda rest: ((), rest), lambda rest, leaves: rest))


def in_units(value: Any, unit: float) -> Any:
    """A value in SI units; what is counted in them already stays as it is, bit for bit."""
    return value if unit == 1.0 else value * unit


def trainable(line: Line, names: Iterable[str] | Mapping[str, float]) -> tuple[dict[str, Array], Rest]:
    """Take the values of some parameters and knobs out of a line, for an optimiser.

    Parameters
    ----------
    line:
        The line.
    names:
        ``qf.k1``, ``q1.dx``, or a knob; an error of alignment that is absent begins at 0. Or a mapping of them to what
        each is counted in: with ``{"q1.k1": 1.0, "q1.dx": 1e-4}`` one step size serves both, for values are of order 1.

    Returns
    -------
    values, rest:
        A dict of values by name (NumPy's numbers, or the arrays that stand in the line), and what
        ``rest.merge(values)`` makes a line of.

    Raises
    ------
    InputError
        For a name that is no parameter and no knob of the line, and for one that is given twice.

    Examples
    --------
    >>> line = bb.Line([bb.Quadrupole(0.2, k1=3.0, name="q"), bb.Drift(1.0)])
    >>> values, rest = bb.trainable(line, ["q.k1"])
    >>> float(values["q.k1"]), rest.merge({"q.k1": 2.5}).get("q.k1")
    (3.0, 2.5)
    """
    units = units_of(line, names)
    values = {}
    for name, unit in units.items():
        value = line.get(name)
        value = 0.0 if value is None else value
        if not hasattr(value, "shape"):
            value = np.asarray(value, dtype=np.float64)
        values[name] = value if unit == 1.0 else value / unit
    return values, Rest(line, units)


def units_of(line: Line, names: Iterable[str] | Mapping[str, float]) -> dict[str, float]:
    """What each trainable value is counted in, with names and units checked."""
    if isinstance(names, str):
        raise InputError("trainable", names, f"a list of names, such as [{names!r}]")
    pairs = list(names.items()) if isinstance(names, Mapping) else [(name, 1.0) for name in names]
    units: dict[str, float] = {}
    for name, unit in pairs:
        if not isinstance(name, str) or name in units:
            raise InputError("trainable", name, "names of parameters and knobs, each once")
        if isinstance(unit, bool) or not isinstance(unit, int | float) or not 0.0 < unit < float("inf"):
            raise InputError(f"trainable[{name!r}]", unit, "what its value is counted in, a number greater than 0")
        _check(line, name)
        units[name] = float(unit)
    return units


def _check(line: Line, name: str) -> None:
    line.get(name)  # it names the nearest that there is
    if name in line.knobs:
        return
    owner, _, field = name.rpartition(".")
    element = line[owner]
    assert not isinstance(element, Line)
    if field not in element.parameter_names():
        raise InputError("trainable", name, f"a parameter: {owner} has {', '.join(element.parameter_names())}")
