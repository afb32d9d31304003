"""Observables of a beam of moments: the objects of `backbeam.observables`, pulled back to mean and covariance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from array_api_compat import device

from backbeam import backends, moments
from backbeam.arrays import COORDINATES, Array, namespace
from backbeam.beam import PLANES
from backbeam.errors import InputError
from backbeam.judging import objective_of
from backbeam.observables import Mean, MeanSquareSize, NormalizedEmittance, Objective, Own, Sigma
from backbeam.observables.places import Placed
from backbeam.observables.planes import OfPlane

if TYPE_CHECKING:
    from backbeam.line import Line
    from backbeam.moment_beam.beam import MomentBeam
    from backbeam.moment_beam.revolutions import Revolutions
    from backbeam.moment_beam.tracking import Passage

MomentBars = dict[str, Array]
"""Cotangents of ``mean``, ``cov`` and ``beta_gamma``, or of some of them."""


def bars_of(function: Callable[[MomentBeam], Any], beam: MomentBeam) -> tuple[Array, MomentBars]:
    """Value of a function of a beam of moments that is no observable, and its cotangents."""
    backend = backends.of(beam.cov_)
    if not backend.has_autodiff:
        found = function(beam)
        if not isinstance(found, tuple) or len(found) != 2:
            allowed = f"on {backend.name}: an observable, or a function that gives (value, cotangents)"
            raise InputError("objective", function, allowed)
        return found
    given: dict[str, Any] = {}

    def of_moments(mean: Array, cov: Array) -> Array:
        found = function(beam.replace(mean=mean, cov=cov))
        if isinstance(found, tuple):
            given.update(found[1])
            return found[0]
        return found

    value, pull = backend.pull(of_moments, [beam.mean_, beam.cov_])
    if given:
        return value, given
    mean_bar, cov_bar = pull(namespace(value).ones_like(value))
    return value, {"mean": mean_bar, "cov": cov_bar}


def leaf_of(leaf: Objective, beam: MomentBeam) -> tuple[Array, MomentBars]:
    """Value of a leaf in a beam, and the beam's cotangents for one of 1."""
    if isinstance(leaf, Own):
        return bars_of(leaf.function, beam)
    if not isinstance(leaf, Mean | Sigma | OfPlane | MeanSquareSize):
        raise InputError("objective", leaf.name, "a size, mean, emittance or Twiss parameter of a MomentBeam")
    xp, of_moments = namespace(beam.cov_), leaf  # type: Any, Any
    unit = xp.eye(6, dtype=beam.cov_.dtype, device=device(beam.cov_))
    nothing, zero = xp.zeros_like(beam.mean_), xp.zeros_like(beam.cov_)
    if isinstance(leaf, MeanSquareSize):
        across = unit[0, :] + unit[2, :]
        squares = xp.linalg.diagonal(beam.cov_) + beam.mean_ * beam.mean_
        return xp.sum(across * squares, axis=-1), {
            "mean": 2.0 * across * beam.mean_, "cov": zero + across[:, None] * unit
        }  # fmt: skip
    value = of_moments(beam)  # which asks a beam for what a beam of moments has
    one = xp.ones_like(value)
    if isinstance(leaf, Mean):
        return value, {"mean": nothing + one[..., None] * unit[COORDINATES.index(leaf.coordinate), :]}
    if isinstance(leaf, Sigma):
        k = COORDINATES.index(leaf.coordinate)
        share = moments.safe_divide(0.5 * one, value)[..., None, None]
        return value, {"cov": zero + share * unit[:, k : k + 1] * unit[k : k + 1, :]}
    k = PLANES[leaf.plane]
    plane, bars = beam.plane(leaf.plane), {}
    if isinstance(leaf, NormalizedEmittance):
        bars["beta_gamma"] = plane.emittance * one
        one = beam.reference.beta_gamma * one
    size_bar, slope_bar, rest_bar = leaf.moments_pullback(plane, one)
    # slope = qp/qq, rest = pp - qp^2/qq
    qp_bar = moments.safe_divide(slope_bar, plane.size) - 2.0 * plane.slope * rest_bar
    qq_bar = size_bar - plane.slope * moments.safe_divide(slope_bar, plane.size) + plane.slope**2 * rest_bar
    terms = ((qq_bar, k, k), (0.5 * qp_bar, k, k + 1), (0.5 * qp_bar, k + 1, k), (rest_bar, k + 1, k + 1))
    for bar, i, j in terms:
        zero = zero + bar[..., None, None] * unit[:, i : i + 1] * unit[j : j + 1, :]
    return value, {**bars, "cov": zero}


