"""`BackbeamLattice`: a lattice of GPSR 0.2 (generative phase-space reconstruction) by backbeam, with space charge.

GPSR's generator makes a `cheetah.ParticleBeam`, `gpsr.modeling.GPSR` deep-copies generator and lattice, and PyTorch
Lightning trains them. Cheetah's coordinates (x, px, y, py, tau, p) are ours. Its images are (..., y, x), ours
(..., x, y); they are turned here, and a pixel's charge is a part of the beam's.

The extra is ``gpsr``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from backbeam.beam import Beam
from backbeam.errors import InputError
from backbeam.extras import need
from backbeam.line import Line
from backbeam.species import Species
from backbeam.tracking import track
from backbeam.trainable import units_of
from backbeam_torch.arrays import mapped

(modeling,) = need("gpsr", "gpsr.modeling", purpose="a lattice of GPSR")


class BackbeamLattice(modeling.GPSRLattice):  # type: ignore[name-defined]
    """A line with settings that are scanned and screens that are looked at, in the place of GPSR's own lattices.

    Parameters
    ----------
    line:
        The line, with a `Screen` for each observation.
    settings:
        What the last axis of GPSR's parameters sets, in order: ``["scan.k1", "crab.voltage"]``.
    screens:
        Names of the screens, in the order of the observations; the beam passes each once. None: all of them. With
        several, GPSR's parameters are ``(..., screens, settings)``, and each screen sees the settings of its own.
    charge:
        Total charge [C]; GPSR's own says nothing. It matters for space charge alone.
    track:
        Further arguments of `backbeam.track`: effects, slices, an adjoint. With space charge in float32, GPSR's own,
        ``adjoint="store"``: the way back by `Reversible` may be refused, in the middle of a training.
    """

    def __init__(
        self,
        line: Line,
        settings: Sequence[str],
        screens: Sequence[str] | None = None,
        *,
        charge: float = 0.0,
        **track: Any,
    ) -> None:
        super().__init__()
        units_of(line, settings)
        there = line.of_kind("screen")
        for name in screens or ():
            if name not in there:
                raise InputError(
                    "screens", name, f"one of {', '.join(there) or 'the screens of the line: it has none'}"
                )
        self.given, self.settings, self.charge, self.options = line, tuple(settings), charge, track
        self.screens = tuple(there) if screens is None else tuple(screens)
        self.line = line

    def set_lattice_parameters(self, x: torch.Tensor) -> None:
        """Set the line to the last axis of ``x (..., settings)``; the other axes are a batch."""
        if x.shape[-1] != len(self.settings):
            raise InputError("x", f"a tensor of shape {tuple(x.shape)}", f"shape (..., {len(self.settings)})")
        self.line = self.given.replace({name: x[..., k] for k, name in enumerate(self.settings)})

    def track_and_observe(self, beam: Any) -> tuple[torch.Tensor, ...]:
        """Images ``(..., ny, nx)`` of a beam of Cheetah, one a screen, as parts of its charge."""
        start = beam_of(beam, self.charge)
        readings = track(self.line, start, **self.options).readings
        images = [readings[name] / start.charge[..., None, None] for name in self.screens]
        if len(images) > 1:
            images = [image[..., k, :, :] for k, image in enumerate(images)]
        return tuple(image.mT for image in images)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> BackbeamLattice:
        """Move the tensors of the line too."""
        super()._apply(fn, recurse)
        self.given, self.line = mapped(self.given, fn), mapped(self.line, fn)
        return self


def beam_of(beam: Any, charge: float = 0.0) -> Beam:
    """A beam of a `cheetah.ParticleBeam`, whose energy is the total one [eV]; survival probabilities weigh charges."""
    X = beam.particles[..., :6].mT
    name, mass, number = beam.species.name, float(beam.species.mass_eV), float(beam.species.num_elementary_charges)
    species = Species.known().get(name) or Species(name, mass, number)
    kinetic_energy = beam.energy.to(X) - species.mass
    weights = beam.survival_probabilities.to(X)
    share = weights / weights.sum(-1, keepdim=True)
    total = charge if charge else 1e-12
    sign = 1.0 if species.charge_number > 0 else -1.0
    return Beam.from_arrays(X, species=species, kinetic_energy=kinetic_energy, charges=sign * total * share)
