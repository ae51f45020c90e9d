"""Fitted generators: noise in, samples out, files that hold them."""

import pytest
import torch
from torch import nn

import lfi
from lfi.generation import Generator
from lfi.generation.conditioning import Given
from lfi.networks import MixtureGenerator, Standardise


def generator(given=None):
    standardise = Standardise((3,))
    standardise.learn(torch.tensor([[0.0, 1.0, 2.0], [4.0, 3.0, 2.0]]))
    network = MixtureGenerator(3, given.size if given else 0, codes=5, width=8, depth=1)
    return Generator(network, standardise, given, dtype=torch.float64)


def test_samples_are_the_network_in_the_units_of_the_data():
    fitted, rng = generator(), torch.Generator().manual_seed(1)
    z = fitted.noise(6, rng)
    expected = (
        fitted.network(z) * torch.tensor([2.0, 1.0, 1.0]).float()
        + torch.tensor([2.0, 2.0, 2.0]).float()
    )
    torch.testing.assert_close(fitted(z), expected)


def test_gradients_reach_noise_and_what_is_given():
    fitted = generator(Given.of(torch.randn(50, 2)))
    z = fitted.noise(4, torch.Generator()).requires_grad_()
    given = torch.randn(4, 2, requires_grad=True)
    fitted(z, given).sum().backward()
    assert (given.grad != 0).any()
    assert (z.grad[:, :-1] != 0).any()


def test_samples_repeat_with_their_seed_whatever_the_parts(monkeypatch):
    fitted = generator()
    whole = fitted.sample(50, seed=3)
    monkeypatch.setattr("lfi.generation.generator.ROWS", 7)
    torch.testing.assert_close(fitted.sample(50, seed=3), whole)
    assert not torch.equal(fitted.sample(50, seed=4), whole)
    assert whole.dtype == torch.float64


def test_one_class_may_stand_for_all_samples():
    fitted = generator(Given.of(torch.tensor([0, 1, 2])))
    one = fitted.sample(4, torch.tensor(2), seed=1)
    torch.testing.assert_close(one, fitted.sample(4, torch.tensor([2, 2, 2, 2]), seed=1))
    assert not torch.equal(one, fitted.sample(4, torch.tensor(1), seed=1))


@pytest.mark.parametrize("given", [None, torch.tensor([0, 1, 2]), torch.randn(9, 2)])
def test_files_hold_the_generator(tmp_path, given):
    fitted = generator(None if given is None else Given.of(given))
    fitted.save(tmp_path / "generator.lfi")
    again = lfi.load(tmp_path / "generator.lfi")
    what = None if given is None else given[0]
    assert torch.equal(again.sample(5, what, seed=1), fitted.sample(5, what, seed=1))


class Own(nn.Module):
    """A user's network."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(2, 3, dtype=torch.float32)

    def noise(self, n, rng):
        return torch.randn(n, 2, generator=rng, dtype=torch.float32)

    def forward(self, z):
        return self.line(z)


def test_a_network_of_ones_own_is_handed_to_load(tmp_path):
    fitted = Generator(Own(), Standardise((3,)), scaled=True)
    fitted.save(tmp_path / "generator.lfi")
    with pytest.raises(ValueError, match="network of your own"):
        lfi.load(tmp_path / "generator.lfi")
    again = lfi.load(tmp_path / "generator.lfi", modules={"generator": Own()})
    assert torch.equal(again.sample(5, seed=1), fitted.sample(5, seed=1))


def test_what_is_given_has_to_fit():
    plain, of_class = generator(), generator(Given.of(torch.tensor([0, 1, 2])))
    with pytest.raises(ValueError, match="takes nothing given"):
        plain.sample(2, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="needs what to generate from"):
        of_class.sample(2)
    with pytest.raises(ValueError, match="3 rows for 2 samples"):
        of_class.sample(2, torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="classes are 0 to 2"):
        of_class.sample(1, torch.tensor(3))
    with pytest.raises(ValueError, match="n must not be negative"):
        plain.sample(-1)


def test_numbers_given_are_standardised_and_keep_their_shape():
    given = 100 + 7 * torch.randn(500, 2, 2)
    taken = Given.of(given)
    seen = taken(given)
    assert seen.shape == (500, 4)
    torch.testing.assert_close(seen.std(0, correction=0), torch.ones(4).float(), atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match=r"expected \(n, 2, 2\)"):
        taken(torch.zeros(3, 4))
