import contextlib
import io
import re
import sys

import pytest
import torch

import lfi
from lfi.ratio.kernel.lsif import LeastSquaresObjective, fit_ulsif

SIZES = [(9, 9), (12, 7), (7, 15)]
sizes = pytest.mark.parametrize("sizes", SIZES, ids=str)
alphas = pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5, 0.95])


def features(n_p, n_q, b=4):
    return torch.rand(n_p, b) + 0.3, torch.rand(n_q, b)


def refitted(phi_p, phi_q, alpha, ridge, nonnegative=False):
    """The leave-one-out score by a refit for every pair, term by term."""
    n_p, n_q = len(phi_p), len(phi_q)
    pairs = max(n_p, n_q)
    terms_p, terms_q = [[] for _ in range(n_p)], [[] for _ in range(n_q)]
    for pair in range(pairs):
        i, j = pair % n_p, pair % n_q
        p, q = phi_p[torch.arange(n_p) != i], phi_q[torch.arange(n_q) != j]
        moments = alpha * p.T @ p / len(p) + (1 - alpha) * q.T @ q / len(q)
        a = torch.linalg.solve(moments + ridge * torch.eye(p.shape[1]), p.mean(0))
        a = a.clamp(min=0) if nonnegative else a
        r_x, r_y = phi_p[i] @ a, phi_q[j] @ a
        terms_p[i].append(alpha * r_x**2 / 2 - r_x)
        terms_q[j].append((1 - alpha) * r_y**2 / 2)
    return sum(
        torch.stack([torch.stack(terms).mean() for terms in side]).mean()
        for side in (terms_p, terms_q)
    )


@sizes
@alphas
def test_leave_one_out_score_is_that_of_refitting(sizes, alpha):
    phi_p, phi_q = features(*sizes)
    ridges = torch.tensor([1e-3, 0.1, 10.0])
    scores = LeastSquaresObjective(phi_p, phi_q, alpha).leave_one_out(ridges)
    brute = torch.stack([refitted(phi_p, phi_q, alpha, float(ridge)) for ridge in ridges])
    torch.testing.assert_close(scores, brute, rtol=0, atol=1e-8)


def test_chunks_of_pairs_change_nothing():
    quadratic = LeastSquaresObjective(*features(30, 23), 0.3)
    ridges = torch.tensor([0.01, 1.0])
    whole = quadratic.leave_one_out(ridges)
    torch.testing.assert_close(quadratic.leave_one_out(ridges, chunk=7), whole)


@alphas
def test_coefficients_minimise_the_penalised_objective(alpha):
    phi_p, phi_q = features(50, 40)
    a = LeastSquaresObjective(phi_p, phi_q, alpha).coefficients(0.1).requires_grad_()
    r_p, r_q = phi_p @ a, phi_q @ a
    objective = alpha * r_p.square().mean() / 2 + (1 - alpha) * r_q.square().mean() / 2
    (objective - r_p.mean() + 0.05 * a.square().sum()).backward()
    torch.testing.assert_close(a.grad, torch.zeros(4), atol=1e-12, rtol=0)


def test_the_chosen_pair_has_the_least_score():
    x_p, x_q = torch.randn(80, 2) + 0.5, torch.randn(60, 2)
    widths, ridges = torch.tensor([0.3, 1.0, 3.0]), torch.tensor([1e-2, 1e-1, 1.0])
    model = fit_ulsif(x_p, x_q, x_p[:20], widths, ridges, 0.1)
    i, j = divmod(int(model.scores.argmin()), 3)
    assert model.width == float(widths[i])
    assert model.ridge == float(ridges[j])
    assert model.pearson.held_out == pytest.approx(-float(model.scores.min()) - 0.5)


def test_the_penalty_is_the_norm_of_the_function_however_centres_lie():
    # The same centres given twice span the same functions: the fit must not change. (With the
    # penalty on raw coefficients it would: two half coefficients cost half of a whole one.)
    x_p, x_q = torch.randn(80, 1) + 0.5, torch.randn(60, 1)
    centres, x = x_p[:10], torch.linspace(-2, 2, 9)[:, None]
    arguments = torch.tensor([1.0]), torch.tensor([0.1]), 0.0
    once = fit_ulsif(x_p, x_q, centres, *arguments)
    twice = fit_ulsif(x_p, x_q, centres.repeat(2, 1), *arguments)
    # Directions below 1e-10 of the largest eigenvalue are dropped, so agreement is to its root.
    torch.testing.assert_close(once.ratio(x), twice.ratio(x), rtol=1e-5, atol=1e-5)


def test_divergence_estimates_keep_their_order():
    # In-sample above held-out: the optimism of the fit; the default is half-way.
    for seed in range(5):
        rng = torch.Generator().manual_seed(seed)
        p, q = torch.randn(300, generator=rng) / 8, torch.randn(300, generator=rng) / 2
        pearson = lfi.KernelRatio(alpha=0.1, centres=30).fit(p, q, seed=seed).pearson_
        assert pearson.dual > pearson.value > pearson.held_out
        assert pearson.value == (pearson.dual + pearson.held_out) / 2


@pytest.mark.peer
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_densratio_selects_by_another_score(alpha):
    import densratio  # noqa: F401

    module = sys.modules["densratio.RuLSIF"]
    rng = torch.Generator().manual_seed(1)
    x, y = torch.randn(60, 1, generator=rng) / 8, torch.randn(60, 1, generator=rng) / 2
    centres, width, ridge = x[:15], 0.2, 0.01
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        arguments = x.numpy(), y.numpy(), alpha, centres.numpy(), [width], [ridge]
        module.search_sigma_and_lambda(*arguments, True)
    theirs = float(re.search(r"score = (\S+)", said.getvalue())[1])
    phi_p, phi_q = (torch.exp(-(z - centres.T).square() / (2 * width**2)) for z in (x, y))
    brute = float(refitted(phi_p, phi_q, alpha, ridge))
    truncated = float(refitted(phi_p, phi_q, alpha, ridge, nonnegative=True))
    ours = float(LeastSquaresObjective(phi_p, phi_q, alpha).leave_one_out(torch.tensor([ridge]))[0])
    assert ours == pytest.approx(brute, abs=1e-8)
    # Theirs is neither the score of refitting, nor that with the truncation that they apply.
    assert min(abs(theirs - brute), abs(theirs - truncated)) > 0.01
