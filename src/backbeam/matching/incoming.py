"""What comes into a line, and what of it can be varied: particles, moments, a reference alone, lattice functions.

``beam.mean_x`` of particles that were drawn is a parameter of their distribution; of others an offset of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from typing import Any

from backbeam import backends
from backbeam.arrays import COORDINATES, Array, namespace, over_particles
from backbeam.beam import Beam
from backbeam.distributions.inputs import MEANS, dtype_of
from backbeam.errors import InputError
from backbeam.lattice_functions import Twiss
from backbeam.moment_beam import MomentBeam
from backbeam.reference import Reference, checked_kinetic_energy

ENERGY = "kinetic_energy"
SIZES = tuple(f"sigma_{name}" for name in COORDINATES)


@dataclass(frozen=True, eq=False)
class Incoming:
    """Base of what comes into a line."""

    given: Any

    @property
    def fields(self) -> tuple[str, ...]:
        """What can be varied, without ``beam.``."""
        return (ENERGY,)

    @property
    def reference(self) -> Reference:
        """Of the beam, or itself."""
        return self.given.reference

    def get(self, field: str) -> Any:
        """Value of a field."""
        return self.reference.kinetic_energy

    def replace(self, changes: Mapping[str, Any]) -> Incoming:
        """The same with other values of some fields."""
        raise NotImplementedError

    def wrt(self, field: str) -> str:
        """What `backbeam.value_and_grad` is to be asked for, for the derivative by a field."""
        return f"beam.{field}"

    def picked(self, field: str, bar: Array) -> Array:
        """The derivative by a field from the one asked for."""
        return bar

    def beside(self, array: Array) -> Incoming:
        """The same in the library of an array."""
        raise NotImplementedError


class IncomingReference(Incoming):
    """Nothing but a reference: for the optics of a line."""

    @property
    def reference(self) -> Reference:
        """Itself."""
        return self.given

    def wrt(self, field: str) -> str:
        """Of the reference."""
        return f"reference.{field}"

    def replace(self, changes: Mapping[str, Any]) -> Incoming:
        """Reference of another energy."""
        return type(self)(_reference(self.given, changes)) if changes else self

    def beside(self, array: Array) -> Incoming:
        """Reference there."""
        return type(self)(self.given.with_beta_gamma(beside(self.given.beta_gamma, array)))


class IncomingMoments(Incoming):
    """Moments. A size scales a coordinate about the mean: correlations stay."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Energy, charge, means and sizes."""
        return (ENERGY, "charge", *MEANS, *SIZES)

    def get(self, field: str) -> Any:
        """Value of a field."""
        if field == "charge":
            return self.given.charge
        if field in SIZES:
            return self.given.sigma(COORDINATES[SIZES.index(field)])
        return self.given.mean(COORDINATES[MEANS.index(field)]) if field in MEANS else super().get(field)

    def wrt(self, field: str) -> str:
        """The means are one parameter, and so are the second moments, and energy and momentum."""
        if field in SIZES:
            return "beam.cov"
        return "beam.mean" if field in MEANS else "beam.beta_gamma" if field == ENERGY else super().wrt(field)

    def picked(self, field: str, bar: Array) -> Array:
        """One of the means; d cov_ij = cov_ij (d ln sigma_i + d ln sigma_j); dT = m c^2 beta d(beta gamma)."""
        if field in SIZES:
            k, xp = SIZES.index(field), namespace(bar)
            both = xp.sum((bar[..., k, :] + bar[..., :, k]) * self.given.cov_[..., k, :], axis=-1)
            return both / self.get(field)
        if field in MEANS:
            return bar[..., MEANS.index(field)]
        return bar / (self.reference.beta * self.reference.species.mass) if field == ENERGY else bar

    def replace(self, changes: Mapping[str, Any]) -> Incoming:
        """Moments with others."""
        if not changes:
            return self
        beam: MomentBeam = self.given
        new: dict[str, Any] = {"reference": _reference(beam.reference, changes)} if ENERGY in changes else {}
        if "charge" in changes:
            new["charge"] = changes["charge"]
        sizes = {name: value for name, value in changes.items() if name in SIZES}
        if sizes:
            new["cov"] = self._scaled(sizes)
        means = {MEANS.index(name): value for name, value in changes.items() if name in MEANS}
        if means:
            xp = namespace(beam.mean_)
            rows = [beside(means[k], beam.mean_) if k in means else beam.mean_[..., k] for k in range(6)]
            new["mean"] = xp.stack(xp.broadcast_arrays(*rows), axis=-1)
        return type(self)(beam.replace(**new))

    def _scaled(self, sizes: Mapping[str, Any]) -> Array:
        """Second moments of other sizes."""
        cov, xp = self.given.cov_, namespace(self.given.cov_)
        factors = []
        for name in SIZES:
            size = self.get(name)
            traced = backends.of(size).traced([size])
            if name in sizes and not traced and not bool(xp.all(size > 0.0)):
                raise InputError(f"beam.{name}", 0.0, "left as it is: what has no size has no shape to be scaled")
            factors.append(beside(sizes[name], cov) / size if name in sizes else xp.ones_like(size))
        S = xp.stack(xp.broadcast_arrays(*factors), axis=-1)
        return S[..., :, None] * cov * S[..., None, :]

    def beside(self, array: Array) -> Incoming:
        """Moments there."""
        beam: MomentBeam = self.given
        reference = beam.reference.with_beta_gamma(beside(beam.reference.beta_gamma, array))
        mean, cov = (beside(part, array) for part in (beam.mean_, beam.cov_))
        return type(self)(beam.replace(mean=mean, cov=cov, charge=beside(beam.charge, array), reference=reference))


