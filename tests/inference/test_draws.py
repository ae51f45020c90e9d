"""Draws: what they hold, what they refuse, and their ways out."""

import arviz
import numpy as np
import pytest
import scipy.stats
import torch

from lfi.inference.draws import Draws, WeightedDraws


def draws():
    theta = torch.tensor([[1.0, 2.0, 3.0], [1.0, 5.0, 6.0]])
    r_hat = torch.tensor([1.0, 1.1, 1.2])
    return Draws(theta, ("a", "b", "c"), "smc", 2.0, 10, 0.1, 1, r_hat=r_hat)


def test_marginals_are_columns_in_the_order_asked_for():
    some = draws().marginal(["c", "a"])
    assert some.names == ("c", "a")
    assert torch.equal(some.theta, torch.tensor([[3.0, 1.0], [6.0, 1.0]]))
    assert torch.equal(some.r_hat, torch.tensor([1.2, 1.0]))
    assert draws().marginal(["a"]).unique == 1


def test_marginals_of_unknown_parameters_are_refused():
    with pytest.raises(ValueError, match="no parameter 'd' among a, b, c"):
        draws().marginal(["a", "d"])


def normal_draws(n=2_000):
    """Draws of a standard normal and of an exponential law, on their quantiles, in any order."""
    levels = (np.arange(n) + 0.5) / n
    columns = [scipy.stats.norm.ppf(levels), scipy.stats.expon.ppf(levels)[::-1]]
    order = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    theta = torch.tensor(np.stack(columns, 1))[order]
    return Draws(theta, ("a", "b"), "direct", float(n), n, 0.1, 1)


def test_draws_become_data_frames_and_columns_by_name():
    """Line 13 of a first day: draws had no way out."""
    frame = normal_draws().to_pandas()
    assert list(frame.columns) == ["a", "b"] and len(frame) == len(normal_draws()) == 2_000
    assert (frame["b"].to_numpy() == normal_draws()["b"].numpy()).all()
    with pytest.raises(KeyError, match="no parameter 'c' among a, b"):
        normal_draws()["c"]


def test_a_summary_is_that_of_the_law():
    table = normal_draws().summary(mass=0.9)
    assert list(table.columns) == [
        "mean", "sd", "2.5%", "50%", "97.5%", "hdi_5%", "hdi_95%", "ess",
    ]  # fmt: skip
    normal, exponential = scipy.stats.norm(), scipy.stats.expon()
    levels = [0.025, 0.5, 0.975]
    # 2,000 quantiles: ends of intervals err by at most 1 / (n density), 5e-4 / .05; the exponential
    # law's mean and sd lack what is beyond the last quantile, of the order log(n) / n.
    expected = [0.0, 1.0, *normal.ppf(levels), *normal.interval(0.9), 2_000]
    np.testing.assert_allclose(table.loc["a"], expected, atol=0.01)
    expected = [1.0, 1.0, *exponential.ppf(levels), 0.0, exponential.ppf(0.9), 2_000]
    np.testing.assert_allclose(table.loc["b"], expected, atol=0.02)


def test_a_summary_tells_r_hat_where_chains_made_the_draws():
    assert draws().summary()["r_hat"].tolist() == pytest.approx([1.0, 1.1, 1.2])
    assert np.isnan(
        Draws(torch.zeros(1, 1), ("a",), "smc", 1.0, 1, 0.1, 1).summary().loc["a", "sd"]
    )


def test_arviz_is_content_with_the_chains_of_independent_draws(capfd, recwarn):
    """Line 22 of a first day: ArviZ refuses to judge the draws of one chain."""
    data = normal_draws().to_arviz()
    table = arviz.summary(data)
    arviz.plot_pair(data)
    assert not recwarn.list and "validation failed" not in "".join(capfd.readouterr())
    # R-hat of independent draws in 4 chains of 500 is 1 + O(1/500)
    assert (table["r_hat"] - 1).abs().max() <= 0.011
    # an ESS estimated from n independent draws errs by a few percent
    assert (table["ess_bulk"] > 1_700).all()
    assert abs(table.loc["b", "mean"] - 1) < 0.01


@pytest.mark.parametrize(("n", "shape"), [(2_000, (4, 500)), (999, (3, 333)), (7, (1, 7))])
def test_no_draw_is_lost_in_the_export_and_their_order_stays(n, shape):
    theta = torch.arange(float(n))[:, None]
    data = Draws(theta, ("a",), "direct", n, n, 0.1, 1).to_arviz()
    assert data.posterior["a"].shape == shape
    assert data.posterior["a"].values.ravel().tolist() == theta[:, 0].tolist()
    assert data.posterior.attrs["sampler"] == "direct"


def test_draws_are_shown_by_moments_and_diagnostics():
    text = repr(draws())
    assert text.startswith("2 draws of a, b, c by smc")
    assert "effective sample size 2, 2 unique, R-hat at most 1.200, seed 1" in text
    assert [line.split()[0] for line in text.splitlines()[2:]] == ["parameter", "a", "b", "c"]
    assert "<th>sd</th>" in draws()._repr_html_()


def test_weighted_draws_are_shown_by_their_effective_sizes():
    weighted = WeightedDraws(torch.zeros(4, 1), torch.full((2, 4), 0.25).log())
    assert repr(weighted).splitlines()[1].strip() == "effective sample sizes 4.0 to 4.0"
