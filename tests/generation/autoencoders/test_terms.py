"""Two lists of terms: six presets are choices from them, and some choices are refused."""

import pytest

import lfi
from lfi import autoencoders as terms

RATIO = terms.SyntheticLikelihood()
OBSERVER = terms.GaussianObserver()
LEARNED = lfi.Adversarial(
    lfi.losses.LearnedFeatures(lfi.discrepancies.Energy(), 4),
    lfi.losses.LearnedFeatures(lfi.discrepancies.Energy(), 4),
)

# the table of Rosca et al., 2017: observer, ratio on x; analytic, moments, ratio
TABLE = {
    "VAE": (True, False, terms.AnalyticKL),
    "DCGAN": (False, True, None),
    "VAEGAN": (True, True, terms.AnalyticKL),
    "AVB": (True, False, terms.JointRatio),
    "AGE": (True, False, terms.MomentsKL),
    "AlphaGAN": (True, True, terms.CodeRatio),
}


@pytest.mark.parametrize("name", TABLE)
def test_presets_are_the_table_of_likelihoods_and_priors(name):
    algorithm, (observer, ratio, prior) = getattr(lfi.gans, name)(), TABLE[name]
    assert (algorithm.observer is not None) == observer
    assert (algorithm.synthetic is not None) == ratio
    assert [type(term) for term in algorithm.prior] == ([prior] if prior else [])


def test_generators_are_judged_by_nobody_but_a_likelihood_in_two_of_them():
    explicit = [name for name in TABLE if getattr(lfi.gans, name)().explicit]
    assert explicit == ["VAE", "AVB"]


@pytest.mark.parametrize(
    "given, message",
    [
        ({"likelihood": ()}, "nothing is learnt"),
        ({"likelihood": (OBSERVER, terms.LaplaceObserver())}, "at most one term of each kind"),
        ({"prior": ()}, "keeps its codes near the prior"),
        ({"encoder": None}, "goes with SyntheticLikelihood"),
        ({"encoder": terms.ImplicitEncoder()}, "AnalyticKL is known of GaussianEncoder only"),
        (
            {"prior": (terms.JointRatio(),), "encoder": terms.DeterministicEncoder()},
            "JointRatio has no ratio",
        ),
        ({"sphere": True}, "a GaussianEncoder has codes everywhere"),
    ],
)
def test_terms_that_do_not_go_together_are_refused(given, message):
    right = {"likelihood": (OBSERVER, RATIO), "prior": (terms.AnalyticKL(),)}
    with pytest.raises(ValueError, match=message):
        terms.Autoencoding(**right | given)


@pytest.mark.parametrize("term", [terms.CodeRatio, terms.JointRatio, terms.SyntheticLikelihood])
def test_critics_of_features_are_no_ratios(term):
    with pytest.raises(TypeError, match="a critic of one value"):
        term(LEARNED)
