"""Data for generators: 1,797 handwritten digits, grey images of 8 by 8 pixels.

Each pixel counts the ink in a block of 4 by 4 of a scan, from 0 to 16, given here from 0 to 1. The
images come with scikit-learn, which is imported when they are asked for.

References:
    Alpaydin & Kaynak, Optical recognition of handwritten digits, UCI Machine Learning Repository,
    1998 (its test set). doi:10.24432/C50P49
"""

import torch
from torch import Tensor

side = 8
ink = 16  # grey levels above zero


def sample(n: int, rng: torch.Generator) -> Tensor:
    """Draw n of the images with replacement, (n, 64), in the default dtype."""
    known = images()
    return known[torch.randint(len(known), (n,), generator=rng)]


def images() -> Tensor:
    """Return all images, row by row of pixels, (1797, 64), in the default dtype."""
    from sklearn.datasets import load_digits

    return torch.from_numpy(load_digits().data).to(torch.get_default_dtype()) / ink


def labels() -> Tensor:
    """Return which digit each of the images shows, (1797,)."""
    from sklearn.datasets import load_digits

    return torch.from_numpy(load_digits().target)
