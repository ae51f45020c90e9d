"""Networks for images: every size, what is condition, slopes of slopes, members, bad arguments."""

import math

import pytest
import torch

import lfi
from lfi.comparison import R1, Values
from lfi.generation import Generator
from lfi.generation.conditioning import Condition
from lfi.networks import ImageCritic, ImageGenerator, StackedModules, Standardise

RNG = torch.Generator()
GIVEN = {"nothing": 0, "vector": 3, "image": (2, 4, 5)}

each_given = pytest.mark.parametrize("condition", GIVEN.values(), ids=GIVEN)


def inputs(condition, rows):
    """What is condition, as networks see it."""
    size = condition if isinstance(condition, int) else math.prod(condition)
    return (torch.randn(rows, size, dtype=torch.float32),) if size else ()


def pair(condition=0, shape=(1, 8, 8)):
    return ImageGenerator(shape, condition, width=4), ImageCritic(shape, condition, width=4)


@each_given
@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (3, 13, 9), (1, 28, 28), (2, 8, 64), (3, 64, 64)], ids=str
)
def test_images_of_every_size_are_made_and_judged(shape, condition):
    generator, critic = pair(condition, shape)
    side = inputs(condition, 2)
    x = generator(generator.noise(2, RNG), *side)
    assert x.shape == (2, *shape)
    assert critic(x, *side).shape == (2,)
    assert ImageCritic(shape, condition, width=4, features=5)(x, *side).shape == (2, 5)


@each_given
def test_networks_are_in_float32_whatever_the_default_and_rebuilt_from_their_specs(condition):
    side = inputs(condition, 3)
    for network in pair(condition):
        assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
        again = type(network)(**network.spec)
        again.load_state_dict(network.state_dict())
        x = torch.randn(3, *([64] if hasattr(network, "noise") else [1, 8, 8])).float()
        assert torch.equal(network(x, *side), again(x, *side))


@each_given
def test_files_hold_image_generators(tmp_path, condition):
    network, _ = pair(condition)
    taken = None
    if condition:
        taken = Condition.fit_from_data(
            torch.randn(9, *([condition] if isinstance(condition, int) else condition))
        )
    fitted = Generator(network, Standardise((1, 8, 8)), taken).eval()
    fitted.save(tmp_path / "generator.lfi")
    what = taken and torch.randn(4, *taken.shape)
    again = lfi.load(tmp_path / "generator.lfi")
    assert torch.equal(again.sample(4, what, seed=1), fitted.sample(4, what, seed=1))


@pytest.mark.parametrize("condition", [3, (2, 4, 5)], ids=["vector", "image"])
def test_what_is_given_matters_to_every_pixel_and_to_the_critic(condition):
    generator, critic = pair(condition)
    z, (one,), (other,) = generator.noise(5, RNG), inputs(condition, 5), inputs(condition, 5)
    assert (generator(z, one) != generator(z, other)).all()
    x = generator(z, one).detach()
    assert (critic(x, one) != critic(x, other)).all()
    one.requires_grad_()
    generator(z, one).sum().backward()
    assert (one.grad != 0).all()


def test_a_given_image_stays_in_its_place():
    # the generator is convolutions of the coarsest grid and of the image: a pixel of a large
    # image reaches, from grid to grid, only what is near it
    generator = ImageGenerator((1, 64, 64), (1, 64, 64), width=2)
    condition = torch.zeros(1, 64 * 64).float().requires_grad_()
    generator(generator.noise(1, RNG), condition)[0, 0, 0, 0].backward()
    slope = condition.grad.reshape(64, 64).abs()
    assert slope[:8, :8].sum() > 20 * slope[-8:, -8:].sum()


@each_given
def test_gradients_of_slopes_reach_the_critic(condition):
    _, critic = pair(condition)
    x, side = torch.randn(6, 1, 8, 8).float(), inputs(condition, 6)
    values = Values(critic(x, *side), critic(x, *side), (x,), (x,), side)
    R1(1.0)(critic, values, RNG).backward()
    for module in critic.moves:
        assert module.weight.grad.abs().sum() > 0

    def penalty():
        return R1(1.0)(critic, values, RNG).item()

    # against a difference quotient in one direction of the weights, in double precision
    critic.double()
    x, side = x.double(), tuple(part.double() for part in side)
    values = Values(critic(x, *side), critic(x, *side), (x,), (x,), side)
    critic.zero_grad()
    R1(1.0)(critic, values, RNG).backward()
    weights = [p for p in critic.parameters() if p.grad is not None]
    directions = [torch.randn_like(p) for p in weights]
    slope = sum((p.grad * d).sum() for p, d in zip(weights, directions, strict=True)).item()
    ends = []
    for step in (1e-5, -2e-5):
        with torch.no_grad():
            for p, d in zip(weights, directions, strict=True):
                p.add_(d, alpha=step)
        ends.append(penalty())
    assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(slope, rel=1e-4)


@each_given
def test_networks_side_by_side_are_those_alone(condition):
    for modules in zip(*(pair(condition) for _ in range(2)), strict=True):
        x = torch.randn(6, *([64] if hasattr(modules[0], "noise") else [1, 8, 8])).float()
        side = inputs(condition, 6)
        parts = zip(modules, *(part.chunk(2) for part in (x, *side)), strict=True)
        alone = torch.cat([module(*part) for module, *part in parts])
        torch.testing.assert_close(StackedModules(modules)(x, *side), alone, atol=1e-5, rtol=1e-4)


def test_images_of_one_batch_do_not_know_of_each_other():
    generator, critic = pair()
    x = generator(generator.noise(8, RNG))
    torch.testing.assert_close(critic(x)[:1], critic(x[:1]))


@pytest.mark.parametrize("kind", [ImageGenerator, ImageCritic], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "shape, condition, message",
    [
        ((1, 7, 8), 0, r"8 to 64 pixels a side, got \(1, 7, 8\)"),
        ((1, 8, 65), 0, r"8 to 64 pixels a side, got \(1, 8, 65\)"),
        ((8, 8), 0, r"shape must be \(channels, height, width\)"),
        ((0, 8, 8), 0, r"got \(0, 8, 8\)"),
        ((1, 8, 8), -1, "condition: a vector has no negative size, got -1"),
        ((1, 8, 8), (1, 4, 9), r"no larger than \(8, 8\), got \(1, 4, 9\)"),
        ((1, 8, 8), (4, 4), r"of an image no larger than \(8, 8\), got \(4, 4\)"),
    ],
)
def test_shapes_that_make_no_sense_are_refused(kind, shape, condition, message):
    with pytest.raises(ValueError, match=message):
        kind(shape, condition)


def test_what_does_not_fit_is_refused():
    generator, critic = pair(3)
    with pytest.raises(ValueError, match="condition has 0 numbers, expected 3"):
        generator(generator.noise(2, RNG))
    with pytest.raises(ValueError, match="condition has 4 numbers, expected 3"):
        critic(torch.zeros(2, 1, 8, 8).float(), torch.zeros(2, 4).float())
