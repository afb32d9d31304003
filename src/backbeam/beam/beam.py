"""The beam itself: what it holds, where it lives, and how another one comes of it.

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

from backbeam import backends
from backbeam.arrays import Array
from backbeam.beam.constructors import Constructors
from backbeam.beam.measures import Measures
from backbeam.beam.parameters import parameters, remade, resampled
from backbeam.distributions import Distribution
from backbeam.distributions.inputs import Home, check_words, dtype_of
from backbeam.errors import InputError
from backbeam.losses import Ledger, Losses, host, losses_of
from backbeam.reference import Reference

if TYPE_CHECKING:
    from backbeam.line import Line
    from backbeam_backends import Backend


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
    s: Array | float = 0.0
    """``(...)``, of the path length."""


@dataclass(frozen=True, eq=False, repr=False)
class Beam(Constructors, Measures):
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
        ``(..., n)`` int32: -1 for a particle that is alive, else a number of the run that lost it; see `losses`.
    s:
        Position of the reference along the line [m].
    recipe:
        How the beam was drawn, for gradients with respect to its parameters; None if it was not.
    readings:
        What the line's monitors and screens saw, by name.
    ledger:
        What is known of the losses, and how often each element was passed; see `losses`.

    Examples
    --------
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> beam
    Beam(n=1000, species='electron', numpy float64)
    >>> bool(beam.sigma("x") > 0.9e-3), beam.with_parameters(charge=2e-9).species.name
    (True, 'electron')
    """

    coordinates: Array
    charges: Array
    reference: Reference
    lost_at: Array
    s: Array | float = 0.0
    recipe: Distribution | None = None
    readings: Mapping[str, Any] = field(default_factory=dict)
    ledger: Ledger | None = None

    # -- where it lives, and what it is of -------------------------------------------------------------------

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

    def home(self) -> Home:
        """Its library, data type and device; under a JAX trace, the device is left open."""
        return Home(self.backend, self.dtype, self._device())

    # -- another one -----------------------------------------------------------------------------------------

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

    def replace(self, **changes: Any) -> Beam:
        """Same beam with other fields.

        With other coordinates it is no longer what its recipe drew, and loses it; with other particles or another
        ``lost_at``, what is known of earlier losses.
        """
        names = [f.name for f in fields(self)]
        for name, value in changes.items():
            if name not in names:
                raise InputError(f"beam.{name}", value, f"one of {', '.join(names)}")
        if "coordinates" in changes:
            changes.setdefault("recipe", None)
        X: Array = changes.get("coordinates", self.coordinates)
        if self.ledger is not None and ("lost_at" in changes or X.shape[-1] != self.n):
            changes.setdefault("ledger", self.ledger.forgetful())
        return replace(self, **changes)

    def to(self, backend: str | None = None, device: Any = None, dtype: Any = None) -> Beam:
        """Same beam in another library, on another device or in another data type; what is not named stays.

        Device and data type are names, or what the library has for them: ``beam.to(dtype=torch.float32)``. Within a
        library, gradients flow through; to another one, they do not.
        """
        mine = self.backend
        check_words(backend=backend)
        same = backend in (None, mine.name)
        home = Home.named(backend or mine.name, device or (self._device() if same else None), dtype or self.dtype)

        def move(array: Any, dtype: str | None = home.dtype) -> Array:
            return home.asarray(array if same else np.array(mine.to_numpy(array)), dtype)

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
            self.ledger if same or self.ledger is None else self.ledger.map(host),
        )

    def as_mine(self, value: Any, field: str = "value") -> Array:
        """Return a number or an array as one of the beam's library, data type and device.

        ``field`` is what the `InputError` calls it if it is an array of another library, or no number.
        """
        return self.home().array(field, value)

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
        return parameters(self)

    def with_parameters(self, **changes: Array | float) -> Beam:
        """The beam that other values of its `parameters` give: the same variates, assembled again.

        Raises
        ------
        InputError
            For a name that is none of its parameters, or a value out of range.
        """
        return remade(self, changes)

    def with_seed(self, seed: int) -> Beam:
        """Another sample of the same distribution.

        Raises
        ------
        InputError
            If the beam was not drawn.
        """
        return resampled(self, seed)

    # -- out of here -----------------------------------------------------------------------------------------

    def losses(self) -> Losses:
        """Every loss since the beam was made, in order: particle, element, s [m], passage of the element, and reason.

        ::

            for loss in track(ring * 5, beam).losses():
                print(loss.particle, loss.element, loss.s, loss.passage, loss.reason)

        Five calls of ``track(ring, beam)`` give the same. ``losses().places()`` counts them. A particle that turns
        round is lost where it entered the step in which it did.
        """
        return losses_of(self)

    def ready_for(self, line: Line) -> Beam:
        """The beam as a tree of the arrays that it will have behind the line, for loops such as `jax.lax.scan`."""
        ledger = self.ledger or Ledger((), np.zeros(0, dtype=np.int32))
        return replace(self, ledger=ledger.joined(line.names).filled(self.lost_at))

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

    def particle_group(self) -> Any:
        """Living particles as a `beamphysics.ParticleGroup` at z = 0, with t = tau/c."""
        from backbeam.beams.group import group_of

        return group_of(self)

    def __repr__(self) -> str:
        """One line; the numbers are not shown."""
        batch = f"batch={tuple(self.coordinates.shape[:-2])}, " if self.coordinates.ndim > 2 else ""
        where = f"{self.backend.name} {self.dtype}"
        return f"Beam({batch}n={self.n}, species={self.species.name!r}, {where})"
