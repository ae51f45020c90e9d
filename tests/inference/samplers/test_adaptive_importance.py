"""Adaptive importance sampling: in stages, its effective sample size against theory."""

import math
from dataclasses import replace

import pytest
import torch
from support.known_targets import conjugate, two_modes
from torch.distributions import Exponential, Independent, Normal, StudentT

from lfi.inference.samplers import adaptive_importance as stages
from lfi.inference.samplers.adaptive_importance import (
    MIN_UNRELIABLE,
    PRIOR as FROM_PRIOR,
    PROPOSAL,
    ImportanceSamples,
    StageProposal,
    _initial_samples,
    adaptive_importance,
    smoothed_samples,
    tempering_power,
)
from lfi.inference.samplers.target import Proposal, Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.numerics import effective_sample_size
from lfi.simulation import as_prior

PRIOR = as_prior(
    {"a": Normal(torch.zeros((), dtype=torch.float64), 1.0)}
    | {"b": Normal(torch.zeros((), dtype=torch.float64), 1.0)}
)


def gaussian(mean, sd, proposal=None):
    """The target whose posterior is N(mean, sd^2 I), with the weight of an exact ratio."""
    law = Independent(Normal(torch.as_tensor(mean, dtype=torch.float64), sd), 1)
    pair = lambda theta, x: law.log_prob(theta) - PRIOR.log_prob(theta)
    return Target(PRIOR, (torch.zeros(1, 1),), pair, proposal)


def found(target, target_ess, initial=2**14, max_samples=2**18):
    limit = TimeLimit.start(600.0)
    return adaptive_importance(
        target, target_ess, initial=initial, max_samples=max_samples, seed=1, limit=limit
    )


def moments(samples):
    weights = samples.log_weights.exp()
    mean = weights @ samples.u
    return mean, weights @ (samples.u - mean).square()


def test_a_wide_posterior_takes_the_initial_samples_alone():
    (one,) = found(gaussian([0.5, 0.0], 0.7), 2_000)
    assert len(one.u) == 2**14
    assert one.khat < 0.7


def test_the_effective_sample_size_is_what_theory_says():
    # posterior N(0, s^2 I) from N(0, I): E[w^2] / E[w]^2 = 1 / (s^4 (2 / s^2 - 1)) per two columns
    sd = 0.5
    (one,) = found(gaussian([0.0, 0.0], sd), 100, initial=2**16)
    share = sd**4 * (2 / sd**2 - 1)
    # the weights are bounded (by 1 / s^2 = 4), so the estimate's error is some 1 / sqrt(65,536)
    assert one.ess / len(one.u) == pytest.approx(share, rel=0.03)


@pytest.mark.parametrize("sd", [0.1, 1e-2, 1e-3, 1e-4])
def test_stages_close_in_on_posteriors_however_narrow(sd):
    """Down to a hundred millionth of the prior's mass, where no initial sample falls."""
    (one,) = found(gaussian([0.5, -1.0], sd), 5_000)
    assert one.ess > 5_000
    assert one.khat < 0.7
    assert len(one.u) < 2**17
    mean, variance = moments(one)
    assert ((mean - torch.tensor([0.5, -1.0])).abs() / sd).max() < 5 / math.sqrt(one.ess)
    assert (variance / sd**2 - 1).abs().max() < 5 * math.sqrt(2 / one.ess)
    # the ratio is exact, so its integral is 1: the mean weight errs by 1 / sqrt(ess) at the most
    assert abs(one.log_evidence) < 5 / math.sqrt(one.ess)


@pytest.mark.parametrize("sd", [0.1, 0.7])  # by mixtures, and from the prior alone
def test_stages_do_not_end_before_the_target(sd):
    (one,) = found(gaussian([0.5, 0.0], sd), 300_000, initial=2**12, max_samples=2**21)
    assert one.ess > 300_000
    assert len(one.u) < 2**20


def test_the_evidence_is_that_of_the_likelihood():
    known = conjugate(3)
    for j, one in enumerate(found(known.target, 5_000)):
        assert abs(one.log_evidence - known.log_evidence[j]) < 5 / math.sqrt(one.ess)


