"""Flows by likelihood, by comparison, by both: known entropies, sums of losses, resumption."""

import math
from functools import partial

import pytest
import torch

import lfi
from lfi.generation.flows.fit import flow_players
from lfi.generation.settings import CompleteAdversarialSettings
from lfi.networks import RealNVP
from lfi.training import Checkpoint, Step

DATA = torch.randn(120, 2, generator=torch.Generator().manual_seed(0))
QUICK = lfi.AdversarialSettings(steps=4, batch_size=32)
QUIET = {"seed": 1, "progress": False, "width": 8, "couplings": 2}


def test_maximum_likelihood_of_a_gaussian_has_its_likelihood_in_the_datas_units():
    root = torch.tensor([[3.0, 0.1], [0.0, 0.1]])
    data, fresh = torch.randn(1_000, 2) @ root + 7, torch.randn(2_000, 2) @ root + 7
    settings = lfi.TrainSettings(steps=120, batch_size=128, learning_rate=5e-3)
    flow = lfi.fit_flow(data, settings=settings, **QUIET)
    exact = torch.distributions.MultivariateNormal(torch.full((2,), 7.0), root.T @ root)
    loss = (exact.log_prob(fresh) - flow.log_prob(fresh)).detach()  # unbiased for the divergence
    # p weights that matter cost p / 2n nats: .05 is those of a hundred
    assert -5 * float(loss.std()) / len(loss) ** 0.5 < float(loss.mean()) < 0.05
    bits = flow.bits_per_dim(fresh)
    assert bits.value == pytest.approx(-flow.log_prob(fresh).mean().item() / math.log(4), abs=1e-9)


def test_codes_and_samples_undo_each_other():
    flow = lfi.fit_flow(5 * DATA + 1, settings=QUICK, **QUIET)
    z = torch.randn(6, 2)
    torch.testing.assert_close(flow.codes(flow(z.float())).double(), z, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("comparison", [lfi.gans.WGANGP(), lfi.discrepancies.Energy()])
def test_a_sum_of_both_is_the_weighted_sum_of_losses(comparison):
    network, critic = RealNVP(2, couplings=2, width=8), lfi.networks.VectorCritic([(2,)], width=8)
    batch, settings = (DATA.float(),), CompleteAdversarialSettings()

    def draw(*inputs):
        return network(network.noise(120, inputs[-1]))

    def loss(comparison, weight):
        players = flow_players(network, critic, draw, comparison, settings, weight)
        step = Step(0, torch.Generator().manual_seed(1), lambda name, value: None)
        return players[-1].objective(batch, step).item()

    expected = loss(comparison, 0.0) + 0.3 * loss(None, 0.0)
    assert loss(comparison, 0.3) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "comparison", [lfi.gans.WGANGP(), pytest.param(None, marks=pytest.mark.slow)]
)
def test_a_resumed_training_ends_as_one_that_was_not_interrupted(comparison, tmp_path):
    data = torch.randint(4, (160, 2))
    critic = lfi.IndependentCritic(times=2, settings=lfi.TrainSettings(steps=1))
    settings = lfi.AdversarialSettings(steps=8, batch_size=32, held_out=0.4)
    fit = partial(
        lfi.fit_flow, data, comparison, settings=settings, independent_critic=critic, **QUIET
    )
    whole, checkpoint = fit(), Checkpoint(tmp_path / "flow.lfi", every=3)

    class Stop(Exception):
        pass

    def stop(step, flow):
        if step == 5:
            raise Stop

    with pytest.raises(Stop):
        fit(checkpoint=checkpoint, callback=stop)
    resumed = fit(checkpoint=checkpoint)
    assert resumed.history.columns == whole.history.columns
    assert [step for step, _ in whole.history.columns["Wasserstein, held-out"]] == [4, 8]
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name])


def test_levels_are_kept_by_samples_and_files(tmp_path):
    images = torch.randint(5, (60, 1, 8, 8)) / 4
    flow = lfi.fit_flow(images, bin_width=0.25, settings=QUICK, **QUIET)
    x = flow.sample(5, seed=1)
    assert torch.equal(x, (x * 4).round() / 4)
    flow.save(tmp_path / "flow.lfi")
    again = lfi.load(tmp_path / "flow.lfi")
    assert isinstance(again, lfi.FlowGenerator)
    assert torch.equal(again.sample(5, seed=1), x)
    assert again.bits_per_dim(images, seed=2) == flow.bits_per_dim(images, seed=2)
    assert repr(again) == repr(flow)
    noisy = flow.dequantise(images, seed=3)
    assert ((noisy - images).abs() <= 0.125).all()
    assert flow.codes(noisy).shape == (60, 64)


def test_arguments_that_make_no_sense_are_refused(tmp_path):
    fit = partial(lfi.fit_flow, settings=QUICK, **QUIET)
    with pytest.raises(ValueError, match="likelihood_weight weighs the likelihood"):
        fit(DATA, likelihood_weight=1.0)
    with pytest.raises(ValueError, match="data: entry 1 of each row does not vary"):
        fit(torch.cat([DATA, torch.ones(120, 1)], dim=1)[:, [0, 2]])
    with pytest.raises(ValueError, match=r"levels 1 apart"):
        fit(DATA, bin_width=1.0)
    with pytest.raises(ValueError, match="a critic needs 50 rows, got 12"):
        fit(DATA, independent_critic=lfi.IndependentCritic())
    with pytest.raises(ValueError, match="seed: a checkpoint needs"):
        lfi.fit_flow(DATA, checkpoint=Checkpoint(tmp_path / "fit.lfi"))
    with pytest.raises(ValueError, match=r"data must be \(n, \*event\), got shape \(120,\)"):
        fit(DATA[:, 0])
