"""Files of particles, spoilt at random: each is read, or gets one line. ``beam_mutations.py 10000 astra`` runs many."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

import beam_files
import numpy as np

from backbeam.beam import Beam
from backbeam.errors import BackbeamError

KINDS = ("h5", "npz", "csv", "sdds", "ascii.sdds", "impactx", "astra", "impact", "opal")


def sound(kind, folder):
    """Bytes of a whole file of a kind."""
    beam, path = beam_files.beam_of(n=20), folder / "sound"
    if kind in ("h5", "npz", "csv"):
        beam.save(path, {"h5": "openpmd"}.get(kind, kind))
    elif kind.endswith("sdds"):
        beam_files.elegant(path, beam, mode="ascii" if kind.startswith("ascii") else "binary")
    elif kind == "impactx":
        beam_files.impactx(path, {1: beam})
    else:
        getattr(beam_files, kind)(path, beam)
    return path.read_bytes()


def spoilt(data, rng):
    """Bytes changed, cut out, doubled, cut off, or exchanged for numbers that surprise."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 40))
        match rng.integers(6):
            case 0:
                data[at] = rng.integers(256)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case 3:
                del data[at:]
            case 4:
                data[at : at + 4] = rng.choice([b"1e99", b"-nan", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"9999"])
            case 5:
                data[at : at + 8] = np.float64(rng.choice([np.nan, np.inf, -1e300, 1e300, -0.0])).tobytes()
        if not data:
            data = bytearray(b"\n")
    return bytes(data)


def refusals(kind, count, folder, seed=0):
    """Read so many spoilt files of a kind; returns how many were refused. Anything but one line is an error."""
    rng, data, refused, path = np.random.default_rng(seed), sound(kind, folder), 0, folder / "spoilt"
    asked = {"species": "electron", "charge": 1e-9} if kind == "impact" else {}
    for k in range(count):
        bad = spoilt(data, rng)
        path.write_bytes(bad)
        start = time.monotonic()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                beam = Beam.load(path, **asked)
            assert np.isfinite(beam.coordinates[:, beam.alive]).all() and np.isfinite(beam.charges).all()
        except BackbeamError as error:
            assert "\n" not in str(error) and len(str(error)) < 600, (kind, seed, k, str(error))
            refused += 1
        except BaseException as error:
            raise AssertionError(f"{kind}, seed {seed}, file {k}") from error
        assert time.monotonic() - start < 10.0, (kind, seed, k)
    return refused


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as name:
        for kind in sys.argv[2:] or KINDS:
            refused = refusals(kind, count, Path(name), seed=1)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{kind:12} {count} files, {refused} refused in one line, {peak:.0f} MB at most", flush=True)