def test_both_modes_keep_their_share_in_a_hundredth_of_the_prior():
    (one,) = found(two_modes(0.3, sd=0.01), 5_000)
    share = one.log_weights.exp()[one.u.sum(1) > 0].sum()
    assert abs(share - 0.3) < 5 * math.sqrt(0.21 / one.ess)


def test_a_good_proposal_is_drawn_from_and_a_bad_one_does_no_harm():
    def normal(offset):
        law = Independent(Normal(torch.full((2,), offset, dtype=torch.float64), 0.02), 1)
        draw = lambda n, x, rng: (
            offset + 0.02 * torch.randn(len(x), n, 2, generator=rng, dtype=torch.float64)
        )
        return Proposal(torch.zeros(1, 1), draw, lambda theta, x: law.log_prob(theta))

    (good,) = found(gaussian([0.0, 0.0], 0.015, normal(0.0)), 3_000)
    assert len(good.u) == 2**14
    (bad,) = found(gaussian([0.0, 0.0], 0.015, normal(2.0)), 3_000)
    for one in (good, bad):
        assert one.ess > 3_000
        mean, variance = moments(one)
        assert (mean.abs() / 0.015).max() < 5 / math.sqrt(one.ess)
        assert (variance / 0.015**2 - 1).abs().max() < 5 * math.sqrt(2 / one.ess)


def test_draws_of_a_proposal_outside_the_support_weigh_nothing():
    target = two_modes()
    wide = Independent(Normal(torch.zeros(2, dtype=torch.float64), 2.0), 1)
    draw = lambda n, x, rng: 2 * torch.randn(len(x), n, 2, generator=rng, dtype=torch.float64)
    proposal = Proposal(torch.zeros(1, 1), draw, lambda theta, x: wide.log_prob(theta))
    (one,) = found(Target(target.prior, target.x, target.pair, proposal), 3_000)
    share = one.log_weights.exp()[one.u.sum(1) > 0].sum()
    assert abs(share - 0.3) < 5 * math.sqrt(0.21 / one.ess)


def test_observations_that_are_done_at_different_stages_keep_their_places():
    """The weights of x are of a posterior N(x, |x|^2): wide first, narrow in the middle."""
    x = torch.tensor([[1.0], [0.01], [0.5]], dtype=torch.float64)

    def pair(theta, x):
        return Independent(Normal(x, x.abs()), 1).log_prob(theta) - PRIOR.log_prob(theta)

    parts = found(Target(PRIOR, (x,), pair), 2_000)
    assert len({len(one.u) for one in parts}) > 1
    for place, one in zip(x, parts, strict=True):
        mean, _ = moments(one)
        assert ((mean - place).abs() / place).max() < 5 / math.sqrt(one.ess)


def near(mean, sd, m=1):
    """A proposal of N(mean, sd^2 I) for m observations."""

    def draw(n, x, rng):
        return mean + sd * torch.randn(len(x), n, 2, generator=rng, dtype=torch.float64)

    law = Independent(Normal(torch.full((2,), mean, dtype=torch.float64), sd), 1)
    return Proposal(torch.zeros(m, 1), draw, lambda theta, x: law.log_prob(theta))


def test_more_samples_of_a_proposal_are_weighted_with_those_before():
    """As many as are missing, and no second evaluation of what was evaluated."""
    sizes = []

    def pair(theta, x):
        sizes.append(theta.shape[1])
        return posterior.log_prob(theta) - PRIOR.log_prob(theta)

    posterior = Independent(Normal(torch.zeros(2, dtype=torch.float64), 0.1), 1)
    target = Target(PRIOR, (torch.zeros(1, 1),), pair, near(0.0, 0.2))
    (one,) = found(target, 10_000, initial=2**10)
    assert sum(sizes) == len(one.u)
    # E[w]^2 / E[w^2] of N(0, s^2) from N(0, 4 s^2) is 7 / 16 in two columns
    assert 10_000 < one.ess < 1.3 * 10_000
    assert len(one.u) < 1.3 * 10_000 * 16 / 7
    mean, variance = moments(one)
    assert (mean.abs() / 0.1).max() < 5 / math.sqrt(one.ess)
    assert (variance / 0.01 - 1).abs().max() < 5 * math.sqrt(2 / one.ess)


