"""Missing entries: which are hidden, which rows stay failed, and who refuses them."""

import pytest
import torch
from torch.distributions import Normal

import lfi

PRIOR = {"a": Normal(0.0, 1.0)}


def made(n=2_000, event=(4,)):
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(n, *event, generator=rng)
    return lfi.Simulations.from_arrays(torch.randn(n, 1, generator=rng), x, prior=PRIOR)


def test_the_number_of_hidden_entries_is_as_likely_to_be_any():
    hidden = lfi.with_missing(made(), seed=1).x.isnan().sum(1)
    counts = torch.bincount(hidden, minlength=5)
    # binomial counts of mean 400: five of their standard errors, 18 each
    assert (counts - 400).abs().max() < 5 * 18
    assert (counts > 0).all()


def test_no_row_hides_more_than_it_may_on_average_and_zero_hides_nothing():
    given = made()
    few = lfi.with_missing(given, most=0.2, seed=1).x.isnan().double().mean()
    # a mean share of .1; five standard errors of 2,000 rows of variance .023 or less
    assert abs(few - 0.1) < 5 * (0.023 / 2_000) ** 0.5
    assert torch.equal(lfi.with_missing(given, most=0.0).x, given.x)


def test_masks_are_taken_for_all_rows_for_each_and_as_they_are_drawn():
    given = made(n=5)
    one = torch.tensor([True, False, False, True])
    each = torch.eye(5, 4, dtype=torch.bool)
    drawn = lambda n, rng: torch.rand(n, 4, generator=rng) < 0.5
    assert torch.equal(lfi.with_missing(given, one).x.isnan(), one.expand(5, 4))
    assert torch.equal(lfi.with_missing(given, each.numpy()).x.isnan(), each)
    first, again = (lfi.with_missing(given, drawn, seed=3).x.isnan() for _ in range(2))
    assert torch.equal(first, again)
    assert 0 < first.sum() < 20
    kept = lfi.with_missing(given, each).x
    assert torch.equal(kept[~each], given.x[~each])


@pytest.mark.parametrize(
    "masks",
    [torch.zeros(4), torch.zeros(3, dtype=torch.bool), torch.zeros(4, 4, dtype=torch.bool)],
    ids=["numbers", "entries", "rows"],
)
def test_masks_that_do_not_fit_are_refused(masks):
    with pytest.raises(ValueError, match=r"masks must be truth values of shape \(5, 4\) or \(4,\)"):
        lfi.with_missing(made(n=5), masks)
    with pytest.raises(ValueError, match=r"masks must be truth values of shape \(5, 4\), got"):
        lfi.with_missing(made(n=5), lambda n, rng: masks)


def test_rows_that_the_simulator_left_in_part_become_valid_and_failures_stay():
    x = torch.zeros(5, 2)
    x[1, 0], x[2], x[3, 1] = torch.nan, torch.nan, torch.inf
    given = lfi.Simulations.from_arrays(torch.zeros(5, 1), x, prior=PRIOR)
    assert given.valid.tolist() == [True, False, False, False, True]
    found = lfi.with_missing(given, most=0.0)
    assert found.valid.tolist() == [True, True, False, False, True]
    assert not lfi.with_missing(given, torch.tensor([True, True])).valid[2:4].any()


def test_a_row_of_which_all_is_hidden_is_valid():
    found = lfi.with_missing(made(n=5), torch.ones(4, dtype=torch.bool))
    assert found.valid.all() and found.x.isnan().all()


def test_rows_keep_that_their_entries_may_be_missing():
    found = lfi.with_missing(made(), seed=1)
    parts = found[:10], found + made(), made() + found, found.within(found.prior)
    assert all(part.missing for part in parts)
    assert not made().missing


@pytest.mark.parametrize(
    "take",
    [
        lambda data: data.ok(),
        lambda data: lfi.SurrogateLikelihood().fit(data),
        lambda data: lfi.fit_surrogate(data),
        lambda data: lfi.abc_rejection(data, torch.zeros(4), number=5),
        lambda data: lfi.check_observation(torch.zeros(4), data),
    ],
    ids=["ok", "likelihood", "surrogate", "abc", "check"],
)
def test_who_needs_complete_data_says_so(take):
    with pytest.raises(ValueError, match="entries of x are missing, and complete ones are needed"):
        take(lfi.with_missing(made(), seed=1))
