"""``backbeam check``: the same gradient by every array library and adjoint, and by central differences."""

from __future__ import annotations

import json

import click

from backbeam.cli.options import (
    gradient_options,
    load_problem,
    naming,
    problem_options,
    showing_progress,
    split_names,
)
from backbeam.cli.warned import with_warnings


@click.command("check")
@problem_options
@gradient_options
@click.option("--backends", metavar="NAMES", multiple=True, help="Array libraries; else all that are installed.")
@click.option(
    "--adjoints", metavar="NAMES", multiple=True, help="Some of reversible, store, checkpoint, tape; else all."
)
@click.option("--tolerance", metavar="X", type=float, help="Largest deviation; 1e-9 in float64, 1e-3 in float32.")
@click.option("--difference-tolerance", metavar="X", type=float, help="The same for central differences; 1e-5.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def command(
    name: str,
    backend: str | None,
    device: str | None,
    dtype: str | None,
    seed: int | None,
    overrides: tuple[str, ...],
    objective: str | None,
    wrt: tuple[str, ...],
    backends: tuple[str, ...],
    adjoints: tuple[str, ...],
    tolerance: float | None,
    difference_tolerance: float | None,
    as_json: bool,
) -> int:
    """Compare the gradients of PROBLEM by every array library and every adjoint with each other and with differences.

    --backend NAME is short for that one library. The exit code is 0 if all agree, 1 if not, 2 for bad input. Cheaper
    with fewer particles: --set beam.n=1000.
    """
    with naming(name), showing_progress() as tell:
        from backbeam.problem import question
        from backbeam.problem.comparison import compare

        problem = load_problem(name, overrides, backend, device, dtype, seed)
        chosen = split_names(backends)
        found = compare(
            problem,
            question(problem, objective, split_names(wrt)),
            chosen_backends=[backend] if chosen is None and backend is not None else chosen,
            chosen_adjoints=split_names(adjoints),
            device=device,
            tolerance=tolerance,
            difference_tolerance=difference_tolerance,
            tell=tell,
        )
    if as_json:
        click.echo(json.dumps(with_warnings(found.summary()), allow_nan=False))
    else:
        from backbeam.cli.check_table import print_check

        print_check(problem, found)
    return 0 if found.ok else 1
