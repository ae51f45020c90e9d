"""The last step of adversarial variational optimisation, which reads parameters off all it made.

At the end critics hardly tell observations from simulations, so that what moves the proposal is
mostly noise. But for the noise of the simulations, more is known: let t(x) be a regression of the
parameters v on x, by networks as the critics are. Near the proposal the optimal critic is linear in
it. Its mean at given parameters is regressed in turn, by a quadratic function,

    E[t(x) | v] = a + B z + z'Cz,      v = centre + L z,  L L' the covariance of the proposal,

and z is where that meets the mean over the observations, in units of the sampling error of the
difference, with the proposal as a prior: parameters that observations do not tell stay in place.
Poor networks cost precision and no bias, as means are regressed for simulations that the networks
were not trained on: those of one half see the other.

References:
    Fearnhead & Prangle, Constructing summary statistics for ABC, 2012. arXiv:1004.1112
    Gourieroux, Monfort & Renault, Indirect inference, 1993. doi:10.1002/jae.3950080507
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.generation.settings import CompleteAdversarialSettings
from lfi.inference.variational_optimisation.replay import Replay
from lfi.networks import StackedModules, unstack_modules
from lfi.runtime import Advance, child, torch_rng
from lfi.training import Batch, Shuffled, TrainSettings, hold_out, train_one

WIDTH = 3.0  # deviations of the proposal within which most simulations count
ROWS_EACH = 20  # effective simulations for each coefficient, at least
TRUST = 2.0  # deviations of the proposal that a parameter moves at most
REPEATS = 40  # half Newton steps, as the error depends on z too
HELD_OUT = 0.1  # of the simulations, which choose when the networks have learned enough
ROWS = 10_000  # of which summaries are taken at once

Summary = Callable[[Tensor], Tensor]


def last_step(
    replay: Replay,
    network_for: Callable[[], nn.Module],
    observed: Float[Tensor, "n ..."],
    draws: Float[Tensor, "m d"],
    settings: CompleteAdversarialSettings,
    *,
    seed: int,
    advance: Advance,
) -> Float[Tensor, " d"]:
    """Return by how much the proposal's standardised parameters should shift.

    Observations are what critics see of them, draws are the proposal's. There are as many steps as
    the critics had; where too few simulations are near the proposal, the shift is 0.
    """
    draws = draws.detach().double()
    centre = draws.mean(0)
    root = torch.linalg.cholesky(draws.T.cov().reshape(len(centre), -1))
    halves = [
        (x.flatten(0, 1)[valid.flatten()], v.flatten(0, 1)[valid.flatten()])
        for x, v, valid in zip(
            *(replay.rows(kept) for kept in (replay.x, replay.v, replay.valid)), strict=True
        )
    ]
    z = [torch.linalg.solve_triangular(root, (v - centre).T, upper=False).T for _, v in halves]
    degree = _degree(z)
    if degree == 0:
        advance(step_count(settings))
        return torch.zeros_like(centre)
    summaries = _summaries(halves, network_for, settings, seed, replay.device, advance)
    seen = [_in_parts(summary, observed) for summary in summaries]
    fits = [
        LocalPolynomial(own, _in_parts(summary, x), degree)
        for own, (x, _), summary in zip(z, halves, reversed(summaries), strict=True)
    ]
    return root @ meeting_point(fits, list(reversed(seen)))


def step_count(settings: CompleteAdversarialSettings) -> int:
    """Return how many steps the networks are trained for."""
    return settings.steps * (settings.critic_steps or 1)


class LocalPolynomial:
    """A regression of summaries on parameters near 0, each simulation weighed by its distance.

    Attributes:
        size: The number of parameters.
        coefficients: Of the monomials of z, (monomials, k).

    Example:
        >>> z = torch.randn(500, 1, generator=torch.Generator().manual_seed(0)).double()
        >>> fit = LocalPolynomial(z, 1 + 2 * z + z.square(), 2)
        >>> fit(torch.tensor([0.5]).double())
        tensor([2.2500])
    """

    def __init__(self, z: Float[Tensor, "n d"], values: Float[Tensor, "n k"], degree: int) -> None:
        self.size: int = z.shape[1]
        self.degree: int = degree
        features = monomials(z, degree)
        self.weighted: Tensor = features * _weight(z)[:, None]
        self.inverse: Tensor = torch.linalg.pinv(features.T @ self.weighted, hermitian=True)
        self.coefficients: Tensor = self.inverse @ (self.weighted.T @ values)
        self.residuals: Tensor = values - features @ self.coefficients

    def __call__(self, z: Float[Tensor, " d"]) -> Float[Tensor, " k"]:
        """Return the mean summaries at parameters."""
        return monomials(z[None], self.degree)[0] @ self.coefficients

    def covariance(self, z: Float[Tensor, " d"]) -> Float[Tensor, "k k"]:
        """Return the sampling covariance of the mean summaries there, whatever the residuals'."""
        influence = self.weighted @ (self.inverse @ monomials(z[None], self.degree)[0])
        parts = influence[:, None] * self.residuals
        return parts.T @ parts


