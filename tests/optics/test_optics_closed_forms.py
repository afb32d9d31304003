"""Optics against closed forms: thin lenses, beta/4 pi, resonance denominators, sextupoles, dispersion of one bend."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from rings import fodo, reference, ring

import backbeam as bb
from backbeam.lattice_functions import pullback


def test_a_thin_fodo_cell():
    # Courant & Snyder: sin(mu/2) = L/(4 f), beta at the middle of a lens 2 f cos(mu/2)...(1 +- sin(mu/2))
    f, L = 2.5, 4.0
    half = bb.ThinMultipole(k1l=0.5 / f, name="half")
    lens = bb.ThinMultipole(k1l=-1.0 / f, name="lens")
    d = bb.Drift(L / 2, name="d")
    o = bb.optics(bb.Line([half, d, lens, d, half]), reference())
    mu = 2.0 * np.arcsin(L / (4.0 * f))
    assert np.isclose(o.tune_x, mu / (2 * pi), rtol=1e-13) and np.isclose(o.tune_y, o.tune_x, rtol=1e-13)
    assert np.isclose(o["start"].beta_x, L * (1 + np.sin(mu / 2)) / np.sin(mu), rtol=1e-13)
    assert np.isclose(o["start"].beta_y, L * (1 - np.sin(mu / 2)) / np.sin(mu), rtol=1e-13)
    # Natural chromaticity per delta of thin lenses: -tan(mu/2)/pi
    by_delta = bb.optics(bb.Line([half, d, lens, d, half]), reference(), per="delta")
    assert np.isclose(by_delta.chromaticity_x, -np.tan(mu / 2) / pi, rtol=1e-8)
    assert np.isclose(o.chromaticity_x * by_delta.source.reference.beta, by_delta.chromaticity_x, rtol=1e-12)


def with_probe(line: bb.Line, **strength: float) -> bb.Line:
    """A thin lens in mid-ring, whose strength is asked for."""
    items = list(line.elements)
    return bb.Line([*items[:23], bb.ThinMultipole(name="probe", **strength), *items[23:]])


def test_a_quadrupole_shifts_tunes_by_beta_over_4_pi_and_beats_beta():
    line = with_probe(ring(), k1l=0.0)
    o = bb.optics(line, reference())
    here = o["probe"]
    for plane, sign in (("x", 1.0), ("y", -1.0)):
        beta = getattr(here, f"beta_{plane}")
        found = pullback(o, {f"tune_{plane}": 1.0}, ["probe.k1l"])["probe.k1l"]
        assert np.isclose(found, sign * beta / (4 * pi), rtol=1e-10)
        # d beta(s)/d(k1 l) = -+ beta beta_probe cos(2 |mu - mu_probe| - 2 pi Q)/(2 sin 2 pi Q)
        k = 57
        there, Q = o[k], getattr(o, f"tune_{plane}")
        bar = np.zeros(len(o))
        bar[k] = 1.0
        found = pullback(o, {f"beta_{plane}": bar}, ["probe.k1l"])["probe.k1l"]
        advance = 2.0 * abs(getattr(there, f"mu_{plane}") - getattr(here, f"mu_{plane}")) - 2 * pi * Q
        expected = -sign * getattr(there, f"beta_{plane}") * beta * np.cos(advance) / (2 * np.sin(2 * pi * Q))
        assert np.isclose(found, expected, rtol=1e-9)


def test_a_corrector_moves_the_closed_orbit():
    line = with_probe(ring(), k0l=0.0)
    o = bb.optics(line, reference())
    here, there, k = o["probe"], o[57], 57
    bar = np.zeros(len(o))
    bar[k] = 1.0
    found = pullback(o, {"x": bar}, ["probe.k0l"])["probe.k0l"]
    advance = abs(there.mu_x - here.mu_x) - pi * o.tune_x
    expected = -np.sqrt(here.beta_x * there.beta_x) * np.cos(advance) / (2 * np.sin(pi * o.tune_x))
    # px = -k0l; the path around a ring without motion along s is free.
    assert np.isclose(found, expected, rtol=1e-9)


def test_a_sextupole_shifts_chromaticity_by_beta_d_over_4_pi():
    line = with_probe(ring(), k2l=0.0)
    o = bb.optics(line, reference())
    here = o["probe"]
    for plane, sign in (("x", 1.0), ("y", -1.0)):
        found = pullback(o, {f"chromaticity_{plane}": 1.0}, ["probe.k2l"])["probe.k2l"]
        expected = sign * getattr(here, f"beta_{plane}") * here.dispersion_x / (4 * pi)
        assert np.isclose(found, expected, rtol=1e-9)


def test_momentum_compaction_is_the_mean_of_dispersion_over_rho():
    cell = ring(cells=1)
    o = bb.optics(cell, reference(), step=0.01, per="delta")
    D, s = np.asarray(o.dispersion_x), np.asarray(o.s)
    in_bend = np.asarray([name == "b" for name in o.names])
    steps = np.where(in_bend, np.diff(s, prepend=0.0), 0.0)
    mean = np.sum(steps * 0.5 * (D + np.roll(D, 1))) * (pi / 16) / float(o.length)
    assert np.isclose(o.momentum_compaction, mean, rtol=1e-4)
    gamma = float(reference().gamma)
    assert np.isclose(o.slip_factor, o.momentum_compaction - 1 / gamma**2, rtol=1e-12)


def test_a_ring_is_its_cells_and_its_start_continues_itself():
    one, ten = bb.optics(fodo(), reference()), bb.optics(fodo() * 10, reference())
    assert np.isclose(ten.tune_x, 10 * one.tune_x, rtol=1e-12)
    start = bb.Twiss(*(float(getattr(one["start"], n)) for n in ("beta_x", "beta_y", "alpha_x", "alpha_y")))
    open_line = bb.optics(fodo() * 10, reference(), start)
    for name in ("beta_x", "alpha_y", "mu_y"):
        assert np.allclose(getattr(open_line, name), getattr(ten, name), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("cavity", (False, True))
def test_matrices_between_places_multiply_and_close(cavity):
    o = bb.optics(ring(steered=True, cavity=cavity), reference())
    J = np.kron(np.diag([1, 1, -1]), [[0, 1], [-1, 0]])
    a, b = "sf[1]", "b[5]"
    M = o.matrix(b, a) @ o.matrix(a, b)
    there = o.matrix("start", a)
    assert np.allclose(M, there @ o.matrix() @ np.linalg.inv(there), rtol=1e-9, atol=1e-8)
    assert np.allclose(M.T @ J @ M, J, atol=1e-9)


@pytest.mark.parametrize("pt", (0.0, 2e-3, -5e-3))
def test_slip_is_how_the_time_of_a_turn_changes_with_momentum(pt):
    line, given = ring(steered=True), reference()
    inverse_beta = 1.0 / float(given.beta)

    def logarithms(at):
        o = bb.optics(line, given, pt=at)
        time = o.length * inverse_beta + o.tau[-1]
        p, e = np.sqrt(1.0 + 2.0 * at * inverse_beta + at * at), inverse_beta + at
        return np.log([time, p, time * p / e])

    h = 1e-4
    one, two = (logarithms(pt + k * h) - logarithms(pt - k * h) for k in (1, 2))
    time, momentum, way = 8.0 * one - two
    o = bb.optics(line, given, pt=pt)
    assert np.isclose(o.slip_factor, time / momentum, rtol=1e-9)
    assert np.isclose(o.momentum_compaction, way / momentum, rtol=1e-9)


def test_chromaticity_with_cavities_is_that_of_another_radio_frequency():
    line, given = ring(steered=True, cavity=True), reference()
    o = bb.optics(line, given)

    def later(kappa):
        """Tunes of x and y, and pt, of the orbit that is later by kappa in every turn, as at another frequency."""
        z = o.solution.z[0]
        for _ in range(6):
            table = bb.optics(line, given, bb.Twiss(1.0, 1.0), orbit=z)
            M, end = table.matrix(), table.solution.z[-1]
            z = z + np.linalg.solve(np.eye(6) - M, end - z - kappa * np.eye(6)[4])
        phases = np.sort(np.abs(np.angle(np.linalg.eigvals(M))))[::2] / (2.0 * pi)
        # Fractions .007, .167 of x and .458 of y.
        return np.asarray([phases[1], phases[2], z[5]])

    h = 1e-4
    one, two = (later(k * h) - later(-k * h) for k in (1, 2))
    found = 8.0 * one - two
    assert np.allclose(o.chromaticities, found[:2] / found[2], rtol=1e-6)
    frozen = bb.optics(line, given, pt=float(o.pt[0]))
    assert np.allclose(o.chromaticities, frozen.chromaticities, rtol=2e-3)
