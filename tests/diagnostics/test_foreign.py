"""Checks of what other programs have made: plain draws, and posteriors that sbi has trained."""

import numpy as np
import pytest
import torch
from support.conjugate import model, posterior, prior

import lfi
from lfi.diagnostics import check
from lfi.inference import from_sbi
from lfi.inference.posteriors.known_draws import KnownDraws
from lfi.inference.posteriors.sbi import PriorDistribution
from lfi.simulation import as_prior


def exact_draws(simulations, n=200, shift=0.0):
    """Draws of the exact posteriors of simulations, (m, n, 2), all moved by a shift."""
    return torch.stack([posterior(x).sample((n,)) for x in simulations.x]) + shift


def test_draws_of_right_posteriors_pass_and_moved_ones_fail():
    held_out = lfi.simulate(model(), 200, seed=1)
    right = check(exact_draws(held_out), held_out, seed=2)
    assert right.ok and right.n == 200
    moved = check(exact_draws(held_out, shift=0.5), held_out, seed=2)
    # half a unit is .7 of a posterior standard deviation: far beyond what 200 simulations detect
    assert set(moved.failed) >= {"a", "b"} and not moved.ok


def test_arrays_and_lists_are_draws_too():
    held_out = lfi.simulate(model(), 60, seed=1)
    theta = exact_draws(held_out, 50)
    given = (theta, theta.numpy(), list(theta), [np.asarray(each) for each in theta])
    answers = [check(each, held_out, seed=2).p_values for each in given]
    assert answers[0] == answers[1] == answers[2] == answers[3]


def test_draws_follow_their_simulations_where_some_have_failed():
    simulations = lfi.simulate(model(), 40, seed=1)
    theta = exact_draws(simulations, 20)
    known = KnownDraws.of(theta, simulations)
    rows = torch.tensor([7, 3])
    drawn = known.sample(20, simulations.x[rows], seed=1)
    assert torch.equal(drawn.sort(1).values, theta[rows].sort(1).values)
    assert torch.equal(known.sample(20, simulations.x[7], seed=1), drawn[0])
    with pytest.raises(ValueError, match="draws are known of the simulations' x only, not of 1"):
        known.sample(5, torch.zeros(2))
    with pytest.raises(ValueError, match="draws: 21 asked for, and there are 20"):
        known.sample(21, simulations.x[7])


@pytest.mark.parametrize(
    "wrong, message",
    [
        (torch.zeros(40, 2), r"draws of shape \(40, 2\), expected \(40, n, 2\): n of each of the"),
        (torch.zeros(39, 5, 2), r"draws of shape \(39, 5, 2\), expected \(40, n, 2\)"),
        (torch.full((40, 5, 2), torch.nan), "posterior: draws must be finite"),
        ([torch.zeros(5, 2), torch.zeros(4, 2)], "not as many draws of each simulation's"),
    ],
)
def test_draws_that_do_not_fit_are_refused_in_words(wrong, message):
    with pytest.raises(ValueError, match=message):
        check(wrong, lfi.simulate(model(), 40, seed=1))


def trained(kind):
    from sbi import inference

    simulations = lfi.simulate(model(), 2_000, seed=1)
    torch.set_default_dtype(torch.float32)  # which sbi's networks are built in, and reckon with
    trainer = getattr(inference, kind)(PriorDistribution(as_prior(prior)))
    trainer.append_simulations(simulations.theta.float(), simulations.x.float())
    trainer.train(max_num_epochs=60)
    return trainer.build_posterior()


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["NPE", "NRE_A"])
def test_a_posterior_of_sbi_is_checked_in_one_call(kind):
    theirs, held_out = trained(kind), lfi.simulate(model(), 200, seed=2)
    checks = check(theirs, held_out, importance_samples=1_024, seed=3)
    assert checks.n == 200 and checks.enough and checks.names == ("a", "b")
    ours = check(from_sbi(theirs, prior=prior), held_out, importance_samples=1_024, seed=3)
    assert checks.p_values == ours.p_values


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_flow_matching_of_sbi_is_checked_by_its_draws():
    checks = check(trained("FMPE"), lfi.simulate(model(), 50, seed=2), draws=64, seed=3)
    assert checks.n == 50 and checks.ess == pytest.approx(65, rel=0.01)
