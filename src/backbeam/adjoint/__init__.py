"""How a gradient is remembered: pass one of these as ``adjoint=``.

==================  =========================================  ==================================================
`Reversible`        nothing a kick: every step is undone       memory that does not grow; float32 has anchors
`Checkpoint`        ``slots`` states in all, recomputation     where steps cannot be undone and memory is short
`Store`             48 B/particle a kick (float64)             where memory is no matter: nothing is undone
`Tape`              all that the library records               PyTorch and JAX: an independent witness; forward mode
`Auto`              one of these                               the default: the fastest within a tenth of memory
==================  =========================================  ==================================================

All give the same gradient, to rounding.
"""

from __future__ import annotations

from backbeam.adjoint.auto import Auto
from backbeam.adjoint.base import Adjoint
from backbeam.adjoint.checkpoint import Checkpoint
from backbeam.adjoint.reversible import Reversible
from backbeam.adjoint.store import Store
from backbeam.adjoint.tape import Tape
from backbeam.errors import InputError

__all__ = ["Adjoint", "Auto", "Checkpoint", "Reversible", "Store", "Tape", "adjoint_named", "planned"]


def adjoint_named(name: str) -> Adjoint:
    """Return the adjoint called ``reversible``, ``store``, ``checkpoint``, ``tape`` or ``auto``, with its defaults."""
    try:
        return Adjoint.known[name]()
    except (KeyError, TypeError):
        names = (*(adjoint.name for adjoint in planned()), *(n for n, c in Adjoint.known.items() if c.place is None))
        raise InputError("adjoint", name, f"one of {', '.join(names)}") from None


def planned() -> tuple[Adjoint, ...]:
    """Every adjoint whose memory can be foretold, with its defaults, in their places."""
    places = [(cls.place, cls) for cls in Adjoint.known.values() if cls.place is not None]
    return tuple(cls() for _, cls in sorted(places, key=lambda found: found[0]))
