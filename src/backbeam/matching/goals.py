"""What is asked of a line: one objective, which is to be small, or several goals, whose residuals are to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backbeam.arrays import namespace
from backbeam.errors import InputError
from backbeam.jacobians import jacobian, values
from backbeam.judging import objective_of
from backbeam.lattice_functions.objectives import OfOptics, is_of_optics, pull_rows, pulled, tables_of
from backbeam.observables import Objective, Target
from backbeam.reference import Reference

if TYPE_CHECKING:
    from backbeam.arrays import Array
    from backbeam.matching.stage import Stage

Derivatives = tuple["Array", dict[str, "Array"]]
"""Value of an objective, and its derivatives by name."""


@dataclass(frozen=True, eq=False)
class Goals:
    """Objectives, and whether there is but one, whose value counts; of several the sum of squares does."""

    objectives: tuple[Any, ...]
    single: bool

    @classmethod
    def of(cls, what: Any) -> Goals:
        """Goals as asked for: an objective or its name, a `Target`, a list of them, or targets as values by name."""
        if isinstance(what, Mapping):
            what = [Target(name, value) for name, value in what.items()]
        alone = isinstance(what, str | Objective) or not isinstance(what, Iterable)
        found = tuple(objective_of(one) for one in ((what,) if alone else what))
        if not found:
            raise InputError("what", what, "an objective such as sigma_x, a Target, or a list of them")
        for one in found:
            if not callable(one):
                raise InputError("what", one, "an objective such as sigma_x, a Target, or a function of a beam")
        return cls(found, alone and not isinstance(found[0], Target))

    def values(self, stage: Stage) -> list[Array]:
        """Value of every objective, each ``(...)``, by one pass."""
        of_optics, others = self._sorted(stage)
        found: dict[int, Array] = {}
        if of_optics:
            _, known = _looked_up(of_optics, stage, ())
            found = {k: objective.from_leaves(known) for k, objective in of_optics.items()}
        if others:
            rows = values(list(others.values()), **_beam_and_course(stage))
            found |= {k: rows[j, ...] for j, k in enumerate(others)}
        return [found[k] for k in range(len(self.objectives))]

    def derivatives(self, stage: Stage, names: Sequence[str], adjoint: Any) -> list[Derivatives]:
        """Value and derivatives by name of every objective, by one pass there and back."""
        of_optics, others = self._sorted(stage)
        found: dict[int, Derivatives] = {}
        if of_optics:
            wrt = _wrt(stage, names, of_optics=True)
            tables, known = _looked_up(of_optics, stage, _once(wrt))
            looked = {k: pulled(objective, known) for k, objective in of_optics.items()}
            gradients = pull_rows(tables, [leaf_bars for _, leaf_bars in looked.values()], _once(wrt))
            for (k, (value, _)), gradient in zip(looked.items(), gradients, strict=True):
                found[k] = value, {name: stage.picked(name, gradient[wrt[name]], of_optics=True) for name in names}
        if others:
            wrt = _wrt(stage, names)
            rows, bars = jacobian(list(others.values()), **_beam_and_course(stage), wrt=_once(wrt), adjoint=adjoint)
            for j, k in enumerate(others):
                found[k] = rows[j, ...], {n: stage.picked(n, bars[wrt[n]][j, ...]) for n in names}
        return [found[k] for k in range(len(self.objectives))]

    def _sorted(self, stage: Stage) -> tuple[dict[int, Any], dict[int, Any]]:
        """Those of optics alone, and the others, by their places; all begin with the stage's lattice functions."""
        of_optics: dict[int, Any] = {}
        others: dict[int, Any] = {}
        for k, objective in enumerate(self.objectives):
            if stage.optics is not None and isinstance(objective, Objective):
                objective = objective.over(lambda leaf: _beginning(leaf, stage))
            (of_optics if is_of_optics(objective) else others)[k] = objective
        if others and isinstance(stage.beam.given, Reference):
            objective = next(iter(others.values()))
            allowed = "an objective of optics, such as optics.beta_x @ end, where there is no beam but a reference"
            raise InputError("what", getattr(objective, "name", objective), allowed)
        return of_optics, others


def _looked_up(objectives: dict[int, Any], stage: Stage, wrt: Sequence[str]) -> tuple[Any, dict[Any, Array]]:
    """Tables of optics, and the values of all leaves of some objectives in them."""
    leaves = [leaf for objective in objectives.values() for leaf in objective.leaves]
    tables = tables_of(leaves, stage.course.line, stage.beam.reference, wrt)
    return tables, {leaf: leaf(tables[leaf.asked]) for leaf in leaves}


def _beginning(leaf: Objective, stage: Stage) -> Objective:
    """A leaf of optics with the lattice functions of the stage, unless it has its own."""
    if isinstance(leaf, OfOptics) and stage.optics is not None and leaf.start == "periodic":
        return replace(leaf, start=stage.optics.given)
    return leaf


def _beam_and_course(stage: Stage) -> dict[str, Any]:
    course = stage.course
    return {
        "line": course.line,
        "beam": stage.beam.given,
        "space_charge": stage.on_moments,
        "effects": list(course.effects.values()),
        "slices": course.slicing.slices,
        "step": course.slicing.step,
        "on_turn": course.on_turn,
        "turns": course.turns,
    }


def _wrt(stage: Stage, names: Sequence[str], of_optics: bool = False) -> dict[str, str]:
    return {name: stage.wrt(name, of_optics) for name in names}


def _once(wrt: dict[str, str]) -> list[str]:
    return list(dict.fromkeys(wrt.values()))


def total(values: Sequence[Array], single: bool, batch: int = 0) -> Array:
    """The one number, of residuals ``(k, ...)`` with so many axes of a batch in front: mean, or sum of squares."""
    xp = namespace(*values)
    axes = tuple(range(batch, values[0].ndim))
    if single:
        return xp.mean(values[0], axis=axes) if axes else values[0]
    each = [xp.sum(one * one, axis=axes) if axes else one * one for one in values]
    return sum(each[1:], each[0])
