"""The experts' files are what their scripts do, and the experts know their trade."""

import numpy as np
import pytest

from simulators import experts


@pytest.mark.parametrize("name, episodes", [("CartPole-v1", 2), ("Pendulum-v1", 4)])
def test_the_file_is_the_record_of_the_script(name, episodes):
    made, kept = experts.record(name, episodes), experts.trajectories(name)
    for part in ("observations", "actions", "rewards"):
        for ours, file in zip(made[part], kept[part][:episodes], strict=True):
            # float32, through two hundred steps or more of an unstable pole that is balanced
            np.testing.assert_allclose(ours, file, rtol=1e-4, atol=1e-3)
    assert made["terminated"] == kept["terminated"][:episodes]


def test_the_pole_stands_until_time_is_up():
    assert [sum(part) for part in experts.trajectories("CartPole-v1")["rewards"]] == [500.0] * 10


def test_the_pendulum_ends_upright_and_at_rest():
    ends = np.stack([part[-1] for part in experts.trajectories("Pendulum-v1")["observations"]])
    np.testing.assert_allclose(ends, np.tile([1.0, 0.0, 0.0], (10, 1)), atol=0.01)


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="name must be one of CartPole-v1, Pendulum-v1, got 'x'"):
        experts.trajectories("x")
