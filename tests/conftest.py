"""Every test of the core runs on every array library that the test extra installs; a missing one fails the suite."""

from __future__ import annotations

import os

# Before JAX is imported anywhere: the flag cannot be relied on once arrays exist.
os.environ.setdefault("JAX_ENABLE_X64", "1")
# XLA compiles a program for each case, which runs once: optimising it takes longer than it saves.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# Before NumPy and PyTorch are: the workers of pytest-xdist share the cores, and threads of theirs would fight for them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import array_api_strict
import hypothesis
import pytest

from backbeam import backends

BACKENDS = ("numpy", "torch", "jax", "array_api_strict")
AUTODIFF = ("torch", "jax")

array_api_strict.set_array_api_strict_flags(
    boolean_indexing=False, data_dependent_shapes=False, enabled_extensions=("linalg", "fft")
)
hypothesis.settings.register_profile(
    "backbeam",
    deadline=None,
    derandomize=True,
    max_examples=20,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("backbeam")


def pytest_addoption(parser):
    """Folders of real files of other codes, which stay outside the repository."""
    parser.addoption("--beams", metavar="DIR", help="real beams for tests/beams to read")
    parser.addoption("--lattices", metavar="DIR", help="real lattices for tests/lattices/test_real_*.py to read")


def pytest_ignore_collect(collection_path, config):
    """Tests of real files are none without the files."""
    return True if collection_path.match("lattices/test_real_*.py") and config.getoption("--lattices") is None else None


@pytest.fixture(params=BACKENDS)
def backend(request):
    """Adapter of each library in turn."""
    return backends.get(request.param)


@pytest.fixture(params=AUTODIFF)
def autodiff(request):
    """Adapter of each library that differentiates by itself."""
    return backends.get(request.param)


@pytest.fixture(params=("float64", "float32"))
def dtype(request):
    """Each floating-point type."""
    return request.param
