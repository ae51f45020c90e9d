"""Generators' networks: where they start, and what reaches what."""

import pytest
import torch

from lfi.networks import MixtureGenerator, VectorGenerator, stack_modules

RNG = torch.Generator()


def test_a_vector_generator_starts_close_to_a_gaussian_of_its_spread():
    generator = VectorGenerator(3, width=16, initial_log_scale=0.0)
    z = generator.noise(4_000, RNG.manual_seed(0))
    x = generator(z)
    assert x.std().item() == pytest.approx(1.0, abs=0.2)
    assert torch.nn.functional.cosine_similarity(x, z).median() > 0.9


def test_a_vector_generator_bends_with_what_is_given():
    generator = VectorGenerator(2, 1, width=16)
    z, condition = generator.noise(4, RNG), torch.randn(4, 1).float().requires_grad_()
    generator(z, condition).sum().backward()
    assert (condition.grad != 0).all()


def test_codes_are_drawn_equally_often_and_start_as_wide_as_standardised_data():
    generator = MixtureGenerator(2, codes=4, width=16)
    z = generator.noise(4_000, RNG.manual_seed(0))
    counts = torch.bincount(z[:, -1].long(), minlength=4)
    # a binomial's standard error of 27, five of them
    assert (counts - 1_000).abs().max() < 5 * 27.4
    wide = MixtureGenerator(2, codes=1_000, width=16)
    x = wide(wide.noise(4_000, RNG.manual_seed(0)))
    assert x.std().item() == pytest.approx((1 + torch.tensor(-2.0).exp().item()) ** 0.5, abs=0.1)


def test_the_code_decides_where_a_sample_is():
    generator = MixtureGenerator(2, codes=3, width=16)
    z = torch.zeros(3, 3).float()
    z[:, -1] = torch.arange(3)
    x = generator(z)
    shift = torch.tensor([10.0, 0.0]).float()
    with torch.no_grad():
        generator.centre[1] += shift
    moved = generator(z) - x
    torch.testing.assert_close(moved, torch.stack([0 * shift, shift, 0 * shift]))


def test_mixtures_stand_side_by_side():
    networks = [MixtureGenerator(2, 1, codes=3, width=8) for _ in range(2)]
    z, condition = networks[0].noise(8, RNG), torch.randn(8, 1).float()
    expected = torch.cat([networks[0](z[:4], condition[:4]), networks[1](z[4:], condition[4:])])
    torch.testing.assert_close(stack_modules(networks)(z, condition), expected)


def test_codes_are_counted():
    with pytest.raises(ValueError, match="codes must be at least 1"):
        MixtureGenerator(2, codes=0)
