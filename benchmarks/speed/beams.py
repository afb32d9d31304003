"""The beams of the tables: drawn once by backbeam, written to a file, read by every code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import backbeam as bb

SPECIES, KINETIC_ENERGY, CHARGE = "electron", 250e6, 1e-9
SIGMAS = {"sigma_x": 1e-3, "sigma_px": 1e-4, "sigma_y": 1e-3, "sigma_py": 1e-4, "sigma_tau": 1e-3, "sigma_pt": 1e-3}
WORDS = (
    "1 nC of electrons at 250 MeV, Gaussian: sigma_x = sigma_y = sigma_tau = 1 mm, sigma_px = sigma_py = 1e-4, "
    "sigma_pt = 1e-3"
)


def write_beam(folder: Path, n: int) -> str:
    """Draw the beam of n particles, and return the path of its file."""
    path = folder / f"beam-{n}.npz"
    if not path.exists():
        beam = bb.Beam.gaussian(n=n, species=SPECIES, kinetic_energy=KINETIC_ENERGY, charge=CHARGE, seed=1, **SIGMAS)
        X = np.asarray(beam.coordinates)
        np.savez(path, coordinates=X, species=SPECIES, kinetic_energy=KINETIC_ENERGY, charge=CHARGE)
    return str(path)


def read_beam(path: str) -> np.ndarray:
    """Coordinates (6, n)."""
    with np.load(path) as found:
        return found["coordinates"]
