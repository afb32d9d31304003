"""Sections ``effects`` and ``space_charge`` of a problem file, and the effects that they become.

    effects:
      - {resonator_wake: {name: w1, R: 3e3, Q: 1.0, frequency: 20e9, at: [cavity]}}
      - {csr: {step: 0.01}}
    space_charge: {model: 3d, grid: [32, 32, 32]}     # the short way for {space_charge_3d: {...}}

The keys of an effect are its fields, whatever they are: an effect of one's own needs nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

import numpy as np

from backbeam.effects import Effect, SpaceCharge
from backbeam.errors import InputError
from backbeam.problem.keys import check_keys, check_mapping, unknown


def read_effects(given: Any) -> tuple[Effect, ...]:
    """Return the effects of a section ``effects``: a list of ``{kind: {fields}}``.

    Raises
    ------
    InputError
        For what is no effect, with its path.
    """
    if given is None:
        return ()
    if not isinstance(given, list):
        raise InputError("effects", given, "a list of effects, such as [{csr: {step: 0.01}}]")
    found = []
    for k, entry in enumerate(given):
        path = f"effects[{k}]"
        if isinstance(entry, str):
            entry = {entry: None}
        if not isinstance(entry, Mapping) or len(entry) != 1:
            raise InputError(path, entry, f"{{kind: {{fields}}}}, the kind one of {', '.join(Effect.kinds)}")
        ((kind, values),) = entry.items()
        if not isinstance(kind, str) or kind not in Effect.kinds:
            raise unknown(f"{path}.{kind}", str(kind), Effect.kinds, what="an unknown effect")
        found.append(_build(Effect.kinds[kind], values, f"{path}.{kind}"))
    return tuple(found)


def models() -> dict[str, type[SpaceCharge]]:
    """Models of space charge by the name that ``model`` gives them."""
    return {cls.model(): cls for cls in Effect.kinds.values() if issubclass(cls, SpaceCharge)}


def read_space_charge(given: Any) -> SpaceCharge | None:
    """Return the model of a section ``space_charge``; None for null: no space charge."""
    if given is None:
        return None
    given = check_mapping(given, "space_charge", "null, or a mapping with model, grid, extent")
    known = models()
    model = given.get("model", "3d")
    if not isinstance(model, str) or model not in known:
        raise InputError("space_charge.model", model, " or ".join(known))
    return _build(known[model], {key: v for key, v in given.items() if key != "model"}, "space_charge", ("model",))


def _build(cls: type[Effect], values: Any, path: str, more: tuple[str, ...] = ()) -> Any:
    """The effect with these fields."""
    values = check_mapping(values, path, f"a mapping with the fields of {cls.kind}")
    known = {f.name: f for f in fields(cls)}
    required = {n: _allowed(f) for n, f in known.items() if f.default is MISSING and f.default_factory is MISSING}
    check_keys(values, (*more, *known), required, path)
    try:
        return cls(**{name: _value(known[name], value, f"{path}.{name}") for name, value in values.items()})
    except InputError as error:
        field = error.field.rpartition(".")[2] if not error.field.startswith("space_charge.") else error.field[13:]
        raise InputError(f"{path}.{field}", error.value, error.allowed) from None


def _allowed(field: Field[Any]) -> str:
    """What a required field may be, in the words of its metadata."""
    unit = field.metadata.get("unit")
    return (
        field.metadata.get("allowed", "a value")
        if unit is None
        else "a number" + (" without unit" if unit == "1" else f" in {unit}")
    )


def _value(field: Field[Any], value: Any, path: str) -> Any:
    """Lists as arrays, for parameters with a shape, or as tuples."""
    if field.metadata.get("shape") and value is not None:
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(path, value, "numbers") from None
        if not np.isfinite(array).all():
            raise InputError(path, value, "finite numbers")
        return array
    if field.name == "slices" and isinstance(value, float) and value.is_integer():
        return int(value)
    return _frozen(value)


def _frozen(value: Any) -> Any:
    """Lists as tuples."""
    if isinstance(value, Mapping):
        return {key: _frozen(v) for key, v in value.items()}
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
