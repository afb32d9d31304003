"""Every loss has its element, its place along the way, its passage and its reason, however the way was gone."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from click.testing import CliRunner
from toys import Pull

import backbeam as bb
from backbeam import backends
from backbeam.cli.app import app

LIBRARIES = [backends.get(name) for name in ("numpy", "torch", "array_api_strict")]
without_jax = pytest.mark.parametrize("backend", LIBRARIES, ids=lambda library: library.name)


def ring():
    return bb.Line([
        bb.Drift(1.0, name="d1"), bb.Aperture(5e-3, 5e-3, name="a1"), bb.Drift(1.0, name="d2"),
        bb.Aperture(5e-3, 5e-3, name="a2"),
    ])  # fmt: skip


def rays(*slopes, backend="numpy", **options):
    X = np.zeros((6, len(slopes)))
    X[1] = slopes
    return bb.Beam.from_arrays(X, species="proton", kinetic_energy=1e9, charge=1e-12, backend=backend, **options)


FOUR = (0.0, 1e-3, 2e-3, 4e-3)
WANTED = [(3, "a2", 2.0, 1, "aperture"), (2, "a1", 3.0, 2, "aperture"), (1, "a1", 5.0, 3, "aperture")]


@without_jax
def test_turns_one_by_one_or_in_one_line_or_counted(backend):
    """A drift's particle at x' = 2 mrad is at 6 mm after 3 m: geometry says all of it."""
    beam = rays(*FOUR, backend=backend.name)
    each = beam
    for _ in range(5):
        each = bb.track(ring(), each)
    twice = bb.track(ring(), bb.track(ring(), beam, turns=2), turns=3, record=bb.Record())
    for found in (each, bb.track(ring() * 5, beam), bb.track(ring(), beam, turns=5), twice):
        assert [tuple(loss) for loss in found.losses()] == WANTED
        assert dict(zip(found.ledger.names, np.asarray(found.ledger.passed), strict=True)) == dict.fromkeys(
            ("d1", "a1", "d2", "a2"), 5
        )


def test_lines_that_differ_share_what_they_pass():
    first = bb.track(ring()[:2], rays(*FOUR))
    second = bb.track(ring()[2:], first)
    third = bb.track(bb.Line([bb.Marker(name="m")]) + ring(), second)
    assert [tuple(loss) for loss in third.losses()] == WANTED[:2]
    assert third.ledger.passed[third.ledger.names.index("a1")] == 2


def test_along_an_element_and_between_kicks():
    """The pipe is tested at every tenth of the element, wherever kicks are."""
    pipe = bb.Line([bb.Drift(0.3), bb.Drift(1.0, aperture=5e-3, name="pipe")])
    sc = bb.SpaceCharge3D((8, 8, 8))
    for options in ({}, {"space_charge": sc, "slices": 3}):
        (loss,) = bb.track(pipe, rays(0.0, 5.5e-3, backend="numpy"), **options).losses()
        assert loss.element == "pipe" and loss.s == pytest.approx(0.3 + 0.7) and loss.reason == "aperture"


@without_jax
def test_who_turns_round_and_when(backend):
    """Where it turns, and in which passage: passages before the first loss count too."""
    line = bb.Line([bb.ThinMultipole(k3l=1e5, name="o"), bb.Drift(1.0, name="d"), bb.Drift(1.0, name="e")])
    X = np.zeros((6, 2))
    X[0, 1] = 0.05
    beam = bb.Beam.from_arrays(X, species="proton", kinetic_energy=1e8, charge=0.0, backend=backend.name)
    (loss,) = bb.track(line * 2, beam).losses()
    assert loss == (1, "d", 0.0, 1, "turned round")
    again = bb.track(line, bb.track(line, beam.replace(coordinates=beam.as_mine(np.zeros((6, 2))))))
    late = bb.track(line, again.replace(coordinates=beam.coordinates))
    assert list(late.losses()) == [(1, "d", 4.0, 3, "turned round")]


def test_a_batch_and_lengths_of_a_batch():
    line = ring().replace({"d1.length": np.asarray([1.0, 2.0])})
    beam = rays(0.0, 4e-3)
    found = list(bb.track(line, beam).losses())
    assert [tuple(loss) for loss in found] == [
        ((0, 1), "a2", 2.0, 1, "aperture"),
        ((1, 1), "a1", 2.0, 1, "aperture"),
    ]


def test_kept_by_files_pickle_and_other_libraries(tmp_path):
    beam = bb.track(ring() * 2, rays(*FOUR))
    beam.save(tmp_path / "b.npz")
    loaded = bb.Beam.load(tmp_path / "b.npz")
    for other in (loaded, pickle.loads(pickle.dumps(beam)), beam.to("torch"), beam.to(dtype="float32")):
        assert list(other.losses()) == list(beam.losses())
    assert [tuple(loss) for loss in bb.track(ring(), loaded).losses()] == WANTED
    beam.save(tmp_path / "b.csv")
    unknown = bb.Beam.load(tmp_path / "b.csv").losses()
    assert [(loss.particle, loss.element, loss.reason) for loss in unknown] == [(2, "", ""), (3, "", "")]


def test_of_other_particles_nothing_is_claimed():
    """Numbers of passages stay with the beam; who was lost where is not guessed."""
    beam = bb.track(ring() * 2, rays(*FOUR))
    few = {"coordinates": beam.coordinates[:, 2:], "charges": beam.charges[2:], "lost_at": beam.lost_at[2:]}
    unknown = beam.replace(**few)
    assert [(loss.element, loss.passage) for loss in unknown.losses()] == [("", 0), ("", 0)]
    back = unknown.replace(lost_at=np.full(2, -1, dtype=np.int32), coordinates=np.asarray(rays(0.0, 4e-3).coordinates))
    assert list(bb.track(ring(), back).losses()) == [(1, "a2", 6.0, 3, "aperture")]
    assert len(beam.losses()[:1]) == 1 and beam.losses()[-1] == tuple(WANTED[1])


def test_memory_does_not_grow_with_turns():
    beam = rays(*FOUR)
    sizes = set()
    for _ in range(6):
        beam = bb.track(ring(), beam)
        sizes.add(len(pickle.dumps(beam)))
    assert len(sizes) == 1


def test_looks_know_what_was_lost_so_far():
    line = ring()
    seen = [(name, len(beam.losses())) for _, name, beam in bb.trace(line, rays(*FOUR))]
    assert seen[-4:] == [("d1", 0), ("a1", 0), ("d2", 0), ("a2", 1)]
    middle = next(beam for _, name, beam in bb.trace(line, rays(*FOUR)) if name == "a1")
    assert [tuple(loss) for loss in bb.track(line[2:] + line, middle).losses()] == WANTED[:2]


def test_table_and_json(tmp_path):
    problem = tmp_path / "p.yaml"
    problem.write_text("""
