"""Penalties in closed form, on critics whose gradients are known."""

from dataclasses import replace

import pytest
import torch
from support.comparisons import JOINT, PENALTIES, log_ratio, marginals
from torch import nn

from lfi.comparison import DRAGAN, R1, R2, Balance, GradientPenalty, Values

RNG = torch.Generator()
SLOPE = torch.tensor([3.0, -4.0], dtype=torch.float64)
each_size = pytest.mark.parametrize("n", [1, 16, 64])
gradient_penalties = [
    (R1(1.0), 12.5),
    (R2(1.0), 12.5),
    (GradientPenalty(1.0), 16.0),
    (GradientPenalty(1.0, one_sided=True), 16.0),
    (DRAGAN(1.0), 16.0),
]
each = pytest.mark.parametrize("penalty, expected", gradient_penalties, ids=repr)


def linear(x, *given):
    """Its gradient in x is SLOPE, of norm 5, everywhere."""
    return x @ SLOPE + sum(10 * theta.sum(1) for theta in given)


def seen(critic, p, q, given=()):
    return Values(critic(*p, *given), critic(*q, *given), p, q, given)


@each
@each_size
def test_a_linear_critic_pays_by_its_slope_whatever_the_batch_size(penalty, expected, n):
    values = seen(linear, (torch.randn(n, 2),), (torch.randn(n, 2),))
    torch.testing.assert_close(penalty(linear, values, RNG), torch.tensor(expected))


@each
def test_what_is_given_costs_nothing(penalty, expected):
    values = seen(linear, (torch.randn(8, 2),), (torch.randn(8, 2),), (torch.randn(8, 3),))
    torch.testing.assert_close(penalty(linear, values, RNG), torch.tensor(expected))


@each
def test_norms_are_over_all_inputs_of_a_row(penalty, expected):
    critic = lambda a, b: 3 * a.flatten(1)[:, 0] - 4 * b[:, 1]
    p, q = ((torch.randn(8, 2, 2), torch.randn(8, 3)) for _ in range(2))
    torch.testing.assert_close(penalty(critic, seen(critic, p, q), RNG), torch.tensor(expected))


def test_r1_looks_at_p_and_r2_at_q():
    bowl = lambda x: x.square().sum(1) / 2  # its gradient is x
    p, q = torch.randn(50, 2), 3 + torch.randn(40, 2)
    values = seen(bowl, (p,), (q,))
    torch.testing.assert_close(R1(1.0)(bowl, values, RNG), p.square().sum(1).mean() / 2)
    torch.testing.assert_close(R2(1.0)(bowl, values, RNG), q.square().sum(1).mean() / 2)


def test_traced_values_are_differentiated_where_they_stand():
    """Only if all inputs take gradients; else the critic is evaluated anew, to the same value."""
    scale = torch.tensor(2.0, requires_grad=True)
    bowl = lambda a, b: scale * (a.square().sum(1) + b.square().sum(1)) / 2  # its gradient: scale x
    plain = torch.randn(9, 2), torch.randn(9, 1)
    expected = 4 * sum(x.square().sum() for x in plain) / 9 / 2
    for taking in ((True, True), (True, False)):
        p = tuple(x.clone().requires_grad_(takes) for x, takes in zip(plain, taking, strict=True))
        values = replace(seen(bowl, p, p), traced=True)
        for penalty in (R1(1.0), R2(1.0)):
            charged = penalty(bowl, values, RNG)
            torch.testing.assert_close(charged, expected)
            (slope,) = torch.autograd.grad(charged, scale, retain_graph=True)
            torch.testing.assert_close(slope, expected)  # of scale^2 / 2 times a number


@each
def test_no_gradient_reaches_what_is_given(penalty, expected):
    weight = torch.ones((), requires_grad=True)
    given = torch.randn(8, 2, requires_grad=True)
    critic = lambda x, theta: 9 * weight * (x * theta).sum(1)
    values = seen(critic, (torch.randn(8, 2),), (torch.randn(8, 2),), (given,))
    penalty(critic, values, RNG).backward()
    assert weight.grad is not None
    assert given.grad is None


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_a_penalty_has_no_negative_weight(penalty):
    assert replace(penalty, weight=0.0).weight == 0
    with pytest.raises(ValueError, match="weight must be at least 0"):
        replace(penalty, weight=-0.1)


