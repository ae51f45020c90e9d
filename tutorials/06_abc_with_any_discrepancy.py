# %% [markdown]
# # ABC with any discrepancy
#
# **Question.** A simulator gives samples, not summaries: 50 waiting times, 300 cell sizes. Which
# parameters could have made the sample that was observed, if we want to train no network?
#
# **Answer.** Those whose samples are close to it. *Close* may be any discrepancy of two samples:
# the same objects that train generators (`lfi.discrepancies.MMD`,
# `lfi.discrepancies.Wasserstein1D`), or how well a classifier tells the two apart. This is
# approximate Bayesian computation (ABC). What it costs is known exactly, and a regression takes
# most of it back.
#
# You need: nothing. You will meet: `abc_rejection`, `abc_smc`, `LocalLinear`, `Summaries`,
# `SemiAutomatic`, `fit_lfire`.

# %%
import time

import matplotlib.pyplot as plt
import torch
from torch.distributions import Gamma

import lfi
from lfi.inference import parameter_grid

torch.set_num_threads(1)  # small problems run faster so

# %% [markdown]
# ## 1. A case whose answer is known
#
# 50 waiting times are exponential with an unknown rate, whose prior is Gamma(2, 1). The posterior
# is Gamma(2 + 50, 1 + sum of x). With `trials=50` the simulator draws 50 numbers for each theta,
# and x has the shape (n, 50, 1): a sample for each simulation.


# %%
def wait(theta, rng: torch.Generator):
    return -torch.rand(theta.shape, generator=rng).log() / theta


simulator = lfi.Simulator(wait, prior={"rate": Gamma(2.0, 1.0)}, trials=50)
simulations = lfi.simulate(simulator, 20_000, seed=1, progress=False)
x_obs = wait(torch.full((50, 1), 1.5), torch.Generator().manual_seed(2))


def posterior_of(x):
    """Exact, for data (..., 50, 1)."""
    return Gamma(2.0 + x.shape[-2], 1 + x.sum(dim=(-2, -1)))


exact = posterior_of(x_obs)
print(f"exact posterior: mean {exact.mean:.3f}, sd {exact.stddev:.3f}")

# %% [markdown]
# ## 2. Any discrepancy will do
#
# The simulations are drawn once; every discrepancy accepts its own hundredth of them. Nothing below
# knows that the sum is sufficient here.

# %%
discrepancies = {
    "MMD": lfi.discrepancies.MMD(),
    "energy": lfi.discrepancies.Energy(),
    "Wasserstein": lfi.discrepancies.Wasserstein1D(),
    "moments": lfi.discrepancies.Moments(),
    "classifier": lfi.discrepancies.ClassifierDiscrepancy(),
}
accepted = {}
for name, discrepancy in discrepancies.items():
    begin = time.perf_counter()
    accepted[name] = lfi.abc_rejection(simulations, x_obs, discrepancy=discrepancy, quantile=0.01)
    one = accepted[name]
    print(
        f"{name:<12} mean {one.mean.item():.3f}, sd {one.sd.item():.3f}, "
        f"{len(one)} accepted within {one.tolerance:.3f}, {time.perf_counter() - begin:.1f} s"
    )
    plt.hist(one.theta[:, 0].numpy(), bins=20, density=True, histtype="step", label=name)
rates = torch.linspace(0.5, 3.0, 200)
plt.plot(rates, exact.log_prob(rates).exp(), "k", label="exact")
plt.legend()
plt.show()

# %% [markdown]
# ## 3. What a tolerance costs, exactly
#
# An accepted theta was accepted for its data x alone. So given x it is a draw of the *exact*
# posterior of x: accepted parameters follow the mixture of the exact posteriors of all accepted
# data. The discrepancy decides how near these are to that of the observed data. Here they are
# known, so both halves can be seen.

# %%
costs = {}
for name, one in accepted.items():
    given = posterior_of(one.x)
    ranks = torch.special.gammainc(given.concentration, given.rate * one.theta[:, 0])  # uniform
    implied = given.mean.mean(), (given.variance.mean() + given.mean.var()).sqrt()
    costs[name] = ranks.mean(), implied[0] - exact.mean, implied[1] / exact.stddev
    print(
        f"{name:<12} mean rank {costs[name][0]:.2f}; data imply a mean off by "
        f"{costs[name][1] / exact.stddev:+.2f} sds and an sd {costs[name][2]:.2f} times as large"
    )

# %% [markdown]
# ## 4. A regression takes the cost back
#
# Where theta depends on a summary about linearly, accepted parameters can be moved along the
# regression to where their data would have been the observed. It is done in unconstrained
# coordinates: no rate becomes negative. A *wide* tolerance then does no harm, and keeps many more
# of the simulations.

