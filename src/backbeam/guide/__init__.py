"""The guide: one page a question, each read in a minute; what it shows is run by the tests.

To add a page: a file ``NAME.md`` here, with its title in the first line, and its name in `PAGES`.
"""

from __future__ import annotations

from pathlib import Path

PAGES = (
    "start", "lines", "space-charge", "gradients", "files", "optics", "questions", "long-runs", "words",
)  # fmt: skip
"""Names of the pages, in the order in which they are best read."""


def text(name: str) -> str:
    """A page, in Markdown."""
    return (Path(__file__).parent / f"{name}.md").read_text(encoding="utf-8")


def title(name: str) -> str:
    """What it is called."""
    return text(name).partition("\n")[0].removeprefix("# ")
