"""Stretches without space charge: blocks of particles and merged matrices change nothing but rounding."""

from __future__ import annotations

from contextvars import ContextVar

import numpy as np
import pytest

import backbeam as bb
from backbeam import backends, course
from backbeam import observables as ob
from backbeam.adjoint import Checkpoint, Reversible, Store, Tape
from backbeam.gradient import differentiate
from backbeam.plan import Merged, Slicing, compile_line, merge_linear
from backbeam_backends import blocks

BEAM = {
    "species": "electron", "kinetic_energy": 20e6, "charge": 1e-9, "sigma_x": 1e-3, "sigma_y": 0.8e-3,
    "sigma_px": 1e-3, "sigma_py": 0.7e-3, "sigma_tau": 0.9e-3, "sigma_pt": 2e-3, "mean_x": 2e-4, "seed": 5,
}  # fmt: skip
WRT = ["q.k1", "q.length", "b.angle", "d.length", "m.matrix", "beam.kinetic_energy", "beam.sigma_px"]
WRT += ["o.dx", "o.dy", "o.roll", "o.k1", "k.hkick", "c.vkick", "t.k1l"]
OBJECTIVE = ob.sigma("x") + 0.5 * ob.sigma("y") + 0.1 * ob.sigma("tau") + ob.mean("x")


def matrix() -> np.ndarray:
    return np.eye(6) + 0.05 * np.random.default_rng(3).standard_normal((6, 6))


def line(aperture: bool) -> bb.Line:
    """Linear and affine maps in a row, some several times, with a cavity and an aperture that cut the row."""
    q = bb.Quadrupole(0.2, k1=3.0, name="q", model="linear")
    d = bb.Drift(0.5, name="d", model="linear")
    b = bb.SectorBend(0.4, angle=0.1, name="b", model="linear")
    s = bb.Solenoid(0.3, ks=0.7, name="s", model="linear")
    m = bb.LinearMap(matrix(), name="m")
    o = bb.Quadrupole(0.2, k1=-2.0, dx=3e-4, dy=-2e-4, roll=0.1, name="o", model="linear")
    k = bb.Corrector(None, hkick=2e-4, vkick=-1e-4, name="k")
    c = bb.Corrector(0.1, vkick=3e-4, name="c", model="linear", dx=1e-4)
    t = bb.ThinMultipole(k1l=0.3, name="t")
    stop = [bb.Aperture(2.5e-3, 2e-3, shape="elliptical", name="stop")] if aperture else []
    rf, e = bb.Buncher(1e5, 1.3e9, name="rf"), bb.Drift(0.2, name="e")
    return bb.Line([q, d, b, k, *stop, d, o, q, s, rf, d, m, c, q, o, t, d, k, e, d])


def unmerged(monkeypatch):
    monkeypatch.setattr(course, "merge_linear", lambda plan: plan)


def test_what_is_merged():
    plan = merge_linear(compile_line(line(aperture=True), Slicing(), {}))
    assert [len(s.steps) if isinstance(s, Merged) else 1 for s in plan] == [4, 1, 6, 1, 14, 1, 1]


@pytest.mark.parametrize(
    ("library", "adjoint", "aperture"),
    [
        *(
            ("numpy", adjoint, aperture)
            for adjoint in (Reversible(), Store(), Checkpoint(2))
            for aperture in (False, True)
        ),
        *((library, Reversible(), True) for library in ("torch", "jax", "array_api_strict")),
    ],
)
def test_merged_maps_have_the_gradient_of_all(library, adjoint, aperture, monkeypatch):
    backend = backends.get(library)
    beam = bb.Beam.gaussian(n=60, backend=backend.name, **BEAM)
    merged = differentiate(OBJECTIVE, line(aperture), beam, WRT, adjoint=adjoint)
    unmerged(monkeypatch)
    each = differentiate(OBJECTIVE, line(aperture), beam, WRT, adjoint=adjoint)
    np.testing.assert_allclose(
        backend.to_numpy(merged.beam.coordinates), backend.to_numpy(each.beam.coordinates), rtol=1e-13, atol=1e-16
    )
    assert bool(np.any(backend.to_numpy(each.beam.lost_at) >= 0)) == aperture
    for name in WRT:
        expected = backend.to_numpy(each.gradient[name])
        np.testing.assert_allclose(
            backend.to_numpy(merged.gradient[name]), expected, rtol=1e-11, atol=1e-12 * np.abs(expected).max()
        )


