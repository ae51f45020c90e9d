"""What every file in simulators/ keeps: the shape that lfi takes, and what it says of itself.

Modules with a `prior` are simulators; those with `sample(n, rng)` are data for generators; others
are what simulators share.
"""

import importlib
import inspect
import pkgutil
from functools import cache

import numpy as np
import pytest
import torch

import lfi
import simulators
from lfi.cli.sources import available_simulators, load_simulator
from lfi.simulation import as_simulator
from lfi.simulation.simulators.signature import signature_of

NAMES = sorted(module.name for module in pkgutil.iter_modules(simulators.__path__))
MODULES = {name: importlib.import_module(f"simulators.{name}") for name in NAMES}
SIMULATORS = [name for name, module in MODULES.items() if hasattr(module, "prior")]
DATA = [name for name in NAMES if hasattr(MODULES[name], "sample")]


def having(*attributes):
    return [name for name in SIMULATORS if all(hasattr(MODULES[name], a) for a in attributes)]


def generator(function, seed):
    """The kind of generator that the function asks for."""
    if signature_of(function).torch_rng:
        return torch.Generator().manual_seed(seed)
    return np.random.default_rng(seed)


def parameters(name, n, seed=0):
    """A simulator, and n parameters from its prior."""
    simulator = as_simulator(MODULES[name])
    theta = simulator.prior.sample(n, seed=np.random.default_rng(seed))
    return simulator, theta.double()


@cache
def draws(name, n=20):
    """A simulator, n parameters from its prior, and their data; not to be written to."""
    simulator, theta = parameters(name, n)
    return simulator, theta, simulator(theta, seed=0)


each_file = pytest.mark.parametrize("name", NAMES)
each_simulator = pytest.mark.parametrize("name", SIMULATORS)


# What it says.


@each_file
def test_files_say_what_they_are_and_where_they_come_from(name):
    doc = MODULES[name].__doc__
    first, blank, *_ = doc.splitlines()
    assert first.endswith((".", "?", ")"))
    assert not blank
    assert "References:" in doc


@each_simulator
def test_public_functions_of_simulators_are_documented(name):
    for label, member in vars(MODULES[name]).items():
        if inspect.isfunction(member) and not label.startswith("_"):
            assert inspect.getdoc(member), label


@each_simulator
def test_every_parameter_has_its_unit(name):
    module = MODULES[name]
    assert tuple(module.units) == as_simulator(module).names
    assert all(module.units.values())


@each_simulator
def test_names_and_axes_fit_the_data(name):
    simulator, _, x = draws(name)
    series = simulator.labels.series(tuple(x.shape[1:]))
    entries = [entry for one in series for entry in one.entries.tolist()]
    assert sorted(entries) == list(range(x[0].numel()))
    assert simulator.description == inspect.getdoc(MODULES[name])


@each_simulator
def test_the_command_line_lists_simulators_and_finds_them(name):
    assert available_simulators()[name] == MODULES[name].__doc__.splitlines()[0]
    assert load_simulator(name).name == name


# What it draws.


@each_simulator
def test_lfi_simulates_a_hundred_times_without_failures(name):
    simulations = lfi.simulate(MODULES[name], 100, seed=1)
    assert simulations.names == tuple(MODULES[name].units)
    assert (simulations.status == "ok").all()
    assert simulations.x.isfinite().all()
    assert len(simulations.theta) == len(simulations.x) == 100


@each_simulator
def test_draws_of_the_prior_lie_in_its_support(name):
    simulator, theta = parameters(name, 200)
    assert simulator.prior.contains(theta).all()
    assert simulator.prior.log_prob(theta).isfinite().all()


@each_simulator
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_data_have_the_dtype_of_theta(name, dtype):
    simulator, theta = parameters(name, 5)
    assert simulator(theta.to(dtype), seed=0).dtype == dtype


@each_simulator
def test_one_row_has_the_shape_of_each_of_many(name):
    simulator, theta, x = draws(name)
    assert simulator(theta[:1], seed=0).shape == (1, *x.shape[1:])


@each_simulator
def test_data_depend_on_the_seed_alone(name):
    simulator, theta, x = draws(name)
    torch.manual_seed(1234)
    np.random.seed(1234)
    assert torch.equal(simulator(theta, seed=0), x)
    assert not torch.equal(simulator(theta, seed=1), x)


@each_simulator
def test_simulating_leaves_the_global_state_and_theta_alone(name):
    simulate = MODULES[name].simulate
    signature = signature_of(simulate)
    assert signature.rng
    _, theta = parameters(name, 5)
    argument = theta.numpy() if signature.numpy_theta else theta
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), theta.clone()
    simulate(argument, generator(simulate, 1))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    assert torch.equal(theta, states[2])


