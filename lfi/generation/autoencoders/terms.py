"""The two lists of terms of which an autoencoder is trained: of the likelihood and of the prior.

Of x and a code z the variational bound has two parts, E_q log p(x | z) and the divergence
KL(q(z | x), p(z)), and either is known, approximated, or estimated by the ratio of a critic:

    likelihood      observer                an explicit density around the decoder's output
                    SyntheticLikelihood     a critic's ratio of data to what the decoder makes
    prior           AnalyticKL              closed form, of a Gaussian encoder
                    MomentsKL               of the means and variances of a batch of codes
                    CodeRatio               a critic of codes: prior against encoded
                    JointRatio              a critic of pairs (x, z)

Every algorithm of the table of Rosca et al. is a choice from both; `lfi.gans` has six by name.

References:
    Rosca, Lakshminarayanan, Warde-Farley & Mohamed, Variational approaches for auto-encoding
        generative adversarial networks, 2017. arXiv:1706.04987
    Ulyanov, Vedaldi & Lempitsky, It takes (only) two: adversarial generator-encoder networks, 2017.
        arXiv:1704.02304
    Mescheder, Nowozin & Geiger, Adversarial variational Bayes, 2017. arXiv:1701.04722
"""

from dataclasses import dataclass
from typing import TypeVar

from lfi.comparison import Adversarial, Bernoulli, ReverseKL
from lfi.comparison.losses.learned_features import LearnedFeatures
from lfi.generation.autoencoders.encoders import (
    DeterministicEncoder,
    EncoderKind,
    GaussianEncoder,
)
from lfi.generation.autoencoders.observers import Observer
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_instance, check_number, check_positive
from lfi.runtime import BriefSettings

LOG_RATIO = Adversarial(Bernoulli(), ReverseKL())  # whoever draws q minimises E_q[-h], h = log p/q


def _check_ratio(comparison: Adversarial | None) -> None:
    if comparison is not None and isinstance(comparison.critic_loss, LearnedFeatures):
        raise TypeError("comparison: a ratio term needs a critic of one value, not of features")


@checked
@dataclass(frozen=True)
class SyntheticLikelihood:
    """A critic's ratio of data to what the decoder makes, which the decoder raises.

    The critic compares data with the even mixture of samples of the model and of reconstructions.

    Attributes:
        comparison: The critic's loss, the decoder's, and penalties; None for the losses of Rosca et
            al., E_q[-h], under gradient penalties that suit the data, and without an encoder for
            the default of `lfi.fit_generator`.
        weight: Times this term.
        reconstructions: Whether the decoder's reconstructions of data are judged, beside its
            samples; this needs an encoder.

    Raises:
        TypeError: If the comparison is of learned features.
        ValueError: If the weight is not positive.

    Example:
        >>> SyntheticLikelihood(reconstructions=False).reconstructions
        False
    """

    comparison: Adversarial | None = None
    weight: float = 1.0
    reconstructions: bool = True

    def __post_init__(self) -> None:
        _check_ratio(self.comparison)
        check_positive("weight", self.weight)


