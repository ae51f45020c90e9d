"""Networks: standardisation against its definition, embeddings that pair as the whole does."""

import math

import pytest
import torch

from lfi.networks import (
    Coordinates,
    Features,
    PairCritic,
    Standardise,
    VectorCritic,
    VectorGenerator,
)
from lfi.networks.standardise import asinh_scale_of

INF = math.inf


def single(*shape):
    """Draws in float32, as networks take them."""
    return torch.randn(*shape, dtype=torch.float32)


def test_standardised_data_have_mean_zero_and_unit_spread():
    data = 5 + 3 * single(500, 2, 3)
    layer = Standardise((2, 3))
    layer.fit_from_data(data)
    y = layer(data)
    torch.testing.assert_close(y.mean(0), torch.zeros(2, 3, dtype=torch.float32), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        y.std(0, correction=0), torch.ones(2, 3, dtype=torch.float32), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(layer.inverse(y).float(), data)


def test_columns_that_do_not_vary_stay_finite():
    data = torch.full((10, 2), 1e5, dtype=torch.float32)
    layer = Standardise((2,))
    layer.fit_from_data(data)
    assert layer(data).abs().max() == 0
    # and what a network makes of them is constant, in whatever units
    assert torch.equal(layer.inverse(torch.randn(10, 2)), data.double())


def test_dates_are_standardised_before_they_are_cast():
    z = torch.randn(500, 1)
    layer = Standardise((1,))
    layer.fit_from_data(2_459_000 + 0.05 * z)
    expected = (z - z.mean()) / z.std(correction=0)
    # float64 keeps 5e-10 days of such dates, 1e-8 of a spread
    torch.testing.assert_close(layer(2_459_000 + 0.05 * z), expected.float(), atol=1e-6, rtol=0)


def test_axes_that_are_alike_share_a_location_and_a_scale():
    data = single(500, 2, 3, 4) * torch.tensor([1.0, 5.0]).float()[:, None, None]
    data[:, :, 0] = 0  # pixels that never change
    layer = Standardise((2, 3, 4))
    layer.fit_from_data(data, shared_axes=2)
    channels = data.movedim(1, -1).reshape(-1, 2)
    expected = (data - channels.mean(0)[:, None, None]) / channels.std(0)[:, None, None]
    torch.testing.assert_close(layer(data), expected, atol=1e-3, rtol=0)
    assert layer(data)[:, :, 0].std(0).max() == 0


def test_the_knee_is_a_quantile_of_what_is_not_zero():
    one_sign = torch.cat([torch.zeros(50), torch.arange(1.0, 101.0)])
    both_signs = torch.cat([torch.zeros(50), torch.arange(1.0, 51.0), -torch.arange(51.0, 101.0)])
    magnitudes = torch.arange(1.0, 101.0)
    expected = torch.stack([magnitudes.quantile(0.05), magnitudes.quantile(0.5), torch.tensor(1.0)])
    columns = torch.stack([one_sign, both_signs, 0 * one_sign], 1)
    torch.testing.assert_close(asinh_scale_of(columns), expected)


def test_an_outlier_does_not_blind_the_features():
    data = torch.rand(1000, 1, dtype=torch.float32) * 10
    data[0] = 1e8
    features = Features((1,))
    features.fit_from_data(data)
    y = features(data)
    assert y.isfinite().all()
    assert y[1:, 1].std() > 0.5  # the logarithmic column still tells ordinary values apart


def test_events_of_any_shape_are_flattened_behind_any_batch():
    features = Features((2, 3))
    features.fit_from_data(single(50, 2, 3))
    x = single(4, 5, 2, 3)
    assert features(x).shape == (4, 5, 12)
    torch.testing.assert_close(features(x)[1, 2], features(x[1, 2]))
    scalars = Features(())
    scalars.fit_from_data(3 + single(500))
    assert scalars(single(7)).shape == (7, 2)
    assert abs(scalars.linear.location.item() - 3) < 0.5


def test_parameters_enter_as_logarithms_where_one_bound_is_finite():
    coordinates = Coordinates([0.0, -INF, 0.0, -INF], [INF, 2.0, 1.0, INF])
    theta = torch.tensor([[3.0, -1.0, 0.5, 7.0]], dtype=torch.float32)
    expected = torch.tensor([[math.log(3.0), math.log(3.0), 0.5, 7.0]], dtype=torch.float32)
    torch.testing.assert_close(coordinates(theta), expected)


def test_parameters_on_their_bound_stay_finite():
    assert Coordinates([0.0], [INF])(torch.zeros(1, 1, dtype=torch.float32)).isfinite().all()


def fitted_critic():
    critic = PairCritic([0.0, 0.0], [1.0, INF], (5,), width=16, head_layers=1)
    critic.fit_from_data(torch.rand(50, 2, dtype=torch.float32), single(50, 5))
    return critic


def test_pairing_embeddings_equals_evaluating_pairs():
    critic = fitted_critic()
    theta, x = torch.rand(3, 2, dtype=torch.float32), single(4, 5)
    table = critic.pair(critic.embed_theta(theta), critic.embed_x(x)[:, None])
    for i in range(4):
        for j in range(3):
            torch.testing.assert_close(table[i, j], critic(theta[j : j + 1], x[i : i + 1])[0])


def test_a_critic_says_of_one_pair_the_same_in_every_batch():
    critic = fitted_critic()
    theta, x = torch.rand(64, 2, dtype=torch.float32), single(64, 5)
    torch.testing.assert_close(critic(theta, x)[:1], critic(theta[:1], x[:1]))


@pytest.mark.parametrize(
    "network",
    [fitted_critic(), VectorCritic([(5,)]), VectorGenerator(3, 2)],
    ids=lambda n: type(n).__name__,
)
def test_networks_are_built_in_float32_whatever_the_default(network):
    assert torch.get_default_dtype() == torch.float64
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_equal_seeds_build_equal_networks_whatever_the_default():
    weights = []
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        torch.manual_seed(1)
        weights.append(PairCritic([0.0], [1.0], (2,), width=8, head_layers=1).head[-1].weight)
    assert torch.equal(*weights)


def test_a_new_generator_spreads_in_every_direction():
    generator = VectorGenerator(4, 2)
    z = generator.noise(2_000, torch.Generator().manual_seed(0))
    spread = generator(z, torch.zeros(2_000, 2, dtype=torch.float32)).detach().T.cov()
    assert torch.linalg.eigvalsh(spread).min() > 0.01  # exp(-1)^2 = 0.14 without the small network


def test_a_generator_is_differentiable_in_what_is_given():
    generator = VectorGenerator(4, 2)
    given = single(3, 2).requires_grad_()
    generator(generator.noise(3, torch.Generator().manual_seed(0)), given).sum().backward()
    assert given.grad.isfinite().all()
    assert given.grad.abs().sum() > 0
