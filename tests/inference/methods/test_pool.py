"""The default: weights against known answers, and what is said of the choice."""

import math
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
import torch
from support.conjugate import ExactCritic, model, posterior
from torch.distributions import Normal

import lfi
from lfi.comparison import Recovers
from lfi.inference import RatioPosterior
from lfi.inference.methods.pool import pooled
from lfi.inference.methods.stacking_table import (
    HeldOutSamples,
    StackingTable,
    bagged_weights,
    best_weights,
    pool_weights,
    sparse_weights,
)
from lfi.inference.posteriors.pooled import PooledPosterior
from lfi.inference.samplers.defensive import DefensiveSamples
from lfi.training import Fold

LOG_4 = math.log(4)
X_OBS = torch.tensor([0.8, -0.5])
QUICK = (
    lfi.PosteriorFlow(gaussian_steps=1, settings=lfi.TrainSettings(steps=1), width=8),
    lfi.SurrogateLikelihood(
        proposal=None, gaussian_steps=1, settings=lfi.TrainSettings(steps=1), width=8
    ),
    lfi.NeuralRatio(settings=lfi.TrainSettings(steps=40), width=16),
)


@pytest.fixture(scope="module")
def fitted():
    method = lfi.Pool(QUICK)
    with pytest.MonkeyPatch.context() as patch:  # or the ratio would not be fitted
        patch.setattr("lfi.inference.methods.pool.agree", lambda *_: False)
        return lfi.fit_posterior(lfi.simulate(model(), 4_000, seed=1), method=method, seed=1)


def table(*log_weights, m=2_000, c=400):
    """theta ~ N(0, 1), x = theta + N(0, 1): members as functions of theta (m, c) and x (m, 1)."""
    theta = torch.randn(m, c)
    x = theta[:, :1] + torch.randn(m, 1)
    values = torch.stack([f(theta, x) for f in log_weights])
    return StackingTable(values, torch.zeros(m, c), Normal(0.0, 1.0).log_prob(theta[:, 0]))


def known_posterior():
    return RatioPosterior(ExactCritic(), model().prior, Recovers.RATIO, (2,))


def exact(theta, x):
    return -(x - theta).square() / 2


# Weights.


def test_the_table_knows_the_density_of_an_exact_member():
    known = table(exact)
    entropy = math.log(2 * math.pi * math.e / 2) / 2  # of N(x / 2, 1 / 2)
    got = known.densities(torch.ones(1))
    assert abs(got.mean() + entropy) < 5 * got.std() / math.sqrt(len(got))


def test_what_is_said_in_a_function_of_x_alone_counts_for_nothing():
    plain, shifted = table(exact), table(lambda theta, x: exact(theta, x) + 7 * x)
    torch.manual_seed(1)
    assert plain.densities(torch.ones(1)).shape == (2_000,)
    moved = StackingTable(plain.log_weights + torch.randn(1, 2_000, 1), plain.base, plain.log_prior)
    torch.testing.assert_close(moved.densities(torch.ones(1)), plain.densities(torch.ones(1)))
    assert shifted.densities(torch.ones(1)).mean() == pytest.approx(
        plain.densities(torch.ones(1)).mean().item(), abs=0.1
    )


def test_an_exact_member_gets_all_the_weight_beside_noise():
    weights = best_weights(table(exact, lambda theta, x: torch.sin(9 * theta)))
    assert weights[0] == pytest.approx(1, abs=0.1)
    assert weights[1] < 0.1


@pytest.mark.parametrize("power", [0.5, 2.0])
def test_a_member_that_is_too_sure_or_not_enough_is_tempered(power):
    weights = best_weights(table(lambda theta, x: power * exact(theta, x)))
    # Fisher information of 2,000 simulations about the power is about half of each: 5 / sqrt(1000)
    assert weights[0] * power == pytest.approx(1, abs=0.16)


def test_members_that_err_apart_are_averaged():
    left = lambda theta, x: exact(theta, x) + 0.8 * torch.sin(3 * theta)
    right = lambda theta, x: exact(theta, x) - 0.8 * torch.sin(3 * theta)
    weights = best_weights(table(left, right))
    assert (weights - 0.5).abs().max() < 0.1


