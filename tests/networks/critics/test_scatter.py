"""The critic of data that scatter against the mixtures of normal densities that it stands for."""

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal, Normal

from lfi.networks import ScatterCritic, build_critic
from lfi.networks.critics.measured import MOST


def critic(x_shape=(3,), noise=4):
    torch.manual_seed(0)
    made = ScatterCritic([0.0, 0.0], [1.0, 1.0], x_shape, width=8, layers=1, noise=noise).eval()
    with torch.no_grad():  # away from the start, where all parts are alike
        for parameter in made.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return made


def pairs(n=6, x_shape=(3,)):
    return torch.rand(n, 2, dtype=torch.float32), torch.randn(n, *x_shape, dtype=torch.float32)


def noise_of(scatter):
    """The density of the noise, as torch has it."""
    inverse = torch.linalg.inv(scatter.shape)
    # a part has the density of shape_k v - shape_k centre_k: v about centre_k
    parts = MultivariateNormal(scatter.centre, covariance_matrix=inverse @ inverse.mT)
    return MixtureSameFamily(Categorical(logits=scatter.log_share), parts)


@pytest.mark.parametrize("x_shape", [(3,), (1,), (2, 2), ()])
def test_it_is_a_density_of_noise_and_a_function_of_x(x_shape):
    scatter, (theta, x) = critic(x_shape), pairs(x_shape=x_shape)
    d = scatter.count
    with torch.no_grad():
        out = scatter.moments(scatter.coordinates(theta))
        mean, log_s, below = out.split([d, d, d * (d - 1) // 2], dim=1)
        log_s = MOST * torch.tanh(log_s / MOST)
        matrix = scatter.triangle(below, torch.zeros_like(mean)) @ torch.diag_embed((-log_s).exp())
        f = scatter.features(x)
        v = ((f[:, None] - mean)[..., None, :] @ matrix.mT).squeeze(-2)  # each x with each theta
        log_density = noise_of(scatter).log_prob(v) + torch.linalg.slogdet(matrix).logabsdet
        standard = Normal(0.0, 1.0).log_prob(f).sum(1, keepdim=True)
        expected = log_density - standard + scatter.of_x(f)
        # float32, of values of some tens: their rounding is 1e-5
        embedded = scatter.embed_theta(theta), scatter.embed_x(x)[:, None]
        table = scatter.pair(*embedded)  # by natural parameters; few x by densities
        torch.testing.assert_close(table, expected, atol=1e-4, rtol=1e-4)
        few = scatter.pair(embedded[0], embedded[1][:2])
        torch.testing.assert_close(few, expected[:2], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(scatter(theta, x), expected.diagonal(), atol=1e-4, rtol=1e-4)


def test_it_begins_near_no_information():
    torch.manual_seed(0)
    scatter, (theta, x) = ScatterCritic([0.0, 0.0], [1.0, 1.0], (3,), width=8), pairs(200)
    table = scatter.pair(scatter.embed_theta(theta), scatter.embed_x(x)[:, None])
    # over five seeds 0.04 to 0.06, and 0.39 or more where last layers are not made small
    assert table.std(1).mean() < 0.1


def test_it_standardises_what_it_is_given():
    theta, x = pairs(200)
    scatter = critic()
    scatter.learn(theta, 5 + 2 * x)
    # the means are 0 but for rounding, the deviations 1 but for it
    assert scatter.features(5 + 2 * x).mean(0).abs().max() < 1e-5
    assert (scatter.features(5 + 2 * x).std(0, correction=0) - 1).abs().max() < 1e-4


def test_columns_know_what_values_they_take():
    theta, x = pairs(200)
    x = torch.stack([x[:, 0].exp(), torch.arange(200.0).to(x) % 7, x[:, 2]], dim=1)
    scatter = critic()
    scatter.learn(theta, x)
    columns = scatter.features.columns
    assert columns.positive.tolist() == [True, True, False]
    assert columns.whole.tolist() == [False, True, False]
    never = torch.tensor([[-1.0, -3.0, 1e9], [0.0, -1.0, 1e10]], dtype=torch.float32)
    values = scatter(theta[:1], never)  # taken by no column: finite, and all alike
    assert values.isfinite().all() and values[0] == values[1]


@pytest.mark.parametrize("leading", [(), (4, 5), (0,)])
def test_leading_axes_are_kept(leading):
    scatter, (theta, x) = critic(), pairs(1)
    theta, x = theta[0].expand(*leading, 2), x[0].expand(*leading, 3)
    assert scatter(theta, x).shape == leading


def test_it_is_rebuilt_from_its_spec():
    scatter, (theta, x) = critic(), pairs()
    again = build_critic(scatter.spec).eval()
    again.load_state_dict(scatter.state_dict())
    assert torch.equal(again(theta, x), scatter(theta, x))


def test_an_embedding_of_your_own_takes_the_place_of_columns():
    embedding = torch.nn.Linear(3, 4, dtype=torch.float32)
    own = ScatterCritic([0.0, 0.0], [1.0, 1.0], (3,), width=8, embedding=embedding)
    theta, x = pairs()
    assert own.spec is None and own.count == 4
    assert own(theta, x).shape == (6,)
    own(theta, x).sum().backward()
    assert embedding.weight.grad.abs().sum() > 0
