"""A beam of moments beside ImpactX's envelope: ``python -m benchmarks.envelope --impactx PYTHON``."""
