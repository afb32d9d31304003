"""What gradients take: tables and pictures of memory, and the coefficients that backbeam's planner works with.

``python benchmarks/memory TABLE [options]`` writes one of them, ``all`` writes all but the coefficients.
"""