def test_observations_that_need_few_samples_are_not_drawn_as_many_as_others():
    """Of posteriors of three widths, beside a proposal of the second's, each takes its own."""
    sd = torch.tensor([[0.2], [0.1], [0.05]], dtype=torch.float64)

    def pair(theta, sd):
        law = Independent(Normal(torch.zeros(2, dtype=torch.float64), sd), 1)
        return law.log_prob(theta) - PRIOR.log_prob(theta)

    target = Target(PRIOR, (sd,), pair, near(0.0, 0.21, m=3))
    together = [len(one.u) for one in found(target, 3_000, initial=2**10)]
    rows = [target.select(torch.tensor([j])) for j in range(3)]
    alone = [len(found(row, 3_000, initial=2**10)[0].u) for row in rows]
    assert alone[0] < alone[1] < alone[2]
    # samples needed are estimated from those before: within a tenth
    assert all(abs(a / b - 1) < 0.1 for a, b in zip(alone, together, strict=True))


def test_a_mixture_is_tried_before_many_samples_of_a_proposal():
    """Its samples are few where it is better, and the proposal is evaluated at no more of them."""
    sizes = []

    def pair(theta, x):
        sizes.append(theta.shape[1])
        return posterior.log_prob(theta) - PRIOR.log_prob(theta)

    posterior = Independent(Normal(torch.zeros(2, dtype=torch.float64), 0.1), 1)
    # E[w]^2 / E[w^2] of N(0, s^2) from N(0, 6.25 s^2) is .29 in two columns: 68,000 samples alone
    own, seen = near(0.0, 0.25), []
    counted = replace(own, log_density=lambda t, x: seen.append(t.shape) or own.log_density(t, x))
    target = Target(PRIOR, (torch.zeros(1, 1),), pair, counted)
    (one,) = found(target, 20_000)
    assert one.ess > 20_000 and sum(sizes) < 20_000 / 0.5 + 2 * 2**13
    assert max(shape[1] for shape in seen) <= 2**13 and len(seen) == 3
    mean, variance = moments(one)
    assert (mean.abs() / 0.1).max() < 5 / math.sqrt(one.ess)
    assert (variance / 0.01 - 1).abs().max() < 5 * math.sqrt(2 / one.ess)


def test_few_draws_take_small_mixtures():
    """For an effective sample size of 250 a mixture need not draw thousands of samples."""
    (one,) = found(gaussian([0.0, 0.0], 0.02, near(0.7, 0.02)), 250, initial=2**11)
    assert one.ess > 250 and len(one.u) < 2**11 + 2 * 2**11 + 2
    mean, _ = moments(one)
    assert (mean.abs() / 0.02).max() < 5 / math.sqrt(one.ess)


def test_unreliable_weights_of_a_large_effective_sample_size_are_mended_by_a_mixture():
    """A proposal that all but misses a twentieth of the mass: its k is high until a mixture."""
    low, high = (Independent(Normal(torch.full((2,), m).double(), 0.1), 1) for m in (0.0, 0.7))
    law = lambda t: torch.logaddexp(low.log_prob(t) + math.log(0.95), high.log_prob(t) - 3.0)
    pair = lambda theta, x: law(theta) - PRIOR.log_prob(theta)
    target = Target(PRIOR, (torch.zeros(1, 1),), pair, near(0.0, 0.11))
    (one,) = found(target, 3_000)
    assert one.khat < 0.7
    share = one.log_weights.exp()[one.u.sum(1) > 0.7].sum()
    exact = math.exp(-3.0) / (0.95 + math.exp(-3.0))
    assert abs(share - exact) < 5 * math.sqrt(exact / one.ess)


