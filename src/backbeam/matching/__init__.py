"""Questions asked of a line: which values of its parameters make an objective small, or meet targets."""

from __future__ import annotations

from backbeam.matching.function import function
from backbeam.matching.merit import Merit

__all__ = ["Merit", "function"]
