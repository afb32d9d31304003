"""What the kick must do: closed forms, conservation laws, and the corner cases where codes go wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bunches import COULOMB, at_rest, ball, expected_kick, given, momenta, reference, reference_for, warm, worst, worst_row

from backbeam.errors import InputError, TrackingError
from backbeam.reference import Reference
from backbeam.space_charge import BeamExtent, FixedExtent, RmsExtent, SpaceCharge3D
from backbeam.species import PROTON_MASS, Species

DS = np.asarray(0.1)


def rms(kick):
    return math.sqrt(float(np.mean(kick**2)))


# -- closed forms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("species", "energy"), [("proton", 6.7e6), ("electron", 5e6)])
def test_uniform_ball(species, energy):
    """The field grows linearly with the distance, up to the edge particles."""
    ref = reference(species, energy)
    radius, charge, n = 1e-3, 1e-9 * ref.species.charge_number, 100_000
    r = ball(n, radius, ref)
    target = expected_kick(lambda at: COULOMB * charge / radius**3 * at, r, ref, DS)
    X = SpaceCharge3D((48, 48, 48)).forward(at_rest(r, ref), np.full(n, charge / n), None, ref, DS)
    kick = momenta(X, ref)
    distance = np.sqrt(np.sum((r * np.array([1, 1, ref.gamma])[:, None]) ** 2, axis=0)) / radius
    edge = distance > 0.9
    for rows, few in ((slice(None), 0.01), (edge, 0.03)):
        slope = np.sum((kick * target)[:, rows], axis=-1) / np.sum((target**2)[:, rows], axis=-1)
        np.testing.assert_allclose(slope, 1.0, atol=few)
    assert rms(kick - target) < 0.04 * rms(target)


def test_gaussian_ball():
    """E(r) = Q/(4 pi eps0) (erf(r/sqrt(2) s)/r^2 - sqrt(2/pi) exp(-r^2/2 s^2)/(s r))."""
    ref = reference("proton", 6.7e6)
    sigma, charge, n = 1e-3, 1e-9, 100_000
    points = np.random.default_rng(3).normal(size=(3, n)) * sigma
    r = points / np.array([1, 1, float(ref.gamma)])[:, None]

    def field(at):
        d = np.sqrt(np.sum(at * at, axis=0))
        erf = np.array([math.erf(v) for v in d / (math.sqrt(2) * sigma)])
        return COULOMB * charge * at / d * (erf / d**2 - math.sqrt(2 / math.pi) * np.exp(-0.5 * (d / sigma) ** 2) / (sigma * d))

    target = expected_kick(field, r, ref, DS)
    X = SpaceCharge3D((48, 48, 48)).forward(at_rest(r, ref), np.full(n, charge / n), None, ref, DS)
    kick = momenta(X, ref)
    slope = np.sum(kick * target, axis=-1) / np.sum(target**2, axis=-1)
    np.testing.assert_allclose(slope, 1.0, atol=0.02)
    assert rms(kick - target) < 0.05 * rms(target)


# -- conservation laws ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extent", ["beam", "rms"])
def test_no_force_of_the_beam_on_itself(backend, extent):
    """Deposit and gather share nodes and weights: the momentum of all particles together stays, to rounding."""
    X, q, alive, ds = warm(lost=0.2)
    ref = reference()
    sc = SpaceCharge3D((8, 10, 12), extent)
    X1 = backend.to_numpy(sc.forward(*given(backend, X, q, alive), reference_for(backend, ref), given(backend, ds)[0]))
    kick = momenta(X1, ref) - momenta(X, ref)
    total, size = np.sum(q * alive * kick, axis=-1), np.sum(np.abs(q * alive * kick), axis=-1)
    assert np.all(np.abs(total) < 1e-12 * size)
    assert np.all(size > 0)


def test_no_charge_is_left_out(backend):
    X, q, alive, _ = warm(lost=0.3)
    fields = SpaceCharge3D((8, 9, 10)).fields(*given(backend, X, q, alive), reference_for(backend, reference()))
    rho, spacing = backend.to_numpy(fields.rho), backend.to_numpy(fields.spacing)
    assert np.sum(rho) * np.prod(spacing) == pytest.approx(np.sum(q[alive]), rel=1e-14)
    for axis in range(3):
        for end in (0, -1):
            assert np.all(np.take(rho, end, axis=axis) == 0.0)


def test_symmetric_bunch_gets_no_kick_as_a_whole():
    """Half a cell between deposit and gather would kick it by some per cent of the rms kick."""
    ref = reference("proton", 6.7e6)
    r = ball(2000, 1e-3, ref)
    r = np.concatenate([r, -r], axis=-1)
    kick = momenta(SpaceCharge3D((16, 16, 16)).forward(at_rest(r, ref), np.full(4000, 1e-12), None, ref, DS), ref)
    assert np.all(np.abs(np.mean(kick, axis=-1)) < 1e-12 * rms(kick))
    assert worst(kick[:, :2000], -kick[:, 2000:]) < 1e-10


@pytest.mark.parametrize("extent", [BeamExtent(), RmsExtent(6.0)])
def test_inverse_undoes_the_kick(backend, extent):
    X, q, alive, ds = warm(batch=(2,), lost=0.2)
    ref = reference_for(backend, reference(batch=(2,)))
    sc = SpaceCharge3D((8, 9, 10), extent)
    given_X, *rest = given(backend, X, q, alive)
    (ds,) = given(backend, ds)
    X1 = sc.forward(given_X, *rest, ref, ds)
    assert worst_row(backend.to_numpy(X1), X) > 1e-6
    assert worst_row(backend.to_numpy(sc.inverse(X1, *rest, ref, ds)), X) < 1e-14


# -- where the beam is and how it looks ----------------------------------------------------------------------------------


def test_grid_follows_the_beam_and_its_rest_frame_length():
    """A slow proton beam far from the axis, and late, is kicked as on the axis."""
    ref = reference("proton", 6.7e6)
    r = ball(1000, 1e-3, ref)
    q, sc = np.full(1000, 1e-12), SpaceCharge3D((12, 12, 12))
    on = momenta(sc.forward(at_rest(r, ref), q, None, ref, DS), ref)
    off = momenta(sc.forward(at_rest(r + np.array([0.3, -0.2, 0.5])[:, None], ref), q, None, ref, DS), ref)
    assert worst(off, on) < 1e-10
    fields = sc.fields(at_rest(r, ref), q, None, ref)
    filled = [np.sum(np.any(fields.rho != 0.0, axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    assert filled == [10, 10, 10]


def test_one_particle_feels_nothing(backend):
    X = np.array([[1e-3, 1e-3, 2e-3, 0.0, 1e-3, 1e-3]]).T
    (X, q, ds), ref = given(backend, X, np.array([1e-9]), DS), reference_for(backend, reference())
    sc = SpaceCharge3D((8, 8, 8))
    X1 = backend.to_numpy(sc.forward(X, q, None, ref, ds))
    np.testing.assert_allclose(X1, backend.to_numpy(X), rtol=1e-13)
    for bar in sc.pullback(X, q, None, ref, ds, X):
        assert np.all(np.isfinite(backend.to_numpy(bar)))


@pytest.mark.parametrize("flat", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("extent", [BeamExtent(), RmsExtent(6.0)])
@pytest.mark.parametrize("nodes", [(8, 9, 10), (9, 8, 7)])
def test_flat_beams(backend, flat, extent, nodes):
    """No size in one or two planes: no field there, a finite one in the others, and a finite gradient."""
    ref = reference("proton", 6.7e6)
    r = ball(200, 1e-3, ref)
    r = np.stack([np.full(200, 0.5e-3) if k in flat else a for k, a in enumerate(r)])
    X, q, ds = given(backend, at_rest(r, ref), np.full(200, 1e-12), DS)
    here, sc = reference_for(backend, ref), SpaceCharge3D(nodes, extent)
    X1 = sc.forward(X, q, None, here, ds)
    kick = momenta(backend.to_numpy(X1), ref)
    size = np.sqrt(np.mean(kick**2, axis=-1))
    open_planes = [k for k in range(3) if k not in flat]
    assert np.all(np.isfinite(kick)) and np.all(size[open_planes] > 0.0)
    assert np.all(size[list(flat)] < 1e-8 * np.max(size))
    for bar in sc.pullback(X, q, None, here, ds, X):
        assert np.all(np.isfinite(backend.to_numpy(bar)))


def test_a_thin_beam_tends_to_the_flat_one():
    ref = reference("proton", 6.7e6)
    r, q, sc = ball(200, 1e-3, ref), np.full(200, 1e-12), SpaceCharge3D((8, 8, 8))
    kicks = []
    for thickness in (0.0, 1e-9):
        thin = at_rest(r * np.array([1.0, thickness, 1.0])[:, None], ref)
        kicks.append(momenta(sc.forward(thin, q, None, ref, DS), ref))
    assert worst(kicks[1][[0, 2]], kicks[0][[0, 2]]) < 1e-3


# -- charges ---------------------------------------------------------------------------------------------------------------


def test_charge_number():
    """A particle of charge number 2 is kicked twice as much by the same charges; a sign that both share cancels."""
    X, q, _, ds = warm()
    sc, kicks = SpaceCharge3D((8, 8, 8)), {}
    for number in (1, 2, -1):
        ref = Reference(np.asarray(0.2), Species("test", PROTON_MASS, number))
        kicks[number] = momenta(sc.forward(X, np.copysign(q, q * number), None, ref, ds), ref) - momenta(X, ref)
    assert worst(kicks[2], 2.0 * kicks[1]) < 1e-12
    assert worst(kicks[-1], kicks[1]) < 1e-12


def test_no_charge(backend):
    """No charge, or as much of either sign in one place: no kick."""
    X, q, _, ds = warm()
    ref, sc = reference_for(backend, reference()), SpaceCharge3D((8, 8, 8))
    for X, q in ((X, 0.0 * q), (np.concatenate([X, X], axis=-1), np.concatenate([q, -q]))):
        given_X, given_q, given_ds = given(backend, X, q, ds)
        X1 = backend.to_numpy(sc.forward(given_X, given_q, None, ref, given_ds))
        assert worst_row(X1, X) < 1e-14


def test_lost_particles_are_not_there(backend):
    """They neither kick nor are kicked nor set the box, wherever they are, NaN included."""
    X, q, alive, ds = warm(lost=0.3)
    X = np.where(alive, X, 1e3 * X)
    X[:, np.flatnonzero(~alive)[0]] = math.nan
    (X0, q0, alive0, ds0), ref = given(backend, X, q, alive, ds), reference_for(backend, reference())
    sc = SpaceCharge3D((8, 9, 10))
    X1 = backend.to_numpy(sc.forward(X0, q0, alive0, ref, ds0))
    np.testing.assert_array_equal(X1[:, ~alive], X[:, ~alive])
    alone = sc.forward(X[:, alive], q[alive], None, reference(), ds)
    np.testing.assert_allclose(X1[:, alive], alone, rtol=1e-12, atol=1e-18)


def test_all_particles_lost(backend):
    X, q, _, ds = warm()
    X1_bar = np.random.default_rng(0).normal(size=X.shape)
    given_X, given_q, alive, given_ds, given_bar = given(backend, X, q, np.zeros(q.shape, dtype=bool), ds, X1_bar)
    ref = reference_for(backend, reference())
    for extent in (BeamExtent(), RmsExtent(6.0), FixedExtent((-1e-6,) * 3, (1e-6,) * 3)):
        sc = SpaceCharge3D((8, 8, 8), extent)
        np.testing.assert_array_equal(backend.to_numpy(sc.forward(given_X, given_q, alive, ref, given_ds)), X)
        X_bar, *others = sc.pullback(given_X, given_q, alive, ref, given_ds, given_bar)
        np.testing.assert_array_equal(backend.to_numpy(X_bar), X1_bar)
        for bar in others:
            assert np.all(backend.to_numpy(bar) == 0.0)


# -- batches and libraries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extent", [BeamExtent(), RmsExtent(6.0)])
def test_batch_is_a_loop(backend, extent):
    """Each beam of a batch has its own grid, energy and step."""
    batch = (2, 3)
    X, q, alive, ds = warm(n=60, batch=batch, lost=0.2)
    X = X * (1.0 + np.arange(6.0).reshape(batch))[..., None, None]
    ds = ds * (1.0 + np.arange(6.0).reshape(batch))
    ref, sc = reference(batch=batch), SpaceCharge3D((8, 9, 10), extent)
    X1_bar = np.random.default_rng(4).normal(size=X.shape)
    X0, q0, alive0, ds0, bar0 = given(backend, X, q, alive, ds, X1_bar)
    here = reference_for(backend, ref)
    X1 = sc.forward(X0, q0, alive0, here, ds0)
    together = [backend.to_numpy(a) for a in (X1, *sc.reverse(X1, q0, alive0, here, ds0, bar0))]
    assert [a.shape for a in together] == [X.shape, X.shape, X.shape, q.shape, batch, batch]
    for k in np.ndindex(batch):
        single = ref.with_beta_gamma(ref.beta_gamma[k])
        one = sc.forward(X[k], q[k], alive[k], single, ds[k])
        for a, b in zip(together, (one, *sc.reverse(one, q[k], alive[k], single, ds[k], X1_bar[k])), strict=True):
            assert worst(a[k], b) < 1e-12


def test_charges_and_reference_broadcast_to_the_batch():
    X, q, _, ds = warm(batch=(3,))
    sc, ref = SpaceCharge3D((8, 8, 8)), reference()
    together = sc.forward(X, q[0], None, ref, 0.1)
    for k in range(3):
        assert worst_row(together[k], sc.forward(X[k], q[0], None, ref, ds[k])) < 1e-15


def test_libraries_agree(backend, dtype):
    X, q, alive, ds = warm(lost=0.1)
    ref, sc = reference(), SpaceCharge3D((8, 9, 10))
    target = sc.forward(X, q, alive, ref, ds)
    X0, q0, alive0, ds0 = given(backend, X, q, alive, ds, dtype=dtype)
    X1 = sc.forward(X0, q0, alive0, reference_for(backend, ref, dtype), ds0)
    assert str(X1.dtype).endswith(dtype)
    kick = momenta(backend.to_numpy(X1).astype(float), ref) - momenta(backend.to_numpy(X0).astype(float), ref)
    expected = momenta(target, ref) - momenta(X, ref)
    for k in range(3):
        assert rms(kick[k] - expected[k]) < (1e-12 if dtype == "float64" else 5e-4) * rms(expected[k])


# -- extents and bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extent", [RmsExtent(1.0), FixedExtent((0.0, -1.0, -1.0), (1e-2, 1.0, 1.0))])
def test_charge_outside_the_box_is_an_error(extent):
    X, q, _, ds = warm()
    with pytest.raises(TrackingError, match=r"^\d+ of 200 particles are outside the space-charge box"):
        SpaceCharge3D((8, 8, 8), extent).forward(X, q, None, reference(), ds)


def test_charge_outside_the_box_is_nan_under_tracing():
    from backbeam import backends

    jax = backends.get("jax")
    X, q, ds = given(jax, *(a for a in warm() if a is not None))
    ref = reference_for(jax, reference())
    for sigmas, finite in ((1.0, False), (6.0, True)):
        sc = SpaceCharge3D((8, 8, 8), RmsExtent(sigmas))
        X1 = jax.compile(lambda X, sc=sc: sc.forward(X, q, None, ref, ds))(X)
        assert np.all(np.isfinite(jax.to_numpy(X1))) == finite


def test_a_fixed_box_has_nodes_on_its_corners():
    X, q, _, _ = warm()
    fields = SpaceCharge3D((8, 9, 10), FixedExtent((-0.1, -0.2, -0.3), (0.4, 0.3, 0.2))).fields(X, q, None, reference())
    np.testing.assert_allclose(fields.lower, [-0.1, -0.2, -0.3], rtol=1e-15)
    np.testing.assert_allclose(fields.lower + fields.spacing * np.array([7, 8, 9]), [0.4, 0.3, 0.2], rtol=1e-14)


def test_extents_by_name():
    assert SpaceCharge3D(extent="beam") == SpaceCharge3D()
    assert SpaceCharge3D(extent="rms").extent == RmsExtent()
    assert hash(SpaceCharge3D()) == hash(SpaceCharge3D((32, 32, 32)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpaceCharge3D((32, 3, 32)), r"space_charge.grid is \(32, 3, 32\); allowed: .* at least 4"),
        (lambda: SpaceCharge3D((5, 8, 8), BeamExtent(guard=2)), "space_charge.grid .* at least 6"),
        (lambda: SpaceCharge3D((8, 8)), "space_charge.grid"),
        (lambda: SpaceCharge3D(8), "space_charge.grid is 8"),
        (lambda: SpaceCharge3D((8.5, 8, 8)), "space_charge.grid"),
        (lambda: SpaceCharge3D(extent="box"), "space_charge.extent is 'box'; allowed: beam, rms"),
        (lambda: SpaceCharge3D(grid_gradient="none"), "space_charge.grid_gradient is 'none'; allowed: exact or frozen"),
        (lambda: BeamExtent(guard=0), "space_charge.extent.guard is 0"),
        (lambda: RmsExtent(sigmas=-1.0), "space_charge.extent.sigmas is -1.0"),
        (lambda: FixedExtent((0, 0), (1, 1, 1)), "space_charge.extent.lower"),
        (lambda: FixedExtent((0, 0, 0), (1, 0, 1)), "space_charge.extent.upper .* greater than lower"),
    ],
)
def test_bad_input_is_one_clear_line(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