def test_members_of_slight_weight_are_left_out_and_the_best_can_be_taken_alone():
    known = table(exact, lambda theta, x: torch.sin(9 * theta))
    members = [known_posterior(), known_posterior()]
    pool = pooled(members, ("exact", "noise"), known, (1.0, 2.0), combine=False, seed=1)
    assert pool.members == (members[0],)
    assert pool.weights == (1.0,)
    assert pool.choice.scores[0] == pytest.approx(pool.choice.score)
    assert pool.choice.scores[1] < pool.choice.score


def test_a_member_that_the_others_make_up_for_is_left_out():
    """Of slight and opposite errors: by one alone the mean is off by .05, .0025 nats."""
    tilted = lambda by: lambda theta, x: exact(theta, x) + by * theta
    doubles = table(tilted(0.1), tilted(-0.1))
    assert (best_weights(doubles) > 0.05).all()
    assert (sparse_weights(doubles) > 0).sum() == 1
    apart = table(tilted(0.5), tilted(-0.5))  # off by .25, .06 nats
    assert (sparse_weights(apart) > 0.3).all()
    # of three, one to each side make up for each other
    three = table(tilted(0.5), tilted(-0.5), tilted(-0.4), m=500, c=100)
    assert (best_weights(three) > 0.05).all()
    weights = sparse_weights(three)
    assert (weights > 0.3).sum() == 2 == (weights > 0).sum()
    assert weights[0] > 0.3


def test_where_no_member_tells_anything_the_least_bad_has_to_do():
    known = table(lambda theta, x: 9 * torch.sin(9 * theta), lambda theta, x: torch.cos(9 * theta))
    members = [known_posterior(), known_posterior()]
    pool = pooled(members, ("loud", "quiet"), known, (1.0, 2.0), combine=True, seed=1)
    assert pool.members == (members[1],)


def test_the_better_flow_proposes_importance_samples():
    first, second = (
        QUICK[0].fit(lfi.simulate(model(), 200, seed=seed), seed=seed) for seed in (1, 2)
    )
    known = table(
        exact, lambda theta, x: torch.cos(9 * theta), lambda theta, x: exact(theta, x) / 2
    )
    names, seconds = ("ratio", "worse", "better"), (1.0, 2.0, 3.0)
    pool = pooled([known_posterior(), first, second], names, known, seconds, combine=False, seed=1)
    assert pool.members[0] is not first and pool.proposal is second
    alone = pooled([known_posterior()], names[:1], table(exact), (1.0,), combine=False, seed=1)
    assert alone.proposal is None


def test_samples_that_a_member_excludes_have_a_floor(monkeypatch):
    values = torch.tensor([[3.0, torch.nan, -torch.inf, -2e4]])
    excluding = SimpleNamespace(log_weight=lambda theta: values)
    monkeypatch.setattr(RatioPosterior, "target", lambda self, x: excluding)
    samples = DefensiveSamples(torch.zeros(1, 4, 2), torch.ones(1, 4), torch.arange(4.0)[None] + 5)
    held = HeldOutSamples(None, torch.zeros(1, 2), samples)
    found = held.log_weights(known_posterior())
    assert found.tolist() == [[0.0, -1e4, -1e4, -1e4]]
    known = held.table([found])
    assert known.log_prior.tolist() == [5.0]
    assert torch.equal(known.base, samples.base)
    # the true theta is a fourth of all, and the only one with weight
    torch.testing.assert_close(known.densities(torch.ones(1)), torch.tensor([5.0 - 1 + LOG_4]))


def test_what_a_ratio_adds_to_all_parameters_counts_for_nothing(monkeypatch):
    """As ratios are known up to a function of x, which may lie below any floor, or be an error."""
    shape = torch.tensor([2.0, 1.0, 0.0, -1.0], dtype=torch.float64)
    samples = DefensiveSamples(torch.zeros(3, 4, 2), torch.zeros(3, 4), torch.zeros(3, 4))
    held = HeldOutSamples(None, torch.zeros(3, 2), samples)
    for lowest, expected in ((-3e4, shape - 2), (-math.inf, torch.full((4,), -1e4))):
        offsets = torch.tensor([0.0, 1e6, lowest], dtype=torch.float64)
        far = SimpleNamespace(log_weight=lambda theta, far=offsets: shape + far[:, None])
        monkeypatch.setattr(RatioPosterior, "target", lambda self, x, far=far: far)
        found = held.log_weights(known_posterior())
        assert torch.equal(found[:2], (shape - 2).expand(2, 4))
        assert torch.equal(found[2], expected.double())


