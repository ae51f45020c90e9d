"""Telescoping ratios: where one classifier is blind, a sum of easy ones is not."""

import math

import numpy as np
import pytest
import torch

import lfi

TINY = {"width": 8, "settings": lfi.TrainSettings(steps=30, batch_size=64)}
SHORT = lfi.TrainSettings(steps=1_000, batch_size=256)


def samples(n=500, size=2, shift=2.0):
    return shift + torch.randn(n, size), torch.randn(n, size)


def correlated(nats, size, n):
    half = size // 2
    rho = math.sqrt(-math.expm1(-2 * nats / half))
    x, noise = torch.randn(n, half), torch.randn(n, half)
    return x, rho * x + math.sqrt(1 - rho**2) * noise


# What it is for.


@pytest.mark.slow
def test_ten_nats_in_forty_dimensions_where_one_bridge_fails():
    x, y = correlated(10.0, 40, 60_000)
    pairs = torch.cat(correlated(10.0, 40, 20_000), dim=1)
    told = {}
    for bridges in (None, 1):
        method = lfi.TelescopingRatio(bridges=bridges, settings=SHORT)
        told[bridges] = method.fit_pairs(x, y, seed=1, progress=False).kl(pairs).value
    assert told[None] == pytest.approx(10.0, rel=0.1)
    assert abs(told[1] - 10.0) > 1.0  # a single bridge stays at 7.6 with the benchmark's steps


@pytest.mark.slow
def test_a_far_shift_is_bridged():
    # N(6, 1) against N(0, 1): no sample of either looks like one of the other
    p, q = samples(20_000, 1, shift=6.0)
    method = lfi.TelescopingRatio(settings=SHORT)
    ratio = method.fit(p, q, seed=1, progress=False)
    x = torch.linspace(-1, 7, 17)[:, None]
    # exactly 6 x - 18, from -24 to 24: a tenth of its spread, 14.7, is what a short fit may miss
    assert (ratio.log_ratio(x) - (6 * x[:, 0] - 18)).square().mean().sqrt() < 1.47
    assert len(ratio.separation_) == len(ratio.coefficients_) - 1 > 2
    assert (ratio.separation_ < 0.7).all()


@pytest.mark.slow
def test_two_narrow_modes_far_from_a_broad_gaussian():
    # half N(-1, 0.1^2), half N(1, 0.1^2), against N(0, 5^2), in two dimensions
    p = torch.distributions.Normal(torch.tensor([[-1.0] * 2, [1.0] * 2]), 0.1)
    q = torch.distributions.Normal(torch.zeros(2), 5.0)

    def draw(n):
        return p.sample((n,))[torch.arange(n), torch.randint(2, (n,))]

    def exact(x):
        return p.log_prob(x[:, None]).sum(-1).logsumexp(1) - math.log(2) - q.log_prob(x).sum(1)

    x_p, x_q, fresh = draw(20_000), q.sample((20_000,)), draw(5_000)
    errors = {}
    for bridges in (None, 1):
        method = lfi.TelescopingRatio(bridges=bridges, settings=SHORT)
        ratio = method.fit(x_p, x_q, seed=1, progress=False)
        with torch.no_grad():
            errors[bridges] = (ratio.log_ratio(fresh) - exact(fresh)).square().mean().sqrt()
    assert errors[None] < 0.5 * errors[1]


def test_equal_distributions_need_one_bridge_and_have_a_ratio_of_one():
    p, q = samples(4_000, shift=0.0)
    settings = lfi.TrainSettings(steps=100, batch_size=128, learning_rate=1e-3)
    method = lfi.TelescopingRatio(width=8, settings=settings)
    ratio = method.fit(p, q, seed=1, progress=False)
    assert len(ratio.coefficients_) == 2
    # a classifier fitted to 3,600 of either has log ratios of the order of sqrt(8 terms/3600)
    assert ratio.log_ratio(q).abs().mean() < 5 * math.sqrt(8 / 3_600)


# What it says.


