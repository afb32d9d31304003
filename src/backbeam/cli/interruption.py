"""Ctrl-C and SIGTERM: a command stops in order, says so in one line, and leaves with 128 and the signal's number.

A signal is often handled where a kernel's arrays are given back, in a finalizer, from which Python drops exceptions.
There nothing is raised, and an alarm comes a moment later.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

MOMENT = 0.01
"""Seconds until the alarm."""


class Interrupted(Exception):  # noqa: N818 (it is no error)
    """A command was told to stop."""

    def __init__(self, number: int) -> None:
        super().__init__("terminated" if number == signal.SIGTERM else "interrupted")
        self.code = 128 + number


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which then unwinds as Ctrl-C does."""


@contextmanager
def stopping() -> Iterator[None]:
    """Turn both signals into `Interrupted` meanwhile; once one has come, more of them do not disturb the tidying up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    alarm = signal.getsignal(signal.SIGALRM) if hasattr(signal, "SIGALRM") else None

    def stop(number: int, frame: Any) -> None:
        for one in before:
            signal.signal(one, signal.SIG_IGN)
        if alarm is not None and _is_in_finalizer(frame):
            signal.signal(signal.SIGALRM, lambda _, frame: stop(number, frame))
            signal.setitimer(signal.ITIMER_REAL, MOMENT)
            return
        raise _Terminated if number == signal.SIGTERM else KeyboardInterrupt

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as of a job in the background
            signal.signal(number, stop)
    try:
        yield
    except KeyboardInterrupt as stopped:
        raise Interrupted(signal.SIGTERM if isinstance(stopped, _Terminated) else signal.SIGINT) from None
    finally:
        if alarm is not None and signal.getsignal(signal.SIGALRM) is not alarm:
            signal.setitimer(signal.ITIMER_REAL, 0.0)  # an alarm that is still to come would end the process
            before[signal.SIGALRM] = alarm
        for number, handler in before.items():
            with suppress(TypeError):  # a handler that was not set from Python
                signal.signal(number, handler)


def _is_in_finalizer(frame: FrameType | None) -> bool:
    """Whether Python would drop an exception from there."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None
