"""JAX's programs take memory maps, of which a process has few: those of numbers of particles long past are let go."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import backbeam as bb
from backbeam_backends import jax_programs
from backbeam_backends.jax_programs import QUICK, SUMS, Programs


def double(x):
    return 2.0 * x


def test_old_numbers_go_when_maps_run_short(monkeypatch):
    monkeypatch.setattr(jax_programs, "most_maps", lambda: 100)
    programs = Programs()
    # Each number takes 10 maps.
    monkeypatch.setattr(jax_programs, "maps_in_use", lambda: 10 * len(programs.numbers))
    kept = [programs.find(double, (), [jnp.ones(n)], QUICK) for n in (3, 4, 5, 6)]
    for n, program in zip((3, 4, 5, 6), kept, strict=True):
        assert float(program(jnp.ones(n)).sum()) == 2.0 * n
    assert programs.find(double, (), [jnp.ones((2, 3))], QUICK) is kept[0]  # the last axis counts; 3 is the newest now
    programs.find(double, (), [jnp.ones(7)], QUICK)
    assert programs.numbers == [4, 5, 6, 3, 7]  # 40 of 100 maps were in use
    programs.find(double, (), [jnp.ones(8)], QUICK)
    assert programs.numbers == [3, 7, 8]  # 50 were: the older half went, rounded up
    assert kept[1]._cache_size() == 0 and kept[0]._cache_size() == 1


def test_static_arguments_and_functions_have_programs_of_their_own():
    programs = Programs()
    x = jnp.ones(3)
    assert programs.find(double, (), [x], QUICK) is programs.find(double, (), [x], QUICK)
    assert programs.find(double, (1,), [x], QUICK) is not programs.find(double, (), [x], QUICK)
    assert programs.find(double, (), [x], SUMS) is not programs.find(double, (), [x], QUICK)
    unknown = (*QUICK, ("xla_cpu_of_no_version", 1))
    assert not jax_programs.are_known(unknown)
    assert float(programs.find(double, (), [x], unknown)(x).sum()) == 6.0


def test_this_system_counts_maps():
    assert 10 < jax_programs.maps_in_use() < jax_programs.most_maps()


def test_quick_programs_are_for_arrays_of_the_processor_alone():
    def function(x):
        return jnp.sin(2.0 * x)

    programs, x = Programs(), jnp.arange(5.0)
    assert jax_programs.on_processor([x, 3]) and jax_programs.are_known(QUICK)
    quick = programs.find(function, (), [x], QUICK)
    inside = []

    def outer(y):
        inside.append(programs.find(function, (), [y], QUICK))
        return inside[0](y)

    np.testing.assert_allclose(jax.jit(outer)(x), quick(x), rtol=1e-15)  # what is jitted within a jit has no options
    assert inside[0] is not quick


def test_a_jitted_function_may_close_over_a_beam_with_space_charge():
    beam = bb.Beam.gaussian(n=20, species="electron", kinetic_energy=1e7, charge=1e-9, backend="jax", seed=1,
                            sigma_x=1e-3, sigma_y=1e-3, sigma_tau=1e-3)  # fmt: skip
    line = bb.Line([bb.Quadrupole(0.2, k1=1.0, name="q")])
    space_charge = bb.SpaceCharge3D(grid=(6, 6, 6))
    found = jax.eval_shape(
        lambda k1: bb.track(line.replace({"q.k1": k1}), beam, space_charge=space_charge).sigma("x"), 1.0
    )
    assert found.shape == ()
