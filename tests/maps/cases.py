"""One case for every map: how to make it, and the range of each parameter. A map without a case fails the suite."""

from __future__ import annotations

from dataclasses import dataclass, field

from backbeam.maps import drift, multipole
from backbeam.maps.base import Map


@dataclass(frozen=True)
class Case:
    """A map with a range for each of its parameters.

    ``singular`` lists parameter values at which a careless formula breaks; they are tried besides the drawn ones.
    """

    label: str
    map: Map
    ranges: dict[str, tuple[float, float]]
    singular: tuple[dict[str, float], ...] = ()
    species: str = "electron"
    kinetic_energy: float = 20e6
    kinetic_energies: tuple[float, ...] = field(default=())
    size: float = 1e-3
    """Size of the coordinates that are drawn."""


C = multipole.Component
ALL_ORDERS = tuple(C(f"k{j}", j) for j in range(4)) + tuple(C(f"k{j}s", j, True) for j in range(4))
STRENGTHS = {"k0": (-0.3, 0.3), "k1": (-20.0, 20.0), "k2": (-400.0, 400.0), "k3": (-9e3, 9e3)}
STRENGTHS |= {f"{k}s": v for k, v in STRENGTHS.items()}

CASES = [
    Case("drift", drift.Drift(), {"length": (0.0, 2.0)}, ({"length": 0.0},)),
    Case("drift_fraction", drift.Drift(0.3), {"length": (0.0, 2.0)}, species="proton", kinetic_energy=2e6),
    Case("thin_multipole", multipole.ThinMultipole(ALL_ORDERS), STRENGTHS, (dict.fromkeys(STRENGTHS, 0.0),)),
    Case(
        "thick_quadrupole",
        multipole.ThickMultipole((C("k1", 1),), 4, 2),
        {"length": (0.0, 0.5), "k1": (-20.0, 20.0)},
        ({"length": 0.3, "k1": 0.0}, {"length": 0.0, "k1": 3.0}),
    ),
    Case("thick_mixed", multipole.ThickMultipole(ALL_ORDERS, 2, 3, 0.5), {"length": (0.0, 0.5), **STRENGTHS}),
    Case("thick_sixth_order", multipole.ThickMultipole((C("k2", 2),), 6, 1), {"length": (0.0, 0.5), "k2": (-90.0, 90.0)}),
    Case(
        "corrector",
        multipole.ThickMultipole((C("h", 0, False, -1.0), C("v", 0, True)), 2, 1, 0.5, integrated=True),
        {"length": (0.0, 0.5), "h": (-1e-2, 1e-2), "v": (-1e-2, 1e-2)},
    ),
]
