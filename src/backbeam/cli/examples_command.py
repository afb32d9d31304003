"""``backbeam examples``: the problems and programs that come with the package."""

from __future__ import annotations

import json

import click


@click.command("examples")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object of titles by name.")
@click.option("--show", metavar="NAME", help="Print the file of one example, to start your own from.")
def command(as_json: bool, show: str | None) -> None:
    """List the problems and programs that come with backbeam, or print one of them."""
    from backbeam.errors import InputError
    from backbeam.problem import Problem, example_names
    from backbeam.problem.examples import example_text, program_module, program_names, program_title
    from backbeam.problem.keys import unknown

    names = (*example_names(), *program_names())
    if show is not None:
        if as_json:
            raise InputError("--show", show, "--show or --json, not both: a file is YAML")
        if show not in names:
            raise unknown("--show", show, names, what=repr(show))
        click.echo(example_text(show), nl=False)
        return
    problems = {name: Problem.load(name).title for name in example_names()}
    programs = {name: program_title(name) for name in program_names()}
    if as_json:
        click.echo(json.dumps(problems | programs))
        return
    from backbeam.cli.table import print_examples

    print_examples(problems, {program_module(name): title for name, title in programs.items()})
