"""Neural posterior estimation: a flow of theta given x, by maximum likelihood.

The optimum of sum_i log q(theta_i | x_i) over simulations is the posterior. The flow lives in
coordinates where the prior's support has no edges, so that no density leaks out.

References:
    Papamakarios & Murray, Fast epsilon-free inference of simulation models, 2016. arXiv:1605.06376
    Greenberg, Nonnenmacher & Macke, Automatic posterior transformation, 2019. arXiv:1905.07488
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lfi.inference.methods.flow_training import FlowMethod
from lfi.inference.posteriors.flow import FlowPosterior, to_flow_coordinates
from lfi.inference.types import usable
from lfi.networks import PosteriorEstimator, prepared
from lfi.networks.embeddings import OWN, embedding_spec
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_instance
from lfi.runtime import BriefSettings, child, fresh, isolated, torch_rng
from lfi.simulation import Simulations
from lfi.training import NO_CHECKPOINTS, UNLIMITED, Batch, Checkpoints, Fold, StepLimit


@checked
@dataclass(frozen=True, kw_only=True, repr=False)
class PosteriorFlow(BriefSettings, FlowMethod):
    """A posterior by a conditional flow of the parameters; see `FlowMethod` for the other fields.

    Attributes:
        embedding: A network of x, (n, *event) to (n, k), that is trained along, in place of
            standardised entries of x: for series, sets and images, such as
            `lfi.embeddings.SeriesEmbedding`. `posterior.summaries` are what it makes of data.

    Raises:
        TypeError: If the embedding is no network.
    """

    embedding: nn.Module | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_instance("embedding", self.embedding, nn.Module, optional=True)

    @property
    def restorable(self) -> bool:
        """Whether `lfi.load` rebuilds the posterior from its file alone."""
        return embedding_spec(self.embedding) != OWN

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
    ) -> FlowPosterior:
        """Return the posterior for any observation; the arguments are those of every `Method`.

        A `limit` leaves the regression in closed form at least. From `checkpoints` an interrupted
        fit goes on. A `fold` of the valid simulations says which are held out.

        Simulations that failed are left out and need no correction: an observation is a valid x,
        and among those that gave valid x, theta given x is distributed as among all.

        Example:
            >>> import lfi
            >>> from simulators import influenza
            >>> simulations = lfi.simulate(influenza, 500, seed=1)
            >>> method = lfi.PosteriorFlow(gaussian_steps=20, settings=lfi.TrainSettings(steps=5))
            >>> posterior = lfi.fit_posterior(simulations, method=method, seed=1)
            >>> posterior.normalised, posterior.sample(10, influenza.x_obs, seed=2).shape
            (True, torch.Size([10, 3]))
        """
        theta, x = usable(simulations, missing=True)
        seed, prior = fresh(seed), simulations.prior
        with isolated(child(seed, 0)):
            embedding = prepared(self.embedding, x.shape[1:], missing=simulations.missing)
            network = PosteriorEstimator(prior.dim, x.shape[1:], embedding=embedding, **self.shape)
        v = to_flow_coordinates(prior, theta)[0]
        train, held = self._split((v, x), fold, torch_rng(seed, 1))
        network.fit_from_data(*train)

        def log_prob(batch: Batch, rng: torch.Generator) -> Tensor:
            v, x = batch
            return network.log_density(v, network.embed(x))

        history = self._train(
            network,
            network.flow,
            log_prob,
            train,
            held,
            seed=seed,
            stream=2,
            device=device,
            progress=progress,
            limit=limit,
            checkpoints=checkpoints,
            note="fitting the flow",
        )
        return FlowPosterior(network, prior, tuple(x.shape[1:]), (history,))
