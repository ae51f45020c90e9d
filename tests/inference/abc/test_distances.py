"""Distances of ABC: a discrepancy of samples is itself, a ratio's is that of its posteriors."""

from dataclasses import replace

import pytest
import torch
from support.discrepancies import DISCREPANCIES
from support.exact_posterior import VARIANCE, GaussianPosterior

import lfi
from lfi.inference.abc.distances import (
    Distance,
    FittedRatio,
    SampleDistance,
    as_distance,
    finite_distances,
)

THETA = torch.zeros(6, 1)


FIRST = {type(case.discrepancy): case for case in reversed(DISCREPANCIES)}.values()  # of each kind


@pytest.mark.parametrize("case", FIRST, ids=lambda case: case.name)
def test_a_discrepancy_is_taken_of_every_data_set(case):
    x, x_obs = torch.randn(6, 9, case.dim), torch.randn(12, case.dim)
    distance = replace(as_distance(case.discrepancy), max_entries=2 * (9 + 12) ** 2)  # two a call
    found = finite_distances(distance.from_observation(x_obs, THETA, x), x)
    alone = torch.stack([case.discrepancy(one, x_obs) for one in x])
    torch.testing.assert_close(found, alone)


def test_events_are_flattened_and_numbers_are_vectors_of_one():
    x, x_obs = torch.randn(6, 9, 2, 3), torch.randn(12, 2, 3)
    found = SampleDistance(lfi.discrepancies.Energy()).from_observation(x_obs, THETA, x)(x)
    flat = lfi.discrepancies.Energy()(x.flatten(2), x_obs.flatten(1))
    torch.testing.assert_close(found, flat)
    x, x_obs = torch.randn(6, 9), torch.randn(12)
    found = SampleDistance(lfi.discrepancies.Wasserstein1D()).from_observation(x_obs, THETA, x)(x)
    torch.testing.assert_close(
        found, lfi.discrepancies.Wasserstein1D()(x[..., None], x_obs[:, None])
    )


def test_gradients_are_not_kept():
    x = torch.randn(6, 9, 2, requires_grad=True)
    assert (
        not SampleDistance(lfi.discrepancies.MMD())
        .from_observation(torch.randn(9, 2), THETA, x)(x)
        .requires_grad
    )


@pytest.mark.parametrize("shape", [(9, 3), (2,), ()])
def test_observations_of_other_events_are_refused(shape):
    with pytest.raises(ValueError, match="compares samples"):
        SampleDistance(lfi.discrepancies.MMD()).from_observation(
            torch.zeros(shape), THETA, torch.zeros(6, 9, 2)
        )


@pytest.mark.parametrize("wrong", ["mmd", 1, lfi.discrepancies.MMD])
def test_other_things_are_no_distances(wrong):
    with pytest.raises(TypeError, match="discrepancy must be"):
        as_distance(wrong)


def test_every_distance_has_the_face_of_one():
    for distance in (
        lfi.abc.Summaries(),
        lfi.abc.SemiAutomatic(),
        SampleDistance(lfi.discrepancies.MMD()),
        FittedRatio(GaussianPosterior()),
    ):
        assert isinstance(distance, Distance)
        assert as_distance(distance) is distance


def test_what_has_no_distance_is_infinitely_far():
    values = torch.tensor([1.0, torch.nan, -1.0])
    found = finite_distances(lambda x: values, torch.zeros(3, 2))
    assert found.tolist() == [1.0, torch.inf, -1.0]
    assert len(finite_distances(lambda x: values, torch.zeros(0, 2))) == 0


def test_a_fitted_ratio_measures_jeffreys_divergence_of_posteriors():
    x_obs, x = torch.tensor([0.3, -0.2]), torch.tensor([[0.3, -0.2], [0.4, -0.2], [0.3, 0.1]])
    distance = FittedRatio(GaussianPosterior(), prior_draws=2**17)
    found = finite_distances(distance.from_observation(x_obs, THETA[:3], x), x)
    # of two posteriors N(m, V I) and N(m', V I), with m = (1 - V) x: |m - m'|^2 / V
    exact = ((1 - VARIANCE) * (x - x_obs)).square().sum(dim=1) / VARIANCE
    # Importance estimates of both means, of which 2^17 draws are worth an ess of about 2^17 V: the
    # difference of means, of about exact^(1/2) V^(1/2), has the relative error (3 / ess)^(1/2).
    error = exact * (3 / (2**17 * VARIANCE)) ** 0.5
    assert ((found - exact).abs() <= 5 * error).all()
    assert found[0] == 0


def test_a_fitted_ratio_ignores_functions_of_x():
    x_obs, x = torch.zeros(2), torch.randn(6, 2)
    plain = FittedRatio(GaussianPosterior()).from_observation(x_obs, THETA, x)(x)
    shifted = FittedRatio(GaussianPosterior(offset=3.0)).from_observation(x_obs, THETA, x)(x)
    torch.testing.assert_close(plain, shifted)


def test_a_ratio_of_other_data_is_refused():
    with pytest.raises(ValueError, match="posterior is given x of shape"):
        FittedRatio(GaussianPosterior()).from_observation(torch.zeros(3), THETA, torch.zeros(6, 3))
    with pytest.raises(ValueError, match="x_obs has shape"):
        FittedRatio(GaussianPosterior()).from_observation(torch.zeros(2), THETA, torch.zeros(6, 3))


def test_infinite_distances_stay_infinite():
    found = finite_distances(lambda x: x[:, 0], torch.tensor([[1.0], [torch.inf], [torch.nan]]))
    assert found.tolist() == [1.0, torch.inf, torch.inf]
