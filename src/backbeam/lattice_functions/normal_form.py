"""The normal form of one turn: tunes, and the matrix A that turns the motion into rotations, M = A Rot A^-1.

M + M^-1 has each 2 cos(mu_j) twice, and the projectors on its planes are polynomials of it. So the matrix of mode j,
A_j A_j^T (its covariance at unit emittance), is P_j (M - M^-1) J^T/(2 sin mu_j): rational in M, with no eigenvector
whose phase would have to be chosen, and smooth where the modes do not meet. Where two modes of an uncoupled line meet
they are told apart by their planes.

The phase is fixed by the field's custom: what starts in the sine of mode 1 has x = 0, that of mode 2 has y = 0, that of
mode 3 has tau = 0. Then beta_x of mode 1 is A_11^2, and so on (Mais & Ripken, DESY M-82-05; Wolski, PRSTAB 9 (2006)
024001).

The pullback is perturbation theory in the basis of the modes: A^-1 dM M^-1 A gives dA = A X by division by
exp(i mu_j) - exp(i mu_i), element by element.
"""

from __future__ import annotations

from typing import NamedTuple

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.errors import TrackingError
from backbeam.lattice_functions.products import as_one, outer, product, times, transposed
from backbeam.moments import safe_divide, safe_sqrt

_SYMPLECTIC = (
    (0.0, 1.0, 0.0, 0.0, 0.0, 0.0),
    (-1.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (0.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    (0.0, 0.0, -1.0, 0.0, 0.0, 0.0),
    (0.0, 0.0, 0.0, 0.0, 0.0, -1.0),
    (0.0, 0.0, 0.0, 0.0, 1.0, 0.0),
)
"""J of the pairs (x, px), (y, py), (tau, -pt)."""


class Modes(NamedTuple):
    """The modes of a matrix; lists in their order: mostly x, mostly y, mostly along s."""

    cosines: list[Array]
    """2 cos(mu_j) ``(...)``."""
    projectors: list[Array]
    """P_j ``(..., d, d)``."""


def constant_matrix(rows: tuple[tuple[float, ...], ...], like: Array) -> Array:
    """A matrix of numbers beside an array."""
    return namespace(like).asarray([list(row) for row in rows], dtype=like.dtype, device=device(like))


def symplectic_form(like: Array) -> Array:
    """J ``(d, d)`` of the size of a matrix ``(..., d, d)``."""
    d = like.shape[-1]
    return constant_matrix(tuple(row[:d] for row in _SYMPLECTIC[:d]), like)


def modes(M: Array) -> Modes:
    """Cosines and projectors of the modes of a symplectic matrix ``(..., d, d)``, d = 4 or 6."""
    xp, J, d = namespace(M), symplectic_form(M), M.shape[-1]
    unit = xp.eye(d, dtype=M.dtype, device=device(M))
    N = M + product(product(transposed(J), transposed(M)), J)
    if d == 4:
        cosines, first = _two(N)
        return Modes(cosines, [first, unit - first])
    third, total = _third(N), 0.5 * _trace(N)
    both = total - third
    square = 0.5 * (total * total - 0.5 * _trace(product(N, N))) - third * both  # c1 c2
    P = product(N, N) - both[..., None, None] * N + square[..., None, None] * unit
    P = P / (third * third - third * both + square)[..., None, None]
    rest = unit - P
    mean = 0.5 * both[..., None, None]
    B = product(N, rest) - mean * rest
    half = safe_sqrt(0.25 * _trace(product(B, B)))
    half = xp.where(B[..., 0, 0] + B[..., 1, 1] < 0.0, -half, half)
    first = 0.5 * (rest + safe_divide(B, xp.broadcast_to(half[..., None, None], B.shape)))
    # Where y stands alone it is mode 2, however near the other is.
    in_y = constant_matrix(tuple(tuple(float(i == j and i in (2, 3)) for j in range(6)) for i in range(6)), M)
    across = xp.abs(product(in_y, N) - product(N, in_y))
    alone = xp.max(across, axis=(-2, -1)) == 0.0
    in_y_cosine = 0.5 * (N[..., 2, 2] + N[..., 3, 3])
    first = xp.where(alone[..., None, None], rest - in_y, first)
    half = xp.where(alone, 0.5 * both - in_y_cosine, half)
    return Modes([0.5 * both + half, 0.5 * both - half, third], [first, rest - first, P])


def _two(N: Array) -> tuple[list[Array], Array]:
    """2 cos(mu) of two modes and the projector on the first, from N = [[a, m], [m', d]], a and d numbers.

    In blocks, so that nothing but m can mix x and y, and rounding cannot where two modes meet.
    """
    xp = namespace(N)
    a, d = (0.5 * (N[..., k, k] + N[..., k + 1, k + 1]) for k in (0, 2))
    h = 0.5 * (a - d)
    half = safe_sqrt(h * h + N[..., 0, 2] * N[..., 1, 3] - N[..., 0, 3] * N[..., 1, 2])
    half = xp.where(h < 0.0, -half, half)
    mean, zero = 0.5 * (a + d), xp.zeros_like(h)
    share = xp.where(half == 0.0, xp.ones_like(half), 0.5 * (1.0 + safe_divide(h, half)))
    other = 1.0 - share
    mixed = 0.5 * safe_divide(N, xp.broadcast_to(half[..., None, None], N.shape))
    rows = (
        (share, zero, mixed[..., 0, 2], mixed[..., 0, 3]),
        (zero, share, mixed[..., 1, 2], mixed[..., 1, 3]),
        (mixed[..., 2, 0], mixed[..., 2, 1], other, zero),
        (mixed[..., 3, 0], mixed[..., 3, 1], zero, other),
    )
    return [mean + half, mean - half], xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def _third(N: Array) -> Array:
    """2 cos(mu) of the mode along s: the root of the characteristic polynomial next to what the tau-pt block says."""
    xp, constant = namespace(N), backends.of(N).constant
    q = _trace(N) / 6.0
    N0 = N - q[..., None, None] * xp.eye(6, dtype=N.dtype, device=device(N))
    squares, cubes = 0.5 * _trace(product(N0, N0)), 0.5 * _trace(product(product(N0, N0), N0))

    def improved(y: Array) -> Array:
        # y^3 - squares/2 y - cubes/3 = 0
        return y - safe_divide(y * y * y - 0.5 * squares * y - cubes / 3.0, 3.0 * y * y - 0.5 * squares)

    a = constant(safe_sqrt(squares / 6.0))
    cosine = xp.clip(constant(safe_divide(cubes / 6.0, a * a * a)), -1.0, 1.0)
    angle = xp.acos(cosine) / 3.0
    guess = constant(0.5 * (N[..., 4, 4] + N[..., 5, 5]) - q)
    turn = 2.0943951023931953
    roots = [2.0 * a * xp.cos(angle - k * turn) for k in range(3)]
    best = roots[0]
    for root in roots[1:]:
        best = xp.where(xp.abs(root - guess) < xp.abs(best - guess), root, best)
    for _ in range(3):
        best = constant(improved(best))
    return q + improved(best)


def normal_form(M: Array) -> Array:
    """A ``(..., d, d)`` of the stable matrix M: two columns a mode, cosine-like and sine-like.

    NaN in a batch where the motion is unstable.

    Raises
    ------
    TrackingError
        For a single matrix whose motion is unstable; it says in which mode.
    """
    with backends.of(M).quiet():
        A, cosines = as_one(_normal_form, M)
    _check(M, cosines)
    return A


def _normal_form(M: Array) -> tuple[Array, list[Array]]:
    found = modes(M)
    xp, J = namespace(M), symplectic_form(M)
    turned = product(M - product(product(transposed(J), transposed(M)), J), transposed(J))
    columns = []
    for j, (c, P) in enumerate(zip(found.cosines, found.projectors, strict=True)):
        # NaN, not an error of the library, where the mode is unstable.
        sine = 2.0 * xp.where(c * c < 4.0, safe_sqrt(1.0 - 0.25 * c * c), xp.full_like(c, float("nan")))
        S = product(P, turned) / sine[..., None, None]
        S = xp.where(_trace(S)[..., None, None] < 0.0, -S, S)
        cosine_like = S[..., :, 2 * j] / xp.sqrt(S[..., 2 * j, 2 * j])[..., None]
        columns += [cosine_like, -times(product(S, J), cosine_like)]
    return xp.stack(columns, axis=-1), found.cosines


def _check(M: Array, cosines: list[Array]) -> None:
    """Say which mode of a single matrix is unstable."""
    backend = backends.of(M)
    if M.ndim > 2 or backend.traced([M]):
        return
    for name, c in zip(("x", "y", "z"), cosines, strict=False):
        c = backend.constant(c)
        if not abs(float(c)) < 2.0:
            raise TrackingError(f"the motion is not stable: cos(mu_{name}) of one turn is {0.5 * float(c):.6g}")


def _trace(M: Array) -> Array:
    return namespace(M).linalg.trace(M)


# -- the way back -----------------------------------------------------------------------------------------------------


def cosines_pullback(found: Modes, bars: list[Array]) -> Array:
    """Cotangent of M from those of the cosines: d(2 cos mu_j) = tr(P_j dM)."""
    terms = [bar[..., None, None] * transposed(P) for P, bar in zip(found.projectors, bars, strict=True)]
    return sum(terms[1:], terms[0])


def normal_form_pullback(M: Array, A: Array, A_bar: Array) -> Array:
    """Cotangent of M from that of A = `normal_form` of M."""
    return as_one(_normal_form_pullback, M, A, A_bar)


def _normal_form_pullback(M: Array, A: Array, A_bar: Array) -> Array:
    xp, d = namespace(M), M.shape[-1]
    X_bar = product(transposed(A), A_bar)
    # A turn of mode j by g_j keeps the sine-like column at 0 in its own row.
    held = xp.zeros_like(X_bar)
    for j in range(d // 2):
        g_bar = X_bar[..., 2 * j, 2 * j + 1] - X_bar[..., 2 * j + 1, 2 * j]
        row = A[..., 2 * j, :] * (-g_bar / A[..., 2 * j, 2 * j])[..., None]
        column = xp.eye(d, dtype=M.dtype, device=device(M))[2 * j + 1, :]
        held = held + outer(row, column)
    X_bar = X_bar + held
    # In the complex basis of the modes X_ij = K_ij/(lambda_j - lambda_i), K = A^-1 dM A.
    A_inverse = xp.linalg.inv(A)
    turn = product(product(A_inverse, M), A)
    wide = xp.complex128 if M.dtype == xp.float64 else xp.complex64
    U, i = _basis(M, wide), 1.0j
    eigenvalues = []
    for j in range(d // 2):
        c, s = (xp.astype(turn[..., 2 * j, 2 * j + k], wide) for k in (0, 1))
        eigenvalues += [c + i * s, c - i * s]
    values = xp.stack(eigenvalues, axis=-1)
    gap = values[..., None, :] - values[..., :, None]
    size = xp.abs(gap)
    apart = size > 1e3 * xp.finfo(M.dtype).eps
    gap = xp.where(apart, gap, xp.ones_like(gap))
    X_bar = xp.matmul(xp.matmul(xp.conj(transposed(U)), xp.astype(X_bar, wide)), U)
    K_bar = xp.where(apart, X_bar / xp.conj(gap), xp.zeros_like(gap))
    K_bar = xp.real(xp.matmul(xp.matmul(U, K_bar), xp.conj(transposed(U))))
    return product(product(transposed(A_inverse), K_bar), transposed(A))


def _basis(M: Array, wide: object) -> Array:
    """Unitary ``(d, d)`` whose columns diagonalise every rotation [[c, s], [-s, c]]."""
    xp, d, r = namespace(M), M.shape[-1], 0.7071067811865476
    rows = [[0.0j] * d for _ in range(d)]
    for j in range(0, d, 2):
        rows[j][j], rows[j][j + 1] = r + 0.0j, r + 0.0j
        rows[j + 1][j], rows[j + 1][j + 1] = r * 1.0j, -r * 1.0j
    return xp.asarray(rows, dtype=wide, device=device(M))
