"""MAD-X's twiss of one lattice, in an environment of its own: a case as JSON in, columns and summary as JSON out."""

from __future__ import annotations

import json
import os
import sys

from cpymad.madx import Madx

COLUMNS = ("s", "betx", "alfx", "mux", "bety", "alfy", "muy", "dx", "dpx", "dy", "x", "y")
OFF = {"solenoid": ("ks",), "hkicker": ("kick",), "vkicker": ("kick",), "kicker": ("hkick", "vkick")}
"""What is off where an orbit bump is not wanted."""
SURVEY = ("X", "Y", "Z", "theta", "phi", "psi")
NUMBERS = ("q1", "q2", "dq1", "dq2", "alfa", "length")


def main() -> None:
    """Answer one case."""
    case = json.load(sys.stdin)
    madx = Madx(stdout=False)
    madx.option(echo=False, warn=False, info=False)
    for file in case["files"]:
        os.chdir(os.path.dirname(file))
        madx.call(file)
    beam = ", ".join(f"{key}={case['beam'][key]}" for key in ("particle", "mass", "charge", "energy"))
    madx.input(f"beam, {beam};")
    madx.use(case["sequence"])
    madx.input(f"beam, {beam}, sequence={case['sequence']};")
    for element in madx.sequence[case["sequence"]].expanded_elements:
        if element.base_type.name == "rfcavity":
            madx.elements[element.name].volt = 0.0
        for name in OFF.get(element.base_type.name, ()) if case["quiet"] else ():
            madx.elements[element.name][name] = 0.0
    start = {} if case["ring"] else {"betx": 1.0, "bety": 1.0}
    found = madx.twiss(sequence=case["sequence"], **start)
    madx.survey()
    survey = madx.table.survey
    json.dump(
        {
            "columns": {name: [float(v) for v in found[name]] for name in COLUMNS},
            "survey": {name: [float(v) for v in survey[name.lower()]] for name in SURVEY},
            "numbers": {name: float(found.summary[name]) for name in NUMBERS},
        },
        sys.stdout,
    )


main()
