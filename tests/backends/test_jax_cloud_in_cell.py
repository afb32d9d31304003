"""JAX's own cloud in cell: Numba's loops and XLA's forms against the array operations that every library can run."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from backbeam.effects.mesh.cloud_in_cell import Plain
from backbeam_backends.particle_mesh import jax_cloud_in_cell
from backbeam_backends.particle_mesh.jax_cloud_in_cell import JaxCloudInCell, chosen, has_loops
from backbeam_backends.particle_mesh.xla_cpu_calls import minor_version_in

GRID, GUARD = (5, 6, 7), 1
MESH = (GRID, GUARD)
OURS, TWIN = JaxCloudInCell(), Plain()
ROUNDING = {"float64": 1e-13, "float32": 2e-5}


class Xla:
    """The contract by XLA's own scatter and gather."""

    def deposit(self, values, r, centre, spacing, grid, guard):
        return jax_cloud_in_cell.plain_deposit(values, r, centre, spacing, (grid, guard))

    def arrange(self, field):
        return field

    def beside(self, field, fourth):
        return OURS.beside(field, fourth)

    def gather(self, field, r, centre, spacing, guard):
        return jax_cloud_in_cell.plain_gather(field, r, centre, spacing, (field.shape[2:], guard))

    def gather_slope(self, field, factors, r, centre, spacing, guard):
        total, *slopes = jax_cloud_in_cell.plain_gather_slope(
            field, factors, r, centre, spacing, (field.shape[2:], guard)
        )
        return total, tuple(slopes)


FORMS = {"loops": OURS, "xla": Xla()}


def given(components=4, beams=2, n=300, dtype="float64", seed=1, batch=()):
    """Particles that fill their boxes up to both ends, a field and values, on the host."""
    rng = np.random.default_rng(seed)
    r = rng.uniform(-1.0, 1.0, (3, *batch, beams, n))
    r[..., 0], r[..., 1] = -1.0, 1.0
    width = rng.uniform(0.5, 2.0, (3, *batch, beams))
    cells = np.reshape([m - 1 - 2 * GUARD for m in GRID], (3, *[1] * (1 + len(batch))))
    middle = rng.normal(size=width.shape)
    r = middle[..., None] + width[..., None] * r
    arrays = {
        "r": tuple(r),
        "centre": np.moveaxis(middle, 0, -2),
        "spacing": np.moveaxis(2.0 * width / cells, 0, -2),
        "values": rng.normal(size=(*batch, components, beams, n)),
        "field": rng.normal(size=(*batch, components, beams, *GRID)),
    }
    return SimpleNamespace(**jax.tree.map(lambda a: jnp.asarray(a, dtype=dtype), arrays))


def on_grid(weights, a):
    return weights.deposit(a.values, a.r, a.centre, a.spacing, GRID, GUARD)


def at_particles(weights, a):
    return weights.gather(weights.arrange(a.field[:3]), a.r, a.centre, a.spacing, GUARD)


def with_slopes(weights, a):
    field = weights.beside(weights.arrange(a.field[:3]), a.field[3]) if a.field.shape[0] == 4 else a.field
    return weights.gather_slope(field, a.values, a.r, a.centre, a.spacing, GUARD)


OPERATIONS = {"deposit": on_grid, "gather": at_particles, "gather_slope": with_slopes}


def run(operation, weights, arrays):
    """The operation as a function of a dict of arrays."""
    return OPERATIONS[operation](weights, SimpleNamespace(**arrays))


def assert_same(found, wanted, tolerance):
    found, wanted = jax.tree.leaves(found), jax.tree.leaves(wanted)
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * float(jnp.max(jnp.abs(b))))


def test_there_are_loops_here():
    """The test extra installs Numba, and this jaxlib's interface is one that is known."""
    assert has_loops()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("components", [1, 4])
def test_same_as_the_twin(form, operation, components, dtype):
    arrays = vars(given(components, dtype=dtype))
    assert_same(jax.jit(partial(run, operation, FORMS[form]))(arrays), run(operation, TWIN, arrays), ROUNDING[dtype])


def test_also_where_nothing_is_compiled():
    arrays = vars(given())
    for operation in OPERATIONS:
        assert_same(run(operation, OURS, arrays), run(operation, TWIN, arrays), 1e-13)


