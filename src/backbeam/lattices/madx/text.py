"""MAD-X text, cut into statements: plain ones, ``if`` and ``while`` with their blocks, and macros.

Blocks stay text until they run. Every statement knows where it begins, so that an error can say the line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from backbeam.lattices.description import LatticeError, Location

_QUOTED_OR_COMMENT = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|/\*.*?(?:\*/|\Z)|(?://|!)[^\n]*", re.S)
_CONTINUED = re.compile(r"&[ \t]*(?=\r?\n)")
_HEAD = re.compile(
    r"(?P<control>if|while)\s*(?=\()|(?P<macro>[a-z_][\w.]*)\s*(?:\((?P<formals>[^()]*)\))?\s*:\s*macro\s*=?\s*(?=\{)",
    re.I,
)
_NEXT_BRANCH = re.compile(r"[\s;]*(?:(elseif)\s*(?=\()|(else)\s*(?=\{))", re.I)
_QUOTED_OR_BRACE = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|[;{}]")
_NEVER = "a brace, bracket or quote that is not closed"


class Source:
    """A text without comments, and the lines of its file.

    Parameters
    ----------
    text:
        The text; comments become blanks.
    file:
        Name of the file, as errors call it.
    first:
        Number of its first line.
    """

    def __init__(self, text: str, file: str, first: int = 1) -> None:
        self.text = _CONTINUED.sub(" ", _QUOTED_OR_COMMENT.sub(_blank, text))
        self.file, self.first = file, first

    @cached_property
    def _breaks(self) -> list[int]:
        return [m.start() for m in re.finditer("\n", self.text)]

    def place(self, offset: int) -> Location:
        """Where an offset of the text stands."""
        return Location(self.file, self.first + bisect_right(self._breaks, offset - 1))


def _blank(match: re.Match[str]) -> str:
    found = match[0]
    return found if found[0] in "\"'" else " " + "\n" * found.count("\n")


class Block(NamedTuple):
    """A part of a source that is to be run."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        """Its text."""
        return self.source.text[self.start : self.end]


class Plain(NamedTuple):
    """A statement up to its semicolon."""

    text: str
    place: Location


class Branches(NamedTuple):
    """``if``, ``elseif``, ``else``: conditions, the last of which may be None, and what they lead to."""

    cases: list[tuple[str | None, Block]]
    place: Location


class Loop(NamedTuple):
    """``while``."""

    condition: str
    block: Block
    place: Location


class Macro(NamedTuple):
    """Text with parameters that are replaced in it."""

    name: str
    formals: list[str]
    block: Block
    place: Location


Statement = Plain | Branches | Loop | Macro


def statements(block: Block) -> Iterator[Statement]:
    """Cut a block into statements; a last one may lack its semicolon.

    Raises
    ------
    LatticeError
        For a bracket that is not closed.
    """
    source, here, end = block
    text = source.text
    while True:
        while here < end and (text[here].isspace() or text[here] == ";"):
            here += 1
        if here >= end:
            return
        head = _HEAD.match(text, here, end)
        if head is None:
            stop = _end_of_statement(source, here, end)
            yield Plain(text[here:stop].rstrip(), source.place(here))
        elif head["macro"]:
            body, stop = _braces(source, head.end(), end)
            formals = [f.strip().lower() for f in (head["formals"] or "").split(",") if f.strip()]
            yield Macro(head["macro"].lower(), formals, body, source.place(here))
        elif head["control"].lower() == "while":
            condition, after = _brackets(source, head.end(), end)
            body, stop = _braces(source, after, end)
            yield Loop(condition, body, source.place(here))
        else:
            cases, stop = _cases(source, head.end(), end)
            yield Branches(cases, source.place(here))
        here = stop + 1


def _end_of_statement(source: Source, start: int, end: int) -> int:
    """Location of the semicolon that ends a statement, those in braces and quotes passed over."""
    stop = source.text.find(";", start, end)
    stop = end if stop < 0 else stop
    plain = source.text[start:stop]
    if "{" not in plain and '"' not in plain and "'" not in plain:
        return stop
    depth = 0
    for found in _QUOTED_OR_BRACE.finditer(source.text, start, end):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if found[0] == ";" and depth <= 0:
            return found.start()
    if depth > 0:
        raise LatticeError(source.place(start), _NEVER)
    return end


def _cases(source: Source, after: int, end: int) -> tuple[list[tuple[str | None, Block]], int]:
    condition: str | None
    condition, after = _brackets(source, after, end)
    block, stop = _braces(source, after, end)
    cases: list[tuple[str | None, Block]] = [(condition, block)]
    while (found := _NEXT_BRANCH.match(source.text, stop + 1, end)) is not None:
        condition, after = _brackets(source, found.end(), end) if found[1] else (None, found.end())
        block, stop = _braces(source, after, end)
        cases.append((condition, block))
    return cases, stop


def _brackets(source: Source, start: int, end: int) -> tuple[str, int]:
    """What stands between ``(`` and its ``)``, and where that ends."""
    stop = closing(source.text, start, end, "()")
    if stop is None:
        raise LatticeError(source.place(start), _NEVER)
    return source.text[start + 1 : stop], stop + 1


def _braces(source: Source, start: int, end: int) -> tuple[Block, int]:
    """The block between ``{`` and its ``}``, and where that stands."""
    while start < end and source.text[start].isspace():
        start += 1
    stop = closing(source.text, start, end, "{}") if source.text.startswith("{", start) else None
    if stop is None:
        raise LatticeError(source.place(start), "a block in braces is missing, or not closed")
    return Block(source, start + 1, stop), stop


_PAIRS = {p: re.compile(rf"\"[^\"\n]*\"|'[^'\n]*'|[{re.escape(p)}]") for p in ("()", "{}")}


def closing(text: str, start: int, end: int, pair: str) -> int | None:
    """Location of the bracket that closes the one at ``start``; None if there is none."""
    depth = 0
    for found in _PAIRS[pair].finditer(text, start, end):
        depth += {pair[0]: 1, pair[1]: -1}.get(found[0], 0)
        if depth == 0:
            return found.start()
    return None


# -- the parts of a statement -----------------------------------------------------------------------------------------

_SPLIT = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|[(){}\[\],]")


def pieces(text: str) -> list[str]:
    """Parts between the commas that stand in no bracket or quote."""
    if not set(text) & set("({[\"'"):
        return text.split(",")
    found, depth, last = [], 0, 0
    for match in _SPLIT.finditer(text):
        c = match[0]
        if c in "({[":
            depth += 1
        elif c in ")}]":
            depth -= 1
        elif c == "," and depth <= 0:
            found.append(text[last : match.start()])
            last = match.end()
    found.append(text[last:])
    return found
