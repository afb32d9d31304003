"""Environments: Gymnasium's own check, what an action does, episodes, and that a policy learns."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import backbeam as bb
from backbeam.examples import ares_environment as ares
from backbeam.integrations.gymnasium_env import LineEnv, LineVectorEnv

unbounded = pytest.mark.filterwarnings("ignore:.*A Box observation space")


@unbounded
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_gymnasium_finds_nothing_wrong(backend):
    check_env(ares.environment(backend), skip_render_check=True)


@unbounded
def test_with_particles_and_an_action_that_is_the_setting():
    beam = ares.incoming(particles=200)
    env = LineEnv(
        *(ares.section(), beam, ares.ACTIONS, ares.OBSERVATIONS, ares.reward), hidden=ares.HIDDEN, stride=None
    )
    check_env(env, skip_render_check=True)
    env.reset(seed=3, options={"settings": dict.fromkeys(ares.HIDDEN, 0.0)})
    observed, reward, terminated, truncated, info = env.step([0.5, -0.5, 0.25, 0.0, 0.1])
    line = ares.section().replace({"q1.k1": 15.0, "q2.k1": -15.0, "q3.k1": 7.5, "cv.vkick": 0.0, "ch.hkick": 6e-4})
    out = bb.track(line, beam)
    wanted = [out.mean("x"), out.mean("y"), out.sigma("x"), out.sigma("y")]
    np.testing.assert_allclose([info[name] for name in ares.OBSERVATIONS], wanted, rtol=1e-10)
    np.testing.assert_allclose(observed, [*(1e3 * np.asarray(wanted)), 0.5, -0.5, 0.25, 0.0, 0.1], rtol=1e-6)
    assert not terminated and not truncated
    assert reward == pytest.approx(-0.5 * np.log(sum(float(1e3 * value) ** 2 for value in wanted)))


@unbounded
@pytest.mark.parametrize("moments", [True, False], ids=["moments", "particles"])
def test_images_are_seen(moments):
    """By Gymnasium's own check, one line and several."""
    section = ares.section() + bb.Line([bb.Screen(half_x=4e-3, half_y=4e-3, pixels=(12, 10), name="yag")])
    beam = ares.incoming(particles=200)
    beam = bb.MomentBeam.of(beam) if moments else beam
    given = (section, beam, ares.ACTIONS, {}, lambda seen: np.abs(seen["yag"][..., 5:7, 4:6]).sum((-2, -1)))
    env = LineEnv(*given, images={"yag": 1e-13})
    assert env.observation_space["yag"].shape == (12, 10) and env.observation_space["readings"].shape == (5,)
    check_env(env, skip_render_check=True)
    middle = dict.fromkeys(ares.ACTIONS, 0.0)
    observed, info = env.reset(seed=1, options={"settings": middle})
    image = bb.track(section.replace(middle), beam).readings["yag"]
    np.testing.assert_allclose(info["yag"], image, rtol=1e-9, atol=1e-22)
    np.testing.assert_allclose(observed["yag"], -1e13 * np.asarray(image), rtol=1e-5, atol=1e-9)
    assert observed["yag"].max() > 0.0 and set(info) == {"yag"}
    envs = LineVectorEnv(3, *given, images={"yag": 1e-13})
    several, _ = envs.reset(seed=2)
    assert envs.observation_space.contains(several) and several["yag"].shape == (3, 12, 10)
    _, rewards, *_ = envs.step(np.zeros((3, 5)))
    assert rewards.shape == (3,)
    for wrong in ({"yag": 0.0}, {"readings": 1.0}):
        with pytest.raises(bb.InputError, match="images"):
            LineEnv(*given, images=wrong)


def test_an_action_moves_settings_by_the_stride_within_their_limits():
    env = ares.environment()
    before, _ = env.reset(seed=1, options={"settings": {"q1.k1": 29.0, "q2.k1": 0.0}})
    after, *_ = env.step(np.asarray([1.0, -0.5, 0.0, 0.0, 0.0]))
    assert before[4] == pytest.approx(29.0 / 30.0) and after[4] == 1.0
    assert after[5] == pytest.approx(-0.1) and after[6] == pytest.approx(before[6])
    again, _ = env.reset(seed=1, options={"settings": {"q1.k1": 29.0, "q2.k1": 0.0}})
    np.testing.assert_array_equal(again, before)
    with pytest.raises(bb.InputError, match="q9"):
        env.reset(options={"settings": {"q9.k1": 1.0}})


def test_many_lines_at_once_are_each_one_line():
    envs, one = ares.environments(3), ares.environment()
    observed, _ = envs.reset(seed=2)
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (3, 5))
    start = envs.settings.copy()
    after, rewards, terminated, truncated, _ = envs.step(actions)
    assert after.shape == envs.observation_space.shape == (3, 9) and not terminated.any() and not truncated.any()
    for k in range(3):
        one.reset()
        one.settings = start[k]
        alone, reward, *_ = one.step(actions[k])
        np.testing.assert_allclose(after[k], alone, rtol=1e-6)
        assert rewards[k] == pytest.approx(reward)
    for _ in range(ares.HORIZON - 1):
        after, _, _, truncated, _ = envs.step(actions)
    assert truncated.all()
    begun, rewards, _, truncated, _ = envs.step(actions)  # the action is passed over, as Gymnasium's NEXT_STEP has it
    assert not truncated.any() and (rewards == 0.0).all() and not np.array_equal(begun, after)
    assert not np.array_equal(begun, observed)


def test_a_policy_learns(capsys):
    _, history = ares.learned(8, count=24, episodes=2)
    assert history[-1] > history[0] + 0.5
    ares.main(["--generations", "0", "--seconds", "0.05"])
    said = capsys.readouterr().out
    assert "numpy, one line:" in said and "numpy, 256 at once:" in said


def test_what_is_meant_otherwise():
    given = ares.task()
    for change, said in (({"stride": 0.0}, "stride"), ({"hidden": {"q1.kk": (0, 1)}}, r"q1\.kk")):
        with pytest.raises(bb.InputError, match=said):
            LineEnv(*given, **change)
    with pytest.raises(bb.InputError, match="reward"):
        LineEnv(*given[:4], "sigma_x")
    with pytest.raises(bb.InputError, match="observations"):
        LineVectorEnv(2, *given[:3], ["mean_x"], given[4])
