"""Text of a problem file to and from plain data: YAML 1.2, and nothing that could build an object.

Only plain nodes are read: mappings with text as keys, lists, text, numbers, true, false and null. A tag, an
alias or a key that comes twice is an error with its line. Numbers are those of YAML 1.2, so 250e6 and 1e-9
are numbers, and ``on``, ``no`` and ``12:30`` are text; ``100_000`` is a number too.
"""

from __future__ import annotations

import re
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


class _Loader(yaml.SafeLoader):
    """Composes nodes and no more; aliases are refused, so that a file cannot grow or turn on itself."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (the name and type that the base class has)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "aliases (*name) are not used here: name elements under lattice.define",
                self.peek_event().start_mark,
            )  # fmt: skip
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    """Quotes what `_Loader` would not read as text, and writes shared data out each time."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _class in (_Loader, _Dumper):
    for _tag, _pattern, _first in _RESOLVERS:
        _class.add_implicit_resolver(_PREFIX + _tag, re.compile(f"^(?:{_pattern})$"), _first)


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
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            return None if node is None else _plain(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        context = f"{error.context}: " if error.context and error.problem else ""
        raise ProblemError(_one_line(f"{source}: {place}{context}{error.problem or error.context}")) from None
    except yaml.YAMLError as error:
        raise ProblemError(_one_line(f"{source}: not YAML: {error}")) from None
    except RecursionError:
        raise ProblemError(f"{source}: lists and mappings are nested too deeply") from None


def write_tree(tree: Any) -> str:
    """Text of YAML that `read_tree` reads as the same data."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)


def _plain(node: Any) -> Any:
    kind = node.tag.removeprefix(_PREFIX)
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        return [_plain(child) for child in node.value]
    if isinstance(node, yaml.ScalarNode) and kind in _SCALARS:
        try:
            return _SCALARS[kind](node.value)
        except ValueError:
            raise _fault(node, f"{node.value!r} is no {kind}") from None
    tag = f"!!{kind}" if node.tag.startswith(_PREFIX) else node.tag
    raise _fault(node, f"the tag {tag} is not allowed: a problem file holds numbers, text, lists and mappings")


def _mapping(node: Any) -> Tree:
    found: Tree = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag not in (
            _PREFIX + "str",
            _PREFIX + "null",
        ):
            raise _fault(key_node, "a key is text")
        key = key_node.value
        if key in found:
            raise _fault(key_node, f"the key {key!r} comes twice")
        found[key] = _plain(value_node)
    return found


def _number(text: str) -> float:
    text = text.replace("_", "")
    special = text.lower().lstrip("+-")
    if special in (".inf", ".nan"):
        return float(text.lower().replace(".", ""))
    return float(text)


_SCALARS = {
    "null": lambda text: None,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "int": lambda text: int(text.replace("_", ""), 10),
    "float": _number,
    "str": str,
}


def _fault(node: Any, problem: str) -> Exception:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _one_line(text: str) -> str:
    return " ".join(text.split())
