"""A `MomentBeam` through a line, and cotangents back.

All maps are taken about the centroid's orbit at once, as optics takes them. Without space charge the covariance goes
through the one matrix of the line; with it, map by map, for each kick depends on the covariance there. The kick is
about the beam's own centre, so the orbit does not know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.elements.base import Element
from backbeam.errors import InputError
from backbeam.knob_gradient import Wanted
from backbeam.lattice_functions.orbit import Closing
from backbeam.lattice_functions.passages import Passages, parameter_vector
from backbeam.lattice_functions.products import product, transposed
from backbeam.lattice_functions.solution import Solution, SolutionBars
from backbeam.lattice_functions.spreading import many, spread_solution
from backbeam.lattice_functions.table import Optics, Source
from backbeam.moment_beam.beam import MomentBeam
from backbeam.moment_beam.linear_space_charge import LinearSpaceCharge, acting_on_moments
from backbeam.observables.places import passage_of
from backbeam.paths import is_of_beam
from backbeam.plan import Slicing
from backbeam.reference import Reference
from backbeam.run import broadcast_shapes
from backbeam.turns import number_of_turns

if TYPE_CHECKING:
    from backbeam.line import Line
    from backbeam.moment_beam.revolutions import Revolutions
    from backbeam_backends import Backend


@dataclass(frozen=True)
class _Halves(Slicing):
    """Twice as many slices: a kick stands between two."""

    def count(self, element: Element, name: str, effect: Any = None) -> int:
        """Twice the number."""
        return 2 * super().count(element, name, effect)


def passages_for(
    line: Line, space_charge: LinearSpaceCharge | None, slices: int | None, step: float | None
) -> Passages:
    """Maps of a line and places for kicks between them."""
    passages = Passages.of(line, Slicing() if space_charge is None else _Halves(slices, step))
    if not passages.steps:
        raise InputError("line", line, "a line with at least one element that does something")
    return passages


def beside(beam: MomentBeam) -> Reference:
    """What says beside which arrays a line's parameters stand."""
    return Reference(beam.mean_, beam.species)


