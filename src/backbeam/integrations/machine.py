"""`Machine`: a line and the beam before it as a control room sees them, settings by name in, readings by name out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from backbeam import backends
from backbeam.arrays import Array
from backbeam.beam import Beam
from backbeam.errors import InputError
from backbeam.line import Line
from backbeam.moment_beam import MomentBeam
from backbeam.moment_beam.linear_space_charge import acting_on_moments
from backbeam.moment_beam.prepared import Prepared, lent, with_settings
from backbeam.observables import MonitorReading, Objective, named
from backbeam.tracking import track
from backbeam.trainable import units_of


class Machine:
    """Settings ``(..., m)`` to readings ``(..., r)``, in NumPy's float64 and SI units; leading axes are a batch.

    What can be done once is: a line passed by a `MomentBeam` is taken apart once, and on JAX all of it is compiled for
    each shape of a batch. Where nothing is differentiated NumPy serves tensors of the processor.

    Parameters
    ----------
    line:
        The line.
    beam:
        The beam before it: particles, or a `MomentBeam`, which takes a fraction of a millisecond a setting.
    settings:
        What is set, and its limits: ``{"q1.k1": (-30, 30)}``; parameters of elements, or knobs.
    readings:
        What is read: objectives or their names, ``sigma_x``, ``reading:bpm.x``; of a `MomentBeam` at the end of an
        element too, ``sigma_x @ screen``.
    track:
        Further arguments of `backbeam.track`.

    Raises
    ------
    InputError
        For a setting or a reading that there is not, and for limits that are none.

    Examples
    --------
    >>> from backbeam.integrations import Machine
    >>> line = bb.Line([bb.Quadrupole(0.1, k1=1.0, name="q"), bb.Drift(1.0), bb.Monitor(name="m")])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3, mean_x=1e-3)
    >>> machine = Machine(line, beam, {"q.k1": (-5, 5)}, ["reading:m.x", "sigma_x"])
    >>> sorted(machine.read({"q.k1": 0.0}))
    ['reading:m.x', 'sigma_x']
    """

    def __init__(
        self,
        line: Line,
        beam: Beam | MomentBeam,
        settings: Mapping[str, tuple[float, float]],
        readings: Iterable[str | Objective],
        **track: Any,
    ) -> None:
        if not isinstance(settings, Mapping):
            raise InputError("settings", settings, "a mapping of names to limits, such as {'q1.k1': (-30, 30)}")
        if isinstance(readings, str):
            raise InputError("readings", readings, f"a list of names, such as [{readings!r}]")
        units_of(line, list(settings))
        self.settings = tuple(settings)
        limits = [_limits(name, pair) for name, pair in settings.items()]
        self.low, self.high = (np.asarray([pair[k] for pair in limits]) for k in (0, 1))
        self.line, self.beam, self.options = with_settings(line, self.settings), beam, track
        self.start = np.asarray([float(self.line.get(name)) for name in self.settings])
        """Settings of the line as it was given ``(m,)``."""
        if isinstance(beam, MomentBeam):
            self._readings, run = self._of_moments(lent(beam), readings)
        else:
            self._readings, run = self._of_particles(beam, readings)
        self._backend = backends.of(lent(beam).cov_ if isinstance(beam, MomentBeam) else beam.coordinates)
        self._run = self._backend.compile(run) if self._backend.recompiles else run

    @property
    def readings(self) -> tuple[str, ...]:
        """Names of what is read."""
        return tuple(self._readings)

    def unit(self, name: str) -> str | None:
        """SI unit of a setting; None of a knob."""
        owner, _, field = name.rpartition(".")
        return None if name in self.line.knobs else str(self.line[owner].rule(field)["unit"])

    def __call__(self, settings: Any) -> np.ndarray:
        """Readings ``(..., r)`` at settings ``(..., m)``, both in the order of their names."""
        settings = np.asarray(settings, dtype=np.float64)
        if settings.shape[-1:] != self.start.shape:
            raise InputError("settings", f"an array of shape {settings.shape}", f"shape (..., {len(self.settings)})")
        # What is compiled takes NumPy's arrays as they are, faster than they are made its own.
        given = settings if self._backend.recompiles else self._backend.asarray(settings)
        found = self._backend.to_numpy(self._run(given))
        return np.asarray(found, dtype=np.float64)

    def read(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Readings by name at settings by name, numbers or arrays of one shape; what is not named is as in the line."""
        for name in settings:
            if name not in self.settings:
                raise InputError("settings", name, f"one of {', '.join(self.settings)}")
        values = [settings.get(name, start) for name, start in zip(self.settings, self.start, strict=True)]
        found = self(np.stack(np.broadcast_arrays(*values), axis=-1))
        return {name: found[..., k] if found.ndim > 1 else float(found[k]) for k, name in enumerate(self._readings)}

    # -- the two kinds of beams --------------------------------------------------------------------------------------

    def _of_particles(self, beam: Beam, readings: Iterable[str | Objective]) -> tuple[dict[str, Objective], Any]:
        wanted = {_name(reading): named(reading) if isinstance(reading, str) else reading for reading in readings}

        def run(settings: Array) -> Array:
            changes = {name: settings[..., k] for k, name in enumerate(self.settings)}
            out = track(self.line.replace(changes), beam, **self.options)
            return self._stacked([objective(out) for objective in wanted.values()], settings)

        return wanted, run

    def _of_moments(self, beam: MomentBeam, readings: Iterable[str | Objective]) -> tuple[dict[str, Any], Any]:
        options = dict(self.options)
        acting = acting_on_moments(options.pop("space_charge", None), options.pop("effects", ()), "lose", None)
        prepared = Prepared(self.line, beam, self.settings, acting, **options)
        wanted = {_name(reading): self._placed(reading, prepared) for reading in readings}
        places = sorted({place for _, place in wanted.values()})

        def run(settings: Array) -> Array:
            seen: Any = dict(zip(places, prepared.beams(settings, places), strict=True))
            return self._stacked([objective(seen[place]) for objective, place in wanted.values()], settings)

        return wanted, run

    def _placed(self, reading: str | Objective, prepared: Prepared) -> tuple[Objective, int]:
        """What is read of a beam of moments, and at which place of the line."""
        what, _, element = reading.partition("@") if isinstance(reading, str) else (reading, "", "")
        objective = named(what.strip()) if isinstance(what, str) else what
        element = element.strip()
        if isinstance(objective, MonitorReading):
            element, objective = objective.element, named(f"mean_{objective.component}")
        if not element:
            return objective, -1
        self.line[element]
        return objective, prepared.passages.last[element][0]

    def _stacked(self, values: list[Array], settings: Array) -> Array:
        xp = self._backend.namespace
        return xp.stack([xp.broadcast_to(value, settings.shape[:-1]) for value in values], axis=-1)


def _name(reading: str | Objective) -> str:
    return reading if isinstance(reading, str) else reading.name


def _limits(name: str, pair: Any) -> tuple[float, float]:
    try:
        low, high = (float(limit) for limit in pair)
    except (TypeError, ValueError):
        low = high = 0.0
    if not (low < high and np.isfinite(high - low)):
        raise InputError(f"settings.{name}", pair, "two numbers, the lower one first")
    return low, high
