# %% [markdown]
# # VAE, GAN and everything between
#
# **Question.** A variational autoencoder maximises a bound of the likelihood; a GAN follows a
# critic. They come from different chapters. Are they different things?
#
# **Answer.** The bound has two terms, and each can be known, approximated, or estimated by the
# ratio of a critic. Choosing a way for each gives the VAE, the GAN, and the algorithms between them
# (Rosca, Lakshminarayanan, Warde-Farley & Mohamed 2017): two short lists and one training.
#
# You need: [a GAN in ten lines](05_a_gan_in_ten_lines.py). You will meet: `fit_autoencoder`,
# `lfi.autoencoders`, `elbo_terms`, `interpolate`.

# %%
import torch
from torch import nn
from torch.distributions import MultivariateNormal

import lfi
from lfi.autoencoders import Autoencoding, CodeRatio, GaussianEncoder, LaplaceObserver
from lfi.comparison import Energy
from lfi.plots import image_grid, interpolation_plot, modes_plot, samples_plot
from simulators import digits, ring

torch.set_num_threads(1)  # small networks run faster so

# %% [markdown]
# ## 1. Two terms
#
# For data $x$ and a code $z$ with a prior $p(z)$, an encoder $q(z\mid x)$ gives the bound
#
# $$\log p(x) \ge \mathbb{E}_q \log p(x\mid z) - \mathrm{KL}(q(z\mid x)\,\|\,p(z)).$$
#
# The first asks the decoder to return what was encoded; the second keeps codes where the generator
# will look for them. What can be written down is used as it is. What cannot is a log ratio of two
# densities that can be sampled, and a critic that tells the two samples apart learns it:
#
# | | likelihood | prior | encoder |
# |---|---|---|---|
# | `VAE` | observer: a density around the decoder's output | closed form | Gaussian |
# | `DCGAN` | critic of data | none | none |
# | `VAEGAN` | observer and critic of data | closed form | Gaussian |
# | `AVB` | observer | critic of pairs $(x, z)$ | implicit: a network with noise |
# | `AGE` | observer | moments of codes | perturbed, on a sphere |
# | `AlphaGAN` | observer and critic of data | critic of codes | implicit |

# %%
for name in ("VAE", "DCGAN", "AVB", "AlphaGAN"):
    algorithm = getattr(lfi.gans, name)()
    terms = [type(term).__name__ for term in (*algorithm.likelihood, *algorithm.prior)]
    print(f"{name:<9} {', '.join(terms)}; encoder {algorithm.encoder}")

# %% [markdown]
# ## 2. Where everything is known
#
# One code, two data: $x = (1, 0.5)\,z + 0.3\,\epsilon$ with $z$ and $\epsilon$ standard normal. The
# decoder is known, so only the encoder is learnt, and $\log p(x)$ is a Gaussian's. With the
# divergence in closed form, or by a critic that has seen nothing but codes, the bound should come
# out as that number: the best encoder is the posterior.

# %%
loadings, scale = torch.tensor([[1.0], [0.5]]), 0.3
evidence = MultivariateNormal(torch.zeros(2), loadings @ loadings.T + scale**2 * torch.eye(2))
torch.manual_seed(1)
x, test = evidence.sample((10_000,)), evidence.sample((1_000,))


def known_decoder():
    """Return the model's own decoder, whose weights are not trained."""
    decoder = nn.Linear(1, 2, bias=False)
    decoder.weight = nn.Parameter(loadings, requires_grad=False)
    return decoder


observer = lfi.autoencoders.GaussianObserver(scale, relative=False)
exact = evidence.log_prob(test).mean().item()
bounds = {}
for name, algorithm in {"VAE": lfi.gans.VAE(observer), "AVB": lfi.gans.AVB(observer)}.items():
    inferred = lfi.fit_autoencoder(
        x,
        algorithm,
        codes=1,
        decoder=known_decoder(),
        scaled=True,
        settings=lfi.AdversarialSettings(steps=1_500),
        seed=1,
    )
    likelihood, divergence = inferred.elbo_terms(test, seed=2)
    bounds[name] = (likelihood - divergence).mean().item()
    print(
        f"{name}: {likelihood.mean():.3f} - {divergence.mean():.3f} = {bounds[name]:.3f} nats, "
        f"log p(x) is {exact:.3f}"
    )

# %% [markdown]
# The closed form gives a bound, which cannot be above. A critic's estimate is no bound, and may be
# on either side.
#
# ## 3. The ring
#
# Eight narrow modes. The VAE has a density of its own: every sample is the decoder's output *plus*
# the observer's noise, whose scale is learnt. The critic of alpha-GAN judges the output itself. We
# stop after a quarter of the default's steps.

