"""Simulators: how functions are called, what they may return, what their failures leave."""

import os
import random
from functools import partial
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

import lfi
from lfi.runtime.seeds import numpy_rng, torch_rng
from lfi.simulation.records.results import ERROR, NONFINITE, OK
from lfi.simulation.simulators.simulator import Simulator
from lfi.simulation.simulators.wrap import as_simulator, simulator
from simulators import influenza

PRIOR = {"a": Normal(0.0, 1.0), "b": Normal(0.0, 1.0)}
THETA = torch.arange(8.0, dtype=torch.float64).reshape(4, 2)


def wrap(function, **options):
    return Simulator(function, prior=PRIOR, **options)


# What a function is given.


def test_a_function_without_rng_runs_in_a_seeded_fork_of_the_global_state():
    draws = lambda theta: theta[:, :1] + torch.randn(1) + np.random.randn() + random.random()
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    x = wrap(draws)(THETA, seed=1)
    assert torch.equal(x, wrap(draws)(THETA, seed=1))
    assert not torch.equal(x, wrap(draws)(THETA, seed=2))
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])


def test_numpys_generator_is_the_default_and_torchs_comes_by_annotation():
    plain = lambda theta, rng: rng.normal(size=(4, 1))

    def annotated(theta, rng: torch.Generator):
        return torch.randn(4, 1, generator=rng)

    def quoted(theta, rng: "torch.Generator"):
        return torch.randn(4, 1, generator=rng)

    x = torch.randn(4, 1, generator=torch_rng(1, 1, 0))
    assert np.array_equal(wrap(plain)(THETA, seed=1), numpy_rng(1, 1, 0).normal(size=(4, 1)))
    assert torch.equal(wrap(annotated)(THETA, seed=1), x)
    assert torch.equal(wrap(quoted)(THETA, seed=1), x)


@pytest.mark.parametrize(
    "function",
    [
        lambda theta, generator: generator.normal(size=(4, 1)),
        lambda theta, /, rng: rng.normal(size=(4, 1)),
        lambda theta, *, rng: rng.normal(size=(4, 1)),
        lambda theta, scale=1.0, rng=None: rng.normal(size=(4, 1)),
        partial(lambda theta, rng, n: rng.normal(size=(n, 1)), n=4),
    ],
)
def test_the_generator_may_be_taken_in_any_way(function):
    x = wrap(function, name="any")(THETA, seed=1)
    assert np.array_equal(x, numpy_rng(1, 1, 0).normal(size=(4, 1)))


@pytest.mark.parametrize("hint", [np.ndarray, npt.NDArray[np.float64], "np.ndarray"], ids=str)
def test_theta_is_an_array_where_it_is_annotated_so(hint):
    def simulate(theta):
        assert isinstance(theta, np.ndarray)
        return np.sin(theta)

    simulate.__annotations__["theta"] = hint
    torch.testing.assert_close(wrap(simulate)(THETA), THETA.sin())


def test_a_function_of_one_vector_gets_its_rows_and_their_generators():
    def simulate(theta, rng):
        assert theta.shape == (2,)
        return theta.sum() + rng.normal()

    expected = [float(t.sum()) + numpy_rng(1, 2, i).normal() for i, t in enumerate(THETA)]
    x = wrap(simulate, batched=False)(THETA, seed=1)
    torch.testing.assert_close(x, torch.tensor(expected))


def test_theta_is_safe_from_the_function():
    def simulate(theta):
        theta.zero_()
        return theta

    block = wrap(simulate).run_block(THETA, seed=1)
    assert block.x.abs().sum() == 0 and THETA.abs().sum() > 0


# What it returns.


@pytest.mark.parametrize(
    "output, dtype",
    [
        (np.ones((4, 3)), torch.float64),
        (np.ones((4, 3), dtype=np.float32), torch.float32),
        (np.ones((4, 3), dtype=np.int32), torch.float64),  # integers: the prior's dtype
        (np.ones((4, 3), dtype=bool), torch.float64),
        (torch.ones(4, 3, dtype=torch.float32), torch.float32),
        (torch.ones(4, 3, dtype=torch.int64), torch.float64),
        (torch.ones(4, 3, dtype=torch.bfloat16), torch.float64),
        (torch.ones(4, 3, requires_grad=True), torch.float64),
        ([[1.0] * 3] * 4, torch.float64),
        ([torch.ones(3)] * 4, torch.float64),
    ],
    ids=lambda value: str(getattr(value, "dtype", type(value).__name__)),
)
def test_outputs_become_floating_tensors(output, dtype):
    x = wrap(lambda theta: output)(THETA)
    assert torch.equal(x, torch.ones(4, 3, dtype=dtype)) and not x.requires_grad


