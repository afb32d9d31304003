"""What the kick must do: closed forms, conservation laws, and the corner cases where codes go wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bunches import (
    COULOMB,
    GRID,
    at_rest,
    ball,
    expected_kick,
    momenta,
    reference,
    run,
    warm,
    worst,
    worst_row,
)
from called import forward, pullback, reverse
from scipy.special import erf

from backbeam import backends
from backbeam.effects.space_charge import AutoExtent, BeamExtent, FixedExtent, RmsExtent, SpaceCharge3D
from backbeam.errors import InputError, TrackingError
from backbeam.reference import Reference
from backbeam.species import PROTON_MASS, Species

DS = np.asarray(0.1)
ALL = np.ones(200, dtype=bool)
FOLLOWING = {"beam": BeamExtent(), "rms": RmsExtent(6.0), "two levels": AutoExtent(levels=2)}


def rms(kick):
    return math.sqrt(float(np.mean(kick**2)))


# -- closed forms --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("species", "energy"), [("proton", 6.7e6), ("electron", 5e6)])
def test_uniform_ball(species, energy):
    """The field grows linearly with the distance, up to the edge particles."""
    ref = reference(species, energy)
    radius, charge, n = 1e-3, 1e-9 * ref.species.charge_number, 100_000
    r = ball(n, radius, ref)
    target = expected_kick(lambda at: COULOMB * charge / radius**3 * at, r, ref, DS)
    X = forward(SpaceCharge3D((48, 48, 48)), at_rest(r, ref), np.full(n, charge / n), None, ref, DS)
    kick = momenta(X)
    distance = np.sqrt(np.sum((r * np.array([1, 1, ref.gamma])[:, None]) ** 2, axis=0)) / radius
    edge = distance > 0.9
    for rows, few in ((slice(None), 0.01), (edge, 0.03)):
        slope = np.sum((kick * target)[:, rows], axis=-1) / np.sum((target**2)[:, rows], axis=-1)
        np.testing.assert_allclose(slope, 1.0, atol=few)
    assert rms(kick - target) < 0.04 * rms(target)


def gaussian_kick(r, sigma, charge, ref):
    """Of a Gaussian ball: E(r) = Q/(4 pi eps0) (erf(r/sqrt(2) s)/r^2 - sqrt(2/pi) exp(-r^2/2 s^2)/(s r))."""

    def field(at):
        d = np.sqrt(np.sum(at * at, axis=0))
        shell = erf(d / (math.sqrt(2) * sigma)) / d**2
        return (
            COULOMB * charge * at / d * (shell - math.sqrt(2 / math.pi) * np.exp(-0.5 * (d / sigma) ** 2) / (sigma * d))
        )

    return expected_kick(field, r, ref, DS)


def test_gaussian_ball():
    ref = reference("proton", 6.7e6)
    sigma, charge, n = 1e-3, 1e-9, 100_000
    points = np.random.default_rng(3).normal(size=(3, n)) * sigma
    r = points / np.array([1, 1, float(ref.gamma)])[:, None]
    target = gaussian_kick(r, sigma, charge, ref)
    X = forward(SpaceCharge3D((48, 48, 48)), at_rest(r, ref), np.full(n, charge / n), None, ref, DS)
    kick = momenta(X)
    slope = np.sum(kick * target, axis=-1) / np.sum(target**2, axis=-1)
    np.testing.assert_allclose(slope, 1.0, atol=0.004)
    assert rms(kick - target) < 0.03 * rms(target)


def test_mean_field_is_of_fourth_order():
    """A Gaussian without noise: weights on a fine lattice. Order 4 at 24^3 does more than order 2 at 48^3."""
    ref = reference("proton", 6.7e6)
    places = np.linspace(-4.5, 4.5, 61) + 0.003
    r = np.stack([a.reshape(-1) for a in np.meshgrid(places, places, places, indexing="ij")])
    q = np.exp(-0.5 * np.sum(r * r, axis=0))
    r, q = 1e-3 * r / np.array([1, 1, float(ref.gamma)])[:, None], 1e-9 * q / np.sum(q)
    core = np.sum((r * np.array([1, 1, float(ref.gamma)])[:, None]) ** 2, axis=0) < (1.5e-3) ** 2
    target, X = gaussian_kick(r[:, core], 1e-3, 1e-9, ref), at_rest(r, ref)
    errors = {}
    for order, side in ((2, 24), (2, 48), (4, 24), (4, 48)):
        kick = momenta(forward(SpaceCharge3D((side,) * 3, order=order), X, q, None, ref, DS))[:, core]
        errors[order, side] = rms(kick - target) / rms(target)
    assert errors[2, 24] / errors[2, 48] == pytest.approx(4.0, abs=1.0)
    assert errors[4, 24] < errors[2, 48] and errors[4, 48] < 0.4 * errors[2, 48]


# -- conservation laws ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("extent", FOLLOWING)
def test_no_force_of_the_beam_on_itself(backend, extent):
    """Deposit and gather share nodes and weights: the total momentum stays, to rounding."""
    X, q, alive, ds = warm(lost=0.2)
    ref = reference()
    X1 = run(backend, SpaceCharge3D(GRID, FOLLOWING[extent]), "forward", X, q, alive, ref, ds)
    kick = momenta(X1) - momenta(X)
    total, size = np.sum(q * alive * kick, axis=-1), np.sum(np.abs(q * alive * kick), axis=-1)
    assert np.all(np.abs(total) < 1e-12 * size)
    assert np.all(size > 0)


def test_no_charge_is_left_out(backend):
    X, q, alive, ds = warm(lost=0.3)
    rho, _, _, spacing = run(backend, SpaceCharge3D(GRID), "fields", X, q, alive, reference(), ds)
    assert np.sum(rho) * np.prod(spacing) == pytest.approx(np.sum(q[alive]), rel=1e-14)
    for axis in range(3):
        for end in (0, -1):
            assert np.all(np.take(rho, end, axis=axis) == 0.0)


def test_symmetric_bunch_gets_no_kick_as_a_whole():
    """Half a cell between deposit and gather would kick it by some per cent of the rms kick."""
    ref = reference("proton", 6.7e6)
    r = ball(2000, 1e-3, ref)
    r = np.concatenate([r, -r], axis=-1)
    kick = momenta(forward(SpaceCharge3D((16, 16, 16)), at_rest(r, ref), np.full(4000, 1e-12), None, ref, DS))
    assert np.all(np.abs(np.mean(kick, axis=-1)) < 1e-12 * rms(kick))
    assert worst(kick[:, :2000], -kick[:, 2000:]) < 1e-10


@pytest.mark.parametrize("extent", FOLLOWING)
def test_inverse_undoes_the_kick(backend, extent):
    X, q, alive, ds = warm(lost=0.2)
    ref, sc = reference(), SpaceCharge3D(GRID, FOLLOWING[extent])
    X1 = run(backend, sc, "forward", X, q, alive, ref, ds)
    assert np.max(np.abs(X1 - X)) > 1e-4
    assert worst_row(run(backend, sc, "inverse", X1, q, alive, ref, ds), X) < 1e-14


# -- where the beam is and how it looks ----------------------------------------------------------------------


def test_grid_follows_the_beam_and_its_rest_frame_length():
    """A slow proton beam far from the axis, and late, is kicked as on the axis."""
    ref = reference("proton", 6.7e6)
    r = ball(1000, 1e-3, ref)
    q, sc = np.full(1000, 1e-12), SpaceCharge3D((12, 12, 12))
    on = momenta(forward(sc, at_rest(r, ref), q, None, ref, DS))
    off = momenta(forward(sc, at_rest(r + np.array([0.3, -0.2, 0.5])[:, None], ref), q, None, ref, DS))
    assert worst(off, on) < 1e-10
    fields = sc.fields(at_rest(r, ref), q, None, ref)
    filled = [np.sum(np.any(fields.rho != 0.0, axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    assert filled == [8, 8, 8]


@pytest.mark.parametrize("alone", ["only one", "all others lost"])
def test_one_particle_feels_nothing(alone):
    X, q, _, ds = warm(n=3)
    X, q, alive = (X[:, :1], q[:1], None) if alone == "only one" else (X, q, np.array([False, True, False]))
    ref, sc = reference(), SpaceCharge3D(GRID)
    np.testing.assert_allclose(forward(sc, X, q, alive, ref, ds), X, rtol=1e-13)
    for bar in pullback(sc, X, q, alive, ref, ds, X):
        assert np.all(np.isfinite(bar))


@pytest.mark.parametrize("flat", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("extent", FOLLOWING)
def test_flat_beams(backend, flat, extent):
    """No size in one or two planes: no field there, a finite one in the others, and a finite gradient."""
    ref = reference("proton", 6.7e6)
    r = ball(200, 1e-3, ref)
    r = np.stack([np.full(200, 0.5e-3) if k in flat else a for k, a in enumerate(r)])
    X, q, sc = at_rest(r, ref), np.full(200, 1e-12), SpaceCharge3D(GRID, FOLLOWING[extent])
    kick = momenta(run(backend, sc, "forward", X, q, ALL, ref, DS))
    size = np.sqrt(np.mean(kick**2, axis=-1))
    open_planes = [k for k in range(3) if k not in flat]
    assert np.all(np.isfinite(kick)) and np.all(size[open_planes] > 0.0)
    assert np.all(size[list(flat)] < 1e-8 * np.max(size))
    for bar in run(backend, sc, "pullback", X, q, ALL, ref, DS, X):
        assert np.all(np.isfinite(bar))


def test_a_thin_beam_tends_to_the_flat_one():
    ref = reference("proton", 6.7e6)
    r, q, sc = ball(200, 1e-3, ref), np.full(200, 1e-12), SpaceCharge3D((8, 8, 8))
    kicks = []
    for thickness in (0.0, 1e-9):
        thin = at_rest(r * np.array([1.0, thickness, 1.0])[:, None], ref)
        kicks.append(momenta(forward(sc, thin, q, None, ref, DS)))
    assert worst(kicks[1][[0, 2]], kicks[0][[0, 2]]) < 1e-3


# -- charges -------------------------------------------------------------------------------------------------


def test_charge_number():
    """Charge number 2 is kicked twice as much by the same charges; a sign that both share cancels."""
    X, q, _, ds = warm()
    sc, kicks = SpaceCharge3D((8, 8, 8)), {}
    for number in (1, 2, -1):
        ref = Reference(np.asarray(0.2), Species("test", PROTON_MASS, number))
        kicks[number] = momenta(forward(sc, X, np.copysign(q, q * number), None, ref, ds)) - momenta(X)
    assert worst(kicks[2], 2.0 * kicks[1]) < 1e-12
    assert worst(kicks[-1], kicks[1]) < 1e-12


def test_no_charge(backend):
    """No charge, or as much of either sign in the same places: no kick."""
    X, q, _, ds = warm()
    pairs = np.concatenate([X[:, :100], X[:, :100]], axis=-1), np.concatenate([q[:100], -q[:100]])
    for at, charges in ((X, 0.0 * q), pairs):
        X1 = run(backend, SpaceCharge3D(GRID), "forward", at, charges, ALL, reference(), ds)
        assert worst_row(X1, at) < 1e-14


def test_lost_particles_are_not_there(backend):
    """They neither kick nor are kicked nor set the box, wherever they are, NaN included."""
    X, q, alive, ds = warm(lost=0.3)
    X = np.where(alive, X, 1e3 * X)
    X[:, np.flatnonzero(~alive)[0]] = math.nan
    X1 = run(backend, SpaceCharge3D(GRID), "forward", X, q, alive, reference(), ds)
    np.testing.assert_array_equal(X1[:, ~alive], X[:, ~alive])
    alone = forward(SpaceCharge3D(GRID), X[:, alive], q[alive], None, reference(), ds)
    np.testing.assert_allclose(X1[:, alive], alone, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("extent", FOLLOWING)
def test_all_particles_lost(backend, extent):
    X, q, _, ds = warm()
    X1_bar = np.random.default_rng(0).normal(size=X.shape)
    sc = SpaceCharge3D(GRID, FOLLOWING[extent])
    np.testing.assert_array_equal(run(backend, sc, "forward", X, q, ~ALL, reference(), ds), X)
    X_bar, *others = run(backend, sc, "pullback", X, q, ~ALL, reference(), ds, X1_bar)
    np.testing.assert_array_equal(X_bar, X1_bar)
    for bar in others:
        assert np.all(bar == 0.0)


def test_all_particles_lost_from_a_fixed_box():
    X, q, _, ds = warm()
    sc = SpaceCharge3D(GRID, FixedExtent((-1e-6,) * 3, (1e-6,) * 3))
    np.testing.assert_array_equal(forward(sc, X, q, ~ALL, reference(), ds), X)


# -- batches and libraries -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "extent"),
    [("numpy", "rms"), ("numpy", "beam"), ("torch", "beam"), ("jax", "beam"), ("array_api_strict", "rms")],
)
def test_batch_is_a_loop(library, extent):
    """Each beam of a batch has its own grid, energy and step."""
    backend = backends.get(library)
    batch = (2, 3)
    X, q, alive, ds = warm(n=60, batch=batch, lost=0.2)
    larger = 1.0 + np.arange(6.0).reshape(batch)
    X, ds = X * larger[..., None, None], ds * larger
    ref, sc = reference(batch=batch), SpaceCharge3D(GRID, FOLLOWING[extent])
    X1_bar = np.random.default_rng(4).normal(size=X.shape)
    X1 = forward(sc, X, q, alive, ref, ds)
    together = run(backend, sc, "reverse", X1, q, alive, ref, ds, X1_bar)
    assert [a.shape for a in together] == [X.shape, X.shape, q.shape, batch, batch]
    for k in np.ndindex(batch):
        single = ref.with_beta_gamma(ref.beta_gamma[k])
        assert worst(X1[k], forward(sc, X[k], q[k], alive[k], single, ds[k])) < 1e-12
        for a, b in zip(together, reverse(sc, X1[k], q[k], alive[k], single, ds[k], X1_bar[k]), strict=True):
            assert worst(a[k], b) < 1e-12


def test_charges_and_reference_broadcast_to_the_batch():
    X, q, _, ds = warm(batch=(3,))
    sc, ref = SpaceCharge3D((8, 8, 8)), reference()
    together = forward(sc, X, q[0], None, ref, 0.1)
    for k in range(3):
        assert worst_row(together[k], forward(sc, X[k], q[0], None, ref, ds[k])) < 1e-15


def test_libraries_agree(backend, dtype):
    X, q, alive, ds = warm(lost=0.1)
    ref, sc = reference(), SpaceCharge3D(GRID)
    narrow = X.astype(dtype).astype(float)
    kick = momenta(run(backend, sc, "forward", X, q, alive, ref, ds, dtype=dtype).astype(float)) - momenta(narrow)
    expected = momenta(forward(sc, X, q, alive, ref, ds)) - momenta(X)
    for k in range(3):
        assert rms(kick[k] - expected[k]) < (1e-12 if dtype == "float64" else 5e-4) * rms(expected[k])


# -- extents and bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("extent", [RmsExtent(1.0), FixedExtent((0.0, -1.0, -1.0), (1e-2, 1.0, 1.0))])
def test_charge_outside_the_box_is_an_error(extent):
    X, q, _, ds = warm()
    with pytest.raises(TrackingError, match=r"^\d+ of 200 particles are outside the space-charge box"):
        forward(SpaceCharge3D((8, 8, 8), extent), X, q, None, reference(), ds)


def test_charge_outside_the_box_is_nan_under_tracing():
    X, q, _, ds = warm()
    sc, jax = SpaceCharge3D(GRID, FOLLOWING["rms"]), backends.get("jax")
    assert np.all(np.isfinite(run(jax, sc, "forward", X, q, ALL, reference(), ds)))
    X[0, 0] += 1.0
    assert np.any(np.isnan(run(jax, sc, "forward", X, q, ALL, reference(), ds)))


def test_a_fixed_box_has_nodes_on_its_corners_and_guards_outside():
    X, q, _, _ = warm()
    box = FixedExtent((-0.1, -0.2, -0.3), (0.4, 0.3, 0.2))
    for how, guard in (({}, 2), ({"order": 2}, 1), ({"at": "t"}, 1)):
        fields = SpaceCharge3D((8, 9, 10), box, **how).fields(X, q, None, reference())
        first = fields.lower + guard * fields.spacing
        np.testing.assert_allclose(first, [-0.1, -0.2, -0.3], rtol=1e-14)
        cells = np.array([7, 8, 9]) - 2 * guard
        np.testing.assert_allclose(first + fields.spacing * cells, [0.4, 0.3, 0.2], rtol=1e-14)


def test_extents_by_name():
    assert SpaceCharge3D(extent="auto") == SpaceCharge3D()
    assert SpaceCharge3D(extent="rms").extent == RmsExtent()
    assert hash(SpaceCharge3D()) == hash(SpaceCharge3D((32, 32, 32)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpaceCharge3D((32, 5, 32)), r"space_charge.grid is \(32, 5, 32\); allowed: .* at least 6"),
        (lambda: SpaceCharge3D((32, 3, 32), order=2), r"space_charge.grid is \(32, 3, 32\); allowed: .* at least 4"),
        (lambda: SpaceCharge3D((7, 8, 8), BeamExtent(guard=3)), "space_charge.grid .* at least 8"),
        (lambda: SpaceCharge3D(at="z"), "space_charge.at is 'z'; allowed: s or t"),
        (lambda: SpaceCharge3D(order=3), "space_charge.order is 3; allowed: 2 or 4"),
        (lambda: SpaceCharge3D((8, 8)), "space_charge.grid"),
        (lambda: SpaceCharge3D(8), "space_charge.grid is 8"),
        (lambda: SpaceCharge3D((8.5, 8, 8)), "space_charge.grid"),
        (lambda: SpaceCharge3D(extent="box"), "space_charge.extent is 'box'; allowed: auto, beam, rms"),
        (
            lambda: SpaceCharge3D(grid_gradient="none"),
            "space_charge.grid_gradient is 'none'; allowed: exact or frozen",
        ),
        (lambda: BeamExtent(guard=0), "space_charge.extent.guard is 0"),
        (lambda: AutoExtent(levels=3), "space_charge.extent.levels is 3"),
        (lambda: RmsExtent(sigmas=-1.0), "space_charge.extent.sigmas is -1.0"),
        (lambda: FixedExtent((0, 0), (1, 1, 1)), "space_charge.extent.lower"),
        (lambda: FixedExtent((0, 0, 0), (1, 0, 1)), "space_charge.extent.upper .* greater than lower"),
    ],
)
def test_bad_input_is_one_clear_line(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
