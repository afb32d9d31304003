"""Elegant's lattice files: elements, lines, and variables in reverse Polish notation.

A statement ends with its line, but for ``&`` at the end, which may break a token; ``!`` begins a comment, ``%`` a line
of RPN, which is carried out where it stands. A quoted number is RPN, too. Names may be quoted and hold colons. Strings
that name files or shell commands are not looked at. Sirepo wraps the text in a Python program: what it calls
``lattice_file`` is read.

``-line`` goes backwards, and its bends, too: their e1 and e2 change places, as in a chicane of elegant's own examples
that would otherwise not close. The report says so wherever it makes a difference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backbeam.errors import InputError
from backbeam.formulas import Formula, Variable, substitute
from backbeam.lattices.bracketed import DEEPEST, parts_of
from backbeam.lattices.choosing import Steps, check_size, some, the_line
from backbeam.lattices.description import Description, Item, LatticeError, Location, Note, Report
from backbeam.lattices.elegant_words import BENDS, IDLE, QUIET, WORDS, Attributes, Word, is_zero, type_named
from backbeam.lattices.rpn import evaluate_rpn
from backbeam.lattices.sources import Sources

NAME = r'(?:"(?P<quoted>[^"]+)"|(?P<plain>:{0,2}[^\s:",=()&]+(?::[^\s:",=()&]+)*?))'
STATEMENT = re.compile(rf"\s*{NAME}\s*:(?!:)\s*(?P<rest>.+)$", re.S)
TOKEN = re.compile(r'\s*("[^"]*"|[(),*]|-|[^\s"(),*-][^\s"(),*]*)')
ATTRIBUTE = re.compile(r'\s*"?(?P<name>[A-Za-z_][\w.\[\]]*)"?\s*(?:=\s*(?P<value>"[^"]*"|[^\s,"][^,"]*|))?\s*(?:,|$)')
TYPE = re.compile(r'\s*"?([^\s",]+)"?\s*(?:,|$)')


@dataclass(frozen=True)
class Element:
    """An element as it is defined."""

    name: str
    type: str
    word: str
    attributes: Attributes
    place: Location


@dataclass(frozen=True)
class Beamline:
    """A line as it is defined: parts with how often they come; a negative number goes backwards."""

    name: str
    parts: list[tuple[int, Any]]
    place: Location


class ElegantReader:
    """Reads elegant; see `backbeam.lattices.loading`."""

    suffixes = (".lte", ".ltx")

    def recognises(self, head: str) -> bool:
        """Whether there is a type of which only elegant has the short name."""
        return re.search(r"(?i):\s*\"?(drif|quad|sben|csbend|mark|kquad|csrcsbend|line\s*=)\b", head) is not None

    def read(self, sources: Sources, line: str | None) -> Description:
        """Describe a line."""
        file = _File(sources)
        for path in sources.paths:
            file.read(path)
        return file.describe(line)


READER = ElegantReader()


class _File:
    """What has been read: variables, elements and lines by name."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.variables: dict[str, Any] = {}
        self.elements: dict[str, Element] = {}
        self.lines: dict[str, Beamline] = {}
        self.used: str | None = None
        self.steps = Steps()
        self.expanded: dict[tuple[str, bool], list[Item]] = {}
        self.report = Report()

    # -- statements ----------------------------------------------------------------------------------------------

    def read(self, path: Path, depth: int = 0) -> None:
        """Carry out the statements of a file."""
        shown, text = self.sources.shown(path), _inner(self.sources.text(path))
        for number, statement in _statements(text):
            place = Location(shown, number)
            if statement.lower().startswith("#include"):
                called = statement.partition(":")[2].strip().strip('"')
                self.read(self.sources.called(called, path, place, depth + 1), depth + 1)
            elif statement.lower() == "return":
                return
            else:
                try:
                    self._statement(statement, place)
                except InputError as error:
                    raise LatticeError(place, str(error)) from None

    def _statement(self, statement: str, place: Location) -> None:
        if statement.startswith("%"):
            evaluate_rpn(statement[1:], self._names(), lambda name, value: self._store(name, value, place))
            return
        found = STATEMENT.match(statement)
        if found is None:
            word, _, rest = statement.partition(",")
            if word.strip().lower() == "use":
                self.used = _key(rest)
            else:
                self.report.dropped.append(Note(place, f"not a definition: {statement[:40]!r}"))
            return
        name = found["quoted"] or found["plain"]
        rest = found["rest"].rstrip().rstrip(";").rstrip()
        if re.match(r"(?i)\"?line\"?\s*=", rest):
            self.lines[_key(name)] = Beamline(name, _parts(rest.partition("=")[2], place), place)
            self.elements.pop(_key(name), None)
        else:
            self.elements[_key(name)] = self._element(name, rest, place)
            self.lines.pop(_key(name), None)

    def _names(self) -> dict[str, Any]:
        return {name: Variable(name) for name in self.variables}

    def _store(self, name: str, value: Any, place: Location) -> None:
        """Keep a variable; what was made of an older one of its name keeps the older value."""
        if name in self.variables:
            older = self.variables[name]

            def known(formula: Formula) -> Any:
                return older if formula == Variable(name) else None

            for key, formula in self.variables.items():
                self.variables[key] = substitute(formula, known)
            for element in self.elements.values():
                for key, formula in element.attributes.items():
                    element.attributes[key] = substitute(formula, known)
            value = substitute(value, known)
            self.report.guessed.append(Note(place, f"{name} is stored again: what stands before keeps its first value"))
        self.variables[name] = value

    def _element(self, name: str, text: str, place: Location) -> Element:
        head = TYPE.match(text)
        if head is None:
            raise LatticeError(place, f"{name} has no type")
        word, attributes = head[1], {}
        parent = self.elements.get(_key(word))
        type = type_named(word) if parent is None else parent.type
        if type is None:
            raise LatticeError(place, f"{name}: {word} is neither a type of elegant nor an element above")
        if parent is not None:
            attributes, word = dict(parent.attributes), parent.word
        at = head.end()
        while at < len(text):
            found = ATTRIBUTE.match(text, at)
            if found is None or found.end() == at:
                if not text[at:].strip(" \t\n,;"):
                    break
                raise LatticeError(place, f"{name}: {text[at : at + 30].strip()!r} is no attribute")
            at = found.end()
            if found["value"] is not None:
                attributes[found["name"].lower()] = self._value(found["name"], found["value"].strip(), place)
        return Element(name, type, word.lower(), attributes, place)

    def _value(self, name: str, text: str, place: Location) -> Any:
        """A number or formula; text where it is neither."""
        if name.lower() in TEXTS:
            return text.strip('"')
        quoted = text.startswith('"')
        try:
            return evaluate_rpn(text.strip('"'), self._names()) if text.strip('"').strip() else 0.0
        except InputError as error:
            if quoted and not re.match(r"[\s\d.+-]", text[1:]) and len(text.split()) == 1:
                return text.strip('"')
            raise LatticeError(place, f"{name}: {error}") from None

    # -- lines ---------------------------------------------------------------------------------------------------

    def describe(self, asked: str | None) -> Description:
        """The line that is asked for."""
        inside = {key for line in self.lines.values() for key in _named(line.parts)}
        chosen = _key(asked) if asked is not None else self.used if self.used in self.lines else None
        name = the_line(chosen, self.lines, inside, self.sources.paths[0])
        made: dict[tuple[str, bool], Item] = {}
        items: list[Item] = []
        self._expand(name, False, items, made, 0)
        self._tell(made, name)
        needed = self._needed(items)
        return Description(self.lines[name].name, items, needed, self.sources.reference, self.report)

    def _expand(self, key: str, backwards: bool, items: list[Item], made: dict[Any, Item], depth: int) -> None:
        line = self.lines[key]
        if depth > DEEPEST:
            raise LatticeError(line.place, f"lines in each other more than {DEEPEST} deep")
        if (key, backwards) not in self.expanded:
            inner: list[Item] = []
            self._add(line.parts, backwards, inner, made, depth, line.place)
            self.expanded[key, backwards] = inner
        items += self.expanded[key, backwards]
        check_size(len(items), line.place)

    def _add(self, parts: Any, backwards: bool, items: Any, made: Any, depth: int, place: Location) -> None:
        for times, part in reversed(parts) if backwards else parts:
            self.steps.step(place)
            start = len(items)
            turned = backwards != (times < 0)
            if isinstance(part, list):
                self._add(part, turned, items, made, depth + 1, place)
            elif part in self.lines:
                self._expand(part, turned, items, made, depth + 1)
            elif part in self.elements:
                items.append(self._item(part, turned, made))
            else:
                raise LatticeError(place, f"{part} is neither an element nor a line")
            check_size(len(items) + (len(items) - start) * (abs(times) - 1), place)
            items += items[start:] * (abs(times) - 1)

    def _item(self, key: str, turned: bool, made: dict[tuple[str, bool], Item]) -> Item:
        element = self.elements[key]
        attributes = element.attributes
        turned = turned and element.type in BENDS and any(attributes.get(a) != attributes.get(b) for a, b in ENDS)
        if (key, turned) not in made:
            if turned:
                self.report.guessed.append(Note(element.place, f"-{element.name}: backwards, with e1 and e2 exchanged"))
                swapped = {b: a for a, b in ENDS} | dict(ENDS)
                attributes = {swapped.get(n, n): v for n, v in attributes.items()}
            name = f"{element.name}_reversed" if turned else element.name
            made[key, turned] = self._made(name, element, attributes)
        return made[key, turned]

    def _made(self, name: str, element: Element, attributes: Attributes) -> Item:
        if element.type not in WORDS:
            rest = {n: v for n, v in attributes.items() if not isinstance(v, str)}
            rest = {"length" if n == "l" else n: v for n, v in rest.items()}
            return Item(name, element.word, rest, element.place, element.word)
        word = Word(element.type, attributes)
        for attribute, value in attributes.items():
            if isinstance(value, str) and value and attribute not in TEXTS | IDLE:
                self.report.dropped.append(Note(element.place, f"{name}: {attribute} = {value!r} is not looked at"))
        kind, found = WORDS[element.type](word)
        if element.type in ("rfca", "rfcw") and is_zero(attributes.get("change_p0", 0.0)):
            gains = not is_zero(found["voltage"]) and not is_zero(_remainder(attributes.get("phase", 0.0)))
            if gains:
                self.report.guessed.append(Note(element.place, f"{name}: CHANGE_P0 is 0, and P0 follows it here"))
        return Item(name, kind, found | word.rest, element.place, element.word)

    def _needed(self, items: list[Item]) -> dict[str, Any]:
        """Variables that the formulas of the items need."""
        waiting = [n for item in set(items) for v in item.attributes.values() for n in _variables(v)]
        found: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += _variables(self.variables[name])
        return {name: value for name, value in self.variables.items() if name in found}

    def _tell(self, made: dict[tuple[str, bool], Item], line: str) -> None:
        used = {key for key, _ in made}
        kinds: dict[str, list[str]] = {}
        for key in used:
            element = self.elements[key]
            if element.type in QUIET:
                kinds.setdefault(element.type, []).append(element.name)
            elif element.type in EFFECTS:
                kinds.setdefault(f"{element.type}'s {EFFECTS[element.type]}", []).append(element.name)
            elif element.type in ("scraper", "maxamp"):
                kinds.setdefault("apertures", []).append(element.name)
        for what, names in sorted(kinds.items()):
            reason = f", {QUIET[what]}" if what in QUIET else ""
            self.report.dropped.append(Note(None, f"{what}{reason}: {some(sorted(names), 5)}"))
        unused = [e.name for key, e in self.elements.items() if key not in used]
        if unused:
            self.report.unused.append(Note(None, f"{len(unused)} elements: {some(unused)}"))


