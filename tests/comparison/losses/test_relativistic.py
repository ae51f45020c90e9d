"""Losses that a constant does not change: Donsker-Varadhan, relativistic pairing, Wasserstein."""

import math

import pytest
import torch
from support.comparisons import (
    DIVERGENCES,
    JOINT,
    RELATIVE,
    log_ratio,
    marginals,
    minimise,
    quantiles,
)
from torch.distributions import Normal

from lfi.comparison import (
    KL,
    NREB,
    Adversarial,
    Bernoulli,
    Brier,
    CriticLoss,
    DonskerVaradhan,
    GeneratorLoss,
    Jeffreys,
    NonSaturating,
    Recovers,
    Relativistic,
    RelativisticPaired,
    Wasserstein,
    two_samples,
)

each = pytest.mark.parametrize("loss", RELATIVE, ids=repr)
each_divergence = pytest.mark.parametrize("divergence", DIVERGENCES, ids=repr)


def of_joint(h):
    """A table's values at all samples of the discrete joint and of its marginals."""
    counts_p, counts_q = JOINT.flatten(), marginals().flatten()
    return h.flatten().repeat_interleave(counts_p), h.flatten().repeat_interleave(counts_q)


@each
def test_a_constant_changes_nothing(loss):
    h_p, h_q, constant = torch.randn(50), torch.randn(7, 10), torch.tensor(3.7)
    for of in (loss, loss.value):
        torch.testing.assert_close(of(h_p + constant, h_q + constant), of(h_p, h_q))


@each
def test_a_critic_that_sees_no_difference_reads_zero(loss):
    h = torch.full((7,), 2.5)
    torch.testing.assert_close(loss.value(h, h), torch.tensor(0.0))


# The optimum.


@pytest.mark.parametrize(
    "loss", [DonskerVaradhan(), *(Relativistic(d) for d in DIVERGENCES)], ids=repr
)
def test_the_optimum_is_the_log_ratio_up_to_a_constant(loss):
    h = minimise(lambda h: loss(*of_joint(h)), JOINT.shape)
    off = h - log_ratio()
    torch.testing.assert_close(off, off.mean().expand_as(off), atol=1e-5, rtol=0)
    assert loss.recovers is Recovers.UP_TO_CONSTANT
    assert Adversarial(loss, NonSaturating()).recovers is Recovers.UP_TO_CONSTANT


def test_wasserstein_says_nothing_of_the_ratio():
    assert Wasserstein().recovers is Recovers.NOTHING


# Values.


def test_donsker_varadhan_attains_kl_and_no_critic_exceeds_it():
    kl = (JOINT / 20 * log_ratio()).sum()
    exact = log_ratio() + 1.3
    torch.testing.assert_close(DonskerVaradhan().value(*of_joint(exact)), kl)
    for _ in range(200):
        wrong = of_joint(exact + torch.randn(JOINT.shape))
        bound = DonskerVaradhan().value(*wrong)
        assert KL().value(*wrong) <= bound + 1e-12 <= kl + 2e-12  # tighter than KL's own


@each_divergence
def test_the_relativistic_value_is_the_divergence_of_pairs(divergence):
    p, q = (JOINT / 20).flatten(), (marginals() / 400).flatten()
    of_pairs, h = q[:, None] * p, log_ratio().flatten()  # (x_q, x_p), a pair in the wrong order
    log_r = h[:, None] - h
    exact = (of_pairs * divergence.f(log_r)).sum() - divergence.f(torch.zeros(()))
    value = Relativistic(divergence).value(*of_joint(log_ratio() - 0.4))
    torch.testing.assert_close(value, exact)
    for _ in range(20):
        wrong = Relativistic(divergence).value(*of_joint(log_ratio() + torch.randn(JOINT.shape)))
        assert wrong <= exact + 1e-9 * abs(exact)