@dataclass(frozen=True, eq=False)
class Passage:
    """The way of a beam of moments through a line. Make one by `of`."""

    line: Line
    beam: MomentBeam
    space_charge: LinearSpaceCharge | None
    solution: Solution
    charge: Array

    @classmethod
    def of(
        cls,
        line: Line,
        beam: MomentBeam,
        space_charge: LinearSpaceCharge | None,
        slices: int | None,
        step: float | None,
    ) -> Passage:
        """Find the orbit of the centroid and the matrices about it."""
        passages = passages_for(line, space_charge, slices, step)
        return cls.through(passages, line, beam, space_charge, *parameter_vector(line, beside(beam)))

    @classmethod
    def through(
        cls,
        passages: Passages,
        line: Line,
        beam: MomentBeam,
        space_charge: LinearSpaceCharge | None,
        vector: Array,
        backend: Backend,
    ) -> Passage:
        """The same where the passages of the line and the vector of its parameters are known."""
        if backends.of(beam.cov_) is not backend:
            raise InputError(
                "line", f"parameters of {backend.name}", f"numbers, or arrays of {backends.of(beam.cov_).name}"
            )
        dtype = "float32" if vector.dtype == namespace(vector).float32 else "float64"
        charge = backend.asarray(beam.charge, dtype=dtype)
        u = backend.asarray(beam.reference.beta_gamma, dtype=dtype)
        batch = broadcast_shapes(
            tuple(vector.shape[:-1]), tuple(u.shape), tuple(charge.shape), tuple(beam.mean_.shape[:-1]),
            tuple(beam.cov_.shape[:-2]),
        )  # fmt: skip
        solution = Solution.of(passages, beam.species, vector, u, Closing(0, beam.mean_), None, batch)
        return cls(line, beam, space_charge, solution, charge)

    def with_beam(self, beam: MomentBeam) -> Passage:
        """The way of another beam through the same line."""
        vector = self.solution.vector
        return Passage.through(self.solution.passages, self.line, beam, self.space_charge, vector, backends.of(vector))

    @classmethod
    def on(
        cls,
        line: Line,
        beam: MomentBeam,
        *,
        space_charge: LinearSpaceCharge | None = None,
        effects: Iterable[LinearSpaceCharge] = (),
        slices: int | None = None,
        step: float | None = None,
        on_turn: str = "lose",
        turns: int = 1,
        record: None = None,
    ) -> Passage | Revolutions:
        """The way that the arguments of `MomentBeam.track` describe."""
        from backbeam.moment_beam.revolutions import Revolutions

        acting = acting_on_moments(space_charge, effects, on_turn, record)
        turns = number_of_turns(turns)
        if turns == 1:
            return cls.of(line, beam, acting, slices, step)
        return Revolutions.of(line, beam, acting, slices, step, turns)

    @cached_property
    def kicks(self) -> dict[int, tuple[int, float]]:
        """Number of maps before each kick -> where the element's length stands in the vector, and what part of it."""
        if self.space_charge is None:
            return {}
        passages, found, half = self.solution.passages, {}, 0.0
        for k, name in enumerate(passages.names):
            part = float(passages.fractions[k])
            if not name or (name, "length") not in passages.slots or part == 1.0:
                continue
            half += part
            if round(half / part) % 2 == 1:
                found[int(passages.ends[k])] = (passages.slots[name, "length"][0], 2.0 * part)
            if half > 1.0 - 0.5 * part:
                half = 0.0
        return found

    def _ds(self, k: int) -> Array:
        slot, part = self.kicks[k]
        return part * self.solution.vector[..., slot]

    def _reference(self, k: int) -> Reference:
        return Reference(self.solution.beta_gamma[..., k], self.beam.species)

    @cached_property
    def covariances(self) -> list[Array]:
        """Covariance at the start, and after each map and its kick; without space charge at the ends alone."""
        cov = namespace(self.solution.z).broadcast_to(self.beam.cov_, (*self.solution.z.shape[:-2], 6, 6))
        if not self.kicks:
            return [cov, _through(self.solution.total, cov)]
        found = [cov]
        for k in range(len(self.solution.passages.steps)):
            cov = _through(self.solution.R[..., k, :, :], cov)
            if k + 1 in self.kicks:
                cov = _through(self._kick(k + 1, cov), cov)
            found.append(cov)
        return found

    def _kick(self, k: int, cov: Array) -> Array:
        kind: Any = self.space_charge  # there are no kicks without one
        slopes = kind.slopes(cov, self.charge, self._reference(k), self._ds(k))
        return _kick_matrix(slopes, cov)

    def final(self) -> MomentBeam:
        """The beam at the end."""
        solution, beam = self.solution, self.beam
        reference = beam.reference.with_beta_gamma(solution.beta_gamma[..., -1])
        length = self.line.length
        return MomentBeam(solution.z[..., -1, :], self.covariances[-1], reference, beam.charge, beam.s + length,
                          self.readings())  # fmt: skip

    def readings(self) -> dict[str, Any]:
        """What monitors and screens see: the centroid, the charge of a Gaussian in each pixel."""
        from backbeam.moment_beam.readings import seen

        return seen(self)

    def behind(self, k: int) -> tuple[Array, Array]:
        """Mean and covariance behind k maps."""
        mean = self.solution.z[..., k, :]
        if self.kicks:
            return mean, self.covariances[k]
        return mean, _through(self.solution.M[..., k, :, :], self.covariances[0])

    def beam_at(self, k: int) -> MomentBeam:
        """The beam behind k maps."""
        reference = self.beam.reference.with_beta_gamma(self.solution.beta_gamma[..., k])
        return MomentBeam(*self.behind(k), reference, self.beam.charge, self.beam.s)

    def maps_before(self, place: str) -> int:
        """How many maps there are before a place, which is the end of an element: see `passage_of`."""
        return self.solution.passages.maps_behind(passage_of(place, self.line.sequence)[0])

    def spread(self, count: int) -> Passage:
        """The way for a batch of so many cotangents."""
        wide = replace(self, solution=spread_solution(self.solution, count))
        vars(wide)["covariances"] = [many(cov, count) for cov in self.covariances]
        return wide

    # -- back --------------------------------------------------------------------------------------------------------

    def pullback(self, given: Mapping[int, Mapping[str, Array]]) -> dict[str, Array]:
        """Cotangents of ``mean``, ``cov``, ``charge``, ``beta_gamma`` and of the ``vector`` of parameters.

        ``given`` are those of ``mean``, ``cov`` and ``beta_gamma`` by the number of maps before; -1: all.
        """
        solution, xp = self.solution, namespace(self.solution.z)
        count = len(solution.passages.steps)
        z_bar, u_bar = xp.zeros_like(solution.z), xp.zeros_like(solution.beta_gamma)
        cov_bars: dict[int, Array] = {}
        for place, bars in given.items():
            k = count if place < 0 else place
            here = xp.astype(xp.arange(count + 1, device=device(z_bar)) == k, z_bar.dtype)
            if "mean" in bars:
                z_bar = z_bar + here[:, None] * bars["mean"][..., None, :]
            if "beta_gamma" in bars:
                u_bar = u_bar + here * bars["beta_gamma"][..., None]
            if "cov" in bars:
                bar = 0.5 * (bars["cov"] + transposed(bars["cov"]))
                cov_bars[k] = cov_bars[k] + bar if k in cov_bars else bar
        charge_bar = xp.zeros_like(solution.z[..., 0, 0])
        start, bar = self.covariances[0], xp.zeros_like(self.covariances[0])
        if not self.kicks:
            M_bars = {}
            for k, own in cov_bars.items():
                M = solution.M[..., k, :, :]
                M_bars[k] = 2.0 * product(product(own, M), start)
                bar = bar + product(product(transposed(M), own), M)
            found = solution.pullback(SolutionBars(z=z_bar, beta_gamma=u_bar, **self._of_matrices(M_bars)))
            return {"mean": found.orbit, "cov": bar, "charge": charge_bar, "beta_gamma": found.beta_gamma,
                    "vector": found.vector}  # fmt: skip
        vector_bar = xp.zeros_like(solution.vector) + 0.0 * charge_bar[..., None]
        bar = bar + cov_bars.get(count, 0.0)
        R_bars: list[Array] = []
        for k in reversed(range(count)):
            R, before = solution.R[..., k, :, :], self.covariances[k]
            if k + 1 in self.kicks:
                cov = _through(R, before)
                K = self._kick(k + 1, cov)
                K_bar = 2.0 * product(product(bar, K), cov)
                slopes_bar = (K_bar[..., 1, 0], K_bar[..., 3, 2], K_bar[..., 5, 4])
                at_kick = (cov, self.charge, self._reference(k + 1), self._ds(k + 1))
                kind: Any = self.space_charge
                diagonal, q_bar, own_bar, ds_bar = kind.slopes_pullback(*at_kick, slopes_bar)
                unit = xp.eye(6, dtype=bar.dtype, device=device(bar))
                bar = product(product(transposed(K), bar), K) + diagonal[..., None] * unit
                charge_bar = charge_bar + q_bar
                at = xp.astype(xp.arange(u_bar.shape[-1], device=device(bar)) == k + 1, bar.dtype)
                u_bar = u_bar + own_bar[..., None] * at
                slot, part = self.kicks[k + 1]
                place = xp.astype(xp.arange(vector_bar.shape[-1], device=device(bar)) == slot, bar.dtype)
                vector_bar = vector_bar + part * ds_bar[..., None] * place
            R_bars.append(2.0 * product(product(bar, R), before))
            bar = product(product(transposed(R), bar), R) + cov_bars.get(k, 0.0)
        R_bar = xp.stack(list(reversed(R_bars)), axis=-3)
        found = solution.pullback_of_matrices(R_bar, z_bar, u_bar, vector_bar)
        return {"mean": found.orbit, "cov": bar, "charge": charge_bar, "beta_gamma": found.beta_gamma,
                "vector": found.vector}  # fmt: skip

    def _of_matrices(self, bars: Mapping[int, Array]) -> dict[str, Array]:
        """Cotangents of the matrices from the start by the number of maps, as the solution takes them."""
        xp, count = namespace(self.solution.z), len(self.solution.passages.steps)
        zero = xp.zeros_like(self.covariances[0])
        if set(bars) <= {count}:
            return {"total": bars.get(count, zero)}
        return {"M": xp.stack([bars.get(k, zero) for k in range(count + 1)], axis=-3)}


