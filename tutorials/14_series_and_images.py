# %% [markdown]
# # Series and images
#
# **Question.** A simulation is not five numbers but a series of a hundred, or an image of a
# thousand pixels. Which summaries should one take?
#
# **Answer.** None: let a network learn them. An *embedding* turns x into a few numbers, and is
# trained along with the method, so that they are those that tell of the parameters. If some of the
# entries were not observed, hide entries of the simulations too, and one fit serves every pattern.
#
# You need: [wrap your simulator](03_wrap_your_simulator.py). You will meet: `embedding=`,
# `lfi.embeddings`, `posterior.summaries`, `lfi.with_missing`.

# %%
import matplotlib.pyplot as plt
import torch
from torch.distributions import Uniform

import lfi
from simulators import lake_huron

torch.set_num_threads(1)  # small networks run faster so

# %% [markdown]
# ## 1. A series
#
# The level of Lake Huron in 98 years returns to its mean like an Ornstein-Uhlenbeck process. Its
# mean, its deviation and the time that it needs to return, tau, are wanted. The likelihood is known
# here, so that we can check: draws of the prior, weighted by it, are the exact posterior.


# %%
def exact_draws(log_likelihood, prior, n, draws=200_000):
    """Return n draws of the exact posterior, by importance resampling of the prior."""
    theta = prior.sample(draws, seed=0).double()
    weights = log_likelihood(theta).softmax(0)
    rng = torch.Generator().manual_seed(0)
    return theta[torch.multinomial(weights, n, replacement=True, generator=rng)]


simulations = lfi.simulate(lake_huron, 10_000, seed=1)
x_obs, prior = lake_huron.x_obs, simulations.prior
exact = exact_draws(lambda theta: lake_huron.log_likelihood(theta, x_obs.double()), prior, 2_000)

# %% [markdown]
# `lfi.fit_posterior(simulations, embedding=...)` gives an embedding to the default, or to the
# method that you name; we name a quick one. `SeriesEmbedding` has convolutions along time: what
# happens matters, more than when. Units are no matter, x is standardised first.

# %%
quick = lfi.PosteriorFlow(gaussian_steps=800, settings=lfi.TrainSettings(steps=200))
shape = simulations.x.shape[1:]
series = lfi.embeddings.SeriesEmbedding(shape, size=16)
plain = lfi.fit_posterior(simulations, method=quick, seed=1)
embedded = lfi.fit_posterior(simulations, method=quick, embedding=series, seed=1)


def errors(theta, exact):
    """Return the errors of means, in exact deviations, and the ratios of deviations."""
    mean = (theta.mean(0) - exact.mean(0)) / exact.std(0)
    return mean.numpy().round(2), (theta.std(0) / exact.std(0)).numpy().round(2)


told_apart = {}
for name, posterior in (("98 numbers", plain), ("an embedding", embedded)):
    theta = posterior.sample(2_000, x_obs, seed=2).double()
    told_apart[name] = lfi.c2st(theta[:800], exact[:800], seed=1).statistic
    mean, spread = errors(theta, exact)
    print(f"{name:<13} means off by {mean} sd, spreads {spread}, C2ST {told_apart[name]:.2f}")

# %% [markdown]
# A classifier tells draws from exact ones with the accuracy C2ST: .5 means that it cannot, 1 that
# it always can. From the same simulations and in as many steps, the embedding gives the better
# posterior: as 98 separate numbers, the network would have to learn for each year anew that its
# neighbours matter.
#
# ## 2. What it has learnt
#
# `posterior.summaries` is the trained embedding. It serves wherever a few numbers are needed: ABC
# takes it as `lfi.abc.Summaries(posterior.summaries)`, and a simulator reduced by it simulates
# these numbers in place of the series.

# %%
few = lfi.Simulator(lake_huron.simulate, prior=lake_huron.prior).with_summary(embedded.summaries)
theta = prior.sample(1_000, seed=5)
numbers = few(theta, seed=6)
level = simulations.names.index("level")
related = torch.corrcoef(torch.cat([theta[:, level : level + 1], numbers], 1).T)[0, 1:].abs().max()
print(
    f"{shape[0]} numbers became {numbers.shape[1]}, one of correlation {related:.2f} to the level"
)

# %% [markdown]
# ## 3. Years that were not observed
#
# Suppose that the gauge was broken for a while: these years are NaN in `x_obs`. A posterior of
# complete series refuses it. `lfi.with_missing` hides entries of the simulations: by default each
# row's with a probability of its own, or as a function of yours draws them, here one gap of up to
# 40 years. The network is told what is hidden, not what was there.


# %%
def gaps(n, rng):
    """Draw one gap in each of n series."""
    begin = torch.randint(0, 98, (n, 1), generator=rng)
    length = torch.randint(0, 41, (n, 1), generator=rng)
    years = torch.arange(98)
    return (years >= begin) & (years < begin + length)


