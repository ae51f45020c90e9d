"""The multiscale critic: waves of its first input, and what they are for."""

import torch
import torch.nn.functional as F

from lfi.networks import FourierFeatureCritic, VectorCritic


def test_the_first_layer_sees_waves_of_the_first_input_alone():
    critic = FourierFeatureCritic([(2,), (3,)], scales=4, width=8)
    assert critic.first.in_features == 2 * (1 + 2 * 4) + 3
    x, given = torch.randn(5, 2).float(), torch.randn(5, 3).float()
    seen = []
    critic.first.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    critic(x, given)
    waves = [torch.sin(8 * x), torch.cos(x)]  # the last of the sines, the first of the cosines
    torch.testing.assert_close(seen[0][:, 8:12], torch.cat(waves, dim=1))
    torch.testing.assert_close(seen[0][:, -3:], given)


def test_features_are_values_of_their_own():
    assert FourierFeatureCritic([(2, 2)], width=8)(torch.zeros(5, 2, 2).float()).shape == (5,)
    assert FourierFeatureCritic([(2,)], features=4, width=8)(torch.zeros(5, 2).float()).shape == (
        5,
        4,
    )


def test_rows_do_not_see_each_other():
    critic, x = FourierFeatureCritic([(2,)], width=8), torch.randn(6, 2).float()
    torch.testing.assert_close(critic(x)[2:4], critic(x[2:4]))


def test_waves_learn_fine_structure_that_a_plain_critic_does_not():
    # a target of period 0.2 over four units: 200 steps of least squares
    x = torch.linspace(-2, 2, 400)[:, None].float()
    target = torch.sin(10 * torch.pi * x[:, 0])

    def error(critic):
        optimiser = torch.optim.Adam(critic.parameters(), lr=3e-3)
        for _ in range(200):
            optimiser.zero_grad()
            F.mse_loss(critic(x), target).backward()
            optimiser.step()
        return F.mse_loss(critic(x), target).item()

    assert error(FourierFeatureCritic([(1,)], width=32)) < 0.05  # of a variance of 0.5
    assert error(VectorCritic([(1,)], width=32)) > 0.25
