"""The table that `optics` returns: columns along the line, numbers of the whole, rows, and matrices between places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import accumulate
from math import pi
from typing import TYPE_CHECKING, Any, NamedTuple

from array_api_compat import device

from backbeam import backends
from backbeam.arrays import COORDINATES, Array, namespace
from backbeam.errors import InputError
from backbeam.extras import need
from backbeam.lattice_functions.chromaticity import cosine_slopes
from backbeam.lattice_functions.functions import DISPERSIONS, lattice_functions, per_delta
from backbeam.lattice_functions.products import product
from backbeam.lattice_functions.second_order import joined, second_order
from backbeam.lattice_functions.slip import Turn, slip_and_compaction

if TYPE_CHECKING:
    from backbeam.lattice_functions.solution import Solution
    from backbeam.line import Line
    from backbeam.reference import Reference

PER = ("pt", "delta")
TUNES = ("tune_x", "tune_y", "tune_z")
CHROMATICITIES = ("chromaticity_x", "chromaticity_y")
OF_A_RING = (*TUNES, *CHROMATICITIES, "momentum_compaction", "slip_factor")
"""Numbers that only a line with a closed orbit has."""


class Source(NamedTuple):
    """What a table was asked of."""

    line: Line
    reference: Reference
    start: Mapping[str, Array]
    """Lattice functions with which the line begins, by name; none of a ring."""


class Row:
    """A place of the table: ``row.beta_x`` is the value there."""

    def __init__(self, name: str, values: dict[str, Array]) -> None:
        self.name = name
        self.__dict__.update(values)

    def __repr__(self) -> str:
        """Name and values."""
        shown = (f"{k}={float(v):.8g}" if getattr(v, "ndim", 1) == 0 else f"{k}={v}" for k, v in vars(self).items()
                 if k != "name")  # fmt: skip
        return f"<{self.name}: {', '.join(shown)}>"


@dataclass(frozen=True, eq=False, repr=False)
class Optics:
    """Lattice functions of a line. `backbeam.optics` makes one.

    Columns are arrays ``(..., N)``, a place at the end of each element, the first at the start of the line: ``s`` [m];
    the orbit ``x, px, y, py, tau, pt``; ``beta_x, alpha_x, mu_x`` [m, 1, rad] and the same of y, and with cavities of
    z; ``dispersion_x, dispersion_px, dispersion_y, dispersion_py``; and where modes are coupled ``beta_x2, alpha_x2,
    beta_y1, alpha_y1``, mode 2 in x and mode 1 in y (Mais-Ripken). Numbers of a ring ``(...)``: ``tune_x, tune_y,
    tune_z``; ``chromaticity_x, chromaticity_y``; without motion along s ``momentum_compaction`` and ``slip_factor``,
    by the orbit's own momentum whatever ``per`` says: alpha_c - 1/gamma^2 = slip_factor, positive above transition.

    Examples
    --------
    >>> cell = [bb.Quadrupole(0.2, k1=2.0, name="qf"), bb.Drift(1.0), bb.Quadrupole(0.2, k1=-2.0), bb.Drift(1.0)]
    >>> table = bb.optics(bb.Line(cell), bb.Reference.from_kinetic_energy(1e9, "proton"))
    >>> f"{float(table['qf'].beta_x):.3f} m"
    '6.504 m'
    """

    source: Source
    solution: Solution
    per: str
    rows: tuple[int, ...]
    """Which of the places the table shows."""

    # -- columns -----------------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Element that ends at each place; "" at the start."""
        return tuple(self.solution.passages.names[k] for k in self.rows)

    @cached_property
    def columns(self) -> dict[str, Array]:
        """Every column by name."""
        found = self.everywhere
        if len(self.rows) == len(self.solution.passages.names):
            return found
        xp, index = namespace(self.solution.z), self._index(self.rows)
        return {name: xp.take(column, index, axis=-1) for name, column in found.items()}

    @cached_property
    def everywhere(self) -> dict[str, Array]:
        """Every column, at all places of the line."""
        solution = self.solution
        xp, ends = namespace(solution.z), solution.ends
        z = xp.take(solution.z, ends, axis=-2)
        found = {"s": self._s()}
        found |= {name: z[..., k] for k, name in enumerate(COORDINATES)}
        found |= lattice_functions(solution.A, xp.take(solution.v, ends, axis=-2))
        if self.per == "delta":
            factor = per_delta(self.inverse_beta, z[..., 5])
            found |= {name: factor * found[name] for name in DISPERSIONS}
        return found

    @property
    def inverse_beta(self) -> Array:
        """1/beta0 at all places of the line."""
        u = namespace(self.solution.z).take(self.solution.beta_gamma, self.solution.ends, axis=-1)
        return namespace(u).sqrt(1.0 + u * u) / u

    def _s(self) -> Array:
        vector, passages = self.solution.vector, self.solution.passages
        xp = namespace(vector)
        places, slots = passages.thick()
        total = xp.zeros_like(self.solution.z[..., :1, 0])
        if not len(places):
            return xp.broadcast_to(total, (*total.shape[:-1], len(passages.names)))
        parts = xp.asarray([float(passages.fractions[k]) for k in places], dtype=vector.dtype, device=device(vector))
        along = xp.cumulative_sum(parts * xp.take(vector, self._index(slots), axis=-1), axis=-1)
        along = xp.concat([total, total + along], axis=-1)
        thick = set(places.tolist())
        reached = accumulate(int(k in thick) for k in range(len(passages.names)))
        return xp.take(along, self._index(reached), axis=-1)

    def _index(self, host: Any) -> Array:
        like = self.solution.vector
        xp = namespace(like)
        return xp.asarray([int(k) for k in host], dtype=xp.int32, device=device(like))

    # -- numbers of the whole ----------------------------------------------------------------------------------------

    @property
    def periodic(self) -> bool:
        """Whether the line is taken for a ring or a cell of one."""
        return self.solution.beginning is None

    @property
    def length(self) -> Array:
        """Length of the line [m]."""
        return self.everywhere["s"][..., -1]

    @cached_property
    def numbers(self) -> dict[str, Array]:
        """Tunes, momentum compaction and slip factor."""
        if not self.periodic:
            return {}
        planes = "xyz"[: self.solution.size // 2]
        found = {f"tune_{plane}": self.everywhere[f"mu_{plane}"][..., -1] / (2.0 * pi) for plane in planes}
        if self.solution.size == 4:
            found["slip_factor"], found["momentum_compaction"] = slip_and_compaction(self.turn)
        return found

    @property
    def turn(self) -> Turn:
        """What a turn along the orbit takes."""
        z, v = self.solution.z, self.solution.v
        late = z[..., -1, 4] - z[..., 0, 4]
        return Turn(self.length, late, v[..., -1, 4], z[..., 0, 5], self.solution.beta_gamma[..., 0])

    @cached_property
    def chromaticities(self) -> tuple[Array, Array]:
        """d tune/d pt, or by delta, in x and y."""
        if not self.periodic:
            raise InputError("optics", "chromaticity", "of a ring")
        slopes = cosine_slopes(self.solution)
        xp = namespace(slopes[0])
        factor = self.chromatic_factor
        sines = (xp.sin(self.everywhere[f"mu_{plane}"][..., -1]) for plane in "xy")
        first, second = (-factor * slope / (4.0 * pi * sine) for slope, sine in zip(slopes, sines, strict=True))
        return first, second

    @property
    def chromatic_factor(self) -> Array | float:
        """What turns a chromaticity per pt into one of this table."""
        if self.per == "pt":
            return 1.0
        return per_delta(self.inverse_beta[..., 0], self.solution.z[..., 0, 5])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in CHROMATICITIES:
            return self.chromaticities[CHROMATICITIES.index(name)]
        for values in (self.columns, self.numbers):
            if name in values:
                return values[name]
        known = [*self.columns, *self.numbers, *CHROMATICITIES]
        if name in OF_A_RING:
            why = "give pt=0" if self.periodic else "only a ring has it"
            raise AttributeError(f"{name}: {'only with cavities' if name == 'tune_z' and self.periodic else why}")
        close = get_close_matches(name, known, 1)
        raise AttributeError(f"optics has no {name!r}; {close[0] + '?' if close else 'it has ' + ', '.join(known)}")

    # -- rows --------------------------------------------------------------------------------------------------------

    def place(self, name: str | int) -> int:
        """Which row of the whole line a name means: an element, "start", "end", or ``name[2]`` for its third passage.

        Raises
        ------
        InputError
            For an element that is not there, or is passed several times.
        """
        names = self.solution.passages.names
        if isinstance(name, int):
            return range(len(names))[name]
        if name in ("start", "end"):
            return 0 if name == "start" else len(names) - 1
        ends = self.solution.passages.last
        if name in ends:
            if len(ends[name]) > 1:
                allowed = f"{name}[0] ... {name}[{len(ends[name]) - 1}]: it is passed {len(ends[name])} times"
                raise InputError("element", name, allowed)
            return ends[name][0]
        element, _, passage = name.removesuffix("]").rpartition("[")
        if name.endswith("]") and passage.isdigit() and element in ends and int(passage) < len(ends[element]):
            return ends[element][int(passage)]
        close = get_close_matches(name, list(ends), 3)
        raise InputError("element", name, " or ".join(close) if close else "the name of an element of the line")

    def __getitem__(self, name: str | int) -> Row:
        """The row at the end of an element: ``optics["bpm3"].beta_x``; a number counts the rows of the table."""
        if isinstance(name, int):
            k = self.rows[name]
        else:
            k = self.place(name)
        return Row(self.solution.passages.names[k] or "start", {n: c[..., k] for n, c in self.everywhere.items()})

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return (self[k] for k in range(len(self)))

    def matrix(self, start: str | int = "start", end: str | int = "end") -> Array:
        """First-order matrix ``(..., 6, 6)`` about the orbit from the end of one element to that of another.

        In a ring the way to an element that comes before goes over the end of the line.
        """
        a, b = (int(self.solution.passages.ends[self.place(name)]) for name in (start, end))
        M, xp = self.solution.M, namespace(self.solution.M)
        to_a, to_b = M[..., a, :, :], M[..., b, :, :]
        if b < a:
            if not self.periodic:
                raise InputError("end", end, f"an element behind {start}")
            to_b = product(to_b, M[..., -1, :, :])
        return product(to_b, xp.linalg.inv(to_a))

    def second_order(self, start: str | int = "start", end: str | int = "end") -> Array:
        """Second-order map T ``(..., 6, 6, 6)`` about the orbit, from the end of one element to that of another.

        z_i = R_ij z_j + T_ijk z_j z_k, as MAD-X's sector maps have it: T_566 of a chicane is ``[4, 5, 5]`` (tau late,
        pt). In a ring the way to an element that comes before goes over the end of the line.
        """
        a, b = (int(self.solution.passages.ends[self.place(name)]) for name in (start, end))
        if b >= a:
            return second_order(self.solution, a, b)
        if not self.periodic:
            raise InputError("end", end, f"an element behind {start}")
        last = len(self.solution.passages.steps)
        out, into = second_order(self.solution, a, last), second_order(self.solution, 0, b)
        return joined(self.matrix(start, "end"), out, self.matrix("start", end), into)

    def as_mine(self, value: Any) -> Array:
        """A number or an array as one of the table's library and data type."""
        z = self.solution.z
        dtype = "float32" if z.dtype == namespace(z).float32 else "float64"
        return backends.of(z).asarray(value, dtype=dtype)

    # -- for people --------------------------------------------------------------------------------------------------

    def to_dataframe(self) -> Any:
        """A pandas data frame, a row a place."""
        (pandas,) = need("pandas", "pandas", purpose="a data frame")
        return pandas.DataFrame({"name": [n or "start" for n in self.names], **self.on_host()})

    def on_host(self) -> dict[str, Any]:
        """Every column as a NumPy array."""
        host = backends.of(self.solution.z).to_numpy
        return {name: host(column) for name, column in self.columns.items()}

    def plot(self, path: Any = None) -> Any:
        """Draw the lattice, beta functions, dispersion, orbit and phases; write it to a file where one is named."""
        from backbeam.lattice_functions.picture import draw_optics
        from backbeam.plotting import save

        figure = draw_optics(self)
        if path is not None:
            save(figure, path)
        return figure

    def __repr__(self) -> str:
        """The table as text: of a batch its size alone."""
        from backbeam.lattice_functions.text import table_text

        return table_text(self)
