"""A rule for integrals over a cell."""

from __future__ import annotations

GAUSS = (
    (0.03376524289842403, 0.08566224618958514),
    (0.16939530676686776, 0.18038078652406936),
    (0.38069040695840156, 0.23395696728634552),
    (0.6193095930415985, 0.23395696728634552),
    (0.8306046932331322, 0.18038078652406936),
    (0.9662347571015759, 0.08566224618958514),
)
"""Points and weights of the six-point Gauss rule from 0 to 1: exact for polynomials up to the eleventh degree."""
