"""`LineModel`: a line as a `LUMEModel` of lume-base 0.6, settings that are set and readings that are got.

0.6 moved what speaks to a control system into ``lume.actions``; a `LineModel` is what those act on. The extra is
``lume``.
"""

from __future__ import annotations

import warnings
from typing import Any

from backbeam.extras import need
from backbeam.integrations.machine import Machine

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of libraries behind it, about each other
    lume, variables = need("lume", "lume.model", "lume.variables", purpose="a LUME model")


class LineModel(lume.LUMEModel):  # type: ignore[name-defined]
    """A `Machine` that keeps what was set and what was read then.

    Parameters
    ----------
    machine:
        Settings become variables with the limits that they have there; readings, and images as arrays, variables that
        cannot be set.

    Examples
    --------
    >>> from backbeam.integrations import Machine
    >>> from backbeam.integrations.lume_model import LineModel
    >>> line = bb.Line([bb.Quadrupole(0.1, k1=1.0, name="q"), bb.Drift(1.0)])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> model = LineModel(Machine(line, bb.MomentBeam.of(beam), {"q.k1": (-9.0, 9.0)}, ["sigma_x"]))
    >>> model.set({"q.k1": 5.0})
    >>> sorted(model.get(["q.k1", "sigma_x"]))
    ['q.k1', 'sigma_x']
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._variables = {
            name: variables.ScalarVariable(
                name=name, value_range=(low, high), default_value=start, unit=machine.unit(name),
                default_validation_config="error",
            )
            for name, low, high, start in zip(
                machine.settings, machine.low.tolist(), machine.high.tolist(), machine.start.tolist(), strict=True
            )
        }  # fmt: skip
        self._settings: dict[str, float] = {}
        for name in machine.readings:
            self._variables[name] = variables.ScalarVariable(name=name, read_only=True)
        for name, pixels in machine.images.items():
            self._variables[name] = variables.NDVariable(name=name, shape=pixels, unit="C", read_only=True)
        self.reset()

    @property
    def supported_variables(self) -> dict[str, Any]:
        """Settings, readings and images by name."""
        return self._variables

    def _get(self, names: list[str]) -> dict[str, Any]:
        """What was set and read last."""
        return {name: self._values[name] for name in names}

    def _set(self, values: dict[str, Any]) -> None:
        """Set, and read."""
        now = {name: float(value) for name, value in ({**self._settings, **values}).items()}
        self._values = {**now, **self.machine.read(now)}
        self._settings = now

    def reset(self) -> None:
        """Set the line as it was given."""
        self._settings = dict(zip(self.machine.settings, self.machine.start.tolist(), strict=True))
        self._set({})
