"""A `MomentBeam` around a ring: so many turns at once, and of all before them the beam alone, 43 numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backbeam.moment_beam.tracking import Passage, passages_for
from backbeam.observables.places import passage_of

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.lattice_functions.solution import Solution
    from backbeam.line import Line
    from backbeam.moment_beam.beam import MomentBeam
    from backbeam.moment_beam.linear_space_charge import LinearSpaceCharge

MAPS_AT_ONCE = 1000
"""Maps are fast where many are asked together; so many take some megabytes."""


@dataclass(frozen=True, eq=False)
class Revolutions:
    """The way of a beam of moments around a ring so many times; it answers as a `Passage` does. Make one by `of`.

    It is passed in stretches of some turns each. On the way back each is made again, from the beam before it.
    """

    line: Line
    turns: int
    first: Passage
    """The first stretch; all have as many turns, but the last."""
    last: Passage | None
    """The last stretch, if it has fewer."""
    starts: tuple[MomentBeam, ...]
    """The beam before each stretch."""
    end: MomentBeam
    spread_to: int | None = None
    """How many cotangents are pulled back at once, as a batch."""

    @classmethod
    def of(
        cls,
        line: Line,
        beam: MomentBeam,
        space_charge: LinearSpaceCharge | None,
        slices: int | None,
        step: float | None,
        turns: int,
    ) -> Revolutions:
        """Go round."""
        maps = len(passages_for(line, space_charge, slices, step).steps)
        at_once = min(turns, max(1, MAPS_AT_ONCE // maps))
        first = passage = Passage.of(line * at_once, beam, space_charge, slices, step)
        starts, readings = [beam], dict[str, list[Any]]()
        last = None
        for done in range(0, turns, at_once):
            if turns - done < at_once:
                last = passage = Passage.of(line * (turns - done), starts[-1], space_charge, slices, step)
            elif done:
                passage = first.with_beam(starts[-1])
            after = passage.final()
            for name, found in after.readings.items():
                readings.setdefault(name, []).extend(found if isinstance(found, list) else [found])
            starts.append(after.replace(readings={}))
        *starts, end = starts
        return cls(line, turns, first, last, tuple(starts), end.replace(readings=readings))

    @property
    def beam(self) -> MomentBeam:
        """The beam at the start."""
        return self.first.beam

    @property
    def solution(self) -> Solution:
        """Of the first stretch."""
        return self.first.solution

    def final(self) -> MomentBeam:
        """The beam at the end."""
        return self.end

    def _stretch(self, number: int) -> Passage:
        if self.last is not None and number == len(self.starts) - 1:
            return self.last
        return self.first.with_beam(self.starts[number]) if number else self.first

    def _stretch_of(self, k: int) -> tuple[int, int]:
        """Which stretch a number of maps ends in, and how many of them are its own."""
        maps = len(self.solution.passages.steps)
        number = min(k // maps, len(self.starts) - 1)
        return number, k - number * maps

    def beam_at(self, k: int) -> MomentBeam:
        """The beam behind k maps."""
        number, own = self._stretch_of(k)
        return self._stretch(number).beam_at(own)

    def maps_before(self, place: str) -> int:
        """How many maps there are before a place: ``m1[2]`` is behind the third passage of m1."""
        elements, turn = passage_of(place, self.line.sequence, self.turns)
        passages = self.solution.passages
        a_turn = passages.maps_behind(len(self.line))
        return turn * a_turn + passages.maps_behind(elements)

    def spread(self, count: int) -> Revolutions:
        """The way for a batch of so many cotangents."""
        return replace(self, spread_to=count)

    def pullback(self, given: Mapping[int, Mapping[str, Array]]) -> dict[str, Array]:
        """As `Passage.pullback`, stretch by stretch."""
        of: dict[int, dict[int, Mapping[str, Array]]] = {}
        for k, own in given.items():
            number, maps = self._stretch_of(k) if k >= 0 else (len(self.starts) - 1, -1)
            of.setdefault(number, {})[maps] = own
        found: dict[str, Array] = {}
        for number in reversed(range(len(self.starts))):
            passage, bars = self._stretch(number), of.get(number, {})
            passage = passage if self.spread_to is None else passage.spread(self.spread_to)
            if found:
                bars[-1] = {name: found[name] for name in ("mean", "cov", "beta_gamma")}
            here = passage.pullback(bars)
            found = here | {name: here[name] + found[name] for name in ("charge", "vector") if found}
        return found
