"""Neural ratio estimation: a critic learns to tell (theta, x) from shuffled pairs.

Whichever loss of `lfi.losses` it minimises, its optimum is log p(theta, x) / p(theta) p(x), or that
up to a function of x, and so gives the posterior. Several kinds of critics are trained
(`critic_stages`) and stacked on held-out simulations (`ratio_training`).

References:
    Hermans, Begy & Louppe, 2020. arXiv:1903.04057 (Bernoulli: NRE-A)
    Durkan, Murray & Papamakarios, 2020. arXiv:2002.03712 (NRE-B)
    Miller, Weniger & Forre, 2022. arXiv:2210.06170 (NRE-C)
    Hermans et al., 2022. arXiv:2110.06581 (ensembles)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from lfi.comparison import NREB, CriticLoss, Penalty, Recovers, recovered
from lfi.inference.methods.critic_stages import (
    MAX_EPOCHS,
    CriticDesign,
    CriticStage,
    critic_stages,
)
from lfi.inference.methods.online import OnlineBatches
from lfi.inference.methods.race import Entry, Race
from lfi.inference.methods.ratio_training import (
    OTHERS,
    VALIDATIONS,
    stack_critics,
    substantial,
    train_critic,
)
from lfi.inference.methods.validity import fit_validity
from lfi.inference.posteriors.ratio import RatioPosterior
from lfi.inference.types import usable
from lfi.networks import (
    EmbedsPairs,
    EnsembleCritic,
    PairCritic,
    ValidCritic,
    critic_spec,
    embedding_sizes,
    prepared,
    takes_missing,
)
from lfi.networks.critics.ensemble import names_all
from lfi.networks.embeddings import OWN, embedding_spec
from lfi.networks.standardise import input_for
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_instance, check_whole
from lfi.runtime import BriefSettings, bar, child, fresh, isolated, numpy_rng, torch_rng, within
from lfi.simulation import Simulations, as_simulator, simulate
from lfi.training import (
    NO_CHECKPOINTS,
    UNLIMITED,
    Batch,
    Batches,
    Checkpoints,
    Fold,
    History,
    Shuffled,
    StepLimit,
    folds,
)

MAX_HELD_OUT = 2_048  # simulations


@checked
@dataclass(frozen=True, kw_only=True, repr=False)
class NeuralRatio(BriefSettings, CriticDesign):
    """A posterior by neural ratio estimation.

    Attributes:
        loss: Any critic loss that recovers the ratio, at least up to a function of x.
        penalties: Penalties added to the loss; none that moves the optimum. `Balance(100.0)` makes
            posteriors conservative, and has their sum tempered until held-out simulations are
            covered.
        members: How many ensembles of critics are averaged, each with other simulations held out.
            Several cost as many times the work, and average the epistemic uncertainty out.
        settings: How critics are trained; what is None in it is 3,000 steps, at most 80 epochs,
            batches of a fortieth of the simulations, between 64 and 1,024, a learning rate of
            2e-3 with one cycle, a weight decay of 1e-2, an average of 0.99, gradients clipped at 5,
            a patience of 8 of 25 validations, and a tenth of the simulations, at most 2,048, held
            out. The exponential family takes half of the steps, at a rate of its own, as noise
            models have one.
        contrasts: Shuffled pairs beside each joint one of the MLP critic, or of your own
            (contrastive losses count the joint one among them). Other critics compare all pairs of
            a batch.
        width: The width of the networks; that of the MLP critic is half of it.
        layers: The residual blocks of these networks.
        rank: The length of the bilinear critic's inner product; None or 0 trains no such critic.
        head_layers: The residual blocks of the MLP critic; None trains no such critic.
        noise_model: Whether a critic for simulators that end in noise is trained too: a
            mixture-density one where x, or its embedding, is at most 16 numbers, whose noise may
            have any shape, and a Gaussian-likelihood one where it is more. Where entries of x are
            missing, only with an embedding.
        dropout: In the bilinear critic's networks, while training.
        embedding: A network of x, (n, *event) to (n, k), that is trained along: for series, sets
            and images, such as `lfi.embeddings.SeriesEmbedding`.
        critic: A critic of your own with `embed_theta`, `embed_x`, `embed` and `pair`, as
            `lfi.networks.PairCritic` has them, trained in place of all others. If it has a method
            `fit_from_data(theta, x)`, that is called with the training data first.

    Raises:
        TypeError: If a field is of another type.
        ValueError: If a number is out of range, or the loss with its penalties gives no posterior.
    """

    loss: CriticLoss = NREB()
    penalties: tuple[Penalty, ...] = ()
    members: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("members", self.members)
        check_instance("loss", self.loss, CriticLoss, "a critic loss")
        if self.recovers < Recovers.UP_TO_X:
            raise ValueError(
                f"loss: {self.loss} with penalties {self.penalties} recovers {self.recovers.name} "
                "of the ratio and gives no posterior: take a loss that recovers the ratio"
            )

    @property
    def recovers(self) -> Recovers:
        """What its critics recover of the ratio."""
        return recovered(self.loss, self.penalties)

    @property
    def takes_fold(self) -> bool:
        """Whether `fit` takes a `fold`: not of several members, or where settings hold out some."""
        return self.members == 1 and (self.settings is None or self.settings.held_out is None)

    @property
    def restorable(self) -> bool:
        """Whether `lfi.load` rebuilds the posterior from its file alone."""
        if self.critic is None:
            return embedding_spec(self.embedding) != OWN
        return names_all(critic_spec(self.critic))

    @checked
    def fit(
        self,
        simulations: Simulations,
        *,
        x_obs: Tensor | None = None,
        seed: int | None = None,
        device: str = "cpu",
        progress: bool = True,
        race: Race | None = None,
        limit: StepLimit = UNLIMITED,
        checkpoints: Checkpoints = NO_CHECKPOINTS,
        fold: Fold | None = None,
    ) -> RatioPosterior:
        """Return the posterior for any observation; the arguments are those of every `Method`.

        Where simulations have failed, the ratio is fitted to the valid ones and corrected by how
        likely they are to be valid, so that the posterior is that of the whole simulator. Critics
        that are far behind in a `race`, against posteriors fitted to the same simulations, are not
        trained to the end. A `limit` leaves the first validation of the first critic at least. From
        `checkpoints` an interrupted fit goes on. A `fold` of the valid simulations says which are
        held out.
        """

        def source(stage: CriticStage, data: tuple[Batch, Batch], seed: int) -> Batches:
            size = min(stage.settings.batch_size, len(data[0][0]))
            return Shuffled(*data, size=size, device=device)

        return self._fit(
            simulations, source, MAX_EPOCHS, seed, device, progress, race, limit, checkpoints, fold
        )

    @checked
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
            first: Simulations made beforehand: the scales are fitted to them, some of them are held
                out, and they show where the simulator fails.
            seed: None takes fresh entropy, which the history records.
            device: Where to train.
            progress: Show bars on a terminal.

        Raises:
            ValueError: If too few of the first are valid.
            RuntimeError: If hardly any simulation is valid later on.

        Example:
            >>> from torch.distributions import Normal
            >>> simulator = lfi.Simulator(lambda theta: theta + 1, prior={"a": Normal(0.0, 1.0)})
            >>> few = lfi.TrainSettings(steps=5, batch_size=32)
            >>> quick = lfi.NeuralRatio(settings=few, width=8, rank=4, head_layers=None)
            >>> quick.fit_online(simulator, first=200, seed=1).names
            ('a',)
        """
        simulator, seed = as_simulator(simulator), fresh(seed)
        simulations = simulate(simulator, first, seed=child(seed, 4), progress=progress)

        def source(stage: CriticStage, data: tuple[Batch, Batch], seed: int) -> Batches:
            size = stage.settings.batch_size
            return OnlineBatches(simulator, data[1], size=size, seed=child(seed, 2), device=device)

        return self._fit(simulations, source, None, seed, device, progress)

    def _fit(
        self,
        simulations: Simulations,
        source: Callable[[CriticStage, tuple[Batch, Batch], int], Batches],
        max_epochs: int | None,
        seed: int | None,
        device: str,
        progress: bool,
        race: Race | None = None,
        limit: StepLimit = UNLIMITED,
        checkpoints: Checkpoints = NO_CHECKPOINTS,
        fold: Fold | None = None,
    ) -> RatioPosterior:
        """Train every member's critics, and stack them."""
        theta, x = usable(simulations, missing=True)
        missing = simulations.missing
        if self.critic is not None:
            if missing and not takes_missing(self.critic):
                raise ValueError(
                    "critic: entries of x are missing, and this critic takes complete ones; one "
                    "that takes NaN says so with an attribute missing=True"
                )
            theta, x = (input_for(self.critic, part) for part in (theta, x))
        stages = critic_stages(
            self, len(theta), x.shape[1:], max_epochs=max_epochs, missing=missing
        )
        seed, prior = fresh(seed), simulations.prior
        critics, weights, kinds, histories, names = [], [], [], [], []
        total = self.members * sum(stage.settings.steps for stage in stages)
        members, untrained = 0, self.members * len(stages)
        n, share, rng = len(theta), self.filled.held_out, torch_rng(seed, 0)
        if fold is not None:
            splits = [Fold(fold.train, fold.held_out[:MAX_HELD_OUT])]
        else:
            splits = folds(n, share, rng, number=self.members, max_held_out=MAX_HELD_OUT)
        with bar("fitting the ratio", total, progress) as advance:
            for member, split in enumerate(splits):
                data, trained = split.split((theta, x)), []
                for i, critic in enumerate(
                    self._critics(stages, simulations, data[0], member, seed)
                ):
                    assert isinstance(critic, EmbedsPairs)
                    number = f" {member + 1}" if self.members > 1 else ""
                    name = stages[i].kind.name + number
                    part = limit.part(name, share=1 / untrained, needed=not histories)
                    untrained -= 1
                    if part is None:
                        continue
                    own, entry = child(seed, 2, member, i), None
                    if race is not None:
                        alone = RatioPosterior(critic, prior, self.recovers, tuple(x.shape[1:]))
                        entry = Entry(race, alone, VALIDATIONS)
                    with within(name):
                        history = train_critic(
                            critic,
                            stages[i],
                            self.loss,
                            self.penalties,
                            source(stages[i], data, own),
                            entry=entry,
                            limit=part,
                            checkpoints=checkpoints.within(name),
                            seed=own,
                            device=device,
                            advance=advance,
                        )
                    if entry is not None:
                        entry.finish()
                    trained.append(critic)
                    histories.append(history)
                    names.append(name)
                if not trained:
                    break
                held = tuple(part.to(device) for part in data[1])
                others = data[0][0][:OTHERS].to(device)
                if n == len(simulations):  # or else they are not p(theta)
                    others = prior.sample(OTHERS, seed=numpy_rng(seed, 4)).to(others)
                stacked = stack_critics(self.recovers, self.penalties, trained, held, others)
                for i in substantial(stacked):
                    critics.append(trained[i])
                    kinds.append(stages[i].kind.name)
                    weights.append(float(stacked[i]))
                members = member + 1
        weights = [weight / members for weight in weights]
        rows = theta[:1].to(device), x[:1].to(device)
        sizes = [embedding_sizes(critic, *rows) for critic in critics]
        critic = EnsembleCritic(critics, weights, sizes).to(device).eval()
        if n < len(simulations):
            validity = fit_validity(
                simulations.theta, simulations.valid, prior, seed=child(seed, 3), device=device
            )
            critic = ValidCritic(critic, validity).eval()
        told = [f"{kind} {weight:.2f}" for kind, weight in zip(kinds, weights, strict=True)]
        notes = "; ".join([f"weights {', '.join(told)}", *limit.left_out])
        history = History.joined(histories, names, notes=notes, seed=seed)
        return RatioPosterior(critic, prior, self.recovers, tuple(x.shape[1:]), (history,))

    def _critics(
        self,
        stages: list[CriticStage],
        simulations: Simulations,
        rows: Batch,
        member: int,
        seed: int,
    ) -> Iterator[nn.Module]:
        """Yield the critics to train; pair critics start from the trained exponential family."""
        prior, missing, event = simulations.prior, simulations.missing, rows[1].shape[1:]
        bounds, family = (prior.lower.tolist(), prior.upper.tolist()), None
        for i, stage in enumerate(stages):
            with isolated(child(seed, 1, member, i)):
                embedding = prepared(self.embedding, event, missing=missing)
                critic = stage.kind.build(self, bounds, event, embedding)
            if family is not None and isinstance(critic, PairCritic):
                critic.start_from(family)
            elif (fit := getattr(critic, "fit_from_data", None)) is not None:
                fit(*rows)
            family = family or (critic if isinstance(critic, PairCritic) else None)
            yield critic