def test_the_ratio_is_the_sum_of_its_bridges():
    ratio = lfi.TelescopingRatio(bridges=3, **TINY).fit(*samples(), seed=4)
    x = torch.randn(7, 2)
    assert ratio.bridge_log_ratios(x).shape == (3, 7)
    torch.testing.assert_close(ratio.bridge_log_ratios(x).sum(0), ratio.log_ratio(x))
    assert ratio.coefficients_.tolist() == sorted(ratio.coefficients_.tolist())
    assert len(ratio.coefficients_) == 4
    assert ratio.describe().startswith("log ratio of events (2,) by 3 bridges\n")


def test_levels_may_be_given():
    ratio = lfi.TelescopingRatio(coefficients=(0.0, 0.3, 1.0), **TINY).fit(*samples(), seed=4)
    assert ratio.coefficients_.tolist() == [0.0, 0.3, 1.0]
    assert len(ratio.bridge_log_ratios(torch.zeros(1, 2))) == 2


def test_a_fit_repeats_itself_and_records_its_seed():
    p, q = samples()
    x = torch.randn(7, 2)
    one, two, three = (
        lfi.TelescopingRatio(**TINY).fit(p, q, seed=seed).log_ratio(x) for seed in (4, 4, 5)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    unseeded = lfi.TelescopingRatio(bridges=1, **TINY).fit(p, q)
    again = lfi.TelescopingRatio(bridges=1, **TINY).fit(p, q, seed=unseeded.history_.seed)
    assert torch.equal(unseeded.log_ratio(x), again.log_ratio(x))


def test_fits_do_not_depend_on_the_default_dtype():
    p, q = samples()
    x = torch.randn(7, 2)
    one = lfi.TelescopingRatio(**TINY).fit(p, q, seed=4).log_ratio(x)
    torch.set_default_dtype(torch.float32)
    assert torch.equal(lfi.TelescopingRatio(**TINY).fit(p, q, seed=4).log_ratio(x), one)


def test_the_global_state_is_left_as_it_was():
    p, q = samples()
    before = torch.get_rng_state()
    lfi.TelescopingRatio(bridges=2, **TINY).fit(p, q, seed=3)
    assert torch.equal(before, torch.get_rng_state())


def test_the_answer_has_the_dtype_of_the_question_and_a_gradient():
    ratio = lfi.TelescopingRatio(bridges=2, **TINY).fit(*samples(), seed=1)
    assert ratio.log_ratio(torch.zeros(3, 2, dtype=torch.float32)).dtype == torch.float32
    assert ratio.log_ratio(np.zeros((3, 2))).dtype == torch.float64
    x = torch.zeros(3, 2, requires_grad=True)
    ratio.log_ratio(x).sum().backward()
    assert x.grad.abs().sum() > 0


def test_many_rows_are_as_few_at_a_time():
    ratio = lfi.TelescopingRatio(bridges=2, **TINY).fit(*samples(), seed=1)
    x = torch.randn(5_000, 2)
    some = torch.cat([ratio.log_ratio(part) for part in x.split(1_000)])
    torch.testing.assert_close(ratio.log_ratio(x), some, atol=1e-4, rtol=1e-4)  # float32


def test_events_of_any_shape_and_numpy_are_taken():
    p, q = (np.random.default_rng(i).normal(i, 1, (300, 2, 3)) for i in range(2))
    ratio = lfi.TelescopingRatio(bridges=2, **TINY).fit(p, q, seed=1)
    assert ratio.event_shape_ == (2, 3)
    assert ratio.n_features_in_ == 6
    assert ratio.log_ratio(p).shape == (300,)
    scalar = lfi.TelescopingRatio(bridges=2, **TINY).fit(p[:, 0, 0], q[:, 0, 0], seed=1)
    assert scalar.log_ratio(torch.zeros(4)).shape == (4,)


def test_entries_that_never_vary_change_nothing():
    p, q = samples()
    still = torch.ones(500, 1)
    ratio = lfi.TelescopingRatio(bridges=2, **TINY).fit(
        torch.cat([p, still], 1), torch.cat([q, still], 1), seed=1
    )
    assert ratio.log_ratio(torch.randn(9, 3)).isfinite().all()


def test_pairs_may_hold_a_discrete_x():
    x = torch.randint(3, (600,))
    ratio = lfi.TelescopingRatio(bridges=2, **TINY).fit_pairs(x, x + torch.randn(600), seed=1)
    assert ratio.log_ratio(torch.zeros(4, 2)).isfinite().all()
    assert ratio.event_shape_ == (2,)


def test_large_events_have_no_quadratic_form_unless_asked():
    p, q = samples(120, 3)
    for asked, has in ((None, True), (False, False), (True, True)):
        method = lfi.TelescopingRatio(quadratic=asked, bridges=2, **TINY)
        assert method.fit(p, q, seed=1).network_.quadratic is has
    p, q = samples(120, 600)
    assert not lfi.TelescopingRatio(bridges=1, **TINY).fit(p, q, seed=1).network_.quadratic


@pytest.mark.gpu
def test_bridges_train_on_the_device(device):
    if device == "cpu":
        pytest.skip("needs --device cuda")
    p, q = samples()
    ratio = lfi.TelescopingRatio(**TINY).fit(p, q, seed=1, device=device)
    assert next(ratio.network_.parameters()).device.type == device
    assert ratio.log_ratio(p).device.type == "cpu"
    assert (
        lfi.mutual_information(
            p, p + q, method=lfi.TelescopingRatio(**TINY), seed=1, device=device
        ).standard_error
        > 0
    )


# Conventions and refusals.


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"loss": lfi.losses.Hinge()}, "recovers SIGN"),
        ({"loss": lfi.losses.NREC()}, "two samples hold no pairs"),
        ({"bridges": 2, "coefficients": (0.0, 1.0)}, "bridges or coefficients"),
        ({"coefficients": (0.0, 0.5)}, "coefficients must increase"),
        ({"bridges": 0}, "bridges must be at least 1"),
        ({"layers": -1}, "layers must be at least 0"),
    ],
)
def test_wrong_arguments_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        lfi.TelescopingRatio(**change).fit(torch.randn(200), torch.randn(200), seed=1)


