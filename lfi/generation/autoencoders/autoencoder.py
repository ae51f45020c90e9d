"""Fitted autoencoders: codes of data, data of codes, and what stands between them."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.comparison import Energy, Recovers
from lfi.generation.autoencoders.encoders import (
    ENCODERS,
    Encoder,
    EncoderKind,
    great_circle,
    moments_kl,
)
from lfi.generation.autoencoders.networks import (
    AutoencoderNetworks,
    Decoder,
    code_critic,
    contrast_encoder,
    decoder_network,
    encoder_network,
    joint_critic,
)
from lfi.generation.autoencoders.observers import OBSERVERS
from lfi.generation.autoencoders.scores import AutoencoderScores, PriorEstimate
from lfi.generation.autoencoders.terms import (
    PRIOR_TERMS,
    AnalyticKL,
    CodeRatio,
    MomentsKL,
    PriorTerm,
)
from lfi.generation.generator import DTYPES
from lfi.networks import Standardise
from lfi.networks.conditional_gaussian import standard_normal_log_prob
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample
from lfi.numerics.checks import check_counts
from lfi.runtime import (
    Contents,
    Described,
    Saved,
    fresh,
    load_prefixed,
    prefixed,
    torch_rng,
)
from lfi.training import History

ELBO_DRAWS = 64  # codes for each x
MEASURED = 2_000  # rows, of which the energy distance is taken
CHUNK = 4_096  # rows that pass the networks at once


class Autoencoder(Described, Saved, nn.Module):
    """A fitted autoencoder: encoder, generator, and the critics that its bound takes.

    Attributes:
        networks: The networks, on standardised data.
        prior_term: How the divergence of codes from the prior is known; None without an encoder.
        shape: The shape of one event.
        codes: How many numbers a code has.
        noisy: Whether samples include the observer's noise by default: where the generator was
            trained by its likelihood alone.
        dtype: The dtype of the data.
        history: How it was trained.
    """

    def __init__(
        self,
        networks: AutoencoderNetworks,
        prior_term: PriorEstimate | None,
        *,
        noisy: bool,
        own: Sequence[str] = (),
        dtype: torch.dtype = torch.float32,
        history: History | None = None,
    ) -> None:
        super().__init__()
        self.networks: AutoencoderNetworks = networks
        self.decoder: Decoder = networks.decoder
        self.encoder: Encoder | None = networks.encoder
        self.code_critic: nn.Module | None = networks.code_critic
        self.joint_critic: nn.Module | None = networks.joint_critic
        self.contrast: Encoder | None = networks.contrast
        self.prior_term: PriorEstimate | None = prior_term
        self.shape: tuple[int, ...] = self.decoder.shape
        self.codes: int = networks.codes
        self.noisy: bool = noisy
        self.dtype: torch.dtype = dtype
        self.history: History | None = history
        self._own = tuple(own)
        self._critic = (networks.critic,)  # in a tuple, or files would hold it

    @property
    def _device(self) -> torch.device:
        return self.decoder.standardise.location.device

    def _standardised(self, x: Samples, name: str = "x") -> Float[Tensor, "n ..."]:
        """Return rows of data as the networks take them; ValueError if of another shape."""
        rows = as_sample(name, x, self.shape, min_rows=1)
        return self.decoder.standardise(rows.to(self._device))

    def _encoder(self) -> Encoder:
        if self.encoder is None:
            raise ValueError("the generator has no encoder: its algorithm trains none")
        return self.encoder

    def _returned(self, y: Tensor) -> Tensor:
        """Return standardised data in their units."""
        return self.decoder.standardise.inverse(y).cpu().to(self.dtype)

    def forward(self, z: Float[Tensor, "n codes"]) -> Float[Tensor, "n ..."]:
        """Return the decoder's mean for codes, in the data's units and dtype, with gradients."""
        y = self.decoder.samples(z.to(self._device, torch.float32))
        return self.decoder.standardise.inverse(y).to(self.dtype)

    @checked
    @torch.no_grad()
    def sample(self, n: int, *, noise: bool | None = None, seed: int | None = None) -> Tensor:
        """Draw samples, (n, *shape), on the CPU in the dtype of the data.

        Args:
            n: How many.
            noise: Whether to add the observer's noise to what the decoder makes of a code; None
                adds it where the generator was trained by its likelihood alone.
            seed: None takes fresh entropy.

        Raises:
            ValueError: If n is negative, or there is no observer whose noise to add.
        """
        check_counts(minimum=0, n=n)
        rng = torch_rng(fresh(seed))
        z = self.networks.prior(n, rng)
        noise = self.noisy if noise is None else noise
        decoder = self.decoder
        if noise and decoder.observer is None:
            raise ValueError("noise: the algorithm has no observer whose noise to add")
        parts = []
        for part in z.split(CHUNK):
            mean = decoder.samples(part)
            if not noise or decoder.observer is None:
                parts.append(self._returned(mean))
            elif decoder.logits:
                parts.append(decoder.observer.draw(self._returned(mean), torch.ones(()), rng))
            else:
                drawn = decoder.observer.draw(mean.cpu(), decoder.log_scale.exp().cpu(), rng)
                parts.append(self._returned(drawn.to(self._device)))
        return torch.cat(parts)

    @checked
    @torch.no_grad()
    def encode(self, x: Samples, *, seed: int | None = None) -> Tensor:
        """Draw a code of each row of data, (n, codes), float32.

        Raises:
            ValueError: If there is no encoder, or the data are of another shape.
        """
        return self._codes("x", x, fresh(seed))

    @torch.no_grad()
    def _codes(self, name: str, x: Samples, seed: int) -> Float[Tensor, "n codes"]:
        encoder, rng = self._encoder(), torch_rng(seed)
        parts = self._standardised(x, name).split(CHUNK)
        return torch.cat([encoder.draw(part, rng).cpu() for part in parts])

    @checked
    @torch.no_grad()
    def decode(self, z: Samples) -> Tensor:
        """Return what the decoder makes of codes, (n, *shape), in the data's units and dtype.

        Raises:
            ValueError: If the codes have another size.
        """
        rows = as_sample("z", z, (self.codes,), min_rows=1)
        return torch.cat([self(part).cpu() for part in rows.split(CHUNK)])

    @checked
    def reconstruct(self, x: Samples, *, seed: int | None = None) -> Tensor:
        """Return what the decoder makes of a code of each row of data, (n, *shape).

        Raises:
            ValueError: If there is no encoder, or the data are of another shape.
        """
        return self.decode(self.encode(x, seed=seed))

    @checked
    def interpolate(
        self, x0: Samples, x1: Samples, steps: int = 8, *, seed: int | None = None
    ) -> Tensor:
        """Return what the decoder makes of the way from a code of `x0` to one of `x1`.

        The way is a great circle, along which codes keep the length that codes of the prior have.

        Args:
            x0: Rows of data, (n, *shape), from which the ways lead.
            x1: As many, to which they lead.
            steps: How many places on each way, both ends included.
            seed: Of the codes drawn; None takes fresh entropy.

        Returns:
            (n, steps, *shape).

        Raises:
            ValueError: If there is no encoder, the data do not fit, or steps are below 2.
        """
        check_counts(minimum=2, steps=steps)
        seed = fresh(seed)
        z0, z1 = self._codes("x0", x0, seed), self._codes("x1", x1, seed)
        if len(z0) != len(z1):
            raise ValueError(f"x1 must have as many rows as x0, {len(z0)}, got {len(z1)}")
        share = torch.linspace(0, 1, steps, dtype=torch.float32)[:, None]
        ways = torch.stack([great_circle(a, b, share) for a, b in zip(z0, z1, strict=True)])
        return self.decode(ways.flatten(0, 1)).unflatten(0, (len(z0), steps))

    @checked
    @torch.no_grad()
    def elbo(self, x: Samples, *, draws: int = ELBO_DRAWS, seed: int | None = None) -> Tensor:
        """Return the variational bound of log p(x) in nats, (n,), float64, in the data's units.

        It is E_q log p(x | z), a mean over codes drawn, less KL(q(z | x), p(z)). The latter is
        exact under `AnalyticKL` alone. Under `JointRatio` it is the estimate by the critic's ratio,
        under `CodeRatio` that of all codes together, which leaves out the mutual information of x
        and z, and under `MomentsKL` that of the codes' moments: these are no bounds.

        Args:
            x: Data, (n, *shape).
            draws: How many codes are drawn for each row.
            seed: Of the codes; None takes fresh entropy.

        Raises:
            ValueError: If there is no encoder or no observer, or the critic recovers no ratio,
                as under a gradient penalty.
        """
        likelihood, divergence = self.elbo_terms(x, draws=draws, seed=seed)
        return likelihood - divergence

    @checked
    @torch.no_grad()
    def elbo_terms(
        self, x: Samples, *, draws: int = ELBO_DRAWS, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return E_q log p(x | z) and KL(q(z | x), p(z)) of each row, whose difference is `elbo`.

        Args:
            x: Data, (n, *shape).
            draws: How many codes are drawn for each row.
            seed: Of the codes; None takes fresh entropy.

        Raises:
            ValueError: As `elbo`.
        """
        check_counts(draws=draws)
        encoder, prior = self._encoder(), self.prior_term
        if self.decoder.observer is None:
            raise ValueError("elbo: the algorithm has no observer, and so no density of the data")
        assert prior is not None
        if prior.recovers is not Recovers.RATIO:
            raise ValueError(
                f"elbo: the critic of {prior.kind.__name__} recovers {prior.recovers.name} of "
                "log p/q; take a divergence of lfi.losses without penalty or constraint"
            )
        y, rng = self._standardised(x), torch_rng(fresh(seed))
        likelihood = torch.zeros(len(y), dtype=torch.float64)
        divergence, every = likelihood.clone(), []
        for _ in range(draws):
            z = encoder.draw(y, rng)
            likelihood += self.decoder.log_density(y, self.decoder(z)).cpu().double() / draws
            if prior.kind is MomentsKL:
                every.append(z)
            elif prior.kind is not AnalyticKL:
                divergence += self._log_ratio(prior.kind, y, z).cpu().double() / draws
        if prior.kind is AnalyticKL:
            divergence = encoder.kl(y).cpu().double()
        elif every:
            divergence += moments_kl(torch.cat(every)).cpu().double()
        return likelihood, divergence

    def _log_ratio(self, kind: type[PriorTerm], y: Tensor, z: Tensor) -> Float[Tensor, " n"]:
        """Return log q(z | x) - log p(z) as a critic has it."""
        if kind is CodeRatio:
            assert self.code_critic is not None
            return -self.code_critic(z)
        assert self.joint_critic is not None
        ratio = -self.joint_critic(y, z)
        if self.contrast is None:
            return ratio
        return ratio + self.contrast.log_prob(z, y) - standard_normal_log_prob(z)

    @checked
    @torch.no_grad()
    def scores(self, x: Samples, *, seed: int | None = None) -> AutoencoderScores:
        """Return how well data are reconstructed, and how far their codes are from the prior.

        Raises:
            ValueError: If there is no encoder, or the data are of another shape.
        """
        encoder, rng = self._encoder(), torch_rng(fresh(seed))
        y = self._standardised(x)
        z = encoder.draw(y, rng)
        error = (self.decoder.samples(z) - y).square().mean().sqrt()
        some = z[:MEASURED].cpu()
        mismatch = Energy()(some, self.networks.prior(len(some), rng).cpu())
        return AutoencoderScores(float(error), float(mismatch), float(moments_kl(z)))

    @torch.no_grad()
    def criticise(self, x: Samples) -> Tensor:
        """Return the values at x, (n, *shape), of the critic of data; files do not keep it.

        Raises:
            ValueError: If there is none: after loading, and where no such critic took part.
        """
        (critic,) = self._critic
        if critic is None:
            raise ValueError("there is no critic of data: it was loaded, or trained without one")
        return critic(self._standardised(x)).cpu().to(self.dtype)

    def describe(self) -> str:
        """Return what it encodes, how its bound is known, and how it was trained, in words."""
        decoder, encoder = self.decoder, self.encoder
        lines = [f"autoencoder of events of shape {self.shape}, codes of {self.codes} numbers"]
        if encoder is None:
            lines[0] = f"generator of events of shape {self.shape} from {self.codes} numbers"
        else:
            sphere = ", on a sphere" if self.networks.sphere else ""
            lines.append(f"encoder {encoder.kind}{sphere}")
        if decoder.observer is not None:
            scale = decoder.log_scale.exp().mean().item()
            units = "" if decoder.logits else f", scale {scale:.3g} standard deviations of the data"
            lines.append(f"observer {type(decoder.observer).__name__}{units}")
        if self.prior_term is not None:
            lines.append(f"KL(q(z | x), p(z)) {self.prior_term.words}")
        if self.history is not None:
            lines.append(self.history.describe())
        return "\n  ".join(lines)

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        encoder, observer, prior = self.encoder, self.decoder.observer, self.prior_term
        spec = {
            "shape": list(self.shape),
            "codes": self.codes,
            "sphere": self.networks.sphere,
            "encoder": encoder and [type(encoder.kind).__name__, vars(encoder.kind)],
            "observer": observer and [type(observer).__name__, vars(observer)],
            "scaled": self.decoder.scaled,
            "prior": prior and [prior.kind.__name__, int(prior.recovers)],
            "critics": [self.code_critic is not None, self.joint_critic is not None]
            + [self.contrast is not None],
            "own": list(self._own),
            "noisy": self.noisy,
            "dtype": str(self.dtype).removeprefix("torch."),
            "history": self.history and self.history._spec(),
        }
        return spec, prefixed("autoencoder", self)

    @classmethod
    def _restore(cls, contents: Contents) -> "Autoencoder":
        spec, own = contents.spec, contents.spec["own"]
        shape, codes, sphere = tuple(spec["shape"]), spec["codes"], spec["sphere"]
        encoder = observer = None
        if spec["encoder"] is not None:
            name, settings = spec["encoder"]
            kind: EncoderKind = ENCODERS[name](**settings)
            network = (
                contents.module("encoder")
                if "encoder" in own
                else encoder_network(kind, shape, codes)
            )
            encoder = Encoder(kind, network, codes, sphere=sphere)
        if spec["observer"] is not None:
            name, settings = spec["observer"]
            observer = OBSERVERS[name](**settings)
        network = contents.module("decoder") if "decoder" in own else decoder_network(shape, codes)
        decoder = Decoder(network, Standardise(shape), observer, scaled=spec["scaled"])
        of_codes, of_pairs, contrast = spec["critics"]
        networks = AutoencoderNetworks(
            codes,
            sphere,
            decoder,
            encoder,
            code_critic=code_critic(codes) if of_codes else None,
            joint_critic=joint_critic(shape, codes) if of_pairs else None,
            contrast=contrast_encoder(shape, codes) if contrast else None,
        )
        prior = None
        if spec["prior"] is not None:
            name, recovers = spec["prior"]
            prior = PriorEstimate(PRIOR_TERMS[name], Recovers(recovers))
        autoencoder = cls(
            networks,
            prior,
            noisy=spec["noisy"],
            own=own,
            dtype=DTYPES[spec["dtype"]],
            history=spec["history"] and History._restore(spec["history"]),
        )
        load_prefixed("autoencoder", autoencoder, contents.tensors)
        return autoencoder.eval()
