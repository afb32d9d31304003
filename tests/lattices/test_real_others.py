"""Real lattices of elegant, Bmad, PALS, Xsuite and Cheetah, with what is known of them. Runs with ``--lattices DIR``.

R is by differences of fourth order through the line with its linear models; where it cannot be that of the table, the
reason stands here.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from reading import fractional_tunes, matrix

import backbeam as bb
from backbeam.lattices import LatticeError

LINEAR = ("drift", "quadrupole", "sector_bend", "rectangular_bend", "dipole_edge", "solenoid")


@pytest.fixture(scope="module")
def folder(request):
    return Path(request.config.getoption("--lattices"))


def expected(folder, name):
    return json.loads((folder / f"expected_{name}.json").read_text())["cases"]


def linear(line):
    """The line with the linear models that its elements have."""
    models = {n: line[n].replace(model="linear") for n in line.names if line[n].kind in LINEAR}
    return line.with_elements(models)


# -- elegant --------------------------------------------------------------------------------------------------

ELEGANT = (
    "par.lte", "fodo.lte", "los-alamos-proton-storage-ring.lte", "compact-storage-ring.lte", "spear3.lte", "slc.lte",
    "fourDipoleCSR.lte", "PClinac_TESSA_LSC.lte",
)  # fmt: skip
INSTEAD = {
    "slc.lte": {"scatter": "marker", "malign": "marker"},
    "PClinac_TESSA_LSC.lte": {"cwiggler": "drift", "malign": "marker"},
}
"""What moves the beam or has no map here, and is refused."""


def test_all_cases_of_elegant_are_here(folder):
    assert set(expected(folder, "elegant")) == set(ELEGANT)


@pytest.mark.parametrize("name", ELEGANT)
def test_elegant(folder, name):
    wanted, path = expected(folder, "elegant")[name], folder / "elegant" / "sirepo" / name
    if name in INSTEAD:
        with pytest.raises(LatticeError, match=next(iter(INSTEAD[name]))):
            bb.load(path, line=wanted["line"])
    line = bb.load(path, line=wanted["line"], replace=INSTEAD.get(name)).line
    assert len(line.elements) == wanted["elements"]
    assert float(line.length) == pytest.approx(wanted["length"], abs=1e-9)
    if wanted["R4"] is not None:
        R = matrix(linear(line), kinetic_energy=1e9)[:4, :4]
        np.testing.assert_allclose(R, wanted["R4"], atol=1e-8)
    if name == "par.lte":
        np.testing.assert_allclose(fractional_tunes(R), [0.1770, 0.2115], atol=1e-4)


# -- Bmad -----------------------------------------------------------------------------------------------------

REASONS = {
    "Dragt_PSR_small_ring.bmad": "the table's reader left b1_gradient out: its vertical plane is a drift",
    "small_ring.bmad": "the table is without its cavities: with them, 14 digits are the same",
}


def test_bmad(folder):
    for path, wanted in expected(folder, "bmad").items():
        name = path.rpartition("/")[2]
        loaded = bb.load(folder / "bmad" / path)
        line, reference = loaded.line, loaded.reference
        assert len(line.elements) == wanted["n"]
        assert float(line.length) == pytest.approx(wanted["length"], abs=1e-9)
        if name == "small_ring.bmad":
            line = bb.load(folder / "bmad" / path, replace={"rfcavity": "drift"}).line
        R = matrix(linear(line), reference.species, float(reference.kinetic_energy))
        if name == "Dragt_PSR_small_ring.bmad":
            np.testing.assert_allclose(fractional_tunes(R), [0.2541, 0.2499], atol=1e-4)  # Dragt: 3.254, 2.250
        else:
            np.testing.assert_allclose(R[:4, :4], wanted["R4"], atol=1e-8)


# -- PALS -----------------------------------------------------------------------------------------------------

PALS = {
    "fodo.pals.yaml": "a field needs a charged reference particle",
    "unit_tests/elements/electric_multipole.pals.yaml": "ElectricMultipoleP.En2",
    "unit_tests/expressions/inline_expressions.pals.yaml": "k2 = 0.01",
    "unit_tests/forks/fork_existing_branch.pals.yaml": "line is None; allowed: one of other, ring",
    "unit_tests/forks/fork_web.pals.yaml": "line is None; allowed: one of zero_line, one_line",
}
"""Documents that are not read as they stand, and what is said."""


def test_iota(folder):
    loaded = bb.load(folder / "pals" / "iota.pals.yaml")
    assert len(loaded.line.elements) == 102
    assert float(loaded.line.length) == pytest.approx(39.968229714800, abs=1e-9)
    R = matrix(linear(loaded.line), loaded.reference.species, float(loaded.reference.kinetic_energy))
    np.testing.assert_allclose(fractional_tunes(R), [0.3, 0.3], atol=5e-6)


def test_the_corpus_of_pals(folder):
    root = folder / "pals"
    for path in sorted(root.rglob("*.pals.yaml")):
        name = str(path.relative_to(root))
        if "loading/" in name and path.name != "joiner.pals.yaml":
            continue
        reason = PALS.get(name)
        if "loading/" in name and "basic/" not in name:
            reason = "it holds no line"
        if reason is None:
            assert bb.load(path).line.elements, name
            continue
        with pytest.raises((LatticeError, bb.InputError), match=reason):
            bb.load(path)


# -- Xsuite and Cheetah ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pimms_env", "pimms_line", "h6_env", "h6_line"])
def test_xsuite(folder, name):
    loaded, wanted = bb.load(folder / "xsuite" / f"{name}.json"), expected(folder, "madx")[name.partition("_")[0]]
    assert float(loaded.line.length) == pytest.approx(wanted["length"], abs=1e-9) and loaded.knobs
    reference = loaded.reference
    R = matrix(linear(loaded.line), reference.species, float(reference.kinetic_energy))
    np.testing.assert_allclose(R[:4, :4], np.asarray(wanted["R"])[:4, :4], atol=1e-8)


def test_cheetah(folder):
    """Its own tracking: linear but for the sextupole, a corrector's kick behind its length."""
    path = folder / "cheetah" / "own_all_kinds.json"
    wanted = json.loads(path.with_suffix(".expected.json").read_text())
    loaded = bb.load(path)
    assert float(loaded.line.length) == pytest.approx(wanted["length"]) and len(loaded.line.elements) == 18
    elements = []
    for element in linear(loaded.line).elements:
        one = element.replace(name=None, **({"steps": 1} if element.kind == "sextupole" else {}))
        kicks = element.kind == "corrector"
        elements += [bb.Drift(element.length, model="linear"), one.replace(length=None)] if kicks else [one]
    elements = [e.replace(model="linear") if e.kind in LINEAR else e for e in elements]
    X = np.asarray(wanted["particles_in"]).T
    beam = bb.Beam.from_arrays(X, species="electron", kinetic_energy=1e8 - 510998.95, charge=0.0)
    found = bb.track(bb.Line(elements), beam).coordinates.T
    np.testing.assert_allclose(found, wanted["particles_out"], atol=1e-10)
