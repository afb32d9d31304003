"""The core stays what it says: pure array API, on the library and device of its input, documented, in its place."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
from contextlib import suppress
from pathlib import Path

import array_api_strict
import numpy as np
import pytest

import backbeam as bb
import backbeam_backends
import backbeam_torch
from backbeam.extras import MissingExtraError
from backbeam.gradient import differentiate

ROOT = Path(__file__).parents[1]
CORE = ROOT / "src" / "backbeam"
LIBRARIES = {"torch", "jax", "jaxlib", "cupy", "numba", "tensorflow", "dask", "array_api_strict", "mlx", "ndonnx"}
PHYSICS = ("maps", "effects", "adjoint")
"""Folders in which even NumPy has no place: arrays come in and go out."""
TOP_LEVEL = {"pyproject.toml", "src", "backends", "tests", "benchmarks", "README.md", "LICENSE", "CHANGELOG.md"}

SOURCES = sorted(CORE.rglob("*.py"))
every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda p: str(p.relative_to(CORE)))


def imported(tree):
    """Top-level names of everything that is imported anywhere in a file, by `import_module` and its like too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.Call) and isinstance(node.args[0] if node.args else None, ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__", "find_spec"):
                yield str(node.args[0].value)


def test_there_is_a_core():
    assert len(SOURCES) > 50 and all((CORE / folder).is_dir() for folder in PHYSICS)


@every_source
def test_the_core_imports_no_array_library_but_numpy(source):
    names = set(imported(ast.parse(source.read_text(encoding="utf-8"))))
    assert not {name.partition(".")[0] for name in names} & LIBRARIES
    assert not {name for name in names if name.startswith("array_api_compat.")}  # of one library, that is


@pytest.mark.parametrize("folder", PHYSICS)
def test_physics_knows_no_numpy(folder):
    for source in (CORE / folder).rglob("*.py"):
        tree = ast.parse(source.read_text(encoding="utf-8"))
        found = [
            n for n in imported(tree) if n.partition(".")[0] in ("numpy", "scipy") or n.startswith("array_api_compat.")
        ]
        assert not found, f"{source.relative_to(CORE)} imports {found}"


# -- on a device of its own -------------------------------------------------------------------------------------------


def line():
    return bb.Line([
        bb.Drift(0.1, name="d"), bb.Monitor(name="bpm"),
        bb.Quadrupole(0.1, k1=8.0, dx=1e-4, dy=1e-4, roll=0.1, name="q"),
        bb.Sextupole(0.1, k2=20.0), bb.Quadrupole(0.1, k1=-8.0, model="linear"), bb.Solenoid(0.1, ks=0.5),
        bb.SectorBend(0.2, angle=0.1, e1=0.02, fint=0.5, hgap=0.01), bb.SectorBend(0.2, angle=-0.1, k1=0.5),
        bb.Aperture(half_x=2e-3, half_y=2e-3),
        bb.RFCavity(0.2, voltage=1e6, frequency=1.3e9, phase=0.2, steps=2, name="c"),
        bb.Corrector(0.1, hkick=1e-4), bb.ConstantFocusing(0.1, kx=1.0, ky=1.0, kt=0.1), bb.Buncher(1e4, 1.3e9),
        bb.LinearMap(np.eye(6)), bb.Screen(half_x=2e-3, half_y=2e-3, pixels=(6, 5), name="yag"),
        bb.Drift(0.2, slices=2),
    ])  # fmt: skip


OBJECTIVE = (
    bb.observables.sigma("x") + bb.observables.normalized_emittance("y") + bb.observables.reading("bpm", "x")
    + bb.observables.mismatch("x", beta=2.0) + bb.observables.transmitted_charge() + bb.observables.mean_square_size()
)  # fmt: skip
WRT = ["q.k1", "q.dx", "q.roll", "c.phase", "d.length", "beam.charge", "beam.kinetic_energy", "beam.coordinates"]
ADJOINTS = (bb.Reversible(anchor_every=2), bb.Checkpoint(slots=2), bb.Store())
MODELS = {
    "free space": bb.SpaceCharge3D(grid=(6, 6, 6)),
    "rms box": bb.SpaceCharge3D(grid=(6, 6, 6), extent="rms"),
    "pipe": bb.SpaceCharge2DPipe(width=0.02, height=0.02, length=0.1, modes=(4, 4)),
}


@pytest.mark.parametrize(
    "adjoint,batch,model",
    [
        *((adjoint, (), "free space") for adjoint in ADJOINTS),
        *((ADJOINTS[0], (2,), model) for model in MODELS),
    ],
    ids=str,
)
def test_everything_stays_on_the_device_of_the_beam(adjoint, batch, model):
    """Arrays of two devices refuse to meet in array_api_strict: whatever is born elsewhere on the way is found out."""
    X = np.random.default_rng(6).normal(size=(*batch, 6, 40)) * 3e-4
    device = array_api_strict.Device("device1")
    beam = bb.Beam.from_arrays(
        array_api_strict.asarray(X, device=device), species="electron", kinetic_energy=20e6, charge=1e-10
    )
    assert beam.device == "device1"
    options = {"space_charge": MODELS[model], "adjoint": adjoint}
    found = differentiate(OBJECTIVE, line(), beam, WRT, **options)
    out = found.beam
    for array in (
        found.value, *found.gradient.values(), out.coordinates, out.charges, out.lost_at, out.reference.beta_gamma,
        *out.readings.values(), out.sigma(), out.cov(), out.mean(), out.charge, out.lost,
    ):  # fmt: skip
        assert array.device == device and type(array) is type(beam.coordinates)
    assert float(np.asarray(out.backend.to_numpy(out.charge)).min()) < -0.5e-10  # most of it came through
    host = bb.Beam.from_arrays(X, species="electron", kinetic_energy=20e6, charge=1e-10)
    _, wanted = bb.value_and_grad(OBJECTIVE, line(), host, WRT, **options)
    for name, value in wanted.items():
        here = out.backend.to_numpy(found.gradient[name])
        np.testing.assert_allclose(here, value, rtol=0, atol=1e-10 * np.abs(value).max())


@pytest.mark.parametrize("kind", ["gaussian", "waterbag", "kv", "uniform_ellipsoid", "semigaussian"])
def test_a_beam_is_drawn_and_differentiated_on_its_device(kind):
    sizes = {f"sigma_{c}": 1e-3 for c in ("x", "y", "tau", "px", "py", "pt")}
    if kind == "uniform_ellipsoid":
        sizes = {"radius": 1e-3}
    beam = bb.Beam.draw(
        kind,
        n=30,
        species="electron",
        kinetic_energy=20e6,
        charge=1e-10,
        backend="array_api_strict",
        device="device2",
        **sizes,
    )
    assert beam.device == "device2"
    wrt = [f"beam.{name}" for name in sizes]
    _, gradient = bb.value_and_grad(bb.observables.sigma("x"), bb.Line([bb.Drift(0.3)]), beam, wrt)
    assert {str(g.device) for g in gradient.values()} == {"array_api_strict.Device('device2')"}


def test_arrays_of_two_devices_do_refuse_to_meet():
    """So that the tests above mean something."""
    one, two = (array_api_strict.ones(2, device=array_api_strict.Device(f"device{k}")) for k in (1, 2))
    with pytest.raises((ValueError, RuntimeError), match="device"):
        one + two


# -- names and words --------------------------------------------------------------------------------------------------


def test_all_is_what_there_is():
    assert len(set(bb.__all__)) == len(bb.__all__)  # their order is the linter's business
    for name in bb.__all__:
        assert hasattr(bb, name), name
    shown = {name for name in dir(bb) if not name.startswith("_")}
    assert shown == {*bb.__all__, "Problem"} and bb.Problem.__module__ == "backbeam.problem.problem"
    with pytest.raises(AttributeError, match="no attribute 'Probem'"):
        bb.Probem  # noqa: B018
    assert bb.Species.known()["proton"] == bb.species.species_named("proton")
    for namespace in (bb.adjoint, bb.elements, bb.effects, bb.effects.space_charge, backbeam_backends, backbeam_torch):
        assert all(hasattr(namespace, name) for name in namespace.__all__), namespace.__name__
    assert {cls.__name__ for cls in bb.elements.ALL} <= set(bb.__all__)


def modules():
    for package in (bb, backbeam_backends, backbeam_torch):
        yield package
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not found.name.rpartition(".")[2].startswith("cupy_"):
                with suppress(MissingExtraError):  # frameworks of which CI has some: see tests/integrations
                    yield importlib.import_module(found.name)


def test_everything_public_says_what_it_is():
    """Modules, classes, functions, methods and properties; a method may take over what its base says."""
    silent = []
    for module in modules():
        if not (module.__doc__ or "").strip():
            silent.append(module.__name__)
        for name, thing in vars(module).items():
            mine = getattr(thing, "__module__", None) == module.__name__
            if name.startswith("_") or not mine or not (inspect.isclass(thing) or inspect.isfunction(thing)):
                continue
            if not inspect.getdoc(thing) or (inspect.isclass(thing) and (thing.__doc__ or "").startswith(f"{name}(")):
                silent.append(f"{module.__name__}.{name}")  # a dataclass writes its signature where nothing is said
            if inspect.isclass(thing):
                for method, value in vars(thing).items():
                    public = not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
                    if public and not inspect.getdoc(getattr(thing, method)):
                        silent.append(f"{module.__name__}.{name}.{method}")
    assert not silent, f"without a docstring: {', '.join(silent)}"


def test_adapters_are_not_called_like_their_library():
    """Under pytest such a file would stand in the library's place."""
    names = {p.stem for p in Path(backbeam_backends.__path__[0]).glob("*.py")}
    assert not names & (LIBRARIES | {"numpy"})


def test_the_top_level_is_fixed():
    if not (ROOT / ".git").exists():
        pytest.skip("no repository")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {path.partition("/")[0] for path in listed.split("\0") if path}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL
    assert TOP_LEVEL - {"benchmarks", "CHANGELOG.md"} <= top
