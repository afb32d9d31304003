"""Distributions shaped plane by plane: q = A u1, p = B u1 + C u2 from the unit variates u1, u2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backbeam.arrays import Array, namespace, over_particles, per_particle
from backbeam.distributions.base import Distribution
from backbeam.distributions.families import FAMILIES, Family
from backbeam.distributions.inputs import MEANS, Home, check_names, rule_of
from backbeam.distributions.shears import SHEARS
from backbeam.errors import InputError
from backbeam.moments import safe_divide, safe_sqrt

PLANES = {"x": ("x", "px"), "y": ("y", "py"), "z": ("tau", "pt")}

Coefficients = tuple[Array, Array, Array]


@dataclass(frozen=True)
class BySizes:
    """A plane by rms sizes and correlation: A = sigma_q, B = sigma_p r, C = sigma_p sqrt(1 - r^2).

    ``size`` names the parameter that gives sigma_q as ``scale`` times it, ``moving`` divides that by beta0
    gamma0: the length of a ball that is at rest in the bunch's own frame.
    """

    size: str
    momentum: str
    correlation: str
    scale: float = 1.0
    moving: bool = False

    def coefficients(self, p: Mapping[str, Array], beta_gamma: Array) -> Coefficients:
        """A, B, C ``(...)``."""
        r, sigma = p[self.correlation], p[self.momentum]
        A = self.scale * p[self.size]
        return (A / beta_gamma if self.moving else A), sigma * r, sigma * safe_sqrt((1.0 - r) * (1.0 + r))

    def pullback(
        self, p: Mapping[str, Array], beta_gamma: Array, bars: Coefficients
    ) -> tuple[dict[str, Array], Array | float]:
        """Cotangents of the parameters and of beta_gamma."""
        A_bar, B_bar, C_bar = bars
        r, sigma = p[self.correlation], p[self.momentum]
        c = safe_sqrt((1.0 - r) * (1.0 + r))
        own = {
            self.momentum: r * B_bar + c * C_bar,
            self.correlation: sigma * (B_bar - safe_divide(r, c) * C_bar),
        }
        if not self.moving:
            return {self.size: self.scale * A_bar, **own}, 0.0
        size_bar = self.scale * A_bar / beta_gamma
        return {self.size: size_bar, **own}, -size_bar * p[self.size] / beta_gamma


@dataclass(frozen=True)
class ByTwiss:
    """A plane by Twiss parameters: A = sqrt(emittance beta), C = sqrt(emittance/beta), B = -alpha C."""

    beta: str
    alpha: str
    emittance: str
    normalized: bool = False

    def _emittance(self, p: Mapping[str, Array], beta_gamma: Array) -> Array:
        return p[self.emittance] / beta_gamma if self.normalized else p[self.emittance]

    def coefficients(self, p: Mapping[str, Array], beta_gamma: Array) -> Coefficients:
        """A, B, C ``(...)``."""
        emittance = self._emittance(p, beta_gamma)
        C = safe_sqrt(emittance / p[self.beta])
        return safe_sqrt(emittance * p[self.beta]), -p[self.alpha] * C, C

    def pullback(
        self, p: Mapping[str, Array], beta_gamma: Array, bars: Coefficients
    ) -> tuple[dict[str, Array], Array | float]:
        """Cotangents of the parameters and of beta_gamma; at zero emittance, where roots have no slope, 0."""
        A_bar, B_bar, C_bar = bars
        A, _, C = self.coefficients(p, beta_gamma)
        size, momentum = A_bar * A, (C_bar - p[self.alpha] * B_bar) * C
        emittance = self._emittance(p, beta_gamma)
        emittance_bar = safe_divide(0.5 * (size + momentum), emittance)
        own = {self.beta: 0.5 * (size - momentum) / p[self.beta], self.alpha: -C * B_bar}
        if not self.normalized:
            return {self.emittance: emittance_bar, **own}, 0.0
        return {self.emittance: emittance_bar / beta_gamma, **own}, -emittance_bar * emittance / beta_gamma


@dataclass(frozen=True, eq=False)
class PlanarDistribution(Distribution):
    """A family's variates, shaped in the planes x, y and z."""

    planes: tuple[BySizes | ByTwiss, ...] = ()

    @classmethod
    def of(cls, kind: str, n: int, seed: int, home: Home, given: Mapping[str, Any]) -> PlanarDistribution:
        """Recipe from the parameters that a user gave.

        Raises
        ------
        InputError
            For parameters that the family does not have, that contradict each other or are out of range.
        """
        family = FAMILIES[kind]
        given = {name: value for name, value in given.items() if value is not None}
        check_names(given, parameter_names(family), kind)
        values: dict[str, Any] = {}
        planes = tuple(_plane(family, k, given, values) for k in range(3))
        for name in (*SHEARS, *MEANS):
            values[name] = given.get(name, 0.0)
        arrays = {name: home.array(f"beam.{name}", value, rule_of(name)) for name, value in values.items()}
        return cls(kind, n, seed, arrays, planes)

    def unit(self) -> np.ndarray:
        """Draw the family's variates."""
        return FAMILIES[self.kind].draw(np.random.default_rng(self.seed), self.n)

    def shape(self, unit: Array, parameters: Mapping[str, Array], beta_gamma: Array) -> list[Array]:
        """q = A u1, p = B u1 + C u2 in each plane."""
        made = []
        for k, plane in enumerate(self.planes):
            u1, u2 = unit[2 * k, :], unit[2 * k + 1, :]
            A, B, C = (per_particle(c) for c in plane.coefficients(parameters, beta_gamma))
            made += [A * u1, B * u1 + C * u2]
        return made

    def shape_pullback(
        self, unit: Array, parameters: Mapping[str, Array], beta_gamma: Array, X_bar: Array
    ) -> tuple[dict[str, Array], Array]:
        """Sum over the particles, then each plane's own pullback."""
        bars: dict[str, Array] = {}
        beta_gamma_bar = namespace(X_bar).zeros_like(X_bar[..., 0, 0])
        for k, plane in enumerate(self.planes):
            u1, u2 = unit[2 * k, :], unit[2 * k + 1, :]
            q_bar, p_bar = X_bar[..., 2 * k, :], X_bar[..., 2 * k + 1, :]
            sums = over_particles(q_bar * u1), over_particles(p_bar * u1), over_particles(p_bar * u2)
            own, through = plane.pullback(parameters, beta_gamma, sums)
            beta_gamma_bar = beta_gamma_bar + through
            for name, bar in own.items():
                bars[name] = bars[name] + bar if name in bars else bar
        return bars, beta_gamma_bar


