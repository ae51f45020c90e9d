import math

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch.distributions import Normal

import lfi
from lfi.comparison import Laplace
from lfi.ratio import KernelRatio

RATIOS = {
    "uLSIF": KernelRatio(centres=30),
    "RuLSIF": KernelRatio(alpha=0.3, centres=30),
    "KLIEP": KernelRatio(loss=lfi.losses.KLIEP(), centres=30, widths=(0.3, 0.6, 1.2)),
    "KMM": KernelRatio(loss=lfi.discrepancies.MMD()),
}
each = pytest.mark.parametrize("ratio", RATIOS.values(), ids=RATIOS)
without_units = pytest.mark.parametrize("name", ["uLSIF", "RuLSIF", "KLIEP"])


@pytest.fixture
def samples():
    return torch.randn(150, 2) + torch.tensor([1.0, 0.0]), torch.randn(120, 2)


# Conventions of scikit-learn.


@each
def test_clones_are_unfitted_and_equal(ratio, samples):
    ratio = clone(ratio).fit(*samples, seed=1)
    copy = clone(ratio)
    assert not [name for name in vars(copy) if name.endswith("_")]
    assert repr(copy) == repr(ratio)
    x = samples[1]
    assert copy.fit(*samples, seed=1).log_ratio(x).equal(ratio.log_ratio(x))
    assert ratio.describe().startswith("log ratio of events (2,) by kernels, loss ")


def test_parameters_are_got_and_set():
    ratio = KernelRatio()
    assert ratio.set_params(alpha=0.2, centres=7) is ratio
    assert ratio.get_params()["alpha"] == 0.2
    assert KernelRatio(**ratio.get_params()).centres == 7
    with pytest.raises(ValueError, match="gamma"):
        ratio.set_params(gamma=1)


@pytest.mark.parametrize("method", ["log_ratio", "relative_ratio", "importance_weights"])
def test_what_is_not_fitted_says_so(method):
    with pytest.raises(NotFittedError, match="Call 'fit'"):
        getattr(KernelRatio(), method)(torch.zeros(3))


def test_parameters_set_after_the_fit_wait_for_the_next(samples):
    ratio = KernelRatio(alpha=0.5).fit(*samples, seed=1)
    before = ratio.log_ratio(samples[1])
    assert ratio.set_params(alpha=0.0).log_ratio(samples[1]).equal(before)


def test_another_loss_leaves_nothing_of_the_first(samples):
    ratio = KernelRatio().fit(*samples, seed=1)
    assert ratio.pearson_.value > 0
    ratio.set_params(loss=lfi.losses.KLIEP()).fit(*samples)
    assert not {"pearson_", "ridge_", "ridges_"} & set(vars(ratio))


def test_a_seed_that_was_drawn_repeats_the_fit(samples):
    drawn = KernelRatio(centres=20).fit(*samples)
    again = KernelRatio(centres=20).fit(*samples, seed=drawn.seed_)
    assert again.log_ratio(samples[1]).equal(drawn.log_ratio(samples[1]))


# Shapes, types and units.


@each
@pytest.mark.parametrize("event", [(), (1,), (3,), (2, 2)], ids=str)
def test_events_of_any_shape_are_taken(ratio, event):
    p, q = torch.randn(40, *event) + 0.5, torch.randn(30, *event)
    ratio = clone(ratio).fit(p, q, seed=1)
    assert ratio.log_ratio(q[:7]).shape == (7,)
    assert ratio.n_features_in_ == math.prod(event)
    with pytest.raises(ValueError, match="expected"):
        ratio.log_ratio(torch.zeros(3, 5))


@each
def test_numpy_and_torch_agree(ratio, samples):
    ratio = clone(ratio).fit(*samples, seed=1)
    arrays = [x.numpy() for x in samples]
    other = clone(ratio).fit(*arrays, seed=1)
    assert other.log_ratio(arrays[1]).equal(ratio.log_ratio(samples[1]))
    assert other.importance_weights(arrays[1]).khat == ratio.importance_weights(samples[1]).khat


@each
def test_answers_have_the_dtype_of_the_question(ratio, samples):
    single = [x.float() for x in samples]
    ratio = clone(ratio).fit(*single, seed=1)
    assert ratio.log_ratio(single[1]).dtype == torch.float32
    assert ratio.relative_ratio(samples[1]).dtype == torch.float64
    counts = np.arange(20) % 5
    assert clone(ratio).fit(counts, counts[::2], seed=1).log_ratio(counts).dtype == torch.float64


@without_units
def test_units_of_each_coordinate_do_not_matter(name, samples):
    units = torch.tensor([1e3, 1e-3])
    ratio, scaled = clone(RATIOS[name]).fit(*samples, seed=1), clone(RATIOS[name])
    scaled.fit(*(x * units for x in samples), seed=1)
    x = samples[1]
    torch.testing.assert_close(scaled.relative_ratio(x * units), ratio.relative_ratio(x))


