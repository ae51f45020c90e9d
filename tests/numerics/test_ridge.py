"""Ridge regression against scikit-learn, and leaving rows out by doing it."""

import torch
from sklearn.linear_model import LinearRegression, Ridge

from lfi.numerics.ridge import fit_ridge, left_out_predictions


def data():
    x = torch.randn(40, 3) * torch.tensor([1.0, 10.0, 0.1]) + 2
    return x, torch.stack([x.sum(1), x[:, 0].sin()], dim=1)


def test_without_a_ridge_it_is_weighted_least_squares():
    x, y = data()
    weights = torch.rand(40)
    expected = LinearRegression().fit(x, y, sample_weight=weights)
    found = fit_ridge(x, y, 0.0, weights)
    torch.testing.assert_close(found.slope.T, torch.from_numpy(expected.coef_))
    torch.testing.assert_close(found.intercept, torch.from_numpy(expected.intercept_))


def test_the_ridge_is_one_of_standardised_inputs():
    x, y = data()
    z = (x - x.mean(0)) / x.std(0, correction=0)
    expected = torch.from_numpy(Ridge(alpha=0.3 * len(x)).fit(z, y).predict(z))
    torch.testing.assert_close(fit_ridge(x, y, 0.3)(x), expected)


def test_columns_that_never_vary_have_no_influence():
    x, y = data()
    found = fit_ridge(torch.cat([x, torch.full((40, 1), 7.0)], dim=1), y, 0.0)
    assert (found.slope[-1] == 0).all()
    torch.testing.assert_close(found.slope[:-1], fit_ridge(x, y, 0.0).slope)


def test_predictions_of_rows_left_out_are_those_of_fits_without_them():
    x, y = data()
    found = left_out_predictions(x, y, 2.0)
    for i in (0, 17, 39):
        kept = torch.arange(40) != i
        fit = Ridge(alpha=2.0, fit_intercept=False).fit(x[kept], y[kept])
        torch.testing.assert_close(found[i], torch.from_numpy(fit.predict(x[i : i + 1])[0]))
