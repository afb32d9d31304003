"""Numba's loops as machine code that is kept on disk: a process that finds it there needs no Numba.

To import Numba and have it load what it keeps takes 0.4 s, and the code alone 1 ms. A loop is compiled for the types of
its arguments when first called; an entry is put before it, in the manner of `backbeam_backends.fusing.machine`, which
takes the addresses, lengths and strides of arrays as words, and both are kept as one object in the same folder. Where
anything of that fails, it is Numba's own loop that runs.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from backbeam_backends.fusing import machine
from backbeam_backends.fusing.kernel import address

ENTRY = "backbeam_entry"
COUNTING = re.compile(r"^(define [^\n]*@NRT_(?:incref|decref)\([^\n]*\{)\n.*?^\}", re.MULTILINE | re.DOTALL)
"""Functions that count who uses an array, in LLVM's assembly."""

_ONE_AT_A_TIME = RLock()
"""Threads that share a deposit wait for one another's loops."""


class KeptLoops:
    """Those of a module beside this one, by name."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> KeptLoop:
        if name.startswith("_"):
            raise AttributeError(name)
        found = KeptLoop(self._module, name)
        setattr(self, name, found)
        return found


class KeptLoop:
    """A loop by the names of its module and its own, called as the loop is."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name
        self._entries: dict[Any, Callable[[tuple[Any, ...]], Any]] = {}

    def __call__(self, *arguments: Any) -> None:
        """Run it."""
        of = tuple([_type_of(a) for a in arguments])
        entry = self._entries.get(of)
        if entry is None:
            with _ONE_AT_A_TIME:
                entry = self._entries.get(of) or self._found(of)
                self._entries[of] = entry
        entry(arguments)

    def _found(self, of: tuple[Any, ...]) -> Callable[..., Any]:
        """The entry for arguments of some types; Numba's own loop where there can be none."""
        try:
            key = f"{self.module} {self.name} {of} {_stamp()}"
            code = machine.load_kept(key, lambda: _assembly(self.loop.compiled, of), ENTRY)
        except Exception:  # whatever it is, the loop itself is there
            loop = self.loop
            return lambda arguments: loop(*arguments)
        pack = struct.Struct("".join("q" * (1 + 2 * t[1]) if type(t) is tuple else t for t in of)).pack

        def entry(arguments: tuple[Any, ...]) -> None:
            words: list[Any] = []
            for a in arguments:
                if type(a) is np.ndarray:
                    words += (address(a), *a.shape, *a.strides)
                else:
                    words.append(a)
            code(0, pack(*words), 0)

        return entry

    @property
    def loop(self) -> Any:
        """The loop itself."""
        return getattr(import_module(f"{__package__}.{self.module}"), self.name)


def _type_of(argument: Any) -> Any:
    """Data type, axes and whether it is contiguous, of an array; the letter of a number."""
    if type(argument) is np.ndarray:
        return argument.dtype.char, argument.ndim, argument.flags.c_contiguous
    return "d" if isinstance(argument, float) else "q"


@cache
def _stamp() -> str:
    """Of all that an object is made from besides types and LLVM; of NumPy's version, too: Numba goes with some.

    And of where Numba lies since when: of one that is whole no more nothing is kept, so that none of its loops begins
    what others cannot end.
    """
    here = Path(__file__)
    sources = [here, here.with_name("compiling.py"), *sorted(here.parent.glob("numba_*.py"))]
    contents = sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    return " ".join((contents, version("numba"), np.__version__, _installed("numba"), _installed("llvmlite")))


def _installed(package: str) -> str:
    """Where it would be imported from, and when anything there was last put or taken away."""
    found = find_spec(package)
    if found is None or found.origin is None:
        return "nowhere"
    folder = Path(found.origin).parent
    changed = [path.stat().st_mtime_ns for path in (folder, *sorted(folder.iterdir())) if path.name != "__pycache__"]
    return f"{folder} {max(changed)} {len(changed)}"


def _assembly(loop: Any, of: Sequence[Any]) -> str:
    """Assembly of the entry with the loop in it, as Numba has optimised them."""
    import llvmlite.binding as llvm
    from llvmlite import ir
    from numba.core import types
    from numba.core.compiler_lock import global_compiler_lock
    from numba.np.arrayobj import make_array, populate_array
    from numba.np.numpy_support import from_dtype

    kinds = [
        types.Array(from_dtype(np.dtype(t[0])), t[1], "C" if t[2] else "A") if type(t) is tuple
        else {"d": types.float64, "q": types.int64}[t]
        for t in of
    ]  # fmt: skip
    loop.compile(tuple(kinds))
    made = loop.overloads[tuple(kinds)]
    context, word, pointer = made.target_context, ir.IntType(64), ir.IntType(8).as_pointer()
    library = context.codegen().create_library(ENTRY)
    library.add_linking_library(made.library)
    module = library.create_ir_module(ENTRY)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [word, pointer, pointer]), ENTRY)
    builder = ir.IRBuilder(function.append_basic_block())
    words, at, values = builder.bitcast(function.args[1], word.as_pointer()), 0, []

    def take() -> Any:
        nonlocal at
        at += 1
        return builder.load(builder.gep(words, [ir.Constant(word, at - 1)]))

    for kind in kinds:
        if not isinstance(kind, types.Array):
            number = take()
            values.append(builder.bitcast(number, ir.DoubleType()) if kind is types.float64 else number)
            continue
        array = make_array(kind)(context, builder)
        data = builder.inttoptr(take(), array.data.type)
        shape, strides = ([take() for _ in range(kind.ndim)] for _ in range(2))
        itemsize = ir.Constant(word, np.dtype(str(kind.dtype)).itemsize)
        populate_array(array, data, shape, strides, itemsize, meminfo=None)
        values.append(array._getvalue())
    callee = context.declare_function(module, made.fndesc)
    context.call_conv.call_function(builder, callee, made.signature.return_type, made.signature.args, values)
    builder.ret_void()
    with global_compiler_lock:
        library.add_ir_module(module)
        library.finalize()
    return _alone(llvm, library.get_llvm_str())


def _alone(llvm: Any, assembly: str) -> str:
    """The entry and what it needs, without what Numba has for calls from Python, nor for arrays of its own: here all
    are somebody else's."""
    module = llvm.parse_assembly(COUNTING.sub(r"\1\n  ret void\n}", assembly))
    for one in (*module.functions, *module.global_variables):
        if not one.is_declaration and one.name != ENTRY:
            one.linkage = "internal"
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    builder = llvm.create_pass_builder(machine.target(), llvm.create_pipeline_tuning_options())
    passes.run(module, builder)
    missing = [one.name for one in module.functions if one.is_declaration and not one.name.startswith("llvm.")]
    if missing:
        raise RuntimeError(f"a loop calls {', '.join(missing)}")
    return str(module)
