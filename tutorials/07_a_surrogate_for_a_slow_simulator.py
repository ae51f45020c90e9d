# %% [markdown]
# # A surrogate for a slow simulator
#
# **Question.** A simulator takes long, jumps from event to event, and has no gradient. Can
# something quick and differentiable stand in for it, and how would one know where?
#
# **Answer.** Train a generator $x = G(z, \theta)$ on a few thousand simulations, and let a
# classifier try to tell the two apart, on simulations that were held out. Where it cannot, use the
# surrogate for whatever the simulator was too slow for. Where it can, or where nothing was
# simulated, do not.
#
# The simulator here is an epidemic among 500 people, event by event (Gillespie's algorithm): how
# many are infected on twelve days, given the rates of infection and of recovery.
#
# You need: nothing. You will meet: `fit_surrogate`, `fidelity_by_region`, `fidelity`, `export`.

# %%
import time
import warnings

import torch

import lfi
from lfi.generation import OutsideTraining
from simulators import sir_gillespie

torch.set_num_threads(1)
simulations = lfi.simulate(sir_gillespie, 3_000, seed=1)
training, held_out = simulations[:2_000], simulations[2_000:]
print(training.names, tuple(training.x.shape))

# %% [markdown]
# ## 1. Training
#
# One call. Counts are recognised as counts that are never negative; that nobody beyond 500 can be
# infected is ours to say. A Gaussian of each $\theta$ is fitted first; then a critic tells
# simulations from draws at the same $\theta$, and the generator learns to mislead it.

# %%
surrogate = lfi.fit_surrogate(
    training,
    upper=500.0,
    settings=lfi.AdversarialSettings(steps=150),
    start_steps=500,
    width=64,
    seed=2,
    progress=False,
)
x = surrogate(held_out.theta, seed=3)
print(x[0].tolist())
print(held_out.x[0].tolist())

# %% [markdown]
# ## 2. Where it may be trusted
#
# The held-out simulations answer without a further call of the simulator. In each half of each
# parameter's range a classifier is trained on pairs $(\theta, x)$ of both; its accuracy is one half
# where the surrogate is perfect.

# %%
regions = lfi.generation.fidelity_by_region(surrogate, held_out, parts=2, max_accuracy=0.65, seed=4)
print(regions)

# %% [markdown]
# At single parameter vectors one sees more, at the price of calling the simulator again. Means and
# spreads of both come along.

# %%
theta = torch.tensor([[0.3, 0.12], [0.6, 0.12]])
at = lfi.fidelity(surrogate, sir_gillespie, theta=theta, n=300, seed=5)
print("\n".join(at.describe()))
(mean, imitated), (sd, spread) = at.means, at.sds
off = ((imitated - mean).abs() / sd.clamp_min(1.0)).mean()
print(f"its means are off by {off:.2f} standard deviations on average")

# %% [markdown]
# Outside what it was trained on it says so, and answers nevertheless.

# %%
far = torch.tensor([[50.0, 0.12]])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    surrogate(far, seed=6)
print(caught[-1].message)

# %% [markdown]
# ## 3. What it is good for
#
# It is a simulator like any other, only quicker:

# %%
begin = time.monotonic()
lfi.simulate(sir_gillespie, 2_000, seed=7)
slow = time.monotonic() - begin
begin = time.monotonic()
many = lfi.simulate(surrogate, 2_000, seed=7)
quick = time.monotonic() - begin
print(f"{slow / quick:.0f} times as fast")

# %% [markdown]
# And it has what the simulator never had: a derivative. How many more are infected on day 30 if the
# rate of infection rises a little? Of the surrogate, one backward pass says it for each draw; of
# the simulator, differences of means at two rates, with all their noise.

# %%
start = torch.tensor([[0.3, 0.12]]).repeat(2_000, 1).requires_grad_()
(slope,) = torch.autograd.grad(surrogate(start, seed=8)[:, 2].sum(), start)
step = torch.tensor([0.05, 0.0])
sides = [
    lfi.simulation.replicate(
        lfi.simulation.as_simulator(sir_gillespie),
        (start.detach() + sign * step)[:1_000],
        seed=9,
    )[:, 2]
    for sign in (1, -1)
]
difference = (sides[0].mean() - sides[1].mean()) / 0.1
print(f"surrogate {slope[:, 0].mean():.0f}, simulator {difference:.0f} people for a rate of 1/day")

# %% [markdown]
# `surrogate.save("epidemic.lfi")` keeps it, `surrogate.export()` makes a program of it that runs
# without lfi, and `lfi.fit_posterior(lfi.simulate(surrogate, ...))` fits a posterior to it.

# %%
program = surrogate.export().module()
z = surrogate.generator.noise(3, torch.Generator().manual_seed(1))
print(program(theta[:1].expand(3, 2), z).shape)

# %% [markdown]
# ## In short
#
# Trust a surrogate as far as a test on held-out simulations reaches. This one, of 2,000
# simulations and seconds of training, is close, and not the simulator.

# %%
assert ((x >= 0) & (x <= 500) & (x == x.floor())).all()
assert regions.statistic.mean() < 0.7
assert off < 0.5
assert caught[-1].category is OutsideTraining
assert quick < slow
assert slope[:, 0].mean() > 0 and difference > 0
assert program(theta[:1].expand(3, 2), z).shape == (3, 12)
