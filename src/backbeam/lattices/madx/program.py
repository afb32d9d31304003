"""A MAD-X program as it runs: variables, elements, sequences and lines, and the commands that make them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from backbeam.errors import InputError
from backbeam.formulas import Formula, Variable, evaluate, in_order, operation
from backbeam.lattices.description import Description, LatticeError, Location, Note, Report
from backbeam.lattices.expressions import Dialect
from backbeam.lattices.madx.describing import describe
from backbeam.lattices.madx.editing import EDITS
from backbeam.lattices.madx.sequences import Definition, Entry, Group, Sequence
from backbeam.lattices.madx.text import Block, Loop, Macro, Plain, Source, pieces, statements
from backbeam.lattices.madx.words import (
    BASES,
    CONSTANTS,
    HARMLESS_COMMANDS,
    IDLE,
    LISTS,
    NAMES,
    NAMES_IN,
    SKIPPED,
    TELLING,
)
from backbeam.lattices.sources import Sources

MOST_TURNS = 50_000
"""Turns of loops, and statements in loops and macros: a program that runs longer is refused."""
_ASSIGNMENT = re.compile(
    r"(?:(?:const|real|int|shared)\s+)*([a-z_][\w.$#%]*)\s*(?:->\s*([a-z_]\w*)\s*)?(:?)\s*=(?!=)\s*(.*)", re.I | re.S
)
_DEFINITION = re.compile(r"([a-z_][\w.$#%]*|\"[^\"]+\"|'[^']+')\s*(?:\(([^()]*)\))?\s*:(?!\s*=)\s*(.*)", re.I | re.S)
_COMMAND = re.compile(r"([a-z_][\w.$#%]*|\"[^\"]+\"|'[^']+')\s*(?:,\s*(.*))?", re.I | re.S)
_LINE = re.compile(r"line\s*=\s*(.*)", re.I | re.S)
_ATTRIBUTE = re.compile(r"\s*([+-]?)\s*([a-z_][\w.]*)\s*(?:(:?)\s*=\s*(.*))?", re.I | re.S)
_TOKEN = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[A-Za-z_][\w.$#%]*(?:->\w+)?")
_EXEC = re.compile(r"([a-z_][\w.]*)\s*(?:\((.*)\))?\s*", re.I | re.S)
_COMPARISON = re.compile(r"(.*?)(<=|>=|==|<>|!=|<|>)(.*)", re.S)


class Stop(Exception):  # noqa: N818
    """The program ends here."""


class _Definitions:
    """What each variable is said to be that has no value yet."""

    def __init__(self, program: Program) -> None:
        self.program = program

    def get(self, name: str) -> Any:
        """Its formula, or its number."""
        known = self.program._known
        return known[name] if name in known else self.program.formula_of(name)


class Program:
    """What a MAD-X program has defined so far."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.variables: dict[str, Any] = {}
        self.elements: dict[str, Definition] = {}
        self.sequences: dict[str, Sequence] = {}
        self.lines: dict[str, Group] = {}
        self.macros: dict[str, Macro] = {}
        self.beams: dict[str, dict[str, Any]] = {}
        self.report = Report()
        self.skipped: dict[str, Location] = {}
        self.obstacles: list[tuple[Location, str, str]] = []
        self.undefined: dict[str, Location] = {}
        self.used: str | None = None
        self.range: str | None = None
        self.arc = True
        """Whether a rectangular bend's length is its chord, and the arc is what it takes."""
        self.open: Sequence | None = None
        self.edit: Sequence | None = None
        self.selected: list[dict[str, Any]] = []
        self.place = Location(str(sources.paths[0]))
        self._path = sources.paths[0]
        self._depth = 0
        self._turns = 0
        self._known: dict[str, Any] = {}
        self._parsed: dict[str, Any] = {}

    # -- values -------------------------------------------------------------------------------------------------------

    @cached_property
    def dialect(self) -> Dialect:
        """MAD-X's expressions: x/0 is 0, and some functions are of the program."""

        def guess(name: str) -> Any:
            def zero(*arguments: Any) -> float:
                self.report.guessed.append(Note(self.place, f"{name}() is taken for 0"))
                return 0.0

            return zero

        def exist(name: Any) -> float:
            return float(isinstance(name, Variable) and name.name in self.variables)

        names = ("table", "ranf", "gauss", "tgauss", "user0", "user1", "user2")
        functions = {name: guess(name) for name in names} | {"exist": exist}
        functions |= {"sinh": lambda x: operation("sinh", x), "pow": lambda x, y: operation("^", x, y)}
        return Dialect(zero_division=True, functions=functions, constants=CONSTANTS)

    def parse(self, text: str) -> Any:
        """Formula or number of a text; in a loop the same text comes again."""
        if text in self._parsed:
            return self._parsed[text]
        try:
            found = self.dialect.parse(text)
        except InputError as error:
            raise LatticeError(self.place, str(error)) from None
        if "exist" not in text.lower():
            self._parsed[text] = found
        return found

    def value(self, formula: Any) -> float:
        """Number that a formula stands for at this moment; what is not defined is 0."""
        if not isinstance(formula, Formula):
            return formula
        try:
            return evaluate(formula, self._value_of)
        except InputError as error:
            raise LatticeError(self.place, str(error)) from None
        except RecursionError:
            raise LatticeError(self.place, f"{formula}: variables that lead to each other, or too deeply") from None

    def _value_of(self, name: str) -> float:
        if name not in self._known:
            for each in in_order(_Definitions(self), (name,)):
                self._known[each] = evaluate(self.formula_of(each), self._known.__getitem__)
        return self._known[name]

    def formula_of(self, name: str) -> Any:
        """What a variable, or ``element->attribute``, was last said to be; 0 where nothing was said."""
        owner, arrow, attribute = name.partition("->")
        if arrow:
            found = self.elements[owner].attributes.get(attribute, 0.0) if owner in self.elements else 0.0
            return found if isinstance(found, Formula | float) else 0.0
        if name not in self.variables:
            self.undefined.setdefault(name, self.place)
            return 0.0
        return self.variables[name]

    # -- running ------------------------------------------------------------------------------------------------------

    def run_file(self, path: Path) -> None:
        """Run a file; ``stop`` ends the program."""
        before, self._path = self._path, path
        source = Source(self.sources.text(path, self.place if self._depth else None), self.sources.shown(path))
        try:
            self.run(Block(source, 0, len(source.text)))
        except Stop:
            if self._depth:
                raise
        self._path = before

    def run(self, block: Block) -> bool:
        """Run a block; False if it ended in ``return``."""
        for statement in statements(block):
            self.place = statement.place
            if self._depth:
                self._count()
            if isinstance(statement, Plain):
                word = statement.text[:8].lower().rstrip(" ,;")
                if word == "return":
                    return False
                if word in ("stop", "exit", "quit"):
                    raise Stop
                self.statement(statement.text)
            elif isinstance(statement, Macro):
                self.macros[statement.name] = statement
            elif isinstance(statement, Loop):
                while self.holds(statement.condition):
                    self._count()
                    if not self._below(statement.block):
                        return False
                    self.place = statement.place
            else:
                chosen = next((b for c, b in statement.cases if c is None or self.holds(c)), None)
                if chosen is not None and not self._below(chosen):
                    return False
        return True

    def _count(self) -> None:
        self._turns += 1
        if self._turns > MOST_TURNS:
            raise LatticeError(self.place, f"more than {MOST_TURNS} statements in loops and macros")

    def _below(self, block: Block) -> bool:
        self._depth += 1
        if self._depth > 50:
            raise LatticeError(self.place, "blocks, macros and files are nested more than 50 deep")
        went_on = self.run(block)
        self._depth -= 1
        return went_on

    def holds(self, condition: str) -> bool:
        """Whether a condition holds: comparisons, with && binding closer than ||."""
        for sign, join in (("||", any), ("&&", all)):
            parts = condition.split(sign)
            if len(parts) > 1:
                return join(self.holds(part) for part in parts)
        condition = condition.strip()
        found = _COMPARISON.fullmatch(condition)
        if found is None and condition.startswith("(") and condition.endswith(")"):
            return self.holds(condition[1:-1])
        if found is None:
            raise LatticeError(self.place, f"the condition {condition[:60]!r} is no comparison")
        a, b = self.value(self.parse(found[1])), self.value(self.parse(found[3]))
        return {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b, "==": a == b}.get(found[2], a != b)

    def execute(self, text: str) -> None:
        """``exec, macro(a, b)``: the macro's text, in which its parameters are replaced, runs."""
        found = _EXEC.fullmatch(text)
        if found is None or found[1].lower() not in self.macros:
            raise LatticeError(self.place, f"exec, {text[:60]}: there is no such macro")
        macro = self.macros[found[1].lower()]
        actual = [a.strip() for a in pieces(found[2] or "") if a.strip()]
        if len(actual) < len(macro.formals):
            raise LatticeError(self.place, f"the macro {macro.name} takes {len(macro.formals)} arguments")
        body = macro.block.text
        for formal, argument in zip(macro.formals, actual, strict=False):
            argument = self._argument(argument, macro.name)
            body = re.sub(re.escape(formal), argument.replace("\\", r"\\"), body, flags=re.I)
            if len(body) > 1_000_000:
                raise LatticeError(self.place, f"the macro {macro.name} grows without end")
        source = Source(body, macro.place.file, macro.place.line)
        self._below(Block(source, 0, len(source.text)))

    def _argument(self, text: str, macro: str) -> str:
        """What MAD-X puts in: the first number or name of an argument; 0 where it begins with anything else."""
        if text.startswith("$"):
            return f"{self._value_of(text[1:].lower()):.12g}"
        token = _TOKEN.match(text)
        found = "0" if token is None or text[token.end() :].lstrip().startswith("(") else token[0]
        if found != text:
            self.report.guessed.append(Note(self.place, f"exec, {macro}: MAD-X takes {text[:40]!r} for {found}"))
        return found

    # -- statements ---------------------------------------------------------------------------------------------------

    def statement(self, text: str) -> None:
        """One statement."""
        if found := _ASSIGNMENT.fullmatch(text):
            self.assign(found[1].lower(), found[2], self.parse(found[4]), late=found[3] == ":")
        elif found := _DEFINITION.fullmatch(text):
            self.define(unquoted(found[1]), found[2], found[3])
        elif found := _COMMAND.fullmatch(text):
            self.command(unquoted(found[1]), found[2] or "")
        else:
            raise LatticeError(self.place, f"{text[:60]!r} is no statement of MAD-X")

    def assign(self, name: str, attribute: str | None, formula: Any, late: bool) -> None:
        """``a = b`` takes the value of now, ``a := b`` the formula; ``q->k1 = b`` sets an attribute."""
        found = formula if late else float(self.value(formula))
        if attribute is None:
            if name in CONSTANTS:
                self.report.guessed.append(Note(self.place, f"{name} is a constant, and stays what it is"))
                return
            self.variables[name] = found
        elif name in self.elements:
            self.elements[name].attributes[attribute.lower()] = found
        elif name in self.sequences:
            self.sequences[name].attributes[attribute.lower()] = found
        else:
            raise LatticeError(self.place, f"{name}->{attribute}: there is no element {name}")
        self._known.clear()

    def attributes(self, text: str, names: frozenset[str] = NAMES) -> dict[str, Any]:
        """Attributes of a statement: numbers, formulas, lists of them, or names."""
        found: dict[str, Any] = {}
        for piece in pieces(text):
            if not piece.strip():
                continue
            match = _ATTRIBUTE.fullmatch(piece)
            if match is None:
                raise LatticeError(self.place, f"{piece.strip()[:60]!r} is no attribute")
            sign, name, late, value = match[1], match[2].lower(), match[3] == ":", match[4]
            if value is None:
                found[name] = 0.0 if sign == "-" else 1.0
            elif name in names or (name in IDLE - {"at"} and value[:1] in "\"'"):
                found[name] = unquoted(value.strip()) if name != "file" else value.strip().strip("\"'")
            elif value.startswith("{") and name in LISTS:
                inner = [p for p in pieces(value.strip().removeprefix("{").removesuffix("}"))]
                found[name] = [self._settled(p, late) for p in inner if p.strip()]
            else:
                found[name] = self._settled(value, late)
        return found

    def _settled(self, text: str, late: bool) -> Any:
        formula = self.parse(text.strip())
        return formula if late else float(self.value(formula))

    def define(self, name: str, formals: str | None, text: str) -> None:
        """``name: class, attributes``, also of sequences and lines."""
        if found := _LINE.fullmatch(text):
            names = [f.strip().lower() for f in (formals or "").split(",") if f.strip()]
            self.lines[name] = Group(names, found[1].strip(), self.place)
            return
        word, _, rest = text.partition(",")
        word = unquoted(word.strip())
        if word in ("beta0", "constraint", *HARMLESS_COMMANDS, *SKIPPED):
            self.skip(word)
            return
        given = self.attributes(rest)
        if word == "beam":
            self.beams.setdefault(given.get("sequence", ""), {}).update(given)
        elif word == "sequence":
            self.open = self.sequences[name] = Sequence(name, given, self.place)
        elif self.open is not None:
            where = _where(given)
            if word not in self.sequences:
                self.new_element(name, word, given)
            self.put(name if word not in self.sequences else word, where)
        else:
            self.new_element(name, word, given)

    def new_element(self, name: str, word: str, given: dict[str, Any]) -> None:
        """An element of a kind of MAD-X, or like another: a copy of what that is now."""
        if word in self.elements:
            model = self.elements[word]
            both, classes = {**model.attributes, **given}, (word, *model.classes)
            self.elements[name] = Definition(name, model.base, both, self.place, classes)
        elif word in BASES:
            self.elements[name] = Definition(name, BASES[word], given, self.place, (word,))
        else:
            raise LatticeError(self.place, f"{name}: {word[:60]} is no kind of element, and no element")
        self._known.clear()

    def put(self, name: str, where: dict[str, Any]) -> None:
        """Location an element in the open sequence."""
        assert self.open is not None
        if "at" not in where or isinstance(where["at"], list):
            raise LatticeError(self.place, f"{name} is in the sequence {self.open.name} without a place at")
        if name not in self.elements and name in BASES:
            self.new_element(name, name, {})
        if name not in self.elements and name not in self.sequences:
            raise LatticeError(self.place, f"{name} is placed in {self.open.name} and is defined nowhere")
        self.open.entries.append(Entry(name, where["at"], where.get("from"), self.place))

    def command(self, word: str, text: str) -> None:
        """A command of MAD-X, or an element that is placed or changed."""
        if word == "exec":
            self.execute(text)
            return
        if word == "endsequence":
            self.open = None
            return
        if word in HARMLESS_COMMANDS:
            return
        if word in SKIPPED:
            self.skip(word)
            return
        if word in TELLING:
            self.obstacles.append((self.place, word, TELLING[word]))
            return
        if word == "select" and "seqedit" not in text.lower():
            self.skip(word)
            return
        given = self.attributes(text, NAMES_IN.get(word, NAMES))
        if word in COMMANDS:
            COMMANDS[word](self, given)
        elif word in EDITS and self.open is None:
            EDITS[word](self, given)
        elif self.open is not None:
            where = _where(given)
            if word in self.elements:
                self.elements[word].attributes.update(given)
            self.put(word, where)
        elif word in self.elements:
            self.elements[word].attributes.update(given)
            self._known.clear()
        elif word in self.sequences:
            self.sequences[word].attributes.update(given)
        elif word not in self.variables and word not in self.lines:
            self.report.guessed.append(Note(self.place, f"{word[:60]}: not known, and passed over"))

    def skip(self, word: str) -> None:
        """Remember a command that is not carried out."""
        self.skipped.setdefault(word, self.place)

    # -- commands -----------------------------------------------------------------------------------------------------

    def beam(self, given: dict[str, Any]) -> None:
        """The reference particle, of all sequences or of one."""
        self.beams.setdefault(given.get("sequence", ""), {}).update(given)

    def resbeam(self, given: dict[str, Any]) -> None:
        """Forget it."""
        self.beams.pop(given.get("sequence", ""), None)

    def use(self, given: dict[str, Any]) -> None:
        """Which sequence or line is meant."""
        self.used, self.range = given.get("sequence") or given.get("period"), given.get("range")

    def option(self, given: dict[str, Any]) -> None:
        """Only what rectangular bends' lengths mean."""
        self.arc = bool(given.get("rbarc", self.arc))

    def set(self, given: dict[str, Any]) -> None:
        """``set, sequence=`` is like ``use``."""
        self.used = given.get("sequence", self.used)

    def call(self, given: dict[str, Any]) -> None:
        """Run another file."""
        self._depth += 1
        path = self.sources.called(str(given.get("file", "")), self._path, self.place, self._depth)
        self.run_file(path)
        self._depth -= 1

    def select(self, given: dict[str, Any]) -> None:
        """Elements that an editing command means; other selections are for tables."""
        if given.get("flag") == "seqedit":
            self.selected = [] if given.get("clear") else [*self.selected, given]

    def seqedit(self, given: dict[str, Any]) -> None:
        """Begin to edit a sequence."""
        name = given.get("sequence", "")
        if name not in self.sequences:
            raise LatticeError(self.place, f"seqedit: there is no sequence {name}")
        self.edit = self.sequences[name]

    def endedit(self, given: dict[str, Any]) -> None:
        """End to edit it."""
        self.edit = None

    # -- what it comes to ---------------------------------------------------------------------------------------------

    def describe(self, line: str | None) -> Description:
        """The line of that name, or the one in use, or the only one."""
        return describe(self, line)


COMMANDS: dict[str, Callable[[Program, dict[str, Any]], None]] = {
    "beam": Program.beam,
    "resbeam": Program.resbeam,
    "use": Program.use,
    "set": Program.set,
    "option": Program.option,
    "call": Program.call,
    "select": Program.select,
    "seqedit": Program.seqedit,
    "endedit": Program.endedit,
}
"""Commands that are carried out, besides those that edit a sequence."""


def unquoted(text: str) -> str:
    """A name as MAD-X keeps it."""
    return text.strip().strip("\"'").strip().lower()


def _where(given: dict[str, Any]) -> dict[str, Any]:
    """Take out of some attributes those that say the place in a sequence."""
    return {key: given.pop(key) for key in ("at", "from") if key in given}
