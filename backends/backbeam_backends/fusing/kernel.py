"""A kernel: what a function does to inputs of certain shapes, as machine code, and how to call it.

A result that is an input as it was is handed on. Linear algebra of a uniform input is done on the host, before the pass
over the particles. A kernel does one place of a batch; it is called for each.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from ctypes import addressof, c_char
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from backbeam_backends.fusing import machine
from backbeam_backends.fusing.emission import NAME, Layout, Row, emit, needed
from backbeam_backends.fusing.graph import LANE, Graph, Node, Untraceable
from backbeam_backends.fusing.namespace import Namespace
from backbeam_backends.fusing.nests import builder, flatten
from backbeam_backends.fusing.symbols import PARTICLES, Dim, Shape, Symbol, cells, has_particles
from backbeam_backends.fusing.trigonometry import LARGEST
from backbeam_backends.places import empty


class Kernel:
    """Machine code of a function for inputs of certain shapes, and how to call it."""

    def __init__(self, trace: Callable[..., Any], of: Any) -> None:
        fixed, form, shapes, types, batch = of
        self.batch, self.rank = batch, len(batch)
        self.derived: list[tuple[str, int]] = []
        self.count = len(shapes)
        graph = Graph()
        space = Namespace(graph, self._host)
        given = [
            self._input(graph, space, k, shape, np.dtype(char))
            for k, (shape, char) in enumerate(zip(shapes, types, strict=True))
        ]
        self.inputs = list(given)
        found: list[Any] = []
        made: list[Any] = []
        flatten(trace(fixed, form, given), found, made)
        self.build = builder(tuple(made))
        self.outputs = [self._output(space.symbol(leaf)) for leaf in found]
        self._compile(graph)

    def _input(self, graph: Graph, space: Namespace, leaf: int, shape: Shape, dtype: np.dtype) -> Symbol:
        if sum(m is PARTICLES for m in shape) > 1 or (has_particles(shape) and shape[-1] is not PARTICLES):
            raise Untraceable(f"an input of shape {shape}")
        nodes = np.empty(cells(shape), dtype=object)
        for place, at in enumerate(np.ndindex(nodes.shape)):
            nodes[at] = graph.input(leaf, place, dtype, bool(shape) and shape[-1] is PARTICLES)
        return Symbol(space, nodes, shape, dtype)

    def _host(self, name: str, symbol: Symbol) -> Symbol:
        """What linear algebra on the host makes of an input: one more input."""
        leaf = self._same(symbol)
        if leaf is None or leaf >= self.count or has_particles(symbol.shape):
            raise Untraceable(f"{name} of what is not an input")
        self.derived.append((name, leaf))
        made = self._input(symbol.graph, symbol.space, len(self.inputs), symbol.shape, symbol.dtype)
        self.inputs.append(made)
        return made

    def _same(self, symbol: Symbol) -> int | None:
        """Which input a symbol is."""
        for k, given in enumerate(self.inputs):
            if given.dtype == symbol.dtype and _alike(given.shape, symbol.shape):
                if all(a is b for a, b in zip(given.nodes.flat, symbol.nodes.flat, strict=True)):
                    return k
        return None

    def _output(self, symbol: Symbol) -> tuple[Any, ...]:
        """(how, ...): an input as it is, particles, or numbers."""
        same = self._same(symbol)
        if same is not None and same < self.count:
            return ("same", same)
        shape = symbol.shape
        if tuple(m for m in shape if isinstance(m, Dim) and m is not PARTICLES) and len(shape) < self.rank:
            raise Untraceable("part of a batch")
        lead = tuple(m.size if isinstance(m, Dim) else m for m in shape[: self.rank])
        if self.rank and lead != self.batch:
            raise Untraceable("a result that is not in the batch")
        core = shape[self.rank :]
        if any(isinstance(m, Dim) and m is not PARTICLES for m in core) or has_particles(core[:-1]):
            raise Untraceable(f"a result of shape {shape}")
        lane = has_particles(core)
        return ("lane" if lane else "numbers", symbol, core[:-1] if lane else core)

    def _compile(self, graph: Graph) -> None:
        """Lay out what is given, and make the code."""
        lanes = [(o[1], o[2]) for o in self.outputs if o[0] == "lane"]
        numbers = [node for o in self.outputs if o[0] == "numbers" for node in o[1].nodes.flat]
        wanted = [node for symbol, _ in lanes for node in symbol.nodes.flat]
        numbers += _guard(graph, needed(graph, [*wanted, *numbers]))
        live = [node for node in needed(graph, [*wanted, *numbers]) if node.op == "input"]
        places = 0
        self.lane_leaves = sorted({node.value[0] for node in live if node.kind == LANE})
        addresses: dict[int, int] = {}
        for leaf in self.lane_leaves:
            addresses[leaf] = places
            places += len(self.inputs[leaf].shape) - self.rank_of(leaf)
        rows = {node.index: self._row(node, addresses) for node in live if node.kind == LANE}
        outputs: list[tuple[Node, Row]] = []
        for symbol, core in lanes:
            strides = [places + 1 + k for k in range(len(core))]
            nodes = symbol.nodes.reshape(core)
            for at in np.ndindex(core):
                outputs.append((nodes[at], Row(places, tuple(zip(at, strides, strict=True)))))
            places += 1 + len(core)
        self.words = places
        scalars: dict[int, int] = {}
        self.scalar_leaves = sorted({node.value[0] for node in live if node.kind != LANE})
        for leaf in self.scalar_leaves:
            if self.inputs[leaf].dtype.kind != "f":
                raise Untraceable(f"a uniform input of type {self.inputs[leaf].dtype}")
            for node in self.inputs[leaf].nodes.flat:
                scalars[node.index] = places + node.value[1]
            places += self.inputs[leaf].nodes.size
        self.pack = struct.Struct(f"{self.words}q{places - self.words}d").pack
        self.results = len(numbers)
        self.guarded = len(numbers) > sum(o[1].nodes.size for o in self.outputs if o[0] == "numbers")
        layout = Layout(rows, scalars, tuple(outputs), tuple(numbers))
        self.assembly = emit(graph, layout, machine.register_bits())
        self.code = machine.load(self.assembly, NAME) if outputs or numbers else None

    def rank_of(self, leaf: int) -> int:
        """Number of the batch's axes that an input has."""
        shape = self.inputs[leaf].shape
        return self.rank if len(shape) > self.rank or not has_particles(shape) else 0

    def _row(self, node: Node, addresses: dict[int, int]) -> Row:
        leaf, place = node.value
        shape = cells(self.inputs[leaf].shape)
        skip = self.rank_of(leaf)
        at = np.unravel_index(place, shape)[skip:-1]
        start = addresses[leaf]
        return Row(start, tuple((int(i), start + 1 + k) for k, i in enumerate(at)))


