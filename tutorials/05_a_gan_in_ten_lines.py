# %% [markdown]
# # A GAN in ten lines, and what its critic learned
#
# **Question.** Given data and no density, how do we draw more of them? And when a generator and a
# critic have played for a while, what does the critic know?
#
# **Answer.** A generator turns noise into samples; a critic tells samples from data; each moves
# against its own loss. The critic's gradient leads the generator. Its *value* is the log ratio
# $\log p(x)/q(x)$ only if nothing but a proper loss has shaped it; a critic that trained a
# generator was restrained on purpose, so a fresh one judges better.
#
# You need: nothing. You will meet: `fit_generator`, `Adversarial`, presets, `fit_ratio`.

# %%
import torch
from matplotlib import pyplot as plt

import lfi
from simulators import ring

torch.set_num_threads(1)  # small networks run faster so

# %% [markdown]
# ## 1. Ten lines
#
# Eight narrow Gaussians on a circle: a standard trap, since a generator that makes one of them
# perfectly already fools a critic for a while. No loss, no network and no optimiser is named here;
# the default's are in its docstring.

# %%
data = ring.sample(10_000, torch.Generator().manual_seed(1))
generator = lfi.fit_generator(data, regime=lfi.Regime(steps=900), seed=1)
samples = generator.sample(2_000, seed=2)


def modes(x):
    """Return how many of the eight modes have a good sample, and the share of good ones."""
    distance, mode = torch.cdist(x.double(), ring.centres).min(dim=1)
    good = distance < 3 * ring.scale
    return len(mode[good].unique()), good.double().mean().item()


print("modes covered: {} of 8; within three standard deviations: {:.0%}".format(*modes(samples)))
for step, distance in generator.history.columns["held-out"][::4]:
    print(f"step {step:4}: energy distance to held-out data {distance:.5f}")

# %% [markdown]
# The energy distance took no part in training: it is an independent judge.
#
# ## 2. The same game by other rules
#
# A comparison is a value: the critic's loss, the generator's loss, and what else is asked of the
# critic. The papers' names are short for such values, and any loss goes with any other.

# %%
print(lfi.GAN())
print(lfi.WGANGP())
print(lfi.R3GAN())
mine = lfi.Adversarial(lfi.SquaredHellinger(), lfi.ReverseKL(), lfi.R1(0.1))
quick = lfi.Regime(steps=100)
print("a pair of one's own:", lfi.fit_generator(data, comparison=mine, regime=quick, seed=1).shape)
print("no critic at all:   ", lfi.fit_generator(data, comparison=lfi.Energy(), regime=quick).shape)

# %% [markdown]
# ## 3. What the critic learned
#
# `recovers` says what may be concluded from a critic. Gradient penalties keep the game stable, and
# cost the ratio: the default's critic says which way is up, and no more.

# %%
print("GAN, no penalty:", lfi.GAN().recovers.name)
print("R3GAN:          ", lfi.R3GAN().recovers.name)

line = torch.linspace(-1.5, 1.5, 120)
plane = torch.cartesian_prod(line, line)
h = generator.criticise(plane).reshape(120, 120).T
figure, axes = plt.subplots(1, 2, figsize=(10, 4.5))
axes[0].contourf(line, line, h, 30, cmap="RdBu_r")
axes[0].scatter(*samples[:500].T, s=2, color="black")
axes[0].set_title("the critic that trained the generator")

# %% [markdown]
# So we freeze the generator and train a critic anew, by a proper loss and nothing else. Its value
# is $\log p/q$: above zero where the generator makes too little, below where it makes too much.
# Between the modes are samples that the data do not have, and there it is far below.

# %%
fresh = generator.sample(10_000, seed=3)
ratio = lfi.fit_ratio(data, fresh, members=1, width=64, steps=300, seed=4)
honest = ratio.log_ratio(plane).reshape(120, 120).T
axes[1].contourf(line, line, honest.clamp(-6, 6), 30, cmap="RdBu_r")
axes[1].scatter(*samples[:500].T, s=2, color="black")
axes[1].set_title("log p/q by a fresh critic")
plt.show()

judged = generator.sample(2_000, seed=5)
astray = (torch.cdist(judged.double(), ring.centres).min(dim=1).values > 10 * ring.scale).numpy()
said = ratio.log_ratio(judged).numpy()
print(f"log p/q at the {astray.sum()} samples far from every mode: {said[astray].mean():+.2f}")
print(f"log p/q at the others: {said[~astray].mean():+.2f}")

# %% [markdown]
# ## What we have shown
#
# These lines run in the test suite: if the prose above stops being true, the build fails.

# %%
covered, good = modes(samples)
held_out = [distance for _, distance in generator.history.columns["held-out"]]
assert covered == 8
assert good > 0.4
assert held_out[-1] < held_out[0] / 10
assert lfi.R3GAN().recovers is lfi.Recovers.NOTHING
assert said[astray].mean() < said[~astray].mean() - 0.5

# %% [markdown]
# **Next:** `tests/benchmarks/modes.py` measures every preset on the ring and on a grid of 25 modes.
