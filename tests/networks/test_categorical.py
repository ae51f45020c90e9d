"""Categorical laws of whole numbers of few values."""

import itertools

import pytest
import torch

from lfi.networks import CategoricalFlow, few_levels
from lfi.networks.categorical import MAX_LEVELS, LevelColumns
from lfi.networks.residual import last_linear
from lfi.runtime import isolated, torch_rng

SIZES = torch.tensor([2, 3, 3])  # levels of each entry


def example(seed=1):
    """A law of three entries given two numbers, whose every part does something."""
    with isolated(seed):
        flow = CategoricalFlow(3, 2, levels=3, width=8)
        x = (torch.rand(500, 3) * SIZES).floor()
        flow.fit_from_data(x.float(), torch.randn(500, 2).float())
        for layer in (flow.straight, last_linear(flow.rest)):
            layer.weight.data.normal_(0, 0.5)
    flow.network_active.fill_(True)
    return flow.requires_grad_(False)


def condition(n, seed=2):
    return torch.randn(n, 2, generator=torch_rng(seed)).float()


def test_probabilities_add_to_one():
    flow = example()
    cells = torch.tensor(list(itertools.product(*(range(int(size)) for size in SIZES)))) + 0.5
    for c in condition(5).split(1):
        p = flow.log_density(cells.float(), flow.embed(c)).exp()
        # a level that the first entry never takes keeps a millionth of its odds
        assert p.sum().item() == pytest.approx(1, abs=1e-4)


def test_noise_and_data_are_each_others_inverse_and_the_density_follows():
    flow, c = example(), condition(400)
    embedded = flow.embed(c)
    z = flow.noise(400, torch_rng(3)).clamp(-3, 3)
    y = flow.generate(z, embedded)
    back, log_slope = flow.to_noise(y, embedded)
    # float32 holds y, below 3, to 2e-7: of z at three deviations that is 2e-7 / .0044, and the same
    # of sums of probabilities
    torch.testing.assert_close(back, z, rtol=1e-3, atol=1e-3)
    normal = torch.distributions.Normal(0.0, 1.0)
    density = normal.log_prob(back).sum(1) + log_slope
    torch.testing.assert_close(density, flow.log_density(y, embedded), rtol=1e-3, atol=1e-3)


def test_what_is_generated_has_the_probabilities_of_the_law():
    n, flow = 20_000, example()
    embedded = flow.embed(condition(1))
    level = flow.generate(flow.noise(n, torch_rng(4)), embedded).long()
    law = embedded[0, 2:].exp().view(3, 3)
    for entry in range(3):
        share = level[:, entry].bincount(minlength=3) / n
        assert (share - law[entry]).abs().max() < 5 / (4 * n) ** 0.5  # five errors of a half


def test_several_rows_may_have_one_condition():
    flow, c = example(), condition(4)
    y = flow.generate(flow.noise(12, torch_rng(5)), flow.embed(c))
    each = flow.log_density(y, flow.embed(c.repeat_interleave(3, dim=0)))
    torch.testing.assert_close(flow.log_density(y, flow.embed(c)), each)


def test_it_starts_from_how_often_levels_were_seen():
    flow = CategoricalFlow(1, 2, levels=2, width=8)
    y = torch.tensor([[0.5]] * 30 + [[1.5]] * 10).float()
    flow.fit_from_data(y, condition(40))
    law = flow.embed(condition(1))[0, 2:].exp()
    torch.testing.assert_close(law, torch.tensor([30.5, 10.5]).float() / 41)


def test_a_gradient_passes_to_the_condition():
    flow, c = example(), condition(6).requires_grad_()
    y = flow.generate(flow.noise(6, torch_rng(6)), flow.embed(c))
    assert torch.autograd.grad(y.sum(), c)[0].abs().min() > 0


def test_levels_are_kept_apart_and_numbers_never_seen_are_the_nearest():
    columns = LevelColumns(2)
    columns.fit_from_data(torch.tensor([[-3.0, 0.0], [-1.0, 1.0]]))
    almost = torch.full((1, 2), 1 - 2**-24).float()  # the largest that is drawn
    y, _ = columns(torch.tensor([[-3.0, 0.0]]), almost)
    assert torch.equal(y.floor(), torch.zeros(1, 2))
    y, _ = columns(torch.tensor([[7.0, -4.0]]), almost / 2)
    torch.testing.assert_close(columns.decode(y), torch.tensor([[-1.0, 0.0]]).float())


def test_few_levels_are_whole_numbers_within_a_small_range():
    assert few_levels(torch.tensor([[0.0, 5.0], [7.0, 5.0]])) == MAX_LEVELS
    assert few_levels(torch.tensor([[0.0, 5.0], [8.0, 5.0]])) is None
    assert few_levels(torch.tensor([[5.0], [5.0]])) is None  # one alone
    assert few_levels(torch.tensor([[0.0], [0.5]])) is None


def test_more_levels_than_there_may_be_are_refused():
    with pytest.raises(ValueError, match="from 2 to 8, got 9"):
        CategoricalFlow(1, 1, levels=9)
