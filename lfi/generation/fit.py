"""Fitting a generator to data by any comparison: GANs, moment matching, optimal transport."""

from collections.abc import Callable, Mapping
from typing import Any, overload

from torch import nn

from lfi.generation.defaults import Comparison
from lfi.generation.generator import Generator
from lfi.generation.members import fit_generators
from lfi.generation.settings import AdversarialSettings
from lfi.generation.tables.fit import fit_table
from lfi.generation.tables.forms import is_table
from lfi.generation.tables.generator import TableGenerator
from lfi.generation.tables.kinds import ColumnKind
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import DataFrame, Samples
from lfi.training import Checkpoint


@overload
def fit_generator(
    data: DataFrame | Mapping[str, Samples],
    *,
    kinds: Mapping[str, ColumnKind] | None = None,
    comparison: Comparison | None = None,
    generator: nn.Module | None = None,
    critic: nn.Module | None = None,
    scaled: bool = False,
    settings: AdversarialSettings | None = None,
    callback: Callable[[int, TableGenerator], None] | None = None,
    checkpoint: Checkpoint | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> TableGenerator: ...


@overload
def fit_generator(
    data: Samples | tuple[Samples, Samples],
    *,
    kinds: Mapping[str, ColumnKind] | None = None,
    comparison: Comparison | None = None,
    generator: nn.Module | None = None,
    critic: nn.Module | None = None,
    scaled: bool = False,
    settings: AdversarialSettings | None = None,
    callback: Callable[[int, Generator], None] | None = None,
    checkpoint: Checkpoint | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Generator: ...


@checked
def fit_generator(
    data: Samples | Mapping[str, Samples] | tuple[Samples, Samples],
    *,
    kinds: Mapping[str, ColumnKind] | None = None,
    comparison: Comparison | None = None,
    generator: nn.Module | None = None,
    critic: nn.Module | None = None,
    scaled: bool = False,
    settings: AdversarialSettings | None = None,
    callback: Callable[[int, Any], None] | None = None,
    checkpoint: Checkpoint | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Generator | TableGenerator:
    """Train a generator whose samples cannot be told from data.

    By default the loss is relativistic, of pairs, and every mode of vectors is covered: both
    gradient penalties are annealed, and the generator is a mixture, so that no bridges join modes.
    Data of (n, channels, height, width), of 8 to 64 pixels a side, are images: the pixels of a
    channel share one scale, default networks are convolutional, and penalties are constant.

    A data frame of pandas, a structured array or a dictionary of columns is a table, and rows of
    the same columns, kinds and dtypes are generated: categories as categories, whole numbers as
    whole, nothing negative where nothing was. Its columns are encoded by quantiles and one-hot
    vectors (`lfi.tables.TableEncoding`), and compared with samples by the energy distance. Two per
    cent of its rows are held out, ten where `patience` may end training.

    Args:
        data: (n, *event), or (data, condition), with a condition for each row: classes (whole
            numbers, (n,)) or numbers of any shape. Or a table, which takes no condition.
        kinds: Of columns of a table by name, such as `{"grade": lfi.tables.Categorical()}`; those
            of others are seen from their values.
        comparison: `Adversarial`, `Packed`, `Unrolled`, or a discrepancy such as `MMD`, which needs
            no critic. `lfi.gans` has those of the literature by name. None is as above.
        generator: A network of your own: `noise(n, rng)`, and (z) or (z, condition) to
            (n, *event). It is trained in place. One whose samples are in units of its own, such as
            a simulator, is `scaled`.
        critic: A network of your own: (x) or (x, condition) to (n,), of standardised x; under
            `Packed`, x is (n, samples, *event), and under `LearnedFeatures` it returns features.
        scaled: Whether the generator's samples are in the data's units, not standardised.
        settings: Steps, batch size, learning rates and so on; what it leaves out suits the data
            and the comparison. `patience` is of validations by the energy distance to held-out
            data, twenty times.
        callback: Called at each validation with the steps done and the generator as it is then,
            such as to keep samples for `lfi.plots.samples_plot`. It is the one in training: of
            that moment only, without history, to be neither changed nor moved. It is not called
            again for what a checkpoint resumes from.
        checkpoint: Where to keep what an interrupted training resumes from.
        seed: None takes fresh entropy, which the history records.
        device: Where to train.
        progress: Show a bar on a terminal.

    Raises:
        ValueError: If the data are too few, not finite, or conditions do not fit them.
        TypeError: If the generator has no `noise`, or penalties are on learned features that have
            no witness.
        Diverged: If a player's objective is no longer finite: which one's, and at which step.

    References:
        Jolicoeur-Martineau, The relativistic discriminator, 2019. arXiv:1807.00734
        Huang, Gokaslan, Kuleshov & Tompkin, The GAN is dead; long live the GAN!, 2025.
            arXiv:2501.05441

    Example:
        >>> data = torch.randn(200, 2) * torch.tensor([1.0, 10.0])
        >>> generator = lfi.fit_generator(data, settings=lfi.AdversarialSettings(steps=5), seed=1)
        >>> generator.sample(3, seed=2).shape
        torch.Size([3, 2])
        >>> people = {"height": 1.7 + 0.1 * torch.randn(200), "children": torch.arange(200) % 4}
        >>> quick = lfi.AdversarialSettings(steps=5)
        >>> lfi.fit_generator(people, settings=quick, seed=1).sample(3, seed=2)["children"].dtype
        dtype('int64')
        >>> kept, settings = {}, lfi.AdversarialSettings(steps=40)
        >>> keep = lambda step, now: kept.update({f"step {step}": now.sample(9, seed=1)})
        >>> _ = lfi.fit_generator(data, settings=settings, callback=keep, seed=1)
        >>> list(kept)[:2], len(kept)
        (['step 2', 'step 4'], 20)
    """
    if is_table(data):
        return fit_table(
            data,
            kinds,
            comparison=comparison,
            generator=generator,
            critic=critic,
            scaled=scaled,
            settings=settings,
            callback=callback,
            checkpoint=checkpoint,
            seed=seed,
            device=device,
            progress=progress,
        )
    if kinds is not None:
        raise ValueError("kinds are of a table's columns, and data are no table")
    assert not isinstance(data, Mapping)  # which is a table
    (one,) = fit_generators(
        data,
        1,
        comparison=comparison,
        generators=None if generator is None else [generator],
        critics=None if critic is None else [critic],
        scaled=scaled,
        settings=settings,
        callback=callback and (lambda step, generators: callback(step, *generators)),
        checkpoint=checkpoint,
        seed=seed,
        device=device,
        progress=progress,
    )
    return one
