"""Ways to make a beam: of arrays, of a file, of another library's particles, or of a distribution by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.beam.particles import check, together
from backbeam.distributions import (
    Distribution,
    GaussianOfCovariance,
    PlanarDistribution,
    ThermalDistribution,
    kinds,
)
from backbeam.distributions.inputs import (
    MOST_PARTICLES,
    Home,
    dtype_of,
    even_charges,
    given_charges,
    reference_of,
    whole_number,
)
from backbeam.errors import InputError
from backbeam.species import Species, species_named

if TYPE_CHECKING:
    from backbeam.beam.beam import Beam
    from backbeam.lattice_functions import Optics
    from backbeam.reference import Reference


class Constructors:
    """Class methods that make a beam."""

    if TYPE_CHECKING:  # what they call at last

        def __init__(
            self,
            coordinates: Array,
            charges: Array,
            reference: Reference,
            lost_at: Array,
            *,
            recipe: Distribution | None = None,
        ) -> None: ...

    @classmethod
    def _of(cls, X: Array, q: Array, reference: Reference, recipe: Distribution | None = None) -> Self:
        """Beam of living particles."""
        X, q = together(X, q, reference)
        check(X, reference)
        xp = namespace(X)
        return cls(X, q, reference, xp.zeros_like(q, dtype=xp.int32) - 1, recipe=recipe)

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
        device: Any = None,
        dtype: Any = None,
    ) -> Self:
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
            Where the beam lives; None keeps the library, device and data type of ``coordinates``. Names, or the
            library's own `torch.device` and `torch.float32`.

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
            try:
                coordinates = np.asarray(coordinates, dtype=np.float64)
            except (TypeError, ValueError):
                raise InputError("beam.coordinates", coordinates, "numbers, an array (..., 6, n)") from None
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
        home = Home.named(backend, device, dtype or "float64")
        X = home.asarray(coordinates)
        reference = reference_of(home, species, kinetic_energy, reference_momentum)
        if (charge is None) == (charges is None):
            raise InputError("beam.charge", charge, "one of charge [C] (total) and charges [C] (of each macroparticle)")
        if charges is None:
            q = even_charges(home, species, charge, shape[-1])
        else:
            q = given_charges(home, species, charges, shape[-1])
        return cls._of(X, q, reference)

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

    @classmethod
    def from_particle_group(
        cls, group: Any, reference_momentum: float | None = None, charge: float | None = None
    ) -> Beam:
        """Beam of a `beamphysics.ParticleGroup`, as `load` makes one."""
        from backbeam.beams.asked import Asked
        from backbeam.beams.group import beam_of

        return beam_of(group, Asked(None, reference_momentum, None, charge), "the ParticleGroup")

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
        device: Any = None,
        dtype: Any = "float64",
        **parameters: Any,
    ) -> Self:
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
            Library, its device (None: the default one) and ``float64`` or ``float32``; or the library's own
            `torch.device` and `torch.float32`.
        parameters:
            ``sigma_x``, ``beta_x``, ``mean_x``, ...: see `backbeam.distributions`. Numbers, or arrays of the
            library: with a leading batch axis, or wanting a gradient, they make the beam so.

        Raises
        ------
        InputError
            For parameters that are unknown, contradictory or out of range, and for particles that would turn
            round; it names the field.
        """
        if not isinstance(kind, str) or kind not in kinds():
            raise InputError("beam.distribution", kind, f"one of {', '.join(kinds())}")
        species = species_named(species)
        n, seed = whole_number("beam.n", n, 1, MOST_PARTICLES), whole_number("beam.seed", seed, 0)
        home = Home.named(backend, device, dtype)
        home.check_room("beam.n", n)
        reference = reference_of(home, species, kinetic_energy, reference_momentum)
        q = even_charges(home, species, charge, n)
        recipe: Distribution
        if kind == "thermal":
            energy = reference_momentum if kinetic_energy is None else kinetic_energy
            plain = {"charge": charge, "kinetic_energy or reference_momentum": energy}
            recipe = ThermalDistribution.of(n, seed, home, species, plain, reference, parameters)
        elif kind == "gaussian" and parameters.get("covariance") is not None:
            recipe = GaussianOfCovariance.of(n, seed, home, parameters)
        else:
            recipe = PlanarDistribution.of(kind, n, seed, home, parameters)
        X = recipe.assemble(recipe.variates(), recipe.parameters, reference.beta_gamma)
        return cls._of(X, q, reference, recipe)

    @classmethod
    def gaussian(cls, **arguments: Any) -> Self:
        """Gaussian, by planes or by ``covariance`` (6 x 6, may be singular). Arguments as in `draw`."""
        return cls.draw("gaussian", **arguments)

    @classmethod
    def uniform_ellipsoid(cls, **arguments: Any) -> Self:
        """Uniform in an ellipsoid of (x, y, tau), Gaussian momenta. Arguments as in `draw`.

        ``radius_x, radius_y, radius_tau`` are its half-axes; ``radius`` makes it a ball in the rest frame.
        """
        return cls.draw("uniform_ellipsoid", **arguments)

    @classmethod
    def waterbag(cls, **arguments: Any) -> Self:
        """Uniform in an ellipsoid of all six coordinates. Arguments as in `draw`."""
        return cls.draw("waterbag", **arguments)

    @classmethod
    def kv(cls, **arguments: Any) -> Self:
        """Kapchinskij-Vladimirskij in (x, px, y, py), uniform tau, Gaussian pt. Arguments as in `draw`."""
        return cls.draw("kv", **arguments)

    @classmethod
    def kurth4d(cls, **arguments: Any) -> Self:
        """Kurth's distribution in (x, px, y, py), uniform tau, Gaussian pt. Arguments as in `draw`."""
        return cls.draw("kurth4d", **arguments)

    @classmethod
    def kurth6d(cls, **arguments: Any) -> Self:
        """Kurth's distribution in all six coordinates: a uniform ball in space. Arguments as in `draw`."""
        return cls.draw("kurth6d", **arguments)

    @classmethod
    def semigaussian(cls, **arguments: Any) -> Self:
        """Uniform in an elliptic cylinder of (x, y, tau), Gaussian momenta. Arguments as in `draw`."""
        return cls.draw("semigaussian", **arguments)

    @classmethod
    def thermal(cls, **arguments: Any) -> Self:
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
