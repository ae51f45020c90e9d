"""The Ricker map: a population whose chaos hides its parameters from the raw data.

A population N grows at rate r and is held back by its own density; e is environmental noise, and
what is seen are counts with mean phi N:

    N_{t+1} = r N_t exp(-N_t + sigma e_{t+1}),  e ~ Normal(0, 1),    x_t ~ Poisson(phi N_t).

50 counts follow 50 generations of burn-in from N = 1. The likelihood is an integral over the whole
path of N, with wildly many maxima without noise. Wood compared data by 13 numbers instead, which
`summaries` computes.

References:
    Wood, Statistical inference for noisy nonlinear ecological dynamic systems, Nature 466, 2010.
    Gutmann & Corander, Bayesian optimization for likelihood-free inference of simulator-based
    statistical models, JMLR 2016. arXiv:1501.03291
"""

import scipy.stats
import torch
from torch import Tensor

differentiable = False
generations = 50
burn_in = 50

units = {"log_r": "1", "sigma": "1", "phi": "1"}
prior = {
    "log_r": scipy.stats.uniform(loc=3.0, scale=2.0),
    "sigma": scipy.stats.uniform(loc=0.0, scale=0.6),
    "phi": scipy.stats.uniform(loc=5.0, scale=10.0),
}
theta_true = (3.8, 0.3, 10.0)  # of Wood's simulated data


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the counts of 50 generations, (n, 3) to (n, 50)."""
    log_r, sigma, phi = theta.unbind(1)
    noise = torch.randn(burn_in + generations, len(theta), generator=rng, dtype=theta.dtype)
    log_n = torch.zeros_like(log_r)  # in logarithms, as a population may be far below one
    path = []
    for e in noise:
        log_n = log_r + log_n - log_n.exp() + sigma * e
        path.append(log_n)
    population = torch.stack(path[burn_in:], dim=1).exp()
    return torch.poisson(phi[:, None] * population, generator=rng)


def summaries(x: Tensor, x_obs: Tensor) -> Tensor:
    """Return Wood's 13 summaries of counts, (n, t) to (n, 13), given the observed counts, (t,).

    With z = x^0.3 - mean(x^0.3), and d the ordered first differences less their mean:

        0-5    autocovariances of x at lags 0 to 5 (sums over t - lag terms, divided by t)
        6-7    b1, b2 of the regression z_{t+1} = b1 z_t + b2 z_t^2
        8-10   c1, c2, c3 of the regression d = c1 d_obs + c2 d_obs^2 + c3 d_obs^3
        11     the mean of x
        12     how many counts are zero

    Regressors that depend on one another, as in a constant series, get the coefficients of least
    norm. Computed in float64, since cubes of differences are large.
    """
    counts, dtype = x.double(), x.dtype
    centred = counts - counts.mean(dim=1, keepdim=True)
    length = x.shape[1]
    covariances = [
        (centred[:, lag:] * centred[:, : length - lag]).sum(dim=1) / length for lag in range(6)
    ]
    z = counts**0.3
    z = z - z.mean(dim=1, keepdim=True)
    powers = torch.stack([z[:, :-1], z[:, :-1].square()], dim=2)
    autoregression = (torch.linalg.pinv(powers) @ z[:, 1:, None])[..., 0]
    d, d_obs = _ordered_differences(counts), _ordered_differences(x_obs.double()[None])[0]
    cubic = d @ torch.linalg.pinv(torch.stack([d_obs, d_obs**2, d_obs**3], dim=1)).T
    level = [counts.mean(dim=1), (counts == 0).double().sum(dim=1)]
    parts = [torch.stack(covariances, dim=1), autoregression, cubic, torch.stack(level, dim=1)]
    return torch.cat(parts, dim=1).to(dtype)


def _ordered_differences(x: Tensor) -> Tensor:
    d = x.diff(dim=1).sort(dim=1).values
    return d - d.mean(dim=1, keepdim=True)
