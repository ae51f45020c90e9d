"""The checks together: wrong posteriors are flagged, the right one at the stated rate.

The whole table, of more mistakes and repetitions, is tests/benchmarks/wrong_posteriors.py's.
"""

import pytest
import torch
from support.exact_posterior import GaussianFlow, held_out

from lfi.diagnostics import check, local_check

PLACES = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
WRONG = {
    "narrow": {"scale": 0.6},
    "wide": {"scale": 1.6},
    "shifted": {"shift": 0.6},
    "correlated": {"correlation": 0.8},
    "the prior": {"informed": False},
}


def flagged(posterior, repetitions, n, alpha):
    """How often each check flags the posterior, (1 + places,)."""
    counts = torch.zeros(1 + len(PLACES))
    for seed in range(repetitions):
        data = held_out(n, 500 + seed)
        how = {"draws": 64, "seed": seed, "alpha": alpha}
        counts[0] += bool(check(posterior, data, **how).failed)
        counts[1:] += local_check(posterior, data, PLACES, refits=99, **how).p_value < alpha
    return counts


@pytest.mark.slow
def test_a_right_posterior_is_flagged_at_the_stated_rate_at_most():
    repetitions, alpha = 150, 0.1
    counts = flagged(GaussianFlow(), repetitions, 200, alpha)
    # binomial, within 4 standard errors above; Bonferroni's correction makes `check` rarer
    assert (counts < repetitions * alpha + 4 * (repetitions * alpha * (1 - alpha)) ** 0.5).all()
    assert (counts[1:] > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("mistake", WRONG.values(), ids=list(WRONG))
def test_a_wrong_posterior_is_flagged_nearly_always_on_average_and_where_it_is_asked_about(mistake):
    repetitions = 10
    counts = flagged(GaussianFlow(**mistake), repetitions, 500, 0.05)
    # of 10, a power of 0.95 gives 7 or fewer once in 90 times
    assert (counts >= 8).all(), counts
