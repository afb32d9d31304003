"""Where, when and why particles were lost, counted since the beam was made.

Under way a loss is one number a particle, that of the place in the plan (`backbeam.plan.sites`). What a beam knows of
all its losses is a `Ledger`: three numbers a particle once any is lost, and for each element how often the beam has
passed it. Neither grows with the number of passages, so that five turns one by one, a line of five turns and
``turns=5`` end in the same ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from backbeam import backends, registry
from backbeam.arrays import Array, namespace

if TYPE_CHECKING:
    from backbeam.beam import Beam

REASONS = ("aperture", "turned round")
"""Why a particle is lost: it does not pass an opening, or has no momentum left along s."""


class Sites(NamedTuple):
    """Places at which a line loses particles, by their number in the plan: arrays of S."""

    names: tuple[str, ...]
    """The line's elements."""
    element: np.ndarray
    """Which of them."""
    reason: np.ndarray
    """Which of `REASONS`."""
    nth: np.ndarray
    """Which of the element's passages in this line, from 1."""
    s: Array
    """Way from the start of the line [m], ``(S,)`` or with the batch of the lengths in front."""


class Turned(NamedTuple):
    """Of a line that was passed again and again: in which turn, and how long one is."""

    turn: Array
    """In which each particle was lost, from 0 ``(..., n)``."""
    passages: np.ndarray
    """How often each element is passed in a turn."""
    length: Any
    """Of one [m]."""


@dataclass(frozen=True, eq=False)
class Ledger:
    """What is known of every particle that was lost, and how often each element was passed."""

    names: tuple[str, ...]
    """Elements that the beam has met, K of them."""
    passed: Array
    """How often each was passed ``(..., K)``."""
    site: Array | None = None
    """``(..., n)``: twice the number of the element, and the number of the reason; -1: not lost. None: nobody is."""
    passage: Array | None = None
    """``(..., n)``, of that element, from 1."""
    s: Array | None = None
    """``(..., n)`` [m], counted on from turn to turn."""

    def map(self, function: Any) -> Ledger:
        """The same with its arrays changed."""
        changed = (a if a is None else function(a) for a in (self.passed, self.site, self.passage, self.s))
        return Ledger(self.names, *changed)

    def joined(self, names: tuple[str, ...]) -> Ledger:
        """The same with a place for more elements."""
        if self.names == names:
            return self
        mine = set(self.names)
        new = tuple(name for name in names if name not in mine)
        xp = namespace(self.passed)
        fresh = xp.zeros((*self.passed.shape[:-1], len(new)), dtype=self.passed.dtype)
        passed = xp.concat([self.passed, fresh], axis=-1)
        return Ledger((*self.names, *new), passed, self.site, self.passage, self.s)

    def forgetful(self) -> Ledger:
        """What it knows of elements, without what it knows of particles."""
        return Ledger(self.names, self.passed)

    def filled(self, lost_at: Array) -> Ledger:
        """The same with a place for every particle."""
        if self.site is not None:
            return self
        xp = namespace(lost_at)
        nothing = xp.zeros_like(lost_at)
        return Ledger(self.names, self.passed, nothing - 1, nothing, xp.astype(nothing, xp.asarray(0.0).dtype))


