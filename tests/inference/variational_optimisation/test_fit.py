"""Adversarial variational optimisation: it finds the truth, keeps its budget, and can go on."""

import pytest
import torch
from torch.distributions import Bernoulli, Normal, Uniform

import lfi
from lfi.generation.objectives import depends_on_p, losses_by_row
from lfi.inference.variational_optimisation.players import proposal_risk
from lfi.losses import Hinge, NonSaturating, Relativistic, ReverseKL, Wasserstein
from lfi.networks import FlowProposal, MixtureProposal
from lfi.training import Checkpoint

PRIOR = {"centre": Normal(0.0, 3.0), "chance": Uniform(0.0, 1.0)}
TRUTH = torch.tensor([2.0, 0.3])
OWN_CRITIC = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0)).float()
QUICK = lfi.AdversarialSettings(steps=6, critic_steps=1, batch_size=32)


def black_box(theta, rng: torch.Generator):
    """A number about the centre, and a coin: nothing to differentiate."""
    noise = torch.randn(len(theta), generator=rng, dtype=theta.dtype)
    coin = torch.rand(len(theta), generator=rng, dtype=theta.dtype) < theta[:, 1]
    return torch.stack([(4 * (theta[:, 0] + noise)).round() / 4, coin.to(theta)], 1)


def simulator_of(function=black_box):
    return lfi.Simulator(function, prior=PRIOR)


def observations(n=4_000):
    return simulator_of()(TRUTH.expand(n, 2), seed=9)


def fit(x_obs=None, **options):
    """A fit of a moment."""
    given = {"budget": 120, "settings": QUICK, "seed": 1, "progress": False} | options
    return lfi.fit_avo(simulator_of(), observations(200) if x_obs is None else x_obs, **given)


def test_it_finds_the_parameters_of_a_black_box():
    settings = lfi.AdversarialSettings(steps=25, critic_steps=4, batch_size=64)
    found = fit(observations(), budget=8_000, settings=settings)
    # the critic has learnt for a second: it tells the parameters to a tenth of the prior's width
    assert ((found.theta - TRUTH).abs() < torch.tensor([0.4, 0.1])).all()
    sd = found.proposal.sample(2_000, seed=1).std(0)
    begun = torch.tensor([found.trace(name)[0][2] for name in found.names])
    # narrower by more than chance, which is 1/63 of a deviation of 2,000 draws
    assert (sd < 0.8 * begun).all()
    assert found.simulations == 8_000


@pytest.mark.parametrize(
    "options",
    [
        {"proposal": MixtureProposal(2, components=3)},
        {"proposal": FlowProposal(2, width=8)},
        {"comparison": lfi.gans.WGANGP()},
        {"comparison": lfi.gans.R3GAN()},
        {
            "entropy": -0.1,
            "critic": torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0)),
        },
    ],
    ids=["mixture", "flow", "WGANGP", "R3GAN", "own critic"],
)
def test_any_proposal_comparison_and_critic_plays(options):
    found = fit(**options)
    theta = found.proposal.sample(50, seed=2)
    assert found.proposal.log_prob(theta).isfinite().all()
    assert simulator_of().prior.contains(theta).all()


def test_observations_may_be_whole_numbers():
    x_obs = observations(200).round()
    assert torch.equal(fit(x_obs.long().numpy()).theta, fit(x_obs).theta)


def test_the_budget_counts_true_calls_and_is_never_exceeded():
    rows = []

    def counted(theta, rng: torch.Generator):
        rows.append(len(theta))
        return black_box(theta, rng)

    x_obs = observations(100)
    found = lfi.fit_avo(
        simulator_of(counted), x_obs, budget=130, settings=QUICK, seed=1, progress=False
    )
    assert sum(rows) == found.simulations == 120  # 20 in each of six steps
    assert "120 of 130 simulations, 0 failed" in found.describe()


def test_failed_simulations_drive_the_proposal_away():
    def fragile(theta, rng: torch.Generator):
        x = black_box(theta, rng)
        return torch.where(theta[:, :1] > 0, x, torch.nan)

    x_obs = observations(300)
    settings = lfi.AdversarialSettings(steps=10, critic_steps=2, batch_size=32)
    found = lfi.fit_avo(
        simulator_of(fragile), x_obs, budget=2_000, settings=settings, seed=1, progress=False
    )
    assert 0 < found.failed < 1_000
    assert (found.proposal.sample(500, seed=1)[:, 0] > 0).double().mean() > 0.7
    assert f"{found.failed:,} failed" in repr(found)


