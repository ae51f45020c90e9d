"""Lorenz '96: forecasts by a loop and by SciPy, the full system, its invariants, the averages."""

import numpy as np
import pytest
import scipy.integrate
import torch

from simulators import lorenz96

TRUE = lorenz96.theta_true


def slope_by_hand(y, theta, eta):
    return np.array(
        [
            -y[k - 1] * (y[k - 2] - y[(k + 1) % 40])
            - y[k]
            + 10
            - theta[0]
            - theta[1] * y[k]
            + eta[k]
            for k in range(40)
        ]
    )


# The forecast.


def test_forecasts_are_those_of_a_loop():
    eta = torch.randn(40, 1, 40)
    own = lorenz96.solve(torch.tensor([TRUE]), eta)[0]
    y, h, path = np.array(lorenz96.start), 0.025, []
    for noise in eta[:, 0].numpy():
        k1 = slope_by_hand(y, TRUE, noise)
        k2 = slope_by_hand(y + h / 2 * k1, TRUE, noise)
        k3 = slope_by_hand(y + h / 2 * k2, TRUE, noise)
        k4 = slope_by_hand(y + h * k3, TRUE, noise)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path.append(y)
    # rounding, which a unit of time in chaos multiplies by less than a hundred
    np.testing.assert_allclose(own.numpy(), np.stack(path), rtol=0, atol=1e-10)


def test_forecasts_solve_the_equations():
    n = 20  # half a unit of time; a step's error is of order (rate h)^5 / 120 with rates of ten
    eta = 0.5 * torch.randn(n, 1, 40)
    own = lorenz96.solve(torch.tensor([TRUE]), eta)[0].numpy()
    y = np.array(lorenz96.start)
    for row, noise in zip(own, eta[:, 0].numpy(), strict=True):
        run = scipy.integrate.solve_ivp(
            lambda _, y, noise=noise: slope_by_hand(y, TRUE, noise), (0, 0.025), y, rtol=1e-8
        )
        y = run.y[:, -1]
        assert np.abs(row - y).max() < 0.01 * y.std()


def test_the_noise_is_autoregressive(monkeypatch):
    noise = []
    monkeypatch.setattr(lorenz96, "solve", lambda theta, eta: noise.append(eta))
    n = 500
    lorenz96.forecast(torch.tensor([TRUE]).expand(n, 2), torch.Generator().manual_seed(1))
    eta = noise[0]
    assert eta.shape == (160, n, 40)
    exact = torch.tensor([0.84, 0.84 * 1.16, 1.0])  # 1 - phi^2, then phi^2 of it more, then all
    for k, variance in zip((0, 1, 159), exact, strict=True):
        error = variance * (2 / eta[k].numel()) ** 0.5
        assert (eta[k].square().mean() - variance).abs() < 5 * error
    fresh = eta[1:] - 0.4 * eta[:-1]
    for other in (eta[:-1], eta[:-1].roll(1, dims=2), eta[:-1].roll(1, dims=1)):
        product = fresh * other
        assert product.mean().abs() < 5 * product.std() / product.numel() ** 0.5


def test_averages_are_those_of_a_loop():
    y = lorenz96.forecast(torch.tensor([TRUE, (3.0, 0.2)]), torch.Generator().manual_seed(1))
    own = lorenz96.summaries(y)
    cov = lambda a, b: np.cov(a, b, bias=True)[0, 1]
    for series, averages in zip(y.numpy(), own.tolist(), strict=True):
        here = list(series.T)
        before, after = here[-1:] + here[:-1], here[1:] + here[:1]
        pairs = list(zip(here, before, after, strict=True))
        exact = [
            np.mean(series),
            np.mean([np.var(a) for a in here]),
            np.mean([cov(a[:-1], a[1:]) for a in here]),
            np.mean([cov(a, c) for a, _, c in pairs]),
            np.mean([cov(a[:-1], b[1:]) for a, b, _ in pairs]),
            np.mean([cov(a[:-1], c[1:]) for a, _, c in pairs]),
        ]
        assert averages == pytest.approx(exact)


