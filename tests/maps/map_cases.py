"""One case for every map: how to make it, and the range of each parameter. A map without a case fails the suite."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import pi

from backbeam.maps import (
    bend,
    combined_bend,
    constant_focusing,
    drift,
    edge,
    hard_edge,
    held,
    linear,
    misalignment,
    multipole,
    quadrupole,
    rf,
    rf_deflection,
    rf_field,
    rf_structure,
    rf_wave,
    rigid,
    solenoid,
    solenoid_multipole,
    thin_bend,
)
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
    cancels: float = 0.0
    """What automatic differentiation's cotangents of parameters are good to 1e-11 of, where it takes differences."""
    fuses: bool = True
    """Whether it is one loop over the particles; not where it takes some of them apart."""


C = multipole.Component
ALL_ORDERS = tuple(C(f"k{j}", j) for j in range(4)) + tuple(C(f"k{j}s", j, True) for j in range(4))
STRENGTHS = {"k0": (-0.3, 0.3), "k1": (-20.0, 20.0), "k2": (-400.0, 400.0), "k3": (-9e3, 9e3)}
STRENGTHS |= {f"{k}s": v for k, v in STRENGTHS.items()}
ARC = {"length": (0.2, 2.0), "angle": (-0.8, 0.8)}
SHORT_ARC = {"length": (0.2, 0.8), "angle": (-0.5, 0.5)}
GRADIENTS = {"k1": (-5.0, 5.0), "k2": (-60.0, 60.0)}
FRINGE = {"fint": (0.0, 0.7), "hgap": (0.0, 0.04)}
RF = {"voltage": (-2e6, 2e7), "frequency": (1e8, 3e9), "phase": (-1.6, 1.6)}
RF_BODY = {"length": (0.3, 3.0), "voltage": (-1e7, 6e7), "phase": (-1.6, 1.6)}
RF_FIELD = {"length": (0.1, 0.3), "scale": (1e5, 1e6), "frequency": (1e9, 3e9), "phase": (-1.0, 1.0)}
RF_FIELD |= {"field_cos": (-1.0, 1.0), "field_sin": (-1.0, 1.0)}
SHIFTS = {"dx": (-2e-3, 2e-3), "dy": (-2e-3, 2e-3)}
ERRORS = SHIFTS | {"ds": (-2e-3, 2e-3), "pitch": (-0.02, 0.02), "yaw": (-0.02, 0.02), "roll": (-0.02, 0.02)}


def zeros(*names: str) -> tuple[dict[str, float], ...]:
    """Each parameter at 0 alone, then all of them together."""
    return (*({name: 0.0} for name in names), dict.fromkeys(names, 0.0))


