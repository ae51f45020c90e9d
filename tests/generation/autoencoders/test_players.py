"""The players' objectives: who moves, against whom, and in which direction."""

import pytest
import torch
from torch import nn

import lfi
from lfi import autoencoders as terms
from lfi.generation.autoencoders.encoders import DeterministicEncoder, Encoder, moments_kl
from lfi.generation.autoencoders.fit import with_comparison
from lfi.generation.autoencoders.networks import AutoencoderNetworks, Decoder
from lfi.generation.autoencoders.players import autoencoder_players
from lfi.generation.settings import DEFAULTS
from lfi.networks import Standardise
from lfi.training import Step


class Line(nn.Module):
    """A critic h = slope times the sum of all entries."""

    def __init__(self, slope):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope, dtype=torch.float32))

    def forward(self, *inputs):
        return self.slope * sum(x.flatten(1).sum(1) for x in inputs)


class Shift(nn.Module):
    """x plus one number."""

    def __init__(self, shift=0.0):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(shift, dtype=torch.float32))

    def forward(self, x):
        return x + self.shift


def played(algorithm, *, encoder=0.0, decoder=0.0, slope=1.0):
    """Networks of two numbers, and the players by name."""
    algorithm, _ = with_comparison(algorithm, (2,))
    nets = AutoencoderNetworks(
        2,
        algorithm.sphere,
        Decoder(Shift(decoder), Standardise((2,)), algorithm.observer),
        Encoder(DeterministicEncoder(), Shift(encoder), 2, sphere=algorithm.sphere),
        critic=Line(slope),
        code_critic=Line(slope),
    )
    players = autoencoder_players(nets, algorithm, DEFAULTS)
    return nets, {player.name: player for player in players}


def step():
    return Step(0, torch.Generator().manual_seed(1), lambda name, value: None)


def test_players_move_in_the_order_of_the_corrected_algorithm():
    _, players = played(lfi.gans.AlphaGAN())
    assert list(players) == ["autoencoder", "critic", "code critic"]


def test_the_code_critic_finds_prior_codes_likely_and_the_encoder_moves_codes_there():
    nets, players = played(lfi.gans.AlphaGAN(), encoder=3.0, slope=0.0)
    x = torch.randn(500, 2).float()  # codes lie around 3, those of the prior around 0
    players["code critic"].objective((x,), step()).backward()
    assert nets.code_critic.slope.grad > 0  # a step downhill makes h = log p/q fall towards 3
    nets, players = played(lfi.gans.AlphaGAN(), encoder=3.0, decoder=-3.0, slope=-1.0)
    players["autoencoder"].objective((x,), step()).backward()
    assert nets.encoder.network.shift.grad > 0  # downhill, codes fall towards 0


def test_the_critic_of_data_moves_the_decoder_alone():
    rules = lfi.Adversarial(lfi.losses.Bernoulli(), lfi.losses.ReverseKL())
    algorithm = terms.Autoencoding(
        (terms.SyntheticLikelihood(rules),),
        (terms.MomentsKL(),),
        terms.DeterministicEncoder(),
    )
    nets, players = played(algorithm, slope=2.0)
    x = torch.randn(100, 2).float()
    z = nets.encoder.draw(x, torch.Generator())
    alone = torch.autograd.grad(moments_kl(z), nets.encoder.network.shift)[0]
    players["autoencoder"].objective((x,), step()).backward()
    torch.testing.assert_close(nets.encoder.network.shift.grad, alone)
    # E_q[-h] of h = 2 (x_1 + x_2) falls by 4 for each unit of the shift
    torch.testing.assert_close(nets.decoder.network.shift.grad, torch.tensor(-4.0).float())


def test_half_of_what_the_critic_sees_are_reconstructions():
    nets, players = played(lfi.gans.AlphaGAN(), encoder=100.0)
    seen = []
    nets.critic.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    players["critic"].objective((torch.zeros(10, 2).float(),), step())
    _, made = seen[:2]
    assert (made[:5] == 100).all()
    assert (made[5:].abs() < 10).all()


@pytest.mark.parametrize("against, sign", [(0.0, 0.0), (1.0, 1.0)])
def test_encoder_and_generator_are_opposed_on_the_moments_of_samples(against, sign):
    algorithm = terms.Autoencoding(
        (terms.GaussianObserver(weight=1e-6),),
        (terms.MomentsKL(against_samples=against),),
        terms.DeterministicEncoder(),
    )
    nets, players = played(algorithm, encoder=0.0, decoder=2.0)
    x = torch.randn(4_000, 2).float()
    players["autoencoder"].objective((x,), step()).backward()
    # codes of samples have mean 2 in both entries: their divergence grows by 4 for each unit of a
    # shift, which the generator lowers and the encoder raises; means of 4,000 err by 0.016 each
    assert abs(nets.decoder.network.shift.grad - 4 * sign) < 0.25
    assert abs(nets.encoder.network.shift.grad + 4 * sign) < 0.25
