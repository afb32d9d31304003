"""What the README shows must run, and give what it says."""

from __future__ import annotations

import re
from pathlib import Path

import backbeam as bb

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_python_example_runs_and_its_gradient_is_right():
    code, questions = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    shown: dict = {}
    exec(code.replace("100_000", "2_000").replace("(32, 32, 32)", "(12, 12, 12)"), shown)
    line, beam, h = shown["cell"] * 5, shown["beam"], 1e-4

    def sigma(k1):
        moved = line.replace({"qf.k1": k1})
        return bb.track(moved, beam, space_charge=shown["space_charge"], step=0.1).sigma("x")

    difference = (8 * (sigma(3 + h) - sigma(3 - h)) - (sigma(3 + 2 * h) - sigma(3 - 2 * h))) / (12 * h)
    assert abs(shown["grad"]["qf.k1"] - difference) < 1e-6 * abs(difference)
    assert shown["value"] == sigma(3.0)
    exec(questions, shown)
    assert shown["found"].success


def test_commands_name_what_exists():
    examples = set(re.findall(r"backbeam (?:run|gradient|check) ([a-z-]+)(?![\w.-])", README))
    from backbeam.problem import example_names

    assert examples <= set(example_names())
    assert len(examples) >= 2


def test_conventions_are_those_of_the_package():
    for code in ("Cheetah, Ocelot", "ImpactX", "MAD-X", "Xsuite", "Bmad"):
        assert code in README and code in bb.__doc__
