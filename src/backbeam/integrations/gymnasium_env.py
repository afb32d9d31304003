"""Environments of Gymnasium: an agent that learns to set a line, from what monitors, screens and moments say.

`LineEnv` is one line, `LineVectorEnv` many of them at once, along the batch axis that backbeam's arrays have anyway.
Written for gymnasium 1.x; the extra is ``gymnasium``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from backbeam.errors import InputError
from backbeam.extras import need
from backbeam.integrations.machine import Machine

if TYPE_CHECKING:
    from backbeam.beam import Beam
    from backbeam.line import Line
    from backbeam.moment_beam import MomentBeam
    from backbeam.observables import Objective

gymnasium, spaces, vector, vector_utils = need(
    "gymnasium", "gymnasium", "gymnasium.spaces", "gymnasium.vector", "gymnasium.vector.utils", purpose="an environment"
)

Reward = Callable[[Mapping[str, np.ndarray]], Any]


class Task:
    """What an agent does with a line: what it turns, what it sees, and what that is worth.

    Parameters
    ----------
    line, beam:
        The line, and the beam before it: particles, or a `MomentBeam`, with which a step takes less than a millisecond.
    actions:
        What is turned, and its limits in SI units: ``{"q1.k1": (-30, 30)}``.
    observations:
        What is seen, and the size that an agent sees as 1: ``{"mean_x": 1e-3, "sigma_x @ screen": 1e-3}``. Where the
        actions stand is seen too, from -1 to 1.
    reward:
        Of the readings and images in SI units by name, a number the higher the better; arrays of a batch give an array.
    images:
        Screens that are looked at, and the charge of a pixel that an agent sees as 1 [C]: ``{"yag": 1e-12}``. Then an
        observation is a dict of all numbers, ``readings``, and of an image ``(nx, ny)`` by the name of each screen.
    hidden:
        What is drawn anew at each reset and not seen, between limits: misalignments, the beam's own knobs in the line.
    stride:
        Part of its range by which an action of 1 moves a setting; None: an action from -1 to 1 is where it shall stand.
    track:
        Further arguments of `backbeam.track`.
    """

    def __init__(
        self,
        line: Line,
        beam: Beam | MomentBeam,
        actions: Mapping[str, tuple[float, float]],
        observations: Mapping[str | Objective, float],
        reward: Reward,
        *,
        images: Mapping[str, float] | None = None,
        hidden: Mapping[str, tuple[float, float]] | None = None,
        stride: float | None = 0.05,
        **track: Any,
    ) -> None:
        if not callable(reward):
            raise InputError("reward", reward, "a function of the readings by name")
        images = dict(images or {})
        if not isinstance(observations, Mapping) or not (observations or images):
            raise InputError("observations", observations, "what is seen, with the size that counts as 1")
        if stride is not None and not 0.0 < stride <= 2.0:
            raise InputError("stride", stride, "a part of the range, greater than 0 and at most 2, or None")
        if "readings" in images or any(not size > 0.0 for size in images.values()):
            raise InputError("images", images, "screens, none called readings, each with a charge > 0")
        hidden = dict(hidden or {})
        self.machine = Machine(line, beam, {**actions, **hidden}, observations, images, **track)
        sign = 1.0 if beam.reference.species.charge_number > 0 else -1.0
        self.bright = {name: sign * size for name, size in images.items()}
        self.reward, self.stride, self.turned = reward, stride, len(actions)
        self.sizes = np.asarray([float(size) for size in observations.values()])
        self.action_space = spaces.Box(-1.0, 1.0, (len(actions),), np.float32)
        shape = (len(self.sizes) + len(actions),)
        self.observation_space = numbers = spaces.Box(-np.inf, np.inf, shape, np.float32)
        if images:
            boxes = {name: spaces.Box(0.0, np.inf, pixels, np.float32) for name, pixels in self.machine.images.items()}
            self.observation_space = spaces.Dict({"readings": numbers, **boxes})

    def drawn(self, rng: np.random.Generator, count: tuple[int, ...]) -> np.ndarray:
        """Settings at a reset, from -1 to 1: anywhere between the limits ``(*count, m)``."""
        return rng.uniform(-1.0, 1.0, (*count, len(self.machine.settings)))

    def moved(self, settings: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Settings after an action, both from -1 to 1."""
        action = np.asarray(action, dtype=np.float64)
        turned = action if self.stride is None else settings[..., : self.turned] + 2.0 * self.stride * action
        return np.concatenate([np.clip(turned, -1.0, 1.0), settings[..., self.turned :]], axis=-1)

    def physical(self, settings: np.ndarray) -> np.ndarray:
        """Settings in SI units."""
        low, high = self.machine.low, self.machine.high
        return low + 0.5 * (settings + 1.0) * (high - low)

    def seen(self, settings: np.ndarray) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
        """Observation, reward, and the readings and images by name."""
        found, images = self.machine.look(self.physical(settings))
        readings = {name: found[..., k] for k, name in enumerate(self.machine.readings)} | images
        observed: Any = np.concatenate([found / self.sizes, settings[..., : self.turned]], axis=-1).astype(np.float32)
        if images:
            pixels = {name: (one / self.bright[name]).astype(np.float32) for name, one in images.items()}
            observed = {"readings": observed, **pixels}
        return observed, np.asarray(self.reward(readings), dtype=np.float64), readings


