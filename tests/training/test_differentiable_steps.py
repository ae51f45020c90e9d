"""Steps ahead are the optimiser's own, and their derivatives those of where they lead."""

import pytest
import torch
from torch import nn

from lfi.training import Move, Player, Step, adamw
from lfi.training.differentiable_steps import Lookahead

STEP = Step(0, torch.Generator(), lambda name, value: None)
OPTIMISERS = {
    "SGD": lambda parameters: torch.optim.SGD(list(parameters), lr=0.1, momentum=0.5),
    "AdamW": adamw(0.1, weight_decay=0.1),
    "RMSprop": lambda parameters: torch.optim.RMSprop(list(parameters), lr=0.1),
}
each_optimiser = pytest.mark.parametrize("optimiser", OPTIMISERS.values(), ids=OPTIMISERS)


class Follower(nn.Module):
    """Two numbers that are drawn towards a target, and one that nothing depends on."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.3, -0.4]))
        self.idle = nn.Parameter(torch.ones(1))


def game(optimiser, target, clip=None):
    """A follower after two real moves, of which moments of gradients are left."""
    follower = Follower()

    def objective(batch, step):
        return ((follower.w - target) ** 2 + 1).sqrt().sum() + 0.0 * follower.idle.sum()

    move = Move(Player("follower", follower, objective, optimiser, clip=clip))
    for _ in range(2):
        move.gradient((), STEP)
        move.apply()
    return follower, move


@each_optimiser
@pytest.mark.parametrize("clip", [None, 0.5])
def test_steps_ahead_lead_where_the_player_would_go_itself(optimiser, clip):
    follower, move = game(optimiser, torch.tensor([1.0, 2.0]), clip)
    before = follower.w.detach().clone()
    lookahead = Lookahead([move])
    for _ in range(3):
        lookahead.advance((), STEP)
    seen = lookahead.call(lambda: follower.w)
    torch.testing.assert_close(follower.w.detach(), before, rtol=0, atol=0)
    for _ in range(3):
        move.gradient((), STEP)
        move.apply()
    # the fused AdamW that moves the player corrects its moments in float32
    torch.testing.assert_close(seen, follower.w, rtol=1e-4, atol=0)


@each_optimiser
def test_the_gradient_through_steps_ahead_is_that_of_finite_differences(optimiser):
    target = torch.tensor([1.0, 2.0], requires_grad=True)
    _, move = game(optimiser, target)

    def ahead(at):
        with torch.no_grad():
            target.copy_(at)
        lookahead = Lookahead([move])
        for _ in range(3):
            lookahead.advance((), STEP)
        return lookahead.call(lambda: move.player.module.w.sin().sum())

    here = target.detach().clone()
    (gradient,) = torch.autograd.grad(ahead(here), target)
    width = 1e-6
    for i, side in enumerate(torch.eye(2)):
        slope = (ahead(here + width * side) - ahead(here - width * side)) / (2 * width)
        assert gradient[i].item() == pytest.approx(slope.item(), rel=1e-6)
    assert gradient.abs().min() > 1e-3


def test_what_has_no_derivative_is_refused():
    still = lambda batch, step: torch.zeros(())
    lbfgs = lambda parameters: torch.optim.LBFGS(list(parameters))
    with pytest.raises(TypeError, match="optimiser of follower"):
        Lookahead([Move(Player("follower", Follower(), still, lbfgs))])
    project = lambda module: None
    with pytest.raises(ValueError, match="projected"):
        Lookahead([Move(Player("follower", Follower(), still, adamw(0.1), project=project))])
