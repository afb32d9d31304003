"""How far a run has come: kicks done, their rate, and the time left."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from backbeam.beam import Beam
from backbeam.walking import Waypoint

INTERVAL = 0.2
"""Seconds between two words at least."""


class Progress:
    """Tells how far a beam has come through its kicks, of which so many were made before the clock starts."""

    def __init__(self, kicks: int, beam: Beam, tell: Callable[[str], None], before: int = 0) -> None:
        self.kicks, self.backend, self.tell, self.before = kicks, beam.backend, tell, before
        self.title = f"tracking {beam.n} particles" + (f" through {kicks} kicks" if kicks else "")
        self.begun = self.told = 0.0

    def begin(self) -> None:
        """Start the clock."""
        self.tell(self.title)
        self.begun = self.told = monotonic()

    def passed(self, place: Waypoint) -> None:
        """Tell, if the last word is some time ago."""
        if not self.kicks or monotonic() - self.told < INTERVAL:
            return
        self.backend.synchronize(place.state.X)  # a device may still be busy with what is behind
        self.told = monotonic()
        self.tell(f"{self.title}: {said(place.kicks, self.kicks, place.kicks - self.before, self.told - self.begun)}")


class SweepProgress:
    """Tells how far a gradient has come, there and back."""

    def __init__(self, title: str, kicks: int, tell: Callable[[str], None]) -> None:
        self.title, self.kicks, self.tell = title, kicks, tell
        self.back: bool | None = None
        self.first = 0
        self.begun = self.told = monotonic()

    def passed(self, back: bool, kicks: int) -> None:
        """Tell, if the last word is some time ago; the clock starts at the first place of each way."""
        now = monotonic()
        if back != self.back:
            self.back, self.first, self.begun = back, kicks, now
        if self.kicks and now > self.told + INTERVAL:
            self.told = now
            way = "back" if back else "there"
            self.tell(f"{self.title}, {way}: {said(kicks, self.kicks, kicks - self.first, now - self.begun)}")


def said(done: int, kicks: int, counted: int, seconds: float) -> str:
    """``120 of 400, 35 a second, 8 s left``, from the kicks that were counted in so many seconds."""
    rate = counted / seconds if seconds > 0.0 else 0.0
    if not rate > 0.0:
        return f"{done} of {kicks}"
    return f"{done} of {kicks}, {rate:.3g} a second, {_time((kicks - done) / rate)} left"


def _time(seconds: float) -> str:
    """``8 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
