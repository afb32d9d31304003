"""JAX's programs take memory maps, of which a process has few: those of numbers of particles long past are let go."""

from __future__ import annotations

import jax.numpy as jnp

from backbeam_backends import jax_programs
from backbeam_backends.jax_programs import Programs


def double(x):
    return 2.0 * x


def test_old_numbers_go_when_maps_run_short(monkeypatch):
    monkeypatch.setattr(jax_programs, "most_maps", lambda: 100)
    programs = Programs()
    # Each number takes 10 maps.
    monkeypatch.setattr(jax_programs, "maps_in_use", lambda: 10 * len(programs.numbers))
    kept = [programs.find(double, (), [jnp.ones(n)]) for n in (3, 4, 5, 6)]
    for n, program in zip((3, 4, 5, 6), kept, strict=True):
        assert float(program(jnp.ones(n)).sum()) == 2.0 * n
    assert programs.find(double, (), [jnp.ones((2, 3))]) is kept[0]  # the last axis counts; 3 is the newest now
    programs.find(double, (), [jnp.ones(7)])
    assert programs.numbers == [4, 5, 6, 3, 7]  # 40 of 100 maps were in use
    programs.find(double, (), [jnp.ones(8)])
    assert programs.numbers == [3, 7, 8]  # 50 were: the older half went, rounded up
    assert kept[1]._cache_size() == 0 and kept[0]._cache_size() == 1


def test_static_arguments_and_functions_have_programs_of_their_own():
    programs = Programs()
    x = jnp.ones(3)
    assert programs.find(double, (), [x]) is programs.find(double, (), [x])
    assert programs.find(double, (1,), [x]) is not programs.find(double, (), [x])


def test_this_system_counts_maps():
    assert 10 < jax_programs.maps_in_use() < jax_programs.most_maps()