def test_merged_maps_against_the_tape():
    backend = backends.get("torch")
    beam = bb.Beam.gaussian(n=60, backend="torch", **BEAM)
    ours = differentiate(OBJECTIVE, line(True), beam, WRT, adjoint=Reversible()).gradient
    tape = differentiate(OBJECTIVE, line(True), beam, WRT, adjoint=Tape()).gradient
    for name in WRT:
        expected = backend.to_numpy(tape[name])
        np.testing.assert_allclose(
            backend.to_numpy(ours[name]), expected, rtol=1e-11, atol=1e-12 * np.abs(expected).max()
        )


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_merged_maps_with_a_batch_of_settings(library):
    backend = backends.get(library)
    beam = bb.Beam.gaussian(n=40, backend=backend.name, **BEAM)
    strengths = [2.0, 3.0, -1.0]
    several = line(True).replace({"q.k1": backend.asarray(np.array(strengths))})
    found = differentiate(OBJECTIVE, several, beam, WRT)
    for k, strength in enumerate(strengths):
        one = differentiate(OBJECTIVE, line(True).replace({"q.k1": strength}), beam, WRT)
        for name in WRT:
            expected = backend.to_numpy(one.gradient[name])
            got = backend.to_numpy(found.gradient[name])[k]
            np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("adjoint", [Reversible(), Store(), Checkpoint(2)])
def test_blocks_change_nothing_but_the_order_of_sums(adjoint, threads, monkeypatch):
    exact = bb.Line([bb.Quadrupole(0.2, k1=3.0, name="qe"), bb.Drift(0.4, name="de")]) * 2 + line(True)
    wrt = [*WRT, "beam.charge"]
    beam = bb.Beam.gaussian(n=1500, **BEAM)
    options = {"space_charge": bb.SpaceCharge3D(grid=(6, 6, 6)), "slices": 1, "adjoint": adjoint}
    whole = differentiate(OBJECTIVE, exact, beam, wrt, **options)
    monkeypatch.setattr(blocks, "BLOCK", 256)
    monkeypatch.setattr("backbeam_backends.numpy_backend.thread_count", lambda: threads)
    cut = differentiate(OBJECTIVE, exact, beam, wrt, **options)
    again = differentiate(OBJECTIVE, exact, beam, wrt, **options)
    np.testing.assert_allclose(cut.beam.coordinates, whole.beam.coordinates, rtol=1e-12, atol=1e-17)
    assert np.array_equal(cut.beam.lost_at, whole.beam.lost_at) and (whole.beam.lost_at >= 0).any()
    for name in wrt:
        scale = np.abs(whole.gradient[name]).max()
        np.testing.assert_allclose(cut.gradient[name], whole.gradient[name], rtol=1e-10, atol=1e-11 * scale)
        assert np.array_equal(cut.gradient[name], again.gradient[name]), "the same bits each time"


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("n", [1, 511, 512, 513, 1000, 2304])
def test_blocks_cover_every_particle_once(n, threads, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 256)
    x, q = np.arange(3.0 * n).reshape(3, n), np.arange(float(n))

    def function(particles, shared):
        (a, b), scale = particles, shared["scale"]
        return {"sum": a + scale * b, "same": (b,)}, {"total": np.sum(a, axis=-1), "count": a.shape[-1], "none": None}

    found, sums = blocks.blockwise(function, (x, q), {"scale": 2.0}, blocks.add, lambda: threads)
    np.testing.assert_array_equal(found["sum"], x + 2.0 * q)
    np.testing.assert_array_equal(found["same"][0], q)
    np.testing.assert_array_equal(sums["total"], x.sum(axis=-1))
    assert sums["count"] == n and sums["none"] is None


def test_blocks_can_be_joined_by_something_else(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 256)
    x = np.random.default_rng(0).standard_normal(3000)
    found = backends.get("numpy").blockwise(lambda a, _: ((), np.max(a)), x, None, np.maximum)
    assert found == ((), x.max())


def test_an_error_in_a_block_comes_out_and_the_context_goes_in(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 256)
    told = ContextVar("told", default="nothing")
    told.set("all")

    def function(a, _):
        assert told.get() == "all"
        if (a > 2990).any():
            raise ValueError("found it")
        return a, None

    with pytest.raises(ValueError, match="found it"):
        blocks.blockwise(function, np.arange(3000.0), None, blocks.add, lambda: 3)
