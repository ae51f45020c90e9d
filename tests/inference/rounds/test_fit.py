"""Rounds: budgets go as planned, bounds hold the posterior, interruptions leave no trace."""

import warnings
from dataclasses import dataclass, field, replace
from importlib import import_module

import pytest
import scipy.stats
import torch
from support.conjugate import ExactCritic, model, posterior, prior

import lfi
import lfi.inference.rounds.fit as rounds_module
from lfi.comparison import Recovers
from lfi.inference import RatioPosterior
from lfi.inference.rounds.fit import TruncatedMass, plan_budget, simulated_shape
from lfi.inference.rounds.truncation import mass_kept, truncation_bounds
from lfi.training import History

QUICK = lfi.NeuralRatio(
    settings=lfi.TrainSettings(steps=10), width=8, rank=4, head_layers=None, noise_model=False
)
X_OBS = torch.tensor([0.8, -0.5])
FLOW = lfi.PosteriorFlow(gaussian_steps=20, settings=lfi.TrainSettings(steps=5), width=8)
LIKELIHOOD = lfi.SurrogateLikelihood(
    proposal=FLOW, gaussian_steps=20, settings=lfi.TrainSettings(steps=5), width=8
)
EACH = (QUICK, FLOW, LIKELIHOOD, lfi.Pool((FLOW, LIKELIHOOD, QUICK)))


def quick_rounds(store=None, **changes):
    arguments = {"rounds": 3, "budget": 3_000, "seed": 1, "method": QUICK, "preliminary": QUICK}
    arguments["stop_at"] = 1.0  # what is fitted so quickly may keep the whole prior
    arguments["draws"] = 1_000  # enough to be in the right place
    return lfi.fit_rounds(model(0.1), X_OBS, store=store, **(arguments | changes))


def test_the_whole_budget_is_planned_and_most_of_it_goes_last():
    for budget in (2_400, 10_001, 360_000):
        counts = plan_budget(budget, 3)
        assert sum(counts) == budget
        assert counts[-1] > 9 * counts[0]
    assert plan_budget(500, 1) == (500,)


@pytest.mark.parametrize(
    ("budget", "rounds"), [(-1, 3), (2_399, 3), (199, 1), (1_000, 0), (9_999, 20)]
)
def test_plans_that_cannot_be_are_refused(budget, rounds):
    with pytest.raises(ValueError, match="budget|rounds"):
        plan_budget(budget, rounds)


@dataclass(frozen=True)
class Noted:
    """A method that notes what it is fitted to."""

    fitted: list = field(default_factory=list)

    def fit(self, simulations, *, x_obs=None, seed=None, device="cpu", progress=True):
        self.fitted.append(len(simulations))
        return QUICK.fit(simulations, seed=seed, progress=False)


def test_the_simulations_of_the_last_round_are_shown_before_they_are_fitted():
    method, seen = Noted(), []
    last = quick_rounds(
        method=method, simulated=lambda simulations: seen.append((simulations, len(method.fitted)))
    )
    ((simulations, fits),) = seen
    assert len(simulations) == plan_budget(3_000, 3)[-1]
    assert fits == 0 and len(method.fitted) == 1
    assert simulations.prior.fingerprint == last.prior.fingerprint


def test_a_budget_for_each_round_is_taken_as_it_is():
    assert plan_budget([300, 200, 1_000]) == (300, 200, 1_000)
    assert plan_budget((300, 1_000), 2) == (300, 1_000)
    assert plan_budget(2_400) == plan_budget(2_400, 3)


@pytest.mark.parametrize(
    ("budget", "rounds", "error", "says"),
    [
        ((300, 1_000), 3, ValueError, "2 rounds and rounds is 3"),
        ((), None, ValueError, "at least one"),
        ((300, 199), None, ValueError, "199 simulations are too few for round 2"),
        ((300, 1e3), None, TypeError, "budget"),  # in tests, the check of types comes first
        (3e4, 3, TypeError, "budget"),
        (True, 1, TypeError, "whole number"),
    ],
    ids=str,
)
def test_budgets_that_cannot_be_are_refused(budget, rounds, error, says):
    with pytest.raises(error, match=says):
        plan_budget(budget, rounds)


def test_the_truncation_bounds_hold_the_posterior_with_a_margin():
    theta = torch.randn(10_000, 2)
    lower, upper = truncation_bounds(theta)
    assert (lower < theta.amin(0)).all()
    assert (upper > theta.amax(0)).all()
    assert (upper - lower < 12).all()