def test_a_pareto_k_of_few_samples_is_looked_at_again():
    """Student's t of 3 degrees by a normal proposal: of few samples k is above .7 now and then."""
    heavy = Independent(StudentT(torch.full((2,), 3.0, dtype=torch.float64), 0.0, 0.1), 1)
    pair = lambda theta, x: heavy.log_prob(theta) - PRIOR.log_prob(theta)
    target = Target(PRIOR, (torch.zeros(100, 1),), pair, near(0.0, 0.1, 100))
    limit = TimeLimit.start(600.0)
    ends = adaptive_importance(target, 100, initial=2**9, max_samples=2**18, seed=1, limit=limit)
    assert all(one.khat <= 0.7 or len(one.u) >= 2**13 for one in ends)
    assert len({len(one.u) for one in ends}) > 1


def test_an_impossible_observation_is_refused_by_its_number():
    target = conjugate(2).target
    lost = lambda theta, x: torch.where(x[..., 0] < 0, -torch.inf, target.pair(theta, x))
    with pytest.raises(ValueError, match="observation 1 is zero at all of 4096"):
        found(Target(target.prior, target.x, lost), 10, initial=4096)


def test_tempered_weights_have_the_effective_size_asked_for():
    log_weights = -torch.linspace(0, 100, 2_000)[None]
    power = tempering_power(log_weights, 500.0)
    assert effective_sample_size(power[:, None] * log_weights).item() == pytest.approx(
        500, rel=1e-3
    )


# Weights, exactly.


def test_samples_of_all_stages_are_weighted_as_of_their_mixture():
    target, q = gaussian([0.3, 0.0], 0.5, near(0.2, 0.7)), Normal(torch.tensor(0.2), 0.7)
    first = _initial_samples(target, 10, seed=1)
    more = first.continued(target, 1, 15, seed=2)
    for samples, counts in ((first, (5, 5)), (more, (5, 20))):
        u = samples.u
        assert tuple(stage.count for stage in samples.stages) == counts
        assert samples.stage_of.tolist() == [0] * 5 + [1] * counts[1]
        at_q, at_prior = q.log_prob(u).sum(-1), PRIOR.log_prob(u)
        torch.testing.assert_close(samples.log_proposals, torch.stack([at_prior, at_q]))
        of_mixture = (counts[0] * at_prior.exp() + counts[1] * at_q.exp()) / sum(counts)
        at_target = Normal(torch.tensor([0.3, 0.0]), 0.5).log_prob(u).sum(-1)
        torch.testing.assert_close(samples.log_weights, at_target - of_mixture.log())
        own = (at_target - at_q).exp()[:, 5:]
        expected = own.sum(1).square() / own.square().sum(1) / counts[1]
        torch.testing.assert_close(samples.relative_ess(1), expected)
    assert torch.equal(more.u[:, :10], first.u)
    alone = _initial_samples(gaussian([0.0, 0.0], 0.5), 10, seed=1)
    assert [stage.count for stage in alone.stages] == [10]
    torch.testing.assert_close(alone.log_weights, alone.log_weight)  # of the prior alone
    assert [stage.count for stage in _initial_samples(target, 1, seed=1).stages] == [1, 1]
    one = Target(
        as_prior({"a": Normal(0.0, 1.0)}), target.x, lambda theta, x: 3 + 0 * theta[..., 0]
    )
    torch.testing.assert_close(
        _initial_samples(one, 4, seed=1).log_weights.double(), 3 + 0 * u[:, :4, 0]
    )


def test_samples_without_a_stage_are_those_of_the_others():
    target = gaussian([0.3, 0.0], 0.5, near(0.2, 0.7))
    more = StageProposal(FROM_PRIOR, None, 7)
    whole = _initial_samples(target, 10, seed=1).extended(target, more, seed=2)
    for place, kept in ((0, (1, 2)), (1, (0, 2)), (2, (0, 1))):
        rest, rows = whole.without(place), whole.stage_of != place
        assert [stage.count for stage in rest.stages] == [(5, 5, 7)[stage] for stage in kept]
        assert torch.equal(rest.u, whole.u[:, rows])
        assert torch.equal(rest.log_proposals, whole.log_proposals[list(kept)][:, :, rows])
        for now, before in enumerate(kept):
            assert ((rest.stage_of == now) == (whole.stage_of[rows] == before)).all()
            assert torch.equal(rest.relative_ess(now), whole.relative_ess(before))
    nothing = replace(whole, log_weight=torch.full_like(whole.log_weight, -torch.inf))
    assert nothing.relative_ess(1).tolist() == [0.0]


