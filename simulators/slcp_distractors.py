"""Simple likelihood, complex posterior, hidden among 92 numbers that mean nothing (sbibm's task).

The eight numbers of `simulators.slcp`, and 92 from a mixture of twenty Student t distributions
that does not depend on theta, shuffled by a fixed permutation:

    x = permuted (y, w),    y ~ slcp(theta),    w ~ 1/20 sum over k of Student-t_2(mu_k, L_k L_k^T).

The mixture and the permutation come from NumPy's generator at seed 42, as in sbibm. The posterior
is that of slcp. `observations` are sbibm's ten, made with `true_parameters`.

References:
    Lueckmann et al., Benchmarking simulation-based inference, 2021. arXiv:2101.04653 (T.4)
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Uniform

from simulators import slcp

dim = 92
components = 20
differentiable = True

units = {f"theta_{i}": "1" for i in range(1, 6)}
prior = {name: Uniform(-3.0, 3.0) for name in units}
with np.load(Path(__file__).parent / "data" / "sbibm.npz") as _data:
    observations = torch.from_numpy(_data["slcp_distractors_x"])
    true_parameters = torch.from_numpy(_data["slcp_theta"])
x_obs = observations[0]


@cache
def distractors() -> tuple[Tensor, Tensor, Tensor]:
    """Return mu (20, 92), the lower triangular L (20, 92, 92), and the permutation (100,)."""
    rng = np.random.RandomState(42)
    mu = np.stack([15 * rng.normal(size=dim) for _ in range(components)])
    roots = []
    for _ in range(components):
        below = np.tril(rng.normal(size=(dim, dim)))
        roots.append(3 * (below + np.diag(np.exp(rng.normal(size=dim)))))
    order = rng.permutation(dim + 2 * slcp.points)
    return torch.from_numpy(mu), torch.from_numpy(np.stack(roots)), torch.from_numpy(order)


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw x, (n, 5) to (n, 100)."""
    mu, roots, order = distractors()
    y = slcp.simulate(theta, rng)
    component = torch.randint(components, (len(theta),), generator=rng)
    z = torch.randn((len(theta), dim), generator=rng, dtype=torch.float64)
    chi = torch.empty(len(theta), 1, dtype=torch.float64).exponential_(generator=rng)
    z = z / chi.sqrt()  # chi-squared with two degrees of freedom, over two, is exponential
    w = torch.empty_like(z)
    for k in range(components):
        rows = component == k
        w[rows] = mu[k] + z[rows] @ roots[k].T
    return torch.cat([y, w.to(y.dtype)], dim=1)[:, order]


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(y | theta), (n, 5) and (n, 100) or (100,) to (n,), differentiable in theta.

    That is log p(x | theta) without log p(w), which does not depend on theta, and which float64
    cannot give: the L_k have condition numbers of 10^12 to 10^18.
    """
    order = distractors()[2]
    return slcp.log_likelihood(theta, x[..., order.argsort()[: 2 * slcp.points]])
