"""Right calls of what simulates, fits, draws, checks and shows: see `good_calls`."""

import torch
from support.bad_calls import Call
from support.fitted_parts import (
    ADVERSARIAL,
    IMITATION,
    PRIOR,
    QUICK,
    QUIET,
    fitted,
    quick_method,
    three_numbers,
)
from support.report_parts import fidelity, history, predictive

import lfi
from lfi import abc, diagnostics, generation, imitation, inference, losses, plots, ratio, simulation

OPTIONAL = ("None",)  # of an argument that is `object`
PATH = {"path": ("string",)}
LAYERS = {"layers": ("0",)}
WIDE = ("another width",)


def ratios():
    """Density ratios, densities and what is estimated with them."""
    parts = fitted()
    p, q = parts["p"], parts["q"]
    short = {"settings": QUICK, **QUIET}
    two = {"p_samples": p, "q_samples": q}
    yield Call("fit_ratio", lfi.fit_ratio, {**two, "members": 1, **short}, LAYERS)
    few = {"x": p, "members": 1, "reference_samples": 200}
    yield Call("fit_density", lfi.fit_density, few | short, {"x": WIDE})
    yield Call("KernelRatio.fit", lfi.KernelRatio(centres=10).fit, two)
    telescoping = lfi.TelescopingRatio(bridges=1, width=8, settings=QUICK)
    yield Call("TelescopingRatio.fit", telescoping.fit, two | QUIET)
    pairs = {"x": torch.cat([p, q]), "y": torch.cat([q, p])}
    wide = {name: WIDE for name in pairs}
    yield Call("TelescopingRatio.fit_pairs", telescoping.fit_pairs, pairs | QUIET, wide)
    method = {**pairs, "method": telescoping, **QUIET}
    yield Call("mutual_information", lfi.mutual_information, method, wide)
    yield Call("wasserstein_distance", ratio.wasserstein_distance, two | short)
    for name in ("ratio", "kernel_ratio", "telescoping"):
        fit = parts[name]
        sides = {"divergence": losses.KL(), "x_p": p, "x_q": q}
        yield Call(f"{name}.divergence", fit.divergence, sides)
        yield Call(f"{name}.importance_weights", fit.importance_weights, {"x_q": q})
        yield Call(f"{name}.kl", fit.kl, {"x_p": p})
        yield Call(f"{name}.log_ratio", fit.log_ratio, {"x": p}, {"x": ("empty",)})
    yield Call("ratio.save", parts["ratio"].save, {"path": "x"}, PATH)
    density = parts["density"]
    yield Call("density.log_prob", density.log_prob, {"x": p}, {"x": ("empty",)})
    yield Call("density.log_likelihood", density.log_likelihood, {"x": p})
    yield Call("density.sample", density.sample, {"n": 5})
    yield Call("density.weighted_samples", density.weighted_samples, {"n": 5})


def simulators():
    """Simulators, and what runs them."""
    parts = fitted()
    simulator, theta = parts["simulator"], parts["theta"]
    data = {"x_obs": ("None", "number")}  # x may be a number
    yield Call("Simulator", lfi.Simulator, {"simulate": three_numbers, "prior": PRIOR}, data)
    noise = {"noise": torch.distributions.Normal(0.0, 1.0)}
    push = {"function": lambda theta, u: theta + u, **noise}
    yield Call("Pushforward", simulation.Pushforward, push)
    yield Call("simulator", lfi.simulator, {"prior": PRIOR}, data)
    yield Call("Simulator()", simulator.__call__, {"theta": theta}, {"theta": ("empty",)})
    yield Call("Simulator.check", simulator.check)
    first = {"summary": lambda x: x[:, :1]}
    yield Call("Simulator.with_summary", simulator.with_summary, first)
    yield Call("Simulator.with_labels", simulator.with_labels)
    command = {"command": "echo {a} {b}", "prior": PRIOR}
    yield Call("Simulator.from_command", lfi.Simulator.from_command, command, data)
    ten = {"simulator": simulator, "n": 10, "progress": False}
    yield Call("simulate", lfi.simulate, ten, {"prior": OPTIONAL})
    at = {"simulator": simulator, "theta": theta}
    yield Call("replicate", simulation.replicate, at)
    yield Call("simulate_at", simulation.simulate_at, at)
    yield Call("as_simulator", simulation.as_simulator, {"simulator": simulator})
    given = {"simulator": simulator, "x_obs": parts["x_obs"]}
    told = {"x_obs": WIDE}  # when it is simulated
    yield Call("observed_entries", simulation.observed_entries, given, told)