@checked
@dataclass(frozen=True)
class AnalyticKL:
    """The divergence of a Gaussian encoder from the prior, in closed form.

    Attributes:
        weight: Times this term.

    Raises:
        ValueError: If the weight is not positive.

    Example:
        >>> AnalyticKL(weight=4.0)  # of a beta-VAE
        AnalyticKL(weight=4.0)
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        check_positive("weight", self.weight)


@checked
@dataclass(frozen=True)
class MomentsKL:
    """The divergence of a Gaussian with the moments of a batch of codes from the prior.

    With `against_samples` it is a game without a critic: the encoder makes codes of data like the
    prior and those of samples unlike it, and the generator makes samples whose codes are like it.

    Attributes:
        weight: Times this term.
        against_samples: Times the divergence of samples' codes, which the encoder raises and the
            generator lowers; 0 for no game.
        codes: Times the mean squared error of codes of the prior, decoded and encoded again.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> MomentsKL(against_samples=1.0, codes=10.0).codes
        10.0
    """

    weight: float = 1.0
    against_samples: float = 0.0
    codes: float = 0.0

    def __post_init__(self) -> None:
        check_positive("weight", self.weight)
        check_number("against_samples", self.against_samples, minimum=0)
        check_number("codes", self.codes, minimum=0)


@checked
@dataclass(frozen=True, repr=False)
class CodeRatio(BriefSettings):
    """A critic of codes (code discriminator): those of the prior against those of data.

    Its ratio is of all codes together: the divergence that it estimates, of the aggregate q(z) from
    the prior, is below the mean of KL(q(z | x), p(z)) by the mutual information of x and z.

    Attributes:
        comparison: The critic's loss, the encoder's, and penalties.
        weight: Times this term.

    Raises:
        TypeError: If the comparison is of learned features.
        ValueError: If the weight is not positive.

    Example:
        >>> CodeRatio().comparison.recovers.name
        'RATIO'
    """

    comparison: Adversarial = LOG_RATIO
    weight: float = 1.0

    def __post_init__(self) -> None:
        _check_ratio(self.comparison)
        check_positive("weight", self.weight)


@checked
@dataclass(frozen=True, repr=False)
class JointRatio(BriefSettings):
    """A critic of pairs (x, z): a code of the prior against one of q(z | x), given x.

    Attributes:
        comparison: The critic's loss, the encoder's, and penalties.
        weight: Times this term.
        adaptive: Whether encoded codes are compared with a Gaussian r(z | x) that is fitted to them
            (adaptive contrast) rather than with the prior, from which they may lie too far for a
            ratio: KL(q, p) = KL(q, r) + E_q[log r - log p], of which the first is small.

    Raises:
        TypeError: If the comparison is of learned features.
        ValueError: If the weight is not positive.

    Example:
        >>> JointRatio().adaptive
        True
    """

    comparison: Adversarial = LOG_RATIO
    weight: float = 1.0
    adaptive: bool = True

    def __post_init__(self) -> None:
        _check_ratio(self.comparison)
        check_positive("weight", self.weight)


LikelihoodTerm = Observer | SyntheticLikelihood
PriorTerm = AnalyticKL | MomentsKL | CodeRatio | JointRatio
PRIOR_TERMS: dict[str, type[PriorTerm]] = {
    kind.__name__: kind for kind in (AnalyticKL, MomentsKL, CodeRatio, JointRatio)
}
Term = TypeVar("Term")


@checked
@dataclass(frozen=True, repr=False)
class Autoencoding(BriefSettings):
    """An algorithm for autoencoders: terms of the likelihood, terms of the prior, and an encoder.

    Attributes:
        likelihood: At most one observer and one `SyntheticLikelihood`, in any order.
        prior: Of each kind at most one; () only without an encoder. The first is what
            `Autoencoder.elbo` takes.
        encoder: None for a generator without an encoder.
        sphere: Whether codes lie on a sphere, uniformly so under the prior.

    Raises:
        TypeError: If a term is none.
        ValueError: If terms do not go together.

    Example:
        >>> from lfi.autoencoders import AnalyticKL, GaussianObserver
        >>> vae = Autoencoding((GaussianObserver(),), (AnalyticKL(),))
        >>> vae == lfi.gans.VAE()
        True
    """

    likelihood: tuple[LikelihoodTerm, ...]
    prior: tuple[PriorTerm, ...] = ()
    encoder: EncoderKind | None = GaussianEncoder()
    sphere: bool = False

    def __post_init__(self) -> None:
        for term in self.likelihood:
            check_instance("likelihood", term, LikelihoodTerm, "a tuple of terms of the likelihood")
        for term in self.prior:
            check_instance("prior", term, PriorTerm, "a tuple of terms of the prior")
        for name, terms in (("likelihood", self.likelihood), ("prior", self.prior)):
            kinds = ["observer" if isinstance(t, Observer) else type(t).__name__ for t in terms]
            if len(set(kinds)) < len(kinds):
                raise ValueError(f"{name}: at most one term of each kind, got {', '.join(kinds)}")
        if not self.likelihood:
            raise ValueError("likelihood: without a term of it nothing is learnt of the data")
        self._check_encoder()

    def _check_encoder(self) -> None:
        """Refuse an encoder, or none, that the terms cannot do with."""
        synthetic, kind = self.synthetic, self.encoder
        if kind is None:
            if self.observer or self.prior or (synthetic and synthetic.reconstructions):
                raise ValueError(
                    "encoder: None goes with SyntheticLikelihood(reconstructions=False) alone"
                )
            return
        if not self.prior:
            raise ValueError("prior: an encoder needs a term that keeps its codes near the prior")
        if self.prior_term(AnalyticKL) and not isinstance(kind, GaussianEncoder):
            raise ValueError(f"prior: AnalyticKL is known of GaussianEncoder only, got {kind}")
        if self.prior_term(JointRatio) and isinstance(kind, DeterministicEncoder):
            raise ValueError("prior: JointRatio has no ratio under DeterministicEncoder")
        if self.sphere and isinstance(kind, GaussianEncoder):
            raise ValueError("sphere: a GaussianEncoder has codes everywhere, not on a sphere")

    @property
    def observer(self) -> Observer | None:
        """The explicit term of the likelihood, if there is one."""
        return next((term for term in self.likelihood if isinstance(term, Observer)), None)

    @property
    def synthetic(self) -> SyntheticLikelihood | None:
        """The critic's term of the likelihood, if there is one."""
        terms = (term for term in self.likelihood if isinstance(term, SyntheticLikelihood))
        return next(terms, None)

    def prior_term(self, kind: type[Term]) -> Term | None:
        """Return the prior's term of a kind, if there is one."""
        return next((term for term in self.prior if isinstance(term, kind)), None)

    @property
    def explicit(self) -> bool:
        """Whether the generator is trained by a likelihood alone, and judged by nobody."""
        moments = self.prior_term(MomentsKL)
        return self.synthetic is None and not (moments and moments.against_samples)
