"""Calls from Python: plausible ones, with one or two arguments that nobody expects.

What is wrong is said by a `BackbeamError` in one line; what is accepted gives finite numbers.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import cache
from random import Random
from typing import Any

import numpy as np
from campaign import Fault
from gradients import ELEMENTS, KINDS, LABELS
from values import NASTY

import backbeam as bb
from backbeam.elements import Element
from backbeam.errors import BackbeamError, BackbeamWarning

STRANGE: tuple[Any, ...] = (
    *NASTY, b"x", 1j, Decimal("0.1"), Fraction(1, 3), np.float32(0.5), np.int64(3), np.nan, np.float64("inf"),
    np.zeros(0), np.zeros(3), np.ones((2, 3)), np.array(1.0), np.array([np.nan]), np.array(["a"]), np.array([1j]),
    np.ma.masked_array([1.0], [True]), np.array([None]), object(), int, len, (), (1, 2), (1, 2, 3), {1, 2},
    range(3), bb.Drift(1.0), bb.Line([bb.Drift(1.0)]), [bb.Drift(1.0)], slice(2), Ellipsis, -1.0, 1e9,
)  # fmt: skip
BEAM = {"n": 20, "species": "electron", "kinetic_energy": 1e8, "charge": 1e-10, "sigma_x": 1e-3, "sigma_px": 1e-4,
        "sigma_y": 1e-3, "sigma_tau": 1e-3, "seed": 1, "dtype": "float64", "backend": "numpy"}  # fmt: skip


@cache
def beam() -> bb.Beam:
    """One to track."""
    return bb.Beam.gaussian(**BEAM)


@cache
def line() -> bb.Line:
    """One to track through."""
    return bb.Line([bb.Drift(0.2, name="d"), bb.Quadrupole(0.1, k1=3.0, name="q"), bb.Monitor(name="m")])


def element(random: Random) -> tuple[Callable[..., Any], dict[str, Any]]:
    """An element, tracked."""
    label = random.choice(LABELS)
    kind = Element.kinds[next(name for name in KINDS if label.startswith(name))]

    def made(**fields: Any) -> bb.Beam:
        return bb.track(bb.Line([kind(**fields)]), beam())

    return made, {**ELEMENTS[label], "name": "e"}


TRACKED = {"space_charge": None, "effects": [], "slices": None, "step": None, "on_turn": "lose"}
KICK = {"grid": (6, 6, 6), "extent": "auto", "grid_gradient": "exact", "order": 2, "plane": "s", "step": 0.1}
CALLS: tuple[tuple[Callable[..., Any], Callable[[], dict[str, Any]]], ...] = (
    (bb.Beam.gaussian, lambda: BEAM),
    (bb.Beam.draw, lambda: {"kind": "waterbag", **BEAM}),
    (bb.track, lambda: {"line": line(), "beam": beam(), **TRACKED}),
    (bb.Beam.from_arrays, lambda: {**ARRAYS, "coordinates": np.asarray(beam().coordinates)}),
    (lambda **fields: bb.track(line(), beam(), space_charge=bb.SpaceCharge3D(**fields)), lambda: KICK),
    (bb.value_and_grad, lambda: {"line": line(), "beam": beam(), **TRACKED, **ASKED}),
    (bb.optics, lambda: {"line": line(), "reference": beam(), "start": "periodic"}),
    (lambda items: bb.Line(items), lambda: {"items": [bb.Drift(1.0)]}),
    (lambda n: line() * n, lambda: {"n": 2}),
    (lambda key: line()[key], lambda: {"key": "q"}),
    (lambda changes: line().replace(changes), lambda: {"changes": {"q.k1": 1.0}}),
    (lambda name: beam().sigma(name), lambda: {"name": "x"}),
    (lambda plane: beam().emittance(plane), lambda: {"plane": "x"}),
    (lambda text: bb.observables.expression(text), lambda: {"text": "2 sigma_x + sigma_y"}),
    (lambda **where: beam().to(**where), lambda: {"backend": "torch", "device": None, "dtype": "float32"}),
    (bb.Checkpoint, lambda: {"slots": 3}),
    (bb.Reversible, lambda: {"anchor_every": 3, "tolerance": 1e-3}),
)
ARRAYS = {"species": "electron", "kinetic_energy": 1e8, "charge": 1e-10}
ASKED = {"objective": bb.observables.sigma("x"), "wrt": ["q.k1"], "adjoint": "store"}


def call(random: Random) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Something to call, and arguments that it takes; an element in one case of seven."""
    function, arguments = random.choice(CALLS)
    return element(random) if random.random() < 1 / 7 else (function, arguments())


def case(random: Random) -> str:
    """One call."""
    function, given = call(random)
    given = dict(given)
    for _ in range(random.choice([0, 1, 1, 1, 2])):
        name = random.choice(list(given))
        value = random.choice(STRANGE)
        given[name] = copy.copy(value) if isinstance(value, list | dict) else value
    said = f"{getattr(function, '__qualname__', function)}({', '.join(f'{k}={v!r:.40}' for k, v in given.items())})"
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", BackbeamWarning)
        try:
            found = function(**given)
        except BackbeamError as error:
            text = str(error)
            if not text or "\n" in text:
                raise Fault(f"{said}: an error that is not one line: {text!r:.200}") from None
            return "refused"
        except Exception as error:
            if isinstance(error, TypeError | IndexError) and set(given) == {"key"}:
                return "refused by Python"  # what is no index of a sequence
            raise Fault(f"{said}: {type(error).__name__}: {error}"[:500]) from error
    if isinstance(found, bb.Beam):
        numbers = found.backend.to_numpy(found.coordinates)
    elif isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict):
        numbers = np.asarray([float(np.sum(v)) for v in found[1].values()])
    else:
        return "accepted"
    if not np.isfinite(numbers).all() or not math.isfinite(float(np.sum(numbers))):
        raise Fault(f"{said}: accepted, and what comes out is no number"[:500])
    return "accepted, finite"
