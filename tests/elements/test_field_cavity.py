"""Cavity given by its field on the axis: ImpactX, the structure that it averages to, static fields, kicks inside."""

from __future__ import annotations

import json
from math import pi
from pathlib import Path

import numpy as np
import pytest

import backbeam as bb
from backbeam.problem.lattice import read_lattice
from backbeam.problem.text import read_tree, write_tree
from backbeam.problem.written import lattice_tree
from backbeam.species import ELECTRON_MASS, SPEED_OF_LIGHT

IMPACTX = Path(__file__).parents[1] / "data" / "impactx_field_cavity.json"
H = 1e-6
RAYS = np.concatenate([H * np.eye(6), -H * np.eye(6)], axis=1)


def through(cavity, kinetic_energy):
    """Matrix by differences, and the reference behind."""
    beam = bb.Beam.from_arrays(RAYS, species="electron", kinetic_energy=kinetic_energy, charge=0.0)
    out = bb.track(bb.Line([cavity]), beam)
    return (out.coordinates[:, :6] - out.coordinates[:, 6:]) / (2.0 * H), out.reference


def test_is_the_field_map_of_impactx():
    record = json.loads(IMPACTX.read_text())
    Y = np.asarray(list(record["columns"].values()))
    signs = np.array([1, 1, 1, 1, 1, -1.0])  # its pt is the opposite of ours
    wanted = signs[:, None] * (Y[:, 1:7] - Y[:, 7:]) / (2.0 * H) * signs
    cavity = bb.FieldCavity(
        0.2, scale=30.0 * ELECTRON_MASS, frequency=2.856e9, phase=pi / 9.0, field_cos=[0.0, 0.2, 0.1],
        field_sin=[0.0, 0.1, 0.05],
    )  # fmt: skip
    R, reference = through(cavity, 5e6)
    assert float(reference.gamma) == pytest.approx(record["gamma"], rel=3e-8)
    np.testing.assert_allclose(R, wanted, rtol=0, atol=6e-6)


@pytest.mark.parametrize("kinetic_energy,phase,tolerance", [(5e6, 1.5154, 8e-3), (60e6, 1.5688, 1e-4)])
def test_cells_average_to_a_standing_structure(kinetic_energy, phase, tolerance):
    """58 cells of sin(k z) on crest, 20 MV/m: their matrix is that of the averaged equation, the better the faster."""
    frequency, waves = 2.856e9, 29
    length = waves * SPEED_OF_LIGHT / frequency
    series = np.eye(waves + 1)[waves]
    field = bb.FieldCavity(
        length, scale=40e6, frequency=frequency, phase=phase, field_cos=0.0 * series, field_sin=series, steps=58 * 16
    )
    R, reference = through(field, kinetic_energy)
    gain = float(reference.kinetic_energy) - kinetic_energy
    assert gain == pytest.approx(20e6 * length, rel=4e-4)
    S, _ = through(bb.RFCavity(length, voltage=gain, frequency=frequency, structure="standing"), kinetic_energy)
    np.testing.assert_allclose(R[:4, :4], S[:4, :4], rtol=0, atol=tolerance)


def test_static_field_gives_its_voltage():
    cavity = bb.FieldCavity(0.5, scale=3e6, frequency=0.0, field_cos=[1.0, -0.5], steps=40)
    _, reference = through(cavity, 1e6)
    assert float(reference.kinetic_energy) == pytest.approx(1e6 + 3e6 * 0.5 * 0.5, rel=1e-9)


def test_no_field_is_a_drift():
    R, _ = through(bb.FieldCavity(0.5, scale=0.0, frequency=1e9, field_cos=[1.0]), 1e6)
    wanted, _ = through(bb.Drift(0.5), 1e6)
    np.testing.assert_allclose(R, wanted, rtol=0, atol=1e-9)


