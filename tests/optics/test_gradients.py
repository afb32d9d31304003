"""Gradients of everything in the table: by hand, by automatic differentiation, by differences, on every library."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import torch
from rings import fodo, reference, ring

import backbeam as bb
from backbeam import backends
from backbeam.errors import InputError
from backbeam.lattice_functions import pullback
from backbeam.lattice_functions.spreading import spread
from backbeam.reference import Reference

TWISS = {"beta_x": 7.0, "beta_y": 5.0, "alpha_x": 0.3, "alpha_y": -0.2, "dispersion_x": 1.0, "dispersion_py": 0.1}
ORBIT = np.asarray([1e-3, 1e-4, -2e-3, 3e-4, 0.0, 1e-3])


def tables(case: str, make, per: str):
    """Line, reference, table and start of a case; ``make`` makes every number."""
    steered, cavity = case != "plain", case in ("cavity", "linac")
    line = ring(steered=steered, cavity=cavity, array=make)
    beta_gamma = make(float(reference().beta_gamma))
    given = Reference(np.asarray(beta_gamma) if isinstance(beta_gamma, float) else beta_gamma, reference().species)
    if case in ("open", "linac"):
        start = bb.Twiss(**{name: make(value) for name, value in TWISS.items()})
        orbit = ORBIT if make is float else torch.tensor(ORBIT, requires_grad=True)
        return line, given, bb.optics(line, given, start, orbit=orbit, per=per), (start, orbit)
    pt = make(2e-3) if case == "off momentum" else None
    return line, given, bb.optics(line, given, pt=pt, per=per), (None, pt)


@pytest.mark.parametrize(
    "case", ("plain", "steered", "off momentum", "open", "linac", "cavity"), ids=lambda c: c.replace(" ", "-")
)
def test_by_hand_and_by_pytorch(case):
    per = "delta" if case != "steered" else "pt"
    _, _, o, _ = tables(case, float, per)
    names = [*o.everywhere, *o.numbers]
    if o.periodic:
        names += ["chromaticity_x", "chromaticity_y"]
    rng = np.random.default_rng(5)
    bars = {name: rng.standard_normal(np.shape(getattr(o, name))) for name in names}

    def leaf(value):
        return torch.tensor(float(value), dtype=torch.float64, requires_grad=True)

    line, given, theirs, (start, extra) = tables(case, leaf, per)
    sum(torch.sum(torch.as_tensor(bar) * getattr(theirs, name)) for name, bar in bars.items()).backward()
    expected = {path: float(value.grad) for path, value in line.parameters.items()}
    expected["reference.beta_gamma"] = float(given.beta_gamma.grad)
    if case in ("open", "linac"):
        expected |= {f"start.{name}": float(getattr(start, name).grad) for name in TWISS}
        expected |= {"start.x": float(extra.grad[0]), "start.py": float(extra.grad[3])}
    if case == "off momentum":
        expected["start.pt"] = float(extra.grad)
    if case == "cavity":
        del expected["rf.phase"]  # it changes the reference of a ring
    found = pullback(o, bars, list(expected))
    size = max(abs(v) for v in expected.values())
    # Second derivatives by differences: of what varies by kilometres of beta_z, digits are lost.
    rtol, atol = (1e-7, 1e-10) if case == "cavity" else (1e-9, 1e-12)
    for name, value in expected.items():
        assert np.isclose(float(found[name]), value, rtol=rtol, atol=atol * size), name
    factors = np.asarray([1.0, -2.0, 0.5])
    rows = {name: factors.reshape(-1, *[1] * np.ndim(bar)) * bar for name, bar in bars.items()}
    together = pullback(spread(o, 3), rows, list(expected))
    for name, value in found.items():
        assert np.allclose(together[name], factors * value, rtol=1e-9, atol=1e-12 * size), name


@pytest.mark.parametrize("name", ("qf.k1", "b.angle", "d.length", "c.hkick", "qs.k1s", "reference.kinetic_energy"))
def test_by_differences(name):
    line, given = ring(steered=True), reference()
    what = ("beta_x", "dispersion_x", "x", "tune_y", "chromaticity_x", "momentum_compaction")
    h = 1e-5 if not name.startswith("reference") else 1e4

    def table(change: float):
        if name.startswith("reference"):
            energy = given.kinetic_energy + change
            return bb.optics(line, Reference.from_kinetic_energy(np.asarray(energy), given.species))
        return bb.optics(line.replace({name: line.get(name) + change}), given)

    o, ahead, behind = table(0.0), table(h), table(-h)
    k = o.place("sd[4]")
    for column in what:
        of_place = np.ndim(getattr(o, column)) == 1
        bar = np.eye(len(o))[k] if of_place else 1.0
        found = pullback(o, {column: bar}, [name])[name]
        pair = [getattr(t, column)[k] if of_place else getattr(t, column) for t in (ahead, behind)]
        assert np.isclose(found, (pair[0] - pair[1]) / (2 * h), rtol=1e-5, atol=1e-7 / h * 1e-5), column


def test_the_same_on_every_library(backend):
    rng = np.random.default_rng(2)
    expected = bb.optics(fodo(), reference())
    bars = {name: rng.standard_normal(len(expected)) for name in ("beta_x", "alpha_y", "mu_x")}
    wrt = ["qf.k1", "d.length", "reference.beta_gamma"]
    gradient = pullback(expected, bars, wrt)
    o = bb.optics(fodo(), reference(backend))
    for name in ("s", "beta_x", "alpha_y", "mu_x", "tune_x"):
        assert np.allclose(backend.to_numpy(getattr(o, name)), getattr(expected, name), rtol=1e-12, atol=1e-13)
    found = pullback(o, {name: backend.asarray(bar) for name, bar in bars.items()}, wrt)
    for name in wrt:
        assert np.isclose(float(found[name]), float(gradient[name]), rtol=1e-10)


def test_jax_differentiates_optics_itself():
    given = reference(backends.get("jax"))
    lens, d = bb.ThinMultipole(k1l=-0.5, name="lens"), bb.Drift(1.0, name="d")

    def cell(k1l):
        return bb.Line([bb.ThinMultipole(k1l=k1l, name="half"), d, lens, d])

    expected = pullback(bb.optics(cell(0.45), reference()), {"beta_x": np.eye(5)[3]}, ["half.k1l"])["half.k1l"]
    found = jax.jit(jax.grad(lambda k1l: bb.optics(cell(k1l), given)[3].beta_x))(0.45)
    assert np.isclose(float(found), expected, rtol=1e-10)


def test_a_batch_is_a_loop():
    k1 = np.asarray([[0.49], [0.5]]) + np.asarray([0.0, 0.004])
    line = ring(steered=True)
    o = bb.optics(line.replace({"qf.k1": k1}), reference())
    assert o.beta_x.shape == (2, 2, len(o)) and o.tune_x.shape == (2, 2)
    rng = np.random.default_rng(1)
    bar = rng.standard_normal(len(o))
    found = pullback(o, {"beta_x": bar, "chromaticity_y": 2.0}, ["qf.k1", "c.hkick"])
    for index in np.ndindex(2, 2):
        one = bb.optics(line.replace({"qf.k1": float(k1[index])}), reference())
        assert np.allclose(one.dispersion_x, o.dispersion_x[index], rtol=1e-9, atol=1e-12)
        assert np.isclose(one.chromaticity_y, o.chromaticity_y[index], rtol=1e-8)
        own = pullback(one, {"beta_x": bar, "chromaticity_y": 2.0}, ["qf.k1", "c.hkick"])
        for name, value in own.items():
            assert np.isclose(value, found[name][index], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ("numpy", "torch"))
def test_float32_is_first_class(name):
    backend = backends.get(name)
    line, single = ring(steered=True), bb.optics(ring(steered=True), reference(backend, "float32"))
    double = bb.optics(line, reference())
    assert "float32" in str(single.beta_x.dtype)
    for name in ("beta_x", "beta_y", "dispersion_x", "mu_x", "x"):
        wide = getattr(double, name)
        assert np.abs(backend.to_numpy(getattr(single, name)) - wide).max() < 1e-4 * np.abs(wide).max(), name
    found = pullback(single, {"tune_x": 1.0, "beta_y": single.beta_y}, ["qf.k1"])["qf.k1"]
    expected = pullback(double, {"tune_x": 1.0, "beta_y": double.beta_y}, ["qf.k1"])["qf.k1"]
    assert np.isclose(float(found), float(expected), rtol=1e-3)


def test_objectives_of_optics_and_their_sums():
    line, beam = ring(), bb.Beam.from_arrays(np.zeros((6, 1)), species="proton", kinetic_energy=4e8, charge=0.0)
    what = bb.observables.optics
    total = what("beta_x", at="sf[2]") + 3.0 * what("tune_y") - what("chromaticity_x", per="delta")
    value, gradient = bb.value_and_grad(total, line, beam, ["qf.k1", "sf.k2"])
    o, by_delta = bb.optics(line, beam), bb.optics(line, beam, per="delta")
    assert np.isclose(value, o["sf[2]"].beta_x + 3.0 * o.tune_y - by_delta.chromaticity_x, rtol=1e-13)
    bars = {"beta_x": np.eye(len(o))[o.place("sf[2]")], "tune_y": 3.0}
    one, two = pullback(o, bars, ["qf.k1", "sf.k2"]), pullback(by_delta, {"chromaticity_x": -1.0}, ["qf.k1", "sf.k2"])
    for name, found in gradient.items():
        assert np.isclose(found, one[name] + two[name], rtol=1e-12)
    with pytest.raises(InputError, match="of the whole ring"):
        what("tune_x", at="sf[2]")
    with pytest.raises(InputError, match="one of s, x"):
        bb.value_and_grad(what("betax"), line, beam, ["qf.k1"])
    assert bb.value_and_grad(what("beta_x"), line, beam, ["qf.k1"])[0] == o["end"].beta_x


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_beta_function_by_a_knob_of_madx(tmp_path, library):
    """One knob behind three magnets, by formulas of formulas: the sum over the magnets, and differences."""
    path = tmp_path / "cell.madx"
    path.write_text(
        "kq := 0.6; trim := 0.02*kq^2; kd := -kq*(1 + trim); beam, particle=proton, energy=1.5;\n"
        "quad: quadrupole, l=0.4; qf: quad, k1:=kq + trim; qd: quad, k1:=kd; qx: quad, k1:=kd/-20;\n"
        "m: marker; d: drift, l=0.8; cell: line=(qf, d, m, qd, d, qx, d); use, sequence=cell;\n"
    )
    loaded = bb.load(path)
    backend = backends.get(library)
    line = loaded.line.replace({"kq": backend.asarray(np.asarray(0.6), dtype="float64")})
    magnets = {"qf.k1": 1.024, "qd.k1": -1.0216, "qx.k1": 1.0216 / 20}  # d/dkq at 0.6
    beta = bb.observables.optics("beta_x", at="m")
    _, found = bb.value_and_grad(beta, line, loaded.reference, ["kq", *magnets])
    found = {name: float(backend.to_numpy(bar)) for name, bar in found.items()}
    assert found["kq"] == pytest.approx(sum(slope * found[name] for name, slope in magnets.items()), rel=1e-12)
    h = 1e-3
    at = [bb.optics(loaded.line.replace({"kq": 0.6 + k * h}), loaded.reference)["m"].beta_x for k in (-2, -1, 1, 2)]
    assert found["kq"] == pytest.approx((at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h), rel=1e-8)
