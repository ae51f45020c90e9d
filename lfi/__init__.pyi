# The names of `lfi`: what is listed here is imported when it is first used.
from . import (
    abc as abc,
)
from . import (
    cli as cli,
)
from . import (
    comparison as comparison,
)
from . import (
    diagnostics as diagnostics,
)
from . import (
    discrepancies as discrepancies,
)
from . import (
    embeddings as embeddings,
)
from . import (
    gans as gans,
)
from . import (
    generation as generation,
)
from . import (
    inference as inference,
)
from . import (
    kernels as kernels,
)
from . import (
    losses as losses,
)
from . import (
    networks as networks,
)
from . import (
    numerics as numerics,
)
from . import (
    penalties as penalties,
)
from . import (
    plots as plots,
)
from . import (
    ratio as ratio,
)
from . import (
    report as report,
)
from . import (
    runtime as runtime,
)
from . import (
    samplers as samplers,
)
from . import (
    scores as scores,
)
from . import (
    simulation as simulation,
)
from . import (
    training as training,
)
from .comparison import (
    Adversarial as Adversarial,
)
from .comparison import (
    c2st as c2st,
)
from .comparison import (
    energy_test as energy_test,
)
from .comparison import (
    mmd_test as mmd_test,
)
from .diagnostics import (
    check as check,
)
from .diagnostics import (
    check_observation as check_observation,
)
from .diagnostics import (
    local_check as local_check,
)
from .diagnostics import (
    predictive_check as predictive_check,
)
from .generation import (
    AdversarialSettings as AdversarialSettings,
)
from .generation import (
    Generator as Generator,
)
from .generation import (
    Surrogate as Surrogate,
)
from .generation import (
    fidelity as fidelity,
)
from .generation import (
    fit_generator as fit_generator,
)
from .generation import (
    fit_generators as fit_generators,
)
from .generation import (
    fit_surrogate as fit_surrogate,
)
from .inference import (
    Draws as Draws,
)
from .inference import (
    NeuralRatio as NeuralRatio,
)
from .inference import (
    Pool as Pool,
)
from .inference import (
    Posterior as Posterior,
)
from .inference import (
    PosteriorFlow as PosteriorFlow,
)
from .inference import (
    SurrogateLikelihood as SurrogateLikelihood,
)
from .inference import (
    abc_rejection as abc_rejection,
)
from .inference import (
    abc_smc as abc_smc,
)
from .inference import (
    fit_lfire as fit_lfire,
)
from .inference import (
    fit_posterior as fit_posterior,
)
from .inference import (
    fit_rounds as fit_rounds,
)
from .loading import (
    load as load,
)
from .ratio import (
    KernelRatio as KernelRatio,
)
from .ratio import (
    TelescopingRatio as TelescopingRatio,
)
from .ratio import (
    fit_density as fit_density,
)
from .ratio import (
    fit_ratio as fit_ratio,
)
from .ratio import (
    mutual_information as mutual_information,
)
from .report import (
    write_report as write_report,
)
from .simulation import (
    Simulations as Simulations,
)
from .simulation import (
    Simulator as Simulator,
)
from .simulation import (
    simulate as simulate,
)
from .simulation import (
    simulator as simulator,
)
from .training import (
    TrainSettings as TrainSettings,
)

__version__: str
