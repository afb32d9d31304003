"""The methods of a model of space charge as functions of plain arrays; the bars are (X, q, beta_gamma, length)."""

from __future__ import annotations

from backbeam.effects import Bunch


def forward(model, X, q, alive, reference, length):
    """Coordinates after the kick."""
    return model.forward(Bunch(X, q, alive, reference), {"length": length})


def inverse(model, X1, q, alive, reference, length):
    """Coordinates before the kick."""
    return model.inverse(Bunch(X1, q, alive, reference), {"length": length})


def pullback(model, X, q, alive, reference, length, X1_bar):
    """Cotangents before the kick."""
    return _bars(model.pullback(Bunch(X, q, alive, reference), {"length": length}, X1_bar))


def reverse(model, X1, q, alive, reference, length, X1_bar):
    """Coordinates before the kick and the cotangents there."""
    X, bars = model.reverse(Bunch(X1, q, alive, reference), {"length": length}, X1_bar)
    return (X, *_bars(bars))


def fields(model, X, q, alive, reference, length=None):
    """What is on the grid."""
    return model.fields(X, q, alive, reference)


def _bars(bars):
    return bars.X, bars.q, bars.beta_gamma, bars.p["length"]
