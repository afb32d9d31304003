"""A problem: beam, lattice, space charge and tracking as a file says them, and the objects they become."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backbeam.beam import Beam
from backbeam.course import Course
from backbeam.effects import Effect, SpaceCharge
from backbeam.errors import InputError
from backbeam.line import Line
from backbeam.problem.effects import read_effects, read_space_charge
from backbeam.problem.examples import example_names, example_text
from backbeam.problem.files import read_file
from backbeam.problem.journey import Halt, nothing
from backbeam.problem.keys import check_keys, check_mapping
from backbeam.problem.lattice import Lattice, read_lattice
from backbeam.problem.lattice_file import is_foreign, with_lattice_file, with_reading, with_reference
from backbeam.problem.outcome import Outcome, run_problem
from backbeam.problem.overrides import override, split_override
from backbeam.problem.sections import (
    GradientSection,
    OptimizeSection,
    RunSection,
    TrackSection,
    check_beam,
    draw_beam,
    read,
)
from backbeam.problem.text import ProblemError, Tree, read_tree, write_tree

if TYPE_CHECKING:
    from backbeam.adjoint.journal import Mark
    from backbeam.problem.differentiation import Derivative, Marker, Question

KEYS = ("title", "beam", "lattice", "space_charge", "effects", "track", "gradient", "optimize", "run")
"""Sections of a problem file."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A problem that has been read and checked. Make one by `load`, `parse` or from plain data.

    Parameters
    ----------
    tree:
        Its plain data, as a file holds them.
    name:
        What tables and plots call it.

    Raises
    ------
    InputError
        For data that say nothing sensible: it names the path, the value and what is allowed. The numbers of
        the beam are looked at when it is drawn.

    Examples
    --------
    >>> bb.Problem.load("fodo").run().lost
    0
    """

    tree: Tree
    name: str = "problem"
    lattice: Lattice = field(init=False)
    gradient: GradientSection = field(init=False)
    """What the file says of gradients."""
    optimize: OptimizeSection = field(init=False)
    """What it says of a search."""
    settings: RunSection = field(init=False)
    """Where it runs: backend, device, dtype."""
    _track: TrackSection = field(init=False, repr=False)
    _space_charge: SpaceCharge | None = field(init=False, repr=False)
    _effects: tuple[Effect, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        tree = check_mapping(self.tree, self.name, f"a mapping with {', '.join(KEYS)}")
        check_keys(tree, KEYS, {}, "")
        if not isinstance(tree.get("title", ""), str | None):
            raise InputError("title", tree["title"], "text")
        check_beam(tree.get("beam"))
        track = read(TrackSection, tree.get("track"), "track")
        track.options()
        for name, value in (
            ("lattice", read_lattice(tree.get("lattice"), self.name)),
            ("gradient", read(GradientSection, tree.get("gradient"), "gradient")),
            ("optimize", read(OptimizeSection, tree.get("optimize"), "optimize")),
            ("settings", read(RunSection, tree.get("run"), "run")),
            ("_track", track),
            ("_space_charge", read_space_charge(tree.get("space_charge"))),
            ("_effects", read_effects(tree.get("effects"))),
        ):
            object.__setattr__(self, name, value)
        self.course()  # what does not fit together is said here

    # -- reading and writing ---------------------------------------------------------------------------------

    @classmethod
    def load(cls, name_or_path: str | Path, overrides: Mapping[str, Any] | Iterable[str] = ()) -> Problem:
        """Read a problem file, or a shipped example by its name.

        Parameters
        ----------
        name_or_path:
            A file; or, where there is no such file, the name of an example.
        overrides:
            Changes, in order: ``{"beam.n": 1000}`` or ``["beam.n=1000"]``.

        Raises
        ------
        ProblemError
            For a file that cannot be read.
        InputError
            For one that says nothing sensible.
        """
        path = Path(name_or_path)
        examples = example_names()
        if not _is_there(path) and str(name_or_path) in examples:
            return cls.parse(example_text(str(name_or_path)), str(name_or_path), overrides=overrides)
        if not _is_there(path) and path.suffix == "" and path.parent == Path("."):
            raise ProblemError(f"{name_or_path}: no such file, and no such example; examples: {', '.join(examples)}")
        if is_foreign(path):
            return cls._of({"lattice": {"file": path.name}}, path.stem, path.parent, overrides)
        return cls.parse(read_file(path), path.stem, folder=path.parent, source=str(path), overrides=overrides)

    @classmethod
    def parse(
        cls,
        text: str,
        name: str = "problem",
        *,
        folder: Path | None = None,
        source: str | None = None,
        overrides: Mapping[str, Any] | Iterable[str] = (),
    ) -> Problem:
        """Read a problem from text; files that it names are sought in ``folder``. Raises as `load` does."""
        source = source or name
        tree = read_tree(text, source)
        if not isinstance(tree, dict):
            what = "empty" if tree is None else f"not a mapping but a {_KIND.get(type(tree), 'scalar')}"
            raise ProblemError(f"{source}: the file is {what}; a problem has {', '.join(KEYS)}")
        return cls._of(tree, name, folder or Path(), overrides)

    @classmethod
    def _of(cls, tree: Tree, name: str, folder: Path, overrides: Mapping[str, Any] | Iterable[str]) -> Problem:
        tree, others = with_reading(tree, _pairs(overrides))
        tree = _with_beam_file(with_lattice_file(tree, folder), folder)
        return cls(_overridden(tree, others), name)

    def replace(self, overrides: Mapping[str, Any] | Iterable[str]) -> Problem:
        """Same problem with other values, as in `load`."""
        return Problem(_overridden(self.tree, _pairs(overrides)), self.name)

    def dump(self) -> str:
        """Text of a problem file that says the same."""
        return write_tree(self.tree)

    # -- what it says ----------------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """Its title, or its name."""
        return self.tree.get("title") or self.name

    def line(self) -> Line:
        """The beamline."""
        return self.lattice.line

    def beam(
        self,
        backend: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        seed: int | None = None,
    ) -> Beam:
        """Draw the beam; what is not given is as the problem says.

        Raises
        ------
        InputError, BackendError
            For numbers out of range, and for a library, device or data type that there is not.
        """
        given = dict(self.tree["beam"])
        if seed is not None:
            given["seed"] = seed
        run = self.settings
        device = device if device is not None or (backend or run.backend) != run.backend else run.device
        return draw_beam(given, self.line(), backend or run.backend, device, dtype or run.dtype)

    def space_charge(self) -> SpaceCharge | None:
        """Model of space charge for `backbeam.track`; None for none."""
        return self._space_charge

    def effects(self) -> tuple[Effect, ...]:
        """The other effects for `backbeam.track`."""
        return self._effects

    def course(self) -> Course:
        """What the beam is sent through: the line, all effects, and how finely they cut it."""
        return Course.of(self.line(), space_charge=self.space_charge(), effects=self.effects(), **self.track_options())

    def track_options(self) -> dict[str, Any]:
        """``slices``, ``step``, ``on_turn`` and ``turns`` for `backbeam.track`, where the problem says them."""
        return self._track.options()

    def run(
        self,
        backend: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        seed: int | None = None,
        progress: Callable[[str], None] | None = None,
        points: int | None = None,
        halt: Callable[[Halt], None] = nothing,
        resume: Callable[[Beam], Halt | None] = nothing,
    ) -> Outcome:
        """Draw the beam, track it, and time the tracking alone; ``progress`` is told each stage.

        With ``points`` the moments along the line are noted in the same pass: after every slice, or, where no effect
        acts along elements, at so many places; of several turns, after each. ``halt`` is told each place from which a
        run can go on, and ``resume`` gives the one where this run begins, if not at the start.
        """
        tell = progress or (lambda stage: None)
        tell("drawing particles")
        beam = self.beam(backend, device, dtype, seed)
        return run_problem(self.course(), beam, tell, points, halt, resume)

    def differentiate(
        self,
        asked: Question | None = None,
        backend: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        seed: int | None = None,
        progress: Callable[[str], None] | None = None,
        halt: Marker | None = None,
        resume: Callable[[Beam], Mark | None] = nothing,
    ) -> Derivative:
        """Draw the beam, differentiate, and time it beside the tracking; ``progress`` is told each stage.

        ``asked`` is what `backbeam.problem.question` makes; None: what the problem's section ``gradient`` says.
        ``halt`` is told each place at which the gradient can be left, there and back, and ``resume`` gives the one
        from which to go on.
        """
        from backbeam.problem.differentiation import differentiate_problem, question

        tell = progress or (lambda stage: None)
        asked = asked or question(self)
        tell("drawing particles")
        beam = self.beam(backend, device, dtype, seed)
        return differentiate_problem(self.course(), beam, asked, tell, halt, resume)


_KIND = {list: "list", str: "text", int: "number", float: "number", bool: "truth value"}


def _is_there(path: Path) -> bool:
    """Whether there is a file of that name; one that no file can have is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _pairs(overrides: Mapping[str, Any] | Iterable[str]) -> list[Any]:
    if isinstance(overrides, Mapping):
        return list(overrides.items())
    return list(overrides)


def _overridden(tree: Tree, overrides: list[Any]) -> Tree:
    """Plain data with other values, and the beam's species and energy where its lattice says them."""
    for given in overrides:
        path, value = split_override(given, tree) if isinstance(given, str) else given
        tree = with_lattice_file(override(tree, path, value), Path())
    return with_reference(tree)


def _with_beam_file(tree: Tree, folder: Path) -> Tree:
    """Say where the beam's file is from everywhere, not from the problem's folder only."""
    beam = tree.get("beam")
    if not isinstance(beam, dict) or not isinstance(beam.get("file"), str):
        return tree
    return {**tree, "beam": {**beam, "file": str((folder / beam["file"]).absolute())}}
