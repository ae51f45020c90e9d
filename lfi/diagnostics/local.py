"""Local two-sample test: calibration of the posterior at one observation.

Calibration is an average over observations, in which mistakes of opposite signs may cancel. Here a
critic learns, from held-out simulations, where parameters that made an x differ from draws of the
posterior of that x, and is read at the observation:

    g(theta, x) = p(theta | x) / q(theta | x) - 1,        q the posterior in question,
    statistic at x_obs = E_q(theta | x_obs) g(theta, x_obs)^2,

the Pearson divergence of the true posterior from q. The classifier of Linhart et al., d = p / (p +
q), has (d - 1/2)^2 = g^2 / 16 to first order; in place of its training, a least-squares ratio is

    g = sum_k w_k phi_k,    w = (H + ridge)^-1 b,    H = E_q phi phi',  b = E_p phi,

with features phi centred under q(theta | x), so that E_q g = 0 at every x.

**False alarms.** Draw S parameters from q(theta | x) for each held-out simulation, and hide the one
that made x among them. If q is right, any of the S + 1 is as likely to be that one: B times, one of
each set is taken for the true one at random, and fit and statistic are repeated. These statistics
and the one observed are exchangeable, and p = (1 + #) / (1 + B) is at most alpha with probability
alpha or less, at any x_obs, whatever the features; B refits cost B more right-hand sides.
(Importance samples that observations share tie their sets to each other, of the order
1 / their number.) The null hypothesis is that q is right at *all* x; where it is wrong elsewhere,
p at x_obs is only as local as the features are.

**Features.** z is theta less the mean of q(theta | x), times the inverse root of its covariance. x
enters by its first ten principal components and by that mean and covariance. The kernel

    (z.z' + (z.z')^2 - |z|^2 - |z'|^2 + D + gauss(z - z')) (1 + y.y' + gauss(y - y'))

(each term in units of its mean) sees shifts, widths, correlations and shapes, each the same
everywhere, changing with x, or at x alone. Its values at 256 points of the pool are the phi.

References:
    Linhart, Gramfort & Rodrigues, L-C2ST: local diagnostics for posterior approximations in
    simulation-based inference, NeurIPS 2023. arXiv:2306.03580
    Kanamori, Hido & Sugiyama, A least-squares approach to direct importance estimation, JMLR 2009.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.diagnostics.departures import what_to_do
from lfi.diagnostics.foreign import HasPotential, as_checkable
from lfi.diagnostics.local_critic import (
    LocalKernel,
    fit_critics,
    hide_truth,
    posterior_moments,
    x_coordinates,
)
from lfi.diagnostics.verdict import Grade, Judged, Verdict
from lfi.diagnostics.weighted_posterior import (
    CONSISTENT,
    MIN_ESS,
    TOO_FEW,
    Checkable,
    latest_of_each,
    scope_of,
    valid_rows,
    weighted_posteriors,
)
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_observations
from lfi.numerics.checks import check_counts, check_share, check_whole
from lfi.runtime import Rows, child, fresh, torch_rng
from lfi.simulation import Simulations

HIDING = 16  # draws of the posterior among which each true parameter is hidden
AT_OBSERVATION = 256  # draws of the posterior at which the critic is read
SIGNAL = 1.0  # the variance that g is expected to have, for the ridge
MIN_HELD_OUT = 20
RAISE_LOCAL = "raise `importance_samples` of lfi.local_check, or take `draws`"
CHUNK = 8  # observations whose refits are read at a time: this bounds the memory


@dataclass(frozen=True, eq=False, repr=False)
class LocalChecks(Judged):
    """The local two-sample tests of m observations, by n held-out simulations and B refits.

    Attributes:
        statistic: Estimated Pearson divergence of the true posterior from the given one, (m,).
        null: The same of refits with true parameters chosen at random, (B, m).
        shift: How much higher true parameters lie than the posterior's mean, in its standard
            deviations, shrunk towards zero, (m, D).
        width: Their standard deviation in units of the posterior's, shrunk towards one, (m, D).
        ess: Effective sample size of each observation's posterior, (m,).
        alpha: The false-alarm rate at each observation.
        scope: Which prior the held-out simulations come from.
    """

    names: tuple[str, ...]
    statistic: Float[Tensor, " m"]
    null: Float[Tensor, "b m"]
    p_value: Float[Tensor, " m"]
    shift: Float[Tensor, "m d"]
    width: Float[Tensor, "m d"]
    ess: Float[Tensor, " m"]
    n: int
    alpha: float
    seed: int
    scope: str

    @property
    def failed(self) -> tuple[int, ...]:
        """Numbers of the observations at which the posterior is found wrong."""
        return tuple((self.p_value < self.alpha).nonzero()[:, 0].tolist())

    @property
    def enough(self) -> bool:
        """Whether the effective sample size was large enough at each observation."""
        return bool((self.ess >= MIN_ESS).all())

    @property
    def judgement(self) -> Verdict:
        """Where the posterior is found wrong, if anywhere, or whether it was known well enough."""
        m = len(self.statistic)
        where = f"at {m} observation{'s' * (m > 1)}"
        if self.failed:
            narrow = bool((self.width[list(self.failed)] > 1).any())
            text = f"posterior wrong at {len(self.failed)} of {m} observations"
            return Verdict(Grade.PROBLEM, text, what_to_do(narrow))
        if self.enough:
            text = f"posterior consistent with held-out simulations {where}"
            return Verdict(Grade.GOOD, text)
        return Verdict(Grade.NOT_ASSESSED, f"posterior {where} {TOO_FEW}", RAISE_LOCAL)

    def result(self, i: int) -> Verdict:
        """Return the verdict at one observation, with what differs there if it fails."""
        if i in self.failed:
            return Verdict(Grade.PROBLEM, self.difference(i))
        if self.ess[i] >= MIN_ESS:
            return Verdict(Grade.GOOD, CONSISTENT)
        return Verdict(Grade.NOT_ASSESSED, TOO_FEW)

    def difference(self, i: int) -> str:
        """Return how true parameters differ from the posterior at an observation, in words."""
        columns = zip(self.names, self.shift[i].tolist(), self.width[i].tolist(), strict=True)
        return ", ".join(
            f"{name} {shift:+.2f} sd, {width:.2f} times as wide" for name, shift, width in columns
        )

    def describe(self, max_observations: int = 10) -> str:
        """Return the verdict, and what is wrong at up to `max_observations` observations."""
        m = len(self.statistic)
        lines = [f"{self.verdict}, by {self.n} simulations {self.scope}"]
        for i in (self.failed or range(m))[:max_observations]:
            what = f"; {self.difference(i)}" if i in self.failed else ""
            lines.append(f"  number {i}: p = {self.p_value[i]:.3g}{what}")
        lines.append(
            f"  {len(self.failed)} of {m} fail below p = {self.alpha:g}; "
            f"{self.alpha * m:.3g} are expected under a correct posterior"
        )
        if not self.enough:
            few = int((self.ess < MIN_ESS).sum())
            lines.append(f"  effective sample size below {MIN_ESS} at {few}: {RAISE_LOCAL}")
        return "\n".join(lines)

    def _table(self) -> Rows:
        rows = [
            (i, f"{self.statistic[i]:.3g}", f"{self.p_value[i]:.3g}", self.difference(i))
            for i in range(min(len(self.statistic), 20))
        ]
        return [("observation", "divergence", "p-value", "truth less posterior"), *rows]


@checked
def local_check(
    posterior: Checkable | HasPotential,
    held_out: Simulations,
    x_obs: Samples,
    *,
    seed: int | None = None,
    importance_samples: int = 8192,
    draws: int | None = None,
    refits: int = 999,
    alpha: float = 0.05,
) -> LocalChecks:
    """Test whether the posterior is right at given observations.

    Args:
        posterior: A posterior of any observation, as `lfi.check` takes it, of sbi too.
        held_out: Simulations from its prior that it was not fitted to; 500 see a width of 0.8.
        x_obs: One observation, (*event), or many, (m, *event).
        seed: Of samples, features and refits.
        importance_samples: What represents a posterior known by its ratio; see `lfi.check`.
        draws: Draws of each observation's posterior that represent it; see `lfi.check`.
        refits: With true parameters chosen at random; no p-value is below 1 / (refits + 1).
        alpha: The probability at most that a right posterior fails, at each observation.

    Raises:
        ValueError: If there are fewer than 20 valid simulations, if these are not of the
            posterior's kind, or if observations have another shape or are not finite.

    Example:
        >>> from torch.distributions import Normal
        >>> class TooHigh:  # x = theta + noise: theta given x is N(x / 2, 1 / 2)
        ...     prior = lfi.simulation.as_prior({"theta": Normal(0.0, 1.0)})
        ...     def sample(self, n, x_obs, *, seed=None):
        ...         rng = torch.Generator().manual_seed(seed)
        ...         noise = torch.randn(*x_obs.shape[:-1], n, 1, generator=rng) / 2**0.5
        ...         return x_obs[..., None, :] / 2 + noise + x_obs[..., None, :].clamp(min=0)
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 1),
        ...                           prior=TooHigh.prior)
        >>> held_out = lfi.simulate(simulator, 400, seed=1)
        >>> local_check(TooHigh(), held_out, torch.tensor([[1.5], [-1.5]]), seed=2).failed
        (0,)
    """
    if refits < 1:
        raise ValueError(f"refits must be at least 1, got {refits}")
    check_share("alpha", alpha)
    check_counts(importance_samples=importance_samples, refits=refits)
    check_whole("draws", draws, optional=True)
    seed = fresh(seed)
    posterior, draws = as_checkable(posterior, held_out, draws)
    theta, x = valid_rows(posterior, held_out)
    if len(theta) < MIN_HELD_OUT:
        raise ValueError(
            f"held_out has {len(theta)} valid simulations, need at least {MIN_HELD_OUT}"
        )
    x_obs = as_observations(x_obs, tuple(x.shape[1:]), dtype=x.dtype)[0]

    how = {"importance_samples": importance_samples, "draws": draws, "density": False}
    how |= {"min_ess": MIN_ESS}
    known = weighted_posteriors(posterior, theta, x, seed=child(seed, 0), **how)
    at_x = latest_of_each(known)
    x = x[torch.cat([chunk.rows for chunk in at_x])]
    how |= {"share_below": 0.0}  # each observation is judged
    known = weighted_posteriors(posterior, None, x_obs, seed=child(seed, 1), **how)
    at_obs = latest_of_each(known)
    order = torch.cat([chunk.rows for chunk in at_obs])
    x_obs, back = x_obs[order], order.argsort()
    theta_obs = torch.cat(
        [chunk.resample(AT_OBSERVATION, torch_rng(seed, 2, i)) for i, chunk in enumerate(at_obs)]
    )
    sets = [hide_truth(chunk, HIDING, torch_rng(seed, 3, i)) for i, chunk in enumerate(at_x)]
    moments, moments_obs = posterior_moments(at_x), posterior_moments(at_obs)
    y, y_obs = x_coordinates(x, moments, x_obs, moments_obs)
    z, z_obs = moments.whiten(torch.cat(sets)), moments_obs.whiten(theta_obs)

    kernel = LocalKernel.at(z, y, torch_rng(seed, 4))
    chosen = torch.randint(HIDING + 1, (refits + 1, len(z)), generator=torch_rng(seed, 5))
    chosen[0] = 0  # the true ones
    w = fit_critics(kernel, z, y, chosen, ridge=1 / (SIGNAL * len(z)))
    statistic, own = [], []
    for z_chunk, y_chunk in zip(z_obs.split(CHUNK), y_obs.split(CHUNK), strict=True):
        g = kernel.centred(z_chunk, y_chunk) @ w
        statistic.append(g.square().mean(dim=1))
        own.append(g[..., 0])
    statistic, g = torch.cat(statistic), torch.cat(own)[..., None]
    t = moments_obs.standardise(theta_obs)
    shift = (g * t).mean(dim=1)
    variance = ((1 + g) * t.square()).mean(dim=1) - shift.square()
    null = statistic[:, 1:].T
    return LocalChecks(
        names=posterior.prior.names,
        statistic=statistic[back, 0],
        null=null[:, back],
        p_value=((1 + (null >= statistic[:, 0]).sum(dim=0)).double() / (1 + refits))[back],
        shift=shift[back],
        width=variance.clamp_min(0).sqrt()[back],
        ess=torch.cat([chunk.ess for chunk in at_obs])[back],
        n=len(theta),
        alpha=float(alpha),
        seed=seed,
        scope=scope_of(posterior.prior),
    )
