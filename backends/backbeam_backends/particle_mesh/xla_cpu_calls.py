"""Numba functions as custom calls of XLA on the processor: the C interface of such a call, read by hand.

XLA calls a handler ``XLA_FFI_Error* handler(XLA_FFI_CallFrame*)``, whose frame points to the buffers of operands and
results. All that is needed of it are words of 8 bytes, laid out in ``xla/ffi/api/c_api.h``, which comes with jaxlib.
Versions 0.1 (jaxlib 0.6) to 0.3 (jaxlib 0.10) of that interface agree in everything that is read here, and within major
version 0 fields may only be added. Where the major version is another, nothing is registered (`is_known`).

============== =================================================================================
word of a      what it holds
============== =================================================================================
frame          1: extensions; 9: addresses of the operands; 14: addresses of the results
extension      1: its kind; 3: the metadata to be filled in
metadata       3: the version for which the handler was made, major and minor in 4 bytes each
buffer         3: address of the data; 4: number of dimensions; 5: address of the dimensions
============== =================================================================================

A handler runs without the interpreter: it must neither raise nor print. This module imports Numba.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

MAJOR = 0
"""Version of the interface whose layout is known here."""
METADATA = 1
"""Kind of the extension by which XLA asks for the version."""


@cache
def minor_version() -> int | None:
    """Minor version of the interface of this jaxlib; None if it cannot be told, or is of another major version."""
    header = Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h"
    return minor_version_in(header.read_text()) if header.is_file() else None


def minor_version_in(header: str) -> int | None:
    """`minor_version`, of the text of a header."""
    found = dict(re.findall(r"#define XLA_FFI_API_(MAJOR|MINOR) (\d+)", header))
    return int(found["MINOR"]) if found.get("MAJOR") == str(MAJOR) and "MINOR" in found else None


def is_known() -> bool:
    """Whether this jaxlib's interface is one whose layout is known here."""
    return minor_version() is not None


def register(name: str, handler: Any) -> None:
    """Make a handler, ``numba.cfunc("int64(int64)")``, a custom call of that name. XLA holds its address: keep it."""
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler.ctypes), platform="cpu", api_version=1)


@intrinsic
def pointer(typing_context, address):
    """Pointer to an address, for `numba.carray`."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@njit
def words(address: int, count: int) -> np.ndarray:
    """So many words at an address."""
    return carray(pointer(address), (count,), np.int64)


@njit
def answered(frame: int, minor: int) -> bool:
    """Whether XLA asked for the version; then it has been told."""
    extension = words(frame, 2)[1]
    if extension == 0 or words(extension, 2)[1] & 0xFFFFFFFF != METADATA:
        return False
    words(words(extension, 4)[3], 4)[3] = minor << 32
    return True


@njit
def operand(frame: int, k: int) -> tuple[int, np.ndarray]:
    """Address and shape of an operand."""
    return _buffer(words(words(frame, 10)[9], k + 1)[k])


@njit
def result(frame: int, k: int) -> tuple[int, np.ndarray]:
    """Address and shape of a result."""
    return _buffer(words(words(frame, 15)[14], k + 1)[k])


@njit
def _buffer(address: int) -> tuple[int, np.ndarray]:
    buffer = words(address, 6)
    return buffer[3], words(buffer[5], buffer[4])


@njit
def product(shape: np.ndarray) -> int:
    """Of some dimensions."""
    total = 1
    for n in shape:
        total *= n
    return total
