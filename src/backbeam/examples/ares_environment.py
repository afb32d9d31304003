"""A section like ARES's experimental area as an environment of Gymnasium, and a policy that learns to set it.

Three quadrupoles and two correctors make the spot on a screen small and centred (Kaiser et al., Sci. Rep. 14 (2024)
15733). How the beam comes in and by how much each quadrupole stands beside the axis is drawn anew for every episode,
and is not seen. The policy is linear; the cross-entropy method (Rubinstein 1999) finds it, a generation at a time along
the batch axis of `LineVectorEnv`.

    python -m backbeam.examples.ares_environment --plot ares-environment.png
    python -m backbeam.examples.ares_environment --backend jax --generations 0     # steps a second alone
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

import backbeam as bb
from backbeam.integrations.gymnasium_env import LineEnv, LineVectorEnv

ACTIONS = {
    "q1.k1": (-30.0, 30.0), "q2.k1": (-30.0, 30.0), "q3.k1": (-30.0, 30.0),
    "cv.vkick": (-6e-3, 6e-3), "ch.hkick": (-6e-3, 6e-3),
}  # fmt: skip
OBSERVATIONS = {"mean_x": 1e-3, "mean_y": 1e-3, "sigma_x": 1e-3, "sigma_y": 1e-3}
HIDDEN = {
    "gun.hkick": (-1e-4, 1e-4), "gun.vkick": (-1e-4, 1e-4),
    **{f"q{k}.{d}": (-3e-4, 3e-4) for k in (1, 2, 3) for d in ("dx", "dy")},
}  # fmt: skip
HORIZON, STRIDE = 25, 0.1


def section() -> bb.Line:
    """2.05 m long; what the gun does to the beam is a kick at its beginning."""
    linear: dict[str, Any] = {"model": "linear"}

    def drift(length: float) -> bb.Drift:
        return bb.Drift(length, model="linear")

    return bb.Line([
        bb.Corrector(0.0, hkick=0.0, vkick=0.0, name="gun", **linear), drift(0.17504),
        bb.Quadrupole(0.122, k1=10.0, name="q1", **linear), drift(0.428),
        bb.Quadrupole(0.122, k1=-10.0, name="q2", **linear), drift(0.204),
        bb.Corrector(0.02, vkick=0.0, name="cv", **linear), drift(0.204),
        bb.Quadrupole(0.122, k1=10.0, name="q3", **linear), drift(0.179),
        bb.Corrector(0.02, hkick=0.0, name="ch", **linear), drift(0.45), bb.Monitor(name="screen"),
    ], name="ea")  # fmt: skip


def incoming(backend: str = "numpy", particles: int = 10_000) -> bb.Beam:
    """Electrons of 107 MeV."""
    return bb.Beam.gaussian(
        n=particles, seed=1, species="electron", kinetic_energy=107e6, charge=5e-12, backend=backend,
        sigma_x=1.75e-4, sigma_px=3e-5, sigma_y=1.75e-4, sigma_py=3e-5, sigma_tau=8e-6, sigma_pt=2.3e-3,
    )  # fmt: skip


def reward(seen: Mapping[str, np.ndarray]) -> np.ndarray:
    """Minus the log of the rms distance of a particle from the centre of the screen, in mm."""
    return -0.5 * np.log(sum((1e3 * seen[name]) ** 2 for name in OBSERVATIONS))


def task(backend: str = "numpy") -> tuple[Any, ...]:
    """What both environments are made of."""
    return section(), bb.MomentBeam.of(incoming(backend)), ACTIONS, OBSERVATIONS, reward


def environment(backend: str = "numpy") -> LineEnv:
    """One of them."""
    return LineEnv(*task(backend), hidden=HIDDEN, stride=STRIDE)


def environments(count: int, backend: str = "numpy") -> LineVectorEnv:
    """Many of them."""
    return LineVectorEnv(count, *task(backend), hidden=HIDDEN, stride=STRIDE, horizon=HORIZON)


def steps_a_second(env: Any, seconds: float = 2.0) -> float:
    """Steps that an environment makes in a second, all of its lines together."""
    env.reset(seed=1)
    actions = [env.action_space.sample() for _ in range(100)]
    for action in actions[:20]:
        env.step(action)
    begin, done = perf_counter(), 0
    while perf_counter() - begin < seconds:
        env.step(actions[done % len(actions)])
        done += 1
    return done * getattr(env, "num_envs", 1) / (perf_counter() - begin)


def acted(policies: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Actions ``(..., 5)`` of linear policies ``(..., 5, 10)``, the last column of which is a constant."""
    seen = np.concatenate([np.clip(observed, -5.0, 5.0), np.ones_like(observed[..., :1])], axis=-1)
    return np.clip((policies @ seen[..., None])[..., 0], -1.0, 1.0)


