"""`Machine`: a line and the beam before it as a control room sees them, settings by name in, readings by name out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.beam import Beam
from backbeam.course import Course
from backbeam.elements import Screen
from backbeam.errors import InputError
from backbeam.judging import judged, objective_of
from backbeam.line import Line
from backbeam.mixed import is_mixed
from backbeam.moment_beam import MomentBeam
from backbeam.moment_beam.linear_space_charge import acting_on_moments
from backbeam.moment_beam.prepared import Prepared, lent, with_settings
from backbeam.moment_beam.readings import image, sign
from backbeam.observables import MonitorReading, Objective, named
from backbeam.tracking import track_course
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
        What is read: objectives or their names, ``sigma_x``, ``reading:bpm.x``, behind an element too,
        ``sigma_x @ screen``.
    images:
        Screens whose images are looked at, by name; of a `MomentBeam` a Gaussian.
    track:
        Further arguments of `backbeam.track`.

    Raises
    ------
    InputError
        For a setting, a reading or a screen that there is not, and for limits that are none.

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
        images: Iterable[str] = (),
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
        self.images = {name: _pixels(self.line, name) for name in ([images] if isinstance(images, str) else images)}
        """Number of pixels ``(nx, ny)`` of every screen that is looked at."""
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
        return self.look(settings)[0]

    def look(self, settings: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Readings ``(..., r)`` at settings ``(..., m)``, and the images [C] ``(..., nx, ny)`` by screen."""
        settings = np.asarray(settings, dtype=np.float64)
        if settings.shape[-1:] != self.start.shape:
            raise InputError("settings", f"an array of shape {settings.shape}", f"shape (..., {len(self.settings)})")
        # What is compiled takes NumPy's arrays as they are, faster than they are made its own.
        given = settings if self._backend.recompiles else self._backend.asarray(settings)
        found, *seen = (np.asarray(self._backend.to_numpy(one), dtype=np.float64) for one in self._run(given))
        return found, dict(zip(self.images, seen, strict=True))

    def read(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Readings and images by name at settings by name, numbers or arrays of one shape.

        What is not named is as in the line.
        """
        for name in settings:
            if name not in self.settings:
                raise InputError("settings", name, f"one of {', '.join(self.settings)}")
        values = [settings.get(name, start) for name, start in zip(self.settings, self.start, strict=True)]
        found, seen = self.look(np.stack(np.broadcast_arrays(*values), axis=-1))
        several = found.ndim > 1
        return {name: found[..., k] if several else float(found[k]) for k, name in enumerate(self._readings)} | seen

    # -- the two kinds of beams --------------------------------------------------------------------------------------

    def _of_particles(self, beam: Beam, readings: Iterable[str | Objective]) -> tuple[dict[str, Objective], Any]:
        wanted = {_name(reading): objective_of(reading) for reading in readings}
        for name, objective in wanted.items():
            if is_mixed(objective):
                raise InputError("readings", name, "objectives of the beam: a machine does not know the line's optics")
        options = {name: value for name, value in self.options.items() if name != "adjoint"}

        def judge(line: Line) -> Any:
            return judged(list(wanted.values()), Course.of(line, **options))

        def run(settings: Array) -> tuple[Array, ...]:
            what, course = judge(self.line.replace({name: settings[..., k] for k, name in enumerate(self.settings)}))
            out = track_course(course, beam)
            seen = [out.readings[name] for name in self.images]
            return self._stacked([objective(out) for objective in what], seen, settings)

        judge(self.line)  # what is wrong with a place is said here
        return wanted, run

    def _of_moments(self, beam: MomentBeam, readings: Iterable[str | Objective]) -> tuple[dict[str, Any], Any]:
        options = dict(self.options)
        acting = acting_on_moments(options.pop("space_charge", None), options.pop("effects", ()), "lose", None)
        prepared = Prepared(self.line, beam, self.settings, acting, **options)
        wanted = {_name(reading): self._placed(reading, prepared) for reading in readings}
        screens = {name: prepared.passages.last[name][0] for name in self.images}
        places = sorted({*(place for _, place in wanted.values()), *screens.values()})

        def run(settings: Array) -> tuple[Array, ...]:
            seen: Any = dict(zip(places, prepared.beams(settings, places), strict=True))
            values = [objective(seen[place]) for objective, place in wanted.values()]
            return self._stacked(values, [self._image(name, seen[at]) for name, at in screens.items()], settings)

        return wanted, run

    def _image(self, screen: str, beam: MomentBeam) -> Array:
        """What a screen sees of a beam of moments."""
        (bound,) = self.line[screen].body(1.0)
        charge = namespace(beam.cov_).asarray(beam.charge, dtype=beam.cov_.dtype)
        return image(bound.map, beam.mean_, beam.cov_, sign(beam) * charge)

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

    def _stacked(self, values: list[Array], images: list[Array], settings: Array) -> tuple[Array, ...]:
        """Readings as one array, and the images, with the batch of the settings in front."""
        xp, batch = self._backend.namespace, settings.shape[:-1]
        found = [xp.broadcast_to(value, batch) for value in values]
        together = xp.stack(found, axis=-1) if found else settings[..., :0]
        return together, *(xp.broadcast_to(one, (*batch, *one.shape[-2:])) for one in images)


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


def _pixels(line: Line, name: str) -> tuple[int, int]:
    """Number of pixels of a screen that the beam passes once."""
    if not isinstance(line[name], Screen) or list(line.sequence).count(name) != 1:
        raise InputError("images", name, "a screen that the beam passes once")
    return line[name].pixels
