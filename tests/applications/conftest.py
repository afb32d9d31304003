"""Searches that need BoTorch are tested where it is installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("botorch") else ["test_bayesian_search.py"]
