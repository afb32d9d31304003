"""Where a beam's numbers become arrays, each checked where its value can be looked at."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from backbeam import backends, proportion
from backbeam.arrays import COORDINATES, Array, namespace, per_particle
from backbeam.errors import BackendError, InputError
from backbeam.reference import HIGHEST_ENERGY, Reference
from backbeam.species import Species

if TYPE_CHECKING:
    from backbeam_backends import Backend


class Rule(NamedTuple):
    """What a number may be."""

    allowed: str
    """In words, with its unit."""
    test: Callable[[np.ndarray], Any]
    """True where a finite value is allowed."""


LARGEST = 1e9
"""A size, an offset or an emittance beyond this, in m or without unit, is taken for a slip."""


def at_least_zero(what: str) -> Rule:
    """Rule of a number that is not negative."""
    return Rule(f"{what}, at least 0 and at most {LARGEST:g}", lambda v: (v >= 0) & (v <= LARGEST))


def positive(what: str) -> Rule:
    """Rule of a number greater than 0."""
    return Rule(f"{what}, greater than 0", lambda v: v > 0)


def energetic(what: str) -> Rule:
    """Rule of an energy or a momentum of the reference."""
    return Rule(f"{what}, greater than 0 and at most {HIGHEST_ENERGY:g}", lambda v: (v > 0) & (v <= HIGHEST_ENERGY))


KINETIC_ENERGY = energetic("a kinetic energy in eV")
REFERENCE_MOMENTUM = energetic("a momentum P0 c in eV")
_ANY = Rule("a number", lambda v: np.ones_like(v, dtype=bool))
_BY_PREFIX = (
    ("mean_", Rule(f"a number in m or without unit, at most {LARGEST:g} either way", lambda v: abs(v) <= LARGEST)),
    ("correlation_", Rule("a correlation in [-1, 1]", lambda v: abs(v) <= 1)),
    ("beta_", positive("a Twiss beta in m")),
    ("alpha_", Rule("a finite number without unit", _ANY.test)),
    ("emittance_", at_least_zero("an rms geometric emittance in m")),
    ("normalized_emittance_", at_least_zero("an rms normalised emittance in m")),
    ("radius", at_least_zero("a half-axis in m")),
    ("dispersion_", Rule("a finite number, in m or without unit", _ANY.test)),
    ("chirp", Rule("a finite number in 1/m", _ANY.test)),
)
UNITS = (
    ("charge", "C"), ("kinetic_energy", "eV"), ("reference_momentum", "eV"), ("radius", "m"), ("emittance", "m"),
    ("normalized_emittance", "m"), ("beta_gamma", "1"), ("beta_", "m"), ("sigma_p", "1"), ("mean_p", "1"),
    ("dispersion_p", "1"), ("sigma_", "m"), ("mean_", "m"), ("dispersion_", "m"), ("chirp", "1/m"),
)  # fmt: skip
"""Unit of a beam's parameter by how its name begins; the first that fits."""


def rule_of(name: str) -> Rule:
    """Rule of a distribution's parameter."""
    if name.startswith("sigma_"):
        return at_least_zero("an rms size " + ("without unit" if name[6] == "p" else "in m"))
    return next((rule for prefix, rule in _BY_PREFIX if name.startswith(prefix)), _ANY)


LARGEST_CHARGE = 1.0
"""More charge than this [C] is taken for a slip of the unit."""
MEANS = tuple(f"mean_{name}" for name in COORDINATES)


MOST_PARTICLES = 2**31 - 1
"""More than this are taken for a slip: losses are counted in 32 bits."""
FEW = 100_000
"""Particles for which there is always room."""
DRAWN = 18
"""Numbers a particle that are in memory while a beam is drawn: variates, coordinates, and those on the way."""


def check_words(**names: Any) -> None:
    """Raise `InputError` for a list or an array where something is called by its name."""
    for field, value in names.items():
        if hasattr(value, "__len__") and not isinstance(value, str):
            raise InputError(f"beam.{field}", value, "a name")


