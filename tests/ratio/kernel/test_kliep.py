import math

import pytest
import torch
from torch.distributions import Normal

import lfi
from lfi.comparison.kernels.stationary import Gaussian
from lfi.ratio.kernel.kliep import FOLDS, _held_out, fit_kliep

widths = torch.tensor([0.03, 0.3, 3.0])


@pytest.fixture
def samples():
    p = torch.cat([torch.randn(60, 1) / 5 - 1, torch.randn(60, 1) / 5 + 1])
    return p[torch.randperm(120)], torch.randn(150, 1)


def fitted(samples, widths):
    folds = (torch.arange(len(x)) % FOLDS for x in samples)
    return fit_kliep(*samples, samples[0][:40], widths, *folds)


def components(samples, centres, width):
    """Kernels of mean one over q, at the points of p."""
    kernel = Gaussian(width)
    return kernel(samples[0], centres) / kernel(samples[1], centres).mean(0)


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
    psi = components(samples, model.centres, width)
    masses = model.log_coefficients.exp() * Gaussian(width)(samples[1], model.centres).mean(0)
    g = (psi / model.log_ratio(samples[0]).exp()[:, None]).mean(0)
    assert masses.sum() == pytest.approx(1, abs=1e-9)
    assert g.max() - 1 <= 1e-8  # the gap asked for, in nats
    assert masses @ (1 - g).abs() <= 1e-7  # g = 1 where there is mass


def test_likelihood_is_that_of_expectation_maximisation(samples):
    model = fitted(samples, torch.tensor([0.3]))
    psi = components(samples, model.centres, 0.3)
    log_likelihood = (psi @ expectation_maximisation(psi)).log().mean()
    assert model.log_ratio(samples[0]).mean() == pytest.approx(float(log_likelihood), abs=2e-8)


def test_held_out_score_is_that_of_refitting_each_fold(samples):
    p, q = samples
    folds = torch.arange(120) % FOLDS, torch.arange(150) % FOLDS
    centres, kernel, bounds = p[:40], Gaussian(0.3), []
    for fold in range(FOLDS):
        held_p, held_q = folds[0] == fold, folds[1] == fold
        masses = expectation_maximisation(components((p[~held_p], q[~held_q]), centres, 0.3), 5_000)
        coefficients = masses / kernel(q[~held_q], centres).mean(0)
        r_p, r_q = kernel(p[held_p], centres) @ coefficients, kernel(q[held_q], centres)
        bounds.append(r_p.log().mean() - (r_q @ coefficients).mean() + 1)
    log_p, log_q = (kernel(x, centres).log() for x in samples)
    # Fitted to a gap of 1e-4; held out, where the fit is no optimum, what masses differ by counts
    # to first order.
    expected = float(torch.stack(bounds).mean())
    assert _held_out(log_p, log_q, *folds) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_width_is_chosen_and_is_not_the_first(samples, order):
    model = fitted(samples, widths[list(order)])
    assert model.width == pytest.approx(0.3)
    # On 20,000 fresh points it is the best of the three, truly.
    sign = torch.where(torch.rand(20_000, 1) < 0.5, -1.0, 1.0)
    p, q = sign + torch.randn(20_000, 1) / 5, torch.randn(20_000, 1)
    models = [fitted(samples, widths[i : i + 1]) for i in range(3)]
    bounds = [lfi.losses.KLIEP().value(model.log_ratio(p), model.log_ratio(q)) for model in models]
    assert max(range(3), key=bounds.__getitem__) == 1


def test_points_of_p_beyond_q_do_not_call_for_narrow_kernels():
    # Thirty points of p lie where q has none. A narrow kernel there has as large a ratio as you
    # please, and held-out points of p reward it: by hundreds of nats, at width 0.02. Held-out
    # points of q, at the edge, do not.
    p, q = torch.cat([torch.randn(120, 1), 6 + torch.rand(30, 1) / 50]), torch.randn(150, 1)
    p = p[torch.randperm(150)]
    model = fitted((p, q), torch.tensor([0.02, 0.5]))
    assert model.width == pytest.approx(0.5)


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
    folds = torch.arange(2_000) % FOLDS
    model = fit_kliep(p, q, p[::20], torch.tensor([0.3]), folds, folds)
    x = torch.linspace(-1.2, 1.2, 25)
    exact = Normal(0.0, 0.5).log_prob(x) - Normal(0.0, 1.0).log_prob(x)
    # p holds 98% of its mass there. Without noise, what is left is the error of the quantiles.
    assert (model.log_ratio(x[:, None]) - exact).abs().max() < 0.01
