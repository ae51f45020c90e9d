"""The critic of measurements against the normal densities that it stands for."""

import torch
from torch.distributions import Normal

from lfi.networks import MeasuredCritic, build_critic


def critic():
    torch.manual_seed(0)
    return MeasuredCritic([0.0, 0.0], [1.0, 1.0], (3,), width=8, layers=1).eval()


def pairs(n=6):
    return torch.rand(n, 2, dtype=torch.float32), torch.randn(n, 3, dtype=torch.float32)


def test_it_is_a_ratio_of_normal_densities_and_a_function_of_x():
    measured, (theta, x) = critic(), pairs()
    with torch.no_grad():
        mean, log_s = measured.moments(measured.coordinates(theta)).split(measured.count, dim=-1)
        f = measured.features(x)
        law = Normal(mean, (5 * torch.tanh(log_s / 5)).exp())
        ratios = law.log_prob(f[:, None]) - Normal(0.0, 1.0).log_prob(f)[:, None]
        expected = ratios.sum(-1) + measured.of_x(f)
        table = measured.pair(measured.embed_theta(theta), measured.embed_x(x)[:, None])
        torch.testing.assert_close(table, expected)
        torch.testing.assert_close(measured(theta, x), expected.diagonal())


def test_it_begins_near_no_information():
    theta, x = pairs(200)
    assert critic()(theta, x).abs().mean() < 0.5


def test_it_standardises_what_it_is_given():
    theta, x = pairs(200)
    measured = critic()
    measured.learn(theta, 5 + 2 * x)
    assert measured.features(5 + 2 * x)[:, :3].mean().abs() < 1e-5


def test_it_is_rebuilt_from_its_spec():
    measured, (theta, x) = critic(), pairs()
    again = build_critic(measured.spec).eval()
    again.load_state_dict(measured.state_dict())
    assert torch.equal(again(theta, x), measured(theta, x))


def test_with_an_embedding_of_your_own_it_has_no_spec():
    own = MeasuredCritic([0.0], [1.0], (3,), embedding=torch.nn.Linear(3, 4, dtype=torch.float32))
    assert own.spec is None and own.count == 4