def test_the_output_is_a_copy():
    buffer = np.zeros((4, 1))
    x = wrap(lambda theta: buffer)(THETA)
    buffer += 1
    assert x.sum() == 0


@pytest.mark.parametrize(
    "output, says",
    [
        (torch.ones(3, 14), r"shape \(3, 14\) for theta of shape \(4, 2\): expected 4 rows"),
        (torch.tensor(1.0), "expected 4 rows"),
        (torch.ones(4, 1) * 1j, "complex"),
        (np.ones((4, 1)) * 1j, "complex"),
        (np.array(["a"] * 4), "real numbers"),
        (None, "real numbers"),
        ({"x": 1}, "real numbers"),
        ([[1], [1, 2]], "ragged"),
    ],
    ids=str,
)
def test_outputs_that_are_no_data_are_errors_not_failures(output, says):
    with pytest.raises(ValueError, match=says):
        wrap(lambda theta: output).run_block(THETA, seed=1)


# Failures.


def test_infinities_and_nans_have_a_status():
    x = torch.tensor([[0.0, 1.0], [torch.nan, 1.0], [0.0, torch.inf], [1.0, 1.0]])
    block = wrap(lambda theta: x).run_block(THETA, seed=1)
    assert block.codes.tolist() == [OK, NONFINITE, NONFINITE, OK]
    assert not block.errors


@pytest.mark.parametrize("batched", [True, False])
def test_only_the_rows_that_raise_are_lost(batched):
    def simulate(theta: np.ndarray, rng):
        if (theta[..., 0] == 4).any():
            raise ValueError("four")
        return theta + rng.normal(size=theta.shape)

    block = wrap(simulate, batched=batched).run_block(THETA, seed=1, block=3)
    assert block.codes.tolist() == [OK, OK, ERROR, OK]
    assert block.errors == {3 * 1024 + 2: "ValueError: four"}
    assert block.x[2].isnan().all() and str(block.cause) == "four"
    expected = THETA[3] + torch.from_numpy(numpy_rng(1, 2, 3 * 1024 + 3).normal(size=2))
    torch.testing.assert_close(block.x[3], expected)


def test_where_every_row_raises_there_is_no_data():
    block = wrap(lambda theta: 1 / 0).run_block(THETA, seed=1)
    assert block.x is None and block.codes.tolist() == [ERROR] * 4
    assert isinstance(block.cause, ZeroDivisionError)


def test_rows_of_different_shapes_are_an_error():
    with pytest.raises(ValueError, match=r"shape \(2,\) for row 1, and of shape \(1,\)"):
        wrap(lambda t: torch.ones(1 if t[0] == 0 else 2), batched=False).run_block(THETA, seed=1)


def test_ctrl_c_is_no_failure():
    def simulate(theta):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wrap(simulate).run_block(THETA, seed=1)


# Wrapping.


def test_the_decorator_wraps_a_function():
    @lfi.simulator(prior=PRIOR, units={"a": "m"}, x_obs=[1, 2])
    def epidemic(theta):
        """Spread."""
        return theta

    assert isinstance(epidemic, Simulator) and epidemic.name == "epidemic"
    assert epidemic.names == ("a", "b") and epidemic.units == {"a": "m"}
    assert torch.equal(epidemic.x_obs, torch.tensor([1.0, 2.0])) and epidemic.__doc__ == "Spread."


def test_a_module_is_taken_as_a_simulator():
    wrapped = as_simulator(influenza)
    assert wrapped.name == "influenza" and wrapped.units == influenza.units
    assert wrapped.names == ("beta", "gamma", "phi_inv") and wrapped.x_obs.shape == (14,)
    assert as_simulator(wrapped) is wrapped
    theta = wrapped.prior.sample(5, seed=np.random.default_rng(0))
    assert torch.equal(
        wrapped(theta, seed=1), influenza.simulate(theta.clone(), torch_rng(1, 1, 0))
    )


def test_an_object_is_taken_as_a_simulator():
    thing = SimpleNamespace(prior=PRIOR, simulate=lambda theta: theta[0], batched=False)
    assert not as_simulator(thing).batched


def test_a_vector_of_parameters_has_the_names_that_an_object_gives():
    plane = MultivariateNormal(torch.zeros(2), torch.eye(2))
    thing = SimpleNamespace(prior=plane, simulate=lambda theta: theta, names=["x", "y"])
    thing.units = {"y": "m"}
    assert as_simulator(thing).names == ("x", "y")
    thing.names = ("x", "y", "z")
    with pytest.raises(ValueError, match="3 names for event_shape"):
        as_simulator(thing)
    thing.names, thing.prior = ("b", "a"), PRIOR
    with pytest.raises(ValueError, match="names .'b', 'a'. were given, and the prior names"):
        as_simulator(thing)