class Judged:
    """Objectives of a beam of moments on a way: their leaves, each once, with values and cotangents.

    Parameters
    ----------
    objectives:
        Observables, their names, or any functions of the beam at the end.
    passage:
        The way.
    line, beam, wrt:
        What leaves of optics are asked of, and by which of its parameters they will be differentiated.
    """

    def __init__(
        self,
        objectives: Sequence[Any],
        passage: Passage | Revolutions,
        line: Line,
        beam: MomentBeam,
        wrt: Sequence[str] = (),
    ) -> None:
        from backbeam.lattice_functions.objectives import of_optics, tables_of
        from backbeam.mixed import line_names

        self.objectives = [objective_of(one) for one in objectives]
        self.passage, self.final = passage, passage.final()
        trees = [one for one in self.objectives if isinstance(one, Objective)]
        of_line = [leaf for tree in trees for leaf in of_optics(tree)]
        self.tables = tables_of(of_line, line, beam.reference, list(line_names(wrt, line).values()) if of_line else [])
        self.known: dict[Objective, Array] = {leaf: leaf(self.tables[leaf.asked]) for leaf in of_line}
        self.optics = dict.fromkeys(of_line)
        self.found: dict[Objective, tuple[int, MomentBars]] = {}
        for leaf in dict.fromkeys(leaf for tree in trees for leaf in tree.leaves):
            if leaf not in self.known:
                k = -1 if not isinstance(leaf, Placed) else passage.maps_before(leaf.place)
                here = self.final if k < 0 else passage.beam_at(k)
                self.known[leaf], bars = leaf_of(leaf.objective if isinstance(leaf, Placed) else leaf, here)
                self.found[leaf] = k, bars

    def values(self) -> list[Array]:
        """Value of each objective ``(...)``."""
        found = []
        for one in self.objectives:
            value = one.from_leaves(self.known) if isinstance(one, Objective) else one(self.final)
            found.append(value[0] if isinstance(value, tuple) else value)
        return found

    def pulled(self, objective: Any) -> tuple[Array, dict[int, MomentBars], dict[Any, Array]]:
        """Value, cotangents of the beam by the number of maps before it (-1: at the end), and of leaves of optics."""
        if not isinstance(objective, Objective):
            value, own = bars_of(objective, self.final)
            return value, {-1: own}, {}
        value = objective.from_leaves(self.known)
        bars: dict[Objective, Array] = {}
        objective.to_leaves(self.known, namespace(value).ones_like(value), bars)
        places: dict[int, MomentBars] = {}
        for leaf, bar in bars.items():
            if leaf in self.found:
                k, own = self.found[leaf]
                mine = places.setdefault(k, {})
                for name, part in own.items():
                    axes = part.ndim - bar.ndim
                    scaled = bar[(..., *[None] * axes)] * part
                    mine[name] = mine[name] + scaled if name in mine else scaled
        return value, places, {leaf: bar for leaf, bar in bars.items() if leaf in self.optics}


def moment_values(objectives: Iterable[Any], line: Line, beam: MomentBeam, **options: Any) -> Array:
    """Values of several objectives ``(m, ...)``; options as of `MomentBeam.track`."""
    from backbeam.moment_beam.tracking import Passage

    found = Judged(list(objectives), Passage.on(line, beam, **options), line, beam).values()
    return namespace(found[0]).stack(found, axis=0)
