"""Bmad's lattices: elements, lines, superpositions; overlays and groups as knobs; multipass lines unrolled.

An expression is evaluated where it stands, so a parameter of another element (``q1[k1]``) is what it was there.
Variables stay knobs, and those of controllers as ``controller.variable``. An overlay determines a parameter, a group
adds its change to it. Elements of a multipass line are one on every pass, but for what is said of ``name\\2`` alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path
from typing import Any

from backbeam.errors import InputError
from backbeam.formulas import Formula, Property, Variable, evaluate, operation, substitute
from backbeam.lattices.bmad_text import Part, line_parts, split, statements
from backbeam.lattices.bmad_words import WORDS, Word, is_zero, type_named
from backbeam.lattices.bracketed import DEEPEST
from backbeam.lattices.choosing import Steps, check_size, some, the_line
from backbeam.lattices.description import Description, Item, LatticeError, Location, Note, Report, reference_particle
from backbeam.lattices.expressions import Dialect
from backbeam.lattices.pals_words import species_of
from backbeam.lattices.sources import Sources
from backbeam.lattices.superimposing import SHARE, Piece, Request, superimpose
from backbeam.reference import Reference
from backbeam.species import ELECTRON_MASS, KNOWN, PROTON_MASS, SPEED_OF_LIGHT, Species

DEFINITION = re.compile(r"\s*([^\s:=,(){}\[\]]+)\s*(\([^()]*\))?\s*:\s*(?!:|=)(.+)$", re.S)
ATTRIBUTE = re.compile(r"\s*([^\s=\[\]]+?)\s*\[\s*([^\[\]]+?)\s*\]\s*:?=\s*(.+)$", re.S)
VALUE = re.compile(r"\s*(?:redef\s*:\s*)?([A-Za-z_][\w.$#%]*)\s*:?=\s*(.+)$", re.S | re.I)
FIELD = re.compile(r"\s*([A-Za-z_][\w%]*(?:\([^()]*\))?)\s*=\s*(.*)$", re.S)
OF_SPECIES = re.compile(r"\b(mass_of|charge_of)\s*\(\s*\"?([^()\"]*)\"?\s*\)", re.I)
RANDOM = re.compile(r"\bran(?:_gauss)?\s*\([^()]*\)", re.I)
UNITS = {
    "pi": math.pi, "twopi": 2.0 * math.pi, "fourpi": 4.0 * math.pi, "e": math.e, "e_log": math.e,
    "sqrt_2": math.sqrt(2.0),
    "degrad": 180.0 / math.pi, "degrees": math.pi / 180.0, "raddeg": math.pi / 180.0, "m_electron": ELECTRON_MASS,
    "m_proton": PROTON_MASS, "m_muon": 105658375.5, "e_mass": ELECTRON_MASS * 1e-9, "p_mass": PROTON_MASS * 1e-9,
    "emass": ELECTRON_MASS * 1e-9, "pmass": PROTON_MASS * 1e-9, "c_light": SPEED_OF_LIGHT, "clight": SPEED_OF_LIGHT,
    "r_e": 2.8179403262e-15, "r_p": 1.5346982671888944e-18, "e_charge": 1.602176634e-19, "h_planck": 4.135667696e-15,
}  # fmt: skip
"""Names that every file knows; Bmad's degrad is degrees in a radian."""
FUNCTIONS = {
    "int": lambda a: operation("trunc", a),
    "nint": lambda a: operation("round", a),
    "ceiling": lambda a: operation("ceil", a),
}
COMMANDS = """no_digested parser_debug print title expand_lattice use_local_lat_file write_digested calc_reference_orbit
    debug_marker bmad_version end_file root_sub no_superimpose""".split()
GLOBAL = frozenset("bmad_com space_charge_com csr_param ptc_com beam_start particle_start beam_init global".split())
OURS = {"muon": "muon-", "antimuon": "muon+", "deuteron": "deuteron", "he++": "alpha"}
LOGICAL = re.compile(r"(?i)\.?(t|f|true|false)\.?")