def test_wrong_samples_are_refused():
    method = lfi.TelescopingRatio(**TINY)
    with pytest.raises(ValueError, match="p_samples: 99 rows are too few"):
        method.fit(torch.randn(99), torch.randn(200))
    with pytest.raises(ValueError, match="events of one shape"):
        method.fit(torch.randn(200, 1), torch.randn(200, 2))
    with pytest.raises(ValueError, match="not finite"):
        method.fit(torch.full((200,), torch.nan), torch.randn(200))
    with pytest.raises(ValueError, match="99 pairs are too few"):
        method.fit_pairs(torch.randn(99), torch.randn(99))
    fitted = lfi.TelescopingRatio(bridges=1, **TINY).fit(*samples(), seed=1)
    with pytest.raises(ValueError, match=r"expected \(n, 2\)"):
        fitted.log_ratio(torch.zeros(3, 4))


def test_it_must_be_fitted_first_and_can_be_cloned():
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        lfi.TelescopingRatio().log_ratio(torch.zeros(3))
    copy = clone(lfi.TelescopingRatio(bridges=5, width=32))
    assert copy.get_params()["bridges"] == 5
    assert copy.set_params(layers=7, bridges=None).get_params()["layers"] == 7
    assert copy.bridges is None
    assert "layers=7" in repr(copy)


def test_units_of_each_coordinate_do_not_matter():
    p, q = torch.randn(600, 2), torch.randn(600, 2)
    p[:, 0] += 1.0
    x, units = torch.randn(9, 2), torch.tensor([1.0, 1e8])
    plain, scaled = (
        lfi.TelescopingRatio(bridges=1, settings=lfi.TrainSettings(steps=50)).fit(
            p * u, q * u, seed=1
        )
        for u in (torch.ones(2), units)
    )
    torch.testing.assert_close(
        scaled.log_ratio(x * units), plain.log_ratio(x), rtol=1e-3, atol=1e-3
    )  # float32 rounds otherwise in other units
