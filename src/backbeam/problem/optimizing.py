"""``optimize:``: what a problem's line is to do, and what may be changed for it.

::

    optimize:
      minimize: mean_square_size            # or weights, {sigma_x: 1, sigma_y: 2}; or left out
      targets:                              # to be met; they hold as constraints where something is made small
        - sigma_x @ m1 = 1e-3 +- 1e-5
        - optics.beta_x @ end < 12
        - {emittance_x: 1e-6, at: m1, tol: 1e-9, weight: 2}
        - {sigma_y: {above: 1e-4, below: 1e-3}}
      vary: {qf.k1: [-5, 5], "*.k2": 50 %, kqd: null, q3.k1: -qf.k1}
      method: trf                           # see `backbeam.matching.methods`
      start: beam                           # of optics in a line that is no ring; or {beta_x: 10, beta_y: 5}
      passes: 1000
      restarts: 0
      seeds: 0
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backbeam.beam import Beam
from backbeam.errors import InputError
from backbeam.lattice_functions import Twiss
from backbeam.observables import Objective, Target, expression, weighted
from backbeam.paths import is_of_beam
from backbeam.problem.keys import missing
from backbeam.problem.outcome import quiet

if TYPE_CHECKING:
    from backbeam.matching import Match
    from backbeam.problem.problem import Problem

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TARGET = re.compile(
    rf"(?:(?P<low>{_NUMBER})\s*<)?\s*(?P<what>[^<>=]+?)\s*(?P<sign>[=<>])\s*(?P<value>{_NUMBER})"
    rf"\s*(?:(?:\+-|±)\s*(?P<tol>{_NUMBER}))?"
)
_BRACKETS = re.compile(r"[\[(]([^,()]*),([^,()]*)[\])]")
"""Bounds as Python and YAML write them."""
_BOUNDS = re.compile(rf"({_NUMBER})?\s*:\s*({_NUMBER})?")
TARGET = "a target such as 'sigma_x @ m1 = 1e-3', 'sigma_y < 1e-3 +- 1e-5' or {sigma_x: 1e-3, at: m1, tol: 1e-5}"
MORE = ("at", "tol", "weight", "below", "above")


@dataclass(frozen=True)
class Optimization:
    """What is asked for, as `backbeam.match` takes it."""

    what: tuple[Any, ...]
    vary: Mapping[str, Any]
    options: Mapping[str, Any]
    """``method``, ``passes``, ``restarts``, ``seeds``."""
    start: Any

    def search(
        self, problem: Problem, beam: Beam, history: Path | None = None, resume: bool = False, progress: bool = False
    ) -> Match:
        """Search, with a problem's beam."""
        from backbeam.matching import match

        check_vary(problem, self.vary)
        start = Twiss.of(beam) if self.start == "beam" else self.start
        track = {"on_turn": "raise", **problem.track_options()}
        with quiet():
            return match(
                self.what[0] if len(self.what) == 1 else self.what, problem.line(), beam, self.vary, start=start,
                space_charge=problem.space_charge(), effects=problem.effects(), history=history, resume=resume,
                progress=progress, **self.options, **track,
            )  # fmt: skip


def optimization(
    problem: Problem,
    minimize: str | None = None,
    targets: Sequence[str] | None = None,
    vary: Sequence[str] | None = None,
    **options: Any,
) -> Optimization:
    """What a problem's section ``optimize`` asks, but for what is given here.

    Parameters
    ----------
    problem:
        The problem.
    minimize:
        An objective. If only one of it and ``targets`` is given here, the other is not asked for.
    targets:
        As texts, ``sigma_x @ m1 = 1e-3``.
    vary:
        As texts: names, patterns, ``qf.k1=-5:5``, ``qf.k1=50%`` or ``qf.k1 = -qd.k1``.
    options:
        ``method``, ``passes``, ``restarts``, ``seeds``; None: what the section says.

    Raises
    ------
    InputError
        For what is missing or not known, with what is allowed.
    """
    section = problem.optimize
    own_targets: Sequence[Any] = section.targets or ()
    if minimize is None and targets is None:
        asked, wanted = section.minimize, own_targets
    else:
        asked, wanted = minimize, targets or ()
    what: list[Any] = []
    if asked is not None:
        what.append(_named("optimize.minimize", asked))
    what += [read_target(one, f"optimize.targets[{k}]") for k, one in enumerate(wanted)]
    if not what:
        raise missing("optimize", "minimize or targets, here or as --minimize or --target")
    varied = _vary(section.vary if vary is None else vary)
    if not varied:
        raise missing("optimize.vary", "parameters such as qf.k1, here or as --vary")
    said = {name: getattr(section, name) for name in ("method", "passes", "restarts", "seeds")}
    said |= {name: value for name, value in options.items() if value is not None}
    start: Any = section.start
    if isinstance(start, Mapping):
        start = _twiss(start)
    elif start not in (None, "beam"):
        raise InputError("optimize.start", start, "beam, or lattice functions {beta_x: 10, beta_y: 5}")
    return Optimization(tuple(what), varied, {n: v for n, v in said.items() if v is not None}, start)


