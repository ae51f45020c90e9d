"""Neural ratios: right on known pairs, for every loss, and errors that say what is wrong."""

import numpy as np
import pytest
import torch
from torch import nn

import lfi
from lfi.ratio.calibration import Affine, Isotonic

QUICK = {"members": 2, "steps": 100, "seed": 1, "progress": False}
LOSSES = (
    lfi.Bernoulli(),
    lfi.Brier(),
    lfi.Spherical(),
    lfi.Exponential(),
    lfi.KL(),
    lfi.ReverseKL(),
    lfi.WithPrior(lfi.Bernoulli(), 0.2),
)


def shifted(n=2_000):
    return 1 + torch.randn(n), torch.randn(n)


def rmse(ratio, x):
    return (ratio.log_ratio(x) - (x - 0.5)).square().mean().sqrt().item()


# 2,000 + 2,000 points: logistic regression on x alone has a standard error of .05 nats, and five
# times that bounds what a quick fit may lose besides.
@pytest.mark.parametrize(
    "loss",
    [LOSSES[0], *(pytest.param(loss, marks=pytest.mark.slow) for loss in LOSSES[1:])],
    ids=str,
)
def test_a_shift_is_recovered_with_every_loss(loss):
    p, q = shifted()
    ratio = lfi.fit_ratio(p, q, loss=loss, **QUICK)
    assert rmse(ratio, torch.cat([p, q])) < 0.25


def test_samples_of_unequal_sizes_need_no_class_prior():
    p, q = 1 + torch.randn(500), torch.randn(5_000)
    ratio = lfi.fit_ratio(p, q, **QUICK)
    assert abs((ratio.log_ratio(q) - (q - 0.5)).mean()) < 0.3  # log(5000/500) is 2.3


def test_equal_seeds_give_equal_ratios_and_arrays_are_taken():
    p, q = shifted(300)
    one = lfi.fit_ratio(p, q, **QUICK)
    two = lfi.fit_ratio(p.numpy(), q.numpy(), **QUICK)
    x = torch.linspace(-2, 2, 9)
    assert torch.equal(one.log_ratio(x), two.log_ratio(x))
    other = lfi.fit_ratio(p, q, **{**QUICK, "seed": 2})
    assert not torch.equal(one.log_ratio(x), other.log_ratio(x))
    assert one.members(x).shape == (2, 9) and len(one.history) >= 1


def test_a_ratio_is_saved_and_loaded(tmp_path):
    p, q = shifted(300)
    ratio = lfi.fit_ratio(p, q, calibration=Isotonic(), **QUICK)
    ratio.save(tmp_path / "ratio.lfi")
    x = torch.linspace(-3, 3, 50)
    assert torch.equal(lfi.load(tmp_path / "ratio.lfi").log_ratio(x), ratio.log_ratio(x))


def test_a_critic_of_ones_own_sees_whole_events(tmp_path):
    p, q = 1 + torch.randn(600, 1, 4, 4), torch.randn(600, 1, 4, 4)
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3, dtype=torch.float32), nn.Flatten(), nn.Linear(8, 1, dtype=torch.float32)
    )
    critic = nn.Sequential(network, nn.Flatten(0))
    ratio = lfi.fit_ratio(p, q, critic=critic, **QUICK)
    assert ratio.log_ratio(p).mean() > 1 > -1 > ratio.log_ratio(q).mean()
    ratio.save(tmp_path / "own.lfi")
    again = lfi.load(tmp_path / "own.lfi", modules={"critic": critic})
    assert torch.equal(again.log_ratio(p[:5]), ratio.log_ratio(p[:5]))


def test_calibration_mends_an_overconfident_value():
    h = torch.randn(20_000) + 0.5  # log N(1,1)/N(0,1) at p, in units of x - 1/2
    h_p, h_q = h, torch.randn(20_000) - 0.5
    for calibration in (Affine(), Isotonic()):
        mended = calibration.fit(3 * h_p, 3 * h_q)  # three times too sure
        x = torch.linspace(-1.5, 1.5, 31)
        assert (mended(3 * x) - x).abs().mean() < 0.1 < (3 * x - x).abs().mean()


@pytest.mark.parametrize(
    "change, error, says",
    [
        ({"loss": lfi.Hinge()}, ValueError, "recovers SIGN"),
        ({"loss": lfi.Wasserstein()}, ValueError, "recovers NOTHING"),
        ({"loss": lfi.DonskerVaradhan()}, ValueError, "recovers UP_TO_CONSTANT"),
        ({"penalties": (lfi.R1(0.1),)}, ValueError, "recovers NOTHING"),
        ({"loss": lfi.NREC()}, ValueError, "compares pairs"),
        ({"members": 0}, ValueError, "members must be positive"),
        ({"held_out": 1.0}, ValueError, "held_out must lie between"),
    ],
)
def test_what_gives_no_ratio_is_refused(change, error, says):
    with pytest.raises(error, match=says):
        lfi.fit_ratio(*shifted(200), **{**QUICK, **change})


def test_samples_that_do_not_fit_are_refused():
    p, q = torch.randn(200, 2), torch.randn(200, 3)
    with pytest.raises(ValueError):
        lfi.fit_ratio(p, q, **QUICK)
    with pytest.raises(ValueError):
        lfi.fit_ratio(p[:10], p, **QUICK)
    broken = p.clone()
    broken[3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        lfi.fit_ratio(broken, p, **QUICK)
    ratio = lfi.fit_ratio(p, p + 1, **QUICK)
    with pytest.raises(ValueError):
        ratio.log_ratio(q)


def test_the_global_state_is_left_alone():
    state = torch.get_rng_state()
    lfi.fit_ratio(torch.ones(60).cumsum(0), torch.arange(60.0), **{**QUICK, "steps": 5})
    assert torch.equal(state, torch.get_rng_state())
