"""Data for generators: colour images of 32 by 32 pixels, cut from two photographs.

A temple and a flower, which come with scikit-learn (imported when they are asked for), at half of
their size: 213 by 320 pixels of three channels, from 0 to 1. Each is divided into five columns, 64
pixels wide, and an image is cut anywhere within one. The second and the fourth column are kept to
judge by, so that no pixel of a held-out image is in any other.

References:
    danielbuechele, "Summer palace", 2011, and vultilion, "Orange Dahlia", 2011: china.jpg and
    flower.jpg of scikit-learn, CC BY 2.0.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

side = 32
column = 64  # pixels
names = ("temple", "flower")


def sample(n: int, rng: torch.Generator) -> Tensor:
    """Draw n images of both photographs, (n, 3, 32, 32), in the default dtype."""
    return labelled(n, rng)[0]


def labelled(n: int, rng: torch.Generator, *, held_out: bool = False) -> tuple[Tensor, Tensor]:
    """Draw n images, (n, 3, 32, 32), and which of `names` each is of, (n,)."""
    photographs = _photographs()
    of = torch.randint(len(names), (n,), generator=rng)
    columns = torch.tensor([1, 3] if held_out else [0, 2, 4])
    within = columns[torch.randint(len(columns), (n,), generator=rng)] * column
    left = within + torch.randint(column - side + 1, (n,), generator=rng)
    top = torch.randint(photographs.shape[2] - side + 1, (n,), generator=rng)
    windows = photographs.unfold(2, side, 1).unfold(3, side, 1)  # a view: nothing is copied
    return windows[of, :, top, left].contiguous(), of


def _photographs() -> Tensor:
    """Return both, (2, 3, 213, 320)."""
    from sklearn.datasets import load_sample_images

    both = torch.stack([torch.from_numpy(image.copy()) for image in load_sample_images().images])
    pixels = both.permute(0, 3, 1, 2).to(torch.get_default_dtype()) / 255
    return avg_pool2d(pixels, 2)