def test_the_gradient_penalty_looks_between_paired_samples():
    bowl = lambda x: x.square().sum(1) / 2
    n = 10_000
    values = seen(bowl, (torch.zeros(n, 1),), (torch.ones(n, 1),))
    # E (t - 1)^2 = 1/3 for uniform t, with variance 1/5 - 1/9
    error = (4 / 45 / n) ** 0.5
    assert abs(GradientPenalty(1.0)(bowl, values, RNG.manual_seed(0)) - 1 / 3) < 5 * error


def test_the_gradient_penalty_draws_from_its_generator_alone():
    bowl = lambda x: x.square().sum(1) / 2
    values = seen(bowl, (torch.randn(9, 1),), (torch.randn(9, 1),))
    state = torch.get_rng_state()
    first, second = (GradientPenalty(1.0)(bowl, values, RNG.manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_one_side_of_a_gradient_penalty_leaves_gentle_slopes_alone():
    n = 64
    x = torch.randn(n, 1)
    gentle, steep = (lambda x: x[:, 0] / 2), (lambda x: -3 * x[:, 0])
    for slope, both, one in ((gentle, 0.25, 0.0), (steep, 4.0, 4.0)):
        values = seen(slope, (x,), (x + 1,))
        torch.testing.assert_close(GradientPenalty(1.0)(slope, values, RNG), torch.tensor(both))
        one_sided = GradientPenalty(1.0, one_sided=True)
        torch.testing.assert_close(one_sided(slope, values, RNG), torch.tensor(one))


def test_dragan_looks_around_the_data_as_far_as_they_scatter():
    bowl = lambda x: x.square().sum(1) / 2  # its gradient is x
    n, spread, scale = 40_000, torch.tensor([2.0, 0.1]), 0.5
    p = spread * torch.randn(n, 2)
    values = seen(bowl, (p,), (torch.full((3, 2), 1e6),))
    penalty = DRAGAN(1.0, scale=scale, alpha=0.0)(bowl, values, RNG.manual_seed(7))
    wider = spread * (1 + scale**2) ** 0.5 * torch.randn(n, 2)
    charged = (wider.norm(dim=1) - 1).square()
    error = (2 * charged.var() / n).sqrt()
    assert abs(penalty - charged.mean()) < 5 * error
    state = torch.get_rng_state()
    again = DRAGAN(1.0, scale=scale, alpha=0.0)(bowl, values, RNG.manual_seed(7))
    assert torch.equal(penalty, again)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_alpha_of_dragan_is_the_share_of_the_data(alpha):
    ramp = lambda x: (x.square() / 2).sum(1)  # its gradient is x
    x = torch.tensor([[3.0], [5.0], [7.0]])
    values = seen(ramp, (x,), (x,))
    noise = 0.5 * x.std(0, correction=0) * torch.randn(3, 1, generator=RNG.manual_seed(2))
    expected = (alpha * x + (1 - alpha) * (x + noise)).abs().sub(1).square().mean()
    found = DRAGAN(1.0, alpha=alpha)(ramp, values, RNG.manual_seed(2))
    torch.testing.assert_close(found, expected)


def test_without_alpha_dragan_draws_one_for_each_row():
    # two inputs, of which the gradients are how far they were moved; of every row in one proportion
    seen_at = []

    def critic(a, b):
        seen_at.append((a, b))
        return a.sum(1) + b.sum(1)

    a, b = torch.randn(1_000, 1), torch.randn(1_000, 2)
    values = Values(a[:, 0], a[:, 0], (a, b), (a, b))
    for alpha in (0.0, None):
        DRAGAN(1.0, alpha=alpha)(critic, values, RNG.manual_seed(2))
    (far_a, far_b), (near_a, near_b) = seen_at
    shares = ((near_a - a) / (far_a - a)).squeeze(1)
    torch.testing.assert_close((near_b - b) / (far_b - b), shares[:, None].expand(-1, 2))
    assert shares.min() >= 0 and shares.max() <= 1
    # a uniform share has mean 1/2 and variance 1/12
    assert abs(shares.mean() - 1 / 2) < 5 * (1 / 12 / 1_000) ** 0.5


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_dragans_alpha_is_a_share(alpha):
    with pytest.raises(ValueError, match="alpha"):
        DRAGAN(1.0, alpha=alpha)


def test_dragan_of_one_point_or_no_noise_looks_at_the_data():
    bowl = lambda x: x.square().sum(1) / 2
    for p, scale in ((torch.randn(1, 2), 0.5), (torch.randn(9, 2), 0.0)):
        expected = (p.norm(dim=1) - 1).square().mean()
        values = seen(bowl, (p,), (p,))
        torch.testing.assert_close(DRAGAN(1.0, scale=scale)(bowl, values, RNG), expected)


@pytest.mark.parametrize("scale", [-0.1, float("inf"), float("nan")])
def test_dragan_needs_a_scale(scale):
    with pytest.raises(ValueError, match="scale must be at least 0 and finite, got"):
        DRAGAN(1.0, scale=scale)


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2"])
@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_a_penalty_is_charged_every_whole_number_of_steps(penalty, every):
    assert penalty.every == 1
    assert replace(penalty, every=4).every == 4
    with pytest.raises((ValueError, TypeError), match="every"):
        replace(penalty, every=every)


@each
def test_gradients_reach_the_critic_and_not_the_generator(penalty, expected):
    critic, generator = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)), nn.Linear(2, 2)
    head = lambda x: 9 * critic(x).squeeze(1)  # steep enough for penalties of one side
    values = seen(head, (torch.randn(8, 2),), (generator(torch.randn(8, 2)),))
    penalty(head, values, RNG).backward()
    assert critic[0].weight.grad.abs().sum() > 0
    assert generator.weight.grad is None


