"""Problem files: what they may say, what becomes of it, and that shipped ones give the numbers promised."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbeam import elements
from backbeam.effects.space_charge.pipe import SpaceCharge2DPipe
from backbeam.errors import InputError
from backbeam.parameter_names import expand
from backbeam.problem import Problem, example_names, question
from backbeam.problem.overrides import split_override
from backbeam.problem.text import ProblemError, read_tree, write_tree
from backbeam.tracking import count_kicks

EXAMPLES = (
    "awake", "bunch-compressor", "expanding-beam", "fodo", "fodo-space-charge", "injector", "jutrack-fodo", "kurth",
    "thermal", "wake",
)  # fmt: skip

SMALL = """
title: two cells
beam:
  {distribution: gaussian, species: proton, n: 100, kinetic_energy: 250e6, charge: 1e-9,
   sigma_x: 1e-3, sigma_y: 2e-3, sigma_tau: 3e-3}
lattice:
  model: linear
  define:
    qf: {quadrupole: {length: 0.1, k1: 29.6}}
    qd: {quadrupole: {length: 0.1, k1: -29.6, model: exact}}
    d: {drift: {length: 0.2}}
    cell: [qf, d, qd, d]
  line:
    - cell
    - {repeat: 2, line: [d, {marker: {name: here}}]}
    - [d, cell]
    - {screen: {half_x: 0.01, half_y: 0.01, pixels: [8, 8]}}
space_charge: {grid: [8, 8, 8]}
track: {step: 0.05}
"""


# -- text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250e6", 250e6), ("1e-9", 1e-9), ("-1.5E+3", -1500.0), (".5", 0.5), ("1.", 1.0), ("100_000", 100000),
        ("010", 10),
        ("7", 7), ("-7", -7), ("true", True), ("null", None), ("~", None), ("no", "no"), ("on", "on"),
        ("y", "y"),
        ("12:30", "12:30"), ("2001-01-01", "2001-01-01"), ("'1e-9'", "1e-9"), (".inf", math.inf),
        ("e5", "e5"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text, value):
    found = read_tree(text, "text")
    assert found == value
    assert type(found) is type(value)


def text(most):
    """What text may hold: no control characters, no surrogates, no separators of lines but the usual one."""
    return st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")) | st.just("\n"), max_size=most)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | text(8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text(5), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_what_is_written_is_read_as_the_same(tree):
    assert read_tree(write_tree(tree), "text") == tree


@given(st.sampled_from(["1e-9", "250e6", "null", "true", "12", ".inf", "~", "", "no", "- a", "a: b", "&a", "!!str"]))
def test_text_that_looks_like_something_else_stays_text(text):
    assert read_tree(write_tree({"k": text}), "text") == {"k": text}


# -- lattice -------------------------------------------------------------------------------------------------


def test_lattice_grammar():
    line = Problem.parse(SMALL).line()
    cell = ["qf", "d", "qd", "d"]
    assert list(line.sequence) == [*cell, "d", "here", "d", "here", "d", *cell, "screen_1"]
    assert line.length == pytest.approx(2 * 0.6 + 3 * 0.2)
    assert line["qf"].model == "linear"
    assert line["qd"].model == "exact"
    assert line["screen_1"].pixels == (8, 8)
    assert line.elements[0] is line.elements[9], "an element that is used twice is one element"


def test_every_kind_can_be_said():
    """Whatever the package calls an element, a problem file can; the fields are the class's own."""
    extra = {
        "aperture": {"half_x": 0.01, "half_y": 0.02}, "screen": {"half_x": 0.01, "half_y": 0.02},
        "corrector": {"hkick": 1e-3},
        "multipole": {"length": 0.1, "k1": 1.0}, "thin_multipole": {"k1l": 0.1},
        "dipole_edge": {"curvature": 0.1, "e": 0.1},
        "rf_cavity": {"voltage": 1e6, "frequency": 1e9}, "buncher": {"voltage": 1e6, "frequency": 1e9},
        "crab_cavity": {"voltage": 1e6, "frequency": 1e9}, "patch": {"ds": 0.1},
        "field_cavity": {"length": 0.2, "scale": 1e6, "frequency": 1e9, "field_cos": [1.0, 0.5]},
        "linear_map": {"matrix": np.eye(6).tolist()},
    }  # fmt: skip
    required = {
        "length": 0.2,
        "k1": 1.0,
        "k2": 1.0,
        "k3": 1.0,
        "angle": 0.1,
        "ks": 0.3,
        "kx": 1.0,
        "ky": 1.0,
        "kt": 1.0,
    }
    for kind, cls in ((cls.kind, cls) for cls in elements.ALL):
        names = set(cls.__dataclass_fields__)
        values = extra.get(kind, {k: v for k, v in required.items() if k in names})
        problem = _small({"lattice": [{kind: values}]})
        (element,) = problem.line()
        assert type(element) is cls
        for key, value in values.items():
            assert np.all(np.asarray(getattr(element, key)) == np.asarray(value))


