"""What bad calls need that is simulated, fitted or drawn, each in a fraction of a second."""

import tempfile
from functools import cache
from pathlib import Path

import torch

import lfi

PRIOR = {"a": torch.distributions.Normal(0.0, 1.0), "b": torch.distributions.Uniform(0.0, 2.0)}
QUICK = lfi.TrainSettings(steps=5, batch_size=32)
ADVERSARIAL = lfi.AdversarialSettings(steps=5, batch_size=16)
IMITATION = {
    "budget": 10,
    "settings": lfi.imitation.ImitationSettings(copies=1, horizon=10, epochs=1, critic_steps=1),
}
QUIET = {"seed": 1, "progress": False}


def three_numbers(theta):
    """Three noisy numbers of two parameters."""
    total = torch.cat([theta, theta.sum(1, keepdim=True)], dim=1)
    return total + 0.1 * torch.randn_like(total)


def quick_method():
    """A ratio of few steps."""
    return lfi.NeuralRatio(settings=QUICK, width=8, rank=4)


@cache
def fitted():
    """Return all by name."""
    torch.manual_seed(0)
    simulator = lfi.Simulator(three_numbers, prior=PRIOR)
    simulations = lfi.simulate(simulator, 400, **QUIET)
    methods = {
        "ratio_posterior": quick_method(),
        "flow_posterior": lfi.PosteriorFlow(settings=QUICK, width=8, gaussian_steps=5),
        "likelihood_posterior": lfi.SurrogateLikelihood(
            settings=QUICK, width=8, gaussian_steps=5, proposal=None
        ),
        "generated_posterior": lfi.AdversarialPosterior(
            settings=ADVERSARIAL, start_steps=2, correction=False
        ),
    }
    posteriors = {
        name: lfi.fit_posterior(simulations, method=method, **QUIET)
        for name, method in methods.items()
    }
    posterior, x_obs = posteriors["ratio_posterior"], simulations.x[0]
    folder = Path(tempfile.mkdtemp())
    posterior.save(folder / "posterior.lfi")
    push = lambda states: (states[:, 2] > 0).astype(int)
    expert = lfi.imitation.record("CartPole-v1", push, 2, seed=1)
    p, q = torch.randn(120, 2), torch.randn(110, 2) + 0.5
    labels = torch.randint(0, 3, (120,))
    telescoping = lfi.TelescopingRatio(bridges=1, width=8, settings=QUICK)
    table = {"a": p[:, 0].numpy(), "b": labels.numpy()}
    return posteriors | {
        "simulator": simulator,
        "simulations": simulations,
        "x_obs": x_obs,
        "theta": simulations.theta[:5],
        "draws": posterior.draw(20, x_obs, seed=1),
        "abc": lfi.abc_rejection(simulations, x_obs, quantile=0.2),
        "distance": lfi.fit_minimum_distance(
            simulator, simulations.x[:20], steps=10, starts=1, points=4, bootstrap=2, **QUIET
        ),
        "lfire": lfi.fit_lfire(simulator, 5, simulations=40, **QUIET),
        "checks": lfi.check(posterior, simulations[:100], seed=1),
        "local_checks": lfi.local_check(posterior, simulations[:100], x_obs, seed=1),
        "folder": folder,
        "p": p,
        "q": q,
        "ratio": lfi.fit_ratio(p, q, members=1, settings=QUICK, **QUIET),
        "density": lfi.fit_density(p, members=1, reference_samples=200, settings=QUICK, **QUIET),
        "kernel_ratio": lfi.KernelRatio(centres=10).fit(p, q, seed=1),
        "telescoping": telescoping.fit(p, q, **QUIET),
        "implicit": lfi.fit_implicit(
            lambda z: -z.square().sum(1), names=["a", "b"], settings=ADVERSARIAL, **QUIET
        ),
        "expert": expert,
        "policy": lfi.fit_imitation("CartPole-v1", expert, **IMITATION, **QUIET),
        "optimum": lfi.fit_avo(
            simulator, simulations.x[:50], budget=64, settings=ADVERSARIAL, **QUIET
        ),
        "search": lfi.search(
            simulator, x_obs, budget=100, method=methods["likelihood_posterior"], **QUIET
        ),
        "generator": lfi.fit_generator(p, settings=ADVERSARIAL, **QUIET),
        "table": table,
        "table_generator": lfi.fit_generator(table, settings=ADVERSARIAL, **QUIET),
        "autoencoder": lfi.fit_autoencoder(p, lfi.gans.VAE(), settings=ADVERSARIAL, **QUIET),
        "flow_generator": lfi.fit_flow(p, settings=ADVERSARIAL, width=8, **QUIET),
        "conditional": lfi.fit_generator((p, labels), settings=ADVERSARIAL, **QUIET),
        "surrogate": lfi.fit_surrogate(
            simulations, settings=ADVERSARIAL, start_steps=5, width=8, **QUIET
        ),
    }
