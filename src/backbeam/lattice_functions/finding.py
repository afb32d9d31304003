"""`optics`: from a line and its reference to the table of lattice functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbeam import backends
from backbeam.arrays import Array, namespace
from backbeam.beam import Beam
from backbeam.errors import InputError
from backbeam.lattice_functions.linearisation import linearised
from backbeam.lattice_functions.orbit import Closing
from backbeam.lattice_functions.passages import Passages, parameter_vector
from backbeam.lattice_functions.products import products
from backbeam.lattice_functions.solution import Solution
from backbeam.lattice_functions.start import Twiss, axis, beginning
from backbeam.lattice_functions.table import PER, Optics, Source
from backbeam.line import Line
from backbeam.plan import Slicing
from backbeam.reference import Reference
from backbeam.run import broadcast_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence


def optics(
    line: Line,
    reference: Reference | Beam,
    start: str | Twiss | Beam = "periodic",
    at: Sequence[str] | None = None,
    *,
    orbit: Any = None,
    pt: Array | float | None = None,
    step: float | None = None,
    per: str = "pt",
) -> Optics:
    """Orbit and lattice functions of a line, at the end of each of its elements.

    Everything is about the orbit on the exact maps. Collective effects have no part in it.

    Parameters
    ----------
    line:
        The beamline. Its parameters may be arrays with batch axes.
    reference:
        The reference at the start, or a beam that has it.
    start:
        "periodic": the orbit and the lattice functions of a ring or cell, which return. A `Twiss` or a beam: those
        with which a line begins.
    at:
        Names of elements, for a table of these alone; None: all.
    orbit:
        Coordinates ``(..., 6)`` with which a line begins; None: the axis, or the centroid of a beam.
    pt:
        Of the closed orbit of a ring, whose motion along s then is left out (4D). None: 0; and where cavities change
        the energy with tau, the orbit that closes in all six coordinates, with the lattice functions of three modes.
    step:
        Longest distance between places [m]: thick elements are cut. None: the ends of elements.
    per:
        What dispersion and chromaticity are the derivative by: "pt", as in MAD-X; "delta", as in Xsuite.

    Returns
    -------
    Optics
        The table.

    Raises
    ------
    InputError
        For arguments that do not fit together.
    TrackingError
        Where there is no closed orbit, or the motion about it is not stable.

    Examples
    --------
    >>> cell = [bb.Quadrupole(0.2, k1=2.0), bb.Drift(1.0), bb.Quadrupole(0.2, k1=-2.0), bb.Drift(1.0)]
    >>> table = bb.optics(bb.Line(cell), bb.Reference.from_kinetic_energy(1e9, "proton"))
    >>> f"tune {float(table.tune_x):.4f}"
    'tune 0.0727'
    """
    if not isinstance(line, Line):
        raise InputError("line", line, "a Line")
    beam = reference if isinstance(reference, Beam) else None
    given = beam.reference if beam is not None else reference
    if not isinstance(given, Reference):
        raise InputError("reference", reference, "a Reference, or a beam that has one")
    if per not in PER:
        raise InputError("per", per, " or ".join(PER))
    passages = Passages.of(line, Slicing(step=step))
    if not passages.steps:
        raise InputError("line", line, "a line with at least one element that does something")
    vector, backend = parameter_vector(line, given)

    def as_array(value: Any, field: str) -> Array:
        if hasattr(value, "shape") and backends.of(value).name not in ("numpy", backend.name):
            raise InputError(field, f"an array of {backends.of(value).name}", f"an array of {backend.name}")
        mine = hasattr(value, "shape") and backends.of(value) is backend
        device = None if mine or backend.traced([vector]) else backend.device_name(vector)
        dtype = "float32" if vector.dtype == namespace(vector).float32 else "float64"
        return backend.asarray(value, dtype=dtype, device=device)

    beta_gamma = as_array(given.beta_gamma, "reference")
    periodic = isinstance(start, str)
    if periodic and start != "periodic":
        raise InputError("start", start, "periodic, a Twiss, or a beam")
    if periodic and orbit is not None:
        raise InputError("orbit", orbit, "left out where start is periodic: the orbit is found")
    if not periodic and pt is not None:
        raise InputError("pt", pt, "left out where start is given: orbit has it")
    functions, lattice = None, {}
    if isinstance(start, Beam):
        orbit = start.mean() if orbit is None else orbit
        start = Twiss.of(start)
    if isinstance(start, Twiss):
        lattice = start.arrays(as_array)
        functions = beginning(lattice)
    elif not periodic:
        raise InputError("start", start, "periodic, a Twiss, or a beam")
    first = axis(vector) if orbit is None else as_array(orbit, "orbit")
    if tuple(first.shape[-1:]) != (6,):
        raise InputError("orbit", f"an array of shape {tuple(first.shape)}", "shape (..., 6)")
    if pt is not None:
        first = axis(vector, as_array(pt, "pt"))
    batch = broadcast_shapes(
        tuple(vector.shape[:-1]),
        tuple(beta_gamma.shape),
        tuple(first.shape[:-1]),
        () if functions is None else tuple(functions.A.shape[:-2]),
    )
    closed = 0
    if periodic:
        closed = 6 if pt is None and _swings(passages, given, vector, beta_gamma, batch) else 4
    solution = Solution.of(passages, given.species, vector, beta_gamma, Closing(closed, first), functions, batch)
    if periodic:
        _check_energy(solution)
        solution.A0  # noqa: B018  (raises where the motion is not stable)
    return Optics(Source(line, given, lattice), solution, per, _rows(passages, at))


def _check_energy(solution: Solution) -> None:
    """Nothing returns where the reference is another one after a turn."""
    backend, u = backends.of(solution.beta_gamma), solution.beta_gamma
    if not solution.passages.accelerating or backend.traced([u]):
        return
    gain = namespace(u).max(namespace(u).abs(backend.constant(u[..., -1] / u[..., 0]) - 1.0))
    if float(gain) > 1e3 * float(namespace(u).finfo(u.dtype).eps):
        allowed = "a Twiss or a beam: the cavities change the reference's momentum, by a part of "
        raise InputError("start", "periodic", f"{allowed}{float(gain):.3g} in a turn")


def _swings(passages: Passages, reference: Reference, vector: Array, beta_gamma: Array, batch: tuple[int, ...]) -> bool:
    """Whether the energy after a turn depends on tau: there is a cavity, and it is on."""
    if not passages.accelerating:
        return False
    backend, xp = backends.of(vector), namespace(vector)
    if backend.traced([vector, beta_gamma]):
        return True
    constant = backend.constant
    K = len(passages.steps)
    along = xp.broadcast_to(constant(beta_gamma)[..., None], (*batch, K))
    z = xp.broadcast_to(axis(vector), (*batch, K, 6))
    total = products(linearised(passages, reference.species, constant(vector), along, z).R)[..., -1, :, :]
    return bool(xp.any(total[..., 5, 4] != 0.0))


def _rows(passages: Passages, at: Sequence[str] | None) -> tuple[int, ...]:
    """Which places the table shows."""
    if at is None:
        return tuple(range(len(passages.names)))
    if isinstance(at, str):
        at = [at]
    for name in at:
        if name not in passages.names:
            raise InputError("at", name, "names of elements of the line")
    return tuple(k for k, name in enumerate(passages.names) if name in at)