def entered(
    before: Ledger | None,
    names: tuple[str, ...],
    passages: np.ndarray,
    lost_at: Array | None,
    sites: Any,
    s: Any,
    turns: Turned | None = None,
) -> Ledger:
    """The ledger of a beam behind a line.

    Parameters
    ----------
    before:
        That in front of it.
    names, passages:
        Elements of the line, and how often each was passed.
    lost_at:
        ``(..., n)``, as a run leaves it: the number of a site from 0 on. None: nobody can have been lost.
    sites:
        A function without arguments that gives the `Sites`: it is called only if somebody was lost.
    s:
        Where the line begins [m].
    turns:
        Of a line that was passed again and again.
    """
    ledger = Ledger(names, np.zeros(len(names), dtype=np.int32)) if before is None else before
    if lost_at is None or _nobody(lost_at):
        return _passed(ledger.joined(names), names, passages)
    found: Sites = sites()
    mine = _home([lost_at, s, found.s, *(() if turns is None else (turns.turn, turns.length))])
    lost_at, begin, ledger = mine(lost_at), mine(s), ledger.map(mine).joined(names)
    xp, here = namespace(lost_at), lost_at >= 0
    ledger = ledger.filled(lost_at)
    at = xp.where(here, lost_at, xp.zeros_like(lost_at))
    place = np.asarray([ledger.names.index(name) for name in names], dtype=np.int32)
    element = _at(mine(place[found.element]), at)
    site = 2 * element + _at(mine(found.reason), at)
    passage = _at(mine(found.nth), at) + _at(ledger.passed, element)
    way = (begin[..., None] if begin.ndim else begin) + _at(mine(found.s), at)
    if turns is not None:
        earlier, length = xp.where(here, mine(turns.turn), xp.zeros_like(at)), mine(turns.length)
        passage = passage + earlier * _at(mine(turns.passages[found.element]), at)
        way = way + earlier * (length[..., None] if length.ndim else length)
    now = Ledger(
        ledger.names,
        ledger.passed,
        xp.where(here, site, ledger.site),
        xp.where(here, passage, ledger.passage),
        xp.where(here, way, xp.astype(ledger.s, way.dtype)),
    )
    return _passed(now, names, passages)


def _nobody(lost_at: Array) -> bool:
    """Whether it can be seen that nobody was lost."""
    xp = namespace(lost_at)
    return not backends.of(lost_at).traced([lost_at]) and not bool(xp.any(lost_at >= 0))


def _home(values: list[Any]) -> Any:
    """What brings numbers and arrays together: to NumPy, or where one of them is traced to its library."""
    arrays = [value for value in values if hasattr(value, "shape")]
    for array in arrays:
        backend = backends.of(array)
        if backend.traced([array]):
            return lambda value: backend.constant(backend.namespace.asarray(value))
    return lambda value: host(value) if hasattr(value, "shape") else np.asarray(value)


def _passed(ledger: Ledger, names: tuple[str, ...], passages: np.ndarray) -> Ledger:
    """The ledger with the passages of a line."""
    if ledger.names != names:
        count = dict(zip(names, passages, strict=True))
        passages = np.asarray([count.get(name, 0) for name in ledger.names], dtype=np.int32)
    more = namespace(ledger.passed).asarray(passages)
    return replace(ledger, passed=ledger.passed + more)


def _at(table: Array, index: Array) -> Array:
    """Entries ``(..., n)`` of a table ``(..., S)`` at places ``(..., n)``."""
    xp = namespace(table, index)
    batch = np.broadcast_shapes(table.shape[:-1], index.shape[:-1])
    table = xp.broadcast_to(table, (*batch, table.shape[-1]))
    index = xp.broadcast_to(index, (*batch, index.shape[-1]))
    return xp.take_along_axis(table, xp.astype(index, xp.int64), axis=-1)


def host(array: Array) -> np.ndarray:
    """The array as NumPy's."""
    return backends.of(array).to_numpy(array)


# -- for a person ------------------------------------------------------------------------------------------------------


class Loss(NamedTuple):
    """One particle's."""

    particle: Any
    """Its index; of a batch, (beam, ..., index)."""
    element: str
    """Where; empty if that is not known, as of a beam from another code's file."""
    s: float
    """[m], counted on from turn to turn."""
    passage: int
    """Of the beam through that element, from 1."""
    reason: str
    """One of `REASONS`."""


class LossesAt(NamedTuple):
    """Particles lost at one place, in one passage."""

    element: str
    s: float
    passage: int
    reason: str
    particles: int


