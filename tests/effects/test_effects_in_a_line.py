"""How effects act along a line: where, how often, in which order, and what a gradient can be asked of them."""

from __future__ import annotations

import numpy as np
import pytest
from toys import Pull

import backbeam as bb
from backbeam.course import Course
from backbeam.effects.base import Place
from backbeam.plan import Kick, unroll

SIGMA = bb.observables.sigma("x")


def line():
    return bb.Line([
        bb.Drift(0.4, name="d"), bb.Quadrupole(0.3, 2.0, name="q"), bb.Marker(name="here"),
        bb.SectorBend(0.5, angle=0.2, name="bend"), bb.Drift(0.2, name="e"),
    ])  # fmt: skip


def beam(backend="numpy"):
    return bb.Beam.gaussian(
        n=60, species="electron", kinetic_energy=5e7, charge=1e-9, sigma_x=1e-3, sigma_px=1e-4, sigma_y=1e-3,
        sigma_tau=1e-3, sigma_pt=1e-3, mean_x=3e-4, seed=3, backend=backend,
    )  # fmt: skip


def kicks(*effects, **options):
    course = Course.of(line(), effects=effects, **options)
    return [(s.element, round(float(dict(s.needs).get("length", ((0, 0, 0),))[0][2]), 6)) for s in unroll(course.plan)
            if isinstance(s, Kick)]  # fmt: skip


def test_each_effect_has_slices_of_its_own():
    assert kicks(Pull(strength=1.0, slices=2, name="a"), Pull(strength=1.0, name="b"))[:3] == [
        ("d", 0.5), ("d", 1.0), ("d", 0.5),
    ]  # fmt: skip
    assert len(kicks(Pull(strength=1.0, step=0.1))) == 4 + 3 + 5 + 2
    assert len(kicks(Pull(strength=1.0), slices=3)) == 12


def test_at_a_point_there_is_one_kick_a_passage():
    assert kicks(Pull(strength=1.0, at=["here", "q"]), slices=7) == [("q", 0.0), ("here", 0.0)]
    with pytest.raises(bb.InputError, match="element"):
        Course.of(line(), effects=[Pull(strength=1.0, at="nowhere")])


def test_a_thin_kick_is_what_it_says():
    X = beam()
    out = bb.track(bb.Line([bb.Marker(name="here")]), X, effects=Pull(strength=3e6, at="here"))
    mean = np.average(X.x, weights=X.charges)
    assert np.allclose(out.px - X.px, -3e6 * -1e-9 * (X.x - mean), rtol=1e-12, atol=1e-18)


def test_several_effects_at_once_are_of_second_order():
    """Halving all steps quarters the error, though the steps differ."""

    def final(slices):
        effects = [Pull(strength=2e9, slices=slices, name="a"), Pull(strength=-5e8, slices=3 * slices, name="b")]
        return bb.track(bb.Line([bb.Quadrupole(0.6, 5.0, name="q")]), beam(), effects=effects).coordinates

    exact = final(128)
    errors = [np.abs(final(k) - exact).max() for k in (2, 4, 8)]
    assert 3.8 < errors[0] / errors[1] < 4.2 and 3.8 < errors[1] / errors[2] < 4.2


def test_gradients_by_parameters_of_effects(backend):
    """Of two effects and a line, by every adjoint, and by differences."""
    effects = [Pull(strength=2e8, name="a", slices=2), Pull(strength=-1e6, at="here", name="b"),
               bb.SpaceCharge3D((6, 6, 6))]  # fmt: skip
    wrt = ["a.strength", "b.strength", "q.k1", "d.length", "beam.charge"]
    adjoints = [bb.Reversible(), bb.Store(), bb.Checkpoint(2)]
    if backend.name == "jax":  # which compiles each kind of step for each of them
        effects, adjoints = effects[:2], adjoints[:1]
    found = [bb.value_and_grad(SIGMA, line(), beam(backend.name), wrt, effects=effects, adjoint=a)[1] for a in adjoints]
    for name in wrt:
        one = [float(g[name]) for g in found]
        assert one == pytest.approx([one[0]] * len(one), rel=1e-10), name
    course = Course.of(line(), effects=effects)
    for name in wrt[:-1]:
        value = course.get(name)
        h = 1e-5 * abs(value)
        up, down = (course.replace({name: value + d}) for d in (h, -h))
        slope = [float(SIGMA(bb.track(c.line, beam(), effects=c.effects.values()))) for c in (up, down)]
        assert float(found[0][name]) == pytest.approx((slope[0] - slope[1]) / (2 * h), rel=1e-5), name


def test_names_of_effects():
    course = Course.of(line(), effects=[Pull(strength=1.0), Pull(strength=2.0), Pull(strength=3.0, name="mine")])
    assert list(course.effects) == ["toy_pull_1", "toy_pull_2", "mine"]
    for name in ("q", "beam"):
        with pytest.raises(bb.InputError, match="effects is"):
            Course.of(line(), effects=[Pull(strength=1.0, name=name)])
    with pytest.raises(bb.InputError, match=r"effects\[0\]"):
        Course.of(line(), effects=["wake"])
    with pytest.raises(bb.InputError, match=r"mine\.strength"):
        course.get("mine.strenght")


def test_a_place_knows_the_way_since_the_last_bend():
    flat = line()
    place = Place(flat.elements, flat.sequence, 4, 0, 1)
    assert [(name, part) for _, name, part in place.way] == [("bend", 1.0), ("e", 0.5)]
    assert Place(flat.elements, flat.sequence, 1, 0, 1).way == ()