# %%
mean_wait = lambda x: x.mean(dim=1).log()
wide = lfi.abc_rejection(simulations, x_obs, discrepancy=lfi.discrepancies.Energy(), quantile=0.3)
moved = wide.adjust(lfi.abc.LocalLinear(mean_wait))
for name, one in (("wide", wide), ("wide, adjusted", moved)):
    print(f"{name:<16} mean {one.mean.item():.3f}, sd {one.sd.item():.3f}, ess {one.ess:.0f}")

# %% [markdown]
# ## 5. Simulate where the posterior is
#
# `abc_smc` runs the simulator itself, in populations of decreasing tolerance: each proposes around
# the closest particles of the last, and keeps the closest of all simulations so far. The acceptance
# is the share of a population's own simulations that are in it; its other particles come from
# earlier populations. The budget is spent to the last simulation.

# %%
populations = lfi.abc_smc(
    simulator,
    x_obs,
    discrepancy=lfi.discrepancies.Energy(),
    particles=500,
    budget=10_000,
    seed=1,
    progress=False,
)
for i, population in enumerate(populations.history):
    print(
        f"{i}: tolerance {population.tolerance:7.4f}, accepted {population.acceptance:.0%}, "
        f"ess {population.ess:.0f}, {population.simulations} simulations"
    )
print(f"mean {populations.mean.item():.3f}, sd {populations.sd.item():.3f}")

# %% [markdown]
# It ends earlier with `tolerance=` or `min_acceptance=`. `kernel=LocalCovariance()` suits
# curved posteriors, and `schedule=ESSFraction(0.5)` is Del Moral's rule; both are in `lfi.abc`. A
# simulator may fail at times: failures are rejected, and counted.
#
# ## 6. Series are no samples
#
# ARCH(1) is a time series of 100 values: its order matters, and a discrepancy of samples would
# ignore it. Then summaries are compared, each divided by a robust scale. Which of 17 summaries
# matter need not be known: semi-automatic ABC regresses the parameters on them, and compares
# estimates. The exact likelihood of this model is known.

# %%
from simulators import arch1  # noqa: E402

series = arch1.simulate(torch.tensor([arch1.theta_true]), torch.Generator().manual_seed(3))[0]
runs = lfi.simulate(arch1, 20_000, seed=1, progress=False)
by_hand = lfi.abc_rejection(
    runs, series, discrepancy=lfi.abc.Summaries(arch1.summaries), quantile=0.01
)
learned = lfi.abc_rejection(
    runs, series, discrepancy=lfi.abc.SemiAutomatic(arch1.summaries), quantile=0.01
)
cells = (torch.arange(50) + 0.5) / 50
points = parameter_grid(2 * cells - 1, cells)
weights = arch1.log_likelihood(points, series).softmax(0)  # the prior is uniform
truth = weights @ points
spread = (weights @ (points - truth).square()).sqrt()
for name, mean in (("17 summaries", by_hand.mean), ("learned", learned.mean), ("exact", truth)):
    print(f"{name:<14} theta1 {mean[0]:+.2f}, theta2 {mean[1]:.2f}")

# %% [markdown]
# ## 7. A classifier for every parameter
#
# LFIRE turns the classifier around: for every theta of a grid, a penalised logistic regression on
# summaries tells simulations of theta from those of the prior. Its log-odds at the observed data
# are the log-ratio of likelihood and evidence; no tolerance is left. All regressions are solved at
# once. A network shares what they learn separately: `lfi.fit_posterior` needs fewer simulations.
# Neither knows more than the summaries tell: sample autocorrelations say little where a few wild
# values outweigh the others, and `arch1.weighted_summaries` say more.

# %%
coarse = parameter_grid(
    *((torch.arange(8) + 0.5) / 8 * width + low for low, width in ((-1, 2), (0, 1)))
)
ratios = lfi.fit_lfire(
    arch1,
    coarse,
    simulations=100,
    summary=arch1.summaries,
    penalties=5,
    folds=2,
    seed=1,
    progress=False,
)
print(f"{ratios.simulations} simulations: posterior mean", ratios.mean(series))
plt.imshow(ratios.weights(series).reshape(8, 8).T.numpy(), origin="lower", extent=(-1, 1, 0, 1))
plt.plot(*truth.tolist(), "w*")
plt.show()

# %% [markdown]
# ## What we have shown
#
# These lines run in the test suite: if the prose above stops being true, the build fails.

# %%
for name, (rank, shift, widening) in costs.items():
    assert abs(rank - 0.5) < 5 * (1 / 12 / 200) ** 0.5, name  # uniform ranks, 200 of them
    assert abs(shift) < exact.stddev and widening < 2, name
error = exact.stddev / moved.ess**0.5
assert abs(moved.mean - exact.mean) < 5 * error < abs(wide.mean - exact.mean)
assert populations.simulations == 10_000 and len(populations) == 500
assert abs(populations.mean - exact.mean) < exact.stddev / 2
missed = [((one.mean - truth) / spread).norm() for one in (by_hand, learned)]
assert missed[1] < missed[0]