def dtype_word(dtype: Any) -> Any:
    """Name of a data type of any library: ``torch.float32``, ``numpy.float32``; whatever else is given as it is."""
    if isinstance(dtype, np.dtype | type):
        return np.dtype(dtype).name
    return dtype if type(dtype).__module__ == "builtins" else str(dtype).rpartition(".")[2]


def device_word(device: Any) -> Any:
    """Name of a device of any library: ``torch.device("cuda", 0)``, ``jax.devices()[0]``; None and a name as they are.

    An index that is left open stays so.
    """
    if device is None or isinstance(device, str):
        return device
    if hasattr(device, "platform"):  # JAX's
        return f"{device.platform}:{device.id}"
    if hasattr(device, "type"):  # PyTorch's
        return str(device)
    return f"cuda:{device.id}" if hasattr(device, "id") else device  # CuPy's


@dataclass(frozen=True)
class Home:
    """Where arrays are made: the library, the device and the data type."""

    backend: Backend
    dtype: str
    device: str | None

    @classmethod
    def named(cls, backend: str, device: Any, dtype: Any) -> Home:
        """Home by names; device and data type may be the library's own objects.

        Raises
        ------
        InputError
            For a library, device or data type that there is not; its line says which there are.
        """
        device, dtype = device_word(device), dtype_word(dtype)
        check_words(backend=backend, device=device, dtype=dtype)
        adapter = backends.get(backend)
        for field, value, check in (
            ("dtype", dtype, partial(adapter.check_dtype, dtype)),
            ("device", device, partial(adapter.device, device)),
        ):
            try:
                check()
            except ValueError as error:
                text = str(error)
                raise InputError(f"beam.{field}", value, text.partition("allowed: ")[2] or text) from None
        return cls(adapter, dtype, device)

    def check_room(self, field: str, n: int) -> None:
        """Raise `InputError` for more particles than the device has memory to draw: what is said there."""
        if n < FEW:
            return
        free = self.backend.meter.free_memory(self.asarray(0.0))
        each = DRAWN * (8 if self.dtype == "float64" else 4)
        if free is not None and n * each > free:
            most = f"at most {free // each}: {n * each / 2**30:.3g} GiB to draw them, {free / 2**30:.3g} GiB are free"
            raise InputError(field, n, most)

    def asarray(self, data: Any, dtype: str | None = None) -> Array:
        """Array here, of its own data type if no other is named; nothing is looked at.

        Of another library's array it is a copy: some share the memory of what they are given.
        """
        if isinstance(data, np.ndarray) and (self.backend.name != "numpy" or not data.flags.writeable):
            data = data.copy()
        with self.backend.quiet():  # a number beyond the data type is infinite, and refused as that
            return self.backend.asarray(data, dtype=dtype or self.dtype, device=self.device)

    def array(self, field: str, value: Any, rule: Rule = _ANY) -> Array:
        """Array of a number, or of an array of this library (whose graph is kept) or of NumPy.

        Raises
        ------
        InputError
            For what is no number, an array of another library, or a value that the rule forbids.
        """
        if value is None or isinstance(value, bool | str | bytes) or "complex" in str(getattr(value, "dtype", "")):
            raise InputError(field, value, rule.allowed)
        if not isinstance(value, Real | list | tuple):
            self.check_mine(field, value)
        try:
            array = self.asarray(value)
        except (TypeError, ValueError, OverflowError):
            raise InputError(field, value, rule.allowed) from None
        if not self.backend.traced([array]):
            host = self.backend.to_numpy(array)
            good = np.isfinite(host)
            good = good & rule.test(np.where(good, host, 1.0))
            if not good.all():
                worst = value if isinstance(value, Real) else float(host.ravel()[np.argmin(good)])
                raise InputError(field, worst, rule.allowed)
        return array

    def check_mine(self, field: str, value: Any) -> None:
        """Raise `InputError` for an array of another library; NumPy's are taken by every library."""
        try:
            name = backends.of(value).name
        except (TypeError, BackendError):
            raise InputError(field, value, f"a number, or an array of {self.backend.name}") from None
        if name not in ("numpy", self.backend.name):
            raise InputError(field, f"an array of {name}", f"a number, or an array of {self.backend.name}")


