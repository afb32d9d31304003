"""What other codes call a thing, and the one line that an unknown word gets."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from backbeam.errors import InputError, Said

ELSEWHERE = {
    "l": "length", "lag": "phase, in rad from the crest", "gap": "hgap, half of the gap", "hgapx": "hgap",
    "volt": "voltage, in V", "freq": "frequency, in Hz", "harmon": "frequency, in Hz", "aper": "half_x and half_y",
    "angle_deg": "angle", "energy": "kinetic_energy, in eV", "momentum": "reference_momentum, P0 c in eV",
    "nodes": "grid", "nslice": "slices", "num_slices": "slices",
}  # fmt: skip
"""What other codes call a thing, and what it is called here."""


def unknown(path: str, name: str, allowed: Iterable[str], what: str = "an unknown key") -> InputError:
    """Error for a name that is not among those allowed: it offers its name here, the nearest, or else all."""
    allowed = tuple(allowed)
    here = ELSEWHERE.get(name.lower(), "")
    if here.split(",")[0].split(" ")[0] in allowed:
        return InputError(path, Said(what), here)
    close = [a for a in allowed if a.lower() == name.lower()] or get_close_matches(name, allowed, 3)
    return InputError(path, Said(what), " or ".join(close) if close else f"one of {', '.join(allowed)}")
