"""What a match has found: line and beam, and a table of what was varied and what was wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backbeam.line import Line
from backbeam.matching.history import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from backbeam.matching.merit import Merit

NEAR = 1e-6
"""A variable is at its bound within so much of the way between them."""


class Varied(NamedTuple):
    """A parameter that was varied, in its own unit."""

    name: str
    unit: str
    start: Any
    """A number; of one that is tied to what is different in every setting an array."""
    found: Any
    low: float
    high: float
    tied: bool
    scatter: float | None
    """Rms over other samples of the beam; None: nobody asked."""

    @property
    def at(self) -> str:
        """Which bound it is at, if any."""
        if self.tied:
            return ""
        width = self.high - self.low
        slack = NEAR * (width if np.isfinite(width) else abs(self.found) or 1.0)
        return "low" if self.found - self.low <= slack else "high" if self.high - self.found <= slack else ""


class Wanted(NamedTuple):
    """What was asked of the line, in its own unit; where there are settings, start and end of their mean."""

    name: str
    wanted: str
    start: float
    found: float
    met: bool | None
    """None: it was to be small."""
    scatter: float | None


@dataclass(frozen=True, eq=False, repr=False)
class Match:
    """What `backbeam.match` found."""

    line: Line
    """With the values that were found."""
    beam: Any
    """At the start of the line, with the values that were found."""
    success: bool
    """Whether all targets are met, and the search of an objective has come to its end."""
    message: str
    """Why the search ended."""
    method: str
    x: np.ndarray
    """What was found, in the scaled coordinates of ``function``."""
    function: Merit
    history: History
    varied: Sequence[Varied]
    wanted: Sequence[Wanted]
    passes: int
    """How often the line was tracked."""
    gradients: int
    """How often there and back."""
    seconds: float
    stopped: BaseException | None = None
    """What Ctrl-C raised, if that ended it: then this is the best until then."""

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return self.stopped is not None

    @property
    def values(self) -> dict[str, Any]:
        """Values that were found by name, of tied parameters too: what `Line.replace` takes, but for the beam's."""
        return {one.name: one.found for one in self.varied}

    @property
    def met(self) -> int:
        """How many targets are met."""
        return sum(one.met is True for one in self.wanted)

    @property
    def _headline(self) -> str:
        targets = sum(one.met is not None for one in self.wanted)
        parts = [f"{self.met} of {targets} target{'s' * (targets != 1)} met"] if targets else []
        parts += [f"{one.name} {one.found:.6g}" for one in self.wanted if one.met is None]
        return ", ".join(parts)

    def table(self) -> str:
        """What was varied and what was wanted, for a person to read."""
        there_and_back = f", {self.gradients} of them there and back" if self.gradients else ""
        lines = [
            f"{self._headline} after {self.passes} passes{there_and_back} ({self.method}, {self.seconds:.3g} s)",
            f"the search {'has come to its end' if self.success else 'stopped'}: {self.message}",
            "",
        ]
        scattered = any(one.scatter is not None for one in self.varied)
        head = ["varied", "unit", "start", "found", *(["+-"] if scattered else []), "bounds", ""]
        rows = []
        for one in self.varied:
            note = "tied" if one.tied else f"at its {one.at} bound" if one.at else ""
            own = ["" if one.scatter is None else f"{one.scatter:.2g}"] if scattered else []
            unit = "" if one.unit == "1" else one.unit
            rows.append([one.name, unit, _shown(one.start), _shown(one.found), *own, _bounds(one), note])
        lines += _aligned(head, rows, right=(2, 3, *((4,) if scattered else ())))
        head = ["wanted", "", "start", "found", *(["+-"] if scattered else []), ""]
        rows = []
        for goal in self.wanted:
            own = ["" if goal.scatter is None else f"{goal.scatter:.2g}"] if scattered else []
            said = "" if goal.met is None else "met" if goal.met else "not met"
            rows.append([goal.name, goal.wanted, f"{goal.start:.8g}", f"{goal.found:.8g}", *own, said])
        lines += ["", *_aligned(head, rows, right=(2, 3, *((4,) if scattered else ())))]
        return "\n".join(lines)

    def summary(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "success": self.success,
            "message": self.message,
            "method": self.method,
            "interrupted": self.interrupted,
            "passes": self.passes,
            "gradients": self.gradients,
            "seconds": self.seconds,
            "varied": {
                one.name: {
                    "unit": one.unit, "start": _plain(one.start), "found": _plain(one.found), "low": _finite(one.low),
                    "high": _finite(one.high), "tied": one.tied, "scatter": one.scatter,
                }
                for one in self.varied
            },
            "wanted": [goal._asdict() for goal in self.wanted],
        }  # fmt: skip

    def plot(self) -> Figure:
        """A figure of how the search went; `Figure.savefig` writes it."""
        from backbeam.matching.picture import draw_search

        return draw_search(self)

    def __repr__(self) -> str:
        """One line."""
        end = "" if self.success else ", without success"
        return f"<Match: {self._headline} after {self.passes} passes{end}>"


def _shown(value: Any) -> str:
    return f"{value:.8g}" if not np.ndim(value) else f"{np.min(value):.5g} ... {np.max(value):.5g}"


def _plain(value: Any) -> Any:
    return value.tolist() if np.ndim(value) else value


def _bounds(one: Varied) -> str:
    if np.isinf(one.low) and np.isinf(one.high):
        return ""
    if np.isinf(one.high):
        return f"> {one.low:.6g}"
    return f"< {one.high:.6g}" if np.isinf(one.low) else f"{one.low:.6g} ... {one.high:.6g}"


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    """Lines of a table, some of whose columns end at the right."""
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]

    def line(row: Sequence[str]) -> str:
        cells = (c.rjust(w) if k in right else c.ljust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True)))
        return "  ".join(cells).rstrip()

    return [line(head), *(line(row) for row in rows)]