ENDS = (("e1", "e2"), ("fint1", "fint2"), ("edge1_effects", "edge2_effects"))
EFFECTS = {"lscdrift": "space charge", "csrdrift": "radiation", "csrcsbend": "radiation", "rfcw": "wake"}
TEXTS = frozenset(
    """filename file inputfile command mode label group output_file zwakefile trwakefile wakefile parameters driver
    input_file co_filename profile_file name""".split()
)
"""Attributes that are text whatever they look like."""


def _remainder(phase: Any) -> Any:
    """The phase in half turns, of a number; anything else is not at a zero crossing."""
    return phase if isinstance(phase, Formula) else phase % 180.0


def _variables(value: Any) -> list[str]:
    if isinstance(value, list):
        return [n for v in value for n in _variables(v)]
    return sorted(value.names) if isinstance(value, Formula) else []


def _key(name: str) -> str:
    return name.strip().strip('"').lstrip(":").lower()


def _inner(text: str) -> str:
    """The lattice in a program of Sirepo's, on its own lines; any other text as it stands."""
    opened = re.search(r'(?m)^lattice_file\s*=\s*"""', text)
    if opened is None:
        return text
    end = text.find('"""', opened.end())
    return "\n" * text.count("\n", 0, opened.end()) + text[opened.end() : end if end >= 0 else None]


