"""Neural likelihood estimation: a flow, or a categorical law, of x given theta.

It has maximum likelihood: the optimum of sum_i log q(x_i | theta_i) over simulations is the
simulator's own density whatever theta was drawn from, so that any prior may be put before it, and
independent trials behind it.

References:
    Papamakarios, Sterratt & Murray, Sequential neural likelihood, 2019. arXiv:1805.07226
    Lueckmann et al., Likelihood-free inference with emulator networks, 2019. arXiv:1805.09294
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lfi.inference.methods.flow_stages import FlowStage, Stage
from lfi.inference.methods.flow_training import TRIALS_ROWS, FlowMethod
from lfi.inference.methods.posterior_flow import PosteriorFlow
from lfi.inference.methods.serial_dependence import Coordinates, serially_dependent
from lfi.inference.methods.trials import (
    Trials,
    dependent_entries,
    dependent_trials,
    find_trials,
    made_rows,
)
from lfi.inference.methods.validity import fit_validity
from lfi.inference.posteriors.likelihood import LikelihoodPosterior
from lfi.inference.types import usable
from lfi.networks import ConditionalFlow, LikelihoodEstimator, few_levels
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_instance
from lfi.runtime import BriefSettings, child, fresh, isolated, torch_rng
from lfi.simulation import Prior, Simulations
from lfi.training import NO_CHECKPOINTS, UNLIMITED, Batch, Checkpoints, Fold, History, StepLimit

FEW_ROWS = 2_000  # simulations that tell whether entries depend on others, or are trials
SIMPLE_SHARE = 0.7  # of limited time, for a simple likelihood; a flow of x as a whole may follow
MIN_SERIES = 8  # entries from which on they may depend on those next to them alone


@dataclass(frozen=True)
class Form:
    """What a likelihood takes x to be: a whole or `trials`, real or whole numbers of few levels."""

    trials: Trials | None = None
    levels: int | None = None


WHOLE = Form()


@checked
@dataclass(frozen=True, kw_only=True, repr=False)
class SurrogateLikelihood(BriefSettings, FlowMethod):
    """A posterior by a conditional flow of the data; see `FlowMethod` for the other fields.

    Entries of x that are independent given theta, such as measurements with errors of their own,
    are tried first: the `gaussian_steps` are those of such a Gaussian, in three cycles of which the
    later ones are done if there is a gain. What lets entries depend on each other has a third as
    many, and splines of all entries half the steps and a third of the rate of `settings`; either is
    kept only if held-out simulations are likelier. Where eight entries or more depend on those
    before them, as in a series, an autoregression by one network for all places is tried instead:
    few series tell what is the same all along them.

    Where x seems to hold independent trials of one law, one after the other (`find_trials`), the
    flow is of one trial, and learns from all of them. Their number may vary: x of (trials, k) has
    rows of zeros at the end for those not made, and one of the k numbers is 1 where they were. If
    trials turn out to depend on each other, or on their number, a flow of x as a whole is fitted as
    well, and the better one is taken.

    Where x, or a trial, is whole numbers of at most eight values each, such as yes and no, the law
    is categorical, of numbers that are independent given theta; if they turn out to depend on each
    other, a flow is fitted as well, and the better one is taken.

    It takes no embedding: x is what it models. Where x is long, such as an image, fit it to few
    numbers, such as the `summaries` that the posterior of a `PosteriorFlow` has learned.

    Attributes:
        proposal: Fits a flow of theta given x, from which importance samples are drawn where the
            posterior is narrow; None draws them from the prior. It may have an embedding.

    Raises:
        TypeError: If the proposal is something else.
    """

    proposal: PosteriorFlow | None = PosteriorFlow()
    gaussian_steps: int = 9_000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_instance("proposal", self.proposal, PosteriorFlow, optional=True)

    @property
    def restorable(self) -> bool:
        """Whether `lfi.load` rebuilds the posterior from its file alone."""
        return self.proposal is None or self.proposal.restorable

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
        checkpoints: Checkpoints = NO_CHECKPOINTS,
        fold: Fold | None = None,
    ) -> LikelihoodPosterior:
        """Return the posterior for any observation; the arguments are those of every `Method`.

        A `limit` leaves the regression in closed form at least. From `checkpoints` an interrupted
        fit goes on. A `fold` of the valid simulations says which are held out.

        Where simulations have failed, the flow is fitted to the valid ones, and the likelihood of
        a valid x is its density times how likely a simulation is to be valid, which a classifier
        tells.

        Example:
            >>> import lfi
            >>> from simulators import influenza
            >>> simulations = lfi.simulate(influenza, 500, seed=1)
            >>> few = lfi.TrainSettings(steps=2)
            >>> method = lfi.SurrogateLikelihood(
            ...     proposal=None, gaussian_steps=20, settings=few, width=16)
            >>> posterior = lfi.fit_posterior(simulations, method=method, seed=1)
            >>> posterior.log_likelihood(simulations.theta[:4], influenza.x_obs).shape
            torch.Size([4])
        """
        theta, x = usable(simulations)
        seed, prior = fresh(seed), simulations.prior
        proposal = self.proposal and self.proposal.fit(
            simulations,
            seed=child(seed, 0),
            device=device,
            progress=progress,
            limit=limit.part("proposal", needed=True) or limit,
            checkpoints=checkpoints.within("proposal"),
        )
        train, held = self._split((theta, x.reshape(len(x), -1)), fold, torch_rng(seed, 2))
        forms = _forms(theta, x)
        found: list[tuple[float, LikelihoodEstimator, History]] = []
        for form in forms:
            if found and not self._dependent(found[0][1], train, child(seed, 5), device):
                break
            own, kept, key = limit, checkpoints, seed
            if form != WHOLE:
                own = limit.part("simple", share=SIMPLE_SHARE, needed=True) or limit
                kept, key = checkpoints.within("simple"), child(seed, 7)
            network = self._estimator(prior, x.shape[1:], form, child(seed, 1))
            history = self._fitted(
                network,
                train,
                held,
                key,
                device=device,
                progress=progress,
                limit=own,
                checkpoints=kept,
            )
            found.append((_best(history), network, history))
        _, network, history = min(found, key=lambda each: each[0])
        validity = None
        if len(theta) < len(simulations):
            validity = fit_validity(
                simulations.theta, simulations.valid, prior, seed=child(seed, 6), device=device
            )
        return LikelihoodPosterior(network, prior, proposal, validity, (history,))

    def _estimator(
        self, prior: Prior, event: Sequence[int], form: Form, seed: int
    ) -> LikelihoodEstimator:
        """Return a likelihood of a form, before it has seen any x."""
        size, shape, of_trials, trials = math.prod(event), self.shape, {}, form.trials
        if trials is not None:
            size = trials.size - (trials.mark is not None)
            of_trials = {"trial": trials.size, "mark": trials.mark}
            shape |= {"couplings": min(self.couplings, size)}  # which suffice for few numbers
        with isolated(seed):
            return LikelihoodEstimator(
                prior.lower.tolist(),
                prior.upper.tolist(),
                event,
                by_entry=form.levels is None and size > 1,
                neighbours=form == WHOLE and size >= MIN_SERIES,
                levels=form.levels,
                **of_trials,
                **shape,
            )

    def _fitted(
        self,
        network: LikelihoodEstimator,
        train: Batch,
        held: Batch,
        seed: int,
        *,
        device: str,
        progress: bool,
        limit: StepLimit,
        checkpoints: Checkpoints,
    ) -> History:
        """Fit a likelihood in place."""
        network.fit_from_data(train[0], train[1], torch_rng(seed, 3))

        def log_prob(batch: Batch, rng: torch.Generator) -> Tensor:
            theta, x = batch
            u = torch.rand(x.shape, generator=rng, dtype=x.dtype).to(x.device)
            return network.dequantised_log_density(theta, x, u)

        def coordinates(batch: Batch) -> Coordinates:
            theta, x = (part[:FEW_ROWS].to(device) for part in batch)
            u = torch.rand(x.shape, generator=torch_rng(seed, 5), dtype=x.dtype).to(device)
            y, log_slope = network.columns(x, u)
            return y, network.coordinates(theta), log_slope

        def worth(stage: Stage, best: float) -> bool:
            flow = network.flow
            if not isinstance(stage, FlowStage) or not isinstance(flow, ConditionalFlow):
                return True
            if not stage.neighbours or stage.nonlinear or flow.neighbours is None:
                return True
            return serially_dependent(flow, coordinates(train), coordinates(held), best)

        history = self._train(
            network,
            network.flow,
            log_prob,
            train,
            held,
            seed=seed,
            stream=4,
            device=device,
            progress=progress,
            limit=limit,
            checkpoints=checkpoints,
            note="fitting the likelihood",
            worth=worth,
            trials=network.trials,
        )
        if network.trials == 1:
            return history
        return replace(history, stopped=f"{network.trials} trials; {history.stopped}")

    @torch.no_grad()
    def _dependent(
        self, network: LikelihoodEstimator, train: Batch, seed: int, device: str
    ) -> bool:
        """Return whether trials, or numbers of few values, depend on each other, by their noise."""
        few = max(1, min(FEW_ROWS, TRIALS_ROWS // network.trials))
        theta, x = (part[:few].to(device) for part in train)
        u = torch.rand(x.shape, generator=torch_rng(seed), dtype=x.dtype).to(device)
        noise, made = (part.cpu() for part in network.to_noise(theta, x, u))
        if network.trials > 1 and dependent_trials(noise, made):
            return True
        return not isinstance(network.flow, ConditionalFlow) and dependent_entries(noise[made])


def _forms(theta: Tensor, x: Tensor) -> tuple[Form, ...]:
    """Return what to try, the simplest first, and next if numbers depend on each other."""
    trials = find_trials(theta[:FEW_ROWS], x[:FEW_ROWS])
    rows = x.flatten(1) if trials is None else made_rows(trials, x)
    simple = Form(trials, few_levels(rows))
    return (WHOLE,) if simple == WHOLE else (simple, WHOLE)


def _best(history: History) -> float:
    """Return the lowest loss on held-out simulations of all stages."""
    return min(
        value
        for name, column in history.columns.items()
        if "held-out" in name
        for _, value in column
    )
