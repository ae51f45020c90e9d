"""Constraints hold what they promise: of matrices, of layers, and through training."""

import copy
import math

import pytest
import torch
from support.comparisons import quantiles
from torch import nn

from lfi.comparison import (
    Adversarial,
    Bernoulli,
    Constraint,
    GradientPenalty,
    NonSaturating,
    Recovers,
    SpectralNorm,
    Wasserstein,
    WeightClipping,
    objective,
    two_samples,
)
from lfi.comparison.penalties.constraints import _clipped
from lfi.generation.objectives import adversarial_players
from lfi.generation.settings import DEFAULTS, AdversarialSettings
from lfi.networks import PairCritic
from lfi.training import Monitor, Player, Shuffled, adamw, fit, linear_decay

CONSTRAINTS = (WeightClipping(0.1), SpectralNorm(), SpectralNorm(0.5))
each = pytest.mark.parametrize("constraint", CONSTRAINTS, ids=repr)


class Chain(nn.Module):
    """A critic whose slope is at most the product of its layers'."""

    def __init__(self, dim=1, width=16, activation=nn.ReLU):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, width),
            activation(),
            nn.Linear(width, width),
            activation(),
            nn.Linear(width, 1),
        )

    def forward(self, x, *given):
        return self.layers(x)[:, 0]


def steepest(critic, dim=1, n=4_000):
    """The largest norm of a critic's gradient at many points near and far."""
    x = (4 * torch.randn(n, dim)).to(next(critic.parameters())).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x)
    return gradient.norm(dim=1).max().item()


@each
def test_a_constraint_is_a_value_after_which_no_ratio_is_left(constraint):
    assert isinstance(constraint, Constraint)
    assert hash(constraint) == hash(copy.deepcopy(constraint))
    comparison = Adversarial(Bernoulli(), NonSaturating(), constraint=constraint)
    assert comparison.recovers is Recovers.NOTHING
    assert Adversarial(Bernoulli(), NonSaturating()).recovers is Recovers.RATIO


@each
def test_projecting_twice_is_projecting_once(constraint):
    critic = Chain(3)
    names = list(critic.state_dict())
    constraint.project(critic)
    once = copy.deepcopy(critic.state_dict())
    constraint.project(critic)
    assert list(critic.state_dict()) == names
    for name, value in critic.state_dict().items():
        torch.testing.assert_close(value, once[name])