def _through(M: Array, cov: Array) -> Array:
    """M cov M^T."""
    return product(product(M, cov), transposed(M))


def _kick_matrix(slopes: tuple[Array, Array, Array], like: Array) -> Array:
    xp = namespace(like)
    unit = xp.eye(6, dtype=like.dtype, device=device(like))
    zero = xp.zeros_like(unit)
    total = xp.broadcast_to(unit, like.shape) + 0.0
    for slope, row in zip(slopes, (1, 3, 5), strict=True):
        total = total + slope[..., None, None] * (zero + unit[:, row : row + 1] * unit[row - 1 : row, :])
    return total


def moment_value_and_grad(
    function: Callable[[MomentBeam], Any],
    line: Line,
    beam: MomentBeam,
    wrt: Sequence[str],
    *,
    space_charge: LinearSpaceCharge | None = None,
    effects: Iterable[LinearSpaceCharge] = (),
    slices: int | None = None,
    step: float | None = None,
    on_turn: str = "lose",
    turns: int = 1,
    record: None = None,
) -> tuple[Array, dict[str, Array]]:
    """Value and gradient of a function of the final moments; `backbeam.value_and_grad` does the same.

    Parameters
    ----------
    function:
        An observable of sizes, means, emittances or Twiss parameters; or any function of a `MomentBeam`, which gives a
        number (PyTorch, JAX) or ``(value, {"mean": ..., "cov": ...})`` with cotangents (everywhere).
    line, beam, space_charge, effects, slices, step, on_turn, turns:
        As in `MomentBeam.track`.
    wrt:
        ``qf.k1`` of an element, ``beam.mean``, ``beam.cov``, ``beam.charge``, ``beam.beta_gamma``, or a knob.
    """
    given: dict[str, Any] = {"slices": slices, "step": step, "on_turn": on_turn, "turns": turns, "record": record}
    found = moment_jacobian([function], line, beam, wrt, space_charge=space_charge, effects=effects, **given)
    values, gradient = found
    return values[0, ...], {name: rows[0, ...] for name, rows in gradient.items()}