@each
def test_constant_coordinates_and_repeated_rows_are_taken(ratio):
    p, q = torch.randn(30) + 0.5, torch.randn(20)
    p, q = (torch.stack([x, torch.ones_like(x)], 1).repeat(2, 1) for x in (p, q))
    assert clone(ratio).fit(p, q, seed=1).relative_ratio(q).isfinite().all()
    still = torch.zeros(20, 2)
    assert clone(ratio).fit(still, still, seed=1).log_ratio(still).isfinite().all()


# What is fitted.


@each
def test_weights_give_the_moments_of_p_to_samples_of_q(ratio):
    p, q = torch.randn(1_000) * 0.6 + 0.3, torch.randn(1_000)
    w = clone(ratio).set_params(alpha=0.0).fit(p, q, seed=1).relative_ratio(q)
    for moment in (lambda x: x, torch.square, torch.sin):
        values = w * moment(q)
        # The samples' errors; the ratio's own is not in them, hence on the safe side of 5.
        error = math.sqrt(float(values.var() / 1_000 + moment(p).var() / 1_000))
        assert abs(float(values.mean() - moment(p).mean())) < 5 * error


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5])
def test_a_sample_without_noise_gives_the_relative_ratio(alpha):
    level = (torch.arange(1_000) + 0.5) / 1_000
    p, q = Normal(0.0, 0.5).icdf(level), Normal(0.0, 1.0).icdf(level)
    ratio = KernelRatio(alpha=alpha, widths=(1.0,), ridges=(1e-4,)).fit(p, q, seed=1)
    x = torch.linspace(-2, 2, 41)
    plain = (Normal(0.0, 0.5).log_prob(x) - Normal(0.0, 1.0).log_prob(x)).exp()
    exact = plain / (alpha * plain + 1 - alpha)
    # What remains is the error of the quantiles and of the ridge.
    assert (ratio.relative_ratio(x) - exact).abs().max() < 0.01 * exact.max()


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
def test_the_log_ratio_is_that_of_the_relative_ratio(alpha, samples):
    p, q = samples
    ratio = KernelRatio(alpha=alpha).fit(p, q, seed=1)
    x = torch.cat([p, q])
    r, h = ratio.relative_ratio(x), ratio.log_ratio(x)
    assert r.min() >= 0
    assert r.max() <= 1 / alpha
    assert h.max() <= math.log(len(q)) + 1e-9
    assert (h == -math.inf).equal(r == 0)
    inside = (r > 0) & (h < math.log(len(q)) - 1e-6)
    u = h[inside].exp()
    torch.testing.assert_close(u / (alpha * u + 1 - alpha), r[inside])


def test_equal_distributions_have_a_ratio_of_one():
    # Under the null the dual's optimum and its held-out value straddle zero.
    for alpha in (0.0, 0.5):
        p, q = torch.randn(400), torch.randn(400)
        ratio = KernelRatio(alpha=alpha).fit(p, q, seed=1)
        assert ratio.pearson_.held_out < 0.02 / (1 - alpha)
        assert ratio.pearson_.value == pytest.approx(0, abs=0.05)
        assert ratio.importance_weights(q).effective_sample_size > 300


def test_zero_ratios_are_said_and_divergences_stay_finite():
    p, q = torch.rand(300), 10 * torch.rand(300)
    ratio = KernelRatio().fit(p, q, seed=1)
    assert (ratio.log_ratio(q) == -math.inf).any()
    assert ratio.divergence(lfi.losses.PearsonChiSquared(), p, q).value > 0
    weights = ratio.importance_weights(q)
    assert weights.effective_sample_size < 100


@each
def test_log_ratios_are_differentiable(ratio, samples):
    ratio = clone(ratio).fit(*samples, seed=1)
    x = samples[1][:4].clone().requires_grad_()
    assert torch.autograd.gradcheck(ratio.log_ratio, x)


def test_a_nonpositive_ratio_has_a_gradient_of_zero():
    ratio = KernelRatio().fit(torch.rand(100), 10 * torch.rand(100), seed=1)
    x = torch.linspace(0, 10, 200, requires_grad=True)
    h = ratio.log_ratio(x)
    h[h > -math.inf].sum().backward()
    assert x.grad.isfinite().all()
    assert (x.grad[h == -math.inf] == 0).all()


