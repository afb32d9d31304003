"""``backbeam optimize``: search for the parameters at which a problem's line does what is asked of it."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import click

from backbeam.cli.options import load_problem, naming, problem_options
from backbeam.cli.warned import with_warnings
from backbeam.errors import BackbeamWarning, InputError


@click.command("optimize")
@problem_options
@click.option(
    "--minimize", metavar="OBJECTIVE", help="What is to be small: mean_square_size, 'sigma_x + 2 sigma_y', ..."
)
@click.option(
    "--target",
    "targets",
    metavar="TARGET",
    multiple=True,
    help="What is to be met: 'sigma_x @ m1 = 1e-3 +- 1e-5', 'optics.beta_x @ end < 12'. May be given several times; "
    "with --minimize they hold as constraints.",
)
@click.option(
    "--vary",
    metavar="NAME[=BOUNDS]",
    multiple=True,
    help="What may change: qf.k1, 'qf.k1=-5:5', '*.k1=50%', a knob; 'qf.k1 = -qd.k1' follows. May be given several "
    "times.",
)
@click.option("--method", metavar="NAME", help="trf, dogbox, lm, L-BFGS-B, SLSQP, trust-constr, Nelder-Mead, ...")
@click.option("--passes", metavar="N", type=int, help="Most passes through the line.")
@click.option("--restarts", metavar="N", type=int, help="Searches from elsewhere that follow the first.")
@click.option("--seeds", metavar="N", type=int, help="Other samples of the beam, to say how much the result scatters.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option("--plot", metavar="FILE", type=click.Path(path_type=Path), help="Draw how the search went.")
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write problem.yaml with what was found, summary.json, history.csv and pictures to a folder; while it "
    "lasts, every trial to DIR.history.csv.",
)
@click.option(
    "--resume", metavar="DIR", type=click.Path(path_type=Path),
    help="Go on from the best trial of the search whose --output was DIR, ended or killed.",
)  # fmt: skip
def command(
    name: str,
    backend: str | None,
    device: str | None,
    dtype: str | None,
    seed: int | None,
    overrides: tuple[str, ...],
    minimize: str | None,
    targets: tuple[str, ...],
    vary: tuple[str, ...],
    method: str | None,
    passes: int | None,
    restarts: int | None,
    seeds: int | None,
    as_json: bool,
    plot: Path | None,
    output: Path | None,
    resume: Path | None,
) -> int:
    """Search for parameters of PROBLEM at which targets are met, an objective is small, or both.

    What is not said here is taken from the section "optimize" of the problem. The exit code is 1 where a target is not
    met or the search did not come to its end. Ctrl-C leaves what was found until then.
    """
    from backbeam.cli.folder import check_targets, write_folder
    from backbeam.cli.optimize_folder import Kept, optimize_files

    if output is not None and resume is not None:
        raise InputError("--resume", str(resume), "--output or --resume, not both")
    output = output or resume
    check_targets(plot, output)
    with naming(name):
        from backbeam.problem import best_problem, optimization

        problem = load_problem(name, overrides, backend, device, dtype, seed)
        asked = optimization(
            problem, minimize, targets or None, vary or None,
            method=method, passes=passes, restarts=restarts, seeds=seeds,
        )  # fmt: skip
        kept = Kept(output, resume is not None)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "the match was interrupted", BackbeamWarning)  # said at the end
            found = asked.search(problem, problem.beam(), kept.path, kept.resume, progress=sys.stderr.isatty())
        best = best_problem(problem, found)
    if plot:
        from backbeam.matching.picture import draw_search
        from backbeam.plotting import save

        save(draw_search(found, problem.title), plot)
    if output:
        write_folder(output, optimize_files(problem, best, found, name))
        kept.remove()
    if as_json:
        click.echo(json.dumps(with_warnings(found.summary()), allow_nan=False))
    else:
        click.echo(f"{problem.title}\n\n{found.table()}")
    if found.stopped is not None:
        raise found.stopped
    return 0 if found.success else 1
