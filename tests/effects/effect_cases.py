"""One case for every effect: what it is given, and what must hold of it. An effect without a case fails the suite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backbeam.effects import (
    CSR,
    Effect,
    ResistiveWallWake,
    ResonatorWake,
    SpaceCharge2DPipe,
    SpaceCharge3D,
    SpaceCharge25D,
    SteadyCSR,
    TableWake,
)


@dataclass(frozen=True)
class Case:
    """An effect as the engine calls it, with values for all that it asks for."""

    label: str
    effect: Effect
    p: dict[str, float]
    sizes: tuple[float, ...] = (1e-3, 1e-3, 2e-3, 1e-3, 1e-4, 1e-2)
    """Rms size of each coordinate."""
    species: str = "electron"
    kinetic_energy: float = 20e6
    charge: float = 1e-8
    """Of the whole beam [C], without its sign: strong enough that a derivative is far from the identity's."""
    conserved: tuple[int, ...] = ()
    """Rows of which the sum, weighted by charge, stays."""


BEND = {"length": 0.05, "angle": 0.2, "arc": 0.5}
PIPE = {"length": 0.3, "radius": 2e-2, "conductivity": 6e6}
MODE = {"R": 3e3, "Q": 2.0, "frequency": 4e11}
ACROSS = {"R": 1e5, "Q": 0.8, "frequency": 4e11}
TABLE = np.linspace(0.0, 6e-4, 30)
ANY = {"R": 1.0, "Q": 1.0, "frequency": 1.0}
TRANSVERSE, ALL = (1, 3), (1, 3, 5)

CASES = [
    Case("resonator", ResonatorWake(**ANY, nodes=24), MODE),
    Case("resonator_along", ResonatorWake(**ANY, nodes=25), {**MODE, "frequency": 3e13, "length": 2.0}),
    Case("resonator_dipole", ResonatorWake(**ANY, component="dipole", nodes=24), ACROSS),
    Case("resonator_quadrupole", ResonatorWake(**ANY, component="quadrupole_y", nodes=24), ACROSS),
    Case("resistive_wall", ResistiveWallWake(radius=1.0, conductivity=1.0, nodes=24), PIPE, charge=1e-6),
    Case(
        "resistive_wall_dipole",
        ResistiveWallWake(radius=1.0, conductivity=1.0, component="dipole_x", nodes=24),
        {**PIPE, "radius": 2e-3},
        charge=1e-7,
    ),
    Case(
        "table",
        TableWake(distance=tuple(TABLE), wake=tuple(3e15 * np.cos(9e3 * TABLE)), nodes=24),
        {"scale": 0.7, "length": 2.0},
    ),
    Case("csr_in_bend", CSR(nodes=24), {**BEND, "passed": 0.2}),
    Case(
        "csr_behind",
        CSR(nodes=24),
        {**BEND, "passed": 0.3, "behind": 0.3},
        sizes=(1e-3, 1e-3, 2e-3, 1e-3, 3e-4, 1e-3),
    ),
    Case("steady_csr", SteadyCSR(nodes=24), BEND),
    Case(
        "space_charge_3d",
        SpaceCharge3D(grid=(8, 9, 10)),
        {"length": 0.1},
        sizes=(1e-3, 2e-3, 2e-3, 1e-3, 3e-3, 2e-3),
        species="proton",
        charge=1e-8,
        conserved=ALL,
    ),
    *(
        Case(
            f"space_charge_2.5d_{profile}",
            SpaceCharge25D(grid=(8, 9, 10), profile=profile),
            {"length": 0.1},
            sizes=(1e-3, 2e-3, 2e-3, 1e-3, 1e-1, 2e-3),
            species="proton",
            charge=1e-7,
            conserved=TRANSVERSE if profile == "sliced" else (),
        )
        for profile in ("shared", "sliced")
    ),
    Case(
        "space_charge_pipe",
        SpaceCharge2DPipe(0.05, 0.06, 0.2, (5, 7)),
        {"length": 0.1},
        species="proton",
        charge=1e-8,
        kinetic_energy=1e6,
    ),
]
