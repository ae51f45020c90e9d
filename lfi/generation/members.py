"""Fitting generators of vectors and images, several at once, by any comparison."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from lfi.comparison import Discrepancy, energy_to
from lfi.generation.conditioning import Condition
from lfi.generation.defaults import (
    Comparison,
    comparison_for,
    condition_image_for,
    critic_for,
    generator_for,
    played,
    settings_for,
)
from lfi.generation.generator import Generator
from lfi.generation.objectives import adversarial_players, discrepancy_players
from lfi.generation.settings import AdversarialSettings
from lfi.generation.validated_training import (
    MAX_HELD_OUT,
    batch_size_of,
    check_resumable,
    real_data,
    validated_training,
)
from lfi.networks import Standardise, is_image, noise_of, stack_modules, unstack_modules
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample
from lfi.runtime import child, fresh, isolated, torch_rng
from lfi.training import Batch, Checkpoint, History, Shuffled, StackedBatches, hold_out


@checked
def fit_generators(
    data: Samples | tuple[Samples, Samples],
    members: int = 5,
    *,
    comparison: Comparison | None = None,
    generators: Sequence[nn.Module] | None = None,
    critics: Sequence[nn.Module] | None = None,
    scaled: bool = False,
    settings: AdversarialSettings | None = None,
    callback: Callable[[int, tuple[Generator, ...]], None] | None = None,
    checkpoint: Checkpoint | None = None,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> tuple[Generator, ...]:
    """Train several generators at once, each with initial weights, batches and critic of its own.

    They are stacked in one batched computation: five small networks take less than five times one.
    How much their samples differ is the variation between seeds.

    Args:
        data: As `fit_generator` takes it.
        members: How many.
        comparison: What compares each with the data.
        generators: Networks of your own, one for each member and all of one shape.
        critics: Likewise.
        scaled: Whether the generators' samples are in the data's units, not standardised.
        settings: As `fit_generator` takes them; patience is of the mean over members.
        callback: Called at each validation with the steps done and the generators as they are then.
        checkpoint: Where to keep what an interrupted training resumes from.
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
        >>> quick = lfi.AdversarialSettings(steps=5)
        >>> pair = lfi.fit_generators(torch.randn(200, 2), 2, settings=quick, seed=1)
        >>> [generator.sample(3, seed=2).shape for generator in pair]
        [torch.Size([3, 2]), torch.Size([3, 2])]
    """
    if members < 1:
        raise ValueError(f"members must be at least 1, got {members}")
    check_resumable(checkpoint, seed)
    x, condition, dtype = _checked(data)
    shape, seed = tuple(x.shape[1:]), fresh(seed)
    comparison = comparison_for(shape) if comparison is None else comparison
    complete = settings_for(settings, shape, comparison)
    if not isinstance(comparison, Discrepancy):
        comparison = played(comparison)
    size, encode = 0, None
    if condition is not None:
        image = condition_image_for(shape, tuple(condition.shape[1:]))
        encode = Condition.fit_from_data(condition, shared_axes=2 if image else 0)
        size = image or encode.size
    with isolated(child(seed, 0)):
        networks = _own("generators", generators, members) or [
            generator_for(shape, size) for _ in range(members)
        ]
        opponents = _own("critics", critics, members)
        if opponents is None and not isinstance(comparison, Discrepancy):
            opponents = [critic_for(comparison, shape, size) for _ in range(members)]
    standardise = Standardise(shape)
    standardise.fit_from_data(x, shared_axes=2 if is_image(shape) else 0)
    rows = (standardise(x),) if encode is None else (standardise(x), encode(condition))
    train, held_out = hold_out(
        rows, complete.held_out, torch_rng(seed, 1), max_held_out=MAX_HELD_OUT
    )
    size = batch_size_of(complete, len(train[0]), comparison)
    batches = [Shuffled(train, held_out, size=size, device=device) for _ in networks]
    stack = _Stack(networks, standardise.to(device), scaled, size)
    if isinstance(comparison, Discrepancy):
        sides = [networks]
        players = discrepancy_players(
            stack.module, stack.draw, comparison, complete, members=members
        )
    else:
        assert opponents is not None  # the user's or those built above
        sides = [opponents, networks]
        critic = stack_modules(opponents)
        players = adversarial_players(
            stack.module, critic, stack.draw, comparison, complete, members=members
        )

    def copy_weights() -> None:
        """Give every member's networks the weights that the players have now."""
        for own, player in zip(sides, players, strict=True):
            for module, trained in zip(own, unstack_modules(player.module), strict=True):
                module.to(device).load_state_dict(trained.state_dict())

    def members_now(history: History | None) -> tuple[Generator, ...]:
        copy_weights()
        return tuple(
            Generator(
                network,
                standardise,
                encode,
                critic=None if opponents is None else opponents[i],
                dtype=dtype,
                scaled=scaled,
                history=history,
            )
            .to(device)
            .eval()
            for i, network in enumerate(networks)
        )

    history = validated_training(
        "generator",
        players,
        StackedBatches(*batches),
        stack.validation(tuple(part.to(device) for part in held_out), seed),
        complete,
        watch=callback and (lambda step: callback(step, members_now(None))),
        checkpoint=checkpoint,
        seed=seed,
        device=device,
        progress=progress,
    )
    return members_now(history)