class Call:
    """A kernel for inputs of certain sizes."""

    def __init__(self, kernel: Kernel, n: int, batch: tuple[int, ...], leaves: list[Any]) -> None:
        self.kernel, self.n, self.batch = kernel, n, batch
        self.places = prod(batch)
        self.grid = np.indices(batch).reshape(len(batch), self.places)
        """Where each place is along each axis of the batch."""
        self.made: list[tuple[tuple[int, ...], np.dtype]] = []
        for how, *rest in kernel.outputs:
            if how == "lane":
                symbol, core = rest
                shape = (*batch, *core, n)
                self.made.append((shape, symbol.dtype))

    def run(self, leaves: list[Any]) -> tuple[Any] | None:
        """Result of the kernel, in a tuple; None if an angle is too large for it."""
        kernel = self.kernel
        if kernel.derived:
            leaves = [*leaves, *(getattr(np.linalg, name)(leaves[k]) for name, k in kernel.derived)]
        made = [empty(shape, dtype) for shape, dtype in self.made]
        arrays = [_rows(leaves[k]) for k in kernel.lane_leaves] + made
        numbers = np.empty((self.places, kernel.results))
        if kernel.code is not None:
            out = address(numbers) if kernel.results else 0
            if self.places == 1:
                kernel.code(self.n, kernel.pack(*self._words(arrays), *self._numbers(leaves)), out)
            else:
                table = self._table(leaves, arrays)
                first, step, width = address(table), table.strides[0], numbers.strides[0]
                for place in range(self.places):
                    kernel.code(self.n, first + place * step, out + place * width)
            if kernel.guarded and numbers[:, -1].any():
                return None
        return (self._results(leaves, made, numbers),)

    def _words(self, arrays: list[np.ndarray]) -> list[int]:
        """Where arrays begin, and their strides behind the batch."""
        words: list[int] = []
        for array in arrays:
            words.append(address(array))
            words += array.strides[len(self.batch) : -1]
        return words

    def _numbers(self, leaves: list[Any]) -> list[float]:
        """Uniform numbers."""
        numbers: list[float] = []
        for k in self.kernel.scalar_leaves:
            if self.kernel.inputs[k].shape:
                numbers += leaves[k].ravel().tolist()
            else:
                numbers.append(leaves[k])
        return numbers

    def _table(self, leaves: list[Any], arrays: list[np.ndarray]) -> np.ndarray:
        """Words and numbers for each place of the batch, a row each."""
        rank, words = len(self.batch), self._words(arrays)
        scalars = [(leaves[k], self.kernel.inputs[k]) for k in self.kernel.scalar_leaves]
        table = np.empty((self.places, len(words) + sum(given.nodes.size for _, given in scalars)), np.int64)
        table[:, : len(words)] = words
        at = 0
        for array in arrays:
            table[:, at] += np.dot(array.strides[:rank], self.grid)
            at += array.ndim - rank
        for leaf, given in scalars:
            own = [axis for axis, m in enumerate(given.shape[:rank]) if isinstance(m, Dim)]
            rows = np.moveaxis(np.asarray(leaf), own, range(len(own)))
            rows = rows.reshape(*rows.shape[: len(own)], given.nodes.size)
            table.view(np.float64)[:, at : at + given.nodes.size] = rows[tuple(self.grid[axis] for axis in own)]
            at += given.nodes.size
        return table

    def _results(self, leaves: list[Any], made: list[np.ndarray], numbers: np.ndarray) -> Any:
        """The nest of results."""
        lanes, taken = iter(made), 0
        out: list[Any] = []
        for how, *rest in self.kernel.outputs:
            if how == "same":
                out.append(leaves[rest[0]])
            elif how == "lane":
                out.append(next(lanes))
            else:
                symbol, core = rest
                found = numbers[:, taken : taken + prod(core)]
                taken += prod(core)
                if self.batch or core:
                    out.append(found.reshape((*self.batch, *core)).astype(symbol.dtype, copy=self.places > 1))
                else:
                    out.append(symbol.dtype.type(found[0, 0]))
        return self.kernel.build(out)


