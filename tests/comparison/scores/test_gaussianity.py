"""Gaussianity of codes: exact distances, the level on normal codes, power on wrong ones."""

import math

import mpmath
import pytest
import torch

import lfi
from lfi.comparison.scores.gaussianity import energy_to_normal, mean_distance_to_normal

REPEATS = 60


@pytest.mark.parametrize("dim", [1, 2, 64, 784])
def test_mean_distances_to_the_normal_are_the_hypergeometric_functions(dim):
    squares = [0.0, 1e-3, 1.0, 100.0, 1e3, 1e8]
    found = mean_distance_to_normal(torch.tensor(squares), dim).tolist()
    norm = mpmath.sqrt(2) * mpmath.gamma((dim + 1) / 2) / mpmath.gamma(dim / 2)
    exact = [float(norm * mpmath.hyp1f1(-0.5, dim / 2, -mpmath.mpf(r) / 2)) for r in squares]
    assert found == pytest.approx(exact, rel=1e-9)


def test_the_energy_distance_of_quantiles_is_that_of_many_normal_points():
    z = torch.randn(40, 3) * 2 + 1
    other = torch.randn(2_000, 3)
    exact, close = energy_to_normal(z), float(lfi.discrepancies.Energy()(z, other))
    # of points |z - y| has a deviation of about 2, and its mean enters twice
    assert abs(exact - close) < 5 * 2 * 2 / math.sqrt(len(other))


def test_p_values_are_uniform_on_normal_codes():
    found = [
        lfi.scores.gaussianity(torch.randn(12, 2), simulations=9, seed=seed)
        for seed in range(REPEATS)
    ]
    for name in ("energy_p", "marginal_p", "radial_p"):
        p = torch.tensor([getattr(one, name) for one in found])
        for level in (0.1, 0.5):  # a share of REPEATS has this deviation at most
            share = (p <= level + 1e-9).double().mean()
            assert abs(share - level) < 5 * math.sqrt(level * (1 - level) / REPEATS), name


@pytest.mark.parametrize(
    "wrong, tests",
    [
        (lambda z: 1.2 * z, {"energy_p", "radial_p"}),
        (lambda z: z + 0.4, {"energy_p", "marginal_p"}),
        (lambda z: z @ (0.6 + 0.4 * torch.eye(4)), {"energy_p"}),
        (lambda z: z.sign() * 0.8 + 0.6 * z, {"marginal_p"}),
    ],
)
def test_wrong_codes_are_found(wrong, tests):
    found = lfi.scores.gaussianity(wrong(torch.randn(400, 4)), simulations=99, seed=1)
    assert all(getattr(found, name) <= 0.01 for name in tests)
    assert found.p_value <= 0.05
    assert "not standard normal" in repr(found)


def test_codes_that_are_no_vectors_are_refused():
    with pytest.raises(ValueError, match=r"codes must be vectors, \(n, d\), got shape \(9,\)"):
        lfi.scores.gaussianity(torch.zeros(9))
    with pytest.raises(ValueError, match="codes: 4 rows are too few"):
        lfi.scores.gaussianity(torch.zeros(4, 2))