def records():
    """Simulations."""
    simulations = fitted()["simulations"]
    arrays = {"theta": simulations.theta, "x": simulations.x}
    failed = {"x": ("NaN", "inf", *WIDE)}  # rows that have failed
    yield Call(
        "Simulations.from_arrays",
        lfi.Simulations.from_arrays,
        {**arrays, "prior": PRIOR},
        {"x": ("NaN", "inf", *WIDE)},
    )
    masked = {"simulations": simulations, "masks": simulations.x[0] > simulations.x[1]}
    yield Call("with_missing", lfi.with_missing, masked, {"masks": ("NaN", "inf")})  # truth values
    codes = {"codes": torch.zeros(400, dtype=torch.uint8), "prior": simulations.prior}
    whole = failed | {"codes": ("NaN", "inf", *WIDE)}
    yield Call("Simulations", lfi.Simulations, arrays | codes, whole, skip=("errors",))
    optional = PATH | {"prior": OPTIONAL}
    yield Call("Simulations.open", lfi.Simulations.open, {"path": "x"}, optional)
    yield Call("Simulations.marginal", simulations.marginal, {"names": ["a"]})
    yield Call("Simulations[]", simulations.__getitem__, {"rows": [0, 3]})
    yield Call("Simulations.within", simulations.within, {"prior": simulations.prior})
    yield Call("Simulations.__getitem__", simulations.__getitem__, {"rows": slice(1)})
    yield Call("Simulations.__add__", simulations.__add__, {"other": simulations})


def priors():
    """Priors."""
    prior, theta = fitted()["simulations"].prior, {"theta": fitted()["theta"]}
    yield Call("as_prior", simulation.as_prior, {"prior": PRIOR})
    yield Call("Prior.sample", prior.sample, {"n": 5}, {"n": ("0",)})
    outside = {"theta": ("NaN", "inf", "empty")}  # they lie outside the support
    yield Call("Prior.log_prob", prior.log_prob, theta, outside)
    yield Call("Prior.contains", prior.contains, theta, outside)
    yield Call("Prior.as_theta", prior.as_theta, theta, {"theta": ("empty",)})
    yield Call("Prior.marginal", prior.marginal, {"names": ["a"]})
    edges = {"lower": torch.tensor([-1.0, 0.1]), "upper": torch.tensor([1.0, 1.0])}
    yield Call("Prior.truncate", prior.truncate, edges, {"upper": ("inf",)})
    uniform = {
        "sample": lambda n: torch.rand(n, 2),
        "log_prob": lambda theta: torch.zeros(len(theta)),
        "names": ["a", "b"],
    }
    yield Call("sampled_prior", simulation.sampled_prior, uniform)


def generators():
    """Generators and surrogates."""
    parts = fitted()
    short = {"settings": ADVERSARIAL, **QUIET}
    data = {"data": parts["p"]}
    yield Call("fit_generator", lfi.fit_generator, data | short, {"data": WIDE})
    yield Call("fit_generators", lfi.fit_generators, data | short | {"members": 1}, {"data": WIDE})
    yield Call("fit_flow", lfi.fit_flow, data | short | {"width": 8}, {"data": WIDE})
    flow, x = parts["flow_generator"], {"x": parts["p"]}
    yield Call("FlowGenerator.sample", flow.sample, {"n": 5}, {"n": ("0",)}, skip=("condition",))
    yield Call("FlowGenerator.log_prob", flow.log_prob, x)
    yield Call("FlowGenerator.codes", flow.codes, x)
    yield Call("FlowGenerator.dequantise", flow.dequantise, x)
    yield Call("FlowGenerator.bits_per_dim", flow.bits_per_dim, x)
    yield Call("FlowGenerator.save", flow.save, {"path": "x"}, PATH)
    begin = {"simulations": parts["simulations"], "start_steps": 5, "width": 8}
    bounds = {"start_steps": ("0",), "lower": ("-1",)}
    yield Call("fit_surrogate", lfi.fit_surrogate, begin | short, bounds)
    generator, conditional = parts["generator"], parts["conditional"]
    none = {"n": ("0",), "condition": OPTIONAL}
    yield Call("Generator.sample", generator.sample, {"n": 5}, none)
    labels = {"n": 3, "condition": torch.tensor([0, 1, 2])}
    yield Call("Generator.sample of classes", conditional.sample, labels, {"n": ("0",)})
    yield Call("Generator.save", generator.save, {"path": "x"}, PATH)
    yield from _autoencoders(parts, short)
    yield from _tables(parts, short)
    surrogate, theta = parts["surrogate"], {"theta": parts["theta"]}
    yield Call("Surrogate.forward", surrogate.forward, theta, {"theta": ("empty",)})
    yield Call("Surrogate.trusts", surrogate.trusts, theta, {"theta": ("empty",)})
    both = {"surrogate": surrogate, "simulator": parts["simulator"]}
    yield Call("fidelity", lfi.fidelity, both | {"thetas": 2, "n": 20})
    held_out = {"surrogate": surrogate, "held_out": parts["simulations"]}
    yield Call("fidelity_by_region", generation.fidelity_by_region, held_out)


