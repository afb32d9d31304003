"""Ways to search: SciPy's, each told what it can use, with tolerances that make sense of scaled numbers.

================================  =====================================================================================
trf, dogbox, lm                   least squares of targets by Gauss and Newton; lm knows no bounds
L-BFGS-B, TNC, BFGS, CG           one number by its gradient; the last two know no bounds
SLSQP, trust-constr               one number by its gradient, with targets as constraints
Nelder-Mead, Powell               one number, without gradients
================================  =====================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from backbeam.errors import InputError
from backbeam.matching.aim import Aim
from backbeam.matching.merit import Merit
from backbeam.matching.retreat import Good


class Ended(NamedTuple):
    """How a search ended."""

    converged: bool
    message: str


@dataclass(frozen=True)
class Method:
    """Base of every way to search."""

    name: str
    bounded: bool = True

    def check(self, aim: Aim, merit: Merit) -> None:
        """Raise `InputError` if it cannot search for that."""
        if not self.bounded and np.isfinite([merit.bounds.lb, merit.bounds.ub]).any():
            raise InputError("method", self.name, f"another one: {self.name} knows no bounds")
        if aim.constrained and not isinstance(self, ByConstraints):
            allowed = f"{' or '.join(n for n, m in METHODS.items() if isinstance(m, ByConstraints))}: targets that hold"
            raise InputError("method", self.name, f"{allowed} while an objective is made small")

    def search(self, aim: Aim, merit: Merit, x: np.ndarray) -> Ended:
        """Search from x; the listeners of the merit function hear of every trial."""
        raise NotImplementedError


@dataclass(frozen=True)
class ByLeastSquares(Method):
    """`scipy.optimize.least_squares`."""

    def check(self, aim: Aim, merit: Merit) -> None:
        """Only residuals."""
        super().check(aim, merit)
        if aim.objective is not None:
            raise InputError("method", self.name, "one that minimises: least squares are of targets")

    def search(self, aim: Aim, merit: Merit, x: np.ndarray) -> Ended:
        """Search."""
        from scipy.optimize import least_squares

        bounds = {"bounds": merit.bounds} if self.bounded else {}
        found = least_squares(
            merit.residuals, x, jac=merit.jacobian, method=self.name, xtol=1e-12, ftol=1e-12, gtol=1e-12, **bounds
        )
        return Ended(found.status > 0, found.message)


@dataclass(frozen=True)
class ByGradient(Method):
    """`scipy.optimize.minimize` of the value, with its gradient."""

    options: Mapping[str, Any] = field(default_factory=dict)

    def search(self, aim: Aim, merit: Merit, x: np.ndarray) -> Ended:
        """Search."""
        from scipy.optimize import minimize

        bounds = {"bounds": merit.bounds} if self.bounded else {}
        found = minimize(merit.value_and_grad, x, jac=True, method=self.name, options=dict(self.options), **bounds)
        return Ended(bool(found.success), str(found.message))


@dataclass(frozen=True)
class ByConstraints(ByGradient):
    """`scipy.optimize.minimize` of an objective, with targets as constraints."""

    def search(self, aim: Aim, merit: Merit, x: np.ndarray) -> Ended:
        """Search; a point that cannot be tracked has the constraints of the one before."""
        if not aim.constrained:
            return super().search(aim, merit, x)
        from scipy.optimize import minimize

        looked = _Rows(merit, len(aim.goals.objectives))
        constraints = []
        for kind, sign, which in (("eq", 1.0, aim.equal), ("ineq", -1.0, ~aim.equal)):
            rows = 1 + np.flatnonzero(which)
            if len(rows):
                constraints.append({
                    "type": kind,
                    "fun": lambda x, rows=rows, sign=sign: sign * looked.at(x)[0][rows].reshape(-1),
                    "jac": lambda x, rows=rows, sign=sign: sign * looked.at(x)[1][rows].reshape((-1, len(x))),
                })  # fmt: skip
        found = minimize(
            looked.objective, x, jac=True, method=self.name, bounds=merit.bounds, constraints=constraints,
            options=dict(self.options),
        )  # fmt: skip
        return Ended(bool(found.success), str(found.message))


class _Rows:
    """Residuals of a point by objective ``(m, settings)``, and their slopes; the first row is what is made small."""

    def __init__(self, merit: Merit, m: int) -> None:
        self.merit, self.m = merit, m
        self.at(merit.x0)

    def at(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those of a point; of one that cannot be tracked, of the last good one."""
        residuals = self.merit.residuals(x)
        if np.isfinite(residuals).all():
            slopes = self.merit.jacobian(x).reshape((self.m, -1, len(x)))
            self._good = residuals.reshape((self.m, -1)), slopes
            self._last = Good(x.copy(), float(self._good[0][0].mean()), slopes[0].mean(axis=0))
        return self._good

    def objective(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """What is made small, and its gradient."""
        self.at(x)
        last = self._last
        return (last.value, last.gradient) if np.array_equal(last.x, x) else last.beyond(x)


@dataclass(frozen=True)
class ByValue(Method):
    """`scipy.optimize.minimize` of the value alone."""

    options: Mapping[str, Any] = field(default_factory=dict)

    def search(self, aim: Aim, merit: Merit, x: np.ndarray) -> Ended:
        """Search."""
        from scipy.optimize import minimize

        found = minimize(merit, x, method=self.name, bounds=merit.bounds, options=dict(self.options))
        return Ended(bool(found.success), str(found.message))


MANY = 1_000_000
METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        ByLeastSquares("trf"),
        ByLeastSquares("dogbox"),
        ByLeastSquares("lm", bounded=False),
        ByGradient("L-BFGS-B", options={"ftol": 1e-12, "gtol": 1e-8, "maxiter": MANY, "maxfun": MANY, "maxcor": 20}),
        ByGradient("TNC", options={"ftol": 1e-12, "gtol": 1e-8, "maxfun": MANY}),
        ByGradient("BFGS", bounded=False, options={"gtol": 1e-8, "maxiter": MANY}),
        ByGradient("CG", bounded=False, options={"gtol": 1e-8, "maxiter": MANY}),
        ByConstraints("SLSQP", options={"ftol": 1e-8, "maxiter": MANY}),
        ByConstraints("trust-constr", options={"gtol": 1e-8, "xtol": 1e-10, "maxiter": MANY}),
        ByValue("Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9, "adaptive": True, "maxiter": MANY}),
        ByValue("Powell", options={"xtol": 1e-6, "ftol": 1e-9, "maxiter": MANY}),
    )
}  # fmt: skip
"""By name."""


def method_for(name: str | None, aim: Aim, merit: Merit) -> Method:
    """The method of a name; None: least squares of targets, L-BFGS-B of an objective, SLSQP of both.

    Raises
    ------
    InputError
        For a name that there is not, and a method that cannot search for what is asked.
    """
    if name is None:
        name = "SLSQP" if aim.constrained else "trf" if aim.objective is None else "L-BFGS-B"
    found = next((m for n, m in METHODS.items() if str(name).lower() == n.lower()), None)
    if found is None:
        raise InputError("method", name, f"one of {', '.join(METHODS)}")
    found.check(aim, merit)
    return found
