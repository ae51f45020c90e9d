import math

import pytest
import torch
from torch.distributions import Normal

from lfi.ratio.maximum_likelihood import FOLDS, _held_out, _log_features, fit_maximum_likelihood

widths = torch.tensor([0.03, 0.3, 3.0])


@pytest.fixture
def samples():
    p = torch.cat([torch.randn(60, 1) / 5 - 1, torch.randn(60, 1) / 5 + 1])
    return p[torch.randperm(120)], torch.randn(150, 1)


def fitted(samples, widths):
    folds = torch.arange(len(samples[0])) % FOLDS
    return fit_maximum_likelihood(*samples, samples[0][:40], widths, folds)


def expectation_maximisation(psi, steps=20_000):
    """The masses by the multiplicative updates of Dempster et al.: slow, and sure to ascend."""
    v = torch.full((psi.shape[1],), 1 / psi.shape[1])
    for _ in range(steps):
        v = v * (psi / (psi @ v)[:, None]).mean(0)
    return v


def test_ratio_has_mean_one_over_q(samples):
    model = fitted(samples, widths)
    assert model.log_ratio(samples[1]).exp().mean() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("width", widths.tolist())
def test_conditions_of_the_optimum_hold(samples, width):
    model = fitted(samples, torch.tensor([width]))
    log_psi, log_mean = _log_features(*samples, model.centres, width)
    masses = (model.log_coefficients + log_mean).exp()
    g = torch.exp(log_psi - model.log_ratio(samples[0])[:, None]).mean(0)
    assert masses.sum() == pytest.approx(1, abs=1e-9)
    assert g.max() - 1 <= 1e-8  # the gap asked for, in nats
    assert masses @ (1 - g).abs() <= 1e-7  # g = 1 where there is mass


def test_likelihood_is_that_of_expectation_maximisation(samples):
    model = fitted(samples, torch.tensor([0.3]))
    psi = _log_features(*samples, model.centres, 0.3)[0].exp()
    log_likelihood = (psi @ expectation_maximisation(psi)).log().mean()
    assert model.log_ratio(samples[0]).mean() == pytest.approx(float(log_likelihood), abs=2e-8)


def test_held_out_likelihood_is_that_of_refitting_each_fold(samples):
    folds = torch.arange(120) % FOLDS
    log_psi = _log_features(*samples, samples[0][:40], 0.3)[0]
    psi, log_r = log_psi.exp(), torch.empty(120)
    for fold in range(FOLDS):
        held = folds == fold
        log_r[held] = (psi[held] @ expectation_maximisation(psi[~held], 5_000)).log()
    # Fitted to a gap of 1e-5; held out, where the fit is no optimum, what masses differ by counts
    # to first order.
    assert _held_out(log_psi, folds) == pytest.approx(float(log_r.mean()), abs=1e-3)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_width_is_chosen_and_is_not_the_first(samples, order):
    model = fitted(samples, widths[list(order)])
    assert model.width == pytest.approx(0.3)
    # On 20,000 fresh points of p it is the best of the three, truly.
    sign = torch.where(torch.rand(20_000, 1) < 0.5, -1.0, 1.0)
    fresh = sign + torch.randn(20_000, 1) / 5
    score = [fitted(samples, widths[i : i + 1]).log_ratio(fresh).mean() for i in range(3)]
    assert max(range(3), key=score.__getitem__) == 1


def test_log_ratio_is_finite_far_from_every_centre(samples):
    model = fitted(samples, torch.tensor([0.03]))
    assert model.log_ratio(torch.tensor([[1e4], [-1e6]])).isfinite().all()


def test_one_width_is_taken_as_it_is(samples):
    model = fitted(samples, torch.tensor([0.7]))
    assert model.width == pytest.approx(0.7)
    assert math.isnan(float(model.scores[0]))


def test_a_sample_without_noise_gives_the_ratio():
    level = (torch.arange(2_000) + 0.5) / 2_000
    p, q = (Normal(0.0, scale).icdf(level)[:, None] for scale in (0.5, 1.0))
    model = fit_maximum_likelihood(p, q, p[::20], torch.tensor([0.3]), torch.arange(2_000) % FOLDS)
    x = torch.linspace(-1.2, 1.2, 25)
    exact = Normal(0.0, 0.5).log_prob(x) - Normal(0.0, 1.0).log_prob(x)
    # p holds 98% of its mass there. Without noise, what is left is the error of the quantiles.
    assert (model.log_ratio(x[:, None]) - exact).abs().max() < 0.01