@pytest.mark.parametrize("limit", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("constraint", [WeightClipping, SpectralNorm])
def test_limits_are_positive(constraint, limit):
    with pytest.raises(ValueError, match="limit must be positive and finite, got"):
        constraint(limit)


def test_clipping_moves_what_is_outside_to_the_edge():
    critic = nn.Linear(3, 1)
    critic.weight.data[:] = torch.tensor([[-2.0, 0.05, 0.3]])
    WeightClipping(0.1).project(critic)
    torch.testing.assert_close(critic.weight.data, torch.tensor([[-0.1, 0.05, 0.1]]))
    assert critic.bias.abs() <= 0.1


# Spectral norm: matrices.


@pytest.mark.parametrize("shape", [(1, 5, 5), (1, 3, 8), (2, 8, 3), (1, 1, 6), (1, 6, 1)])
def test_singular_values_above_the_limit_are_set_to_it(shape):
    matrices = 2 * torch.randn(shape)
    before, after = torch.linalg.svdvals(matrices), torch.linalg.svdvals(_clipped(matrices, 1.5))
    torch.testing.assert_close(after, before.clamp(max=1.5))
    slightly_above = torch.diag(torch.tensor([1.7, 0.5]))[None]
    expected = torch.diag(torch.tensor([1.5, 0.5]))[None]
    torch.testing.assert_close(_clipped(slightly_above, 1.5), expected)
    allowed = _clipped(matrices, 100.0)
    assert torch.equal(allowed, matrices)


def test_no_allowed_matrix_is_nearer():
    matrix = 2 * torch.randn(1, 4, 6)
    distance = (_clipped(matrix, 1.0) - matrix).norm()
    for _ in range(300):
        near = matrix + distance * torch.randn(matrix.shape) / 24**0.5
        other = near / max(1.0, torch.linalg.matrix_norm(near, 2).item())
        assert (other - matrix).norm() >= distance


def test_float32_weights_are_held_to_rounding():
    layer = nn.Linear(96, 96, dtype=torch.float32)
    layer.weight.data.normal_(std=0.2)
    SpectralNorm().project(layer)
    # eigenvalues of the Gram matrix, up to 15, are rounded to 2^-24 of the largest
    assert torch.linalg.matrix_norm(layer.weight.data.double(), 2) <= 1 + 15 * 2**-24 * 10


# Spectral norm: layers, as the linear maps that they are.


LAYERS = [
    (nn.Linear(5, 7), (5,)),
    (nn.Conv1d(2, 3, 4), (2, 9)),
    (nn.Conv1d(2, 3, 4, stride=2, padding=2), (2, 9)),
    (nn.Conv1d(2, 3, 3, dilation=2, stride=2, padding=3), (2, 11)),
    (nn.Conv1d(2, 3, 3, stride=5), (2, 13)),
    (nn.Conv1d(4, 6, 3, groups=2, padding=1), (4, 7)),
    (nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=1), (2, 5, 4)),
    (nn.Conv3d(1, 2, 2), (1, 3, 3, 3)),
    (nn.ConvTranspose1d(2, 3, 4, stride=2), (2, 5)),
    (nn.ConvTranspose2d(4, 2, 3, groups=2, padding=1), (4, 3, 3)),
]


def stretch(layer, shape):
    """The largest factor by which a layer stretches a difference of inputs."""
    jacobian = torch.autograd.functional.jacobian(
        lambda x: layer(x[None]).flatten(), torch.zeros(shape)
    )
    return torch.linalg.matrix_norm(jacobian.flatten(1), 2).item()


@pytest.mark.parametrize("layer, shape", LAYERS, ids=lambda value: str(value)[:60])
@pytest.mark.parametrize("limit", [1.0, 0.3])
def test_no_layer_stretches_by_more_than_the_limit(layer, shape, limit):
    layer = copy.deepcopy(layer).double()
    nn.init.normal_(layer.weight, std=2.0)
    assert stretch(layer, shape) > limit
    SpectralNorm(limit).project(layer)
    assert stretch(layer, shape) <= limit * (1 + 1e-12)
    assert stretch(layer, shape) >= limit / 4  # and it is not a crude bound that holds it


def test_the_bound_of_convolutions_is_attained_where_patches_agree():
    layer = nn.Conv1d(1, 1, 4, bias=False)
    layer.weight.data.fill_(1.0)
    SpectralNorm().project(layer)
    assert 0.99 < stretch(layer, (1, 60)) <= 1  # of a long constant signal all but the ends


def test_patches_that_do_not_meet_are_held_to_the_limit_itself():
    layer = nn.Conv1d(1, 2, 3, stride=3, bias=False)
    layer.weight.data[:, 0] = torch.tensor([[4.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    SpectralNorm(1.5).project(layer)
    expected = torch.tensor([[1.5, 0.0, 0.0], [0.0, 1.5, 0.0]])
    torch.testing.assert_close(layer.weight.data[:, 0], expected)


@pytest.mark.parametrize(
    "critic, named",
    [
        (nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4)), "LayerNorm.* at '1'"),
        (nn.Conv1d(1, 1, 3, padding=1, padding_mode="reflect"), "padding_mode=reflect"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), "ParametrizedLinear"),
        (nn.PReLU(), "PReLU"),
        (PairCritic([0.0], [1.0], (2,), width=4, head_layers=1), "ExponentialFamily"),
    ],
    ids=["layer norm", "reflected", "parametrised", "PReLU", "critic of pairs"],
)
def test_critics_of_which_nothing_could_be_promised_are_refused(critic, named):
    with pytest.raises(ValueError, match=f"(?s)bounds linear layers and convolutions.*{named}"):
        SpectralNorm().project(critic)


