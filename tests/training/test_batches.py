"""Batches: every row once an epoch, rows kept together, the split without overlap."""

import pytest
import torch

from lfi.training import Batches, JoinedBatches, Shuffled, folds, hold_out


def test_an_epoch_draws_every_row_once_and_keeps_rows_together():
    x = torch.arange(12.0)
    batches, rng = Shuffled((x, -x), size=4), torch.Generator().manual_seed(0)
    drawn = [batches.draw(rng) for _ in range(3)]
    assert torch.cat([a for a, _ in drawn]).sort().values.equal(x)
    assert all(torch.equal(a, -b) for a, b in drawn)


def test_incomplete_batches_are_left_out():
    batches, rng = Shuffled((torch.arange(10.0),), size=4), torch.Generator().manual_seed(0)
    assert all(len(batches.draw(rng)[0]) == 4 for _ in range(20))


def test_every_row_is_drawn_in_the_long_run():
    batches, rng = Shuffled((torch.arange(10),), size=4), torch.Generator().manual_seed(0)
    seen = torch.cat([batches.draw(rng)[0] for _ in range(100)])
    assert len(seen.unique()) == 10


def test_shuffled_is_a_source_of_batches():
    assert isinstance(Shuffled((torch.zeros(3),), size=1), Batches)


def test_rows_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="different numbers of rows"):
        Shuffled((torch.zeros(3), torch.zeros(4)), size=1)


@pytest.mark.parametrize("size", [0, 4])
def test_a_batch_that_cannot_be_drawn_is_refused(size):
    with pytest.raises(ValueError, match="size"):
        Shuffled((torch.zeros(3),), size=size)


def test_a_split_shares_no_row_and_loses_none():
    x = torch.arange(100)
    (train,), (held,) = hold_out((x,), 0.2, torch.Generator().manual_seed(0))
    assert len(held) == 20
    assert torch.cat([train, held]).sort().values.equal(x)


@pytest.mark.parametrize(("share", "held"), [(0.5, 7), (0.06, 6), (0.01, 5)])
def test_a_split_holds_out_what_its_limits_allow(share, held):
    (fold,) = folds(100, share, torch.Generator(), min_held_out=5, max_held_out=7)
    assert len(fold.held_out) == held


def test_as_many_folds_as_parts_hold_every_row_out_once():
    rng = torch.Generator().manual_seed(0)
    five = folds(10, 0.2, rng, number=5)
    held = torch.cat([fold.held_out for fold in five])
    assert held.sort().values.tolist() == list(range(10))
    for fold in folds(10, 0.2, rng, number=7):
        assert torch.cat([fold.train, fold.held_out]).sort().values.tolist() == list(range(10))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_shares_out_of_range_are_refused(share):
    with pytest.raises(ValueError, match="share"):
        hold_out((torch.arange(10),), share, torch.Generator())


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match="leaves none"):
        hold_out((torch.arange(1),), 0.1, torch.Generator())


def test_sources_of_unequal_sizes_are_drawn_side_by_side():
    few, many = torch.arange(6.0), torch.arange(100.0, 140.0)
    both = JoinedBatches(Shuffled((few,), size=3), Shuffled((many, -many), size=8))
    assert isinstance(both, Batches)
    rng = torch.Generator().manual_seed(0)
    drawn = [both.draw(rng) for _ in range(5)]
    assert [len(part) for part in drawn[0]] == [3, 8, 8]
    assert torch.cat([part for _, part, _ in drawn]).sort().values.equal(many)  # one epoch
    for pair in (drawn[:2], drawn[2:4]):  # while the smaller one has two
        assert torch.cat([part for part, _, _ in pair]).sort().values.equal(few)


def test_sources_are_held_out_side_by_side_or_not_at_all():
    held = torch.zeros(2)
    judged, blind = Shuffled((held,), (held,), size=1), Shuffled((held,), size=1)
    assert len(JoinedBatches(judged, judged).held_out) == 2
    assert JoinedBatches(judged, blind).held_out is None
