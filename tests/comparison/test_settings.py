"""Settings of comparisons are checked when they are made: kinds, ranges, classes for instances."""

import pytest
import torch

from lfi.comparison import (
    DRAGAN,
    KL,
    LSDD,
    MMD,
    NREC,
    R1,
    Adversarial,
    Annealed,
    Balance,
    Bernoulli,
    ClassifierDiscrepancy,
    Energy,
    Gaussian,
    GradientPenalty,
    Learned,
    LearnedFeatures,
    Moments,
    Quantile,
    RandomFeatureMMD,
    Relativistic,
    RelativisticPaired,
    Sinkhorn,
    SlicedWasserstein,
    SpectralNorm,
    Sum,
    Wasserstein1D,
    WeightClipping,
    WithPrior,
)

NAN = float("nan")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Adversarial(Bernoulli, Bernoulli()),
        lambda: Adversarial(Bernoulli(), KL),
        lambda: Adversarial(Bernoulli(), Bernoulli(), penalty=R1),
        lambda: Adversarial(Bernoulli(), Bernoulli(), constraint=SpectralNorm),
        lambda: Annealed(R1, 0.1),
        lambda: Relativistic(Bernoulli),
        lambda: RelativisticPaired(Bernoulli),
        lambda: WithPrior(Bernoulli, 0.5),
        lambda: LearnedFeatures(Energy),
        lambda: MMD(Gaussian),
        lambda: MMD(estimator=MMD),
        lambda: Sum((Gaussian(), Gaussian)),
        lambda: Learned(torch.nn.Linear(2, 1), Gaussian),
        lambda: RandomFeatureMMD(Gaussian),
        lambda: Moments(torch.nn.Linear),
        lambda: Gaussian(Quantile),
    ],
)
def test_a_class_in_place_of_an_instance_is_a_type_error(make):
    with pytest.raises(TypeError, match="must be|Type-check error"):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: R1(-0.1),
        lambda: GradientPenalty(NAN),
        lambda: DRAGAN(1.0, scale=NAN),
        lambda: Balance(every=0),
        lambda: Annealed(R1(1.0), NAN),
        lambda: WeightClipping(-1.0),
        lambda: NREC(NAN),
        lambda: WithPrior(KL(), 1.5),
        lambda: LearnedFeatures(Energy(), features=0),
        lambda: Gaussian(-1.0),
        lambda: Gaussian(torch.tensor([1.0, NAN])),
        lambda: Quantile(NAN),
        lambda: LSDD(width=-1.0),
        lambda: LSDD(seed=-1),
        lambda: ClassifierDiscrepancy(folds=1),
        lambda: RandomFeatureMMD(features=0),
        lambda: Sinkhorn(order=NAN),
        lambda: Sinkhorn(epsilon=0.0),
        lambda: SlicedWasserstein(projections=0),
        lambda: Wasserstein1D(NAN),
    ],
)
def test_a_value_out_of_its_range_is_a_value_error(make):
    with pytest.raises(ValueError, match="must"):
        make()