@pytest.mark.parametrize(
    "function, says",
    [
        (lambda: 1, "theta as its first argument"),
        (lambda theta, rng, n: 1, "also needs n"),
        (lambda theta, *, n: 1, "also needs n"),
    ],
)
def test_what_is_no_simulator_is_refused(function, says):
    with pytest.raises(TypeError, match=says):
        wrap(function)


def test_objects_without_prior_are_refused():
    with pytest.raises(TypeError, match="`prior` and `simulate`; got <function"):
        as_simulator(lambda theta: theta)


def test_units_of_unknown_parameters_are_refused():
    with pytest.raises(ValueError, match="units of .'c'.*'a', 'b'"):
        wrap(lambda theta: theta, units={"c": "m"})


def test_theta_of_another_width_is_refused():
    with pytest.raises(ValueError, match=r"\(n, 2\), a column for each of a, b; got \(4, 1\)"):
        wrap(lambda theta: theta)(THETA[:, :1])


# Identity.


def test_equal_simulators_have_equal_identities():
    make = lambda: wrap(lambda theta: theta + 1, name="plus")
    assert make().identity == make().identity


def scaled(scale):
    return lambda theta: theta * scale


def test_other_simulators_have_other_identities():
    others = [
        wrap(scaled(2.0), name="f"),
        wrap(scaled(2.0), name="g"),
        wrap(scaled(3.0), name="f"),
        wrap(scaled(torch.ones(2)), name="f"),
        wrap(scaled(torch.zeros(2)), name="f"),
        wrap(scaled(2.0), name="f", batched=False),
        wrap(torch.nn.Linear(2, 2), name="f"),
        wrap(partial(torch.mul, other=2.0), name="f"),
        wrap(partial(torch.mul, other=3.0), name="f"),
        Simulator(scaled(2.0), prior={**PRIOR, "b": Normal(0.0, 2.0)}, name="f"),
    ]
    assert len({wrapped.identity for wrapped in others}) == len(others)


def test_a_simulator_that_counts_its_calls_stays_the_same():
    calls = 0

    def counted(theta):
        nonlocal calls
        calls += 1
        return theta

    wrapped = wrap(counted)
    before = wrapped.identity
    wrapped(THETA)
    assert calls == 1 and wrapped.identity == before


def test_a_network_with_other_weights_is_another_simulator():
    one, two = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    assert wrap(one).identity != wrap(two).identity == wrap(two).identity


def test_functions_without_source_are_told_apart_by_their_code():
    scope = {}
    exec("def f(theta): return theta + 1\ndef g(theta): return theta + 2", scope)
    f, g = wrap(scope["f"], name="f"), wrap(scope["g"], name="f")
    assert f.identity != g.identity and f.identity == wrap(scope["f"], name="f").identity


def test_builtins_are_functions_too():
    assert torch.equal(wrap(torch.sin)(THETA), THETA.sin())
    assert len(wrap(torch.sin).identity) == 64 and simulator(prior=PRIOR)(torch.sin).name == "sin"


# Gradients, trials and summaries.


