"""From a graph to LLVM: one loop over the particles, a vector of them at a time.

The loop is written with vectors, not left to a vectoriser: it has no branches, and choices are selects. The last
vector ends with the last particle and overlaps the one before it; what overlaps is stored twice, and left out of sums.
Sums add up in the lanes of a vector over a block of particles; those of the blocks are added with the rounding error
carried along (Kahan), and the lanes last, in pairs: the same bits each time. Arithmetic may contract a product and a
sum into one rounding, and may do nothing else.

The kernel's signature is ``void (int64 n, const int64 *given, double *results)``. ``given`` holds addresses and
strides of arrays in bytes, then the uniform inputs as float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backbeam_backends.fusing.graph import BOOL, LANE, OVER_PARTICLES, SUMMED, UNIFORM, Graph, Node, Untraceable
from backbeam_backends.fusing.logarithm import atan2, log1p
from backbeam_backends.fusing.trigonometry import sine_and_cosine
from backbeam_backends.fusing.vectors import Vectors, hexadecimal

BLOCK = 64
"""Vectors of a block of a sum."""

NAME = "kernel"

_TYPES = {"d": "double", "f": "float", "i": "i32", "l": "i64", "q": "i64", "?": "i1"}
_FLOAT = {"add": "fadd contract", "sub": "fsub contract", "mul": "fmul contract", "div": "fdiv contract"}
_WHOLE = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"}
_FCMP = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
_ICMP = {"lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge", "eq": "eq", "ne": "ne"}
_INTRINSICS = {"abs": "fabs", "sqrt": "sqrt", "floor": "floor", "ceil": "ceil"}
_LIBRARY = ("exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
            "asinh", "atan2", "hypot")  # fmt: skip
_IN_VECTORS: dict[str, Callable[..., str]] = {
    "log1p": log1p, "atan2": atan2, "atan": lambda x, v: atan2(x, v.number(1.0), v)
}  # fmt: skip
"""Those that need no library."""
_START = {"sum": 0.0, "largest": -np.inf, "smallest": np.inf}


@dataclass(frozen=True)
class Row:
    """A row of particles in an array: ``address + sum of index times stride``, all places in ``given``."""

    address: int
    strides: tuple[tuple[int, int], ...]
    """(index, place of the stride)."""


@dataclass(frozen=True)
class Layout:
    """Where a kernel finds its inputs and leaves its outputs."""

    rows: dict[int, Row]
    """Of each lane input, by the node's index."""
    scalars: dict[int, int]
    """Place in ``given`` of each uniform input."""
    outputs: tuple[tuple[Node, Row], ...]
    """Rows to be written."""
    results: tuple[Node, ...]
    """Numbers to be written, as float64."""


def emit(graph: Graph, layout: Layout, bits: int) -> str:
    """LLVM assembly of a kernel, for vector registers of so many bits."""
    return _Writer(graph, layout, bits).kernel()


def needed(graph: Graph, wanted: Sequence[Node]) -> list[Node]:
    """The nodes that others are made of, in order."""
    live = {node.index for node in wanted}
    for node in reversed(graph.nodes):
        if node.index in live:
            live.update(a.index for a in node.args)
    return [graph.nodes[k] for k in sorted(live)]