beam: {distribution: gaussian, species: proton, n: 200, charge: 1e-12, kinetic_energy: 1e8, sigma_x: 0.02, seed: 1}
lattice: [{drift: {length: 1, aperture: 0.04, name: "[pipe]"}}, {thin_multipole: {k3l: 1e5}}, {drift: {length: 1}}]
""")
    out = CliRunner().invoke(app, ["run", str(problem), "--json"]).output
    losses = json.loads(out)["losses"]
    assert {place["reason"] for place in losses} == {"aperture", "turned round"}
    assert sum(place["particles"] for place in losses) == json.loads(out)["lost"]
    table = CliRunner().invoke(app, ["run", str(problem)]).output
    assert "[pipe]" in table and "turned round" in table and "s [m]" in table


@without_jax
def test_a_line_with_one_that_turns_can_be_looked_at(backend):
    """What trace ends with has the bits of track, and nothing on the way is no number."""
    from test_turning import beam, line

    host = backend.to_numpy
    looks = list(bb.trace(line(), beam(backend.name), slices=3))
    out = bb.track(line(), beam(backend.name))
    assert all(np.isfinite(host(seen.coordinates)).all() for _, _, seen in looks)
    np.testing.assert_array_equal(host(looks[-1][2].coordinates), host(out.coordinates))
    assert list(looks[-1][2].losses()) == list(out.losses())
    assert [int(seen.lost) for _, name, seen in looks if name == "after"] == [1, 1, 1]


def test_under_a_trace_of_jax():
    """Two loops of kicks, in the second slice of the second of which a particle turns: no NaN in value or gradient."""
    import jax

    cavity = {"voltage": 1e6, "frequency": 1e7, "steps": 1}
    line = bb.Line([bb.ThinMultipole(k0l=0.1, name="m"), bb.RFCavity(1.0, **cavity, phase=np.pi, name="slows")])
    X = np.zeros((6, 3))
    X[1] = [0.0, 0.05, 0.85]
    options = {"effects": [Pull(1e-3)], "slices": 3}
    given = {"species": "proton", "kinetic_energy": 5e6, "charge": 1e-15}
    plain = bb.track(line * 2, bb.Beam.from_arrays(X, **given), **options)
    wrt = ["m.k0l"]
    sigma = bb.observables.sigma("x")
    _, wanted = bb.value_and_grad(sigma, line * 2, bb.Beam.from_arrays(X, **given), wrt, **options)

    def run(k0l, beam):
        out = bb.track((line * 2).replace({"m.k0l": k0l}), beam, **options)
        return sigma(out), out

    beam = bb.Beam.from_arrays(X, backend="jax", **given)
    (value, out), slope = jax.jit(jax.value_and_grad(run, has_aux=True))(0.1, beam)
    assert plain.lost == 1 and list(out.losses()) == list(plain.losses())
    assert float(value) == pytest.approx(float(plain.sigma("x")), rel=1e-12)
    assert float(slope) == pytest.approx(float(wanted["m.k0l"]), rel=1e-9)

    turn = jax.jit(lambda beam: bb.track(ring(), beam))
    beam = rays(*FOUR, backend="jax")
    looped, _ = jax.lax.scan(lambda beam, _: (turn(beam), None), beam.ready_for(ring()), length=5)
    for found in (looped, turn(turn(turn(beam)))):
        assert [tuple(loss) for loss in found.losses()] == WANTED
