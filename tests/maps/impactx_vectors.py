"""Nine particles through single elements of ImpactX (wheel impactx-noacc 26.10), in our coordinates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from backbeam.reference import Reference
from backbeam.species import species_named

DATA = json.loads((Path(__file__).parents[1] / "data" / "element_vectors.json").read_text())
TO_OURS = np.asarray([1.0, 1.0, 1.0, 1.0, 1.0, -1.0])[:, None]
"""ImpactX counts pt the other way round."""


class Vector(NamedTuple):
    """One element: what goes in and what comes out."""

    X: np.ndarray
    X1: np.ndarray
    reference: Reference
    given: dict


def vector(name: str) -> Vector:
    """Coordinates before and after, the reference, and the element's parameters in ImpactX's words."""
    (v,) = (v for v in DATA["vectors"] if v["id"] == name)
    X, X1 = (np.asarray(a, dtype=np.float64).T * TO_OURS for a in (DATA["input"], v["out"]))
    beta_gamma = np.asarray(v["ref_in"]["pz"])  # its own: the masses differ in the tenth digit
    return Vector(X, X1, Reference(beta_gamma, species_named(v["species"])), v["params"])
