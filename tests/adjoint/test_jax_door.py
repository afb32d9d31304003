"""JAX's own ways to a gradient go through our pullbacks: jit, grad, vmap; lines and beams are pytrees."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backbeam as bb

ELECTRONS = {
    "n": 40, "species": "electron", "kinetic_energy": 20e6, "charge": 1e-9, "sigma_x": 1e-3, "sigma_y": 1e-3,
    "sigma_px": 1e-3, "sigma_py": 1e-3, "sigma_tau": 1e-3, "sigma_pt": 1e-3,
}  # fmt: skip
MODEL = bb.SpaceCharge3D(grid=(6, 6, 6))
ADJOINTS = (bb.Reversible(), bb.Reversible(anchor_every=2), bb.Checkpoint(slots=2), bb.Store(), bb.Tape())


def beam(backend="jax", **changes):
    return bb.Beam.gaussian(backend=backend, **{**ELECTRONS, **changes})


def line(k1, length=0.2, slices=None):
    return bb.Line([bb.Drift(length, name="d"), bb.Quadrupole(0.1, k1=k1, name="qf", slices=slices), bb.Drift(0.3)])


def size(k1, start, adjoint=None, **options):
    return bb.track(line(k1), start, adjoint=adjoint, **options).sigma("x")


@pytest.fixture(scope="module")
def wanted():
    """Without space charge, by our own door, on NumPy."""
    wrt = ["qf.k1", "d.length", "beam.coordinates", "beam.charges", "beam.beta_gamma"]
    start = beam("numpy").replace(recipe=None)
    return bb.value_and_grad(bb.observables.sigma("x"), line(10.0), start, wrt)[1]


@pytest.mark.long
def test_jit_and_grad_through_space_charge():
    def function(length, start):
        drift = bb.Line([bb.Drift(length, slices=3, name="d")])
        return bb.track(drift, start, space_charge=MODEL).sigma("x")

    found = jax.jit(jax.grad(function))(0.6, beam())
    drift = bb.Line([bb.Drift(0.6, slices=3, name="d")])
    _, numpy = bb.value_and_grad(bb.observables.sigma("x"), drift, beam("numpy"), ["d.length"], space_charge=MODEL)
    assert float(found) == pytest.approx(float(numpy["d.length"]), rel=1e-11)


@pytest.mark.parametrize("adjoint", ADJOINTS, ids=repr)
def test_jit_of_grad(adjoint, wanted):
    found = jax.jit(jax.grad(size), static_argnums=2)(10.0, beam(), adjoint)
    assert float(found) == pytest.approx(float(wanted["qf.k1"]), rel=1e-11)


def test_vmap_of_grad_over_settings(wanted):
    found = jax.vmap(jax.grad(size), (0, None))(jnp.asarray([9.0, 10.0, 11.5]), beam())
    for k1, slope in zip((9.0, 10.0, 11.5), found, strict=True):
        _, single = bb.value_and_grad(bb.observables.sigma("x"), line(k1), beam("numpy"), ["qf.k1"])
        assert float(slope) == pytest.approx(float(single["qf.k1"]), rel=1e-11)


def test_lines_and_beams_are_trees(wanted):
    """The gradient with respect to a line is a line, and to a beam a beam."""

    def function(line, start):
        return bb.track(line, start).sigma("x")

    by_line, by_beam = jax.grad(function, argnums=(0, 1), allow_int=True)(line(10.0), beam())
    assert isinstance(by_line, bb.Line) and isinstance(by_beam, bb.Beam)
    assert float(by_line["qf"].k1) == pytest.approx(float(wanted["qf.k1"]), rel=1e-11)
    assert float(by_line["d"].length) == pytest.approx(float(wanted["d.length"]), rel=1e-11)
    scale = np.abs(wanted["beam.coordinates"]).max()
    np.testing.assert_allclose(by_beam.coordinates, wanted["beam.coordinates"], rtol=0, atol=1e-12 * scale)
    scale = np.abs(wanted["beam.charges"]).max()
    np.testing.assert_allclose(by_beam.charges, wanted["beam.charges"], rtol=0, atol=1e-11 * scale)
    assert float(by_beam.reference.beta_gamma) == pytest.approx(float(wanted["beam.beta_gamma"]), rel=1e-10)


def test_trees_come_back_as_they_were():
    cell = bb.Line([bb.Drift(0.2), bb.Quadrupole(0.1, k1=3.0, dx=1e-4, name="q")], name="cell")
    nested = bb.Line([cell, bb.Aperture(half_x=1e-3, half_y=2e-3), cell, cell.elements[1]], name="ring")
    leaves, structure = jax.tree.flatten(nested)
    assert sorted(leaves) == [1e-4, 0.1, 0.2, 3.0]
    again = jax.tree.unflatten(structure, leaves)
    assert again.sequence == nested.sequence and again.parameters == nested.parameters and again.name == "ring"
    assert again.items[0] is not again.items[1] and again.elements[1] is again.elements[-1]
    assert jax.tree.structure(again) == structure
    doubled = jax.tree.map(lambda x: 2.0 * x, nested)
    assert doubled["q"].k1 == 6.0 and all(e.k1 == 6.0 for e in doubled if e.kind == "quadrupole")
    out = bb.track(bb.Line([bb.Monitor(name="m"), bb.Drift(0.2)]), beam())
    back = jax.tree.map(lambda x: x, out)
    assert back.species == out.species and back.n == out.n and set(back.readings) == {"m"}
    np.testing.assert_array_equal(back.coordinates, out.coordinates)


def test_a_jitted_track_takes_and_gives_beams():
    run = jax.jit(lambda line, start: bb.track(line, start))
    start = beam()
    out = run(line(10.0), start)
    assert isinstance(out, bb.Beam)
    np.testing.assert_allclose(out.coordinates, bb.track(line(10.0), start).coordinates, rtol=0, atol=1e-17)
    assert float(out.s) == pytest.approx(0.6)
    # Other numbers, same program.
    run(line(11.0), start)
    assert run._cache_size() == 1


def equations(jaxpr) -> int:
    """Number of equations of a program, those of its inner programs included."""
    total = 0
    for equation in jaxpr.eqns:
        total += 1
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    total += equations(inner)
    return total


@pytest.mark.parametrize("adjoint", [bb.Reversible(), bb.Store(), bb.Tape()], ids=repr)
def test_the_program_does_not_grow_with_the_number_of_slices(adjoint):
    def program(slices):
        def function(k1, start):
            return bb.track(line(k1, slices=slices), start, space_charge=MODEL, adjoint=adjoint).sigma("x")

        return equations(jax.make_jaxpr(jax.grad(function))(10.0, beam()).jaxpr)

    assert program(3) == program(12) > 1000


def test_forward_mode_of_another_adjoint_is_refused_by_jax():
    start = beam()
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda k: size(k, start), (10.0,), (1.0,))


@pytest.mark.long
def test_forward_mode_and_hessian_through_tape(wanted):
    start = beam()

    def function(k):
        return size(k, start, bb.Tape())

    _, slope = jax.jit(lambda k: jax.jvp(function, (k,), (1.0,)))(10.0)
    assert float(slope) == pytest.approx(float(wanted["qf.k1"]), rel=1e-11)
    h, slopes = 1e-3, []
    for k1 in (10.0 + h, 10.0 - h):
        slopes.append(bb.value_and_grad(bb.observables.sigma("x"), line(k1), beam("numpy"), ["qf.k1"])[1]["qf.k1"])
    curvature = jax.jit(jax.hessian(function))(10.0)
    assert float(curvature) == pytest.approx(float(slopes[0] - slopes[1]) / (2.0 * h), rel=1e-5)
    # JAX differentiates our pullback, too: no silent zero.
    ours = jax.jit(jax.grad(jax.grad(size)))(10.0, start)
    assert float(ours) == pytest.approx(float(curvature), rel=1e-9)


def test_a_step_is_refused_where_the_length_is_traced():
    with pytest.raises(bb.InputError, match=r"track\.step is .*d\.length is traced'; allowed: slices"):
        jax.jit(lambda length: bb.track(line(10.0, length), beam(), space_charge=MODEL, step=0.1).sigma("x"))(0.2)
