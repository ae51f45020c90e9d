"""Mid-ranks: where values stand in a sample, ties counted half."""

import torch
from jaxtyping import Float
from torch import Tensor


def mid_ranks(sample: Float[Tensor, "n d"], values: Float[Tensor, "m d"]) -> Float[Tensor, "m d"]:
    """Return the number of the sample's entries below each value, and half of those equal to it.

    Example:
        >>> mid_ranks(torch.tensor([[1.0], [2.0], [2.0]]), torch.tensor([[2.0], [5.0]]))[:, 0]
        tensor([2., 3.])
    """
    columns, rows = sample.T.sort(dim=1).values.contiguous(), values.T.contiguous()
    below, up_to = (torch.searchsorted(columns, rows, right=right) for right in (False, True))
    return ((below + up_to).double() / 2).T
