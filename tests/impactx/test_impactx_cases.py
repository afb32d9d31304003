"""ImpactX's benchmark cases, from problem files, inside ImpactX's own tolerances at its own numbers of particles.

Beside each problem file stands what is expected of it and what is different from ImpactX's input. Beams have the
default seed but where the file says why not. Where a case was reckoned without noise, ours is without it too.
"""

from __future__ import annotations

import numpy as np
import pytest
from impactx_problems import (
    EXPECTED,
    beam_of,
    cases_with,
    misses,
    problem_of,
    quantity,
    tracked,
    twelve_particles,
)

from backbeam import trace, track
from backbeam.effects import Bunch
from backbeam.problem import Problem
from backbeam.species import VACUUM_PERMITTIVITY

SLOW = ("cyclotron", "positron_channel", "thermal", "expanding_beam_3d_envelope", "kurth_6d_periodic_10nC_envelope")


def cases(key: str):
    """Parametrise a test over the problems of which that is expected."""
    marked = [pytest.param(name, marks=pytest.mark.long) if name in SLOW else name for name in cases_with(key)]
    return pytest.mark.parametrize("name", marked)


def test_every_problem_has_something_expected_of_it():
    named = {case for expected in EXPECTED.values() for case in expected["source"]["cases"]}
    assert len(EXPECTED) >= 25 and len(named) >= 25
    for name, expected in EXPECTED.items():
        tests = set(expected) - {"source", "differences", "matched"}
        assert any(expected[key] for key in tests)
        assert tests <= TESTED
        assert problem_of(name).title


@cases("checks")
def test_moments(name):
    first = beam_of(name)
    places = {"initial": first, "final": tracked(name, first)}
    for check in EXPECTED[name]["checks"]:
        at = check["at"]
        beam = places[at] if at in places else entering(name, at)
        assert not misses(beam, check)


def entering(name: str, element: str):
    """The beam where it enters an element."""
    before = None
    for _, passed, beam in trace(problem_of(name).line(), beam_of(name)):
        if passed == element:
            return before
        before = beam
    raise KeyError(element)


def has_particles(name: str) -> bool:
    return not EXPECTED[name].get("matched")


@pytest.mark.parametrize("name", [n for n in cases_with("noise_free") if has_particles(n)])
def test_moments_without_noise(name):
    """Twelve particles stand for a beam of exact second moments, so small that only the linear part of a map counts.

    The reference is of an independent tracker of 6 x 6 covariances, good to some 1e-9: its protons are those of
    CODATA 2022, 1.4e-9 heavier than ours, and it lets a determinant cancel in the emittance of cfbend.
    """
    scale = 1e-3
    final = tracked(name, twelve_particles(problem_of(name).beam(), scale))
    for moment, expected in EXPECTED[name]["noise_free"].items():
        power = 2 if moment.startswith("emittance") else 1
        assert quantity(final, moment) / scale**power == pytest.approx(expected, rel=5e-9)


@pytest.mark.long
@pytest.mark.parametrize("name", [n for n in cases_with("noise_free") if not has_particles(n)])
def test_moments_of_an_envelope(name):
    """The momenta too follow the envelope equations; 1e5 particles are tracked, so it is the field that has noise."""
    final = tracked(name, beam_of(name))
    for moment, expected in EXPECTED[name]["noise_free"].items():
        if moment.startswith("sigma"):
            assert quantity(final, moment) == pytest.approx(expected, rel=1e-3)
        else:
            assert quantity(final, moment) == pytest.approx(expected, rel=1e-3, abs=1e-8)


# -- what is special to a case ----------------------------------------------------------------------------------------


@cases("turns")
def test_tunes(name):
    """Every particle's turns obey one matrix; its trace is the tune, its elements the Twiss parameters."""
    turns = EXPECTED[name]["turns"]
    places = [beam.coordinates for _, _, beam in trace(problem_of(name).line(), beam_of(name))]
    each = (len(places) - 1) // turns["count"]
    places = np.stack(places[::each])
    assert len(places) == turns["count"] + 1
    for quantity_of_ring, expected in turns["values"].items():
        kind, plane = quantity_of_ring.split("_")
        first = {"x": 0, "y": 2, "z": 4}[plane]
        pairs = places[:, first : first + 2].swapaxes(0, 1)
        before, after = pairs[:, :-1].reshape(2, -1), pairs[:, 1:].reshape(2, -1)
        M = np.linalg.lstsq(before.T, after.T, rcond=None)[0].T
        phase = np.arccos(0.5 * np.trace(M))
        sine = np.sin(phase) * np.sign(M[0, 1])
        found = {"tune": phase / (2 * np.pi), "beta": M[0, 1] / sine, "alpha": 0.5 * (M[0, 0] - M[1, 1]) / sine}
        assert found[kind] == pytest.approx(expected, rel=turns["rtol"])


@cases("orbit")
def test_orbit_follows_the_dispersion(name):
    orbit = EXPECTED[name]["orbit"]
    final = tracked(name, beam_of(name))
    offset, slope = final.dispersion("x")
    mean_pt = final.mean("pt")
    assert mean_pt == pytest.approx(orbit["pt"], rel=orbit["rtol"])
    assert final.mean("x") == pytest.approx(offset * mean_pt, rel=orbit["rtol"])
    assert final.mean("px") == pytest.approx(slope * mean_pt, abs=orbit["atol_px"])


