"""What tests of readers share: a file from text, the matrix of a line, what stands in it."""

from __future__ import annotations

import numpy as np

import backbeam as bb


def matrix(line, species="electron", kinetic_energy=1e9, h=2e-5):
    """Jacobian (6, 6) of the line about the reference, by differences of fourth order."""
    steps = np.asarray([-2.0, -1.0, 1.0, 2.0]) * h
    X = np.zeros((6, 24))
    for k in range(6):
        X[k, 4 * k : 4 * k + 4] = steps
    beam = bb.Beam.from_arrays(X, species=species, kinetic_energy=kinetic_energy, charge=0.0)
    weights = np.asarray([1.0, -8.0, 8.0, -1.0]) / (12.0 * h)
    return np.reshape(bb.track(line, beam).coordinates, (6, 6, 4)) @ weights


def fractional_tunes(M):
    """Fractional tunes of the planes, which are not coupled, from the matrix of a turn."""
    found = []
    for k in (0, 2):
        A = M[k : k + 2, k : k + 2]
        angle = np.arccos(0.5 * np.trace(A))
        found.append((angle if A[0, 1] > 0.0 else 2.0 * np.pi - angle) / (2.0 * np.pi))
    return found


def load(tmp_path, text, name, line=None, replace=None, **files):
    """A lattice from text; ``a__b__lte`` is a further file a/b.lte."""
    for other, content in files.items():
        *folders, stem, suffix = other.split("__")
        folder = tmp_path.joinpath(*folders)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{stem}.{suffix}").write_text(content)
    (tmp_path / name).write_text(text)
    return bb.load(tmp_path / name, line=line, replace=replace)


def passages(loaded):
    """Names of the elements in turn; drifts without a name by their kind."""
    return [element.name or element.kind for element in loaded.line.elements]
