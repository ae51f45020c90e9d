"""Penalties on critics: gradient penalties and the balance condition.

    R1                  E_p |grad_x h|^2 / 2                    gradients vanish where the data are
    R2                  E_q |grad_x h|^2 / 2                    gradients vanish where the model is
    GradientPenalty     E (|grad_x h| - 1)^2 on lines p to q    the critic is 1-Lipschitz
    DRAGAN              E (|grad_x h| - 1)^2 around p           the critic is steep near the data
    Balance             (E_p sigmoid(h) + E_q sigmoid(h) - 1)^2 class probabilities add up

Under the first four no critic is log p/q any more; the exact log-ratio pays no balance penalty.
Norms are of the gradient at *one* sample, of all its entries: the critic must treat rows
independently. Gradient penalties evaluate the critic anew, on detached inputs, and hold
`values.given` fixed; R1 and R2 differentiate the values at hand where these are traced.

References:
    Mescheder, Geiger & Nowozin, Which Training Methods for GANs Converge?, 2018. arXiv:1801.04406
    Gulrajani et al., Improved Training of Wasserstein GANs, 2017. arXiv:1704.00028
    Petzka, Fischer & Lukovnikov, On the Regularization of Wasserstein GANs, 2018. arXiv:1709.08894
    Kodali et al., On Convergence and Stability of GANs (DRAGAN), 2017. arXiv:1705.07215
    Fedus et al., Many Paths to Equilibrium, 2017. arXiv:1710.08446
    Delaunoy et al., Balanced Neural Ratio Estimation, 2022. arXiv:2208.13624
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.types import Critic, Values
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_number, check_whole


class _ChargedPenalty:
    """A penalty with a weight that is charged at every k-th step."""

    weight: float
    every: int
    keeps_optimum: bool = False

    def __post_init__(self) -> None:
        check_number("weight", self.weight, minimum=0)
        check_whole("every", self.every)


@checked
@dataclass(frozen=True)
class R1(_ChargedPenalty):
    """Half the mean squared norm of the critic's gradient at samples of p.

    Attributes:
        weight: The factor in the objective. Mescheder et al. write gamma.
        every: How many steps lie between two charges.

    Raises:
        TypeError: If the weight is not a number or `every` not a whole one, as for all penalties.
        ValueError: If the weight is negative or `every` below 1, likewise.

    Example:
        >>> x = torch.zeros(4, 2)
        >>> critic = torch.nn.Linear(2, 1)
        >>> penalty = R1(weight=0.1)(critic, Values(x, x, (x,), (x,)), torch.Generator())
        >>> torch.isclose(penalty, critic.weight.square().sum() / 2)
        tensor(True)
    """

    weight: float
    every: int = 1

    def __call__(self, critic: Critic, values: Values, rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the unweighted penalty."""
        return _half_mean_square(critic, values, values.p, values.h_p)


