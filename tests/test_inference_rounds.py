"""Rounds: the budget goes as planned, the box holds the posterior, interruptions leave no trace."""

import pytest
import torch
from conjugate import model, posterior, prior

import lfi
import lfi.inference.rounds as rounds_module
from lfi.inference.rounds import box, plan, simulated_shape

QUICK = lfi.NeuralRatio(steps=30, width=8, rank=4, depth=None)
X_OBS = torch.tensor([0.8, -0.5])


def quick_rounds(store=None, **changes):
    arguments = {"rounds": 3, "budget": 3_000, "seed": 1, "method": QUICK, "scout": QUICK}
    return lfi.fit_rounds(model(0.1), X_OBS, store=store, **(arguments | changes))


def test_the_whole_budget_is_planned_and_most_of_it_goes_last():
    for budget in (2_400, 10_001, 360_000):
        counts = plan(budget, 3)
        assert sum(counts) == budget
        assert counts[-1] > 9 * counts[0]
    assert plan(500, 1) == (500,)


@pytest.mark.parametrize(
    ("budget", "rounds"), [(-1, 3), (2_399, 3), (199, 1), (1_000, 0), (9_999, 20)]
)
def test_plans_that_cannot_be_are_refused(budget, rounds):
    with pytest.raises(ValueError, match="budget|rounds"):
        plan(budget, rounds)


def test_the_box_holds_the_posterior_with_room_to_spare():
    theta = torch.randn(10_000, 2)
    lower, upper = box(theta)
    assert (lower < theta.amin(0)).all()
    assert (upper > theta.amax(0)).all()
    assert (upper - lower < 12).all()


def test_each_round_is_inside_the_one_before():
    fitted = quick_rounds()
    assert fitted.prior.truncated
    assert len(fitted.history) == 3
    truth = posterior(X_OBS, 0.1)
    assert fitted.prior.contains(truth.sample((1_000,)).double()).all()


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
    from lfi.inference import ratio_training

    calls, original = [], ratio_training.fit

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == at:
            options["callbacks"] = [lambda done, latest: (_ for _ in ()).throw(KeyboardInterrupt)]
        return original(*arguments, **options)

    monkeypatch.setattr(ratio_training, "fit", interrupted)


@pytest.mark.parametrize(
    ("what", "at"),
    [("simulate", 1), ("simulate", 2), ("simulate", 4), ("fit", 1), ("fit", 2), ("fit", 3)],
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


def test_finished_rounds_are_not_done_again(tmp_path, monkeypatch):
    quick_rounds(tmp_path)
    interrupting(monkeypatch, "simulate", 1)
    assert len(quick_rounds(tmp_path).history) == 3


def test_a_call_without_a_seed_goes_on_with_the_one_on_record(tmp_path):
    first = quick_rounds(tmp_path, seed=None)
    again = quick_rounds(tmp_path, seed=None)
    assert torch.equal(first.prior.lower, again.prior.lower)


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"budget": 4_000}, "budget"), ({"seed": 2}, "seed"), ({"rounds": 2}, "rounds")],
)
def test_a_folder_of_another_call_is_refused_and_left_alone(changes, named, tmp_path):
    quick_rounds(tmp_path)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=f"another {named}"):
        quick_rounds(tmp_path, **changes)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


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