def test_the_first_simulations_are_those_of_every_part():
    known = table(exact, m=6, c=3)
    few = known.first(2)
    assert torch.equal(few.log_weights, known.log_weights[:, :2])
    assert torch.equal(few.base, known.base[:2])
    assert torch.equal(few.log_prior, known.log_prior[:2])


def test_bagged_weights_are_those_of_what_is_rarely_missed():
    """One of 50 simulations is missed by 284 nats, as on lotka_volterra, by the better method."""
    good, poor = lambda theta, x: exact(theta, x), lambda theta, x: 0.2 * exact(theta, x)
    known = table(good, poor, m=50)
    known.log_weights[0, 0, 0] -= 284.0
    fresh = table(good, poor, m=2_000)
    plain, bagged = best_weights(known), bagged_weights(known, seed=1)
    assert plain[0] < 0.05
    gain = fresh.densities(bagged) - fresh.densities(plain)
    assert gain.mean() > 5 * gain.std() / math.sqrt(len(gain))
    assert torch.equal(bagged, bagged_weights(known, seed=1))


def test_bagged_weights_leave_out_noise():
    known = table(exact, lambda theta, x: 3 * torch.randn_like(theta), m=100)
    weights = bagged_weights(known, seed=1)
    # the log weight of the exact member has a variance of 3/8 in its posterior, so that its power
    # has a standard error of .16 by 100 simulations; four of them
    assert weights[1] == 0 and abs(weights[0] - 1) < 0.65


def test_weights_are_bagged_where_few_are_held_out():
    known = table(exact, lambda theta, x: 0.5 * exact(theta, x), m=299)
    assert torch.equal(pool_weights(known, seed=1), bagged_weights(known, seed=1))
    enough = table(exact, lambda theta, x: 0.5 * exact(theta, x), m=300)
    assert torch.equal(pool_weights(enough, seed=1), sparse_weights(enough))


# Pools.


def test_few_simulations_are_fitted_again_before_the_ratio(monkeypatch):
    monkeypatch.setattr("lfi.inference.methods.pool.agree", lambda *_: False)
    flow, likelihood, ratio = QUICK
    pool = lfi.Pool((flow, ratio), again=(likelihood, flow))
    simulations = lfi.simulate(model(), 300, seed=1)
    few = lfi.fit_posterior(simulations, method=pool, seed=1)
    kinds = ("PosteriorFlow 1", "SurrogateLikelihood", "PosteriorFlow 2", "NeuralRatio")
    assert few.choice.names == kinds
    monkeypatch.setattr("lfi.inference.methods.pool.FEW", 299)
    enough = lfi.fit_posterior(simulations, method=pool, seed=1)
    assert enough.choice.names == ("PosteriorFlow", "NeuralRatio")


def test_nothing_is_fitted_again_where_time_is_limited():
    pool = lfi.Pool((QUICK[0],), again=(QUICK[1],))
    simulations = lfi.simulate(model(), 300, seed=1)
    fitted = lfi.fit_posterior(simulations, method=pool, minutes=10.0, seed=1)
    assert fitted.choice.names == ("PosteriorFlow",)


def test_only_the_default_methods_are_fitted_again_unasked():
    assert lfi.Pool(QUICK)._all == QUICK
    assert lfi.Pool()._all[:2] == lfi.Pool().methods[:2]
    decays = [method.filled.weight_decay for method in lfi.Pool()._all[:4]]
    assert decays == [0.01, 0.01, 1.0, 1.0]
    assert lfi.Pool()._all[4:] == lfi.Pool().methods[2:]


def test_the_choice_says_what_was_picked_and_why(fitted):
    choice = fitted.choice
    assert choice.names == ("PosteriorFlow", "SurrogateLikelihood", "NeuralRatio")
    assert choice.held_out == 300  # of 450
    assert choice.score >= max(choice.scores) - 1e-3  # a pool contains each of its members
    lines = choice.describe().splitlines()
    assert lines[0].endswith("by 300 held-out simulations")
    assert len(lines) == 4
    assert "SurrogateLikelihood  weight" in lines[2]


