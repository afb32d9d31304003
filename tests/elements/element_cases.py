"""One case or more for every element: how to make it. An element without a case fails the suite."""

from __future__ import annotations

import numpy as np

import backbeam as bb

MATRIX = np.eye(6) + 0.05 * np.random.default_rng(4).normal(size=(6, 6))

CASES: dict[str, dict] = {
    "drift": {"length": 0.7},
    "drift_linear": {"length": 0.7, "model": "linear"},
    "quadrupole": {"length": 0.3, "k1": 8.0},
    "quadrupole_linear": {"length": 0.3, "k1": -8.0, "model": "linear"},
    "quadrupole_moved": {"length": 0.3, "k1": 8.0, "dx": 3e-4, "dy": -2e-4, "roll": 0.17},
    "quadrupole_turned": {
        "length": 0.3,
        "k1": 8.0,
        "ds": 1e-3,
        "pitch": 1e-3,
        "yaw": 2e-3,
        "tilt": 0.17,
        "model": "linear",
    },
    "quadrupole_held": {"length": 0.3, "k1": 8.0, "design_momentum": 2.2e7, "model": "linear"},
    "sextupole": {"length": 0.2, "k2": 80.0, "k2s": -20.0},
    "sextupole_linear": {"length": 0.2, "k2": 80.0, "model": "linear"},
    "octupole": {"length": 0.2, "k3": 2e3, "k3s": 500.0, "order": 2, "steps": 3},
    "multipole": {"length": 0.25, "k0": 0.1, "k1": 3.0, "k2": 50.0, "k1s": 1.0, "k5": 1e6, "order": 6, "steps": 2},
    "multipole_linear": {"length": 0.25, "k1": 3.0, "k2": 50.0, "model": "linear"},
    "thin_multipole": {"k0l": 1e-3, "k1l": 0.4, "k2sl": 5.0},
    "thin_multipole_moved": {"k1l": 0.4, "ds": 1e-3, "pitch": 1e-3, "roll": 0.1},
    "thin_multipole_bending": {"k0l": 0.21, "k1l": 0.4, "angle": 0.2, "lrad": 0.5, "pitch": 1e-3, "dx": 1e-4},
    "patch": {"dx": 1e-4, "ds": 0.1, "pitch": 1e-3, "yaw": -1e-3, "roll": 0.3},
    "patch_shift": {"dy": 1e-4, "ds": -0.2},
    "corrector": {"length": 0.2, "hkick": 1e-3, "vkick": -5e-4},
    "corrector_linear": {"length": 0.2, "hkick": 1e-3, "model": "linear"},
    "corrector_thin": {"vkick": -5e-4},
    "sector_bend": {"length": 0.5, "angle": 0.26},
    "sector_bend_edges": {"length": 0.5, "angle": -0.26, "e1": -0.1, "e2": 0.12, "fint": 0.5, "hgap": 0.02},
    "sector_bend_hard": {
        "length": 0.5,
        "angle": 0.26,
        "e1": 0.1,
        "fint": 0.4,
        "hgap": 0.02,
        "fringe": "hard",
        "k1": 0.5,
    },
    "sector_bend_field": {
        "length": 0.5,
        "angle": 0.2,
        "k0": 0.41,
        "e1": 0.1,
        "fint": 0.4,
        "hgap": 0.02,
        "fint_exit": 0.6,
    },
    "sector_bend_combined": {"length": 0.5, "angle": 0.2, "k1": 1.3, "k2": 4.0, "e1": 0.1},
    "sector_bend_moved": {
        "length": 0.5,
        "angle": 0.3,
        "e1": 0.1,
        "dx": 3e-4,
        "dy": -2e-4,
        "ds": 1e-3,
        "pitch": 2e-3,
        "yaw": -1e-3,
        "roll": 0.01,
        "tilt": 0.4,
        "pivot": "middle",
    },
    "sector_bend_linear": {"length": 0.5, "angle": 0.2, "k1": 1.3, "e1": 0.1, "e2": 0.1, "model": "linear"},
    "rectangular_bend": {"length": 0.5, "angle": 0.26, "fint": 0.4, "hgap": 0.01},
    "dipole_edge": {"curvature": 0.5, "e": 0.12},
    "dipole_edge_fringe": {"curvature": 0.5, "e": 0.12, "fint": 0.5, "hgap": 0.025},
    "solenoid": {"length": 0.7, "ks": 0.8},
    "solenoid_quadrupole": {"length": 0.4, "ks": 0.8, "k1": 3.0, "k1s": -1.0},
    "solenoid_linear": {"length": 0.7, "ks": 0.8, "model": "linear"},
    "rf_cavity": {"length": 1.0, "voltage": 5e6, "frequency": 1.3e9, "phase": -0.4},
    "rf_cavity_linear": {"length": 1.0, "voltage": 5e6, "frequency": 1.3e9, "phase": -0.4, "model": "linear"},
    "rf_cavity_thin": {"voltage": 5e6, "frequency": 1.3e9, "phase": 0.3},
    "rf_cavity_on_axis": {"length": 1.0, "voltage": 5e6, "frequency": 1.3e9, "radial_kick": False},
    "rf_cavity_standing": {
        "length": 1.0,
        "voltage": 9e6,
        "frequency": 1.3e9,
        "phase": -0.4,
        "structure": "standing",
        "steps": 1,
    },
    "rf_cavity_travelling_linear": {
        "length": 1.0,
        "voltage": 9e6,
        "frequency": 3e9,
        "structure": "travelling",
        "steps": 1,
        "model": "linear",
    },
    "buncher": {"voltage": 1e6, "frequency": 1.3e9},
    "buncher_linear": {"voltage": 1e6, "frequency": 1.3e9, "model": "linear"},
    "field_cavity": {
        "length": 0.2,
        "scale": 1e7,
        "frequency": 1.3e9,
        "phase": 0.3,
        "field_cos": np.array([0.5, 0.2, 0.1]),
        "field_sin": np.array([0.0, 0.1, -0.1]),
        "order": 2,
        "steps": 7,
    },
    "crab_cavity": {"length": 0.4, "voltage": 5e5, "frequency": 3e9, "phase": -1.2, "roll": 0.3},
    "crab_cavity_thin": {"voltage": 5e5, "frequency": 3e9},
    "constant_focusing": {"length": 0.8, "kx": 1.1, "ky": 0.9, "kt": 0.02},
    "linear_map": {"matrix": MATRIX},
    "aperture": {"half_x": 8e-4, "half_y": 9e-4},
    "aperture_elliptical": {
        "half_x": 8e-4,
        "half_y": 9e-4,
        "shape": "elliptical",
        "dx": 1e-4,
        "tilt": 0.3,
        "yaw": 0.02,
    },
    "aperture_polygon": {
        "opening": {"polygon": {"corners": [(-9e-4, -9e-4), (9e-4, -8e-4), (0.0, 9e-4)]}},
        "roll": 0.3,
    },
    "drift_in_a_pipe": {"length": 0.7, "aperture": 1.2e-3, "aperture_tests": 3, "dx": 1e-4},
    "quadrupole_in_a_pipe": {
        "length": 0.3,
        "k1": 8.0,
        "aperture_tests": 2,
        "aperture": {"racetrack": {"half_x": 9e-4, "half_y": 8e-4, "radius_x": 4e-4}},
    },
    "aperture_absorbing": {"half_x": 3e-4, "half_y": 5e-4, "action": "absorb"},
    "marker": {},
    "monitor": {"dx": 1e-4},
    "monitor_long": {"length": 0.3, "dx": 1e-4, "yaw": 1e-3},
    "screen": {"half_x": 9e-4, "half_y": 1.2e-3, "pixels": (12, 9)},
}
"""Label -> fields; the label begins with the kind."""


def make(label: str, **changes) -> bb.elements.Element:
    """The element of a case."""
    kind = max((k for k in bb.elements.Element.kinds if label.startswith(k)), key=len)
    return bb.elements.Element.kinds[kind](**{**CASES[label], **changes}, name="it")
