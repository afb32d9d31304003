"""The table that ``backbeam check`` prints for a person."""

from __future__ import annotations

import math

from backbeam.cli.table import add_effects, console
from backbeam.extras import need
from backbeam.problem import Problem
from backbeam.problem.agreement import Comparison, within

need("cli", "rich", purpose="printing tables")

from rich import box  # noqa: E402
from rich.console import Group  # noqa: E402
from rich.markup import escape  # noqa: E402
from rich.padding import Padding  # noqa: E402
from rich.table import Table  # noqa: E402
from rich.text import Text  # noqa: E402

KINKS = (
    "Space charge on a grid has a kink wherever a particle enters another cell. Over many kicks, or with few "
    "particles, differences need not come near the slope of the piece that the parameters are on: try fewer kicks, "
    "or more particles."
)


def print_check(problem: Problem, found: Comparison) -> None:
    """Print a row for every backend and adjoint, the differences, and whether all agree."""
    parts = [Text(problem.title, style="bold"), _facts(problem, found), _rows(found), *_remarks(found), _verdict(found)]
    console().print(Padding(Group(*parts), (1, 1), expand=False))


def _facts(problem: Problem, found: Comparison) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    facts.add_row("objective", Text(found.question.objective.name, style="bold"))
    names = list(found.parameters)
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    facts.add_row("with respect to", escape(shown))
    facts.add_row("beam", f"{found.particles:,} macroparticles, {found.dtype}")
    add_effects(facts, found.course)
    return facts


def _rows(found: Comparison) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2))
    table.add_column("backend")
    table.add_column("adjoint")
    for heading in ("value", "deviation", "of gradient"):
        table.add_column(heading, justify="right")
    table.add_column("most at", style="dim", overflow="fold")
    for row in found.rows:
        if row.gradient is None:
            table.add_row(row.backend, row.adjoint or "–", Text("no gradient", style="bold red"), "–", "–", "")
            continue
        if row is found.reference:
            table.add_row(row.backend, row.adjoint, f"{row.value:.8g}", "reference", "reference", "")
            continue
        table.add_row(
            row.backend, row.adjoint, f"{row.value:.8g}", _marked(found.value_deviation(row), found.tolerance),
            _marked(found.deviation(row), found.tolerance), escape(found.where(row.gradient)),
        )  # fmt: skip
    if found.reference is not None:
        table.add_section()
        deviation = _marked(found.difference_deviation, found.difference_tolerance)
        table.add_row("differences", "central", "", "", deviation, escape(found.where(found.difference)))
    return table


def _marked(deviation: float | None, tolerance: float) -> Text:
    return Text(_number(deviation).lower(), style="" if within(deviation, tolerance) else "bold red")


def _remarks(found: Comparison) -> list[Text]:
    """Why there is no gradient where there is none."""
    problems = [
        Text(f"\n{row.backend}{' ' + row.adjoint if row.adjoint else ''}: {row.problem}", style="red")
        for row in found.rows
        if row.problem
    ]
    return problems + [Text(f"\nleft out: {name}: {reason}", style="dim") for name, reason in found.skipped.items()]


def _verdict(found: Comparison) -> Text:
    if found.reference is None:
        return Text("\nthere is no gradient to compare", style="bold red")
    worst, difference = found.worst_deviation, found.difference_deviation
    limits = (
        f"worst deviation {_number(worst)} (tolerance {found.tolerance:.0e}), "
        f"of central differences {_number(difference)} (tolerance {found.difference_tolerance:.0e})"
    )
    if found.ok:
        return Text(f"\nall agree: {limits}", style="green")
    text = Text(style="bold red")
    if not within(worst, found.tolerance):
        text.append("\nthey do not agree")
    elif not within(difference, found.difference_tolerance):
        text.append("\nthey agree with each other, but not with central differences")
    else:
        text.append("\nnot all could run")
    text.append(f": {limits}")
    if within(worst, found.tolerance) and not within(difference, found.difference_tolerance) and found.kicks:
        text.append(f"\n{KINKS}", style="not bold default")
    return text


def _number(value: float | None) -> str:
    return "NaN" if value is None or math.isnan(value) else f"{value:.1e}"
