"""What a beam was made from, by name, and the beam that other values of it make: the same variates, assembled again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backbeam import moments
from backbeam.arrays import Array, namespace, over_particles, per_particle
from backbeam.beam.particles import check
from backbeam.distributions.inputs import KINETIC_ENERGY, Rule, rule_of, sign_of, whole_number
from backbeam.errors import InputError
from backbeam.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backbeam.beam.beam import Beam

CHARGE = Rule("a charge in C, at least 0", lambda v: v >= 0)


def parameters(beam: Beam) -> dict[str, Array]:
    """See `Beam.parameters`."""
    found = {
        "charge": sign_of(beam.species) * over_particles(beam.charges),
        "kinetic_energy": beam.kinetic_energy,
    }
    if beam.recipe is not None:
        found.update(beam.recipe.parameters)
        for name in beam.recipe.fixed:
            found.pop(name, None)
    return found


def remade(beam: Beam, changes: Mapping[str, Any]) -> Beam:
    """See `Beam.with_parameters`."""
    reference, q, recipe = beam.reference, beam.charges, beam.recipe
    known = parameters(beam)
    shape: dict[str, Array] = {}
    for name, value in changes.items():
        if name not in known:
            kind = f" ({recipe.kind} beam)" if recipe is not None else ""
            raise InputError("parameter", f"beam.{name}", f"one of {', '.join(known)}{kind}")
        rules = {"charge": CHARGE, "kinetic_energy": KINETIC_ENERGY}
        given = beam.home().array(f"beam.{name}", value, rules.get(name) or rule_of(name))
        if name == "charge":
            q = per_particle(given) * _charge_shares(beam)
        elif name == "kinetic_energy":
            reference = Reference.from_kinetic_energy(given, beam.species)
        else:
            shape[name] = given
    X = beam.coordinates
    if recipe is not None and (shape or reference is not beam.reference):
        recipe = replace(recipe, parameters={**recipe.parameters, **shape})
        X = recipe.assemble(recipe.variates(), recipe.parameters, reference.beta_gamma)
    batch = np.broadcast_shapes(X.shape[:-2], q.shape[:-1], beam.lost_at.shape[:-1])
    lost_at = namespace(X).broadcast_to(beam.lost_at, (*batch, beam.n))
    check(X, reference)
    return beam.replace(coordinates=X, charges=q, reference=reference, recipe=recipe, lost_at=lost_at)


def resampled(beam: Beam, seed: int) -> Beam:
    """See `Beam.with_seed`."""
    if beam.recipe is None:
        raise InputError("beam.seed", seed, "left out: the particles of this beam were given, not drawn")
    recipe = replace(beam.recipe, seed=whole_number("beam.seed", seed, 0))
    X = recipe.assemble(recipe.variates(), recipe.parameters, beam.reference.beta_gamma)
    check(X, beam.reference)
    return beam.replace(coordinates=X, recipe=recipe)


def _charge_shares(beam: Beam) -> Array:
    """Charges per total |charge|, ``(..., n)``; even, signed as the species, where there is no charge."""
    xp = namespace(beam.charges)
    total = sign_of(beam.species) * per_particle(over_particles(beam.charges))
    even = xp.full_like(beam.charges, sign_of(beam.species) / beam.n)
    return xp.where(total != 0.0, moments.safe_divide(beam.charges, total), even)
