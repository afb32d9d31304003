"""The problems whose memory is measured, as plain data of problem files."""

from __future__ import annotations

from typing import Any

CAVITY = {"length": 0.2, "voltage": 1e6, "frequency": 1.3e9, "phase": 0.2}
BEND = {"length": 0.2, "angle": 0.02}
ELEMENTS: dict[str, dict[str, Any]] = {
    "drift": {"drift": {"length": 0.1}},
    "quadrupole": {"quadrupole": {"length": 0.1, "k1": 1.0}},
    "quadrupole, order 2": {"quadrupole": {"length": 0.1, "k1": 1.0, "order": 2}},
    "linear drift": {"drift": {"length": 0.1, "model": "linear"}},
    "sextupole": {"sextupole": {"length": 0.1, "k2": 2.0}},
    "sextupole, order 2": {"sextupole": {"length": 0.1, "k2": 2.0, "order": 2}},
    "thin multipole": {"thin_multipole": {"k1l": 0.01, "k2l": 0.1}},
    "bend": {"sector_bend": BEND},
    "bend with edges": {"sector_bend": {**BEND, "e1": 0.01, "e2": 0.01, "fint": 0.5, "hgap": 0.01}},
    "combined bend": {"sector_bend": {**BEND, "k1": 0.5}},
    "combined bend, order 2": {"sector_bend": {**BEND, "k1": 0.5, "order": 2}},
    "solenoid": {"solenoid": {"length": 0.1, "ks": 0.2}},
    "linear solenoid": {"solenoid": {"length": 0.1, "ks": 0.2, "model": "linear"}},
    "cavity": {"rf_cavity": CAVITY},
    "linear cavity": {"rf_cavity": {**CAVITY, "model": "linear"}},
    "standing cavity": {"rf_cavity": {**CAVITY, "structure": "standing"}},
    "crab cavity": {"crab_cavity": {"length": 0.2, "voltage": 1e5, "frequency": 1.3e9}},
    "linear map": {"linear_map": {"matrix": [[float(i == j) for j in range(6)] for i in range(6)]}},
    "buncher": {"buncher": {"voltage": 1e4, "frequency": 1.3e9}},
    "constant focusing": {"constant_focusing": {"length": 0.1, "kx": 0.1, "ky": 0.1, "kt": 0.01}},
    "moved quadrupole": {"quadrupole": {"length": 0.1, "k1": 1.0, "dx": 1e-5, "roll": 0.01}},
    "monitor": {"monitor": {}},
    "screen": {"screen": {"half_x": 5e-3, "half_y": 5e-3, "pixels": [16, 16]}},
}
"""Between them every map and every observation, integrators with two numbers of substeps."""

APERTURE = {"aperture": {"half_x": 0.05, "half_y": 0.05}}


def beam(n: int) -> dict[str, Any]:
    """A ball of electrons that space charge blows up."""
    return {
        "distribution": "uniform_ellipsoid", "species": "electron", "n": n, "kinetic_energy": 250e6, "charge": 1e-9,
        "radius": 1e-3, "seed": 1,
    }  # fmt: skip


def expanding(n: int, grid: int | tuple[int, int, int], kicks: int, lossy: bool = False) -> dict[str, Any]:
    """A drift with so many kicks on a grid; with an aperture in front, particles may be lost."""
    return {
        "beam": beam(n),
        "lattice": [*([APERTURE] if lossy else []), {"drift": {"length": 6.0, "name": "d"}}],
        "space_charge": {"model": "3d", "grid": [grid] * 3 if isinstance(grid, int) else list(grid)},
        "track": {"slices": kicks},
    }


def pipe(n: int, waves: int, kicks: int) -> dict[str, Any]:
    """The same beam in a grounded pipe."""
    return {
        **expanding(n, 16, kicks),
        "space_charge": {"model": "pipe", "width": 0.05, "height": 0.05, "length": 0.1, "modes": [waves, waves]},
    }


def elements(
    label: str, n: int, count: int, lossy: bool = False, ahead: dict[str, Any] | None = None, times: int = 1
) -> dict[str, Any]:
    """Some elements of a kind without space charge; before every ``times`` of them another one, which keeps them apart.

    Neighbouring linear ones are merged.
    """
    group = [*([ahead] if ahead else []), *[ELEMENTS[label]] * times]
    return {"beam": beam(n), "lattice": [*([APERTURE] if lossy else []), *group * count]}


def on(tree: dict[str, Any], backend: str, dtype: str, device: str | None = None) -> dict[str, Any]:
    """The problem on a library."""
    run = {"backend": backend, "dtype": dtype, **({"device": device} if device else {})}
    return {**tree, "run": run}
