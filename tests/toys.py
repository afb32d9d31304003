"""An effect with a closed form and an array library, as somebody else's code would bring them."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import array_api_strict
import numpy as np

from backbeam.arrays import join, namespace, over_particles, per_particle, rows
from backbeam.effects import Effect, EffectBars
from backbeam.parameters import REQUIRED, parameter
from backbeam_backends import Backend


@dataclass(frozen=True)
class Pull(Effect):
    """A pull to the centre of charge in x: px -= strength Q length (x - its mean), without length at a point."""

    strength: Any = parameter(REQUIRED, unit="1/(C m^2)")

    kind: ClassVar[str] = "toy_pull"

    def _parts(self, bunch, p):
        xp = namespace(bunch.X)
        q = bunch.q if bunch.alive is None else xp.where(bunch.alive, bunch.q, xp.zeros_like(bunch.q))
        Q = over_particles(q)
        x = bunch.X[..., 0, :]
        moment = over_particles(q * x)
        by = p["strength"] * p.get("length", 1.0)
        change = per_particle(by + xp.zeros_like(Q)) * (per_particle(Q) * x - per_particle(moment))
        if bunch.alive is not None:
            change = xp.where(bunch.alive, change, xp.zeros_like(change))
        return x, q, Q, moment, change

    def _moved(self, bunch, change):
        x, px, *rest = rows(bunch.X)
        return join(x, px + change, *rest)

    def forward(self, bunch, p):
        return self._moved(bunch, -self._parts(bunch, p)[-1])

    def inverse(self, bunch, p):
        return self._moved(bunch, self._parts(bunch, p)[-1])

    def pullback(self, bunch, p, X1_bar):
        xp = namespace(bunch.X)
        x, q, Q, moment, _ = self._parts(bunch, p)
        x_bar, px_bar, *rest = rows(X1_bar)
        k = -px_bar if bunch.alive is None else xp.where(bunch.alive, -px_bar, xp.zeros_like(px_bar))
        length = p.get("length", 1.0)
        by = p["strength"] * length + xp.zeros_like(Q)
        along, total = over_particles(k * x), over_particles(k)
        x_bar = x_bar + per_particle(by) * (per_particle(Q) * k - q * per_particle(total))
        q_bar = per_particle(by) * (per_particle(along) - x * per_particle(total))
        if bunch.alive is not None:
            q_bar = xp.where(bunch.alive, q_bar, xp.zeros_like(q_bar))
        whole = Q * along - moment * total
        bars = {"strength": whole * length}
        if "length" in p:
            bars["length"] = whole * p["strength"]
        return EffectBars(join(x_bar, px_bar, *rest), q_bar, xp.zeros_like(bunch.reference.beta_gamma + Q), bars)


def _library():
    """A second array_api_strict that knows nothing of the first: arrays of a library that nobody here has heard of."""
    there = Path(array_api_strict.__file__)
    spec = importlib.util.spec_from_file_location("toy_arrays", there, submodule_search_locations=[str(there.parent)])
    library = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = library
    spec.loader.exec_module(library)
    type(library.zeros(1)).__array_namespace__ = lambda self, *, api_version=None: library
    return library


class ToyBackend(Backend):
    """What an adapter cannot do without: arrays in and out, and a scatter."""

    name = "toy_arrays"
    distribution = "array-api-strict"
    namespace = _library()

    def to_numpy(self, array):
        return np.array(np.from_dlpack(array))

    def scatter_add(self, values, index, size):
        places, weights = self.to_numpy(index), self.to_numpy(values)
        return self.namespace.asarray(np.stack([np.bincount(places, weights=w, minlength=size) for w in weights]))
