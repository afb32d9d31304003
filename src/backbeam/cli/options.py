"""Options that every command on a problem has, and the problem that they name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backbeam.errors import BackbeamError, InputError

if TYPE_CHECKING:
    from backbeam.problem import Problem

_OPTIONS = (
    click.argument("name", metavar="PROBLEM"),
    click.option("--backend", metavar="NAME", help="Array library: numpy, torch, jax, cupy."),
    click.option("--device", metavar="NAME", help="Device of that library, such as cpu or cuda:0."),
    click.option("--dtype", metavar="NAME", help="float64 or float32."),
    click.option("--seed", metavar="N", type=int, help="Seed of the particles."),
    click.option(
        "--set",
        "overrides",
        metavar="PATH=VALUE",
        multiple=True,
        help="Change a field: beam.n=1000000, space_charge.grid=[64,64,64], track.step=0.05, "
        "lattice.qf.k1=30, lattice.knobs.kqf=0.3. May be given several times.",
    ),
    click.option("--line", metavar="NAME", help="Line or sequence, where PROBLEM is a lattice of another code."),
    click.option(
        "--beam",
        metavar="FILE",
        help="Problem whose beam is taken, or file of particles, where PROBLEM is a lattice or its beam is not meant.",
    ),
)


_GRADIENT_OPTIONS = (
    click.option(
        "--objective", metavar="NAME",
        help="What is differentiated: sigma_x, emittance_y, mean_square_size, reading:bpm1.x, ..., or a sum, "
        "'sigma_x + 2 sigma_y'.",
    ),
    click.option(
        "--wrt", metavar="NAMES", multiple=True,
        help="With respect to what, with commas between: qf.k1, beam.charge, and patterns, '*.k1', 'beam.sigma_*'.",
    ),
)  # fmt: skip


def problem_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add PROBLEM, --backend, --device, --dtype, --seed, --set, --line and --beam to a command.

    The last two come to it among the overrides, the first of them.
    """
    command = _with_line_and_beam(command)
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def _with_line_and_beam(command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(command)
    def call(*, line: str | None, beam: str | None, overrides: tuple[str, ...], **options: Any) -> Any:
        first: list[Any] = [] if line is None else [("lattice.line", line)]
        if beam is not None:
            from backbeam.problem.lattice_file import beam_section

            first.append(("beam", beam_section(beam)))
        return command(overrides=(*first, *overrides), **options)

    return call


def gradient_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --objective and --wrt to a command."""
    for option in reversed(_GRADIENT_OPTIONS):
        command = option(command)
    return command


_CHECKPOINT_OPTIONS = (
    click.option(
        "--checkpoint-every", "every", metavar="K", type=int,
        help="Every K kicks write DIR.checkpoint.npz beside --output DIR: a job that is killed goes on from there.",
    ),
    click.option(
        "--resume", metavar="DIR", type=click.Path(path_type=Path),
        help="Go on with PROBLEM whose --output was DIR, with the same options; it ends with the same bits.",
    ),
)  # fmt: skip


def checkpoint_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --checkpoint-every and --resume to a command that has --output."""
    for option in reversed(_CHECKPOINT_OPTIONS):
        command = option(command)
    return command


def output_of(output: Path | None, every: int | None, resume: Path | None) -> Path | None:
    """The folder to write to, which is that of --resume if it is given; `InputError` for what does not go together."""
    if resume is not None and output is not None:
        raise InputError("--resume", str(resume), "--output or --resume, not both")
    if every is not None and output is None and resume is None:
        raise InputError("--checkpoint-every", every, "--output too: checkpoints are written beside it")
    return output or resume


def split_names(given: Iterable[str]) -> list[str] | None:
    """Names of an option that takes several, with commas between or given again; None if it was not given."""
    found = [name.strip() for text in given for name in text.split(",")]
    return [name for name in found if name] if found else None


def load_problem(
    name: str,
    overrides: tuple[str, ...],
    backend: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    seed: int | None = None,
) -> Problem:
    """Return the problem that the options describe; call it in `naming`."""
    from backbeam.problem import Problem

    chosen = {"run.backend": backend, "run.device": device, "run.dtype": dtype, "beam.seed": seed}
    problem = Problem.load(name, overrides)
    if backend not in (None, problem.settings.backend):
        problem = problem.replace({"run.device": None})  # it was meant for the other library
    return problem.replace({path: value for path, value in chosen.items() if value is not None})


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Put the name of the problem before what is wrong in it."""
    try:
        yield
    except InputError as error:
        raise BackbeamError(f"{name}: {error}") from error


@contextmanager
def showing_progress() -> Iterator[Callable[[str], None]]:
    """Give a function that shows a stage on stderr while it lasts, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda stage: None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield lambda stage: status.update(stage)
