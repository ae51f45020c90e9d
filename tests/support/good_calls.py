"""Calls of public names that are right: what bad calls are made from.

`fine` names the values that an argument may take after all, by the labels of `bad_calls`.
"""

import torch
from support.bad_calls import Call
from support.fitted_parts import fitted
from torch import nn

import lfi
from lfi import (
    abc,
    autoencoders,
    comparison,
    discrepancies,
    embeddings,
    gans,
    imitation,
    kernels,
    losses,
    networks,
    numerics,
    penalties,
    samplers,
    scores,
    trackers,
    training,
)

ANY = ("class", "object", "None", "string", "complex", "number")  # `object`: as scikit-learn has it
CLASSIFIER = {"classifier": ANY}
DISCREPANCIES = (
    "LSDD MMD ClassifierDiscrepancy Energy LearnedDivergence Moments RandomFeatureMMD Sinkhorn "
    "SlicedWasserstein"
)
LOSSES = (
    "KL KLIEP LSIF Bernoulli Brier DonskerVaradhan Exponential Hinge Jeffreys JensenShannon "
    "LeastSquares Misclassification NeymanChiSquared NonSaturating PearsonChiSquared ReverseKL "
    "Spherical SquaredHellinger TotalVariation Triangular Wasserstein Relativistic"
)
LIMITS = {"clip": ("inf",)}
UNDISCOUNTED = {name: ("0",) for name in ("discount", "trace", "entropy", "average")}


def of(room, names, arguments=None, fine=None):
    """Return calls of several names of a room with the same arguments."""
    return [Call(name, getattr(room, name), arguments or {}, fine or {}) for name in names.split()]


def settings_of_training():
    """Settings of methods, training and samplers."""
    yield Call("IndependentCritic", lfi.IndependentCritic)
    yield Call("TrainSettings", lfi.TrainSettings, fine=LIMITS)
    yield Call("AdversarialSettings", lfi.AdversarialSettings, fine=LIMITS)
    yield Call("ImitationSettings", imitation.ImitationSettings, fine=LIMITS | UNDISCOUNTED)
    # no residual blocks, no inner product: what is left is linear
    zero = {"head_layers": ("0",), "rank": ("0",)}
    yield Call("NeuralRatio", lfi.NeuralRatio, fine=zero)
    yield Call("TelescopingRatio", lfi.TelescopingRatio, fine={"layers": ("0",)})
    yield Call("AdversarialPosterior", lfi.AdversarialPosterior, fine={"start_steps": ("0",)})
    yield from of(
        lfi.inference, "ParametricBootstrap PosteriorBootstrap", fine={"concentration": ("0",)}
    )
    yield from of(lfi, "PosteriorFlow SurrogateLikelihood Pool KernelRatio")
    both = {"critic_loss": losses.KL(), "generator_loss": losses.KL()}
    yield Call("Adversarial", lfi.Adversarial, both)
    yield Call("Checkpoint", training.Checkpoint, {"path": "x"})
    yield Call("CsvTracker", trackers.CsvTracker, {"path": "no such folder/x.csv"})
    yield Call("TensorBoardTracker", trackers.TensorBoardTracker, {"folder": "x"})
    yield Call("tracking", trackers.tracking, skip=("trackers",))  # tests/training/test_trackers.py
    unlimited = {"time_limit": ("inf",)}
    names = "HMC NUTS Automatic DifferentialEvolution Importance Variational"
    yield from of(samplers, names, fine=unlimited)
    # none of the steps before the last ones that count
    yield Call("SMC", samplers.SMC, fine=unlimited | {"steps": ("0",)})


def settings_of_abc():
    """Distances, kernels and schedules of ABC."""
    yield from of(abc, "DefensiveMixture GlobalCovariance DistanceQuantile ESSFraction")
    yield from of(abc, "Heteroscedastic LocalLinear SemiAutomatic Summaries")
    yield Call("FittedRatio", abc.FittedRatio, {"posterior": fitted()["ratio_posterior"]})
    yield Call("SampleDistance", abc.SampleDistance, {"discrepancy": discrepancies.MMD()})


