"""Nine particles through single elements of ImpactX (wheel impactx-noacc 26.10), and through ours by `track`.

Where the map is the same, to 1e-12 of the greatest value of each coordinate. Where ImpactX has integrated to
order 6 in 50 steps, ours comes to the same at the order that it was asked for: half the step, 2^order times
nearer. Where the model is another one, the difference is the one that theory says.

Vectors of elements that we do not have:

``drift_chromatic, quad_chromatic``     paraxial Hamiltonian with the full dependence on energy; ours is exact
``quadedge_entry``                      fringe of a quadrupole
``thin_dipole``                         kick of a bend of no length, with its dispersion
``rfcavity``                            cavity by the Fourier series of its field on the axis
``plasma_lens_chromatic``               a lens that focuses both planes
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backbeam import (
    Beam,
    Buncher,
    ConstantFocusing,
    Corrector,
    DipoleEdge,
    Drift,
    Line,
    LinearMap,
    Quadrupole,
    RFCavity,
    SectorBend,
    Sextupole,
    Solenoid,
    ThinMultipole,
    track,
)
from backbeam.species import SPEED_OF_LIGHT, species_named

DATA = json.loads((Path(__file__).parents[1] / "data" / "element_vectors.json").read_text())
VECTORS = {vector["id"]: vector for vector in DATA["vectors"]}
TO_OURS = np.asarray([1.0, 1.0, 1.0, 1.0, 1.0, -1.0])[:, None]
"""ImpactX counts pt the other way round."""


def ours(coordinates: list) -> np.ndarray:
    return np.asarray(coordinates, dtype=np.float64).T * TO_OURS


def beam_into(name: str) -> Beam:
    """The nine particles about ImpactX's own reference momentum: its masses are those of CODATA 2022, ours of 2018."""
    vector = VECTORS[name]
    species = species_named(vector["species"])
    momentum = vector["ref_in"]["pz"] * species.mass
    return Beam.from_arrays(ours(DATA["input"]), species=species, reference_momentum=momentum, charge=0.0)


def rotation(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    M = np.eye(6)
    M[[0, 1, 2, 3], [0, 1, 2, 3]] = c
    M[[0, 1], [2, 3]], M[[2, 3], [0, 1]] = -s, s
    return M


def buncher(v: dict[str, Any]) -> Buncher:
    """Its V is in units of P0 c/e."""
    momentum = float(beam_into("buncher").reference.momentum)
    return Buncher(v["V"] * momentum, v["k"] * SPEED_OF_LIGHT / (2 * np.pi), model="linear")


SAME = {
    "drift": lambda v: Drift(v["ds"], model="linear"),
    "drift_exact": lambda v: Drift(v["ds"]),
    "quad_focus": lambda v: Quadrupole(v["ds"], v["k"], model="linear"),
    "quad_misaligned": lambda v: Quadrupole(
        v["ds"], v["k"], model="linear", dx=v["dx"], dy=v["dy"], roll=float(np.deg2rad(v["rotation"]))
    ),
    "sbend": lambda v: SectorBend(v["ds"], v["ds"] / v["rc"], model="linear"),
    "solenoid": lambda v: Solenoid(v["ds"], v["ks"], model="linear"),
    "constf": lambda v: ConstantFocusing(v["ds"], v["kx"], v["ky"], v["kt"]),
    "multipole_sext_thin": lambda v: ThinMultipole(k2l=v["K_normal"], k2sl=v["K_skew"]),
    "kicker": lambda v: Corrector(hkick=v["xkick"], vkick=v["ykick"]),
    "buncher": buncher,
    "plane_xyrotation": lambda v: LinearMap(rotation(v["angle"])),
}
"""Elements whose map is that of ImpactX."""

INTEGRATED = {
    "quad_exact_o6": lambda v, **how: Quadrupole(v["ds"], v["k"], splitting="drift-kick", **how),
    "multipole_exact_sext_o6": lambda v, **how: Sextupole(v["ds"], v["k_normal"][2], v["k_skew"][2], **how),
}
"""Elements that both integrate, each in its own way."""

NEARLY = {"dipedge_linear", "cfbend_exact_o6", "chracc_uniform"}
"""Elements of another model: what is between the two is known."""

NONE = {"drift_chromatic", "quad_chromatic", "quadedge_entry", "thin_dipole", "rfcavity", "plasma_lens_chromatic"}


def miss(name: str, element) -> float:
    """Greatest difference of a coordinate, in units of the greatest value that it has."""
    found = track(Line([element]), beam_into(name)).coordinates
    wanted = ours(VECTORS[name]["out"])
    assert np.array_equal(found[:, 0], wanted[:, 0]) or np.max(abs(found[:, 0] - wanted[:, 0])) < 1e-15
    return float(np.max(np.max(abs(found - wanted), axis=1) / np.max(abs(wanted), axis=1)))


def test_every_vector_is_accounted_for():
    assert set(VECTORS) == {*SAME, *INTEGRATED, *NEARLY, *NONE}


@pytest.mark.parametrize("name", SAME)
def test_same_map(name):
    assert miss(name, SAME[name](VECTORS[name]["params"])) <= 1e-12


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize("name", INTEGRATED)
def test_integrators_meet_at_their_order(name, order):
    """Each from steps so many that the leading error rules, and so few that it is not rounding."""
    make, given = INTEGRATED[name], VECTORS[name]["params"]
    steps = {2: 16, 4: 8, 6: 2}[order]
    errors = [miss(name, make(given, order=order, steps=k * steps)) for k in (1, 2)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)
    finest = {2: 1024, 4: 128, 6: 32}[order]
    assert miss(name, make(given, order=order, steps=finest)) <= {2: 1e-6, 4: 1e-9, 6: 1e-11}[order]


@pytest.mark.parametrize(("order", "one_step"), [(2, 1e-3), (4, 1e-5), (6, 1e-6)])
def test_default_quadrupole(order, one_step):
    """O(epsilon h^order) + O(epsilon^2 h^2), epsilon being the small rest of the exact drift: soon the second."""
    name = "quad_exact_o6"
    v = VECTORS[name]["params"]
    errors = [miss(name, Quadrupole(v["ds"], v["k"], order=order, steps=steps)) for steps in (1, 16, 32, 1024)]
    assert errors[0] <= one_step
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.05)
    assert errors[3] <= 1e-9


