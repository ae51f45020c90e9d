"""Critics of known likelihoods against the normal densities and mixtures that they stand for."""

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal, Normal

from lfi.networks import GaussianLikelihoodCritic, MixtureDensityCritic, build_critic
from lfi.networks.critics.gaussian_likelihood import MAX_LOG_SCALE


def mixture(x_shape=(3,), components=4):
    torch.manual_seed(0)
    made = MixtureDensityCritic(
        [0.0, 0.0], [1.0, 1.0], x_shape, width=8, layers=1, components=components
    ).eval()
    with torch.no_grad():  # away from the start, where all parts are alike
        for parameter in made.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return made


def pairs(n=6, x_shape=(3,)):
    return torch.rand(n, 2, dtype=torch.float32), torch.randn(n, *x_shape, dtype=torch.float32)


def noise_of(critic):
    """The density of the noise, as torch has it."""
    inverse = torch.linalg.inv(critic.shape)
    # a part has the density of shape_k v - shape_k centre_k: v about centre_k
    parts = MultivariateNormal(critic.centre, covariance_matrix=inverse @ inverse.mT)
    return MixtureSameFamily(Categorical(logits=critic.log_weight), parts)


def gaussian():
    torch.manual_seed(0)
    return GaussianLikelihoodCritic([0.0, 0.0], [1.0, 1.0], (3,), width=8, layers=1).eval()


def test_a_gaussian_likelihood_is_a_ratio_of_normal_densities_and_a_function_of_x():
    critic, (theta, x) = gaussian(), pairs()
    with torch.no_grad():
        mean, log_s = critic.moments(critic.coordinates(theta)).split(critic.count, dim=-1)
        f = critic.features(x)
        density = Normal(mean, (5 * torch.tanh(log_s / 5)).exp())
        ratios = density.log_prob(f[:, None]) - Normal(0.0, 1.0).log_prob(f)[:, None]
        expected = ratios.sum(-1) + critic.of_x(f)
        table = critic.pair(critic.embed_theta(theta), critic.embed_x(x)[:, None])
        torch.testing.assert_close(table, expected)
        torch.testing.assert_close(critic(theta, x), expected.diagonal())


def test_a_gaussian_likelihood_begins_near_no_information():
    theta, x = pairs(200)
    assert gaussian()(theta, x).abs().mean() < 0.5


def test_a_gaussian_likelihood_standardises_what_it_is_given():
    theta, x = pairs(200)
    critic = gaussian()
    critic.fit_from_data(theta, 5 + 2 * x)
    assert critic.features(5 + 2 * x)[:, :3].mean().abs() < 1e-5


def test_a_gaussian_likelihood_says_that_an_embedding_is_your_own():
    own = GaussianLikelihoodCritic(
        [0.0], [1.0], (3,), embedding=torch.nn.Linear(3, 4, dtype=torch.float32)
    )
    assert own.spec["embedding"] == "own" and own.count == 4


@pytest.mark.parametrize("x_shape", [(3,), (1,), (2, 2), ()])
def test_a_mixture_is_a_density_of_noise_and_a_function_of_x(x_shape):
    critic, (theta, x) = mixture(x_shape), pairs(x_shape=x_shape)
    d = critic.count
    with torch.no_grad():
        out = critic.moments(critic.coordinates(theta))
        mean, log_s, below = out.split([d, d, d * (d - 1) // 2], dim=1)
        log_s = MAX_LOG_SCALE * torch.tanh(log_s / MAX_LOG_SCALE)
        matrix = critic.triangle(below, torch.zeros_like(mean)) @ torch.diag_embed((-log_s).exp())
        f = critic.features(x)
        v = ((f[:, None] - mean)[..., None, :] @ matrix.mT).squeeze(-2)  # each x with each theta
        log_density = noise_of(critic).log_prob(v) + torch.linalg.slogdet(matrix).logabsdet
        standard = Normal(0.0, 1.0).log_prob(f).sum(1, keepdim=True)
        expected = log_density - standard + critic.of_x(f)
        # float32, of values of some tens: their rounding is 1e-5
        embedded = critic.embed_theta(theta), critic.embed_x(x)[:, None]
        table = critic.pair(*embedded)  # by natural parameters; few x by densities
        torch.testing.assert_close(table, expected, atol=1e-4, rtol=1e-4)
        few = critic.pair(embedded[0], embedded[1][:2])
        torch.testing.assert_close(few, expected[:2], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(critic(theta, x), expected.diagonal(), atol=1e-4, rtol=1e-4)


def test_a_mixture_begins_near_no_information():
    torch.manual_seed(0)
    critic, (theta, x) = MixtureDensityCritic([0.0, 0.0], [1.0, 1.0], (3,), width=8), pairs(200)
    table = critic.pair(critic.embed_theta(theta), critic.embed_x(x)[:, None])
    # over five seeds 0.04 to 0.06, and 0.39 or more where last layers are not made small
    assert table.std(1).mean() < 0.1


def test_a_mixture_standardises_what_it_is_given():
    theta, x = pairs(200)
    critic = mixture()
    critic.fit_from_data(theta, 5 + 2 * x)
    # the means are 0 but for rounding, the deviations 1 but for it
    assert critic.features(5 + 2 * x).mean(0).abs().max() < 1e-5
    assert (critic.features(5 + 2 * x).std(0, correction=0) - 1).abs().max() < 1e-4


def test_columns_know_what_values_they_take():
    theta, x = pairs(200)
    x = torch.stack([x[:, 0].exp(), torch.arange(200.0).to(x) % 7, x[:, 2]], dim=1)
    critic = mixture()
    critic.fit_from_data(theta, x)
    columns = critic.features.columns
    assert columns.positive.tolist() == [True, True, False]
    assert columns.whole.tolist() == [False, True, False]
    never = torch.tensor([[-1.0, -3.0, 1e9], [0.0, -1.0, 1e10]], dtype=torch.float32)
    values = critic(theta[:1], never)  # taken by no column: finite, and all alike
    assert values.isfinite().all() and values[0] == values[1]


@pytest.mark.parametrize("leading", [(), (4, 5), (0,)])
def test_leading_axes_are_kept(leading):
    critic, (theta, x) = mixture(), pairs(1)
    theta, x = theta[0].expand(*leading, 2), x[0].expand(*leading, 3)
    assert critic(theta, x).shape == leading


@pytest.mark.parametrize("make", [gaussian, mixture])
def test_a_critic_is_rebuilt_from_its_spec(make):
    made, (theta, x) = make(), pairs()
    again = build_critic(made.spec).eval()
    again.load_state_dict(made.state_dict())
    assert torch.equal(again(theta, x), made(theta, x))


def test_an_embedding_of_your_own_takes_the_place_of_columns():
    embedding = torch.nn.Linear(3, 4, dtype=torch.float32)
    own = MixtureDensityCritic([0.0, 0.0], [1.0, 1.0], (3,), width=8, embedding=embedding)
    theta, x = pairs()
    assert own.spec["embedding"] == "own" and own.count == 4
    assert own(theta, x).shape == (6,)
    own(theta, x).sum().backward()
    assert embedding.weight.grad.abs().sum() > 0