class BmadReader:
    """Reads Bmad; see `backbeam.lattices.loading`."""

    suffixes = (".bmad", ".lat")

    def recognises(self, head: str) -> bool:
        """Whether parameters of the lattice are set as Bmad sets them."""
        return re.search(r"(?im)^\s*(parameter|beginning|bmad_com)\s*\[", head) is not None

    def read(self, sources: Sources, line: str | None) -> Description:
        """Describe the line in use, or another."""
        lattice = _Lattice(sources)
        for path in sources.paths:
            lattice.run(path)
        return lattice.describe(line)


READER = BmadReader()


class _Element:
    """An element as it is defined."""

    def __init__(self, name: str, type: str, attributes: dict[str, Any], place: Location) -> None:
        self.name, self.type, self.attributes, self.place = name, type, attributes, place


class _Lattice:
    """What the statements have said so far."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.place = Location(str(sources.paths[0]))
        self.variables: dict[str, Any] = dict(UNITS)
        self.elements: dict[str, _Element] = {}
        self.lines: dict[str, tuple[tuple[str, ...], list[Part], bool, Location]] = {}
        self.lists: dict[str, list[str]] = {}
        self.parameters: dict[str, Any] = {}
        self.controls: list[tuple[bool, str, str, Any]] = []
        self.used: str | None = None
        self.steps = Steps()
        self.report = Report()
        self.skipped: dict[str, Location] = {}
        self.dialect = Dialect(functions=FUNCTIONS)

    # -- statements ----------------------------------------------------------------------------------------------

    def run(self, path: Path, depth: int = 0) -> None:
        """Carry out a file."""
        shown = self.sources.shown(path)
        for number, statement in statements(self.sources.text(path)):
            self.place = Location(shown, number)
            word = next(iter(statement.replace(",", " ").split()), "").lower()
            if word in ("end_file", "return"):
                return
            if word == "call" and (called := re.search(r"(?i)file\s*=\s*(\S.*)$", statement)):
                name = called[1].strip().strip("\"'")
                self.run(self.sources.called(name, path, self.place, depth + 1), depth + 1)
                continue
            try:
                self._statement(statement, word)
            except InputError as error:
                raise LatticeError(self.place, str(error)) from None

    def _statement(self, text: str, word: str) -> None:
        if found := DEFINITION.match(text):
            if found[1].lower() != "redef":
                self._definition(found[1].lower(), found[2], found[3].strip())
                return
        if found := ATTRIBUTE.match(text):
            self._assign(found[1].lower(), found[2].lower(), found[3].strip())
        elif word == "use":
            self.used = text.partition(",")[2].split(",")[0].strip().lower()
        elif word == "beam":
            for key, value in self._fields(split(text)[1:]):
                self.parameters[{"energy": "e_tot", "pc": "p0c"}.get(key, key)] = (
                    value if isinstance(value, str) else 1e9 * value if key in ("energy", "pc") else value
                )
        elif word in COMMANDS or word in ("*", ""):
            if word not in ("no_digested", "title", "expand_lattice", ""):
                self.skipped.setdefault(word, self.place)
        elif found := VALUE.match(text):
            self.variables[found[1].lower()] = self._value(found[2])
        else:
            self.skipped.setdefault(word[:30], self.place)

    def _definition(self, name: str, arguments: str | None, rest: str) -> None:
        line = re.match(r"(?i)line\s*(\[\s*multipass\s*\])?\s*=\s*(.*)$", rest, re.S)
        if line:
            formals = tuple(a.strip().lower() for a in arguments.strip("()").split(",")) if arguments else ()
            self.lines[name] = (formals, line_parts(line[2], self.place), bool(line[1]), self.place)
        elif chosen := re.match(r"(?i)list\s*=\s*(.*)$", rest, re.S):
            parts = line_parts(chosen[1], self.place)
            if not all(isinstance(p.what, str) for p in parts):
                raise LatticeError(self.place, f"{name}: a list holds names")
            self.lists[name] = [p.what for p in parts for _ in range(min(abs(p.times), 10_000))]
        elif control := re.match(r"(?i)(overlay|group|girder|ramper)\s*=\s*\{(.*?)\}\s*(.*)$", rest, re.S):
            self._control(control[1].lower(), name, control[2], control[3].lstrip(" ,"))
        else:
            self._element(name, rest)

    def _element(self, name: str, rest: str) -> None:
        word, *fields = split(rest)
        word = word.strip().lower()
        parent = self.elements.get(word)
        type = parent.type if parent is not None else type_named(word)
        if type is None:
            raise LatticeError(self.place, f"{name}: {word[:40]} is neither a type of Bmad nor an element above")
        attributes = dict(parent.attributes) if parent is not None else {}
        self.elements[name] = _Element(name, type, attributes, self.place)
        for key, value in self._fields(fields):
            attributes[key] = value

    def _fields(self, fields: list[str]) -> Iterator[tuple[str, Any]]:
        """Attributes with their values; one without is switched on."""
        for field in fields:
            if found := FIELD.match(field):
                key = found[1].lower()
                yield key, self._field(key, found[2].strip())
            elif field.strip():
                yield field.strip().lower(), "t"

    def _field(self, key: str, text: str) -> Any:
        if key in TEXTS or LOGICAL.fullmatch(text) or text[:1] in "\"'{" or "::" in text:
            return text.strip("\"'").lower()
        if re.fullmatch(r"[A-Za-z_][\w.]*", text) and text.lower() not in self.variables:
            return text.lower()
        return self._value(text)

    def _assign(self, name: str, key: str, text: str) -> None:
        if name in ("parameter", "beginning"):
            self.parameters[key] = self._field(key, text)
            return
        if name in GLOBAL or name in self.lines:
            return
        if f"{name}.{key}" in self.variables:  # of a controller
            self.variables[f"{name}.{key}"] = self._value(text)
            return
        key = re.sub(r"%.*", "", key)
        for element in self._matching(name):
            element.attributes[key] = self._field(key, text)

    def _matching(self, pattern: str) -> list[_Element]:
        """Elements of a name or of a pattern, of one type if it says so."""
        kind, _, names = pattern.rpartition("::")
        if "##" in names:
            raise LatticeError(self.place, f"{pattern}: one occurrence of an element is not told from another")
        names, _, number = names.partition("\\")
        type = type_named(kind) if kind else None
        if "*" not in names and "%" not in names:
            if names not in self.elements:
                raise LatticeError(self.place, f"{names} is not an element")
            found = [self.elements[names]]
        else:
            names = names.replace("%", "?").replace("[", "[[]")
            found = [e for n, e in self.elements.items() if fnmatchcase(n, names) and type in (None, e.type)]
        return [self._pass(e, number) for e in found] if number else found

    def _pass(self, element: _Element, number: str) -> _Element:
        """An element as it is on one pass only."""
        name = f"{element.name}\\{number}"
        if name not in self.elements:
            self.elements[name] = _Element(name, element.type, dict(element.attributes), element.place)
        return self.elements[name]

    # -- values --------------------------------------------------------------------------------------------------

    def _value(self, text: str) -> Any:
        """A number or formula, with parameters of elements as they are now."""
        text = text.strip().rstrip(",")
        if RANDOM.search(text):
            self.report.guessed.append(Note(self.place, f"{text}: a random number is 0 here"))
            text = RANDOM.sub("0", text)

        def number(found: re.Match[str]) -> str:
            species = _species(found[2])
            return repr(species.mass if found[1].lower() == "mass_of" else species.charge_number)

        def known(part: Formula) -> Any:
            if isinstance(part, Property):
                if part.owner in ("parameter", "beginning"):
                    value = self.parameters.get(part.name, 0.0)
                elif part.owner in self.elements:
                    value = self.elements[part.owner].attributes.get(part.name, 0.0)
                else:
                    raise InputError("expression", text, f"parameters of elements: there is no {part.owner}")
                return 0.0 if isinstance(value, str) else value
            if isinstance(part, Variable) and part.name in UNITS:
                return self.variables[part.name]
            if isinstance(part, Variable) and part.name not in self.variables:
                raise InputError("expression", text, f"variables that are defined above: there is no {part.name}")
            return None

        return substitute(self.dialect.parse(OF_SPECIES.sub(number, text)), known)

    def _number(self, value: Any) -> float:
        """What a formula is worth."""
        if isinstance(value, str):
            raise LatticeError(self.place, f"{value[:60]!r} is no number")
        return float(evaluate(value, lambda name: self._number(self.variables[name])))

    # -- controllers ---------------------------------------------------------------------------------------------

    def _control(self, kind: str, name: str, slaves: str, rest: str) -> None:
        """Overlays and groups: what they control, by which expression of their variables."""
        if kind in ("girder", "ramper"):
            self.skipped.setdefault(kind, self.place)
            return
        fields = split(rest)
        listed = next((re.search(r"\{(.*)\}", f) for f in fields if re.match(r"(?i)\s*var\s*=", f)), None)
        own = [v.strip().lower() for v in listed[1].split(",")] if listed else []
        values = dict(pair for pair in self._fields([f for f in fields if not re.match(r"(?i)\s*var\s*=", f)]))
        if not own:  # the old way: the variable is named as what it controls
            own = [n for n, v in values.items() if not isinstance(v, str)][:1] or ["command"]
        for variable in own:
            value = values.get(variable, 0.0)
            self.variables[f"{name}.{variable}"] = 0.0 if isinstance(value, str) else value
        mine = {v: Variable(f"{name}.{v}") for v in own}
        outside = dict(self.variables)
        self.variables |= dict.fromkeys(own, 0.0)
        try:
            for slave in split(slaves):
                target, _, text = slave.partition(":")
                found = re.fullmatch(r"\s*([^\s\[\]]+)\s*(?:\[\s*([^\[\]]+?)\s*\])?\s*", target)
                if found is None:
                    raise LatticeError(self.place, f"{name}: {target.strip()[:40]!r} is nothing that can be controlled")
                formula = self._value(text) if text.strip() else 1.0
                formula = substitute(formula, lambda p: mine.get(p.name) if isinstance(p, Variable) else None)
                if not isinstance(formula, Formula) or not formula.names & {v.name for v in mine.values()}:
                    formula = formula * mine[own[0]]
                key = (found[2] or own[0]).lower()
                self.controls.append((kind == "group", found[1].lower(), key, formula))
        finally:
            self.variables = outside

    def _carry_out(self) -> None:
        """Overlays on one parameter add up; groups add their change to what there is."""
        absolute: dict[tuple[str, str], Any] = {}
        for _, target, key, formula in (c for c in self.controls if not c[0]):
            if f"{target}.{key}" in self.variables:
                self.variables[f"{target}.{key}"] = formula
                continue
            for element in self._matching(target):
                absolute[element.name, key] = formula + absolute.get((element.name, key), 0.0)
        for (name, key), formula in absolute.items():
            self.elements[name].attributes[key] = formula
        for _, target, key, formula in (c for c in self.controls if c[0]):
            change = formula - self._number(formula)
            if f"{target}.{key}" in self.variables:
                self.variables[f"{target}.{key}"] = self.variables[f"{target}.{key}"] + change
                continue
            for element in self._matching(target):
                old = element.attributes.get(key, 0.0)
                element.attributes[key] = change + (0.0 if isinstance(old, str) else old)

    # -- the line ------------------------------------------------------------------------------------------------

    def describe(self, asked: str | None) -> Description:
        """The line that is asked for or in use."""
        try:
            self._carry_out()
        except InputError as error:
            raise LatticeError(self.place, str(error)) from None
        inside = {n for _, parts, _, _ in self.lines.values() for n in _named(parts)}
        chosen = asked.lower() if asked is not None else self.used if self.used in self.lines else None
        name = the_line(chosen, self.lines, inside, self.sources.paths[0])
        self.turn: dict[str, int] = {}
        self.passes: dict[str, int] = {}
        self.simple = not self.lists and not any(formals or multi for formals, _, multi, _ in self.lines.values())
        self.known: dict[tuple[str, bool], list[str]] = {}
        names = self._expanded(name, False, {}, 0, None)
        reference = self._reference()
        pieces = self._superimposed([Piece(n) for n in names], reference)
        made: dict[Piece, Item] = {}
        for piece in pieces:
            if piece not in made:
                made[piece] = self._item(piece, reference, made)
        items = [made[p] for p in pieces]
        self._tell({p.name for p in pieces})
        return Description(name, items, self._needed(items), reference or self.sources.reference, self.report)

    def _expanded(self, name: str, backwards: bool, given: dict[str, str], depth: int, within: int | None) -> list[str]:
        _, parts, multipass, place = self.lines[name]
        if depth > DEEPEST:
            raise LatticeError(place, f"lines in each other more than {DEEPEST} deep")
        if multipass and within is None:
            within = self.passes[name] = self.passes.get(name, 0) + 1
        if not self.simple:
            return self._parts(parts, backwards, given, depth, within, place)
        if (name, backwards) not in self.known:
            self.known[name, backwards] = self._parts(parts, backwards, given, depth, within, place)
        return self.known[name, backwards]

    def _parts(
        self, parts: list[Part], backwards: bool, given: Any, depth: int, within: Any, place: Location
    ) -> list[str]:
        found: list[str] = []
        for part in reversed(parts) if backwards else parts:
            for _ in range(abs(part.times)):
                found += self._part(part, backwards != (part.times < 0), given, depth, within, place)
                check_size(len(found), place)
        return found

    def _part(
        self, part: Part, backwards: bool, given: dict[str, str], depth: int, within: Any, place: Location
    ) -> list[str]:
        self.steps.step(place)
        if isinstance(part.what, list):
            return self._parts(part.what, backwards, given, depth + 1, within, place)
        name = given.get(part.what, part.what)
        if name in self.lines:
            formals = self.lines[name][0]
            if len(formals) != len(part.arguments):
                raise LatticeError(place, f"{name} takes {len(formals)} arguments")
            inner = dict(zip(formals, (given.get(a, a) for a in part.arguments), strict=True))
            return self._expanded(name, backwards, inner, depth + 1, within)
        if name in self.lists:
            k = self.turn[name] = self.turn.get(name, -1) + 1
            return self._part(
                Part(1, self.lists[name][k % len(self.lists[name])]), backwards, given, depth + 1, within, place
            )
        if name not in self.elements:
            raise LatticeError(place, f"{name} is neither an element nor a line")
        one = f"{name}\\{within}"
        return [one if within is not None and one in self.elements else name]

    def _superimposed(self, pieces: list[Piece], reference: Reference | None) -> list[Piece]:
        requests = []
        for element in self.elements.values():
            given, self.place = element.attributes, element.place
            if str(given.get("superimpose", "f")).startswith("t"):
                of_ref, of_own = (str(given.get(k, "center")) for k in ("ref_origin", "ele_origin"))
                if not {of_ref, of_own} <= set(SHARE):
                    raise LatticeError(element.place, f"{element.name}: an origin is beginning, center or end")
                ref = given.get("ref")
                offset = self._number(given.get("offset", 0.0))
                requests.append(Request(element.name, ref and str(ref), offset, of_ref, of_own, element.place))
        if not requests:
            return pieces
        lengths: dict[str, float] = {}

        def length(name: str) -> float:
            if name not in lengths:
                found = self._words(self.elements[name], reference)[1].get("length", 0.0)
                lengths[name] = self._number(found)
            return lengths[name]

        def gives_way(name: str) -> bool:
            return self.elements[name].type in ("drift", "pipe", "marker", "monitor", "instrument")

        return superimpose(pieces, requests, length, gives_way)

    def _words(self, element: _Element, reference: Reference | None) -> tuple[str, dict[str, Any]]:
        self.place = element.place
        word = Word(element.type, element.attributes, element.place, reference)
        if element.type not in WORDS:
            return element.type, {"length": word.get("l")} | word.rest
        kind, found = WORDS[element.type](word)
        return kind, found | word.opening() | word.rest

    def _item(self, piece: Piece, reference: Reference | None, made: dict[Piece, Item]) -> Item:
        element = self.elements[piece.name]
        kind, found = self._words(element, reference)
        name: str | None = piece.name.replace("\\", "_pass")
        if (piece.begin, piece.end) != (0.0, 1.0):
            if kind == "drift":
                name = None
            elif kind in ("quadrupole", "sextupole", "octupole", "bend", "monitor", "multipole", "solenoid"):
                name = f"{name}#{sum(p.name == piece.name for p in made) + 1}"
            else:
                raise LatticeError(element.place, f"{element.name} is cut by what is put on top of it")
            share = piece.end - piece.begin
            found = {**found, **{k: share * found[k] for k in ("length", "angle") if k in found}}
            if piece.begin > 0.0:
                found |= dict.fromkeys(("e1", "fint", "hgap"), 0.0) if kind == "bend" else {}
            if piece.end < 1.0:
                found |= dict.fromkeys(("e2", "fintx", "hgapx"), 0.0) if kind == "bend" else {}
            if set(found) & {"yaw", "pitch", "ds"}:
                raise LatticeError(element.place, f"{element.name} is displaced and cut by what is put on top of it")
        if kind == "cavity" and not is_zero(found.get("voltage", 0.0)) and element.type == "rfcavity":
            self.report.guessed.append(Note(element.place, f"{element.name}: the energy of the reference follows it"))
        return Item(name, kind, found, element.place, element.type)

    def _reference(self) -> Reference | None:
        """The reference particle, a positron unless the file says another."""
        found = {
            k: self._number(v) for k in ("p0c", "e_tot") if not isinstance(v := self.parameters.get(k), str | None)
        }
        if not found:
            return None
        try:
            species = _species(str(self.parameters.get("particle", "positron")))
            return reference_particle(species, momentum=found.get("p0c"), energy=found.get("e_tot"))
        except InputError as error:
            raise LatticeError(str(self.sources.paths[0]), str(error)) from None

    def _needed(self, items: list[Item]) -> dict[str, Any]:
        waiting = [n for item in set(items) for v in item.attributes.values() for n in _names(v)]
        found: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += _names(self.variables[name])
        return {n: v for n, v in self.variables.items() if n in found}

    def _tell(self, used: set[str]) -> None:
        report = self.report
        report.dropped += [Note(place, f"{word}: not carried out") for word, place in self.skipped.items()]
        unused = [n for n in self.elements if n not in used]
        if unused:
            report.unused.append(Note(None, f"{len(unused)} elements: {some(unused)}"))


TEXTS = frozenset(
    """type alias descrip ref ref_origin ele_origin to_line to_element tracking_method mat6_calc_method field_calc
    geometry particle lattice machine aperture_at aperture_type cavity_type fringe_type fringe_at field_master
    superimpose default_tracking_species live_branch taylor_order wall grid_field gen_grad_map cartesian_map
    cylindrical_map r_custom descriptive_name""".split()
)
"""Attributes that are text whatever they look like."""


def _species(name: str) -> Species:
    """A species as Bmad writes it: ``He+``, ``#12C+3``, ``muon``."""
    name = name.strip().strip("\"'")
    if OURS.get(name.lower(), name.lower()) in KNOWN:
        return KNOWN[OURS.get(name.lower(), name.lower())]
    ion = re.fullmatch(r"(?i)he([+-].*)?", name)
    return species_of(f"#4He{ion[1] or ''}" if ion else name[0:1] + name[1:].title() if name.startswith("#") else name)


def _named(parts: list[Part]) -> set[str]:
    """Names in a line."""
    return set(chain.from_iterable(_named(p.what) if isinstance(p.what, list) else {p.what} for p in parts))


def _names(value: Any) -> list[str]:
    if isinstance(value, list):
        return [n for v in value for n in _names(v)]
    return sorted(value.names) if isinstance(value, Formula) else []
