"""Sections of a problem file besides the lattice, each with the keys that it may have.

The text beside each key is what an error says is allowed. Numbers are looked at again, with their units, by
the objects that the sections become.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from backbeam.beam import Beam
from backbeam.distributions import kinds
from backbeam.distributions.families import FAMILIES
from backbeam.distributions.inputs import MEANS, UNITS
from backbeam.distributions.planar import parameter_names
from backbeam.distributions.shears import SHEARS
from backbeam.errors import InputError
from backbeam.extras import need
from backbeam.line import Line
from backbeam.plan import Slicing
from backbeam.problem.keys import check_keys, check_mapping, missing, unknown
from backbeam.problem.matched import check_matched, draw_matched
from backbeam.quantities import looks_like_quantity, quantity
from backbeam.species import Species

(pydantic,) = need("cli", "pydantic", purpose="reading problem files")


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool):
        raise ValueError("not a number")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    return value


Whole = Annotated[int, pydantic.BeforeValidator(_whole)]
"""A whole number; 1e5 is one, "5" and true are not."""
Number = Annotated[float, pydantic.BeforeValidator(_number)]
"""A number; "5" and true are none."""


class Section(pydantic.BaseModel):  # type: ignore[name-defined]  # a module that `need` imports
    """Base of every section: no key but those that it names. What checks one is built for the first that is there."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class RunSection(Section):
    """``run``: where the problem runs if the command does not say."""

    backend: str = pydantic.Field("numpy", description="the name of an array library")
    device: str | None = pydantic.Field(None, description="the name of a device, or null for the library's own choice")
    dtype: str = pydantic.Field("float64", description="float64 or float32")


class TrackSection(Section):
    """``track``: how thick elements are cut into slices, each with one space-charge kick, and how many turns."""

    slices: Whole | None = pydantic.Field(None, description="a whole number, at least 0")
    step: Number | None = pydantic.Field(None, description="a length in m, greater than 0")
    turns: Whole = pydantic.Field(1, description="a whole number, at least 1")
    on_turn: str | None = pydantic.Field(None, description="lose or raise, of a particle that turns round")

    def options(self) -> dict[str, Any]:
        """Keyword arguments of `backbeam.track`."""
        Slicing(self.slices, self.step)
        given: dict[str, Any] = {"slices": self.slices, "step": self.step, "on_turn": self.on_turn}
        given["turns"] = None if self.turns == 1 else self.turns
        return {name: value for name, value in given.items() if value is not None}


class GradientSection(Section):
    """``gradient``: what the commands that differentiate take if they are not told otherwise."""

    objective: str | dict[str, Number] | None = pydantic.Field(
        None, description="an objective such as sigma_x, or weights by objective such as {sigma_x: 1, sigma_y: 2}"
    )
    wrt: list[str] | None = pydantic.Field(None, description="a list of parameters, such as [qf.k1, beam.charge]")
    adjoint: str | None = pydantic.Field(None, description="the name of an adjoint, such as reversible")
    anchor_every: Whole | None = pydantic.Field(None, description="a whole number of kicks, at least 1")
    slots: Whole | None = pydantic.Field(None, description="a whole number of states, at least 1")


class OptimizeSection(Section):
    """``optimize``: see `backbeam.problem.optimizing`."""

    minimize: str | dict[str, Number] | None = pydantic.Field(
        None, description="an objective such as mean_square_size, or weights such as {sigma_x: 1, sigma_y: 2}"
    )
    targets: list[Any] | None = pydantic.Field(None, description="a list of targets, such as [sigma_x @ m1 = 1e-3]")
    vary: list[str] | dict[str, Any] | None = pydantic.Field(
        None, description="names such as [qf.k1], or bounds by name such as {qf.k1: [-5, 5], qd.k1: null}"
    )
    method: str | None = pydantic.Field(None, description="the name of a method, such as trf, L-BFGS-B or SLSQP")
    start: str | dict[str, Number] | None = pydantic.Field(
        None, description="beam, or lattice functions such as {beta_x: 10, beta_y: 5}"
    )
    passes: Whole | None = pydantic.Field(None, description="a whole number of passes, at least 1")
    restarts: Whole | None = pydantic.Field(None, description="a whole number, at least 0")
    seeds: Whole | None = pydantic.Field(None, description="a whole number of other samples of the beam, at least 0")