class LineEnv(gymnasium.Env):  # type: ignore[name-defined]
    """A line as an environment of Gymnasium; arguments as of `Task`.

    It never ends by itself: wrap it in `gymnasium.wrappers.TimeLimit`, or register it with ``max_episode_steps``.
    ``reset(options={"settings": {"q1.k1": 10.0}})`` begins there. ``info`` has the readings in SI units by name.

    Examples
    --------
    >>> from backbeam.integrations.gymnasium_env import LineEnv
    >>> line = bb.Line([bb.Quadrupole(0.1, k1=1.0, name="q"), bb.Drift(1.0)])
    >>> beam = bb.Beam.gaussian(n=1000, species="electron", kinetic_energy=50e6, charge=1e-9, sigma_x=1e-3)
    >>> env = LineEnv(line, bb.MomentBeam.of(beam), {"q.k1": (-9, 9)}, {"sigma_x": 1e-3}, lambda seen: -seen["sigma_x"])
    >>> observation, info = env.reset(seed=1)
    >>> observation.shape
    (2,)
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (Gymnasium's own way)

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self.task = Task(*arguments, **more)
        self.action_space, self.observation_space = self.task.action_space, self.task.observation_space
        self.settings = np.zeros(len(self.task.machine.settings))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin at settings drawn between the limits, or at those that are given."""
        super().reset(seed=seed)
        self.settings = self.task.drawn(self.np_random, ())
        given = (options or {}).get("settings", {})
        machine = self.task.machine
        for name, value in given.items():
            if name not in machine.settings:
                raise InputError("options.settings", name, f"one of {', '.join(machine.settings)}")
            k = machine.settings.index(name)
            self.settings[k] = 2.0 * (value - machine.low[k]) / (machine.high[k] - machine.low[k]) - 1.0
        observed, _, readings = self.task.seen(self.settings)
        return observed, _told(readings)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Turn the settings, and look."""
        self.settings = self.task.moved(self.settings, action)
        observed, reward, readings = self.task.seen(self.settings)
        return observed, float(reward), False, False, _told(readings)


class LineVectorEnv(vector.VectorEnv):  # type: ignore[name-defined]
    """Many lines at once as a vector environment of Gymnasium: one call of backbeam a step.

    Parameters
    ----------
    count:
        How many.
    arguments, horizon, more:
        As of `Task`; an episode is cut off after ``horizon`` steps, all at once.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": vector.AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, count: int, *arguments: Any, horizon: int = 50, **more: Any) -> None:
        self.task, self.num_envs, self.horizon = Task(*arguments, **more), count, horizon
        self.single_action_space, self.single_observation_space = self.task.action_space, self.task.observation_space
        self.action_space = vector_utils.batch_space(self.single_action_space, count)
        self.observation_space = vector_utils.batch_space(self.single_observation_space, count)
        self.settings, self.done = np.zeros((count, len(self.task.machine.settings))), 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin all anew."""
        super().reset(seed=seed)
        self.settings, self.done = self.task.drawn(self.np_random, (self.num_envs,)), 0
        observed, _, readings = self.task.seen(self.settings)
        return observed, dict(readings)

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Turn and look, all at once; after the last step of an episode the next call begins a new one."""
        none = np.zeros(self.num_envs, dtype=bool)
        if self.done == self.horizon:
            observed, readings = self.reset()
            return observed, np.zeros(self.num_envs), none, none.copy(), readings
        self.settings, self.done = self.task.moved(self.settings, actions), self.done + 1
        observed, reward, readings = self.task.seen(self.settings)
        return observed, reward, none, np.full(self.num_envs, self.done == self.horizon), dict(readings)


def _told(readings: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Readings as numbers, and images as they are."""
    return {name: value if value.ndim else float(value) for name, value in readings.items()}
