"""Sparse logistic regression: optimal by its own conditions, and each problem as if alone."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from lfi.inference.lfire.sparse_logistic import Problems, fit_sparse, path, solve


def problems(j=5, n=80, k=6):
    s, y = torch.randn(j, n, k), (torch.arange(n) % 2).double().expand(j, -1)
    s[:, :, 0] += torch.linspace(0, 2, j)[:, None] * y
    s[:, :, 1] += 0.5 * s[:, :, 0]
    a = torch.rand(j, n)
    return Problems(s, y, a / a.sum(dim=1, keepdim=True))


def pull(p, b, beta):
    """The derivative of the log-loss, with respect to intercept and slopes, by its formula."""
    h = b[:, None] + (p.s @ beta[:, :, None])[:, :, 0]
    error = p.a * (torch.sigmoid(h) - p.y)
    return error.sum(dim=1), (error[:, :, None] * p.s).sum(dim=1)


@pytest.mark.parametrize("share", [0.9, 0.3, 0.03, 1e-4])
def test_solutions_meet_the_conditions_of_karush_kuhn_and_tucker(share):
    p = problems()
    penalty = share * p.first_penalty()
    b, beta = solve(p, penalty, tolerance=1e-9)
    at_b, at_beta = pull(p, b, beta)
    assert at_b.abs().max() < 1e-7
    assert ((at_beta.abs() - penalty[:, None]) < 1e-7).all()
    used = beta != 0
    assert ((at_beta + penalty[:, None] * beta.sign())[used].abs() < 1e-7).all()
    assert (~used).any() or share < 0.1


def test_from_the_first_penalty_on_every_slope_is_zero():
    p = problems()
    first = p.first_penalty()
    assert (solve(p, first * 1.0001)[1] == 0).all()
    assert (solve(p, first * 0.99, tolerance=1e-9)[1] != 0).any(dim=1).all()


def test_without_a_penalty_it_is_logistic_regression():
    p = problems()
    b, beta = solve(p, torch.zeros(5), tolerance=1e-9)
    for j in range(5):
        peer = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1_000)
        peer.fit(p.s[j].numpy(), p.y[j].numpy(), sample_weight=80 * p.a[j].numpy())
        torch.testing.assert_close(beta[j], torch.from_numpy(peer.coef_[0]), rtol=1e-4, atol=1e-5)
        assert b[j].item() == pytest.approx(peer.intercept_[0], rel=1e-4, abs=1e-5)


def test_each_problem_is_solved_as_if_it_were_alone():
    p = problems()
    penalty = torch.tensor([0.3, 0.1, 0.01, 0.001, 1e-5]) * p.first_penalty()
    b, beta = solve(p, penalty, tolerance=1e-9)
    for j in range(5):
        alone = solve(p.select(torch.tensor([j])), penalty[j : j + 1], tolerance=1e-9)
        torch.testing.assert_close(b[j], alone[0][0], atol=1e-7, rtol=0)
        torch.testing.assert_close(beta[j], alone[1][0], atol=1e-7, rtol=0)


def test_rows_without_weight_do_not_count():
    p = problems()
    held = torch.arange(80) < 30
    part = p.without(held.expand_as(p.y))
    torch.testing.assert_close(part.a.sum(dim=1), torch.ones(5))
    kept = p.a[:, ~held]
    alone = Problems(p.s[:, ~held], p.y[:, ~held], kept / kept.sum(dim=1, keepdim=True))
    penalty = 0.1 * p.first_penalty()
    for found, expected in zip(solve(part, penalty), solve(alone, penalty), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_classes_that_can_be_separated_give_finite_slopes():
    s = torch.linspace(-1, 1, 40)[None, :, None]
    p = Problems(s, (s[:, :, 0] > 0).double(), torch.full((1, 40), 1 / 40))
    _, b, beta = path(p, 10, 1e-4)
    assert b.isfinite().all()
    assert (beta.diff(dim=0) >= 0).all()  # the smaller the penalty, the steeper


def test_paths_go_down_from_the_first_penalty():
    p = problems()
    penalties, b, beta = path(p, 7, 1e-2)
    torch.testing.assert_close(penalties[0], p.first_penalty())
    torch.testing.assert_close(penalties[-1], 1e-2 * p.first_penalty())
    assert b.shape == (7, 5)
    risk = torch.stack([p.loss(*pair) for pair in zip(b, beta, strict=True)])
    assert (risk.diff(dim=0) <= 1e-9).all()


def test_the_penalty_is_the_best_of_the_path_on_rows_held_out():
    p, fold = problems(), torch.arange(80) // 2 % 4
    b, beta, penalty = fit_sparse(p, fold, points=6, min_penalty=1e-2)
    risks = torch.zeros(6, 5)
    for f in range(4):
        held = (fold == f).expand_as(p.y)
        _, path_b, path_beta = path(p.without(held), 6, 1e-2)
        for i in range(6):
            h = path_b[i][:, None] + (p.s @ path_beta[i][:, :, None])[:, :, 0]
            loss = torch.nn.functional.softplus(torch.where(p.y > 0, -h, h))
            weight = p.a * held
            risks[i] += (weight * loss).sum(dim=1) / weight.sum(dim=1)
    torch.testing.assert_close(penalty, path(p, 6, 1e-2)[0][risks.argmin(dim=0), torch.arange(5)])
    again = solve(p, penalty, tolerance=1e-9)
    torch.testing.assert_close(beta, again[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(b, again[0], atol=1e-5, rtol=0)
