"""A critic of data that is smooth before it is flexible.

    h(x) = a + b . s(x) + c(s(x)),         s(x) = (z, z_i z_j, asinh(x / knee)), standardised

Log ratios of the usual families are short sums of such terms: of a shift linear, of a scale
quadratic, of gammas and other positive data logarithmic, of heavy tails logarithmic again. The
residual network c begins at zero and bends what those terms leave over, so that few samples give a
smooth ratio and many a free one.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import linear, trunk
from lfi.networks.standardise import Features, Standardise

PRODUCTS = 10  # entries of an event up to which all their products are terms


class SampleCritic(nn.Module):
    """log p(x) / q(x), standardisation included.

    Attributes:
        spec: The arguments, to build the same network again.

    Example:
        >>> critic = SampleCritic((5,), width=16, depth=1)
        >>> critic(torch.rand(3, 5).float()).tolist()  # it begins undecided
        [0.0, 0.0, 0.0]
    """

    def __init__(self, shape: Sequence[int], *, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.spec = {"shape": list(shape), "width": width, "depth": depth}
        self.features = Features(shape)
        entries = self.features.size // 2
        pairs = torch.triu_indices(entries, entries) if entries <= PRODUCTS else None
        self.pairs = pairs if pairs is not None else torch.arange(entries).expand(2, -1)
        products = self.pairs.shape[1]
        self.standardise = Standardise((products,))
        self.smooth = linear(self.features.size + products, 1)
        self.bent = nn.Sequential(linear(self.features.size, width), trunk(width, depth, 1))
        with torch.no_grad():
            for layer in (self.smooth, self.bent[-1][-1]):
                layer.weight.zero_()
                layer.bias.zero_()

    def learn(self, x: Float[Tensor, "n ..."]) -> None:
        """Take the standardisation from the training split of both samples."""
        self.features.learn(x)
        self.standardise.learn(self._products(self.features(x)))

    def _products(self, features: Float[Tensor, "*n"]) -> Float[Tensor, "*n_products"]:
        return features[..., self.pairs[0]] * features[..., self.pairs[1]]

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*m"]:
        """Return the log ratio of (..., *event)."""
        features = self.features(x)
        products = self.standardise(self._products(features))
        smooth = self.smooth(torch.cat([features, products], dim=-1))
        return (smooth + self.bent(features)).squeeze(-1)
