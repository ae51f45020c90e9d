"""Critics side by side: three levels, each beginning where the one below ended."""

import pytest
import torch
from torch import nn

from lfi.networks import CriticCopies, SampleCritics

SINGLE = torch.float32


def critics(shape=(2,), members=3):
    torch.manual_seed(0)
    made = SampleCritics(shape, members, width=8)
    made.fit_from_data(5 + 2 * torch.randn(400, members, *shape, dtype=SINGLE))
    return made


def disturb(level):
    """Give every weight some value."""
    with torch.no_grad():
        for parameter in level.parameters():
            parameter.normal_(0, 0.3)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 2), (12,)])
def test_events_of_any_shape_are_taken(shape):
    made = critics(shape)
    x = torch.randn(7, 3, *shape, dtype=SINGLE)
    assert made(x).shape == (7, 3)
    assert [made.at(level, x).shape for level in range(3)] == [(7, 3)] * 3


def test_every_level_begins_undecided_and_where_the_one_below_ended():
    made, x = critics(), torch.randn(50, 3, 2, dtype=SINGLE)
    assert all((made.at(level, x) == 0).all() for level in range(3))
    for level in (0, 1):
        disturb(made.levels[level])
        made.begin(level + 1)
        torch.testing.assert_close(made.at(level + 1, x), made.at(level, x))
    disturb(made.levels[2])
    assert not torch.allclose(made.at(2, x), made.at(1, x))


def test_the_value_is_the_weighted_mean_of_the_levels():
    made, x = critics(), torch.randn(50, 3, 2, dtype=SINGLE)
    for level in made.levels:
        disturb(level)
    torch.testing.assert_close(made(x), made.at(2, x))  # until someone weighs them
    made.weights.copy_(torch.tensor([0.2, 0.3, 0.5]))
    mean = 0.2 * made.at(0, x) + 0.3 * made.at(1, x) + 0.5 * made.at(2, x)
    torch.testing.assert_close(made(x), mean)


def test_no_gradient_passes_from_one_member_to_another():
    made, x = critics(), torch.randn(50, 3, 2, dtype=SINGLE)
    disturb(made.levels[2])
    made.at(2, x)[:, 1].sum().backward()
    for parameter in made.levels[2].parameters():
        assert (parameter.grad[[0, 2]] == 0).all()
        assert (parameter.grad[1] != 0).any()


def test_members_see_their_own_rows():
    made, x = critics(), torch.randn(50, 3, 2, dtype=SINGLE)
    for level in made.levels:
        disturb(level)
    other = x.clone()
    other[:, 0] += 1
    changed = made(other) != made(x)
    assert changed[:, 0].all()
    assert not changed[:, 1:].any()


def test_terms_are_of_order_one_for_each_member():
    made = SampleCritics((2,), 2, width=8)
    x = torch.randn(5_000, 2, 2, dtype=SINGLE) * torch.tensor([1.0, 1e4]) + 3
    made.fit_from_data(x.float())
    terms = made.terms(x.float())
    assert terms.shape == (2, 5_000, 2 + 2 + 3)  # z, asinh, and the products of two
    torch.testing.assert_close(
        terms.mean(1), torch.zeros(2, 7), atol=0.02, rtol=0, check_dtype=False
    )
    torch.testing.assert_close(terms.std(1), torch.ones(2, 7), atol=0.02, rtol=0, check_dtype=False)


def test_far_values_enter_logarithmically_and_without_a_break():
    made = SampleCritics((), 1)
    x = torch.linspace(-50, 50, 100_001, dtype=SINGLE)[:, None]
    z = made._bulk(x[..., None]).flatten()
    torch.testing.assert_close(z[x[:, 0].abs() < 4], x[x.abs() < 4])
    slope = z.diff() / x.flatten().diff()
    assert slope.min() > 0.07  # 4/50
    assert slope.diff().abs().max() < 0.02
    assert z.max() < 4 * (1 + 2.6)  # log(50/4) = 2.53


def test_large_events_have_squares_and_no_other_products():
    assert critics((12,)).terms(torch.zeros(1, 3, 12, dtype=SINGLE)).shape[-1] == 36


def test_entries_that_do_not_vary_are_harmless():
    made = SampleCritics((2,), 2)
    x = torch.randn(100, 2, 2, dtype=SINGLE)
    x[..., 1] = 7.0
    made.fit_from_data(x)
    disturb(made.levels[2])
    assert made(x).isfinite().all()


def test_networks_are_float32_and_repeat_themselves():
    first, again = critics(), critics()
    assert torch.get_default_dtype() == torch.float64
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert a.dtype == SINGLE
        assert torch.equal(a, b)


class Sum(nn.Module):
    """A critic of sets that learns a scale."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones((), dtype=SINGLE))
        self.scale = 1.0

    def fit_from_data(self, x):
        self.scale = float(x.std())

    def forward(self, x):
        return self.factor * (x / self.scale).sum((1, 2))


def test_copies_of_a_network_learn_their_own_scales():
    own = Sum()
    copies = CriticCopies(own, 2)
    x = torch.randn(40, 2, 5, 3, dtype=SINGLE)
    x[:, 1] *= 10
    copies.fit_from_data(x)
    scales = [critic.scale for critic in copies.levels[0]]
    assert scales[1] > 5 * scales[0]
    assert own.scale == 1.0
    torch.testing.assert_close(copies(x)[:, 1], x[:, 1].sum((1, 2)) / scales[1])
    assert copies.members == 2


def test_a_network_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"maps \(4, 2\) to \(4, 1\), expected .* \(4,\)"):
        CriticCopies(nn.Linear(2, 1, dtype=SINGLE), 2)(torch.zeros(4, 2, 2, dtype=SINGLE))