@cases("lost_at_s")
def test_losses(name):
    """Who is lost is outside of the opening where he is lost and nobody else is; kept and lost are all."""
    problem, first = problem_of(name), beam_of(name)
    half_x, half_y = 1e-3, 1.5e-3
    absorbs = name == "absorber"
    places, alive = [], np.ones(first.n, dtype=bool)
    for s, element, beam in trace(problem.line(), first):
        before, alive = alive, np.asarray(beam.alive)
        hit = before & ~alive
        # Straight lines, as the drift is linear.
        x, y = first.x + s * first.px, first.y + s * first.py
        inside = (abs(x) <= half_x) & (abs(y) <= half_y)
        if problem.line()[element].kind == "aperture" if element else False:
            np.testing.assert_array_equal(hit, before & (inside if absorbs else ~inside))
            np.testing.assert_allclose(beam.x[hit], x[hit], rtol=1e-13, atol=1e-18)
        else:
            assert not hit.any()
        if hit.any():
            places.append(float(s))
    np.testing.assert_allclose(places, EXPECTED[name]["lost_at_s"], rtol=1e-5)
    final = tracked(name, first)
    assert 0 < int(final.lost) < first.n
    np.testing.assert_array_equal(final.alive, alive)
    assert float(final.charge) == pytest.approx(1e-9 * alive.mean(), rel=1e-12)


@cases("transmission")
def test_transmission(name):
    """That of 400000 particles of ImpactX, within four times the scatter of ours."""
    final = tracked(name, beam_of(name))
    p = EXPECTED[name]["transmission"]
    scatter = np.sqrt(p * (1 - p) / final.n)
    assert float(np.asarray(final.alive).mean()) == pytest.approx(p, abs=4 * scatter)


@cases("survivors")
def test_survivors(name):
    first = beam_of(name)
    final = tracked(name, first)
    x, y = abs(first.x), abs(first.y)
    cross = ((x < 1.5e-3) & (y < 0.5e-3)) | ((x < 0.5e-3) & (y < 1.5e-3))
    np.testing.assert_array_equal(final.alive, cross)
    assert 0 < int(final.lost) < final.n
    # Nobody moves, the lost included: where they are does not depend on where an aperture is centred.
    np.testing.assert_allclose(final.coordinates, first.coordinates, rtol=0, atol=1e-18)


@cases("same_as")
def test_same_as(name):
    other = EXPECTED[name]["same_as"]
    problem, beam = problem_of(name), beam_of(name)
    line = Problem({**problem.tree, "lattice": other["lattice"]}).line()
    found, wanted = tracked(name, beam), track(line, beam)
    for moment in ("sigma_x", "sigma_y", "sigma_tau", "emittance_x", "emittance_y", "emittance_z"):
        assert quantity(found, moment) == pytest.approx(quantity(wanted, moment), rel=other["rtol"])
    np.testing.assert_allclose(found.coordinates, wanted.coordinates, rtol=0, atol=other["rtol"] * 4e-3)


@cases("hamiltonian")
def test_hamiltonian(name):
    """H = pt/beta0 + 1 - pz + k1 (x^2 - y^2)/2 of a quadrupole is conserved in it."""
    expected = EXPECTED[name]["hamiltonian"]
    k1 = problem_of(name).line()[expected["element"]].k1

    def hamiltonian(beam):
        a = beam.pt * (2.0 / beam.beta + beam.pt) - beam.px**2 - beam.py**2
        slip = beam.pt / beam.beta - a / (1.0 + np.sqrt(1.0 + a))
        return slip + 0.5 * k1 * (beam.x**2 - beam.y**2)

    before = hamiltonian(entering(name, expected["element"]))
    after = hamiltonian(tracked(name, beam_of(name)))
    assert np.max(abs(after - before)) <= expected["atol"] * np.std(before)


@pytest.mark.long
@cases("gaussian_kick")
def test_kick_of_a_gaussian_bunch(name):
    """Of a bunch long in its rest frame: E_r = lambda(z) (1 - exp(-r^2/2 sigma^2))/(2 pi eps0 r)."""
    atol = EXPECTED[name]["gaussian_kick"]["atol"]
    problem, beam = problem_of(name), beam_of(name)
    length, charge = 1.0, abs(float(beam.charge))
    sigma, sigma_z = problem.tree["beam"]["sigma_x"], problem.tree["beam"]["sigma_tau"] * float(beam.beta)
    bunch = Bunch(beam.coordinates, beam.charges, None, beam.reference)
    kicked = problem.space_charge().forward(bunch, {"length": np.asarray(length)})
    density = charge / (np.sqrt(2 * np.pi) * sigma_z) * np.exp(-0.5 * (beam.tau * beam.beta / sigma_z) ** 2)
    square = beam.x**2 + beam.y**2
    field = density / (2 * np.pi * VACUUM_PERMITTIVITY) * -np.expm1(-0.5 * square / sigma**2) / square
    # p = e E ds/(beta^2 gamma^3 m c^2)
    gain = length / (beam.beta**2 * beam.gamma**3 * beam.species.mass)
    for row, place in ((1, beam.x), (3, beam.y)):
        wanted = gain * field * place
        miss = (kicked[row] - beam.coordinates[row] - wanted) / np.max(abs(wanted))
        assert np.sqrt(np.mean(miss**2)) <= atol
        assert np.max(abs(miss)) <= atol


TESTED = {
    "checks", "noise_free", "turns", "orbit", "lost_at_s", "transmission", "survivors", "same_as", "hamiltonian",
    "gaussian_kick",
}  # fmt: skip
"""Keys of an expectation that a test here reads."""
