"""Autoencoders: six algorithms between variational autoencoders and GANs, on a ring and images.

    python tests/benchmarks/autoencoders.py                             # the ring, all six, 5 seeds
    python tests/benchmarks/autoencoders.py --algorithms AlphaGAN VAE   # some of them
    python tests/benchmarks/autoencoders.py --data digits --seeds 1     # images of 8 by 8 pixels
    python tests/benchmarks/autoencoders.py --data photographs --seeds 1 --algorithms DCGAN

Algorithms are those of the table of Rosca et al. 2017 (arXiv:1706.04987), by their presets and
default settings.

ring         Unrolled GAN's toy: 8 Gaussians of deviation 0.01 on a circle of radius 1, 20,000 data,
             2,500 samples. A sample is of high quality within 3 deviations of the nearest mode
             (98.9% of the data are); a mode counts with 60 such samples, a fifth of its share.
digits       scikit-learn's 1,797 digits, half of them to learn from. The classifier score (at most
             10) is that of a logistic regression on the training half; MS-SSIM has no room in 8 by
             8 pixels, so diversity is the mean distance of two samples over that of two digits;
             modes are classes with a fifth of their share among the samples.
photographs  Colour images of 32 by 32 pixels, cut from two photographs: 4,000 to learn from, and
             1,000 of other parts of them. The classifier score (at most 2) tells which photograph
             it is; similarity is the MS-SSIM of pairs of one class, a mean over both, beside that
             of held-out images.

Beside them, of at most 2,000 rows that were not trained on: the reconstruction's root mean square
error in standard deviations of the data, and the energy distance between their codes and those of
the prior. Each figure is appended to results.csv.
"""

import argparse
import csv
import math
import subprocess
import time
from abc import ABC, abstractmethod
from datetime import date
from pathlib import Path

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

import lfi
from simulators import digits, photographs, ring

HERE = Path(__file__).parent
ALGORITHMS = ("VAE", "DCGAN", "VAEGAN", "AVB", "AGE", "AlphaGAN")
ROWS, HELD_OUT, SAMPLES = 20_000, 2_000, 2_500
PARTS = 4_000  # of photographs


class Ring:
    """Narrow modes in the plane."""

    def __init__(self, seed: int) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.train, self.test = ring.sample(ROWS, rng), ring.sample(HELD_OUT, rng)

    def figures(self, autoencoder: lfi.Autoencoder, seed: int) -> dict[str, float]:
        """Return what is measured of samples."""
        x = autoencoder.sample(SAMPLES, seed=seed)
        found = lfi.scores.mode_scores(x, ring.centres, ring.scale, at_least=60)
        return {
            "modes": found.covered.item(),
            "high quality": found.high_quality.item(),
            "reverse KL": found.reverse_kl.item(),
            "relative scale": found.mean_relative_scale.item(),
        }


class Images(ABC):
    """Images with a classifier of those trained on."""

    train: Tensor
    test: Tensor

    def learn_classes(self, labels: Tensor, scale: float = 1.0) -> None:
        """Fit a classifier to the training images, with a prior of that scale on its weights."""
        regression = LogisticRegression(max_iter=1_000, C=scale**2)
        self.classifier = regression.fit(self.train.flatten(1).numpy(), labels.numpy())

    def classes(self, x: Tensor) -> Tensor:
        """Return log probabilities."""
        shares = torch.from_numpy(self.classifier.predict_proba(x.flatten(1).numpy()))
        return shares.clamp(min=1e-12).log()

    def figures(self, autoencoder: lfi.Autoencoder, seed: int) -> dict[str, float]:
        """Return what is measured of samples, without the observer's noise."""
        x = autoencoder.sample(SAMPLES, noise=False, seed=seed).clamp(0, 1)
        score = lfi.scores.classifier_score(x, self.classes)
        real = lfi.scores.classifier_score(self.test, self.classes, splits=2)
        return {
            "modes": (score.shares > 0.2 / len(score.shares)).sum().item(),
            "classifier score": score.statistic,
            "of the data": real.statistic,
            **self.alike(x, seed),
        }

    @abstractmethod
    def alike(self, x: Tensor, seed: int) -> dict[str, float]:
        """Return how alike samples are, beside the data."""


