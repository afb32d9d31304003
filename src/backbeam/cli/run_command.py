"""``backbeam run``: track a beam; say what came out to a person, a machine, a plot, a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from backbeam.cli.options import checkpoint_options, load_problem, naming, output_of, problem_options, showing_progress
from backbeam.cli.warned import with_warnings

POINTS = 200
"""Places at which moments along a line are noted where no effect cuts it into slices."""


@click.command("run")
@problem_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option("--plot", metavar="FILE", type=click.Path(path_type=Path), help="Draw sizes along s and phase space.")
@click.option(
    "--output", metavar="DIR", type=click.Path(path_type=Path),
    help="Write summary.json, moments.csv, problem.yaml and final_beam.npz to a folder.",
)  # fmt: skip
@checkpoint_options
@click.option(
    "--save-beam", metavar="FILE", type=click.Path(path_type=Path),
    help="Write the final beam: .h5 (openPMD), .npz, .csv, .sdds. A problem starts from it by beam: {file: FILE}.",
)  # fmt: skip
def command(
    name: str,
    backend: str | None,
    device: str | None,
    dtype: str | None,
    seed: int | None,
    overrides: tuple[str, ...],
    as_json: bool,
    plot: Path | None,
    output: Path | None,
    every: int | None,
    resume: Path | None,
    save_beam: Path | None,
) -> None:
    """Track the beam of PROBLEM, a problem file or the name of an example, and show it before and after."""
    from backbeam.cli.folder import check_targets

    output = output_of(output, every, resume)
    check_targets(plot, output)
    if save_beam:
        from backbeam.beams import check_save

        check_save(save_beam)
    if not as_json:
        from backbeam.cli.table import print_run
    with naming(name), showing_progress() as tell:
        problem = load_problem(name, overrides, backend, device, dtype, seed)
        points = POINTS if plot or output else None
        keeping: dict[str, Any] = {}
        if output is not None and (every is not None or resume is not None):
            from backbeam.cli.checkpoint import SavedRun

            checkpoint = SavedRun(output, problem, every)
            checkpoint.check()
            keeping = {"halt": checkpoint.save} | ({"resume": checkpoint.load} if resume else {})
        outcome = problem.run(progress=tell, points=points, **keeping)
    if plot:
        from backbeam.plotting import draw_run, save

        save(draw_run(outcome, outcome.rows, problem.title), plot)
    if output:
        from backbeam.cli.folder import write_folder
        from backbeam.cli.run_folder import run_files

        write_folder(output, run_files(problem, outcome, name))
        if keeping:
            checkpoint.remove()
    if save_beam:
        outcome.final.save(save_beam)
    if as_json:
        click.echo(json.dumps(with_warnings(outcome.summary()), allow_nan=False))
    else:
        print_run(problem, outcome)
