"""The default: a log-linear pool of methods, weighted by stacking on held-out simulations.

The pool's log posterior density is concave in the weights, which maximise its mean over simulations
that no method was fitted to (`stacking_table`); one that adds next to nothing is left out. These
have told, too, when each method's training was best, which is little to learn from them. Cheap
methods come first: a ratio's critics that are far behind them are not trained to the end, and none
is where a posterior flow and a surrogate likelihood agree, or nearly. Where time is limited each
has half of what is left, and the last most of it.

References:
    Yao et al., Using stacking to average Bayesian predictive distributions, 2018. arXiv:1704.02030
    Yao, Regaldo-Saint Blancard & Domke, Simulation-based stacking, AISTATS 2024. arXiv:2310.17009
"""

import math
import time
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from lfi.inference.methods.embedded import with_embeddings
from lfi.inference.methods.flow_training import MAX_HELD_OUT
from lfi.inference.methods.neural_ratio import NeuralRatio
from lfi.inference.methods.posterior_flow import PosteriorFlow
from lfi.inference.methods.race import Race, agree
from lfi.inference.methods.relevant_entries import relevant_entries
from lfi.inference.methods.separate_fits import (
    SeparateFit,
    fit_side_by_side,
    poolable,
    processes,
    separable,
    threads_for,
)
from lfi.inference.methods.stacking_table import HeldOutSamples, StackingTable, pool_weights
from lfi.inference.methods.surrogate_likelihood import SurrogateLikelihood
from lfi.inference.posteriors.flow import FlowPosterior
from lfi.inference.posteriors.kept import NOTHING_KEPT, KeptFits
from lfi.inference.posteriors.pooled import PoolChoice, PooledPosterior
from lfi.inference.posteriors.saved import SavedPosterior
from lfi.inference.types import Method, folded_fit, limited_fit, resumed_fit, usable
from lfi.networks.embeddings import OWN, embedding_spec
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_instance
from lfi.runtime import BriefSettings, child, fresh, torch_rng
from lfi.simulation import Simulations
from lfi.training import (
    NO_CHECKPOINTS,
    UNLIMITED,
    Checkpoints,
    Fold,
    StageSteps,
    StepLimit,
    TrainSettings,
)

# a share of the simulations, and as many more, on which methods are validated, and stacked
HELD_OUT, MORE_HELD_OUT = 0.1, 50
MIN_VALID = 150  # simulations
MAX_STACKED = 300  # simulations of them on which methods are stacked
NEGLIGIBLE_WEIGHT = 0.05  # if no method has more, all are worse than the prior
FIRST_SHARE, LAST_SHARE = 0.5, 0.85  # of the time left, for a method; the rest weights them
FEW = 2_000  # simulations
DEFAULT_METHODS: tuple[Method, ...] = (
    PosteriorFlow(),
    SurrogateLikelihood(proposal=None),
    NeuralRatio(rank=None, head_layers=None),
)
MISSING_METHODS: tuple[Method, ...] = (PosteriorFlow(), NeuralRatio(head_layers=None))
DECAYED = TrainSettings(weight_decay=1.0)
DEFAULT_AGAIN: tuple[Method, ...] = (
    PosteriorFlow(settings=DECAYED),
    SurrogateLikelihood(proposal=None, settings=DECAYED),
)