class IncomingParticles(Incoming):
    """Particles."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The beam's parameters, and offsets of all particles."""
        return tuple(dict.fromkeys((*self.given.parameters(), *MEANS)))

    def _is_offset(self, field: str) -> bool:
        return field in MEANS and field not in self.given.parameters()

    def get(self, field: str) -> Any:
        """Value of a field."""
        if self._is_offset(field):
            return self.given.mean(COORDINATES[MEANS.index(field)])
        return self.given.parameters()[field]

    def wrt(self, field: str) -> str:
        """An offset moves all coordinates."""
        return "beam.coordinates" if self._is_offset(field) else super().wrt(field)

    def picked(self, field: str, bar: Array) -> Array:
        """Of an offset the sum over the particles."""
        return over_particles(bar[..., MEANS.index(field), :]) if self._is_offset(field) else bar

    def replace(self, changes: Mapping[str, Any]) -> Incoming:
        """Particles drawn with other parameters, or moved."""
        if not changes:
            return self
        beam: Beam = self.given
        offsets = {name: value for name, value in changes.items() if self._is_offset(name)}
        others = {name: value for name, value in changes.items() if name not in offsets}
        changed = beam.with_parameters(**others) if others else beam
        if offsets:
            X, xp = changed.coordinates, namespace(changed.coordinates)
            moved = []
            for k, name in enumerate(MEANS):
                row = X[..., k, :]
                if name in offsets:
                    row = row + (changed.as_mine(offsets[name], f"beam.{name}") - self.get(name))[..., None]
                moved.append(row)
            changed = changed.replace(coordinates=xp.stack(xp.broadcast_arrays(*moved), axis=-2))
        return type(self)(changed)

    def beside(self, array: Array) -> Incoming:
        """Particles there, in its data type."""
        return type(self)(self.given.to(backend=backends.of(array).name, dtype=dtype_of(array)))


class IncomingOptics(Incoming):
    """Lattice functions with which a line begins, a `Twiss`: ``start.beta_x``."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Those of a `Twiss`."""
        return tuple(field.name for field in dataclass_fields(Twiss))

    def get(self, field: str) -> Any:
        """Value of a field."""
        return getattr(self.given, field)

    def wrt(self, field: str) -> str:
        """Of the start."""
        return f"start.{field}"

    def replace(self, changes: Mapping[str, Any]) -> Incoming:
        """Other lattice functions."""
        return type(self)(replace(self.given, **changes)) if changes else self

    def beside(self, array: Array) -> Incoming:
        """Numbers are at home everywhere."""
        return self


def incoming(beam: Any) -> Incoming:
    """What comes into a line.

    Raises
    ------
    InputError
        For what is neither a beam nor a reference.
    """
    for kind, found in ((Beam, IncomingParticles), (MomentBeam, IncomingMoments), (Reference, IncomingReference)):
        if isinstance(beam, kind):
            return found(beam)
    raise InputError("beam", beam, "a Beam, a MomentBeam, or a Reference where optics alone is looked at")


def beside(value: Any, array: Array) -> Array:
    """A number or an array as one of another's library."""
    backend = backends.of(array)
    if hasattr(value, "shape") and backends.of(value) is not backend:
        value = backends.of(value).to_numpy(value).copy()
    return backend.asarray(value, dtype=dtype_of(array))


def _reference(reference: Reference, changes: Mapping[str, Any]) -> Reference:
    energy = changes[ENERGY]
    if not hasattr(energy, "shape"):
        checked_kinetic_energy(energy, "reference.kinetic_energy")
    return Reference.from_kinetic_energy(beside(energy, reference.beta_gamma), reference.species)
