"""From a gradient by parameters of a line to one by its knobs: the chain rule, around everything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from backbeam.arrays import Array
from backbeam.beam import Beam
from backbeam.errors import InputError

if TYPE_CHECKING:
    from backbeam.lattice_functions import Optics
    from backbeam.line import Line


class Wanted(NamedTuple):
    """What a gradient is asked for, and what it takes to get it."""

    line: Line
    names: tuple[str, ...]
    """As they were asked for: parameters and knobs."""
    parameters: tuple[str, ...]
    """Parameters alone: those asked for, and all that follow knobs asked for."""

    @classmethod
    def of(cls, line: Line, wrt: str | Sequence[str]) -> Wanted:
        """Find the parameters that follow the knobs among the names."""
        if not isinstance(wrt, Iterable):
            raise InputError("wrt", wrt, "a list of names, such as ['qf.k1']")
        names = (wrt,) if isinstance(wrt, str) else tuple(str(name) for name in wrt)
        knobs = frozenset(name for name in names if name in line.knobs)
        following = [p for p, f in line.formulas().items() if knobs & line.knobs.behind(f)] if knobs else []
        return cls(line, names, tuple(dict.fromkeys((*(n for n in names if n not in knobs), *following))))

    def gradient(self, found: Mapping[str, Array], beam: Beam | Optics) -> dict[str, Array]:
        """The gradient that was asked for, from that by parameters; a knob that nothing follows has none: 0."""
        if not any(name in self.line.knobs for name in self.names):
            return dict(found)
        bars = ((f, found[p]) for p, f in self.line.formulas().items() if p in found)

        def beside(value: Any) -> Any:
            return beam.as_mine(value) if hasattr(value, "shape") else value

        of_knobs = self.line.knobs.pull_back(bars, beside)
        nothing = beam.as_mine(0.0)
        return {n: of_knobs.get(n, nothing) if n in self.line.knobs else found[n] for n in self.names}