def _statements(text: str) -> list[tuple[int, str]]:
    """Statements with the numbers of their first lines; comments gone, and what ``&`` has broken put together."""
    found: list[tuple[int, str]] = []
    pending, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        piece = _uncommented(line).strip()
        if not piece:
            continue
        if not pending:
            first = number
        pending += piece
        if pending.endswith("&") and not pending.startswith("%"):
            pending = pending[:-1]
            continue
        found.append((first, pending))
        pending = ""
    return [*found, (first, pending)] if pending else found


def _uncommented(line: str) -> str:
    """A line up to the first ``!`` that is not quoted."""
    quoted = False
    for k, letter in enumerate(line):
        if letter == '"':
            quoted = not quoted
        elif letter == "!" and not quoted:
            return line[:k]
    return line


def _parts(text: str, place: Location) -> list[tuple[int, Any]]:
    """What stands between the brackets of a line: parts in turn, with how often each comes."""

    def leaf(word: str, at: int, factor: int) -> tuple[tuple[int, str], int]:
        if word.startswith('"-'):  # Sirepo quotes the sign with the name
            factor, word = -factor, word.replace("-", "", 1)
        return (factor, _key(word)), at

    return parts_of(text, place, TOKEN, leaf, lambda factor, inner: (factor, inner), "LINE=(part, part, ...)")


def _named(parts: list[tuple[int, Any]]) -> set[str]:
    """Names in a line."""
    return {name for _, part in parts for name in (_named(part) if isinstance(part, list) else {part})}
