"""Turn after turn: as one long line in value, gradient and losses, on every library, in memory that does not grow."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from swarms import cell, lossy_cell, ramp, swarm

import backbeam as bb
from backbeam import backends
from backbeam.errors import InputError

TURNS = 5
ADJOINTS = (bb.Reversible(), bb.Reversible(2), bb.Store(), bb.Checkpoint(2))
SPACE_CHARGE = bb.SpaceCharge3D(grid=(8, 8, 8))


def kicked(**more: Any) -> dict[str, Any]:
    return {"space_charge": SPACE_CHARGE, "slices": 2, **more}


@pytest.mark.parametrize("library", ("numpy", "torch", "array_api_strict"))
@pytest.mark.parametrize("line", (cell(), lossy_cell(), ramp()), ids=("linear", "lossy", "accelerating"))
def test_turns_are_one_long_line(line, library):
    beam = swarm(backends.get(library))
    for given in ({}, kicked()):
        found, expected = bb.track(line, beam, turns=TURNS, **given), bb.track(line * TURNS, beam, **given)
        host = beam.backend.to_numpy
        assert np.array_equal(host(found.coordinates), host(expected.coordinates))
        assert np.array_equal(host(found.lost_at), host(expected.lost_at))
        assert np.isclose(float(found.s), float(expected.s)) and len(found.readings["m"]) == TURNS
        assert all(
            np.array_equal(*map(host, pair)) for pair in zip(found.readings["m"], expected.readings["m"], strict=True)
        )


@pytest.mark.parametrize("adjoint", ADJOINTS, ids=repr)
@pytest.mark.parametrize("line", (lossy_cell(), ramp()), ids=("lossy", "accelerating"))
def test_gradients_are_those_of_one_long_line(line, adjoint):
    beam, names = swarm(), ["qf.k1", "d.length", "beam.charge", "beam.coordinates", "beam.kinetic_energy"]
    size = bb.observables.sigma("x")
    for given in ({}, kicked()):
        value, found = bb.value_and_grad(size, line, beam, names, turns=TURNS, adjoint=adjoint, **given)
        long, expected = bb.value_and_grad(size, line * TURNS, beam, names, adjoint=bb.Store(), **given)
        assert value == long
        for name in names:
            scale = np.abs(expected[name]).max()
            assert np.allclose(found[name], expected[name], rtol=1e-9, atol=1e-9 * scale + 1e-30), name


def late_size(beam: bb.Beam) -> Any:
    """Of the third turn's covariance, the last turn's monitor, and a particle in the second."""
    turns, xp = beam.readings["turns"], beam.backend.namespace
    seen = beam.readings["m"][-1]
    return xp.sum(turns.cov[0, 0, 3] * 1e4 + turns.mean[1, 2]) + seen[0] + turns.particles[2, 1, 2] + turns.sigma[2, 1]


@pytest.mark.parametrize("line", (lossy_cell(), ramp()), ids=("lossy", "accelerating"))
def test_objectives_of_any_turn_beside_the_tape_and_differences(line):
    torch = backends.get("torch")
    record, beam = bb.Record(particles=[2, 0]), swarm(torch)
    given = {"space_charge": SPACE_CHARGE, "turns": 3, "record": record}
    found = [bb.value_and_grad(late_size, line, beam, ["qf.k1"], adjoint=a, **given) for a in (*ADJOINTS, bb.Tape())]
    for value, gradient in found:
        assert np.isclose(float(value), float(found[-1][0]), rtol=1e-13)
        assert np.isclose(float(gradient["qf.k1"]), float(found[-1][1]["qf.k1"]), rtol=1e-9)
    h, k1 = 1e-5, line["qf"].k1
    ahead, behind = (float(late_size(bb.track(line.replace({"qf.k1": k1 + d}), beam, **given))) for d in (h, -h))
    assert np.isclose((ahead - behind) / (2 * h), float(found[0][1]["qf.k1"]), rtol=2e-5)


def test_numpy_gives_cotangents_of_turns_by_hand():
    beam, line, record = swarm(), lossy_cell(), bb.Record(particles=[1])

    def second(final: bb.Beam) -> Any:
        moments, particles = np.zeros((TURNS + 1, 43)), np.zeros((TURNS + 1, 6, 1))
        moments[3, 6] = particles[2, 0, 0] = 1.0
        turns = final.readings["turns"]
        bars = {"turns.moments": list(moments), "turns.particles": list(particles)}
        return turns.cov[0, 0, 3] + turns.particles[0, 0, 2], {"readings": bars}

    value, gradient = bb.value_and_grad(second, line, beam, ["qf.k1"], turns=TURNS, record=record)
    h = 1e-5
    ends = [second(bb.track(line.replace({"qf.k1": 0.6 + d}), beam, turns=TURNS, record=record))[0] for d in (h, -h)]
    assert np.isclose((ends[0] - ends[1]) / (2 * h), gradient["qf.k1"], rtol=1e-7)
    assert np.isclose(value, sum(ends) / 2)


def test_jax_loops_over_turns_under_a_trace():
    import jax
    import jax.numpy as jnp

    line, beam = cell(), swarm(backends.get("jax"))

    def objective(k1: Any) -> Any:
        end = bb.track(line.replace({"qf.k1": k1}), beam, turns=TURNS, record=bb.Record(particles=[2, 0]))
        return late_size(end) + jnp.sum(end.coordinates[1, :])

    value, slope = jax.jit(jax.value_and_grad(objective))(0.6)
    torch = backends.get("torch")
    given = {"turns": TURNS, "record": bb.Record(particles=[2, 0])}
    expected = bb.value_and_grad(
        lambda b: late_size(b) + b.coordinates[1, :].sum(), line, swarm(torch), ["qf.k1"], **given
    )
    assert np.isclose(value, float(expected[0])) and np.isclose(slope, float(expected[1]["qf.k1"]), rtol=1e-10)

    alone = bb.Line([item for item in line if item.name != "m"])

    def size(turns: int) -> int:
        return len(str(jax.make_jaxpr(lambda k1: bb.track(alone.replace({"qf.k1": k1}), beam, turns=turns).x)(0.6)))

    assert size(50) < 1.01 * size(5)


def test_memory_does_not_grow_with_turns():
    line, beam = ramp(), swarm(n=2000)

    def peak(turns: int) -> int:
        tracemalloc.start()
        bb.value_and_grad(bb.observables.sigma("x"), line, beam, ["qf.k1"], turns=turns, space_charge=SPACE_CHARGE)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)
    few, many = peak(2), peak(12)
    assert many < few + 3 * beam.coordinates.nbytes  # of the ten states that would be kept


def test_losses_are_counted_over_turns():
    line = lossy_cell()
    beam = swarm()
    found = bb.track(line, beam, turns=20, record=bb.Record())
    alive = found.readings["turns"].alive
    assert alive[0] == beam.n and alive[-1] == beam.n - found.lost < beam.n
    step = beam
    for turn in range(1, 21):
        step = bb.track(line, step)
        assert alive[turn] == beam.n - step.lost
    assert np.array_equal(step.coordinates, found.coordinates)


def test_who_turns_round_is_lost_in_its_turn():
    line = bb.Line([bb.Sextupole(0.2, k2=4e4, name="s"), bb.Drift(1.0, name="d"), bb.Quadrupole(0.2, k1=1.0, name="q")])
    beam = swarm()
    found = bb.track(line, beam, turns=6, record=bb.Record())
    expected = bb.track(line * 6, beam)
    assert np.array_equal(found.alive, expected.alive) and found.lost > 0
    assert np.array_equal(found.coordinates, expected.coordinates)
    value, gradient = bb.value_and_grad(bb.observables.mean("x"), line, beam, ["q.k1"], turns=6)
    long = bb.value_and_grad(bb.observables.mean("x"), line * 6, beam, ["q.k1"])
    assert np.isclose(value, long[0]) and np.isclose(gradient["q.k1"], long[1]["q.k1"], rtol=1e-9)


def test_batches_are_loops():
    line, beam = cell(np.asarray([0.5, 0.6])), swarm()
    found = bb.track(line, beam, turns=3, record=bb.Record(particles=[1]))
    turns = found.readings["turns"]
    for k, k1 in enumerate((0.5, 0.6)):
        one = bb.track(cell(k1), beam, turns=3, record=bb.Record(particles=[1])).readings["turns"]
        assert np.allclose(turns.mean[k], one.mean, rtol=1e-13) and np.allclose(turns.particles[k], one.particles)
        assert np.allclose(turns.emittance("x")[k], one.emittance("x")) and turns.alive.shape == (2, 4)


def test_moment_beams_take_turns_and_effects_that_are_theirs():
    particles = swarm(n=200)
    beam = bb.MomentBeam.of(particles).replace(charge=1e-9)
    linear = bb.LinearSpaceCharge()
    found = bb.track(cell(), beam, effects=[linear], turns=3, slices=2)
    assert np.allclose(found.cov(), bb.track(cell() * 3, beam, space_charge=linear, slices=2).cov(), rtol=1e-12)
    assert not np.allclose(found.cov(), bb.track(cell(), beam, turns=3).cov(), rtol=1e-6)
    value, gradient = bb.value_and_grad(bb.observables.sigma("x"), cell(), beam, ["qf.k1"], effects=[linear], turns=3)
    expected = bb.value_and_grad(bb.observables.sigma("x"), cell() * 3, beam, ["qf.k1"], space_charge=linear)
    assert value == expected[0] and np.isclose(gradient["qf.k1"], expected[1]["qf.k1"], rtol=1e-12)
    wake = bb.ResonatorWake(R=1.0, Q=1.0, frequency=1e9)
    for given, said in (
        ({"effects": [wake]}, r"effects\[0\] is .*resonator"),
        ({"space_charge": SPACE_CHARGE}, "a MomentBeam has no particles"),
        ({"effects": [linear, linear]}, "one LinearSpaceCharge"),
        ({"on_turn": "stop"}, "lose or raise"),
        ({"record": bb.Record()}, "left out with a MomentBeam"),
    ):
        with pytest.raises(InputError, match=said):
            bb.track(cell(), beam, **given)


@pytest.mark.parametrize(
    "given,said",
    [
        ({"turns": 0}, r"track\.turns is 0; allowed: a whole number, at least 1"),
        ({"turns": 2.0}, r"track\.turns is 2\.0"),
        ({"turns": True}, r"track\.turns is True"),
        ({"turns": 2**30}, "at most"),
        ({"turns": 2, "record": "moments"}, "record is 'moments'"),
        ({"turns": 2, "record": bb.Record(particles=[99])}, r"record\.particles is 99; allowed: indices from 0 to"),
    ],
)
def test_what_is_refused(given, said):
    with pytest.raises(InputError, match=said):
        bb.track(lossy_cell(), swarm(), **given)


@pytest.mark.parametrize("particles", (3, [-1], [0.5], ["a"], None))
def test_particles_that_are_none(particles):
    with pytest.raises(InputError, match=r"record\.particles"):
        bb.Record(particles=particles)


def test_a_record_needs_its_name():
    with pytest.raises(InputError, match="an element called turns"):
        bb.track(bb.Line([bb.Monitor(name="turns")]), swarm(), record=bb.Record())


def test_the_planner_knows_turns():
    from backbeam.course import Course
    from backbeam.memory.forecast import model_of

    line, beam = ramp(), swarm(n=2000)
    once, many = (model_of(Course.of(line, space_charge=SPACE_CHARGE, turns=turns), beam) for turns in (1, 10))
    reversible, store, few = bb.Reversible(), bb.Store(), bb.Checkpoint(3)
    assert many.needs(reversible).kicks == 10 * once.needs(reversible).kicks
    assert many.needs(reversible).predicted_peak_bytes == once.needs(reversible).predicted_peak_bytes
    assert many.needs(store).kept_bytes == 9 * beam.coordinates.nbytes  # one a turn
    assert many.needs(few).kept_bytes == 3 * beam.coordinates.nbytes
    found = bb.value_and_grad(bb.observables.sigma("x"), line, beam, ["qf.k1"], turns=2, adjoint="auto")
    expected = bb.value_and_grad(bb.observables.sigma("x"), line * 2, beam, ["qf.k1"], adjoint=store)
    assert np.isclose(found[1]["qf.k1"], expected[1]["qf.k1"], rtol=1e-9)
