"""The CUDA C++ of a fused function, line by line in NumPy: what the text says, without a compiler."""

from __future__ import annotations

import re

import numpy as np

TYPES = {"double": np.float64, "float": np.float32, "int": np.int32, "whole": np.int64, "bool": np.bool_}
LIBRARY = {
    "fabs": np.abs, "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asinh": np.arcsinh, "floor": np.floor, "ceil": np.ceil, "atan2": np.arctan2, "expm1": np.expm1,
    "log1p": np.log1p, "hypot": np.hypot,
}  # fmt: skip
LIBRARY |= {f"{name}f": function for name, function in LIBRARY.items()}


def run(kernel, leaves):
    """Results of a kernel without a batch, in the order in which it makes them."""
    program, n = kernel.program, max(a.shape[-1] for a in leaves if a.ndim)
    body = {name: text for name, text in re.findall(r"\) (\w+)\(\n(.*?)\n}\n", program.source, re.DOTALL)}
    leaves = [*leaves, *(getattr(np.linalg, name)(leaves[k]) for name, k in kernel.derived)]
    given = {f"in{k}": np.ascontiguousarray(leaves[k]).reshape(-1) for k in (*program.rows, *program.scalars)}
    for k in program.rows:
        steps = np.ascontiguousarray(leaves[k]).strides[:-1]
        given |= {f"in{k}_{axis}": step // leaves[k].itemsize for axis, step in enumerate(steps)}
    made = {j: np.full((*o.core, n) if o.lane else o.core, 77, o.symbol.dtype) for j, o in enumerate(kernel.made)}
    total = [None] * program.sums
    if "lanes" in body:
        _lines(body["lanes"], given, made, total, n)
    if "numbers" in body:
        _lines(body["numbers"], given, made, total, n)
    return [made[j] for j in sorted(made)]


def _lines(text, given, made, total, n):
    known = {
        **LIBRARY,
        "where": np.where,
        "cast": lambda kind, a: np.asarray(a).astype(TYPES[kind])[()],
        "from_bits": lambda bits: np.asarray(bits, np.uint64).view(np.float64),
        "n": n,
        "total": total,
    }
    for line in map(str.strip, text.splitlines()):
        if found := re.fullmatch(r"const \w+ \*const (r\d+) = (in\d+)(?: \+ )?(.*);", line):
            name, leaf, offset = found.groups()
            known[name] = given[leaf][eval(offset or "0", {}, given) :][:n]
        elif found := re.fullmatch(r"const (\w+) (v\d+) = (r\d+)\[p\];", line):
            known[found[2]] = known[found[3]]
        elif found := re.fullmatch(r"const \w+ (v\d+) = same\.(v\d+);", line):
            assert found[1] == found[2] and found[1] in known
        elif found := re.fullmatch(r"const (\w+) (v\d+) = (.*);", line):
            assert found[2] not in known
            value = np.asarray(eval(_python(found[3]), {}, {**known, **given}))
            assert value.dtype == TYPES[found[1]], line
            known[found[2]] = value[()]
        elif found := re.fullmatch(r"sum(\d+) \+= \(double\)(.*);", line):
            one = eval(_python(found[2]), {}, known)
            total[int(found[1])] = np.sum(np.broadcast_to(one, (n,)), dtype=np.float64)
        elif found := re.fullmatch(r"out(\d+)\[\(place \* (\d+)LL \+ (\d+)\) \* n \+ p\] = (.*);", line):
            rows = made[int(found[1])].reshape(-1, n)
            assert len(rows) == int(found[2])
            rows[int(found[3])] = eval(_python(found[4]), {}, known)
        elif found := re.fullmatch(r"out(\d+)\[place \* (\d+)LL \+ (\d+)\] = (.*);", line):
            flat = made[int(found[1])].reshape(-1)
            assert flat.size == int(found[2])
            flat[int(found[3])] = eval(_python(found[4]), {}, known)
        else:
            assert not re.match(r"(const \w+ v|out|sum\d+ \+)", line), line


def _python(expression):
    """Python for an expression of one operation."""
    if found := re.fullmatch(r"(.*) \? (.*) : (.*)", expression):
        condition, yes, no = map(_python, found.groups())
        return f"where({condition}, {yes}, {no})"
    if " || " in expression:
        return " | ".join(f"({_python(part)})" for part in expression.split(" || "))
    expression = re.sub(r"\(\((\w+)\)__longlong_as_double\((\w+)\)\)", r"cast('\1', from_bits(\2))", expression)
    text = re.sub(r"\((double|float|int|whole)\)(-?\w+(?:\[\d+\])?)", r"cast('\1', \2)", expression)
    text = re.sub(r"(?<![\w.])(\d[\d.]*(?:e[+-]?\d+)?)f\b", r"cast('float', \1)", text)
    text = re.sub(r"(?<![\w.\[(])(\d+\.\d*(?:e[+-]?\d+)?|\d+e[+-]?\d+)(?![\w.])", r"cast('double', \1)", text)
    return re.sub(r"^!", "~", text).replace("true", "True").replace("false", "False")