def _tables(parts, short):
    """Tables, and generators of them."""
    table, one = parts["table"], parts["table_generator"]
    kinds = {"a": lfi.tables.Numeric(), "b": lfi.tables.Categorical()}
    yield Call(
        "fit_generator of a table", lfi.fit_generator, {"data": table, "kinds": kinds} | short
    )
    yield Call("TableEncoding.of", lfi.tables.TableEncoding.of, {"table": table, "kinds": kinds})
    yield Call("TableEncoding.encode", one.encoding.encode, {"table": table})
    coded = {"x": one.encoding.encode(table, seed=1)}
    yield Call("TableEncoding.decode", one.encoding.decode, coded, {"x": ("empty",)})
    yield Call("TableGenerator.sample", one.sample, {"n": 5}, {"n": ("0",)})
    yield Call("TableGenerator.save", one.save, {"path": "x"}, PATH)


def _autoencoders(parts, short):
    """Autoencoders."""
    one, x = parts["autoencoder"], {"x": parts["p"]}
    yield Call("fit_autoencoder", lfi.fit_autoencoder, {"data": parts["p"]} | short, {"data": WIDE})
    yield Call("Autoencoder.sample", one.sample, {"n": 5}, {"n": ("0",)})
    yield Call("Autoencoder.decode", one.decode, {"z": one.encode(parts["p"], seed=1)})
    for name in ("encode", "reconstruct", "elbo", "elbo_terms", "scores"):
        yield Call(f"Autoencoder.{name}", getattr(one, name), x)
    ends = {"x0": parts["p"][:3], "x1": parts["p"][3:6]}
    yield Call("Autoencoder.interpolate", one.interpolate, ends)
    yield Call("Autoencoder.save", one.save, {"path": "x"}, PATH)


def imitations():
    """Policies and the episodes that they learn from."""
    parts = fitted()
    expert, policy = parts["expert"], parts["policy"]
    few = {"environment": "CartPole-v1", "expert": expert}
    yield Call("fit_imitation", lfi.fit_imitation, few | IMITATION | QUIET)
    yield Call("fit_cloning", imitation.fit_cloning, few | {"settings": QUICK} | QUIET)
    still = {"environment": "CartPole-v1", "act": lambda states: [0] * len(states)}
    yield Call("record", imitation.record, still | {"episodes": 2})
    yield Call("Trajectories", imitation.Trajectories, {"observations": [torch.zeros(3, 2)]})
    yield Call("Trajectories.__getitem__", expert.__getitem__, {"rows": slice(1)})
    yield Call("Trajectories.joined", imitation.Trajectories.joined, {"parts": [expert]})
    states = expert.observations[:5]
    yield Call("Policy.act", policy.act, {"observation": states}, {"observation": ("empty",)})
    pairs = {"observations": states, "actions": expert.actions[:5]}
    yield Call("Policy.log_prob", policy.log_prob, pairs)
    yield Call("Policy.play", policy.play, {"episodes": 2})
    yield Call("Policy.save", policy.save, {"path": "x"}, PATH)


