"""Particle species: rest energy and charge number. Constants are CODATA 2018, the set that the peers use."""

from __future__ import annotations

from dataclasses import dataclass

from backbeam.errors import InputError
from backbeam.proportion import MASS

SPEED_OF_LIGHT = 299_792_458.0
"""c in m/s (exact)."""
ELEMENTARY_CHARGE = 1.602_176_634e-19
"""e in C (exact)."""
VACUUM_PERMITTIVITY = 8.854_187_8128e-12
"""epsilon_0 in F/m (CODATA 2018)."""


@dataclass(frozen=True)
class Species:
    """A kind of particle.

    Parameters
    ----------
    name:
        What the species is called in problem files and tables.
    mass:
        Rest energy m c^2 in eV.
    charge_number:
        Charge in units of the elementary charge, signed (electron: -1).

    Raises
    ------
    InputError
        If the mass is not positive.

    Examples
    --------
    >>> bb.Species("kaon+", 493_677_000.0, +1.0)
    Species(name='kaon+', mass=493677000.0, charge_number=1.0)
    >>> "proton" in bb.Species.known()
    True
    """

    name: str
    mass: float
    charge_number: float

    @classmethod
    def known(cls) -> dict[str, Species]:
        """Return the species that can be called by name, by name."""
        return dict(KNOWN)

    def __post_init__(self) -> None:
        if not self.mass > 0:
            raise InputError("species.mass", self.mass, "a rest energy in eV, greater than 0")
        MASS.ask("species.mass", self.mass)


ELECTRON_MASS = 510_998.95
PROTON_MASS = 938_272_088.16

KNOWN = {
    species.name: species
    for species in (
        Species("electron", ELECTRON_MASS, -1.0),
        Species("positron", ELECTRON_MASS, +1.0),
        Species("proton", PROTON_MASS, +1.0),
        Species("antiproton", PROTON_MASS, -1.0),
        Species("H-", PROTON_MASS + 2 * ELECTRON_MASS, -1.0),
        Species("muon-", 105_658_375.5, -1.0),
        Species("muon+", 105_658_375.5, +1.0),
        Species("deuteron", 1_875_612_942.57, +1.0),
        Species("alpha", 3_727_379_406.6, +2.0),
    )
}
"""The species that can be called by name."""


def species_named(species: str | Species) -> Species:
    """Return the species called by that name; a `Species` is returned as it is.

    Raises
    ------
    InputError
        If no species has that name.
    """
    if isinstance(species, Species):
        return species
    try:
        return KNOWN[species]
    except (KeyError, TypeError):
        raise InputError("species", species, f"one of {', '.join(KNOWN)}, or a Species") from None


def species_like(mass: float, charge_number: float, name: str = "particle") -> Species:
    """The known species of a rest energy [eV] and a charge, both to eight digits; one of its own if there is none.

    Other codes have their constants from other years.
    """
    for known in KNOWN.values():
        if abs(mass - known.mass) < 1e-8 * known.mass and abs(charge_number - known.charge_number) < 1e-8:
            return known
    return Species(name, mass, charge_number)