def test_a_pool_recovers_the_conjugate_posterior(fitted):
    theta, truth = fitted.sample(10_000, X_OBS, seed=2), posterior(X_OBS.double())
    # a regression on 3,550 rows, and weights tuned to 300: five errors of 1/14 of what they shape
    assert ((theta.mean(0) - truth.mean) / truth.stddev).abs().max() < 0.2
    assert (theta.std(0) / truth.stddev - 1).abs().max() < 0.2


def test_a_pool_is_the_weighted_sum_of_its_members(fitted):
    theta, x = torch.randn(9, 2), torch.randn(9, 2)
    parts = [member.log_ratio(theta, x) for member in fitted.members]
    expected = sum(w * part for w, part in zip(fitted.weights, parts, strict=True))
    torch.testing.assert_close(fitted.log_ratio(theta, x), expected, rtol=1e-4, atol=1e-4)
    assert fitted.weighted(x, 30, seed=1).log_weights.shape == (9, 30)


@dataclass(frozen=True)
class Recorded:
    """A method that notes what it is fitted to."""

    method: lfi.PosteriorFlow
    calls: list[tuple[int, Fold | None]] = field(default_factory=list)
    restorable = False  # or else another process might fit it

    @property
    def takes_fold(self):
        return self.method.takes_fold

    def fit(self, simulations, *, fold=None, **arguments):
        self.calls.append((int(simulations.valid.sum()), fold))
        more = {} if fold is None else {"fold": fold}
        return self.method.fit(simulations, **more, **arguments)


def test_methods_are_validated_and_stacked_on_the_same_simulations():
    first, second = (Recorded(QUICK[0]) for _ in range(2))
    own = Recorded(replace(QUICK[0], settings=lfi.TrainSettings(steps=1, held_out=0.3)))
    simulations = lfi.simulate(model(), 400, seed=1)
    pool = lfi.fit_posterior(simulations, method=lfi.Pool((first, second, own)), seed=1)
    [(n, fold)], [(_, same)] = first.calls, second.calls
    assert n == 400 and fold is same
    assert len(fold.train) == 310 and len(fold.held_out) == 90 == pool.choice.held_out
    assert sorted([*fold.train.tolist(), *fold.held_out.tolist()]) == list(range(400))
    assert own.calls == [(310, None)]  # of which it holds its own share out


@pytest.mark.parametrize(
    "method",
    [*QUICK[:2], replace(QUICK[2], rank=None, head_layers=None, noise_model=False)],
    ids=lambda method: type(method).__name__,
)
def test_a_fold_says_what_a_method_is_trained_on(method):
    """What is held out may not reach training: other values there change no weight in one step."""
    simulations = lfi.simulate(model(), 300, seed=1)
    method = replace(method, settings=lfi.TrainSettings(steps=1, average=0.0))
    order = torch.randperm(300, generator=torch.Generator().manual_seed(2))
    fold = Fold(order[:200], order[200:])
    other = replace(simulations, x=simulations.x.index_add(0, fold.held_out, torch.ones(100, 2)))
    plain, same, moved = (
        torch.nn.utils.parameters_to_vector(network.parameters())
        for rows, chosen in (
            (simulations, fold),
            (other, fold),
            (other, Fold(fold.held_out, fold.train)),
        )
        for network in method.fit(rows, fold=chosen, seed=1)._networks()
    )
    assert torch.equal(plain, same)
    assert not torch.allclose(plain, moved)


@pytest.mark.parametrize(
    "method",
    [
        *(replace(method, settings=lfi.TrainSettings(held_out=0.3)) for method in QUICK),
        replace(QUICK[2], members=2),
    ],
)
def test_methods_that_hold_out_their_own_take_no_fold(method):
    assert not method.takes_fold and all(each.takes_fold for each in QUICK)


def test_too_few_simulations_for_a_pool_are_refused():
    with pytest.raises(
        ValueError, match="149 valid ones are too few for a pool, need at least 150"
    ):
        lfi.Pool(QUICK).fit(lfi.simulate(model(), 149, seed=1), seed=1)


NOISE = 30  # entries of x beside two that tell of theta


