"""`bb.function`: derivatives against differences, batches against loops, libraries' own derivatives, bad points."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from scipy.optimize import least_squares, minimize

import backbeam as bb
from backbeam import observables as obs
from backbeam.errors import InputError, TrackingError

RANDOM = np.random.default_rng(7)


def line(**changes):
    cell = bb.Line([
        bb.Quadrupole(0.2, k1=3.0, name="qf"), bb.Drift(1.0, name="d"), bb.Quadrupole(0.2, k1=-3.0, name="qd"),
        bb.Drift(0.5, name="e"),
    ])  # fmt: skip
    return cell.replace(changes)


def drawn(backend="numpy", **changes):
    given = {"sigma_x": 1e-3, "sigma_y": 1e-3, "sigma_px": 1e-4, "sigma_py": 2e-4, "sigma_tau": 1e-3, **changes}
    return bb.Beam.gaussian(
        n=60, species="electron", kinetic_energy=50e6, charge=1e-9, seed=3, backend=backend, **given
    )  # fmt: skip


def given_particles(backend="numpy"):
    X = np.array(drawn().coordinates)
    return bb.Beam.from_arrays(X, species="electron", kinetic_energy=50e6, charge=1e-9, backend=backend)


def moments(backend="numpy"):
    return bb.MomentBeam.of(drawn(backend))


def with_matrix():
    shear = np.eye(6)
    shear[0, 1], shear[3, 2] = 0.2, -0.1
    return line() + bb.Line([bb.LinearMap(shear, name="m"), bb.Drift(0.3, name="f")])


def coupled():
    """Moments with every correlation."""
    F = 1e-3 * np.eye(6) + 2e-4 * np.tril(np.random.default_rng(3).uniform(-1.0, 1.0, (6, 6)), -1)
    return moments().replace(cov=F @ F.T)


def scanned():
    """A scan of the first quadrupole by a knob, whose calibration another one is."""
    return bb.Line(list(line()), knobs={"gain": 1.1, "scan": np.asarray([2.0, 3.0, 4.5])})


def ring():
    return bb.Line([
        bb.Quadrupole(0.2, k1=2.0, name="qf"), bb.Drift(1.0, name="d"), bb.Quadrupole(0.2, k1=-2.2, name="qd"),
        bb.Drift(1.0),
    ])  # fmt: skip


def proton():
    return bb.Reference.from_kinetic_energy(1e9, "proton")


TUNES = [obs.optics("tune_x"), obs.optics("tune_y")]
CASES = {
    "strengths": (["sigma_x", "emittance_y"], line, drawn, ["*.k1"], {}),
    "bounds": ("mean_square_size", line, drawn, {"qf.k1": (0.0, 10.0), "qd.k1": (None, 0.0)}, {}),
    "ties": (["sigma_x", "sigma_y"], line, drawn,
             ["qf.k1", "qd.k1 = -qf.k1*(1 + d.length)", "e.length = 1.5 - d.length", "d.length"], {}),
    "of a drawn beam": (["sigma_x", "mean_x"], line, drawn,
                        ["beam.sigma_x", "beam.mean_x", "beam.kinetic_energy", "beam.correlation_x"], {}),
    "of particles": (["mean_x", "mean_py"], line, given_particles, ["beam.mean_x", "beam.mean_py", "qf.dx", "qd.roll",
                                                                    "reference.kinetic_energy"], {}),
    "of moments": (["sigma_x", "mean_x"], line, moments, ["qf.k1", "beam.mean_x", "beam.kinetic_energy"],
                   {"space_charge": bb.LinearSpaceCharge(), "slices": 3}),
    "of a ring": (TUNES, ring, proton, ["qf.k1", "qd.k1", "reference.kinetic_energy"], {}),
    "with optics": (["sigma_x", "optics.beta_x @ end", "optics.alpha_y @ d"], line, drawn,
                    ["qf.k1", "start.beta_x", "beam.kinetic_energy"], {"start": bb.Twiss(beta_x=10.0, beta_y=5.0)}),
    "at places": (["sigma_x @ d", "mean_py @ qd"], line, drawn, ["qf.k1", "qd.dy"], {}),
    "values of settings": ([bb.Target("mean_x", [1e-4, -2e-4, 3e-4], tol=1e-5), "sigma_x"],
                           lambda: line(**{"qf.k1": np.asarray([2.0, 3.0, 4.5])}), drawn, ["qf.dx", "qd.dx"], {}),
    "parts": (["sigma_x", "mean_py"], with_matrix, drawn, ["m.matrix[0,1]", "m.matrix[3,2]", "qf.k1"], {}),
    "parts in optics": (["optics.beta_x @ end", "optics.alpha_y @ end"], with_matrix, drawn,
                        ["m.matrix[0,1]", "m.matrix[3,2]", "qf.k1"], {"start": bb.Twiss(beta_x=10.0, beta_y=5.0)}),
    "sizes of moments": (["sigma_x", "emittance_y", "mean_x"], line, coupled,
                         ["beam.sigma_x", "beam.sigma_py", "qf.k1"],
                         {"space_charge": bb.LinearSpaceCharge(), "slices": 2}),
    "tied to settings": (["sigma_x", "mean_py"], scanned, drawn, ["gain", "qf.k1 = gain*scan", "qd.dy"], {}),
    "settings": ("mean_x", lambda: line(**{"qf.k1": np.asarray([2.0, 3.0, 4.5])}), drawn, ["qf.dx", "qd.dx"], {}),
}  # fmt: skip


IN_EVERY_WAY = ("values of settings", "parts", "sizes of moments", "tied to settings")
BATCHED = ("ties", "of a drawn beam", "of particles", "of moments", "of a ring", "settings", *IN_EVERY_WAY)
AS_TENSORS = ("ties", "of moments", "with optics", "at places", *IN_EVERY_WAY)


def made(case, scaled=True, backend=None):
    what, lattice, beam, vary, options = CASES[case]
    beam = beam() if backend is None else beam(backend)
    return bb.function(what, lattice(), beam, vary, scaled, **options)


def slope(f, x, h=1e-6):
    return np.stack([(f(x + h * e) - f(x - h * e)) / (2.0 * h) for e in np.eye(len(x))], axis=-1)


@pytest.mark.parametrize("case", CASES)
def test_derivatives_are_those_of_differences(case):
    f = made(case)
    x = f.x0 + 0.02 * RANDOM.standard_normal(len(f.names))
    differences = slope(f.residuals, x)
    np.testing.assert_allclose(f.jacobian(x), differences, rtol=1e-6, atol=1e-7 * np.abs(differences).max())
    np.testing.assert_allclose(f.value_and_grad(x)[1], slope(f, x), rtol=1e-6, atol=1e-7 * abs(slope(f, x)).max())


@pytest.mark.parametrize("case", BATCHED)
def test_a_batch_is_a_loop(case):
    f = made(case)
    X = f.x0 + 0.02 * RANDOM.standard_normal((3, len(f.names)))
    values, gradients = f.value_and_grad(X)
    np.testing.assert_allclose(f(X), [f(x) for x in X], rtol=1e-12)
    np.testing.assert_allclose(values, [f(x) for x in X], rtol=1e-12)
    tight = {"rtol": 1e-9, "atol": 1e-11 * np.abs(gradients).max()}
    np.testing.assert_allclose(gradients, [f.gradient(x) for x in X], **tight)
    np.testing.assert_allclose(f.residuals(X), [f.residuals(x) for x in X], rtol=1e-11)
    np.testing.assert_allclose(f.jacobian(X), [f.jacobian(x) for x in X], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", AS_TENSORS)
def test_a_tensor_gives_a_tensor_that_can_be_differentiated(case):
    f = made(case)
    x = torch.tensor(f.x0 + 0.02, requires_grad=True)
    value, gradient = f.value_and_grad(f.x0 + 0.02)
    found = f(x)
    found.backward()
    assert isinstance(found, torch.Tensor) and found.shape == ()
    np.testing.assert_allclose(found.item(), value, rtol=1e-12)
    np.testing.assert_allclose(x.grad, gradient, rtol=1e-9, atol=1e-11 * np.abs(gradient).max())
    many = torch.stack([x.detach(), 1.1 * x.detach()])
    np.testing.assert_allclose(f(many), f(many.numpy()), rtol=1e-12)
    np.testing.assert_allclose(f.residuals(many), f.residuals(many.numpy()), rtol=1e-11)


def test_in_jax_it_is_compiled_and_differentiated():
    f = bb.function("sigma_x", bb.Line([bb.Quadrupole(0.2, k1=3.0, name="q")]), drawn(),
                    ["q.k1", "beam.sigma_px", "beam.sigma_x = 10*beam.sigma_px"])  # fmt: skip
    x = f.x0 + 0.02
    value, gradient = jax.jit(jax.value_and_grad(f))(jnp.asarray(x))
    np.testing.assert_allclose(value, f(x), rtol=1e-12)
    np.testing.assert_allclose(gradient, f.gradient(x), rtol=1e-9)


@pytest.mark.parametrize("backend", ["torch", "array_api_strict"])
def test_numbers_are_numpys_whatever_the_beam_is_of(backend):
    f, same = made("of particles"), made("of particles", backend=backend)
    assert type(same(f.x0)) is float and same.jacobian(f.x0 + 0.1).dtype == np.float64
    np.testing.assert_allclose(same.jacobian(f.x0 + 0.1), f.jacobian(f.x0 + 0.1), rtol=1e-10, atol=1e-12)


def test_what_x_is():
    f = bb.function("sigma_x", line(), drawn(), {"qf.k1": (1.0, 6.0), "qd.k1": None, "qd.dx": (None, 1.0)})
    assert f.names == ("qf.k1", "qd.k1", "qd.dx")
    assert f.scale.tolist() == [5.0, 3.0, 1e-3], "the width of the bounds, the start, what is usual for the unit"
    np.testing.assert_allclose(f.x0 * f.scale, [3.0, -3.0, 0.0])
    np.testing.assert_allclose(f.bounds.lb * f.scale, [1.0, -np.inf, -np.inf])
    np.testing.assert_allclose(f.bounds.ub * f.scale, [6.0, np.inf, 1.0])
    found, beam = f.unpack([0.9, -1.5, 2.0])
    assert (found.get("qf.k1"), found.get("qd.k1"), found.get("qd.dx")) == (4.5, -4.5, 2e-3) and beam.n == 60
    assert f.values(f.x0) == {"qf.k1": 3.0, "qd.k1": -3.0, "qd.dx": 0.0}
    plain = bb.function("sigma_x", line(), drawn(), {"qf.k1": (1.0, 6.0)}, scaled=False)
    assert plain.x0.tolist() == [3.0] and plain([3.0]) == pytest.approx(f(f.x0) * f.unit[0], rel=1e-14)


def test_knobs_and_what_is_tied_to_them():
    from backbeam.formulas import Variable

    cell = bb.Line([
        bb.Quadrupole(0.2, k1=0.0, name="qf", formulas=(("k1", Variable("kq")),)), bb.Drift(1.0, name="d"),
        bb.Quadrupole(0.2, k1=-3.0, name="qd"),
    ], knobs={"kq": 3.0}).replace({"kq": 3.0})  # fmt: skip
    f = bb.function("sigma_x", cell, drawn(), {"kq": (0.0, 8.0), "qd.k1": "-2*kq"})
    assert f.names == ("kq",) and f.values([0.5]) == {"kq": 4.0, "qd.k1": -8.0}
    assert f.unpack([0.5])[0].get("qf.k1") == 4.0
    np.testing.assert_allclose(f.gradient([0.5]), slope(f, np.asarray([0.5])), rtol=1e-6)


def test_a_parameter_that_is_an_array_is_varied_whole():
    f = bb.function("sigma_x", with_matrix(), drawn(), {"m.matrix": None, "qf.k1": None})
    assert len(f.names) == 37 and f.names[1] == "m.matrix[0,1]" and f.x0[1] * f.scale[1] == pytest.approx(0.2)
    x = f.x0 + 0.01
    found, _ = f.unpack(x)
    np.testing.assert_allclose(np.ravel(found.get("m.matrix")), (x * f.scale)[:36], rtol=1e-14)
    with pytest.raises(InputError, match=r"m\.matrix\[0,0\] \.\.\. m\.matrix\[5,5\]"):
        bb.function("sigma_x", with_matrix(), drawn(), ["m.matrix[0,6]"])
    with pytest.raises(InputError, match="no size"):
        bb.function("sigma_x", line(), moments().replace(cov=np.zeros((6, 6))), ["beam.sigma_x"])


def test_a_point_by_names_is_that_point():
    """As Ax gives it, in any order; as Xopt does, many at once."""
    f = made("bounds")
    x = f.x0 + 0.02
    named = dict(zip(reversed(f.names), reversed(x.tolist()), strict=True))
    assert f(named) == f(x) and f.unpack(named)[0].get("qf.k1") == f.unpack(x)[0].get("qf.k1")
    many = {name: np.asarray([value, 1.1 * value]) for name, value in named.items()}
    np.testing.assert_array_equal(f(many), f(np.stack([x, 1.1 * x])))
    for wrong in ({"qf.k1": 1.0}, {**named, "qx.k1": 1.0}):
        with pytest.raises(InputError, match=r"a number for each of qf\.k1, qd\.k1"):
            f(wrong)


def test_steps_on_jax_with_a_beam_of_numpy():
    """As Optax takes them: the point becomes an array of JAX, the gradient is NumPy's."""
    f = made("bounds")
    x, momentum = jnp.asarray(f.x0), jnp.zeros(2)
    for _ in range(30):
        value, gradient = f.value_and_grad(x)
        momentum = 0.6 * momentum - 0.02 * gradient
        x = x + momentum
    assert type(value) is float and value < 0.7


