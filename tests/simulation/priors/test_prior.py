"""Priors of torch, Pyro and SciPy: exact draws, exact densities, an exact bijection."""

import json
import math
import threading

import numpy as np
import pyro.distributions
import pytest
import scipy.stats
import torch
from hypothesis import given, settings, strategies as st
from torch.distributions import (
    AffineTransform,
    Bernoulli,
    Beta,
    Categorical,
    Cauchy,
    Dirichlet,
    Distribution,
    Exponential,
    ExpTransform,
    Gamma,
    Gumbel,
    HalfCauchy,
    HalfNormal,
    Independent,
    InverseGamma,
    Laplace,
    LogNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    Pareto,
    Poisson,
    StudentT,
    TransformedDistribution,
    Uniform,
    Weibull,
    constraints,
)

from lfi.runtime.seeds import isolated
from lfi.simulation.priors.joint import ProductDistribution
from lfi.simulation.priors.marginals import TorchMarginal, dtype_of_draws
from lfi.simulation.priors.prior import Prior, as_prior
from lfi.simulation.priors.serialisation import constructor


def rng(seed=0):
    return np.random.default_rng(seed)


def in_float64(make):
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return make()
    finally:
        torch.set_default_dtype(default)


# Each torch law beside the same law of SciPy.
PAIRS = in_float64(
    lambda: {
        "beta": (Beta(2.0, 3.0), scipy.stats.beta(2, 3)),
        "cauchy": (Cauchy(1.0, 2.0), scipy.stats.cauchy(1, 2)),
        "exponential": (Exponential(2.0), scipy.stats.expon(scale=0.5)),
        "gamma": (Gamma(2.0, 3.0), scipy.stats.gamma(2, scale=1 / 3)),
        "gumbel": (Gumbel(1.0, 2.0), scipy.stats.gumbel_r(1, 2)),
        "half-cauchy": (HalfCauchy(2.0), scipy.stats.halfcauchy(scale=2)),
        "half-normal": (HalfNormal(2.0), scipy.stats.halfnorm(scale=2)),
        "inverse gamma": (InverseGamma(3.0, 2.0), scipy.stats.invgamma(3, scale=2)),
        "laplace": (Laplace(1.0, 2.0), scipy.stats.laplace(1, 2)),
        "log-normal": (LogNormal(0.4, 0.5), scipy.stats.lognorm(0.5, scale=math.exp(0.4))),
        "normal": (Normal(1.0, 2.0), scipy.stats.norm(1, 2)),
        "pareto": (Pareto(2.0, 3.0), scipy.stats.pareto(3, scale=2)),
        "student": (StudentT(4.0, 1.0, 2.0), scipy.stats.t(4, 1, 2)),
        "uniform": (Uniform(-1.0, 3.0), scipy.stats.uniform(-1, 4)),
        "weibull": (Weibull(2.0, 1.5), scipy.stats.weibull_min(1.5, scale=2)),
        "pyro": (pyro.distributions.Gamma(2.0, 3.0), scipy.stats.gamma(2, scale=1 / 3)),
        "transformed": (
            TransformedDistribution(
                Uniform(0.0, 1.0), [AffineTransform(3.0, -2.0), ExpTransform()]
            ),
            scipy.stats.loguniform(math.exp(1), math.exp(3)),
        ),
        "mixture": (  # has no inverse distribution function: cut by rejection
            MixtureSameFamily(
                Categorical(torch.tensor([0.5, 0.5])), Normal(torch.tensor([1.0, 1.0]), 2.0)
            ),
            scipy.stats.norm(1, 2),
        ),
        "truncnorm": (
            scipy.stats.truncnorm(a=-2.0, b=np.inf, loc=2.0, scale=1.0),
            scipy.stats.truncnorm(a=-2.0, b=np.inf, loc=2.0, scale=1.0),
        ),
    }
)
each_law = pytest.mark.parametrize("distribution, exact", PAIRS.values(), ids=PAIRS)
each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def one(distribution):
    return as_prior({"t": distribution})


def ks_bound(n):
    """P(sup |F_n - F| > bound) < 6e-7, the chance of five standard errors (Massart 1990)."""
    return math.sqrt(math.log(2 / 6e-7) / (2 * n))


def distance(values, cdf):
    return scipy.stats.kstest(values.double().numpy(), cdf).statistic


