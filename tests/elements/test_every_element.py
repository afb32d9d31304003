"""What every element must do, on every array library: give the same beam, in a batch and alone, and be undone."""

from __future__ import annotations

import numpy as np
import pytest
from element_cases import CASES, make
from libraries import few_on_jax

import backbeam as bb
from backbeam.adjoint.base import zero_parameters
from backbeam.course import Course
from backbeam.plan import Bars, Slicing, compile_line, retreat
from backbeam.run import Run

every_case = pytest.mark.parametrize("label", CASES)
THICK = [label for label in CASES if make(label).is_thick]
SCALARS = {label: [n for n, v in make(label).parameters().items() if not hasattr(v, "shape")] for label in CASES}
"""Parameters of each case that are numbers."""


def beam(backend="numpy", dtype="float64", batch=(), n=40):
    X = np.random.default_rng(7).uniform(-1e-3, 1e-3, (*batch, 6, n))
    return bb.Beam.from_arrays(X, species="electron", kinetic_energy=20e6, charge=1e-10, backend=backend, dtype=dtype)


def host(beam):
    return np.asarray(beam.backend.to_numpy(beam.coordinates), dtype=np.float64)


def close(actual, wanted, tolerance):
    assert np.all(np.isfinite(actual))
    scale = np.abs(wanted).max(axis=-1, keepdims=True)
    assert np.all(np.abs(actual - wanted) <= tolerance * np.maximum(scale, 1e-3))


def test_every_element_has_a_case():
    made = {type(make(label)) for label in CASES}
    assert made == set(bb.elements.ALL)


@every_case
def test_same_beam_on_every_library(label, backend):
    check_same_beam(label, backend, "float64")


@few_on_jax("label", list(CASES))
def test_same_beam_in_float32(label, backend):
    check_same_beam(label, backend, "float32")


def check_same_beam(label, backend, dtype):
    line = bb.Line([make(label)])
    wanted = bb.track(line, beam())
    found = bb.track(line, beam(backend.name, dtype))
    assert found.backend is backend and found.dtype == dtype
    assert found.s == pytest.approx(wanted.s)
    close(host(found), host(wanted), 1e-13 if dtype == "float64" else 3e-5)
    np.testing.assert_array_equal(backend.to_numpy(found.lost_at), wanted.lost_at)
    for name, reading in wanted.readings.items():
        np.testing.assert_allclose(
            backend.to_numpy(found.readings[name]),
            reading,
            rtol=0,
            atol=(1e-13 if dtype == "float64" else 1e-4) * np.abs(reading).max(),
        )


@few_on_jax("label", list(CASES))
def test_batch_of_beams_equals_loop(label, backend):
    line = bb.Line([make(label)])
    out = bb.track(line, beam(backend.name, batch=(2, 2)))
    for k in np.ndindex(2, 2):
        one = bb.Beam.from_arrays(host(beam(batch=(2, 2)))[k], species="electron", kinetic_energy=20e6, charge=1e-10)
        wanted = bb.track(line, one)
        close(host(out)[k], host(wanted), 1e-13)
        for name, reading in wanted.readings.items():
            np.testing.assert_allclose(backend.to_numpy(out.readings[name])[k], reading, rtol=1e-11, atol=1e-25)


@few_on_jax("label", [label for label, names in SCALARS.items() if names])
def test_batch_of_settings_equals_loop(label, backend):
    element, names = make(label), SCALARS[label]
    factors = np.asarray([0.9, 1.0, 1.1])
    batched = element.replace(**{n: backend.asarray(getattr(element, n) * factors) for n in names})
    out = bb.track(bb.Line([batched]), beam(backend.name))
    for k, factor in enumerate(factors):
        single = element.replace(**{n: getattr(element, n) * float(factor) for n in names})
        close(host(out)[k], host(bb.track(bb.Line([single]), beam())), 1e-12)


@every_case
def test_the_whole_element_can_be_undone(label):
    start = beam()
    run = Run(Course.of(bb.Line([make(label)])), start)
    plan = compile_line(run.line, Slicing(), {})
    setting = run.setting(plan)
    out = bb.track(run.line, start)
    last = run.state()._replace(X=out.coordinates, beta_gamma=out.reference.beta_gamma, lost_at=np.asarray(out.lost_at))
    nothing = (np.zeros_like(a) for a in (last.X, last.q, last.beta_gamma))
    bars = Bars(*nothing, zero_parameters(last, run.parameters, run.core_ranks))
    readings_bar = tuple(np.zeros_like(r) for r in out.readings.values())
    first, _ = retreat(plan, setting, last, run.parameters, bars, readings_bar)
    close(first.X, start.coordinates, 1e-13 if "map" not in label else 1e-12)
    np.testing.assert_allclose(first.beta_gamma, start.reference.beta_gamma, rtol=1e-14)
    assert np.all(np.asarray(first.lost_at) == -1)


@pytest.mark.parametrize("label", THICK)
def test_slices_add_up(label):
    """An element in seven slices is the element; an integrator differs by its own error."""
    element = make(label)
    *_, (s, _, cut) = bb.trace(bb.Line([element]), beam(), slices=7)
    assert s == pytest.approx(element.length)
    tolerance = 3e-5 if any(hasattr(bound.map, "steps") for bound in element.body(1.0)) else 1e-13
    if element.kind == "quadrupole":
        tolerance = 1e-13 if element.model == "linear" else 1e-7
    if element.kind in ("rf_cavity", "crab_cavity"):
        tolerance = 2e-2
    close(host(cut), host(bb.track(bb.Line([element]), beam())), tolerance)
