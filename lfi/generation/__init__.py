"""Generators: whoever draws q, and how it is trained."""

from lfi.generation.autoencoders import (
    AGE as AGE,
    AVB as AVB,
    DCGAN as DCGAN,
    VAE as VAE,
    VAEGAN as VAEGAN,
    AlphaGAN as AlphaGAN,
    Autoencoder as Autoencoder,
    fit_autoencoder as fit_autoencoder,
)
from lfi.generation.fit import fit_generator as fit_generator
from lfi.generation.flows.fit import fit_flow as fit_flow
from lfi.generation.flows.flow_generator import FlowGenerator as FlowGenerator
from lfi.generation.flows.independent_critic import IndependentCritic as IndependentCritic
from lfi.generation.generator import Generator as Generator
from lfi.generation.gradient_estimators import (
    ReplayWeights as ReplayWeights,
    baseline_risk as baseline_risk,
    common_random_numbers as common_random_numbers,
    control_variate as control_variate,
    leave_one_out as leave_one_out,
    pathwise as pathwise,
    pathwise_and_score as pathwise_and_score,
    replay_weights as replay_weights,
    score_function as score_function,
)
from lfi.generation.imitation.environments import record as record
from lfi.generation.imitation.fit import (
    fit_cloning as fit_cloning,
    fit_imitation as fit_imitation,
)
from lfi.generation.imitation.policy import Policy as Policy
from lfi.generation.imitation.settings import ImitationSettings as ImitationSettings
from lfi.generation.imitation.trajectories import Trajectories as Trajectories
from lfi.generation.members import fit_generators as fit_generators
from lfi.generation.objectives import Packed as Packed, Unrolled as Unrolled
from lfi.generation.presets import (
    DRAGANNS as DRAGANNS,
    GAN as GAN,
    GANGP as GANGP,
    GMMN as GMMN,
    LSGAN as LSGAN,
    MMDGAN as MMDGAN,
    R3GAN as R3GAN,
    WGAN as WGAN,
    WGANGP as WGANGP,
    CramerGAN as CramerGAN,
    HingeGAN as HingeGAN,
    NonSaturatingGAN as NonSaturatingGAN,
    PacGAN as PacGAN,
    SinkhornGAN as SinkhornGAN,
    UnrolledGAN as UnrolledGAN,
    bGAN as bGAN,
    fGAN as fGAN,
)
from lfi.generation.settings import AdversarialSettings as AdversarialSettings
from lfi.generation.surrogates.fidelity import Fidelity as Fidelity, fidelity as fidelity
from lfi.generation.surrogates.fidelity_by_region import (
    RegionalFidelity as RegionalFidelity,
    fidelity_by_region as fidelity_by_region,
)
from lfi.generation.surrogates.fit import fit_surrogate as fit_surrogate
from lfi.generation.surrogates.surrogate import (
    OutsideTraining as OutsideTraining,
    Surrogate as Surrogate,
)
from lfi.generation.tables import (
    Categorical as Categorical,
    Numeric as Numeric,
    Positive as Positive,
    TableEncoding as TableEncoding,
    TableGenerator as TableGenerator,
    Whole as Whole,
)
