"""What is fitted does not depend on the units of data: x -> a (x + b) changes it by rounding.

The spread of x is 1, so that b is a number of spreads. Critics, flows and generators see x through
asinh and log too, which are straight lines where b is large: their b is compared with another one.
Dates, with their right values, are one case of it, values beyond float32's range another.
"""

from functools import cache, partial

import pytest
import scipy.stats
import torch
from hypothesis import Phase, example, given, settings, strategies as st
from sklearn.linear_model import LogisticRegression
from torch.distributions import Uniform

import lfi
from lfi.comparison import lsdd_test

J = 2_459_000.0
FEW = lfi.TrainSettings(steps=5, batch_size=32)
QUIET = {"seed": 1, "progress": False}
FAR = 1e6  # spreads, from which on asinh and log are straight: they bend by a millionth a spread

units = st.tuples(
    st.integers(-30, 30).map(lambda k: 10.0**k),
    st.floats(1e5, 1e7).flatmap(lambda b: st.sampled_from([b, -b])),
)
each_unit = given(units)
few, many = settings(phases=[Phase.explicit]), settings(max_examples=20)


def over_units(test, *, both_ends=True):
    """Parametrise a test over units: the extremes, and twenty others in the slow suite."""
    extremes = example((1e30, -1e7))(test)
    if both_ends:
        extremes = example((1e-30, 1e7))(extremes)

    @pytest.mark.parametrize("often", [False, pytest.param(True, marks=pytest.mark.slow)])
    def both(often):
        (many if often else few)(each_unit(extremes))()

    both.__name__, both.__doc__ = test.__name__, test.__doc__
    return both


def in_units(x, unit):
    a, b = unit
    return a * (x + b)


def normal(n, d, seed):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=rng, dtype=torch.float64)


P, Q = 0.5 + 0.7 * normal(120, 2, 0), normal(110, 2, 1)


def close(found, expected, atol):
    torch.testing.assert_close(found.double(), expected.double(), atol=atol, rtol=0)


def origin(unit):
    """The unit that another one is compared with where asinh and log are to be straight."""
    return (1.0, FAR if unit[1] > 0 else -FAR)


# Ratios and tests.


def kernel_ratio(p, q):
    return lfi.KernelRatio(centres=20).fit(p, q, seed=1)


def telescoping(p, q):
    ratio = lfi.TelescopingRatio(bridges=1, width=8, layers=1, settings=FEW)
    return ratio.fit(p, q, **QUIET)


def critic_ratio(p, q):
    return lfi.fit_ratio(p, q, members=1, width=8, settings=FEW, **QUIET)


@cache
def log_ratios(fit, unit):
    return fit(*(in_units(x, unit) for x in (P, Q))).log_ratio(in_units(Q, unit))


# At 1e7 spreads float64 keeps 1e-9 of one, which a few steps of an optimiser may amplify.
@over_units
def test_ratios_do_not_depend_on_units(unit):
    for fit in (kernel_ratio, telescoping, critic_ratio):
        start = origin(unit) if fit is critic_ratio else (1.0, 0.0)
        close(log_ratios(fit, unit), log_ratios(fit, start), 1e-3)


def test_results(p, q):
    yield lfi.mmd_test(p, q, permutations=50, seed=1)
    yield lfi.energy_test(p, q, permutations=50, seed=1)
    yield lsdd_test(p, q, permutations=50, seed=1)
    yield lfi.c2st(p, q, classifier=LogisticRegression(), permutations=50, seed=1)


test_results.__test__ = False


@over_units
def test_tests_do_not_depend_on_units(unit):
    far = test_results(in_units(P, unit), in_units(Q, unit))
    for expected, found in zip(test_results(P, Q), far, strict=True):
        assert found.p_value == expected.p_value
        assert found.statistic == pytest.approx(expected.statistic, rel=1e-4)


# Posteriors: of x in any units, and of theta in any.

METHODS = (
    lfi.PosteriorFlow(gaussian_steps=5, settings=FEW, width=8),
    lfi.SurrogateLikelihood(gaussian_steps=5, settings=FEW, width=8, proposal=None),
    lfi.NeuralRatio(settings=FEW, width=8, rank=4, head_layers=None),
)
THETA = torch.special.ndtr(normal(300, 1, 2))
X = THETA + 0.3 * normal(300, 2, 3)