def test_pole_face():
    """ImpactX has the fringe to first order in the gap, ours is h tan(e - v): what is between is of second order."""
    v, X, X1 = VECTORS["dipedge_linear"]["params"], ours(DATA["input"]), ours(VECTORS["dipedge_linear"]["out"])
    h, e = 1.0 / v["rc"], v["psi"]
    turn = h * v["g"] * v["K2"] * (1.0 + np.sin(e) ** 2) / np.cos(e)  # ImpactX's g is the full gap
    beam = beam_into("dipedge_linear")
    found = track(Line([DipoleEdge(h, e, fint=v["K2"], hgap=0.5 * v["g"])]), beam).coordinates
    others = [0, 1, 2, 4, 5]
    assert np.max(abs(found - X1)[others]) <= 1e-18
    # h tan(e - v) = h tan(e) - h v/cos^2 e + h v^2 tan(e)/cos^2 e - ...
    second = h * turn**2 * np.tan(e) / np.cos(e) ** 2
    np.testing.assert_allclose(found[3] - X1[3], -second * X[2], rtol=0.1, atol=1e-18)


@pytest.mark.parametrize("order", [2, 4, 6])
def test_combined_function_bend(order):
    """Its gradients are of ln(1 + h x)/h, ours of x: -h k1 goes to our k2, and the fields differ from x^3 on."""
    name = "cfbend_exact_o6"
    v, wanted = VECTORS[name]["params"], ours(VECTORS[name]["out"])
    h, k1, k2 = v["k_normal"]

    def bend(order: int, steps: int) -> np.ndarray:
        element = SectorBend(v["ds"], v["ds"] * h, k1=k1, k2=k2 - h * k1, order=order, steps=steps)
        return track(Line([element]), beam_into(name)).coordinates

    limit = bend(6, 64)
    assert np.max(abs(limit - wanted)) < 2e-9
    steps = {2: 16, 4: 8, 6: 2}[order]
    errors = [np.max(abs(bend(order, k * steps) - limit)) for k in (1, 2)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)


def test_uniform_acceleration():
    """ImpactX accelerates 10 MeV over 0.5 m in a paraxial closed form; our gaps come to it with the square of the step.

    What is left is the exact Hamiltonian's: terms of third order in particles of 2 mrad and 1 % in energy.
    """
    name = "chracc_uniform"
    given, species = VECTORS[name]["params"], species_named("electron")
    voltage = given["ez"] * given["ds"] * species.mass

    def cavity(steps: int) -> RFCavity:
        return RFCavity(given["ds"], voltage=voltage, frequency=0.0, steps=steps)

    after = track(Line([cavity(4)]), beam_into(name)).reference
    assert float(after.beta_gamma) == pytest.approx(VECTORS[name]["ref_out"]["pz"], rel=1e-9)
    errors = [miss(name, cavity(steps)) for steps in (4, 8, 512)]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)
    assert errors[2] <= 1e-5
