"""The table that ``backbeam memory`` prints for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbeam.cli.table import add_effects, console
from backbeam.extras import need
from backbeam.memory.amounts import show_bytes

need("cli", "rich", purpose="printing tables")

from rich import box  # noqa: E402
from rich.console import Group  # noqa: E402
from rich.padding import Padding  # noqa: E402
from rich.table import Table  # noqa: E402
from rich.text import Text  # noqa: E402

if TYPE_CHECKING:
    from backbeam.adjoint import Adjoint
    from backbeam.memory import Choice, Model, Needs
    from backbeam.problem import Problem
    from backbeam.problem.measuring import Measurement


def print_memory(
    problem: Problem,
    model: Model,
    needs: list[Needs],
    choice: Choice | None,
    default: Adjoint | None,
    seen: dict[str, Measurement],
    skipped: dict[str, str],
) -> None:
    """Print a row for every adjoint, what was measured, and which fits."""
    parts = [Text(problem.title, style="bold"), _facts(problem, model), _rows(needs, seen, skipped), _reading(model)]
    if choice is not None:
        parts.append(_verdict(choice))
    elif default is not None:
        parts.append(Text(f"\nunless told otherwise a gradient takes {default.describe()} here", style="bold"))
    console().print(Padding(Group(*parts), (1, 1), expand=False))


def _facts(problem: Problem, model: Model) -> Table:
    run = problem.settings
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    state = show_bytes(model.state_bytes)
    facts.add_row("beam", f"{model.n:,} macroparticles; their coordinates are {state}")
    add_effects(facts, problem.course())
    facts.add_row("runs on", ", ".join([run.backend, *([run.device] if run.device else []), run.dtype]))
    return facts


def _rows(needs: list[Needs], seen: dict[str, Measurement], skipped: dict[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    table.add_column("adjoint")
    for heading in (
        "kept a kick\nB/particle\n+ B/cell", "working set\nB/particle\n+ B/cell", "time over\ntracking",
        "predicted\npeak",
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    if seen or skipped:
        for heading in ("measured\npeak", "deviation", "of the\nprocess"):
            table.add_column(heading, justify="right")
    for one in needs:
        name, predicted = one.adjoint.name, one.predicted_peak_bytes
        cells = [
            one.adjoint.describe(), f"{one.bytes_per_particle_per_kick:.4g} + {one.bytes_per_cell_per_kick:.4g}",
            f"{one.bytes_per_particle_working:.4g} + {one.bytes_per_cell_working:.4g}", f"{one.relative_time:.1f}",
            Text(show_bytes(predicted), style="bold"),
        ]  # fmt: skip
        if name in seen:
            peak = seen[name].peak_bytes
            deviation = f"{predicted / peak - 1.0:+.1%}" if peak > 0 else ""
            cells += [show_bytes(peak), deviation, show_bytes(seen[name].process_bytes)]
        elif name in skipped:
            cells += [Text(skipped[name], style="red")]
        table.add_row(*cells)
    return table


def _reading(model: Model) -> Text:
    found = model.coefficients
    text = "\nthe peak is what the gradient adds to the beam and the libraries: what is kept, and the working set"
    if found.borrowed:
        text += f"; {found.wanted} was not measured: these are the coefficients of {found.setup}"
    return Text(text, style="dim")


def _verdict(choice: Choice) -> Text:
    budget = show_bytes(choice.budget_bytes)
    best = choice.recommended
    if best is None:
        least, more = choice.smallest.adjoint.describe(), show_bytes(choice.short_by)
        return Text(f"\nnothing fits in {budget}: {least} needs least, and {more} more", style="bold red")
    spare = show_bytes(choice.budget_bytes - best.predicted_peak_bytes)
    return Text(f"\nin {budget}: --adjoint {best.adjoint.describe()}, with {spare} to spare", style="bold green")
