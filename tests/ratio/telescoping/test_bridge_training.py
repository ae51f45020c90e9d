"""Training of bridges: they learn, and what they say of the distance of waymarks is right."""

import math

import pytest
import torch
import torch.nn.functional as F

from lfi.comparison import Bernoulli, Brier
from lfi.networks import Bridges
from lfi.ratio.telescoping.bridge_training import EVEN, FASTEST, train_bridges
from lfi.ratio.telescoping.endpoint_samples import endpoints_of_samples
from lfi.ratio.telescoping.waymarks import Waymarks
from lfi.training import CompleteSettings

ONE = Waymarks(torch.tensor([0.0, 1.0], dtype=torch.float32))
TWO = Waymarks(torch.tensor([0.0, 0.7, 1.0], dtype=torch.float32))


def settings(steps, learning_rate):
    return CompleteSettings(
        steps, 256, learning_rate, weight_decay=0.0, average=0.998, held_out=0.2
    )


def trained(network, waymarks, both, loss, steps, learning_rate):
    return train_bridges(
        network, waymarks, both, loss, settings=settings(steps, learning_rate), seed=1
    )


def endpoints(shift=2.0, n=20_000, size=1):
    p, q = (torch.randn(n, size, dtype=torch.float32) for _ in range(2))
    return endpoints_of_samples(p + shift, q, settings(1, 1.0), seed=1)


def test_the_distance_of_waymarks_is_that_of_the_exact_ratio():
    # N(2, 1) against N(0, 1), the exact log ratio h = 2 x - 2
    both, network = endpoints(), Bridges(1, 1)
    z = both.whiten(torch.tensor([[0.0], [1.0]], dtype=torch.float32))
    network.fit_from_moments(*ONE.moments(both.moments_p, both.moments_q))
    slope = 2 / (z[1] - z[0]).item()
    with torch.no_grad():  # in whitened coordinates, and centred
        network.slope.fill_(slope / network.whitener.item())
        network.constant.fill_(-2 + slope * (network.centre.item() - z[0].item()))
    x = torch.linspace(-9, 11, 100_001)
    p, q = ((-0.5 * (x - m) ** 2).exp() / math.sqrt(2 * math.pi) for m in (2, 0))
    h = 2 * x - 2
    loss = (p * F.softplus(-h) + q * F.softplus(h)).sum() * (x[1] - x[0])
    found = trained(network, ONE, both, Bernoulli(), 1, 1e-12)
    # means over 4,000 rows of either side of softplus, whose standard deviation is below 1 here
    error = 5 * math.sqrt(2 / 4_000) / 2
    assert found.divergences == pytest.approx([math.log(2) - loss.item() / 2], abs=error)


def test_undecided_bridges_see_no_distance():
    found = trained(Bridges(1, 2), TWO, endpoints(), Bernoulli(), 1, 1e-12)
    assert found.divergences == pytest.approx([0.0, 0.0], abs=1e-6)  # float32


@pytest.mark.parametrize("loss", [Bernoulli(), Brier()], ids=repr)
def test_bridges_learn_under_any_loss(loss):
    found = trained(Bridges(1, 2, width=16, layers=1), TWO, endpoints(), loss, 200, 1e-2)
    assert all(v > 0.02 for v in found.divergences)  # undecided bridges: 0
    assert found.history.steps == 200


def test_the_loss_is_the_mean_over_bridges():
    network = Bridges(1, 2, width=8, layers=1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    x_0, x_1 = (torch.randn(9, 1, dtype=torch.float32) for _ in range(2))
    h_p, h_q = network.successive(TWO(x_0, x_1))
    apart = torch.stack([Brier()(p, q) for p, q in zip(h_p, h_q, strict=True)])
    torch.testing.assert_close(Brier()(h_p, h_q), apart.mean())


def test_forms_of_many_coefficients_learn_more_slowly(monkeypatch):
    groups = {}

    class Spy(torch.optim.AdamW):
        def __init__(self, params, **options):
            groups.update({id(p): group["lr"] for group in params for p in group["params"]})
            super().__init__(params, **options)

    monkeypatch.setattr("lfi.ratio.telescoping.bridge_training.AdamW", Spy)
    network, rate = Bridges(20, 2), 3e-3
    both = endpoints(n=300, size=20)
    trained(network, TWO, both, Bernoulli(), 1, rate)
    assert groups.keys() == {id(p) for p in network.parameters()}
    assert groups[id(network.form)] == pytest.approx(rate * EVEN / 20)
    assert groups[id(network.slope)] == pytest.approx(rate * EVEN / math.sqrt(20))
    assert groups[id(network.constant)] == pytest.approx(rate * FASTEST)
    assert groups[id(network.read)] == rate


def test_the_trunk_joins_in_late():
    network, both, calls = Bridges(2, 2, width=8), endpoints(n=300, size=2), []
    network.trunk.register_forward_hook(lambda *_: calls.append(network.training))
    trained(network, TWO, both, Bernoulli(), 10, 1e-2)
    assert sum(calls) == 7
    assert network.read.abs().sum() > 0
