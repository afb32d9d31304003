"""``beam: {matched: periodic, emittance_x: ...}``: a beam that is matched to the problem's own line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backbeam.beam import Beam
from backbeam.distributions.inputs import Home, reference_of
from backbeam.errors import InputError
from backbeam.line import Line
from backbeam.problem.keys import check_keys
from backbeam.species import species_named

KEYS = (
    "matched", "species", "n", "charge", "kinetic_energy", "reference_momentum", "seed", "emittance_x", "emittance_y",
    "emittance_z", "sigma_tau", "sigma_pt",
)  # fmt: skip
REQUIRED = {
    "species": "the name of a species, such as proton",
    "n": "a number of macroparticles, at least 1",
    "charge": "a total charge in C",
    "emittance_x": "a geometric rms emittance in m",
    "emittance_y": "a geometric rms emittance in m",
}


def check_matched(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section if its keys are those of a matched beam.

    Raises
    ------
    InputError
        For a key that it has not, or another word than ``periodic``.
    """
    check_keys(given, KEYS, REQUIRED, "beam")
    if given["matched"] != "periodic":
        raise InputError("beam.matched", given["matched"], "periodic: what comes back after one passage of the line")
    return given


def draw_matched(given: Mapping[str, Any], line: Line, backend: str, device: str | None, dtype: str) -> Beam:
    """Draw the beam about the closed orbit of the line."""
    from backbeam.lattice_functions import optics

    home = Home.named(backend, device, dtype)
    species = species_named(given["species"])
    reference = reference_of(home, species, given.get("kinetic_energy"), given.get("reference_momentum"))
    sizes = {key: given[key] for key in KEYS if key.startswith(("emittance", "sigma")) and given.get(key) is not None}
    found = optics(line, reference)
    return Beam.matched(found, n=given["n"], seed=given.get("seed") or 0, charge=given["charge"], **sizes)