def test_a_rest_without_waves_tends_to_its_fixed_point(monkeypatch):
    # all places alike: no advection, and dy/dt = F - theta1 - (1 + theta2) y
    monkeypatch.setattr(lorenz96, "start", (0.0,) * 40)
    own = lorenz96.solve(torch.tensor([TRUE]), torch.zeros(160, 1, 40))[0]
    t = 0.025 * torch.arange(1, 161)[:, None]
    exact = 8 / 1.1 * (1 - torch.exp(-1.1 * t))
    torch.testing.assert_close(own, exact.expand(160, 40), rtol=1e-6, atol=0)


def test_averages_have_the_gradient_of_their_differences():
    theta = torch.tensor([TRUE], requires_grad=True)
    assert lorenz96.differentiable
    assert torch.autograd.gradcheck(
        lambda t: lorenz96.simulate(t, torch.Generator().manual_seed(1)), theta, fast_mode=True
    )


# The full system.


def full_slope_by_hand(state):
    y, z = state[:40], state[40:]
    dy = [
        -y[k - 1] * (y[k - 2] - y[(k + 1) % 40]) - y[k] + 10 - z[8 * k : 8 * k + 8].sum()
        for k in range(40)
    ]
    dz = [
        -100 * z[(j + 1) % 320] * (z[(j + 2) % 320] - z[j - 1]) - 10 * z[j] + y[j // 8]
        for j in range(320)
    ]
    return np.array(dy + dz)


def test_the_full_system_has_lorenzs_slopes():
    state = torch.randn(2, 360)
    exact = np.stack([full_slope_by_hand(row) for row in state.numpy()])
    np.testing.assert_allclose(lorenz96.slope_of_both(state).numpy(), exact)


def test_advection_and_coupling_keep_the_energy():
    # half the sum of squares changes only by the force and by damping
    state = torch.randn(5, 360)
    y, z = state[:, :40], state[:, 40:]
    power = (state * lorenz96.slope_of_both(state)).sum(dim=1)
    exact = (10 * y - y**2).sum(dim=1) - (10 * z**2).sum(dim=1)
    torch.testing.assert_close(power, exact)


def test_the_full_system_is_solved_as_by_scipy():
    rng = lambda: torch.Generator().manual_seed(1)
    own = lorenz96.two_scale(1, rng())[0, :12]
    z = 0.1 * torch.randn(1, 320, generator=rng())[0]
    state = np.concatenate([lorenz96.start, z.numpy()])
    run = scipy.integrate.solve_ivp(
        lambda _, s: lorenz96.slope_of_both(torch.from_numpy(s)[None])[0].numpy(),
        *((0, 0.3), state),
        rtol=1e-9,
        atol=1e-9,
        t_eval=np.minimum(0.025 * np.arange(1, 13), 0.3),
    )
    assert np.abs(own.numpy() - run.y[:40].T).max() < 1e-3 * own.std()


@pytest.mark.slow
def test_a_line_stands_for_the_fast_variables():
    # what they take from the slow ones, by differences over the attractor, regressed on y
    n, rng = 40, torch.Generator().manual_seed(1)
    y = lorenz96.two_scale(n, rng, spin_up=4.0)
    change, inner = (y[:, 2:] - y[:, :-2]) / (2 * lorenz96.dt), y[:, 1:-1]
    left = lorenz96.advection(inner.flatten(0, 1)).view_as(inner) - inner + lorenz96.force - change
    slope, offset = np.polyfit(inner.flatten(), left.flatten(), 1)
    assert (offset, slope) == pytest.approx((0.13, 0.25), abs=0.02)  # as the module says
    assert np.corrcoef(inner.flatten(), left.flatten())[0, 1] > 0.8
    line = torch.tensor([[offset, slope]]).expand(n, 2)
    full, closed, blind = (
        lorenz96.summaries(each).mean(dim=0)
        for each in (y, lorenz96.forecast(line, rng), lorenz96.forecast(0 * line, rng))
    )
    # the variance, 13 of the full system, is 18 without the fast variables and 13 with the line
    assert (closed[1] - full[1]).abs() < 0.2 * (blind[1] - full[1]).abs()