# Training.


def trained(critic, shift, *, penalties=(), constraint=None, steps=400, n=1_000, **player):
    """Let a Wasserstein critic tell N(shift, 1) from N(0, 1), quantiles of both; its value."""
    x_p, x_q = (quantiles(mean, n)[:, None] for mean in (shift, 0.0))
    if constraint is not None:
        constraint.project(critic)

    def criticise(batch, step):
        values = two_samples(critic, batch, step.rng)
        return objective(Wasserstein(), penalties, critic, values, step.rng, step.index)

    project = None if constraint is None else constraint.project
    players = [Player("critic", critic, criticise, adamw(5e-3), project=project, **player)]
    shuffled = x_p[torch.randperm(n)], x_q[torch.randperm(n)]
    monitor = Monitor(lambda held: Wasserstein()(critic(held[0]), critic(held[1])).item(), every=50)
    fit(
        players,
        Shuffled(shuffled, (x_p, x_q), size=250),
        steps=steps,
        schedule=linear_decay(),
        monitor=monitor,
        seed=1,
    )
    with torch.no_grad():
        return Wasserstein().value(critic(x_p), critic(x_q)).item()


@pytest.mark.parametrize("ema", [None, 0.99])
@pytest.mark.parametrize("dim", [1, 3])
def test_spectral_norm_holds_through_training_averages_and_the_best_weights(ema, dim):
    critic = Chain(dim)
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.mul_(5)
    assert steepest(critic, dim) > 1
    SpectralNorm().project(critic)
    x_p, x_q = torch.randn(500, dim) + 1, torch.randn(500, dim)
    player = Player(
        "critic",
        critic,
        lambda batch, step: Wasserstein()(critic(batch[0]), critic(batch[1])),
        adamw(0.1),  # steps far outside
        project=SpectralNorm().project,
        ema=ema,
    )
    monitor = Monitor(lambda held: Wasserstein()(critic(held[0]), critic(held[1])).item(), every=5)
    fit([player], Shuffled((x_p, x_q), (x_p, x_q), size=100), steps=40, monitor=monitor, seed=1)
    assert 0.5 < steepest(critic, dim) <= 1 + 1e-9
    copied = Chain(dim)
    copied.load_state_dict(copy.deepcopy(critic).state_dict())  # plain weights, plain names
    assert steepest(copied, dim) <= 1 + 1e-9


def test_under_a_spectral_norm_the_critic_measures_the_distance_of_two_gaussians():
    """W_1 of N(s, 1) and N(0, 1) is |s|."""
    critic = Chain()
    value = trained(critic, 1.0, constraint=SpectralNorm(), steps=300)
    assert steepest(critic) <= 1 + 1e-9
    assert 0.97 < value <= 1 + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.5, -2.0])
def test_spectral_norm_recovers_the_distance(shift):
    value = trained(Chain(width=32), shift, constraint=SpectralNorm(), steps=600)
    assert 0.97 * abs(shift) < value <= abs(shift) + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("shift, every", [(0.5, 1), (-2.0, 4)])
def test_a_gradient_penalty_recovers_the_distance(shift, every):
    """A slope of 1 + e costs weight e^2 and earns |s| e: a linear critic has e = |s|/2 weight."""
    penalty = GradientPenalty(50.0, one_sided=True, every=every)
    critic = Chain(width=32, activation=nn.SiLU)
    value = trained(critic, shift, penalties=(penalty,), steps=600)
    assert value == pytest.approx(abs(shift), rel=0.04)


