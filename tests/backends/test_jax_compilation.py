"""What JAX compiles, and how often: other numbers and other numbers of slices need no new program."""

from __future__ import annotations

from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import monitoring

import backbeam as bb
from backbeam import backends
from backbeam import observables as ob

MODEL = bb.SpaceCharge3D(grid=(6, 7, 6))
WRT = ("d.length", "q.k1", "beam.charge", "beam.kinetic_energy")
COMPILED = "/jax/core/compile/backend_compile_duration"
LISTENING: list[list[str]] = []


def _listen(event: str, duration: float, **more: object) -> None:
    for heard in LISTENING:
        heard.append(event)


monitoring.register_event_duration_secs_listener(_listen)


@contextmanager
def compilations():
    """A function that tells how many programs JAX has compiled since."""
    heard: list[str] = []
    LISTENING.append(heard)
    yield lambda: heard.count(COMPILED)
    LISTENING.remove(heard)


def draw(**changes):
    given = {
        "n": 30, "species": "electron", "kinetic_energy": 20e6, "charge": 1e-9, "sigma_x": 1e-3, "sigma_y": 1e-3,
        "sigma_px": 1e-3, "sigma_py": 1e-3, "sigma_tau": 1e-3, "sigma_pt": 1e-3, "backend": "jax", **changes,
    }  # fmt: skip
    return bb.Beam.gaussian(**given)


def line(slices=2, length=0.4, k1=3.0):
    return bb.Line([bb.Drift(length, slices=slices, name="d"), bb.Quadrupole(0.1, k1=k1, slices=1, name="q")])


def differentiate(line, beam):
    return bb.value_and_grad(ob.sigma("x"), line, beam, WRT, space_charge=MODEL)


@pytest.mark.long
@pytest.mark.parametrize(
    ("run", "most"),
    [(lambda *a: bb.track(*a, space_charge=MODEL), 15), (differentiate, 40)],
    ids=["track", "gradient"],
)
def test_other_numbers_need_no_new_program(run, most):
    """Strengths, lengths, charge and energy. The first needs few: what is small is not compiled one by one."""
    beams = draw(), draw(charge=3e-9, kinetic_energy=30e6, seed=2)
    lines = line(), line(length=0.7, k1=-2.0)
    with compilations() as count:
        run(lines[0], beams[0])
        assert count() <= most
    with compilations() as count:
        run(lines[1], beams[0])
        run(lines[0], beams[1])
        assert count() == 0
    with compilations() as count:
        run(line(slices=3), beams[0])
        assert count() > 0  # The count counts: another fraction of the length is another map.


@pytest.mark.long
@pytest.mark.parametrize("run", [lambda *a: bb.track(*a, space_charge=MODEL), differentiate], ids=["track", "gradient"])
def test_more_slices_need_no_more_programs(run):
    beam = draw()
    run(line(slices=3), beam)
    counts = []
    for slices in (10, 300):
        with compilations() as count:
            run(line(slices=slices), beam)
            counts.append(count())
    assert counts[0] == counts[1] > 0


@pytest.mark.long
def test_one_program_inside_the_users_own_jit():
    @jax.jit
    def function(line, beam):
        return jax.value_and_grad(lambda b: bb.track(line, b, space_charge=MODEL).sigma("x"), allow_int=True)(beam)

    beams = draw(), draw(charge=3e-9, kinetic_energy=30e6, seed=2)
    first, _ = function(line(), beams[0])
    with compilations() as count:
        second, _ = function(line(length=0.7, k1=-2.0), beams[1])
        assert count() == 0
    assert float(first) != float(second)


def test_what_is_settled_is_not_made_anew():
    """Two arrays made of a third: XLA keeps the condition, and with it the third."""
    backend = backends.get("jax")

    def function(x):
        made = backend.settle(jnp.exp(x))
        return made[1:] - made[:-1]

    x = jnp.linspace(0.0, 1.0, 50)
    assert "conditional" in jax.jit(function).lower(x).compile().as_text()
    plain = jnp.exp(x[1:]) - jnp.exp(x[:-1])
    np.testing.assert_array_equal(jax.jit(function)(x), plain)
    np.testing.assert_allclose(jax.vmap(function)(jnp.stack([x, 2 * x]))[0], plain, rtol=0, atol=1e-15)
    bar = jnp.cos(jnp.arange(49.0))
    found = jax.grad(lambda x: jnp.sum(bar * function(x)))(x)
    wanted = jnp.exp(x) * (jnp.pad(bar, (1, 0)) - jnp.pad(bar, (0, 1)))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-14)


@pytest.mark.parametrize("value", [jnp.nan, jnp.inf, -0.0, 0.0, 1e-320])
def test_settle_leaves_every_number_as_it_is(value, dtype):
    settle = jax.jit(backends.get("jax").settle)
    for array in (jnp.full((3,), value, dtype=dtype), jnp.asarray(value, dtype=dtype), jnp.zeros((0, 2), dtype=dtype)):
        np.testing.assert_array_equal(settle(array), array)


def test_a_call_waits_for_its_arguments():
    """So that the results of many steps do not take memory before their turn."""
    slow = jax.jit(lambda a: jax.lax.fori_loop(0, 40, lambda _, b: jnp.tanh(b @ a), a))
    run = backends.get("jax").compile(lambda scale, a: scale * a, static=(0,))
    a = jax.random.normal(jax.random.key(1), (700, 700))
    jax.block_until_ready([run(2.0, slow(a)), a])  # compiled
    ahead = slow(a)
    assert not ahead.is_ready()
    after = run(2.0, ahead)
    assert ahead.is_ready()
    np.testing.assert_array_equal(after, 2.0 * ahead)
