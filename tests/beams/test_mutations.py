"""A few spoilt files of each format; many by ``python tests/beams/mutations.py 10000``."""

from __future__ import annotations

import mutations
import pytest


@pytest.mark.parametrize("kind", mutations.KINDS)
def test_spoilt_files_get_one_line(tmp_path, kind):
    assert 0 < mutations.refusals(kind, 60, tmp_path) <= 60
