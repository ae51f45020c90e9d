"""Simultaneous, extragradient, consensus and unrolled turns, where alternating ones do not settle.

They are for `lfi.fit_generator(settings=...)` where critic and generator circle around each other,
as in Wasserstein GANs without momentum. With F(w) the players' gradients, each of its own objective
in its own parameters, and rate a:

    simultaneous    w <- w - a F(w)
    alternating     one player after the other, each sees what the last one did
    extragradient   w <- w - a F(w - a F(w))          look ahead, then move from where one stood
    consensus       w <- w - a (F(w) + c grad |F(w)|^2 / 2)
    unrolled        alternating, but the last player follows the gradient of its objective k moves
                    of the others later, as a function of where it goes: they answer it

At the saddle of x y the first spirals out, by sqrt(1 + a^2) a step, the second keeps its distance,
the third spirals in by sqrt(1 - a^2 + a^4), the fourth by sqrt((1 - a c)^2 + a^2), the fifth by
sqrt(1 - 2 k a^2). With another optimiser than plain gradient steps F goes through it, twice a turn
for extragradient, and the moves that are unrolled are that optimiser's own.

References:
    Korpelevich, The extragradient method for finding saddle points, 1976.
    Gidel, Berard, Vignoud, Vincent & Lacoste-Julien, A variational inequality perspective on
        generative adversarial networks, 2019. arXiv:1802.10551
    Mescheder, Nowozin & Geiger, The numerics of GANs, 2017. arXiv:1705.10461
    Metz, Poole, Pfau & Sohl-Dickstein, Unrolled generative adversarial networks, 2017.
        arXiv:1611.02163
"""

import math
from collections.abc import Callable, Sequence

import torch

from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_whole
from lfi.training.batches import Batch
from lfi.training.differentiable_steps import Lookahead
from lfi.training.players import Move, Step, Turn, alternating


def simultaneous(moves: Sequence[Move], draw: Callable[[], Batch], step: Step) -> None:
    """Let all players see the same batch, and then all move at once."""
    batch = draw()
    for move in moves:
        move.gradient(batch, step)
    for move in moves:
        move.apply()


def extragradient(moves: Sequence[Move], draw: Callable[[], Batch], step: Step) -> None:
    """Let all look one move ahead, and move from where they stood by the gradients found there."""
    batch = draw()
    stood = [[parameter.detach().clone() for parameter in move.parameters] for move in moves]
    for move in moves:
        move.gradient(batch, step)
    for move in moves:
        move.advance()
    batch = draw()
    for move in moves:
        move.gradient(batch, step)
    with torch.no_grad():
        for move, parameters in zip(moves, stood, strict=True):
            for parameter, kept in zip(move.parameters, parameters, strict=True):
                parameter.copy_(kept)
    for move in moves:
        move.apply()


def consensus(weight: float) -> Turn:
    """Return simultaneous moves that also make all players' gradients small together.

    The weight is c, of half the squared norm of all gradients, finite and not negative. Objectives
    with a gradient penalty are differentiated three times.
    """
    if not 0 <= weight < math.inf:
        raise ValueError(f"weight must be finite and not negative, got {weight}")

    def turn(moves: Sequence[Move], draw: Callable[[], Batch], step: Step) -> None:
        batch = draw()
        for move in moves:
            move.freeze(False)
        own = [
            torch.autograd.grad(
                move.value(batch, step), move.parameters, create_graph=True, materialize_grads=True
            )
            for move in moves
        ]
        squares = [gradient.square().sum() for gradients in own for gradient in gradients]
        half = torch.stack(squares).sum() / 2
        everyone = [parameter for move in moves for parameter in move.parameters]
        if half.requires_grad:
            pulls = iter(torch.autograd.grad(half, everyone, materialize_grads=True))
        else:  # no gradient depends on where the players are
            pulls = (torch.zeros_like(parameter) for parameter in everyone)
        for move, gradients in zip(moves, own, strict=True):
            for parameter, gradient in zip(move.parameters, gradients, strict=True):
                parameter.grad = gradient.detach() + weight * next(pulls)
        for move in moves:
            move.freeze()
            move.apply()

    return turn


@checked
def unrolled(ahead: int) -> Turn:
    """Return alternating moves of which the last player's looks so many moves of the others ahead.

    A generator that gathers its samples in one mode is answered by a critic that moves on to them;
    the gradient through its answers tells. The moves ahead are on the generator's batch, with noise
    of their own, and are forgotten afterwards. Penalties that evaluate a critic at detached points
    (`GradientPenalty`) answer as if the generator stood still. Each move ahead costs about two of
    the critic's. 0 is alternating.

    Raises:
        ValueError: If `ahead` is negative; in training, if the others' weights are projected.
        TypeError: In training, if an optimiser of the others cannot be differentiated.

    Example:
        >>> settings = lfi.AdversarialSettings(turn=lfi.training.unrolled(5))
    """
    check_whole("ahead", ahead, minimum=0)

    def turn(moves: Sequence[Move], draw: Callable[[], Batch], step: Step) -> None:
        *others, last = moves
        alternating(others, draw, step)
        for _ in range(last.player.steps):
            batch = draw()
            last.freeze(False)
            lookahead = Lookahead(others)
            for _ in range(ahead):
                lookahead.advance(batch, step)
            lookahead.call(last.gradient, batch, step)
            last.apply()

    return turn