def test_equal_seeds_find_equal_parameters_also_after_an_interruption(tmp_path):
    calls = []

    def interrupted(theta, rng: torch.Generator):
        calls.append(len(theta))
        if len(calls) == 5:
            raise KeyboardInterrupt
        return black_box(theta, rng)

    x_obs, checkpoint = observations(100), Checkpoint(tmp_path / "avo.lfi", every=2)
    options = {"budget": 120, "settings": QUICK, "seed": 1, "progress": False}
    whole = lfi.fit_avo(simulator_of(), x_obs, **options)
    options["checkpoint"] = checkpoint
    with pytest.raises(KeyboardInterrupt):
        lfi.fit_avo(simulator_of(interrupted), x_obs, **options)
    resumed = lfi.fit_avo(simulator_of(), x_obs, **options)
    assert torch.equal(resumed.theta, whole.theta)
    assert resumed.simulations == whole.simulations
    assert resumed.history.columns == whole.history.columns


def test_files_keep_all_but_the_critic(tmp_path):
    found = fit()
    found.save(tmp_path / "found.lfi")
    again = lfi.load(tmp_path / "found.lfi")
    assert torch.equal(again.theta, found.theta)
    theta = found.proposal.sample(5, seed=1)
    assert torch.equal(again.proposal.sample(5, seed=1), theta)
    assert torch.equal(again.proposal.log_prob(theta), found.proposal.log_prob(theta))
    assert repr(again) == repr(found)


def test_patience_ends_the_search_before_the_budget():
    settings = lfi.AdversarialSettings(
        steps=40, critic_steps=1, batch_size=32, patience=1, learning_rate=1e-9
    )
    found = fit(budget=800, settings=settings)
    assert found.simulations < 800
    assert "no improvement" in found.describe()


def test_the_density_outside_the_support_is_zero():
    found = fit()
    values = found.proposal.log_prob(torch.tensor([[0.0, 1.5], [0.0, 0.5]]))
    assert values[0] == -torch.inf
    assert values[1].isfinite()


@pytest.mark.parametrize(
    "loss", [NonSaturating(), Wasserstein(), Hinge(), ReverseKL(), Relativistic()], ids=repr
)
def test_losses_by_row_have_the_mean_of_the_loss(loss):
    h_p, h_q = torch.randn(7), torch.randn(9)
    rows = losses_by_row(loss, h_p, h_q)
    assert torch.isclose(rows.mean(), loss.generator(h_p, h_q))
    if not depends_on_p(loss):
        assert torch.equal(losses_by_row(loss, torch.full((1,), torch.nan), h_q), rows)


def test_failures_cost_as_much_as_the_worst_simulation():
    outcome = torch.tensor([[0.0, 1.0, 1.0, 0.0]]).expand(2, 4)
    found = []
    for cost, valid in ((torch.nan, [True, True, False, True]), (1.0, [True] * 4)):
        logits = torch.zeros(2, 1, requires_grad=True)
        log_prob = Bernoulli(logits=logits).log_prob(outcome)
        values = torch.tensor([[0.0, 1.0, cost, 0.0]]).expand(2, 4)
        seen = torch.tensor(valid).expand(2, 4)
        proposal_risk(values, seen, log_prob, torch.ones(2, 4), 0.0).backward()
        found.append(logits.grad)
    assert torch.equal(*found)
    assert (found[0] > 0).all()  # a step down makes 1, the failure's outcome, less likely


def test_failures_alone_leave_the_proposal_where_it_is():
    logits, none = torch.zeros(2, 1, requires_grad=True), torch.zeros(2, 4, dtype=torch.bool)
    log_prob = Bernoulli(logits=logits).log_prob(torch.tensor([[0.0, 1.0, 1.0, 1.0]]).expand(2, 4))
    values = torch.full((2, 4), torch.nan)
    proposal_risk(values, none, log_prob, torch.ones(2, 4), 0.0).backward()
    assert torch.equal(logits.grad, torch.zeros(2, 1))


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"x_obs": torch.zeros(50, 3)}, ValueError, r"shape \(3,\), and one simulation's"),
        ({"x_obs": torch.zeros(5, 2)}, ValueError, "5 rows are too few"),
        ({"budget": 20}, ValueError, "budget must be at least 32"),
        ({"budget": 32, "settings": lfi.AdversarialSettings(steps=9)}, ValueError, "9 steps of 4"),
        ({"proposal": MixtureProposal(3)}, ValueError, r"expected \(2, 2\)"),
        ({"comparison": lfi.gans.MMDGAN()}, TypeError, "a verdict on each simulation"),
    ],
)
def test_what_cannot_be_optimised_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        fit(**options)
