"""`bb.match`: what it finds, tells, remembers and refuses."""

from __future__ import annotations

import numpy as np
import pytest

import backbeam as bb
from backbeam.errors import BackbeamWarning, InputError
from backbeam.matching.history import History, read_history
from backbeam.matching.methods import METHODS, ByConstraints, ByLeastSquares, ByValue

PROTON = bb.Reference.from_kinetic_energy(1e9, "proton")


def section():
    return bb.Line([
        bb.Quadrupole(0.2, k1=2.0, name="q1"), bb.Drift(1.0, name="d1"), bb.Quadrupole(0.2, k1=-2.0, name="q2"),
        bb.Drift(2.0, name="d2"), bb.Quadrupole(0.2, k1=2.0, name="q3"), bb.Drift(1.0, name="d3"),
        bb.Quadrupole(0.2, k1=-2.0, name="q4"), bb.Drift(2.0, name="d4"),
    ])  # fmt: skip


def electrons(seed=0, **changes):
    return bb.Beam.gaussian(
        n=100, species="electron", kinetic_energy=50e6, charge=1e-9, seed=seed,
        **{"sigma_x": 1e-3, "sigma_y": 1e-3, "sigma_px": 1e-4, "sigma_py": 1e-4, **changes},
    )  # fmt: skip


TWISS = [
    bb.Target("optics.beta_x", 12.0), bb.Target("optics.alpha_x", -1.0),
    bb.Target("optics.beta_y", 5.0), bb.Target("optics.alpha_y", 0.5),
]  # fmt: skip
SPOT = [bb.Target("sigma_x", 0.8e-3, tol=1e-7), bb.Target("sigma_y", 0.7e-3, tol=1e-7)]
START = bb.Twiss(beta_x=5.0, beta_y=5.0)


def test_lattice_functions_are_matched_by_four_quadrupoles():
    found = bb.match(TWISS, section(), PROTON, ["*.k1"], start=START)
    table = bb.optics(found.line, PROTON, START)
    end = [float(table["d4"].__dict__[name]) for name in ("beta_x", "alpha_x", "beta_y", "alpha_y")]
    np.testing.assert_allclose(end, [12.0, -1.0, 5.0, 0.5], rtol=1e-9)
    assert found.success and found.met == 4 and not found.interrupted
    # MAD-X 5.09.03, match with lmdif (91 looks at the line), and Xsuite (63): benchmarks/matching.py
    madx = [-1.1960055849798166, -0.19543285514609116, 2.4276770912637673, -2.731471049088503]
    np.testing.assert_allclose(list(found.values.values()), madx, rtol=1e-9)
    assert found.passes <= 12


def test_targets_may_be_values_by_name():
    """They are targets, with the same residuals, and nothing is made small."""
    wanted = {"sigma_x @ d2": 0.8e-3, "sigma_y": 0.7e-3}
    targets = [bb.Target("sigma_x", 0.8e-3, at="d2"), bb.Target("sigma_y", 0.7e-3)]
    one, other = (bb.function(what, section(), electrons(), ["q1.k1", "q2.k1"]) for what in (wanted, targets))
    np.testing.assert_array_equal(one.residuals(one.x0 + 0.1), other.residuals(one.x0 + 0.1))
    assert bb.match(wanted, section(), electrons(), ["q1.k1", "q2.k1"]).success


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_spot(method):
    found = bb.match(SPOT, section(), electrons(), ["q1.k1", "q2.k1"], method=method, passes=120)
    if isinstance(METHODS[method], ByValue):
        assert found.history.best.score.value < 0.1 * found.history[0].score.value and found.gradients == 1
        return
    out = bb.track(found.line, electrons())
    assert abs(float(out.sigma("x")) - 0.8e-3) < 1e-7 and abs(float(out.sigma("y")) - 0.7e-3) < 1e-7
    assert found.success and found.method == method


def test_an_objective_is_made_small_within_bounds():
    vary = {"q1.k1": (0.0, 3.0), "q2.k1": (-2.5, 0.0), "q3.k1": "-q2.k1"}
    found = bb.match("mean_square_size", section(), electrons(), vary)
    worse = [found.function(found.x + step) for step in 1e-3 * np.asarray([[1, 0], [-1, 0], [0, 1], [0, -1]])]
    assert found.success and found.method == "L-BFGS-B"
    assert min(worse) >= found.function(found.x) - 1e-9 or found.varied[1].at == "low"
    assert found.values["q3.k1"] == -found.values["q2.k1"] == found.line.get("q3.k1")


def test_targets_hold_while_an_objective_is_made_small():
    asked = ["sigma_px + sigma_py", bb.Target("sigma_x", 0.5e-3), bb.Target("sigma_y", above=0.4e-3, below=0.6e-3)]
    found = bb.match(asked, section(), electrons(), ["*.k1"])
    out = bb.track(found.line, electrons())
    assert found.method == "SLSQP" and found.success
    assert float(out.sigma("x")) == pytest.approx(0.5e-3, rel=1e-6)
    assert float(out.sigma("y")) == pytest.approx(0.6e-3, rel=1e-5), "the larger, the less it diverges"
    assert float(out.sigma("px") + out.sigma("py")) == pytest.approx(found.wanted[0].found, rel=1e-9)