def test_integrator_defaults_go_to_what_integrates():
    lattice = {
        "order": 2,
        "steps": 50,
        "splitting": "drift-kick",
        "line": [
            {"drift": {"length": 1.0}},
            {"quadrupole": {"length": 0.1, "k1": 1.0}},
            {"quadrupole": {"length": 0.1, "k1": 1.0, "steps": 3}},
            {"rf_cavity": {"length": 1.0, "voltage": 1e6, "frequency": 1e9}},
        ],
    }
    _, first, second, cavity = _small({"lattice": lattice}).line()
    assert (first.order, first.steps, second.order, second.steps) == (2, 50, 2, 3)
    assert first.splitting == second.splitting == "drift-kick"
    assert cavity.steps == elements.RFCavity(voltage=1e6, frequency=1e9).steps, (
        "its steps are gaps, not an integrator's"
    )


def test_lattice_of_another_file(tmp_path):
    (tmp_path / "ring.yaml").write_text("- drift: {length: 0.5}\n- quadrupole: {name: q, length: 0.1, k1: 2.0}\n")
    main = SMALL.partition("lattice:")[0] + "lattice: {file: ring.yaml, model: linear}\n"
    (tmp_path / "main.yaml").write_text(main)
    problem = Problem.load(tmp_path / "main.yaml")
    assert problem.line().sequence == ("drift_1", "q")
    assert problem.line()["q"].model == "linear"
    assert Problem.parse(problem.dump()).line().length == pytest.approx(0.6), "what is written stands for itself"
    shared = tmp_path / "shared.yaml"
    shared.write_text(main.replace("ring.yaml", "main2.yaml"))
    (tmp_path / "main2.yaml").write_text(SMALL)
    assert len(Problem.load(shared).line()) == len(Problem.parse(SMALL).line())


# -- sections ------------------------------------------------------------------------------------------------


def test_sections_become_objects():
    problem = Problem.parse(SMALL)
    beam = problem.beam()
    assert (beam.n, beam.species.name, beam.backend.name, beam.dtype) == (100, "proton", "numpy", "float64")
    assert float(beam.charge) == pytest.approx(1e-9)
    assert problem.space_charge().grid == (8, 8, 8)
    assert problem.track_options() == {"step": 0.05}
    assert _small({"space_charge": None}).space_charge() is None
    assert _small({"track": None}).track_options() == {}


def test_extents():
    from backbeam.effects.space_charge import FixedExtent, RmsExtent

    rms = _small({"space_charge": {"extent": {"rms": {"sigmas": 5.0, "guard": 2}}}}).space_charge()
    assert rms.extent == RmsExtent(sigmas=5.0, guard=2)
    corners = {"lower": [-1.0, -1.0, -1.0], "upper": [1.0, 1.0, 1.0]}
    assert _small({"space_charge": {"extent": {"fixed": corners}}}).space_charge().extent == FixedExtent(
        lower=(-1.0, -1.0, -1.0), upper=(1.0, 1.0, 1.0)
    )


def test_species_of_its_own():
    heavy = {"name": "xenon", "mass": 1.2e11, "charge_number": 3}
    beam = Problem.parse(SMALL, overrides={"beam.species": heavy}).beam()
    assert (beam.species.name, beam.species.mass, beam.species.charge_number) == ("xenon", 1.2e11, 3)


def test_covariance():
    cov = np.diag([1e-6, 1e-8, 2e-6, 1e-8, 1e-6, 1e-6])
    problem = Problem.parse(
        SMALL,
        overrides={f"beam.sigma_{q}": None for q in ("x", "y", "tau")}
        | {"beam.covariance": cov.tolist(), "beam.n": 20000},
    )
    assert np.allclose(problem.beam().sigma(), np.sqrt(np.diag(cov)), rtol=0.03)