def test_the_kernel_of_the_discrepancy_is_the_one_that_is_matched(samples):
    p, q = samples
    ratio = KernelRatio(loss=lfi.discrepancies.MMD(Laplace(2.0)), ridges=(0.1,), bound=3.0).fit(
        p, q, seed=1
    )
    assert ratio.weights_.max() <= 3
    assert ratio.ridge_ == 0.1
    torch.testing.assert_close(ratio.relative_ratio(q), ratio.weights_)
    kernel = Laplace(2.0)
    gram, target = kernel(q, q), kernel(q, p).mean(1)
    w, m = ratio.weights_, len(q)
    slope = target - gram @ w / m - 0.1 * w / m  # equal where weights are free, beyond elsewhere
    free = (w > 0) & (w < 3)
    assert slope[free].std() < 1e-12
    assert (slope[w == 0] <= slope[free].mean() + 1e-12).all()
    assert (slope[w == 3] >= slope[free].mean() - 1e-12).all()


def test_the_estimate_of_the_divergence_is_within_its_error():
    p, q = torch.randn(500) / 8, torch.randn(500) / 2
    for alpha in ALPHAS:
        pearson = KernelRatio(alpha=alpha).fit(p, q, seed=1).pearson_
        assert abs(pearson.value - relative_pearson(alpha)) < 5 * pearson.standard_error


# What is refused.


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"loss": lfi.losses.Bernoulli()}, TypeError, "fit_ratio"),
        ({"loss": lfi.discrepancies.Energy()}, TypeError, "loss must be"),
        ({"alpha": 1.0}, ValueError, "alpha must be at least 0 and below 1"),
        ({"alpha": -0.1}, ValueError, "alpha must be at least 0 and below 1"),
        ({"alpha": 0.5, "loss": lfi.losses.KLIEP()}, ValueError, "LSIF only"),
        ({"alpha": 0.5, "loss": lfi.discrepancies.MMD()}, ValueError, "LSIF only"),
        ({"centres": 0}, ValueError, "centres"),
        ({"widths": (1.0, 0.0)}, ValueError, "widths"),
        ({"widths": ()}, ValueError, "widths"),
        ({"ridges": (-1.0,)}, ValueError, "ridges"),
        ({"ridges": (math.nan,)}, ValueError, "ridges"),
        ({"ridges": (1.0,), "loss": lfi.losses.KLIEP()}, ValueError, "no ridge"),
        ({"ridges": (1.0, 2.0), "loss": lfi.discrepancies.MMD()}, ValueError, "one ridge"),
        ({"widths": (1.0,), "loss": lfi.discrepancies.MMD()}, ValueError, "bandwidth"),
        ({"bound": 1.0, "loss": lfi.discrepancies.MMD()}, ValueError, "bound"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, error, match):
    with pytest.raises(error, match=match):
        KernelRatio(**arguments).fit(torch.randn(20), torch.randn(20))


@pytest.mark.parametrize(
    ("p", "q", "match"),
    [
        (torch.randn(20, 2), torch.randn(20, 3), "one shape"),
        (torch.randn(9), torch.randn(20), "too few"),
        (torch.randn(20), torch.tensor([math.nan] * 20), "not finite"),
    ],
)
def test_samples_that_do_not_fit_are_refused(p, q, match):
    with pytest.raises(ValueError, match=match):
        KernelRatio().fit(p, q)


# Relative Pearson divergences of N(0, 1/8) from N(0, 1/2), standard deviations, as in the README
# of densratio.


def relative_pearson(alpha):
    """Half of E_mixture[(r - 1)^2], by the trapezium rule: exact to rounding for such tails."""
    x = torch.linspace(-8, 8, 160_001)
    p, q = Normal(0.0, 1 / 8).log_prob(x).exp(), Normal(0.0, 1 / 2).log_prob(x).exp()
    mixture = alpha * p + (1 - alpha) * q
    integrand = torch.where(mixture > 0, p * p / mixture, 0.0)
    return float(torch.trapezoid(integrand, x)) / 2 - 0.5


ALPHAS = (0.0, 0.1, 0.5, 0.7)


def test_the_truth_is_that_of_the_literature():
    variance = 1 / (2 / (1 / 8) ** 2 - 1 / (1 / 2) ** 2)  # of p^2/q, up to its mass
    closed = (1 / 2) / (1 / 8) ** 2 * math.sqrt(variance) / 2 - 0.5
    assert relative_pearson(0.0) == pytest.approx(closed, abs=1e-9)
    truth = [relative_pearson(alpha) for alpha in ALPHAS]
    assert truth == pytest.approx([0.937, 0.675, 0.207, 0.0987], abs=5e-4)  # three digits


@pytest.mark.slow
@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_median_estimate_of_the_divergence_is_within_five_percent(alpha):
    estimates = []
    for seed in range(200):
        rng = torch.Generator().manual_seed(seed)
        p, q = torch.randn(500, generator=rng) / 8, torch.randn(500, generator=rng) / 2
        estimates.append(KernelRatio(alpha=alpha).fit(p, q, seed=seed).pearson_.value)
    assert float(np.median(estimates)) == pytest.approx(relative_pearson(alpha), rel=0.05)
