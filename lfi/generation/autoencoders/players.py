"""The players of an autoencoder: encoder, generator and critics, each with its own objective.

With z of q(z | x), x' = decoder(z), x* = decoder(code of the prior), and h = log p/q of a critic:

    encoder        observer(x, x')                               + KL, or loss of h at z or (x, z)
    generator      observer(x, x') + loss of h at half x', half x*
    critic         data                     against   half x', half x*
    code critic    codes of the prior       against   z
    joint critic   (x, code of r(z | x))    against   (x, z)
    contrast       -log r(z | x), a Gaussian

in this order, that of the corrected Algorithm 1 of Rosca et al.: the code critic is to find codes
of the prior likely, and the encoder to make its own so. (The first version of the paper has the two
swapped in the critic's loss, which pushes codes away from the prior.)

Encoder and generator move at once, on one batch, as one player: in turns each would correct all of
the error that both have made, and under momentum the two then overshoot. Where they are opposed, in
the game on moments, the gradient is reversed between them.

Reference:
    Rosca, Lakshminarayanan, Warde-Farley & Mohamed, Variational approaches for auto-encoding
        generative adversarial networks, 2017. arXiv:1706.04987
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from lfi.comparison import R1, R2, Adversarial, Values, objective
from lfi.generation.autoencoders.encoders import moments_kl
from lfi.generation.autoencoders.networks import AutoencoderNetworks
from lfi.generation.autoencoders.terms import (
    AnalyticKL,
    Autoencoding,
    CodeRatio,
    JointRatio,
    MomentsKL,
)
from lfi.generation.objectives import (
    critic_player,
    depends_on_p,
    generator_player,
    has_penalty,
    penalty_at,
)
from lfi.generation.settings import CompleteAdversarialSettings
from lfi.networks.conditional_gaussian import standard_normal_log_prob
from lfi.training import Batch, Player, Step

Sides = Callable[[Batch, torch.Generator], tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]


def autoencoder_players(
    nets: AutoencoderNetworks, algorithm: Autoencoding, settings: CompleteAdversarialSettings
) -> list[Player]:
    """Return the players of an algorithm, to be trained on batches (x,) of standardised data.

    The comparison of the likelihood's ratio term, if there is one, must be given.
    """
    game = _Game(nets, algorithm)
    synthetic = algorithm.synthetic
    if nets.encoder is None:
        name, module, loss = "generator", nets.decoder, game.generator_objective
    else:
        name, module = "autoencoder", nn.ModuleList([nets.encoder, nets.decoder])
        loss = game.joint_objective
    players = [replace(generator_player(module, loss, settings), name=name)]
    if synthetic is not None:
        assert nets.critic is not None
        assert synthetic.comparison is not None
        players.append(
            _critic_player("critic", nets.critic, game.data_sides, synthetic.comparison, settings)
        )
    code, joint = algorithm.prior_term(CodeRatio), algorithm.prior_term(JointRatio)
    if code is not None:
        assert nets.code_critic is not None
        players.append(
            _critic_player(
                "code critic", nets.code_critic, game.code_sides, code.comparison, settings
            )
        )
    if joint is not None:
        assert nets.joint_critic is not None
        players.append(
            _critic_player(
                "joint critic", nets.joint_critic, game.joint_sides, joint.comparison, settings
            )
        )
    if nets.contrast is not None:
        player = generator_player(nets.contrast, game.contrast_objective, settings)
        players.append(replace(player, name="contrast"))
    return players


class _Game:
    """The objectives of an algorithm's networks."""

    def __init__(self, nets: AutoencoderNetworks, algorithm: Autoencoding) -> None:
        self.nets, self.algorithm = nets, algorithm

    def joint_objective(self, batch: Batch, step: Step) -> Tensor:
        """Return what encoder and generator minimise together."""
        (x,), nets = batch, self.nets
        z = nets.drawn().draw(x, step.rng)
        total = self.divergence(x, z, step) + self.judgement(x, z.detach(), step)
        if nets.decoder.observer is None:
            return total
        cost = nets.decoder.cost(x, nets.decoder(z))
        step.log("reconstruction", cost.detach())
        return total + cost

    def generator_objective(self, batch: Batch, step: Step) -> Tensor:
        """Return what a generator without an encoder minimises."""
        (x,) = batch
        return self.judgement(x, None, step)

    def divergence(self, x: Tensor, z: Tensor, step: Step) -> Tensor:
        """Return the terms of the prior, of codes of data."""
        total = x.new_zeros(())
        for term in self.algorithm.prior:
            if isinstance(term, AnalyticKL):
                value = self.nets.drawn().kl(x).mean()
            elif isinstance(term, MomentsKL):
                value = moments_kl(z) + self.game_on_moments(term, len(x), step)
            elif isinstance(term, CodeRatio):
                value = self.code_loss(z, step)
            else:
                value = self.joint_loss(term, x, z)
            step.log(type(term).__name__, value.detach())
            total = total + term.weight * value
        return total

    def judgement(self, x: Tensor, z: Tensor | None, step: Step) -> Tensor:
        """Return the generator's loss under the critic of data; codes of data take no gradient."""
        synthetic, critic = self.algorithm.synthetic, self.nets.critic
        if synthetic is None:
            return x.new_zeros(())
        assert critic is not None
        assert synthetic.comparison is not None
        loss = synthetic.comparison.generator_loss
        h_q = critic(self.judged(len(x), z, step.rng))
        h_p = critic(x) if depends_on_p(loss) else h_q.detach()
        return synthetic.weight * loss.generator(h_p, h_q)

    def judged(self, n: int, z: Tensor | None, rng: torch.Generator) -> Tensor:
        """Return n decoded events: of codes of data, for the first half if at all, and samples."""
        synthetic = self.algorithm.synthetic
        prior = self.nets.prior(n, rng)
        if z is not None and synthetic is not None and synthetic.reconstructions:
            prior = torch.cat([z[: n // 2], prior[n // 2 :]])
        return self.nets.decoder.samples(prior)

    def game_on_moments(self, term: MomentsKL, n: int, step: Step) -> Tensor:
        """Return what the encoder lowers and the generator raises, and the error of codes."""
        z = self.nets.prior(n, step.rng)
        total = z.new_zeros(())
        if not (term.against_samples or term.codes):
            return total
        samples = self.nets.decoder.samples(z)
        if term.against_samples:
            reversed_gradient = 2 * samples.detach() - samples
            code = self.nets.drawn().draw(reversed_gradient, step.rng)
            total = total - term.against_samples * moments_kl(code)
        if term.codes:
            code = self.nets.drawn().draw(samples, step.rng)
            total = total + term.codes * (code - z).square().mean()
        return total

    def code_loss(self, z: Tensor, step: Step) -> Tensor:
        """Return the encoder's loss under the critic of codes."""
        term, critic = self.algorithm.prior_term(CodeRatio), self.nets.code_critic
        assert term is not None
        assert critic is not None
        loss = term.comparison.generator_loss
        h_q = critic(z)
        h_p = critic(self.nets.prior(len(z), step.rng)) if depends_on_p(loss) else h_q.detach()
        return loss.generator(h_p, h_q)

    def joint_loss(self, term: JointRatio, x: Tensor, z: Tensor) -> Tensor:
        """Return the encoder's loss under the critic of pairs."""
        critic, contrast = self.nets.joint_critic, self.nets.contrast
        assert critic is not None
        h = critic(x, z)
        value = term.comparison.generator_loss.generator(h.detach(), h)
        if contrast is None:
            return value
        return value + (contrast.log_prob(z, x) - standard_normal_log_prob(z)).mean()

    @torch.no_grad()
    def data_sides(
        self, batch: Batch, rng: torch.Generator
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return data, and what the decoder makes."""
        (x,), encoder = batch, self.nets.encoder
        z = None if encoder is None else encoder.draw(x, rng)
        return (x,), (self.judged(len(x), z, rng),)

    @torch.no_grad()
    def code_sides(
        self, batch: Batch, rng: torch.Generator
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return codes of the prior, and of data."""
        (x,) = batch
        return (self.nets.prior(len(x), rng),), (self.nets.drawn().draw(x, rng),)

    @torch.no_grad()
    def joint_sides(
        self, batch: Batch, rng: torch.Generator
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return data with codes of the prior, or of the contrast, and with their own codes."""
        (x,), nets = batch, self.nets
        z = nets.prior(len(x), rng) if nets.contrast is None else nets.contrast.draw(x, rng)
        return (x, z), (x, nets.drawn().draw(x, rng))

    def contrast_objective(self, batch: Batch, step: Step) -> Tensor:
        """Return what the Gaussian of the adaptive contrast minimises."""
        (x,), contrast = batch, self.nets.contrast
        assert contrast is not None
        with torch.no_grad():
            z = self.nets.drawn().draw(x, step.rng)
        return -contrast.log_prob(z, x).mean()


def _critic_player(
    name: str,
    critic: nn.Module,
    sides: Sides,
    rules: Adversarial,
    settings: CompleteAdversarialSettings,
) -> Player:
    """Return the player of a critic, between samples of p and of q that others draw."""
    at_p, at_q = (has_penalty(rules, kind) for kind in (R1, R2))
    if rules.constraint is not None:
        rules.constraint.project(critic)

    def critic_objective(batch: Batch, step: Step) -> Tensor:
        p, q = sides(batch, step.rng)
        p = tuple(part.detach().requires_grad_(at_p) for part in p)
        q = tuple(part.detach().requires_grad_(at_q) for part in q)
        values = Values(critic(*p), critic(*q), p, q, traced=True)
        penalties = tuple(penalty_at(penalty, step) for penalty in rules.penalties)
        return objective(rules.critic_loss, penalties, critic, values, step.rng, step.index)

    project = None if rules.constraint is None else rules.constraint.project
    return critic_player(
        critic, critic_objective, rules.critic_loss, settings, name=name, project=project
    )