def test_seed_gives_the_same_particles_on_every_backend(backend):
    problem = Problem.parse(SMALL)
    host = backend.to_numpy
    here = host(problem.beam(backend=backend.name).coordinates)
    assert np.array_equal(here, problem.beam().coordinates)
    assert not np.array_equal(here, problem.beam(seed=7).coordinates)


# -- overrides -----------------------------------------------------------------------------------------------


def test_overrides():
    problem = Problem.parse(
        SMALL,
        overrides=[
            "beam.n=1e3", "space_charge.grid=[16, 16, 32]", "track.slices=3", "lattice.qf.k1=30",
            "lattice.d.length=0.3",
            "lattice.screen_1.half_x=0.02", "lattice.line[1].repeat=5", "title=other",
            "beam.reference_momentum=1e9",
        ],
    )  # fmt: skip
    line = problem.line()
    assert problem.beam().n == 1000
    assert problem.beam().reference.momentum == pytest.approx(1e9)
    assert problem.space_charge().grid == (16, 16, 32)
    assert problem.track_options() == {"slices": 3}, "slices take the place of a step"
    assert (line["qf"].k1, line["d"].length, line["screen_1"].half_x) == (30, 0.3, 0.02)
    assert line.sequence.count("here") == 5
    assert problem.title == "other"
    assert Problem.parse(SMALL).line()["qf"].k1 == 29.6


def test_overrides_make_sections():
    problem = _small({"lattice": [{"drift": {"length": 1.0}}]})
    changed = problem.replace(["space_charge=null", "track=null"]).replace(["track.step=0.1", "lattice.model=linear"])
    assert changed.space_charge() is None
    assert changed.track_options() == {"step": 0.1}
    assert changed.line().elements[0].model == "linear"
    assert changed.replace(["space_charge.grid=[6,6,6]"]).space_charge().grid == (6, 6, 6)


def test_override_of_an_inline_element_reaches_all_its_uses():
    problem = Problem.parse(SMALL).replace({"lattice.qf.k1": 1.0})
    assert {e.k1 for e in problem.line() if e.name == "qf"} == {1.0}


@given(text(12), PLAIN)
def test_no_override_ends_in_anything_but_one_of_our_errors(path, value):
    problem = Problem.parse(SMALL)
    for text in (f"{path}={write_tree(value)}", path):
        try:
            changed = problem.replace([text])
        except (InputError, ProblemError) as error:
            assert "\n" not in str(error)
        else:
            assert isinstance(changed, Problem)


def test_split_override():
    assert split_override("beam.n=1e6") == ("beam.n", 1e6)
    assert split_override("title=a = b") == ("title", "a = b")


# -- round trip ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXAMPLES)
def test_dump_and_parse_give_the_same_problem(name):
    problem = Problem.load(name)
    again = Problem.parse(problem.dump())
    assert again.tree == problem.tree
    assert again.dump() == problem.dump()
    assert again.line().parameters == problem.line().parameters
    assert np.array_equal(again.beam().coordinates, problem.beam().coordinates)


# -- space charge in a pipe ----------------------------------------------------------------------------------

PIPE = {"model": "pipe", "width": 0.02, "height": 0.01, "length": 2}


def test_pipe():
    problem = Problem.load("fodo", {"space_charge": PIPE})
    assert problem.space_charge() == SpaceCharge2DPipe(0.02, 0.01, 2.0)
    assert count_kicks(problem.line(), space_charge=problem.space_charge(), **problem.track_options()) == 20
    chosen = {"modes": [4, 1e1], "origin": "corner", "grid_gradient": "frozen"}
    again = Problem.parse(problem.replace({"space_charge": {**PIPE, **chosen}}).dump())
    assert again.space_charge() == SpaceCharge2DPipe(0.02, 0.01, 2.0, (4, 10), "corner", "frozen")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": None}, "space_charge.width is missing; allowed: a length in m, greater than 0"),
        ({"height": -1}, "space_charge.height is -1"),
        ({"length": "long"}, "space_charge.length is 'long'; allowed: a length in m"),
        ({"modes": [3]}, "space_charge.modes is"),
        ({"modes": "many"}, "space_charge.modes is 'many'; allowed: two numbers of waves"),
        ({"origin": "wall"}, "space_charge.origin is 'wall'; allowed: centre or corner"),
        ({"grid": [8, 8, 8]}, "space_charge.grid is an unknown key"),
        ({"model": "4d"}, "space_charge.model is '4d'; allowed: 3d or 2.5d or pipe"),
    ],
)
def test_pipes_that_cannot_be(change, said):
    section = {key: value for key, value in {**PIPE, **change}.items() if value is not None}
    with pytest.raises(InputError) as error:
        Problem.load("fodo", {"space_charge": section})
    assert said in str(error.value)


