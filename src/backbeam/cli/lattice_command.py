"""``backbeam lattice``: what a lattice file holds, what was dropped, and what is refused and where."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import click

from backbeam.cli.reading import lattice_options, located, read_replacements


@click.command("lattice")
@lattice_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def command(
    files: tuple[Path, ...], line: str | None, format: str | None, replacements: tuple[str, ...], as_json: bool
) -> None:
    """Say what the lattice in FILES holds: kinds, counts, length, knobs; what was dropped, what is refused and where.

    The exit code is 1 if something is refused.
    """
    from backbeam.lattices.loading import examine

    name, description, built = examine(
        *located(files), line=line, format=format, replace=read_replacements(replacements)
    )
    found = _facts(name, description, built)
    if as_json:
        click.echo(json.dumps(found))
    else:
        from backbeam.cli.lattice_table import print_lattice

        print_lattice(found)
    if built.refusals:
        click.get_current_context().exit(1)


def _facts(format: str, description: Any, built: Any) -> dict[str, Any]:
    """Plain data of all that there is to say."""
    line, reference = built.line, description.reference
    words = Counter(item.word or item.kind for item in description.items)
    lengths: defaultdict[str, float] = defaultdict(float)
    for element in line.elements if line is not None else ():
        lengths[element.kind] += float(element.length) if element.is_thick else 0.0
    report = {what: [str(note) for note in notes] for what, notes in vars(description.report).items()}
    return {
        "line": description.name,
        "format": format,
        "length": None if line is None else float(line.length),
        "elements": len(description.items) or (0 if line is None else len(line)),
        "words": dict(words),
        "kinds": {} if line is None else dict(Counter(element.kind for element in line)),
        "lengths": dict(lengths),
        "knobs": {} if line is None else {name: float(value) for name, value in line.knobs.items()},
        "reference": None
        if reference is None
        else {"species": reference.species.name, "kinetic_energy": float(reference.kinetic_energy)},
        "refused": [str(refusal) for refusal in built.refusals],
        **report,
    }