def meeting_point(
    fits: Sequence[LocalPolynomial], observed: Sequence[Float[Tensor, "n k"]]
) -> Float[Tensor, " d"]:
    """Return z where fitted mean summaries meet the observed ones, under a normal prior of z.

    Each fit has summaries, and simulations, of its own; the observations are the same.
    """
    together = torch.cat(list(observed), dim=1)
    target, noise = together.mean(0), together.T.cov() / len(together)

    def means(z: Tensor) -> Tensor:
        return torch.cat([fit(z) for fit in fits])

    z = together.new_zeros(fits[0].size)
    for _ in range(REPEATS):
        slope = torch.func.jacrev(means)(z)
        error = torch.block_diag(*(fit.covariance(z) for fit in fits)) + noise
        gain = slope.T @ torch.linalg.pinv(slope @ slope.T + error, hermitian=True)
        aim = gain @ (target - means(z) + slope @ z)
        z = (z + aim.clamp(-TRUST, TRUST)) / 2
    return z


def monomials(z: Float[Tensor, "n d"], degree: int) -> Float[Tensor, "n m"]:
    """Return 1, z, and for degree 2 the products of any two."""
    columns = [torch.ones_like(z[:, :1]), z]
    if degree == 2:
        i, j = torch.tril_indices(z.shape[1], z.shape[1])
        columns.append(z[:, i] * z[:, j])
    return torch.cat(columns, dim=1)


def _degree(z: Sequence[Tensor]) -> int:
    """Return the degree that there are simulations enough for in each half, 0 for none."""
    d = z[0].shape[1]
    rows = min(
        float(w.sum().square() / w.square().sum()) if len(w) else 0.0 for w in map(_weight, z)
    )
    terms = {2: 1 + d + d * (d + 1) // 2, 1: 1 + d}
    return next((k for k, count in terms.items() if rows >= ROWS_EACH * count), 0)


def _weight(z: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    return torch.exp(-z.square().sum(1) / (2 * WIDTH**2))


def _summaries(
    halves: Sequence[tuple[Tensor, Tensor]],
    network_for: Callable[[], nn.Module],
    settings: CompleteAdversarialSettings,
    seed: int,
    device: str,
    advance: Advance,
) -> list[Summary]:
    """Return regressions of the parameters on x, (n, ...) to (n, d), one for each half."""
    n, d = min(len(x) for x, _ in halves), halves[0][1].shape[1]
    networks = StackedModules([network_for() for _ in range(2 * d)]).to(device)
    x, v = (torch.stack([half[i][:n] for half in halves], dim=1) for i in range(2))
    spread = v.std(0).clamp_min(torch.finfo(v.dtype).tiny)
    train, held_out = hold_out((x, (v - v.mean(0)) / spread), HELD_OUT, torch_rng(seed, 0))
    size = min(settings.batch_size, len(train[0]))

    def misfit(batch: Batch) -> Tensor:
        x, target = (part.transpose(0, 1) for part in batch)  # (2, n, *event), (2, n, d)
        values = networks(x[:, None].expand(-1, d, *x.shape[1:]).flatten(0, 2))
        return (values.view(2, d, -1) - target.mT).square().mean()

    train_one(
        networks,
        lambda batch, step: misfit(batch),
        Shuffled(train, held_out, size=size, device=device),
        TrainSettings(steps=step_count(settings), learning_rate=settings.critic_learning_rate),
        validate=lambda batch: float(misfit(batch)),
        seed=child(seed, 1),
        device=device,
        advance=advance,
    )
    members = unstack_modules(networks.eval())
    return [_side_by_side(members[h * d : (h + 1) * d]) for h in range(2)]


def _side_by_side(networks: Sequence[nn.Module]) -> Summary:
    return lambda x: torch.stack([network(x) for network in networks], dim=1)


@torch.no_grad()
def _in_parts(summary: Summary, x: Tensor) -> Float[Tensor, "n k"]:
    return torch.cat([summary(part) for part in x.split(ROWS)]).double().cpu()
