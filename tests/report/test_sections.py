"""Sections: what was found, in words, and whether it is well."""

from dataclasses import replace

import pytest
import torch
from support import report_parts as parts

from lfi.diagnostics.verdict import Grade
from lfi.report.sections import (
    calibration_section,
    estimates,
    local_section,
    observation_section,
    posterior_section,
    predictive_section,
    surrogate_section,
)

GOOD, PROBLEM, NOT_ASSESSED = Grade


def posterior(draws, prior=None, truncated=None):
    theta = None if prior is None else prior.sample(50_000, seed=1)
    given = {"prior": prior, "prior_theta": theta, "truncated": truncated}
    return posterior_section(draws, **given, units={}, seed=1)


def test_equal_figures_are_equal_bytes():
    draws = parts.draws(300)
    first, again = (posterior(draws, parts.prior()).blocks[1].wide for _ in range(2))
    assert first == again


def test_estimates_are_read_as_a_sentence():
    draws = parts.draws(3, theta=torch.tensor([[1.0, 0.0, 0.5], [2.0, 0.0, 0.5], [3.0, 0.0, 0.5]]))
    text = estimates(draws, parts.units)
    assert text == "shift = 2.00 ± 0.82 m, drift = 0 ± 0 m/s and noise = 0.5 ± 0"
    per_day = estimates(draws, {"shift": "1/day"}, max_names=1)
    assert per_day.startswith("shift = 2.00 ± 0.82 per day")
    assert estimates(draws, {}, max_names=1) == "shift = 2.00 ± 0.82 and 2 more parameters"


def test_the_own_prior_is_shown_and_the_truncated_one_named():
    narrow = parts.prior().truncate([-2.0, -1.0, 0.0], [2.0, 1.0, 1.0])
    plain = posterior(parts.draws(300), parts.prior())
    both = posterior(parts.draws(300), parts.prior(), narrow)
    assert "truncated" not in plain.blocks[1].caption
    assert (
        "The dotted grey curve is the prior as rounds have truncated it, to shift in [-2, 2], "
        "drift in [-1, 1], noise in [0, 1]" in both.blocks[1].caption
    )
    table = both.blocks[0]
    sd = [float(row[table.header.index("prior sd")]) for row in table.rows]
    # of 50,000 draws: the normal law's sd errs by a standard error of sd / sqrt(2 n), 0.3%
    assert sd[:2] == [pytest.approx(3.0, rel=0.02), pytest.approx(2.0, rel=0.02)]
    shown = [row[table.header.index("prior truncated to")] for row in table.rows]
    assert shown == ["-2 to 2", "-1 to 1", "0 to 1"]


@pytest.mark.parametrize(
    "section, state",
    [
        (lambda: posterior(parts.draws(500)), GOOD),
        (lambda: posterior(parts.draws(500, khat=0.9)), PROBLEM),
        (lambda: posterior(parts.draws(500, ess=30.0)), PROBLEM),
        (lambda: calibration_section(parts.checks()), GOOD),
        (lambda: calibration_section(parts.checks(ranks=torch.rand(500, 3) ** 3)), PROBLEM),
        (lambda: calibration_section(replace(parts.checks(), ess=2.0)), NOT_ASSESSED),
        (lambda: local_section(parts.local()), GOOD),
        (lambda: local_section(parts.local(failed=[1])), PROBLEM),
        (lambda: local_section(parts.local(ess=3.0)), NOT_ASSESSED),
        (lambda: observation_section(parts.observation()), GOOD),
        (lambda: observation_section(parts.observation(failed=[0])), PROBLEM),
        (lambda: predictive_section(parts.predictive()), GOOD),
        (lambda: predictive_section(parts.predictive(p_value=0.001)), PROBLEM),
        (lambda: surrogate_section(parts.fidelity(2, statistic=0.55)), GOOD),
        (lambda: surrogate_section(parts.fidelity(2, statistic=0.7)), None),
        (lambda: surrogate_section(parts.fidelity(2, statistic=0.9)), PROBLEM),
    ],
)
def test_verdicts(section, state):
    assert section().verdict.state is state


def test_calibration_names_the_parameters_it_is_about():
    finding = calibration_section(parts.checks()).finding
    assert finding.startswith(
        "Posterior consistent with calibration, over the prior truncated to shift in [-2, 2]: 6 "
    )


def test_observations_that_fail_are_counted_and_named():
    section = local_section(parts.local(m=5, failed=[1, 4]))
    assert section.finding.startswith("Posterior wrong at 2 of 5 observations, by 500")
    assert [row[0] for row in section.blocks[1].rows if row[-1].state is PROBLEM] == ["1", "4"]
    section = observation_section(parts.observation(m=3, failed=[2]))
    assert section.finding == "1 of 3 observations unlike the simulations (smallest p = 0.001)."
    assert section.blocks[1].rows[2][2] == "3, 4"
    one = observation_section(parts.observation())
    assert one.finding.startswith("Observation consistent with the simulations")
