"""backbeam on a GPU: is it right there, and how fast. ``python benchmarks/gpu``."""