@pytest.fixture(scope="module")
def among_noise():
    simulations = lfi.simulate(model(), 1_000, seed=1)
    noise = torch.randn(1_000, NOISE, generator=torch.Generator().manual_seed(2))
    return replace(simulations, x=torch.cat([noise, simulations.x], dim=1))


def test_methods_see_the_entries_that_tell_of_theta(among_noise, tmp_path):
    fitted = lfi.fit_posterior(among_noise, method=lfi.Pool(QUICK[:2]), seed=1)
    informative = replace(among_noise, x=among_noise.x[:, NOISE:])
    expected = lfi.fit_posterior(informative, method=lfi.Pool(QUICK[:2]), seed=1)
    assert fitted.x_shape == (NOISE + 2,)
    assert fitted.members[0].x_shape == expected.x_shape == (2,)
    assert "given x of 32, of which 2 tell of theta" in fitted.describe()
    x_obs, theta = torch.cat([torch.full((NOISE,), 0.5), X_OBS]), torch.randn(9, 2)
    assert torch.equal(fitted.log_prob(theta, x_obs), expected.log_prob(theta, X_OBS))
    assert torch.equal(fitted.sample(9, x_obs, seed=1), expected.sample(9, X_OBS, seed=1))
    assert fitted.trials().sample(9, x_obs.expand(3, -1), seed=1).shape == (9, 2)
    fitted.save(tmp_path / "pool.lfi")
    again = lfi.load(tmp_path / "pool.lfi")
    assert torch.equal(again.log_prob(theta, x_obs), fitted.log_prob(theta, x_obs))


def test_all_entries_are_seen_where_asked_for_or_through_an_embedding(among_noise):
    whole = lfi.fit_posterior(among_noise, method=lfi.Pool(QUICK[:1], screen=False), seed=1)
    assert whole.relevant is None and whole.members[0].x_shape == (NOISE + 2,)
    flow = replace(QUICK[0], embedding=torch.nn.Identity())
    embedded = lfi.fit_posterior(among_noise, method=lfi.Pool((flow,)), seed=1)
    assert embedded.relevant is None


def test_a_file_whose_members_see_other_entries_is_refused(among_noise, tmp_path):
    fitted = lfi.fit_posterior(among_noise, method=lfi.Pool(QUICK[:1]), seed=1)
    wrong = replace(fitted, relevant=(True, *fitted.relevant[1:]))
    wrong.save(tmp_path / "pool.lfi")
    with pytest.raises(ValueError, match="pool.lfi"):
        lfi.load(tmp_path / "pool.lfi")


def test_a_saved_pool_is_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "pool.lfi")
    again = lfi.load(tmp_path / "pool.lfi")
    theta = torch.randn(9, 2)
    assert isinstance(again, PooledPosterior)
    assert torch.equal(again.log_prob(theta, X_OBS), fitted.log_prob(theta, X_OBS))
    assert torch.equal(again.sample(9, X_OBS, seed=1), fitted.sample(9, X_OBS, seed=1))
    assert again.choice == fitted.choice


def test_a_fit_repeats_itself():
    simulations = lfi.simulate(model(), 400, seed=1)
    first, again = (
        lfi.fit_posterior(simulations, method=lfi.Pool(QUICK[:2]), seed=3) for _ in range(2)
    )
    assert first.weights == again.weights
    theta = torch.randn(5, 2)
    assert torch.equal(first.log_prob(theta, X_OBS), again.log_prob(theta, X_OBS))


def test_without_a_flow_candidates_come_from_the_prior():
    simulations = lfi.simulate(model(), 400, seed=1)
    posterior = lfi.fit_posterior(simulations, method=lfi.Pool(QUICK[1:2]), seed=3)
    assert posterior.proposal is None
    assert posterior.sample(10, X_OBS, seed=1).shape == (10, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", [QUICK[0], QUICK[1], lfi.Pool(QUICK)], ids=lambda method: type(method).__name__
)
def test_the_kinds_of_posteriors_are_calibrated(method):
    """A right posterior fails with probability 0.01; what a regression misses is not seen."""
    fitted = lfi.fit_posterior(lfi.simulate(model(), 10_000, seed=1), method=method, seed=1)
    checks = lfi.check(fitted, lfi.simulate(model(), 300, seed=2), seed=3, importance_samples=2_048)
    assert checks.ok, checks.describe()
