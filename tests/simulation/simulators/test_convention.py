"""How a function is called is found out by trying it."""

import textwrap
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.distributions import Normal, Uniform

import lfi
from lfi.runtime.seeds import numpy_rng
from lfi.simulation.simulators.convention import as_found


def model(simulate, parameters=2, **settings):
    prior = {f"p{i}": Uniform(1.0, 2.0) for i in range(parameters)}
    return SimpleNamespace(prior=prior, simulate=simulate, name="mine", **settings)


def batch_of_torch(theta, rng: torch.Generator):
    return theta[:, :1] + torch.randn(len(theta), 4, generator=rng)


def batch_of_numpy(theta, rng):
    return np.exp(theta[:, :1]) * rng.normal(size=(len(theta), 4))


def batch_of_numpy_alone(theta, rng):
    return np.add.reduce(theta.astype(float), axis=1)[:, None] + rng.normal(size=(len(theta), 4))


def vector_unpacked(theta, rng):
    first, second = theta
    return rng.normal(first, second, size=4)


def vector_indexed(theta, rng):
    return theta[0] + theta[1] * rng.normal(size=4)


def vector_of_torch(theta, rng: torch.Generator):
    return torch.normal(theta[0].expand(4), theta[1].item(), generator=rng)


def vector_of_numpy(theta, rng):
    return np.linspace(*theta.astype(float), 4) + rng.normal(size=4)


def vector_that_broadcasts(theta, rng):
    return theta + rng.normal(size=2)  # a batch would share its noise


def vector_of_numpy_with_a_keyword(theta, *, rng):
    return np.linspace(*theta.astype(float), 4) + rng.normal(size=4)


def number(theta, rng):
    return float(theta[0]) + rng.normal()


def vector_with_global_noise(theta):
    return [float(theta[0]) + np.random.normal(), float(theta[1])]


WAYS = [
    (batch_of_torch, True, False),
    (batch_of_numpy, True, True),  # torch would warn
    (batch_of_numpy_alone, True, True),
    (vector_unpacked, False, None),
    (vector_indexed, False, None),
    (vector_of_torch, False, False),
    (vector_of_numpy, False, True),
    (vector_of_numpy_with_a_keyword, False, True),
    (vector_that_broadcasts, False, None),
    (number, False, None),
    (vector_with_global_noise, False, None),
]


@pytest.mark.parametrize(
    ("simulate", "batched", "numpy"), WAYS, ids=lambda value: getattr(value, "__name__", "")
)
def test_the_way_a_function_is_called_is_found(simulate, batched, numpy):
    found = as_found(model(simulate))
    assert found.batched is batched
    if numpy is not None:
        assert found.signature.numpy_theta is numpy
    x = found(torch.tensor([[1.2, 1.5], [1.7, 1.1], [1.5, 1.6]]), seed=1)
    assert len(x) == 3 and x.isfinite().all()


@pytest.mark.parametrize("parameters", [2, 3, 4, 5, 6])
def test_vectors_of_any_length_are_not_taken_for_batches(parameters):
    def simulate(theta, rng):
        values = [float(value) for value in theta]
        return rng.normal(values, 1.0)

    assert not as_found(model(simulate, parameters)).batched


def test_what_a_module_says_is_not_tried():
    found = as_found(model(vector_unpacked, batched=False))
    assert not found.batched
    with pytest.raises(RuntimeError, match="raised at all parameters"):
        as_found(model(vector_unpacked, batched=True))
    wrapped = lfi.Simulator(vector_unpacked, prior={"a": Normal(0.0, 1.0)})
    assert as_found(wrapped) is wrapped


def test_a_batch_of_torch_is_the_simulator_that_it_was():
    """Its numbers and its identity, by which stores know it, are those of `as_simulator`."""
    source = model(batch_of_torch)
    found, plain = as_found(source), lfi.simulation.as_simulator(source)
    assert found.identity == plain.identity
    theta = plain.prior.sample(5, seed=numpy_rng(1))
    assert torch.equal(found(theta, seed=2), plain(theta, seed=2))


def test_settings_of_a_module_are_kept():
    source = model(vector_unpacked, units={"p0": "s"}, x_obs=[0.0] * 4, trials=3)
    found = as_found(source)
    assert found.units == {"p0": "s"} and found.trials == 3 and found.name == "mine"
    assert found(torch.ones(2, 2), seed=1).shape == (2, 3, 4)


def test_a_function_that_fails_at_most_parameters_is_found():
    def simulate(theta, rng):
        first, _ = theta
        if first < 1.9:
            raise FloatingPointError("too stiff")
        return rng.normal(size=4)

    assert not as_found(model(simulate)).batched


def test_a_function_that_always_raises_is_told_with_the_users_line(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        textwrap.dedent("""
        def simulate(theta, rng):
            first, second = theta
            raise LookupError(str(second.item()))
        """)
    )
    space = {}
    exec(compile(path.read_text(), path, "exec"), space)
    with pytest.raises(RuntimeError, match="mine raised at all .*LookupError") as error:
        as_found(model(space["simulate"]))
    said = str(error.value)
    assert "(mine.py, line 4: raise LookupError(str(second.item())))" in said
    assert "(mine.py, line 3: first, second = theta)" in said  # as a batch
