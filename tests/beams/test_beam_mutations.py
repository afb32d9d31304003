"""A few spoilt files of each format; many by ``python tests/beams/beam_mutations.py 10000``."""

from __future__ import annotations

import beam_mutations
import pytest


@pytest.mark.parametrize("kind", beam_mutations.KINDS)
def test_spoilt_files_get_one_line(tmp_path, kind):
    assert 0 < beam_mutations.refusals(kind, 60, tmp_path) <= 60