def test_a_point_is_passed_once():
    f = made("strengths")
    passed = f.passes
    f.value_and_grad(f.x0), f(f.x0), f.jacobian(f.x0), f.residuals(f.x0)
    assert f.passes == passed == 1
    x = f.x0 * 1.01
    f(x), f.gradient(x), f.residuals(x), f.jacobian(x)
    assert f.passes == 2, "who asked for a gradient once gets the next with the value"


def test_scaled_units_do_not_stop_early():
    changes = {"beam.n": 50, "lattice.splitting": "matrix-drift", "lattice.order": 2, "lattice.steps": 2}
    problem = bb.Problem.load("awake", changes)
    strengths = {name: float(value) for name, value in problem.line().parameters.items() if ".k" in name}
    start = problem.line().replace({name: 1.01 * value for name, value in strengths.items()})
    tried = {}
    for scaled in (False, True):
        f = bb.function("mean_square_size", start, problem.beam(), dict.fromkeys(strengths, "50 %"), scaled)
        options = {"maxfun": 20}
        found = minimize(f.value_and_grad, f.x0, jac=True, method="L-BFGS-B", bounds=f.bounds, options=options)
        tried[scaled] = found.nfev, found.fun / f(f.x0)
    assert len(strengths) == 17 and tried[False][0] <= 3, "in SI units the objective itself is below every tolerance"
    assert tried[True][0] >= 20 and tried[True][1] < 0.3 * tried[False][1]


