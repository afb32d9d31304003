"""``backbeam optics``: orbit, lattice functions, tunes and chromaticities of a line; as table, JSON, CSV, picture."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backbeam.cli.reading import lattice_options, read_replacements
from backbeam.errors import BackbeamError, InputError

if TYPE_CHECKING:
    from backbeam.lattice_functions import Optics
    from backbeam.line import Line
    from backbeam.reference import Reference

STARTS = ("beta_x", "beta_y", "alpha_x", "alpha_y", "dispersion_x", "dispersion_px", "dispersion_y", "dispersion_py")
SMOOTH = 400
"""Places of a picture, at least."""


@click.command("optics")
@lattice_options
@click.option(
    "--set", "overrides", metavar="PATH=VALUE", multiple=True,
    help="Change a field of a problem, as in run, or a parameter or knob of a lattice: lattice.qf.k1=30, kqf=0.3.",
)  # fmt: skip
@click.option("--periodic", is_flag=True, help="The line is a ring or a cell of one; so it is without --start.")
@click.option(
    "--start", metavar="NAME=VALUE,...",
    help="Lattice functions at the start of a line that is no ring: beta_x=10,beta_y=8,alpha_x=0,...; or beam, those "
    "of the problem's beam.",
)  # fmt: skip
@click.option("--at", metavar="NAMES", help="Elements to show, with commas between; else all.")
@click.option("--pt", type=float, help="Of the closed orbit; the motion along s is then left out.")
@click.option("--step", type=float, help="Longest distance between places [m]; else the ends of elements.")
@click.option("--per", default="pt", help="What dispersion and chromaticity are the derivative by: pt or delta.")
@click.option("--kinetic-energy", type=float, metavar="EV", help="Of the reference, where the file does not say it.")
@click.option("--species", metavar="NAME", help="Of the reference, where the file does not say it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the table as CSV.")
@click.option("--plot", metavar="FILE", type=click.Path(path_type=Path), help="Draw it.")
def command(
    files: tuple[Path, ...],
    line: str | None,
    format: str | None,
    replacements: tuple[str, ...],
    overrides: tuple[str, ...],
    periodic: bool,
    start: str | None,
    at: str | None,
    pt: float | None,
    step: float | None,
    per: str,
    kinetic_energy: float | None,
    species: str | None,
    as_json: bool,
    as_csv: bool,
    plot: Path | None,
) -> None:
    """Find the optics of the line in FILES: a problem file, the name of an example, or a lattice of another code."""
    from backbeam.lattice_functions import optics

    if as_json and as_csv:
        raise InputError("--csv", True, "--json or --csv, not both")
    if periodic and start is not None:
        raise InputError("--start", start, "--periodic or --start, not both")
    if plot is not None:
        from backbeam.plotting import check_target

        check_target(plot, "--plot")
    beamline, reference, beam, title = _read(files, line, format, read_replacements(replacements), overrides)
    if kinetic_energy is not None or species is not None or reference is None:
        reference = _reference(reference, kinetic_energy, species)
    shown = None if at is None else [name.strip() for name in at.split(",")]
    first = "periodic" if start is None else _start(start, beam)
    found = optics(beamline, reference, first, shown, pt=pt, step=step, per=per)
    if plot is not None:
        from backbeam.lattice_functions.picture import draw_optics
        from backbeam.plotting import save

        fine = found if step is not None else optics(beamline, reference, first, pt=pt, step=_smooth(beamline), per=per)
        save(draw_optics(fine, title), plot)
    if as_json:
        click.echo(json.dumps(_facts(found)))
    elif as_csv:
        _write_csv(found)
    else:
        from backbeam.cli.optics_table import print_optics

        print_optics(found, title)


def _smooth(line: Line) -> float | None:
    """Distance between places that makes curves of a picture smooth; None where there are enough elements."""
    return float(line.length) / SMOOTH if len(line) < SMOOTH and float(line.length) > 0.0 else None


def _read(
    files: tuple[Path, ...], line: str | None, format: str | None, replace: dict[str, str], overrides: tuple[str, ...]
) -> tuple[Line, Reference | None, Any, str]:
    """Line, reference, what draws the beam, and a title."""
    first = files[0]
    is_problem = format is None and (first.suffix in (".yaml", ".yml", "") and len(files) == 1)
    if is_problem and not (first.suffix == "" and first.exists()):
        from backbeam.cli.options import load_problem, naming

        with naming(str(first)):
            problem = load_problem(str(first), overrides)
            beam = problem.beam()
        return problem.line(), beam.reference, beam, problem.title
    from backbeam.lattices import load

    loaded = load(*files, line=line, format=format, replace=replace)
    return _with(overrides, loaded.line), loaded.reference, None, loaded.line.name or first.stem


def _with(overrides: tuple[str, ...], line: Line) -> Line:
    """The line with other values of its parameters and knobs, which are named as in a problem or by themselves."""
    if not overrides:
        return line
    from backbeam.problem.overrides import split_override

    pairs = (split_override(text) for text in overrides)
    return line.replace({path.removeprefix("lattice.").removeprefix("knobs."): value for path, value in pairs})


def _reference(given: Reference | None, kinetic_energy: float | None, species: str | None) -> Reference:
    """The reference that the options say, where they say it, else the file's."""
    import numpy as np

    from backbeam.reference import Reference, checked_kinetic_energy
    from backbeam.species import species_named

    if given is None and (kinetic_energy is None or species is None):
        missing = "--kinetic-energy" if kinetic_energy is None else "--species"
        raise InputError(missing, None, "a value: the file does not say what the reference particle is")
    known: Any = given  # or both options say it
    kind = species_named(species) if species is not None else known.species
    energy = checked_kinetic_energy(kinetic_energy, "--kinetic-energy") if kinetic_energy is not None else None
    return Reference.from_kinetic_energy(np.asarray(energy if energy is not None else known.kinetic_energy), kind)


def _start(text: str, beam: Any) -> Any:
    from backbeam.lattice_functions import Twiss

    if text.strip() == "beam":
        if beam is None:
            raise InputError("--start", text, "beta_x=...,beta_y=...: a lattice file has no beam")
        return beam
    values = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        if name.strip() not in STARTS:
            raise InputError("--start", part.strip(), f"NAME=VALUE with one of {', '.join(STARTS)}")
        try:
            values[name.strip()] = float(number)
        except ValueError:
            raise InputError(f"--start {name.strip()}", number, "a number") from None
    for name in ("beta_x", "beta_y"):
        if name not in values:
            raise InputError("--start", text, f"{name} too")
    return Twiss(**values)


def _facts(found: Optics) -> dict[str, Any]:
    from backbeam.lattice_functions.text import summary

    columns = {name: column.tolist() for name, column in found.on_host().items()}
    return {
        "summary": summary(found),
        "per": found.per,
        "columns": {"name": [name or "start" for name in found.names], **columns},
    }


def _write_csv(found: Optics) -> None:
    host = found.on_host()
    writer = csv.writer(sys.stdout, lineterminator="\n")
    try:
        writer.writerow(["name", *host])
        for k, name in enumerate(found.names):
            writer.writerow([name or "start", *(repr(float(column[k])) for column in host.values())])
    except BrokenPipeError:
        raise BackbeamError("the output was closed before the table was written") from None