@checked
@dataclass(frozen=True, repr=False)
class Pool(BriefSettings):
    """A log-linear pool of methods, with stacking weights of highest held-out posterior density.

    Attributes:
        methods: What to fit, in order; of the posterior flows among them, the one of the highest
            density of held-out parameters proposes importance samples, too. By default the ratio
            has no bilinear and no MLP critic: beside a flow and a likelihood they took two fifths
            of the time, and added less than .002 nats to the log posterior density on slcp,
            gaussian_mixture, lotka_volterra.
        again: What to fit before the first ratio as well where there are few simulations, at most
            2,000, and time is not limited. By default, beside the default methods only, the flow
            and the likelihood again with a weight decay of 1 in place of .01: which is better
            differs among problems, and stacking tells.
        combine: False takes the single best instead.
        embedding: A network of x, (n, *event) to (n, k), for series, sets and images, such as
            `lfi.embeddings.SeriesEmbedding`: every method that takes one trains a copy. A
            likelihood models x itself, and is fitted along where x is at most 128 numbers.
        screen: Whether entries of x that tell nothing of theta, as tests of dependence say
            (`relevant_entries`), are left out before anything is fitted, where they are a quarter
            or more: of x of one dimension, complete and without embeddings.

    Raises:
        TypeError: If something is not a method.
        ValueError: If there is no method.
    """

    methods: tuple[Method, ...] = DEFAULT_METHODS
    again: tuple[Method, ...] | None = None
    combine: bool = True
    embedding: nn.Module | None = None
    screen: bool = True

    def __post_init__(self) -> None:
        """Check the methods."""
        if not self.methods:
            raise ValueError("methods: give at least one")
        for name, methods in (("methods", self.methods), ("again", self.again or ())):
            for method in methods:
                check_instance(name, method, Method, "methods with `fit`")
        check_instance("embedding", self.embedding, nn.Module, optional=True)

    @property
    def restorable(self) -> bool:
        """Whether `lfi.load` rebuilds the posterior from its file alone: with every method."""
        named = embedding_spec(self.embedding) != OWN
        return named and all(getattr(method, "restorable", False) for method in self._all)

    @property
    def limitable(self) -> bool:
        """Whether `fit` takes a `limit`: where every method's does."""
        return all(getattr(method, "limitable", False) for method in self._all)

    @checked
    def fit(
        self,
        simulations: Simulations,
        *,
        x_obs: Tensor | None = None,
        seed: int | None = None,
        device: str = "cpu",
        progress: bool = True,
        limit: StepLimit = UNLIMITED,
        kept: KeptFits = NOTHING_KEPT,
        workers: int | None = None,
    ) -> PooledPosterior:
        """Return the posterior for any observation; the arguments are those of every `Method`.

        A `limit` leaves the first method at least. Methods that are `kept` are not fitted again,
        and one that was interrupted goes on, without a limit: the clock cannot go on. `workers` is
        that of `lfi.fit_posterior`: ratios, which are measured against the others, are fitted after
        these.

        Raises:
            TypeError: If a method fits what cannot be pooled.
            ValueError: If there are too few valid simulations, or a method takes no embedding.

        Example:
            >>> import lfi
            >>> from simulators import influenza
            >>> simulations = lfi.simulate(influenza, 400, seed=1)
            >>> flow = lfi.PosteriorFlow(gaussian_steps=10, settings=lfi.TrainSettings(steps=2))
            >>> pool = lfi.Pool((flow, lfi.NeuralRatio(settings=lfi.TrainSettings(steps=10))))
            >>> posterior = lfi.fit_posterior(simulations, method=pool, seed=1)
            >>> posterior.choice.names
            ('PosteriorFlow', 'NeuralRatio')
        """
        usable(simulations, missing=True)
        again = int(simulations.valid.sum()) <= FEW and not limit.exists
        meant, seed = self._meant(simulations, again=again), fresh(seed)
        relevant, seen = meant._relevant(simulations, child(seed, 3)), simulations
        if not relevant.all():
            seen = replace(simulations, x=simulations.x[:, relevant])
        posterior = meant._fitted(seen, seed, device, progress, limit, kept, workers)
        if relevant.all():
            return posterior
        return replace(posterior, relevant=tuple(relevant.tolist()))

    def _fitted(
        self,
        simulations: Simulations,
        seed: int,
        device: str,
        progress: bool,
        limit: StepLimit,
        kept: KeptFits,
        workers: int | None,
    ) -> PooledPosterior:
        """Fit the methods, as they are, to simulations of which they see every entry of x."""
        valid = torch.where(simulations.valid)[0]
        if len(valid) < MIN_VALID:
            raise ValueError(
                f"simulations: {len(valid)} valid ones are too few for a pool, need at least "
                f"{MIN_VALID}"
            )
        held = min(MAX_HELD_OUT, int(HELD_OUT * len(valid)) + MORE_HELD_OUT)
        order = torch.randperm(len(valid), generator=torch_rng(seed, 0))
        fold = Fold(order[held:], order[:held])
        held_out = simulations[valid[fold.held_out[:MAX_STACKED]]]
        fitted: list[SavedPosterior] = []
        names: list[str] = []
        seconds: list[float] = []
        beside = self._beside(simulations, fold, seed, device, progress, limit, kept, workers)
        samples: HeldOutSamples | None = None
        rows: list[Tensor] = []  # their weights, by the methods fitted so far
        settled: list[str] = []
        for index, method in enumerate(self.methods):
            if index in beside:
                posterior, took, steps = beside[index]
                limit.record.update(steps)
                if posterior is not None:
                    fitted.append(posterior)
                    names.append(self._name(index))
                    seconds.append(took)
                continue
            begin, name = time.monotonic(), self._name(index)
            part = limit.part(name, share=self._share(index), needed=not fitted)
            if part is None:
                continue
            file = self._file(index)
            train = limited_fit("methods", method, part)
            train = resumed_fit(method, train, self._checkpoints(index, kept, limit))
            posterior = kept.load(file, simulations.prior, device)
            if posterior is None and isinstance(method, NeuralRatio) and fitted:
                samples = samples or HeldOutSamples.draw(flow_of(fitted), held_out, child(seed, 2))
                rows += [samples.log_weights(member) for member in fitted[len(rows) :]]
                table = samples.table(rows)
                if agree(fitted, table):
                    settled.append(name)
                    continue
                train = partial(train, race=Race.against(samples, table, fitted))
            if posterior is None:
                with threads_for(method):
                    own = child(seed, 1, index)
                    train = folded_fit(method, train, simulations, fold)
                    found = train(seed=own, device=device, progress=progress)
                posterior = poolable(method, found)
                kept.save(file, posterior)
            fitted.append(poolable(method, posterior))
            names.append(self._name(index))
            seconds.append(time.monotonic() - begin)
        flow = flow_of(fitted)
        if samples is None or flow is not samples.flow:
            samples, rows = HeldOutSamples.draw(flow, held_out, child(seed, 2)), []
        rows += [samples.log_weights(member) for member in fitted[len(rows) :]]
        table = samples.table(rows)
        posterior = pooled(
            fitted, tuple(names), table, tuple(seconds), self.combine, child(seed, 4)
        )
        return replace(
            posterior,
            choice=replace(posterior.choice, settled=tuple(settled), left_out=limit.left_out),
        )

    def _relevant(self, simulations: Simulations, seed: int) -> Tensor:
        """Return which entries of x the methods see; all where x is not a vector."""
        x = simulations.x
        embedded = any(getattr(method, "embedding", None) is not None for method in self.methods)
        if not self.screen or x.ndim != 2 or simulations.missing or embedded:
            return torch.ones(x.shape[1:], dtype=torch.bool)
        return relevant_entries(*simulations.ok(), seed=seed)

    def _beside(
        self,
        simulations: Simulations,
        fold: Fold,
        seed: int,
        device: str,
        progress: bool,
        limit: StepLimit,
        kept: KeptFits,
        workers: int | None,
    ) -> dict[int, tuple[SavedPosterior | None, float, dict[str, StageSteps]]]:
        """Fit those that do not depend on each other, if several processes may; return them."""
        apart = [
            index
            for index, method in enumerate(self.methods)
            if separable(method)
            and not isinstance(method, NeuralRatio)
            and kept.load(self._file(index), simulations.prior, device) is None
        ]
        if len(apart) < 2 or processes(workers, simulations, device) == 1:
            return {}
        fits = [
            SeparateFit(
                self.methods[index],
                self._name(index),
                self._file(index),
                simulations,
                child(seed, 1, index),
                device,
                limit,
                self._share(index),
                index == 0,
                kept,
                self._checkpoints(index, kept, limit),
                fold,
            )
            for index in apart
        ]
        return dict(zip(apart, fit_side_by_side(fits, workers, progress), strict=True))

    def _checkpoints(self, index: int, kept: KeptFits, limit: StepLimit) -> Checkpoints:
        """Return where a method's training is kept: nowhere under a limit, which cannot go on."""
        return NO_CHECKPOINTS if limit.exists else kept.checkpoints(self._file(index))

    def _share(self, index: int) -> float:
        """Return which share of the time left is a method's."""
        return FIRST_SHARE if index < len(self.methods) - 1 else LAST_SHARE

    def _file(self, index: int) -> str:
        """Return the name under which a method's posterior is kept."""
        return f"{index + 1}_{self._name(index)}"

    def _meant(self, simulations: Simulations, *, again: bool) -> "Pool":
        """Return the pool of all methods that are fitted to simulations, with their embeddings."""
        methods = self._all if again else self.methods
        if simulations.missing and self.methods == DEFAULT_METHODS:  # no likelihood takes them
            methods = (*MISSING_METHODS[:1], *DEFAULT_AGAIN[: int(again)], *MISSING_METHODS[1:])
        if self.embedding is not None:
            methods = with_embeddings(methods, self.embedding, simulations.x.shape[1:])
        if methods == self.methods:
            return self
        return replace(self, methods=methods, again=(), embedding=None)

    @property
    def _all(self) -> tuple[Method, ...]:
        """The methods where simulations are few: those of `again` come before the first ratio."""
        again = self.again
        if again is None:
            again = DEFAULT_AGAIN if self.methods == DEFAULT_METHODS else ()
        first = [isinstance(method, NeuralRatio) for method in (*self.methods, NeuralRatio())]
        place = first.index(True)
        return (*self.methods[:place], *again, *self.methods[place:])

    def _name(self, index: int) -> str:
        """Return a method's name, numbered where there are several of its kind."""
        kinds = [type(method).__name__ for method in self.methods]
        number = kinds[: index + 1].count(kinds[index])
        return f"{kinds[index]} {number}" if kinds.count(kinds[index]) > 1 else kinds[index]


