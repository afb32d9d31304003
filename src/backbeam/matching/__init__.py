"""Questions asked of a line: which values of its parameters make an objective small, or meet targets.

``function``   the question as a function of a vector, for optimisers of any library
``match``      the answer, by SciPy's
``variables``  what varies, with bounds and ties; ``stage``, ``parts``, ``incoming``: where that is
``goals``      what is asked; ``aim``: how far a point is from it
``merit``      values, gradients, residuals, Jacobians of points; ``retreat``: of those that cannot be tracked
``search``     a search under way, by one of the ``methods``; ``history``: what was tried
``result``     what was found; ``picture``: how it looks
"""

from __future__ import annotations

from backbeam.matching.function import function
from backbeam.matching.match import match
from backbeam.matching.merit import Merit
from backbeam.matching.result import Match

__all__ = ["Match", "Merit", "function", "match"]
