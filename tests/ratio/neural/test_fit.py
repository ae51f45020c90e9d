"""Neural ratios: right on known pairs, for every loss, and errors that say what is wrong."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Gamma, Independent, MixtureSameFamily, Normal

import lfi
from lfi.ratio import Affine, Beta, Isotonic

QUICK = {"members": 2, "settings": lfi.TrainSettings(steps=100), "seed": 1, "progress": False}
TINY = {**QUICK, "settings": lfi.TrainSettings(steps=10)}
LOSSES = (
    lfi.losses.Bernoulli(),
    lfi.losses.Brier(),
    lfi.losses.Spherical(),
    lfi.losses.Exponential(),
    lfi.losses.KL(),
    lfi.losses.ReverseKL(),
    lfi.losses.WithPrior(lfi.losses.Bernoulli(), 0.2),
)


def vectors(mean, dim):
    return Independent(Normal(torch.full((dim,), mean), 1.0), 1)


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


CASES = {
    "shift": (vectors(1.0, 1), vectors(0.0, 1)),
    "gamma": (Gamma(3.0, 1.0), Gamma(2.0, 1.0)),
    "shift 2-D": (vectors(1.0, 2), vectors(0.0, 2)),
    "shift 5-D": (vectors(0.5, 5), vectors(0.0, 5)),
    "scale": (Normal(0.0, 0.5), Normal(0.0, 1.0)),
}


# What is claimed of 5,000 + 5,000 points and the defaults, as a median of five seeds. Measured over
# eight losses by tests/benchmarks/neural_ratio.py; here one seed, and the claim itself as the
# bound, of which most cases stay below the half.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "loss", "bound"),
    [
        ("shift", lfi.losses.Bernoulli(), 0.15),
        ("shift", lfi.losses.LSIF(), 0.35),
        ("gamma", lfi.losses.Brier(), 0.15),
        ("gamma", lfi.losses.ReverseKL(), 0.15),
        ("shift 2-D", lfi.losses.KL(), 0.15),
        ("shift 2-D", lfi.losses.Exponential(), 0.15),
        ("shift 5-D", lfi.losses.Spherical(), 0.2),
        ("shift 5-D", lfi.losses.KL(), 0.2),
        ("scale", lfi.losses.Bernoulli(), 0.15),
    ],
    ids=str,
)
def test_5_000_points_give_the_log_ratio(case, loss, bound):
    densities = CASES[case]
    p, q = (density.sample((5_000,)) for density in densities)
    ratio = lfi.fit_ratio(p, q, loss=loss, seed=1)
    x = torch.cat([p, q])
    if case == "scale":  # beyond the central 99% of q lies no sample of p
        x = x[x.abs() < 2.576]
    exact = densities[0].log_prob(x) - densities[1].log_prob(x)
    assert (ratio.log_ratio(x) - exact).square().mean().sqrt() < bound


@pytest.mark.slow
def test_where_the_smooth_critic_fails_the_free_one_bends():
    modes = MixtureSameFamily(Categorical(torch.ones(2)), Normal(torch.tensor([-1.0, 1.0]), 0.5))
    q = Normal(0.0, 1.2)
    ratio = lfi.fit_ratio(modes.sample((5_000,)), q.sample((5_000,)), seed=1)
    assert ratio.critics.weights[2] > 0.8
    x = torch.linspace(-2.5, 2.5, 200)
    exact = modes.log_prob(x) - q.log_prob(x)
    # log r bends by 2 nats between the modes; the smooth critic alone errs by .7
    assert (ratio.log_ratio(x) - exact).square().mean().sqrt() < 0.2


def test_the_linear_critic_carries_what_is_linear():
    p, q = shifted(4_000)
    ratio = lfi.fit_ratio(p, q, members=2, settings=lfi.TrainSettings(steps=200), seed=1)
    h = ratio.log_ratio(torch.tensor([-3.0, 0.5, 4.0]))  # where there are few samples too
    # five standard errors of logistic regression, whose slope errs by 0.03 and offset by 0.03
    allowed = 5 * (0.03 * torch.tensor([3.5, 0.0, 3.5]) + 0.03)
    assert ((h - torch.tensor([-3.5, 0.0, 3.5])).abs() < allowed).all()


def test_samples_of_unequal_sizes_need_no_class_prior():
    p, q = 1 + torch.randn(500), torch.randn(5_000)
    ratio = lfi.fit_ratio(p, q, **QUICK)
    assert abs((ratio.log_ratio(q) - (q - 0.5)).mean()) < 0.3  # log(5000/500) is 2.3


@pytest.mark.slow
def test_a_prior_of_the_loss_moves_nothing():
    p, q = 1 + torch.randn(3_000), torch.randn(600)
    for loss in (lfi.losses.Bernoulli(), lfi.losses.WithPrior(lfi.losses.Bernoulli(), 5 / 6)):
        ratio = lfi.fit_ratio(p, q, loss=loss, **QUICK)
        # an offset's standard error is 1/sqrt(600 * .2) = .09; log 5 is 1.6
        assert abs(ratio.log_ratio(torch.tensor([0.5]))[0]) < 5 * 0.09


@pytest.mark.slow
def test_a_balanced_critic_is_still_a_ratio():
    p, q = shifted()
    ratio = lfi.fit_ratio(p, q, penalties=(lfi.penalties.Balance(10.0),), **QUICK)
    assert rmse(ratio, torch.cat([p, q])) < 0.25


def test_equal_seeds_give_equal_ratios_and_arrays_are_taken():
    p, q = shifted(300)
    one = lfi.fit_ratio(p, q, **TINY)
    two = lfi.fit_ratio(p.numpy(), q.numpy(), **TINY)
    x = torch.linspace(-2, 2, 9)
    assert torch.equal(one.log_ratio(x), two.log_ratio(x))
    assert torch.equal(one.log_ratio(x), one.log_ratio(x.numpy()))
    other = lfi.fit_ratio(p, q, **{**TINY, "seed": 2})
    assert not torch.equal(one.log_ratio(x), other.log_ratio(x))


def test_the_global_state_is_left_alone():
    state = torch.get_rng_state()
    lfi.fit_ratio(torch.ones(60).cumsum(0), torch.arange(60.0), **TINY)
    assert torch.equal(state, torch.get_rng_state())


def test_the_value_is_the_mean_of_its_members_and_differentiable():
    ratio = lfi.fit_ratio(*shifted(), **QUICK)
    x = torch.tensor([0.0, 1.0], requires_grad=True)
    h = ratio.log_ratio(x)
    assert ratio.members(x).shape == (2, 2)
    torch.testing.assert_close(h, ratio.members(x).mean(0))
    (slope,) = torch.autograd.grad(h.sum(), x)
    assert ((slope - 1).abs() < 0.3).all()
    assert not ratio.log_ratio(x.detach()).requires_grad


def test_the_dtype_is_that_of_x_and_large_inputs_pass_in_parts():
    ratio = lfi.fit_ratio(*shifted(200), **TINY)
    for dtype in (torch.float32, torch.float64):
        assert ratio.log_ratio(torch.zeros(2, dtype=dtype)).dtype == dtype
    assert ratio.log_ratio(torch.zeros(2, dtype=torch.long)).dtype == torch.float64  # the default
    x = torch.randn(20_000)
    torch.testing.assert_close(ratio.log_ratio(x)[-5:], ratio.log_ratio(x[-5:]))


def test_scalars_may_be_columns():
    p, q = shifted(300)
    flat = lfi.fit_ratio(p, q, **TINY)
    column = lfi.fit_ratio(p[:, None], q[:, None], **TINY)
    x = torch.linspace(-2, 2, 9)
    torch.testing.assert_close(flat.log_ratio(x), column.log_ratio(x[:, None]))


def test_histories_show_early_stopping_by_log_loss():
    ratio = lfi.fit_ratio(*shifted(200), loss=lfi.losses.LSIF(), **QUICK)
    assert [history.steps for history in ratio.history] == [30, 50, 100]
    for history in ratio.history:
        judged = dict(history.columns["held-out"])
        assert history.best_step == min(judged, key=judged.get)
        assert history.seed == 1
        # 2 log 2 = 1.39 less 2 JS(p, q) = 0.22, within some standard errors of 160 held-out rows
        assert judged[history.best_step] == pytest.approx(1.16, abs=0.25)


class Sure(nn.Module):
    """A critic that is three times too sure of N(1, 1) against N(0, 1) and learns nothing."""

    def __init__(self):
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros((), dtype=torch.float32))

    def forward(self, x):
        return 3 * (x - 0.5) + 0 * self.nothing


@pytest.mark.parametrize("calibration", [Affine(), Beta(), Isotonic()], ids=repr)
def test_calibration_mends_a_fit_that_is_too_sure(calibration):
    p, q = shifted(4_000)
    x, settings = torch.cat([p, q]), lfi.TrainSettings(steps=2)
    plain, mended = (
        lfi.fit_ratio(p, q, critic=Sure(), calibration=c, settings=settings, seed=1)
        for c in (None, calibration)
    )
    before, after = rmse(plain, x), rmse(mended, x)
    assert before == pytest.approx(2 * (x - 0.5).square().mean().sqrt().item(), rel=1e-5)
    assert after < 0.2 * before
    assert plain.kl(p).value > 1.3  # three times 1/2 nat
    assert abs(mended.kl(1 + torch.randn(10_000)).value - 0.5) < 0.1


def test_a_ratio_is_saved_and_loaded(tmp_path):
    ratio = lfi.fit_ratio(*shifted(300), calibration=Isotonic(), **TINY)
    ratio.save(tmp_path / "ratio.lfi")
    again = lfi.load(tmp_path / "ratio.lfi")
    x = torch.linspace(-3, 3, 50)
    assert torch.equal(again.log_ratio(x), ratio.log_ratio(x))
    assert again.history == ratio.history
    assert again.calibrated == ratio.calibrated
    assert repr(again) == ratio.describe()
    assert repr(again).startswith("log ratio of events () by 2 critics\n  weights linear ")
    assert len(repr(again).splitlines()) < 10


def test_a_critic_of_ones_own_sees_whole_events(tmp_path):
    p, q = 1 + torch.randn(600, 1, 4, 4), torch.randn(600, 1, 4, 4)
    critic = nn.Sequential(
        nn.Conv2d(1, 2, 3, dtype=torch.float32),
        nn.Flatten(),
        nn.Linear(8, 1, dtype=torch.float32),
        nn.Flatten(0),
    )
    before = critic[0].weight.clone()
    ratio = lfi.fit_ratio(p, q, critic=critic, **QUICK)
    assert ratio.log_ratio(p).mean() > 1 > -1 > ratio.log_ratio(q).mean()
    assert torch.equal(critic[0].weight, before)  # copies were trained
    assert critic[0].weight.requires_grad
    ratio.save(tmp_path / "own.lfi")
    again = lfi.load(tmp_path / "own.lfi", modules={"critic": critic})
    assert torch.equal(again.log_ratio(p[:5]), ratio.log_ratio(p[:5]))
    with pytest.raises(ValueError, match='modules={"critic": network}'):
        lfi.load(tmp_path / "own.lfi")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"loss": lfi.losses.Hinge()}, "recovers SIGN"),
        ({"loss": lfi.losses.Wasserstein()}, "recovers NOTHING"),
        ({"loss": lfi.losses.DonskerVaradhan()}, "recovers UP_TO_CONSTANT"),
        ({"loss": lfi.losses.NREB()}, "recovers UP_TO_X"),
        ({"penalties": (lfi.penalties.R1(0.1),)}, "recovers NOTHING"),
        ({"loss": lfi.losses.NREC()}, "two samples hold no pairs"),
        ({"members": 0}, "members must be at least 1"),
    ],
    ids=str,
)
def test_what_gives_no_ratio_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        lfi.fit_ratio(*shifted(200), **{**TINY, **change})


def test_samples_that_do_not_fit_are_refused():
    p, q = torch.randn(200, 2), torch.randn(200, 3)
    with pytest.raises(ValueError, match=r"one shape, got \(200, 2\) and \(200, 3\)"):
        lfi.fit_ratio(p, q, **TINY)
    with pytest.raises(ValueError, match="p_samples: 10 rows are too few, need at least 50"):
        lfi.fit_ratio(p[:10], p, **TINY)
    broken = p.clone()
    broken[3] = np.nan
    with pytest.raises(ValueError, match="p_samples: 1 of 200 rows are not finite"):
        lfi.fit_ratio(broken, p, **TINY)
    ratio = lfi.fit_ratio(p, p + 1, **TINY)
    with pytest.raises(ValueError, match=r"x has shape \(200, 3\), expected \(n, 2\)"):
        ratio.log_ratio(q)


def test_samples_that_take_gradients_are_taken_as_they_are():
    p, q = torch.randn(60).requires_grad_(), torch.randn(60).requires_grad_()
    ratio = lfi.fit_ratio(p, q, **{**TINY, "members": 1})
    assert ratio.log_ratio(p).requires_grad


@pytest.mark.parametrize("change", [{"width": 0}, {"layers": -1}])
def test_networks_have_a_size(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        lfi.fit_ratio(torch.randn(60), torch.randn(60), seed=1, **change)