def test_the_density_of_a_proposal_is_one_of_unconstrained_samples():
    """Of theta ~ Exponential(2) with any bijection of the positive numbers, it integrates to 1."""
    prior, law = as_prior({"size": Exponential(1.0)}), Exponential(2.0)
    proposal = Proposal(torch.zeros(1, 1), lambda *_: None, lambda t, x: law.log_prob(t[..., 0]))
    target = Target(prior, (torch.zeros(1, 1),), lambda theta, x: 0 * theta[..., 0], proposal)
    u = torch.linspace(-40.0, 10.0, 2_001)[None, :, None].to(prior.dtype)
    density = StageProposal(PROPOSAL, None, 1).log_density(target, u, torch.zeros(1, 2_001)).exp()
    assert torch.trapezoid(density[0], u[0, :, 0]) == pytest.approx(1)


def test_samples_outside_the_support_weigh_nothing_and_the_others_as_they_should():
    given, drawn = two_modes(), []

    def draw(n, x, rng):
        drawn.append(2 * torch.randn(len(x), n, 2, generator=rng, dtype=torch.float64))
        return drawn[-1]

    proposal = Proposal(torch.zeros(1, 1), draw, lambda theta, x: 0 * theta[..., 0])
    flat = Target(given.prior, given.x, lambda theta, x: 0 * theta[..., 0], proposal)
    weights = _initial_samples(flat, 200, seed=1).log_weight.exp()
    inside = (drawn[0].abs() < 1).all(-1)
    assert 0 < inside.sum() < 50
    assert torch.equal(weights, torch.cat([torch.ones(1, 100), inside.double()], 1))


# Stages: what is asked of each, and where they end.


def staged(monkeypatch, target, target_ess, *, more=2**12, **changes):
    """What is found where each further stage draws of the prior, and what was asked of these."""
    asked = []

    def extended(samples, target, missing, refit, least, room, seed):
        asked.append((samples, missing, refit, least, room))
        stage = StageProposal(FROM_PRIOR, None, min(more, room))
        yield torch.arange(len(target)), samples.extended(target, stage, seed)

    monkeypatch.setattr(stages, "_extended", extended)
    arguments = {"initial": 2**12, "max_samples": 2**20, "limit": TimeLimit.start(600.0)}
    return adaptive_importance(target, target_ess, seed=1, **(arguments | changes)), asked


@pytest.mark.parametrize(
    ("target_ess", "least"), [(100.0, 2_048), (1_000.0, 8_000), (7_000.0, 8_192)]
)
def test_stages_are_asked_for_what_is_missing_until_weights_are_reliable(
    target_ess, least, monkeypatch
):
    """As many effective samples again where they suffice, but their Pareto k is too large."""
    real, cases = smoothed_samples, set()
    unreliable = lambda *given, late: replace(real(*given, late=late), khat=1.0)
    monkeypatch.setattr(stages, "smoothed_samples", unreliable)
    (one,), asked = staged(monkeypatch, gaussian([0.5, 0.0], 0.7), target_ess)
    assert [len(samples.stages) for samples, *_ in asked] == [1, 2, 3, 4, 5, 6]
    assert len(one.u) == 7 * 2**12
    for samples, missing, refit, size, room in asked:
        ess, held = effective_sample_size(samples.log_weights), samples.u.shape[1]
        expected = target_ess - ess if ess < target_ess else ess
        torch.testing.assert_close(missing, expected.reshape(1))
        assert refit.tolist() == [bool(ess >= target_ess) and held >= MIN_UNRELIABLE]
        assert (size, room) == (least, 2**20 - held)
        cases.add((bool(ess >= target_ess), held >= MIN_UNRELIABLE))
    seldom = {(True, False)} if target_ess < 7_000 else {(False, False), (False, True)}
    assert cases == {(True, True)} | seldom


