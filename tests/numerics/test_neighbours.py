"""Nearest neighbours: those of brute force, whatever is held at once."""

import pytest
import torch

from lfi.numerics.neighbours import nearest_neighbours, neighbour_distance


@pytest.mark.parametrize("max_entries", [1, 200, 2**22])
@pytest.mark.parametrize("lead", [(), (3,)])
def test_neighbours_are_those_of_brute_force(max_entries, lead):
    x, reference = torch.randn(*lead, 30, 4), torch.randn(*lead, 50, 4)
    expected, order = (x[..., :, None, :] - reference[..., None, :, :]).norm(dim=-1).sort(-1)
    distance, index = nearest_neighbours(x, reference, 3, max_entries=max_entries)
    torch.testing.assert_close(distance, expected[..., :3])
    assert torch.equal(index, order[..., :3])
    kth = neighbour_distance(x, reference, 3, max_entries=max_entries)
    torch.testing.assert_close(kth, expected[..., 2])


def test_there_are_no_more_neighbours_than_points():
    with pytest.raises(ValueError, match="k must lie between 1 and 5 points, got 6"):
        nearest_neighbours(torch.zeros(2, 2), torch.zeros(5, 2), 6)
