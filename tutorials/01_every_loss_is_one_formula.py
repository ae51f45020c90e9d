# %% [markdown]
# # Every loss is one formula
#
# **Question.** Logistic regression, a GAN, an f-GAN, least-squares ratio fitting, boosting, a
# Kullback-Leibler bound: a critic that compares samples of $p$ with samples of $q$ can be trained
# by a dozen losses out of as many papers. Which are different, and which should I take?
#
# **Answer.** Nearly all are one line, with one optimum: the critic's output is
# $h(x) = \log p(x)/q(x)$, whichever is chosen. What differs is how fast it gets there, and how hard
# each pulls on a *generator* whose samples are still far from the data. A few others learn less
# than the ratio, and say so.
#
# You need: nothing; the densities here are known, so that every answer can be checked. You will
# meet: `fit_ratio`, the losses, `FDivergence`, `losses_plot`.

# %%
from dataclasses import dataclass

import torch
from torch.distributions import Normal

import lfi
from lfi.comparison import Divergence, joint_among, two_samples
from lfi.comparison.losses.divergence import exp
from lfi.networks import PairCritic, VectorCritic
from lfi.training import JoinedBatches, Player, Shuffled, adamw, fit, one_cycle

torch.set_num_threads(1)  # small networks run faster so

p, q = Normal(1.0, 1.0), Normal(0.0, 1.0)


def log_r(x):
    return p.log_prob(x) - q.log_prob(x)  # x - 1/2


rng = torch.Generator().manual_seed(1)
x_p, x_q = (torch.randn(5_000, generator=rng) + law.mean for law in (p, q))

# %% [markdown]
# ## 1. The formula
#
# Take any convex $f$. It lies above its tangents: for all ratios $r$ and guesses $u$,
#
# $$ f(r) \ge f(u) + f'(u)(r - u). $$
#
# Put $r = p(x)/q(x)$, let the guess be a critic's, $u = e^{h(x)}$, and average over $q$. As
# $\mathrm{E}_q[r f'(u)] = \mathrm{E}_p[f'(u)]$, no density is left on the right:
#
# $$ D_f(p \| q) = \mathrm{E}_q[f(r)] \ge
#    \mathrm{E}_p[f'(u)] - \mathrm{E}_q[u f'(u) - f(u)] = -L_f(h). $$
#
# The critic minimises $L_f$, two averages over samples. A strictly convex $f$ touches its tangent
# at one point only, so that the minimum is at $u = r$: at $h = \log r$, *for every* $f$. The
# three schools read the same line in their own words:
#
# - **f-GANs**: $-L_f$ is a lower bound of the divergence $D_f$;
# - **ratio matching**: $D_f + L_f$ is the mean gap between $f$ and its tangents, a distance of $u$
#   from $r$ (for $f = (u-1)^2$ it is the squared error $\mathrm{E}_q(r-u)^2$);
# - **classification**: with $D = \sigma(h)$, $L_f$ is a proper scoring rule (for
#   $f = u\log u - (1+u)\log(1+u)$ it is the cross-entropy).
#
# Here are the three, to the last digit, for a critic that is wrong on purpose.

# %%
wrong_p, wrong_q = 0.7 * log_r(x_p) + 0.2, 0.7 * log_r(x_q) + 0.2

d_p, d_q = torch.sigmoid(wrong_p), torch.sigmoid(wrong_q)
cross_entropy = -d_p.log().mean() - (1 - d_q).log().mean()
print("classification:", lfi.losses.Bernoulli()(wrong_p, wrong_q).item(), "=", cross_entropy.item())

squares = wrong_q.exp().square().mean() - 2 * wrong_p.exp().mean()  # E_q u^2 - 2 E_p u
print("ratio matching:", lfi.losses.LSIF()(wrong_p, wrong_q).item(), "=", squares.item() + 1)

right = lfi.losses.KL().value(log_r(x_p), log_r(x_q)).item()
wrong = lfi.losses.KL().value(wrong_p, wrong_q).item()
print(f"f-GAN bound of KL = 0.5: {right:.3f} by the true ratio, {wrong:.3f} by the wrong one")