@each_law
def test_draws_have_the_law(distribution, exact):
    t = one(distribution).sample(4_000, seed=rng())[:, 0]
    assert distance(t, exact.cdf) < ks_bound(4_000)


@each_law
def test_log_density_is_that_of_scipy(distribution, exact):
    prior = one(distribution)
    t = torch.as_tensor(exact.ppf(np.linspace(0.01, 0.99, 41)))[:, None].to(prior.dtype)
    expected = torch.as_tensor(exact.logpdf(t[:, 0].numpy()), dtype=prior.dtype)
    torch.testing.assert_close(prior.log_prob(t), expected, rtol=1e-5, atol=1e-5)


@each_law
def test_the_bounds_are_those_of_scipy(distribution, exact):
    prior = one(distribution)
    np.testing.assert_allclose(prior.lower[0], exact.support()[0], rtol=1e-6)
    np.testing.assert_allclose(prior.upper[0], exact.support()[1], rtol=1e-6)


@each_law
@pytest.mark.parametrize("levels", [(0.1, 0.4), (0.6, 0.95)], ids=["below", "above"])
def test_truncated_draws_have_the_law_of_the_box(distribution, exact, levels):
    low, high = exact.ppf(levels[0]), exact.ppf(levels[1])
    prior = one(distribution).truncate([low], [high])
    t = prior.sample(4_000, seed=rng())
    assert prior.truncated and prior.contains(t).all()
    cdf = lambda v: (exact.cdf(v) - levels[0]) / (levels[1] - levels[0])
    assert distance(t[:, 0], cdf) < ks_bound(4_000)


@each_law
@pytest.mark.parametrize("levels", [(0.1, 0.4), (0.6, 0.95)], ids=["below", "above"])
def test_truncated_density_integrates_to_one(distribution, exact, levels):
    low, high = exact.ppf(levels[0]), exact.ppf(levels[1])
    prior = one(distribution).truncate([low], [high])
    t = low + (high - low) * (torch.arange(10_000)[:, None] + 0.5) / 10_000
    total = prior.log_prob(t).exp().mean() * (high - low)
    assert abs(total - 1) < 1e-5  # the midpoint rule's error is of order 1 / 10,000^2


@each_law
def test_truncated_density_is_the_whole_one_over_the_mass_of_the_box(distribution, exact):
    low, high = exact.ppf(0.7), exact.support()[1]
    prior = one(distribution).truncate([low], [high])
    t = torch.as_tensor(exact.ppf(np.linspace(0.71, 0.99, 20)))[:, None].to(prior.dtype)
    expected = one(distribution).log_prob(t) - math.log(0.3)
    torch.testing.assert_close(prior.log_prob(t), expected, rtol=1e-5, atol=1e-5)


def test_far_tails_are_cut_exactly():
    prior = one(Normal(0.0, 1.0)).truncate([9.0], [math.inf])
    t = prior.sample(2_000, seed=rng())[:, 0]
    cdf = lambda v: 1 - scipy.stats.norm.sf(v) / scipy.stats.norm.sf(9)
    assert distance(t, cdf) < ks_bound(2_000)
    assert one(Normal(0.0, 1.0)).truncate([-math.inf], [-9.0]).sample(5, seed=rng()).max() < -9


def test_truncating_twice_intersects():
    prior = one(Normal(0.0, 1.0))
    once, twice = prior.truncate([0.0], [1.0]), prior.truncate([-1.0], [1.0]).truncate([0.0], [2.0])
    t = torch.linspace(-2, 2, 50)[:, None]
    torch.testing.assert_close(once.log_prob(t), twice.log_prob(t))
    assert (float(twice.lower), float(twice.upper)) == (0.0, 1.0)


def test_a_box_around_the_support_changes_nothing():
    prior = one(Uniform(0.0, 1.0)).truncate([-5.0], [math.inf])
    assert not prior.truncated and not one(Normal(0.0, 1.0)).truncated


def test_what_was_truncated_can_be_had_whole_again_after_saving_too():
    correlated = torch.tensor([[2.0, 0.6], [0.6, 1.0]])
    for whole in (
        as_prior({"a": Normal(0.0, 1.0), "b": scipy.stats.expon()}),
        as_prior(torch.distributions.MultivariateNormal(torch.zeros(2), correlated)),
    ):
        cut = whole.truncate([0.2, 0.1], [1.0, math.inf]).truncate([-1.0, 0.2], [0.9, math.inf])
        for prior in (cut, Prior._restore(cut._spec())):
            assert prior.truncated and not prior.untruncated.truncated
            assert prior.untruncated.fingerprint == whole.fingerprint
            assert torch.equal(prior.untruncated.sample(9, seed=1), whole.sample(9, seed=1))
        assert whole.untruncated is whole