def test_of_kl_the_divergence_of_pairs_is_jeffreys():
    value = Relativistic(KL()).value(*of_joint(log_ratio()))
    torch.testing.assert_close(value, Jeffreys().value(*of_joint(log_ratio())))


def test_the_relativistic_loss_is_softplus_of_all_differences():
    h_p, h_q = torch.randn(6), torch.randn(9)
    pairs = [torch.nn.functional.softplus(b - a) for a in h_p for b in h_q]
    torch.testing.assert_close(Relativistic()(h_p, h_q), torch.stack(pairs).mean())
    mirrored = Relativistic()(h_q, h_p)
    torch.testing.assert_close(Relativistic().generator(h_p, h_q), mirrored)


def test_contrasting_one_pair_among_two_is_relativistic():
    h_p, h_q = torch.randn(30), torch.randn(30)
    rows = torch.stack([h_p[:, None].expand(30, 30), h_q.expand(30, 30)], dim=-1).flatten(0, 1)
    torch.testing.assert_close(Relativistic()(h_p, h_q), NREB()(rows, rows))


@pytest.mark.parametrize("shift", [0.3, -2.0])
def test_the_wasserstein_potential_attains_the_distance_of_shifted_samples(shift):
    h_p, h_q = (math.copysign(1.0, shift) * quantiles(mean, 1000) for mean in (shift, 0.0))
    torch.testing.assert_close(Wasserstein().value(h_p, h_q), torch.tensor(abs(shift)))


# The generator: q = N(mean, 1) moves against p = N(0, 1), the critic is exact and frozen.


def pathwise(loss, mean, potential, n=2_000):
    mean = torch.tensor(mean, requires_grad=True)
    h_p, h_q = (
        potential(quantiles(0.0, n), mean.detach()),
        potential(quantiles(mean, n), mean.detach()),
    )
    return torch.autograd.grad(loss.generator(h_p, h_q), mean)[0]


def log_r(x, mean):
    return (-(x**2) + (x - mean) ** 2) / 2


def derivative(of, mean):
    """The derivative of a functional of mean by quadrature, where everything depends on it."""
    mean = torch.tensor(mean, requires_grad=True)
    grid = torch.linspace(-9, 9, 601)
    p, q = (Normal(m, 1.0).log_prob(grid).exp() * 0.03 for m in (torch.tensor(0.0), mean))
    return torch.autograd.grad(of(p, q, log_r(grid, mean)), mean)[0]


@pytest.mark.parametrize("mean", [0.5, -1.0, 2.0])
def test_donsker_varadhans_generator_has_the_gradient_of_kl(mean):
    gradient = pathwise(DonskerVaradhan(), mean, log_r, n=200_000)
    expected = derivative(lambda p, q, h: (p * h).sum(), mean)
    torch.testing.assert_close(expected, torch.tensor(mean))  # KL is mean^2 / 2
    torch.testing.assert_close(gradient, expected, rtol=0.01, atol=0)


@pytest.mark.parametrize("mean", [0.5, -1.0, 2.0])
def test_the_relativistic_generators_gradient_is_what_its_docstring_says(mean):
    """That of KL(q || p) less half the divergence of pairs."""

    def kl_less_half(p, q, h):
        pairs = q[:, None] * p
        divergence = (pairs * Bernoulli().f(h[:, None] - h)).sum()
        return -(q * h).sum() - divergence / 2

    gradient = pathwise(Relativistic(), mean, log_r)
    expected = derivative(kl_less_half, mean)
    torch.testing.assert_close(gradient, expected, rtol=0.01, atol=0)
    assert gradient * mean > 0  # towards the data is down


@pytest.mark.parametrize("mean", [0.5, -1.0, 2.0])
def test_wassersteins_generator_has_the_gradient_of_the_distance(mean):
    potential = lambda x, mean: -torch.sign(mean) * x
    gradient = pathwise(Wasserstein(), mean, potential)
    torch.testing.assert_close(gradient, torch.tensor(math.copysign(1.0, mean)))


