"""Proposals: distributions of vectors that can be drawn from, and whose density is known.

They start about the standard normal, and have draws and densities of their parameters as these are:

    MixtureProposal    sum_k w_k N(v; m_k, L_k L_k'), moved by `NaturalSteps`
    FlowProposal       v = G(z), a spline flow
"""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from lfi.networks.flows import ConditionalFlow
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts, check_positive


class VectorProposal(nn.Module, ABC):
    """A distribution of vectors, to draw from and with a density."""

    @abstractmethod
    def sample(self, n: int, rng: torch.Generator) -> Float[Tensor, "n size"]:
        """Draw n vectors."""

    @abstractmethod
    def log_prob(self, v: Float[Tensor, "n size"]) -> Float[Tensor, " n"]:
        """Return the log density, differentiable in the parameters."""


@checked
class MixtureProposal(VectorProposal):
    """A mixture of Gaussians; of one component, a Gaussian.

    Attributes:
        spec: What it was built with.
        location: The components' means, (components, size).
        root: The roots L of their covariances L L', (components, size, size), lower triangular
            with a positive diagonal.
        logits: Of the components' weights.

    Example:
        >>> proposal = MixtureProposal(2)
        >>> v = proposal.sample(5, torch.Generator().manual_seed(0))
        >>> normal = torch.distributions.Normal(0.0, 1.0)
        >>> torch.allclose(proposal.log_prob(v), normal.log_prob(v).sum(1).float())
        True
    """

    def __init__(self, size: int, components: int = 1, *, scale: float = 1.0) -> None:
        check_counts(size=size, components=components)
        check_positive("scale", scale)
        super().__init__()
        self.spec: dict[str, float] = {"size": size, "components": components, "scale": scale}
        spread, narrow = (0.0, scale) if components == 1 else (0.8 * scale, 0.6 * scale)
        kind = torch.float32
        start = nn.init.normal_(torch.empty(components, size, dtype=kind)) * spread
        self.location: nn.Parameter = nn.Parameter(start)
        root = narrow * torch.eye(size, dtype=kind).repeat(components, 1, 1)
        self.root: nn.Parameter = nn.Parameter(root)
        self.logits: nn.Parameter = nn.Parameter(torch.zeros(components, dtype=kind))

    def sample(self, n: int, rng: torch.Generator) -> Float[Tensor, "n size"]:
        """Draw n vectors."""
        size, device = self.location.shape[1], self.location.device
        if n == 0:  # which `multinomial` refuses
            return self.location.new_zeros(0, size)
        code = torch.multinomial(self.logits.softmax(0).cpu(), n, True, generator=rng).to(device)
        z = torch.randn(n, size, generator=rng, dtype=torch.float32, device="cpu").to(device)
        return self.location[code] + (self.root.tril()[code] @ z[:, :, None])[:, :, 0]

    def log_prob(self, v: Float[Tensor, "n size"]) -> Float[Tensor, " n"]:
        """Return the log density."""
        off = (v - self.location[:, None]).mT  # (components, size, n)
        z = torch.linalg.solve_triangular(self.root.tril(), off, upper=False)
        log_det = self.root.diagonal(dim1=1, dim2=2).log().sum(1, keepdim=True)
        each = -z.square().sum(1) / 2 - log_det - v.shape[1] / 2 * math.log(2 * math.pi)
        return (each + self.logits.log_softmax(0)[:, None]).logsumexp(0)


class NaturalSteps(Optimizer):
    """Natural gradient steps of a mixture, so that how far it moves depends on its width.

    In coordinates of a component, location + L a and L (I + B), the Fisher information of a is the
    identity, and of B it is 1 below and 2 on the diagonal, times the component's weight.

    References:
        Wierstra et al., Natural evolution strategies, JMLR 2014. arXiv:1106.4487

    Example:
        >>> proposal = MixtureProposal(2, scale=0.1)
        >>> optimiser = NaturalSteps(proposal, lr=0.5)
        >>> loss = -proposal.log_prob(torch.tensor([[0.1, 0.0]]).float()).sum()
        >>> loss.backward()
        >>> optimiser.step()
        >>> proposal.location.data.double()
        tensor([[0.0500, 0.0000]])
    """

    def __init__(self, mixture: MixtureProposal, *, lr: float) -> None:
        super().__init__(list(mixture.parameters()), {"lr": lr})
        self.mixture: MixtureProposal = mixture

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Take a step, of no more than one standard deviation in any direction."""
        mixture, rate = self.mixture, self.param_groups[0]["lr"]
        assert mixture.location.grad is not None and mixture.root.grad is not None
        share = mixture.logits.softmax(0)
        weight = share.clamp_min(1e-3)[:, None]
        root = mixture.root.tril()
        shift = (root.mT @ mixture.location.grad[:, :, None])[:, :, 0] / weight
        bend = (root.mT @ mixture.root.grad.tril()).tril() / weight[:, :, None]
        diagonal = bend.diagonal(dim1=1, dim2=2) / 2
        shift, bend, diagonal = ((-rate * part).clamp(-1, 1) for part in (shift, bend, diagonal))
        mixture.location.add_((root @ shift[:, :, None])[:, :, 0])
        move = bend.tril(-1) + torch.diag_embed(diagonal.exp())
        mixture.root.copy_(root @ move)
        if mixture.logits.grad is not None:
            mixture.logits.sub_(rate * mixture.logits.grad / share.clamp_min(1e-3))


@checked
class FlowProposal(VectorProposal):
    """A spline flow.

    Attributes:
        spec: What it was built with.
        flow: The flow, whose condition is one number, always 1.

    Example:
        >>> proposal = FlowProposal(2, width=16)
        >>> proposal.log_prob(proposal.sample(5, torch.Generator().manual_seed(0))).shape
        torch.Size([5])
    """

    def __init__(self, size: int, *, width: int = 32, couplings: int = 2, bins: int = 8) -> None:
        super().__init__()
        sizes = {"width": width, "couplings": couplings, "bins": bins}
        self.spec: dict[str, int] = {"size": size, **sizes}
        self.flow: ConditionalFlow = ConditionalFlow(
            size, 1, width=width, layers=1, couplings=couplings, bins=bins
        )

    def sample(self, n: int, rng: torch.Generator) -> Float[Tensor, "n size"]:
        """Draw n vectors."""
        z = self.flow.noise(n, rng).to(self.flow.whitening.root.device)
        return self.flow(z, z.new_ones(n, 1))

    def log_prob(self, v: Float[Tensor, "n size"]) -> Float[Tensor, " n"]:
        """Return the log density."""
        return self.flow.log_prob(v, v.new_ones(len(v), 1))
