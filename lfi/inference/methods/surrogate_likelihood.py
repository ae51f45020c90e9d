"""Neural likelihood estimation: a flow of x given theta, by maximum likelihood.

    max_q  sum_i log q(x_i | theta_i)

over simulations. The optimum is the simulator's own density whatever theta was drawn from, so that
any prior may be put before it afterwards, and any number of independent trials behind it.

References:
    Papamakarios, Sterratt & Murray, Sequential neural likelihood, 2019. arXiv:1805.07226
    Lueckmann, Bassetto, Karaletsos & Macke, Likelihood-free inference with emulator networks, 2019.
    arXiv:1805.09294
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lfi.inference.methods.correction import fit_correction
from lfi.inference.methods.flow_training import MOST_HELD_OUT, Stage, account, maximise, stages
from lfi.inference.methods.posterior_flow import PosteriorFlow
from lfi.inference.methods.validity import fit_validity
from lfi.inference.posteriors.likelihood import LikelihoodPosterior, XGivenTheta
from lfi.inference.types import usable
from lfi.runtime import child, fresh, isolated, torch_rng
from lfi.simulation import Simulations
from lfi.training import Batch, hold_out


@dataclass(frozen=True)
class SurrogateLikelihood:
    """A posterior through a conditional flow of the data.

    Attributes:
        near: Fits a flow of theta given x, from which candidates are drawn where the posterior is
            narrow; None draws them from the prior.
        width: Of the networks.
        depth: Residual blocks that theta passes through.
        layers: Spline couplings.
        bins: Of each spline.
        steps: Of the Gaussian stage and of the splines' stage.
        batch_size: Rows in a batch of the splines' stage; the Gaussian one takes half.
        learning_rate: Its peak in the splines' stage; three times as high in the Gaussian one.
        weight_decay: AdamW's.
        correction: Steps for which a ratio of simulator to surrogate is trained, whose logarithm is
            added; 0 for none.
        held_out: The share of simulations on which the best weights are chosen.
    """

    near: PosteriorFlow | None = PosteriorFlow()
    width: int = 128
    depth: int = 2
    layers: int = 4
    bins: int = 8
    steps: tuple[int, int] = (6_000, 1_500)
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    correction: int = 0
    held_out: float = 0.1

    @property
    def restorable(self) -> bool:
        """Whether a file alone brings its posteriors back."""
        return True

    def fit(
        self,
        simulations: Simulations,
        *,
        x_obs: Tensor | None = None,
        seed: int | None = None,
        device: str = "cpu",
        progress: bool = True,
    ) -> LikelihoodPosterior:
        """Return the posterior for any observation; `x_obs` is not needed.

        Where simulations have failed, the flow is fitted to the valid ones, and the likelihood of
        a valid x is its density times how likely a simulation is to be valid, which a classifier
        tells.

        Args:
            simulations: At least 100 valid ones.
            x_obs: Ignored: the surrogate is amortised.
            seed: None takes fresh entropy, which the history records.
            device: Where to train.
            progress: Show a bar on a terminal.

        Raises:
            ValueError: If there are too few simulations.

        Example:
            >>> import lfi
            >>> from simulators import influenza
            >>> simulations = lfi.simulate(influenza, 500, seed=1)
            >>> method = lfi.SurrogateLikelihood(near=None, steps=(20, 5), width=16)
            >>> posterior = lfi.fit_posterior(simulations, method=method, seed=1)
            >>> posterior.log_likelihood(simulations.theta[:4], influenza.x_obs).shape
            torch.Size([4])
        """
        theta, x = usable(simulations)
        seed, prior = fresh(seed), simulations.prior
        near = None
        if self.near is not None:
            near = self.near.fit(simulations, seed=child(seed, 0), device=device, progress=progress)
        with isolated(child(seed, 1)):
            network = XGivenTheta(
                prior.lower.tolist(),
                prior.upper.tolist(),
                x.shape[1:],
                width=self.width,
                depth=self.depth,
                layers=self.layers,
                bins=self.bins,
            )
        rows = theta.to(torch.float32), x.reshape(len(x), -1)
        train, held = hold_out(rows, self.held_out, torch_rng(seed, 2), max_held_out=MOST_HELD_OUT)
        network.learn(*train, torch_rng(seed, 3))

        def log_prob(batch: Batch, rng: torch.Generator) -> Tensor:
            theta, x = batch
            u = torch.rand(x.shape, generator=rng, dtype=x.dtype).to(x.device)
            return network.spread(theta, x, u)

        histories = maximise(
            network,
            network.flow,
            log_prob,
            train,
            held,
            self.stages,
            weight_decay=self.weight_decay,
            seed=child(seed, 4),
            device=device,
            progress=progress,
            note="fitting the likelihood",
        )
        names, correction = [stage.name for stage in self.stages], None
        if self.correction:
            correction, found = fit_correction(
                network.simulate,
                prior,
                *((part[0], part[1].reshape(-1, *x.shape[1:])) for part in (train, held)),
                steps=self.correction,
                seed=child(seed, 5),
                device=device,
                progress=progress,
            )
            histories, names = (*histories, found), [*names, "correction"]
        validity = None
        if len(theta) < len(simulations):
            validity = fit_validity(
                simulations.theta, simulations.valid, prior, seed=child(seed, 6), device=device
            )
        history = account(histories, names, seed=seed)
        return LikelihoodPosterior(network, prior, near, correction, validity, (history,))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What is trained, one after the other."""
        return stages(self.steps, self.batch_size, self.learning_rate)
