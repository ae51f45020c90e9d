"""Training of critics: held-out losses against chance, stacking weights against brute force."""

import pytest
import torch
from support.conjugate import ExactCritic, model, posterior
from torch.nn.functional import logsigmoid

import lfi
from lfi.comparison import (
    KLIEP,
    LSIF,
    NREB,
    Balance,
    Bernoulli,
    Exponential,
    NeymanChiSquared,
    Recovers,
    ReverseKL,
)
from lfi.inference.methods.ratio_training import (
    covering_factor,
    held_out_loss,
    held_out_values,
    stack_critics,
    substantial,
)


class Scaled(ExactCritic):
    """The exact log ratio of the conjugate model times a constant, plus noise of its own."""

    def __init__(self, factor, noise=0.0):
        super().__init__()
        self.factor, self.noise = factor, noise

    def pair(self, theta, x):
        h = self.factor * super().pair(theta, x)
        return h + self.noise * torch.sin(37 * theta.sum(-1) + 11 * x.sum(-1))


def held_out(n=1_024):
    theta = torch.randn(n, 2)
    return theta, theta + torch.randn(n, 2)


def beliefs(n=2_048):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(1))


def test_the_values_of_held_out_rows_are_those_of_all_pairs_of_a_chunk():
    critic, (theta, x) = ExactCritic(), held_out(300)  # two parts of 128, the rest is left
    parts = held_out_values(Recovers.RATIO, critic, (theta, x))
    assert len(parts) == 2
    assert parts[1].h_q.shape == (128, 127)
    table = critic(theta[128:256], x[128:256, None])
    torch.testing.assert_close(parts[1].h_p, table.diagonal())
    others = table[~torch.eye(128, dtype=bool)].reshape(128, 127)
    torch.testing.assert_close(parts[1].h_q.sort(1).values, others.sort(1).values)


@pytest.mark.parametrize("recovers", [Recovers.RATIO, Recovers.UP_TO_X], ids=lambda r: r.name)
def test_weights_are_those_of_least_held_out_loss(recovers):
    critics, (theta, x), others = [Scaled(0.5), Scaled(1.0, noise=3.0)], held_out(512), beliefs()
    weights = stack_critics(recovers, (), critics, (theta, x), others)

    def loss(w):
        def mixed(theta, x):
            return sum(v * critic.pair(theta, x) for v, critic in zip(w, critics, strict=True))

        joint, shuffled = mixed(theta, x), mixed(others, x[:, None])
        far = (w.sum() - 1) ** 2 / 512  # as one held-out x
        if recovers == Recovers.RATIO:
            return far - logsigmoid(joint).mean() - logsigmoid(-shuffled).mean()
        return far + (torch.cat([joint[:, None], shuffled[:, :-1]], 1).logsumexp(1) - joint).mean()

    best = loss(weights)
    for step in (torch.tensor([0.05, 0.0]), torch.tensor([0.0, 0.05])):
        assert best < loss(weights + step)
        assert best < loss(weights - step)


def test_a_critic_that_exaggerates_is_tempered():
    (weight,) = stack_critics(Recovers.UP_TO_X, (), [Scaled(2.0)], held_out(4_096), beliefs())
    # the loss is flat to 1/2 var h (w - 1/2)^2 with 4,096 rows: a standard error of about .01
    assert weight == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("noise", [0.0, 3.0])
def test_weights_stay_near_one_where_every_x_tells_its_theta(noise):
    """Any larger ones would lose no less. What a weight of 1 loses is all there is to gain."""
    n, critic = 200, Scaled(0.15, noise)
    theta, others = torch.randn(n, 100), torch.randn(500, 100)
    x = theta + 0.5 * torch.randn(n, 100)
    (weight,) = stack_critics(Recovers.UP_TO_X, (), [critic], (theta, x), others)
    joint, shuffled = critic.pair(theta, x), critic.pair(others, x[:, None])
    loses = (torch.cat([joint[:, None], shuffled[:, :-1]], 1).logsumexp(1) - joint).mean()
    assert (weight - 1) ** 2 / n <= loses


def contents(factor, n=4_000):
    """What the highest regions that hold the truth contain, by the exact ratio's power."""
    critic, (theta, x), others = Scaled(factor), held_out(n), beliefs()
    joint, shuffled = critic.pair(theta, x), critic.pair(others, x[:, None])
    return ((shuffled.softmax(1)) * (shuffled > joint[:, None])).sum(1)


@pytest.mark.parametrize("factor", [2.0, 4.0])
def test_a_balanced_sum_covers_at_least_as_often_as_it_says(factor):
    (weight,) = stack_critics(
        Recovers.RATIO, (Balance(100.0),), [Scaled(factor)], held_out(400), beliefs()
    )
    assert weight * factor < 1
    # 400 held out: a margin of 1 / (4 sqrt 400) and 0.6 / sqrt 400 of chance; 4,000 add 0.01
    found, place = contents(weight * factor).sort().values, torch.arange(1, 4_001) / 4_000
    assert (found - place).max() < (0.25 + 0.6) / 400**0.5 + 0.01
    assert weight * factor > 0.3  # and not as wide as the prior


def test_a_right_ratio_is_hardly_tempered_and_a_wide_one_not_at_all():
    critic, (theta, x), others = ExactCritic(), held_out(2_000), beliefs()
    exact = critic.pair(theta, x), critic.pair(others, x[:, None])
    assert 0.8 < covering_factor(*exact) <= 1
    assert covering_factor(*(0.5 * h for h in exact)) == 1


def test_negligible_weights_are_left_out():
    assert substantial(torch.tensor([0.004, 0.6, 0.5])) == [1, 2]


@pytest.mark.parametrize("loss", [Bernoulli(), NREB()], ids=repr)
def test_the_held_out_loss_of_an_undecided_critic_is_that_of_chance(loss):
    validate = held_out_loss(loss.recovers, Scaled(0.0))
    # among the 49 columns that 50 rows allow
    chance = {Bernoulli(): 2 * torch.tensor(2.0).log(), NREB(): torch.tensor(49.0).log()}[loss]
    assert validate(held_out(50)) == pytest.approx(chance.item())


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss", [LSIF(), KLIEP(), NeymanChiSquared(), ReverseKL(), Exponential()], ids=repr
)
def test_steep_losses_find_a_narrow_posterior_too(loss):
    sd, x_obs, few = 0.3, torch.tensor([0.8, -0.5]), lfi.TrainSettings(steps=2_000)
    method = lfi.NeuralRatio(
        loss=loss, settings=few, width=16, rank=None, head_layers=None, noise_model=False
    )
    fitted = method.fit(lfi.simulate(model(sd), 4_000, seed=1), seed=1)
    theta, exact = fitted.sample(2_000, x_obs, seed=1), posterior(x_obs, sd)
    scale = exact.covariance_matrix.diagonal().sqrt()
    # of 4,000 simulations a hundred lie within two posterior deviations: a tenth of one is the
    # error of means, and of spreads; without mixtures, LSIF's and Neyman's spreads are three
    # times too wide and means up to 2.8 deviations off
    assert ((theta.mean(0) - exact.mean) / scale).abs().max() < 0.4
    assert (theta.std(0) / scale - 1).abs().max() < 0.4
