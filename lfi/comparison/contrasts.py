"""Contrasts: maps of a critic and a batch to its values at samples of p and of q.

    contrast                    p                       q                         h_p       h_q
    two_samples                 x_p                     x_q                       (n,)      (m,)
    joint_vs_marginals(k)       (theta, x)              (another theta, x)        (n,)      (n, k)
    joint_among(k)              (theta, x) among k      k other thetas, x         (n, k)    (n, k)
    against_generator(draw)     x, given theta          draw(theta, rng)          (n,)      (n,)

Pairs are shuffled by rolling theta along the batch, which was drawn in random order. A pair critic
embeds both sides once, and k contrasts cost only its head k times; None for k is the batch less
one, all pairs, of which a critic by inner product takes one matrix product.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.types import Batch, Contrast, Critic, EmbeddingCritic, Values


def two_samples(critic: Critic, batch: Batch, rng: torch.Generator) -> Values:
    """Contrast data with other data, batch = (x_p, x_q): the ratio is p to q."""
    x_p, x_q = batch
    return Values(critic(x_p), critic(x_q), p=(x_p,), q=(x_q,))


def joint_vs_marginals(k: int | None = 1) -> Contrast:
    """Return the contrast of p(theta, x) with p(theta) p(x), batch = (theta, x).

    The ratio is likelihood to evidence. There are k shuffled pairs for each joint one, None for all
    that the batch has; `q` holds those of the first roll. ValueError if k is below 1, or a batch
    has no more than k rows.
    """
    _check_count(k)

    def contrast(critic: Critic, batch: Batch, rng: torch.Generator) -> Values:
        theta, x = batch
        h = _rolled(critic, theta, x, k)
        return Values(h[:, 0], h[:, 1:], p=(theta, x), q=(theta.roll(1, 0), x))

    return contrast


def joint_among(k: int | None = None) -> Contrast:
    """Return the contrast of a joint pair among k with k shuffled ones, batch = (theta, x).

    For contrastive losses: column 0 of `h_p` is the joint pair, k - 1 rolls follow, and `h_q` are
    those and one more; k is None for as many as the batch allows, one less than its rows.
    ValueError if k is below 1, or a batch has no more than k rows.
    """
    _check_count(k)

    def contrast(critic: Critic, batch: Batch, rng: torch.Generator) -> Values:
        theta, x = batch
        h = _rolled(critic, theta, x, k)
        p, q = (theta, x), (theta.roll(1, 0), x)
        return Values(h[:, :-1], h[:, 1:], p=p, q=q, contrastive=True)

    return contrast


def against_generator(draw: Callable[..., Tensor]) -> Contrast:
    """Return the contrast of data with a generator's samples, batch = (x, *given).

    With batch = (x, theta), the critic is called as critic(x, theta) and critic(x_q, theta), and
    the ratio is p(x | theta) to the generator's. `draw(*given, rng)` returns samples of the shape
    of x, else ValueError; gradients reach the generator through them.

    Example:
        >>> noise = lambda theta, rng: theta + torch.randn(theta.shape, generator=rng)
        >>> contrast = against_generator(noise)
        >>> batch = torch.zeros(4, 1), torch.ones(4, 1)
        >>> values = contrast(lambda x, theta: (x - theta)[:, 0], batch, torch.Generator())
        >>> values.h_p
        tensor([-1., -1., -1., -1.])
    """

    def contrast(critic: Critic, batch: Batch, rng: torch.Generator) -> Values:
        x, *given = batch
        x_q = draw(*given, rng)
        if x_q.shape != x.shape:
            raise ValueError(
                f"draw must return samples of the data's shape {tuple(x.shape)}, "
                f"got {tuple(x_q.shape)}"
            )
        return Values(critic(x, *given), critic(x_q, *given), (x,), (x_q,), tuple(given))

    return contrast


def _check_count(k: int | None) -> None:
    if k is not None and k < 1:
        raise ValueError(f"k counts shuffled pairs and must be at least 1, got {k}")


def _rolled(
    critic: Critic, theta: Float[Tensor, "n ..."], x: Float[Tensor, "n ..."], k: int | None
) -> Float[Tensor, "n columns"]:
    """Return the critic's values at x paired with theta in its own row and rolled 1 to k times."""
    if not isinstance(critic, EmbeddingCritic):
        raise TypeError(f"shuffled pairs need a critic with embed and pair, got {critic!r}")
    n = len(theta)
    k = n - 1 if k is None else k
    if n <= k or k < 1:
        raise ValueError(f"{k} shuffled pairs need a batch of more than {k} rows, got {n}")
    embedded_theta, embedded_x = critic.embed(theta, x)
    if k == n - 1:  # every pair of the batch, in the order that rolling gives
        table = critic.pair(embedded_theta[None], embedded_x[:, None])  # (x, theta)
        rows = torch.arange(n, device=table.device)
        return table.gather(1, (rows[:, None] - rows) % n)
    rolls = torch.stack([embedded_theta.roll(i, 0) for i in range(k + 1)])  # (k + 1, n, e)
    return critic.pair(rolls, embedded_x).T  # rolling copies; an index would cost its gradient
