"""Numbers for a person: the SI prefix that suits them, and no more digits than say something."""

from __future__ import annotations

from collections.abc import Iterable

SMALL = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))
LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_POWERS = {"": "", "m": "10⁻³", "µ": "10⁻⁶", "n": "10⁻⁹", "p": "10⁻¹²", "f": "10⁻¹⁵"}


def scale_of(values: Iterable[float | None]) -> tuple[float, str]:
    """Power of 1000, and its prefix, in which to show values side by side: the smallest keeps its digits.

    Values that are zero or None, and those beside which the largest would need five figures, have no say.
    """
    sizes = sorted(abs(v) for v in values if v)
    sizes = [v for v in sizes if sizes[-1] <= 1e4 * v]
    if not sizes:
        return SMALL[0]
    least = sizes[0]
    for factor, prefix in SMALL:
        if least >= 0.1 * factor:
            return factor, prefix
    return SMALL[-1]


def unit_text(prefix: str, unit: str) -> str:
    """Unit with its prefix; of a number without unit, the power of ten."""
    return f"{prefix}{unit}" if unit else _POWERS[prefix]


def number(value: float | None, factor: float = 1.0) -> str:
    """Return value/factor with four or five digits that count; a dash for None."""
    if value is None:
        return "–"
    v = value / factor
    if v == 0.0:
        return "0"
    if abs(v) >= 1e5:
        return f"{v:.3e}"
    if abs(v) < 5e-5:
        return "≈ 0"
    return f"{v:.{4 if abs(v) < 10 else 3 if abs(v) < 100 else 2}f}"


def quantity(value: float, unit: str, digits: int = 6) -> str:
    """Return a number with a unit and the prefix that suits it: 250 MeV, -1 nC."""
    size = abs(value)
    for factor, prefix in (*LARGE, *SMALL):
        if size >= factor * 0.9999995:
            return f"{value / factor:.{digits}g} {prefix}{unit}"
    return f"{value:.{digits}g} {unit}"