def noisy(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    return theta.square() + torch.randn(len(theta), 2, generator=rng)


def test_gradients_flow_to_theta_through_the_wrapper():
    wrapped = wrap(noisy)
    theta = torch.rand(4, 2, requires_grad=True)
    wrapped(theta, seed=1).sum().backward()
    torch.testing.assert_close(theta.grad, 2 * theta.detach())
    assert torch.autograd.gradcheck(lambda t: wrapped(t, seed=1), (theta,))
    assert not wrapped(theta.detach(), seed=1).requires_grad


def of_one(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    return theta + torch.randn(2, generator=rng)


@pytest.mark.parametrize("function, batched", [(noisy, True), (of_one, False)], ids=["n", "one"])
def test_trials_are_independent_draws_of_one_theta(function, batched):
    wrapped = wrap(function, batched=batched, trials=5)
    x = wrapped(THETA, seed=1)
    assert x.shape == (4, 5, 2) and len(x.unique()) == x.numel()
    mean = THETA.square() if batched else THETA
    many = wrap(function, batched=batched, trials=2_000)(THETA, seed=1)
    # A mean of 2,000 standard normals has standard error 0.022.
    torch.testing.assert_close(many.mean(1), mean.to(many), rtol=0, atol=5 * 0.0224)
    block = wrapped.run_block(THETA, seed=1)
    assert block.x.shape == (4, 5, 2)
    assert wrap(function, batched=batched).identity != wrapped.identity


def test_trials_must_be_counted():
    with pytest.raises(ValueError, match="trials must be at least 1"):
        wrap(noisy, trials=0)


@pytest.mark.parametrize("function, batched", [(noisy, True), (of_one, False)], ids=["n", "one"])
def test_summaries_come_after_x_and_after_each_other(function, batched):
    x_obs = torch.tensor([3.0, 4.0])
    full = wrap(function, batched=batched, x_obs=x_obs)
    norm = full.with_summary(lambda x: x.square().sum(1, keepdim=True)).with_summary(torch.sqrt)
    expected = full(THETA, seed=1).norm(dim=1, keepdim=True)
    torch.testing.assert_close(norm(THETA, seed=1), expected)
    torch.testing.assert_close(norm.run_block(THETA, seed=1).x, expected)
    assert norm.x_obs.tolist() == [5.0] and norm.identity != full.identity
    other = full.with_summary(lambda x: x.abs().sum(1, keepdim=True)).with_summary(torch.sqrt)
    assert other.identity != norm.identity


def test_a_summary_that_loses_rows_is_refused_and_one_that_raises_is_recorded():
    with pytest.raises(ValueError, match="must keep its rows"):
        wrap(noisy).with_summary(lambda x: x.mean(0)).run_block(THETA, seed=1)

    def picky(x):
        if (x[:, 0] > 0).any():
            raise RuntimeError("too large")
        return x

    block = wrap(noisy).with_summary(picky).run_block(THETA, seed=1)
    assert block.errors and all("too large" in text for text in block.errors.values())


@pytest.mark.parametrize("batched", [True, False])
def test_a_function_that_forks_and_returns_twice_gives_one_row_a_theta(batched):
    def twice(theta: torch.Tensor) -> torch.Tensor:
        os.fork()
        return theta

    made = lfi.simulate(Simulator(twice, prior=PRIOR, batched=batched), 40, seed=1)
    assert len(made.x) == len(made.theta) == 40 and torch.equal(made.x, made.theta)


class Deeper(BaseException):
    """Of no kind that programs expect."""


@pytest.mark.parametrize(
    ("kind", "says"), [(SystemExit, "called sys.exit(3)"), (Deeper, "Deeper(3)")]
)
def test_a_function_that_ends_python_ends_its_row_only(kind, says):
    def ending(theta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if theta[0] < 0:
            raise kind(3)
        return theta

    made = lfi.simulate(Simulator(ending, prior=PRIOR, batched=False), 40, seed=1)
    lost = made.theta[:, 0] < 0
    assert (made.status[lost.numpy()] == "error").all() and made.valid.sum() == (~lost).sum()
    assert says in made.errors[int(lost.nonzero()[0])]


# One vector beside NumPy's generator.


def kinds(simulate, theta=None, prior=None):
    prior = prior or {"a": Normal(0.0, 1.0), "b": Normal(0.0, 1.0)}
    simulator = Simulator(simulate, prior=prior, batched=False)
    return simulator(torch.zeros(1, 2) if theta is None else theta, seed=1)


def test_a_vector_beside_numpy_generators_is_an_array():
    """Line 16 of a first day: theta was a tensor, of which NumPy warned in each worker."""
    seen = []

    def simulate(theta, rng):
        seen.append(type(theta))
        return np.exp(theta) + rng.normal(size=2)

    kinds(simulate)
    assert seen == [np.ndarray]


def test_functions_that_rely_on_torch_still_get_tensors():
    seen = []

    def names_torch(theta, rng):
        seen.append(type(theta))
        return theta + torch.as_tensor(rng.normal(size=2)).to(theta)

    def by_methods(theta, rng):
        seen.append(type(theta))
        return theta.exp() + rng.normal()

    def by_generator(theta, rng: torch.Generator):
        seen.append(type(theta))
        return theta

    kinds(names_torch), kinds(by_generator)
    assert seen == [torch.Tensor, torch.Tensor]
    x = kinds(by_methods)
    assert seen[2:] == [np.ndarray, torch.Tensor]  # tried as an array first
    noise = numpy_rng(1, 2, 0).normal()  # the stream of the row begins anew
    torch.testing.assert_close(x, torch.full((1, 2), 1 + noise).to(x))
    theta = torch.zeros(1, 2, requires_grad=True)
    kinds(by_methods, theta).sum().backward()
    assert theta.grad.tolist() == [[1.0, 1.0]]


def test_an_array_functions_own_error_is_the_one_told():
    def simulate(theta, rng):
        raise TypeError(f"no {type(theta).__name__} will do")

    with pytest.raises(TypeError, match="no ndarray will do"):
        kinds(simulate)
