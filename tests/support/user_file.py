"""A simulator's file, as a user writes it."""

USER_FILE = '''
"""A simulator of the user's own."""
import torch
from torch.distributions import Normal
prior = {"mean": Normal(0.0, 1.0)}
x_obs = torch.tensor([0.5, 0.7])
def simulate(theta, rng: torch.Generator):
    return theta + torch.randn(len(theta), 2, generator=rng)
class Other:
    prior = prior
    simulate = staticmethod(simulate)
other = Other()
'''
