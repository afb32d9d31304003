"""``backbeam backends``: what is installed, and why one cannot be used."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

TEST_ONLY = ("array_api_strict",)


@click.command("backends")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of a table.")
def command(as_json: bool) -> None:
    """List the array libraries: version, devices, and why one cannot be used."""
    from backbeam import backends

    reports = backends.report()
    if as_json:
        click.echo(json.dumps([{**asdict(r), "usable": not r.problem} for r in reports]))
        return
    from backbeam.cli.table import print_backends

    print_backends(reports, TEST_ONLY)
