"""What somebody else has to write to add an element, a map, an effect, an adjoint, a distribution or a library.

It is one class each. Nothing here touches a file of ours, and everything runs with it: tracking, gradients,
comparisons, files, plots.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toys import Pull, ToyBackend

import backbeam as bb
from backbeam import backends
from backbeam.adjoint import Adjoint
from backbeam.adjoint.base import Diagnosis
from backbeam.arrays import join, over_particles, per_particle, rows
from backbeam.distributions import Family
from backbeam.elements.base import REQUIRED, Element, bind, parameter
from backbeam.maps.base import Map
from backbeam.plan import advance, replay, unroll
from backbeam.problem import Problem, question
from backbeam.problem.comparison import compare


@dataclass(frozen=True)
class CubicKick(Map):
    """px -= strength x^3."""

    fraction: float = 1.0

    @property
    def parameters(self):
        return ("strength",)

    def forward(self, X, reference, p):
        x, px, *rest = rows(X)
        return join(x, px - self.fraction * per_particle(p["strength"]) * x * x * x, *rest)

    def inverse(self, X1, reference, p):
        x, px, *rest = rows(X1)
        return join(x, px + self.fraction * per_particle(p["strength"]) * x * x * x, *rest)

    def pullback(self, X, reference, p, X1_bar):
        x, x_bar, px_bar = X[..., 0, :], X1_bar[..., 0, :], X1_bar[..., 1, :]
        strength = self.fraction * per_particle(p["strength"])
        X_bar = join(x_bar - 3.0 * strength * x * x * px_bar, *rows(X1_bar)[1:])
        return X_bar, 0.0, {"strength": -self.fraction * over_particles(x * x * x * px_bar)}


@dataclass(frozen=True, eq=False)
class Cubic(Element):
    """A thin element of the map above."""

    strength: float = parameter(REQUIRED, unit="1/m^3")

    kind: ClassVar[str] = "toy_cubic"
    color: ClassVar[str] = "#123456"

    def body(self, fraction):
        return (bind(CubicKick()),)


@dataclass(frozen=True)
class Everything(Adjoint):
    """Keeps the first state only, and runs all again."""

    def forward(self, backend, plan, setting, state, P, sweep=None):
        return *advance(plan, setting, state, P), ()

    def backward(self, backend, plan, setting, first, last, kept, P, bars, readings_bar, sweep=None):
        return replay(unroll(plan), setting, first, P, bars, readings_bar), Diagnosis()


Family("toy_square", lambda rng, n: np.sign(rng.standard_normal((6, n))))

FILE = """
beam: {distribution: toy_square, species: electron, n: 80, charge: 1e-9, kinetic_energy: 5e7,
       sigma_x: 1e-3, sigma_px: 1e-4, sigma_y: 1e-3, sigma_tau: 1e-3, seed: 1}
lattice: [{drift: {length: 0.4, name: d}}, {toy_cubic: {strength: 300.0, name: c}}, {drift: {length: 0.3, slices: 2}}]
effects: [{toy_pull: {strength: 2e8, name: pull, slices: 2}}]
gradient: {objective: sigma_x, wrt: [c.strength, d.length, pull.strength, beam.charge], adjoint: everything}
"""


def test_a_problem_file_of_toys_runs_and_is_differentiated():
    problem = Problem.parse(FILE)
    outcome = problem.run()
    assert outcome.kicks == 4 and outcome.lost == 0
    found = problem.differentiate()
    assert found.question.adjoint == Everything()
    wanted = problem.differentiate(question(problem, adjoint="store"))
    assert found.gradient == pytest.approx(wanted.gradient, rel=1e-12)


def test_all_ways_agree():
    problem = Problem.parse(FILE)
    ways = ["reversible", "checkpoint", "tape", "everything"]
    found = compare(
        problem, question(problem), chosen_backends=["numpy", "torch"], chosen_adjoints=ways, tell=lambda stage: None
    )
    assert found.ok, found.summary()
    assert {row.adjoint for row in found.rows} == set(ways)


def test_a_library_of_toys(monkeypatch):
    known = dict(backends._entry_points())
    point = EntryPoint(ToyBackend.name, "toys:ToyBackend", backends.GROUP)
    monkeypatch.setattr(backends, "_entry_points", lambda: known | {ToyBackend.name: point})
    problem = Problem.parse(FILE + "space_charge: {model: 3d, grid: [6, 6, 6]}\n")
    beam = problem.beam(ToyBackend.name)
    assert type(beam.x) is type(ToyBackend.namespace.zeros(1)) and beam.backend is backends.get(ToyBackend.name)
    names = [ToyBackend.name, "numpy"]
    found = compare(problem, question(problem), chosen_backends=names, tell=lambda stage: None)
    assert found.ok, found.summary()
    assert {row.backend for row in found.rows} == set(names)


def test_under_jit():
    problem = Problem.parse(FILE)
    beam, course = problem.beam("jax"), problem.course()

    def size(line, beam, effect):
        return bb.track(line, beam, effects=[effect]).sigma()[0]

    (effect,) = course.effects.values()
    value, (line_bar, effect_bar) = jax.jit(jax.value_and_grad(size, argnums=(0, 2)))(
        jax.tree.map(jnp.asarray, course.line), beam, jax.tree.map(jnp.asarray, effect)
    )
    wanted = problem.differentiate(question(problem, adjoint="store"))
    assert float(value) == pytest.approx(wanted.value, rel=1e-12)
    assert float(line_bar["c"].strength) == pytest.approx(wanted.gradient["c.strength"], rel=1e-9)
    assert float(effect_bar.strength) == pytest.approx(wanted.gradient["pull.strength"], rel=1e-9)


def test_memory_of_toys_is_foretold():
    problem = Problem.parse(FILE)
    chosen = bb.value_and_grad(bb.observables.sigma("x"), problem.line(), problem.beam(), ["c.strength"],
                               effects=problem.effects(), adjoint="auto")  # fmt: skip
    assert np.isfinite(float(chosen[1]["c.strength"]))
    from backbeam.memory.forecast import forecast

    assert forecast(problem).needs(Everything()).predicted_peak_bytes > 0


def test_a_plot_of_toys(tmp_path):
    from backbeam.plotting import draw_run, save

    outcome = Problem.parse(FILE).run(points=5)
    save(draw_run(outcome, outcome.rows, "toys"), tmp_path / "toys.png")
    assert (tmp_path / "toys.png").stat().st_size > 10_000


def test_unknown_things_are_named():
    for old, new, said in (
        ("toy_cubic: {strength: 300.0,", "toy_cubc: {strength: 300.0,", "toy_cubic"),
        ("toy_pull: {", "toy_pul: {", "toy_pull"),
        ("strength: 2e8, name: pull", "name: pull", r"effects\[0\]\.toy_pull\.strength is missing"),
        ("distribution: toy_square", "distribution: toy_sqare", "toy_square"),
    ):
        with pytest.raises(bb.InputError, match=said):
            Problem.parse(FILE.replace(old, new))
    assert Pull.kind in bb.Effect.kinds