def flow_of(fitted: list[SavedPosterior]) -> FlowPosterior | None:
    """Return the first flow, which proposes the importance samples that methods are stacked by."""
    return next((member for member in fitted if isinstance(member, FlowPosterior)), None)


def pooled(
    fitted: list[SavedPosterior],
    names: tuple[str, ...],
    table: StackingTable,
    seconds: tuple[float, ...],
    combine: bool,
    seed: int,
) -> PooledPosterior:
    """Return the pool of the methods of substantial weight, or the best method alone.

    The better flow proposes its importance samples.
    """
    corners = torch.eye(len(fitted), dtype=torch.float64)
    single = torch.stack([table.densities(corner) for corner in corners])
    order = single.mean(1).argsort(descending=True, stable=True).tolist()
    proposal = flow_of([fitted[index] for index in order])
    weights = pool_weights(table, seed=seed) if combine else corners.new_zeros(len(fitted))
    if weights.max() < NEGLIGIBLE_WEIGHT:  # or one is asked for: the best alone
        weights = corners[single.mean(1).argmax()]
    pool = table.densities(weights)
    difference = pool - single
    choice = PoolChoice(
        names,
        tuple(single.mean(1).tolist()),
        tuple((difference.std(1) / math.sqrt(len(pool))).tolist()),
        tuple(weights.tolist()),
        float(pool.mean()),
        len(pool),
        seconds,
    )
    rows = [index for index, weight in enumerate(weights.tolist()) if weight > 0]
    members = tuple(fitted[index] for index in rows)
    history = tuple(entry for member in members for entry in member.history)
    return PooledPosterior(
        members, tuple(float(weights[i]) for i in rows), choice, proposal, history
    )
