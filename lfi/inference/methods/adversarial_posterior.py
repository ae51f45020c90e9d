"""Adversarial posteriors: a generator theta = G(z, x) whose draws cannot be told from parameters.

A critic tells simulations (theta, x) from (G(z, x), x), each beside a draw at its own x, and the
generator learns to mislead it: the joint distributions agree where G(z, x) is a draw of the
posterior, for any x. First a conditional Gaussian of theta given x is fitted by maximum likelihood,
of whose residuals the generator and its critic are.

Under penalties, or at the end of a game, a critic is no ratio. So another is fitted afterwards,
without penalties, to simulations and many draws of the generator that training ended with: it
weighs these draws.

References:
    Ramesh, Lueckmann, Boelts, Tejero-Cantero, Greenberg, Goncalves & Macke, GATSBI: generative
        adversarial training for simulation-based inference, 2022. arXiv:2203.06481
    Huang et al., The GAN is dead; long live the GAN!, 2025. arXiv:2501.05441
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lfi.comparison import R1, R2, Adversarial
from lfi.comparison.losses.relativistic import RelativisticPaired
from lfi.generation.defaults import VECTORS, critic_for, settings_for
from lfi.generation.objectives import adversarial_players
from lfi.generation.settings import AdversarialSettings, CompleteAdversarialSettings
from lfi.generation.validated_training import batch_size_of, validated_training
from lfi.inference.methods.flow_stages import FlowStage
from lfi.inference.methods.flow_training import DEFAULTS, NOT_BETTER, maximise_likelihood
from lfi.inference.posteriors.adversarial import MAX_MIXED, GeneratorPosterior, PosteriorGenerator
from lfi.inference.posteriors.flow import to_flow_coordinates
from lfi.inference.types import usable
from lfi.networks import VectorCritic, noise_of, prepared
from lfi.networks.embeddings import OWN, embedding_spec
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts, check_instance, check_whole
from lfi.ratio import CriticRatio, fit_ratio
from lfi.runtime import BriefSettings, child, fresh, isolated, torch_rng
from lfi.simulation import Simulations
from lfi.training import Batch, History, Shuffled, TrainSettings, hold_out

START_STEPS = 1_000
MAX_HELD_OUT = 1_000  # simulations, of which the energy score is taken
SCORED = 8  # draws at each of them
DRAWN = 8  # draws of the generator for each simulation that the correction learns from
START = DEFAULTS.updated(TrainSettings(batch_size=128, learning_rate=9e-3))
# of many parameters a critic tells noise of the simulations sooner than what they have in common
MANY = Adversarial(RelativisticPaired(), RelativisticPaired(), (R1(1.0), R2(1.0)))
MANY_SETTINGS = AdversarialSettings(steps=1_000, learning_rate=1e-4, critic_learning_rate=1e-3)
MANY_WIDTH = 128
# narrow shapes take long: on two_moons the held-out loss still falls after 1,500 steps
CORRECTION = TrainSettings(steps=4_000, learning_rate=5e-3)


@checked
@dataclass(frozen=True, kw_only=True, repr=False)
class AdversarialPosterior(BriefSettings):
    """A posterior known by the draws of a generator that was trained against a critic.

    Attributes:
        comparison: The losses of critic and generator, and penalties; by default relativistic, of
            pairs, under penalties that are annealed for up to ten parameters and constant for more.
            `lfi.gans` has others by name.
        settings: How generator and critic are trained; what is None in it suits the comparison,
            as in `lfi.fit_generator`: by default 3,000 steps, batches of 256, and a tenth of the
            simulations, at most 1,000, held out, on which the energy score of draws is taken twenty
            times.
        start_steps: Steps of the conditional Gaussian that training starts from; 0 for none.
        correction: Whether a critic is fitted afterwards whose ratio corrects draws, of
            `posterior.corrected()`.
        correction_settings: How it is trained; what is None in it is 4,000 steps, a rate of 5e-3
            and what `lfi.fit_ratio` has.
        members: How many critics correct, whose log ratios are averaged.
        width: The width of the networks of the conditional Gaussian, and of the correction.
        embedding: A network of x, (n, *event) to (n, k), in place of standardised entries of x: for
            series, sets and images, such as `lfi.embeddings.SeriesEmbedding`. It is trained with
            the conditional Gaussian, and is the same for generator and critic afterwards: they see
            what tells mean and covariance of the parameters.
        generator: A network of your own, with `noise(n, rng)` and `forward(z, condition)`, from
            noise and features of x (n, k) to (n, theta_dim). By default up to ten parameters are
            draws of a mixture that a network bends, and more those of one Gaussian.
        critic: A network of your own, of (n, theta_dim) and (n, k) to (n,).

    Raises:
        TypeError: If a field is of another type.
        ValueError: If a number is out of range.
    """

    comparison: Adversarial | None = None
    settings: AdversarialSettings | None = None
    start_steps: int = START_STEPS
    correction: bool = True
    correction_settings: TrainSettings | None = None
    members: int = 3
    width: int = 64
    embedding: nn.Module | None = None
    generator: nn.Module | None = None
    critic: nn.Module | None = None

    def __post_init__(self) -> None:
        check_instance("comparison", self.comparison, Adversarial, optional=True)
        check_instance("settings", self.settings, AdversarialSettings, optional=True)
        check_instance("correction", self.correction, bool)
        check_instance(
            "correction_settings", self.correction_settings, TrainSettings, optional=True
        )
        check_whole("start_steps", self.start_steps, minimum=0)
        check_counts(members=self.members, width=self.width)
        for name in ("embedding", "generator", "critic"):
            check_instance(name, getattr(self, name), nn.Module, optional=True)
        if self.embedding is not None and not self.start_steps:
            raise ValueError(
                "start_steps must be positive with an embedding, which is trained in them, got 0"
            )

    @property
    def restorable(self) -> bool:
        """Whether `lfi.load` rebuilds the posterior from its file alone."""
        return self.generator is None and embedding_spec(self.embedding) != OWN

    @checked
    def fit(
        self,
        simulations: Simulations,
        *,
        x_obs: Tensor | None = None,
        seed: int | None = None,
        device: str = "cpu",
        progress: bool = True,
    ) -> GeneratorPosterior:
        """Return the posterior for any observation; the arguments are those of every `Method`.

        Simulations that failed are left out and need no correction: an observation is a valid x,
        and among those that gave valid x, theta given x is distributed as among all.

        Example:
            >>> import lfi
            >>> from simulators import influenza
            >>> simulations = lfi.simulate(influenza, 200, seed=1)
            >>> method = lfi.AdversarialPosterior(
            ...     settings=lfi.AdversarialSettings(steps=5), start_steps=20, correction=False)
            >>> posterior = lfi.fit_posterior(simulations, method=method, seed=1, progress=False)
            >>> posterior.sample(10, influenza.x_obs, seed=2).shape
            torch.Size([10, 3])
        """
        theta, x = usable(simulations, missing=True)
        seed, prior = fresh(seed), simulations.prior
        rules = self.comparison or (VECTORS if prior.dim <= MAX_MIXED else MANY)
        settings = settings_for(
            MANY_SETTINGS if prior.dim > MAX_MIXED else None, (prior.dim,), rules
        )
        settings = settings.updated(self.settings)
        with isolated(child(seed, 0)):
            network = PosteriorGenerator(
                prior.dim,
                x.shape[1:],
                width=self.width,
                generator=copy.deepcopy(self.generator),
                embedding=prepared(self.embedding, x.shape[1:], missing=simulations.missing),
            )
            critic = copy.deepcopy(self.critic)
            if critic is None:
                critic = critic_of_pairs(rules, prior.dim, network.start.size)
        noise_of(network.generator)  # or it is refused, before anything is trained
        v = to_flow_coordinates(prior, theta)[0]
        parts = hold_out((v, x), settings.held_out, torch_rng(seed, 1), max_held_out=MAX_HELD_OUT)
        begin = self._start(network, *parts, child(seed, 2), device, progress)
        network.to(device)
        train, held_out = (network.residuals(*(part.to(device) for part in rows)) for rows in parts)
        game = self._play(
            network, critic, rules, train, held_out, settings, child(seed, 3), device, progress
        )
        histories, names = [*begin.values(), game], [*begin, "game"]
        ratio = None
        if self.correction:
            ratio = self._correction(network, train, held_out, child(seed, 4), device, progress)
            histories += ratio.history
            names += [f"correction {level}" for level in range(1, len(ratio.history) + 1)]
            ratio = replace(ratio, history=())
        notes = "; ".join(
            f"{name}: {each.stopped}" for name, each in zip(names, histories, strict=True)
        )
        history = History.joined(histories, names, notes=notes, seed=seed)
        return GeneratorPosterior(network, prior, tuple(x.shape[1:]), ratio, history=(history,))

    def _start(
        self,
        network: PosteriorGenerator,
        train: Batch,
        held_out: Batch,
        seed: int,
        device: str,
        progress: bool,
    ) -> dict[str, History]:
        """Fit the Gaussian that training starts from."""
        start = network.start
        start.fit_from_data(*train)
        stages = []
        if self.start_steps:
            stages = [FlowStage("Gaussian", START.updated(TrainSettings(steps=self.start_steps)))]

        def log_prob(batch: Batch, rng: torch.Generator) -> Tensor:
            v, x = batch
            return start.log_density(v, start.embed(x))

        return maximise_likelihood(
            start,
            start.flow,
            log_prob,
            train,
            held_out,
            stages,
            seed=seed,
            device=device,
            progress=progress,
            note="fitting the start",
        )

    def _play(
        self,
        network: PosteriorGenerator,
        critic: nn.Module,
        rules: Adversarial,
        train: Batch,
        held_out: Batch,
        settings: CompleteAdversarialSettings,
        seed: int,
        device: str,
        progress: bool,
    ) -> History:
        """Train the generator against the critic, on residuals and features of x."""
        size = batch_size_of(settings, len(train[0]), rules)
        score = energy_score(SCORED, seed)
        history = validated_training(
            "posterior",
            adversarial_players(network.generator, critic, network.draw, rules, settings),
            Shuffled(train, held_out, size=size, device=device),
            lambda rows: score(network.draw, rows),
            settings,
            watch=None,
            checkpoint=None,
            seed=seed,
            device=device,
            progress=progress,
        )
        network.eval().requires_grad_(False)
        rows = tuple(part.to(device) for part in held_out)
        if score(network.draw, rows) > score(network.draw_start, rows):
            network.active.fill_(False)
            history = replace(history, stopped=f"{history.stopped}; {NOT_BETTER}")
        return history

    def _correction(
        self,
        network: PosteriorGenerator,
        train: Batch,
        held_out: Batch,
        seed: int,
        device: str,
        progress: bool,
    ) -> CriticRatio:
        """Fit the ratio of simulations to the generator's draws, without penalties."""
        e, condition = (torch.cat(parts) for parts in zip(train, held_out, strict=True))
        repeated, rng = condition.repeat(DRAWN, 1), torch_rng(seed, 0)
        with torch.no_grad():
            drawn = torch.cat([network.draw(rows, rng) for rows in repeated.split(len(e))])
        ratio = fit_ratio(
            torch.cat([e, condition], 1),
            torch.cat([drawn, repeated], 1),
            members=self.members,
            width=self.width,
            settings=CORRECTION.updated(self.correction_settings),
            seed=child(seed, 1),
            device=device,
            progress=progress,
        )
        ratio.critics.requires_grad_(False)
        return ratio


def critic_of_pairs(rules: Adversarial, dim: int, features: int) -> nn.Module:
    """Return the default critic of residuals: of many parameters, without Fourier features."""
    if dim <= MAX_MIXED:
        return critic_for(rules, (dim,), features)
    return VectorCritic([(dim,), (features,)], width=MANY_WIDTH)


def energy_score(
    number: int, seed: int
) -> Callable[[Callable[[Tensor, torch.Generator], Tensor], Batch], float]:
    """Return a function of what draws and of held-out rows: the energy score of so many draws.

    E |e - G| - E |G - G'| / 2 is least for the posterior of each x, strictly (Gneiting & Raftery,
    2007). What is compared by the same function has the same noise.
    """

    @torch.no_grad()
    def measure(draw: Callable[[Tensor, torch.Generator], Tensor], held_out: Batch) -> float:
        e, condition = held_out
        rng = torch_rng(seed, 1)
        drawn = torch.stack([draw(condition, rng) for _ in range(number)], dim=1)
        near = (drawn - e[:, None]).norm(dim=2).mean()
        apart = torch.cdist(drawn, drawn).sum((1, 2)).mean() / (number * (number - 1))
        return float(near - apart / 2)

    return measure