def settings_of_comparisons():
    """Discrepancies, kernels, losses, penalties and comparisons that papers have named."""
    yield from of(
        discrepancies,
        "LSDD MMD Biased Block ClassifierDiscrepancy Energy Moments OptimalWeights "
        "RandomFeatureMMD Sinkhorn SlicedWasserstein Unbiased Wasserstein1D",
        fine=CLASSIFIER,
    )
    yield from of(
        kernels, "Gaussian InverseMultiquadric Laplace RationalQuadratic Polynomial Quantile"
    )
    learned = {"features": nn.Linear(2, 2), "kernel": kernels.Gaussian()}
    yield Call("Learned", kernels.Learned, learned)
    yield Call("Sum", kernels.Sum, {"kernels": (kernels.Gaussian(),)})
    yield Call("AlphaDivergence", losses.AlphaDivergence, {"a": 0.5}, {"a": ("-1",)})
    yield Call("PowerDivergence", losses.PowerDivergence, {"b": 0.5})
    yield from of(losses, "NREC Relativistic RelativisticPaired")
    yield Call("Relative", losses.Relative, {"divergence": losses.KL()})
    yield Call("DirectGenerator", losses.DirectGenerator, {"divergence": losses.ReverseKL()})
    yield Call("FDivergence", losses.FDivergence, {"function": lambda r: r * r.log()})
    yield Call("LearnedFeatures", losses.LearnedFeatures, {"discrepancy": discrepancies.MMD()})
    yield Call("WithPrior", losses.WithPrior, {"divergence": losses.KL(), "pi": 0.5})
    yield from of(penalties, "R1 R2 GradientPenalty Balance DRAGAN", {"weight": 1.0})
    yield Call("Annealed", penalties.Annealed, {"penalty": penalties.R1(1.0), "last": 0.5})
    yield from of(penalties, "SpectralNorm WeightClipping")
    yield from of(
        gans,
        "CramerGAN DRAGANNS GANGP MMDGAN NonSaturatingGAN PacGAN R3GAN SinkhornGAN UnrolledGAN "
        "WGAN WGANGP",
    )
    yield from of(gans, "AGE AVB AlphaGAN DCGAN VAE VAEGAN")
    yield from of(
        autoencoders,
        "AnalyticKL BernoulliObserver CodeRatio DeterministicEncoder GaussianEncoder "
        "GaussianObserver ImplicitEncoder JointRatio LaplaceObserver MomentsKL SyntheticLikelihood",
    )
    yield Call("PerturbedEncoder", autoencoders.PerturbedEncoder, {"scale": 0.5})
    lists = {
        "likelihood": (autoencoders.GaussianObserver(),),
        "prior": (autoencoders.AnalyticKL(),),
    }
    yield Call("Autoencoding", autoencoders.Autoencoding, lists)
    yield Call("Packed", gans.Packed, {"comparison": gans.GAN()})
    yield Call("Unrolled", gans.Unrolled, {"comparison": gans.GAN()})
    yield from of(gans, "bGAN fGAN", {"f": losses.KL()})
    yield Call("Recovers", comparison.Recovers, {"value": 1}, {"value": ("number",)}, skip=ENUM)


ENUM = ("names", "module", "qualname", "type", "start", "boundary")


