"""What files keep of an implicit posterior: its networks, and the way to its parameters.

A model is code, which no file keeps. Parameters are reached from unconstrained ones by the prior's
map, or are these themselves; a model of Pyro whose sites are mapped otherwise, as simplices are, is
refused.
"""

from typing import Any

import torch
from torch import Tensor

from lfi.generation.generator import DTYPES
from lfi.inference.implicit.coordinates import AutoregressiveCoordinates, coordinates_of
from lfi.inference.implicit.distribution import ImplicitDistribution
from lfi.inference.implicit.joint_density import JointDensity, density_without_model
from lfi.networks import Features, MixtureGenerator, VectorCritic, VectorGenerator
from lfi.runtime import Contents, load_prefixed, prefixed
from lfi.simulation import Prior

GENERATORS = {kind.__name__: kind for kind in (MixtureGenerator, VectorGenerator)}
PREFIX = "implicit"


def distribution_spec(q: ImplicitDistribution, d: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what names the networks, and their weights."""
    generator, critic = q.generator, q.critic
    kind = type(generator).__name__
    ours = kind in GENERATORS and type(generator) is GENERATORS[kind]
    width = critic.first.out_features if type(critic) is VectorCritic else 0
    if width:
        states = [each.state_dict() for each in (critic, _critic(d, q.encode, width))]
        shapes = [{name: each.shape for name, each in state.items()} for state in states]
        width = width if shapes[0] == shapes[1] else 0
    spec = {
        "generator": [kind, generator.spec] if ours else None,
        "critic": width,
        "bent": isinstance(q.start, AutoregressiveCoordinates),
    }
    return spec, prefixed(PREFIX, q)


def restored_distribution(
    contents: Contents, d: int, x_shape: tuple[int, ...] | None
) -> ImplicitDistribution:
    """Return the networks that `distribution_spec` has named."""
    spec, encode = contents.spec, None if x_shape is None else Features(x_shape)
    size = 0 if encode is None else encode.size
    if spec["generator"] is None:
        generator = contents.module("generator")
    else:
        kind, arguments = spec["generator"]
        generator = GENERATORS[kind](**arguments)
    width = spec["critic"]
    q = ImplicitDistribution(
        generator,
        _critic(d, encode, width) if width else contents.module("critic"),
        coordinates_of(d, size, spec["bent"]),
        coordinates_of(d, size, False),
        encode,
    )
    load_prefixed(PREFIX, q, contents.tensors)
    return q.eval().requires_grad_(False)


def _critic(d: int, encode: Features | None, width: int) -> VectorCritic:
    return VectorCritic([(d,)] + ([(encode.size,)] if encode else []), width=width)


def density_spec(density: JointDensity) -> dict[str, Any]:
    """Return names, shapes, and the prior where parameters are reached by its map."""
    u, prior = density.start[:64], density.prior
    theta, by_prior = density.constrain(u), False
    plain, kept = theta.shape == u.shape and torch.equal(theta, u), None
    if prior is not None:
        mapped = prior.from_unconstrained(u.to(prior.dtype))[0].to(theta)
        by_prior = mapped.shape == theta.shape and torch.allclose(mapped, theta, rtol=1e-4)
        kept = prior.to_contents()
        by_prior &= not plain or "fingerprint" not in kept  # else a file would ask for it
    if not by_prior and not plain:
        raise TypeError(
            "a file cannot name how the parameters are reached, as in models of Pyro with a "
            "simplex: keep the draws"
        )
    return {
        "names": list(density.names),
        "shapes": [[name, list(shape)] for name, shape in density.shapes],
        "plain": not by_prior,
        "prior": kept if by_prior else None,
        "dtype": str(density.start.dtype).removeprefix("torch."),
    }


def restored_density(contents: Contents, observed: Tensor | None) -> JointDensity:
    """Return what `density_spec` has described, without the model."""
    spec = contents.spec
    names = tuple(spec["names"])
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"names {names}")
    prior = None if spec["plain"] else Prior.from_contents(contents)
    if prior is not None and prior.names != names:
        raise ValueError(f"a prior of {prior.names} for parameters {names}")
    shapes = tuple((name, torch.Size(shape)) for name, shape in spec["shapes"])
    if shapes and sum(shape.numel() for _, shape in shapes) != len(names):
        raise ValueError(f"sites {shapes} of {len(names)} parameters")
    return density_without_model(names, prior, DTYPES[spec["dtype"]], shapes, observed)
