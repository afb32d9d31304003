"""A search under way: every trial is noted, the best is kept, and it ends when nothing more is wanted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backbeam.matching.aim import Aim
from backbeam.matching.goals import Goals
from backbeam.matching.history import History
from backbeam.matching.merit import Merit, on_host
from backbeam.matching.methods import Ended, Method
from backbeam.matching.progress import Tell
from backbeam.matching.stage import Stage


class _Enough(Exception):  # noqa: N818 (it is no error)
    """There is nothing more to be searched for, or no more passes."""


class Search:
    """A search under way: every trial is noted, and the best is kept."""

    def __init__(self, aim: Aim, merit: Merit, method: Method, history: History, passes: int, tell: Tell) -> None:
        self.aim, self.merit, self.method, self.history, self.tell = aim, merit, method, history, tell
        self.most = passes
        self.reached = False
        self.stopped: BaseException | None = None
        self.ended = Ended(False, "nothing was tried")
        self.begin = merit.x0
        known = history.best
        if known is not None:  # of an earlier search
            bounds = merit.bounds
            self.begin = np.clip(known.values / merit.scale, bounds.lb, bounds.ub)
        self.best, self.score = merit.x0, aim.score(merit.residuals(merit.x0))
        history.add(merit.x0 * merit.scale, self.score)

    def run(self, restarts: int, seed: int) -> None:
        """Search from the start, and from others."""
        self.merit.listeners.append(self._hear)
        try:
            self._run(restarts, seed)
        finally:
            self.merit.listeners.remove(self._hear)

    def _run(self, restarts: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        for k in range(restarts + 1):
            x = self.begin if k == 0 else self._elsewhere(random)
            before = self.score
            try:
                residuals = self.merit.residuals(x)
                self._check(residuals)
                if not np.isfinite(residuals).all():
                    continue  # nothing begins where the line cannot be tracked
                ended = self.method.search(self.aim, self.merit, x)
            except _Enough as enough:
                self.ended = Ended(self.reached, str(enough))
                return
            except KeyboardInterrupt as stopped:
                self.stopped, self.ended = stopped, Ended(False, "interrupted")
                return
            if k == 0 or self.score < before:
                self.ended = ended

    def _elsewhere(self, random: np.random.Generator) -> np.ndarray:
        """Another point to begin at: anywhere within bounds, or normally about the start, by its scale."""
        low, high = self.merit.bounds.lb, self.merit.bounds.ub
        wide = np.isfinite(low) & np.isfinite(high)
        around = np.clip(self.merit.x0 + random.standard_normal(len(low)), low, high)
        with np.errstate(invalid="ignore"):
            within = low + random.random(len(low)) * (high - low)
        return np.where(wide, within, around)

    def _hear(self, x: np.ndarray, residuals: np.ndarray | None) -> None:
        """Note a trial."""
        score = None if residuals is None else self.aim.score(residuals)
        self.history.add(x * self.merit.scale, score)
        if score is not None and score < self.score:
            self.best, self.score = x.copy(), score
        self.tell(f"{self.method.name}: {self.merit.passes} passes, best {self.score.value:.6g}")
        if residuals is not None:
            self._check(residuals)
        if self.merit.passes >= self.most:
            raise _Enough(f"{self.most} passes were made")

    def _check(self, residuals: np.ndarray) -> None:
        """Leave if there is nothing more to be searched for."""
        if self.aim.reached(residuals):
            self.reached = True
            raise _Enough("all targets are met")

    def repeated(self, samples: list[Stage], adjoint: Any) -> list[Search]:
        """The same search for other samples of the beam, each from what was found."""
        found = []
        for k, stage in enumerate(samples):
            self.tell(f"sample {k + 1} of {len(samples)}")
            values = self.merit.variables.values(self.best * self.merit.scale)
            here = stage.replace({name: value if np.ndim(value) else float(value) for name, value in values.items()})
            variables = replace(
                self.merit.variables,
                free=tuple(replace(v, start=float(values[v.name])) for v in self.merit.variables.free),
            )
            merit = Merit(self.aim.goals, here, variables, adjoint, scaled=True)
            search = Search(self.aim, merit, self.method, History(merit.names), self.most, self.tell)
            search.run(0, 0)
            found.append(search)
            if search.stopped:
                self.stopped = search.stopped
                break
        return found

    def looked(self, x: np.ndarray) -> list[np.ndarray]:
        """What a point gives in every setting: the objective, then what the targets are of, in their own units."""
        aims = ([] if self.aim.objective is None else [self.aim.objective]) + [t.objective for t in self.aim.targets]
        return [on_host(value) for value in Goals(tuple(aims), False).values(self.merit.stage_at(x))]