def ends(envs: LineVectorEnv, policies: np.ndarray, seed: int) -> np.ndarray:
    """Reward at the end of an episode, one a policy ``(count,)``."""
    observed, _ = envs.reset(seed=seed)
    for _ in range(HORIZON):
        observed, rewarded, _, _, _ = envs.step(acted(policies, observed))
    return rewarded


def learned(generations: int, count: int = 128, episodes: int = 4, seed: int = 0) -> tuple[np.ndarray, list[float]]:
    """A policy ``(5, 10)``, and the mean reward of each generation."""
    rng, envs = np.random.default_rng(seed), environments(count * episodes)
    mean, spread, history = np.zeros((5, 10)), np.full((5, 10), 0.5), []
    for generation in range(generations):
        policies = mean + spread * rng.standard_normal((count, 5, 10))
        rewarded = ends(envs, np.repeat(policies, episodes, axis=0), generation).reshape(count, episodes).mean(axis=1)
        elite = policies[np.argsort(rewarded)[-count // 8 :]]
        mean, spread = elite.mean(axis=0), 0.3 * spread + 0.7 * elite.std(axis=0)
        history.append(float(rewarded.mean()))
    return mean, history


def draw(history: Sequence[float], after: np.ndarray, nothing: np.ndarray) -> Any:
    """Reward by generation; the spot at the end of new episodes, and that of who does nothing."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(1e3 * np.exp(-np.asarray(history)), color="#1667b0")
    left.set(xlabel="generation", ylabel="rms distance [µm]", yscale="log")
    bins = np.geomspace(50.0, 2e4, 50)
    for found, label, color in ((nothing, "nothing done", "#8a929c"), (after, "policy", "#1667b0")):
        right.hist(1e3 * np.exp(-found), bins=bins, color=color, alpha=0.8, label=label)
    right.set(xlabel="rms distance at the end of an episode [µm]", ylabel="episodes", xscale="log")
    right.legend(frameon=False)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Count steps a second, let a policy learn, and draw what it has learnt."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--generations", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=2.0, help="for which steps are counted")
    parser.add_argument("--plot", metavar="FILE")
    given = parser.parse_args(arguments)
    for label, env in (("one line", environment(given.backend)), ("256 at once", environments(256, given.backend))):
        print(f"{given.backend}, {label}: {steps_a_second(env, given.seconds):.0f} steps a second")
    if not given.generations:
        return
    policy, history = learned(given.generations)
    new = environments(500)
    after, nothing = (ends(new, np.broadcast_to(p, (500, 5, 10)), 999) for p in (policy, 0.0 * policy))
    sizes = [1e6 * 1e-3 * float(np.exp(-np.median(found))) for found in (nothing, after)]
    print(
        f"median rms distance from the centre: {sizes[0]:.0f} µm with nothing done, {sizes[1]:.0f} µm with the policy"
    )
    if given.plot:
        draw(history, after, nothing).savefig(given.plot, dpi=120)


if __name__ == "__main__":
    main()