partly = lfi.with_missing(simulations, gaps, seed=3)
series = lfi.embeddings.SeriesEmbedding(shape, size=16, missing=True)
any_gap = lfi.fit_posterior(partly, method=quick, embedding=series, seed=1)

# %% [markdown]
# The exact posterior is still known: after a gap of k years the correlation is $\rho^k$.


# %%
def log_likelihood_of_seen(theta, x):
    """Return log p(what is observed of x | theta)."""
    level, tau, deviation = theta.T
    years = torch.where(~x.isnan())[0]
    y = (x[years].double() - level[:, None]) / deviation[:, None]
    rho = torch.exp(-years.diff() / tau[:, None])
    rest = (1 - rho**2).sqrt()
    z = torch.cat([y[:, :1], (y[:, 1:] - rho * y[:, :-1]) / rest], 1)
    return -z.square().sum(1) / 2 - len(years) * deviation.log() - rest.log().sum(1)


spreads, offs = {}, {}
for name, gap in (("none", (0, 0)), ("1885-1904", (10, 30)), ("1905-1944", (30, 70))):
    x = x_obs.clone()
    x[slice(*gap)] = float("nan")
    theta = any_gap.sample(2_000, x, seed=2).double()
    exact = exact_draws(lambda theta, x=x: log_likelihood_of_seen(theta, x), prior, 2_000)
    offs[name], ratio = errors(theta, exact)
    spreads[name] = theta[:, level].std(), exact[:, level].std()
    print(f"gap {name:<10} means off by {offs[name]} sd, spreads {ratio}")

# %% [markdown]
# ## 4. An image
#
# A spot of light on a detector of 16 by 16 pixels, with noise: where is it? `ImageEmbedding` is the
# same along height and width; `(channels, height, width)` is for colours. The exact posterior is on
# a grid.

# %%
pixels = torch.stack(torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij"))


def spot(theta):
    """Return the light of spots at (row, column), (n, 2) to (n, 16, 16)."""
    return torch.exp(-(pixels - theta[:, :, None, None]).square().sum(1) / 4)


@lfi.simulator(prior={"row": Uniform(2.0, 13.0), "column": Uniform(2.0, 13.0)})
def camera(theta, rng: torch.Generator):
    """Take noisy pictures."""
    return spot(theta) + 0.3 * torch.randn(len(theta), 16, 16, generator=rng)


pictures = lfi.simulate(camera, 10_000, seed=1)
image = lfi.embeddings.ImageEmbedding((16, 16), size=8, width=16)
where = lfi.fit_posterior(pictures, method=quick, embedding=image, seed=1)
truth = torch.tensor([[5.0, 9.5]])
picture = camera(truth, seed=4)[0]
side = torch.linspace(2, 13, 221)
grid = torch.cartesian_prod(side, side)
fit = torch.cat([(picture - spot(part)).square().sum((1, 2)) for part in grid.split(10_000)])
mass = (-fit / (2 * 0.3**2)).softmax(0)
mean = mass @ grid
sd = (mass @ (grid - mean).square()).sqrt()
found = where.sample(4_000, picture, seed=2)
print("exact  ", mean.numpy().round(2), "+-", sd.numpy().round(2))
print("learned", found.mean(0).numpy().round(2), "+-", found.std(0).numpy().round(2))

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 3.5))
axes[0].plot(range(1875, 1973), x_obs)
axes[0].set(xlabel="year", ylabel="level of Lake Huron (ft)")
axes[1].imshow(picture.numpy(), cmap="gray", origin="lower")
axes[1].plot(*found[:300].flip(1).T.numpy(), ".", markersize=2, label="posterior draws")
axes[1].set(xlabel="column", ylabel="row")
axes[1].legend()
plt.show()

# %% [markdown]
# ## 5. A network of your own
#
# Any `torch.nn.Module` from (n, *event) to (n, k) is an embedding. It gets x standardised entry by
# entry; where entries may be missing it gets (n, 2, *event), zeros in place of what is missing, and
# ones where there is something. A file keeps its weights; to load it, give a network of its shape:
# `lfi.load(path, modules={"embedding": network})`.
#
# A *likelihood* models x itself, and takes no embedding. Of a long x take the summaries of a flow,
# and fit the likelihood to these.
#
# ## What we have shown
#
# These lines run in the test suite: if the prose above stops being true, the build fails.

# %%
assert told_apart["an embedding"] < told_apart["98 numbers"] - 0.05
assert numbers.shape == (1_000, 16) and related > 0.5
assert max(abs(off).max() for off in offs.values()) < 1
assert all(0.6 < learnt / exact < 1.6 for learnt, exact in spreads.values())
assert spreads["1905-1944"][0] > spreads["none"][0]
assert ((found.mean(0) - mean) / sd).abs().max() < 1
assert (found.std(0) / sd - 1).abs().max() < 0.4
