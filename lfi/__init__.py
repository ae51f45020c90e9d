"""lfi: likelihood-free inference.

Compare two samples, and use the comparison twice: its gradient trains a generator, its value (a
density ratio) weighs the parameters of a simulator. Names are imported when they are first used.

Example:
    >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
    >>> wrapped = lfi.Simulator(lambda theta: theta + 1, prior=prior)
    >>> wrapped.names
    ('mean',)
"""

from importlib import import_module

__version__ = "0.1.0"

_rooms = {
    "comparison": (
        "Adversarial",
        "AlphaDivergence",
        "Annealed",
        "Balance",
        "Bernoulli",
        "Brier",
        "ClassifierDiscrepancy",
        "DRAGAN",
        "DirectGenerator",
        "DonskerVaradhan",
        "Energy",
        "Exponential",
        "FDivergence",
        "GradientPenalty",
        "Hinge",
        "InfoNCE",
        "Jeffreys",
        "JensenShannon",
        "KL",
        "KLIEP",
        "LSDD",
        "LSIF",
        "LearnedFeatures",
        "LeastSquares",
        "MMD",
        "Misclassification",
        "Moments",
        "NREB",
        "NREC",
        "NeymanChiSquared",
        "NonSaturating",
        "Paired",
        "PearsonChiSquared",
        "PowerDivergence",
        "R1",
        "R2",
        "RandomFeatureMMD",
        "Recovers",
        "Relativistic",
        "ReverseKL",
        "Sinkhorn",
        "SlicedWasserstein",
        "SpectralNorm",
        "Spherical",
        "SquaredHellinger",
        "TotalVariation",
        "Triangular",
        "Wasserstein",
        "Wasserstein1D",
        "WeightClipping",
        "WithPrior",
        "c2st",
        "classifier_score",
        "diversity",
        "energy_test",
        "frechet_distance",
        "kernel_distance",
        "lsdd_test",
        "memorisation",
        "mmd_test",
        "mode_scores",
        "support_scores",
    ),
    "ratio": (
        "KernelRatio",
        "TelescopingRatio",
        "fit_density",
        "fit_ratio",
        "mutual_information",
        "wasserstein_distance",
    ),
    "simulation": (
        "Simulations",
        "Simulator",
        "simulate",
        "simulator",
    ),
    "generation": (
        "CramerGAN",
        "DRAGANNS",
        "GAN",
        "GANGP",
        "GMMN",
        "HingeGAN",
        "LSGAN",
        "MMDGAN",
        "NonSaturatingGAN",
        "PacGAN",
        "Packed",
        "R3GAN",
        "Regime",
        "SinkhornGAN",
        "WGAN",
        "WGANGP",
        "bGAN",
        "fGAN",
        "fidelity",
        "fidelity_by_region",
        "fit_generator",
        "fit_generators",
        "fit_surrogate",
    ),
    "inference": (
        "Automatic",
        "Ensemble",
        "FittedRatio",
        "HMC",
        "Heteroscedastic",
        "Importance",
        "LocalLinear",
        "NUTS",
        "NeuralRatio",
        "Pool",
        "PosteriorFlow",
        "SMC",
        "SemiAutomatic",
        "Summaries",
        "SurrogateLikelihood",
        "Variational",
        "abc_rejection",
        "abc_smc",
        "fit_lfire",
        "fit_posterior",
        "fit_rounds",
    ),
    "training": ("TrainSettings",),
    "loading": ("load",),
    "diagnostics": (
        "check",
        "check_observation",
        "local_check",
        "predictive_check",
        "predictive_checks",
    ),
    "report": (
        "plot_losses",
        "write_report",
    ),
}
_room_of = {name: room for room, names in _rooms.items() for name in names}

__all__ = sorted(_room_of)


def __getattr__(name: str) -> object:
    if name not in _room_of:
        raise AttributeError(f"module 'lfi' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"lfi.{_room_of[name]}"), name)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
