"""A course: a line, the effects that act in it, and how finely they cut it. What a beam is sent through."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from backbeam.effects.base import Bunch, Effect
from backbeam.elements.base import Element
from backbeam.errors import BackbeamWarning, InputError
from backbeam.line import Line
from backbeam.losses import Sites
from backbeam.plan import (
    Circulate,
    Look,
    Observe,
    Plan,
    Slicing,
    compile_line,
    compile_looks,
    count_kicks,
    merge_linear,
    unroll,
)
from backbeam.plan.sites import compile_sites
from backbeam.turns import MOMENTS, PARTICLES, TURNS, Record, number_of_turns

ON_TURN = ("lose", "raise")


@dataclass(frozen=True, eq=False)
class Course:
    """A line with effects, by the names under which their parameters are known, passed so often. Make one by `of`."""

    line: Line
    effects: Mapping[str, Effect]
    slicing: Slicing
    on_turn: str = "lose"
    """What becomes of a particle that turns round: "lose" it there, or "raise" an error."""
    turns: int = 1
    """How often the line is passed."""
    record: Record | None = None
    """What is noted at the start and after every turn."""
    judged: Mapping[int, Plan] | None = None
    """Objectives that are read on the way, by the number of elements behind which they are: see `backbeam.judging`."""

    @classmethod
    def of(
        cls,
        line: Line,
        *,
        space_charge: Effect | None = None,
        effects: Iterable[Effect] | Effect = (),
        slices: int | None = None,
        step: float | None = None,
        on_turn: str = "lose",
        turns: int = 1,
        record: Record | None = None,
    ) -> Course:
        """The course that the arguments of `backbeam.track` describe.

        Raises
        ------
        InputError
            For what is no line and no effect, for a name that two of them bear, and for effects at no element.
        """
        if not isinstance(line, Line):
            raise InputError("line", line, "a Line")
        if not isinstance(effects, Effect | Iterable):
            raise InputError("effects", effects, "a list of effects, such as [CSR()]")
        given = [effects] if isinstance(effects, Effect) else list(effects)
        if space_charge is not None:
            given.insert(0, space_charge)
        for k, effect in enumerate(given):
            if not isinstance(effect, Effect):
                field = "space_charge" if effect is space_charge else f"effects[{k}]"
                raise InputError(field, effect, "an effect, such as SpaceCharge3D()")
            for name in (*(effect.at or ()), *(effect.along or ())):
                line[name]
            if why := effect.idle(line.elements):
                warnings.warn(f"{effect.name or effect.kind} does nothing: {why}", BackbeamWarning, stacklevel=3)
        if not isinstance(on_turn, str) or on_turn not in ON_TURN:
            raise InputError("track.on_turn", on_turn, " or ".join(ON_TURN))
        turns = number_of_turns(turns)
        if record is not None and not isinstance(record, Record):
            raise InputError("record", record, "Record(), Record(particles=[0, 1]), or None")
        for name in (TURNS, MOMENTS, PARTICLES) if record is not None else ():
            if name in line.names:
                raise InputError("record", f"an element called {name}", "another name of it: a record is called so")
        return cls(line, _named(given, line), Slicing(slices, step), on_turn, turns, record)

    def once(self) -> Course:
        """Same course, passed once and not recorded."""
        return self if self.turns == 1 and self.record is None else replace(self, turns=1, record=None)

    def settled(self, bunch: Bunch) -> Course:
        """Same course, its effects as they are for a run that begins with that bunch."""
        found = {name: effect.settled(bunch) for name, effect in self.effects.items()}
        same = all(found[name] is effect for name, effect in self.effects.items())
        return self if same else replace(self, effects=found)

    # -- plans -------------------------------------------------------------------------------------------------------

    @cached_property
    def plan(self) -> Plan:
        """The steps of the way, neighbouring linear maps merged; the turns of a ring as one step."""
        if self.turns == 1 and self.record is None:
            return self._once
        looks = () if self.record is None else tuple(Observe(*each) for each in self.record.readings())
        return (*looks, Circulate((*self._once, *looks), self.turns))

    @property
    def _once(self) -> Plan:
        """The steps of the line; without effects the line remembers them."""
        if self.effects or self.judged or not (self.slicing.step is None or self.is_numbers):
            return merge_linear(compile_line(self.line, self.slicing, self.effects, self.judged))
        known = self.line.remembered
        if self.slicing not in known:
            known[self.slicing] = merge_linear(compile_line(self.line, self.slicing, {}))
        return known[self.slicing]

    @property
    def is_numbers(self) -> bool:
        """Whether all parameters of the line are plain numbers, which never change."""
        known = self.line.remembered
        if "numbers" not in known:
            known["numbers"] = all(type(value) in (int, float) for value in self.line.parameters.values())
        return known["numbers"]

    @property
    def length(self) -> Any:
        """Length of the way [m]."""
        return self.line.length if self.turns == 1 else self.turns * self.line.length

    def looks(self) -> tuple[Plan, list[Look]]:
        """The steps of the line one by one, and places to look at the beam after every slice."""
        arguments = self.line, self.slicing, self.effects
        return unroll(compile_line(*arguments)), compile_looks(*arguments)

    @cached_property
    def sites(self) -> Sites:
        """Where particles are lost, by the numbers that `plan` has for it, watched or not."""
        return compile_sites(self.line, self.slicing, self.effects)

    @property
    def kicks(self) -> int:
        """Number of kicks of all effects."""
        return count_kicks(self.plan)

    def kicks_of(self, name: str) -> int:
        """Number of kicks of one effect."""
        return self.turns * count_kicks(compile_line(self.line, self.slicing, {name: self.effects[name]}))

    # -- parameters --------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> dict[str, Any]:
        """Value of every parameter that is present, as ``name.parameter``: those of the line, then of the effects."""
        mine = {f"{name}.{p}": v for name, effect in self.effects.items() for p, v in effect.parameters().items()}
        return {**self.line.parameters, **mine}

    def owner(self, name: str) -> Element | Effect:
        """The element or effect of that name."""
        return self.effects[name] if name in self.effects else self.line[name]

    def get(self, path: str) -> Any:
        """Value of ``name.parameter``; None where the parameter is absent."""
        name, _, field = path.rpartition(".")
        if name not in self.effects:
            return self.line.get(path)
        return getattr(self.effects[name], self._checked(name, field, path))

    def _checked(self, name: str, field: str, path: str) -> str:
        """The parameter of an effect; `InputError` for another word."""
        allowed = self.effects[name].parameter_names()
        if field not in allowed:
            close = get_close_matches(field, allowed, 1)
            hint = f"{name}.{close[0]}" if close else f"{name} with one of {', '.join(allowed)}"
            raise InputError("parameter", path, hint if allowed else f"an effect with parameters; {name} has none")
        return field

    def unit(self, path: str) -> str:
        """Unit of ``name.parameter``; ``1`` for a number without, and for a knob."""
        if path in self.line.knobs:
            return "1"
        name, _, field = path.rpartition(".")
        return self.owner(name).rule(field)["unit"]

    def replace(self, changes: Mapping[str, Any]) -> Course:
        """Same course with other values: ``{"qf.k1": 30.0, "wake_1.scale": 2.0}``."""
        of_line: dict[str, Any] = {}
        of_effects: dict[str, dict[str, Any]] = {}
        for path, value in changes.items():
            name, _, field = path.rpartition(".")
            if name in self.effects:
                of_effects.setdefault(name, {})[self._checked(name, field, path)] = value
            else:
                of_line[path] = value
        changed = {n: e.replace(**of_effects.get(n, {})) for n, e in self.effects.items()}
        return replace(self, line=self.line.replace(of_line) if of_line else self.line, effects=changed)

    def with_present(self, names: Sequence[str]) -> Course:
        """Same course in which the parameters that are named are present: those left out are 0.

        Raises
        ------
        InputError
            For a name that is not known, and for a length that an element does not have.
        """
        absent = []
        for path in names:
            if path in self.line.knobs:
                continue
            name, _, field = path.rpartition(".")
            if self.get(path) is None:
                if field == "length":
                    raise InputError("wrt", path, "a length that the element has")
                absent.append(path)
            known = self.owner(name).parameter_names()
            if field not in known:
                raise InputError("wrt", path, f"{name} with one of {', '.join(known)}")
        return self.replace(dict.fromkeys(absent, 0.0)) if absent else self


def _named(effects: Sequence[Effect], line: Line) -> dict[str, Effect]:
    """Effects by name, those without one numbered by kind; no name of the line, and none twice."""
    taken = {*line.names, "beam"}
    for effect in effects:
        if effect.name is not None:
            if effect.name in taken:
                raise InputError("effects", effect.name, "a name that no element and no other effect bears")
            taken.add(effect.name)
    found: dict[str, Effect] = {}
    for effect in effects:
        name, number = effect.name, 0
        while name is None or (effect.name is None and name in taken):
            number += 1
            name = f"{effect.kind}_{number}"
        taken.add(name)
        found[name] = effect
    return found