@checked
@dataclass(frozen=True)
class R2(_ChargedPenalty):
    """Half the mean squared norm of the critic's gradient at samples of q.

    Attributes:
        weight: The factor in the objective.
        every: How many steps lie between two charges.
    """

    weight: float
    every: int = 1

    def __call__(self, critic: Critic, values: Values, rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the unweighted penalty."""
        return _half_mean_square(critic, values, values.q, values.h_q)


@checked
@dataclass(frozen=True)
class GradientPenalty(_ChargedPenalty):
    """Mean squared distance from 1 of the norm of the critic's gradient between p and q.

    A slope of 1 + e costs weight e^2 and earns a Wasserstein critic e times the distance W, which
    it therefore takes for W (1 + W/2 weight), where the slope is the same everywhere.

    Attributes:
        weight: The factor in the objective; 10 in Gulrajani et al.
        one_sided: Charge norms above 1 only, as Petzka et al. On a line, where a critic of the
            wrong sign can only turn by way of a flat one, both sides keep it wrong.
        every: How many steps lie between two charges.
    """

    weight: float
    one_sided: bool = False
    every: int = 1

    def __call__(self, critic: Critic, values: Values, rng: torch.Generator) -> Float[Tensor, ""]:
        """Return it, unweighted, at uniform points of lines p to q; ValueError if shapes differ."""
        shapes = [[tuple(x.shape) for x in side] for side in (values.p, values.q)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"a gradient penalty joins samples of p and q, which must have equal shapes: "
                f"got {shapes[0]} and {shapes[1]}"
            )
        share = torch.rand(len(values.p[0]), generator=rng, dtype=torch.float32)
        between = tuple(
            torch.lerp(x_p, x_q, _by_row(share, x_p))
            for x_p, x_q in zip(values.p, values.q, strict=True)
        )
        excess = _norms(critic, between, values.given) - 1
        return (torch.relu(excess) if self.one_sided else excess).square().mean()


@checked
@dataclass(frozen=True)
class DRAGAN(_ChargedPenalty):
    """Mean squared distance from 1 of the norm of the critic's gradient around samples of p.

    It is charged at alpha x + (1 - alpha) (x + noise): at data, at data with Gaussian noise of
    `scale` times each coordinate's standard deviation in the batch, or between the two. The critic
    is held to a slope where the data are, and the model may be anywhere.

    Attributes:
        weight: The factor in the objective; 10 in Kodali et al.
        scale: How far around the data, in standard deviations of the data.
        every: How many steps lie between two charges.
        alpha: The share of x, in [0, 1]: 0 is all of the noise, as Kodali et al. write it, and 1
            none. None draws one for each row, uniformly, as their code does.

    Raises:
        ValueError: If `scale` is negative or not finite, or `alpha` not in [0, 1].

    Example:
        >>> x = torch.linspace(-1, 1, 5)[:, None]
        >>> critic = lambda x: 3 * x[:, 0]  # its gradient is 3 everywhere
        >>> values = Values(critic(x), critic(x), (x,), (x,))
        >>> DRAGAN(weight=10.0)(critic, values, torch.Generator())
        tensor(4.)
    """

    weight: float
    scale: float = 0.5
    every: int = 1
    alpha: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("scale", self.scale, minimum=0)
        check_number("alpha", self.alpha, minimum=0, maximum=1, optional=True)

    def __call__(self, critic: Critic, values: Values, rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the unweighted penalty at the data with a share of the noise."""
        noises = [
            self.scale
            * x.std(0, correction=0)
            * torch.randn(x.shape, generator=rng, dtype=x.dtype).to(x.device)
            for x in values.p
        ]
        n = len(values.p[0])
        if self.alpha is None:
            alpha = torch.rand(n, generator=rng, dtype=torch.float32)
        else:
            alpha = torch.full((n,), self.alpha, dtype=torch.float32)
        around = tuple(
            x + _by_row(1 - alpha, x) * noise for x, noise in zip(values.p, noises, strict=True)
        )
        return (_norms(critic, around, values.given) - 1).square().mean()


@checked
@dataclass(frozen=True)
class Balance(_ChargedPenalty):
    """Squared excess over 1 of the two samples' mean class probabilities.

    Attributes:
        weight: The factor in the objective; 100 in Delaunoy et al.
        every: How many steps lie between two charges.

    Example:
        >>> h = torch.zeros(4)
        >>> Balance()(torch.neg, Values(h, h, (h,), (h,)), torch.Generator())
        tensor(0.)
    """

    weight: float = 100.0
    every: int = 1
    keeps_optimum = True

    def __call__(self, critic: Critic, values: Values, rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the unweighted penalty, from values at hand."""
        total = torch.sigmoid(values.joint).mean() + torch.sigmoid(values.h_q).mean()
        return (total - 1).square()


def _by_row(share: Float[Tensor, " n"], x: Tensor) -> Tensor:
    """Return one number for each row of x, to be multiplied with it."""
    return share.to(x).reshape(-1, *[1] * (x.ndim - 1))


def _norms(
    critic: Critic, inputs: tuple[Tensor, ...], given: tuple[Tensor, ...]
) -> Float[Tensor, " n"]:
    """Return the norm, over all inputs, of the critic's gradient at each row."""
    # the norm's gradient at 0 is 0, not nan
    return torch.linalg.vector_norm(_gradients(critic, inputs, given), dim=1)


def _half_mean_square(
    critic: Critic, values: Values, inputs: tuple[Tensor, ...], h: Tensor
) -> Float[Tensor, ""]:
    """Return half the mean square of the norm; `h` are the values at the inputs."""
    if values.traced and all(x.requires_grad for x in inputs):
        gradients = _rows(torch.autograd.grad(h.sum(), inputs, create_graph=True))
    else:
        gradients = _gradients(critic, inputs, values.given)
    return gradients.square().sum(1).mean() / 2


def _gradients(
    critic: Critic, inputs: tuple[Tensor, ...], given: tuple[Tensor, ...]
) -> Float[Tensor, "n d"]:
    """Return the critic's gradient at each row, evaluating it anew."""
    inputs = tuple(x.detach().requires_grad_() for x in inputs)
    h = critic(*inputs, *(x.detach() for x in given))
    return _rows(torch.autograd.grad(h.sum(), inputs, create_graph=True))


def _rows(gradients: tuple[Tensor, ...]) -> Float[Tensor, "n d"]:
    return torch.cat([gradient.flatten(1) for gradient in gradients], dim=1)