def inferences():
    """Methods of inference."""
    parts = fitted()
    simulator, simulations = parts["simulator"], parts["simulations"]
    observed = {"x_obs": parts["x_obs"]}
    quick = {"method": quick_method(), **QUIET}
    yield Call("fit_posterior", lfi.fit_posterior, {"simulations": simulations, **quick})
    rounds = {"simulator": simulator, **observed, "budget": 600, "rounds": 1}
    yield Call("fit_rounds", lfi.fit_rounds, rounds | quick)
    share = {"simulations": simulations, **observed, "quantile": 0.2}
    yield Call("abc_rejection", lfi.abc_rejection, share)
    few = {"simulator": simulator, **observed, "particles": 50, "budget": 200}
    yield Call("abc_smc", lfi.abc_smc, few | QUIET, {"tolerance": ("-1",)})
    several = {"x_obs": parts["simulations"].x[:20], "steps": 10, "starts": 1, "points": 4}
    distance = {"simulator": simulator, **several, "bootstrap": 2}
    yield Call("fit_minimum_distance", lfi.fit_minimum_distance, distance | QUIET)
    yield Call("MinimumDistance.interval", parts["distance"].interval)
    yield Call("MinimumDistance.save", parts["distance"].save, {"path": "x"}, PATH)
    small = {"simulator": simulator, "theta": 5, "simulations": 40}
    yield Call("fit_lfire", lfi.fit_lfire, small | QUIET)
    sample = {"simulator": simulator, "x_obs": simulations.x[:50], "budget": 64}
    widens = {"entropy": ("-1",)}
    yield Call("fit_avo", lfi.fit_avo, sample | QUIET | {"settings": ADVERSARIAL}, widens)
    few = {"budget": 100, "method": lfi.SurrogateLikelihood(settings=QUICK, gaussian_steps=5)}
    yield Call("search", lfi.search, {"simulator": simulator, **observed, **few, **QUIET})
    yield Call("search.draw", parts["search"].draw, {"n": 5})
    yield Call("search.trace", parts["search"].trace, {"name": "a"})
    yield Call("search.save", parts["search"].save, {"path": "x"}, PATH)
    density = {"model": lambda z: -z.square().sum(1), "names": ["a", "b"]}
    width = {"prior": OPTIONAL, "start": WIDE}
    yield Call("fit_implicit", lfi.fit_implicit, density | QUIET | {"settings": ADVERSARIAL}, width)
    cavity = {"cavity": torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))}
    factor = {"factor": lambda theta: -theta.square().sum(1)}
    yield Call("ep_message", inference.ep_message, cavity | factor | {"draws": 200, **QUIET})
    known = {"samples": parts["p"], "members": 1, "settings": QUICK, **QUIET}
    yield Call("ratio_distribution", inference.ratio_distribution, known, {"samples": WIDE})
    yield Call("plan_budget", inference.plan_budget, {"budget": 3_000})
    saved = {"path": parts["folder"] / "posterior.lfi"}
    yield Call("load", lfi.load, saved, PATH | {"prior": OPTIONAL})
    yield Call("to_sbi", inference.to_sbi, {"posterior": parts["ratio_posterior"]}, skip=("x_obs",))


def posteriors():
    """Posteriors and their draws."""
    parts = fitted()
    simulator, x = parts["simulator"], parts["simulations"].x
    observed, theta = {"x_obs": parts["x_obs"]}, {"theta": parts["theta"]}
    drawn = {"n": 5, **observed}
    optional = {"simulator": OPTIONAL}
    outside = {"theta": ("inf", "empty")}
    for name in ("ratio_posterior", "flow_posterior", "likelihood_posterior"):
        posterior = parts[name]
        yield Call(f"{name}.sample", posterior.sample, drawn)
        yield Call(f"{name}.draw", posterior.draw, drawn)
        yield Call(f"{name}.log_prob", posterior.log_prob, theta | observed, outside)
        yield Call(f"{name}.log_ratio", posterior.log_ratio, {**theta, "x": x[:5]}, outside)
        yield Call(f"{name}.mode", posterior.mode, observed)
        yield Call(f"{name}.predictive", posterior.predictive, {**drawn, "simulator": simulator})
        yield Call(f"{name}.weighted", posterior.weighted, {"x": x[:2], "n": 5})
        yield Call(f"{name}.condition", posterior.condition, {"values": {"a": 0.1}})
        yield Call(f"{name}.save", posterior.save, {"path": "x"}, PATH)
        yield Call(f"{name}.to", posterior.to, {"device": "cpu"})
        yield Call(f"{name}.to_arviz", posterior.to_arviz, {**observed, "draws": 5}, optional)
        yield Call(f"{name}.observations", posterior.observations, observed)
    generated = parts["generated_posterior"]
    yield Call("generated_posterior.sample", generated.sample, drawn)
    yield Call("generated_posterior.draw", generated.draw, drawn)
    trials = parts["ratio_posterior"].trials()
    yield Call("trials.sample", trials.sample, {"n": 5, "x_obs": x[:3]})
    for name in ("abc", "lfire"):
        posterior = parts[name]
        yield Call(f"{name}.sample", posterior.sample, drawn)
        yield Call(f"{name}.draw", posterior.draw, drawn)
        yield Call(f"{name}.to_arviz", posterior.to_arviz, {**observed, "draws": 5}, optional)
    implicit = parts["implicit"]
    two = {"theta": torch.zeros(5, 2)}
    yield Call("implicit.sample", implicit.sample, {"n": 5})
    yield Call("implicit.draw", implicit.draw, {"n": 5})
    yield Call("implicit.log_prob", implicit.log_prob, two, {"theta": ("empty",)})
    yield Call("implicit.moments", implicit.moments)
    yield Call("implicit.by_site", implicit.by_site, two, {"theta": ("empty",)})
    yield Call("implicit.to_arviz", implicit.to_arviz, {"draws": 5})
    proposal, outside = parts["optimum"].proposal, {"theta": ("empty",)}
    yield Call("optimum.trace", parts["optimum"].trace, {"name": "a"})
    yield Call("optimum.proposal.sample", proposal.sample, {"n": 5}, {"n": ("0",)})
    yield Call("optimum.proposal.log_prob", proposal.log_prob, two, outside)
    yield Call("abc.adjust", parts["abc"].adjust, {"adjustment": abc.LocalLinear()})
    yield Call("Draws.marginal", parts["draws"].marginal, {"names": ["a"]})
    yield Call("Draws.summary", parts["draws"].summary)