CASES = [
    Case("drift", drift.DriftMap(), {"length": (0.0, 2.0)}, ({"length": 0.0},)),
    Case("drift_fraction", drift.DriftMap(0.3), {"length": (0.0, 2.0)}, species="proton", kinetic_energy=2e6),
    Case("thin_multipole", multipole.ThinMultipoleMap(ALL_ORDERS), STRENGTHS, (dict.fromkeys(STRENGTHS, 0.0),)),
    Case(
        "thick_quadrupole",
        multipole.ThickMultipole((C("k1", 1),), 4, 2),
        {"length": (0.0, 0.5), "k1": (-20.0, 20.0)},
        ({"length": 0.3, "k1": 0.0}, {"length": 0.0, "k1": 3.0}),
    ),
    Case("thick_mixed", multipole.ThickMultipole(ALL_ORDERS, 2, 3, 0.5), {"length": (0.0, 0.5), **STRENGTHS}),
    Case(
        "thick_sixth_order", multipole.ThickMultipole((C("k2", 2),), 6, 1), {"length": (0.0, 0.5), "k2": (-90.0, 90.0)}
    ),
    Case(
        "corrector",
        multipole.ThickMultipole((C("h", 0, False, -1.0), C("v", 0, True)), 2, 1, 0.5, integrated=True),
        {"length": (0.0, 0.5), "h": (-1e-2, 1e-2), "v": (-1e-2, 1e-2)},
    ),
    Case(
        "rf_gap",
        rf.RFGap(),
        {"voltage": (-2e6, 2e7), "frequency": (1e8, 3e9), "phase": (-1.6, 1.6)},
        ({"voltage": 0.0}, {"frequency": 0.0}, {"phase": 0.0}, {"voltage": 0.0, "frequency": 0.0, "phase": 0.0}),
    ),
    Case(
        "rf_gap_share",
        rf.RFGap(0.25),
        {"voltage": (-5e5, 5e5), "frequency": (1e8, 4e8), "phase": (-3.2, 3.2)},
        ({"voltage": 0.0}, {"frequency": 0.0}),
        species="alpha",
        kinetic_energy=12e6,
        size=3e-3,
    ),
    Case(
        "rf_gap_linear",
        rf.LinearRFGap(),
        {"voltage": (-2e6, 2e7), "frequency": (1e8, 3e9), "phase": (-1.6, 1.6)},
        ({"voltage": 0.0}, {"frequency": 0.0}, {"phase": 0.0}),
    ),
    Case(
        "rf_gap_on_axis",
        rf.RFGap(radial=False),
        {"voltage": (-2e6, 2e7), "frequency": (1e8, 3e9), "phase": (-1.6, 1.6)},
        ({"voltage": 0.0}, {"frequency": 0.0}),
    ),
    Case("rf_wave", rf_wave.RFWave(rf.RFGap(0.3)), RF, zeros("voltage", "frequency", "phase")),
    Case("rf_wave_linear", rf_wave.RFWave(rf.LinearRFGap(0.3)), RF, zeros("voltage", "frequency", "phase")),
    *(
        Case(
            f"{label}_{'standing' if standing else 'travelling'}",
            body(0.3, standing),
            RF_BODY,
            ({"voltage": 0.0}, {"phase": 0.0}, {"phase": 0.5 * pi}, {"voltage": 1.0}),
            **beam,
        )
        for label, body in (("rf_body", rf_structure.RFBody), ("linear_rf_body", rf_structure.LinearRFBody))
        for standing, beam in ((True, {}), (False, {"species": "proton", "kinetic_energy": 50e6, "size": 3e-3}))
    ),
    *(
        Case(
            f"rf_end_{label}",
            rf_wave.RFEnd(sign, first_order),
            RF_BODY | {"frequency": RF["frequency"]},
            zeros("voltage", "frequency", "phase"),
        )
        for label, sign, first_order in (("entrance", 1, False), ("exit", -1, False), ("linear", 1, True))
    ),
    Case(
        "rf_deflection",
        rf_deflection.RFDeflection(),
        RF | {"voltage": (-2e5, 2e5)},
        zeros("voltage", "frequency", "phase"),
    ),
    Case(
        "rf_deflection_slow",
        rf_deflection.RFDeflection(0.4),
        {"voltage": (-2e5, 2e5), "frequency": (1e8, 8e8), "phase": (-3.0, 3.0)},
        species="alpha",
        kinetic_energy=4e6,
        size=2e-2,
    ),
    Case("rf_field_piece", rf_field.RFField(0.25, 0.75, 4, 4), RF_FIELD, fuses=False),
    Case("rf_field_exit", rf_field.RFFieldExit(2, 4), RF_FIELD, fuses=False),
    Case("linear_drift", linear.LinearBody(0.4), {"length": (0.0, 2.0)}, ({"length": 0.0},)),
    Case(
        "linear_quadrupole",
        linear.LinearBody(0.7, gradient=True),
        {"length": (0.0, 0.6), "k1": (-20.0, 20.0)},
        ({"length": 0.3, "k1": 0.0}, {"length": 0.0, "k1": 3.0}),
    ),
    Case(
        "linear_bend",
        linear.LinearBody(0.5, curvature=True),
        {"length": (0.2, 2.0), "angle": (-1.0, 1.0)},
        ({"length": 0.5, "angle": 0.0},),
        species="proton",
        kinetic_energy=50e6,
    ),
    Case(
        "linear_combined",
        linear.LinearBody(gradient=True, curvature=True),
        {"length": (0.2, 0.6), "k1": (-8.0, 8.0), "angle": (-0.5, 0.5)},
        (
            {"length": 0.5, "k1": 0.0, "angle": 0.0},
            {"length": 0.5, "k1": -0.16, "angle": 0.2},
            {"length": 0.5, "k1": 0.0, "angle": 0.2},
            {"length": 0.5, "k1": 3.0, "angle": 0.0},
        ),
    ),
    Case(
        "linear_solenoid",
        linear.LinearSolenoid(0.6),
        {"length": (0.0, 1.5), "ks": (-5.0, 5.0)},
        ({"length": 0.5, "ks": 0.0}, {"length": 0.0, "ks": 1.0}),
    ),
    Case("matrix", linear.MatrixMap(), {"matrix": (-0.2, 0.2)}),
    Case(
        "constant_focusing",
        constant_focusing.ConstantFocusingMap(0.5),
        {"length": (0.0, 2.0), "kx": (-3.0, 3.0), "ky": (-3.0, 3.0), "kt": (-3.0, 3.0)},
        ({"length": 1.0, "kx": 0.0, "ky": 0.0, "kt": 0.0}, {"length": 0.0, "kx": 1.0, "ky": 0.0, "kt": 1.0}),
        species="proton",
        kinetic_energy=2.5e6,
    ),
    Case(
        "thick_quadrupole_matrix",
        quadrupole.ThickQuadrupole(2, 2, 0.5),
        {"length": (0.0, 0.5), "k1": (-20.0, 20.0)},
        zeros("length", "k1"),
    ),
    Case(
        "thick_quadrupole_matrix_fourth_order",
        quadrupole.ThickQuadrupole(4, 1),
        {"length": (0.0, 0.5), "k1": (-20.0, 20.0)},
        zeros("length", "k1"),
        species="proton",
        kinetic_energy=250e6,
        size=5e-3,
    ),
    Case(
        "held_quadrupole",
        held.Held(quadrupole.ThickQuadrupole(2, 2, 0.5), ("k1",)),
        {"length": (0.0, 0.5), "k1": (-20.0, 20.0), "design_momentum": (1e7, 4e7)},
        zeros("length", "k1"),
    ),
    Case("bend", bend.Bend(), ARC, ({"angle": 0.0}, {"length": 1.0, "angle": 1e-7})),
    Case("bend_fraction", bend.Bend(0.3), ARC, ({"angle": 0.0},), species="proton", kinetic_energy=2e6, size=3e-4),
    Case(
        "combined_bend_quadrupole",
        combined_bend.CombinedBend(("k1",), 2, 2),
        SHORT_ARC | {"k1": GRADIENTS["k1"]},
        zeros("angle", "k1"),
    ),
    Case(
        "combined_bend",
        combined_bend.CombinedBend(("k1", "k2"), 4, 1, 0.5),
        SHORT_ARC | GRADIENTS,
        zeros("angle", "k1", "k2"),
    ),
    Case(
        "combined_bend_sextupole",
        combined_bend.CombinedBend(("k2",), 2, 1),
        SHORT_ARC | {"k2": GRADIENTS["k2"]},
        zeros("angle", "k2"),
    ),
    Case(
        "combined_bend_dipole",
        combined_bend.CombinedBend(("k0", "k2"), 2, 1, 0.5),
        {"length": (0.2, 0.8), "angle": (-0.01, 0.01), "k0": (-0.02, 0.02), "k2": GRADIENTS["k2"]},
    ),
    Case(
        "dipole_edge",
        edge.DipoleEdgeMap(face=True, fringe=False),
        {"curvature": (-1.0, 1.0), "e": (-0.6, 0.6)},
        zeros("curvature", "e"),
    ),
    Case(
        "dipole_edge_with_fringe",
        edge.DipoleEdgeMap(face=True, fringe=True),
        {"curvature": (-1.0, 1.0), "e": (-0.6, 0.6), **FRINGE},
        zeros("curvature", "e", "fint", "hgap"),
    ),
    Case(
        "dipole_edge_only_fringe",
        edge.DipoleEdgeMap(face=False, fringe=True),
        {"curvature": (-1.0, 1.0), **FRINGE},
        zeros("curvature", "fint", "hgap"),
    ),
    Case(
        "bend_edge",
        edge.BendEdge(face=True, fringe=True, share=0.5),
        ARC | {"e": (-0.4, 0.4), **FRINGE},
        zeros("angle", "e", "fint", "hgap"),
    ),
    Case(
        "bend_edge_field",
        edge.BendEdge(face=True, fringe=True, share=0.5, field=True),
        {"k0": (-1.0, 1.0), "angle": (-0.8, 0.8), "e": (-0.4, 0.4), **FRINGE},
        zeros("k0", "angle", "e"),
    ),
    *(
        Case(
            f"hard_edge_{end}",
            hard_edge.HardEdge(True, end == "exit", 0.5, end == "exit", end, True),
            ({"k0": (-1.0, 1.0)} | FRINGE if end == "exit" else {"length": (0.5, 2.0)})
            | {"angle": (-0.05, 0.05), "e": (-0.05, 0.05), "k1": (-20.0, 20.0)},
            zeros("angle", "e", "k1"),
            cancels=1e-3,
        )
        for end in ("entrance", "exit")
    ),
    Case("solenoid", solenoid.SolenoidMap(), {"length": (0.0, 1.5), "ks": (-6.0, 6.0)}, zeros("length", "ks")),
    *(
        Case(
            f"misalignment_{label}",
            misalignment.Misalign(("dx", "dy", "roll"), sign),
            SHIFTS | {"roll": (-1.0, 1.0)},
            zeros("dx", "dy", "roll"),
        )
        for label, sign in (("entrance", 1), ("exit", -1))
    ),
    Case("misalignment_roll", misalignment.Misalign(("roll",), 1), {"roll": (-1.0, 1.0)}, zeros("roll")),
    Case(
        "misalignment_tilt",
        misalignment.Misalign(("dx", "roll", "tilt"), -1),
        {"dx": SHIFTS["dx"], "roll": (-1.0, 1.0), "tilt": (-1.0, 1.0)},
        zeros("dx", "roll", "tilt"),
    ),
    Case(
        "thin_bend",
        thin_bend.ThinBend(True, True),
        {"angle": (-0.02, 0.02), "k0l": (-0.02, 0.02), "lrad": (0.3, 2.0)},
        zeros("angle", "k0l"),
        kinetic_energy=1e6,
    ),
    Case(
        "thin_bend_without_length",
        thin_bend.ThinBend(),
        {"angle": (-0.02, 0.02), "k0l": (-0.02, 0.02)},
        zeros("angle", "k0l"),
    ),
    Case(
        "thin_bend_without_field",
        thin_bend.ThinBend(False),
        {"angle": (-0.02, 0.02)},
        zeros("angle"),
        species="proton",
        kinetic_energy=50e6,
    ),
    Case(
        "solenoid_quadrupole",
        solenoid_multipole.SolenoidMultipole((C("k1", 1), C("k1s", 1, True)), 4, 2, 0.5),
        {"length": (0.0, 0.6), "ks": (-5.0, 5.0), "k1": (-20.0, 20.0), "k1s": (-20.0, 20.0)},
        zeros("length", "ks", "k1", "k1s"),
    ),
    Case("rigid_entrance", rigid.Rigid(), ERRORS, zeros(*ERRORS)),
    Case(
        "rigid_exit",
        rigid.Rigid(sign=-1, face=rigid.FACES["entrance"][1]),
        ERRORS | {"length": (0.0, 2.0)},
        zeros(*ERRORS, "length"),
    ),
    Case(
        "rigid_bend_exit",
        rigid.Rigid((*ERRORS, "tilt"), -1, rigid.FACES["entrance"][1], curved=True),
        ERRORS | ARC | {"tilt": (-1.0, 1.0)},
        zeros(*ERRORS, "tilt", "angle"),
    ),
    Case(
        "rigid_bend_middle",
        rigid.Rigid(("ds", "pitch", "tilt"), 1, rigid.FACES["middle"][0], curved=True),
        {name: ERRORS[name] for name in ("ds", "pitch")} | ARC | {"tilt": (-1.0, 1.0)},
        zeros("ds", "pitch", "tilt", "angle"),
        species="proton",
        kinetic_energy=2e6,
    ),
    Case(
        "rigid_bend_shifted",
        rigid.Rigid(("dx",), -1, rigid.FACES["entrance"][1], curved=True),
        {"dx": SHIFTS["dx"], "angle": ARC["angle"]},
        zeros("dx", "angle"),
    ),
    Case(
        "rigid_bend_pivot_exit",
        rigid.Rigid(("yaw", "roll"), 1, rigid.FACES["exit"][0], curved=True),
        {"yaw": (-0.02, 0.02), "roll": (-0.02, 0.02)} | ARC,
        zeros("yaw", "roll", "angle"),
    ),
]