# Several parameters.


def test_columns_of_a_dictionary_keep_order_and_are_independent():
    prior = as_prior({"b": Normal(5.0, 1.0), "a": scipy.stats.expon(), "c": Uniform(0.0, 1.0)})
    theta = prior.sample(20_000, seed=rng())
    assert prior.names == ("b", "a", "c") and prior.dim == 3
    # |mean error| < 5 s.e.; correlations of independent columns have s.e. 1 / sqrt(n)
    mean, sd = torch.tensor([5.0, 1.0, 0.5]), torch.tensor([1.0, 1.0, 12**-0.5])
    assert ((theta.mean(0) - mean).abs() < 5 * sd / 20_000**0.5).all()
    off = torch.corrcoef(theta.T) - torch.eye(3)
    assert off.abs().max() < 5 / 20_000**0.5


def test_the_density_of_a_dictionary_is_the_product():
    prior = as_prior({"a": Normal(0.0, 1.0), "b": scipy.stats.expon(scale=2.0)})
    theta = prior.sample(50, seed=rng())
    expected = Normal(0.0, 1.0).log_prob(theta[:, 0]) + Exponential(0.5).log_prob(theta[:, 1])
    torch.testing.assert_close(prior.log_prob(theta), expected)


def correlated():
    return MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, 0.8], [0.8, 1.0]]))


def test_a_joint_distribution_is_cut_to_a_box():
    prior = as_prior(correlated(), names=("a", "b")).truncate([0.0, 0.0], [math.inf, 1.0])
    theta = prior.sample(5_000, seed=rng())
    assert prior.names == ("a", "b") and prior.contains(theta).all()
    grid = torch.linspace(0, 8, 801)
    inner = torch.linspace(0, 1, 201)[1:-1]
    points = torch.cartesian_prod(grid[1:], inner)
    mass = prior.log_prob(points).exp().sum() * (grid[1] - grid[0]) * (inner[1] - inner[0])
    # the estimate of the mass has a relative s.e. of at most 1 / sqrt(40,000); the grid's is 1 %
    assert abs(mass - 1) < 5 / 40_000**0.5 + 0.015
    density = prior.log_prob(points).exp()
    mean = (density[:, None] * points).sum(0) / density.sum()
    assert ((theta.mean(0) - mean).abs() < 5 * theta.std(0) / 5_000**0.5 + 0.01).all()


def test_joint_distributions_of_independent_parts_are_cut_exactly():
    prior = as_prior(Independent(Uniform(torch.zeros(3), torch.tensor([1.0, 2.0, 4.0])), 1))
    box = prior.truncate([0.0, 0.0, 1e-9], [1e-8, 2.0, 4.0])  # far too small for rejection
    assert prior.names == ("theta_0", "theta_1", "theta_2")
    torch.testing.assert_close(
        box.log_prob(box.sample(3, seed=rng())).exp() * 1e-8 * 2 * (4.0 - 1e-9), torch.ones(3)
    )


# Support and rounding.


@each_law
def test_outside_the_support_the_density_is_zero_and_nothing_raises(distribution, exact):
    prior = one(distribution)
    low, high = float(prior.lower), float(prior.upper)
    values = [v for v in (low, low - 1, high, high + 1) if math.isfinite(v)]
    outside = torch.tensor([[*values, -math.inf, math.inf, math.nan]], dtype=prior.dtype).T
    assert (prior.log_prob(outside) == -math.inf).all()
    assert not prior.contains(outside).any()


def test_a_support_that_is_no_box_is_known_by_its_density():
    class Triangle(Distribution):  # uniform where x + y < 1
        arg_constraints = {}
        support = constraints.independent(constraints.unit_interval, 1)

        def __init__(self):
            super().__init__(event_shape=(2,), validate_args=False)

        def sample(self, sample_shape=()):
            u = torch.rand(*sample_shape, 2)
            return torch.where(u.sum(-1, keepdim=True) < 1, u, 1 - u)

        def log_prob(self, value):
            return torch.where(value.sum(-1) < 1, math.log(2), -math.inf)

    prior = as_prior(Triangle())
    assert prior.contains(torch.tensor([[0.2, 0.2], [0.9, 0.9]])).tolist() == [True, False]
    assert prior._spec() is None and len(prior.fingerprint) == 64
    assert prior.fingerprint == as_prior(Triangle()).fingerprint