@dataclass(frozen=True, eq=False)
class Losses:
    """Losses in the order in which they happened: a sequence of `Loss`, and its columns as arrays of k."""

    particle: np.ndarray
    """Index of each particle ``(k,)``; of a batch of beams ``(k, axes + 1)``."""
    element: np.ndarray
    """Name of the element."""
    s: np.ndarray
    """[m]"""
    passage: np.ndarray
    """Of the element, from 1."""
    reason: np.ndarray
    """`REASONS`."""

    def __len__(self) -> int:
        return len(self.s)

    @overload
    def __getitem__(self, k: int) -> Loss: ...

    @overload
    def __getitem__(self, k: slice) -> Losses: ...

    def __getitem__(self, k: int | slice) -> Loss | Losses:
        if isinstance(k, slice):
            return Losses(*(column[k] for column in (self.particle, self.element, self.s, self.passage, self.reason)))
        which = self.particle[k]
        particle = int(which) if which.ndim == 0 else tuple(int(j) for j in which)
        return Loss(particle, str(self.element[k]), float(self.s[k]), int(self.passage[k]), str(self.reason[k]))

    def __iter__(self) -> Iterator[Loss]:
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        return f"Losses({len(self)}{': ' if len(self) else ''}{', '.join(map(_said, self.places()[:3]))})"

    def places(self) -> list[LossesAt]:
        """Particles counted by place and passage, in order."""
        found: dict[tuple[str, float, int, str], int] = {}
        for element, s, passage, reason in zip(self.element, self.s, self.passage, self.reason, strict=True):
            key = (str(element), float(s), int(passage), str(reason))
            key = (key[0], 0.0, *key[2:]) if key[1] != key[1] else key  # NaN is no key
            found[key] = found.get(key, 0) + 1
        return [LossesAt(*key, count) for key, count in found.items()]


def _said(place: LossesAt) -> str:
    return f"{place.particles} at {place.element} ({place.reason}), s = {place.s:.6g} m, passage {place.passage}"


def losses_of(beam: Beam) -> Losses:
    """Losses of a beam; see `Beam.losses`."""
    lost_at = host(beam.lost_at)
    gone = np.argwhere(lost_at >= 0)
    where = tuple(gone.T)
    ledger = None if beam.ledger is None else beam.ledger.map(host)
    if ledger is None or ledger.site is None:
        site = np.full(len(gone), -1)
        s, passage = np.full(len(gone), np.nan), np.zeros(len(gone), dtype=np.int32)
    else:
        columns: tuple[Any, ...] = (ledger.site, ledger.passage, ledger.s)
        site, passage, s = (np.broadcast_to(column, lost_at.shape)[where] for column in columns)
        s = np.where(site < 0, np.nan, s)
    names = np.asarray([*(ledger.names if ledger is not None else ()), ""], dtype=object)
    reasons = np.asarray([*REASONS, ""], dtype=object)
    element = names[np.where(site < 0, -1, site // 2)]
    reason = reasons[np.where(site < 0, -1, site % 2)]
    order = np.argsort(s, kind="stable")
    particle = gone[:, 0] if gone.shape[1] == 1 else gone
    return Losses(*(column[order] for column in (particle, element, s, passage, reason)))


def arrays_of(ledger: Ledger | None) -> dict[str, np.ndarray]:
    """A ledger as arrays by name, for a file."""
    if ledger is None:
        return {}
    found = {"names": np.asarray(ledger.names, dtype=str), "passed": host(ledger.passed)}
    if ledger.site is not None:
        found |= {"site": host(ledger.site), "passage": host(ledger.passage), "s": host(ledger.s)}
    return {f"loss_{name}": array for name, array in found.items()}


def ledger_of(arrays: Mapping[str, np.ndarray]) -> Ledger | None:
    """The ledger that `arrays_of` wrote; None if there is none."""
    if "loss_names" not in arrays:
        return None
    rest = (arrays.get(f"loss_{name}") for name in ("passed", "site", "passage", "s"))
    return Ledger(tuple(str(name) for name in arrays["loss_names"]), *rest)


registry.enter(
    registry.Tree(
        Ledger, lambda r: ((r.passed, r.site, r.passage, r.s), r.names), lambda names, leaves: Ledger(names, *leaves)
    )
)
