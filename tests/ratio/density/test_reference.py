"""The wide reference against scipy's multivariate t."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from lfi.ratio import WideT

LOCATION = torch.tensor([1.0, -2.0], dtype=torch.float64)
TRIL = torch.tensor([[2.0, 0.0], [0.5, 0.3]], dtype=torch.float64)


def test_the_density_is_that_of_a_multivariate_t():
    reference = WideT(LOCATION, TRIL, (2,))
    x = torch.randn(50, 2) * 5
    exact = stats.multivariate_t(LOCATION.numpy(), (TRIL @ TRIL.T).numpy(), df=5).logpdf(x.numpy())
    np.testing.assert_allclose(reference.log_prob(x).numpy(), exact, rtol=1e-12)


def test_scalar_events_have_the_density_of_a_t():
    reference = WideT(torch.tensor([0.5]), torch.tensor([[3.0]]), ())
    x = torch.linspace(-20, 20, 41)
    np.testing.assert_allclose(reference.log_prob(x), stats.t(5, 0.5, 3).logpdf(x.numpy()))
    assert reference.sample((7,)).shape == (7,)


def test_events_of_any_shape_are_flattened():
    x = torch.randn(500, 2, 3)
    reference = WideT.of(x)
    assert reference.event_shape == (2, 3)
    assert reference.sample((4,)).shape == (4, 2, 3)
    flat = WideT(reference.location, reference.scale_tril, (6,))
    torch.testing.assert_close(reference.log_prob(x), flat.log_prob(x.reshape(-1, 6)))


def test_samples_have_the_mean_and_five_thirds_of_the_covariance():
    n = 100_000
    x = WideT(LOCATION, TRIL, (2,)).sample((n,))
    covariance = 5 / 3 * TRIL @ TRIL.T
    sd = covariance.diagonal().sqrt()
    assert ((x.mean(0) - LOCATION).abs() < 5 * sd / math.sqrt(n)).all()
    # a t of 5 degrees of freedom has kurtosis 9: a variance errs by sqrt(8/n) of itself
    assert (x.T.cov() - covariance).abs().max() < 5 * math.sqrt(8 / n) * covariance.max()


def test_samples_have_the_tails_of_a_t():
    x = WideT(torch.zeros(1), torch.eye(1), ()).sample((50_000,))
    assert stats.kstest(x.numpy(), stats.t(5).cdf).pvalue > 1e-4


def test_it_has_the_moments_of_the_data():
    x = LOCATION + torch.randn(5_000, 2) @ TRIL.T
    reference = WideT.of(x)
    torch.testing.assert_close(reference.location, x.mean(0))
    # shrinkage takes a few parts in a thousand at this size
    torch.testing.assert_close(
        reference.scale_tril @ reference.scale_tril.T, x.T.cov(), rtol=0.02, atol=0.02
    )


def test_fewer_rows_than_entries_will_do():
    x = 1e3 + 1e2 * torch.randn(50, 80)
    assert WideT.of(x).log_prob(x).isfinite().all()


def test_data_that_do_not_vary_have_no_density():
    x = torch.randn(50, 3)
    x[:, 1] = 2.0
    with pytest.raises(ValueError, match="1 of 3 entries do not vary .the first is 1"):
        WideT.of(x)
