"""``lattice: {file: ...}``: the lattice of another file as plain data, so that a problem's data stand for themselves.

A file of ours holds a lattice, or a problem with one. Any other is read by `backbeam.load` and written out as ours: its
knobs stay knobs, its elements can be set by name, and what a run writes down is whole.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from backbeam.errors import InputError
from backbeam.line import Line
from backbeam.problem.files import read_file
from backbeam.problem.keys import Said, check_mapping
from backbeam.problem.lattice import DEFAULTS, with_knobs
from backbeam.problem.overrides import split_override
from backbeam.problem.text import Tree, read_tree

SUFFIXES = (".yaml", ".yml", ".json")
"""Endings of files that may be ours."""
READING = ("line", "format", "replace")
"""What is said to the reader of a file of another code."""


def with_lattice_file(tree: Tree, folder: Path) -> Tree:
    """Put the lattice of a file in the place of its name, with what is said beside it.

    Raises
    ------
    ProblemError, InputError, LatticeError
        For what cannot be read.
    """
    lattice = tree.get("lattice")
    if not isinstance(lattice, dict) or "file" not in lattice:
        return tree
    allowed = ("file", *READING, *DEFAULTS, "knobs")
    others = [key for key in lattice if key not in allowed]
    if others:
        raise InputError(f"lattice.{others[0]}", lattice[others[0]], "left out where file is given")
    names = lattice["file"] if isinstance(lattice["file"], list) else [lattice["file"]]
    if not names or not all(isinstance(name, str) for name in names):
        raise InputError("lattice.file", lattice["file"], "the path of a file, or a list of them")
    paths = [folder / name for name in names]
    reading = {key: lattice[key] for key in READING if lattice.get(key) is not None}
    found = None if len(paths) > 1 or reading else own_lattice(paths[0])
    if found is None:
        from backbeam.lattices.loading import load
        from backbeam.problem.written import lattice_tree

        replace = check_mapping(reading.get("replace"), "lattice.replace", "a mapping of kinds and names to kinds")
        loaded = load(*paths, **{**reading, "replace": dict(replace)})
        line = with_linear_faces(loaded.line) if lattice.get("model") == "linear" else loaded.line
        found = lattice_tree(line, loaded.reference)
    said = {key: lattice[key] for key in DEFAULTS if key in lattice}
    found = {**said, **{k: v for k, v in found.items() if k not in said}}
    knobs = check_mapping(lattice.get("knobs"), "lattice.knobs", "a mapping of knobs to values")
    return {**deepcopy(tree), "lattice": with_knobs(found, knobs)}


def with_linear_faces(line: Line) -> Line:
    """The line of which linear models are asked: faces of bends with them, which readers may make of all orders."""
    return line.with_elements(
        {n: line[n].replace(fringe="linear") for n in line.names if getattr(line[n], "fringe", None) == "hard"}
    )


def is_foreign(path: Path) -> bool:
    """Whether a file is a lattice of another code: then the problem is to track through it."""
    if not path.is_file():
        return False
    from backbeam.lattices.loading import format_of
    from backbeam.lattices.sources import Sources

    try:
        return format_of(Sources([path])) != "backbeam"
    except InputError:
        return False


def own_lattice(path: Path) -> dict[str, Any] | None:
    """Plain data of the lattice of a file of ours; None for one of another code."""
    if path.exists() and not path.name.lower().endswith(SUFFIXES):
        return None
    found = read_tree(read_file(path), str(path))
    if isinstance(found, dict) and "lattice" in found:
        found = found["lattice"]
    elif isinstance(found, dict) and not {"line", "file"} & set(found):
        return None
    if isinstance(found, list):
        found = {"line": found}
    if not isinstance(found, dict):
        raise InputError("lattice.file", str(path), "a file with a list of elements, or with define and line")
    if "file" in found:
        raise InputError("lattice.file", Said(f"{path}, which names another file"), "a file that holds its lattice")
    return found


def with_reference(tree: Tree) -> Tree:
    """Give a beam that does not say them the species and energy that its lattice was made for."""
    lattice, beam = tree.get("lattice"), tree.get("beam")
    reference = lattice.get("reference") if isinstance(lattice, dict) else None
    if not isinstance(reference, dict) or not isinstance(beam, dict) or beam.get("file") is not None:
        return tree
    given = {key: value for key, value in beam.items() if value is not None}
    if "species" not in given:
        given["species"] = reference.get("species")
    if "kinetic_energy" not in given and "reference_momentum" not in given:
        given["kinetic_energy"] = reference.get("kinetic_energy")
    return {**tree, "beam": given}


def beam_section(name: str) -> Tree:
    """Section ``beam`` of another problem, or of a file of particles."""
    path = Path(name)
    if not path.name.lower().endswith(SUFFIXES):
        return {"file": str(path.absolute())}
    found = read_tree(read_file(path), str(path))
    if not isinstance(found, dict) or not isinstance(found.get("beam"), dict):
        raise InputError("--beam", name, "a problem file with a section beam, or a file of particles")
    section = found["beam"]
    if section.get("file") is None:
        return section
    return {**section, "file": str((path.parent / section["file"]).absolute())}


def with_reading(tree: Tree, overrides: list[Any]) -> tuple[Tree, list[Any]]:
    """Give what is said to a reader, such as ``lattice.line``, before the file is read; and the other overrides."""
    lattice = tree.get("lattice")
    if not isinstance(lattice, dict) or "file" not in lattice:
        return tree, overrides
    said = {f"lattice.{key}": key for key in READING}
    pairs = [split_override(one, tree) if isinstance(one, str) else one for one in overrides]
    given = {said[path]: value for path, value in pairs if path in said}
    rest = [one for one, (path, _) in zip(overrides, pairs, strict=True) if path not in said]
    return {**tree, "lattice": {**lattice, **given}}, rest
