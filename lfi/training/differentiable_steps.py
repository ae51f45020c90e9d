"""Differentiable steps of players: what others would do, as a function of one's own move.

Weights are replaced for the time of a call, and moved by copies of the player's optimiser, which
torch can differentiate. The player itself stays where it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from lfi.training.batches import Batch
from lfi.training.players import Move, Step

Result = TypeVar("Result")


class Lookahead:
    """Players that move ahead of where they stand, by steps that remember what they depend on.

    Raises:
        TypeError: If an optimiser has no `differentiable` steps.
        ValueError: If a player's weights are projected after its moves.
    """

    def __init__(self, moves: Sequence[Move]) -> None:
        for move in moves:
            if "differentiable" not in move.optimiser.defaults:
                raise TypeError(
                    f"the optimiser of {move.player.name} must be one that torch can "
                    f"differentiate, such as Adam, AdamW, RMSprop or SGD; got "
                    f"{type(move.optimiser).__name__}"
                )
            if move.player.project is not None:
                raise ValueError(
                    f"the weights of {move.player.name} are projected after every move, "
                    "through which nothing can be unrolled"
                )
        self._moves = moves
        self._modules = _Modules([move.player.module for move in moves])
        names = {id(parameter): name for name, parameter in self._modules.named_parameters()}
        self._names = [[names[id(parameter)] for parameter in move.parameters] for move in moves]
        self.weights: list[list[Tensor]] = [
            [parameter.detach().requires_grad_() for parameter in move.parameters] for move in moves
        ]
        self._states: list[list[dict[str, Any]]] = [
            [dict(move.optimiser.state.get(parameter, {})) for parameter in move.parameters]
            for move in moves
        ]

    def call(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call a function while the players' weights are those ahead."""
        weights = {
            name: weight
            for names, own in zip(self._names, self.weights, strict=True)
            for name, weight in zip(names, own, strict=True)
        }
        return functional_call(self._modules, weights, (function, *arguments))

    def advance(self, batch: Batch, step: Step) -> None:
        """Let one player after the other take a step, without a note in the history."""
        quiet = replace(step, log=lambda name, value: None)
        for i, move in enumerate(self._moves):
            value = self.call(move.player.objective, batch, quiet)
            gradients = torch.autograd.grad(
                value, self.weights[i], create_graph=True, materialize_grads=True
            )
            if move.player.clip is not None:
                norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
                share = (move.player.clip / (norm + 1e-6)).clamp(max=1)
                gradients = tuple(share * gradient for gradient in gradients)
            self.weights[i], self._states[i] = differentiable_step(
                move.optimiser, move.parameters, self.weights[i], gradients, self._states[i]
            )


class _Modules(nn.Module):
    """Modules side by side, which stand for the parameters that a call replaces."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.modules_of_players = nn.ModuleList(modules)

    def forward(self, function: Callable[..., Result], *arguments: object) -> Result:
        return function(*arguments)


def differentiable_step(
    optimiser: Optimizer,
    parameters: Sequence[Tensor],
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    states: Sequence[dict[str, Any]],
) -> tuple[list[Tensor], list[dict[str, Any]]]:
    """Return where an optimiser's step leads and its states there; it stays as it is.

    Weights, gradients and states are in the order of the parameters that it was made of, and what
    comes back is a differentiable function of them. Adam divides by the root of its mean squared
    gradient, whose slope at zero is infinite: there a gradient that is zero counts as a constant.
    """
    moved = [weight.clone() for weight in weights]
    place = {id(parameter): tensor for parameter, tensor in zip(parameters, moved, strict=True)}
    plain = {"differentiable": True, "foreach": False, "fused": False}
    groups = [
        group
        | {key: value for key, value in plain.items() if key in group}
        | {"params": [place[id(parameter)] for parameter in group["params"]]}
        for group in optimiser.param_groups
    ]
    ahead = type(optimiser)(groups, differentiable=True)  # pyright: ignore[reportCallIssue]
    for tensor, gradient, state in zip(moved, gradients, states, strict=True):
        gradient = gradient.clone()
        if gradient.requires_grad:
            gradient.register_hook(_finite_at_zero(gradient.detach()))
        tensor.grad = gradient
        ahead.state[tensor] = {
            key: value.clone() if isinstance(value, Tensor) else value
            for key, value in state.items()
        }
    ahead.step()
    return moved, [ahead.state[tensor] for tensor in moved]


def _finite_at_zero(gradient: Tensor) -> Callable[[Tensor], Tensor]:
    def hook(slope: Tensor) -> Tensor:
        return torch.where((gradient == 0) & ~slope.isfinite(), 0.0, slope)

    return hook
