"""Real files of other codes stay outside the repository: ``pytest tests/beams --beams DIR`` reads them, too."""

from __future__ import annotations


def pytest_ignore_collect(collection_path, config):
    """Leave the tests of real files out where there are none."""
    if collection_path.name == "test_real_beams.py" and not config.getoption("--beams"):
        return True
    return None
