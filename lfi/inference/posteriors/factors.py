"""Posteriors as factors of other programs' models: in PyMC, by PyTensor, and in Pyro.

What a posterior of lfi says of theta, given x_obs, is a factor log w(theta, x_obs): a likelihood
p(x_obs | theta), a ratio p(x_obs | theta) / p(x_obs), or a posterior density over its prior's, all
the same function of theta up to a constant. In a model that states a prior of its own, and more
levels or other data beside, it stands for the simulator's likelihood.

Gradients are those of torch, so that NUTS moves by them. Outside the support of the prior that the
posterior was trained under nothing is known of it, and the factor is zero.

PyTensor is imported where it is used, by its name: it is no dependency of lfi, nor are its types.
"""

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.posteriors.base import TargetPosterior
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples

TensorVariable = Any  # PyTensor's, which need not be installed
Node = Any
Shapes = Any


@checked
def to_pyro(
    posterior: TargetPosterior, x_obs: Samples
) -> Callable[[Float[Tensor, "*n theta_dim"]], Float[Tensor, "*n"]]:
    """Return log w(theta, x_obs) as a function of torch, for `pyro.factor`.

    Args:
        posterior: Any posterior with a target; `posterior.trials()` for independent trials.
        x_obs: One observation, (*event).

    Returns:
        A function of parameters in the order of `posterior.names`, (*n, theta_dim), that returns
        their log factors, (*n), with gradients: minus infinity outside the posterior's prior.

    Raises:
        ValueError: If x_obs does not fit, or there are several.

    Example:
        >>> import pyro
        >>> from pyro.distributions import Normal
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 1), prior=prior)
        >>> quick = lfi.PosteriorFlow(gaussian_steps=10, settings=lfi.TrainSettings(steps=2))
        >>> simulations = lfi.simulate(simulator, 200, seed=1)
        >>> posterior = lfi.fit_posterior(simulations, method=quick, seed=1)
        >>> log_factor = to_pyro(posterior, torch.zeros(1))
        >>> def model():
        ...     mean = pyro.sample("mean", Normal(0.0, 1.0))
        ...     pyro.factor("x", log_factor(mean[None]))
        >>> pyro.poutine.trace(model).get_trace().log_prob_sum().isfinite()
        tensor(True)
    """
    x, single = posterior.observations(x_obs)
    if not single:
        raise ValueError(f"x_obs must be one observation, got {len(x)}: give each its own factor")
    target, prior = posterior.target(x), posterior.prior

    def log_factor(theta: Tensor) -> Tensor:
        if theta.shape[-1:] != (prior.dim,):
            raise ValueError(
                f"theta has shape {tuple(theta.shape)}, expected (*n, {prior.dim}): "
                f"{', '.join(prior.names)}"
            )
        rows = theta.reshape(1, -1, prior.dim).to(prior.dtype)
        inside = prior.log_prob(rows.detach()).isfinite()
        safe = torch.where(inside[..., None], rows, target.anchor.to(rows))
        value = torch.where(inside, target.log_weight(safe), -math.inf)
        return value.reshape(theta.shape[:-1]).to(theta)

    return log_factor


@checked
def to_pytensor(
    posterior: TargetPosterior, x_obs: Samples
) -> Callable[[TensorVariable], TensorVariable]:
    """Return log w(theta, x_obs) as a function of PyTensor, for `pymc.Potential`.

    In a model of PyMC::

        log_factor = lfi.inference.to_pytensor(posterior, x_obs)
        with pymc.Model():
            beta, gamma = pymc.LogNormal("beta", 0.4, 0.5), pymc.LogNormal("gamma", -1.0, 0.5)
            pymc.Potential("x", log_factor(pytensor.tensor.stack([beta, gamma])))
            draws = pymc.sample()

    Args:
        posterior: Any posterior with a target; `posterior.trials()` for independent trials.
        x_obs: One observation, (*event).

    Returns:
        A function of parameters in the order of `posterior.names`, (*n, theta_dim), as `to_pyro`
        has it.

    Raises:
        ModuleNotFoundError: If PyTensor is not installed (`pip install pymc`).
        ValueError: If x_obs does not fit, or there are several.
    """
    return torch_in_pytensor(to_pyro(posterior, x_obs))


@checked
def torch_in_pytensor(
    function: Callable[[Tensor], Tensor],
) -> Callable[[TensorVariable], TensorVariable]:
    """Return a function of torch as one of PyTensor, with its gradient.

    So may the log ratio of two samples, `ratio.log_ratio`, stand in a model of PyMC.

    Args:
        function: From (*n, d) to (*n), each value of its own row, differentiable.

    Raises:
        ModuleNotFoundError: If PyTensor is not installed (`pip install pymc`).
    """
    tensor: Any = import_module("pytensor.tensor")
    graph: Any = import_module("pytensor.graph")

    class ValueAndGradient(graph.Op):
        """The function and its gradient in one: PyTensor computes equal nodes once."""

        def make_node(self, theta: TensorVariable) -> Node:
            theta = tensor.as_tensor_variable(theta)
            kind, shape = theta.type.dtype, theta.type.shape
            outputs = [tensor.tensor(dtype=kind, shape=shape[:-1]), theta.type()]
            return graph.Apply(self, [theta], outputs)

        def infer_shape(self, whole: object, node: Node, shapes: Shapes) -> Shapes:
            return [shapes[0][:-1], shapes[0]]

        def perform(self, node: Node, inputs: list[Any], outputs: list[list[Any]]) -> None:
            given = np.asarray(inputs[0])
            theta = torch.tensor(given, requires_grad=True)
            with torch.enable_grad():
                value = function(theta)
                finite = value.isfinite()
                (gradient,) = torch.autograd.grad(
                    torch.where(finite, value, 0.0).sum(), theta, allow_unused=True
                )
            gradient = torch.zeros_like(theta) if gradient is None else gradient
            outputs[0][0] = np.asarray(value.detach().numpy(), given.dtype)
            outputs[1][0] = np.asarray(gradient.numpy(), given.dtype)

        def grad(self, inputs: list[Any], output_grads: list[Any]) -> list[Any]:
            return [output_grads[0][..., None] * self(*inputs)[1]]

    both = ValueAndGradient()
    return lambda theta: both(theta)[0]
