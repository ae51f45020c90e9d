"""Training side by side: folds, and objectives that are the mean of the members' own."""

import pytest
import torch
from torch import nn

import lfi
from lfi.comparison import Values
from lfi.networks import CriticCopies
from lfi.ratio.neural.nested_levels import (
    FoldedSample,
    level_settings,
    mean_risk,
    train_nested,
)
from lfi.training import CompleteSettings, Step
from lfi.training.batches import MAX_HELD_OUT

STEP = Step(0, torch.Generator(), lambda name, value: None)


def settings(steps=20):
    return CompleteSettings(steps, 32, 1e-2, 0.0, average=0.98)


def folds(n=103, members=5, share=0.2):
    return FoldedSample.of(torch.arange(float(n)), members, share, torch.Generator().manual_seed(1))


def test_every_row_is_held_out_once_by_as_many_members_as_parts():
    split = folds(100)
    assert split.train.shape == (80, 5)
    assert split.held_out.flatten().sort().values.tolist() == list(range(100))


@pytest.mark.parametrize(("members", "share"), [(1, 0.1), (3, 0.5), (7, 0.2), (2, 0.001)])
def test_no_member_trains_on_what_it_holds_out(members, share):
    split = folds(members=members, share=share)
    for train_rows, held in zip(split.train.T, split.held_out.T, strict=True):
        together = torch.cat([train_rows, held])
        assert together.sort().values.tolist() == list(range(103))
    assert split.held_out.shape[0] == max(1, int(103 * share))


def test_large_samples_hold_no_more_out_than_judges_them():
    assert len(folds(100_000).held_out) == MAX_HELD_OUT


def test_the_risk_is_the_mean_of_the_members_own():
    copies = CriticCopies(nn.Sequential(nn.Linear(2, 1, dtype=torch.float32), nn.Flatten(0)), 3)
    for critic in copies.levels[0]:
        nn.init.normal_(critic[0].weight)
    x_p, x_q = (torch.randn(n, 3, 2, dtype=torch.float32) for n in (20, 30))
    values = Values(copies(x_p), copies(x_q), (x_p,), (x_q,))
    for penalties in ((), (lfi.penalties.Balance(2.0),)):
        own = []
        for i, critic in enumerate(copies.levels[0]):
            alone = Values(critic(x_p[:, i]), critic(x_q[:, i]), (x_p[:, i],), (x_q[:, i],))
            terms = [p.weight * p(critic, alone, STEP.rng) for p in penalties]
            own.append(lfi.losses.Brier()(alone.h_p, alone.h_q) + sum(terms))
        risk = mean_risk(lfi.losses.Brier(), penalties, copies, values, STEP)
        torch.testing.assert_close(risk, torch.stack(own).mean())


def test_penalties_evaluate_each_member_anew():
    """A penalty of one's own that keeps the optimum: it is handed one critic and its own rows."""
    seen = []

    class Looks:
        weight, every, keeps_optimum = 1.0, 1, True

        def __call__(self, critic, values, rng):
            torch.testing.assert_close(critic(*values.p), values.h_p)
            torch.testing.assert_close(critic(*values.q), values.h_q)
            seen.append(values.h_p[0].item())
            return values.h_p.new_zeros(())

    copies = CriticCopies(nn.Sequential(nn.Linear(2, 1, dtype=torch.float32), nn.Flatten(0)), 2)
    nn.init.normal_(copies.levels[0][1][0].weight)
    x_p, x_q = (torch.randn(9, 2, 2, dtype=torch.float32) for _ in range(2))
    values = Values(copies(x_p), copies(x_q), (x_p,), (x_q,))
    mean_risk(lfi.losses.Brier(), (Looks(),), copies, values, STEP)
    assert seen == values.h_p[0].tolist()


def lengths(steps, levels):
    return [own.steps for own in level_settings(settings(steps), levels)]


def test_a_user_s_critic_has_one_level_and_all_steps():
    assert lengths(40, 1) == [40]
    assert lengths(40, 3) == [12, 20, 40]
    assert lengths(1, 3) == [1, 1, 1]


def test_training_tells_of_every_step_and_leaves_nothing_to_train():
    copies = CriticCopies(nn.Sequential(nn.Linear(1, 1, dtype=torch.float32), nn.Flatten(0)), 2)
    samples = [
        FoldedSample.of(m + torch.randn(90, 1, dtype=torch.float32), 2, 0.5, torch.Generator())
        for m in (1, 0)
    ]
    told = []
    (history,) = train_nested(
        copies,
        *samples,
        lfi.losses.Bernoulli(),
        settings(),
        seed=1,
        advance=lambda n=1, note="": told.append(note),
    )
    assert history.steps == len(told) == 20
    assert told[-1].startswith("held-out 1.")  # an undecided critic pays 2 log 2 = 1.39
    assert not any(parameter.requires_grad for parameter in copies.parameters())
