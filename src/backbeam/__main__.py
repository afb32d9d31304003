"""``python -m backbeam``: the command line."""

from __future__ import annotations

from backbeam.cli import main

if __name__ == "__main__":
    main()
