"""A beam that is matched to the optics of a line at a place: what comes back there as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backbeam.arrays import Array, namespace
from backbeam.errors import InputError
from backbeam.lattice_functions.products import outer, product, transposed
from backbeam.moment_beam.beam import MomentBeam

if TYPE_CHECKING:
    from backbeam.lattice_functions import Optics


def matched(
    optics: Optics,
    *,
    emittance_x: Array | float,
    emittance_y: Array | float,
    emittance_z: Array | float | None = None,
    sigma_tau: Array | float | None = None,
    sigma_pt: Array | float | None = None,
    charge: Array | float = 0.0,
    at: str = "start",
) -> MomentBeam:
    """Moments of a matched beam, about the orbit.

    Parameters
    ----------
    optics:
        The table of the line.
    emittance_x, emittance_y:
        Geometric rms emittances of the modes in x and y [m].
    emittance_z:
        Of the mode along s, where the table has one (cavities); else
    sigma_tau, sigma_pt:
        rms length [m] and spread; pt takes the orbit along by the dispersion.
    charge:
        Magnitude of the total charge [C].
    at:
        Element at whose end the beam is, or "start" or "end".

    Raises
    ------
    InputError
        For an emittance or size that is missing, too many, or negative.
    """
    solution, place = optics.solution, optics.place(at)
    six = solution.size == 6
    given = {"emittance_x": emittance_x, "emittance_y": emittance_y}
    given |= {"emittance_z": emittance_z} if six else {"sigma_tau": sigma_tau, "sigma_pt": sigma_pt}
    others = {"sigma_tau": sigma_tau, "sigma_pt": sigma_pt} if six else {"emittance_z": emittance_z}
    kind = "a ring with cavities on" if six else "a table without motion along s"
    for name, value in others.items():
        if value is not None:
            raise InputError(f"beam.{name}", value, f"left out for {kind}")
    for name, value in given.items():
        if value is None or (not hasattr(value, "shape") and not 0 <= value < float("inf")):
            raise InputError(f"beam.{name}", value, f"a number in m or 1, at least 0, for {kind}")
    sizes = {name: optics.as_mine(value) for name, value in given.items()}
    A = solution.A[..., place, :, :]
    cov: Any = None
    for j, plane in enumerate("xyz"[: solution.size // 2]):
        mode = A[..., :, 2 * j : 2 * j + 2]
        part = sizes[f"emittance_{plane}"][..., None, None] * product(mode, transposed(mode))
        cov = part if cov is None else cov + part
    if not six:
        xp = namespace(cov)
        k = int(solution.passages.ends[place])
        v = solution.v[..., k, :]
        D = xp.concat([v[..., :4] / v[..., 5:6], xp.zeros_like(v[..., :1]), xp.ones_like(v[..., :1])], axis=-1)
        wide = xp.concat([cov, xp.zeros_like(cov[..., :2])], axis=-1)
        wide = xp.concat([wide, xp.zeros_like(wide[..., :2, :])], axis=-2)
        unit = xp.eye(6, dtype=cov.dtype)
        long = (sizes["sigma_tau"] ** 2)[..., None, None] * outer(unit[4, :], unit[4, :])
        cov = wide + long + (sizes["sigma_pt"] ** 2)[..., None, None] * outer(D, D)
    k = int(solution.passages.ends[place])
    reference = optics.source.reference.with_beta_gamma(solution.beta_gamma[..., k])
    return MomentBeam(solution.z[..., k, :], cov, reference, charge, optics.everywhere["s"][..., place])