# %% [markdown]
# ## 2. Every loss finds the same ratio
#
# `fit_ratio` takes any of them. 5,000 samples a side, one critic each, and the root mean square
# error of $\log r$ over all samples, in nats.

# %%
losses = {
    "Bernoulli (logistic, GAN)": lfi.losses.Bernoulli(),
    "Brier (least-squares classifier)": lfi.losses.Brier(),
    "exponential (boosting)": lfi.losses.Exponential(),
    "spherical": lfi.losses.Spherical(),
    "KL (KLIEP)": lfi.losses.KL(),
    "reverse KL": lfi.losses.ReverseKL(),
    "Pearson (LSIF)": lfi.losses.LSIF(),
    "Neyman": lfi.losses.NeymanChiSquared(),
    "squared Hellinger": lfi.losses.SquaredHellinger(),
    "Jensen-Shannon": lfi.losses.JensenShannon(),
    "Jeffreys": lfi.losses.Jeffreys(),
    "triangular": lfi.losses.Triangular(),
    "alpha = 1.5": lfi.losses.AlphaDivergence(1.5),
    "power, b = 0.5": lfi.losses.PowerDivergence(0.5),
    "non-saturating": lfi.losses.NonSaturating(),
    "Bernoulli, 1 in 5 from p": lfi.losses.WithPrior(lfi.losses.Bernoulli(), 0.2),
}


def ratio_of(loss):
    return lfi.fit_ratio(x_p, x_q, loss=loss, members=1, seed=2, progress=False)


both = torch.cat([x_p, x_q])
errors = {}
for name, loss in losses.items():
    found = ratio_of(loss).log_ratio(both)
    errors[name] = (found - log_r(both)).square().mean().sqrt().item()
    print(f"{name:34} {errors[name]:.3f}")

# %% [markdown]
# Affine terms of $f$ change nothing: Jensen-Shannon *is* Bernoulli, squared Hellinger is
# exponential, triangular is Brier. The others weigh the same mistakes differently: as a rule, those
# with exponentials of $h$ (KL, Pearson) listen to the few samples of extreme ratios, and scatter
# more than those of classifiers, which grow no faster than $h$.
#
# ## 3. What may be concluded
#
# Not every loss is strictly proper. Each says what its best critic knows, and whoever consumes the
# critic checks it: a ratio cannot be built from a loss that does not find one.

# %%
for loss in (
    lfi.losses.Bernoulli(),
    lfi.losses.NREC(),
    lfi.losses.DonskerVaradhan(),
    lfi.losses.Relativistic(),
    lfi.losses.NREB(),
    lfi.losses.Hinge(),
    lfi.losses.Misclassification(),
    lfi.losses.TotalVariation(),
    lfi.losses.Wasserstein(),
):
    print(f"{type(loss).__name__:18} {loss.recovers.name}")

try:
    ratio_of(lfi.losses.Hinge())
except ValueError as error:
    refusal = str(error)
    print("refused:", refusal)

# %% [markdown]
# To see what they do learn, train a critic by hand: a contrast, a loss, one player. The hinge
# cares for the *sign* of $\log r$ and is content with $\pm 1$; the relativistic loss and
# Donsker-Varadhan's see only differences of $h$, and are off by a *constant*; Wasserstein needs a
# bound on the slope of $h$, such as `SpectralNorm`, and then finds a distance of samples, here 1,
# and no ratio.


# %%
def trained(loss, constraint=None):
    torch.manual_seed(3)
    critic = VectorCritic([(1,)], width=32, layers=1)
    project = None
    if constraint is not None:
        critic = torch.nn.Sequential(
            torch.nn.Linear(1, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1), torch.nn.Flatten(0)
        )
        constraint.project(critic)
        project = constraint.project

    def objective(batch, step):
        values = two_samples(critic, batch, step.rng)
        return loss(values.h_p, values.h_q)

    player = Player("critic", critic, objective, adamw(5e-3), ema=0.98, project=project)
    batches = JoinedBatches(*(Shuffled((x[:, None],), size=256) for x in (x_p, x_q)))
    fit([player], batches, steps=400, schedule=one_cycle(), seed=4)
    with torch.no_grad():
        return critic(x_p[:, None]), critic(x_q[:, None])