def moment_jacobian(
    objectives: Sequence[Any], line: Line, beam: MomentBeam, wrt: Sequence[str], **options: Any
) -> tuple[Array, dict[str, Array]]:
    """Values ``(m, ...)`` and derivatives ``(m, ..., own shape)`` of several: one way there, and one back."""
    from backbeam.mixed import joined, line_gradients
    from backbeam.moment_beam.objectives import Judged

    passage = Passage.on(line, beam, **options)
    found, names = Judged(objectives, passage, line, beam, wrt), Wanted.of(line, wrt).names
    values, places, of_optics = zip(*(found.pulled(one) for one in found.objectives), strict=True)
    more = line_gradients(found.tables, of_optics, names, line)
    gradients = _pulled_together(passage, places, line, wrt)
    together = (
        {n: row[n] + own[n] if n in own else row[n] for n in names} for row, own in zip(gradients, more, strict=True)
    )
    return joined(list(zip(values, together, strict=True)))


def _pulled_together(
    passage: Passage | Revolutions, rows: Sequence[Mapping[int, Mapping[str, Array]]], line: Line, wrt: Sequence[str]
) -> list[dict[str, Array]]:
    """Gradients from rows of cotangents, as `Passage.pullback` takes one, as a batch."""
    if len(rows) == 1:
        return [moment_gradient(passage, line, passage.pullback(rows[0]), wrt)]
    xp, count = namespace(passage.solution.z), len(rows)
    bars: dict[int, dict[str, Array]] = {}
    for k, name in dict.fromkeys((k, name) for row in rows for k, own in row.items() for name in own):
        nothing = xp.zeros_like(next(row[k][name] for row in rows if name in row.get(k, {})))
        bars.setdefault(k, {})[name] = xp.stack([row.get(k, {}).get(name, nothing) for row in rows], axis=0)
    found = moment_gradient(passage, line, passage.spread(count).pullback(bars), wrt)
    return [{name: bar[k, ...] for name, bar in found.items()} for k in range(count)]


def moment_gradient(
    passage: Passage | Revolutions, line: Line, found: Mapping[str, Array], wrt: Sequence[str]
) -> dict[str, Array]:
    """Derivative by each name, from what `Passage.pullback` found."""
    asked, beam = Wanted.of(line, wrt), passage.beam
    gradient: dict[str, Array] = {}
    slots: Mapping[tuple[str, str], Any] = passage.solution.passages.slots
    for name in asked.parameters:
        owner, _, field = name.rpartition(".")
        if is_of_beam(name, line):
            if field not in ("mean", "cov", "charge", "beta_gamma"):
                raise InputError("wrt", name, "beam with one of mean, cov, charge, beta_gamma")
            gradient[name] = found[field]
            continue
        if (owner, field) not in slots:
            line.get(name)
            raise InputError("wrt", name, f"a parameter that {owner} has: give it the value 0.0 first")
        first, shape = slots[owner, field]
        values = found["vector"][..., first : first + prod(shape)]
        gradient[name] = namespace(values).reshape(values, (*values.shape[:-1], *shape))
    return asked.gradient(gradient, Optics(Source(line, beam.reference, {}), passage.solution, "pt", ()))