def read(section: type[Section], given: Any, path: str) -> Any:
    """Return the section that a mapping describes.

    Raises
    ------
    InputError
        For the first key that is wrong, with its path.
    """
    keys = section.model_fields
    given = check_mapping(given, path, f"a mapping with {', '.join(keys)}")
    required = {name: key.description or "a value" for name, key in keys.items() if key.is_required()}
    check_keys(given, keys, required, path)
    if not given:
        return section.model_construct()
    try:
        return section(**given)
    except pydantic.ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise InputError(f"{path}.{name}", given[name], keys[name].description or "another value") from None


# -- the beam ------------------------------------------------------------------------------------------------

_REQUIRED = {
    "species": "the name of a species, such as electron",
    "n": "a number of macroparticles, at least 1",
    "charge": "a total charge in C",
}
_HEAD = (*_REQUIRED, "kinetic_energy", "reference_momentum", "seed")
_THERMAL = ("k", "kT", "kT_halo", "halo", "normalize", "normalize_halo", *SHEARS, *MEANS)


def beam_keys(distribution: str) -> tuple[str, ...]:
    """Keys that ``beam`` may have besides ``distribution``."""
    if distribution == "thermal":
        return (*_HEAD, *_THERMAL)
    more = ("covariance",) if distribution == "gaussian" else ()
    return (*_HEAD, *parameter_names(FAMILIES[distribution]), *more)


_FILE = ("file", "format", "species", "reference_momentum", "iteration", "charge")


def check_beam(given: Any) -> Mapping[str, Any]:
    """Return the section ``beam`` if its keys fit its distribution or its file; `InputError` if they do not."""
    given = check_mapping(given, "beam", "a mapping with distribution, species, n, charge, kinetic_energy, ...")
    if given.get("file") is not None:
        check_keys(given, _FILE, {}, "beam")
        for key in ("file", "format"):
            if not isinstance(given.get(key, ""), str | None):
                raise InputError(f"beam.{key}", given[key], "text")
        return given
    if given.get("matched") is not None:
        return check_matched(given)
    distribution = given.get("distribution")
    if distribution is None:
        raise missing("beam.distribution", f"one of {', '.join(kinds())}; or beam.file")
    if distribution not in kinds():
        raise unknown("beam.distribution", str(distribution), kinds(), what=repr(distribution))
    check_keys(given, ("distribution", *beam_keys(distribution)), _REQUIRED, "beam")
    for key, value in given.items():
        if isinstance(value, list) and key not in _LISTS:
            raise InputError(f"beam.{key}", value, "one value: a problem has one beam")
    return given


_LISTS = ("covariance",)
"""Keys of which the value is a list; everywhere else it would make a batch of beams."""


def _in_its_unit(key: str, value: Any) -> Any:
    """A number where the value is text with a unit; all else as it is."""
    if not isinstance(value, str) or not looks_like_quantity(value):
        return value
    unit = next((unit for start, unit in UNITS if key.startswith(start)), None)
    return value if unit is None else quantity(value, unit, f"beam.{key}")


def beam_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a checked section says, as numbers and objects."""
    arguments = {name: _in_its_unit(name, value) for name, value in given.items() if value is not None}
    if "species" in arguments:
        arguments["species"] = _species(arguments["species"])
    return arguments


def draw_beam(given: Mapping[str, Any], line: Line, backend: str, device: str | None, dtype: str) -> Beam:
    """Draw the beam that a checked section describes, matched to the line where it says so, or read its file."""
    try:
        arguments = beam_arguments(given)
        if "matched" in arguments:
            return draw_matched(arguments, line, backend, device, dtype)
        if "file" in arguments:
            if "seed" in arguments:
                raise InputError("beam.seed", arguments["seed"], "left out: the particles of a file are not drawn")
            return Beam.load(arguments.pop("file"), **arguments).to(backend, device, dtype)
        kind = arguments.pop("distribution")
        return Beam.draw(kind, **arguments, backend=backend, device=device, dtype=dtype)
    except InputError as error:
        place = {"backend": "run.backend", "beam.device": "run.device", "beam.dtype": "run.dtype"}
        field = place.get(error.field, error.field)
        raise InputError(
            field if field.startswith(("beam.", "run.")) else f"beam.{field}", error.value, error.allowed
        ) from None


def _species(given: Any) -> Any:
    """Return the name of a species, or one made of its own mass and charge."""
    if not isinstance(given, Mapping):
        return given
    rules = {"name": "text", "mass": "a rest energy in eV", "charge_number": "a charge in units of e"}
    check_keys(given, rules, rules, "beam.species")
    for key, kind in (("name", str), ("mass", int | float), ("charge_number", int | float)):
        if not isinstance(given[key], kind) or isinstance(given[key], bool):
            raise InputError(f"beam.species.{key}", given[key], rules[key])
    return Species(**given)
