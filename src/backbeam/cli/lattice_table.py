"""The table of ``backbeam lattice``."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from backbeam.cli.table import console
from backbeam.units import quantity

MOST = 12
"""Notes of one sort that are shown; the number of the others is said."""


def print_lattice(found: dict[str, Any]) -> None:
    """Print facts, kinds, and notes."""
    screen = console()
    screen.print(Text(f"\n {found['line']}", style="bold"), Text(f"({found['format']})", style="dim"))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    length = "not known: something is refused" if found["length"] is None else f"{found['length']:.10g} m"
    facts.add_row(" elements", f"{found['elements']:,}")
    facts.add_row(" length", length)
    if found["reference"]:
        energy = quantity(found["reference"]["kinetic_energy"], "eV")
        facts.add_row(" reference", f"{found['reference']['species']}, kinetic energy {energy}")
    if found["knobs"]:
        facts.add_row(" knobs", f"{len(found['knobs'])}: {_some(list(found['knobs']))}")
    screen.print(facts)
    screen.print(_kinds(found))
    styles = {"refused": "bold red", "replaced": "yellow", "guessed": "yellow", "dropped": "", "unused": "dim"}
    for what, style in styles.items():
        notes = found[what]
        for note in notes[:MOST]:
            screen.print(Text(f" {what}: ", style=style), Text(note), sep="")
        if len(notes) > MOST:
            screen.print(Text(f" {what}: {len(notes) - MOST} more", style=style))


def _kinds(found: dict[str, Any]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2))
    for heading in (" kind", "count", "length"):
        table.add_column(heading, justify="left" if heading == " kind" else "right")
    counts = found["kinds"] or found["words"]
    for kind, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        length = found["lengths"].get(kind, 0.0)
        table.add_row(f" {kind}", f"{count:,}", f"{length:.6g} m" if length else "")
    return table


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
