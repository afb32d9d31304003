"""Against ImpactX 26.10: 64 particles through a drift with 3D space charge, tests/data/kick_vectors.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bunches import worst
from called import forward

from backbeam.effects.space_charge import FixedExtent, SpaceCharge3D
from backbeam.reference import Reference
from backbeam.species import PROTON_MASS, VACUUM_PERMITTIVITY, Species

CASES = {
    case["id"]: case
    for case in json.loads((Path(__file__).parents[1] / "data" / "kick_vectors.json").read_text())["cases"]
}
CODATA_2022 = 8.854_187_8188e-12
"""epsilon_0 of ImpactX 26.10; ours is that of 2018, 7e-10 less."""
OURS = [name for name, case in CASES.items() if case["shape_order_deposit"] == 1]


def particles(case, which):
    """Coordinates in our sign of pt."""
    return np.array(case[which]).T * np.array([1, 1, 1, 1, 1, -1.0])[:, None]


def linear_drift(X, ref, length):
    """ImpactX's element of the file."""
    x, px, y, py, tau, pt = X
    return np.stack([x + length * px, px, y + length * py, py, tau - length * pt / ref.beta_gamma**2, pt])


def setting(case):
    # The file gives gamma and the kinetic energy; the mass is their ratio, another edition of CODATA than
    # ours.
    gamma = case["gamma_ref"]
    mass = case["kin_energy_MeV"] * 1e6 / (gamma - 1.0)
    assert abs(mass / PROTON_MASS - 1.0) < 1e-8
    ref = Reference(np.asarray(np.sqrt((gamma - 1.0) * (gamma + 1.0))), Species("proton", mass, 1.0))
    # ImpactX kicks at fixed t, with the energy of the reference, and has no guard nodes.
    extent = FixedExtent(case["grid_lo"], case["grid_hi"], guard=0)
    kick = SpaceCharge3D(tuple(n + 1 for n in case["n_cell"]), extent, at="t")
    X = particles(case, "input")
    return (
        kick,
        ref,
        X,
        np.full(X.shape[-1], case["bunch_charge_C"] / X.shape[-1] * VACUUM_PERMITTIVITY / CODATA_2022),
    )


@pytest.mark.parametrize("name", OURS)
def test_coordinates_after_a_slice(name):
    case = CASES[name]
    kick, ref, X, q = setting(case)
    ds = np.asarray(case["ds"])
    if case["strang"]:
        X1 = linear_drift(forward(kick, linear_drift(X, ref, 0.5 * ds), q, None, ref, ds), ref, 0.5 * ds)
    else:
        X1 = linear_drift(forward(kick, X, q, None, ref, ds), ref, ds)
    target = particles(case, "output")
    for k in range(6):
        assert worst(X1[k], target[k]) < 1e-11


@pytest.mark.parametrize("name", [name for name in OURS if "rho" in CASES[name]])
def test_charge_and_potential_on_the_grid(name):
    case = CASES[name]
    kick, ref, X, q = setting(case)
    fields = kick.fields(X, q, None, ref)
    np.testing.assert_allclose(fields.lower, case["grid_lo"], rtol=0, atol=1e-15)
    rho = np.array(case["rho"]).reshape(case["rho_shape"])
    phi = np.array(case["phi"]).reshape(case["phi_shape"])
    assert worst(fields.rho * CODATA_2022 / VACUUM_PERMITTIVITY, rho) < 1e-11
    assert worst(fields.phi, phi) < 1e-11
