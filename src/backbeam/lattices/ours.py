"""Our own files: a problem with a lattice, or a lattice alone, in YAML or JSON."""

from __future__ import annotations

import re
from typing import Any

from backbeam.errors import BackbeamError, InputError
from backbeam.lattices.description import Description, LatticeError, reference_particle
from backbeam.lattices.sources import Sources
from backbeam.species import Species


class OurReader:
    """Reads problem files; see `backbeam.lattices.loading`."""

    suffixes = (".yaml", ".yml", ".json")

    def recognises(self, head: str) -> bool:
        """Whether a key of a problem, or of its lattice, stands at the margin or comes first."""
        keys = "title|beam|lattice|define|knobs|reference|line|space_charge|track|gradient|run"
        return re.search(rf"^({keys})\s*:", head, re.M) is not None or (
            re.match(rf"\s*\{{\s*\"({keys})\"\s*:", head) is not None
        )

    def read(self, sources: Sources, line: str | None) -> Description:
        """The line of a file; it has one."""
        from backbeam.problem.lattice import read_lattice
        from backbeam.problem.lattice_file import own_lattice

        if len(sources.paths) > 1:
            raise InputError("files", [str(p) for p in sources.paths[1:]], "one file in our own format")
        if line is not None:
            raise InputError("line", line, "nothing: a file of ours holds one line")
        path = sources.paths[0]
        tree = own_lattice(path)
        if tree is None:
            raise LatticeError(str(path), "it holds no lattice of ours")
        try:
            lattice = read_lattice(tree, path.stem)
            given = tree.get("reference") or {}
            species: Any = given.get("species")
            species = Species(**species) if isinstance(species, dict) else species
            reference = reference_particle(species, kinetic=float(given["kinetic_energy"])) if given else None
        except (BackbeamError, KeyError, TypeError, ValueError) as error:
            raise LatticeError(str(path), str(error)) from None
        return Description(path.stem, [], line=lattice.line, reference=reference)


READER = OurReader()
