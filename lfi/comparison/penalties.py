"""Penalties: what else is asked of a critic than a small loss.

    R1                  E_p |grad_x h|^2 / 2                    gradients vanish where the data are
    R2                  E_q |grad_x h|^2 / 2                    gradients vanish where the model is
    GradientPenalty     E (|grad_x h| - 1)^2 on lines p to q    the critic is 1-Lipschitz
    Balance             (E_p sigmoid(h) + E_q sigmoid(h) - 1)^2 class probabilities add up

The first three make training of a generator stable, and no critic under them is log p/q any more;
the exact log-ratio pays no balance penalty. Norms are of the gradient at *one* sample, of all its
entries, and the mean is over samples: the critic must treat rows independently. Gradient penalties
evaluate the critic anew, on detached inputs, and hold `values.given` fixed.

References:
    Mescheder, Geiger & Nowozin, Which Training Methods for GANs Converge?, 2018. arXiv:1801.04406
    Gulrajani et al., Improved Training of Wasserstein GANs, 2017. arXiv:1704.00028
    Delaunoy et al., Balanced Neural Ratio Estimation, 2022. arXiv:2208.13624
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.types import Critic, Values


@dataclass(frozen=True)
class R1:
    """Half the mean squared norm of the critic's gradient at samples of p.

    Attributes:
        weight: The factor in the objective. Mescheder et al. write gamma.

    Example:
        >>> x = torch.zeros(4, 2)
        >>> critic = torch.nn.Linear(2, 1)
        >>> penalty = R1(weight=0.1)(critic, Values(x, x, (x,), (x,)), torch.Generator())
        >>> torch.isclose(penalty, critic.weight.square().sum() / 2)
        tensor(True)
    """

    weight: float
    keeps_optimum: ClassVar[bool] = False

    def __call__(self, critic: Critic, values: Values, rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the unweighted penalty."""
        return _squared_norms(critic, values.p, values.given).mean() / 2


@dataclass(frozen=True)
class R2:
    """Half the mean squared norm of the critic's gradient at samples of q.

    Attributes:
        weight: The factor in the objective.
    """

    weight: float
    keeps_optimum: ClassVar[bool] = False

    def __call__(self, critic: Critic, values: Values, rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the unweighted penalty."""
        return _squared_norms(critic, values.q, values.given).mean() / 2


@dataclass(frozen=True)
class GradientPenalty:
    """Mean squared distance from 1 of the norm of the critic's gradient between p and q.

    Attributes:
        weight: The factor in the objective; 10 in Gulrajani et al.
    """

    weight: float
    keeps_optimum: ClassVar[bool] = False

    def __call__(self, critic: Critic, values: Values, rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the unweighted penalty at uniform points between paired samples.

        Raises:
            ValueError: If p and q differ in shape, so that no lines join them.
        """
        shapes = [[tuple(x.shape) for x in side] for side in (values.p, values.q)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"a gradient penalty joins samples of p and q, which must have equal shapes: "
                f"got {shapes[0]} and {shapes[1]}"
            )
        share = torch.rand(len(values.p[0]), generator=rng)
        between = tuple(
            torch.lerp(x_p, x_q, share.to(x_p).reshape(-1, *[1] * (x_p.ndim - 1)))
            for x_p, x_q in zip(values.p, values.q, strict=True)
        )
        return (_norms(critic, between, values.given) - 1).square().mean()


@dataclass(frozen=True)
class Balance:
    """Squared excess over 1 of the two samples' mean class probabilities.

    Attributes:
        weight: The factor in the objective; 100 in Delaunoy et al.

    Example:
        >>> h = torch.zeros(4)
        >>> Balance()(torch.neg, Values(h, h, (h,), (h,)), torch.Generator())
        tensor(0.)
    """

    weight: float = 100.0
    keeps_optimum: ClassVar[bool] = True

    def __call__(self, critic: Critic, values: Values, rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the unweighted penalty, from values at hand."""
        total = torch.sigmoid(values.joint).mean() + torch.sigmoid(values.h_q).mean()
        return (total - 1).square()


def _norms(
    critic: Critic, inputs: tuple[Tensor, ...], given: tuple[Tensor, ...]
) -> Float[Tensor, " n"]:
    """Return the norm, over all inputs, of the critic's gradient at each row."""
    inputs = tuple(x.detach().requires_grad_() for x in inputs)
    h = critic(*inputs, *(x.detach() for x in given))
    gradients = torch.autograd.grad(h.sum(), inputs, create_graph=True)
    rows = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1)
    return torch.linalg.vector_norm(rows, dim=1)  # its gradient at 0 is 0, not nan


def _squared_norms(
    critic: Critic, inputs: tuple[Tensor, ...], given: tuple[Tensor, ...]
) -> Float[Tensor, " n"]:
    return _norms(critic, inputs, given).square()
