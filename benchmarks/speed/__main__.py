"""``python benchmarks/speed TABLE [options]``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

TABLES = ("kick", "accuracy", "gradient", "line", "batch", "scaling", "compiling", "budgets")


def main() -> int:
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    if len(sys.argv) < 2 or sys.argv[1] not in TABLES:
        print(f"usage: python benchmarks/speed {{{','.join(TABLES)}}} [options]; a table's --help lists its options")
        return 2
    return importlib.import_module(f"speed.{sys.argv[1]}").main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