@pytest.mark.slow
@pytest.mark.parametrize("weight", [10.0, 50.0])
def test_a_gradient_penalty_measures_the_distance_of_gaussians_in_a_plane(weight):
    """There a critic of the wrong sign turns, and both sides of the penalty may hold it."""
    shift, n = torch.tensor([1.2, 0.9]), 2_000  # of length 1.5
    x_q = torch.randn(n, 2)
    x_p = x_q + shift  # so that the samples too are 1.5 apart
    critic = Chain(2, width=32, activation=nn.SiLU)

    def criticise(batch, step):
        values = two_samples(critic, batch, step.rng)
        penalty = (GradientPenalty(weight),)
        return objective(Wasserstein(), penalty, critic, values, step.rng, step.index)

    player = Player("critic", critic, criticise, adamw(5e-3), ema=0.99)
    batches = Shuffled((x_p, x_q[torch.randperm(n)]), size=250)
    fit([player], batches, steps=600, schedule=linear_decay(), seed=1)
    with torch.no_grad():
        value = Wasserstein().value(critic(x_p), critic(x_q)).item()
    # the slope grows to where the penalty balances what it earns, and where it pays most
    assert value == pytest.approx(1.5 * (1 + 1.5 / (2 * weight)), rel=0.02)
    assert value > 1.5


@pytest.mark.slow
def test_clipping_recovers_the_distance_up_to_a_factor():
    """What the factor is depends on the architecture; it is below the critic's own slope."""
    factors = []
    for shift in (0.5, 1.0, -2.0):
        critic = Chain(width=32, activation=nn.LeakyReLU)
        value = trained(critic, shift, constraint=WeightClipping(0.1), steps=600)
        assert value <= steepest(critic) * abs(shift)
        factors.append(value / abs(shift))
    assert max(factors) < 1.25 * min(factors)  # biases are clipped too: far off it bends more
    assert not 0.9 < factors[1] < 1.1


# A generator's training.


class Shifted(nn.Module):
    """A generator with one parameter: noise plus a shift."""

    def __init__(self):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))

    def draw(self, given, rng):
        return torch.randn(len(given), 1, generator=rng) + self.shift


@pytest.mark.parametrize("constraint", [SpectralNorm(), WeightClipping(0.3)], ids=repr)
def test_a_duel_holds_the_critic_from_the_beginning(constraint):
    generator, critic = Shifted(), Chain(width=8)
    with torch.no_grad():
        critic.layers[0].weight.mul_(50)
    comparison = Adversarial(Wasserstein(), Wasserstein(), constraint=constraint)
    players = adversarial_players(
        generator,
        critic,
        generator.draw,
        comparison,
        settings=DEFAULTS.updated(AdversarialSettings(critic_steps=2, critic_learning_rate=2e-3)),
    )

    def held(model):
        again = copy.deepcopy(model)
        constraint.project(again)
        pairs = zip(model.parameters(), again.parameters(), strict=True)
        return all(torch.allclose(a, b, atol=1e-12) for a, b in pairs)

    assert held(critic)
    data = 0.5 + torch.randn(2_000, 1), torch.zeros(2_000, 1)
    fit(players, Shuffled(data, size=200), steps=300, schedule=linear_decay(), seed=1)
    assert held(critic)
    assert 0.2 < generator.shift.item() < 0.6  # on its way to 0.5: 300 moves of at most 0.001


def test_a_duel_refuses_a_critic_that_cannot_be_held():
    critic = nn.Sequential(nn.Linear(1, 4), nn.LayerNorm(4), nn.Linear(4, 1))
    comparison = Adversarial(Wasserstein(), Wasserstein(), constraint=SpectralNorm())
    generator = Shifted()
    with pytest.raises(ValueError, match="LayerNorm"):
        adversarial_players(
            generator,
            critic,
            generator.draw,
            comparison,
            settings=DEFAULTS.updated(AdversarialSettings(critic_steps=1)),
        )
