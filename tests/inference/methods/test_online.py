"""Simulations on line: all are new, failures are left out, and a posterior is right."""

import pytest
import torch
from support.conjugate import model, posterior
from torch.distributions import Normal

import lfi
from lfi.inference.methods.online import CHUNK, OnlineBatches


def batches(simulator, **settings):
    return OnlineBatches(simulator, None, **{"size": 16, "seed": 1, **settings})


def drawn(source, n):
    rng = torch.Generator()
    return [torch.cat(parts) for parts in zip(*(source.draw(rng) for _ in range(n)), strict=True)]


def test_no_simulation_is_seen_twice():
    source = batches(model())
    theta, x = drawn(source, 3 * CHUNK)
    assert theta.shape == x.shape == (3 * CHUNK * 16, 2)
    assert len(theta.unique(dim=0)) == len(theta)
    assert source.made == len(theta)


def test_equal_seeds_give_equal_batches():
    first, again, other = (drawn(batches(model(), seed=s), 40)[1] for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_failures_are_left_out_and_counted_as_made():
    def half(theta):
        return torch.where(theta > 0, theta, torch.nan)

    source = batches(lfi.Simulator(half, prior={"a": Normal(0.0, 1.0)}))
    theta, x = drawn(source, 100)
    assert (theta > 0).all()
    assert x.isfinite().all()
    # half of them fail: 1,600 come from 3,200, to within five standard errors and a chunk
    assert source.made == pytest.approx(3_200, abs=5 * 57 + CHUNK * 16)


def test_a_simulator_that_always_fails_ends_with_an_error():
    never = lfi.Simulator(lambda theta: theta * torch.nan, prior={"a": Normal(0.0, 1.0)})
    with pytest.raises(RuntimeError, match="0 of 512 simulations were valid"):
        batches(never).draw(torch.Generator())


@pytest.mark.slow
def test_a_posterior_trained_on_line_is_that_of_the_conjugate_model():
    fitted = lfi.NeuralRatio(settings=lfi.TrainSettings(steps=1_000), head_layers=None).fit_online(
        model(), seed=1
    )
    for x_obs in (torch.zeros(2), torch.tensor([0.8, -0.5])):
        theta, truth = fitted.sample(5_000, x_obs, seed=2), posterior(x_obs.double())
        # the bounds of test_inference_neural_ratio
        assert ((theta.mean(0) - truth.mean) / truth.stddev).abs().max() < 0.12
        assert (theta.std(0) / truth.stddev - 1).abs().max() < 0.12
