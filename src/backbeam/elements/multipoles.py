"""Straight magnets: quadrupole, sextupole, octupole, general multipole, corrector; and the thin multipole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from backbeam.elements.base import REQUIRED, Bound, Element, bind, parameter, steps_over
from backbeam.errors import InputError
from backbeam.maps.linear import LinearBody
from backbeam.maps.multipole import Component, ThickMultipole, ThinMultipoleMap
from backbeam.maps.quadrupole import ThickQuadrupole
from backbeam.maps.thin_bend import ThinBend

if TYPE_CHECKING:
    from backbeam.arrays import Array


@dataclass(frozen=True, eq=False)
class _Straight(Element):
    """A thick straight magnet: subclasses add strengths k<j> (normal) and k<j>s (skew) of order j."""

    def _components(self) -> tuple[Component, ...]:
        present = (n for n in self.parameters() if n[0] == "k")
        return tuple(Component(n, int(n.strip("ks")), n.endswith("s")) for n in present)

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """Splitting of exact drifts and kicks; or the matrix of the quadrupole in it."""
        if self.model == "linear":
            has_gradient = "k1" in self.parameters()
            return (bind(LinearBody(fraction, gradient=has_gradient)),)
        steps = steps_over(self.steps, fraction)
        return (bind(ThickMultipole(self._components(), self.order, steps, fraction)),)


SPLITTINGS = {"matrix-drift": (6, 1), "drift-kick": (6, 4)}
"""How an exact quadrupole can be split, and the order and steps of each if they are not given."""


@dataclass(frozen=True, eq=False)
class Quadrupole(_Straight):
    """Quadrupole.

    "matrix-drift" splits the full Hamiltonian into the linear quadrupole, solved by its matrix, and the small
    rest of the exact drift (`backbeam.maps.quadrupole`). For small amplitudes at the reference momentum it is
    exact in any number of steps. "drift-kick" splits it into exact drifts and thin kicks, whose error does
    not vanish there: the way of Xsuite and JuTrack. At the same error it takes about twenty times as long.

    Largest error of px and py, next to the largest kick that the quadrupole gives: 200 electrons of 250 MeV,
    uniform in 1 mm and 1 mrad, against 200 steps of order 6. It depends mostly on w = k1 L^2 and on the
    largest relative energy deviation d; that of the default is about 1e-5 d w^3 + 4e-3 d^2 w^2. Positions,
    next to L times the kick, are within 3e-6 in all of these cases by the default::

        w     d       matrix-drift, order 6, 1 step    order 4    order 2    drift-kick, order 6, 4 steps
        0.3   1e-3    6e-10                            2e-7       2e-5       4e-8
        0.3   1e-2    4e-8                             1e-6       2e-4       4e-8
        1     1e-3    1e-8                             1e-6       6e-5       2e-6
        1     1e-2    5e-7                             1e-5       6e-4       2e-6
        3     1e-2    3e-6                             9e-5       1e-3       6e-5

    Parameters
    ----------
    length:
        Length [m].
    k1:
        Normalised gradient (dBy/dx)/(B rho) [1/m^2]; positive focuses x whatever the sign of the charge.
    model:
        "exact": the full Hamiltonian, split; "linear": its first-order matrix.
    order, steps:
        Order of the splitting (2, 4, 6) and its steps over the whole length. None: 6 and 1 for matrix-drift,
        6 and 4 for drift-kick.
    splitting:
        "matrix-drift" or "drift-kick".

    Examples
    --------
    >>> line = bb.Line([bb.Quadrupole(0.2, k1=3.0, name="q")])
    >>> line.get("q.k1")
    3.0
    """

    length: Array | float = parameter(REQUIRED, unit="m")
    k1: Array | float = parameter(REQUIRED, unit="1/m^2")
    model: str = "exact"
    order: int | None = None
    steps: int | None = None
    splitting: str = "matrix-drift"

    kind: ClassVar[str] = "quadrupole"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.splitting not in tuple(SPLITTINGS):
            raise InputError(self._label("splitting"), self.splitting, " or ".join(SPLITTINGS))

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """The splitting that was chosen; or the matrix."""
        if self.model == "linear":
            return super().body(fraction)
        order, steps = SPLITTINGS[self.splitting]
        order, steps = self.order or order, steps_over(self.steps or steps, fraction)
        if self.splitting == "drift-kick":
            return (bind(ThickMultipole(self._components(), order, steps, fraction)),)
        return (bind(ThickQuadrupole(order, steps, fraction)),)


@dataclass(frozen=True, eq=False)
class Sextupole(_Straight):
    """Sextupole: k2 = (d^2By/dx^2)/(B rho) [1/m^3], skew k2s. Its linear model is a drift.

    Examples
    --------
    >>> bb.Sextupole(0.2, k2=20.0).k2
    20.0
    """

    length: Array | float = parameter(REQUIRED, unit="m")
    k2: Array | float = parameter(REQUIRED, unit="1/m^3")
    k2s: Array | float | None = parameter(None, unit="1/m^3")
    model: str = "exact"
    order: int = 4
    steps: int = 2

    kind: ClassVar[str] = "sextupole"


@dataclass(frozen=True, eq=False)
class Octupole(_Straight):
    """Octupole: k3 = (d^3By/dx^3)/(B rho) [1/m^4], skew k3s. Its linear model is a drift.

    Examples
    --------
    >>> bb.Octupole(0.2, k3=100.0).k3
    100.0
    """

    length: Array | float = parameter(REQUIRED, unit="m")
    k3: Array | float = parameter(REQUIRED, unit="1/m^4")
    k3s: Array | float | None = parameter(None, unit="1/m^4")
    model: str = "exact"
    order: int = 4
    steps: int = 2

    kind: ClassVar[str] = "octupole"


@dataclass(frozen=True, eq=False)
class Multipole(_Straight):
    """Thick straight magnet with several orders together: normal k0 ... k5 and skew k0s ... k5s.

    dpx - i dpy = -sum_j (k_j + i k_js)(x + iy)^j/j! per metre. The linear model knows k1 and drifts through the rest;
    it refuses k0, k0s and k1s, which its matrix cannot hold.

    Examples
    --------
    >>> bb.Multipole(0.2, k1=1.0, k2=5.0).k2
    5.0
    """

    length: Array | float = parameter(REQUIRED, unit="m")
    k0: Array | float | None = parameter(None, unit="1/m")
    k1: Array | float | None = parameter(None, unit="1/m^2")
    k2: Array | float | None = parameter(None, unit="1/m^3")
    k3: Array | float | None = parameter(None, unit="1/m^4")
    k4: Array | float | None = parameter(None, unit="1/m^5")
    k5: Array | float | None = parameter(None, unit="1/m^6")
    k0s: Array | float | None = parameter(None, unit="1/m")
    k1s: Array | float | None = parameter(None, unit="1/m^2")
    k2s: Array | float | None = parameter(None, unit="1/m^3")
    k3s: Array | float | None = parameter(None, unit="1/m^4")
    k4s: Array | float | None = parameter(None, unit="1/m^5")
    k5s: Array | float | None = parameter(None, unit="1/m^6")
    model: str = "exact"
    order: int = 4
    steps: int = 4

    kind: ClassVar[str] = "multipole"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self._components():
            raise InputError(self._label("k0"), None, "at least one of k0 ... k5, k0s ... k5s")
        if self.model == "linear":
            for name in ("k0", "k0s", "k1s"):
                if name in self.parameters():
                    raise InputError(self._label("model"), "linear", f"exact, where {name} is given")


@dataclass(frozen=True, eq=False)
class ThinMultipole(Element):
    """Multipole of no length: integrated normal k0l ... k5l and skew k0sl ... k5sl.

    Parameters
    ----------
    angle:
        Angle [rad] by which it bends the reference, positive towards -x; None leaves the line straight. A dipole that
        bends the line has both ``angle`` and ``k0l``, the same unless it is set wrong.
    lrad:
        Length [m] over which k0l is spread, for the focusing k0l angle/lrad of a sector; None is none.

    Examples
    --------
    >>> bb.ThinMultipole(k1l=0.3).k1l
    0.3
    """

    k0l: Array | float | None = parameter(None, unit="1")
    k1l: Array | float | None = parameter(None, unit="1/m")
    k2l: Array | float | None = parameter(None, unit="1/m^2")
    k3l: Array | float | None = parameter(None, unit="1/m^3")
    k4l: Array | float | None = parameter(None, unit="1/m^4")
    k5l: Array | float | None = parameter(None, unit="1/m^5")
    k0sl: Array | float | None = parameter(None, unit="1")
    k1sl: Array | float | None = parameter(None, unit="1/m")
    k2sl: Array | float | None = parameter(None, unit="1/m^2")
    k3sl: Array | float | None = parameter(None, unit="1/m^3")
    k4sl: Array | float | None = parameter(None, unit="1/m^4")
    k5sl: Array | float | None = parameter(None, unit="1/m^5")

    angle: Array | float | None = parameter(None, unit="rad", kw_only=True)
    lrad: Array | float | None = parameter(None, unit="m", kw_only=True)

    kind: ClassVar[str] = "thin_multipole"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self._components() and self.angle is None:
            raise InputError(self._label("k0l"), None, "at least one of k0l ... k5l, k0sl ... k5sl, angle")
        if self.lrad is not None and (self.angle is None or self.k0l is None):
            raise InputError(self._label("lrad"), self.lrad, "nothing, where k0l and angle do not bend the reference")

    def _components(self) -> tuple[Component, ...]:
        present = (n for n in self.parameters() if n[0] == "k")
        return tuple(Component(n, int(n[1]), n.endswith("sl")) for n in present)

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """One kick; what bends the reference has a map of its own."""
        if self.angle is None:
            return (bind(ThinMultipoleMap(self._components())),)
        others = tuple(c for c in self._components() if c.parameter != "k0l")
        kick = (bind(ThinMultipoleMap(others)),) if others else ()
        return (*kick, bind(ThinBend(self.k0l is not None, self.lrad is not None)))


@dataclass(frozen=True, eq=False)
class Corrector(Element):
    """Steering magnet: adds ``hkick`` to px and ``vkick`` to py, spread over its length; a thin one has no length.

    Parameters
    ----------
    length:
        Length [m], or None for a thin corrector.
    hkick, vkick:
        Change of px and py at the reference momentum [rad].

    Examples
    --------
    >>> line = bb.Line([bb.Corrector(0.0, hkick=1e-4), bb.Drift(2.0)])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> f"{float(bb.track(line, beam).mean('px') - beam.mean('px')):.1e}"
    '1.0e-04'
    """

    length: Array | float | None = parameter(None, unit="m")
    hkick: Array | float | None = parameter(None, unit="rad")
    vkick: Array | float | None = parameter(None, unit="rad")
    model: str = "exact"
    order: int = 2
    steps: int = 1

    kind: ClassVar[str] = "corrector"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self._components():
            raise InputError(self._label("hkick"), None, "at least one of hkick, vkick [rad]")

    def _components(self) -> tuple[Component, ...]:
        # dpx - i dpy = -(k0 + i k0s): a positive kick is a negative k0 and a positive k0s.
        present = self.parameters()
        both = (Component("hkick", 0, False, -1.0), Component("vkick", 0, True, 1.0))
        return tuple(c for c in both if c.parameter in present)

    def body(self, fraction: float) -> tuple[Bound, ...]:
        """Drift, kick, drift; or the kick alone. The linear model drifts by the matrix."""
        components = self._components()
        if not self.is_thick:
            return (bind(ThinMultipoleMap(components)),)
        if self.model == "linear":
            half = bind(LinearBody(0.5 * fraction))
            share = tuple(c._replace(scale=c.scale * fraction) for c in components)
            return (half, bind(ThinMultipoleMap(share)), half)
        steps = steps_over(self.steps, fraction)
        return (bind(ThickMultipole(components, self.order, steps, fraction, integrated=True)),)
