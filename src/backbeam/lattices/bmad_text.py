"""Bmad's text: statements, the parts of a definition, the parts of a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from backbeam.lattices.bracketed import parts_of
from backbeam.lattices.description import LatticeError, Location

OPEN, CLOSED = "({[", ")}]"
TOKEN = re.compile(r"\s*([(),*]|--?|[^\s(),*-][^\s(),*]*)")


class Part(NamedTuple):
    """What stands in a line: a name, or further parts; how often, and whether backwards."""

    times: int
    what: Any
    arguments: tuple[str, ...] = ()


def statements(text: str) -> Iterator[tuple[int, str]]:
    """Statements with the numbers of their first lines; one goes on behind ``&``, a comma, ``=`` or an open bracket."""
    pending, first, title = "", 0, False
    for number, line in enumerate(text.splitlines(), 1):
        piece = _uncommented(line).strip()
        if title:
            title = False
            continue
        if not piece:
            continue
        for part in _cut(piece):
            part = part.strip()
            if not part and not pending:
                continue
            if not pending:
                first = number
            pending = f"{pending} {part}" if pending else part
            if pending.endswith("&"):
                pending = pending[:-1].rstrip()
            elif not (pending.endswith((",", "=")) or _open(pending) > 0):
                yield first, pending
                title = pending.lower() == "title"
                pending = ""
    if pending:
        yield first, pending


def _uncommented(line: str) -> str:
    quote = ""
    for k, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "!":
            return line[:k]
    return line


def _cut(line: str) -> list[str]:
    """A line at its semicolons."""
    return split(line, ";") if ";" in line else [line]


def _open(text: str) -> int:
    """How many brackets are open."""
    return sum(text.count(a) for a in OPEN) - sum(text.count(b) for b in CLOSED)


def split(text: str, at: str = ",") -> list[str]:
    """Parts between separators that stand in no bracket and no quotes."""
    found, depth, quote, start = [], 0, "", 0
    for k, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in OPEN:
            depth += 1
        elif letter in CLOSED:
            depth -= 1
        elif letter == at and depth <= 0:
            found.append(text[start:k])
            start = k + 1
    return [*found, text[start:]]


def line_parts(text: str, place: Location) -> list[Part]:
    """What stands between the brackets of a line."""

    def leaf(word: str, at: int, factor: int) -> tuple[Part, int]:
        if word == "--":
            raise LatticeError(place, "elements that are turned round (--) are not there")
        arguments: tuple[str, ...] = ()
        if at < len(text) and text[at] == "(":
            end = text.find(")", at)
            if end < 0:
                raise LatticeError(place, "a line whose brackets do not close")
            arguments = tuple(name.strip().lower() for name in text[at + 1 : end].split(","))
            at = end + 1
        return Part(factor, word.lower(), arguments), at

    text = text.strip()
    return parts_of(text, place, TOKEN, leaf, Part, "name: line = (part, part, ...)")
