"""A beam: macroparticles about a reference particle, with their charges, in any array library.

Coordinates are the rows (x, px, y, py, tau, pt) of an array ``(..., 6, n)``: deviations from the reference at
fixed s, with px = P_x/P0, tau = c (t - t0) [m] (late is positive) and pt = (E - E0)/(P0 c) (more energy is
positive). Leading axes are a batch. `Beam` is immutable and holds arrays of one library, data type and
device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backbeam import backends, moments
from backbeam.arrays import COORDINATES, Array, namespace, over_particles, per_particle
from backbeam.beam_slices import Slices, slices_of
from backbeam.distributions import (
    Distribution,
    GaussianOfCovariance,
    PlanarDistribution,
    ThermalDistribution,
    kinds,
)
from backbeam.distributions.inputs import (
    KINETIC_ENERGY,
    MOST_PARTICLES,
    Place,
    Rule,
    dtype_of,
    even_charges,
    given_charges,
    reference_of,
    rule_of,
    sign_of,
    whole_number,
)
from backbeam.errors import InputError
from backbeam.moments import Plane
from backbeam.reference import Reference
from backbeam.species import Species, species_named

if TYPE_CHECKING:
    from backbeam.lattice_functions import Optics
    from backbeam_backends import Backend

PLANES = {"x": 0, "y": 2, "z": 4}
"""First row of each plane's pair; z is (tau, pt)."""


class BeamCotangent(NamedTuple):
    """Cotangents of what tracking starts from or ends with, each of the beam's batch shape ``(...)``."""

    coordinates: Array
    """``(..., 6, n)``"""
    charges: Array
    """``(..., n)``"""
    beta_gamma: Array
    """``(...)``"""
    readings: Mapping[str, Any] = {}
    """Of what monitors and screens saw, by name; a list where an element is passed several times."""


class Twiss(NamedTuple):
    """Twiss parameters of a plane, each ``(...)``; all 0 where the emittance is."""

    beta: Array
    """<q^2>/emittance [m]"""
    alpha: Array
    """-<q p>/emittance"""
    gamma: Array
    """<p^2>/emittance [1/m]"""
    emittance: Array
    """rms geometric emittance [m]"""