@each
def test_a_flat_critic_has_finite_gradients(penalty, expected):
    critic = nn.Linear(2, 1)
    nn.init.zeros_(critic.weight)
    head = lambda x: critic(x).squeeze(1)
    values = seen(head, (torch.randn(8, 2),), (torch.randn(8, 2),))
    penalty(head, values, RNG).backward()
    assert critic.weight.grad.isfinite().all()


def test_unequal_samples_have_no_lines_between_them():
    values = seen(linear, (torch.randn(8, 2),), (torch.randn(9, 2),))
    with pytest.raises(ValueError, match=r"equal shapes: got \[\(8, 2\)\] and \[\(9, 2\)\]"):
        GradientPenalty(1.0)(linear, values, RNG)


# Balance.


def test_balance_is_the_squared_excess_of_class_probabilities():
    h_p, h_q = torch.randn(50), torch.randn(40, 3)
    expected = (torch.sigmoid(h_p).mean() + torch.sigmoid(h_q).mean() - 1) ** 2
    torch.testing.assert_close(Balance()(linear, Values(h_p, h_q, (), ()), RNG), expected)


def test_balance_sees_the_joint_pair_alone_of_contrastive_values():
    h_p, h_q = torch.randn(50, 4), torch.randn(50, 4)
    contrastive = Values(h_p, h_q, (), (), contrastive=True)
    binary = Values(h_p[:, 0], h_q, (), ())
    assert Balance()(linear, contrastive, RNG) == Balance()(linear, binary, RNG)


def test_the_log_ratio_is_balanced():
    h = log_ratio().flatten()
    values = Values(
        h.repeat_interleave(JOINT.flatten()), h.repeat_interleave(marginals().flatten()), (), ()
    )
    torch.testing.assert_close(Balance()(linear, values, RNG), torch.tensor(0.0))


def test_only_balance_keeps_the_optimum():
    kept = [penalty for penalty in PENALTIES if penalty.keeps_optimum]
    assert kept == [Balance()]
    assert Balance().weight == 100