@given(low=st.floats(-1e6, 1e6, width=32), width=st.floats(1e-30, 1e6), seed=st.integers(0, 2**32))
def test_rounding_never_puts_draws_on_the_edges(low, width, seed):
    high = torch.tensor(low + width, dtype=torch.float32)
    low = torch.tensor(low, dtype=torch.float32)
    if torch.nextafter(low, high) >= high:  # no number between them
        return
    # made by hand: where few numbers lie between, `as_prior` refuses it
    prior = Prior(("t",), ProductDistribution((TorchMarginal(Uniform(low, high)),)))
    theta = prior.sample(100, seed=rng(seed))
    assert theta.dtype == torch.float32 and prior.contains(theta).all()
    assert prior.log_prob(theta).isfinite().all()


@settings(max_examples=30)
@given(u=st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4))
@each_dtype
def test_whatever_is_unconstrained_maps_into_the_support(dtype, u):
    prior = every_kind_of_bound(dtype)
    theta, _ = prior.from_unconstrained(torch.tensor([u], dtype=dtype))
    assert prior.contains(theta).all()


# The bijection.


def every_kind_of_bound(dtype=torch.float64):
    zero, five = torch.zeros((), dtype=dtype), torch.tensor(5.0, dtype=dtype)
    above = TransformedDistribution(Exponential(zero + 1), AffineTransform(five, -1.0))
    distributions = (Normal(zero, 1.0), LogNormal(zero, 1.0), above, Uniform(zero - 1, five))
    return as_prior(dict(zip("abcd", distributions, strict=True)))


def test_the_bijection_goes_there_and_back():
    prior = every_kind_of_bound()
    assert prior.lower.tolist() == [-math.inf, 0, -math.inf, -1]
    assert prior.upper.tolist() == [math.inf, math.inf, 5, 5]
    theta = prior.sample(1_000, seed=rng())
    again, _ = prior.from_unconstrained(prior.to_unconstrained(theta))
    torch.testing.assert_close(again, theta)


def test_log_abs_det_is_that_of_autograd():
    prior = every_kind_of_bound()
    u = 2 * torch.randn(20, 4)
    jacobians = torch.stack(
        [torch.autograd.functional.jacobian(lambda v: prior.from_unconstrained(v)[0], r) for r in u]
    )
    torch.testing.assert_close(prior.from_unconstrained(u)[1], jacobians.det().abs().log())


def test_the_bijection_has_finite_gradients_far_out():
    prior = every_kind_of_bound()
    u = torch.tensor([[-300.0] * 4, [300.0] * 4], requires_grad=True)
    theta, log_abs_det = prior.from_unconstrained(u)
    (theta[:, 3].sum() + log_abs_det.sum()).backward()
    assert u.grad.isfinite().all()
    far = torch.tensor([1e9, -1e9], requires_grad=True)  # such as a time in seconds
    one(Normal(0.0, 1.0)).from_unconstrained(far[:, None])[0].sum().backward()
    assert far.grad.tolist() == [1.0, 1.0]


def test_more_dimensions_in_front_are_batches():
    prior = every_kind_of_bound()
    theta = prior.sample(12, seed=rng())
    torch.testing.assert_close(
        prior.log_prob(theta.reshape(3, 4, 4)), prior.log_prob(theta).reshape(3, 4)
    )
    assert prior.from_unconstrained(torch.zeros(4))[1].shape == ()


# Seeds and dtypes.


def test_equal_generators_give_equal_draws_and_leave_the_global_state_alone():
    prior = as_prior({"a": Normal(0.0, 1.0), "b": scipy.stats.norm()})
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    assert torch.equal(prior.sample(9, seed=rng(3)), prior.sample(9, seed=rng(3)))
    assert not torch.equal(prior.sample(9, seed=rng(3)), prior.sample(9, seed=rng(4)))
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])


@each_dtype
def test_scipy_marginals_are_of_float64_whatever_the_default_dtype(dtype):
    torch.set_default_dtype(dtype)
    prior = one(scipy.stats.uniform(2_459_000, 1))  # of whose numbers float32 knows three
    theta = prior.sample(1_000, seed=rng())
    assert prior.dtype == theta.dtype == prior.log_prob(theta).dtype == torch.float64
    assert len(theta.unique()) == 1_000


