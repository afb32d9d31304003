"""A line that a `MomentBeam` passes again and again at other settings: what does not depend on them is found once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.lattice_functions.linearisation import linearised
from backbeam.lattice_functions.passages import parameter_vector
from backbeam.lattice_functions.products import affine, product, times, total_product, transposed
from backbeam.moment_beam.beam import MomentBeam
from backbeam.moment_beam.tracking import Passage, beside, passages_for
from backbeam.run import broadcast_shapes

if TYPE_CHECKING:
    from backbeam.lattice_functions.passages import Passages
    from backbeam.line import Line
    from backbeam.moment_beam.linear_space_charge import LinearSpaceCharge


@dataclass(frozen=True, eq=False)
class Prepared:
    """A line and the beam before it, to be passed at settings that are an array.

    Parameters
    ----------
    line:
        The line, in which what is set is there.
    beam:
        The beam before it.
    names:
        What is set: parameters of one number each, or knobs.
    space_charge, slices, step:
        As in `MomentBeam.track`.
    """

    line: Line
    beam: MomentBeam
    names: tuple[str, ...]
    space_charge: LinearSpaceCharge | None = None
    slices: int | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        """Find them now: what is found under a trace is that trace's alone."""
        _ = self.passages, self._places

    @cached_property
    def passages(self) -> Passages:
        """The maps of the line; of an affine one, those that nothing is set in are known."""
        passages = passages_for(self.line, self.space_charge, self.slices, self.step)
        vector, _ = self._vector
        if not passages.affine or vector.ndim > 1 or any(name in self.line.knobs for name in self.names):
            return passages
        moving = {passages.slots[owner, field][0] for owner, _, field in (name.rpartition(".") for name in self.names)}
        beam = on_host(self.beam)
        passage = Passage.through(passages, self.line, beam, None, *parameter_vector(self.line, beside(beam)))
        R, z = (self._beside(a) for a in (passage.solution.R, passage.solution.z))
        if R.ndim > 3:
            return passages
        held, xp = {}, namespace(R)
        for number, kind in enumerate(passages.kinds):
            if not any(moving & set(index.tolist()) for index, _ in kind.taken.values()):
                at = xp.asarray(kind.at)
                R_of, before, after = (xp.take(a, i, axis=0) for a, i in ((R, at), (z, at), (z, at + 1)))
                held[number] = (after - times(R_of, before), R_of)
        return replace(passages, held=held)

    def _beside(self, found: Array) -> Array:
        """An array in the library of the parameters."""
        vector, backend = self._vector
        if backends.of(found) is backend:
            return found
        device = None if backend.traced([vector]) else backend.device_name(vector)
        return backend.asarray(found, device=device)

    @cached_property
    def _vector(self) -> tuple[Array, Any]:
        return parameter_vector(self.line, beside(self.beam))

    @cached_property
    def _places(self) -> Array | None:
        """For every parameter where it stands, among those of the line and then the settings; None with knobs."""
        if any(name in self.line.knobs for name in self.names):
            return None
        vector, _ = self._vector
        xp, n = namespace(vector), vector.shape[-1]
        places = list(range(n))
        for j, name in enumerate(self.names):
            owner, _, field = name.rpartition(".")
            places[self.passages.slots[owner, field][0]] = n + j
        return xp.asarray(places)

    def beams(self, settings: Array, places: Sequence[int]) -> list[MomentBeam]:
        """The beam at places of the line, at settings ``(..., m)`` in the order of the names."""
        if self.passages.affine and self.space_charge is None:
            return self._by_products(settings, places)
        vector, backend = self._set(settings)
        passage = Passage.through(self.passages, self.line, self.beam, self.space_charge, vector, backend)
        return [passage.beam_at(int(self.passages.ends[place])) for place in places]

    def _set(self, settings: Array) -> tuple[Array, Any]:
        """All parameters of the line with those that are set, and their library."""
        vector, backend = self._vector
        if self._places is None:
            line = self.line.replace({name: settings[..., j] for j, name in enumerate(self.names)})
            return parameter_vector(line, beside(self.beam))
        xp = namespace(vector)
        fixed = xp.broadcast_to(vector, (*settings.shape[:-1], vector.shape[-1]))
        return xp.take(xp.concat([fixed, settings], axis=-1), self._places, axis=-1), backend

    def _by_products(self, settings: Array, places: Sequence[int]) -> list[MomentBeam]:
        """Affine maps about the axis, as matrices (7, 7), multiplied from one place to the next."""
        vector, backend = self._set(settings)
        beam, passages, xp = self.beam, self.passages, namespace(vector)
        ends = [int(passages.ends[place]) for place in places]
        u = backend.asarray(beam.reference.beta_gamma)
        batch = broadcast_shapes(
            tuple(vector.shape[:-1]), tuple(u.shape), tuple(beam.mean_.shape[:-1]), tuple(beam.cov_.shape[:-2])
        )
        along = xp.broadcast_to(u[..., None], (*batch, len(passages.steps)))
        zero = xp.zeros((*batch, len(passages.steps), 6), dtype=vector.dtype, device=device(vector))
        linear = linearised(passages, beam.species, vector, along, zero)
        maps = affine(linear.R, linear.after)
        found, done, mean, cov = {0: beam}, 0, beam.mean_, beam.cov_
        for end in sorted({*ends} - {0}):
            T = total_product(maps[..., done:end, :, :])
            M = T[..., :6, :6]
            mean, cov, done = times(M, mean) + T[..., :6, 6], product(product(M, cov), transposed(M)), end
            found[end] = MomentBeam(mean, cov, beam.reference, beam.charge)
        return [found[end] for end in ends]


def with_settings(line: Line, names: Sequence[str]) -> Line:
    """The line in which every parameter of these names is there: an absent one is 0."""
    return line.replace({name: 0.0 for name in names if line.get(name) is None})


def on_host(beam: MomentBeam) -> MomentBeam:
    """The beam in NumPy, where a library would compile each operation; as it is where it cannot be looked at."""
    own = backends.of(beam.cov_)
    arrays = [beam.mean_, beam.cov_, beam.reference.beta_gamma]
    if not own.recompiles or own.traced(arrays):
        return beam
    mean, cov, u = (own.to_numpy(a) for a in arrays)
    charge = own.to_numpy(beam.charge) if hasattr(beam.charge, "shape") else beam.charge
    return beam.replace(mean=mean, cov=cov, reference=beam.reference.with_beta_gamma(u), charge=charge)


def lent(beam: MomentBeam) -> MomentBeam:
    """The beam in the library that is fastest where nothing is differentiated: NumPy's for tensors of the processor."""
    own = backends.of(beam.cov_)
    arrays = [beam.mean_, beam.cov_, beam.reference.beta_gamma]
    if own.recompiles or not own.borrows(arrays):
        return beam
    mean, cov, u = own.lent(arrays)
    charge = own.to_numpy(beam.charge) if hasattr(beam.charge, "shape") else beam.charge
    return beam.replace(mean=mean, cov=cov, reference=beam.reference.with_beta_gamma(u), charge=charge)
