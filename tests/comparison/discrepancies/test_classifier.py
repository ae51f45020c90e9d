"""The classifier discrepancy: known accuracies, folds, weights, any classifier."""

import pytest
import torch
from scipy.stats import norm
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from lfi.comparison import ClassifierDiscrepancy


def draw(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng), torch.rand(shape[:-1], generator=rng)


@pytest.mark.parametrize("classifier", [None, LogisticRegression()])
def test_the_total_variation_of_shifted_gaussians_is_reached(classifier):
    """N(0, I) and N(1, I) in 2 dimensions: 2 Phi(|shift| / 2) - 1."""
    x, y = draw(4000, 2)[0], draw(3000, 2, seed=1)[0] + 1
    exact = 2 * norm.cdf(2**0.5 / 2) - 1
    # a mean of signs has variance below 1; five standard errors
    error = (0.25 * (1 / 4000 + 1 / 3000)) ** 0.5
    assert abs(ClassifierDiscrepancy(classifier)(x, y) - exact) < 5 * error


def test_spreads_and_correlations_are_seen():
    """N(0, 1) and N(0, 4): the densities cross at |z| = sqrt(8 log(2) / 3)."""
    x, y = draw(4000, 1)[0], 2 * draw(4000, 1, seed=1)[0]
    z = (8 * torch.tensor(2.0).log() / 3).sqrt().item()
    exact = 2 * (norm.cdf(z) - norm.cdf(z / 2))
    assert abs(ClassifierDiscrepancy()(x, y) - exact) < 5 * (0.5 / 4000) ** 0.5
    assert ClassifierDiscrepancy(LogisticRegression())(x, y) < 0.1
    turn = torch.tensor([[1.0, 0.9], [0.0, 0.44]])
    assert ClassifierDiscrepancy()(draw(500, 2)[0], draw(500, 2, seed=1)[0] @ turn) > 0.3


def test_samples_of_one_distribution_are_at_zero_on_average():
    """1,000 pairs: without bias, unlike accuracy on points that were trained on."""
    x, y = draw(1000, 40, 3)[0], draw(1000, 30, 3, seed=1)[0]
    values = ClassifierDiscrepancy()(x, y)
    assert values.std() < 1.5 * (0.25 * (1 / 40 + 1 / 30)) ** 0.5  # folds share training data
    # held-out points are fewer in training: each half of a pair looks a little more like the other
    assert -0.05 < values.mean() < 5 * values.std() / 1000**0.5


def test_the_discriminant_is_that_of_scikit_learn_for_many_points():
    x, y = draw(2000, 2)[0], 1.5 * draw(2000, 2, seed=1)[0] + 0.5
    theirs = ClassifierDiscrepancy(QuadraticDiscriminantAnalysis())(x, y)
    # the same folds, and covariances shrunk by 3 points in 1,600: few points change sides
    assert abs(ClassifierDiscrepancy()(x, y) - theirs) < 0.005


def test_no_point_is_judged_by_what_it_taught():
    """The nearest neighbour is always right on points that it knows."""
    x, y = draw(300, 2)[0], draw(300, 2, seed=1)[0]
    nearest = ClassifierDiscrepancy(KNeighborsClassifier(1))
    assert abs(nearest(x, y)) < 5 * (0.5 / 300) ** 0.5


def test_a_sample_is_at_zero_from_itself_and_swaps():
    x, y = draw(50, 3)[0], draw(40, 3, seed=1)[0]
    for discrepancy in (ClassifierDiscrepancy(), ClassifierDiscrepancy(LogisticRegression())):
        assert discrepancy(x, x.clone()).abs() < 1e-12
        assert torch.isclose(discrepancy(x, y), discrepancy(y, x), atol=1e-12)


def test_units_do_not_matter():
    x, y = draw(50, 3)[0], draw(40, 3, seed=1)[0] + 0.5
    units = torch.tensor([1e-4, 1.0, 1e5])
    assert ClassifierDiscrepancy()(x * units + 3, y * units + 3) == ClassifierDiscrepancy()(x, y)