def test_the_widest_dtype_wins():
    narrow = Normal(torch.tensor(0.0, dtype=torch.float32), 1.0)
    assert one(narrow).dtype == torch.float32
    assert as_prior({"a": narrow, "b": scipy.stats.norm()}).dtype == torch.float64


@each_dtype
def test_the_dtype_of_draws_is_known_without_drawing(dtype):
    torch_laws = [law for law, _ in PAIRS.values() if isinstance(law, Distribution)]
    laws = [made for law in torch_laws if (made := constructor(law))]
    assert len(laws) >= 14
    for own, values in laws:
        law = own(**{name: value.to(dtype) for name, value in values.items()})
        assert dtype_of_draws(law) == law.sample().dtype == dtype


def test_a_prior_made_meanwhile_leaves_the_random_numbers_of_a_thread_alone():
    inside, drawn = threading.Event(), threading.Event()

    class OwnNormal(Normal):
        def sample(self, sample_shape=()):
            inside.set()
            drawn.wait(10)
            return super().sample(sample_shape)

    with isolated(1):
        expected = torch.rand(6)
    making = threading.Thread(target=one, args=(OwnNormal(0.0, 1.0),))
    with isolated(1):
        making.start()
        before_its_turn = inside.wait(0.2)
        first = torch.rand(3)
        drawn.set()
        if before_its_turn:
            making.join(1)  # it waits for its turn by now
        assert torch.equal(torch.cat([first, torch.rand(3)]), expected)
    making.join()


# Descriptions.


@pytest.mark.parametrize(
    "prior",
    [
        *(
            one(distribution)
            for name, (distribution, _) in PAIRS.items()
            if name not in ("transformed", "mixture")
        ),
        as_prior(correlated()),
        as_prior(correlated()).truncate([0.0, 0.0], [1.0, math.inf]),
        one(Gamma(2.0, 3.0)).truncate([0.1], [math.inf]),
    ],
    ids=repr,
)
def test_descriptions_survive_json(prior):
    again = Prior._restore(json.loads(json.dumps(prior._spec())))
    theta = prior.sample(20, seed=rng(1))
    assert torch.equal(theta, again.sample(20, seed=rng(1)))
    assert torch.equal(prior.log_prob(theta), again.log_prob(theta))
    assert (again.names, again.dtype, again.fingerprint) == (
        prior.names,
        prior.dtype,
        prior.fingerprint,
    )


def test_what_has_no_name_has_no_description():
    class Spike(Normal):
        pass

    assert one(Spike(0.0, 1.0))._spec() is None
    assert one(PAIRS["transformed"][0]).truncate([3.0], [4.0])._spec() is None


@pytest.mark.parametrize(
    "distribution",
    [
        {"torch": "kl_divergence", "parameters": {}},
        {"torch": "Distribution.__init__", "parameters": {}},
        {"torch": "Normal", "parameters": {"validate_arg": {"values": 0, "dtype": "float32"}}},
        {"torch": "Normal", "parameters": {"loc": {"values": 0, "dtype": "load"}}},
        {"torch": "Normal"},
        {"torch": None},
        {"scipy": "kstest", "args": [], "kwds": {}, "dtype": "float32"},
        {"scipy": "norm", "args": ["0"], "kwds": {}, "dtype": "float32"},
        {"scipy": "norm", "args": [], "kwds": {"nonsense": 1.0}, "dtype": "float32"},
        {"scipy": "norm", "args": [], "kwds": {}},
        {},
        7,
    ],
    ids=str,
)
def test_damaged_descriptions_are_refused(distribution):
    with pytest.raises(ValueError, match="description of a prior"):
        Prior._restore({"names": ["a"], "product": [distribution]})


# Errors.


DAY = torch.tensor(2_459_000.0, dtype=torch.float32)