def test_what_cannot_be_met_is_said():
    found = bb.match([bb.Target("sigma_x", 1e-9)], section(), electrons(), {"q1.k1": (1.9, 2.1)}, passes=50)
    assert not found.success and found.met == 0
    assert "not met" in found.table() and "at its" in found.table() and "without success" in repr(found)


def test_restarts_leave_a_bad_start_behind():
    vary = {"q1.k1": (-6.0, 6.0), "q2.k1": (-6.0, 6.0)}
    line = section().replace({"q1.k1": 3.5, "q2.k1": -2.5})
    first = bb.match("mean_square_size", line, electrons(), vary)
    more = bb.match("mean_square_size", line, electrons(), vary, restarts=3, seed=2)
    assert more.wanted[0].found < 0.995 * first.wanted[0].found, "the other polarity is a little better"


def test_a_trial_that_cannot_be_tracked_does_not_end_it():
    beam = electrons(sigma_px=5e-2, sigma_py=5e-2, sigma_x=2e-3, sigma_y=2e-3)
    found = bb.match("mean_square_size", section(), beam, {"q1.k1": (-3e4, 3e4), "q2.k1": (-3e4, 3e4)}, passes=60)
    assert any(trial.score is None for trial in found.history), "bounds as wide as these make the first step a wild one"
    assert found.wanted[0].found < 0.9 * found.wanted[0].start


def test_a_restart_where_nothing_can_be_tracked_is_left_out():
    beam = electrons(sigma_px=5e-2, sigma_py=5e-2, sigma_x=2e-3, sigma_y=2e-3)
    found = bb.match([bb.Target("sigma_x", 1e-6)], section(), beam, {"q1.k1": (-1e7, 3e7)}, restarts=3, passes=30)
    assert not found.success and any(trial.score is None for trial in found.history)


def test_other_samples_say_how_much_it_scatters():
    found = bb.match(SPOT, section(), electrons(), ["q1.k1", "q2.k1"], seeds=[5, 6, 7])
    each = [bb.match(SPOT, section(), electrons(seed), ["q1.k1", "q2.k1"]).values["q1.k1"] for seed in (0, 5, 6, 7)]
    assert found.varied[0].scatter == pytest.approx(np.std(each, ddof=1), rel=1e-3)
    assert "+-" in found.table()


def test_the_table():
    found = bb.match(SPOT, section(), electrons(), {"q1.k1": (0.0, 10.0), "q2.k1": None, "q4.k1": "q2.k1"})
    said = found.table().splitlines()
    assert said[0].startswith("2 of 2 targets met after")
    assert [line.split()[0] for line in said if line.startswith("q")] == ["q1.k1", "q2.k1", "q4.k1"]
    assert any("0 ... 10" in line for line in said) and any(line.endswith("tied") for line in said)
    assert any("= 0.0008" in line and line.endswith("met") for line in said)
    assert max(map(len, said)) < 110 and repr(found) == f"<Match: 2 of 2 targets met after {found.passes} passes>"


# -- what is remembered ------------------------------------------------------------------------------------------------


def test_a_history_is_written_as_it_grows_and_gone_on_from(tmp_path):
    file = tmp_path / "history.csv"
    short = bb.match(SPOT, section(), electrons(), ["q1.k1", "q2.k1"], history=file, passes=3)
    assert short.passes == 3 and not short.success and short.message == "3 passes were made"
    assert file.read_text() == short.history.csv()
    more = bb.match(SPOT, section(), electrons(), ["q1.k1", "q2.k1"], history=file, resume=True)
    assert more.success and file.read_text().startswith(short.history.csv())
    assert more.history[len(short.history) + 1].score <= short.history.best.score, "it begins with the best"
    with pytest.raises(InputError, match="resume=True"):
        bb.match(SPOT, section(), electrons(), ["q1.k1", "q2.k1"], history=file)
    with pytest.raises(InputError, match="trials of q1"):
        bb.match(SPOT, section(), electrons(), ["q1.k1"], history=file, resume=True)


def test_a_history_that_was_cut_off_is_read(tmp_path):
    file = tmp_path / "history.csv"
    bb.match(SPOT, section(), electrons(), ["q1.k1", "q2.k1"], history=file, passes=4)
    whole = read_history(file, ("q1.k1", "q2.k1"))
    file.write_text(file.read_text()[:-5])
    assert len(read_history(file, ("q1.k1", "q2.k1"))) == len(whole) - 1, "a part of a number is a number too"
    bb.match(SPOT, section(), electrons(), ["q1.k1", "q2.k1"], history=file, resume=True)
    assert len(read_history(file, ("q1.k1", "q2.k1"))) > len(whole)
    file.write_text("\x00nothing")
    with pytest.raises(InputError, match="a file of trials"):
        History(("q1.k1",), file, resume=True)


