"""Implicit posteriors: draws of a network, a verdict on them, and corrected draws.

The density of the draws is known by a critic's ratio to a Gaussian, and that of the model exactly,
up to a constant. So draws have importance weights

    w = p(x, theta) / q(theta | x),       log q = log reference - critic,

whose Pareto k-hat says whether the draws can be relied on, or by which they are corrected. Weights
of draws cannot show a mode that has no draws: the evidence by importance samples that were drawn
before training can, if it is larger.

References:
    Yao, Vehtari, Simpson & Gelman, Yes, but did it work?, 2018. arXiv:1802.02538
"""

import math
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.arviz import inference_data, prior_draws
from lfi.inference.draws import Draws
from lfi.inference.implicit.distribution import ImplicitDistribution
from lfi.inference.implicit.files import (
    density_spec,
    distribution_spec,
    restored_density,
    restored_distribution,
)
from lfi.inference.implicit.joint_density import JointDensity
from lfi.inference.reliability import MAX_KHAT, UnreliableDraws
from lfi.inference.samplers.adaptive_importance import ImportanceSamples, smoothed_samples
from lfi.networks import moments
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_observations, as_sample, as_tensor
from lfi.numerics.checks import check_counts
from lfi.runtime import Contents, Described, Saved, child, fresh, numpy_rng, torch_rng
from lfi.runtime.calls import warn_caller
from lfi.simulation import Prior
from lfi.training import History

if TYPE_CHECKING:
    import arviz

ROWS = 2**13  # draws evaluated at a time
MIN_WEIGHTED = 2**11  # draws whose weights tell how reliable all of them are
OBSERVED = "observed"  # the observation's name in a file
PER_CORRECTED = 4  # weighted draws for each corrected one
# effective share of weighted draws beyond which they differ so little (by 10% of their mean) that
# k-hat, which tells the shape of their tail and not its size, is a matter of chance
NEARLY_EVEN = 0.99


@dataclass(frozen=True)
class FitVerdict:
    """How far the draws of an implicit posterior agree with its model.

    Attributes:
        khat: Pareto k-hat of their importance weights.
        ess: The effective share of weighted draws, from 0 to 1.
        elbo: The mean log weight, a lower bound of the log evidence where the critic is right.
        log_evidence: The log of the mean weight.
        missed: Nats by which importance samples from before training find more evidence, beyond
            chance; 0 if they do not.
        start_kept: Whether the draws are those of the coordinates that training starts from, whose
            density is known, as weights of the trained networks' draws were less even.
    """

    khat: float
    ess: float
    elbo: float
    log_evidence: float
    missed: float = 0.0
    start_kept: bool = False

    @property
    def reliable(self) -> bool:
        """Whether k-hat is at most 0.7 or all weights nearly even, and no mass is missed."""
        return (self.khat <= MAX_KHAT or self.ess >= NEARLY_EVEN) and not self.missed

    def better_than(self, other: "FitVerdict") -> bool:
        """Return whether no mass is missed, and draws are reliable or weights more even."""
        return not self.missed and (self.reliable, self.ess) > (other.reliable, other.ess)

    @property
    def reason(self) -> str:
        """What speaks against the draws, or that nothing does."""
        if self.missed:
            return (
                f"importance samples from before training find {self.missed:.2f} nats more "
                "evidence: the draws miss a part of the posterior, so give a generator of several "
                "modes, such as lfi.networks.MixtureGenerator"
            )
        if self.khat <= MAX_KHAT:
            return f"Pareto k-hat is {self.khat:.2f}, at most {MAX_KHAT}"
        if self.reliable:
            return (
                f"Pareto k-hat is {self.khat:.2f}, of weights so even (an effective share of "
                f"{self.ess:.3f}) that it is uninformative"
            )
        return (
            f"Pareto k-hat is {self.khat:.2f}, above {MAX_KHAT}: the draws are too narrow "
            "somewhere, or the critic is wrong there. Train for more steps, or transform the "
            "parameters: give effects of an unknown deviation as standardised ones, and name it "
            "before them"
        )


