"""Where particles were lost, as a table: a row an element and reason, the first places first."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from backbeam.units import number

MOST_ROWS = 12


def losses_table(losses: list[dict[str, Any]]) -> Table:
    """Table of the ``losses`` of a summary, from the place that loses most."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in losses:
        found.setdefault((one["element"], one["reason"]), []).append(one)
    rows = sorted(found.items(), key=lambda row: -_sum(row[1]))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2))
    table.add_column("lost at")
    table.add_column("")
    for heading in ("particles", escape("s [m]"), "passage"):
        table.add_column(heading, justify="right")
    for (element, reason), places in rows[:MOST_ROWS]:
        s, passages = ([one[field] for one in places] for field in ("s", "passage"))
        table.add_row(
            escape(element) or "not known", reason, f"{_sum(places):,}", _range(s, number), _range(passages, str)
        )
    if len(rows) > MOST_ROWS:
        rest = rows[MOST_ROWS:]
        table.add_row(f"{len(rest)} more places", "", f"{sum(_sum(places) for _, places in rest):,}", "", "")
    return table


def _sum(places: list[dict[str, Any]]) -> int:
    return sum(place["particles"] for place in places)


def _range(values: list[Any], text: Any) -> str:
    first, last = text(min(values)), text(max(values))
    return first if first == last else f"{first} – {last}"
