"""Rewards of a policy: what the generator's loss of a comparison charges for a step, negated.

A policy is a generator whose samples are steps (s, a). Its loss G is a mean over samples, of a cost
for each, and the gradient of a divergence D(p || q) in q is such a cost: with h = log p/q,

    dD_f/dq = f(r) - r f'(r) = -conjugate(h),        reward = conjugate(h).

Bernoulli gives -log(1 - D), GAIL's; non-saturating log D; reverse KL h, as adversarial inverse
reinforcement learning has it; Wasserstein the critic itself. They differ in sign and by constants,
which change nothing, since terminal states lead to an absorbing state that earns the reward of its
own (`advantages`).

References:
    Ho & Ermon, Generative adversarial imitation learning, 2016. arXiv:1606.03476
    Fu, Luo & Levine, Learning robust rewards with adversarial inverse reinforcement learning, 2018.
        arXiv:1710.11248
    Ghasemipour, Zemel & Gu, A divergence minimization perspective on imitation learning methods,
        2019. arXiv:1911.02256
"""

from jaxtyping import Float
from torch import Tensor

from lfi.comparison import GeneratorLoss
from lfi.generation.objectives import losses_by_row

MOST = 256  # values at p that a reward is an average over, where the loss compares with them


def rewards_of(
    loss: GeneratorLoss, h_p: Float[Tensor, " n"], h_q: Float[Tensor, " m"]
) -> Float[Tensor, " m"]:
    """Return the reward of each of the policy's steps from the critic's values.

    Where the loss compares a step with the expert's (relativistic), it is an average over those.

    Example:
        >>> h = torch.tensor([-1.0, 0.0, 2.0])
        >>> rewards_of(lfi.losses.ReverseKL(), h, h)  # the log-ratio, less a constant
        tensor([-2., -1.,  1.])
    """
    return -losses_by_row(loss, h_p[:MOST], h_q)