def _alike(a: Shape, b: Shape) -> bool:
    """Whether two shapes are one: an axis of a batch or over particles is not one of length 1."""
    return len(a) == len(b) and all(m is n or (type(m) is type(n) is int and m == n) for m, n in zip(a, b, strict=True))


def _guard(graph: Graph, nodes: list[Node]) -> list[Node]:
    """The number of particles with an angle that is too large for the sines of a kernel; nothing if it has none."""
    angles = {a.index: a for node in nodes if node.op in ("sin", "cos") and node.kind == LANE for a in node.args}
    if not angles:
        return []
    large = [graph.call("gt", graph.call("abs", a), graph.constant(LARGEST, a.dtype)) for a in angles.values()]
    any_large = reduce(lambda a, b: graph.call("or", a, b), large)
    one, none = (graph.constant(value, np.dtype(np.float64)) for value in (1.0, 0.0))
    return [graph.sum(graph.where(any_large, one, none))]


def _rows(leaf: np.ndarray) -> np.ndarray:
    """The array, with the particles of each row next to one another."""
    return leaf if leaf.strides[-1] == leaf.itemsize else np.ascontiguousarray(leaf)


def address(array: np.ndarray) -> int:
    """Where an array begins."""
    try:
        # The quickest way, which is not open to all. An array is a `Buffer` to type checkers from Python 3.12 on.
        return addressof(c_char.from_buffer(array))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return array.__array_interface__["data"][0]