# -- what ships ----------------------------------------------------------------------------------------------


def test_shipped_examples():
    assert example_names() == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_gradient_sections_name_parameters_that_there_are(name):
    """The objective of an example has a name; ``wrt`` are parameters of its line, its effects or its beam."""
    problem = Problem.load(name, ["beam.n=100"])
    asked = question(problem)
    beam = {f"beam.{key}" for key in problem.beam().parameters()}
    # A thermal beam has no gradient with respect to its charge.
    found = expand(asked.wrt, problem.course(), problem.beam())
    assert set(found) <= set(problem.course().parameters) | beam
    assert asked.objective.name == problem.gradient.objective
    if name == "awake":
        fields = [path.rpartition(".")[2] for path in found]
        counted = {field: fields.count(field) for field in fields}
        assert counted == {"length": 39, "k1": 8, "k2": 6, "k3": 3, "angle": 2}


def test_expanding_beam_doubles():
    """Closed form: see the file. 1e5 particles, 32^3 nodes, 12 slices: within 0.5 % of double."""
    outcome = Problem.load("expanding-beam").run()
    sigma = outcome.summary()["final"]["sigma"]
    radius, beta_gamma = 1e-3, float(outcome.initial.reference.beta_gamma)
    assert outcome.kicks == 12
    assert sigma["x"] == pytest.approx(2 * radius / math.sqrt(5), rel=5e-3)
    assert sigma["y"] == pytest.approx(2 * radius / math.sqrt(5), rel=5e-3)
    assert sigma["tau"] == pytest.approx(2 * radius / math.sqrt(5) / beta_gamma, rel=5e-3)


def test_fodo_comes_back():
    """Sizes of ImpactX's case "fodo", with its tolerance."""
    final = Problem.load("fodo").run().summary()["final"]
    for name, value in (("x", 7.51215e-5), ("y", 7.51215e-5), ("tau", 1e-3), ("pt", 2e-3)):
        assert final["sigma"][name] == pytest.approx(value, rel=0.022)
    for plane, value in (("x", 2e-9), ("y", 2e-9), ("z", 2e-6)):
        assert final["emittance"][plane] == pytest.approx(value, rel=0.022)


def test_fodo_with_space_charge():
    """ImpactX's 2.5D answer with 1e6 particles, within its 3 %; without space charge the beam comes back."""
    problem = Problem.load("fodo-space-charge", ["beam.n=20000"])
    final = problem.run().summary()["final"]
    assert final["sigma"]["x"] == pytest.approx(9.122e-5, rel=0.03)
    assert final["sigma"]["y"] == pytest.approx(8.575e-5, rel=0.03)
    without = problem.replace({"space_charge": None}).run()
    assert without.kicks == 0
    assert without.summary()["final"]["sigma"]["x"] == pytest.approx(7.512e-5, rel=0.022)


def test_kurth_stays_matched():
    """Answer of the rms envelope equations (ImpactX's case kurth_6d_periodic_10nC_envelope)."""
    final = Problem.load("kurth", ["beam.n=20000"]).run().summary()["final"]
    for name, value in (("x", 1.4644132e-3), ("y", 1.4644132e-3), ("tau", 4.9346359e-4)):
        assert final["sigma"][name] == pytest.approx(value, rel=0.02)
    for plane in "xyz":
        assert final["emittance"][plane] == pytest.approx(1e-6, rel=0.02)


