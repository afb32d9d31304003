"""The table of ``backbeam optics``: a summary of the whole line, as MAD-X's twiss has it, and a row a place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from backbeam.cli.table import console
from backbeam.lattice_functions.text import row_lines, summary
from backbeam.units import quantity

if TYPE_CHECKING:
    from backbeam.lattice_functions import Optics

LONGEST = 40
"""Rows of a longer table that are shown; --at, --csv and --json have the others."""
NAMES = (
    ("length", "length [m]"),
    ("tune_x", "tune x"),
    ("tune_y", "tune y"),
    ("tune_z", "tune z"),
    ("chromaticity_x", "chromaticity x"),
    ("chromaticity_y", "chromaticity y"),
    ("momentum_compaction", "momentum compaction"),
    ("slip_factor", "slip factor"),
    ("transition_gamma", "transition gamma"),
    ("largest_beta_x", "largest beta_x [m]"),
    ("largest_beta_y", "largest beta_y [m]"),
    ("largest_dispersion_x", "largest D_x [m]"),
    ("largest_dispersion_y", "largest D_y [m]"),
    ("largest_orbit_x", "largest orbit x [m]"),
    ("largest_orbit_y", "largest orbit y [m]"),
)


def print_optics(optics: Optics, title: str) -> None:
    """Print a table of optics."""
    reference = optics.source.reference
    energy = quantity(float(reference.kinetic_energy), "eV")
    how = "closed orbit" if optics.periodic else "from given functions at the start"
    facts = Text(f"{reference.species.name} of {energy}; {how}; dispersion and chromaticity per {optics.per}", "dim")
    screen = console()
    screen.print(Padding(Group(Text(title, style="bold"), facts, _summary(optics)), (1, 1), expand=False))
    # As it is, however narrow the screen: a number that is cut off is none.
    head, *lines = row_lines(optics, LONGEST)
    click.echo(f" {head}")
    for line in lines:
        click.echo(f" {line}")


def _summary(optics: Optics) -> Table:
    numbers = summary(optics)
    found = [(label, numbers[name]) for name, label in NAMES if name in numbers]
    table = Table.grid(padding=(0, 2))
    for k in range(6):
        table.add_column(style="dim" if k % 2 == 0 else "", justify="left" if k % 2 == 0 else "right")
    for k in range(0, len(found), 3):
        cells = [cell for label, value in found[k : k + 3] for cell in (label, f"{value:.9g}")]
        table.add_row(*cells)
    return table
