"""Records of simulations seen otherwise: some parameters, a narrower prior, two records as one."""

import numpy as np
import pytest
import scipy.stats
import torch
from torch.distributions import LogNormal, MultivariateNormal, Normal, Uniform

import lfi
from lfi.simulation import Simulations


def fragile(n=4_000, seed=1):
    """Three parameters, of which small `a` make the simulator raise, row by row."""

    def simulate(theta: np.ndarray, rng):
        if theta[0] < -1:
            raise ValueError(f"a = {theta[0]:.3f}")
        return theta + rng.standard_normal(3)

    prior = {"a": Normal(0.0, 1.0), "b": Uniform(0.0, 2.0), "c": LogNormal(0.0, 1.0)}
    return lfi.simulate(lfi.Simulator(simulate, prior=prior, batched=False), n, seed=seed)


def test_rows_inside_a_box_are_draws_of_the_truncated_prior():
    simulations = fragile()
    narrow = simulations.prior.truncate([-1.2, 0.5, 0.0], [0.5, 3.0, 2.0])
    within = simulations.within(narrow)
    inside = narrow.contains(simulations.theta)
    assert torch.equal(within.theta, simulations.theta[inside])
    assert torch.equal(within.codes, simulations.codes[inside])
    assert within.prior is narrow
    c = scipy.stats.lognorm(1.0)
    distributions = (
        scipy.stats.truncnorm(-1.2, 0.5).cdf,
        scipy.stats.uniform(0.5, 1.5).cdf,
        lambda t: c.cdf(t) / c.cdf(2.0),
    )
    for column, distribution in zip(within.theta.T, distributions, strict=True):
        # a p-value of an exact law is below 1e-3 once in a thousand seeds
        assert scipy.stats.kstest(column.numpy(), distribution).pvalue > 1e-3
    noise = (within.x - within.theta)[within.valid]
    assert scipy.stats.kstest(noise.flatten().numpy(), scipy.stats.norm.cdf).pvalue > 1e-3


def test_messages_stay_with_their_rows():
    simulations = fragile(500)
    narrow = simulations.prior.truncate([-9.0, 0.5, 0.0], [9.0, 3.0, 2.0])
    both = simulations.within(narrow) + fragile(300, seed=2).within(narrow)
    assert set(both.errors) == set(torch.where(~both.valid)[0].tolist())
    for row, text in both.errors.items():
        assert f"a = {both.theta[row, 0]:.3f}" in text
    assert len(both.errors) > 100 * scipy.stats.norm.cdf(-1)


def test_rows_are_taken_by_slices_numbers_and_masks_with_their_messages():
    simulations = fragile(60)
    low = simulations["a"] < -0.5
    rows = torch.where(low)[0]
    for index in (low, low.numpy(), low.tolist(), rows, rows.tolist(), (rows - 60).numpy()):
        some = simulations[index]
        assert torch.equal(some.theta, simulations.theta[low])
        assert torch.equal(some.codes, simulations.codes[low])
        assert set(some.errors) == set(torch.where(~some.valid)[0].tolist()) and some.errors
    assert torch.equal(simulations[-1].x, simulations[59:].x)
    assert len(simulations[[]]) == 0 and sum(1 for _ in simulations) == 60


def test_columns_are_taken_by_name():
    simulations = fragile(10)
    assert torch.equal(simulations["b"], simulations.theta[:, 1])
    frame = simulations.to_pandas()
    assert list(frame.columns) == ["a", "b", "c", "x[0]", "x[1]", "x[2]", "status"]
    assert (frame["status"] == simulations.status).all()
    assert frame["b"].tolist() == simulations["b"].tolist()


@pytest.mark.parametrize(
    ("rows", "error", "says"),
    [
        ("d", KeyError, "no parameter 'd' among a, b, c"),
        (10, IndexError, "no row 10 of 10"),
        ([0, -11], IndexError, "no row -11 of 10"),
        ([True] * 9, ValueError, r"mask has shape \(9,\), expected \(10,\)"),
        ([0.5], TypeError, "rows must be a slice, whole numbers or a mask"),
    ],
    ids=str,
)
def test_rows_and_columns_that_are_not_there_are_refused(rows, error, says):
    with pytest.raises(error, match=says):
        fragile(10)[rows]


def test_a_record_is_shown_by_shapes_ranges_and_failures():
    simulations = fragile(300)
    first, *rest = repr(simulations).splitlines()
    failed = int((~simulations.valid).sum())
    assert first.startswith("300 simulations of test_simulations (") and f"{failed} error" in first
    assert "theta (300, 3), x (300, 3)" in first
    assert "ValueError: a = " in rest[0]
    assert [line.split()[0] for line in rest[1:]] == ["parameter", "a", "b", "c", "x,"]
    b = rest[3].split()
    assert float(b[3]) == pytest.approx(float(simulations["b"].min()), rel=1e-3)
    assert repr(simulations[:0]).startswith("0 simulations")


def test_only_records_of_one_prior_and_shape_add_up():
    simulations = fragile(100)
    with pytest.raises(ValueError, match="different priors"):
        simulations + simulations.within(simulations.prior.truncate([-1, 0, 0], [1, 2, 2]))
    other = Simulations.from_arrays(simulations.theta, simulations.theta, prior=simulations.prior)
    assert len(simulations + other) == 200
    other = Simulations.from_arrays(
        simulations.theta, simulations.theta[:, :2], prior=simulations.prior
    )
    with pytest.raises(ValueError, match="shape"):
        simulations + other


def test_a_marginal_keeps_the_rows_and_forgets_the_other_parameters():
    simulations = fragile(100)
    part = simulations.marginal(["c", "a"])
    assert part.names == ("c", "a")
    assert torch.equal(part.theta, simulations.theta[:, [2, 0]])
    assert part.x is simulations.x
    assert part.errors == simulations.errors
    expected = LogNormal(0.0, 1.0).log_prob(part.theta[:, 0]) + Normal(0.0, 1.0).log_prob(
        part.theta[:, 1]
    )
    torch.testing.assert_close(part.prior.log_prob(part.theta), expected)


def test_marginals_of_truncated_priors_stay_truncated():
    prior = fragile(100).prior.truncate([-1.0, 0.5, 0.0], [1.0, 1.0, 2.0])
    assert repr(prior.marginal(["b"])) == "Prior(b in (0.5, 1), truncated)"


@pytest.mark.parametrize(
    ("names", "error", "says"),
    [
        (["a", "d"], ValueError, "no parameter 'd' among a, b, c"),
        (["a", "a"], ValueError, "different"),
        ([], ValueError, "at least one"),
        ("b", TypeError, "a list of strings, got 'b'"),
    ],
    ids=str,
)
def test_marginals_that_cannot_be_are_refused(names, error, says):
    with pytest.raises(error, match=says):
        fragile(10).marginal(names)


def test_parameters_that_depend_on_each_other_have_no_known_marginal():
    prior = lfi.simulation.as_prior(MultivariateNormal(torch.zeros(2), torch.eye(2) + 0.5))
    with pytest.raises(ValueError, match="independent"):
        prior.marginal(["theta_0"])
