"""Symmetric splitting of H = drift + kick: the weights of Strang, Forest-Ruth and Yoshida."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from backbeam import backends
from backbeam.arrays import Array
from backbeam.errors import InputError

ORDERS = (2, 4, 6)
"""Orders of accuracy on offer."""


@cache
def splitting(order: int, steps: int) -> tuple[tuple[str, float], ...]:
    """Sequence of ("drift" | "kick", weight) for a number of equal steps; weights of each kind add to 1.

    Neighbouring drifts are merged, so a step costs 1, 3 or 7 kicks at order 2, 4 or 6. The sequence is a palindrome.
    Sources: Forest & Ruth, Physica D 43 (1990) 105; Yoshida, Phys. Lett. A 150 (1990) 262, solution A.

    Raises
    ------
    InputError
        For an order other than 2, 4, 6 or fewer than one step.
    """
    if order not in ORDERS:
        raise InputError("order", order, "2, 4 or 6")
    if steps < 1:
        raise InputError("steps", steps, "a whole number, at least 1")
    if order == 2:
        kicks = [1.0]
    elif order == 4:
        outer = 1.0 / (2.0 - 2.0 ** (1.0 / 3.0))
        kicks = [outer, 1.0 - 2.0 * outer, outer]
    else:
        w = [0.784513610477560, 0.235573213359357, -1.17767998417887]
        kicks = [*w, 1.0 - 2.0 * sum(w), *reversed(w)]
    kicks = [k / steps for k in kicks] * steps
    drifts = [0.5 * (a + b) for a, b in zip([0.0, *kicks], [*kicks, 0.0], strict=True)]
    sequence = [("drift", drifts[0])]
    for k, d in zip(kicks, drifts[1:], strict=True):
        sequence += [("kick", k), ("drift", d)]
    return tuple(sequence)


def fold(
    order: int, steps: int, act: Callable[[str, float, Any], Any], carry: Any, like: Array, *, backwards: bool = False
) -> Any:
    """``carry = act(kind, weight, carry)`` along a `splitting`, or from its end to its beginning.

    The equal steps are a loop of the library of ``like``, so that what is compiled does not grow with their number;
    ``carry`` is a nest of arrays of constant shapes.
    """
    whole = splitting(order, steps)
    length = (len(whole) - 1) // steps
    # A drift, then (steps - 1) times kicks and drifts up to the merged one, then the last step with its half drift.
    parts = [(whole[:1], 1), (whole[1 : 1 + length], steps - 1), (whole[-length:], 1)]

    def run(sequence: tuple[tuple[str, float], ...], carry: Any) -> Any:
        for kind, weight in reversed(sequence) if backwards else sequence:
            carry = act(kind, weight, carry)
        return carry

    def round_of(sequence: tuple[tuple[str, float], ...], carry: Any, _: None) -> tuple[Any, None]:
        return run(sequence, carry), None

    for sequence, count in reversed(parts) if backwards else parts:
        if count == 1:
            carry = run(sequence, carry)
        elif count:
            carry, _ = backends.of(like).scan(partial(round_of, sequence), carry, None, count)
    return carry
