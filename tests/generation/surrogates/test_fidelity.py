"""Fidelity: one half for the simulator itself, more for anything that differs from it."""

import pytest
import torch
from torch.distributions import Normal

from lfi.generation.surrogates.fidelity import fidelity
from lfi.simulation import Simulator

PRIOR = {"location": Normal(0.0, 1.0), "rate": Normal(0.0, 0.5)}


def counts(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    gamma = torch._standard_gamma(torch.full((len(theta), 3), 0.5), generator=rng)
    return torch.poisson(10 * theta[:, 1:].exp() * gamma, generator=rng)


def doubled(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    return 2 * counts(theta, rng) + 1


SIMULATOR = Simulator(counts, prior=PRIOR)


class Surrogate:
    """The right distribution behind a surrogate's face."""

    prior = PRIOR

    def simulate(self, theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return counts(theta, rng)


def test_a_perfect_surrogate_is_told_apart_no_better_than_by_chance():
    n, m = 300, 4
    result = fidelity(Surrogate(), SIMULATOR, thetas=m, n=n, seed=1)
    assert result.statistic.shape == (m,) and result.theta.shape == (m, 2)
    # 2 n m predictions; they share training data, which at most doubles the standard error
    assert abs(result.mean - 0.5) < 5 * 2 * 0.5 / (2 * n * m) ** 0.5
    assert result.p_value.min() > 1e-3


def test_a_wrong_surrogate_is_told_apart():
    result = fidelity(Simulator(doubled, prior=PRIOR), SIMULATOR, thetas=2, n=300, seed=1)
    assert (result.statistic > 0.6).all()
    assert result.p_value.max() < 1e-3
    first, second, _ = result.describe().splitlines()
    assert f"accuracy {result.mean:.3f}" in first and "rate = " in second
    assert repr(result).split() == result.describe().split()  # long lines are wrapped
    assert "<table>" in result._repr_html_()


def test_accuracy_measures_total_variation():
    unit = Simulator(lambda theta: theta + torch.randn(len(theta), 2), prior=PRIOR)
    moved = Simulator(lambda theta: theta + 1 + torch.randn(len(theta), 2), prior=PRIOR)
    result = fidelity(moved, unit, thetas=1, n=1000, seed=1)
    best = Normal(0.0, 1.0).cdf(torch.tensor(2**0.5 / 2))  # half the distance of the two means
    assert abs(result.mean - best) < 5 * 0.5 / 1000**0.5  # 2,000 predictions, not quite independent


def test_moments_are_those_of_the_data_at_each_parameter_vector():
    theta = torch.tensor([[0.0, 1.0], [2.0, -1.0]])
    gaussian = Simulator(lambda theta: theta + torch.randn(len(theta), 2), prior=PRIOR)
    result = fidelity(gaussian, gaussian, theta=theta, n=100, seed=1)
    assert torch.equal(result.theta, theta)
    for mean, sd in zip(result.means, result.sds, strict=True):
        assert (mean - theta).abs().max() < 5 / 100**0.5  # standard error of a mean of 100
        assert (sd - 1).abs().max() < 5 / 200**0.5  # and of their standard deviation


def test_failed_simulations_are_left_out():
    def fragile(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        x = counts(theta, rng)
        return torch.where(torch.rand(len(theta), 1, generator=rng) < 0.2, torch.nan, x)

    result = fidelity(Surrogate(), Simulator(fragile, prior=PRIOR), thetas=1, n=300, seed=1)
    assert result.x_simulator.isnan().any() and not result.means[0].isnan().any()
    assert result.p_value.item() > 1e-3


def test_the_same_seed_gives_the_same_numbers_and_none_recorded_ones():
    first = fidelity(Surrogate(), SIMULATOR, thetas=1, n=50)
    again = fidelity(Surrogate(), SIMULATOR, thetas=1, n=50, seed=first.seed)
    assert torch.equal(first.statistic, again.statistic)
    assert torch.equal(first.x_surrogate, again.x_surrogate)


def test_other_parameters_are_an_error():
    other = Simulator(lambda theta: theta, prior={"mean": Normal(0.0, 1.0)})
    with pytest.raises(ValueError, match="'mean'.*'location'"):
        fidelity(other, SIMULATOR)


def test_another_shape_of_data_is_an_error():
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        fidelity(Simulator(lambda theta: theta, prior=PRIOR), SIMULATOR, thetas=1, n=20)


def test_too_few_finite_data_are_an_error():
    broken = Simulator(lambda theta: theta.repeat(1, 2)[:, :3] * torch.nan, prior=PRIOR)
    with pytest.raises(ValueError, match="only 0 simulator and 20 surrogate data of 20"):
        fidelity(Surrogate(), broken, thetas=1, n=20, seed=1)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n": 5}, "n must be at least 10"),
        ({"thetas": 0}, "thetas must be at least 1"),
        ({"theta": torch.zeros(2, 5)}, r"\(2, 5\)"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        fidelity(Surrogate(), SIMULATOR, **options)