def whole_number(field: str, value: Any, minimum: int, maximum: int | None = None) -> int:
    """Return a whole number as an int, or raise `InputError`; 1e5 is one."""
    allowed = f"a whole number, at least {minimum}" + ("" if maximum is None else f" and at most {maximum}")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(field, value, allowed) from None
    if isinstance(value, bool) or number < minimum or (maximum is not None and number > maximum):
        raise InputError(field, value, allowed)
    return number


def check_names(given: dict[str, Any], allowed: tuple[str, ...], kind: str) -> None:
    """Raise `InputError` for a parameter that a distribution does not have."""
    for name in given:
        if name not in allowed:
            raise InputError(f"beam.{name}", given[name], f"left out: {kind} has {', '.join(allowed)}")


def reference_of(home: Home, species: Species, kinetic_energy: Any, momentum: Any) -> Reference:
    """Reference of a kinetic energy or of a momentum [eV], whichever is given."""
    if (kinetic_energy is None) == (momentum is None):
        raise InputError("beam.kinetic_energy", kinetic_energy, "one of kinetic_energy and reference_momentum [eV]")
    if momentum is None:
        energy = home.array("beam.kinetic_energy", kinetic_energy, KINETIC_ENERGY)
        proportion.KINETIC_ENERGY.ask("beam.kinetic_energy", kinetic_energy)
        return Reference.from_kinetic_energy(energy, species)
    proportion.MOMENTUM.ask("beam.reference_momentum", momentum)
    momentum = home.array("beam.reference_momentum", momentum, REFERENCE_MOMENTUM)
    return Reference(momentum / species.mass, species)


def sign_of(species: Species) -> float:
    """Sign of the species' charge: 1.0, -1.0 or 0.0."""
    return float(np.sign(species.charge_number))


def even_charges(home: Home, species: Species, charge: Any, n: int) -> Array:
    """Total charge split evenly, signed as the species, ``(..., n)``."""
    sign = sign_of(species)
    signed = "0" if sign == 0 else "positive" if sign > 0 else "negative or as a magnitude"
    rule = Rule(
        f"a charge in C, {signed}, at most {LARGEST_CHARGE:g} C",
        lambda v: (abs(v) <= LARGEST_CHARGE * abs(sign)) & ((v >= 0) | (sign < 0)),
    )
    total = home.array("beam.charge", charge, rule)
    proportion.CHARGE.ask("beam.charge", charge)
    xp = namespace(total)
    one_each = home.asarray(np.full(n, 1.0 / n))
    # |v| without its kink at 0, where a gradient may be asked for.
    magnitude = xp.where(total < 0.0, -total, total)
    return per_particle(sign * magnitude) * one_each


def given_charges(home: Home, species: Species, charges: Any, n: int) -> Array:
    """Charges of each macroparticle ``(..., n)``, signed as the species."""
    sign = sign_of(species)
    side = {1.0: "at least 0", -1.0: "at most 0", 0.0: "0"}[sign]
    rule = Rule(
        f"charges in C of the sign of {species.name} ({side}), of magnitude at most {LARGEST_CHARGE:g} C",
        lambda v: (abs(v) <= LARGEST_CHARGE * abs(sign)) & (sign * v >= 0),
    )
    q = home.array("beam.charges", charges, rule)
    if q.ndim < 1 or q.shape[-1] != n:
        raise InputError("beam.charges", f"an array of shape {tuple(q.shape)}", f"shape (..., {n}), one a particle")
    return q


def dtype_of(array: Array) -> str:
    """Name of a floating-point data type; of whole numbers, the one that they are taken for."""
    xp = namespace(array)
    if array.dtype == xp.float32:
        return "float32"
    if array.dtype == xp.float64 or xp.isdtype(array.dtype, "integral"):
        return "float64"
    raise InputError("beam.dtype", str(array.dtype), "float64 or float32")
