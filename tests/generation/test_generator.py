"""Fitted generators: noise in, samples out, files that hold them."""

import pytest
import torch
from torch import nn

import lfi
from lfi.generation import Generator
from lfi.generation.conditioning import Condition
from lfi.networks import MixtureGenerator, Standardise


def generator(condition=None):
    standardise = Standardise((3,))
    standardise.fit_from_data(torch.tensor([[0.0, 1.0, 2.0], [4.0, 3.0, 2.0]]))
    network = MixtureGenerator(3, condition.size if condition else 0, codes=5, width=8, layers=1)
    return Generator(network, standardise, condition, dtype=torch.float64)


def test_samples_are_the_network_in_the_units_of_the_data():
    fitted, rng = generator(), torch.Generator().manual_seed(1)
    z = fitted.noise(6, rng)
    expected = (
        fitted.network(z) * torch.tensor([2.0, 1.0, 0.0]).float()
        + torch.tensor([2.0, 2.0, 2.0]).float()
    )
    torch.testing.assert_close(fitted(z), expected.double())


def test_gradients_reach_noise_and_condition():
    fitted = generator(Condition.fit_from_data(torch.randn(50, 2)))
    z = fitted.noise(4, torch.Generator()).requires_grad_()
    condition = torch.randn(4, 2, requires_grad=True)
    fitted(z, condition).sum().backward()
    assert (condition.grad != 0).any()
    assert (z.grad[:, :-1] != 0).any()


def test_samples_repeat_with_their_seed_whatever_the_chunk_size():
    fitted = generator()
    whole = fitted.sample(50, seed=3)
    torch.testing.assert_close(fitted.sample(50, seed=3, chunk_size=7), whole)
    assert not torch.equal(fitted.sample(50, seed=4), whole)
    assert whole.dtype == torch.float64


def test_one_class_may_stand_for_all_samples():
    fitted = generator(Condition.fit_from_data(torch.tensor([0, 1, 2])))
    one = fitted.sample(4, torch.tensor(2), seed=1)
    torch.testing.assert_close(one, fitted.sample(4, torch.tensor([2, 2, 2, 2]), seed=1))
    assert not torch.equal(one, fitted.sample(4, torch.tensor(1), seed=1))


@pytest.mark.parametrize("condition", [None, torch.tensor([0, 1, 2]), torch.randn(9, 2)])
def test_files_hold_the_generator(tmp_path, condition):
    fitted = generator(None if condition is None else Condition.fit_from_data(condition))
    fitted.save(tmp_path / "generator.lfi")
    again = lfi.load(tmp_path / "generator.lfi")
    what = None if condition is None else condition[0]
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


def test_a_condition_has_to_fit():
    plain, of_class = generator(), generator(Condition.fit_from_data(torch.tensor([0, 1, 2])))
    with pytest.raises(ValueError, match="takes no condition"):
        plain.sample(2, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="needs a condition"):
        of_class.sample(2)
    with pytest.raises(ValueError, match="3 rows for 2 samples"):
        of_class.sample(2, torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="classes are 0 to 2"):
        of_class.sample(1, torch.tensor(3))
    with pytest.raises(ValueError, match="n must be at least 0, got -1"):
        plain.sample(-1)


def test_numbers_as_conditions_are_standardised_and_keep_their_shape():
    condition = 100 + 7 * torch.randn(500, 2, 2)
    encode = Condition.fit_from_data(condition)
    encoded = encode(condition)
    assert encoded.shape == (500, 4)
    torch.testing.assert_close(
        encoded.std(0, correction=0), torch.ones(4).float(), atol=1e-4, rtol=0
    )
    with pytest.raises(ValueError, match=r"expected \(n, 2, 2\)"):
        encode(torch.zeros(3, 4))


def test_a_generator_says_what_it_is_on_one_screen():
    fitted = generator(Condition.fit_from_data(torch.tensor([0, 1, 2])))
    assert "MixtureGenerator" in repr(fitted) and "3 classes" in fitted.describe()
    assert len(repr(fitted).splitlines()) < 10


def test_a_number_alone_is_a_condition():
    condition = 100 + 7 * torch.randn(500)
    encode = Condition.fit_from_data(condition)
    encoded = encode(condition)
    assert encode.shape == () and encoded.shape == (500, 1)
    assert 0.9 < encoded.std().item() < 1.1
    fitted = lfi.fit_generator(
        (condition[:, None], condition), settings=lfi.AdversarialSettings(steps=2), seed=1
    )
    assert fitted.sample(3, condition[:3], seed=1).shape == (3, 1)
    assert fitted.sample(3, condition[0], seed=1).shape == (3, 1)
