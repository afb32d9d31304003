"""MAD-X: sequences and lines, deferred expressions, macros, conditions, loops and edited sequences.

``text``       cuts a file into statements
``program``    runs them: variables, elements, sequences, lines, what is called and what is skipped
``sequences``  puts elements at their places, edits sequences, expands lines
``elements``   says in the words that all readers share what an element of MAD-X is

What MAD-X means was asked of MAD-X 5.09 itself where its manual (https://mad.web.cern.ch) leaves it open.
"""

from __future__ import annotations

from backbeam.lattices.description import Description
from backbeam.lattices.sources import Sources


class MadxReader:
    """Reads MAD-X; see `backbeam.lattices.loading`."""

    suffixes = (".madx", ".mad", ".seq", ".str")

    def recognises(self, head: str) -> bool:
        """Whether there are statements that end in semicolons, and a word that only MAD-X has."""
        text = head.lower()
        return ";" in text and (":=" in text or "sequence" in text or ": quadrupole" in text or "beam," in text)

    def read(self, sources: Sources, line: str | None) -> Description:
        """Describe a sequence or a line."""
        from backbeam.lattices.madx.program import Program

        program = Program(sources)
        for path in sources.paths:
            program.run_file(path)
        return program.describe(line)


READER = MadxReader()
