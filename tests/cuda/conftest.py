"""Tests that need a CUDA device are collected where CuPy finds one, and nowhere else: there is nothing to skip."""

from __future__ import annotations


def has_device() -> bool:
    try:
        import cupy

        return cupy.cuda.runtime.getDeviceCount() > 0
    except (ImportError, RuntimeError):
        return False


collect_ignore = [] if has_device() else ["test_on_a_gpu.py"]
