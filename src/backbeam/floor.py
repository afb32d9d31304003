"""Where the elements of a line stand on the floor: MAD-X's survey.

The reference's frame at a place has its origin at V = (X, Y, Z) and the axes x, y, s in the columns of W, with
theta from Z towards X, phi the elevation, and psi about s from x towards y::

    W = Theta(theta) Phi(phi) Psi(psi)      V' = V + W R      W' = W S

An element brings a displacement R and a rotation S of the frame at its entrance: a length of drift (0, 0, L); a bend by
a towards -x in a plane turned by ``tilt`` an arc, R = T (-L (1 - cos a)/a, 0, L sin a/a), S = T Theta(-a) T^-1; a patch
its own. Errors of alignment move magnets, not the reference. All are one product of matrices along the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.errors import InputError
from backbeam.extras import need
from backbeam.lattice_functions.passages import parameter_slots, parameter_vector
from backbeam.lattice_functions.products import from_start, product, products
from backbeam.maps.smooth import stumpff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backbeam.line import Line

COLUMNS = ("X", "Y", "Z", "theta", "phi", "psi")


@dataclass(frozen=True, eq=False, repr=False)
class Floor:
    """Floor coordinates ``(..., N + 1)`` at the start of a line and at the end of each of its N elements."""

    names: tuple[str, ...]
    """Element that ends at each place; "" at the start."""
    X: Array
    """[m]"""
    Y: Array
    """[m]"""
    Z: Array
    """[m]"""
    theta: Array
    """[rad], from Z towards X; it is not counted on beyond half a turn."""
    phi: Array
    """[rad], elevation."""
    psi: Array
    """[rad], about s."""
    W: Array
    """Axes x, y, s in its columns ``(..., N + 1, 3, 3)``."""

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> dict[str, Array]:
        """Coordinates at the end of an element that is passed once."""
        places = [k for k, known in enumerate(self.names) if known == name]
        if len(places) != 1 or not name:
            allowed = "an element of the line" if not places else f"one that is passed once, not {len(places)} times"
            raise InputError("floor", name, allowed)
        return {column: getattr(self, column)[..., places[0]] for column in COLUMNS}

    def to_dataframe(self) -> Any:
        """A pandas data frame, a row a place."""
        (pandas,) = need("pandas", "pandas", purpose="a data frame")
        host = backends.of(self.X).to_numpy
        return pandas.DataFrame(
            {"name": [n or "start" for n in self.names], **{c: host(getattr(self, c)) for c in COLUMNS}}
        )

    def __repr__(self) -> str:
        """Where it ends."""
        if self.X.ndim > 1 or backends.of(self.X).traced([self.X]):
            return f"<Floor of {len(self)} places>"
        ends = ", ".join(f"{c} {float(getattr(self, c)[-1]):.6g}" for c in COLUMNS)
        return f"<Floor of {len(self)} places, at the end {ends}>"


def floor(line: Line, start: Sequence[float] = (0.0,) * 6) -> Floor:
    """Floor coordinates along a line, in the library of its parameters, whose automatic differentiation goes through.

    Parameters
    ----------
    line:
        The line. Batch axes of its parameters come first.
    start:
        X, Y, Z [m], theta, phi, psi [rad] at its start, as in MAD-X's survey.

    Raises
    ------
    InputError
        For a start that is not six numbers.
    """
    try:
        given = [float(v) for v in start]
    except (TypeError, ValueError):
        given = []
    if len(given) != len(COLUMNS):
        raise InputError("start", start, "six numbers: X, Y, Z [m], theta, phi, psi [rad]")
    vector, _ = parameter_vector(line)
    xp = namespace(vector)
    zero = xp.zeros_like(vector[..., :1])
    vector = xp.concat([vector, zero], axis=-1)
    slots = parameter_slots(line)

    def column(field: str, of: str = "") -> Array:
        """A parameter of every element, 0 where it has none; of a kind alone where one is named."""
        at = [
            slots[name, field][0] if (name, field) in slots and of in ("", element.kind) else vector.shape[-1] - 1
            for name, element in zip(line.sequence, line.elements, strict=True)
        ]
        return xp.take(vector, xp.asarray(at, dtype=xp.int32, device=device(vector)), axis=-1)

    bent = _bend(column("length"), column("angle"), column("tilt"))
    moved = [column(name, "patch") for name in ("dx", "dy", "ds")]
    turned = rotation(*(column(name, "patch") for name in ("yaw", "pitch", "roll")))
    each = product(bent, _pose(turned, moved))
    first = [xp.broadcast_to(zero[..., 0] + v, vector.shape[:-1]) for v in given]
    begin = _pose(rotation(*first[3:]), first[:3])
    found = product(begin[..., None, :, :], from_start(_forward_products(each)))
    W = found[..., :3, :3]
    theta = xp.atan2(W[..., 0, 2], W[..., 2, 2])
    phi = xp.atan2(W[..., 1, 2], xp.sqrt(W[..., 1, 0] ** 2 + W[..., 1, 1] ** 2))
    psi = xp.atan2(W[..., 1, 0], W[..., 1, 1])
    X, Y, Z = (found[..., k, 3] for k in range(3))
    return Floor(("", *line.sequence), X, Y, Z, theta, phi, psi, W)


def rotation(theta: Array, phi: Array, psi: Array) -> Array:
    """Theta(theta) Phi(phi) Psi(psi) ``(..., 3, 3)``."""
    xp = namespace(theta)
    zero, one = xp.zeros_like(theta), xp.ones_like(theta)
    (ct, st), (cp, sp), (cs, ss) = ((xp.cos(a), xp.sin(a)) for a in (theta, phi, psi))
    about_y = _matrix(((ct, zero, st), (zero, one, zero), (-st, zero, ct)))
    about_x = _matrix(((one, zero, zero), (zero, cp, sp), (zero, -sp, cp)))
    about_s = _matrix(((cs, -ss, zero), (ss, cs, zero), (zero, zero, one)))
    return product(product(about_y, about_x), about_s)


def _bend(length: Array, angle: Array, tilt: Array) -> Array:
    """A length of arc, straight where the angle is 0."""
    xp = namespace(length)
    zero, one = xp.zeros_like(length), xp.ones_like(length)
    c, s = xp.cos(tilt), xp.sin(tilt)
    turn = _matrix(((c, -s, zero), (s, c, zero), (zero, zero, one)))
    _, c1, c2 = stumpff(angle * angle, 3)
    cosine, sine = xp.cos(angle), xp.sin(angle)
    bent = _matrix(((cosine, zero, -sine), (zero, one, zero), (sine, zero, cosine)))
    way = [-length * angle * c2, zero, length * c1]
    R = [c * way[0], s * way[0], way[2]]
    return _pose(product(product(turn, bent), xp.matrix_transpose(turn)), R)


def _pose(W: Array, V: Sequence[Array]) -> Array:
    """Rotation and displacement as one matrix ``(..., 4, 4)``."""
    xp = namespace(W)
    wide = xp.concat([W, xp.stack(list(V), axis=-1)[..., None]], axis=-1)
    zero = xp.zeros_like(wide[..., :1, :3])
    last = xp.concat([zero, xp.ones_like(zero[..., :1])], axis=-1)
    return xp.concat([wide, last], axis=-2)


def _matrix(rows: Any) -> Array:
    xp = namespace(rows[0][0])
    return xp.stack([xp.stack(list(row), axis=-1) for row in rows], axis=-2)


def _forward_products(each: Array) -> Array:
    """E_1 E_2 ... E_k: frames are described in those before them, so that products grow to the right."""
    xp = namespace(each)
    return xp.matrix_transpose(products(xp.matrix_transpose(each)))
