"""Coefficients that are round numbers, so that predictions can be told by hand."""

from __future__ import annotations

FORMS = {"SpaceCharge3D": [{"particle": 400.0, "cell": 100.0}, {"particle": 100.0, "cell": 300.0}]}

TIMES = {"store": 2.5, "reversible": 3.0, "checkpoint": 9.0}


def working(more):
    return {
        "SpaceCharge3D": [
            {k: c + (more if k == "particle" else 0.0) for k, c in f.items()} for f in FORMS["SpaceCharge3D"]
        ],
        "Map": [{"particle": 200.0 + more}],
    }


def setup(tape):
    """A table's entry; ``tape``: whether the library has one."""
    adjoints = {"reversible": 0.0, "store": 50.0, "checkpoint": 60.0, **({"tape": 100.0} if tape else {})}
    return {
        "versions": {},
        "working": {name: working(more) for name, more in adjoints.items()} | {},
        "lossy": dict.fromkeys(adjoints, 8.0),
        "tape": {
            "SpaceCharge3D": {"particle": 1000.0, "cell": 800.0, "face": 10.0}, "Map": {"particle": 300.0},
            "Drift": {"particle": 200.0}, "ThickQuadrupole": {"particle": 100.0, "substep": 50.0},
            "lossy": {"map": 5.0, "kick": 7.0},
        } if tape else {},
        "time": dict.fromkeys(("kicks", "maps", "matrix"), TIMES | ({"tape": 4.0} if tape else {})),
    }  # fmt: skip


SETUPS = {
    f"{library} {place} {dtype}": setup(library != "numpy")
    for library in ("numpy", "torch", "jax")
    for place in ("cpu",)
    for dtype in ("float64", "float32")
}
