"""The table that ``backbeam gradient`` prints for a person."""

from __future__ import annotations

from backbeam.cli.table import add_effects, console, count
from backbeam.extras import need
from backbeam.parameter_names import unit_of
from backbeam.problem import Derivative, Problem
from backbeam.units import quantity

need("cli", "rich", purpose="printing tables")

from rich import box  # noqa: E402
from rich.console import Group  # noqa: E402
from rich.markup import escape  # noqa: E402
from rich.padding import Padding  # noqa: E402
from rich.table import Table  # noqa: E402
from rich.text import Text  # noqa: E402


def print_gradient(problem: Problem, found: Derivative) -> None:
    """Print value, derivatives, and how they were found."""
    parts = [Text(problem.title, style="bold"), _facts(problem, found), _derivatives(found), _closing(found)]
    console().print(Padding(Group(*parts), (1, 1), expand=False))


def plain_unit(name: str, found: Derivative) -> str:
    """Unit of a parameter; nothing for a number without."""
    unit = unit_of(name, found.course)
    return "" if unit == "1" else unit


def _facts(problem: Problem, found: Derivative) -> Table:
    beam = found.initial
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column()
    facts.add_row("objective", Text(f"{found.question.objective.name} = {found.value:.12g}", style="bold"))
    facts.add_row("beam", f"{beam.n:,} macroparticles, {escape(beam.species.name)}")
    add_effects(facts, found.course)
    facts.add_row("runs on", f"{beam.backend.name}, {beam.device}, {beam.dtype}")
    facts.add_row("adjoint", _method(found))
    return facts


def _method(found: Derivative) -> str:
    """Name of the adjoint, what it kept, and how well it came back."""
    adjoint = found.question.adjoint
    parts = [adjoint.name]
    if found.anchors or found.mismatch is not None:
        parts.append(count(found.anchors, adjoint.noun))
    if found.mismatch is not None:
        parts.append(f"states reconstructed to {found.mismatch:.1e} of their size")
    return ", ".join(parts)


def _derivatives(found: Derivative) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2))
    table.add_column("parameter p")
    table.add_column("unit", style="dim")
    for heading in ("value", "df/dp", "(p/f) df/dp"):
        table.add_column(heading, justify="right")
    largest = max((abs(r) for name in found.gradient if (r := found.relative(name))), default=0.0)
    for name, slope in found.gradient.items():
        relative = found.relative(name)
        strong = relative is not None and abs(relative) == largest > 0.0
        table.add_row(
            escape(name), plain_unit(name, found), f"{found.parameters[name]:.6g}", f"{slope:.9e}",
            Text("–" if relative is None else f"{relative:+.6f}", style="bold" if strong else ""),
        )  # fmt: skip
    return table


def _closing(found: Derivative) -> Text:
    ratio = found.seconds_gradient / found.seconds_primal if found.seconds_primal else float("nan")
    return Text(
        f"\nvalue and gradient in {quantity(found.seconds_gradient, 's', 3)}, {ratio:.2f} times the tracking alone "
        f"({quantity(found.seconds_primal, 's', 3)}); the process or device held at most "
        f"{quantity(found.peak_bytes, 'B', 4)}, the beam is {quantity(found.beam_bytes, 'B', 4)}"
    )