@each_simulator
def test_every_parameter_changes_the_data_of_an_equal_seed(name):
    simulator, theta, x = draws(name)
    changed, column = theta.clone(), torch.arange(len(theta)) % simulator.prior.dim
    rows = torch.arange(len(theta))
    changed[rows, column] = theta.roll(1, dims=0)[rows, column]
    moved = (simulator(changed, seed=0) != x).flatten(start_dim=1).any(dim=1)
    assert set(column[moved].tolist()) == set(range(simulator.prior.dim))


# What is observed.


@pytest.mark.parametrize("name", having("x_obs"))
def test_observation_has_the_shape_of_a_draw(name):
    simulator, _, x = draws(name)
    assert simulator.x_obs.shape == x.shape[1:]
    assert simulator.x_obs.isfinite().all()


@pytest.mark.parametrize("name", having("observations"))
def test_observation_is_the_first_of_several(name):
    module = MODULES[name]
    assert torch.equal(module.x_obs, module.observations[0])
    assert module.observations.isfinite().all()


@pytest.mark.parametrize("name", having("true_parameters"))
def test_true_parameters_are_possible_and_one_for_each_observation(name):
    module = MODULES[name]
    simulator = as_simulator(module)
    assert module.true_parameters.shape == (len(module.observations), len(simulator.names))
    assert simulator.prior.contains(module.true_parameters).all()


# Closed forms.


@pytest.mark.parametrize("name", having("log_likelihood"))
def test_log_likelihood_takes_one_observation_or_one_a_row(name):
    _, theta, x = draws(name)
    log_likelihood = MODULES[name].log_likelihood
    each = log_likelihood(theta, x)
    assert each.shape == (20,)
    assert each.isfinite().all()
    assert each.dtype == theta.dtype
    one = log_likelihood(theta, x[0])
    assert one.shape == (20,)
    torch.testing.assert_close(one[0], each[0])


@pytest.mark.parametrize("name", having("log_likelihood"))
def test_log_likelihood_prefers_the_parameters_that_made_the_data(name):
    # with p = p(x | theta), p' = p(x | theta') and x from theta, the mean of (p - p') / (p + p') is
    # half the integral of (p - p')^2 / (p + p'): above zero, by 5 standard errors of 400 rows
    _, theta, x = draws(name, 400)
    log_likelihood = MODULES[name].log_likelihood
    gain = log_likelihood(theta, x) - log_likelihood(theta.roll(1, dims=0), x)
    share = torch.tanh(gain / 2)
    assert share.mean() > 5 * share.std() / 400**0.5


@pytest.mark.parametrize("name", having("log_likelihood"))
def test_the_score_has_mean_zero_where_the_parameters_made_the_data(name):
    # which no likelihood of other data has; by 5 standard errors, of each parameter's share
    _, theta, x = draws(name, 2_000)
    share = torch.ones_like(theta).requires_grad_()
    (score,) = torch.autograd.grad(MODULES[name].log_likelihood(share * theta, x).sum(), share)
    assert (score.mean(dim=0).abs() < 5 * score.std(dim=0) / len(theta) ** 0.5).all()


@pytest.mark.parametrize("name", having("log_likelihood", "posterior"))
def test_posterior_is_prior_times_likelihood_over_a_constant(name):
    module = MODULES[name]
    prior = as_simulator(module).prior
    for x_obs in module.observations:
        posterior = module.posterior(x_obs.double())
        theta = posterior.sample((100,))
        assert theta.shape == (100, prior.dim)
        assert prior.contains(theta).all()
        log_prob = posterior.log_prob(theta)
        constant = prior.log_prob(theta) + module.log_likelihood(theta, x_obs.double()) - log_prob
        # rounding of float32 priors: a few units in the seventh digit of terms of order ten
        torch.testing.assert_close(constant, constant[:1].expand(100), rtol=1e-5, atol=1e-4)


# Gradients.


@pytest.mark.parametrize("name", having("differentiable"))
def test_differentiable_simulators_have_the_gradient_of_their_differences(name):
    module = MODULES[name]
    if not module.differentiable:
        pytest.skip("not differentiable, and says so")
    _, theta, x = draws(name, 2)
    share = torch.ones_like(theta).requires_grad_()  # so that units do not matter,
    size = x.abs() + x.abs().mean()  # neither of theta nor of x
    simulate = lambda s: module.simulate(s * theta, torch.Generator().manual_seed(1)) / size
    assert torch.autograd.gradcheck(simulate, share, fast_mode=True)


# Data for generators.


@pytest.mark.parametrize("name", DATA)
def test_data_for_generators_are_reproducible_rows(name):
    sample = MODULES[name].sample
    rng = inspect.signature(sample, eval_str=True).parameters["rng"].annotation
    make = torch.Generator().manual_seed if rng is torch.Generator else np.random.default_rng
    rows = torch.as_tensor(sample(50, make(1)))
    assert len(rows) == 50
    assert rows.isfinite().all()
    assert torch.equal(torch.as_tensor(sample(50, make(1))), rows)
    assert not torch.equal(torch.as_tensor(sample(50, make(2))), rows)