class Digits(Images):
    """Halves of the handwritten digits."""

    def __init__(self, seed: int) -> None:
        x, labels = digits.images().unflatten(1, (1, digits.side, digits.side)), digits.labels()
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        train, test = order.tensor_split(2)
        self.train, self.test = x[train], x[test]
        self.learn_classes(labels[train])

    def alike(self, x: Tensor, seed: int) -> dict[str, float]:
        """Return the distance of pairs."""
        apart, of_data = (torch.pdist(y[:500].flatten(1)).mean() for y in (x, self.test))
        return {"diversity": (apart / of_data).item()}


class Photographs(Images):
    """Parts of two photographs."""

    def __init__(self, seed: int) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.train, labels = photographs.labelled(PARTS, rng)
        self.test, _ = photographs.labelled(PARTS // 4, rng, held_out=True)
        self.learn_classes(labels, scale=0.03)

    def alike(self, x: Tensor, seed: int) -> dict[str, float]:
        """Return the similarity of pairs of one class."""
        return {"similarity": self._similarity(x, seed)} | {
            "similarity of the data": self._similarity(self.test, seed)
        }

    def _similarity(self, x: Tensor, seed: int) -> float:
        seen = self.classes(x).argmax(1)
        parts = [x[seen == k] for k in range(len(photographs.names))]
        found = [lfi.scores.diversity(y, span=1.0, seed=seed) for y in parts if len(y) > 1]
        return sum(each.statistic for each in found) / len(found)


DATA = {"ring": Ring, "digits": Digits, "photographs": Photographs}


def main() -> None:
    """Run what is asked for, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", choices=list(DATA), default="ring")
    parser.add_argument("--algorithms", nargs="*", choices=ALGORITHMS, default=list(ALGORITHMS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="of training; by default, the library's")
    parser.add_argument("--plot", type=Path, help="a folder for pictures of the first seed")
    parser.add_argument("--quiet", action="store_true", help="append nothing to results.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    settings = None if arguments.steps is None else lfi.AdversarialSettings(steps=arguments.steps)
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        data = DATA[arguments.data](seed)
        for name in arguments.algorithms:
            begin = time.process_time()
            algorithm = getattr(lfi.gans, name)()
            autoencoder = lfi.fit_autoencoder(data.train, algorithm, settings=settings, seed=seed)
            seconds = time.process_time() - begin
            found = data.figures(autoencoder, seed)
            if autoencoder.encoder is not None:
                scores = autoencoder.scores(data.test[:HELD_OUT], seed=seed)
                found |= {"reconstruction": scores.reconstruction, "mismatch": scores.mismatch}
            cells = "  ".join(f"{metric} {value:.3g}" for metric, value in found.items())
            print(f"{arguments.data} {name:<9} seed {seed}: {cells}  ({seconds:.0f} s)", flush=True)
            if arguments.plot is not None and seed == arguments.seed:
                arguments.plot.mkdir(parents=True, exist_ok=True)
                draw(data, autoencoder, arguments.plot / f"{arguments.data} {name}.png")
            if arguments.quiet:
                continue
            label = name if arguments.steps is None else f"{name} at {arguments.steps} steps"
            with (HERE / "results.csv").open("a", newline="") as file:
                csv.writer(file).writerows(
                    [commit, date.today(), f"autoencoders {arguments.data}", label]
                    + [len(data.train), seed, metric, f"{value:.4f}", f"{seconds:.1f}"]
                    for metric, value in found.items()
                    if not math.isnan(value)
                )


def draw(data: Ring | Images, autoencoder: lfi.Autoencoder, path: Path) -> None:
    """Draw samples: beside the data, or in a grid."""
    if isinstance(data, Ring):
        x = autoencoder.sample(SAMPLES, seed=1)
        lfi.plots.modes_plot({"samples": x}, ring.centres, ring.scale).savefig(path)
        return
    x = autoencoder.sample(50, noise=False, seed=1).clamp(0, 1)
    lfi.plots.image_grid(x, columns=10, span=1.0).savefig(path)


if __name__ == "__main__":
    main()
