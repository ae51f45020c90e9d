"""Laws of priors, as they are read."""

import math

import pytest
import scipy.stats
import torch
from torch.distributions import (
    Beta,
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    LogNormal,
    MultivariateNormal,
    Normal,
    StudentT,
    TransformedDistribution,
    Uniform,
    transforms,
)

from lfi.simulation import as_prior
from lfi.simulation.priors.laws import laws


def law(distribution):
    return laws(as_prior({"a": distribution}).distribution)[0]


@pytest.mark.parametrize(
    "of_torch, of_scipy, text",
    [
        (Uniform(-1.0, 2.0), scipy.stats.uniform(-1.0, 3.0), "Uniform(−1, 2)"),
        (Normal(2.0, 3.0), scipy.stats.norm(2.0, 3.0), "Normal(mean 2, sd 3)"),
        (
            LogNormal(math.log(600.0), 0.5),
            scipy.stats.lognorm(s=0.5, scale=600.0),
            "LogNormal(median 600, sd of the log 0.5)",
        ),
        (Exponential(5.0), scipy.stats.expon(scale=0.2), "Exponential(mean 0.2)"),
        (Gamma(2.0, 4.0), scipy.stats.gamma(2.0, scale=0.25), "Gamma(shape 2, rate 4)"),
        (Beta(2.0, 5.0), scipy.stats.beta(2.0, 5.0), "Beta(2, 5)"),
        (HalfNormal(0.2), scipy.stats.halfnorm(scale=0.2), "HalfNormal(scale 0.2)"),
        (HalfCauchy(0.5), scipy.stats.halfcauchy(scale=0.5), "HalfCauchy(scale 0.5)"),
    ],
)
def test_one_distribution_has_one_law_whoever_made_it(of_torch, of_scipy, text):
    assert law(of_torch) == law(of_scipy) == text


def test_bounds_stand_beside_the_law_that_they_cut():
    cut = scipy.stats.truncnorm(a=-2.0, b=math.inf, loc=2.0, scale=1.0)
    assert law(cut) == "Normal(mean 2, sd 1), truncated to (0, ∞)"
    narrow = as_prior({"a": Uniform(0.0, 9.0), "b": Normal(0.0, 1.0)}).truncate(
        [1.0, -math.inf], [2.0, math.inf]
    )
    assert laws(narrow.distribution) == (
        "Uniform(0, 9), truncated to (1, 2)",
        "Normal(mean 0, sd 1)",
    )


def test_other_distributions_show_their_own_parameters():
    assert law(StudentT(3.0, 1.0, 2.0)) == "StudentT(df 3, loc 1, scale 2)"
    assert law(scipy.stats.t(3.0, 1.0, 2.0)) == "t(df 3, loc 1, scale 2)"
    assert law(scipy.stats.expon(1.0, 2.0)) == "expon(loc 1, scale 2)"


def test_what_cannot_be_named_shows_its_kind_and_its_bounds():
    squashed = TransformedDistribution(Normal(0.0, 1.0), [transforms.SigmoidTransform()])
    assert law(squashed) == "TransformedDistribution on (0, 1)"
    joint = as_prior(MultivariateNormal(torch.zeros(2), torch.eye(2) + 0.5), ["a", "b"])
    assert laws(joint.distribution) == ("MultivariateNormal, jointly with the others",) * 2
    box = joint.truncate([-1.0, -2.0], [1.0, 2.0])
    assert laws(box.distribution)[1].endswith("others, truncated to (−2, 2)")