# -- what cannot be tracked --------------------------------------------------------------------------------------------


def wild(what="mean_square_size", **options):
    """Divergent electrons, some of which turn round where the quadrupoles are a few times as strong."""
    beam = drawn(sigma_px=5e-2, sigma_py=5e-2, sigma_x=2e-3, sigma_y=2e-3)
    return bb.function(what, line(**{"qd.k1": -0.5, "qf.k1": 0.5}), beam, ["qf.k1", "qd.k1"], **options)


def test_a_point_that_cannot_be_tracked_is_bad():
    f = wild()
    x = np.asarray([200.0, -300.0])
    with pytest.raises(TrackingError):
        bb.value_and_grad(obs.mean_square_size(), f.unpack(x)[0], f.unpack(x)[1], ["qf.k1"], on_turn="raise")
    assert f(x) == np.inf and np.isinf(f.residuals(x)).all(), "nobody asked for a gradient"
    value, gradient = f.value_and_grad(x)
    assert value > f(f.x0) and gradient @ (x - f.x0) > 0.0, "the way back is downhill"
    passed = f.passes
    assert f(x) == value and f.passes == passed
    many = f(np.stack([f.x0, x]))
    assert many[0] == 1.0 and many[1] == np.inf


@pytest.mark.parametrize("method", ["L-BFGS-B", "SLSQP", "BFGS"])
def test_line_searches_come_back(method):
    f = wild()
    best = minimize(f.value_and_grad, f.x0, jac=True, method="L-BFGS-B", options={"gtol": 1e-10, "ftol": 1e-14})
    unit, bad = 300.0, []  # in which a first step of length 1 is far beyond what can be tracked

    def bold(y):
        value, gradient = f.value_and_grad(f.x0 + unit * y)
        bad.append(bool(np.isinf(f.residuals(f.x0 + unit * y)).any()))
        return value, unit * gradient

    found = minimize(bold, np.zeros(2), jac=True, method=method)
    assert any(bad), "a step was wild"
    assert found.fun == pytest.approx(best.fun, rel=1e-4)