def _named(path: str, given: Any) -> Objective:
    try:
        return weighted(given) if isinstance(given, Mapping) else expression(given)
    except InputError as error:
        raise InputError(path, error.value, error.allowed) from None


def _twiss(given: Mapping[str, Any]) -> Twiss:
    try:
        return Twiss(**given)
    except TypeError:
        known = [name for name in Twiss.__dataclass_fields__]
        raise InputError("optimize.start", dict(given), f"beta_x, beta_y and others of {', '.join(known)}") from None
    except InputError as error:
        raise InputError(f"optimize.{error.field}", error.value, error.allowed) from None


def read_target(given: Any, path: str) -> Target:
    """A target of its text or mapping."""
    if isinstance(given, str):
        return _target_of_text(given, path)
    if not isinstance(given, Mapping):
        raise InputError(path, given, TARGET)
    names = [name for name in given if name not in MORE]
    if len(names) != 1:
        raise InputError(path, dict(given), TARGET)
    more = {name: given[name] for name in MORE if name in given}
    value = given[names[0]]
    if isinstance(value, Mapping):
        more, value = {**more, **value}, None
        for name in more:
            if name not in MORE:
                raise InputError(f"{path}.{name}", more[name], f"one of {', '.join(MORE)}")
    return _target(path, str(names[0]), value, more)


def _target_of_text(text: str, path: str) -> Target:
    found = _TARGET.fullmatch(text.strip())
    if found is None or (found["low"] is not None and found["sign"] != "<"):
        raise InputError(path, text, TARGET)
    value, more = float(found["value"]), {} if found["tol"] is None else {"tol": float(found["tol"])}
    if found["low"] is not None:
        more["above"] = float(found["low"])
    if found["sign"] == "=":
        return _target(path, found["what"], value, more)
    more["below" if found["sign"] == "<" else "above"] = value
    return _target(path, found["what"], None, more)


def _target(path: str, what: str, value: Any, more: Mapping[str, Any]) -> Target:
    try:
        return Target(what, value, **more)
    except InputError as error:
        raise InputError(f"{path}: {error.field}", error.value, error.allowed) from None


def _vary(given: Any) -> dict[str, Any]:
    """What varies, as `backbeam.function` takes it: bounds, texts of formulas, or None by name."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    found: dict[str, Any] = {}
    for text in given:
        name, equals, said = text.partition("=")
        name, said = name.strip(), said.strip()
        if name in found:
            raise InputError("optimize.vary", name, "each parameter once, free or tied")
        if ends := _BRACKETS.fullmatch(said):
            said = ":".join(ends.groups())
        bounds = _BOUNDS.fullmatch(said) if equals else None
        if bounds is not None and said != ":":
            found[name] = tuple(None if end is None else float(end) for end in bounds.groups())
        else:
            found[name] = said if equals else None
    return found


# -- what was found, as a problem --------------------------------------------------------------------------------------


def path_of(problem: Problem, name: str) -> str:
    """Where a parameter stands in a problem's data, as ``--set`` has it."""
    line, course = problem.line(), problem.course()
    if is_of_beam(name, line):
        return name
    owner, _, field = name.rpartition(".")
    if owner == "reference" and owner not in line:
        return f"beam.{field}"
    if owner == "start" and owner not in line:
        return f"optimize.{name}"
    if name in line.knobs:
        return f"lattice.knobs.{name}"
    if owner in course.effects:
        k = list(course.effects).index(owner) - (problem.space_charge() is not None)
        return f"space_charge.{field}" if k < 0 else f"effects[{k}].{course.effects[owner].kind}.{field}"
    return f"lattice.{name}"


def check_vary(problem: Problem, vary: Mapping[str, Any]) -> None:
    """Raise `InputError` for what a problem file could not say: an offset of the particles of a file."""
    if "file" not in problem.tree["beam"] and "matched" not in problem.tree["beam"]:
        return
    for name in vary:
        owner, _, field = str(name).rpartition(".")
        if owner in ("beam", "reference") and owner not in problem.line() and field != "charge":
            raise InputError("optimize.vary", name, "beam.charge: of a beam that is not drawn no more can be said")


def best_problem(problem: Problem, found: Match) -> Problem:
    """The problem with what was found: it runs as any other."""
    return problem.replace({path_of(problem, name): float(value) for name, value in found.values.items()})