def test_stages_end_with_the_samples_that_there_may_be_and_after_so_many(monkeypatch):
    narrow = gaussian([0.5, 0.0], 0.01)
    (one,), asked = staged(monkeypatch, narrow, 1e9, max_samples=2**12 + 1)
    assert (len(one.u), len(asked)) == (2**12 + 1, 1)
    monkeypatch.setattr(stages, "MAX_STAGES", 3)
    (one,), asked = staged(monkeypatch, narrow, 1e9)
    assert (len(one.u), len(asked)) == (3 * 2**12, 2)


@pytest.mark.parametrize(
    ("target_ess", "seconds", "timed_out"), [(100, 1.0, False), (1e6, 1.0, True), (1e6, 1e9, False)]
)
def test_time_has_run_out_only_where_more_was_asked_for(target_ess, seconds, timed_out):
    limit = replace(TimeLimit.start(seconds), begin=TimeLimit.start(1.0).begin - 10)
    (one,) = adaptive_importance(
        gaussian([0.5, 0.0], 0.7), target_ess, initial=2**10, max_samples=2**10, seed=1, limit=limit
    )
    assert one.timed_out is timed_out


@pytest.mark.parametrize(("held", "parts"), [(2**11, [2, 1]), (1, [1, 1, 1]), (2**20, [3])])
def test_samples_of_few_observations_are_held_at_a_time(held, parts, monkeypatch):
    sizes = []

    def initial(target, *given):
        sizes.append(len(target))
        return _initial_samples(target, *given)

    monkeypatch.setattr(stages, "_initial_samples", initial)
    monkeypatch.setattr(stages, "MAX_HELD", held)
    assert len(found(conjugate(3, sd=2.0).target, 10, initial=2**10)) == 3
    assert sizes == parts


def test_the_evidence_is_the_mean_weight():
    found = smoothed_samples(torch.zeros(4, 1), torch.tensor([0.0, 2.0, 4.0, 6.0]).log(), late=True)
    assert found.log_evidence == pytest.approx(math.log(3))
    assert found.ess == pytest.approx(144 / 56)
    assert found.timed_out
    assert not smoothed_samples(torch.zeros(4, 1), torch.zeros(4), late=False).timed_out


def test_moments_are_those_of_the_points_drawn():
    u, rng = torch.tensor([[0.0, 5.0], [2.0, 1.0], [9.0, 9.0]]), torch.Generator()
    samples = ImportanceSamples(u, torch.tensor([0.5, 0.5, 0.0]).log(), 0.0, 2.0, 0.0, False)
    points, mean, sd = samples.resampled_moments(4, rng)
    assert sorted(points.tolist()) == [[0.0, 5.0]] * 2 + [[2.0, 1.0]] * 2
    torch.testing.assert_close(mean, torch.tensor([1.0, 3.0]))
    torch.testing.assert_close(sd, torch.tensor([4 / 3, 16 / 3]).sqrt())
    alone = ImportanceSamples(u, torch.tensor([1.0, 0.0, 0.0]).log(), 0.0, 1.0, 0.0, False)
    # of points that do not vary, a millionth of their size
    torch.testing.assert_close(alone.resampled_moments(4, rng)[2], torch.tensor([1e-6, 5e-6]))


def test_weights_that_are_no_numbers_are_refused():
    target = conjugate(2).target
    for value, name in ((torch.nan, "NaN or infinite at [1-9]"), (torch.inf, "NaN or infinite at")):
        broken = lambda theta, x, value=value: torch.where(
            x[..., 0] < 0, value, target.pair(theta, x)
        )
        with pytest.raises(ValueError, match=f"observation 1 is {name}"):
            found(Target(target.prior, target.x, broken), 10, initial=64)
