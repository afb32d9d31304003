"""Elementwise physics as one loop: what a function does to its arrays is traced once and compiled.

NumPy runs a map as thirty passes over the particles, each with a temporary. Called with symbols instead of arrays, the
same function writes down what it does to one particle; LLVM (which comes with Numba) turns that into one loop. Nothing
here knows what the function is about.

================ =================================================================================
``graph``        expressions of one particle, each computed once
``symbols``      arrays of them, and axes whose length is not looked at
``namespace``    the array API for symbols
``emission``     from expressions to LLVM
``vectors``      arithmetic in LLVM, of which ``trigonometry`` and ``logarithm`` make functions
``machine``      from LLVM to machine code, kept on disk
``cuda``         from expressions to CUDA C++
``nests``        arguments and results as lists of arrays
``kernel``       machine code of a function for some shapes, and its calls
``fused``        functions that are kernels where they can be
``transform``    Fourier transforms in LLVM, by themselves
================ =================================================================================

A function that cannot be one pass over the particles (it looks at values, sorts, scatters, or uses a mean of the beam
for each particle) is called as it is. That is the same mathematics: results agree to rounding.
"""

from __future__ import annotations

from backbeam_backends.fusing.fused import Fused
from backbeam_backends.fusing.graph import Untraceable
from backbeam_backends.fusing.machine import available

__all__ = ["Fused", "Untraceable", "available"]