@dataclass(frozen=True, eq=False, repr=False)
class Beam:
    """Macroparticles about a reference particle. Make one by `from_arrays` or by the name of a distribution.

    Parameters
    ----------
    coordinates:
        ``(..., 6, n)``, rows x [m], px, y [m], py, tau [m], pt.
    charges:
        ``(..., n)``, C per macroparticle, signed by the species.
    reference:
        Species and momentum; its ``beta_gamma`` is 0-d or of the batch shape.
    lost_at:
        ``(..., n)`` int32: -1 for a particle that is alive, else the integer step at which it was lost.
    s:
        Position of the reference along the line [m].
    recipe:
        How the beam was drawn, for gradients with respect to its parameters; None if it was not.
    readings:
        What the line's monitors and screens saw, by name.
    """

    coordinates: Array
    charges: Array
    reference: Reference
    lost_at: Array
    s: Array | float = 0.0
    recipe: Distribution | None = None
    readings: Mapping[str, Any] = field(default_factory=dict)

    # -- making one ------------------------------------------------------------------------------------------

    @classmethod
    def from_arrays(
        cls,
        coordinates: Any,
        *,
        species: str | Species,
        kinetic_energy: Array | float | None = None,
        reference_momentum: Array | float | None = None,
        charge: Array | float | None = None,
        charges: Any = None,
        backend: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
    ) -> Beam:
        """Beam of given particles.

        Parameters
        ----------
        coordinates:
            ``(..., 6, n)``. An array that already is as asked for is taken without a copy.
        species:
            Name or `Species`.
        kinetic_energy, reference_momentum:
            One of them: of the reference, (gamma0 - 1) m c^2 or P0 c [eV].
        charge, charges:
            One of them: total charge [C], a magnitude or signed as the species, split evenly; or that of each
            macroparticle ``(..., n)``, signed as the species.
        backend, device, dtype:
            Where the beam lives; None keeps the library, device and data type of ``coordinates``.

        Raises
        ------
        InputError
            For shapes, numbers, charges or momenta that cannot be, with how many particles and the first of
            them.
        """
        species = species_named(species)
        # A NumPy array stays the user's, to change as they like.
        coordinates, charges = (a.copy() if isinstance(a, np.ndarray) else a for a in (coordinates, charges))
        if isinstance(coordinates, list | tuple):
            coordinates = np.asarray(coordinates, dtype=np.float64)
        try:
            source = backends.of(coordinates)
        except TypeError:
            raise InputError("beam.coordinates", coordinates, "an array (..., 6, n)") from None
        shape = tuple(coordinates.shape)
        if len(shape) < 2 or shape[-2] != 6 or shape[-1] < 1:
            raise InputError("beam.coordinates", f"an array of shape {shape}", "shape (..., 6, n) with n at least 1")
        traced = source.traced([coordinates])
        if backend in (None, source.name):
            backend = source.name
            device = device or (None if traced else source.device_name(coordinates))
            dtype = dtype or dtype_of(coordinates)
        elif not traced:
            dtype = dtype or dtype_of(coordinates)
            coordinates = np.array(source.to_numpy(coordinates))
        place = Place.named(backend, device, dtype or "float64")
        X = place.asarray(coordinates)
        reference = reference_of(place, species, kinetic_energy, reference_momentum)
        if (charge is None) == (charges is None):
            raise InputError("beam.charge", charge, "one of charge [C] (total) and charges [C] (of each macroparticle)")
        if charges is None:
            q = even_charges(place, species, charge, shape[-1])
        else:
            q = given_charges(place, species, charges, shape[-1])
        return _checked(_beam(X, q, reference))

    @classmethod
    def load(
        cls,
        path: str | Path,
        format: str | None = None,
        species: str | Species | None = None,
        reference_momentum: float | None = None,
        iteration: int | str | None = None,
        charge: float | None = None,
    ) -> Beam:
        """Beam that a file holds, in NumPy and float64 (`to` moves it), at fixed s.

        Particles of one time drift to one place first; lost ones, probes and those at a cathode are left out,
        which a warning says. Only our own ``.npz`` and ``.csv`` know the lost.

        Parameters
        ----------
        path:
            openPMD (BeamPhysics, ImpactX), elegant's SDDS, Astra, IMPACT-T, OPAL, Genesis, or our ``.npz`` and
            ``.csv``: see `backbeam.beams`.
        format:
            Name of its format; None: what the file looks like.
        species, reference_momentum, charge:
            What the file does not say, or is to say otherwise: P0 c [eV] (None: that of the file's reference,
            or the mean), the total charge [C].
        iteration:
            Which of several iterations, pages or steps.

        Raises
        ------
        InputError
            For a file that cannot be read, or leaves open what is asked for here.
        MissingExtraError
            If the library that reads the format is not installed.
        """
        from backbeam.beams import load

        return load(path, format, species, reference_momentum, iteration, charge)

    def save(self, path: str | Path, format: str | None = None) -> None:
        """Write a file: ``.h5`` openPMD-BeamPhysics, ``.npz`` all of it bit for bit, ``.csv``, ``.sdds``, ...

        Parameters
        ----------
        path:
            Where to.
        format:
            Name of the format; None: that of the suffix.

        Raises
        ------
        InputError
            For a format that is not known, a species or charges that it cannot express, a folder that is not there.
        """
        from backbeam.beams import save

        save(self, path, format)

    @classmethod
    def from_particle_group(
        cls, group: Any, reference_momentum: float | None = None, charge: float | None = None
    ) -> Beam:
        """Beam of a `beamphysics.ParticleGroup`, as `load` makes one."""
        from backbeam.beams.asked import Asked
        from backbeam.beams.group import beam_of

        return beam_of(group, Asked(None, reference_momentum, None, charge), "the ParticleGroup")

    def particle_group(self) -> Any:
        """Living particles as a `beamphysics.ParticleGroup` at z = 0, with t = tau/c."""
        from backbeam.beams.group import group_of

        return group_of(self)

    @classmethod
    def draw(
        cls,
        kind: str,
        *,
        n: int,
        species: str | Species,
        charge: Array | float,
        kinetic_energy: Array | float | None = None,
        reference_momentum: Array | float | None = None,
        seed: int = 0,
        backend: str = "numpy",
        device: str | None = None,
        dtype: str = "float64",
        **parameters: Any,
    ) -> Beam:
        """Beam of the distribution called ``kind``; each kind is a method of its own name too.

        Parameters
        ----------
        kind:
            One of `backbeam.distributions.kinds`.
        n:
            Number of macroparticles.
        species:
            Name or `Species`.
        charge:
            Total charge [C], a magnitude or signed as the species (under a JAX trace, a magnitude).
        kinetic_energy, reference_momentum:
            One of them: of the reference, (gamma0 - 1) m c^2 or P0 c [eV].
        seed:
            The same seed gives the same particles in every library.
        backend, device, dtype:
            Library, its device (None: the default one) and ``float64`` or ``float32``.
        parameters:
            ``sigma_x``, ``beta_x``, ``mean_x``, ...: see `backbeam.distributions`. Numbers, or arrays of the
            library: with a leading batch axis, or wanting a gradient, they make the beam so.

        Raises
        ------
        InputError
            For parameters that are unknown, contradictory or out of range, and for particles that would turn
            round; it names the field.
        """
        if kind not in kinds():
            raise InputError("beam.distribution", kind, f"one of {', '.join(kinds())}")
        species = species_named(species)
        n, seed = whole_number("beam.n", n, 1, MOST_PARTICLES), whole_number("beam.seed", seed, 0)
        place = Place.named(backend, device, dtype)
        place.check_room("beam.n", n)
        reference = reference_of(place, species, kinetic_energy, reference_momentum)
        q = even_charges(place, species, charge, n)
        recipe: Distribution
        if kind == "thermal":
            energy = reference_momentum if kinetic_energy is None else kinetic_energy
            plain = {"charge": charge, "kinetic_energy or reference_momentum": energy}
            recipe = ThermalDistribution.of(n, seed, place, species, plain, reference, parameters)
        elif kind == "gaussian" and parameters.get("covariance") is not None:
            recipe = GaussianOfCovariance.of(n, seed, place, parameters)
        else:
            recipe = PlanarDistribution.of(kind, n, seed, place, parameters)
        X = recipe.assemble(recipe.variates(), recipe.parameters, reference.beta_gamma)
        return _checked(_beam(X, q, reference, recipe))

    @classmethod
    def gaussian(cls, **arguments: Any) -> Beam:
        """Gaussian, by planes or by ``covariance`` (6 x 6, may be singular). Arguments as in `draw`."""
        return cls.draw("gaussian", **arguments)

    @classmethod
    def uniform_ellipsoid(cls, **arguments: Any) -> Beam:
        """Uniform in an ellipsoid of (x, y, tau), Gaussian momenta. Arguments as in `draw`.

        ``radius_x, radius_y, radius_tau`` are its half-axes; ``radius`` makes it a ball in the rest frame.
        """
        return cls.draw("uniform_ellipsoid", **arguments)

    @classmethod
    def waterbag(cls, **arguments: Any) -> Beam:
        """Uniform in an ellipsoid of all six coordinates. Arguments as in `draw`."""
        return cls.draw("waterbag", **arguments)

    @classmethod
    def kv(cls, **arguments: Any) -> Beam:
        """Kapchinskij-Vladimirskij in (x, px, y, py), uniform tau, Gaussian pt. Arguments as in `draw`."""
        return cls.draw("kv", **arguments)

    @classmethod
    def kurth4d(cls, **arguments: Any) -> Beam:
        """Kurth's distribution in (x, px, y, py), uniform tau, Gaussian pt. Arguments as in `draw`."""
        return cls.draw("kurth4d", **arguments)

    @classmethod
    def kurth6d(cls, **arguments: Any) -> Beam:
        """Kurth's distribution in all six coordinates: a uniform ball in space. Arguments as in `draw`."""
        return cls.draw("kurth6d", **arguments)

    @classmethod
    def semigaussian(cls, **arguments: Any) -> Beam:
        """Uniform in an elliptic cylinder of (x, y, tau), Gaussian momenta. Arguments as in `draw`."""
        return cls.draw("semigaussian", **arguments)

    @classmethod
    def thermal(cls, **arguments: Any) -> Beam:
        """Thermal equilibrium in isotropic focusing with the beam's own space charge. Arguments as in `draw`.

        Its parameters are ``k`` [1/m], ``kT``, and for a halo ``kT_halo`` and its part ``halo`` of the
        charge; see `backbeam.distributions.thermal`. All are plain numbers, the charge and the energy too: an
        equation solved on the host makes the particles.
        """
        return cls.draw("thermal", **arguments)

    @classmethod
    def matched(cls, optics: Optics, *, n: int, seed: int = 0, **sizes: Any) -> Beam:
        """Gaussian beam that is matched to the optics of a line, about its orbit, in its library.

        Parameters
        ----------
        optics:
            The table that `backbeam.optics` returned.
        n, seed:
            Number of macroparticles, and the seed of their variates.
        sizes:
            ``emittance_x, emittance_y`` [m], with ``sigma_tau, sigma_pt`` or, with cavities, ``emittance_z``;
            ``charge`` [C]; ``at``, the element at whose end it is: see `backbeam.moment_beam.matched`.
        """
        from backbeam.moment_beam import MomentBeam

        return MomentBeam.matched(optics, **sizes).to_particles(n, seed)

    # -- looking at it ---------------------------------------------------------------------------------------

    @property
    def x(self) -> Array:
        """Horizontal position [m], ``(..., n)``."""
        return self.coordinates[..., 0, :]

    @property
    def px(self) -> Array:
        """P_x/P0, ``(..., n)``."""
        return self.coordinates[..., 1, :]

    @property
    def y(self) -> Array:
        """Vertical position [m], ``(..., n)``."""
        return self.coordinates[..., 2, :]

    @property
    def py(self) -> Array:
        """P_y/P0, ``(..., n)``."""
        return self.coordinates[..., 3, :]

    @property
    def tau(self) -> Array:
        """Delay c (t - t0) [m], ``(..., n)``."""
        return self.coordinates[..., 4, :]

    @property
    def pt(self) -> Array:
        """(E - E0)/(P0 c), ``(..., n)``."""
        return self.coordinates[..., 5, :]

    @property
    def alive(self) -> Array:
        """Boolean ``(..., n)``."""
        return self.lost_at < 0

    @property
    def n(self) -> int:
        """Number of macroparticles, lost ones included."""
        return self.coordinates.shape[-1]

    @property
    def backend(self) -> Backend:
        """Adapter of the beam's array library."""
        return backends.of(self.coordinates)

    @property
    def dtype(self) -> str:
        """``float64`` or ``float32``."""
        return dtype_of(self.coordinates)

    @property
    def device(self) -> str:
        """Name of the device that holds the beam."""
        return self.backend.device_name(self.coordinates)

    @property
    def species(self) -> Species:
        """Kind of particle."""
        return self.reference.species

    @property
    def kinetic_energy(self) -> Array:
        """Of the reference [eV]."""
        return self.reference.kinetic_energy

    @property
    def gamma(self) -> Array:
        """Lorentz factor of the reference."""
        return self.reference.gamma

    @property
    def beta(self) -> Array:
        """Velocity of the reference over c."""
        return self.reference.beta

    @property
    def charge(self) -> Array:
        """Charge of all that is alive [C], signed, ``(...)``."""
        xp = namespace(self.charges)
        return over_particles(xp.astype(self.alive, self.charges.dtype) * self.charges)

    @property
    def lost(self) -> Array:
        """Number of lost particles, ``(...)``."""
        xp = namespace(self.lost_at)
        return xp.sum(xp.astype(self.lost_at >= 0, xp.int32), axis=-1)

    # -- moments, weighted by charge among the particles that are alive; 0, never NaN, where none is ---------

    def mean(self, name: str | None = None) -> Array:
        """Mean of all coordinates ``(..., 6)``, or of one ``(...)``."""
        if name is None:
            return moments.centroid(self.coordinates, self.charges, self.alive)
        return moments.centroid(self._row(name), self.charges, self.alive)[..., 0]

    def sigma(self, name: str | None = None) -> Array:
        """Rms size about the mean of all coordinates ``(..., 6)``, or of one ``(...)``."""
        if name is None:
            return moments.safe_sqrt(moments.variance(self.coordinates, self.charges, self.alive))
        return moments.safe_sqrt(moments.variance(self._row(name), self.charges, self.alive)[..., 0])

    def cov(self) -> Array:
        """Covariance ``(..., 6, 6)``."""
        return moments.cov(self.coordinates, self.charges, self.alive)

    def moments(self) -> moments.Moments:
        """Mean ``(..., 6)`` and covariance ``(..., 6, 6)`` together, with ``sigma`` from them.

        For a batch of beams this is the quickest way to all of them.
        """
        return moments.mean_and_cov(self.coordinates, self.charges, self.alive)

    def plane(self, plane: str) -> Plane:
        """Second moments of plane x, y or z, which is (tau, pt)."""
        return moments.plane(self.pair(plane), self.charges, self.alive)

    def emittance(self, plane: str) -> Array:
        """Geometric rms emittance [m] of plane x, y or z, ``(...)``; never negative."""
        return self.plane(plane).emittance

    def normalized_emittance(self, plane: str) -> Array:
        """beta0 gamma0 times the geometric emittance [m], in plane z too, ``(...)``."""
        return self.reference.beta_gamma * self.emittance(plane)

    def twiss(self, plane: str) -> Twiss:
        """Twiss parameters of plane x, y or z."""
        p = self.plane(plane)
        return Twiss(p.beta, p.alpha, p.gamma, p.emittance)

    def dispersion(self, plane: str) -> tuple[Array, Array]:
        """Dispersion and its slope in plane x or y, <q pt>/<pt^2> [m] and <p pt>/<pt^2>, each ``(...)``.

        They are with respect to pt; with respect to delta = P/P0 - 1 they are beta0 times that. Both are 0 in
        a beam without spread of pt.
        """
        q, p = self.pair(plane)[..., 0, :], self.pair(plane)[..., 1, :]
        stack = namespace(q).stack
        along = (moments.plane(stack([self.pt, row], axis=-2), self.charges, self.alive) for row in (q, p))
        first, second = (m.slope for m in along)
        return first, second

    def slices(self, count: int) -> Slices:
        """Current, emittances and energy spread of slices of equal length in tau, from the head to the tail."""
        return slices_of(self, count)

    def pair(self, plane: str) -> Array:
        """Rows (q, p) of plane x, y or z, ``(..., 2, n)``."""
        if plane not in PLANES:
            raise InputError("plane", plane, f"one of {', '.join(PLANES)}")
        first = PLANES[plane]
        return self.coordinates[..., first : first + 2, :]

    def _row(self, name: str) -> Array:
        if name not in COORDINATES:
            raise InputError("coordinate", name, f"one of {', '.join(COORDINATES)}")
        k = COORDINATES.index(name)
        return self.coordinates[..., k : k + 1, :]

    def unrecorded(self) -> Beam:
        """Same beam without what the library's automatic differentiation knows of it; nothing is copied."""
        plain = self.backend.unrecorded
        recipe = self.recipe
        if recipe is not None:
            recipe = replace(recipe, parameters={name: plain(p) for name, p in recipe.parameters.items()})
        reference = self.reference.with_beta_gamma(plain(self.reference.beta_gamma))
        return replace(
            self,
            coordinates=plain(self.coordinates),
            charges=plain(self.charges),
            reference=reference,
            recipe=recipe,
        )

    # -- another one -----------------------------------------------------------------------------------------

    def replace(self, **changes: Any) -> Beam:
        """Same beam with other fields.

        With other coordinates it is no longer what its recipe drew, and loses it.
        """
        names = [f.name for f in fields(self)]
        for name, value in changes.items():
            if name not in names:
                raise InputError(f"beam.{name}", value, f"one of {', '.join(names)}")
        if "coordinates" in changes:
            changes.setdefault("recipe", None)
        return replace(self, **changes)

    def to(self, backend: str | None = None, device: str | None = None, dtype: str | None = None) -> Beam:
        """Same beam in another library, on another device or in another data type; what is not named stays.

        Within a library, gradients flow through; to another one, they do not.
        """
        mine = self.backend
        same = backend in (None, mine.name)
        place = Place.named(backend or mine.name, device or (self._device() if same else None), dtype or self.dtype)

        def move(array: Any, dtype: str | None = place.dtype) -> Array:
            return place.asarray(array if same else np.array(mine.to_numpy(array)), dtype)

        def move_if_array(value: Any) -> Any:
            return move(value) if hasattr(value, "shape") else value

        recipe = self.recipe
        if recipe is not None:
            recipe = replace(recipe, parameters={name: move(p) for name, p in recipe.parameters.items()})
        return Beam(
            move(self.coordinates),
            move(self.charges),
            self.reference.with_beta_gamma(move(self.reference.beta_gamma)),
            move(self.lost_at, "int32"),
            move_if_array(self.s),
            recipe,
            {
                name: [move(r) for r in reading] if isinstance(reading, list) else move(reading)
                for name, reading in self.readings.items()
            },
        )

    def as_mine(self, value: Any, field: str = "value") -> Array:
        """Return a number or an array as one of the beam's library, data type and device.

        ``field`` is what the `InputError` calls it if it is an array of another library, or no number.
        """
        return Place(self.backend, self.dtype, self._device()).array(field, value)

    def _device(self) -> str | None:
        return None if self.backend.traced([self.coordinates]) else self.device

    # -- what it was made from -------------------------------------------------------------------------------

    def parameters(self) -> dict[str, Array]:
        """Return what `with_parameters` can change, by name.

        ``charge``
            magnitude of the total charge [C]: it scales all charges
        ``kinetic_energy``
            of the reference [eV]; not of a thermal beam, whose shape depends on it
        the recipe's
            ``sigma_x``, ``mean_x``, ...
        """
        found = {
            "charge": sign_of(self.species) * over_particles(self.charges),
            "kinetic_energy": self.kinetic_energy,
        }
        if self.recipe is not None:
            found.update(self.recipe.parameters)
            for name in self.recipe.fixed:
                found.pop(name, None)
        return found

    def with_parameters(self, **changes: Array | float) -> Beam:
        """The beam that other values of its `parameters` give: the same variates, assembled again.

        Raises
        ------
        InputError
            For a name that is none of its parameters, or a value out of range.
        """
        reference, q, recipe = self.reference, self.charges, self.recipe
        shape: dict[str, Array] = {}
        for name, value in changes.items():
            self._check_parameter(name)
            if name == "charge":
                charge = self._new("charge", value, Rule("a charge in C, at least 0", lambda v: v >= 0))
                q = per_particle(charge) * self._charge_shares()
            elif name == "kinetic_energy":
                energy = self._new(name, value, KINETIC_ENERGY)
                reference = Reference.from_kinetic_energy(energy, self.species)
            else:
                shape[name] = self._new(name, value, rule_of(name))
        X = self.coordinates
        if recipe is not None and (shape or reference is not self.reference):
            recipe = replace(recipe, parameters={**recipe.parameters, **shape})
            X = recipe.assemble(recipe.variates(), recipe.parameters, reference.beta_gamma)
        changed = self.replace(coordinates=X, charges=q, reference=reference, recipe=recipe)
        batch = np.broadcast_shapes(X.shape[:-2], q.shape[:-1], self.lost_at.shape[:-1])
        lost_at = namespace(X).broadcast_to(self.lost_at, (*batch, self.n))
        return _checked(changed.replace(lost_at=lost_at))

    def _charge_shares(self) -> Array:
        """Charges per total |charge|, ``(..., n)``; even, signed as the species, where there is no charge."""
        xp = namespace(self.charges)
        total = sign_of(self.species) * per_particle(over_particles(self.charges))
        even = xp.full_like(self.charges, sign_of(self.species) / self.n)
        return xp.where(total != 0.0, moments.safe_divide(self.charges, total), even)

    def _check_parameter(self, name: str) -> None:
        if name not in self.parameters():
            kind = f" ({self.recipe.kind} beam)" if self.recipe is not None else ""
            raise InputError("parameter", f"beam.{name}", f"one of {', '.join(self.parameters())}{kind}")

    def _new(self, name: str, value: Any, rule: Rule) -> Array:
        return Place(self.backend, self.dtype, self._device()).array(f"beam.{name}", value, rule)

    def __repr__(self) -> str:
        """One line; the numbers are not shown."""
        batch = f"batch={tuple(self.coordinates.shape[:-2])}, " if self.coordinates.ndim > 2 else ""
        where = f"{self.backend.name} {self.dtype}"
        return f"Beam({batch}n={self.n}, species={self.species.name!r}, {where})"


