"""``backbeam gradient``: value and gradient of an objective, how they were found, and what it took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from backbeam.cli.options import (
    checkpoint_options,
    gradient_options,
    load_problem,
    naming,
    output_of,
    problem_options,
    showing_progress,
    split_names,
)
from backbeam.cli.warned import with_warnings


@click.command("gradient")
@problem_options
@gradient_options
@click.option("--adjoint", metavar="NAME", help="How the way is remembered: reversible, store, checkpoint, tape, auto.")
@click.option("--anchor-every", metavar="K", type=int, help="Kicks between the states that reversible keeps.")
@click.option("--slots", metavar="S", type=int, help="Number of states that checkpoint keeps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option("--plot", metavar="FILE", type=click.Path(path_type=Path), help="Draw the relative sensitivities.")
@click.option(
    "--output", metavar="DIR", type=click.Path(path_type=Path), help="Write gradient.json and problem.yaml to a folder."
)
@checkpoint_options
def command(
    name: str,
    backend: str | None,
    device: str | None,
    dtype: str | None,
    seed: int | None,
    overrides: tuple[str, ...],
    objective: str | None,
    wrt: tuple[str, ...],
    adjoint: str | None,
    anchor_every: int | None,
    slots: int | None,
    as_json: bool,
    plot: Path | None,
    output: Path | None,
    every: int | None,
    resume: Path | None,
) -> None:
    """Differentiate an objective of the beam at the end of PROBLEM.

    What is not said here is taken from the section "gradient" of the problem.
    """
    from backbeam.cli.folder import check_targets, write_folder

    output = output_of(output, every, resume)
    check_targets(plot, output)
    if not as_json:
        from backbeam.cli.gradient_table import print_gradient
    with naming(name), showing_progress() as tell:
        from backbeam.problem import question

        problem = load_problem(name, overrides, backend, device, dtype, seed)
        asked = question(problem, objective, split_names(wrt), adjoint, anchor_every, slots)
        keeping: dict[str, Any] = {}
        if output is not None and (every is not None or resume is not None):
            from backbeam.cli.checkpoint import SavedGradient

            checkpoint = SavedGradient(output, problem, asked, every)
            checkpoint.check()
            keeping = {"halt": checkpoint.save} | ({"resume": checkpoint.load} if resume else {})
        found = problem.differentiate(asked, progress=tell, **keeping)
    text = json.dumps(with_warnings(found.summary()), allow_nan=False)
    if plot:
        from backbeam.plotting import save
        from backbeam.sensitivity_plot import draw_gradient

        save(draw_gradient(found, problem.title), plot)
    if output:
        write_folder(output, {"gradient.json": f"{text}\n", "problem.yaml": problem.dump()})
        if keeping:
            checkpoint.remove()
    if as_json:
        click.echo(text)
    else:
        print_gradient(problem, found)