def parameter_names(family: Family) -> tuple[str, ...]:
    """Names of all parameters that a family can be given."""
    names = []
    for plane, (q, p) in PLANES.items():
        names += [f"sigma_{q}", f"sigma_{p}", f"correlation_{q}"]
        names += [f"radius_{q}"] if family.edge else []
        names += [f"{what}_{plane}" for what in ("beta", "alpha", "emittance", "normalized_emittance")]
    names += ["radius"] if family.ball else []
    names += ["covariance"] if family.kind == "gaussian" else []
    return (*names, *SHEARS, *MEANS)


def _plane(family: Family, k: int, given: Mapping[str, Any], values: dict[str, Any]) -> BySizes | ByTwiss:
    """Find in which way a plane is given, and note the values of its parameters, defaults included."""
    plane, (q, p) = list(PLANES.items())[k]
    beta, alpha, emittance = f"beta_{plane}", f"alpha_{plane}", f"emittance_{plane}"
    sigma_q, sigma_p, correlation = f"sigma_{q}", f"sigma_{p}", f"correlation_{q}"
    emittances = (emittance, f"normalized_{emittance}")
    position = _only_one(given, "radius", f"radius_{q}", sigma_q) or sigma_q
    twiss = [name for name in (beta, alpha, *emittances) if name in given]
    sizes = [name for name in (position, sigma_p, correlation) if name in given]
    if not twiss:
        values[position], values[sigma_p] = given.get(position, 0.0), given.get(sigma_p, 0.0)
        values[correlation] = given.get(correlation, 0.0)
        scale = 1.0 if position == sigma_q or not family.edge else 1.0 / family.edge[k]
        return BySizes(position, sigma_p, correlation, scale, moving=position == "radius" and plane == "z")
    if sizes:
        raise InputError(f"beam.{twiss[0]}", given[twiss[0]], f"left out where {sizes[0]} is given")
    chosen = _only_one(given, *emittances)
    if chosen is None or beta not in given:
        if beta not in given:
            raise InputError(f"beam.{beta}", None, f"given, together with {twiss[0]}")
        raise InputError(f"beam.{emittance}", None, f"given, or {emittances[1]}, together with {beta}")
    values[beta], values[alpha], values[chosen] = given[beta], given.get(alpha, 0.0), given[chosen]
    return ByTwiss(beta, alpha, chosen, normalized=chosen != emittance)


def _only_one(given: Mapping[str, Any], *names: str) -> str | None:
    """Return which of several names that exclude each other is given, if any."""
    found = [name for name in names if name in given]
    if len(found) > 1:
        raise InputError(f"beam.{found[1]}", given[found[1]], f"left out where {found[0]} is given")
    return found[0] if found else None