def test_least_squares_comes_back():
    f, unit, bad = wild(["sigma_x", "sigma_y"]), 1e3, []

    def residuals(y):
        found = f.residuals(f.x0 + unit * y)
        bad.append(not np.isfinite(found).all())
        return found

    best = least_squares(f.residuals, f.x0, jac=f.jacobian)
    found = least_squares(residuals, np.zeros(2), jac=lambda y: unit * f.jacobian(f.x0 + unit * y), xtol=1e-12)
    assert any(bad), "a step was wild"
    assert found.cost == pytest.approx(best.cost, rel=1e-6)


def test_who_compares_values_alone_comes_back_too():
    f = wild()
    simplex = np.asarray([[1.0, 1.0], [200.0, -300.0], [1.2, 0.9]]) * f.x0
    found = minimize(f, f.x0, method="Nelder-Mead", options={"initial_simplex": simplex, "maxfev": 150})
    assert found.fun < 1.0 and f.gradients == 1, "the first, at the start"


# -- what is refused ---------------------------------------------------------------------------------------------------

REFUSED = {
    "no name": ({"qx.k1": None}, "qf.k1|qd.k1|name of an element"),
    "no parameter": (["qf.k7"], "qf with one of"),
    "no number": (["qf.steps"], "qf with one of"),
    "an element": (["qf"], "qf.k1, or a knob"),
    "none": ([], "at least one name"),
    "twice": (["qf.k1", "qf.k1"], "once"),
    "a part of a number": (["qf.k1[0]"], "qf"),
    "beyond bounds": ({"qf.k1": (4.0, 5.0)}, "about 3"),
    "turned bounds": ({"qf.k1": (5.0, 1.0)}, "low < high"),
    "no bounds": ({"qf.k1": 5.0}, "low < high"),
    "NaN": ({"qf.k1": (float("nan"), 5.0)}, "low < high"),
    "no formula": ({"qf.k1": "3"}, "a formula"),
    "spoilt formula": (["qd.k1", "qf.k1 = -qd.k1 +"], "expression"),
    "tied to nothing": (["qd.k1", "qf.k1 = 2*d.length"], "something that is varied: qd.k1"),
    "tied to itself": (["qd.k1", "qf.k1 = qf.k1 + qd.k1"], "lead back"),
    "no field of a beam": (["beam.sigma_z"], "sigma_x"),
    "not of a reference": (["reference.charge"], "one of kinetic_energy"),
    "no pattern": (["*.k9"], "pattern"),
    "no name at all": (3, "names, or a mapping"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_varied_is_refused(case):
    vary, said = REFUSED[case]
    with pytest.raises(InputError, match=said) as error:
        bb.function("sigma_x", line(), drawn(), vary)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("what", "beam", "said"),
    [
        ("sigma_q", drawn(), "sigma_x"), ([], drawn(), "a list"), ("sigma_x", proton(), "optics"),
        ("sigma_x", None, "a Beam"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(what, beam, said):
    with pytest.raises(InputError, match=said):
        bb.function(what, line(), beam, ["qf.k1"])


@pytest.mark.parametrize("x", [[1.0], [1.0, 2.0, 3.0], "ab", np.zeros((2, 2, 2)), None, [1.0, None], [1.0, np.nan]])
def test_what_is_no_point_is_refused(x):
    f = made("strengths")
    with pytest.raises(InputError, match="x is"):
        f(x)
