# The names of `lfi`: what is listed here is imported when it is first used.
from . import (
    abc as abc,
    autoencoders as autoencoders,
    cli as cli,
    comparison as comparison,
    diagnostics as diagnostics,
    discrepancies as discrepancies,
    embeddings as embeddings,
    gans as gans,
    generation as generation,
    imitation as imitation,
    inference as inference,
    kernels as kernels,
    losses as losses,
    networks as networks,
    numerics as numerics,
    penalties as penalties,
    plots as plots,
    ratio as ratio,
    report as report,
    runtime as runtime,
    samplers as samplers,
    scores as scores,
    simulation as simulation,
    tables as tables,
    trackers as trackers,
    training as training,
)
from .comparison import (
    Adversarial as Adversarial,
    c2st as c2st,
    energy_test as energy_test,
    mmd_test as mmd_test,
)
from .diagnostics import (
    check as check,
    check_observation as check_observation,
    local_check as local_check,
    predictive_check as predictive_check,
)
from .generation import (
    AdversarialSettings as AdversarialSettings,
    Autoencoder as Autoencoder,
    FlowGenerator as FlowGenerator,
    Generator as Generator,
    IndependentCritic as IndependentCritic,
    Surrogate as Surrogate,
    fidelity as fidelity,
    fit_autoencoder as fit_autoencoder,
    fit_flow as fit_flow,
    fit_generator as fit_generator,
    fit_generators as fit_generators,
    fit_imitation as fit_imitation,
    fit_surrogate as fit_surrogate,
)
from .inference import (
    AdversarialPosterior as AdversarialPosterior,
    Draws as Draws,
    NeuralRatio as NeuralRatio,
    Pool as Pool,
    Posterior as Posterior,
    PosteriorFlow as PosteriorFlow,
    SurrogateLikelihood as SurrogateLikelihood,
    abc_rejection as abc_rejection,
    abc_smc as abc_smc,
    fit_avo as fit_avo,
    fit_implicit as fit_implicit,
    fit_lfire as fit_lfire,
    fit_minimum_distance as fit_minimum_distance,
    fit_posterior as fit_posterior,
    fit_rounds as fit_rounds,
    search as search,
)
from .loading import (
    load as load,
)
from .ratio import (
    KernelRatio as KernelRatio,
    TelescopingRatio as TelescopingRatio,
    fit_density as fit_density,
    fit_ratio as fit_ratio,
    mutual_information as mutual_information,
)
from .report import (
    write_report as write_report,
)
from .simulation import (
    Simulations as Simulations,
    Simulator as Simulator,
    simulate as simulate,
    simulator as simulator,
    with_missing as with_missing,
)
from .training import (
    TrainSettings as TrainSettings,
)

__version__: str
