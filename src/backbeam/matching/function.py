"""`function`: from a line, a beam and what is to be varied to what an optimiser calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from backbeam.course import Course
from backbeam.errors import InputError
from backbeam.lattice_functions import Twiss
from backbeam.matching.goals import Goals
from backbeam.matching.incoming import IncomingOptics, incoming
from backbeam.matching.merit import Merit
from backbeam.matching.stage import Stage
from backbeam.matching.variables import Variables, Vary
from backbeam.moment_beam import MomentBeam
from backbeam.moment_beam.linear_space_charge import acting_on_moments

if TYPE_CHECKING:
    from backbeam.adjoint import Adjoint
    from backbeam.beam import Beam
    from backbeam.effects.base import Effect
    from backbeam.line import Line
    from backbeam.moment_beam import LinearSpaceCharge
    from backbeam.reference import Reference


def function(
    what: Any,
    line: Line,
    beam: Beam | MomentBeam | Reference,
    vary: Vary,
    scaled: bool = True,
    *,
    start: Twiss | None = None,
    space_charge: Effect | LinearSpaceCharge | None = None,
    effects: Iterable[Effect | LinearSpaceCharge] = (),
    slices: int | None = None,
    step: float | None = None,
    on_turn: str = "raise",
    turns: int = 1,
    adjoint: Adjoint | str | None = None,
) -> Merit:
    """What is asked of a line, as a function of a vector that any optimiser takes.

    ::

        scipy.optimize.minimize(f.value_and_grad, f.x0, jac=True, bounds=f.bounds)
        scipy.optimize.least_squares(f.residuals, f.x0, jac=f.jacobian, bounds=f.bounds)
        line, beam = f.unpack(found.x)

    =================================  =================================================================================
    SciPy                              as above
    Optax, beside any beam             ``value, gradient = f.value_and_grad(x)``, ``optimiser.update(gradient, ...)``
    Optax, compiled, a beam on JAX     ``jax.value_and_grad(f)``, ``optax.value_and_grad_from_state(f)``
    Optimistix, a beam on JAX          ``lambda x, _: f.residuals(x)`` with ``options={"jac": "bwd"}``
    torch.optim, a beam on PyTorch     ``f(x).backward()``
    Ax, Xopt: parameters by name       ``f({"qf.k1": 0.3, "qd.k1": -0.2})``, within ``f.bounds``
    =================================  =================================================================================

    Parameters
    ----------
    what:
        An objective or its name, whose value is f(x), in multiples of ``f.unit``; a `Target`; or a list of them,
        of whose residuals f(x) is the sum of squares. Where line or beam are a batch of settings, the mean over them.
    line:
        The beamline.
    beam:
        A `Beam`, a `MomentBeam`, or a `Reference` where optics alone is looked at.
    vary:
        Names, or a mapping from each to its bounds, (low, high), ``"50 %"`` of its start, or None: ``qf.k1`` of an
        element, ``wake_1.q`` of an effect, a knob of the line, ``beam.charge``, ``beam.sigma_x``, ``beam.mean_x`` (an
        offset of all particles of a beam that was not drawn), ``beam.kinetic_energy`` or ``reference.kinetic_energy``.
        Patterns, ``*.k1``, stand for every parameter that they fit; ``"qf.k1 = -qd.k1"``, or ``{"qf.k1": "-qd.k1"}``,
        ties one to others.
    scaled:
        Whether x is in multiples of ``f.scale``, the width of the bounds, else the size of the start, else what is
        usual for the unit; and the value in multiples of its size at the start. Optimisers stop by absolute numbers, so
        in SI units they stop too early or never.
    start:
        Lattice functions with which objectives of optics begin, of a line that is no ring; ``start.beta_x`` varies.
    space_charge, effects, slices, step, on_turn, turns, adjoint:
        As in `value_and_grad`, but that a point at which a particle turns round cannot be tracked, unless ``on_turn``
        is "lose": a beam must not become small by losing its tails. Adjoint None: `Auto`, and `Checkpoint` at a point
        where what that chose is not to be trusted.

    Returns
    -------
    Merit
        ``f(x)``, ``f.value_and_grad(x)``, ``f.residuals(x)``, ``f.jacobian(x)``, ``f.unpack(x)``, ``f.x0``,
        ``f.bounds``, ``f.names``. Numbers are those of NumPy in float64, whatever library the beam is of; where x is an
        array of PyTorch or JAX, ``f(x)`` and ``f.residuals(x)`` are too, to be differentiated and compiled by them.

    Raises
    ------
    InputError
        For names that are not known, bounds that the start is not within, and ties that lead nowhere.
    TrackingError
        If the start cannot be tracked.

    Examples
    --------
    >>> line = bb.Line([bb.Quadrupole(0.2, k1=3.0, name="q"), bb.Drift(1.0)])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> f = bb.function("sigma_x", line, beam, {"q.k1": (0.0, 10.0)})
    >>> f.names, f.x0.tolist(), f(f.x0)
    (('q.k1',), [0.3], 1.0)
    >>> value, gradient = f.value_and_grad([0.4])
    >>> value < 1.0, gradient.shape, f.unpack([0.4])[0].get("q.k1")
    (True, (1,), 4.0)
    """
    stage = stage_of(
        line,
        beam,
        start,
        space_charge=space_charge,
        effects=effects,
        slices=slices,
        step=step,
        on_turn=on_turn,
        turns=turns,
    )
    return Merit(Goals.of(what), stage, Variables.of(vary, stage), adjoint, scaled)


def stage_of(
    line: Line, beam: Any, start: Any, space_charge: Any = None, effects: Iterable[Any] = (), **course: Any
) -> Stage:
    """What can be varied: the course of a line, and what comes into it."""
    if start is not None and not isinstance(start, Twiss):
        raise InputError("start", start, "a Twiss, or None for a ring")
    optics = None if start is None else IncomingOptics(start)
    if isinstance(beam, MomentBeam):
        acting = acting_on_moments(space_charge, list(effects), course["on_turn"], None)
        return Stage(Course.of(line, **course), incoming(beam), optics, acting)
    return Stage(Course.of(line, space_charge=space_charge, effects=effects, **course), incoming(beam), optics)