@dataclass(frozen=True, eq=False, repr=False)
class ImplicitPosterior(Described, Saved):
    """A posterior that can be drawn from, as `lfi.fit_implicit` returns it.

    `save` writes its networks and its verdict to a file for `lfi.load`, and not the model: loaded,
    it draws as before, and draws are not corrected.

    Attributes:
        density: The model's joint density.
        distribution: The networks.
        x_shape: The shape of one observation, where it is a posterior of any; None of one alone.
        history: Of what training starts from, the players, and the critic afterwards.
        verdict: How far the draws agree with the model; None of a posterior of any observation,
            whose draws tell.

    Example:
        >>> log_prob = lambda z: -(z - 1).square().sum(1) / 2
        >>> quick = lfi.AdversarialSettings(steps=20)
        >>> posterior = lfi.fit_implicit(log_prob, names=["a", "b"], settings=quick, seed=1)
        >>> posterior.sample(5, seed=2).shape
        torch.Size([5, 2])
        >>> posterior.draw(5, corrected=True, seed=2).sampler
        'implicit, corrected'
    """

    density: JointDensity
    distribution: ImplicitDistribution
    x_shape: tuple[int, ...] | None = None
    history: tuple[History, ...] = ()
    verdict: FitVerdict | None = None
    normalised: bool = False

    @property
    def prior(self) -> Prior:
        """The prior; AttributeError of a density without one, or one that lfi cannot describe."""
        if self.density.prior is None:
            raise AttributeError("prior: this posterior is of a density without a prior of lfi")
        return self.density.prior

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.density.names

    def _observations(
        self, x_obs: Samples | None
    ) -> tuple[list[Float[Tensor, "..."] | None], bool]:
        """Return the observations, None for the only one, and whether it was a single one."""
        if self.x_shape is not None:
            if x_obs is None:
                raise ValueError(
                    f"x_obs is None, and this posterior is of any observation of shape "
                    f"{self.x_shape}: give one"
                )
            x, single = as_observations(x_obs, self.x_shape)
            return list(x), single
        if x_obs is not None:
            x, own = as_tensor("x_obs", x_obs), self.density.observed
            if own is None or x.numel() != own.numel() or not torch.equal(x.flatten().to(own), own):
                raise ValueError(
                    f"x_obs: this posterior is of the observation that its model holds, and "
                    f"another is given, of shape {tuple(x.shape)}: fit a posterior of any by x="
                )
        return [None], True

    @checked
    def sample(
        self,
        n: int,
        x_obs: Samples | None = None,
        *,
        corrected: bool = False,
        seed: int | None = None,
    ) -> Float[Tensor, "*m n theta_dim"]:
        """Return n draws, (n, theta_dim), or (m, n, theta_dim) of many observations; see `draw`."""
        drawn = self.draw(n, x_obs, corrected=corrected, seed=seed)
        if isinstance(drawn, Draws):
            return drawn.theta
        return torch.stack([draws.theta for draws in drawn])

    @checked
    def draw(
        self,
        n: int,
        x_obs: Samples | None = None,
        *,
        corrected: bool = False,
        seed: int | None = None,
    ) -> Draws | tuple[Draws, ...]:
        """Return n draws of each observation, with the k-hat of their importance weights.

        Args:
            n: How many, of each observation.
            x_obs: One observation, (*event), or many, (m, *event), of a posterior of any; None of
                one alone.
            corrected: Draw four times as many, and return n of them by importance weight.
            seed: None takes fresh entropy, which the draws record.

        Warns:
            UnreliableDraws: If k-hat is above 0.7, or the draws miss a part of the posterior.

        Raises:
            ValueError: If n is not positive, or the observation does not fit.
        """
        check_counts(n=n)
        rows, single = self._observations(x_obs)
        seed, begin = fresh(seed), time.monotonic()
        drawn = [self._drawn(n, x, corrected, child(seed, j)) for j, x in enumerate(rows)]
        seconds = time.monotonic() - begin
        found = [replace(draws, seed=seed, seconds=seconds) for draws, _ in drawn]
        poor = [found.reason for _, found in drawn if found is not None and not found.reliable]
        if poor:
            of = f" of {len(poor)} of {len(drawn)} observations" * (len(drawn) > 1)
            warn_caller(f"draws{of} are not reliable. {poor[0]}", UnreliableDraws)
        return found[0] if single else tuple(found)

    def _drawn(
        self, n: int, x: Float[Tensor, "..."] | None, corrected: bool, seed: int
    ) -> tuple[Draws, FitVerdict | None]:
        """Return draws of one observation, and how far they agree with the model, if known."""
        verdict, number = self.verdict, n
        if corrected or verdict is None:  # loaded from a file as well, for the same draws
            number = max(PER_CORRECTED * n if corrected else n, MIN_WEIGHTED)
        weighted = corrected or (verdict is None and self.density.known)
        u, log_weights = self.weighted_draws(number, x, torch_rng(seed, 0), weigh=weighted)
        rows, samples = slice(0, n), None
        if weighted:
            samples = smoothed_samples(u, log_weights, late=False)
            own = verdict_of(samples, log_weights)
            verdict = own if verdict is None else replace(own, missed=verdict.missed)
        if corrected and samples is not None:
            u = samples.resample(n, torch_rng(seed, 1))
        ess = samples.ess if corrected and samples is not None else float(n)
        draws = Draws(
            theta=self.density.constrain(u[rows]),
            names=self.names,
            sampler="implicit, corrected" if corrected else "implicit",
            ess=min(ess, float(n)),
            proposals=number,
            seconds=0.0,
            seed=seed,
            khat=verdict and verdict.khat,
            log_evidence=verdict and verdict.log_evidence,
        )
        return draws, verdict

    @torch.no_grad()
    def weighted_draws(
        self, n: int, x: Float[Tensor, "..."] | None, rng: torch.Generator, *, weigh: bool = True
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """Return draws u in the density's dtype, and their log weights, on the CPU."""
        q, points, values = self.distribution, [], []
        for first in range(0, n, ROWS):
            size = min(ROWS, n - first)
            given = () if x is None else (x.expand(size, *x.shape),)
            v = q.draw(size, rng, *given)
            if weigh:
                joint, u = q.log_joint(self.density, v, *given)
                values.append((joint - q.log_density(v, *given)).cpu().double())
            else:
                u = q.start.inverse(v, *q.given(*given))[0].to("cpu", self.density.start.dtype)
                values.append(torch.zeros(size, dtype=torch.float64))
            points.append(u)
        return torch.cat(points), torch.cat(values)

    @checked
    @torch.no_grad()
    def log_prob(
        self, theta: Samples, x_obs: Samples | None = None, *, normalise: bool = False
    ) -> Float[Tensor, "*m n"]:
        """Return the log density of the draws, as the critic has it, at parameters.

        Args:
            theta: Parameters, (n, theta_dim), inside the support.
            x_obs: One observation, (*event), or many, (m, *event), of a posterior of any.
            normalise: Subtract the log of the integral, estimated by draws of the reference.

        Returns:
            (n,) for one observation, (m, n) for many.
        """
        theta = as_sample("theta", theta, (len(self.names),)).cpu().to(self.density.start.dtype)
        rows, single = self._observations(x_obs)
        u = self.density.unconstrain(theta)
        log_jacobian = self.density.log_jacobian(u)
        q, values = self.distribution, []
        for x in rows:
            given = () if x is None else (x.expand(len(u), *x.shape),)
            v, log_det = q.start(u.to(q.device), *q.given(*given))
            value = (q.log_density(v, *given) + log_det).cpu() - log_jacobian
            values.append(value - self._log_integral(x) if normalise else value)
        return values[0] if single else torch.stack(values)

    def _log_integral(self, x: Float[Tensor, "..."] | None) -> float:
        """Return the log of the integral of the critic's density."""
        q, size = self.distribution, len(self.density.start[0])
        w = torch.randn(2 * ROWS, size, generator=torch_rng(0), dtype=torch.float32)
        given = () if x is None else (x.expand(len(w), *x.shape),)
        h = q.contrast(w.to(q.device), *given).double()
        return float((-h).logsumexp(0)) - math.log(len(w))

    @checked
    def moments(
        self,
        x_obs: Samples | None = None,
        *,
        n: int = 10_000,
        corrected: bool = False,
        seed: int | None = None,
    ) -> tuple[Float[Tensor, " theta_dim"], Float[Tensor, "theta_dim theta_dim"]]:
        """Return mean and covariance of n draws of one observation; see `draw`."""
        drawn = self.draw(n, x_obs, corrected=corrected, seed=seed)
        if not isinstance(drawn, Draws):
            raise ValueError(f"x_obs: moments are of one observation, got {len(drawn)}")
        mean, covariance = moments(drawn.theta)
        return mean.to(drawn.theta), covariance.to(drawn.theta)

    @checked
    def by_site(self, theta: Samples) -> dict[str, Tensor]:
        """Return parameters, (n, theta_dim), by name: as Pyro's `Predictive` takes a model's sites.

        Sites have their own shapes, (n, *shape); other parameters are (n,).
        """
        theta = as_sample("theta", theta, (len(self.names),))
        shapes = self.density.shapes or tuple((name, torch.Size()) for name in self.names)
        parts = theta.split([shape.numel() for _, shape in shapes], dim=1)
        named = zip(shapes, parts, strict=True)
        return {name: part.reshape(len(theta), *shape) for (name, shape), part in named}

    @checked
    def to_arviz(
        self,
        x_obs: Samples | None = None,
        *,
        draws: int = 2_000,
        corrected: bool = False,
        seed: int | None = None,
    ) -> "arviz.InferenceData":
        """Return draws as ArviZ's InferenceData, with prior and observed data where they are known.

        Args:
            x_obs: One observation, (*event), or many, (m, *event), of a posterior of any.
            draws: How many, of each observation.
            corrected: Correct draws by their importance weights; see `draw`.
            seed: None takes fresh entropy, which the group `posterior` records.
        """
        seed = fresh(seed)
        check_counts(draws=draws)
        drawn = self.draw(draws, x_obs, corrected=corrected, seed=child(seed, 0))
        if isinstance(drawn, Draws):
            drawn = replace(drawn, seed=seed)
        else:
            drawn = tuple(replace(each, seed=seed) for each in drawn)
        prior = None
        if self.density.prior is not None:
            prior = prior_draws(self.density.prior, draws, numpy_rng(seed, 1))[0]
        observed = self.density.observed if x_obs is None else as_tensor("x_obs", x_obs)
        return inference_data(drawn, prior, observed)

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        spec, tensors = distribution_spec(self.distribution, self.density.dim)
        spec |= density_spec(self.density)
        spec["x_shape"] = self.x_shape and list(self.x_shape)
        spec["verdict"] = self.verdict and asdict(self.verdict)
        spec["history"] = [history._spec() for history in self.history]
        if self.density.observed is not None:
            tensors[OBSERVED] = self.density.observed
        return spec, tensors

    @classmethod
    def _restore(cls, contents: Contents) -> "ImplicitPosterior":
        spec = contents.spec
        x_shape = spec["x_shape"] and tuple(spec["x_shape"])
        if x_shape and not all(type(size) is int and size > 0 for size in x_shape):
            raise ValueError(f"x of shape {x_shape}")
        density = restored_density(contents, contents.tensors.get(OBSERVED))
        found = spec["verdict"]
        if found is not None:
            kept = found.pop("start_kept")
            found = FitVerdict(**{name: float(v) for name, v in found.items()}, start_kept=kept)
        return cls(
            density,
            restored_distribution(contents, density.dim, x_shape),
            x_shape,
            tuple(History._restore(history) for history in spec["history"]),
            found,
        )

    def describe(self) -> str:
        """Return whether the draws can be relied on, and how the networks trained."""
        names = ", ".join(self.names)
        if self.verdict is None:
            lines = [f"implicit posterior of {names}, given x of {self.x_shape}"]
        else:
            found = self.verdict
            word = "reliable" if found.reliable else "not reliable"
            lines = [
                f"implicit posterior of {names}: {word}",
                f"  {found.reason}",
                f"  ELBO {found.elbo:.3f}, log evidence {found.log_evidence:.3f}, effective share "
                f"of weighted draws {found.ess:.2f}",
            ]
            if found.start_kept:
                lines.append("  training in turn made the weights less even: its start is kept")
        for history in self.history:
            lines += [f"  {line}" for line in history.describe().splitlines()]
        return "\n".join(lines)


def verdict_of(
    samples: ImportanceSamples,
    log_weights: Float[Tensor, " n"],
    others: ImportanceSamples | None = None,
    *,
    tolerance: float = 0.2,
    errors: float = 4.0,
) -> FitVerdict:
    """Return the verdict on weighted draws, beside importance samples from before training.

    Evidence is missed if theirs is larger by several standard errors, and by a `tolerance` for the
    errors of a critic.
    """
    missed = 0.0
    if others is not None:
        error = math.sqrt(1 / samples.ess + 1 / others.ess)
        gap = others.log_evidence - samples.log_evidence
        missed = gap if gap > errors * error + tolerance else 0.0
    finite = log_weights[log_weights.isfinite()]
    share = samples.ess / len(log_weights)
    elbo = float(finite.mean())
    return FitVerdict(samples.khat, share, elbo, samples.log_evidence, missed)