@pytest.mark.long
def test_thermal_equilibrium_holds():
    """ImpactX's case "thermal", with its tolerance."""
    outcome = Problem.load("thermal", ["beam.n=10000"]).run()
    assert outcome.kicks == 200
    final = outcome.summary()["final"]
    for name, value in (("x", 2.569162e-3), ("y", 2.569557e-3), ("tau", 0.1757951)):
        assert final["sigma"][name] == pytest.approx(value, rel=0.06)


def test_awake_focuses():
    """Sizes that Xsuite finds with its own particles; another sample of as many moves them a little."""
    problem = Problem.load("awake")
    line = problem.line()
    assert len(line) == 39
    assert float(line.length) == pytest.approx(15.317, abs=1e-9)
    final = problem.run().summary()["final"]
    assert final["sigma"]["x"] == pytest.approx(6.547e-6, rel=0.06)
    assert final["sigma"]["y"] == pytest.approx(2.305e-5, rel=0.06)


# -- running -------------------------------------------------------------------------------------------------


def test_outcome_on_every_backend(backend):
    stages = []
    problem = Problem.parse(SMALL).replace({"lattice.line": ["qf", {"marker": {"name": "here"}}], "track.slices": 3})
    outcome = problem.run(backend=backend.name, progress=stages.append, points=60)
    summary = outcome.summary()
    plain = problem.run().summary()
    assert summary["backend"] == backend.name
    assert summary["kicks"] == outcome.kicks == 3
    assert summary["seconds"] > 0.0
    assert ("compiling" in stages) == (backend.name == "jax")
    for name in ("x", "px", "y", "py", "tau", "pt"):
        assert summary["final"]["sigma"][name] == pytest.approx(plain["final"]["sigma"][name], rel=1e-9)
    _check_ends(outcome, outcome.rows)


def test_looking_along_the_line_without_space_charge():
    """Then elements are cut only to look: finely, whatever ``track`` says."""
    problem = Problem.parse(SMALL).replace({"space_charge": None, "track.slices": 1})
    outcome = problem.run(points=60)
    assert outcome.kicks == 0
    assert len(outcome.rows) > 60
    _check_ends(outcome, outcome.rows)


def _check_ends(outcome, rows):
    """Moments along s begin and end where the run did: they are of the same pass."""
    summary = outcome.summary()
    assert rows[0][1]["s"] == 0.0
    assert rows[0][1]["sigma"] == pytest.approx(summary["initial"]["sigma"], rel=1e-12)
    assert rows[-1][1]["s"] == pytest.approx(float(outcome.line.length))
    assert {k: v for k, v in rows[-1][1].items() if k != "s"} == {k: v for k, v in summary["final"].items() if k != "s"}
    assert {name for name, _ in rows} == {"", *outcome.line.names}


def _small(changes):
    """The small problem with whole sections exchanged."""
    return Problem({**Problem.parse(SMALL).tree, **changes})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: " + "[" * 300 + "]" * 300, "line 1, column 54: lists and mappings are nested too deeply"),
        ("a: " + "9" * 400, "line 1, column 4: '" + "9" * 57 + "...' is beyond the whole numbers of 64 bits"),
        ("a: 1e999", "line 1, column 4: '1e999' is beyond the numbers of 64 bits"),
        ("a: &x 1", "line 1, column 4: anchors (&name) are not used here: name elements under lattice.define"),
        ("a: 1\n--- \nb: 2", "line 2, column 1: a second document: a problem is one"),
        ('title: "\\u001b[31m"', "line 1, column 8: the character '\\x1b', which no text may hold"),
        ('title: "\\0"', "line 1, column 8: the character '\\x00', which no text may hold"),
        ("title: \x1b[31m", "line 1: the character '\\x1b', which no text may hold"),
        ("title: \udcff", "line 1: the character '\\udcff', which no text may hold"),
        ("? [1]\n: 2", "line 1, column 3: a key is text"),
    ],
)
def test_hostile_text(text, said):
    with pytest.raises(ProblemError) as raised:
        read_tree(text, "text")
    assert str(raised.value) == f"text: {said}"


def test_a_large_lattice_is_read_quickly():
    text = "[" + ", ".join(f"{{quadrupole: {{name: q{k}, length: 0.1, k1: {k}.5}}}}" for k in range(13_000)) + "]"
    start = time.perf_counter()
    assert len(read_tree(text, "text")) == 13_000
    assert time.perf_counter() - start < 20.0  # 1 s alone on a core
