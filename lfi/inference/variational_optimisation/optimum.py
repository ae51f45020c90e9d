"""What adversarial variational optimisation finds: a proposal, its mean, and how it got there."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.variational_optimisation.parameters import StandardParameters
from lfi.networks import FlowProposal, MixtureProposal, VectorProposal
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample
from lfi.numerics.checks import check_counts, check_instance
from lfi.runtime import Contents, Described, Saved, fresh, load_prefixed, prefixed, torch_rng
from lfi.simulation import Prior
from lfi.training import History

NETWORKS = {kind.__name__: kind for kind in (FlowProposal, MixtureProposal)}
DRAWS = 10_000  # of the proposal, whose mean is the point estimate


def checked_proposal(network: object, d: int) -> VectorProposal:
    """Return a distribution of d numbers; TypeError or ValueError if it is none."""
    check_instance("proposal", network, VectorProposal)
    assert isinstance(network, VectorProposal)
    with torch.no_grad():
        shape = tuple(network.sample(2, torch_rng(0)).shape)
    if shape != (2, d):
        raise ValueError(f"proposal draws two vectors of shape {shape}, expected (2, {d})")
    return network


@dataclass(frozen=True, eq=False, repr=False)
class ParameterProposal(Described):
    """A distribution of a simulator's parameters, inside the prior's support.

    Attributes:
        parameters: The map to standardised parameters, with the prior.
        network: Their distribution.
    """

    parameters: StandardParameters
    network: VectorProposal

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.parameters.prior.names

    @checked
    @torch.no_grad()
    def sample(self, n: int, *, seed: int | None = None) -> Float[Tensor, "n theta_dim"]:
        """Draw parameters, (n, theta_dim).

        Args:
            n: How many.
            seed: None takes fresh entropy.
        """
        check_counts(minimum=0, n=n)
        return self.parameters.inverse(self.network.sample(n, torch_rng(fresh(seed))))

    @checked
    @torch.no_grad()
    def log_prob(self, theta: Samples) -> Float[Tensor, " n"]:
        """Return the log density of parameters, (n, theta_dim), minus infinity off the support."""
        theta = as_sample("theta", theta, (len(self.names),)).to(self.parameters.prior.dtype)
        inside = self.parameters.prior.contains(theta)
        values = theta.new_full((len(theta),), -torch.inf)
        v, log_det = self.parameters(theta[inside])
        device = next(self.network.parameters()).device
        values[inside] = self.network.log_prob(v.to(device)).to(values) + log_det.to(values)
        return values

    def describe(self) -> str:
        """Return mean and standard deviation of each parameter, in words."""
        theta = self.sample(DRAWS, seed=0)
        found = zip(self.names, theta.mean(0).tolist(), theta.std(0).tolist(), strict=True)
        lines = [f"  {name} {mean:.5g}, sd {sd:.2g}" for name, mean, sd in found]
        return "\n".join([f"proposal of {', '.join(self.names)}", *lines])


@dataclass(frozen=True, eq=False, repr=False)
class VariationalOptimum(Described, Saved):
    """Parameters at which a critic cannot tell simulations from observations.

    `save` writes it to a file for `lfi.load`; the critic is not kept.

    Attributes:
        theta: The point estimate, (theta_dim,): the proposal's mean, taken where parameters have no
            bounds.
        proposal: The distribution of parameters, to sample from, with `log_prob`. It is no
            posterior: its width is what is left of the search, and shrinks with the budget.
        simulations: How many calls of the simulator were made.
        failed: How many of them failed.
        budget: How many were allowed.
        history: The players' objectives, the effective number of draws that the gradient rests on,
            the energy distance of simulations to observations, and mean and standard deviation of
            the parameters that were simulated.
    """

    theta: Float[Tensor, " theta_dim"]
    proposal: ParameterProposal
    simulations: int
    failed: int
    budget: int
    history: History

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names."""
        return self.proposal.names

    @checked
    def trace(self, name: str) -> tuple[tuple[int, float, float], ...]:
        """Return steps with the mean and the standard deviation of a parameter simulated then."""
        if name not in self.names:
            raise ValueError(f"name must be one of {', '.join(self.names)}, got {name!r}")
        both = (self.history.columns[f"{word} {name}"] for word in ("mean", "sd"))
        means, deviations = both
        pairs = zip(means, deviations, strict=True)
        return tuple((step, mean, sd) for (step, mean), (_, sd) in pairs)

    def describe(self) -> str:
        """Return the estimate, how far the proposal narrowed, and what it cost, in words."""
        sd = self.proposal.sample(DRAWS, seed=0).std(0)
        lines = [f"optimum of {', '.join(self.names)} by a critic"]
        for i, name in enumerate(self.names):
            begun = self.trace(name)[0][2]
            lines.append(
                f"  {name} {self.theta[i]:.5g}, the proposal's sd {sd[i]:.2g}, {begun:.2g} at first"
            )
        lines.append(
            f"  {self.simulations:,} of {self.budget:,} simulations, {self.failed:,} failed"
        )
        return "\n".join([*lines, *(f"  {line}" for line in self.history.describe().splitlines())])

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        network = self.proposal.network
        kind = type(network).__name__
        ours = kind in NETWORKS and type(network) is NETWORKS[kind]
        spec = {
            "proposal": [kind, network.spec] if ours else None,
            "prior": self.proposal.parameters.prior.to_contents(),
            "simulations": self.simulations,
            "failed": self.failed,
            "budget": self.budget,
            "history": self.history._spec(),
        }
        modules = ("proposal", network), ("parameters", self.proposal.parameters)
        tensors = {k: t for name, module in modules for k, t in prefixed(name, module).items()}
        return spec, {**tensors, "theta": self.theta}

    @classmethod
    def _restore(cls, contents: Contents) -> "VariationalOptimum":
        spec = contents.spec
        if spec["proposal"] is None:
            network = checked_proposal(contents.module("proposal"), len(contents.tensors["theta"]))
        else:
            kind, arguments = spec["proposal"]
            network = NETWORKS[kind](**arguments)
        parameters = StandardParameters(Prior.from_contents(contents))
        load_prefixed("proposal", network, contents.tensors)
        load_prefixed("parameters", parameters, contents.tensors)
        theta = contents.tensors["theta"]
        if theta.shape != (parameters.prior.dim,):
            raise ValueError(f"theta of shape {tuple(theta.shape)}")
        return cls(
            theta,
            ParameterProposal(parameters, network.eval().requires_grad_(False)),
            simulations=int(spec["simulations"]),
            failed=int(spec["failed"]),
            budget=int(spec["budget"]),
            history=History._restore(spec["history"]),
        )