def fitted(method, x_unit, theta_unit=(1.0, 0.0)):
    low, high = (in_units(torch.tensor(end), theta_unit) for end in (0.0, 1.0))  # of float64
    theta = in_units(THETA, theta_unit)
    simulations = lfi.Simulations.from_arrays(
        theta, in_units(X, x_unit), prior={"t": Uniform(low, high)}
    )
    return lfi.fit_posterior(simulations, method=method, **QUIET)


@cache
def log_posterior(method, x_unit, theta_unit=(1.0, 0.0)):
    posterior = fitted(method, x_unit, theta_unit)
    h = posterior.log_ratio(in_units(THETA[:20], theta_unit), in_units(X[0], x_unit))
    return h - h.mean()


@partial(over_units, both_ends=False)
def test_posteriors_do_not_depend_on_units(unit):
    a, b = unit
    for method in METHODS:  # theta is in other units than x
        found = log_posterior(method, unit, (1 / a, -b))
        close(found, log_posterior(method, origin(unit)), 1e-2)


@over_units
def test_generators_and_surrogates_do_not_depend_on_units(unit):
    brief = lfi.AdversarialSettings(steps=5, batch_size=16)
    samples, outputs = [], []
    for a, b in (origin(unit), unit):
        generator = lfi.fit_generator(in_units(P, (a, b)), settings=brief, **QUIET)
        samples.append(generator.sample(50, seed=2) / a - b)
        simulations = lfi.Simulations.from_arrays(
            THETA, in_units(X, (a, b)), prior={"t": Uniform(0.0, 1.0)}
        )
        surrogate = lfi.fit_surrogate(simulations, settings=brief, start_steps=5, width=8, **QUIET)
        outputs.append(surrogate(THETA[:50], seed=2) / a - b)
    close(*samples, 1e-3)
    close(*outputs, 1e-3)


# Dates: x = theta + J + noise.


def dates(prior=None):
    """What users bring of dates, and the prior of what is added to J, or of the dates."""
    noise = 0.05 * normal(1_000, 1, 4)
    first = 0.0 if prior is None else J
    theta = first + torch.special.ndtr(normal(1_000, 1, 5))
    x = theta + noise + (J - first)
    prior = Uniform(0.0, 1.0) if prior is None else prior
    return lfi.Simulations.from_arrays(theta, x, prior={"t": prior})


# The posterior is N(.3, .05) to a millionth; 4,000 draws are off by .0008 and .0006, one standard
# error, and the regression of 1,000 simulations by .0016 and .0011.
@pytest.mark.parametrize("prior", [None, scipy.stats.uniform(J, 1.0)], ids=["shift", "dates"])
def test_a_posterior_of_dates_is_right(prior):
    method = lfi.SurrogateLikelihood(gaussian_steps=1, settings=FEW, width=8, proposal=None)
    posterior = lfi.fit_posterior(dates(prior), method=method, **QUIET)
    for x_obs in ([J + 0.3], torch.tensor([J + 0.3])):
        draws = posterior.sample(4_000, x_obs, seed=2) - (0.0 if prior is None else J)
        assert draws.mean().item() == pytest.approx(0.3, abs=0.01)
        assert draws.std().item() == pytest.approx(0.05, abs=0.007)


@pytest.mark.slow
def test_the_flow_and_the_default_are_right_of_dates():
    for method in (lfi.PosteriorFlow(), lfi.Pool()):
        posterior = lfi.fit_posterior(dates(), method=method, **QUIET)
        draws = posterior.sample(4_000, [J + 0.3], seed=2)
        assert draws.mean().item() == pytest.approx(0.3, abs=0.02)
        assert draws.std().item() == pytest.approx(0.05, abs=0.01)


# Logistic regression on 1,000 of each errs by .1 at one spread from the middle.
def test_a_ratio_of_dates_is_right():
    p, q = (J + mean + 0.05 * normal(1_000, 1, 6 + i)[:, 0] for i, mean in enumerate((0.3, 0.35)))
    brief = lfi.TrainSettings(steps=40)
    ratio = lfi.fit_ratio(p, q, members=2, settings=brief, **QUIET)
    h = ratio.log_ratio(torch.tensor([J + 0.25, J + 0.3, J + 0.35]))
    close(h, torch.tensor([1.5, 0.5, -0.5]), 0.3)


def test_values_beyond_the_range_of_float32_are_compared():
    h = critic_ratio(1e43 * P, 1e43 * Q).log_ratio(1e43 * Q)
    close(h, critic_ratio(P, Q).log_ratio(Q), 1e-3)