def checks():
    """Checks of posteriors."""
    parts = fitted()
    observed = {"x_obs": parts["x_obs"]}
    both = {"posterior": parts["ratio_posterior"], "held_out": parts["simulations"][:100]}
    yield Call("check", lfi.check, both)
    yield Call("local_check", lfi.local_check, both | observed)
    known = {"simulations": parts["simulations"]}
    yield Call("check_observation", lfi.check_observation, observed | known)
    drawn = {"simulator": parts["simulator"], "n": 20}
    one = {"posterior": parts["draws"], **observed}
    yield Call("predictive_check", lfi.predictive_check, drawn | one)
    many = {"posterior": parts["ratio_posterior"], "x_obs": parts["simulations"].x[:2]}
    yield Call("predictive_checks", diagnostics.predictive_checks, drawn | many)


def figures():
    """Figures and the report."""
    parts = fitted()
    file = {"path": parts["folder"] / "report.html"}
    yield Call(
        "write_report",
        lfi.write_report,
        file,
        PATH | {"command": (), "seed": (), "simulator": OPTIONAL},
    )
    zero = {"observation": ("0",)}
    for name in ("coverage_plot", "rank_plot"):
        yield Call(name, getattr(plots, name), {"checks": parts["checks"]})
    yield Call("local_plot", plots.local_plot, {"checks": parts["local_checks"]}, zero)
    alike = lfi.check_observation(parts["x_obs"], parts["simulations"], seed=1)
    yield Call("observation_plot", plots.observation_plot, {"checks": alike}, zero)
    yield Call("predictive_plot", plots.predictive_plot, {"predictive": predictive()})
    yield Call("surrogate_plot", plots.surrogate_plot, {"fidelity": fidelity(thetas=2)})
    yield Call("training_plot", plots.training_plot, {"histories": [history()]})
    yield Call("losses_plot", plots.losses_plot, {"losses": {"KL": losses.KL()}})
    p = parts["p"]
    yield Call("critic_plot", plots.critic_plot, {"critic": lambda x: x.sum(1), "data": p})
    yield Call("samples_plot", plots.samples_plot, {"data": p, "samples": {"q": p}})
    yield Call("pair_plot", plots.pair_plot, {"theta": p, "names": ["a", "b"]})
    images = torch.rand(4, 1, 8, 8)
    three = {"samples": {"q": p}, "centres": torch.zeros(3, 2), "scale": 0.1}
    yield Call("modes_plot", plots.modes_plot, three)
    ways = {"ways": torch.rand(3, 5, 2)}
    yield Call("interpolation_plot", plots.interpolation_plot, ways)
    yield Call("image_grid", plots.image_grid, {"images": images}, {"images": WIDE})


ROOMS = (
    ratios,
    simulators,
    records,
    priors,
    generators,
    imitations,
    inferences,
    posteriors,
    checks,
    figures,
)