offsets, scatters = {}, {}
for loss in (lfi.losses.DonskerVaradhan(), lfi.losses.Relativistic()):
    off = torch.cat(trained(loss)) - log_r(both)
    offsets[type(loss).__name__], scatters[type(loss).__name__] = off.mean(), off.std()
    print(f"{type(loss).__name__:18} log r {off.mean():+.2f}, scatter {off.std():.3f}")

hinge_p, hinge_q = trained(lfi.losses.Hinge())
accuracy = lfi.losses.Misclassification().accuracy(hinge_p, hinge_q)
best = lfi.losses.Misclassification().accuracy(log_r(x_p), log_r(x_q))
largest = torch.cat([hinge_p, hinge_q]).abs().quantile(0.9)
print(
    f"hinge: right in {accuracy:.3f} of decisions, as log r in {best:.3f}; |h| up to {largest:.1f}"
)

distance = lfi.losses.Wasserstein().value(
    *trained(lfi.losses.Wasserstein(), lfi.penalties.SpectralNorm())
)
print(f"Wasserstein distance {distance:.2f}, exactly 1")

# %% [markdown]
# The contrastive losses of simulation-based inference ask which of K pairs $(\theta, x)$ belongs
# together. With $x = \theta + $ noise the ratio $p(x | \theta) / p(x)$ is known. NRE-C finds it;
# NRE-B finds it up to a function of $x$, which a posterior for one $x$ does not need.

# %%
theta = torch.randn(5_000, 1, generator=rng)
x = theta + torch.randn(5_000, 1, generator=rng)
exactly = (Normal(theta, 1.0).log_prob(x) - Normal(0.0, 2**0.5).log_prob(x))[:, 0]
contrast = joint_among(8)


def contrasted(loss):
    torch.manual_seed(3)
    critic = PairCritic([-torch.inf], [torch.inf], (1,), width=32, head_layers=1)
    critic.fit_from_data(theta, x)

    def objective(batch, step):
        values = contrast(critic, batch, step.rng)
        return loss(values.h_p, values.h_q)

    player = Player("critic", critic, objective, adamw(5e-3), ema=0.98)
    fit([player], Shuffled((theta, x), size=256), steps=400, schedule=one_cycle(), seed=4)
    rolled = (theta.roll(1, 0), x)
    with torch.no_grad():
        off = critic(theta, x) - exactly
        other = Normal(rolled[0], 1.0).log_prob(x) - Normal(0.0, 2**0.5).log_prob(x)
        return off, (critic(*rolled) - other[:, 0])


contrastive = {}
for loss in (lfi.losses.NREC(), lfi.losses.NREB()):
    off, other = contrasted(loss)
    typical = off.abs().median(), (off - other).abs().median()
    contrastive[type(loss).__name__] = typical
    print(
        f"{type(loss).__name__}: log r is off by {typical[0]:.2f}, "
        f"its difference between two thetas by {typical[1]:.2f}"
    )

# %% [markdown]
# ## 4. A loss of your own
#
# In one line: any convex $f$ of $u = p/q$. Derivatives come from autograd, and convexity is
# checked on the spot.

# %%
own = lfi.losses.FDivergence(lambda u: u * u.atan() - (1 + u**2).log() / 2)
errors["my own f"] = (ratio_of(own).log_ratio(both) - log_r(both)).square().mean().sqrt().item()
print(f"my own f: {errors['my own f']:.3f} nats")

try:
    lfi.losses.FDivergence(lambda u: u * (3 - u))
except ValueError as error:
    not_convex = str(error)
    print("refused:", not_convex)

# %% [markdown]
# In three lines: $f'$ and $u f' - f$ as functions of $h$, which is faster, and exact for any $h$.
# `exp` here is one that continues in a line where it would overflow.


# %%
@dataclass(frozen=True)
class HalfSquare(Divergence):
    """f(u) = u^2 / 2: least squares again, in three lines."""

    def _slope(self, h):
        return exp(h)

    def _conjugate(self, h):
        return exp(h, 2.0) / 2


