# %% [markdown]
# # A classifier is a posterior, and a generator
#
# **Question.** In 1978 influenza came to an English boarding school. 763 boys lived there; we know
# how many lay in bed on each of 14 days. How fast did it spread, and how fast did they recover?
#
# **Answer.** Simulate outbreaks with many rates. Train a critic to tell matched pairs (rates,
# counts) from shuffled ones: what it learns is the log ratio
# $\log p(\theta, x) / p(\theta) p(x)$, so the posterior is the prior times its exponential. The
# same kind of critic, facing a generator instead of shuffled pairs, trains a surrogate of the
# simulator.
#
# You need: nothing. You will meet: `simulate`, `fit_rounds`, `check`, `fit_surrogate`.

# %%
import torch

import lfi
from simulators import influenza

torch.set_num_threads(1)  # small networks run faster so

# %% [markdown]
# ## 1. A simulator is a prior and a function
#
# `simulators/influenza.py` knows nothing of lfi. It holds named priors, a function from parameters
# to data, and the data. `beta` is the rate of infection, `gamma` that of recovery, both per day,
# and `phi_inv` says how much counts scatter beyond a Poisson distribution.

# %%
print(influenza.prior.keys())
print("boys in bed:", influenza.x_obs.int().tolist())

simulations = lfi.simulate(influenza, 1_000, seed=1)
print(simulations)

# %% [markdown]
# ## 2. A posterior in truncated rounds
#
# Most of the prior makes outbreaks unlike this one. A first round finds where the posterior is; the
# second simulates only there. A small budget keeps this page quick; `lfi run influenza` spends ten
# times as much.

# %%
posterior = lfi.fit_rounds(influenza, influenza.x_obs, rounds=2, budget=36_000, seed=1)
draws = posterior.draw(5_000, influenza.x_obs, seed=2)
theta = draws.theta
print(posterior.prior)
for name, column in zip(draws.names, theta.T, strict=True):
    print(f"{name:8} {column.mean():.3f} +- {column.std():.3f}")
print(f"Pareto k {draws.khat:.2f}, {draws.unique} different draws")

# %% [markdown]
# An infected boy infected beta/gamma others while the school was healthy, and stayed ill for
# 1/gamma days.

# %%
spread = theta[:, 0] / theta[:, 1]
print(f"beta/gamma {spread.mean():.2f} +- {spread.std():.2f}")
print(f"1/gamma {(1 / theta[:, 1]).mean():.1f} days")

# %% [markdown]
# ## 3. Is it right?
#
# Two questions. Over many *simulated* outbreaks, do the true rates fall where the posteriors say
# they should? And do outbreaks simulated from the posterior look like the *real* one?

# %%
held_out = lfi.simulate(influenza, 200, prior=posterior.prior, seed=3)
checks = lfi.check(posterior, held_out, seed=4)
print(checks)

predictive = lfi.predictive_check(theta, influenza, influenza.x_obs, seed=5)
print(predictive)

# %% [markdown]
# The model's likelihood happens to be known, so here we can also compare with the exact posterior:
# weigh the same draws of the truncated prior by the exact likelihood.

# %%
weighted = posterior.weighted(influenza.x_obs[None], 20_000, seed=6)
exact = influenza.log_likelihood(weighted.theta, influenza.x_obs).double().softmax(0)
exact_mean = exact @ weighted.theta.double()
exact_sd = (exact @ (weighted.theta.double() - exact_mean).square()).sqrt()
error = (theta.mean(0) - exact_mean) / exact_sd
print(
    "the means are off by", [round(e, 2) for e in error.tolist()], "posterior standard deviations"
)

# %% [markdown]
# ## 4. The second use: a generator
#
# A generator network makes outbreaks from noise and rates; a critic tells them from the
# simulator's; each improves by the other. What remains is a simulator that is differentiable in
# its parameters.

# %%
training = lfi.simulate(influenza, 10_000, prior=posterior.prior, seed=7)
surrogate = lfi.fit_surrogate(training, settings=lfi.AdversarialSettings(steps=300), seed=8)

rates = theta.mean(0, keepdim=True).repeat(2_000, 1).requires_grad_()
imitated = surrogate(rates, seed=9)
imitated.sum().backward()
real = influenza.simulate(rates.detach(), torch.Generator().manual_seed(10))
print("mean boys in bed, simulated:", real.mean(0).round().int().tolist())
print("mean boys in bed, surrogate:", imitated.mean(0).round().int().tolist())
print("more boys in bed per unit of beta:", round(rates.grad[:, 0].mean().item()))

# %% [markdown]
# ## What we have shown
#
# These lines run in the test suite: if the prose above stops being true, the build fails.

# %%
assert (error.abs() < 0.5).all()
assert checks.ok
assert predictive.ok
assert ((imitated.mean(0) - real.mean(0)).abs() < 0.3 * real.mean(0) + 3).all()
assert rates.grad.isfinite().all()

# %% [markdown]
# **Next:** wrap your own simulator: copy `simulators/influenza.py`, change `prior` and `simulate`,
# and call `lfi run my_simulator.py --observation data.csv --out runs/mine`.