def test_space_charge_inside():
    """The model of the kick takes the beam's own energy, whatever the reference inside; two and four kicks agree."""
    beam = bb.Beam.gaussian(
        n=2000, species="electron", kinetic_energy=5e6, charge=2e-10, seed=1, sigma_x=8e-4, sigma_px=1e-4,
        sigma_y=8e-4, sigma_py=1e-4, sigma_tau=8e-4, sigma_pt=1e-3,
    )  # fmt: skip
    cavity = bb.FieldCavity(0.2, scale=1e7, frequency=1.3e9, phase=0.3, field_cos=[1.0, 0.3], steps=40)
    found = [
        bb.track(bb.Line([cavity]), beam, space_charge=bb.SpaceCharge3D(grid=(16, 16, 16)), slices=n) for n in (4, 8)
    ]
    free = bb.track(bb.Line([cavity]), beam)
    change = [float(out.sigma("px")) - float(free.sigma("px")) for out in found]
    assert abs(change[0]) > 1e-6
    assert change[0] == pytest.approx(change[1], rel=2e-2)
    assert float(found[0].kinetic_energy) == float(free.kinetic_energy)


def test_phase_error_changes_the_held_focusing_behind():
    """The reference's energy behind it is known to a line that holds its fields."""
    cavity = bb.FieldCavity(0.2, scale=1e7, frequency=1.3e9, field_cos=[1.0], steps=10, name="c")
    line = bb.Line([cavity, bb.Quadrupole(0.1, k1=3.0, name="q")])
    beam = bb.Beam.from_arrays(RAYS, species="electron", kinetic_energy=5e6, charge=0.0)
    held = line.hold_fields(beam.reference)
    assert held["q"].design_momentum == pytest.approx(float(bb.track(line, beam).reference.momentum), rel=1e-12)


@pytest.mark.parametrize("parameter", ["c.scale", "c.phase", "c.frequency", "c.length"])
def test_gradient_equals_differences(parameter):
    cavity = bb.FieldCavity(0.2, scale=1e7, frequency=1.3e9, phase=0.4, field_cos=[1.0, 0.3], steps=6, name="c")
    beam = bb.Beam.gaussian(
        n=50, species="electron", kinetic_energy=5e6, charge=0.0, seed=1, sigma_x=8e-4, sigma_px=1e-4, sigma_y=8e-4,
        sigma_py=1e-4, sigma_tau=8e-4, sigma_pt=1e-3,
    )  # fmt: skip
    line = bb.Line([cavity, bb.Drift(1.0)])
    _, gradient = bb.value_and_grad(bb.observables.sigma("x"), line, beam, [parameter])
    value = line.get(parameter)
    ends = [float(bb.track(line.replace({parameter: value * (1 + s * 1e-5)}), beam).sigma("x")) for s in (1, -1)]
    assert float(gradient[parameter]) == pytest.approx((ends[0] - ends[1]) / (2e-5 * value), rel=1e-5)


@pytest.mark.parametrize(
    "fields,field",
    [
        ({"field_cos": "flat"}, "field_cavity.field_cos"),
        ({"field_cos": [1.0, 2.0], "field_sin": [0.0]}, "field_cavity.field_sin"),
        ({"field_cos": [1.0], "length": 0.0}, "field_cavity.length"),
    ],
)
def test_bad_input_is_named(fields, field):
    with pytest.raises(bb.InputError) as caught:
        bb.FieldCavity(**{"length": 0.2, "scale": 1e6, "frequency": 1e9, **fields})
    assert caught.value.field == field


def test_a_written_line_has_the_same_field():
    cavity = bb.FieldCavity(0.2, scale=1e7, frequency=1.3e9, field_cos=[1.0, 0.3], field_sin=[0.0, 0.2], name="c")
    again = read_lattice(read_tree(write_tree(lattice_tree(bb.Line([cavity]))), "it")).line["c"]
    for name in ("field_cos", "field_sin"):
        np.testing.assert_array_equal(getattr(again, name), getattr(cavity, name))


def test_way_back_is_refused_as_of_any_cavity():
    cavity = bb.FieldCavity(0.2, scale=1e7, frequency=1.3e9, field_cos=[1.0])
    with pytest.raises(bb.InputError, match="without RF"):
        bb.Line([cavity]).backwards()
