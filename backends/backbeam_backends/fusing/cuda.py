"""From a graph to CUDA C++: one thread a particle, in strides of the launch.

A program has two kernels. ``lanes`` does what is done to each particle, and adds up each block's share of the sums;
``numbers`` adds the blocks and does what follows from the sums. The first thread of a block works out what is the same
for all particles of a place of the batch. Sums are in float64 and in a fixed order, which depends on the number of
particles alone: the same bits each time. Nothing here imports a library that needs a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backbeam_backends.fusing.emission import needed
from backbeam_backends.fusing.graph import BOOL, LANE, UNIFORM, Graph, Node, Untraceable
from backbeam_backends.fusing.kernel import Kernel
from backbeam_backends.fusing.symbols import Dim, Symbol, cells, has_particles

THREADS = 256
"""Threads of a block."""
BLOCKS = 1024
"""Most blocks of a place of the batch; what is left over is taken in turns."""

_TYPES = {"d": "double", "f": "float", "i": "int", "l": "whole", "q": "whole", "?": "bool"}
_INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==",
    "ne": "!=", "and": "&", "or": "|", "xor": "^",
}  # fmt: skip
_LIBRARY = {
    "abs": "fabs", "sqrt": "sqrt", "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p", "sin": "sin",
    "cos": "cos", "tan": "tan", "asin": "asin", "acos": "acos", "atan": "atan", "sinh": "sinh", "cosh": "cosh",
    "tanh": "tanh", "asinh": "asinh", "floor": "floor", "ceil": "ceil", "atan2": "atan2", "hypot": "hypot",
}  # fmt: skip

_HEAD = """\
typedef long long whole;
"""
_OVER_WARP = """\
static __device__ double over_warp(double a)
{
    for (int m = 16; m; m /= 2)
        a += __shfl_down_sync(0xffffffffu, a, m);
    return a;
}
"""


@dataclass(frozen=True)
class Output:
    """A result: its symbol, and the shape of a place of the batch without an axis over particles."""

    symbol: Symbol
    core: tuple[int, ...]
    lane: bool
    """Whether there is one for each particle."""


@dataclass(frozen=True)
class Program:
    """CUDA C++ and what its kernels take, in this order.

    ``lanes``: each of ``rows`` (a pointer, and the distance in elements of neighbours along each axis but that of
    particles), each of ``scalars`` (contiguous), each output with particles, then ``parts``, room for (places, sums,
    blocks) float64 if there are sums, and the number of particles. ``numbers``: scalars, parts and the number of blocks
    if there are sums, each output without particles, the number of particles.
    """

    source: str
    rows: tuple[int, ...]
    """Inputs with particles that are read."""
    scalars: tuple[int, ...]
    """Inputs without particles that are read."""
    sums: int

    def blocks(self, n: int) -> int:
        """Blocks of ``lanes`` for each place of the batch."""
        return min(-(-n // THREADS), BLOCKS)


def emit(graph: Graph, inputs: Sequence[Symbol], outputs: Sequence[Output], batch: tuple[int, ...]) -> Program:
    """CUDA C++ of a function of inputs, whose first axes are a batch, and its outputs."""
    return _Writer(graph, inputs, outputs, batch).program()


class CudaKernel(Kernel):
    """A function for inputs of certain shapes, as a `program` that makes what is not handed on of its results."""

    def _compile(self, graph: Graph) -> None:
        self.made = [Output(o[1], tuple(o[2]), o[0] == "lane") for o in self.outputs if o[0] != "same"]
        self.program = emit(graph, self.inputs, self.made, self.batch)


class _Writer:
    def __init__(
        self, graph: Graph, inputs: Sequence[Symbol], outputs: Sequence[Output], batch: tuple[int, ...]
    ) -> None:
        self.graph, self.inputs, self.batch = graph, inputs, batch
        self.lanes = [(j, o) for j, o in enumerate(outputs) if o.lane]
        self.numbers = [(j, o) for j, o in enumerate(outputs) if not o.lane]
        live = needed(graph, list(_nodes(outputs)))
        if any(node.op == "element" for node in live):
            raise Untraceable("one particle is looked at")
        self.sums = [node for node in live if node.op == "sum"]
        read = {node.value[0] for node in live if node.op == "input"}
        self.rows = tuple(sorted(k for k in read if has_particles(inputs[k].shape)))
        self.scalars = tuple(sorted(read.difference(self.rows)))

    def program(self) -> Program:
        """All of it."""
        head = [_HEAD, _OVER_WARP] if self.sums else [_HEAD]
        source = "\n".join([*head, *self.lane_kernel(), *self.number_kernel()])
        return Program(source, self.rows, self.scalars, len(self.sums))

    # -- text ----------------------------------------------------------------------------------------------------

    def operand(self, node: Node) -> str:
        """What holds a node."""
        return _literal(node) if node.op == "const" else f"v{node.index}"

    def assign(self, node: Node, indent: str) -> str:
        """Work out a node."""
        return f"{indent}const {_type(node.dtype)} v{node.index} = {self.expression(node)};"

    def expression(self, node: Node) -> str:
        """One operation."""
        args = [self.operand(a) for a in node.args]
        if node.op == "input":
            return self.element(node)
        if node.op == "count":
            return f"({_type(node.dtype)})n"
        if node.op == "sum":
            return f"({_type(node.dtype)})total[{self.sums.index(node)}]"
        if node.op == "cast":
            return f"({_type(node.dtype)}){args[0]}" if node.dtype != BOOL else f"{args[0]} != 0"
        if node.op == "where":
            return f"{args[0]} ? {args[1]} : {args[2]}"
        if node.op in _INFIX:
            return f"{args[0]} {_INFIX[node.op]} {args[1]}"
        if node.op in ("neg", "not"):
            return f"{'-' if node.op == 'neg' else '!'}{args[0]}"
        if node.op in ("min", "max"):
            # As NumPy: NaN if either is.
            order = f"{args[0]} {'<' if node.op == 'min' else '>'} {args[1]}"
            nan = f" || {args[0]} != {args[0]}" if node.dtype.kind == "f" else ""
            return f"{order}{nan} ? {args[0]} : {args[1]}"
        if node.dtype.kind != "f" and node.op == "abs":
            return f"{args[0]} < 0 ? -{args[0]} : {args[0]}"
        if node.dtype.kind != "f" or node.op not in _LIBRARY:
            raise Untraceable(f"{node.op} of {node.dtype}")
        return f"{_LIBRARY[node.op]}{'f' if node.dtype == np.float32 else ''}({', '.join(args)})"

    def element(self, node: Node) -> str:
        """A number of an input without particles, at this place of the batch."""
        leaf, place = node.value
        shape = self.inputs[leaf].shape
        at = np.unravel_index(place, cells(shape)) if shape else ()
        terms, step = [], 1
        for axis in reversed(range(len(shape))):
            m = shape[axis]
            size, index = (m.size, f"b{axis}") if isinstance(m, Dim) else (m, str(int(at[axis])))
            assert size is not None  # axes of a batch have theirs
            if index != "0":
                terms.append(index if step == 1 else f"{index} * {step}")
            step *= size
        return f"in{leaf}[{' + '.join(reversed(terms)) or '0'}]"

    def row(self, node: Node) -> str:
        """First particle of a row."""
        leaf, place = node.value
        shape = self.inputs[leaf].shape
        at = np.unravel_index(place, cells(shape))
        terms = [f"in{leaf}"]
        for axis, m in enumerate(shape[:-1]):
            index = f"b{axis}" if isinstance(m, Dim) else str(int(at[axis]))
            if index != "0":
                terms.append(f"{index} * in{leaf}_{axis}")
        return f"const {_type(node.dtype)} *const r{node.index} = {' + '.join(terms)};"

    def places(self, index: str) -> list[str]:
        """Loop over the places of the batch."""
        count = math.prod(self.batch)
        lines = [f"    for (int place = {index}; place < {count}; place += gridDim.{index[-1]}) {{"]
        step = count
        for axis, size in enumerate(self.batch):
            step //= size
            lines.append(f"        const whole b{axis} = place / {step} % {size};")
        return lines

    def parameters(self, rows: bool) -> list[str]:
        """Inputs of a kernel."""
        found = []
        for leaf in (*self.rows, *self.scalars) if rows else self.scalars:
            found.append(f"const {_type(self.inputs[leaf].dtype)} *__restrict__ in{leaf}")
            if leaf in self.rows:
                found += [f"whole in{leaf}_{axis}" for axis in range(len(self.inputs[leaf].shape) - 1)]
        return found

    # -- kernels -------------------------------------------------------------------------------------------------

    def lane_kernel(self) -> list[str]:
        """What is done to each particle."""
        if not (self.lanes or self.sums):
            return []
        written = [(node, target) for j, o in self.lanes for node, target in self.targets(j, o)]
        nodes = needed(self.graph, [*(node for node, _ in written), *(node.args[0] for node in self.sums)])
        each = [node for node in nodes if node.kind == LANE and node.op != "const"]
        read = [node for node in each if node.op == "input"]
        once = [node for node in nodes if node.kind == UNIFORM and node.op != "const"]
        wanted = {a.index for node in (*each, *self.sums) for a in node.args} | {node.index for node, _ in written}
        shared = [node for node in once if node.index in wanted]
        outputs = [f"{_type(o.symbol.dtype)} *__restrict__ out{j}" for j, o in self.lanes]
        parts = ["double *__restrict__ parts"] if self.sums else []
        lines = _signature("lanes", [*self.parameters(True), *outputs, *parts, "whole n"])
        if shared:
            fields = " ".join(f"{_type(node.dtype)} v{node.index};" for node in shared)
            lines.append(f"    __shared__ struct {{ {fields} }} same;")
        if self.sums:
            lines.append(f"    __shared__ double warps[{len(self.sums)}][{THREADS // 32}];")
        lines += self.places("blockIdx.y")
        if shared:
            lines.append("        if (threadIdx.x == 0) {")
            lines += [self.assign(node, " " * 12) for node in once]
            lines += [f"            same.v{node.index} = v{node.index};" for node in shared]
            lines += ["        }", "        __syncthreads();"]
        lines += [f"        const {_type(node.dtype)} v{node.index} = same.v{node.index};" for node in shared]
        lines += [f"        {self.row(node)}" for node in read]
        lines += [f"        double sum{k} = 0;" for k in range(len(self.sums))]
        lines.append(
            "        for (whole p = (whole)blockIdx.x * blockDim.x + threadIdx.x; p < n; "
            "p += (whole)gridDim.x * blockDim.x) {"
        )
        lines += [
            f"            const {_type(node.dtype)} v{node.index} = r{node.index}[p];"
            if node.op == "input"
            else self.assign(node, " " * 12)
            for node in each
        ]
        lines += [f"            {target} = {self.operand(node)};" for node, target in written]
        lines += [f"            sum{k} += (double){self.operand(s.args[0])};" for k, s in enumerate(self.sums)]
        lines.append("        }")
        if self.sums:
            lines += self.block_sums()
        if shared or self.sums:
            lines.append("        __syncthreads();")
        return [*lines, "    }", "}", ""]

    def targets(self, j: int, output: Output) -> Iterable[tuple[Node, str]]:
        """Each node of an output with particles, and where it goes."""
        rows = math.prod(output.core)
        for k, node in enumerate(output.symbol.nodes.flat):
            yield node, f"out{j}[(place * {rows}LL + {k}) * n + p]"

    def block_sums(self) -> list[str]:
        """Sums over the threads of a block: warps by themselves, then the warps in order."""
        count = len(self.sums)
        lines = []
        for k in range(count):
            lines.append(f"        sum{k} = over_warp(sum{k});")
            lines.append(f"        if (threadIdx.x % 32 == 0) warps[{k}][threadIdx.x / 32] = sum{k};")
        return [
            *lines,
            "        __syncthreads();",
            f"        for (int k = threadIdx.x; k < {count}; k += blockDim.x) {{",
            "            double whole_block = 0;",
            f"            for (int w = 0; w < {THREADS // 32}; ++w) whole_block += warps[k][w];",
            f"            parts[((whole)place * {count} + k) * gridDim.x + blockIdx.x] = whole_block;",
            "        }",
        ]

    def number_kernel(self) -> list[str]:
        """What there is once for all particles."""
        if not self.numbers:
            return []
        written = [
            (node, f"out{j}[place * {o.symbol.nodes.size}LL + {k}]")
            for j, o in self.numbers
            for k, node in enumerate(o.symbol.nodes.flat)
        ]
        nodes = needed(self.graph, [node for node, _ in written])
        outputs = [f"{_type(o.symbol.dtype)} *__restrict__ out{j}" for j, o in self.numbers]
        parts = ["const double *__restrict__ parts", "int blocks"] if self.sums else []
        lines = _signature("numbers", [*self.parameters(False), *parts, *outputs, "whole n"])
        count = len(self.sums)
        if count:
            lines.append(f"    __shared__ double total[{count}];")
        lines += self.places("blockIdx.x")
        if count:
            lines += [
                f"        for (int k = threadIdx.x / 32; k < {count}; k += {THREADS // 32}) {{",
                "            double a = 0;",
                "            for (int b = threadIdx.x % 32; b < blocks; b += 32)",
                f"                a += parts[((whole)place * {count} + k) * blocks + b];",
                "            a = over_warp(a);",
                "            if (threadIdx.x % 32 == 0) total[k] = a;",
                "        }",
                "        __syncthreads();",
            ]
        lines.append("        if (threadIdx.x == 0) {")
        lines += [self.assign(node, " " * 12) for node in nodes if node.kind != LANE and node.op != "const"]
        lines += [f"            {target} = {self.operand(node)};" for node, target in written]
        lines.append("        }")
        if count:
            lines.append("        __syncthreads();")
        return [*lines, "    }", "}", ""]


def _nodes(outputs: Sequence[Output]) -> Iterable[Node]:
    for output in outputs:
        yield from output.symbol.nodes.flat


def _signature(name: str, parameters: Sequence[str]) -> list[str]:
    inner = ",\n    ".join(parameters)
    return [f'extern "C" __global__ void __launch_bounds__({THREADS}) {name}(\n    {inner})', "{"]


def _type(dtype: np.dtype) -> str:
    """C++'s name of a type."""
    if dtype.char not in _TYPES:
        raise Untraceable(f"numbers of type {dtype}")
    return _TYPES[dtype.char]


def _literal(node: Node) -> str:
    """A constant."""
    value: Any = node.value
    if node.dtype == BOOL:
        return "true" if value else "false"
    if node.dtype.kind != "f":
        return f"(({_type(node.dtype)}){int(value)})"
    if not math.isfinite(value):
        bits = int(np.asarray(value, dtype=np.float64).view(np.uint64))
        return f"(({_type(node.dtype)})__longlong_as_double(0x{bits:016x}))"
    text = repr(float(value)) + ("f" if node.dtype == np.float32 else "")
    return f"({text})" if text.startswith("-") else text
