"""``python benchmarks/memory TABLE [options]``; ``--calibrate`` is short for the table ``calibrate``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

TABLES = ("timeline", "scaling", "substeps", "growth", "prediction", "long")
OTHERS = ("calibrate", "times", "coefficients", "all")


def main() -> int:
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    name = sys.argv[1].removeprefix("--") if len(sys.argv) > 1 else ""
    if name not in (*TABLES, *OTHERS):
        names = ",".join((*TABLES, *OTHERS))
        print(f"usage: python benchmarks/memory {{{names}}} [options]; --help after a table lists its options")
        return 2
    for table in TABLES if name == "all" else (name,):
        code = importlib.import_module(f"memory.{table}").main(sys.argv[2:])
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
