"""Names of a package whose modules are imported when one of them is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def late(package: str, names: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """``__getattr__`` of a package, for names by module; a module's own name is the module."""
    modules = {name: module for module, those in names.items() for name in those}

    def found(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(modules[name])
        return module if modules[name] == f"{package}.{name}" else getattr(module, name)

    return found
