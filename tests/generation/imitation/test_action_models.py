"""Distributions of actions have the densities, entropies and draws of torch's, in the box."""

import gymnasium
import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Normal

from lfi.generation.imitation.action_models import (
    CategoricalActions,
    GaussianActions,
    action_model_of,
)

N = 20_000


def boxed(squashed=False):
    return GaussianActions((2,), [-2.0, 0.0], [2.0, 1.0], squashed=squashed)


def test_categories_are_as_torch_has_them():
    outputs, draws = torch.randn(50, 3), torch.randint(3, (50,))
    model, exact = CategoricalActions(3), Categorical(logits=outputs)
    torch.testing.assert_close(model.log_prob(outputs, draws), exact.log_prob(draws))
    torch.testing.assert_close(model.entropy(outputs), exact.entropy())


def test_categories_are_drawn_by_their_probabilities():
    logits = torch.tensor([0.0, 1.0, -1.0])
    draws = CategoricalActions(3).draw(logits.expand(N, 3), torch.Generator().manual_seed(0))
    found, p = torch.bincount(draws, minlength=3) / N, logits.softmax(0)
    assert ((found - p).abs() < 5 * (p * (1 - p) / N).sqrt()).all()  # 5 standard errors


def test_gaussians_are_as_torch_has_them():
    model, outputs, draws = boxed(), torch.randn(50, 2), torch.randn(50, 2)
    exact = Normal(outputs, model.log_scale.exp().double())
    torch.testing.assert_close(model.log_prob(outputs, draws), exact.log_prob(draws).sum(1))
    torch.testing.assert_close(model.entropy(outputs), exact.entropy().sum(1), check_dtype=False)
    many = model.draw(torch.zeros(N, 2), torch.Generator().manual_seed(0))
    scale = model.log_scale.exp().detach()
    assert ((many.std(0) / scale - 1).abs() < 5 / (2 * N) ** 0.5).all()  # 5 standard errors


@pytest.mark.parametrize("squashed", [False, True])
def test_actions_stay_in_the_box_and_the_critic_sees_them_from_minus_one_to_one(squashed):
    model, draws = boxed(squashed), 1.5 * torch.randn(100, 2)
    actions, code = model.actions(draws), model.code(draws).numpy()
    assert (actions >= [-2, 0]).all()
    assert (actions <= [2, 1]).all()
    np.testing.assert_allclose(actions, code * [2, 0.5] + [0, 0.5], atol=1e-6)
    assert bool((np.abs(actions) == 2).any()) is not squashed


@pytest.mark.parametrize("squashed", [False, True])
def test_actions_inside_the_box_give_their_draws_back(squashed):
    model, draws = boxed(squashed), torch.rand(100, 2) - 0.5
    back = model.draws_of("actions", torch.from_numpy(model.actions(draws)))
    torch.testing.assert_close(back.double(), draws, atol=1e-5, rtol=0)


def test_an_open_box_takes_its_scale_from_the_expert():
    model = GaussianActions((1,), [-np.inf], [np.inf])
    model.fit_from_data(torch.tensor([[10.0], [14.0]]))
    np.testing.assert_allclose(model.actions(torch.tensor([[1.0]])), [[14.0]])


def test_spaces_of_gymnasium_have_their_model():
    spaces = gymnasium.spaces
    discrete = action_model_of(spaces.Discrete(4, start=2))
    assert discrete.actions(torch.tensor([0, 3])).tolist() == [2, 5]
    box = action_model_of(spaces.Box(-1, 1, (2, 2)))
    assert box.actions(torch.zeros(3, 4)).shape == (3, 2, 2)
    with pytest.raises(TypeError, match="Discrete or a Box of reals, got MultiDiscrete"):
        action_model_of(spaces.MultiDiscrete([2, 2]))
    with pytest.raises(ValueError, match="squashed: it is True, but the box of actions is open"):
        action_model_of(spaces.Box(-np.inf, np.inf, (1,)), squashed=True)


@pytest.mark.parametrize(
    "model, actions, text",
    [
        (CategoricalActions(3), torch.tensor([0, 3]), "from 0 to 2, got 0 to 3"),
        (CategoricalActions(3), torch.tensor([0.5]), "must be whole numbers"),
        (boxed(), torch.zeros(5, 3), r"have shape \(3,\), the environment's have \(2,\)"),
    ],
)
def test_actions_of_another_environment_are_refused(model, actions, text):
    with pytest.raises(ValueError, match=f"expert: actions .*{text}"):
        model.draws_of("expert", actions)
