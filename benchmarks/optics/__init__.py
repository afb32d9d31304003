"""Optics beside MAD-X: ``python -m benchmarks.optics --lattices DIR --madx PYTHON``."""
