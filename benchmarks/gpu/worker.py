"""One library on one device, in a process of its own: checked, or timed at one size. Prints a line of JSON a result."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

TOLERANCES = {"float64": 1e-9, "float32": 1e-3}
KIND = {"species": "electron", "kinetic_energy": 250e6, "charge": 1e-9}
SIGMAS = {"sigma_x": 1e-3, "sigma_px": 1e-4, "sigma_y": 1e-3, "sigma_py": 1e-4, "sigma_tau": 1e-3, "sigma_pt": 1e-3}
LENGTH = 1.0
DRAWN = 4_000_000
"""Particles that are drawn on the host; more are copies of them, each a little wider, made on the device."""
ENOUGH, REPEATS = 2.0, 10
"""A run is repeated until it has taken that many seconds, at least twice and at most that often."""


def tell(**found: Any) -> None:
    """A line of JSON."""
    print(json.dumps(found), flush=True)


def no_memory(error: BaseException) -> bool:
    """Whether an exception says that memory is short; every library has its own."""
    words = f"{type(error).__name__} {error}".lower()
    return any(said in words for said in ("out of memory", "outofmemory", "resource_exhausted", "memoryerror"))


def attempt(run: Callable[[], Any], synchronize: Callable[[Any], None], peak: Callable[[], int]) -> dict[str, Any]:
    """Median of some repeats, after one that compiles and fills caches; or why not."""
    try:
        start = perf_counter()
        synchronize(run())
        first = perf_counter() - start
        seconds: list[float] = []
        while len(seconds) < 2 or (sum(seconds) < ENOUGH and len(seconds) < REPEATS):
            start = perf_counter()
            synchronize(run())
            seconds.append(perf_counter() - start)
        return {"seconds": float(np.median(seconds)), "least": min(seconds), "first": first, "repeats": len(seconds),
                "peak_bytes": peak()}  # fmt: skip
    except Exception as error:
        if no_memory(error):
            return {"problem": "does not fit"}
        return {"problem": f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]}


class Library:
    """backbeam with one library on one device."""

    def __init__(self, task: Mapping[str, Any]) -> None:
        import backbeam as bb
        from backbeam import backends

        self.bb, self.name, self.device = bb, task["library"], task["device"]
        self.backend = backends.get(self.name)
        self.xp = self.backend.namespace

    def device_info(self) -> dict[str, str]:
        """Name of the device as the library gives it."""
        if self.device == "cpu":
            return {"name": "cpu"}
        if self.name == "torch":
            import torch

            return {"name": torch.cuda.get_device_name(), "cuda": str(torch.version.cuda)}
        if self.name == "cupy":
            import cupy

            index = cupy.cuda.Device().id
            name = cupy.cuda.runtime.getDeviceProperties(index)["name"].decode()
            return {"name": name, "cuda": str(cupy.cuda.runtime.runtimeGetVersion())}

        device = self.backend.device(self.device)
        return {"name": device.device_kind, "platform": device.client.platform_version.splitlines()[0]}

    def array(self, data: Any, dtype: str) -> Any:
        return self.backend.asarray(np.asarray(data), dtype=dtype, device=self.device)

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if self.name != "jax":
            return function
        import jax

        return jax.jit(function)

    def kick_functions(self, grid: int, beam: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """The kick, and what undoes it and pulls back, of (X, q, beta gamma, ds[, cotangent])."""
        Bunch = self.bb.effects.Bunch
        model, reference = self.bb.SpaceCharge3D(grid=(grid,) * 3), beam.reference

        def forward(X: Any, q: Any, u: Any, ds: Any) -> Any:
            return model.forward(Bunch(X, q, None, reference.with_beta_gamma(u)), {"length": ds})

        def reverse(X1: Any, q: Any, u: Any, ds: Any, bar: Any) -> Any:
            X, bars = model.reverse(Bunch(X1, q, None, reference.with_beta_gamma(u)), {"length": ds}, bar)
            return X, bars.X, bars.q, bars.beta_gamma, bars.p["length"]

        return self.compiled(forward), self.compiled(reverse)

    def line_functions(self, grid: int) -> dict[str, Callable[..., Any]]:
        """Tracking, and the reversible gradient of sigma_x with respect to two parameters, of (line, beam)."""
        bb, options = self.bb, {"space_charge": self.bb.SpaceCharge3D(grid=(grid,) * 3)}
        objective, wrt = bb.observables.sigma("x"), ["d.length", "beam.charge"]
        return {
            "primal": self.compiled(lambda line, beam: bb.track(line, beam, **options).coordinates),
            "gradient": self.compiled(lambda line, beam: bb.value_and_grad(objective, line, beam, wrt, **options)),
        }

    def beam(self, n: int, dtype: str) -> Any:
        """n particles on the device."""
        drawn = self.bb.Beam.gaussian(n=min(n, DRAWN), seed=1, **KIND, **SIGMAS).coordinates
        X = self.array(drawn, dtype)
        if n > DRAWN:
            copies = -(-n // DRAWN)
            X = self.xp.concat([X * (1.0 + 1e-4 * k) for k in range(copies)], axis=-1)[:, :n]
        return self.bb.Beam.from_arrays(X, **KIND)

    # -- is it right ---------------------------------------------------------------------------------------------------

    def check(self, dtypes: list[str], examples: list[str]) -> None:
        """Kick, reverse and examples against NumPy in float64."""
        for dtype in dtypes:
            for what, found, expected in self._kick_against_numpy(dtype):
                self._verdict(what, dtype, deviation(found, expected))
        for example in examples:
            for dtype in dtypes:
                self._verdict(f"gradient of {example}", dtype, self._example(example, dtype))

    def _verdict(self, what: str, dtype: str, found: float) -> None:
        tell(what=what, dtype=dtype, deviation=found, tolerance=TOLERANCES[dtype], ok=found <= TOLERANCES[dtype])

    def _kick_against_numpy(self, dtype: str, n: int = 20_000, grid: int = 16) -> list[tuple[str, Any, Any]]:
        bb = self.bb
        # Coordinates that float32 has too, so that what differs is the arithmetic.
        drawn = bb.Beam.gaussian(n=n, seed=1, **KIND, **SIGMAS).coordinates.astype("float32").astype("float64")
        bar = np.random.default_rng(2).standard_normal(drawn.shape).astype("float32").astype("float64")
        host = Library({"library": "numpy", "device": "cpu"})
        results = []
        for library, kind in ((host, "float64"), (self, dtype)):
            beam = bb.Beam.from_arrays(library.array(drawn, kind), **KIND)
            forward, reverse = library.kick_functions(grid, beam)
            # A kick that is large next to the momenta, so that float32 has digits left for it.
            u, ds = beam.reference.beta_gamma, library.array(1e3, kind)
            after = forward(beam.coordinates, beam.charges, u, ds)
            back = reverse(after, beam.charges, u, ds, library.array(bar, kind))
            to_host = library.backend.to_numpy
            after = to_host(after)
            results.append([after[[1, 3, 5]] - drawn[[1, 3, 5]], *map(to_host, back)])
        names = ("kick", "kick undone", "pullback: X", "pullback: charges", "pullback: beta gamma", "pullback: ds")
        return list(zip(names, results[1], results[0], strict=True))

    def _example(self, name: str, dtype: str) -> float:
        """Largest relative difference of value and gradient."""
        from backbeam.problem import Problem

        problem = Problem.load(name, {"beam.n": 5000})
        expected = problem.differentiate(backend="numpy", dtype="float64")
        found = problem.differentiate(backend=self.name, device=self.device, dtype=dtype)
        pairs = [(found.value, expected.value)]
        pairs += [(found.gradient[name], slope) for name, slope in expected.gradient.items()]
        return max(abs(a - b) / abs(b) if b else abs(a) for a, b in pairs)

    # -- how fast ------------------------------------------------------------------------------------------------------

    def time(self, dtypes: list[str], particles: int, grid: int, kicks: int, runs: list[str]) -> None:
        """Those of kick, reverse, primal and gradient that are wanted."""
        bb = self.bb
        sync, peak = self.backend.synchronize, self.backend.meter.peak_memory
        for dtype in dtypes:
            try:
                beam = self.beam(particles, dtype)
                X, q, u = beam.coordinates, beam.charges, beam.reference.beta_gamma
                ds = self.array(0.1, dtype)
                sync((X, q))
            except Exception as error:
                problem = "does not fit" if no_memory(error) else f"{type(error).__name__}: {error}"[:200]
                tell(run="kick", dtype=dtype, problem=problem)
                continue
            forward, reverse = self.kick_functions(grid, beam)
            tell(run="kick", dtype=dtype, **attempt(partial(forward, X, q, u, ds), sync, peak))
            if "reverse" in runs:
                # Coordinates do as cotangents: the time does not depend on them.
                tell(run="reverse", dtype=dtype, **attempt(partial(reverse, X, q, u, ds, X), sync, peak))
            line = bb.Line([bb.Drift(self.array(LENGTH, dtype), name="d", slices=kicks)])
            for run, function in self.line_functions(grid).items():
                if run in runs:
                    tell(run=run, dtype=dtype, **attempt(partial(function, line, beam), sync, peak))


def deviation(found: Any, expected: Any) -> float:
    """The worst row's rms difference over its rms; of a number, the relative difference. NaN counts as infinite."""
    found, expected = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if expected.ndim:
        difference = np.sqrt(np.mean((found - expected) ** 2, axis=-1))
        scale = np.sqrt(np.mean(expected**2, axis=-1))
    else:
        difference, scale = np.abs(found - expected), np.abs(expected)
    worst = float(np.max(difference / np.where(scale > 0.0, scale, 1.0)))
    return worst if np.isfinite(worst) else float("inf")


def main() -> None:
    task = json.loads(sys.argv[1])
    library = Library(task)
    tell(device=library.device_info())
    if task["do"] == "check":
        library.check(task["dtypes"], task["examples"])
    else:
        library.time(task["dtypes"], task["particles"], task["grid"], task["kicks"], task["runs"])


if __name__ == "__main__":
    main()
