"""Fourier transforms of lines that are padded with zeros to twice their length, as LLVM: a vector of lines at a time.

A line of n numbers is read, transformed at length 2 n, used, transformed back and written while it is next to the
processor; what is zero is not read, what is not wanted not written. Lines lie side by side, ``(n, lines)``; the bits
of one hang on another in cosine transforms alone, where two are one that is complex. The transforms are Stockham's, in
radices 4, 2, 3 and 5 (Van Loan, *Computational Frameworks for the Fast Fourier Transform*, 1992); real and imaginary
parts are vectors of their own.

The signature is that of `machine`: how many lines, and in ``given`` how many grids of them, and of each array in turn
its address and its strides from grid to grid and from row to row, in bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from backbeam_backends.fusing.vectors import hexadecimal

NAME = "transform"

Pair = tuple[str, str]
"""Real and imaginary part."""


def radices(length: int) -> list[int]:
    """Factors of an even length, even ones first; of no others, there are none."""
    found = []
    for radix in (4, 2, 3, 5):
        while length % radix == 0:
            found.append(radix)
            length //= radix
    return found if length == 1 else []


def padded(n: int, width: int) -> str:
    """Complex rows 0 ... n - 1 to rows 0 ... 2 n - 1 of the transform."""
    code = _Writer(n, width)
    with code.vectors(2) as (given, made):
        code.forward(code.rows(given), code.puts(made))
    return code.text()


def cut(n: int, width: int) -> str:
    """Rows 0 ... 2 n - 1 of a transform back to complex rows 0 ... n - 1."""
    code = _Writer(n, width)
    with code.vectors(2) as (given, made):
        scale = code.number(0.5 / n)
        code.backward(lambda k: code.scaled(code.row(given, k), scale), code.puts(made))
    return code.text()


def filtered(n: int, width: int) -> str:
    """Complex rows there, times rows 0 ... n of a real even function, and back to rows 0 ... n - 1."""
    code = _Writer(n, width)
    with code.vectors(3) as (given, factor, made):
        whole = code.buffer()
        code.forward(code.rows(given), whole.put)
        code.backward(code.times(whole, factor), code.puts(made))
    return code.text()


def filtered_both(n: int, width: int) -> str:
    """The same of two; and real rows 0 ... n of their correlation, those of either sign of a frequency together."""
    code = _Writer(n, width)
    with code.vectors(6) as (one, other, factor, *made, both):
        wholes = code.buffer(), code.buffer()
        for given, whole in zip((one, other), wholes, strict=True):
            code.forward(code.rows(given), whole.put)
        with code.loop(n - 1) as step:
            ahead = code.let(f"add i64 {step}, 1")
            behind = code.let(f"sub i64 {2 * n}, {ahead}")
            alike = [code.alike(wholes, k) for k in (ahead, behind)]
            code.put_real(both, ahead, code.reckon("fadd", *alike))
        for k in ("0", str(n)):
            code.put_real(both, k, code.alike(wholes, k))
        for whole, place in zip(wholes, made, strict=True):
            code.backward(code.times(whole, factor), code.puts(place))
    return code.text()


def cosine(n: int, width: int) -> str:
    """Real rows 0 ... n to their cosine transform of type 1: two vectors of lines are one that is complex."""
    code = _Writer(n, width)
    with code.vectors(2, 2) as (given, made):

        def read(k: str) -> Pair:
            return code.two_rows(given, code.folded(k))

        code.stages(-1, code.factors[::-1], read, lambda k, value: code.put_two(made, k, value), 2 * n, n + 1)
    return code.text()


class _Array(NamedTuple):
    """Rows in memory, of the grid in hand."""

    address: str
    stride: str


class _Buffer:
    """A line of pairs in memory of our own."""

    def __init__(self, code: _Writer, name: str) -> None:
        self.code, self.name = code, name

    def get(self, k: str) -> Pair:
        """Pair of a row."""
        real, imaginary = (self._at(k, part) for part in (0, 1))
        return self.code.load(real), self.code.load(imaginary)

    def put(self, k: str, value: Pair) -> None:
        """Write a row."""
        for part in (0, 1):
            self.code.say(f"store {self.code.kind} {value[part]}, ptr {self._at(k, part)}, align 64")

    def _at(self, k: str, part: int) -> str:
        kind = f"[2 x {self.code.kind}]"
        return self.code.let(f"getelementptr {kind}, ptr {self.name}, i64 {k}, i64 {part}")


class _Writer:
    def __init__(self, n: int, width: int) -> None:
        self.n, self.length, self.width, self.factors = n, 2 * n, width, radices(2 * n)
        self.kind = f"<{width} x double>"
        self.marks = ['!0 = !{!"llvm.loop.unroll.disable"}']
        """That loops stay loops: else they take seconds to compile."""
        self.tables: dict[str, str] = {}
        self.head: list[str] = []
        self.lines: list[str] = []
        self.fresh = 0

    # -- text --------------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """All of it."""
        start = f"define void @{NAME}(i64 %n, ptr noalias readonly %given, ptr %results) {{"
        return "\n".join(
            [*self.tables.values(), start, "entry:", *self.head, *self.lines, "  ret void", "}", *self.marks, ""]
        )

    def let(self, text: str) -> str:
        """A new value."""
        self.fresh += 1
        self.lines.append(f"  %t{self.fresh} = {text}")
        return f"%t{self.fresh}"

    def say(self, text: str) -> None:
        """A line without a value."""
        self.lines.append(f"  {text}")

    def number(self, value: float) -> str:
        """The same in all lanes."""
        return "<" + ", ".join([f"double {hexadecimal(value)}"] * self.width) + ">"

    def reckon(self, operation: str, a: str, b: str) -> str:
        """Arithmetic, which may round a product and a sum as one."""
        return self.let(f"{operation} contract {self.kind} {a}, {b}")

    @contextmanager
    def loop(self, count: int | str) -> Iterator[str]:
        """Steps 0 ... count - 1; none of one is a loop."""
        if count == 1:
            yield "0"
            return
        self.fresh += 1
        mark, name = self.fresh, f"l{self.fresh}"
        self.say(f"br label %{name}.before")
        self.lines.append(f"{name}.before:")
        self.say(f"br label %{name}")
        self.lines.append(f"{name}:")
        self.say(f"%{name}.k = phi i64 [ 0, %{name}.before ], [ %{name}.next, %{name}.end ]")
        yield f"%{name}.k"
        self.say(f"br label %{name}.end")
        self.lines.append(f"{name}.end:")
        self.say(f"%{name}.next = add i64 %{name}.k, 1")
        self.say(f"%{name}.more = icmp slt i64 %{name}.next, {count}")
        self.say(f"br i1 %{name}.more, label %{name}, label %{name}.after, !llvm.loop !{mark}")
        self.marks.append(f"!{mark} = distinct !{{!{mark}, !0}}")
        self.lines.append(f"{name}.after:")

    @contextmanager
    def vectors(self, arrays: int, together: int = 1) -> Iterator[list[_Array]]:
        """For each grid, and for each vector of its lines, or for some of these together; the last ones end with the
        last line, and overlap those before.
        """
        places = [self.let(f"getelementptr i64, ptr %given, i64 {k}") for k in range(1 + 3 * arrays)]
        grids, *words = [self.let(f"load i64, ptr {place}") for place in places]
        size = self.width * together
        count = self.let(f"udiv i64 {self.let(f'add i64 %n, {size - 1}')}, {size}")
        last = self.let(f"sub i64 %n, {size}")
        with self.loop(grids) as grid:
            each = []
            for address, far, near in zip(words[::3], words[1::3], words[2::3], strict=True):
                offset = self.let(f"mul i64 {grid}, {far}")
                each.append(_Array(self.let(f"add i64 {address}, {offset}"), near))
            with self.loop(count) as step:
                own = self.let(f"mul i64 {step}, {size}")
                is_inside = self.let(f"icmp slt i64 {own}, {last}")
                self.first = self.let(f"select i1 {is_inside}, i64 {own}, i64 {last}")
                yield each

    # -- memory ------------------------------------------------------------------------------------------------------

    def buffer(self) -> _Buffer:
        """Memory for a line."""
        self.fresh += 1
        self.head.append(f"  %b{self.fresh} = alloca [{self.length} x [2 x {self.kind}]], align 64")
        return _Buffer(self, f"%b{self.fresh}")

    def load(self, pointer: str, align: int = 64) -> str:
        """A vector."""
        return self.let(f"load {self.kind}, ptr {pointer}, align {align}")

    def pointer(self, array: _Array, k: str, size: int) -> str:
        """Where the vector of a row begins, of numbers of a size."""
        down, along = self.let(f"mul i64 {array.stride}, {k}"), self.let(f"mul i64 {self.first}, {size}")
        there = self.let(f"add i64 {array.address}, {self.let(f'add i64 {down}, {along}')}")
        return self.let(f"inttoptr i64 {there} to ptr")

    def row(self, array: _Array, k: str) -> Pair:
        """Pair of a complex row, in which real and imaginary parts take turns."""
        start = self.pointer(array, k, 16)
        low = self.load(start, 8)
        high = self.load(self.let(f"getelementptr {self.kind}, ptr {start}, i64 1"), 8)
        real, imaginary = (self.shuffled(low, high, range(part, 2 * self.width, 2)) for part in (0, 1))
        return real, imaginary

    def put_row(self, array: _Array, k: str, value: Pair) -> None:
        """Write a complex row."""
        start, w = self.pointer(array, k, 16), self.width
        turns = [each for lane in range(w) for each in (lane, w + lane)]
        for half, place in enumerate((start, self.let(f"getelementptr {self.kind}, ptr {start}, i64 1"))):
            mixed = self.shuffled(*value, turns[half * w : (half + 1) * w])
            self.say(f"store {self.kind} {mixed}, ptr {place}, align 8")

    def put_real(self, array: _Array, k: str, value: str) -> None:
        """Write a real row."""
        self.say(f"store {self.kind} {value}, ptr {self.pointer(array, k, 8)}, align 8")

    def two_rows(self, array: _Array, k: str) -> Pair:
        """A vector of a real row, and the next one."""
        start = self.pointer(array, k, 8)
        return self.load(start, 8), self.load(self.let(f"getelementptr {self.kind}, ptr {start}, i64 1"), 8)

    def put_two(self, array: _Array, k: str, value: Pair) -> None:
        """Write a vector of a real row, and the next one."""
        start = self.pointer(array, k, 8)
        for each, place in zip(value, (start, self.let(f"getelementptr {self.kind}, ptr {start}, i64 1")), strict=True):
            self.say(f"store {self.kind} {each}, ptr {place}, align 8")

    def shuffled(self, a: str, b: str, lanes: Sequence[int]) -> str:
        """Lanes of two vectors."""
        chosen = ", ".join(f"i32 {lane}" for lane in lanes)
        return self.let(f"shufflevector {self.kind} {a}, {self.kind} {b}, <{self.width} x i32> <{chosen}>")

    def rows(self, array: _Array) -> Callable[[str], Pair]:
        """Reads complex rows."""
        return lambda k: self.row(array, k)

    def puts(self, array: _Array) -> Callable[[str, Pair], None]:
        """Writes complex rows."""
        return lambda k, value: self.put_row(array, k, value)

    # -- arithmetic --------------------------------------------------------------------------------------------------

    def scaled(self, a: Pair, factor: str) -> Pair:
        """Times a real vector."""
        return self.reckon("fmul", a[0], factor), self.reckon("fmul", a[1], factor)

    def times(self, whole: _Buffer, factor: _Array) -> Callable[[str], Pair]:
        """Reads rows of a transform, times those of an even function and the scale of the way back."""

        def read(k: str) -> Pair:
            row = self.load(self.pointer(factor, self.folded(k), 8), 8)
            return self.scaled(whole.get(k), self.reckon("fmul", row, self.number(1.0 / self.length)))

        return read

    def folded(self, k: str) -> str:
        """Row 0 ... n of an even function."""
        back = self.let(f"sub i64 {self.length}, {k}")
        return self.let(f"select i1 {self.let(f'icmp slt i64 {k}, {back}')}, i64 {k}, i64 {back}")

    def alike(self, wholes: tuple[_Buffer, _Buffer], k: str) -> str:
        """Real part of the product of a row and the other's conjugate."""
        a, b = (whole.get(k) for whole in wholes)
        return self.reckon("fadd", self.reckon("fmul", a[0], b[0]), self.reckon("fmul", a[1], b[1]))

    def add(self, a: Pair | None, b: Pair | None, operation: str = "fadd") -> Pair | None:
        """Sum, or difference; None is 0."""
        if a is None or b is None:
            return a if b is None else b if operation == "fadd" else self.add((self.number(-0.0),) * 2, b, operation)
        return self.reckon(operation, a[0], b[0]), self.reckon(operation, a[1], b[1])

    def subtract(self, a: Pair | None, b: Pair | None) -> Pair | None:
        """Difference."""
        return self.add(a, b, "fsub")

    def by(self, a: Pair | None, factor: float) -> Pair | None:
        """Times a number."""
        return None if a is None else self.scaled(a, self.number(factor))

    def turned(self, a: Pair | None, sign: int) -> Pair | None:
        """Times i, or -i."""
        if a is None:
            return None
        negative = self.let(f"fneg {self.kind} {a[1] if sign > 0 else a[0]}")
        return (negative, a[0]) if sign > 0 else (a[1], negative)

    def product(self, a: Pair, b: Pair) -> Pair:
        """Of two pairs."""
        real = self.reckon("fsub", self.reckon("fmul", a[0], b[0]), self.reckon("fmul", a[1], b[1]))
        return real, self.reckon("fadd", self.reckon("fmul", a[0], b[1]), self.reckon("fmul", a[1], b[0]))

    def butterfly(self, given: list[Pair | None], sign: int) -> list[Pair | None]:
        """Transform of a few pairs."""
        a, add, subtract = given, self.add, self.subtract
        if len(a) == 2:
            return [add(a[0], a[1]), subtract(a[0], a[1])]
        if len(a) == 4:
            even, odd = (add(a[0], a[2]), subtract(a[0], a[2])), (add(a[1], a[3]), subtract(a[1], a[3]))
            turned = self.turned(odd[1], sign)
            return [add(even[0], odd[0]), add(even[1], turned), subtract(even[0], odd[0]), subtract(even[1], turned)]
        if len(a) == 3:
            both = add(a[1], a[2])
            middle, turned = subtract(a[0], self.by(both, 0.5)), self.turned(subtract(a[1], a[2]), sign)
            turned = self.by(turned, 0.75**0.5)
            return [add(a[0], both), add(middle, turned), subtract(middle, turned)]
        c1, c2, s1, s2 = 0.30901699437494745, -0.8090169943749475, 0.9510565162951535, 0.5877852522924731
        one, two = (add(a[1], a[4]), subtract(a[1], a[4])), (add(a[2], a[3]), subtract(a[2], a[3]))
        found = [add(a[0], add(one[0], two[0]))]
        ends = []
        for c, d, s, t in ((c1, c2, s1, s2), (c2, c1, s2, -s1)):
            middle = add(a[0], add(self.by(one[0], c), self.by(two[0], d)))
            turned = self.turned(add(self.by(one[1], s), self.by(two[1], t)), sign)
            found.append(add(middle, turned))
            ends.append(subtract(middle, turned))
        return [*found, *reversed(ends)]

    # -- transforms --------------------------------------------------------------------------------------------------

    def forward(self, read: Callable[[str], Pair], write: Callable[[str, Pair], None]) -> None:
        """Of rows 0 ... n - 1, the others being 0, to all."""
        self.stages(-1, self.factors, read, write, self.n, self.length)

    def backward(self, read: Callable[[str], Pair], write: Callable[[str, Pair], None]) -> None:
        """Of all rows, to 0 ... n - 1; not scaled."""
        self.stages(1, self.factors[::-1], read, write, self.length, self.n)

    def stages(
        self,
        sign: int,
        factors: list[int],
        read: Callable[[str], Pair],
        write: Callable[[str, Pair], None],
        given: int,
        wanted: int,
    ) -> None:
        """Each radix in turn, from buffer to buffer; the first reads rows < given, the last writes those < wanted."""
        source, target = self.work
        rest, stride = self.length, 1
        for radix in factors:
            rest //= radix
            fetch, keep = read if stride == 1 else source.get, write if rest == 1 else target.put

            def step(
                turns: list[Pair], at: str, to: str, results: Iterable[int], radix: int = radix, rest: int = rest,
                stride: int = stride, fetch: Callable[[str], Pair] = fetch, keep: Callable[[str, Pair], None] = keep,
            ) -> None:  # fmt: skip
                places = [rest * stride * k for k in range(radix)]
                pairs = [fetch(self.plus(at, place)) if stride > 1 or place < given else None for place in places]
                found = self.butterfly(pairs, sign)
                for k in results:
                    value = found[k]
                    assert value is not None  # half of what is read is something
                    keep(self.plus(to, stride * k), self.product(value, turns[k - 1]) if turns and k else value)

            with self.loop(rest) as part:
                turns = [self.turn(sign, rest * radix, k, part) for k in range(1, radix)] if rest > 1 else []
                across = self.let(f"mul i64 {part}, {stride}"), self.let(f"mul i64 {part}, {stride * radix}")
                with self.loop(stride) as k:
                    at, to = (self.let(f"add i64 {a}, {k}") for a in across)
                    step(turns, at, to, range(radix) if rest > 1 else range(wanted // stride))
            if rest == 1 and wanted % stride:  # one row more
                step([], "0", "0", [wanted // stride])
            source, target, stride = target, source, stride * radix

    @property
    def work(self) -> tuple[_Buffer, _Buffer]:
        """The two buffers of all transforms."""
        if not hasattr(self, "_work"):
            self._work = self.buffer(), self.buffer()
        return self._work

    def turn(self, sign: int, whole: int, k: int, part: str) -> Pair:
        """exp(2 pi i sign k part/whole), from a table."""
        name = f"@turns.{whole}.{k}"
        if name not in self.tables:
            angles = 2.0 * np.arccos(np.longdouble(-1.0)) * np.arange(whole) * k / whole
            numbers = [f"double {hexadecimal(float(f))}" for a in angles for f in (np.cos(a), np.sin(a))]
            kind = f"[{len(numbers)} x double]"
            self.tables[name] = f"{name} = private constant {kind} [{', '.join(numbers)}]"
        place = self.let(f"getelementptr [2 x double], ptr {name}, i64 {part}")
        real, imaginary = (
            self.splat(self.let(f"load double, ptr {self.let(f'getelementptr double, ptr {place}, i64 {k}')}"))
            for k in (0, 1)
        )
        return real, imaginary if sign > 0 else self.let(f"fneg {self.kind} {imaginary}")

    def splat(self, value: str) -> str:
        """The same number in all lanes."""
        first = self.let(f"insertelement {self.kind} poison, double {value}, i64 0")
        return self.let(f"shufflevector {self.kind} {first}, {self.kind} poison, <{self.width} x i32> zeroinitializer")

    def plus(self, a: str, b: int) -> str:
        """An index so much further."""
        return self.let(f"add i64 {a}, {b}") if b else a
