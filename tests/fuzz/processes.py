"""Command lines in processes of their own: they end in time, by no signal, in bounded memory, and say one line."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from random import Random

from campaign import Fault
from commands import folder, judged, prepared

SECONDS = 120.0
REFUSED_IN = 2.0
"""Seconds of the processor that a refusal may take."""
REFUSED_WITH = 500e6
"""Bytes that it may take."""


def case(random: Random) -> str:
    """One command, in one process in ten without a home."""
    words = prepared(random)
    env = {name: value for name, value in os.environ.items() if name != "HOME" or random.random() > 0.1}
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", RUN, *words]
    done = subprocess.run(command, cwd=folder(), env=env, capture_output=True, stdin=subprocess.DEVNULL, timeout=100)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    err, _, peak = err.rpartition("peak ")
    try:
        verdict = judged(words, done.returncode, out, err)
        if verdict == "refused" and seconds > REFUSED_IN:
            raise Fault(f"refused after {seconds:.1f} s of the processor, {time.monotonic() - begun:.1f} s in all")
        if verdict == "refused" and int(peak) * 1024 > REFUSED_WITH:
            raise Fault(f"refused with {int(peak) // 1024} MB")
    except Fault as fault:
        raise Fault(f"{fault}; {words}"[:600]) from None
    return verdict


RUN = """
import atexit, os, resource
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
atexit.register(lambda: os.write(2, f"peak {peak()}".encode()))
from backbeam.cli import main
main()
"""
