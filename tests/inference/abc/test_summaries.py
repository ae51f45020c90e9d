"""Summaries: scaled by robust spreads, whatever the units; fitted ones estimate parameters."""

import pytest
import torch
from scipy.stats import median_abs_deviation
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

import lfi
from lfi.inference.abc.summaries import (
    cmad,
    mad,
    pcmad,
    summarised,
)

THETA = torch.zeros(101, 1)


def test_spreads_are_medians_of_deviations():
    s, s_obs = torch.randn(101, 4), torch.randn(4)
    plain = torch.from_numpy(median_abs_deviation(s.numpy(), axis=0))
    missed = (s - s_obs).abs().quantile(0.5, dim=0)
    torch.testing.assert_close(mad(s, s_obs), plain)
    torch.testing.assert_close(cmad(s, s_obs), plain + missed)


def test_one_summary_that_is_off_is_counted_less_and_many_are_not():
    s, far = torch.randn(101, 4), torch.zeros(4)
    far[0] = 9.0
    torch.testing.assert_close(pcmad(s, far), cmad(s, far))
    far[1] = 9.0
    torch.testing.assert_close(pcmad(s, far), mad(s, far))


def test_the_distance_is_the_scaled_euclidean_one():
    x, x_obs = torch.randn(101, 3), torch.randn(3)
    found = lfi.abc.Summaries(scale=mad).from_observation(x_obs, THETA, x)(x)
    scaled = (x - x_obs) / torch.from_numpy(median_abs_deviation(x.numpy(), axis=0))
    torch.testing.assert_close(found, scaled.square().sum(dim=1).sqrt())


@pytest.mark.parametrize("distance", [lfi.abc.Summaries(), lfi.abc.SemiAutomatic()])
def test_units_and_origins_of_x_do_not_matter(distance):
    theta = torch.randn(101, 2)
    x = theta @ torch.randn(2, 3) + 0.3 * torch.randn(101, 3)
    x_obs, scale, shift = torch.randn(3), torch.tensor([1e-3, 1.0, 50.0]), torch.randn(3)
    other = x * scale + shift
    torch.testing.assert_close(
        distance.from_observation(x_obs, theta, x)(x),
        distance.from_observation(x_obs * scale + shift, theta, other)(other),
        rtol=1e-6,
        atol=1e-9,
    )


def test_a_summary_that_never_varies_divides_by_nothing():
    x = torch.cat([torch.randn(101, 1), torch.ones(101, 1)], dim=1)
    found = lfi.abc.Summaries().from_observation(torch.tensor([0.0, 1.0]), THETA, x)(x)
    assert found.isfinite().all()


def test_simulations_without_finite_summaries_are_far_and_teach_nothing():
    x = torch.randn(101, 2).abs()
    broken = torch.cat([x, -x[:5]])
    distance = lfi.abc.Summaries(torch.log)
    measure = distance.from_observation(torch.ones(2), torch.zeros(106, 1), broken)
    torch.testing.assert_close(measure(x), distance.from_observation(torch.ones(2), THETA, x)(x))
    assert measure(broken)[101:].isnan().all()
    fitted = lfi.abc.SemiAutomatic(torch.log)
    theta = torch.randn(106, 1)
    torch.testing.assert_close(
        fitted.from_observation(torch.ones(2), theta, broken)(x),
        fitted.from_observation(torch.ones(2), theta[:101], x)(x),
    )
    with pytest.raises(ValueError, match="no simulation"):
        fitted.fit_from_data(theta[101:], broken[101:])


def test_fitted_summaries_by_linear_regression_are_those_of_least_squares():
    theta, x = torch.randn(101, 2), torch.randn(101, 3)
    x[:, :2] += theta
    by_name = lfi.abc.SemiAutomatic(regression=LinearRegression()).fit_from_data(theta, x)(x)
    design = torch.cat([x, torch.ones(101, 1)], dim=1)
    fitted = design @ torch.linalg.lstsq(design, theta).solution
    torch.testing.assert_close(by_name, fitted)


def test_the_default_regression_is_ridge_on_robust_features_and_squares():
    theta, x = torch.randn(101, 1), torch.randn(101, 2)
    z = torch.asinh((x - x.median(dim=0).values) / mad(x, x[0]))
    z = torch.cat([z, z.square()], dim=1)
    z = (z - z.mean(dim=0)) / z.std(dim=0, correction=0)
    augmented = torch.cat([z, (101 * 0.5) ** 0.5 * torch.eye(4)])
    target = torch.cat([theta - theta.mean(), torch.zeros(4, 1)])
    expected = theta.mean() + z @ torch.linalg.lstsq(augmented, target).solution
    torch.testing.assert_close(
        lfi.abc.SemiAutomatic(ridge=0.5).fit_from_data(theta, x)(x), expected
    )


def test_regressors_of_one_output_and_nonlinear_ones_are_taken():
    theta = torch.linspace(-1, 1, 101)[:, None]
    tree = lfi.abc.SemiAutomatic(regression=DecisionTreeRegressor(random_state=0))
    torch.testing.assert_close(tree.fit_from_data(theta, theta.sin())(theta.sin()), theta)


def test_estimates_of_the_parameter_are_what_counts():
    theta = torch.randn(2_000, 1)
    x = torch.cat([theta + 0.1 * torch.randn(2_000, 1), 100 * torch.randn(2_000, 9)], dim=1)
    distances = lfi.abc.SemiAutomatic().from_observation(torch.zeros(10), theta, x)(x)
    near = theta[distances.argsort()[:50], 0].std()
    blind = theta[
        lfi.abc.Summaries().from_observation(torch.zeros(10), theta, x)(x).argsort()[:50], 0
    ].std()
    assert near < 0.2 < blind


def test_summaries_that_lose_rows_or_observations_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="must keep the rows"):
        summarised(lambda x: x.mean(dim=0)[None], torch.zeros(5, 2))
    with pytest.raises(ValueError, match="x_obs has shape"):
        lfi.abc.Summaries().from_observation(torch.zeros(3), THETA, torch.zeros(101, 2))
    with pytest.raises(ValueError, match="not finite"):
        lfi.abc.Summaries(torch.log).from_observation(-torch.ones(2), THETA, torch.ones(101, 2))
