"""Pictures: what is drawn is what was tracked, odd beams can be drawn, files appear whole or not at all."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import backbeam as bb
from backbeam.beam import Beam
from backbeam.errors import BackbeamError, InputError
from backbeam.line import Line
from backbeam.plotting import KIND_COLORS, draw_lattice, draw_phase_space, draw_run, draw_sizes, save
from backbeam.problem import Problem
from backbeam.units import number, quantity, scale_of


def axes():
    return Figure().add_subplot()


@pytest.fixture(scope="module")
def fodo():
    problem = Problem.load("fodo", ["beam.n=2000"])
    outcome = problem.run(points=30)
    return problem, outcome, outcome.rows


def test_sizes_are_those_of_the_run(fodo):
    _, outcome, rows = fodo
    ax = axes()
    draw_sizes(ax, [m for _, m in rows], ("x", "y"))
    x, y = ax.lines
    final = outcome.summary()["final"]
    assert ax.get_ylabel() == r"$\sigma$ [µm]"
    assert x.get_xdata()[-1] == pytest.approx(3.0)
    assert x.get_ydata()[-1] == pytest.approx(final["sigma"]["x"] * 1e6, rel=1e-4)
    assert y.get_ydata()[-1] == pytest.approx(final["sigma"]["y"] * 1e6, rel=1e-4)


def test_lattice_bar_shows_focusing_above_and_defocusing_below(fodo):
    problem, _, _ = fodo
    ax = axes()
    draw_lattice(ax, problem.line())
    boxes = [p for p in ax.patches if isinstance(p, Rectangle)]
    where = [(b.get_x(), b.get_width(), b.get_y(), b.get_y() + b.get_height()) for b in boxes]
    assert np.allclose(where, [(0.25, 1.0, 0.0, 1.0), (1.75, 1.0, -1.0, 0.0)])


def test_every_kind_of_element_has_a_colour_and_can_be_drawn():
    from backbeam.elements import ALL

    assert set(KIND_COLORS) == {cls.kind for cls in ALL} - {"drift"}
    problem = Problem.load("awake")
    ax = axes()
    draw_lattice(ax, problem.line(), start=1.0)
    assert len(ax.patches) == 19
    assert ax.get_xlim() == pytest.approx((1.0, 16.317))
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "quadrupole",
        "sector bend",
        "sextupole",
        "octupole",
    ]


def test_phase_space_holds_all_the_charge(fodo):
    _, outcome, _ = fodo
    ax = axes()
    draw_phase_space(ax, outcome.final, "x", (1e-3, 1e-3), "after")
    (mesh,) = ax.collections
    assert mesh.get_array().sum() == pytest.approx(2000)
    assert "after" in ax.get_title(loc="left")
    (ellipse,) = ax.lines
    assert ellipse.get_xdata().max() == pytest.approx(2e3 * float(outcome.final.sigma("x")), rel=1e-3)


def test_run_figure(fodo, tmp_path):
    problem, outcome, rows = fodo
    figure = draw_run(outcome, rows, problem.title)
    assert len(figure.axes) == 9
    limits = [ax.get_xlim() for ax in figure.axes[3:]]
    assert limits[0] == limits[1], "before and after share their scale"
    save(figure, tmp_path / "run.png")
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "beam",
    [
        {"n": 1}, {"n": 2}, {"n": 50, "charge": 0.0}, {"n": 50, "sigma_x": 1e-3},
        {"n": 50, "sigma_x": 1e-3, "mean_x": 0.05},
        {"n": 50, "sigma_px": 1e-3, "sigma_pt": 1e-9, "dtype": "float32"},
    ],
    ids=["one", "a point", "no charge", "cold", "far off", "float32"],
)  # fmt: skip
def test_odd_beams_can_be_drawn(beam):
    from backbeam.course import Course
    from backbeam.problem.outcome import run_problem

    made = Beam.gaussian(**{"species": "proton", "kinetic_energy": 1e8, "charge": 1e-9, **beam})
    line = Problem.load("fodo").line()
    outcome = run_problem(Course.of(line), made, lambda stage: None, points=5)
    figure = draw_run(outcome, outcome.rows, "odd")
    figure.canvas.draw()
    for ax in figure.axes:
        assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()


def test_beams_of_every_library_can_be_drawn(backend):
    beam = Problem.load("fodo", ["beam.n=200"]).beam(backend=backend.name)
    ax = axes()
    draw_phase_space(ax, beam, "z", (1e-2, 1e-2))
    assert ax.collections[0].get_array().sum() == pytest.approx(200)


def test_a_batch_is_refused():
    X = np.zeros((3, 6, 5))
    beam = Beam.from_arrays(X, species="proton", kinetic_energy=1e8, charge=1e-9)
    with pytest.raises(InputError, match="a batch of shape"):
        draw_phase_space(axes(), beam, "x", (1.0, 1.0))


def test_a_thin_line_can_be_drawn():
    ax = axes()
    draw_lattice(ax, Line([*Problem.load("fodo").replace({"lattice": [{"marker": {}}, {"monitor": {}}]}).line()]))
    assert ax.get_xlim() == (0.0, 1.0)


def test_save_replaces_at_once_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "old.png"
    path.write_text("precious")
    figure = Figure()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", full)
        with pytest.raises(BackbeamError, match=r"old\.png: no space left on device"):
            save(figure, path)
    assert path.read_text() == "precious"
    with pytest.raises(InputError, match="a file that ends in"):
        save(figure, tmp_path / "old.jpg")
    save(figure, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["old.png"]


def test_drawing_does_not_touch_pyplot():
    script = "import sys, backbeam.plotting; print('matplotlib.pyplot' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_units():
    assert scale_of([2.5e-3]) == (1e-3, "m")
    assert scale_of([273e-6, 6.3e-6]) == (1e-6, "µ"), "the smaller keeps its digits"
    assert scale_of([1.0, 1e-9]) == (1.0, ""), "but not if the larger would be a row of figures"
    assert scale_of([0.0, None]) == (1.0, "")
    assert [number(v, 1e-6) for v in (273.3512e-6, 6.34567e-6, 0.0, 1e-12, None, 1e-3, 1.0)] == [
        "273.35", "6.3457", "0", "≈ 0", "–", "1000.00", "1.000e+06"
    ]  # fmt: skip
    assert [quantity(v, "eV") for v in (250e6, -1e-9, 0.0, 999.9999999)] == [
        "250 MeV",
        "-1 neV",
        "0 eV",
        "1 keV",
    ]


def test_settings_that_require_a_gradient_are_drawn():
    import torch

    k1 = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    ax = axes()
    draw_lattice(ax, bb.Line([bb.Quadrupole(0.2, k1=k1), bb.Drift(torch.nn.Parameter(torch.tensor(0.5)))]))
    assert len(ax.patches) == 1


def test_a_plane_that_there_is_not():
    beam = bb.Beam.gaussian(n=10, species="electron", kinetic_energy=1e7, charge=1e-12, sigma_x=1e-3)
    with pytest.raises(bb.InputError, match="plane is 'xy'; allowed: one of x, y, z"):
        draw_phase_space(axes(), beam, "xy", (1.0, 1.0))
