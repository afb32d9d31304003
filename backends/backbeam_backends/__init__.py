"""Adapters: what an array library must add to the array API standard so that backbeam runs on it.

The physics in ``backbeam`` is written against the standard and finds its namespace from the arrays that
it is given. `Backend` holds the rest, and each method is here for a reason:

==================== ==========================================================================================
``asarray``          host data in, with a data type and a device: the one place where arrays are born
``to_numpy``         host data out: files, tables, plots
``devices, check``   say early and in one line that a device is missing or that float64 is switched off
``scatter_add``      the standard has no scatter; the charge deposit is one
``cloud_in_cell``    charge to nodes and field to particles, where hand-written kernels beat array operations
``borrows, lent``    small work that another library does faster in the same memory, and back again by
``taken_back``       arrays of this one in the place of its own
``settle``           an array made once, where a compiler would make it anew for each use
``fft``              the standard's FFT, replaced where a library has workers, plans or a better precision
``wide``             the widest float of the device: the Green function loses digits in float32
``scan``             repeated steps: a Python loop, or `lax.scan` so that compile time does not grow
``one_by_one``       what a scan gave for each step, apart from the others
``together``         the same together, as a scan takes it
``blockwise``        particle by particle: blocks that stay in the cache, where temporaries would go to memory
``compile``          just-in-time compilation where there is one
``as_one``           many small operations as one program, where each would be compiled by itself
``recompiles``       a first run to be left out of a timing must have all the particles
``threads``          how many the processor lends it: written down with results, whose last bits may depend on it
``fuse_from``        from how many particles on there are fused loops
``steps_together``   how much of a line is compiled as one: traffic to memory against time to compile
``setback``          why fast paths cannot be had here, for `backbeam backends`
``differentiable``   joins a primal and a hand-written pullback for a library's own automatic differentiation
``register_tree``    lines and beams as arguments of a library's transformations (JAX)
``pull``             value and pullback of a user's own function, where the library differentiates
``pull_each``        its cotangents for many calls at once, where they share some inputs: weights, settings in a batch
``records``          whether that automatic differentiation wants a gradient through these arrays
``constant``         an array of which no gradient is asked: an implicit function is differentiated in one step
``unrecorded``       arrays for who differentiates without the library: no tape is kept for what is not asked
``traced``           whether values can be looked at: checks that raise must be left out under tracing
``quiet``            no warnings of a particle that turns round: tracking says so itself, and where
``call_module``      a function with weights of its own (an `nn.Module`), called with those that are given
``synchronize``      wait for the device: timing
``meter``            what measures memory: see `backbeam_backends.meters`
``fuses``            which memory table holds: fused loops take less
==================== ==========================================================================================

`Backend` itself is a complete adapter for any library that meets the standard with FFTs: a subclass overrides
what its library does better. An adapter is found by the entry-point group ``backbeam.backends``, under the name of
the library's top-level module, so anybody can ship one. Importing an adapter imports its library; nothing else does.

On a CUDA device alone run ``cupy_backend``, ``cupy_fused``, ``meters.cupy_meter``, ``particle_mesh.cupy_cloud_in_cell``
with its ``.cu``, what asks ``is_cuda`` of a tensor, and what asks JAX's devices for ``memory_stats``. Elsewhere the
tests of ``tests/cuda`` interpret the CUDA source; on a device they run all of it. They last did on an NVIDIA H200; what
has changed since and has not run there again: the cases of hard edges and of cavities with a field map.
"""

from __future__ import annotations

from backbeam_backends.base import Backend

__all__ = ["Backend"]
