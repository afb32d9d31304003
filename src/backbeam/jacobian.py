"""Values of several objectives, and their Jacobian."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from backbeam.arrays import Array, namespace
from backbeam.beam import Beam
from backbeam.course import Course
from backbeam.errors import InputError
from backbeam.gradient import value_and_grad
from backbeam.judging import judged
from backbeam.mixed import Fixed
from backbeam.objectives import BeamFunction
from backbeam.observables import Objective
from backbeam.tracking import track_course

if TYPE_CHECKING:
    from backbeam.adjoint import Adjoint
    from backbeam.effects.base import Effect
    from backbeam.line import Line
    from backbeam.turns import Record


def jacobian(
    objectives: Sequence[BeamFunction | str],
    line: Line,
    beam: Beam,
    wrt: Sequence[str],
    *,
    space_charge: Effect | None = None,
    effects: Iterable[Effect] = (),
    slices: int | None = None,
    step: float | None = None,
    on_turn: str = "lose",
    turns: int = 1,
    record: Record | None = None,
    adjoint: Adjoint | str | None = None,
) -> tuple[Array, dict[str, Array]]:
    """Track once, and differentiate several objectives.

    Parameters
    ----------
    objectives:
        Each as in `value_and_grad`: of the beam at the end or at a place, of the optics, a `Target`, a name.
    line, beam, wrt, space_charge, effects, slices, step, on_turn, turns, record, adjoint:
        As in `value_and_grad`.

    Returns
    -------
    tuple
        Values ``(m, ...)``, and a dict from each name to the derivatives ``(m, ..., own shape)``: a row an objective,
        the batch axes of the settings behind it.

    Examples
    --------
    >>> line = bb.Line([bb.Quadrupole(0.2, k1=3.0, name="q"), bb.Drift(1.0, name="d"), bb.Drift(1.0)])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> targets = [bb.Target("sigma_x", 5e-4, at="d"), "log(sigma_x)"]
    >>> values, slopes = bb.jacobian(targets, line, beam, ["q.k1", "d.length"])
    >>> values.shape, slopes["q.k1"].shape
    ((2,), (2,))
    """
    rows = [
        value_and_grad(
            one, line, beam, wrt, space_charge=space_charge, effects=effects, slices=slices, step=step,
            on_turn=on_turn, turns=turns, record=record, adjoint=adjoint,
        )
        for one in several(objectives)
    ]  # fmt: skip
    xp = namespace(rows[0][0])
    found = {name: xp.stack([gradient[name] for _, gradient in rows], axis=0) for name in rows[0][1]}
    return xp.stack([value for value, _ in rows], axis=0), found


def values(
    objectives: Sequence[BeamFunction | str],
    line: Line,
    beam: Beam,
    *,
    space_charge: Effect | None = None,
    effects: Iterable[Effect] = (),
    slices: int | None = None,
    step: float | None = None,
    on_turn: str = "lose",
    turns: int = 1,
    record: Record | None = None,
) -> Array:
    """Values of several objectives ``(m, ...)``, without a gradient: what `jacobian` gives first."""
    from backbeam.lattice_functions.objectives import of_optics, tables_of
    from backbeam.moment_beam import MomentBeam
    from backbeam.moment_beam.objectives import moment_values

    options: dict[str, Any] = {"slices": slices, "step": step, "on_turn": on_turn, "turns": turns, "record": record}
    if isinstance(beam, MomentBeam):
        return moment_values(several(objectives), line, beam, space_charge=space_charge, effects=effects, **options)
    course = Course.of(line, space_charge=space_charge, effects=effects, **options)
    bound, course = judged(several(objectives), course)
    leaves = [leaf for one in bound for leaf in of_optics(one)]
    tables = tables_of(leaves, line, beam)

    def fixed(leaf: Objective) -> Objective:
        return Fixed(leaf, leaf(tables[leaf.asked])) if of_optics(leaf) else leaf  # type: ignore[attr-defined,arg-type]

    bound = [one.over(fixed) if isinstance(one, Objective) else one for one in bound]
    final = track_course(course, beam)
    found = [one(final) for one in bound]
    return namespace(found[0]).stack([one[0] if isinstance(one, tuple) else one for one in found], axis=0)


def several(objectives: Any) -> list[Any]:
    """The list of them; `InputError` for none."""
    if isinstance(objectives, str) or not isinstance(objectives, Iterable):
        raise InputError("objectives", objectives, "a list of objectives, such as ['sigma_x', 'sigma_y']")
    found = list(objectives)
    if not found:
        raise InputError("objectives", found, "at least one objective")
    return found
