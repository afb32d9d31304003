"""Tables for a person."""

from __future__ import annotations

from collections import Counter
from typing import Any

from backbeam.backends import Availability
from backbeam.course import Course
from backbeam.effects import SpaceCharge
from backbeam.extras import need
from backbeam.problem import Outcome, Problem
from backbeam.units import number, quantity, scale_of, unit_text

need("cli", "rich", purpose="printing tables")

from rich import box  # noqa: E402
from rich.console import Console, Group  # noqa: E402
from rich.markup import escape  # noqa: E402
from rich.padding import Padding  # noqa: E402
from rich.table import Table  # noqa: E402
from rich.text import Text  # noqa: E402

from backbeam.cli.losses_table import losses_table  # noqa: E402

LABELS = {"x": "x", "px": "px", "y": "y", "py": "py", "tau": "τ", "pt": "pt"}
UNITS = {"x": "m", "px": "rad", "y": "m", "py": "rad", "tau": "m", "pt": ""}


def console() -> Console:
    """The screen; 100 columns where the output is no terminal."""
    screen = Console(highlight=False)
    if not screen.is_terminal:
        screen.width = 100
    return screen


def print_run(problem: Problem, outcome: Outcome) -> None:
    """Print a beam before and after a line."""
    summary = outcome.summary()
    parts: list[Any] = [
        Text(problem.title, style="bold"),
        _facts(problem, outcome, summary),
        _moments(summary),
    ]
    if outcome.final.readings:
        parts.append(_readings(outcome))
    if summary["losses"]:
        parts += [Text(), losses_table(summary["losses"])]
    parts.append(_closing(summary))
    console().print(Padding(Group(*parts), (1, 1), expand=False))


def _facts(problem: Problem, outcome: Outcome, summary: dict[str, Any]) -> Table:
    beam, line = outcome.initial, outcome.line
    host = beam.backend.to_numpy
    energy, beta_gamma = float(host(beam.kinetic_energy)), float(host(beam.reference.beta_gamma))
    final_energy = float(host(outcome.final.kinetic_energy))
    gain = "" if abs(final_energy - energy) <= 1e-9 * energy else f" → {quantity(final_energy, 'eV')}"
    kinds = Counter(element.kind for element in line)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    facts.add_row(
        "beam",
        f"{summary['particles']:,} macroparticles, {escape(beam.species.name)}, "
        f"{quantity(summary['initial']['charge'] or 0.0, 'C')}, "
        f"{quantity(energy, 'eV')}{gain} (βγ = {beta_gamma:.4g})",
    )
    facts.add_row(
        "line",
        f"{float(line.length):.6g} m, {count(len(line), 'element')}: "
        + ", ".join(f"{k} {n}" for n, k in kinds.most_common())
        + (f"; {count(outcome.course.turns, 'turn')}" if outcome.course.turns > 1 else ""),
    )
    add_effects(facts, outcome.course)
    facts.add_row("runs on", f"{summary['backend']}, {summary['device']}, {summary['dtype']}")
    return facts


def add_effects(facts: Table, course: Course) -> None:
    """A row for each effect: its own words, and its kicks."""
    names = [name for name, effect in course.effects.items() if isinstance(effect, SpaceCharge)]
    if not names:
        facts.add_row("space charge", "none")
    for name in dict.fromkeys((*names, *course.effects)):
        label = "space charge" if name in names else escape(name)
        facts.add_row(label, f"{escape(course.effects[name].describe())}, {count(course.kicks_of(name), 'kick')}")


def count(n: int, noun: str) -> str:
    """``1 kick``, ``20 kicks``."""
    return f"{n} {noun}" + ("" if n == 1 else "s")


def _moments(summary: dict[str, Any]) -> Table:
    before, after = summary["initial"], summary["final"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2))
    table.add_column("")
    table.add_column("unit", style="dim")
    for heading in (f"s = {number(before['s'])} m", f"s = {number(after['s'])} m", "ratio"):
        table.add_column(heading, justify="right")

    def add(label: str, key: tuple[str, str], base: str, last: bool = False) -> None:
        a, b = before[key[0]][key[1]], after[key[0]][key[1]]
        mean = key[0] == "mean"  # shown in the unit of its rms size
        factor, prefix = scale_of((before["sigma"][key[1]], after["sigma"][key[1]]) if mean else (a, b))
        grown = f"{b / a:.4f}" if not mean and a and b is not None and 1e-4 < b / a < 1e5 else ""
        table.add_row(label, unit_text(prefix, base), number(a, factor), number(b, factor), grown, end_section=last)

    for name, label in LABELS.items():
        add(f"σ {label}", ("sigma", name), UNITS[name], last=name == "pt")
    for plane in ("x", "y", "z"):
        add(f"ε {plane}", ("emittance", plane), "m")
    for plane in ("x", "y", "z"):
        add(f"ε {plane} normalised", ("normalized_emittance", plane), "m", last=plane == "z")
    for name, label in LABELS.items():
        add(f"⟨{label}⟩", ("mean", name), UNITS[name])
    return table


def _readings(outcome: Outcome) -> Table:
    """What monitors and screens saw."""
    host = outcome.final.backend.to_numpy
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    for name, reading in outcome.final.readings.items():
        for k, one in enumerate(reading if isinstance(reading, list) else [reading]):
            values = host(one)
            label = f"{name}[{k}]" if isinstance(reading, list) else name
            if values.shape == (2,):
                x, y = (quantity(float(v), "m") for v in values)
                table.add_row(escape(label), f"centroid x {x}, y {y}")
            else:
                seen = quantity(float(values.sum()), "C")
                table.add_row(escape(label), f"image {' × '.join(map(str, values.shape))}, {seen} seen")
    return table


def _closing(summary: dict[str, Any]) -> Text:
    lost, n = summary["lost"], summary["particles"]
    losses = "no particle lost" if lost == 0 else f"{lost:,} of {n:,} particles lost ({100.0 * lost / n:.3g} %)"
    each = f", {quantity(summary['seconds'] / summary['kicks'], 's', 3)} a kick" if summary["kicks"] else ""
    text = Text(f"\ntracked in {quantity(summary['seconds'], 's', 3)}{each}; ")
    return text.append(losses, style="bold red" if lost else "green")


def print_backends(reports: list[Availability], test_only: tuple[str, ...]) -> None:
    """Print what is known of each adapter."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2))
    for heading in ("backend", "version", "devices", ""):
        table.add_column(heading, overflow="fold")
    for r in reports:
        remark = Text(r.problem, style="red") if r.problem else Text(r.setback, style="yellow")
        if r.name in test_only and not remark:
            remark = Text("for tests", style="dim")
        table.add_row(r.name, r.version or "–", ", ".join(r.devices) or "–", remark)
    console().print(table)


def print_page(text: str) -> None:
    """Print a page of Markdown, at most 100 columns wide."""
    from rich.markdown import Markdown

    screen = console()
    screen.width = min(screen.width, 100)
    screen.print(Markdown(text))


def print_examples(problems: dict[str, str], programs: dict[str, str]) -> None:
    """Print names and titles, and what to do with them."""
    screen = console()
    for titles, hint in (
        (problems, "backbeam run NAME runs one; backbeam examples --show NAME prints its file."),
        (programs, "python -m PROGRAM runs one, with --help for what it takes."),
    ):
        table = Table.grid(padding=(0, 3))
        for name, title in titles.items():
            table.add_row(Text(name, style="bold"), escape(title))
        screen.print(table)
        screen.print(f"\n{hint}\n", style="dim")