three_lines = HalfSquare().value(wrong_p, wrong_q)
print(three_lines.item(), "=", lfi.losses.LSIF().value(wrong_p, wrong_q).item() / 2)

# %% [markdown]
# ## 5. The second use: what a generator feels
#
# Whoever draws $q$ minimises $G_g = -\mathrm{E}_q[u g'(u) - g(u)]$ through the critic, for any
# convex $g$: the same as the critic's (the minimax game) or another. Its gradient is that of the
# divergence $D_g$. But it is an average over samples of $q$, and early in training those have
# $r \ll 1$. How strongly is *such a sample* moved?

# %%
lfi.plots.losses_plot()

# %% [markdown]
# At $r = 10^{-4}$ the choices differ by 12 orders of magnitude. Under the minimax GAN or KL a
# sample that is plainly made up is hardly moved, by $r$; the non-saturating loss moves it by 1.
#
# The gradient of KL is no less than that of reverse KL here: both divergences are
# $\mathrm{mean}^2/2$ between $N(0, 1)$ and a generator $N(\mathrm{mean}, 1)$. It is carried by
# samples that are almost never drawn. Give the generator the exact critic and 1,000 samples:

# %%
gradients = {}
for mean in (1.0, 5.0):
    for name, loss in {
        "KL": lfi.losses.KL(),
        "minimax GAN": lfi.losses.Bernoulli(),
        "reverse KL": lfi.losses.ReverseKL(),
        "non-saturating GAN": lfi.losses.NonSaturating(),
    }.items():
        at = torch.tensor(mean, requires_grad=True)
        drawn = at + torch.randn(1_000, generator=rng)
        h = Normal(0.0, 1.0).log_prob(drawn) - Normal(at.detach(), 1.0).log_prob(drawn)
        (felt,) = torch.autograd.grad(loss.generator(h, h), at)
        gradients[name, mean] = felt.item()
        print(f"mean {mean:.0f}: {name:19} pulls with {felt:.4f}")

# %% [markdown]
# That is why the usual GAN trains its critic by Bernoulli and its generator by the non-saturating
# loss, `Adversarial(Bernoulli(), NonSaturating())`. (The source also writes the generator's loss
# as $\mathrm{E}_q[f(r)]$ through a frozen critic. It forgets that the critic moves too, and for
# half of the divergences it points away from the data; `DirectGenerator` takes only those for which
# it does not.)

# %%
try:
    lfi.losses.DirectGenerator(lfi.losses.KL())
except ValueError as error:
    backwards = str(error)
    print("refused:", backwards)

# %% [markdown]
# ## What we have shown
#
# These lines run in the test suite: if the prose above stops being true, the build fails.

# %%
assert torch.isclose(lfi.losses.Bernoulli()(wrong_p, wrong_q), cross_entropy)
assert torch.isclose(lfi.losses.LSIF()(wrong_p, wrong_q), squares + 1)
assert wrong < right
assert (
    abs(right - 0.5) < 5 * log_r(x_p).std() / 5_000**0.5 + 5 * log_r(x_q).exp().std() / 5_000**0.5
)
assert all(error < 0.2 for error in errors.values()), errors
assert "recover" in refusal
assert all(scatter < 0.2 for scatter in scatters.values())
assert abs(offsets["DonskerVaradhan"]) > 0.2 or abs(offsets["Relativistic"]) > 0.2
assert abs(accuracy - best) < 0.01
assert 0.95 < distance / (x_p.mean() - x_q.mean()) <= 1.001
assert contrastive["NREC"][0] < 0.15
assert contrastive["NREB"][1] < 0.15
assert "strictly convex" in not_convex
assert torch.isclose(three_lines, lfi.losses.LSIF().value(wrong_p, wrong_q) / 2, rtol=1e-4)
assert gradients["KL", 5.0] < 0.5 < 4.5 < gradients["reverse KL", 5.0]
assert gradients["minimax GAN", 5.0] < 0.5 < 4.5 < gradients["non-saturating GAN", 5.0]
assert "away from the data" in backwards

# %% [markdown]
# **Next:** `02_covariate_shift.py` puts a ratio to work as weights of a regression.
