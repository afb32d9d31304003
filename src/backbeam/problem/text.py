"""Text of a problem file to and from plain data: YAML 1.2, and nothing that could build an object.

Only plain nodes are read: mappings with text as keys, lists, text, numbers, true, false and null. A tag, an anchor,
an alias or a key that comes twice is an error with its line. Numbers are those of YAML 1.2, so 250e6 and 1e-9 are
numbers, and ``on``, ``no`` and ``12:30`` are text; ``100_000`` is a number too. Text holds no control characters.

A file is read event by event, without a tree of nodes: one that is too large, too deep or full of surprises is refused
where that shows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from backbeam.errors import BackbeamError
from backbeam.extras import need

(yaml,) = need("cli", "yaml", purpose="reading problem files")

Tree = dict[str, Any]
"""Plain data: nested dict, list, str, int, float, bool, None."""


class ProblemError(BackbeamError, ValueError):
    """A problem file that cannot be read: one line with the file, the place in it and what is wrong."""


_PREFIX = "tag:yaml.org,2002:"
_SIGNS_AND_DIGITS = list("-+0123456789.")
_RESOLVERS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9][0-9_]*", _SIGNS_AND_DIGITS),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        _SIGNS_AND_DIGITS,
    ),
)


MOST_NODES = 1_000_000
"""More values than this are taken for something else than a problem."""
DEEPEST = 50
"""Lists and mappings in one another."""
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that a terminal obeys or a file cannot hold."""
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""What makes events of text: libyaml, where PyYAML was built with it."""


class _Dumper(yaml.SafeDumper):  # type: ignore[name-defined]  # a module that `need` imports
    """Quotes what `_Loader` would not read as text, and writes shared data out each time."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        return True


_IMPLICIT: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
"""Tags that plain text may have, with their pattern, by its first character."""
for _tag, _pattern, _first in _RESOLVERS:
    _Dumper.add_implicit_resolver(_PREFIX + _tag, re.compile(f"^(?:{_pattern})$"), _first)
    for _character in _first:
        _IMPLICIT.setdefault(_character, []).append((_tag, re.compile(_pattern)))


def _represent_float(dumper: Any, value: float) -> Any:
    if value != value:
        return dumper.represent_scalar(_PREFIX + "float", ".nan")
    if value in (float("inf"), -float("inf")):
        return dumper.represent_scalar(_PREFIX + "float", ".inf" if value > 0 else "-.inf")
    return dumper.represent_scalar(_PREFIX + "float", repr(value))


_Dumper.add_representer(float, _represent_float)


def read_tree(text: str, source: str) -> Any:
    """Return the plain data that a text of YAML holds.

    Raises
    ------
    ProblemError
        If it is not YAML, or holds more than plain data.
    """
    found = _UNSEEN.search(text.replace("\x85", " "))
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise ProblemError(f"{source}: line {line}: the character {found.group()!r}, which no text may hold")
    try:
        return _Reader(text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        context = f"{error.context}: " if error.context and error.problem else ""
        raise ProblemError(_one_line(f"{source}: {place}{context}{error.problem or error.context}")) from None
    except yaml.YAMLError as error:
        raise ProblemError(_one_line(f"{source}: not YAML: {error}")) from None


def write_tree(tree: Any) -> str:
    """Text of YAML that `read_tree` reads as the same data."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)


class _Reader:
    """Plain data from the events of one document."""

    def __init__(self, text: str) -> None:
        self.parser = _PARSER(text)
        self.nodes = 0

    def document(self) -> Any:
        """What the one document holds; None for none."""
        self._next()  # the stream begins
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        found = self._value(self._next(), 0)
        self._next()  # the document ends
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise _fault(event, "a second document: a problem is one")
        return found

    def _next(self) -> Any:
        return self.parser.get_event()

    def _value(self, event: Any, depth: int) -> Any:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise _fault(event, f"more than {MOST_NODES} values: this is no problem file")
        if depth > DEEPEST:
            raise _fault(event, "lists and mappings are nested too deeply")
        if isinstance(event, yaml.AliasEvent):
            raise _fault(event, "aliases (*name) are not used here: name elements under lattice.define")
        if event.anchor is not None:
            raise _fault(event, "anchors (&name) are not used here: name elements under lattice.define")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        self._check_tag(event, "map" if isinstance(event, yaml.MappingStartEvent) else "seq")
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(inner := self._next(), yaml.SequenceEndEvent):
                items.append(self._value(inner, depth + 1))
            return items
        return self._mapping(depth)

    def _mapping(self, depth: int) -> Tree:
        found: Tree = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            kind = self._kind(event) if isinstance(event, yaml.ScalarEvent) and event.anchor is None else None
            if kind not in ("str", "null"):
                raise _fault(event, "a key is text")
            key = event.value
            if key in found:
                raise _fault(event, f"the key {key!r} comes twice")
            found[key] = self._value(self._next(), depth + 1)
        return found

    def _scalar(self, event: Any) -> Any:
        kind = self._kind(event)
        if kind not in _SCALARS:
            self._check_tag(event, "str")
        if found := _UNSEEN.search(event.value):
            raise _fault(event, f"the character {found.group()!r}, which no text may hold")
        try:
            return _SCALARS[kind](event.value)
        except ValueError as error:
            raise _fault(event, f"{_shortened(event.value)!r} is {error.args[0]}") from None

    @staticmethod
    def _kind(event: Any) -> str:
        """Tag of a scalar without its prefix."""
        if event.tag is not None and event.tag != "!":
            return event.tag.removeprefix(_PREFIX)
        if event.implicit[0] and event.tag is None:
            for tag, pattern in _IMPLICIT.get(event.value[:1], ()):
                if pattern.fullmatch(event.value):
                    return tag
        return "str"

    @staticmethod
    def _check_tag(event: Any, kind: str) -> None:
        if event.tag in (None, "!", _PREFIX + kind):
            return
        tag = f"!!{event.tag.removeprefix(_PREFIX)}" if event.tag.startswith(_PREFIX) else event.tag
        raise _fault(event, f"the tag {tag} is not allowed: a problem file holds numbers, text, lists and mappings")


def _whole(text: str) -> int:
    """A whole number of 64 bits: no more fits an array, and few digits are quickly read."""
    digits = text.replace("_", "")
    value = int(digits, 10) if len(digits) <= 20 else 1 << 63
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError("beyond the whole numbers of 64 bits")
    return value


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _number(text: str) -> float:
    """As written; what is beyond all numbers is infinite only if it says so."""
    text = text.replace("_", "")
    special = text.lower().lstrip("+-")
    if special in (".inf", ".nan"):
        return float(text.lower().replace(".", ""))
    value = float(text)
    if math.isinf(value):
        raise ValueError("beyond the numbers of 64 bits")
    return value


_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _whole,
    "float": _number,
    "str": str,
}


def _fault(event: Any, problem: str) -> Exception:
    return yaml.constructor.ConstructorError(None, None, problem, event.start_mark)


def _one_line(text: str) -> str:
    return " ".join(text.split())