@pytest.mark.parametrize("classifier", [None, LogisticRegression(), GaussianNB()])
def test_weights_that_are_zero_take_points_away(classifier):
    (x, a), (y, b) = draw(3, 60, 2), draw(50, 2, seed=1)
    a[:, ::2] = 0
    discrepancy = ClassifierDiscrepancy(classifier)
    value = discrepancy(x, y, weight_p=a, weight_q=b)
    left = discrepancy(x[:, 1::2], y, weight_p=a[:, 1::2], weight_q=b)
    assert torch.allclose(value, left, atol=1e-12)
    assert not torch.allclose(value, discrepancy(x, y))


def test_weights_make_one_distribution_of_another():
    """N(0, 1) weighted towards N(1, 1) is at zero from it, within sampling error."""
    x, y = draw(20_000, 1)[0], draw(2000, 1, seed=1)[0] + 1
    weight = torch.exp(x[:, 0])
    effective = weight.sum() ** 2 / weight.square().sum()
    error = (0.25 * (1 / effective + 1 / 2000)) ** 0.5
    assert abs(ClassifierDiscrepancy()(x, y, weight_p=weight)) < 5 * error
    assert ClassifierDiscrepancy()(x, y) > 0.3


def test_a_classifier_without_weights_refuses_them():
    (x, a), (y, _) = draw(20, 2), draw(20, 2, seed=1)
    nearest = ClassifierDiscrepancy(KNeighborsClassifier())
    nearest(x, y)
    with pytest.raises(ValueError, match="KNeighborsClassifier takes no weights"):
        nearest(x, y, weight_p=a)


def test_classifiers_are_not_changed_and_repeat():
    x, y = draw(40, 2)[0], draw(40, 2, seed=1)[0] + 0.3
    tree = DecisionTreeClassifier(splitter="random")
    first = ClassifierDiscrepancy(tree)(x, y)
    assert first == ClassifierDiscrepancy(tree)(x, y)
    assert tree.random_state is None
    assert not hasattr(tree, "tree_")


def test_few_points_in_many_dimensions_are_judged():
    x, y = draw(12, 30)[0], draw(12, 30, seed=1)[0] + 3
    assert ClassifierDiscrepancy()(x, y) > 0.7
    assert abs(ClassifierDiscrepancy()(x, y - 3)) < 5 * (0.5 / 12) ** 0.5


def test_coordinates_that_never_vary_are_no_evidence():
    x = torch.cat([draw(30, 1)[0], torch.ones(30, 1)], dim=1)
    y = torch.cat([draw(30, 1, seed=1)[0], torch.ones(30, 1)], dim=1)
    assert ClassifierDiscrepancy()(x, y).abs() < 5 * (0.5 / 30) ** 0.5
    assert ClassifierDiscrepancy()(x[:, 1:], y[:, 1:]) == 0


@pytest.mark.parametrize("classifier", [None, LogisticRegression()])
def test_one_broken_sample_does_not_spoil_the_others(classifier):
    x, y = draw(3, 20, 2)[0], draw(15, 2, seed=1)[0]
    sound = ClassifierDiscrepancy(classifier)(x, y)
    x[1, 3] = torch.nan
    value = ClassifierDiscrepancy(classifier)(x, y)
    assert value.isnan().tolist() == [False, True, False]
    assert torch.equal(value[[0, 2]], sound[[0, 2]])


def test_there_is_no_gradient():
    x = draw(20, 2)[0].requires_grad_()
    assert not ClassifierDiscrepancy()(x, draw(20, 2, seed=1)[0]).requires_grad


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ValueError, match="folds must be at least 2, got 1"):
        ClassifierDiscrepancy(folds=1)
    with pytest.raises(TypeError, match="must be a classifier of scikit-learn"):
        ClassifierDiscrepancy(LinearRegression())
    x, y = draw(20, 2)[0], draw(4, 2, seed=1)[0]
    with pytest.raises(ValueError, match="q must have a point with a weight in each of 5 folds"):
        ClassifierDiscrepancy()(x, y)
