# %% [markdown]
# # An e+e- collider as a black box
#
# **Question.** A simulator is a program that draws collisions one at a time and throws most of them
# away. There is no likelihood, and nothing to differentiate: a collision is accepted or it is not.
# At which energy did the collider run that made these data?
#
# **Answer.** At the one whose simulations a critic cannot tell from the data. The critic's verdict
# has no gradient in the parameters, but the density of a *proposal* of parameters has: draw
# parameters from it, simulate, and make those draws more likely whose simulations passed for data.
# This is adversarial variational optimisation (Louppe, Hermans & Cranmer 2019), `lfi.fit_avo`.
#
# You need: [a GAN in ten lines](05_a_gan_in_ten_lines.py). You will meet: `fit_avo`,
# `score_function`.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

import lfi
from lfi.generation import score_function
from simulators import weinberg

torch.set_num_threads(1)  # small networks run faster so

# %% [markdown]
# ## 1. The black box
#
# An electron and a positron become two muons, and what is seen is the cosine of the angle of one.
# Photon and Z boson interfere, so that muons prefer to go backwards below 45 GeV a beam and
# forwards above. The strength of it is the Fermi constant, in units of its nominal value. The
# program draws a cosine and a height, and rejects what lies above the cross section.


# %%
def collide(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One collision for each row of theta, (n, 2) to (n, 1)."""
    a = 2 * theta[:, 1] * np.tanh(10 * (2 * theta[:, 0] - 90) / 90)
    cosine, waiting = np.zeros(len(theta)), np.arange(len(theta))
    while len(waiting):
        c = rng.uniform(-1, 1, len(waiting))
        height = rng.uniform(0, 2 + np.abs(a[waiting]))
        accepted = height < 1 + c**2 + a[waiting] * c
        cosine[waiting[accepted]] = c[accepted]
        waiting = waiting[~accepted]
    return cosine[:, None]


collider = lfi.Simulator(collide, prior=weinberg.prior, units=weinberg.units)
truth = torch.tensor(weinberg.theta_true, dtype=torch.float64)  # 42 GeV, 0.9
x_obs = collider(truth.expand(20_000, 2), seed=1)
print(f"{(x_obs < 0).double().mean():.1%} of {len(x_obs):,} muons went backwards")

# %% [markdown]
# ## 2. What a critic makes of it
#
# `fit_avo` takes the simulator with its prior, which says how wide to begin, and the whole sample.
# The budget is of collisions that are simulated. Half of each step's collisions train a critic, the
# other half are judged by it, and a second critic has it the other way round: a critic's verdict on
# collisions that it was trained on says when they were made, and not only how well. At the end the
# critics see no difference any more, and a last step reads off all collisions how far to go still.

# %%
found = lfi.fit_avo(collider, x_obs, budget=30_000, seed=2, progress=False)
print(found)

# %% [markdown]
# How it got there: mean and deviation of the parameters that were simulated.

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.5))
for panel, name, true in zip(axes, found.names, truth.tolist(), strict=True):
    steps, mean, sd = (np.array(part) for part in zip(*found.trace(name), strict=True))
    panel.fill_between(steps, mean - sd, mean + sd, alpha=0.3)
    panel.plot(steps, mean)
    panel.axhline(true, color="black", linewidth=0.8)
    panel.set(xlabel="step", ylabel=f"{name}, {weinberg.units[name]}")
plt.show()

# %% [markdown]
# And what came out, beside the data and the middle of the prior.

# %%
middle = torch.tensor([45.0, 1.0], dtype=torch.float64)
simulated = {
    "data": x_obs,
    "middle of the prior": collider(middle.expand(20_000, 2), seed=3),
    "found": collider(found.theta.expand(20_000, 2), seed=4),
}
for label, x in simulated.items():
    plt.hist(x[:, 0].numpy(), bins=40, histtype="step", density=True, label=label)
plt.xlabel("cosine of a muon's angle")
plt.legend()
plt.show()

# %% [markdown]
# ## 3. What the data do not tell
#
# No method could find both: the two parameters act through one number, the forward-backward
# asymmetry, and all pairs on a ridge make the same collisions, from 40 GeV with a Fermi constant of
# .65 to 43.4 GeV with one of 1.5. Wherever a search arrives there, the energy is right within 5%,
# and the constant may be anything. The proposal cannot know. It narrows around the place of the
# ridge where the search happened to arrive, and the asymmetry of its draws is the one of the data.

# %%
theta = found.proposal.sample(2_000, seed=5)
lines = torch.linspace(40.1, 45, 120).double(), torch.linspace(0.5, 1.5, 120).double()
energy, constant = torch.meshgrid(*lines, indexing="ij")
level = weinberg.asymmetry(torch.stack([energy, constant], -1).flatten(0, 1)).reshape(120, 120)
true = weinberg.asymmetry(truth[None]).item()
plt.plot(*theta.T.numpy(), ".", markersize=2, label="proposal")
plt.contour(energy, constant, level, [true])
plt.plot(*truth.numpy(), "k+", markersize=12, label="truth")
plt.xlabel("beam energy, GeV")
plt.ylabel("Fermi constant")
plt.legend()
plt.show()
asymmetry = weinberg.asymmetry(theta).mean().item()
ends = weinberg.asymmetry(torch.tensor([[40.0, 0.65], [43.35, 1.5]], dtype=torch.float64))
print(f"asymmetry {true:.3f}, of the proposal's draws {asymmetry:.3f} on average")

# %% [markdown]
# Another pair on the ridge makes collisions that no test tells from the data, while the middle of
# the prior is told at once.

# %%
other = torch.tensor([43.0, true / 2 / np.tanh(-4 / 9)], dtype=torch.float64)
p_values = {
    label: lfi.energy_test(collider(at.expand(1_000, 2), seed=6), x_obs[:1_000], seed=7).p_value
    for label, at in {"on the ridge": other, "middle of the prior": middle}.items()
}
for label, p_value in p_values.items():
    print(f"{label:<20} p-value {p_value:.3f}")

# %% [markdown]
# The proposal is no posterior. Its width is what is left of the search, and goes on shrinking with
# the budget (and with `entropy=`, the weight of its entropy); the posterior's, along the ridge, is
# the prior's. For a posterior take `lfi.fit_posterior`, or `lfi.fit_rounds`.
#
# ## 4. The gradient that there is
#
# How does one differentiate an expectation over rejected and accepted draws? Not at all: the
# parameters' density is differentiated, and multiplied by what came of the draw. Such a *score
# function* estimate is right for any simulator, and noisy. What is subtracted from the outcome, a
# baseline, changes the noise and not the mean: here the share of muons that go backwards, as a
# function of the proposal's mean energy, estimated 2,000 times from 32 collisions each.

# %%
mean = torch.full((2_000, 1), 43.0, dtype=torch.float64, requires_grad=True)
draws = mean.detach() + torch.randn(2_000, 32, generator=torch.Generator().manual_seed(9)).double()
at = torch.stack([draws.clamp(40.01, 49.99).flatten(), torch.ones(64_000).double()], 1)
backwards = (collider(at, seed=8)[:, 0] < 0).double().reshape(2_000, 32)
estimates = {}
for label, baseline in {"none": 0 * backwards, "mean of the others": None}.items():
    log_prob = -(draws - mean).square() / 2
    value = score_function(backwards, log_prob, baseline=baseline)
    (estimates[label],) = torch.autograd.grad(value.sum(), mean)
    each = estimates[label]
    print(f"baseline {label:<20} {each.mean():+.4f} a GeV, of deviation {each.std():.3f}")

# %% [markdown]
# ## What we have shown
#
# These lines run in the test suite: if the prose above stops being true, the build fails.

# %%
assert abs(found.theta[0] / truth[0] - 1) < 0.02
assert abs(asymmetry / true - 1) < 0.1
assert ((ends / true - 1).abs() < 0.02).all()
assert found.trace("beam_energy")[-1][2] < 0.5 * found.trace("beam_energy")[0][2]
assert p_values["on the ridge"] > 0.01 >= p_values["middle of the prior"]
assert estimates["mean of the others"].std() < 0.8 * estimates["none"].std()
