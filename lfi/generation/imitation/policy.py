"""Fitted policies: states in, actions out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.generation.imitation.action_models import ACTION_MODELS, ActionModel
from lfi.generation.imitation.environments import Environment, record
from lfi.generation.imitation.step_encoding import StepEncoding
from lfi.generation.imitation.trajectories import Trajectories
from lfi.networks import Standardise, VectorCritic
from lfi.networks.residual import last_linear
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample, as_tensor
from lfi.runtime import (
    Contents,
    Described,
    Saved,
    child,
    fresh,
    load_prefixed,
    prefixed,
    torch_rng,
)
from lfi.training import History

LAYERS = 1  # residual blocks of a network


def policy_network(states: int, outputs: int, width: int) -> VectorCritic:
    """Return a policy's network, which begins with nearly the same actions everywhere."""
    network = VectorCritic([(states,)], features=outputs, width=width, layers=LAYERS)
    last = last_linear(network.rest)
    with torch.no_grad():
        last.weight.mul_(0.01)
        last.bias.zero_()
    return network


class Policy(Described, Saved, nn.Module):
    """A fitted policy: a distribution of actions given a state, an implicit model of episodes.

    Attributes:
        network: Standardised states, (n, states), to the numbers that the actions' model takes.
        encoding: States and actions as the networks take them.
        environment: The name of the environment that it was fitted in; None for one without.
        history: How it was trained.
    """

    def __init__(
        self,
        network: nn.Module,
        encoding: StepEncoding,
        *,
        environment: str | None = None,
        own: bool = False,
        history: History | None = None,
    ) -> None:
        super().__init__()
        self.network: nn.Module = network
        self.encoding: StepEncoding = encoding
        self.environment: str | None = environment
        self.history: History | None = history
        self._own = own

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a state."""
        return tuple(self.encoding.standardise.location.shape)

    @property
    def model(self) -> ActionModel:
        """The distribution of actions, given what the network returns."""
        return self.encoding.actions

    def forward(self, observations: Float[Tensor, "n ..."]) -> Float[Tensor, "n outputs"]:
        """Return the parameters of the distribution of actions, with gradients."""
        return self.network(self.encoding.state(observations))

    @checked
    @torch.no_grad()
    def act(
        self, observation: Samples, *, sample: bool = False, seed: int | None = None
    ) -> np.ndarray | np.integer:
        """Return the action in a state, or in several, as `environment.step` takes it.

        Args:
            observation: One state, (*event), or (n, *event).
            sample: Whether actions are drawn, in place of the most likely ones.
            seed: Of the draws; None takes fresh entropy.

        Raises:
            ValueError: If a state has another shape, or is not finite.
        """
        states = as_tensor("observation", observation)
        one = tuple(states.shape) == self.shape
        states = as_sample("observation", states[None] if one else states, self.shape)
        rng = torch_rng(fresh(seed)) if sample else None
        actions = self.model.actions(self.draws(states, rng))
        return actions[0] if one else actions

    def draws(self, states: Tensor, rng: torch.Generator | None) -> Tensor:
        """Return draws of actions, or without a generator the most likely ones."""
        outputs = self(states)
        return self.model.mode(outputs) if rng is None else self.model.draw(outputs, rng)

    @checked
    @torch.no_grad()
    def log_prob(self, observations: Samples, actions: Samples) -> Float[Tensor, " n"]:
        """Return the log density of actions, (n, *action), in states, (n, *event).

        Densities are in units of the box's half width, before clipping or squashing.

        Raises:
            ValueError: If shapes do not fit, or a number is not finite.
        """
        states = as_sample("observations", observations, self.shape)
        given = as_sample("actions", actions)
        if len(given) != len(states):
            raise ValueError(f"actions has {len(given)} rows for {len(states)} observations")
        draws = self.model.draws_of("actions", given)
        outputs = self(states)
        return self.model.log_prob(outputs, draws.to(outputs.device)).cpu()

    @checked
    def play(
        self,
        episodes: int = 20,
        *,
        environment: Environment | None = None,
        sample: bool = False,
        longest: int | None = None,
        seed: int | None = None,
    ) -> Trajectories:
        """Play episodes side by side: `returns` of the result are what the policy earns.

        Args:
            episodes: How many.
            environment: Where; by default in the one that it was fitted in, by its name.
            sample: Whether actions are drawn, in place of the most likely ones.
            longest: Where an episode is cut, if not at the environment's own limit.
            seed: None takes fresh entropy.

        Raises:
            ImportError: If Gymnasium is not installed.
            ValueError: If the environment that it was fitted in has no name, and none is given.
        """
        seed = fresh(seed)
        where = self.environment if environment is None else environment
        if where is None:
            raise ValueError(
                "environment: the one that the policy was fitted in has no name, so none is known"
            )
        rng = torch_rng(seed, 1) if sample else None

        def act(states: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return self.model.actions(self.draws(torch.from_numpy(states), rng))

        return record(where, act, episodes, longest=longest, seed=child(seed, 0))

    def describe(self) -> str:
        """Return what it maps, and how it was trained, in words."""
        weights = sum(parameter.numel() for parameter in self.network.parameters())
        where = f" in {self.environment}" if self.environment else ""
        lines = [
            f"policy{where}: states {self.shape} to {self.model.describe()}, {weights:,} weights"
        ]
        if self.history is not None:
            lines.append(self.history.describe())
        return "\n  ".join(lines)

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        width = self.network.first.out_features if isinstance(self.network, VectorCritic) else 0
        spec = {
            "width": None if self._own else width,
            "shape": list(self.shape),
            "actions": [type(self.model).__name__, self.model.arguments()],
            "state_only": self.encoding.state_only,
            "environment": self.environment,
            "history": self.history and self.history._spec(),
        }
        return spec, prefixed("policy", self)

    @classmethod
    def _restore(cls, contents: Contents) -> "Policy":
        spec: Mapping[str, Any] = contents.spec
        name, arguments = spec["actions"]
        encoding = StepEncoding(
            Standardise(spec["shape"]),
            ACTION_MODELS[name](**arguments),
            state_only=spec["state_only"],
        )
        if spec["width"] is None:
            network = contents.module("policy")
        else:
            network = policy_network(encoding.states, encoding.actions.outputs, spec["width"])
        policy = cls(
            network,
            encoding,
            environment=spec["environment"],
            own=spec["width"] is None,
            history=spec["history"] and History._restore(spec["history"]),
        )
        load_prefixed("policy", policy, contents.tensors)
        return policy.eval()