def _beam(X: Array, q: Array, reference: Reference, recipe: Distribution | None = None) -> Beam:
    """Beam of living particles, with coordinates and charges in the full batch shape."""
    xp, n = namespace(X), X.shape[-1]
    try:
        batch = np.broadcast_shapes(X.shape[:-2], q.shape[:-1], reference.beta_gamma.shape)
    except ValueError:
        shapes = f"{tuple(X.shape[:-2])}, {tuple(q.shape[:-1])}, {tuple(reference.beta_gamma.shape)}"
        raise InputError(
            "beam", f"batches of {shapes}", "batch axes of coordinates, charges, energy that fit"
        ) from None
    X, q = xp.broadcast_to(X, (*batch, 6, n)), xp.broadcast_to(q, (*batch, n))
    return Beam(X, q, reference, xp.zeros_like(q, dtype=xp.int32) - 1, recipe=recipe)


def _checked(beam: Beam) -> Beam:
    """Return the beam if all of its particles are finite and go forward; a traced beam is not looked at."""
    X, inverse_beta = beam.coordinates, beam.reference.inverse_beta
    if beam.backend.traced([X, inverse_beta]):
        return beam
    xp = namespace(X)
    broken = xp.any(~xp.isfinite(X), axis=-2)
    if bool(xp.any(broken)):
        raise InputError("beam.coordinates", _found(beam, broken, "NaN or inf"), "finite numbers")
    e, p_squared = (
        beam.pt + per_particle(inverse_beta),
        beam.pt * (2.0 * per_particle(inverse_beta) + beam.pt),
    )
    turned = (beam.px * beam.px + beam.py * beam.py - p_squared >= 1.0) | (e <= 0.0)
    if bool(xp.any(turned)):
        found = _found(beam, turned, "too little momentum along s")
        raise InputError("beam.coordinates", found, "px^2 + py^2 < p^2 = 1 + pt (2/beta0 + pt), in units of P0")
    return beam


def _found(beam: Beam, where: Array, what: str) -> str:
    host = beam.backend.to_numpy(where)
    first = tuple(int(k) for k in np.argwhere(host)[0])
    index = first[0] if len(first) == 1 else first
    return f"{int(host.sum())} of {host.size} particles with {what}, the first at index {index}"
