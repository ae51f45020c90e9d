"""Fitting generators to data by any comparison: one loop, from GANs to moment matching."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from lfi.comparison import Discrepancy, energy_to
from lfi.generation.conditioning import Given
from lfi.generation.defaults import (
    Comparison,
    comparison_for,
    critic_for,
    generator_for,
    regime_for,
    side_for,
)
from lfi.generation.generator import Generator
from lfi.generation.objectives import Packed, duel, match
from lfi.generation.settings import Regime
from lfi.networks import Standardise, is_image, side_by_side
from lfi.networks import members as members_of
from lfi.runtime import bar, child, fresh, held_out_note, isolated, torch_rng
from lfi.training import Batch, Checkpoint, EachItsOwn, History, Monitor, Shuffled, fit, hold_out

FEWEST = 20  # rows of data
JUDGED = 1_000  # held-out rows, of which the energy distance is taken
JUDGEMENTS = 20
HELD_OUT = 0.1  # the share of rows


def fit_generator(
    data: Tensor | tuple[Tensor, Tensor],
    *,
    comparison: Comparison | None = None,
    generator: nn.Module | None = None,
    critic: nn.Module | None = None,
    scaled: bool = False,
    regime: Regime | None = None,
    patience: int | None = None,
    watch: Callable[[int, Generator], None] | None = None,
    checkpoint: Checkpoint | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> Generator:
    """Train a generator to draw what cannot be told from data.

    Critic and generator compare pairs (relativistic). By default every mode of vectors is covered:
    both gradient penalties fade, and the noise names one of many codes, so that modes need no
    bridges. Data of (n, channels, height, width), of 8 to 64 pixels a side, are images: the pixels
    of a channel share one scale, default networks are convolutional, and penalties stay.

    Args:
        data: (n, *event), or (data, given): one of what is given for each row, classes (whole
            numbers, (n,)) or numbers of any shape.
        comparison: `Adversarial`, `Packed`, or a discrepancy such as `MMD`, which needs no critic.
            `lfi.generation.presets` has those of the literature by name. None is as above.
        generator: A network of your own: `noise(n, rng)`, and (z) or (z, given) to (n, *event).
            It is trained in place. One that simulates, in units of its own, is `scaled`.
        critic: A network of your own: (x) or (x, given) to (n,), of standardised x; under
            `Packed`, x is (n, samples, *event), and under `LearnedFeatures` it returns features.
        scaled: Whether the generator's samples are in the data's units, not standardised.
        regime: Steps, batch, rates, turns; None for `Regime()`, and `lfi.generation.IMAGES`, which
            is brief, for images. Rates that it leaves out are chosen to suit the comparison.
        patience: Stop after so many judgements without improvement, and keep the best weights;
            None takes the last. What judges is the energy distance to held-out data, twenty times.
        watch: Called at each judgement with the steps done and the generator as it is then, such as
            to keep samples for `lfi.report.samples_plot`. It is the one in training: of that moment
            only, without history, to be neither changed nor moved. What a checkpoint went on from
            is not shown again.
        checkpoint: Where to keep what an interrupted training goes on from.
        seed: None takes fresh entropy, which the history records.
        device: Where to train.
        progress: Show a bar on a terminal.

    Raises:
        ValueError: If the data are too few, not finite, or what is given does not fit them.
        TypeError: If the generator has no `noise`, or penalties charge learned features that have
            no witness.
        Diverged: If a player's objective is no longer finite: which one's, and at which step.

    References:
        Jolicoeur-Martineau, The relativistic discriminator, 2019. arXiv:1807.00734
        Huang, Gokaslan, Kuleshov & Tompkin, The GAN is dead; long live the GAN!, 2025.
            arXiv:2501.05441

    Example:
        >>> data = torch.randn(200, 2) * torch.tensor([1.0, 10.0])
        >>> generator = lfi.fit_generator(data, regime=lfi.Regime(steps=5), seed=1)
        >>> generator.sample(3, seed=2).shape
        torch.Size([3, 2])
        >>> seen = {}
        >>> keep = lambda step, now: seen.update({f"step {step}": now.sample(9, seed=1)})
        >>> _ = lfi.fit_generator(data, regime=lfi.Regime(steps=40), watch=keep, seed=1)
        >>> list(seen)[:2], len(seen)
        (['step 2', 'step 4'], 20)
    """
    (one,) = fit_generators(
        data,
        1,
        comparison=comparison,
        generators=None if generator is None else [generator],
        critics=None if critic is None else [critic],
        scaled=scaled,
        regime=regime,
        patience=patience,
        watch=None if watch is None else lambda step, generators: watch(step, *generators),
        checkpoint=checkpoint,
        seed=seed,
        device=device,
        progress=progress,
    )
    return one


def fit_generators(
    data: Tensor | tuple[Tensor, Tensor],
    members: int = 5,
    *,
    comparison: Comparison | None = None,
    generators: Sequence[nn.Module] | None = None,
    critics: Sequence[nn.Module] | None = None,
    scaled: bool = False,
    regime: Regime | None = None,
    patience: int | None = None,
    watch: Callable[[int, tuple[Generator, ...]], None] | None = None,
    checkpoint: Checkpoint | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> tuple[Generator, ...]:
    """Train several generators at once, each with a start, batches, noise and critic of its own.

    They stand side by side in one batched computation: five small networks take less than five
    times one. How far their samples agree says what chance decided.

    Args:
        data: As `fit_generator` takes it.
        members: How many.
        comparison: What compares each with the data.
        generators: Networks of your own, one for each member and all of one shape.
        critics: Likewise.
        scaled: Whether the generators' samples are in the data's units, not standardised.
        regime: Steps, batch, rates, turns.
        patience: Stop after so many judgements of all members together without improvement.
        watch: Called at each judgement with the steps done and the generators as they are then.
        checkpoint: Where to keep what an interrupted training goes on from.
        seed: None takes fresh entropy, which the histories record.
        device: Where to train.
        progress: Show a bar on a terminal.

    Returns:
        The generators; their histories are of all members together, each value a mean.

    Raises:
        ValueError: If there is no member, networks are not one for each, or as `fit_generator`.
        TypeError: As `fit_generator`.
        Diverged: As `fit_generator`.

    Example:
        >>> quick = lfi.Regime(steps=5)
        >>> pair = lfi.fit_generators(torch.randn(200, 2), 2, regime=quick, seed=1)
        >>> [generator.sample(3, seed=2).shape for generator in pair]
        [torch.Size([3, 2]), torch.Size([3, 2])]
    """
    if members < 1:
        raise ValueError(f"members must be at least 1, got {members}")
    if checkpoint is not None and seed is None:
        raise ValueError("seed: a checkpoint needs the seed that its training goes on with")
    x, given = _checked(data)
    shape, seed = tuple(x.shape[1:]), fresh(seed)
    comparison = comparison_for(shape) if comparison is None else comparison
    regime = regime_for(regime, shape, comparison)
    side, taken = 0, None
    if given is not None:
        side = side_for(shape, tuple(given.shape[1:]))
        taken = Given.of(given, alike=2 if side else 0)
        side = side or taken.size
    with isolated(child(seed, 0)):
        networks = _own("generators", generators, members) or [
            generator_for(shape, side) for _ in range(members)
        ]
        opponents = _own("critics", critics, members)
        if opponents is None and not isinstance(comparison, Discrepancy):
            opponents = [critic_for(comparison, shape, side) for _ in range(members)]
    if not hasattr(networks[0], "noise"):
        kind = type(networks[0]).__name__
        raise TypeError(f"generator: {kind} has no `noise(n, rng)`, which draws what it maps")
    standardise = Standardise(shape)
    standardise.learn(x, alike=2 if is_image(shape) else 0)
    columns = (standardise(x),) if taken is None else (standardise(x), taken(given))
    train, held_out = hold_out(columns, HELD_OUT, torch_rng(seed, 1), max_held_out=JUDGED)
    rows = min(regime.batch, len(train[0]))
    if isinstance(comparison, Packed):
        rows -= rows % comparison.samples
    sources = [Shuffled(train, held_out, size=rows, device=device) for _ in networks]
    source = _Source(networks, standardise.to(device), scaled, rows)
    if isinstance(comparison, Discrepancy):
        players = match(source.module, source.draw, comparison, regime=regime, members=members)
    else:
        players = duel(
            source.module,
            side_by_side(opponents),
            source.draw,
            comparison,
            regime=regime,
            members=members,
        )
    dtype = data[0].dtype if isinstance(data, tuple) else data.dtype

    def settle() -> None:
        """Give every member's networks the weights that the players have now."""
        for own, player in zip((opponents, networks)[-len(players) :], players, strict=True):
            for module, trained in zip(own, members_of(player.module), strict=True):
                module.to(device).load_state_dict(trained.state_dict())

    def members_now(history: History | None) -> tuple[Generator, ...]:
        return tuple(
            Generator(
                network,
                standardise,
                taken,
                critic=opponents and opponents[i],
                dtype=dtype,
                scaled=scaled,
                history=history,
            )
            .to(device)
            .eval()
            for i, network in enumerate(networks)
        )

    def shown(step: int) -> None:
        settle()
        watch(step, members_now(None))

    with bar("training the generator", regime.steps, progress) as advance:
        history = fit(
            players,
            EachItsOwn(*sources),
            steps=regime.steps,
            turn=regime.turn,
            monitor=Monitor(
                source.judge(sources[0].held_out, seed),
                every=max(1, regime.steps // JUDGEMENTS),
                patience=patience,
                chooses=patience is not None,
                watch=None if watch is None else shown,
            ),
            schedule=regime.schedule,
            seed=child(seed, 2),
            device=device,
            callbacks=[lambda done, latest: advance(1, held_out_note(latest))],
            checkpoint=checkpoint,
        )
    settle()
    return members_now(replace(history, seed=seed))  # the one that repeats the whole fit


class _Source:
    """Generators side by side, as the players see them: samples of standardised data."""

    def __init__(
        self, networks: list[nn.Module], standardise: Standardise, scaled: bool, rows: int
    ) -> None:
        self.module, self.noise = side_by_side(networks), networks[0].noise
        self.members, self.rows = len(networks), rows
        self.standardise, self.scaled = standardise, scaled

    def samples(self, n: int, rng: torch.Generator, *given: Tensor) -> Tensor:
        """Draw n samples of each member, (members n, *event)."""
        z = self.noise(self.members * n, rng).to(self.standardise.location.device)
        made = self.module(z, *given).reshape(len(z), *self.standardise.location.shape)
        return self.standardise(made) if self.scaled else made

    def draw(self, *inputs: Tensor | torch.Generator) -> Tensor:
        """Draw a batch for what is given, with the random generator that comes last."""
        *given, rng = inputs
        return self.samples(self.rows, rng, *given)

    @torch.no_grad()
    def judge(self, held_out: Batch, seed: int) -> Callable[[Batch], float]:
        """Return the measure of the monitor: the energy distance of samples to what is held out.

        It is a mean over members. Distances within the data are taken once, so the measure ignores
        the batch that it is handed, which is the same.
        """
        y, *given = held_out
        sides = [part.flatten(1) for part in given]
        distance = energy_to(torch.cat([y.flatten(1), *sides], dim=1))

        def measure(_: Batch) -> float:
            repeated = (part.repeat(self.members, *[1] * (part.ndim - 1)) for part in given)
            made = self.samples(len(y), torch_rng(seed, 3), *repeated).chunk(self.members)
            rows = (torch.cat([part.flatten(1), *sides], dim=1) for part in made)
            return sum(float(distance(part)) for part in rows) / self.members

        return measure


def _checked(data: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor | None]:
    """Return data in float32, and what is given."""
    x, given = data if isinstance(data, tuple) else (data, None)
    if not x.is_floating_point() or x.ndim < 2 or len(x) < FEWEST:
        raise ValueError(
            f"data must be real numbers, (n, *event), at least {FEWEST} rows; "
            f"got {x.dtype} of shape {tuple(x.shape)}"
        )
    for name, part in (("data", x), ("given", given)):
        if part is not None and not part.isfinite().all():
            bad = int((~part.reshape(len(part), -1).isfinite().all(dim=1)).sum())
            raise ValueError(f"{name}: {bad} of {len(part)} rows are not finite")
    if given is not None and len(given) != len(x):
        raise ValueError(f"given has {len(given)} rows, the data {len(x)}")
    return x.to(torch.float32), given


def _own(name: str, modules: Sequence[nn.Module] | None, members: int) -> list[nn.Module] | None:
    """Return the user's networks, one for each member."""
    if modules is not None and len(modules) != members:
        raise ValueError(f"{name}: {len(modules)} networks for {members} members")
    return modules and list(modules)
