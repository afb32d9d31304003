"""A `Machine` for Xopt 3.2, as a vectorised evaluator, and for Badger 1.6, as an environment of its plugins.

The extra is ``xopt``; Badger is ``badger-opt``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from backbeam.errors import TrackingError
from backbeam.extras import need
from backbeam.integrations.machine import Machine


def evaluation(machine: Machine) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A function of a dict of numbers or of arrays, all at once, to a dict of readings; what cannot be tracked is NaN.

    Images are left out. What is no setting is passed over: Xopt hands its constants along.
    """

    def evaluate(inputs: Mapping[str, Any]) -> dict[str, Any]:
        settings = {name: np.asarray(inputs[name], dtype=np.float64) for name in machine.settings if name in inputs}
        try:
            found = machine.read(settings)
            return {name: found[name] for name in machine.readings}
        except TrackingError:
            shape = np.broadcast_shapes(*(value.shape for value in settings.values()))
            if shape:
                rows = [{name: np.broadcast_to(v, shape)[k] for name, v in settings.items()} for k in np.ndindex(shape)]
                each = [evaluate(row) for row in rows]
                return {n: np.reshape([one[n] for one in each], shape) for n in machine.readings}
            return dict.fromkeys(machine.readings, float("nan"))

    return evaluate


def evaluator(machine: Machine) -> Any:
    """The `xopt.Evaluator` of a machine: a generator's candidates are one batch of it."""
    (xopt,) = need("xopt", "xopt", purpose="an evaluator of Xopt")
    return xopt.Evaluator(function=evaluation(machine), vectorized=True)


def vocs(machine: Machine, objectives: Mapping[str, str], **more: Any) -> Any:
    """Variables with the machine's limits, and objectives as Xopt has them: ``{"sigma_x": "MINIMIZE"}``."""
    (xopt,) = need("xopt", "xopt", purpose="a VOCS of Xopt")
    limits = zip(machine.settings, machine.low.tolist(), machine.high.tolist(), strict=True)
    return xopt.VOCS(variables={name: [low, high] for name, low, high in limits}, objectives=dict(objectives), **more)


def badger_environment(machine: Machine, label: str = "backbeam") -> Any:
    """A class of Badger's environments around a machine, for a plugin's ``Environment = badger_environment(...)``."""
    (badger,) = need("xopt", "badger.environment", purpose="an environment of Badger (badger-opt)")
    limits = zip(machine.settings, machine.low.tolist(), machine.high.tolist(), strict=True)

    class Environment(badger.Environment):  # type: ignore[name-defined]
        """Settings that stand where they were put, and readings of them."""

        name: ClassVar[str] = label
        variables: ClassVar[dict[str, list[float]]] = {setting: [low, high] for setting, low, high in limits}
        observables: ClassVar[list[str]] = list(machine.readings)
        standing: dict[str, float] = dict(zip(machine.settings, machine.start.tolist(), strict=True))  # noqa: RUF012

        def get_variables(self, variable_names: list[str]) -> dict[str, float]:
            """Where settings stand."""
            return {name: self.standing[name] for name in variable_names}

        def set_variables(self, variable_inputs: dict[str, float]) -> None:
            """Put them there."""
            self.standing = {**self.standing, **variable_inputs}

        def get_observables(self, observable_names: list[str]) -> dict[str, float]:
            """Read."""
            found = machine.read(self.standing)
            return {name: found[name] for name in observable_names}

    return Environment
