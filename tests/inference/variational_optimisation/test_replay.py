"""Past simulations: what they count, which are drawn, and what becomes of failures."""

import pytest
import torch
from torch.distributions import Normal

import lfi
from lfi.inference.variational_optimisation.parameters import StandardParameters
from lfi.inference.variational_optimisation.replay import Replay, replayed_turns
from lfi.networks import Features, MixtureProposal
from lfi.simulation import as_prior


def replay_of(simulate, *, half=50, turns=3):
    """A replay of a simulator of one parameter, whose critic sees x and asinh x."""
    simulator = lfi.Simulator(simulate, prior={"a": Normal(0.0, 1.0)})
    parameters = StandardParameters(simulator.prior)
    proposal = MixtureProposal(1).requires_grad_(False)
    return Replay(
        simulator, parameters, proposal, Features((1,)), (1,), half=half, turns=turns, seed=1
    )


def test_parameters_are_standardised_by_the_quartiles_of_the_prior():
    prior = as_prior({"a": Normal(3.0, 2.0), "b": torch.distributions.Uniform(0.0, 4.0)})
    parameters = StandardParameters(prior)
    parameters.fit_from_prior()
    theta = torch.tensor([[3.0 + 2 * 0.6745, 3.0], [3.0, 2.0]])
    v, _ = parameters(theta)
    assert torch.allclose(v.double(), torch.tensor([[0.6745, 0.6745], [0.0, 0.0]]), atol=0.06)
    assert torch.allclose(parameters.inverse(v), theta, atol=1e-5)


def test_the_density_of_parameters_integrates_to_one():
    parameters = StandardParameters(as_prior({"b": torch.distributions.Uniform(0.0, 4.0)}))
    parameters.fit_from_prior()
    theta = (torch.arange(4_000) + 0.5)[:, None] / 1_000
    v, log_det = parameters(theta)
    mass = (MixtureProposal(1).log_prob(v).double() + log_det).exp().sum() / 1_000
    assert mass.item() == pytest.approx(1, abs=1e-3)


def test_a_turn_counts_by_how_well_it_covers_the_proposal_of_now():
    x = torch.randn(3, 2_000)
    then = torch.tensor([0.0, 0.5, 8.0])  # the last is far from where the proposal is now
    now = Normal(0.0, 0.5).log_prob(x + then[:, None])
    weight, effective = replayed_turns(now, Normal(then[:, None], 1.0).log_prob(x + then[:, None]))
    assert weight.mean().item() == pytest.approx(1)
    shares = weight.mean(1) / 3
    assert shares[2] < 1e-6
    assert shares[0] > shares[1] > 0.1
    assert 1_000 < effective < 4_000
    mean = (weight * (x + then[:, None])).mean()  # E now = 0, of some 2,000 draws of sd 1/2
    assert mean.abs() < 5 * 0.5 / 1_000**0.5


def test_samples_follow_the_proposal_and_not_the_past():
    replay = replay_of(lambda theta: theta)
    rng = torch.Generator().manual_seed(0)
    for location in (4.0, 0.0, -4.0, -4.0):  # the first turn is forgotten
        replay.proposal.location.fill_(location)
        replay.simulate(rng)
    drawn = replay.sample(1_000, rng)
    assert drawn.shape == (2_000, 2)
    assert (drawn[:, 0] < 0).all()
    assert (replay.made, replay.failed) == (400, 0)


def test_failed_simulations_are_counted_and_never_drawn():
    replay = replay_of(lambda theta: torch.where(theta > 0, theta, torch.nan))
    rng = torch.Generator().manual_seed(0)
    replay.simulate(rng)
    assert torch.equal(replay.valid[:, 0], replay.v[:, 0, :, 0] > 0)
    assert replay.failed == int((~replay.valid[:, 0]).sum()) > 0
    assert (replay.sample(500, rng)[:, 0] > 0).all()


def test_simulations_of_another_shape_and_simulators_that_always_fail_are_refused():
    rng = torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match=r"x_obs holds .* shape \(1,\), .* has shape \(2,\)"):
        replay_of(lambda theta: theta.repeat(1, 2)).simulate(rng)
    with pytest.raises(RuntimeError, match="none of the first 100 simulations succeeded"):
        replay_of(lambda theta: theta * torch.nan).simulate(rng)
    first = torch.arange(100)[:, None] < 50
    with pytest.raises(RuntimeError, match="only 50 of the first 100 simulations .* critics needs"):
        replay_of(lambda theta: torch.where(first, theta, torch.nan)).simulate(rng)


def test_a_replay_goes_on_from_its_state():
    def noisy(theta, rng: torch.Generator):
        return theta + torch.randn(theta.shape, generator=rng)

    one, other = replay_of(noisy), replay_of(noisy)
    rngs = [torch.Generator().manual_seed(0) for _ in range(2)]
    one.simulate(rngs[0])
    other.restore({name: kept.clone() for name, kept in one.state().items()})
    rngs[1].set_state(rngs[0].get_state())
    for replay, rng in zip((one, other), rngs, strict=True):
        replay.simulate(rng)
    assert torch.equal(one.sample(50, rngs[0]), other.sample(50, rngs[1]))