class _Writer:
    def __init__(self, graph: Graph, layout: Layout, bits: int) -> None:
        self.layout = layout
        self.nodes = needed(graph, [*(node for node, _ in layout.outputs), *layout.results])
        if any(node.op == "element" for node in self.nodes):
            raise Untraceable("one particle is looked at")
        lanes = [node for node in self.nodes if node.kind == LANE and node.dtype.kind == "f"]
        self.width = bits // (32 if lanes and all(node.dtype == np.float32 for node in lanes) else 64)
        self.vectors = Vectors(self.width, self.let, self.call)
        self.sums = [node for node in self.nodes if node.op in OVER_PARTICLES]
        self.lines: list[str] = []
        self.declared: dict[str, str] = {}
        self.scalar: dict[int, str] = {}
        self.vector: dict[int, str] = {}
        self.turned: dict[str, tuple[str, str]] = {}
        self.fresh = 0

    # -- text ----------------------------------------------------------------------------------------------------

    def let(self, text: str) -> str:
        """A new value."""
        self.fresh += 1
        name = f"%t{self.fresh}"
        self.lines.append(f"  {name} = {text}")
        return name

    def say(self, text: str) -> None:
        """A line without a value."""
        self.lines.append(f"  {text}")

    def label(self, name: str) -> None:
        """Start of a basic block."""
        self.lines.append(f"{name}:")

    def type(self, dtype: np.dtype, vector: bool) -> str:
        """LLVM's name of a type."""
        if dtype.char not in _TYPES:
            raise Untraceable(f"numbers of type {dtype}")
        return f"<{self.width} x {_TYPES[dtype.char]}>" if vector else _TYPES[dtype.char]

    def literal(self, value: Any, dtype: np.dtype, vector: bool = False) -> str:
        """A constant."""
        if dtype.kind == "f":
            one = hexadecimal(float(value))
        else:
            one = str(int(value))
        if not vector:
            return one
        return "<" + ", ".join([f"{self.type(dtype, False)} {one}"] * self.width) + ">"

    def call(self, name: str, kind: str, args: Sequence[str]) -> str:
        """Call a function of arguments of its own type."""
        self.declared[name] = f"declare {kind} @{name}({', '.join([kind] * len(args))})"
        return self.let(f"call {kind} @{name}({', '.join(f'{kind} {a}' for a in args)})")

    # -- memory --------------------------------------------------------------------------------------------------

    def given(self, place: int) -> str:
        """A word of ``given``."""
        address = self.let(f"getelementptr i64, ptr %given, i64 {place}")
        return self.let(f"load i64, ptr {address}")

    def address(self, row: Row) -> str:
        """Address of the first particle of a row."""
        address = self.given(row.address)
        for index, place in row.strides:
            if index:
                step = self.let(f"mul i64 {self.given(place)}, {index}")
                address = self.let(f"add i64 {address}, {step}")
        return address

    def pointer(self, base: str, dtype: np.dtype, first: str) -> str:
        """Pointer to a vector of particles."""
        offset = self.let(f"mul i64 {first}, {dtype.itemsize}")
        return self.let(f"inttoptr i64 {self.let(f'add i64 {base}, {offset}')} to ptr")

    def load(self, base: str, dtype: np.dtype, first: str) -> str:
        """Vector of particles."""
        pointer = self.pointer(base, dtype, first)
        if dtype == BOOL:
            stored = self.let(f"load <{self.width} x i8>, ptr {pointer}, align 1")
            return self.let(f"trunc <{self.width} x i8> {stored} to <{self.width} x i1>")
        return self.let(f"load {self.type(dtype, True)}, ptr {pointer}, align {dtype.itemsize}")

    def store(self, value: str, base: str, dtype: np.dtype, first: str) -> None:
        """Write a vector of particles."""
        pointer = self.pointer(base, dtype, first)
        if dtype == BOOL:
            value = self.let(f"zext <{self.width} x i1> {value} to <{self.width} x i8>")
            self.say(f"store <{self.width} x i8> {value}, ptr {pointer}, align 1")
        else:
            self.say(f"store {self.type(dtype, True)} {value}, ptr {pointer}, align {dtype.itemsize}")

    # -- nodes ---------------------------------------------------------------------------------------------------

    def splat(self, value: str, dtype: np.dtype) -> str:
        """The same number in all lanes."""
        kind, one = self.type(dtype, True), self.type(dtype, False)
        first = self.let(f"insertelement {kind} poison, {one} {value}, i64 0")
        return self.let(f"shufflevector {kind} {first}, {kind} poison, <{self.width} x i32> zeroinitializer")

    def operand(self, node: Node, vector: bool) -> str:
        """What holds a node."""
        if node.op == "const":
            return self.literal(node.value, node.dtype, vector)
        return self.vector[node.index] if vector else self.scalar[node.index]

    def compute(self, node: Node, vector: bool) -> str:
        """One operation."""
        args = [self.operand(a, vector) for a in node.args]
        kind = self.type(node.dtype, vector)
        if node.op == "cast":
            return self.cast(args[0], node.args[0].dtype, node.dtype, vector)
        if node.op == "where":
            choice = self.type(BOOL, vector)
            return self.let(f"select {choice} {args[0]}, {kind} {args[1]}, {kind} {args[2]}")
        of = node.args[0].dtype
        if node.op in _FCMP:
            how = f"fcmp {_FCMP[node.op]}" if of.kind == "f" else f"icmp {self.whole_order(node.op, of)}"
            return self.let(f"{how} {self.type(of, vector)} {args[0]}, {args[1]}")
        if of.kind == "f":
            return self.float(node, args, kind, vector)
        if node.op in _WHOLE:
            return self.let(f"{_WHOLE[node.op]} {kind} {args[0]}, {args[1]}")
        if node.op == "not":
            return self.let(f"xor {kind} {args[0]}, {self.literal(1, BOOL, vector)}")
        if node.op in ("min", "max"):
            smaller = self.let(f"icmp {'slt' if node.op == 'min' else 'sgt'} {kind} {args[0]}, {args[1]}")
            return self.let(f"select {self.type(BOOL, vector)} {smaller}, {kind} {args[0]}, {kind} {args[1]}")
        minus = self.let(f"sub {kind} {self.literal(0, of, vector)}, {args[0]}")
        if node.op == "neg":
            return minus
        negative = self.let(f"icmp slt {kind} {args[0]}, {self.literal(0, of, vector)}")
        return self.let(f"select {self.type(BOOL, vector)} {negative}, {kind} {minus}, {kind} {args[0]}")

    @staticmethod
    def whole_order(op: str, dtype: np.dtype) -> str:
        """Comparison of whole numbers; true is 1."""
        return _ICMP[op].replace("s", "u") if dtype == BOOL and op not in ("eq", "ne") else _ICMP[op]

    def float(self, node: Node, args: list[str], kind: str, vector: bool) -> str:
        """An operation of floats."""
        if node.op in _FLOAT:
            return self.let(f"{_FLOAT[node.op]} {kind} {args[0]}, {args[1]}")
        if node.op == "neg":
            return self.let(f"fneg {kind} {args[0]}")
        if node.op in _INTRINSICS:
            bits = 8 * node.dtype.itemsize
            return self.call(f"llvm.{_INTRINSICS[node.op]}.{f'v{self.width}' if vector else ''}f{bits}", kind, args)
        if node.op in ("min", "max"):
            # As NumPy: NaN if either is.
            order, choice = ("olt" if node.op == "min" else "ogt"), self.type(BOOL, vector)
            first = self.let(f"fcmp {order} {kind} {args[0]}, {args[1]}")
            nan = self.let(f"fcmp uno {kind} {args[0]}, {args[0]}")
            either = self.let(f"or {choice} {first}, {nan}")
            return self.let(f"select {choice} {either}, {kind} {args[0]}, {kind} {args[1]}")
        if node.op not in _LIBRARY:
            raise Untraceable(f"{node.op} of {node.dtype}")
        name, one = node.op + ("f" if node.dtype == np.float32 else ""), self.type(node.dtype, False)
        if not vector:
            return self.call(name, one, args)
        if node.op in ("sin", "cos"):
            return self.turn(args[0], node.dtype)[node.op == "cos"]
        if node.op in _IN_VECTORS:
            wide = np.dtype(np.float64)
            found = _IN_VECTORS[node.op](*(self.cast(a, node.dtype, wide, True) for a in args), self.vectors)
            return self.cast(found, wide, node.dtype, True)
        whole = "poison"
        for k in range(self.width):
            single = [self.let(f"extractelement {kind} {a}, i64 {k}") for a in args]
            whole = self.let(f"insertelement {kind} {whole}, {one} {self.call(name, one, single)}, i64 {k}")
        return whole

    def turn(self, angle: str, dtype: np.dtype) -> tuple[str, str]:
        """Sine and cosine, in float64."""
        if angle not in self.turned:
            wide = np.dtype(np.float64)
            both = sine_and_cosine(self.cast(angle, dtype, wide, True), self.vectors)
            sine, cosine = (self.cast(value, wide, dtype, True) for value in both)
            self.turned[angle] = sine, cosine
        return self.turned[angle]

    def cast(self, value: str, old: np.dtype, new: np.dtype, vector: bool) -> str:
        """Another type."""
        if new == old:
            return value
        if new == BOOL:
            raise Untraceable("a cast to bool")
        if old.kind == new.kind == "f":
            how = "fpext" if new.itemsize > old.itemsize else "fptrunc"
        elif new.kind == "f":
            how = "uitofp" if old == BOOL else "sitofp"
        elif old.kind == "f":
            how = "fptosi"
        elif old == BOOL:
            how = "zext"
        elif old.itemsize == new.itemsize:
            return value
        else:
            how = "sext" if new.itemsize > old.itemsize else "trunc"
        return self.let(f"{how} {self.type(old, vector)} {value} to {self.type(new, vector)}")

    # -- the kernel ----------------------------------------------------------------------------------------------

    def kernel(self) -> str:
        """All of it."""
        self.label("entry")
        self.prologue()
        bases = {k: self.address(row) for k, row in self.layout.rows.items()}
        targets = [self.address(row) for _, row in self.layout.outputs]
        if bases or targets:
            self.loop(bases, targets)
        self.epilogue()
        self.say("ret void")
        head = f"define void @{NAME}(i64 %n, ptr noalias readonly %given, ptr noalias %results) {{"
        return "\n".join([*self.declared.values(), head, *self.lines, "}", ""])

    def prologue(self) -> None:
        """Uniform numbers, once; in vectors where lanes need them."""
        for node in self.nodes:
            if node.kind != UNIFORM or node.op == "const":
                continue
            kind = self.type(node.dtype, False)
            if node.op == "input":
                bits = self.given(self.layout.scalars[node.index])
                value = self.let(f"bitcast i64 {bits} to double")
                self.scalar[node.index] = self.cast(value, np.dtype(np.float64), node.dtype, False)
            elif node.op == "count":
                self.scalar[node.index] = self.let(f"sitofp i64 %n to {kind}")
            else:
                self.scalar[node.index] = self.compute(node, False)
        splats = [a for node in self.nodes if node.kind == LANE for a in node.args]
        for node in [*splats, *(node for node, _ in self.layout.outputs)]:
            if node.kind == UNIFORM and node.op != "const" and node.index not in self.vector:
                self.vector[node.index] = self.splat(self.scalar[node.index], node.dtype)

    def loop(self, bases: dict[int, str], targets: list[str]) -> None:
        """Over the particles, in blocks where there are sums."""
        w = self.width
        vectors = self.let(f"udiv i64 {self.let(f'add i64 %n, {w - 1}')}, {w}")
        last = self.let(f"sub i64 %n, {w}")
        totals = [(self.total(node), self.total(node)) for node in self.sums]
        self.say("br label %block")
        self.label("block")
        self.say("%start = phi i64 [ 0, %entry ], [ %stop, %after ]")
        if self.sums:
            further = self.let(f"add i64 %start, {BLOCK}")
            more = self.let(f"icmp slt i64 {further}, {vectors}")
            self.say(f"%stop = select i1 {more}, i64 {further}, i64 {vectors}")
        else:
            self.say(f"%stop = add i64 {vectors}, 0")
        self.say("br label %body")
        self.label("body")
        self.say("%j = phi i64 [ %start, %block ], [ %next, %body ]")
        for k, node in enumerate(self.sums):
            start = self.literal(_START[node.op], node.dtype, True)
            self.say(f"%acc{k} = phi {self.type(node.dtype, True)} [ {start}, %block ], [ %sum{k}, %body ]")
        own = self.let(f"mul i64 %j, {w}")
        inside = self.let(f"icmp slt i64 {own}, {last}")
        first = self.let(f"select i1 {inside}, i64 {own}, i64 {last}")
        for node in self.nodes:
            if node.kind == LANE and node.op == "input":
                self.vector[node.index] = self.load(bases[node.index], node.dtype, first)
        for node in self.nodes:
            if node.kind == LANE and node.op not in ("input", "const"):
                self.vector[node.index] = self.compute(node, True)
        for (node, _), base in zip(self.layout.outputs, targets, strict=True):
            self.store(self.operand(node, True), base, node.dtype, first)
        self.accumulate(own, first)
        self.say("%next = add i64 %j, 1")
        self.say("%more = icmp slt i64 %next, %stop")
        self.say("br i1 %more, label %body, label %after")
        self.label("after")
        for k, (node, (total, lost)) in enumerate(zip(self.sums, totals, strict=True)):
            self.carry(node, f"%sum{k}", total, lost)
        again = self.let(f"icmp slt i64 %stop, {vectors}")
        self.say(f"br i1 {again}, label %block, label %done")
        self.label("done")
        for node, (total, lost) in zip(self.sums, totals, strict=True):
            self.scalar[node.index] = self.across(node, total, lost)

    def total(self, node: Node) -> str:
        """Memory for a sum, or for what it lost to rounding."""
        kind = self.type(node.dtype, True)
        place = self.let(f"alloca {kind}")
        self.say(f"store {kind} {self.literal(_START[node.op], node.dtype, True)}, ptr {place}")
        return place

    def accumulate(self, own: str, first: str) -> None:
        """Add to the sums what no earlier vector added."""
        if not self.sums:
            return
        w = self.width
        done = self.let(f"trunc i64 {self.let(f'sub i64 {own}, {first}')} to i32")
        kind = f"<{w} x i32>"
        one = self.let(f"insertelement {kind} poison, i32 {done}, i64 0")
        shift = self.let(f"shufflevector {kind} {one}, {kind} poison, {kind} zeroinitializer")
        lanes = "<" + ", ".join(f"i32 {k}" for k in range(w)) + ">"
        fresh = self.let(f"icmp sge {kind} {lanes}, {shift}")
        for k, node in enumerate(self.sums):
            kind = self.type(node.dtype, True)
            joined = self.join(node.op, kind, f"%acc{k}", self.operand(node.args[0], True), "fadd contract")
            self.say(f"%sum{k} = select <{w} x i1> {fresh}, {kind} {joined}, {kind} %acc{k}")

    def join(self, op: str, kind: str, a: str, b: str, add: str = "fadd") -> str:
        """Sum of two, or the larger or smaller one; NaN if either is."""
        if op == "sum":
            return self.let(f"{add} {kind} {a}, {b}")
        choice = kind.replace("double", "i1").replace("float", "i1")
        beyond = self.let(f"fcmp {'ogt' if op == 'largest' else 'olt'} {kind} {b}, {a}")
        nan = self.let(f"fcmp uno {kind} {b}, {b}")
        either = self.let(f"or {choice} {beyond}, {nan}")
        return self.let(f"select {choice} {either}, {kind} {b}, {kind} {a}")

    def carry(self, node: Node, part: str, total: str, lost: str) -> None:
        """Add the part of a block; Kahan's sum."""
        kind = self.type(node.dtype, True)
        whole = self.let(f"load {kind}, ptr {total}")
        if node.op != "sum":
            self.say(f"store {kind} {self.join(node.op, kind, whole, part)}, ptr {total}")
            return
        corrected = self.let(f"fsub {kind} {part}, {self.let(f'load {kind}, ptr {lost}')}")
        added = self.let(f"fadd {kind} {whole}, {corrected}")
        grown = self.let(f"fsub {kind} {added}, {whole}")
        self.say(f"store {kind} {self.let(f'fsub {kind} {grown}, {corrected}')}, ptr {lost}")
        self.say(f"store {kind} {added}, ptr {total}")

    def across(self, node: Node, total: str, lost: str) -> str:
        """Sum of the lanes, in pairs."""
        kind, one = self.type(node.dtype, True), self.type(node.dtype, False)
        whole = self.let(f"load {kind}, ptr {total}")
        if node.op == "sum":
            whole = self.let(f"fsub {kind} {whole}, {self.let(f'load {kind}, ptr {lost}')}")
        parts = [self.let(f"extractelement {kind} {whole}, i64 {k}") for k in range(self.width)]
        while len(parts) > 1:
            parts = [self.join(node.op, one, a, b) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    def epilogue(self) -> None:
        """What follows from the sums, and all numbers out."""
        for node in self.nodes:
            if node.kind == SUMMED and node.op not in OVER_PARTICLES:
                self.scalar[node.index] = self.compute(node, False)
        for k, node in enumerate(self.layout.results):
            if node.dtype.kind != "f":
                raise Untraceable(f"a result of type {node.dtype}")
            value = self.operand(node, False)
            if node.dtype == np.float32:
                value = self.let(f"fpext float {value} to double")
            address = self.let(f"getelementptr double, ptr %results, i64 {k}")
            self.say(f"store double {value}, ptr {address}")
