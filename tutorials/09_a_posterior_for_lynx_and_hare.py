# %% [markdown]
# # A posterior for lynx and hare
#
# **Question.** For twenty-one years the Hudson's Bay Company counted pelts of snowshoe hares and
# of the lynxes that eat them. The populations swing, one after the other. How fast do hares breed,
# lynxes die, and how wrong are the counts? Eight unknowns, 42 numbers, and a simulator.
#
# **Answer.** A surrogate likelihood, fitted in two rounds: a few simulations from the prior say
# where the answer is, and the others are spent there. Sixteen thousand simulations come within
# half a standard deviation of the exact posterior, and the counts turn out to be off by a quarter.
#
# You need: tutorial 03. You will meet: `fit_rounds`, `SurrogateLikelihood`, `check_observation`,
# `predictive`.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

import lfi
from simulators import lynx_hare

torch.set_num_threads(1)  # small networks run faster so
x_obs, years = lynx_hare.x_obs, np.arange(1900, 1921)

plt.plot(years, x_obs[:, 0], "o-", label="hares")
plt.plot(years, x_obs[:, 1], "s-", label="lynxes")
plt.ylabel("thousand pelts")
plt.legend()
plt.show()

# %% [markdown]
# ## 1. The simulator, and whether it could have made these data
#
# `simulators/lynx_hare.py` integrates the Lotka-Volterra equations and multiplies each count by a
# log-normal error. Its prior is Carpenter's. Before anything is fitted: is what was counted like
# anything that is simulated?

# %%
simulations = lfi.simulate(lynx_hare, 4_000, seed=1, progress=False)
checks = lfi.check_observation(x_obs, simulations, seed=1)
print(checks)

# %% [markdown]
# ## 2. Two rounds
#
# Each round fits q(x | theta), a flow of the 42 counts given the eight parameters. The posterior of
# the first finds bounds; the prior is truncated to them, and the second round simulates inside.
# Nothing needs correcting: between the bounds the posterior is the same. The settings here are made
# for a few minutes; the default trains longer.

# %%
quick = lfi.SurrogateLikelihood(
    proposal=lfi.PosteriorFlow(gaussian_steps=1_000, settings=lfi.TrainSettings(steps=500)),
    gaussian_steps=2_500,
    settings=lfi.TrainSettings(steps=500),
)
posterior = lfi.fit_rounds(
    lynx_hare,
    x_obs,
    budget=(6_000, 10_000),
    method=quick,
    preliminary=quick,
    seed=1,
    progress=False,
)
print(posterior.history[-1].stopped)
draws = posterior.draw(4_000, x_obs, seed=2)
theta = draws.theta
for name, column in zip(posterior.names, theta.T, strict=True):
    low, high = column.quantile(0.05), column.quantile(0.95)
    print(f"{name:<11} {column.mean():7.3f}   90% in [{low:.3f}, {high:.3f}]")

# %% [markdown]
# ## 3. What the posterior predicts
#
# Draws of the posterior are simulated again. Most counts should lie inside the band, and do: what
# remains is the error of counting, about a quarter for both species.

# %%
again = posterior.predictive(500, x_obs, lynx_hare, seed=3)
for species, (name, colour) in enumerate((("hares", "C0"), ("lynxes", "C1"))):
    low, high = np.quantile(again[..., species], [0.05, 0.95], axis=0)
    plt.fill_between(years, low, high, alpha=0.3, color=colour)
    plt.plot(years, x_obs[:, species], "o", color=colour, label=name)
plt.ylabel("thousand pelts")
plt.legend()
plt.show()
band = torch.as_tensor(np.quantile(again, [0.05, 0.95], axis=0))
inside = ((x_obs >= band[0]) & (x_obs <= band[1])).double().mean()
print(f"{inside:.0%} of the counts lie in their 90% bands")

# %% [markdown]
# ## 4. How far is it from exact?
#
# This simulator's likelihood happens to be known, so the surrogate can be validated, and corrected:
# each draw is weighted by the exact likelihood over the surrogate's.

# %%
excess = lynx_hare.log_likelihood(theta, x_obs) - posterior.log_likelihood(theta, x_obs)
weights = excess.double().softmax(0)
worth = 1 / weights.square().sum() / len(weights)
exact_mean = (weights[:, None] * theta).sum(0)
shift = (theta.mean(0) - exact_mean) / theta.std(0)
print(f"a draw is worth {worth:.2f} exact ones")
print("means are off by", [f"{value:+.2f}" for value in shift.tolist()], "standard deviations")

# %% [markdown]
# `tests/benchmarks/lynx_hare.py` measures the default settings against 10,000 draws of the exact
# posterior.
#
# ## What we have shown
#
# These lines run in the test suite: if the prose above stops being true, the build fails.

# %%
assert checks.ok
assert posterior.prior.truncated
assert inside > 0.75
assert worth > 0.05
assert float(shift.abs().max()) < 0.75
assert 0.15 < theta[:, 6].mean() < 0.4  # the counts are off by about a quarter
