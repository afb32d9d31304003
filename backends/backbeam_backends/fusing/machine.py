"""LLVM assembly to machine code of this processor, kept on disk so that a process pays for it once.

The code lies in the user's cache (``$XDG_CACHE_HOME`` or ``~/.cache``, ``backbeam/kernels``), under a name that is a
hash of the assembly, of LLVM's version and of the processor. Where that folder cannot be written, nothing is kept.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from ctypes.util import find_library
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from backbeam_backends.fusing.graph import Untraceable

SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_char_p, ctypes.c_void_p)


OLDEST = (0, 45)
"""Version of llvmlite whose LLVM reads the assembly that is written here."""


@cache
def available() -> bool:
    """Whether Numba is installed, with an LLVM that is new enough; nothing is imported for the answer."""
    try:
        version("numba")
        major, minor, *_ = version("llvmlite").split(".")
    except PackageNotFoundError:
        return False
    return (int(major), int(minor)) >= OLDEST


@cache
def _llvm() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@cache
def _processor() -> tuple[str, str]:
    """Name and features."""
    llvm = _llvm()
    try:
        return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    except RuntimeError:  # LLVM does not know the features of every processor
        return llvm.get_host_cpu_name(), ""


@cache
def register_bits() -> int:
    """Bits of a vector register."""
    features = _processor()[1].split(",")
    return 512 if "+avx512f" in features else 256 if "+avx2" in features else 128


def _target() -> Any:
    llvm, (name, features) = _llvm(), _processor()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=name, features=features, opt=3, jit=True, reloc="default")


def folder() -> Path:
    """Where machine code is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "backbeam" / "kernels"


def _assemble(assembly: str) -> bytes:
    """Object code."""
    llvm = _llvm()
    module = llvm.parse_assembly(assembly)
    module.verify()
    machine = _target()
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_object(module)


def _kept(assembly: str) -> bytes:
    """Object code, from the disk where it is there."""
    llvm = _llvm()
    key = "\n".join([assembly, *_processor(), repr(llvm.llvm_version_info)])
    path = folder() / f"{hashlib.sha256(key.encode()).hexdigest()}.o"
    with suppress(OSError):
        stored = path.read_bytes()
        if hashlib.sha256(stored[32:]).digest() == stored[:32]:
            return stored[32:]
    code = _assemble(assembly)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(code).digest() + code)
        os.replace(file.name, path)
    return code


@cache
def _introduce(function: str) -> None:
    """Tell LLVM where a function of the C library is: it would look in the process alone, and not find each one."""
    for library in (lambda: None, lambda: find_library("m"), lambda: "ucrtbase"):  # the process; Unix; Windows
        with suppress(OSError, TypeError, AttributeError):
            found = getattr(ctypes.CDLL(library()), function)
            _llvm().add_symbol(function, ctypes.cast(found, ctypes.c_void_p).value)
            return
    raise Untraceable(f"no function {function} in the C library of this system")


def load(assembly: str, name: str) -> Callable[[int, bytes, int], None]:
    """The function of that name, as machine code; calling it lets go of the interpreter's lock."""
    llvm = _llvm()
    for function in re.findall(r"^declare .* @([a-z0-9]+)\(", assembly, re.MULTILINE):
        _introduce(function)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
    engine.add_object_file(llvm.object_file.ObjectFileRef.from_data(_kept(assembly)))
    engine.finalize_object()
    function = SIGNATURE(engine.get_function_address(name))
    function.engine = engine  # the code lives as long as its engine
    return function