def test_each_round_is_inside_the_one_before():
    fitted = quick_rounds()
    assert fitted.prior.truncated
    assert len(fitted.history) == 3
    truth = posterior(X_OBS, 0.1)
    assert fitted.prior.contains(truth.sample((1_000,)).double()).all()


@dataclass(frozen=True)
class Exact:
    """Fits nothing: the posterior is known. Keeps what it was given to fit."""

    sd: float
    given: list = field(default_factory=list)

    def fit(self, simulations, *, x_obs=None, seed=None, device="cpu", progress=True):
        self.given.append(simulations)
        history = History({}, 0, None, 0.0, "exact", 0)
        critic = ExactCritic(self.sd)
        return RatioPosterior(critic, simulations.prior, Recovers.RATIO, (2,), (history,))


def exact_rounds(sd, budget, **changes):
    """Return the rounds' posterior, what each was fitted to, and how many were simulated for it."""
    exact, made, original = Exact(sd), [], rounds_module.simulate

    def counting(simulator, n, **options):
        made.append(n)
        return original(simulator, n, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rounds_module, "simulate", counting)
        fitted = lfi.fit_rounds(
            model(sd), X_OBS, budget=budget, method=exact, preliminary=exact, seed=1, **changes
        )
    return fitted, exact.given, made


def test_preliminary_rounds_end_where_the_first_truncation_keeps_nearly_all():
    fitted, _, made = exact_rounds(3.0, 10_000, rounds=5)
    assert made == [833, 10_000 - 833]
    assert "stopped truncating after round 1, which kept" in fitted.history[-1].stopped


def test_preliminary_rounds_end_where_bounds_no_longer_move_and_the_budget_is_spent():
    fitted, given, made = exact_rounds(0.1, (500, 500, 500, 500, 2_000))
    assert made == [500, 500, 3_000]
    assert (
        mass_kept(given[0].prior, given[1].prior) < 0.8 < mass_kept(given[1].prior, given[2].prior)
    )
    assert "stopped truncating after round 2" in fitted.history[-1].stopped
    assert "3,000 simulations and" in fitted.history[-1].stopped


def test_all_rounds_are_done_where_that_is_asked_for():
    fitted, _, made = exact_rounds(3.0, (300, 400, 500), stop_at=1.0)
    assert made == [300, 400, 500]
    assert not any("stopped truncating" in entry.stopped for entry in fitted.history)
    with pytest.raises(ValueError, match="stop_at"):
        quick_rounds(stop_at=1.1)


def rounds_after(wrong, x_obs, budget):
    """Fit rounds of which the first is by a wrong likelihood and the others by the right one."""

    @dataclass(frozen=True)
    class WrongAtFirst(Exact):
        def fit(self, simulations, **options):
            found = super().fit(simulations, **options)
            return replace(found, critic=ExactCritic(wrong)) if len(self.given) == 1 else found

    method = WrongAtFirst(1.0)
    fitted = lfi.fit_rounds(
        model(1.0), x_obs, budget=budget, method=method, preliminary=method, stop_at=1.0, seed=1
    )
    return fitted, method.given


def test_mass_that_the_first_round_has_cut_off_comes_back_in_the_second():
    x_obs = torch.tensor([2.0, 0.0])
    fitted, (first, second, last) = rounds_after(0.3, x_obs, (600, 600, 600))
    # the exact posterior has mean 1 and sd 0.7 in `a`, the first fit's mean 1.8 and sd 0.3
    exact = posterior(x_obs, 1.0).sample((2_000,))
    assert second.prior.contains(exact).double().mean() < 0.7
    assert last.prior.contains(exact).double().mean() > 0.99
    # rows of the second round are no draws of a prior that is wider than its own
    assert len(last) == 600 + int(last.prior.contains(first.theta).sum())


def test_a_posterior_that_gathers_at_an_edge_made_by_truncation_warns():
    with pytest.warns(TruncatedMass, match=r"truncated prior of a, b: .*`rounds=1`"):
        rounds_after(0.3, torch.tensor([2.0, 2.0]), (600, 600))


