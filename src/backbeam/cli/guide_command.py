"""``backbeam guide``: the pages of the guide."""

from __future__ import annotations

import sys

import click


@click.command("guide")
@click.argument("page", required=False)
def command(page: str | None) -> None:
    """Read the guide: the list of its pages, or PAGE. In a pipe, a page is Markdown."""
    from backbeam import guide
    from backbeam.words import unknown

    if page is None:
        for name in guide.PAGES:
            click.echo(f"{name:14}{guide.title(name)}")
        click.echo("\nbackbeam guide PAGE shows one.")
    elif page not in guide.PAGES:
        raise unknown("PAGE", page, guide.PAGES, what=repr(page))
    elif sys.stdout.isatty():
        from backbeam.cli.table import print_page

        print_page(guide.text(page))
    else:
        click.echo(guide.text(page), nl=False)
