"""backbeam, with the array library that the task names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

import numpy as np
from serve import Work, beam_of, kicks, serve

Task = Mapping[str, Any]


def hide(*names: str) -> None:
    """Go on as if these distributions, and the modules of their names, were not installed."""
    found = metadata.Distribution.from_name

    def from_name(name: str) -> metadata.Distribution:
        if name in names:
            raise metadata.PackageNotFoundError(name)
        return found(name)

    metadata.Distribution.from_name = staticmethod(from_name)
    sys.modules |= dict.fromkeys(names)


class Setup:
    """backbeam, the beam in the task's library, and how a function is compiled there."""

    def __init__(self, task: Task) -> None:
        if not task.get("numba", True):
            hide("numba", "llvmlite")
        import backbeam as bb
        from backbeam import backends

        self.bb, self.task = bb, task
        library, dtype = task["library"], task.get("dtype", "float64")
        given = beam_of(task["beam"])
        X = given.pop("coordinates")
        self.beam = bb.Beam.from_arrays(X, **given, backend=library, dtype=dtype)
        self.backend = backends.get(library)
        self.versions = {"backbeam": bb.__version__} if hasattr(bb, "__version__") else {}
        self.versions[library] = self.backend.version
        if library == "numpy" and task.get("numba", True):
            self.versions |= {"numba": metadata.version("numba")}

    def array(self, number: Any) -> Any:
        return self.backend.asarray(np.asarray(number), dtype=self.beam.dtype)

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The whole function compiled, where that is what a user of the library would do."""
        if self.task["library"] != "jax":
            return function
        import jax

        return jax.jit(function)

    def timed(self, function: Callable[..., Any], *arguments: Any) -> Callable[[], None]:
        """A run; it has been done once, so that nothing is compiled when it is timed."""

        def run() -> None:
            self.backend.synchronize(function(*arguments))

        run()
        return run


def kick(task: Task) -> Work:
    """A kick, and ``reverse``: the kick undone and its pullback, in one."""
    setup = Setup(task)
    beam, reference = setup.beam, setup.beam.reference
    Bunch = setup.bb.effects.Bunch
    model = setup.bb.SpaceCharge3D(grid=(task["grid"],) * 3, order=task.get("order"))
    X, q, u, ds = beam.coordinates, beam.charges, reference.beta_gamma, setup.array(task["ds"])
    model = model.settled(Bunch(X, q, None, reference))  # as a run does, once for all its kicks

    def forward(X: Any, q: Any, u: Any, ds: Any) -> Any:
        return model.forward(Bunch(X, q, None, reference.with_beta_gamma(u)), {"length": ds})

    def reverse(X1: Any, q: Any, u: Any, ds: Any, X1_bar: Any) -> Any:
        return model.reverse(Bunch(X1, q, None, reference.with_beta_gamma(u)), {"length": ds}, X1_bar)

    forward, reverse = setup.compiled(forward), setup.compiled(reverse)
    bar = setup.array(np.random.default_rng(2).standard_normal(tuple(X.shape)))
    runs = {"forward": setup.timed(forward, X, q, u, ds)}
    if task.get("reverse", True):
        runs["reverse"] = setup.timed(reverse, forward(X, q, u, ds), q, u, ds, bar)
    return Work(runs, lambda: setup.backend.to_numpy(forward(X, q, u, ds)), setup.versions)


def gradient(task: Task) -> Work:
    """Through a drift with kicks: ``primal``, and sigma_x with its derivatives by each adjoint of the task."""
    from backbeam.adjoint import adjoint_named

    setup = Setup(task)
    bb, beam = setup.bb, setup.beam
    line = bb.Line([bb.Drift(setup.array(task["length"]), name="d", slices=task["kicks"])])
    options = {"space_charge": bb.SpaceCharge3D(grid=(task["grid"],) * 3)}
    objective, wrt = bb.observables.sigma("x"), ["d.length", "beam.charge"]

    def value_and_grad(name: str) -> Callable[..., Any]:
        adjoint = adjoint_named(name)
        return setup.compiled(
            lambda line, beam: bb.value_and_grad(objective, line, beam, wrt, adjoint=adjoint, **options)
        )

    primal = setup.compiled(lambda line, beam: bb.track(line, beam, **options).coordinates)
    functions = {name: value_and_grad(name) for name in task["adjoints"]}
    runs = {"primal": setup.timed(primal, line, beam)}
    runs |= {name: setup.timed(function, line, beam) for name, function in functions.items()}

    def outcome() -> np.ndarray:
        value, found = functions[task["adjoints"][0]](line, beam)
        return np.array([float(a) for a in (value, found["d.length"], found["beam.charge"])])

    return Work(runs, outcome, setup.versions)


def fodo(bb: Any, task: Task, model: str, strength: Any) -> Any:
    """Cells of quadrupole, drift, quadrupole, drift, or the first ``elements`` of them; each has a name of its own."""
    elements = []
    for cell in range(task["cells"]):
        for k, sign in enumerate((1.0, -1.0)):
            elements.append(bb.Quadrupole(task["quadrupole"], k1=sign * strength, name=f"q{cell}_{k}", model=model))
            elements.append(bb.Drift(task["drift"], name=f"d{cell}_{k}", model=model))
    return bb.Line(elements[: task.get("elements")])


def line(task: Task) -> Work:
    """A FODO line without space charge by the ``model`` of the task; ``merge`` False: a matrix for each element."""
    setup = Setup(task)
    bb = setup.bb
    beamline = fodo(bb, task, task["model"], task["k1"])
    if task["model"] == "linear" and not task["merge"]:
        run = setup.compiled(unmerged(bb))
    else:
        run = setup.compiled(lambda line, beam: bb.track(line, beam).coordinates)
    runs = {"track": setup.timed(run, beamline, setup.beam)}
    return Work(runs, lambda: setup.backend.to_numpy(run(beamline, setup.beam)), setup.versions)


def unmerged(bb: Any) -> Callable[..., Any]:
    """Track through the plan as it is compiled, before neighbouring linear maps are merged."""
    from backbeam.course import Course
    from backbeam.plan import Slicing, advance, compile_line
    from backbeam.run import Run

    def track(line: Any, beam: Any) -> Any:
        run = Run(Course.of(line), beam)
        plan = compile_line(line, Slicing(), {})
        return advance(plan, run.setting(plan), run.state(), run.parameters)[0].X

    return track


def batch(task: Task) -> Work:
    """A FODO line with space charge under ``settings`` strengths at once; each has its own grid."""
    setup = Setup(task)
    bb = setup.bb
    strengths = task["k1"] * np.linspace(0.9, 1.1, task["settings"])
    beamline = fodo(bb, task, "linear", setup.array(strengths if task["settings"] > 1 else strengths[0]))
    options = {"space_charge": bb.SpaceCharge3D(grid=(task["grid"],) * 3)}
    run = setup.compiled(lambda line, beam: bb.track(line, beam, **options).coordinates)
    found = setup.timed(run, beamline, setup.beam)
    return Work({"track": found}, lambda: setup.backend.to_numpy(run(beamline, setup.beam)), setup.versions)


def small(task: Task) -> Work:
    """Value and gradient of sigma_x by all strengths of a linear FODO line; what is asked of nothing is by default."""
    setup = Setup(task)
    bb, beam = setup.bb, setup.beam
    line = fodo(bb, task, "linear", task["k1"])
    objective, wrt = bb.observables.sigma("x"), [f"{name}.k1" for name in line.names if name.startswith("q")]
    run = setup.compiled(lambda line, beam: bb.value_and_grad(objective, line, beam, wrt))

    def outcome() -> np.ndarray:
        value, found = run(line, beam)
        return np.array([float(a) for a in (value, *(found[name] for name in wrt))])

    return Work({"gradient": setup.timed(run, line, beam)}, outcome, setup.versions)


def settings(task: Task) -> Work:
    """Many settings of a quadrupole at once through a linear line; sigma_x of each is read."""
    setup = Setup(task)
    bb, beam = setup.bb, setup.beam
    strengths = setup.array(task["k1"] * np.linspace(0.9, 1.1, task["settings"]))
    line = fodo(bb, task, "linear", strengths)
    run = setup.compiled(lambda line, beam: bb.track(line, beam).sigma("x"))
    return Work(
        {"track": setup.timed(run, line, beam)}, lambda: setup.backend.to_numpy(run(line, beam)), setup.versions
    )


def moments(task: Task) -> Work:
    """Means and covariances of a batch of beams, and one standard deviation of the same array by the library."""
    setup = Setup(task)
    X = np.random.default_rng(3).standard_normal((task["beams"], 6, task["n"]))
    X = setup.backend.asarray(1e-3 * X, dtype=setup.beam.dtype)
    q = setup.backend.asarray(np.ones((task["beams"], task["n"])), dtype=setup.beam.dtype)
    alive = q > 0.0
    from backbeam.moments import mean_and_cov

    xp = setup.backend.namespace
    runs = {"moments": lambda: mean_and_cov(X, q, alive), "std": lambda: xp.std(X, axis=-1)}
    return Work({name: setup.timed(setup.compiled(run)) for name, run in runs.items()}, None, setup.versions)


def optics(task: Task) -> Work:
    """Lattice functions of a ring of identical cells, and the dispersion; a gradient of a beta by its quadrupoles."""
    setup = Setup(task)
    bb = setup.bb
    line, reference = ring(bb, task), setup.beam.reference
    run = setup.timed(lambda: bb.optics(line, reference))
    found = bb.optics(line, reference)
    beta = bb.observables.optics("beta_x", at=f"b{task['cells'] // 2}")
    strengths = [f"qf{c}.k1" for c in range(task["cells"])]
    gradient = setup.timed(lambda: bb.value_and_grad(beta, line, setup.beam, strengths))
    runs = {"optics": run, "gradient": gradient}
    return Work(runs, lambda: np.array([float(found.tune_x), float(found.tune_y)]), setup.versions)


def turns(task: Task) -> Work:
    """Turns of a ring of cells of seven elements, by the ``model`` of the task."""
    setup = Setup(task)
    bb, line = setup.bb, ring(setup.bb, task)
    line = line.with_elements({name: line[name].replace(model=task["model"]) for name in line.names})
    run = setup.compiled(lambda line, beam: bb.track(line, beam, turns=task["turns"]).coordinates)
    return Work(
        {"turns": setup.timed(run, line, setup.beam)}, lambda: setup.backend.to_numpy(run(line, setup.beam)),
        setup.versions,
    )  # fmt: skip


def ring(bb: Any, task: Task) -> Any:
    """Cells of seven elements with names of their own."""
    elements = []
    angle = 2.0 * np.pi / (2 * task["cells"])
    for c in range(task["cells"]):
        elements += [
            bb.Quadrupole(0.2, k1=task["k1"], name=f"qf{c}"),
            bb.Drift(0.3, name=f"a{c}"),
            bb.SectorBend(1.0, angle=angle, name=f"b{c}"),
            bb.Drift(0.3, name=f"c{c}"),
            bb.Quadrupole(0.2, k1=-task["k1"], name=f"qd{c}"),
            bb.SectorBend(1.0, angle=angle, name=f"d{c}"),
            bb.Drift(0.6, name=f"e{c}"),
        ]
    return bb.Line(elements)


def first(task: Task) -> Work:
    """The first gradient of a line whose elements are all different, with a kick in each; nothing is compiled yet."""
    setup = Setup(task)
    bb, beam, library = setup.bb, setup.beam, task["library"]
    elements = []
    for k in range(task["elements"] // 4):
        elements += [
            bb.Quadrupole(0.2 + 0.001 * k, k1=(-1.0) ** k * (1.0 + 0.01 * k), name=f"q{k}"),
            bb.Drift(0.5 + 0.01 * k, name=f"a{k}"),
            bb.SectorBend(0.4 + 0.001 * k, angle=0.02 + 0.001 * k, name=f"b{k}"),
            bb.Drift(0.3 + 0.01 * k, name=f"c{k}"),
        ]
    line = bb.Line(elements)
    options = {"space_charge": bb.SpaceCharge3D(grid=(task["grid"],) * 3)}
    wrt = [f"{name}.k1" for name in line.names if name.startswith("q")]

    def gradient() -> None:
        found = bb.value_and_grad(bb.observables.sigma("x"), line, beam, wrt, **options)
        setup.backend.synchronize(found)

    return Work({"gradient": gradient}, None, {library: setup.backend.version})


def compiling(task: Task) -> Work:
    """Compile a line of ``kicks`` slices afresh: its tracking and its reversible gradient. Neither is run."""
    import jax

    setup = Setup(task)
    bb, beam = setup.bb, setup.beam
    beamline = bb.Line([bb.Drift(setup.array(task["length"]), name="d", slices=task["kicks"])])
    options = {"space_charge": bb.SpaceCharge3D(grid=(task["grid"],) * 3)}
    wrt = ["d.length", "beam.charge"]
    functions = {
        "track": lambda line, beam: bb.track(line, beam, **options).coordinates,
        "gradient": lambda line, beam: bb.value_and_grad(bb.observables.sigma("x"), line, beam, wrt, **options),
    }

    def afresh(function: Callable[..., Any]) -> Callable[[], None]:
        def run() -> None:
            jax.clear_caches()
            jax.jit(lambda line, beam: function(line, beam)).lower(beamline, beam).compile()

        return run

    return Work({name: afresh(function) for name, function in functions.items()}, None, setup.versions)


KINDS = {
    "kick": kick, "gradient": gradient, "line": line, "batch": batch, "compile": compiling, "small": small,
    "settings": settings, "moments": moments, "optics": optics, "turns": turns, "first": first,
}  # fmt: skip

if __name__ == "__main__":
    serve({**KINDS, "kicks": kicks(kick, {"backbeam": metadata.version("backbeam")})})