def test_an_edge_that_the_prior_itself_has_gives_no_warning():
    uniform = torch.distributions.Uniform
    bounded = lfi.Simulator(
        model(1.0).simulate, prior={"a": uniform(0.0, 9.0), "b": uniform(-9.0, 9.0)}, name="edge"
    )
    exact = Exact(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x_obs = torch.tensor([-1.0, 0.0])  # the posterior of `a` is highest at the prior's edge
        lfi.fit_rounds(
            bounded, x_obs, budget=(600, 600), method=exact, preliminary=exact, stop_at=1.0, seed=1
        )
    assert exact.given[1].prior.lower[0] == 0
    assert exact.given[1].prior.upper[0] < 9


def test_bounds_where_the_prior_has_nothing_are_not_believed(monkeypatch):
    # a ratio that does not decay sends draws to where no prior draw has been
    far = lambda theta: (torch.tensor([8.8, -3.0]), torch.tensor([8.8, 3.0]))
    monkeypatch.setattr(rounds_module, "truncation_bounds", far)
    fitted, given, _ = exact_rounds(0.5, (600, 600), stop_at=1.0)
    assert given[1].prior.lower.tolist() == [-torch.inf, -3.0]
    assert "; a not truncated after round 1" in fitted.history[-1].stopped


def test_the_mass_that_truncation_keeps_is_exact():
    whole = model().prior.truncate([-1.0, -2.0], [1.0, 3.0])
    narrow = whole.truncate([-1.0, 0.0], [0.5, 9.0])
    cdf = scipy.stats.norm.cdf
    share = (cdf(0.5) - cdf(-1)) / (cdf(1) - cdf(-1)) * (cdf(3) - cdf(0)) / (cdf(3) - cdf(-2))
    assert mass_kept(whole, narrow) == pytest.approx(share, rel=1e-9)
    assert mass_kept(whole, whole) == 1.0


def test_priors_of_parameters_that_depend_on_each_other_are_truncated_and_reused_too():
    law = torch.distributions.MultivariateNormal(torch.zeros(2), torch.tensor([[1, 0.8], [0.8, 1]]))
    exact, plain = Exact(0.5), model(0.5)
    joint = lfi.Simulator(plain.simulate, prior=law, name="joint")
    fitted = lfi.fit_rounds(
        joint,
        X_OBS,
        budget=(2_000, 300, 2_000),
        method=exact,
        preliminary=exact,
        stop_at=1.0,
        seed=1,
    )
    whole, middle, last = (simulations.prior for simulations in exact.given)
    inside = last.contains(law.sample((100_000,))).double().mean()
    # of 40,000 draws that estimate each mass and of these: four standard errors of their ratio
    error = 4 * float((1 - inside) / inside * (1 / 100_000 + 2 / 40_000)) ** 0.5
    assert mass_kept(whole, middle) * mass_kept(middle, last) == pytest.approx(
        float(inside), rel=error
    )
    assert len(exact.given[-1]) > 2_000
    assert last.contains(exact.given[-1].theta).all()
    assert fitted.prior is last


def test_earlier_simulations_inside_the_bounds_are_fitted_along_as_draws_of_the_truncated_prior():
    fitted, given, _ = exact_rounds(1.0, (4_000, 3_000, 2_000), stop_at=1.0)
    first, second, last = given
    assert len(first) == 4_000
    inside = sum(int(last.prior.contains(theta).sum()) for theta in (first.theta, second.theta))
    # the second round was given rows of the first, which do not count twice
    repeated = int(second.prior.contains(first.theta).sum())
    assert len(second) == 3_000 + repeated
    again = int(last.prior.contains(second.theta[3_000:]).sum())
    assert len(last) == 2_000 + inside - again
    assert len(torch.unique(last.theta, dim=0)) == len(last)
    assert f"{len(last) - 2_000:,} of earlier rounds" in fitted.history[-1].stopped
    # p-values of exact laws are below 1e-3 once in a thousand seeds
    ends = fitted.prior.lower.tolist(), fitted.prior.upper.tolist()
    for column, low, high in zip(last.theta[2_000:].T, *ends, strict=True):
        law = scipy.stats.truncnorm(low, high)
        assert scipy.stats.kstest(column.numpy(), law.cdf).pvalue > 1e-3
    noise = (last.x - last.theta)[2_000:].flatten()
    assert scipy.stats.kstest(noise.numpy(), scipy.stats.norm.cdf).pvalue > 1e-3


def kl(fitted, x, exact_log_density, grid):
    """Return the mean KL divergence of fitted from exact posteriors, summed over a grid."""
    exact = exact_log_density(grid, x).log_softmax(1)
    return (exact.exp() * (exact - fitted.log_prob(grid, x).log_softmax(1))).sum(1).mean()


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(
            lfi.PosteriorFlow(gaussian_steps=300, settings=lfi.TrainSettings(steps=150), width=32),
            marks=pytest.mark.slow,
        ),
        lfi.SurrogateLikelihood(
            proposal=None, gaussian_steps=300, settings=lfi.TrainSettings(steps=1), width=32
        ),
        pytest.param(
            lfi.NeuralRatio(
                settings=lfi.TrainSettings(steps=300), width=32, rank=16, head_layers=None
            ),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lfi.Pool(
                (
                    lfi.PosteriorFlow(
                        gaussian_steps=300, settings=lfi.TrainSettings(steps=150), width=32
                    ),
                    QUICK,
                )
            ),
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda method: type(method).__name__,
)
def test_each_kind_fits_the_posterior_of_a_truncated_prior(method, tmp_path):
    sd, cells = 0.3, 40
    box = model(sd).prior.truncate([0.0, -1.0], [1.0, 0.0])
    fitted = method.fit(lfi.simulate(model(sd), 4_000, prior=box, seed=1), seed=1)
    middles = (torch.arange(cells) + 0.5) / cells
    grid = torch.cartesian_prod(middles, middles - 1)
    x = torch.cat([torch.tensor([[-0.2, 0.3]]), lfi.simulate(model(sd), 50, prior=box, seed=2).x])

    def exact(theta, x):
        likelihood = -(x[:, None] - theta).square().sum(-1) / (2 * sd**2)
        return likelihood - theta.square().sum(-1) / 2

    # as far off as 400 weights fitted freely to 4,000 rows are: 400 / (2 * 4,000)
    assert kl(fitted, x, exact, grid) < 0.05
    outside = torch.tensor([[1.1, -0.5], [0.5, 0.1], [-0.1, -0.1]])
    assert (fitted.log_prob(outside, x) == -torch.inf).all()
    draws = fitted.sample(1_000, x[:3], seed=2)
    assert box.contains(draws).all()
    if fitted.normalised:
        mass = fitted.log_prob(grid, x).exp().mean(1)  # the box has area 1
        assert (mass - 1).abs().max() < 0.02  # a flow may bend at the edge, within a cell of 1/40
    fitted.save(tmp_path / "posterior.lfi")
    again = lfi.load(tmp_path / "posterior.lfi")
    assert torch.equal(again.log_prob(grid, x), fitted.log_prob(grid, x))
    assert torch.equal(again.prior.lower, box.lower)


def test_rounds_with_rows_of_earlier_ones_end_with_the_known_posterior():
    sd, cells = 0.3, 60
    method = lfi.SurrogateLikelihood(
        proposal=None, gaussian_steps=900, settings=lfi.TrainSettings(steps=1), width=32
    )
    fitted = lfi.fit_rounds(
        model(sd), X_OBS, budget=(1_000, 1_000, 2_000), method=method, preliminary=method, seed=1
    )
    assert "of earlier rounds" in fitted.history[-1].stopped
    low, high = fitted.prior.lower, fitted.prior.upper
    middles = (torch.arange(cells) + 0.5) / cells
    grid = low + torch.cartesian_prod(middles, middles) * (high - low)
    truth = posterior(X_OBS, sd)
    assert fitted.prior.contains(truth.sample((1_000,))).all()

    def exact(theta, x):
        return truth.log_prob(theta)[None]

    # as far off as 200 weights fitted freely to the last 2,000 rows are: 200 / (2 * 2,000)
    assert kl(fitted, X_OBS[None], exact, grid) < 0.05


def interrupting(monkeypatch, name, at):
    """Let the at-th call of a function of the module be interrupted before it begins."""
    calls, original = [], getattr(rounds_module, name)

    def interrupted(*arguments, **options):
        calls.append(name)
        if len(calls) == at:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(rounds_module, name, interrupted)


def interrupted_fit(monkeypatch, at):
    """Let the at-th fit be interrupted in mid-training."""
    module = import_module("lfi.training.train_one")
    calls, original = [], module.fit

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == at:
            options["callbacks"] = [lambda done, latest: (_ for _ in ()).throw(KeyboardInterrupt)]
        return original(*arguments, **options)

    monkeypatch.setattr(module, "fit", interrupted)


@pytest.mark.parametrize(
    ("what", "at"),
    [
        pytest.param("simulate", 1, marks=pytest.mark.slow),
        ("simulate", 2),
        pytest.param("simulate", 4, marks=pytest.mark.slow),
        pytest.param("fit", 1, marks=pytest.mark.slow),
        pytest.param("fit", 2, marks=pytest.mark.slow),
        ("fit", 3),
    ],
)  # from the second round on, what is read again for its rows in the box counts too
def test_an_interrupted_call_goes_on_and_ends_with_the_same_numbers(
    what, at, tmp_path, monkeypatch
):
    whole = quick_rounds()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupting(patch, "simulate", at) if what == "simulate" else interrupted_fit(patch, at)
        quick_rounds(tmp_path)
    resumed = quick_rounds(tmp_path)
    theta = torch.rand(20, 2)
    assert torch.equal(resumed.log_ratio(theta, X_OBS), whole.log_ratio(theta, X_OBS))
    assert torch.equal(resumed.prior.lower, whole.prior.lower)
    assert [h.columns for h in resumed.history] == [h.columns for h in whole.history]


@pytest.mark.parametrize(
    "method",
    [*(pytest.param(method, marks=pytest.mark.slow) for method in EACH[:-1]), EACH[-1]],
    ids=lambda method: type(method).__name__,
)
def test_rounds_of_any_kind_go_on_and_end_with_the_same_numbers(method, tmp_path, monkeypatch):
    changes = {"budget": (300, 600), "rounds": None, "method": method, "preliminary": method}
    whole = quick_rounds(**changes)
    assert whole.prior.truncated
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupting(patch, "simulate", 2)
        quick_rounds(tmp_path, **changes)
    resumed = quick_rounds(tmp_path, **changes)
    finished = quick_rounds(tmp_path, **changes)
    assert type(resumed) is type(whole)
    for other in (resumed, finished):
        assert torch.equal(other.prior.lower, whole.prior.lower)
        theta = whole.prior.sample(20, seed=lfi.runtime.numpy_rng(0))
        assert torch.equal(other.log_ratio(theta, X_OBS), whole.log_ratio(theta, X_OBS))
        assert [h.stopped for h in other.history] == [h.stopped for h in whole.history]
    draws = finished.sample(500, X_OBS, seed=2)
    assert finished.prior.contains(draws).all()


def test_an_interrupted_pool_keeps_the_methods_that_are_fitted(tmp_path, monkeypatch):
    changes = {"rounds": 1, "budget": 300, "method": lfi.Pool((FLOW, QUICK))}
    whole = quick_rounds(**changes)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupted_fit(patch, 3)  # after the flow's two stages
        quick_rounds(tmp_path, **changes)
    assert (tmp_path / "round_1_methods").is_dir()
    with monkeypatch.context() as patch:
        interrupted_fit(patch, 3)  # there are only the ratio's two critics left
        resumed = quick_rounds(tmp_path, **changes)
    assert not (tmp_path / "round_1_methods").exists()
    theta = torch.rand(20, 2)
    assert torch.equal(resumed.log_ratio(theta, X_OBS), whole.log_ratio(theta, X_OBS))
    assert resumed.weights == whole.weights and resumed.choice.scores == whole.choice.scores


@pytest.mark.parametrize(
    ("what", "at"),
    [
        ("simulate", 2),
        pytest.param("simulate", 3, marks=pytest.mark.slow),
        pytest.param("fit", 3, marks=pytest.mark.slow),
    ],
)
def test_rounds_that_were_stopped_early_go_on_too(what, at, tmp_path, monkeypatch):
    changes = {"budget": (400, 300, 300, 500), "rounds": None, "stop_at": 0.0}
    whole = quick_rounds(**changes)
    assert len(whole.history) == 2
    assert whole.history[-1].stopped.count("1,100 simulations and") == 1
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupting(patch, "simulate", at) if what == "simulate" else interrupted_fit(patch, at)
        quick_rounds(tmp_path, **changes)
    resumed = quick_rounds(tmp_path, **changes)
    theta = torch.rand(20, 2)
    assert torch.equal(resumed.log_ratio(theta, X_OBS), whole.log_ratio(theta, X_OBS))
    assert [h.stopped for h in resumed.history] == [h.stopped for h in whole.history]
    assert not (tmp_path / "round_2.zarr").exists()
    assert (tmp_path / "round_4.zarr").exists()


@pytest.mark.parametrize("argument", ["method", "preliminary"])
def test_what_a_store_cannot_bring_back_is_refused_before_anything_is_done(argument, tmp_path):
    own = lfi.NeuralRatio(settings=lfi.TrainSettings(steps=5), embedding=torch.nn.Flatten())
    with pytest.raises(ValueError, match=f"{argument}: .*without networks of your own"):
        quick_rounds(tmp_path / "new", **{argument: own})
    assert not (tmp_path / "new").exists()


def correlated():
    """x = a + 2 b + N(0, 1): what is known of one parameter depends on the other's prior."""

    def simulate(theta, rng: torch.Generator):
        x = theta[:, :1] + 2 * theta[:, 1:]
        return x + torch.randn(x.shape, generator=rng, dtype=x.dtype)

    return lfi.Simulator(simulate, prior=prior)


def test_only_the_parameters_asked_for_are_inferred_and_truncated(monkeypatch):
    priors, original = [], rounds_module.simulate

    def seeing(simulator, n, **options):
        priors.append(options["prior"])
        return original(simulator, n, **options)

    monkeypatch.setattr(rounds_module, "simulate", seeing)
    x_obs = torch.tensor([6.0])
    # a regression is exact for the marginal, and its splines are left out
    flow = lfi.PosteriorFlow(gaussian_steps=1, settings=lfi.TrainSettings(steps=1), width=8)
    fitted = lfi.fit_rounds(
        correlated(),
        x_obs,
        budget=(4_000, 4_000),
        parameters=["b"],
        method=flow,
        preliminary=flow,
        seed=1,
    )
    assert fitted.names == ("b",)
    assert fitted.prior.truncated
    assert priors[1].lower[1] == fitted.prior.lower[0] > -10
    assert priors[1].lower[0] == -torch.inf
    mean, sd = 2 * 6 / 6, (1 - 4 / 6) ** 0.5  # of b given x, a integrated out
    low, high = mean - 4 * sd, mean + 4 * sd
    middles = low + (high - low) * (torch.arange(2_000)[:, None] + 0.5) / 2_000
    weights = fitted.log_prob(middles, x_obs).softmax(0)[:, None]
    got = (weights * middles).sum()
    # the box stretches the line's normal scale, and x_obs lies 2.4 deviations out
    assert abs(got - mean) < 5 * sd * ((1 + 2.4**2) / 4_000) ** 0.5 + 0.02


def test_parameters_that_cannot_be_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="no parameter 'c' among a, b"):
        quick_rounds(tmp_path / "new", parameters=["a", "c"])
    assert not (tmp_path / "new").exists()


