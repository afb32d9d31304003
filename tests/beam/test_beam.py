"""The beam: how it is made, what it refuses, what it tells, and how it moves between libraries."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from backbeam import backends
from backbeam.beam import Beam
from backbeam.distributions import kinds
from backbeam.errors import InputError

ELECTRONS = {"species": "electron", "kinetic_energy": 250e6}


def coordinates(batch=(), n=30, seed=0):
    return 1e-3 * np.random.default_rng(seed).standard_normal((*batch, 6, n))


def beam_of(backend="numpy", batch=(), **more):
    return Beam.from_arrays(coordinates(batch), **{**ELECTRONS, "charge": 1e-9, "backend": backend, **more})


def test_from_arrays(backend, dtype):
    X = coordinates((2,))
    beam = Beam.from_arrays(backend.asarray(X, dtype=dtype), charge=1e-9, **ELECTRONS)
    assert beam.backend is backend and beam.dtype == dtype and beam.n == 30
    assert beam.device == backend.device_name(beam.coordinates)
    xp = backend.namespace
    assert beam.lost_at.dtype == xp.int32 and beam.alive.dtype == xp.bool
    assert beam.charges.dtype == beam.reference.beta_gamma.dtype == beam.coordinates.dtype
    assert beam.charges.shape == (2, 30) == beam.lost_at.shape
    np.testing.assert_allclose(backend.to_numpy(beam.charge), [-1e-9, -1e-9], rtol=1e-6)
    for k, name in enumerate(("x", "px", "y", "py", "tau", "pt")):
        np.testing.assert_allclose(backend.to_numpy(getattr(beam, name)), X[:, k], rtol=1e-6)
    assert float(beam.kinetic_energy) == pytest.approx(250e6, rel=1e-6)
    assert float(beam.gamma) == pytest.approx(1 + 250e6 / 510998.95, rel=1e-6)


def test_lists_and_whole_numbers_become_float64():
    assert Beam.from_arrays([[0.0]] * 6, charge=0.0, **ELECTRONS).dtype == "float64"
    assert Beam.from_arrays(np.zeros((6, 2), dtype=int), charge=0.0, **ELECTRONS).dtype == "float64"


def test_reference_momentum_is_that_of_a_kinetic_energy():
    mass = 938272088.16
    pc = (2e9 * (2e9 + 2 * mass)) ** 0.5
    beam = Beam.gaussian(n=2, species="proton", reference_momentum=pc, charge=1e-9)
    assert beam.kinetic_energy == pytest.approx(2e9, rel=1e-12)


@pytest.mark.parametrize(("species", "sign"), [("electron", -1), ("proton", 1), ("H-", -1), ("alpha", 1)])
def test_charges_are_signed_as_the_species(species, sign):
    for charge in (1e-9, sign * 1e-9):
        beam = Beam.gaussian(n=8, species=species, kinetic_energy=1e6, charge=charge)
        np.testing.assert_allclose(beam.charges, sign * 1e-9 / 8, rtol=1e-14)
    if sign > 0:
        with pytest.raises(InputError, match=r"^beam\.charge is "):
            Beam.gaussian(n=8, species=species, kinetic_energy=1e6, charge=-1e-9)


def test_given_charges():
    q = -np.linspace(0.0, 1e-12, 30)
    np.testing.assert_array_equal(beam_of(charge=None, charges=q).charges, q)


def test_neutral_species_carry_no_charge():
    from backbeam.species import Species

    neutron = Species("neutron", 939.565e6, 0.0)
    beam = Beam.gaussian(n=100, species=neutron, kinetic_energy=1e6, charge=0.0, sigma_x=1e-3)
    assert beam.sigma("x") == pytest.approx(np.std(beam.x), rel=1e-12)


broken = coordinates()
broken[2, 5] = np.nan
broken[3, [5, 9]] = np.inf
turned = coordinates()
turned[1, 4] = 1.2
turned[5, 7] = -2.5

REFUSED = [
    (r"beam.coordinates is '2 of 30 particles with NaN or inf, the first at index 5'", broken, {}),
    (
        r"beam.coordinates is '2 of 30 particles with too little momentum along s, the first at index 4'",
        turned,
        {},
    ),
    ("beam.coordinates is", np.zeros((5, 3)), {}),
    ("beam.coordinates is", np.zeros(6), {}),
    ("beam.coordinates is", np.zeros((6, 0)), {}),
    ("beam.coordinates is", "particles.h5", {}),
    ("beam.dtype is", np.zeros((6, 3), dtype=complex), {}),
    ("beam.charge is", coordinates(), {"charge": float("nan")}),
    ("beam.charge is 5.0; allowed: a charge in C", coordinates(), {"charge": 5.0}),
    ("beam.charge is", coordinates(), {"charge": None}),
    ("beam.charge is", coordinates(), {"charges": np.zeros(30)}),
    ("beam.charges is", coordinates(), {"charge": None, "charges": np.full(30, 1e-12)}),
    ("beam.charges is", coordinates(), {"charge": None, "charges": np.full(29, -1e-12)}),
    ("beam.kinetic_energy is -1.0", coordinates(), {"kinetic_energy": -1.0}),
    ("beam.kinetic_energy is", coordinates(), {"reference_momentum": 1e6}),
    ("beam.kinetic_energy is", coordinates(), {"kinetic_energy": None}),
    ("beam.dtype is 'float16'", coordinates(), {"dtype": "float16"}),
    ("beam.device is 'cuda:99'", coordinates(), {"device": "cuda:99"}),
    ("beam.device is 'cuda:99'", coordinates(), {"device": "cuda:99", "backend": "torch"}),
    ("backend is 'tensorflow'", coordinates(), {"backend": "tensorflow"}),
    ("species is 'tachyon'", coordinates(), {"species": "tachyon"}),
    ("beam is 'batches of", coordinates((3,)), {"kinetic_energy": np.asarray([1e6, 2e6])}),
]


@pytest.mark.parametrize(("message", "X", "more"), REFUSED)
def test_refused_arrays(message, X, more):
    with pytest.raises(InputError, match="^" + re.escape(message)) as caught:
        Beam.from_arrays(X, **{**ELECTRONS, "charge": 1e-9, **more})
    assert "; allowed: " in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("more", [{"n": 0}, {"n": 2.5}, {"n": True}, {"n": "many"}, {"seed": -1}, {"seed": None}])
def test_refused_numbers(more):
    (name,) = more
    with pytest.raises(InputError, match=rf"^beam\.{name} is .*whole number"):
        Beam.gaussian(**{"n": 10, "charge": 1e-9, **ELECTRONS, **more})


def test_unknown_kinds_are_refused():
    with pytest.raises(InputError, match=r"allowed: one of gaussian, .*thermal"):
        Beam.draw("lorentzian", n=1, charge=0.0, **ELECTRONS)
    assert all(callable(getattr(Beam, kind)) for kind in kinds() if not kind.startswith("toy_"))


def test_particles_drawn_too_slow_are_refused():
    with pytest.raises(InputError, match=r"particles with too little momentum"):
        Beam.gaussian(n=100, charge=1e-9, sigma_px=1.0, **ELECTRONS)


def test_float64_on_jax_without_x64_is_one_clear_line():
    code = (
        "from backbeam.beam import Beam\nfrom backbeam.errors import InputError\n"
        "try:\n    Beam.gaussian(n=1, species='electron', kinetic_energy=1e6, charge=0.0, backend='jax')\n"
        "except InputError as error:\n    print(error)\n"
        "print(Beam.gaussian(n=1, species='electron', kinetic_energy=1e6, charge=0.0, backend='jax',"
        " dtype='float32'))\n"
    )
    environment = {**os.environ, "JAX_ENABLE_X64": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith("beam.dtype is 'float64'; allowed: float32, or float64 after jax.config.update(")
    assert second == "Beam(n=1, species='electron', jax float32)"


# -- what it tells -------------------------------------------------------------------------------------------


def test_moments_are_those_of_numpy(backend):
    beam, X = beam_of(backend.name, (2,)), coordinates((2,))
    host = backend.to_numpy
    np.testing.assert_allclose(host(beam.mean()), X.mean(axis=-1), atol=1e-18)
    np.testing.assert_allclose(host(beam.sigma()), X.std(axis=-1), rtol=1e-12)
    np.testing.assert_allclose(host(beam.cov())[1], np.cov(X[1], ddof=0), atol=1e-18)
    np.testing.assert_allclose(host(beam.sigma("tau")), X[:, 4].std(axis=-1), rtol=1e-12)
    for plane, (i, j) in {"x": (0, 1), "y": (2, 3), "z": (4, 5)}.items():
        C = np.stack([np.cov(x, ddof=0) for x in X])
        emittance = np.sqrt(C[:, i, i] * C[:, j, j] - C[:, i, j] ** 2)
        np.testing.assert_allclose(host(beam.emittance(plane)), emittance, rtol=1e-12)
        beta_gamma = float(beam.reference.beta_gamma)
        np.testing.assert_allclose(host(beam.normalized_emittance(plane)), beta_gamma * emittance, rtol=1e-12)
        twiss = [host(t) for t in beam.twiss(plane)]
        np.testing.assert_allclose(twiss, [C[:, i, i] / emittance, -C[:, i, j] / emittance,
                                           C[:, j, j] / emittance, emittance], rtol=1e-11)  # fmt: skip
    D, slope = beam.dispersion("x")
    np.testing.assert_allclose(host(D), C[:, 0, 5] / C[:, 5, 5], rtol=1e-11)
    np.testing.assert_allclose(host(slope), C[:, 1, 5] / C[:, 5, 5], rtol=1e-11)


def test_lost_particles_do_not_count(backend):
    beam = beam_of(backend.name)
    lost_at = np.where(np.arange(30) % 3 == 0, 4, -1).astype(np.int32)
    beam = beam.replace(lost_at=backend.asarray(lost_at))
    X = coordinates()[:, lost_at < 0]
    assert int(beam.lost) == 10
    assert float(beam.charge) == pytest.approx(-1e-9 * 20 / 30, rel=1e-12)
    np.testing.assert_allclose(backend.to_numpy(beam.mean()), X.mean(axis=-1), rtol=1e-11)
    np.testing.assert_allclose(backend.to_numpy(beam.sigma()), X.std(axis=-1), rtol=1e-11)


@given(seed=st.integers(0, 2**32 - 1))
def test_moments_do_not_depend_on_the_order_of_particles(seed):
    order = np.random.default_rng(seed).permutation(30)
    a, b = beam_of(), Beam.from_arrays(coordinates()[:, order], charge=1e-9, **ELECTRONS)
    np.testing.assert_allclose(a.cov(), b.cov(), rtol=1e-12, atol=1e-20)


@pytest.mark.parametrize("look", [lambda b: b.sigma("z"), lambda b: b.mean("s"), lambda b: b.emittance("tau"),
                                  lambda b: b.twiss("px"), lambda b: b.replace(colour="red")])  # fmt: skip
def test_unknown_names_are_refused(look):
    with pytest.raises(InputError, match="allowed: one of"):
        look(beam_of())


def test_it_prints_in_one_line():
    assert repr(beam_of("torch", (2,))) == "Beam(batch=(2,), n=30, species='electron', torch float64)"


# -- batches -------------------------------------------------------------------------------------------------


def test_parameters_with_a_leading_axis_make_a_batch(backend):
    energies, sizes = np.asarray([1e6, 2e6, 3e6]), np.asarray([[1e-3], [2e-3]])
    beam = Beam.gaussian(
        n=10, species="proton", kinetic_energy=energies, charge=1e-9, sigma_x=sizes, sigma_px=1e-4, seed=2,
        backend=backend.name,
    )  # fmt: skip
    assert beam.coordinates.shape == (2, 3, 6, 10) and beam.charges.shape == (2, 3, 10)
    one = Beam.gaussian(n=10, species="proton", kinetic_energy=3e6, charge=1e-9, sigma_x=2e-3, sigma_px=1e-4, seed=2)
    assert np.array_equal(backend.to_numpy(beam.coordinates)[1, 2], one.coordinates)
    assert float(beam.gamma[2]) == one.gamma
    charged = Beam.gaussian(
        n=4, species="proton", kinetic_energy=1e6, charge=np.asarray([0.0, 1e-9]), backend=backend.name
    )
    np.testing.assert_allclose(backend.to_numpy(charged.charge), [0.0, 1e-9], rtol=1e-14)


# -- another one ---------------------------------------------------------------------------------------------


def test_to_another_library_and_back(backend):
    here = Beam.gaussian(n=20, charge=1e-9, sigma_x=1e-3, **ELECTRONS)
    here = here.replace(lost_at=np.where(np.arange(20) < 3, 5, -1).astype(np.int32), readings={"m": np.ones(2)})
    there = here.to(backend.name)
    assert there.backend is backend and there.dtype == "float64"
    assert there.lost_at.dtype == backend.namespace.int32
    assert backends.of(there.recipe.parameters["sigma_x"], there.readings["m"]) is backend
    back = there.to("numpy")
    for name in ("coordinates", "charges", "lost_at"):
        assert np.array_equal(getattr(back, name), getattr(here, name))
    narrow = there.to(dtype="float32")
    assert narrow.dtype == "float32" and narrow.backend is backend
    assert narrow.reference.beta_gamma.dtype == backend.namespace.float32


def test_to_keeps_the_graph_within_torch():
    size = torch.tensor(1e-3, dtype=torch.float64, requires_grad=True)
    beam = Beam.gaussian(n=20, charge=1e-9, sigma_x=size, backend="torch", **ELECTRONS)
    beam.to(dtype="float32").sigma("x").backward()
    assert float(size.grad) == pytest.approx(float(beam.sigma("x").detach()) / 1e-3, rel=1e-5)


def test_replacing_coordinates_drops_the_recipe():
    beam = Beam.gaussian(n=20, charge=1e-9, **ELECTRONS)
    assert beam.replace(s=1.0).recipe is beam.recipe
    moved = beam.replace(coordinates=beam.coordinates + 1e-3)
    assert moved.recipe is None and set(moved.parameters()) == {"charge", "kinetic_energy"}


def test_it_is_immutable():
    with pytest.raises(AttributeError):
        beam_of().s = 1.0


def test_as_mine(backend, dtype):
    beam = Beam.gaussian(n=2, charge=0.0, backend=backend.name, dtype=dtype, **ELECTRONS)
    for value in (2.0, 2, np.float64(2.0), backend.asarray(2.0)):
        mine = beam.as_mine(value, "qf.k1")
        assert backends.of(mine) is backend and mine.dtype == beam.coordinates.dtype and float(mine) == 2.0
    other = "torch" if backend.name != "torch" else "jax"
    with pytest.raises(InputError, match=rf"^qf.k1 is 'an array of {other}'"):
        beam.as_mine(backends.get(other).asarray(1.0), "qf.k1")


# -- its parameters ------------------------------------------------------------------------------------------


def test_charge_of_given_particles_scales_their_shares():
    rng = np.random.default_rng(1)
    beam = beam_of(charge=None, charges=-1e-12 * rng.random(30))
    twice = beam.with_parameters(charge=2 * float(beam.parameters()["charge"]))
    np.testing.assert_allclose(twice.charges, 2 * beam.charges, rtol=1e-14)
    assert float(beam.parameters()["charge"]) == pytest.approx(-float(beam.charge), rel=1e-14)


def test_charge_can_be_raised_from_zero(backend):
    beam = Beam.gaussian(n=4, charge=0.0, backend=backend.name, **ELECTRONS)
    charged = beam.with_parameters(charge=1e-9)
    np.testing.assert_allclose(backend.to_numpy(charged.charges), -2.5e-10, rtol=1e-14)


def test_unknown_parameters_list_what_there_is():
    beam = Beam.gaussian(n=4, charge=0.0, **ELECTRONS)
    with pytest.raises(InputError, match=r"beam\.sigma_z.*allowed: one of charge, kinetic_energy, sigma_x"):
        beam.with_parameters(sigma_z=1.0)
    with pytest.raises(InputError, match=r"beam\.sigma_x is -1"):
        beam.with_parameters(sigma_x=-1.0)


@pytest.mark.parametrize("word", [torch.float32, np.float32, np.dtype("float32"), "float32"], ids=repr)
def test_devices_and_data_types_are_names_or_the_library_s_own(word):
    few = {"n": 5, "species": "electron", "kinetic_energy": 1e7, "charge": 1e-12, "sigma_x": 1e-3, "backend": "torch"}
    device = torch.device("cpu")
    drawn = Beam.gaussian(**few, device=device, dtype=word)
    assert drawn.dtype == "float32" and drawn.home().device == "cpu"
    assert drawn.to(dtype=torch.float64, device=device).coordinates.dtype == torch.float64
    wide = torch.zeros(6, 3, dtype=torch.float64)
    same = {"species": "electron", "kinetic_energy": 1e7, "charge": 0.0, "device": device, "dtype": word}
    assert Beam.from_arrays(wide, **same).coordinates.dtype == torch.float32
    for bad in (torch.int32, torch.float16, 32, ["float32"]):
        with pytest.raises(InputError, match=r"beam\.dtype"):
            drawn.to(dtype=bad)
    with pytest.raises(InputError, match=r"beam\.device"):
        drawn.to(device=torch.device("xla", 99))
