"""Whether x holds independent trials of one law, told by ranks and by the noise of a likelihood."""

import pytest
import torch

from lfi.inference.methods.trials import Trials, dependent_trials, find_trials
from lfi.runtime import isolated

N, TRIALS = 800, 6


def told(simulate, *, seed=1):
    """Of how many numbers trials seem to be, in 800 simulations that simulate(theta, noise) makes.

    Noise is standard normal, of six trials of two numbers.
    """
    with isolated(seed):
        theta = torch.rand(N, 2) * 2 - 1
        x = simulate(theta[:, None], torch.randn(N, TRIALS, 2))
    found = find_trials(theta, x.flatten(1))
    return None if found is None else found.size


def points(theta, noise):
    """Points around a place, spread by a parameter; both entries have the same law over theta."""
    return theta + theta.roll(1, -1).exp() * noise


def one_number(theta, noise):
    """Heavy-tailed draws of one law: no moments exist."""
    return theta[..., :1] + theta[..., 1:].mul(3).exp() * noise.tan()


def counts(theta, noise):
    return torch.floor((theta + noise).exp())


def in_one_series(theta, noise):
    """Noise remembers what was just before: all entries have the same distribution."""
    flat = noise.flatten(1)
    path = [flat[:, :1]]
    for e in flat[:, 1:].split(1, dim=1):
        path.append(0.5 * path[-1] + 0.75**0.5 * e)
    return theta[..., :1] + torch.cat(path, 1).view_as(noise)


def with_a_trend(theta, noise):
    return theta + noise + 0.3 * torch.arange(TRIALS)[:, None]


def spreading(theta, noise):
    return theta + noise * (1 + 0.2 * torch.arange(TRIALS))[:, None]


def by_parameter(theta, noise):
    """The law of each entry is the same over the prior, but theta acts with either sign."""
    sign = torch.where(torch.arange(TRIALS) < 3, 1.0, -1.0)[:, None]
    return theta * sign + noise


@pytest.mark.parametrize(
    ("simulate", "size"), [(points, 2), (one_number, 1), (counts, 2), (with_a_trend, None)]
)
def test_the_size_of_a_trial_is_told(simulate, size):
    # a test fails by chance once in a million, at five standard errors of a normal mean
    assert [told(simulate, seed=seed) for seed in range(5)] == [size] * 5


@pytest.mark.parametrize("simulate", [in_one_series, spreading, by_parameter])
def test_what_has_the_same_distribution_but_is_not_exchangeable_is_not_taken(simulate):
    assert told(simulate) is None


@pytest.mark.parametrize("last", [1.0, 1.5])
def test_of_thousands_of_trials_some_all_along_are_compared(last):
    with isolated(1):
        theta, noise = torch.rand(N, 1), torch.randn(N, 3_000)
    x = theta + noise * torch.linspace(1.0, last, 3_000)
    assert find_trials(theta, x) == (Trials(1) if last == 1 else None)


def marked(x, *, place=2, seed=1):
    """Trials of three numbers, of which 1 to 6 were made, which the last number tells."""
    with isolated(seed):
        made = torch.arange(TRIALS) < torch.randint(1, TRIALS + 1, (N, 1))
    parts = [x[..., :place], torch.ones(N, TRIALS, 1), x[..., place:]]
    return torch.cat(parts, 2) * made[..., None], made


@pytest.mark.parametrize("place", [0, 1, 2])
def test_trials_of_varying_number_are_told_by_their_mark(place):
    with isolated(1):
        theta, noise = torch.rand(N, 2), torch.randn(N, TRIALS, 2)
    x, _ = marked(points(theta[:, None], noise), place=place)
    assert find_trials(theta, x) == Trials(3, place)
    x, _ = marked(with_a_trend(theta[:, None], noise), place=place)
    assert find_trials(theta, x) is None


@pytest.mark.parametrize("spoil", ["first", "unmarked", "half"])
def test_zeros_that_mark_nothing_are_numbers(spoil):
    with isolated(1):
        theta, noise = torch.rand(N, 2), torch.randn(N, TRIALS, 2)
    x, made = marked(points(theta[:, None], noise))
    if spoil == "first":  # rows of zeros come before others
        x = x.flip(1)
    if spoil == "unmarked":
        x = x[..., :2]
    if spoil == "half":
        x[..., 2] /= 2
    assert find_trials(theta, x) is None


def test_trials_that_end_when_they_have_gone_far_depend_on_their_number():
    z, _ = noise_of()
    made = torch.arange(TRIALS) <= (z[..., 0] > 0.5).double().argmax(1)[:, None]
    assert dependent_trials(z, made)
    assert not dependent_trials(z, made.roll(1, 0))


def noise_of(seed=1):
    with isolated(seed):
        return torch.randn(N, TRIALS, 2), torch.randn(N, 1, 2)


def test_independent_noise_is_not_dependent():
    assert not any(dependent_trials(noise_of(seed)[0]) for seed in range(20))


@pytest.mark.parametrize("common", [lambda z, own: own / 2, lambda z, own: z * own.abs()])
def test_what_trials_have_in_common_makes_them_dependent(common):
    """A level, or a spread, of each simulation."""
    z, own = noise_of()
    assert dependent_trials(z + common(z, own))


def test_neighbours_make_trials_dependent():
    z = in_one_series(torch.zeros(N, 1, 2), noise_of()[0])
    assert dependent_trials(z)


def test_a_small_error_that_trials_have_in_common_is_none_of_theirs():
    """Correlated by .04, as errors of a fit are, which another likelihood would have too."""
    z, own = noise_of()
    assert not dependent_trials(z + own / 5)