# %%
data = ring.sample(10_000, torch.Generator().manual_seed(1))
held_out = ring.sample(2_000, torch.Generator().manual_seed(2))
quick = lfi.AdversarialSettings(steps=1_000)
on_ring = {
    name: lfi.fit_autoencoder(data, algorithm, settings=quick, seed=1)
    for name, algorithm in {"VAE": lfi.gans.VAE(), "alpha-GAN": lfi.gans.AlphaGAN()}.items()
}
points = {name: fitted.sample(2_000, seed=3) for name, fitted in on_ring.items()}
modes = {name: lfi.scores.mode_scores(x, ring.centres, ring.scale) for name, x in points.items()}
for name, fitted in on_ring.items():
    near = modes[name]
    print(f"{name}: {near.covered} of 8 modes, {near.high_quality:.0%} of high quality")
    print(fitted.scores(held_out, seed=4))

samples_plot(held_out, points)
modes_plot(points, ring.centres, ring.scale)

# %% [markdown]
# A way between two codes, decoded: what lies between two data, in the generator's eyes.

# %%
first, last = held_out[:6], held_out[6:12]
interpolation_plot(on_ring["alpha-GAN"].interpolate(first, last, 20, seed=5), held_out)

# %% [markdown]
# ## 4. Digits
#
# 1,797 images of 8 by 8 pixels; 500 are held out. The networks of images are convolutional, and
# nothing else changes.

# %%
images = digits.images().unflatten(1, (1, digits.side, digits.side))
order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))
unseen, train = images[order[:500]], images[order[500:]]
of_images = {
    name: lfi.fit_autoencoder(
        train, algorithm, settings=lfi.AdversarialSettings(steps=steps), seed=1
    )
    for name, algorithm, steps in (
        ("VAE", lfi.gans.VAE(), 2_000),
        ("DCGAN", lfi.gans.DCGAN(), 400),
        ("alpha-GAN", lfi.gans.AlphaGAN(), 800),
    )
}
energy = {}
for name, fitted in of_images.items():
    made = fitted.sample(500, seed=2)
    energy[name] = Energy()(unseen.flatten(1), made.flatten(1)).item()
    print(f"{name}: energy distance of samples to unseen digits {energy[name]:.3f}")
    image_grid(made[:40].clamp(0, 1), columns=20, span=1.0)

# %% [markdown]
# The VAE's samples are noisy on purpose, since noise is part of its model; without it
# (`sample(..., noise=False)`) they are smooth, and no sample of anything. A GAN's are sharp, and it
# has no codes of data. Alpha-GAN has both: above, images that were never seen, and below what it
# makes of their codes.

# %%
alpha = of_images["alpha-GAN"]
image_grid(
    torch.cat([unseen[:20], alpha.reconstruct(unseen[:20], seed=3).clamp(0, 1)]),
    columns=20,
    span=1.0,
)
interpolation_plot(alpha.interpolate(unseen[:4], unseen[4:8], 12, seed=4).clamp(0, 1))
reconstruction = {name: of_images[name].scores(unseen, seed=3) for name in ("VAE", "alpha-GAN")}
for name, score in reconstruction.items():
    print(f"{name}: {score}")

# %% [markdown]
# ## 5. An algorithm that has no name
#
# The lists are open: an absolute error, and a critic of codes in place of the closed form (an
# adversarial autoencoder, Makhzani et al. 2016), by any proper loss.

# %%
squared = lfi.Adversarial(lfi.losses.Brier(), lfi.losses.ReverseKL())
mine = Autoencoding((LaplaceObserver(),), (CodeRatio(squared),), GaussianEncoder())
own = lfi.fit_autoencoder(train, mine, settings=lfi.AdversarialSettings(steps=50), seed=1)
print(own)

# %% [markdown]
# ## What we have shown
#
# These lines run in the test suite: if the prose above stops being true, the build fails.

# %%
assert abs(bounds["VAE"] - exact) < 0.05
assert abs(bounds["AVB"] - exact) < 0.1
assert all(near.covered == 8 for near in modes.values())
assert modes["VAE"].high_quality < 0.1 < 0.2 < modes["alpha-GAN"].high_quality
assert all(value < 0.1 for value in energy.values())
assert all(score.reconstruction < 0.4 for score in reconstruction.values())
assert own.encoder is not None and own.prior_term.kind is CodeRatio
