"""What the optics of a line is made from, in the order in which it is found, and the way back through it.

parameters -> momentum of the reference -> orbit -> matrix R of every map about it -> products M from the start
-> normal form A at the start -> A along the line -> lattice functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.lattice_functions.energy import references, references_pullback
from backbeam.lattice_functions.functions import dispersion_of_modes, dispersion_of_modes_pullback
from backbeam.lattice_functions.linearisation import linearised_pullback
from backbeam.lattice_functions.normal_form import normal_form, normal_form_pullback
from backbeam.lattice_functions.orbit import Closing, Orbit, find_orbit, orbit_pullback
from backbeam.lattice_functions.products import (
    as_one,
    from_start,
    in_corner,
    outer,
    product,
    products,
    products_pullback,
    solved,
    times,
    transposed,
)

if TYPE_CHECKING:
    from backbeam.lattice_functions.passages import Passages
    from backbeam.species import Species


class Beginning(NamedTuple):
    """Lattice functions with which a line that is no ring begins."""

    A: Array
    """Normal form ``(..., 4, 4)``."""
    v: Array
    """Change of the orbit with pt ``(..., 6)``."""


class SolutionBars(NamedTuple):
    """Cotangents of a `Solution`; None where there is none."""

    A: Array | None = None
    """Of the normal form at the places ``(..., N, d, d)``."""
    v: Array | None = None
    """``(..., K + 1, 6)``"""
    w: Array | None = None
    """``(..., K + 1, 6)``"""
    z: Array | None = None
    """``(..., K + 1, 6)``"""
    beta_gamma: Array | None = None
    """``(..., K + 1)``"""
    total: Array | None = None
    """Of the matrix of the whole line ``(..., 6, 6)``."""
    M: Array | None = None
    """Of the matrices from the start ``(..., K + 1, 6, 6)``."""
    vector: Array | None = None
    """``(..., n)``"""


class InputBars(NamedTuple):
    """Cotangents of what a solution starts from."""

    vector: Array
    beta_gamma: Array
    """Of the reference at the start ``(...)``."""
    orbit: Array
    """Of what is given of the orbit at the start ``(..., 6)``."""
    A: Array | None
    v: Array | None


@dataclass(frozen=True, eq=False)
class Solution:
    """Orbit, matrices and normal form of a line; K maps, N places.

    Parameters
    ----------
    passages, species:
        The line, and what goes through it.
    vector:
        Its parameters ``(..., n)``.
    beta_gamma:
        P0/(m c) at the start and after every map ``(..., K + 1)``.
    closing:
        What is asked of the orbit.
    orbit:
        The orbit, and every map about it.
    beginning:
        With which lattice functions the line begins; None: with those that return.
    """

    passages: Passages
    species: Species
    vector: Array
    beta_gamma: Array
    closing: Closing
    orbit: Orbit
    beginning: Beginning | None

    @classmethod
    def of(
        cls,
        passages: Passages,
        species: Species,
        vector: Array,
        start: Array,
        closing: Closing,
        beginning: Beginning | None,
        batch: tuple[int, ...],
    ) -> Solution:
        """Find the orbit. ``start`` is P0/(m c) at the start of the line."""
        along = references(passages, species, vector, start, batch)
        orbit = find_orbit(passages, species, vector, along[..., :-1], closing)
        return cls(passages, species, vector, along, closing, orbit, beginning)

    @property
    def z(self) -> Array:
        """Orbit at the start and after every map ``(..., K + 1, 6)``."""
        return self.orbit.z

    @property
    def R(self) -> Array:  # noqa: N802
        """Matrix of every map ``(..., K, 6, 6)``."""
        return self.orbit.linear.R

    @cached_property
    def M(self) -> Array:  # noqa: N802
        """Matrix from the start to every place between two maps ``(..., K + 1, 6, 6)``."""
        return as_one(_from_start, self.R) if self.orbit.M is None else self.orbit.M

    @property
    def total(self) -> Array:
        """Matrix of the whole line ``(..., 6, 6)``."""
        return self.M[..., -1, :, :]

    @property
    def size(self) -> int:
        """4 without, 6 with the motion along s."""
        return 6 if self.beginning is None and self.closing.closed == 6 else 4

    @cached_property
    def A0(self) -> Array:  # noqa: N802
        """Normal form at the start ``(..., d, d)``."""
        if self.beginning is not None:
            return self.beginning.A
        return normal_form(self.total[..., : self.size, : self.size])

    @cached_property
    def v0(self) -> Array:
        """Change of the orbit at the start with pt ``(..., 6)``; of no meaning with the motion along s."""
        if self.beginning is not None:
            return self.beginning.v
        M = self.total
        unit = namespace(M).eye(4, dtype=M.dtype, device=device(M))
        D = solved(unit - M[..., :4, :4], M[..., :4, 5:6])[..., 0]
        xp = namespace(D)
        return xp.concat([D, xp.zeros_like(D[..., :1]), xp.ones_like(D[..., :1])], axis=-1)

    # -- along the line ----------------------------------------------------------------------------------------------

    @cached_property
    def ends(self) -> Array:
        """Number of maps before each place, as an index."""
        xp = namespace(self.vector)
        return xp.asarray([int(k) for k in self.passages.ends], dtype=xp.int32, device=device(self.vector))

    @cached_property
    def growth(self) -> Array:
        """Root of the momentum at each place over that at the start: it keeps the areas of A ``(..., N, 1, 1)``."""
        xp = namespace(self.beta_gamma)
        ratio = xp.take(self.beta_gamma, self.ends, axis=-1) / self.beta_gamma[..., :1]
        return xp.sqrt(ratio)[..., None, None]

    @cached_property
    def A(self) -> Array:  # noqa: N802
        """Normal form at the places ``(..., N, d, d)``."""
        d, M = self.size, namespace(self.M).take(self.M, self.ends, axis=-3)
        return product(M[..., :d, :d], self.A0[..., None, :, :]) * self.growth

    @cached_property
    def v(self) -> Array:
        """Change of the orbit with pt, before the first and after every map ``(..., K + 1, 6)``."""
        if self.size == 6:
            return dispersion_of_modes(product(self.M, self.A0[..., None, :, :]))
        return times(self.M, self.v0[..., None, :])

    @cached_property
    def w0(self) -> Array:
        """How the orbit at the start changes with pt as the radio frequency changes ``(..., 6)``.

        The orbit then returns in all but tau. Without motion along s that is `v0`.
        """
        if self.size == 4:
            return self.v0
        late = self._late[..., 0]
        return late / late[..., 5:6]

    @property
    def _late(self) -> Array:
        """Change of an orbit that comes back later by a metre ``(..., 6, 1)``."""
        M = self.total
        xp = namespace(M)
        unit = xp.eye(6, dtype=M.dtype, device=device(M))
        return solved(unit - M, xp.broadcast_to(unit[:, 4:5], (*M.shape[:-1], 1)))

    @cached_property
    def w(self) -> Array:
        """The same, before the first and after every map ``(..., K + 1, 6)``."""
        return self.v if self.size == 4 else times(self.M, self.w0[..., None, :])

    # -- back --------------------------------------------------------------------------------------------------------

    def pullback(self, bars: SolutionBars) -> InputBars:
        """Cotangents of the parameters and of the start, from those of what was found."""
        xp, d, into = namespace(self.M), self.size, backends.of(self.M)
        M_bar = xp.zeros_like(self.M) if bars.M is None else bars.M
        if self.beginning is None and bars.A is None and bars.v is None:
            # The start has no part in it, and need not be one that returns.
            A0_bar = v0_bar = None
        else:
            A0_bar, v0_bar = xp.zeros_like(self.A0), xp.zeros_like(self.v0)
        beta_gamma_bar = xp.zeros_like(self.beta_gamma) if bars.beta_gamma is None else bars.beta_gamma
        if bars.A is not None:
            M = xp.take(self.M, self.ends, axis=-3)[..., :d, :d]
            scaled = self.growth * bars.A
            at_places = in_corner(product(scaled, transposed(self.A0)[..., None, :, :]), 6)
            A0_bar = A0_bar + xp.sum(product(transposed(M), scaled), axis=-3)
            # d log growth = (d log u_k - d log u_0)/2
            half = 0.5 * xp.sum(bars.A * self.A, axis=(-2, -1))
            u = xp.take(self.beta_gamma, self.ends, axis=-1)
            flat = xp.reshape(xp.moveaxis(at_places, -3, -1), (-1, len(self.passages.names)))
            flat = into.scatter_add(flat, self.ends, self.M.shape[-3])
            M_bar = M_bar + xp.moveaxis(xp.reshape(flat, (*self.M.shape[:-3], 6, 6, -1)), -1, -3)
            flat = into.scatter_add(xp.reshape(half / u, (-1, half.shape[-1])), self.ends, self.M.shape[-3])
            first = -xp.sum(half, axis=-1, keepdims=True) / self.beta_gamma[..., :1]
            rest = xp.zeros_like(beta_gamma_bar[..., 1:])
            beta_gamma_bar = beta_gamma_bar + xp.reshape(flat, beta_gamma_bar.shape)
            beta_gamma_bar = beta_gamma_bar + xp.concat([first, rest], axis=-1)
        if bars.v is not None and d == 6:
            A = product(self.M, self.A0[..., None, :, :])
            A_bar = dispersion_of_modes_pullback(A, bars.v)
            M_bar = M_bar + product(A_bar, transposed(self.A0)[..., None, :, :])
            A0_bar = A0_bar + xp.sum(product(transposed(self.M), A_bar), axis=-3)
        elif bars.v is not None:
            M_bar = M_bar + outer(bars.v, xp.broadcast_to(self.v0[..., None, :], bars.v.shape))
            v0_bar = v0_bar + xp.sum(times(transposed(self.M), bars.v), axis=-2)
        total_bar = xp.zeros_like(self.total) if bars.total is None else bars.total
        if bars.w is not None:
            M_bar = M_bar + outer(bars.w, xp.broadcast_to(self.w0[..., None, :], bars.w.shape))
            total_bar = total_bar + self._late_pullback(xp.sum(times(transposed(self.M), bars.w), axis=-2))
        if self.beginning is None and A0_bar is not None:
            total_bar = total_bar + self._start_pullback(A0_bar, v0_bar)
        M_bar = xp.concat([M_bar[..., 1:-1, :, :], M_bar[..., -1:, :, :] + total_bar[..., None, :, :]], axis=-3)
        R_bar = as_one(products_pullback, self.R, self.M[..., 1:, :, :], M_bar)
        found = self.pullback_of_matrices(R_bar, bars.z, beta_gamma_bar, bars.vector)
        return found._replace(A=A0_bar, v=v0_bar)

    def pullback_of_matrices(
        self, R_bar: Array, z_bar: Array | None, beta_gamma_bar: Array, more: Array | None
    ) -> InputBars:
        """Cotangents from those of the matrices, the orbit and the momenta; ``more`` is of the parameters already."""
        xp = namespace(R_bar)
        vector_bar, beta_gamma_bar, orbit_bar = self._maps_pullback(R_bar, z_bar, beta_gamma_bar)
        if more is not None:
            vector_bar = vector_bar + more
        start_bar, own = references_pullback(self.passages, self.species, self.vector, self.beta_gamma, beta_gamma_bar)
        for key, bar in own.items():
            place = xp.arange(vector_bar.shape[-1], device=device(vector_bar)) == self.passages.slots[key][0]
            vector_bar = vector_bar + bar[..., None] * xp.astype(place, vector_bar.dtype)
        return InputBars(vector_bar, start_bar, orbit_bar, None, None)

    def _maps_pullback(self, R_bar: Array, z_bar: Array | None, beta_gamma_bar: Array) -> tuple[Array, Array, Array]:
        """Through the matrices, then through the orbit about which they are."""
        xp = namespace(R_bar)
        given = (self.passages, self.species, self.vector, self.beta_gamma[..., :-1], self.z[..., :-1, :])
        nothing = xp.zeros_like(self.z[..., 1:, :])
        found = linearised_pullback(*given, nothing, R_bar)
        of_orbit = xp.concat([found.z, xp.zeros_like(found.z[..., :1, :])], axis=-2)
        of_orbit = of_orbit if z_bar is None else of_orbit + z_bar
        after_bar, orbit_bar = orbit_pullback(self.R, of_orbit, self.closing.closed)
        more = linearised_pullback(*given, after_bar, None)
        along = found.beta_gamma + more.beta_gamma
        along = xp.concat([along, xp.zeros_like(along[..., :1])], axis=-1)
        return found.vector + more.vector, beta_gamma_bar + along, orbit_bar

    def _late_pullback(self, w0_bar: Array) -> Array:
        """Cotangent of the whole matrix from that of `w0`, with motion along s."""
        xp, M, late = namespace(self.M), self.total, self._late[..., 0]
        unit = xp.eye(6, dtype=M.dtype, device=device(M))
        of_pt = xp.sum(w0_bar * self.w0, axis=-1)[..., None] * unit[5, :]
        found = solved(unit - transposed(M), ((w0_bar - of_pt) / late[..., 5:6])[..., None])[..., 0]
        return outer(found, late)

    def _start_pullback(self, A0_bar: Array, v0_bar: Array) -> Array:
        """Cotangent of the whole matrix from those of the normal form and dispersion that return."""
        xp, M, d = namespace(self.M), self.total, self.size
        found = in_corner(normal_form_pullback(M[..., :d, :d], self.A0, A0_bar), 6)
        if d == 6:
            return found
        unit = xp.eye(4, dtype=M.dtype, device=device(M))
        w = solved(unit - transposed(M[..., :4, :4]), v0_bar[..., :4, None])[..., 0]
        w = xp.concat([w, xp.zeros_like(w[..., :2])], axis=-1)
        # (1 - M) D = M_{.5}: what the columns x, ..., py and pt multiply is D and 1.
        seen = xp.concat([self.v0[..., :4], xp.zeros_like(w[..., :1]), xp.ones_like(w[..., :1])], axis=-1)
        return found + outer(w, seen)


def _from_start(R: Array) -> Array:
    return from_start(products(R))