def test_more_particles_than_a_block_and_other_beams_than_the_first():
    a = given(n=1001, beams=3)
    for operation in OPERATIONS:
        assert_same(run(operation, OURS, vars(a)), run(operation, TWIN, vars(a)), 1e-13)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_vmap_over_everything_and_over_a_part(operation):
    arrays = vars(given(batch=(4,), n=30))
    single = partial(run, operation, OURS)

    def looped(arrays, batched):
        def row(i):
            return single(jax.tree.map(lambda a, b: a[i] if b else a, arrays, batched))

        rows = [row(i) for i in range(4)]
        return jax.tree.map(lambda *parts: jnp.stack(parts), *rows)

    everything = jax.tree.map(lambda a: True, arrays)
    assert_same(jax.jit(jax.vmap(single))(arrays), looped(arrays, everything), 1e-14)
    part = {**everything, "r": (False, False, False), "centre": False}
    fewer = jax.tree.map(lambda a, b: a if b else a[0], arrays, part)
    axes = jax.tree.map(lambda b: 0 if b else None, part)
    assert_same(jax.vmap(single, (axes,))(fewer), looped(fewer, part), 1e-14)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_jax_differentiates_in_both_modes_and_twice(operation):
    """Against the twin, which JAX differentiates operation by operation."""
    arrays = vars(given(n=40))
    shapes = jax.eval_shape(partial(run, operation, OURS), arrays)
    rng = np.random.default_rng(5)
    bars = jax.tree.map(lambda s: jnp.asarray(rng.normal(size=s.shape)), shapes)
    way = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), arrays)

    def scalar(weights, arrays):
        found = run(operation, weights, arrays)
        return sum(jnp.sum(a * b) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(bars), strict=True))

    def all_of(weights):
        slope = jax.grad(partial(scalar, weights))
        _, along = jax.jvp(partial(scalar, weights), (arrays,), (way,))
        return slope(arrays), along, jax.jvp(slope, (arrays,), (way,))[1]

    found, wanted = jax.jit(partial(all_of, OURS))(), jax.jit(partial(all_of, TWIN))()
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * max(1.0, float(jnp.max(jnp.abs(b)))))


def test_charge_is_conserved_to_rounding_and_stays_off_the_guard_nodes():
    a = given(1)
    charge = on_grid(OURS, a)
    np.testing.assert_allclose(jnp.sum(charge, axis=(2, 3, 4)), jnp.sum(a.values, axis=-1), rtol=1e-13)
    inner = charge[:, :, GUARD:-GUARD, GUARD:-GUARD, GUARD:-GUARD]
    np.testing.assert_array_equal(jnp.sum(charge != 0.0), jnp.sum(inner != 0.0))


@pytest.mark.parametrize("form", FORMS)
def test_a_position_that_is_no_number_stays_one_and_harms_no_other(form):
    a = given(n=20)
    broken = SimpleNamespace(**{**vars(a), "r": (a.r[0].at[1, 7].set(jnp.nan), *a.r[1:])})
    found, whole = at_particles(FORMS[form], broken), at_particles(FORMS[form], a)
    assert bool(jnp.all(jnp.isnan(found[:, 1, 7])))
    others = np.ones((2, 20), dtype=bool)
    others[1, 7] = False
    np.testing.assert_array_equal(found[:, others], whole[:, others])
    charge = on_grid(FORMS[form], broken)
    assert bool(jnp.any(jnp.isnan(charge[:, 1]))) and bool(jnp.all(jnp.isfinite(charge[:, 0])))
    # As the twin: in the first cell along that axis.
    np.testing.assert_array_equal(jnp.isnan(charge), jnp.isnan(on_grid(TWIN, broken)))


def test_no_particles():
    a = given(n=2)
    empty = {**vars(a), "r": tuple(x[:, :0] for x in a.r), "values": a.values[..., :0]}
    assert float(jnp.max(jnp.abs(run("deposit", OURS, empty)))) == 0.0
    assert run("gather", OURS, empty).shape == (3, 2, 0)


def test_same_bits_each_time():
    a = given(n=5000)
    first = on_grid(OURS, a)
    for _ in range(3):
        np.testing.assert_array_equal(on_grid(OURS, a), first)


def test_without_loops_xla_does_it(monkeypatch):
    """No Numba, or an interface that is not known."""
    monkeypatch.setattr(jax_cloud_in_cell, "has_loop", lambda *_: False)

    def never(*arguments):
        raise AssertionError

    a = given()
    deposit = chosen("deposit", jax_cloud_in_cell.plain_deposit, never)
    assert_same(deposit(a.values, a.r, a.centre, a.spacing, MESH), on_grid(TWIN, a), 1e-13)


def test_only_a_known_interface_is_used():
    header = "#define XLA_FFI_API_MAJOR {}\n#define XLA_FFI_API_MINOR {}\n"
    assert minor_version_in(header.format(0, 3)) == 3
    assert minor_version_in(header.format(1, 0)) is None
    assert minor_version_in("") is None


def test_programs_hold_one_form_alone():
    """The one for the platform that they are compiled for."""
    a = given(1)

    def deposit(arrays):
        return on_grid(OURS, SimpleNamespace(**arrays))

    lowered = jax.jit(deposit).trace(vars(a)).lower(lowering_platforms=("cpu",)).as_text()
    assert "backbeam_deposit_1_float64" in lowered and "stablehlo.scatter" not in lowered
    lowered = jax.jit(deposit).trace(vars(a)).lower(lowering_platforms=("cuda",)).as_text()
    assert "backbeam_deposit" not in lowered and "stablehlo.scatter" in lowered


def test_handlers_that_are_kept_know_of_the_loops_in_other_files(tmp_path, monkeypatch):
    """Numba would take a handler from its cache although a loop in it has changed."""
    pytest.importorskip("numba")
    from backbeam_backends.particle_mesh import jax_loops

    changed = tmp_path / "kernels.py"
    changed.write_bytes(b"# changed\n")
    before = jax_loops.source_stamp()
    monkeypatch.setattr(jax_loops.kernels, "__file__", str(changed))
    assert jax_loops.source_stamp.__wrapped__() != before