@each
def test_generators_push_every_sample_towards_a_larger_h(loss):
    h_p, h_q = 3 * torch.randn(20), (3 * torch.randn(30)).requires_grad_()
    (gradient,) = torch.autograd.grad(loss.generator(h_p, h_q), h_q)
    assert (gradient < 0).all()


# Numerics.


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_nothing_overflows(loss, dtype):
    magnitudes = torch.tensor([0.0, 1.0, 20.0, 30.0, 31.0, 88.0, 89.0, 1e3, 1e4], dtype=dtype)
    h = torch.cat([-magnitudes, magnitudes]).requires_grad_()
    for value in (loss(h, -h), loss.generator(h, -h), loss.value(h, -h)):
        (gradient,) = torch.autograd.grad(value, h)
        assert value.dtype == gradient.dtype == dtype
        assert value.isfinite()
        assert gradient.isfinite().all()


@each
def test_float32_agrees_with_float64(loss):
    def functions(h_p, h_q):
        h_p, h_q = h_p.requires_grad_(), h_q.requires_grad_()
        values = loss(h_p, h_q), loss.generator(h_p, h_q)
        gradients = [torch.autograd.grad(v, (h_p, h_q), materialize_grads=True) for v in values]
        return [*values, *(g for pair in gradients for g in pair)]

    h_p, h_q = torch.linspace(-14, 16, 61), torch.linspace(-14, 11, 41)  # differences to 30
    doubles = functions(h_p, h_q)
    for single, double in zip(functions(h_p.float(), h_q.float()), doubles, strict=True):
        scale = double.abs().max() or 1.0  # of gradients, which are sums over near and far pairs
        torch.testing.assert_close(single.double() / scale, double / scale, rtol=1e-4, atol=1e-7)


def test_a_relativistic_critic_that_is_badly_wrong_still_learns():
    h_p = torch.tensor([-1e4, -100.0], dtype=torch.float32, requires_grad=True)
    (gradient,) = torch.autograd.grad(Relativistic()(h_p, -h_p), h_p)
    torch.testing.assert_close(gradient, torch.full_like(h_p, -1.0))


def test_they_serve_as_losses_of_two_samples():
    p, q = torch.randn(20, 1), torch.randn(30, 1)
    values = two_samples(lambda x: x[:, 0], (p, q), torch.Generator())
    assert Relativistic()(values.h_p, values.h_q).shape == ()


def test_the_mean_over_all_ways_to_pair_is_the_relativistic_loss():
    h_p, h_q = torch.randn(7), torch.randn(7)
    for one, every in (
        (RelativisticPaired(), Relativistic()),
        (RelativisticPaired(Brier()), Relativistic(Brier())),
    ):
        for side in ("__call__", "generator", "value"):
            rolled = [getattr(one, side)(h_p, h_q.roll(k)) for k in range(7)]
            expected = getattr(every, side)(h_p, h_q)
            torch.testing.assert_close(torch.stack(rolled).mean(), expected)


def test_a_constant_changes_nothing_of_pairs():
    h_p, h_q = torch.randn(7), torch.randn(7)
    torch.testing.assert_close(
        RelativisticPaired()(h_p + 9, h_q + 9), RelativisticPaired()(h_p, h_q)
    )
    assert RelativisticPaired.recovers is Recovers.UP_TO_CONSTANT
    assert isinstance(RelativisticPaired(), CriticLoss)
    assert isinstance(RelativisticPaired(), GeneratorLoss)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_players_of_pairs_want_the_opposite(side):
    h_q = torch.randn(7, requires_grad=True)
    loss = RelativisticPaired()
    value = loss(torch.randn(7), h_q) if side > 0 else loss.generator(torch.randn(7), h_q)
    (gradient,) = torch.autograd.grad(value, h_q)
    assert (side * gradient > 0).all()