@pytest.mark.parametrize(
    "wrong, error, says",
    [
        ({}, ValueError, "empty"),
        ({"a": 3.0}, TypeError, "a must be a torch or Pyro distribution"),
        ({"a": scipy.stats.norm}, TypeError, "frozen"),
        ({3: Normal(0.0, 1.0)}, TypeError, "names must be"),
        (
            {"a": Normal(torch.zeros(2), 1.0)},
            ValueError,
            r"a must be a scalar .*batch_shape \(2,\)",
        ),
        ({"a": correlated()}, ValueError, r"event_shape \(2,\)"),
        ({"a": scipy.stats.norm([0, 1])}, ValueError, "arrays"),
        ({"a": scipy.stats.gamma(-1)}, ValueError, "impossible"),
        ({"a": Poisson(3.0)}, TypeError, "a is discrete"),
        ({"a": scipy.stats.poisson(3)}, TypeError, "a is discrete"),
        (Normal(0.0, 1.0), ValueError, r"event_shape \(D,\)"),
        (Normal(torch.zeros(2), 1.0), ValueError, "Independent"),
        (Independent(Bernoulli(torch.ones(2) / 2), 1), TypeError, "discrete"),
        (Dirichlet(torch.ones(3)), TypeError, "product of intervals"),
        (scipy.stats.norm(), TypeError, "dictionary"),
        ("normal", TypeError, "dictionary"),
        ({"a": Normal(0.0, 0.0, validate_args=False)}, ValueError, "a must vary"),
        ({"a": Normal(0.0, -1.0, validate_args=False)}, ValueError, "a cannot be drawn from"),
        ({"a": Normal(0.0, math.inf)}, ValueError, "a must vary and be finite"),
        ({"a": Uniform(5.0, 5.0, validate_args=False)}, ValueError, "a lies between 5 and 5"),
        (
            {"a": Uniform(DAY, DAY + 1)},
            ValueError,
            "a takes few values in torch.float32, .* float64",
        ),
        ({"a": Normal(1e9, 1e3)}, ValueError, "whose numbers lie 1.2e[+]02 apart at 9.99"),
    ],
)
def test_what_is_no_prior_is_refused(wrong, error, says):
    with pytest.raises(error, match=says):
        as_prior(wrong)


@pytest.mark.parametrize(
    "lower, upper, says",
    [
        ([0.0, 1.0], [1.0], r"lower of shape \(1,\)"),
        ([1.0], [0.0], "lower < upper; for t"),
        ([math.nan], [1.0], "lower < upper"),
        ([40.0], [41.0], "no mass"),
    ],
)
def test_boxes_without_mass_are_refused(lower, upper, says):
    with pytest.raises(ValueError, match=says):
        one(Normal(0.0, 1.0)).truncate(lower, upper)


def test_boxes_that_rejection_cannot_sample_are_refused():
    with pytest.raises(ValueError, match="mass"):
        as_prior(correlated()).truncate([8.0, 8.0], [9.0, 9.0])
    with pytest.raises(ValueError, match="mass"):
        one(PAIRS["mixture"][0]).truncate([20.0], [21.0])


def test_a_wrong_number_of_columns_is_refused():
    prior = as_prior({"a": Normal(0.0, 1.0), "b": Normal(0.0, 1.0)})
    with pytest.raises(ValueError, match="2 columns"):
        prior.log_prob(torch.zeros(3, 1))


def test_a_prior_is_taken_as_it_is():
    prior = one(Normal(0.0, 1.0))
    assert as_prior(prior) is prior


def test_priors_are_shown_on_one_screen():
    small = as_prior({"a": Normal(0.0, 1.0), "b": Uniform(0.0, 1.0)}).truncate([0, 0], [1, 0.5])
    assert repr(small) == "Prior(a in (0, 1), b in (0, 0.5), truncated)"
    assert small.describe() == (
        "independent prior of 2 parameters, truncated\na in (0, 1)\nb in (0, 0.5)"
    )
    large = as_prior({f"p{i}": Normal(0.0, 1.0) for i in range(100)})
    assert repr(large).endswith("p4 in (-inf, inf), 94 more, p99 in (-inf, inf))")
    assert as_prior(correlated()).describe().startswith("joint prior of 2 parameters\n")


@pytest.mark.parametrize("name", ["chain", "draw", "observation", "a/b", "a\nb", "."])
def test_names_that_files_would_lose_are_refused(name):
    for made in (
        lambda: as_prior({name: Normal(0.0, 1.0), "b": Normal(0.0, 1.0)}),
        lambda: as_prior(correlated(), names=(name, "b")),
    ):
        with pytest.raises(ValueError, match="a parameter cannot be called"):
            made()
    with pytest.raises(ValueError, match="names must be different"):
        as_prior(correlated(), names=("a", "a"))
