"""Comparisons that train generators, by the names of the papers they come from."""

from lfi.generation import (
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
    Packed as Packed,
    SinkhornGAN as SinkhornGAN,
    Unrolled as Unrolled,
    UnrolledGAN as UnrolledGAN,
    bGAN as bGAN,
    fGAN as fGAN,
)
