"""The posterior of a generator: theta = G(z, x), known by draws, which a ratio may correct.

The generator works in the coordinates of `posteriors.flow`, free of the prior's edges, of which a
conditional Gaussian, fitted by maximum likelihood, has removed location, scale and correlation:

    v = m(x) + P(x)^-1 e,    e = G(z, features of x),

so that nothing leaves the prior's support. A critic of (e, x) against (G(z, x), x), which is fitted
after training and without penalties, has the optimum

    h(e, x) = log p(theta, x) / q(theta | x) p(x) = log p(theta | x) / q(theta | x),

and corrected draws are draws of the generator, resampled by their weights exp h.

References:
    Ramesh, Lueckmann, Boelts, Tejero-Cantero, Greenberg, Goncalves & Macke, GATSBI: generative
        adversarial training for simulation-based inference, 2022. arXiv:2203.06481
    Vehtari et al., Pareto smoothed importance sampling, JMLR 2024. arXiv:1507.02646
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.generation.defaults import generator_for
from lfi.generation.generator import NETWORKS
from lfi.inference.draws import Draws
from lfi.inference.posteriors.flow import from_flow_coordinates
from lfi.inference.posteriors.saved import SavedDrawnPosterior
from lfi.inference.reliability import MAX_KHAT, UnreliableDraws
from lfi.inference.samplers.target import Sampler
from lfi.inference.training_reference import TrainingReference
from lfi.networks import PosteriorEstimator, VectorGenerator, noise_of, takes_missing
from lfi.networks.embeddings import build_embedding, embedding_spec
from lfi.numerics.arrays import Samples
from lfi.ratio import CriticRatio
from lfi.ratio.density.importance_resampling import ReferenceSamples, sample_reference
from lfi.runtime import Contents, child, load_prefixed, prefixed, torch_rng
from lfi.runtime.calls import warn_caller
from lfi.simulation import Prior
from lfi.training import History

ROWS = 2**13  # that the networks see at a time
MAX_MIXED = 10  # parameters up to which the generator is a mixture, beyond which a bent Gaussian
TARGET_ESS = 4.0  # effective draws weighted for each corrected one
FIRST_PER_DRAW, MAX_PER_DRAW = 8, 64  # draws weighted at a time, and at most, for each of these
MIN_WEIGHTED = 2**12  # draws: of fewer, Pareto k is a matter of chance


class PosteriorGenerator(nn.Module):
    """v = G(z, x): a conditional Gaussian of v given features of x, and a generator of residuals e.

    Where it is not `active`, e is standard normal, and v the Gaussian's.

    Example:
        >>> network = PosteriorGenerator(2, (5,), width=16)
        >>> x = torch.randn(3, 5).float()
        >>> network.draw(network.features(x), torch.Generator().manual_seed(0)).shape
        torch.Size([3, 2])
    """

    active: Tensor

    def __init__(
        self,
        dim: int,
        x_shape: Sequence[int],
        *,
        width: int = 64,
        generator: nn.Module | None = None,
        embedding: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.spec: dict[str, object] = {"dim": dim, "x_shape": list(x_shape), "width": width}
        if embedding is not None:
            self.spec["embedding"] = embedding_spec(embedding)
        self.start: PosteriorEstimator = PosteriorEstimator(
            dim, x_shape, width=width, couplings=1, bins=2, embedding=embedding
        )
        self.start.flow.splines_active.fill_(False)
        size = self.start.size
        if generator is None:
            generator = (
                generator_for((dim,), size)
                if dim <= MAX_MIXED
                else VectorGenerator(dim, size, width=2 * width, initial_log_scale=0.0)
            )
        self.generator: nn.Module = generator
        self.register_buffer("active", torch.tensor(True))

    @property
    def dim(self) -> int:
        """How many parameters there are."""
        return self.start.flow.size

    def features(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n features"]:
        """Return what generator and critic see of x."""
        return torch.cat([self.start.condition_of(part) for part in x.split(ROWS)])

    @torch.no_grad()
    def residuals(
        self, v: Float[Tensor, "n dim"], x: Float[Tensor, "n ..."]
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n features"]]:
        """Return e of v, and features of x."""
        condition = self.features(x)
        parts = zip(self.start.standardise(v).split(ROWS), condition.split(ROWS), strict=True)
        flow = self.start.flow
        return torch.cat([flow.to_noise(y, flow.embed(at))[0] for y, at in parts]), condition

    def draw(
        self, condition: Float[Tensor, "n features"], rng: torch.Generator
    ) -> Float[Tensor, "n dim"]:
        """Return e = G(z, condition), with noise drawn on the CPU."""
        if not self.active:
            return self.draw_start(condition, rng)
        z = noise_of(self.generator)(len(condition), rng).to(condition.device)
        return self.generator(z, condition)

    def draw_start(
        self, condition: Float[Tensor, "n features"], rng: torch.Generator
    ) -> Float[Tensor, "n dim"]:
        """Return e of the Gaussian."""
        return self.start.flow.noise(len(condition), rng).to(condition.device)

    def parameters_of(
        self, e: Float[Tensor, "n dim"], condition: Float[Tensor, "n features"]
    ) -> Float[Tensor, "n dim"]:
        """Return v of e, in float64."""
        return self.start.generate(e, self.start.flow.embed(condition))


@dataclass(frozen=True, eq=False, repr=False)
class GeneratorPosterior(SavedDrawnPosterior):
    """A posterior known by the draws of a generator, as `lfi.AdversarialPosterior` fits it.

    It has no density: `log_prob` raises `NotImplementedError`, and `normalised` is None.

    Attributes:
        network: The generator.
        prior: The prior, truncated where rounds truncated it.
        x_shape: The shape of one simulation's x.
        correction: The log ratio of (e, x) of simulations to those of the generator; or None.
        corrects: Whether draws are corrected by it, as those of `corrected()` are.
        history: How start, generator and correction were trained.

    Example:
        >>> from simulators import influenza
        >>> simulations = lfi.simulate(influenza, 200, seed=1)
        >>> quick = lfi.AdversarialPosterior(
        ...     settings=lfi.AdversarialSettings(steps=5), start_steps=20, members=1,
        ...     correction_settings=lfi.TrainSettings(steps=20))
        >>> posterior = lfi.fit_posterior(simulations, method=quick, seed=1, progress=False)
        >>> posterior.sample(100, influenza.x_obs, seed=2).shape
        torch.Size([100, 3])
        >>> posterior.corrected().draw(100, influenza.x_obs, seed=2).sampler
        'generator, corrected'
    """

    network: PosteriorGenerator
    prior: Prior
    x_shape: tuple[int, ...]
    correction: CriticRatio | None = None
    corrects: bool = False
    history: tuple[History, ...] = field(default=())
    training_reference: TrainingReference | None = None
    normalised: None = field(default=None, init=False)

    @property
    def takes_missing(self) -> bool:
        """Whether the networks were trained on x with missing entries."""
        return takes_missing(self.network.start.features)

    def corrected(self) -> "GeneratorPosterior":
        """Return the posterior whose draws are resampled by the ratio of a critic.

        Each takes several draws of the generator; `draw` tells the k-hat of their weights, and
        warns where it is above 0.7.

        Raises:
            ValueError: If no critic was fitted, with `AdversarialPosterior(correction=False)`.
        """
        if self.correction is None:
            raise ValueError(
                "there is no correction: fit with lfi.AdversarialPosterior(correction=True)"
            )
        return replace(self, corrects=True)

    def log_prob(
        self, theta: Samples, x_obs: Samples, *, normalise: bool = False
    ) -> Float[Tensor, "*m n"]:
        """Raise NotImplementedError: the draws of a generator have no density that is known."""
        raise NotImplementedError(
            "the draws of a generator have no density: take lfi.PosteriorFlow() or "
            "lfi.NeuralRatio() for one"
        )

    def describe(self) -> str:
        """Return what the posterior is of, whether draws are corrected, and how it was trained."""
        first, *rest = super().describe().splitlines()
        kind = type(self.network.generator).__name__
        drawn = "corrected by the ratio of a critic" if self.corrects else "as they come"
        return "\n".join([first, f"  draws of a {kind}, {drawn}", *rest])

    @torch.no_grad()
    def _drawn(
        self, x: Float[Tensor, "m ..."], n: int, sampler: Sampler | None, seed: int
    ) -> tuple[Draws, ...]:
        """Return draws of the generator, corrected where it `corrects`."""
        if sampler is not None:
            raise ValueError(
                f"sampler: {sampler} needs a density, and this posterior is known by its draws"
            )
        self.check_observations(x)
        begin = time.monotonic()
        conditions = self.network.features(x.to(self.device))
        if not self.corrects:
            theta = self._parameters(conditions.repeat_interleave(n, 0), seed)
            drawn = [self._draws(rows, seed) for rows in theta.split(n)]
        else:
            drawn = [
                self._corrected(condition, n, child(seed, j), seed)
                for j, condition in enumerate(conditions)
            ]
            _warn_of_weights([each.khat or 0.0 for each in drawn])
        seconds = time.monotonic() - begin
        return tuple(replace(each, seconds=seconds) for each in drawn)

    def _draws(
        self, theta: Float[Tensor, "n dim"], seed: int, weighted: ReferenceSamples | None = None
    ) -> Draws:
        n = len(theta)
        return Draws(
            theta=theta,
            names=self.names,
            sampler="generator" if weighted is None else "generator, corrected",
            ess=float(n) if weighted is None else min(weighted.ess, float(n)),
            proposals=n if weighted is None else len(weighted.x),
            seconds=0.0,
            seed=seed,
            khat=weighted and weighted.khat,
        )

    def _parameters(
        self, conditions: Float[Tensor, "n features"], seed: int
    ) -> Float[Tensor, "n dim"]:
        """Return one draw for each condition, in the prior's dtype."""
        rng, parts = torch_rng(seed), []
        for rows in conditions.split(ROWS):
            v = self.network.parameters_of(self.network.draw(rows, rng), rows)
            parts.append(from_flow_coordinates(self.prior, v.cpu()))
        return torch.cat(parts)

    def _corrected(
        self, condition: Float[Tensor, " features"], n: int, own: int, seed: int
    ) -> Draws:
        """Return n draws of one observation, resampled by their weights."""
        network, ratio = self.network, self.correction
        assert ratio is not None  # or `corrected` would have refused
        size = max(FIRST_PER_DRAW * n, MIN_WEIGHTED)

        def draw(count: int, index: int) -> Tensor:
            rng, rows = torch_rng(own, 0, index), condition.expand(count, -1).split(ROWS)
            return torch.cat([network.draw(part, rng) for part in rows])

        weighted = sample_reference(
            lambda e: ratio.log_ratio(torch.cat([e, condition.expand(len(e), -1)], 1)),
            draw,
            n,
            target_ess=TARGET_ESS,
            max_draws=max(MAX_PER_DRAW * n, size),
            chunk=size,
        )
        e = weighted.resample(n, child(own, 1))
        v = network.parameters_of(e, condition.expand(n, -1))
        return self._draws(from_flow_coordinates(self.prior, v.cpu()), seed, weighted)

    def _networks(self) -> list[nn.Module]:
        return [self.network, *([] if self.correction is None else [self.correction.critics])]

    def _spec(self) -> tuple[dict[str, object], dict[str, Tensor]]:
        kind = type(self.network.generator).__name__
        ratio, tensors = (None, {}) if self.correction is None else self.correction._spec()
        generator = self.network.generator
        ours = type(generator) is NETWORKS.get(kind)
        spec = {
            "prior": self.prior.to_contents(),
            "network": self.network.spec,
            "generator": [kind, generator.spec] if ours else None,
            "correction": ratio,
            "corrects": self.corrects,
            "history": [history._spec() for history in self.history],
        }
        return spec, prefixed("generator", self.network) | tensors

    @classmethod
    def _restore(cls, contents: Contents) -> "GeneratorPosterior":
        spec = contents.spec
        arguments = dict(spec["network"])
        if spec["generator"] is None:
            generator = contents.module("generator")
        else:
            kind, own = spec["generator"]
            generator = NETWORKS[kind](**own)
        embedding = build_embedding(arguments.pop("embedding", None), contents.module)
        network = PosteriorGenerator(**arguments, generator=generator, embedding=embedding)
        load_prefixed("generator", network, contents.tensors)
        correction = None
        if spec["correction"] is not None:
            correction = CriticRatio._restore(contents.part("CriticRatio", spec["correction"]))
        corrects = spec["corrects"] is True
        if corrects and correction is None:
            raise ValueError("corrected draws without a ratio that corrects them")
        return cls(
            network.eval().requires_grad_(False),
            Prior.from_contents(contents),
            tuple(arguments["x_shape"]),
            correction,
            corrects,
            tuple(History._restore(entry) for entry in spec["history"]),
        )


def _warn_of_weights(khats: Sequence[float]) -> None:
    """Warn once of corrected draws whose weights are not reliable."""
    poor = [khat for khat in khats if not khat <= MAX_KHAT]
    if poor:
        of = f" of {len(poor)} of {len(khats)} observations" * (len(khats) > 1)
        warn_caller(
            f"corrected draws{of} are not reliable. Pareto k-hat is "
            f"{'up to ' * (len(poor) > 1)}{max(poor):.2f}, above {MAX_KHAT}: the generator is too "
            "narrow somewhere, or the critic is wrong there. Train for more steps, or from more "
            "simulations; or fit around the observation with lfi.fit_rounds",
            UnreliableDraws,
        )
