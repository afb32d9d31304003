"""The command line, called within the test process."""

from __future__ import annotations

import json

from click.testing import CliRunner

from backbeam.cli.app import app


def call(*arguments, code=0):
    """Run the command; returns its result."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def call_json(*arguments, code=0):
    """Run the command with ``--json``; returns the one object that it prints."""
    result = call(*arguments, "--json", code=code)
    assert result.stdout.count("\n") == 1
    assert result.stderr == ""

    def refuse(word):
        raise AssertionError(f"{word} in JSON")

    return json.loads(result.stdout, parse_constant=refuse)


def refused(*arguments):
    """Run the command with bad input; returns the one line that it says."""
    result = call(*arguments, code=2)
    assert result.stdout == ""
    assert result.stderr.startswith("backbeam: error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("backbeam: error: ").strip()
