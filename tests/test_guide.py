"""What the guide shows runs, and prints what it says; its commands are there, with their options."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from backbeam import guide
from backbeam.cli.app import app


@pytest.mark.parametrize("page", guide.PAGES)
def test_its_sessions_print_what_they_show(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sessions = "\n".join(re.findall(r"^```\n(>>> .*?)^```", guide.text(page), flags=re.DOTALL | re.MULTILINE))
    test = doctest.DocTestParser().get_doctest(sessions, {}, page, None, None)
    said = []
    assert not doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL).run(test, out=said.append).failed, (
        "".join(said)
    )
    assert bool(test.examples) == (page != "long-runs")


COMMANDS = [
    line.partition("#")[0]
    for page in guide.PAGES
    for block in re.findall(r"^```sh\n(.*?)^```", guide.text(page), flags=re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_are_there(command):
    program, name, *words = shlex.split(command)
    found = app.get_command(None, name)
    assert program == "backbeam" and found is not None
    options = {option for parameter in found.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= options


def test_every_page_is_in_the_list_and_within_reach():
    """No page is lost, and what one page refers to is there."""
    folder = Path(guide.__file__).parent
    assert {path.stem for path in folder.glob("*.md")} == set(guide.PAGES)
    for page in guide.PAGES:
        assert set(re.findall(r"`backbeam guide ([a-z-]+)`", guide.text(page))) <= set(guide.PAGES)
    listed = CliRunner().invoke(app, ["guide"]).output
    assert all(f"{page:14}{guide.title(page)}" in listed for page in guide.PAGES)
    assert CliRunner().invoke(app, ["guide", "start"]).output == guide.text("start")
    wrong = CliRunner().invoke(app, ["guide", "optic"])
    assert wrong.exit_code == 2 and "allowed: optics" in wrong.stderr