def test_finished_rounds_are_not_done_again(tmp_path, monkeypatch):
    quick_rounds(tmp_path)
    interrupting(monkeypatch, "simulate", 1)
    assert len(quick_rounds(tmp_path).history) == 3


# its seed is another in each run, and bounds of a hasty critic may cut mass off in some
@pytest.mark.filterwarnings("ignore::lfi.inference.TruncatedMass")
def test_a_call_without_a_seed_goes_on_with_the_one_on_record(tmp_path):
    first = quick_rounds(tmp_path, seed=None)
    again = quick_rounds(tmp_path, seed=None)
    assert torch.equal(first.prior.lower, again.prior.lower)


@pytest.fixture(scope="module")
def finished_rounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    quick_rounds(folder)
    return folder


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"budget": 4_000}, "budget"),
        ({"seed": 2}, "seed"),
        ({"rounds": 2}, "rounds"),
        ({"parameters": ["b"]}, "parameters"),
        ({"stop_at": 0.5}, "stop_at"),
        ({"budget": (500, 500, 2_000)}, "budget"),
    ],
)
def test_a_folder_of_another_call_is_refused_and_left_alone(changes, named, finished_rounds):
    before = sorted(path.name for path in finished_rounds.rglob("*"))
    with pytest.raises(ValueError, match=f"another {named}"):
        quick_rounds(finished_rounds, **changes)
    assert sorted(path.name for path in finished_rounds.rglob("*")) == before


def test_a_damaged_round_says_what_to_do(tmp_path):
    quick_rounds(tmp_path)
    (tmp_path / "round_2.lfi").write_bytes(b"damage")
    with pytest.raises(ValueError, match=r"round_2\.lfi .*delete it and call again"):
        quick_rounds(tmp_path)


def test_an_observation_of_the_wrong_length_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"x_obs has shape \(3,\).*\(2,\)"):
        lfi.fit_rounds(model(), torch.zeros(3), budget=3_000, store=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_shape_of_x_is_found_though_some_simulations_fail():
    def sometimes(theta):
        if theta[0, 0] < 0.5:
            raise RuntimeError("not here")
        return theta.repeat(1, 3)

    assert simulated_shape(lfi.Simulator(sometimes, prior=prior)) == (6,)
