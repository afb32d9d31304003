"""Errors that backbeam raises for a person to read: one line with the field, the value and what is allowed."""

from __future__ import annotations


class BackbeamError(Exception):
    """Base of every error that backbeam raises on purpose."""


class InputError(BackbeamError, ValueError):
    """Input that cannot be used.

    Parameters
    ----------
    field:
        Where the value stands, in the user's own words (``beam.n``, ``qf.length``).
    value:
        The value that was given.
    allowed:
        What would have been accepted.

    Examples
    --------
    >>> try:
    ...     bb.Drift(float("nan"))
    ... except bb.InputError as error:
    ...     print(error)
    drift.length is nan; allowed: a finite number in m
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        super().__init__(field, value, allowed)

    def __str__(self) -> str:
        shown = repr(self.value)
        if len(shown) > 120:
            shown = shown[:117] + "..."
        words = " ".join(f"{self.field} is {shown}; allowed: {self.allowed}".split())
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)


class BackendError(BackbeamError, RuntimeError):
    """An array library that cannot do what was asked: not installed, no such device or data type."""


class TrackingError(BackbeamError, ArithmeticError):
    """Tracking that has no answer, such as particles that would turn round."""


class BackbeamWarning(UserWarning):
    """A value that is formally right and surely meant otherwise: one line, with the question."""


class Said:
    """A value shown in an error as plain words instead of quoted."""

    def __init__(self, words: str) -> None:
        self.words = words

    def __repr__(self) -> str:
        return self.words