def test_ctrl_c_leaves_what_was_found(monkeypatch):
    from backbeam.matching.merit import Merit

    passed, pass_ = [], Merit._pass

    def interrupted(self, x):
        passed.append(x)
        if len(passed) > 3:
            raise KeyboardInterrupt
        return pass_(self, x)

    monkeypatch.setattr(Merit, "_pass", interrupted)
    with pytest.warns(BackbeamWarning, match="interrupted"):
        found = bb.match(SPOT, section(), electrons(), ["q1.k1", "q2.k1"])
    assert found.interrupted and not found.success and found.wanted[0].found != found.wanted[0].start


def test_it_is_drawn():
    found = bb.match(["mean_square_size", SPOT[0]], section(), electrons(), ["q1.k1", "q2.k1"], passes=8)
    figure = found.plot()
    figure.canvas.draw()
    assert figure.axes[0].get_ylabel() == "mean_square_size"


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "options", "said"),
    [
        ("sigma_x", {"method": "newton"}, "trf"),
        ("sigma_x", {"method": "trf"}, "least squares"),
        ([*SPOT, "sigma_x"], {"method": "L-BFGS-B"}, "SLSQP"),
        (["sigma_x", "sigma_y"], {}, "at most one objective"),
        (SPOT, {"method": "lm", "vary": {"q1.k1": (0.0, 3.0)}}, "bounds"),
        (SPOT, {"passes": 0}, "at least 1"),
        (SPOT, {"restarts": -1}, "at least 0"),
        (SPOT, {"resume": True}, "history="),
        (SPOT, {"seeds": 2, "beam": bb.track(bb.Line([bb.Drift(0.1)]), electrons())}, "drawn"),
        (TWISS, {"start": 3.0}, "a Twiss"),
    ],
)  # fmt: skip
def test_what_cannot_be_matched_is_refused(what, options, said):
    given = {"vary": ["q1.k1", "q2.k1"], "beam": electrons(), **options}
    with pytest.raises(InputError, match=said):
        bb.match(what, section(), **given)


def test_every_kind_of_method_is_there():
    assert {type(m) for m in METHODS.values()} > {ByConstraints, ByLeastSquares}


@pytest.mark.parametrize("batched", ["line", "beam"])
def test_a_value_for_each_setting(batched):
    """What was changed is found from where the beam is in every setting; the mean alone does not tell it."""
    several, incoming, changed = section(), electrons(), {"q1.dx": 2e-4, "q2.dx": -1e-4}
    if batched == "line":
        several = several.replace({"q1.k1": np.asarray([1.0, 2.0, 4.0])})
    else:
        X, changed = incoming.coordinates, {"q1.k1": 2.2, "q2.dx": -1e-4}
        incoming = incoming.replace(coordinates=np.stack([X, X + 1e-4, X - 3e-4]))
    wanted = bb.track(several.replace(changed), incoming).mean("x")
    assert wanted.shape == (3,)
    found = bb.match(bb.Target("mean_x", wanted), several, incoming, list(changed), progress=False)
    assert found.success and "in 3 settings" in found.table()
    assert found.values == pytest.approx(changed, rel=1e-5)
    apart = bb.Target("mean_x", wanted + np.asarray([1e-4, -1e-4, 0.0]))
    off = bb.match(apart, several, incoming, ["q2.dx"], progress=False)
    assert not off.success, "met on the average is not met"
    for wrong, said in ((wanted[:2], "one for each setting, shape"), ([1.0, float("nan")], "finite"), ([], "finite")):
        with pytest.raises(bb.InputError, match=said):
            bb.function(bb.Target("mean_x", wrong), several, incoming, list(changed))


def test_a_calibration_of_a_whole_scan():
    """A tie follows what is different in every setting; table and summary show from where to where."""
    cell = bb.Line(list(section()), knobs={"gain": 1.0, "scan": np.asarray([1.0, 2.0, 4.0])})
    wanted = bb.track(cell.replace({"q1.k1": 1.1 * cell.knobs["scan"]}), electrons()).sigma("x")
    vary = {"gain": (0.5, 2.0), "q1.k1": "gain*scan"}
    found = bb.match(bb.Target("sigma_x", wanted), cell, electrons(), vary, progress=False)
    assert found.success and found.values["gain"] == pytest.approx(1.1, rel=1e-5)
    np.testing.assert_allclose(found.values["q1.k1"], [1.1, 2.2, 4.4], rtol=1e-5)
    np.testing.assert_allclose(found.line.get("q1.k1"), found.values["q1.k1"])
    assert "1.1 ... 4.4" in found.table() and len(found.summary()["varied"]["q1.k1"]["found"]) == 3