def comparisons():
    """Discrepancies, kernels and losses of samples."""
    p, q = fitted()["p"], fitted()["q"]
    samples = {"p": p, "q": q}
    missing = {name: ("NaN", "inf") for name in samples}  # the discrepancy is not a number then
    for name in DISCREPANCIES.split():
        yield Call(f"{name}()", getattr(discrepancies, name)().__call__, samples, missing)
    for name in ("Energy", "MMD"):
        yield Call(f"{name}().of_q", getattr(discrepancies, name)().of_q, samples, missing)
    noise = {"u": p[:, :1], "noise": torch.distributions.Normal(0.0, 1.0)}
    yield Call("OptimalWeights()", discrepancies.OptimalWeights().__call__, noise)
    columns = {"p": p[:, :1], "q": q[:, :1]}
    yield Call("Wasserstein1D()", discrepancies.Wasserstein1D().__call__, columns, missing)
    points = {"x": p, "y": q}
    passed = {name: ("NaN", "inf", "empty") for name in points}  # NaN is the value there, too
    missing = {name: ("NaN", "inf") for name in points}
    for name in ["Gaussian", "InverseMultiquadric", "Laplace", "RationalQuadratic"]:
        yield Call(f"{name}()", getattr(kernels, name)().__call__, points, missing)
    kernel = {"kernel": kernels.Gaussian()}
    yield Call("fixed", kernels.fixed, kernel | points, missing)
    for name in ("Polynomial", "Linear"):
        yield Call(f"{name}()", getattr(kernels, name)().__call__, points, passed)
    yield from of(
        numerics, "euclidean_distances manhattan_distances squared_distances", points, passed
    )
    yield Call("median_distance", numerics.median_distance, points, missing)
    weights = {"log_weights": p[:, 0]}
    size = {"log_weights": ("another width", "NaN", "inf", "empty")}
    yield Call("effective_sample_size", numerics.effective_sample_size, weights, size)
    width = {"log_weights": ("another width",)}
    yield Call("pareto_smooth", numerics.pareto_smooth, weights, width)
    h = {"h_p": p[:, 0], "h_q": q[:, 0]}
    values = {name: ("another width", "NaN", "inf") for name in h}  # a critic's values
    for name in LOSSES.split():
        yield Call(f"{name}()", getattr(losses, name)().__call__, h, values)
    pairs = {"h_p": torch.randn(6, 4), "h_q": torch.randn(6, 4)}
    for name in ("NREB", "NREC", "InfoNCE"):
        yield Call(f"{name}()", getattr(losses, name)().__call__, pairs, values)


def tests_and_scores():
    """Two-sample tests, and scores of generated samples."""
    p, q = fitted()["p"], fitted()["q"]
    samples = {"p": p, "q": q}
    few = samples | {"permutations": 19}
    yield from of(lfi, "mmd_test energy_test c2st", few, CLASSIFIER)
    yield Call("lsdd_test", comparison.lsdd_test, few)
    yield from of(scores, "support_scores frechet_distance kernel_distance", samples)
    three = {"generated": p, "training": q, "held_out": p + 0.1}
    few = {"codes": p, "simulations": 9}
    yield Call("gaussianity", scores.gaussianity, few, {"codes": ("another width",)})
    yield Call("memorisation", scores.memorisation, three)
    yield Call("mode_scores", scores.mode_scores, {"x": p, "centres": q[:3], "scale": 0.5})
    own = {"x": ("another width",)}  # the classifier's business
    logits = {"x": p, "classifier": nn.Linear(2, 3)}
    yield Call("classifier_score", scores.classifier_score, logits, own)
    images = torch.rand(8, 1, 16, 16)
    wide = {"images": ("another width",)}
    yield Call("diversity", scores.diversity, {"images": images, "span": 1.0}, wide)
    yield Call("ms_ssim", comparison.ms_ssim, {"x": images, "y": images.flip(0), "span": 1.0})


def networks_of_users():
    """Networks and embeddings."""
    yield Call("SetEmbedding", embeddings.SetEmbedding, {"x_shape": (4, 2)})
    yield Call("SeriesEmbedding", embeddings.SeriesEmbedding, {"x_shape": (16, 2)})
    yield Call("ImageEmbedding", embeddings.ImageEmbedding, {"x_shape": (1, 16, 16)})
    box = {"lower": [0.0, 0.0], "upper": [1.0, 1.0], "x_shape": (4,)}
    zero = {name: ("0",) for name in ("rank", "head_layers", "layers", "condition")}
    yield Call("PairCritic", networks.PairCritic, box, zero)
    scale = {"initial_log_scale": ("-1",)}
    yield Call("VectorGenerator", networks.VectorGenerator, {"size": 2}, zero_condition() | scale)
    yield Call("MixtureGenerator", networks.MixtureGenerator, {"size": 2}, zero_condition())
    flow = {"size": 2, "condition": 2}
    yield Call("ConditionalFlow", networks.ConditionalFlow, flow, zero_condition())
    yield Call("LipschitzCritic", networks.LipschitzCritic, {"size": 2})


def zero_condition():
    """Return that there may be no condition."""
    return {"condition": ("0",)}


def good_calls():
    """Return all of them."""
    from support import good_calls_of_fits

    rooms = (
        settings_of_training,
        settings_of_abc,
        settings_of_comparisons,
        comparisons,
        tests_and_scores,
        networks_of_users,
        *good_calls_of_fits.ROOMS,
    )
    return [call for room in rooms for call in room()]
