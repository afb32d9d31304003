"""LLVM assembly to machine code of this processor, kept on disk so that a process pays for it once.

The code lies in the user's cache (``$XDG_CACHE_HOME`` or ``~/.cache``, ``backbeam/kernels``), under a key of the
assembly, the versions of LLVM and llvmlite, the format of the object and the processor.

LLVM's passes over assembly are left out: they take longer than the rest, and the code is no faster. What is traced is
simplified as it is written down, and what comes from Numba has been optimised there.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from contextlib import suppress
from ctypes.util import find_library
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from backbeam_backends.fusing.graph import Untraceable
from backbeam_backends.kernel_folder import KernelFolder, users_folder

SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)


OLDEST = (0, 45)
"""Version of llvmlite whose LLVM reads the assembly that is written here."""
OPTIMIZE = 3
"""How hard LLVM tries in choosing instructions."""


@cache
def available() -> bool:
    """Whether Numba is installed, with an LLVM that is new enough; nothing is imported for the answer."""
    try:
        version("numba")
        major, minor, *_ = version("llvmlite").split(".")
        return (int(major), int(minor)) >= OLDEST
    except (PackageNotFoundError, TypeError, AttributeError, ValueError):  # not there, or half of it
        return False


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


def target() -> Any:
    """Machine for which code is made."""
    llvm, (name, features) = _llvm(), _processor()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=name, features=features, opt=OPTIMIZE, jit=True, reloc="default")


def _assemble(assembly: str) -> bytes:
    """Object code."""
    llvm = _llvm()
    module = llvm.parse_assembly(assembly)
    module.verify()
    return target().emit_object(module)


@cache
def _maker() -> str:
    """What makes the code, and for what."""
    llvm = _llvm()
    made_by = (llvm.llvm_version_info, version("llvmlite"), llvm.get_default_triple(), OPTIMIZE)
    return "\n".join([*_processor(), repr(made_by)])


def _key(name: str) -> bytes:
    """All that the object code depends on; the name stands for the assembly, or is that."""
    return f"{name}\n{_maker()}".encode()


def _kept(name: str, assembly: Callable[[], str]) -> bytes:
    """Object code, from the disk where it is there."""
    folder, key = KernelFolder(users_folder("backbeam", "kernels")), _key(name)
    code = folder.read(key)
    if code is None:
        code = _assemble(assembly())
        folder.write(key, code)
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


def load(assembly: str, name: str) -> Callable[[int, bytes | int, int], None]:
    """The function of that name, as machine code; calling it lets go of the interpreter's lock."""
    for function in re.findall(r"^declare .* @([a-z0-9]+)\(", assembly, re.MULTILINE):
        _introduce(function)
    return load_kept(assembly, lambda: assembly, name)


def load_kept(key: str, assembly: Callable[[], str], name: str) -> Callable[[int, bytes | int, int], None]:
    """`load`, of assembly that is only made where nothing is kept for the key, which says all that it depends on."""
    llvm = _llvm()
    code = llvm.object_file.ObjectFileRef.from_data(_kept(key, assembly))
    nothing = llvm.parse_assembly("")
    # An engine has a module and a target, and would compile the one for the other, which takes longer than all else.
    engine = llvm.create_mcjit_compiler(nothing, llvm.Target.from_default_triple().create_target_machine(jit=True))
    engine.remove_module(nothing)
    engine.add_object_file(code)
    engine.finalize_object()
    function = SIGNATURE(engine.get_function_address(name))
    function.engine = engine  # type: ignore[attr-defined]  # the code lives as long as its engine
    return function
