"""Neural ratio estimation: a critic learns to tell (theta, x) from shuffled pairs.

Whatever loss of the comparison room it minimises, its optimum is log p(theta, x) / p(theta) p(x)
(or that up to a function of x), and so a posterior. Nothing here depends on which loss: the method
is a contrast, a loss and one player. What the critic is, and how kinds of critics are weighed, is
`lfi.networks.critics.pair`'s and `ratio_training`'s.

References:
    Hermans, Begy & Louppe, 2020. arXiv:1903.04057 (Bernoulli: NRE-A)
    Durkan, Murray & Papamakarios, On contrastive learning for likelihood-free inference, 2020.
    arXiv:2002.03712 (NRE-B)
    Miller, Weniger & Forre, Contrastive neural ratio estimation, 2022. arXiv:2210.06170 (NRE-C)
    Hermans et al., A trust crisis in simulation-based inference?, 2022. arXiv:2110.06581
    (ensembles)
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lfi.comparison import NREB, CriticLoss, Penalty, Recovers, recovered
from lfi.inference.methods.online import Fresh
from lfi.inference.methods.ratio_training import OTHERS, Stage, keep, train, weigh
from lfi.inference.methods.validity import fit_validity
from lfi.inference.posteriors.ratio import RatioPosterior
from lfi.inference.types import usable
from lfi.networks import (
    MeasuredCritic,
    MixedCritic,
    PairCritic,
    ScatterCritic,
    ValidCritic,
    size_of,
)
from lfi.runtime import bar, child, fresh, isolated, numpy_rng, torch_rng
from lfi.simulation import Prior, Simulations, as_simulator, simulate
from lfi.training import Batch, Batches, History, Shuffled

EPOCHS = 80  # the most passes over the simulations that a critic makes
FAMILY_SHARE, FAMILY_RATE, FAMILY_DECAY = 0.5, 0.05, 1e-3  # it has few weights
MOST_HELD_OUT = 2_048  # simulations
NOISY = {"measured": MeasuredCritic, "scatter": ScatterCritic}  # where simulators end in noise
FEW = 16  # numbers, up to which what they have to do with each other is learnt
RATES = {"measured": 6e-3, "scatter": 1e-2}  # their scales have far to go


@dataclass(frozen=True)
class NeuralRatio:
    """A posterior by a neural density ratio.

    Attributes:
        loss: Any critic loss that recovers the ratio, at least up to a function of x.
        penalties: What else is asked of the critic; none that moves the optimum. `Balance(100.0)`
            makes posteriors that are rather too wide than too narrow,
            and has their sum tempered until held-out simulations are covered.
        members: How many critics are averaged, each with other simulations held out. Several cost
            as many times the work and are surer of what they know, and less of what they do not.
        rank: Products of networks that the critic of products sums; 0 trains none.
        width: The width of these networks; those of the head have half of it.
        layers: The residual blocks of these networks.
        depth: The residual blocks of the head; None trains none.
        measured: Whether a critic for simulators that end in noise is trained too: a
            `ScatterCritic` where x, or its embedding, is at most 16 numbers, whose noise may have
            any shape, and a `MeasuredCritic` where it is more.
        contrasts: Shuffled pairs beside each joint one where the critic has a head, or is your own
            (contrastive losses count the joint one among them). Products compare all pairs.
        dropout: In the networks of the products, while training.
        steps: How many steps to train; never more than 80 passes over the simulations.
        batch_size: None takes a fortieth of the simulations, between 64 and 1024.
        learning_rate: Its peak; a one-cycle schedule.
        weight_decay: AdamW's.
        held_out: The share of simulations on which the best weights are chosen.
        embedding: A network of x, (n, *event) to (n, k), that is trained along: for series, sets
            and images, such as `lfi.networks.SeriesEmbedding`.
        critic: A critic of your own with `embed_theta`, `embed_x`, `embed` and `pair`, as
            `lfi.networks.PairCritic` has them, trained in place of all others. If it has a method
            `learn(theta, x)`, that is called with the training data first.
    """

    loss: CriticLoss = NREB()
    penalties: tuple[Penalty, ...] = ()
    members: int = 1
    rank: int = 128
    width: int = 128
    layers: int = 3
    depth: int | None = 3
    measured: bool = True
    contrasts: int = 40
    dropout: float = 0.1
    steps: int = 3_000
    batch_size: int | None = None
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    held_out: float = 0.1
    embedding: nn.Module | None = None
    critic: nn.Module | None = None

    @property
    def restorable(self) -> bool:
        """Whether a file alone brings its posteriors back: not with networks of your own."""
        if self.critic is None:
            return self.embedding is None
        known = PairCritic | MeasuredCritic | ScatterCritic
        return isinstance(self.critic, known) and bool(self.critic.spec)

    def fit(
        self,
        simulations: Simulations,
        *,
        x_obs: Tensor | None = None,
        seed: int | None = None,
        device: str = "cpu",
        progress: bool = True,
    ) -> RatioPosterior:
        """Return the posterior for any observation; `x_obs` is not needed.

        Where simulations have failed, the ratio is fitted to the valid ones and corrected by how
        likely they are to be valid, so that the posterior is that of the whole simulator.

        Args:
            simulations: At least 100 valid ones.
            x_obs: Ignored: the ratio is amortised.
            seed: None takes fresh entropy, which the history records.
            device: Where to train.
            progress: Show a bar on a terminal.

        Raises:
            ValueError: If the loss gives no posterior, or there are too few simulations.
        """
        recovers = self._recovers()
        n = len(usable(simulations)[0])
        stages = self._stages(n, EPOCHS * n, tuple(simulations.x.shape[1:]))

        def source(stage: Stage, data: tuple[Batch, Batch], seed: int) -> Batches:
            return Shuffled(*data, size=min(stage.batch_size, len(data[0][0])), device=device)

        return self._fit(simulations, stages, source, recovers, seed, device, progress)

    def fit_online(
        self,
        simulator: object,
        *,
        first: int = 10_000,
        seed: int | None = None,
        device: str = "cpu",
        progress: bool = True,
    ) -> RatioPosterior:
        """Return the posterior of a fast simulator, from new simulations at every step.

        Args:
            simulator: A simulator, or a module with `prior` and `simulate`.
            first: Simulations made beforehand: they give the scales, some of them are held out,
                and they tell where the simulator fails.
            seed: None takes fresh entropy, which the history records.
            device: Where to train.
            progress: Show bars on a terminal.

        Raises:
            ValueError: If the loss gives no posterior, or too few of the first are valid.
            RuntimeError: If hardly any simulation is valid later on.

        Example:
            >>> from torch.distributions import Normal
            >>> simulator = lfi.Simulator(lambda theta: theta + 1, prior={"a": Normal(0.0, 1.0)})
            >>> quick = lfi.NeuralRatio(steps=5, width=8, rank=4, depth=None, batch_size=32)
            >>> quick.fit_online(simulator, first=200, seed=1).names
            ('a',)
        """
        recovers = self._recovers()
        simulator, seed = as_simulator(simulator), fresh(seed)
        simulations = simulate(simulator, first, seed=child(seed, 4), progress=progress)
        event = tuple(simulations.x.shape[1:])
        stages = self._stages(len(usable(simulations)[0]), None, event)

        def source(stage: Stage, data: tuple[Batch, Batch], seed: int) -> Batches:
            size = stage.batch_size
            return Fresh(simulator, data[1], size=size, seed=child(seed, 2), device=device)

        return self._fit(simulations, stages, source, recovers, seed, device, progress)

    def _recovers(self) -> Recovers:
        """Return what the critic will tell of the ratio, if that is enough."""
        recovers = recovered(self.loss, self.penalties)
        if recovers < Recovers.UP_TO_X:  # before hours of training, not after them
            raise ValueError(
                f"loss: {self.loss} with penalties {self.penalties} recovers {recovers.name} of "
                "the ratio and gives no posterior: take a loss that recovers the ratio"
            )
        if self.members < 1:
            raise ValueError(f"members must be at least 1, got {self.members}")
        return recovers

    def _fit(
        self,
        simulations: Simulations,
        stages: list[Stage],
        source: Callable[[Stage, tuple[Batch, Batch], int], Batches],
        recovers: Recovers,
        seed: int | None,
        device: str,
        progress: bool,
    ) -> RatioPosterior:
        """Train every member's critics, and mix them."""
        theta, x = simulations.ok()
        theta, x = theta.to(torch.float32), x.to(torch.float32)
        seed, prior = fresh(seed), simulations.prior
        critics, weights, histories, names = [], [], [], []
        total = self.members * sum(stage.steps for stage in stages)
        with bar("fitting the ratio", total, progress) as advance:
            for member in range(self.members):
                data = self._split(theta, x, member, seed)
                trained = []
                for i, critic in enumerate(self._critics(stages, prior, data[0], member, seed)):
                    history = train(
                        critic,
                        stages[i],
                        self.loss,
                        self.penalties,
                        recovers,
                        source(stages[i], data, child(seed, 2, member, i)),
                        seed=child(seed, 2, member, i),
                        device=device,
                        advance=advance,
                    )
                    trained.append(critic)
                    histories.append(history)
                    names.append(stages[i].name + (f" {member + 1}" if self.members > 1 else ""))
                held = tuple(part.to(device) for part in data[1])
                others = data[0][0][:OTHERS].to(device)
                if len(theta) == len(simulations):  # else they are the valid ones' law, not this
                    others = prior.sample(OTHERS, seed=numpy_rng(seed, 4)).to(others)
                weighed = weigh(recovers, self.penalties, trained, held, others)
                kept, weighed = keep(trained, weighed)
                critics += kept
                weights += [weight / self.members for weight in weighed]
        said = "weights " + ", ".join(
            f"{self._kind(critic)} {weight:.2f}"
            for critic, weight in zip(critics, weights, strict=True)
        )
        critic = MixedCritic(critics, weights).to(device).eval()
        if len(theta) < len(simulations):
            validity = fit_validity(
                simulations.theta, simulations.valid, prior, seed=child(seed, 3), device=device
            )
            critic = ValidCritic(critic, validity).eval()
        history = History.joined(histories, names, notes=said, seed=seed)
        return RatioPosterior(critic, prior, recovers, tuple(x.shape[1:]), (history,))

    def _stages(self, n: int, most: int | None, event: tuple[int, ...]) -> list[Stage]:
        """Return how each critic is trained on n simulations, seeing `most` rows at the most."""
        size = self.batch_size or min(1024, max(64, 2 ** round(math.log2(n / 40))))
        size = min(size, int(n * (1 - self.held_out)))

        def stage(name: str, contrasts: int | None, size: int) -> Stage:
            steps = self.steps if most is None else min(self.steps, most // size)
            if name == "family":
                steps = max(1, round(FAMILY_SHARE * steps))
                return Stage(name, contrasts, size, steps, FAMILY_RATE, FAMILY_DECAY)
            rate = RATES.get(name, self.learning_rate)
            return Stage(name, contrasts, size, steps, rate, self.weight_decay)

        if self.critic is not None:
            return [stage("critic", min(self.contrasts, size - 1), size)]
        stages = [stage("family", None, size)]
        if self.rank:
            stages.append(stage("products", None, size))
        half = max(min(size, 64), size // 2)  # where each pair costs more than an inner product
        if self.depth is not None:
            stages.append(stage("head", min(self.contrasts, half - 1), half))
        if self.measured and self._numbers(event) <= FEW:
            stages.append(stage("scatter", None, half))
        elif self.measured:
            stages.append(stage("measured", None, size))
        return stages

    def _numbers(self, event: tuple[int, ...]) -> int:
        """Return how many numbers an x, or its embedding, is."""
        if self.embedding is None:
            return math.prod(event)
        with isolated(0):  # a copy tells: the caller's own is left as it is, statistics included
            return size_of(copy.deepcopy(self.embedding), event)

    def _critics(
        self, stages: list[Stage], prior: Prior, rows: Batch, member: int, seed: int
    ) -> Iterator[nn.Module]:
        """Yield the critics to train; networks begin where the family has ended."""
        if self.critic is not None:
            critic = copy.deepcopy(self.critic)
            if hasattr(critic, "learn"):
                critic.learn(*rows)
            yield critic
            return
        family = None
        for i, stage in enumerate(stages):
            embedding = copy.deepcopy(self.embedding)
            ends = prior.lower.tolist(), prior.upper.tolist(), rows[1].shape[1:]
            if stage.name in NOISY:
                with isolated(child(seed, 1, member, i)):
                    critic = NOISY[stage.name](
                        *ends, width=self.width, layers=self.layers, embedding=embedding
                    )
                critic.learn(*rows)
                yield critic
                continue
            with isolated(child(seed, 1, member, i)):
                critic = PairCritic(
                    *ends,
                    width=self.width if stage.name == "products" else self.width // 2,
                    layers=self.layers if stage.name == "products" else 1,
                    rank=self.rank if stage.name == "products" else 0,
                    depth=self.depth if stage.name == "head" else None,
                    dropout=self.dropout if stage.name == "products" else 0.0,
                    embedding=embedding,
                )
            if family is None:
                critic.learn(*rows)
                family = critic
            else:
                critic.take(family)
            yield critic

    def _split(self, theta: Tensor, x: Tensor, member: int, seed: int) -> tuple[Batch, Batch]:
        """Return the rows that a member trains on and those it holds out, others for each."""
        order = torch.randperm(len(theta), generator=torch_rng(seed, 0))
        held = max(1, min(int(len(theta) * self.held_out), MOST_HELD_OUT))
        order = order.roll(-member * held)
        kept, left = order[held:], order[:held]
        return (theta[kept], x[kept]), (theta[left], x[left])

    def _kind(self, critic: nn.Module) -> str:
        if self.critic is not None:
            return "critic"
        for name, kind in NOISY.items():
            if isinstance(critic, kind):
                return name
        return "products" if critic.rank else "family" if critic.head is None else "head"