class _Stack:
    """Stacked generators, as the players see them: samples of standardised data."""

    def __init__(
        self, networks: list[nn.Module], standardise: Standardise, scaled: bool, batch_size: int
    ) -> None:
        self.module, self.noise = stack_modules(networks), noise_of(networks[0])
        self.members, self.batch_size = len(networks), batch_size
        self.standardise, self.scaled = standardise, scaled

    def samples(self, n: int, rng: torch.Generator, *condition: Tensor) -> Tensor:
        """Draw n samples of each member, (members n, *event)."""
        z = self.noise(self.members * n, rng).to(self.standardise.location.device)
        x = self.module(z, *condition).reshape(len(z), *self.standardise.location.shape)
        return self.standardise(x) if self.scaled else x

    def draw(self, *inputs: Tensor | torch.Generator) -> Tensor:
        """Draw a batch for conditions, with the random generator that comes last."""
        rng = inputs[-1]
        assert isinstance(rng, torch.Generator)
        condition = (part for part in inputs[:-1] if isinstance(part, Tensor))
        return self.samples(self.batch_size, rng, *condition)

    @torch.no_grad()
    def validation(self, held_out: Batch, seed: int) -> Callable[[Batch], float]:
        """Return the energy distance of samples to held-out data, a mean over members.

        Distances within the data are taken once: the batch that it is handed is always the same.
        """
        y, *condition = held_out
        sides = [part.flatten(1) for part in condition]
        distance = energy_to(torch.cat([y.flatten(1), *sides], dim=1))

        def measure(_: Batch) -> float:
            repeated = (part.repeat(self.members, *[1] * (part.ndim - 1)) for part in condition)
            x = self.samples(len(y), torch_rng(seed, 3), *repeated).chunk(self.members)
            rows = (torch.cat([part.flatten(1), *sides], dim=1) for part in x)
            return sum(float(distance(part)) for part in rows) / self.members

        return measure


def _checked(data: Samples | tuple[Samples, Samples]) -> tuple[Tensor, Tensor | None, torch.dtype]:
    """Return data, their conditions, and the data's own dtype."""
    if isinstance(data, tuple) and len(data) != 2:
        raise ValueError(f"data must be a sample, or (data, condition); got {len(data)} of them")
    data, condition = data if isinstance(data, tuple) else (data, None)
    x = real_data(data)
    if condition is not None:
        condition = as_sample("condition", condition)
        if len(condition) != len(x):
            raise ValueError(f"condition has {len(condition)} rows, the data {len(x)}")
    return x, condition, x.dtype


def _own(name: str, modules: Sequence[nn.Module] | None, members: int) -> list[nn.Module] | None:
    """Return the user's networks, one for each member."""
    if modules is not None and len(modules) != members:
        raise ValueError(f"{name}: {len(modules)} networks for {members} members")
    return None if modules is None else list(modules)
