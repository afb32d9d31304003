"""The Bayesian example's searches with BoTorch, where it is installed: `conftest.py` sees to it."""

from __future__ import annotations

import numpy as np
import pytest

from backbeam_torch.examples import bayesian_optimisation as program


@pytest.mark.filterwarnings("default")  # BoTorch's and GPyTorch's own
@pytest.mark.parametrize("mean", program.MEANS)
def test_a_search_never_gets_worse(mean):
    best = program.search(mean, seed=0, steps=2)
    assert best.shape == (program.FIRST + 2,)
    assert np.all(np.diff(best) >= 0.0)
