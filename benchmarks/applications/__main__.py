"""``python benchmarks/applications NAME [options]``."""

import importlib
import sys
from pathlib import Path

NAMES = tuple(sorted(file.stem for file in Path(__file__).parent.glob("[!_]*.py")))


def main() -> int:
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in NAMES:
        print(f"usage: python benchmarks/applications {{{','.join(NAMES)}}} [options]; --help after a name lists them")
        return 2
    importlib.import_module(f"applications.{name}").main(sys.argv[2:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
