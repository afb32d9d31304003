"""Thermal equilibrium, of one or two temperatures, in isotropic linear focusing with space charge.

In the rest frame, f ~ exp(-H/kT) with H = p^2/2 + V(r). The potential V = k^2 r^2/2 + C ((1-w) phi_1 + w
phi_2) and the fraction f_j(r) of component j inside r follow from

    n_j = p_j exp(-V/T_j),   f_j' = 4 pi r^2 n_j,   phi_j' = -f_j/(4 pi r^2),   C = q Q/((beta0 gamma0)^2 m
    c^2 eps0),

with p_j = normalize_j/(r0 sqrt(2 pi))^3, r0 = sqrt(T + (a k)^(2/3))/k, a = C/(4 pi 5 sqrt 5), T = (1-w) T_1 +
w T_2. Then tau = -z/(beta0 gamma0), pt = pz beta0 gamma0. Source: Ryne et al., EPAC 2004, as ImpactX has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any, ClassVar

import numpy as np

from backbeam.arrays import Array, namespace
from backbeam.distributions.base import Distribution
from backbeam.distributions.families import _directions
from backbeam.distributions.inputs import MEANS, Home, check_names, rule_of
from backbeam.distributions.shears import SHEARS
from backbeam.errors import InputError
from backbeam.reference import Reference
from backbeam.species import VACUUM_PERMITTIVITY, Species

OWN = ("k", "kT", "kT_halo", "halo", "normalize", "normalize_halo")
"""Parameters of the equilibrium."""
STEPS = 4000
"""Points of the radial profile, out to 10 r0."""


@dataclass(frozen=True)
class Equilibrium:
    """The bunch in equilibrium.

    Parameters
    ----------
    k:
        Strength of the focusing [1/m]: x'' = -k^2 x, the same in all three planes of the rest frame.
    kT, kT_halo:
        Temperatures kT/(m c^2 (beta0 gamma0)^2) of core and halo: the mean square of a momentum in units of
        P0.
    halo:
        Part w of the charge that is halo, in [0, 1].
    perveance:
        C [m].
    """

    k: float
    kT: float  # noqa: N815
    kT_halo: float  # noqa: N815
    halo: float
    perveance: float

    @property
    def scale(self) -> float:
        """r0 [m]."""
        T = (1.0 - self.halo) * self.kT + self.halo * self.kT_halo
        a = self.perveance / (4.0 * pi * 5.0 * sqrt(5.0))
        return sqrt(T + (a * self.k) ** (2.0 / 3.0)) / self.k

    def profile(self, normalize: tuple[float, float], points: np.ndarray) -> np.ndarray:
        """Fractions f_j ``(2, points)`` inside radii given in units of r0.

        It ends early where a component is far beyond all its charge: too high a density at the centre, and
        the potential runs away.
        """
        r0, T = self.scale, np.asarray([self.kT, self.kT_halo])
        peak = np.asarray(normalize) / (2.0 * pi) ** 1.5  # n_j at the centre, times r0^3
        share = np.asarray([1.0 - self.halo, self.halo])
        pull = share * self.perveance / r0

        def density(r: float, phi: np.ndarray) -> np.ndarray:
            exponent = -(0.5 * (self.k * r0 * r) ** 2 + np.sum(pull * phi)) / T
            return peak * np.exp(np.minimum(exponent, 100.0))

        def slope(r: float, y: np.ndarray) -> np.ndarray:
            return np.concatenate([4.0 * pi * r * r * density(r, y[2:]), -y[:2] / (4.0 * pi * r * r)])

        def runs_away(r: float, y: np.ndarray) -> float:
            return float(np.max(np.where(share > 0.0, y[:2], 0.0))) - 2.0

        runs_away.terminal = True  # type: ignore[attr-defined]
        start = points[0]
        inside = 4.0 * pi / 3.0 * start**3 * peak
        begin = np.concatenate([inside, -inside / (8.0 * pi * start)])
        from scipy.integrate import solve_ivp  # half a second that only this beam is worth

        solution = solve_ivp(
            slope,
            (start, points[-1]),
            begin,
            method="DOP853",
            t_eval=points,
            events=runs_away,
            rtol=1e-9,
            atol=1e-15,
        )
        return np.asarray(solution.y[:2])


@dataclass(frozen=True, eq=False)
class ThermalDistribution(Distribution):
    """A thermal beam: an equation solved on the host makes its particles.

    So only what is added to them has a gradient: chirp, dispersion, offsets.
    """

    equilibrium: Equilibrium | None = None
    normalize: tuple[float, float] = (1.0, 1.0)
    beta_gamma: float = 1.0

    fixed: ClassVar[tuple[str, ...]] = (*OWN, "kinetic_energy")

    @classmethod
    def of(
        cls,
        n: int,
        seed: int,
        home: Home,
        species: Species,
        plain: Mapping[str, Any],
        reference: Reference,
        given: Mapping[str, Any],
    ) -> ThermalDistribution:
        """Recipe of a bunch in equilibrium; a ``normalize`` left out is found, so that the charges add up.

        ``plain`` holds the charge and the energy that the reference was made from: plain numbers, by name.

        Raises
        ------
        InputError
            For numbers that are missing or out of range, or an equilibrium that has no solution.
        """
        given = {name: value for name, value in given.items() if value is not None}
        check_names(given, (*OWN, *SHEARS, *MEANS), "thermal")
        for name, value in plain.items():
            _plain(name, value)
        own = {name: _plain(name, given.get(name)) for name in ("k", "kT")}
        kT_halo = _plain("kT_halo", given.get("kT_halo", own["kT"]))
        normalize, normalize_halo = (
            _plain(name, given[name]) if name in given else None for name in ("normalize", "normalize_halo")
        )
        halo = given.get("halo", 0.0)
        if isinstance(halo, bool) or not isinstance(halo, int | float) or not 0 <= halo <= 1:
            raise InputError("beam.halo", halo, "a number in [0, 1]")
        beta_gamma = float(home.backend.to_numpy(reference.beta_gamma))
        charge = abs(float(plain["charge"]) * species.charge_number)
        perveance = charge / (beta_gamma**2 * species.mass * VACUUM_PERMITTIVITY)
        equilibrium = Equilibrium(own["k"], own["kT"], kT_halo, float(halo), perveance)
        offsets = (*SHEARS, *MEANS)
        arrays = {name: home.array(f"beam.{name}", given.get(name, 0.0), rule_of(name)) for name in offsets}
        normalized = _normalize(equilibrium, normalize, normalize_halo)
        return cls("thermal", n, seed, arrays, equilibrium, normalized, beta_gamma)

    def unit(self) -> np.ndarray:
        """Draw the particles themselves, about the reference."""
        assert self.equilibrium is not None
        rng, n, e = np.random.default_rng(self.seed), self.n, self.equilibrium
        u, in_halo = rng.random(n), rng.random(n) < e.halo
        direction, momentum = _directions(rng, 3, n), rng.standard_normal((3, n))
        points = _radii()
        inside = e.profile(self.normalize, points)
        # f grows as r^3: its cube root is what a straight line between two points fits.
        r = [np.interp(np.cbrt(u * f[-1]), np.cbrt([0.0, *f]), [0.0, *points]) for f in inside]
        x, y, z = e.scale * np.where(in_halo, r[1], r[0]) * direction
        px, py, pz = np.where(in_halo, sqrt(e.kT_halo), sqrt(e.kT)) * momentum
        return np.stack([x, px, y, py, -z / self.beta_gamma, pz * self.beta_gamma])

    def shape(self, unit: Array, parameters: Mapping[str, Array], beta_gamma: Array) -> list[Array]:
        """The particles as drawn."""
        return [unit[k, :] for k in range(6)]

    def shape_pullback(
        self, unit: Array, parameters: Mapping[str, Array], beta_gamma: Array, X_bar: Array
    ) -> tuple[dict[str, Array], Array]:
        """Nothing in the shape has a gradient."""
        return {}, namespace(X_bar).zeros_like(X_bar[..., 0, 0])


def _plain(name: str, value: Any) -> float:
    """Return a plain number greater than 0 (a charge: any but NaN), or raise `InputError`."""
    allowed = "a plain number, greater than 0: a thermal beam has no batch and no gradient in it"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"beam.{name}", value, allowed)
    if name != "charge" and not 0 < value < float("inf"):
        raise InputError(f"beam.{name}", value, allowed)
    return float(value)


def _radii() -> np.ndarray:
    """Radii of the profile in units of r0: not from 0, where the equations divide by r^2."""
    return np.linspace(0.0, 10.0, STEPS + 1)[1:]


def _normalize(e: Equilibrium, core: float | None, halo: float | None) -> tuple[float, float]:
    """Check the constants, or find that of a beam without halo: the fraction inside 10 r0 must end at 1."""
    points = _radii()
    if core is None:
        if e.halo > 0.0:
            raise InputError("beam.normalize", None, "given, with normalize_halo, where there is a halo")

        def excess(log: float) -> float:
            inside = e.profile((float(np.exp(log)), 0.0), points)
            return float(inside[0, -1]) - 1.0 if inside.shape[1] == len(points) else 1.0

        from scipy.optimize import brentq

        core = float(np.exp(brentq(excess, -30.0, 5.0, xtol=1e-10)))
    if halo is None:
        if e.halo > 0.0:
            raise InputError("beam.normalize_halo", None, "given, where there is a halo")
        halo = 0.0
    if e.profile((core, halo), points).shape[1] < len(points):
        raise InputError("beam.normalize", core, "less: the charge inside grows without end; or left out, to be found")
    return core, halo
