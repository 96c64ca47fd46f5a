"""How networks are trained, and how their codes are read off: ``configs/recipe``, see ``semtalk/tasks``."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from semtalk.settings.common import Settings, Share, Text, Weight, between

Way = Literal["likeliest", "expected", "coherent"]
SparseWay = Literal["likeliest", "coherent"]
Blend = Annotated[int, between(0, 15)]
Temperature = Annotated[float, between(0.01, 100.0)]
Coherence = Annotated[float, between(0.0, 0.9999)]
Smoothing = Annotated[int, between(0, 100)]


class Decoding(Settings):
    """How codes are read off (semtalk/models/decoding.py)."""

    face: Way
    """The face's codes."""
    body: Way
    """The codes of upper body, hands and lower body."""
    sparse: SparseWay
    """The sparse network's codes."""
    blend: Blend
    """Steps on either side of a change between base and sparse codes that are averaged."""
    temperature: Temperature
    """Of coherent samples; lower is calmer."""
    coherence: Coherence
    """Of coherent samples, from one code step to the next."""
    smoothing: Smoothing
    """How often the latents of coherent samples are averaged with their neighbours."""


class WantedDecoding(Settings):
    """What to read off otherwise than the run's recipe says; null is as it says."""

    face: Way | None
    """How the face's codes are read off."""
    body: Way | None
    """How the codes of upper body, hands and lower body are read off."""
    sparse: SparseWay | None
    """How the sparse network's codes are read off."""
    blend: Blend | None
    """Steps on either side of a change between base and sparse codes that are averaged."""
    temperature: Temperature | None
    """Of coherent samples; lower is calmer."""
    coherence: Coherence | None
    """Of coherent samples, from one code step to the next."""
    gain: Annotated[float, between(0.0, 100.0)] | None
    """How far expected latents are amplified; null is as found on val."""
    smoothing: Smoothing | None
    """How often the latents of coherent samples are averaged with their neighbours."""
    spread: Annotated[float, between(0.0, 100.0)] | None
    """How far sampled latents are moved away from the mean; null is as found on val."""


class Losses(Settings):
    """Weights of losses."""

    def weights(self) -> dict[str, float]:
        """Name of a loss -> its weight."""
        return {field.alias or name: getattr(self, name) for name, field in type(self).model_fields.items()}


GENERATED = ("jaw_r", "expressions_r", "own_other", "fgd", "gate_f1")
"""Figures of validation that are of the motion that base and sparse generate."""


class PhaseRecipe(Settings):
    """How one network is trained."""

    steps: Annotated[int, between(1, 1_000_000_000)] | None
    """Length in optimiser steps; null where ``epochs`` is set."""
    epochs: Annotated[int, between(1, 10_000_000)] | None
    """Length in passes over the training split; goes before ``steps``."""
    batch_size: Annotated[int, between(1, 1_000_000)]
    """Windows of 64 frames in a step."""
    lr: Annotated[float, Field(gt=0.0, le=10.0)]
    """Learning rate of Adam."""
    schedule: Literal["constant", "cosine"]
    """How the learning rate goes on."""
    warmup: Annotated[int, between(0, 1_000_000_000)]
    """Of cosine: steps over which the rate grows, a twentieth of the training at most."""
    lr_floor: Share
    """Of cosine: share of the rate that is left in the end."""
    betas: Annotated[list[Annotated[float, Field(ge=0.0, lt=1.0)]], Field(min_length=2, max_length=2)]
    """Decays of Adam's two moments."""
    clip: Annotated[float, between(0.0, 1e6)] | None
    """Largest norm of the gradients; null for none."""
    select: str
    """Figure of a validation that best.ckpt is the best in."""

    losses: Losses

    @model_validator(mode="after")
    def has_a_length(self) -> "PhaseRecipe":
        """Steps or epochs are set."""
        if self.steps is None and self.epochs is None:
            raise ValueError("set steps or epochs; both are null.")
        return self


class RVQVAELosses(Losses):
    """Weights of the RVQ-VAEs' losses."""

    rotation: Weight
    expressions: Weight
    velocity: Weight
    acceleration: Weight
    commitment: Weight
    position: Weight
    contact: Weight
    translation: Weight
    skating: Weight


class RVQVAERecipe(PhaseRecipe):
    """Of the RVQ-VAEs."""

    shift: bool
    """Whether windows begin up to three frames later, so that every border of code steps is trained."""
    select: Literal["loss", "degrees"]
    """Figure of a validation that best.ckpt is the best in."""
    losses: RVQVAELosses


class TranslationLosses(Losses):
    """Weights of the translation network's losses."""

    root: Weight
    contact: Weight
    path: Weight
    skating: Weight


class TranslationRecipe(PhaseRecipe):
    """Of the translation network."""

    select: Literal["loss"]
    """Figure of a validation that best.ckpt is the best in."""
    losses: TranslationLosses


class EmbedderLosses(Losses):
    """Weights of the FGD embedder's losses."""

    rotation: Weight
    velocity: Weight
    acceleration: Weight


class EmbedderRecipe(PhaseRecipe):
    """Of the FGD embedder."""

    select: Literal["loss", "degrees"]
    """Figure of a validation that best.ckpt is the best in."""
    losses: EmbedderLosses


class Mask(Settings):
    """Masked training (paper section 4.1)."""

    hides: Literal["joints_and_frames", "cells"]
    """What is hidden: whole joints and whole frames of a window, or every joint of every frame by itself."""
    ratio: Share
    """Share of a window's joints in all frames that is hidden in the end."""
    begin: Share
    """Share of the training that sees the seed pass alone, before the random mask."""
    warmup: Share
    """Share of the training until which the hidden share grows from 0, starting at ``begin``."""


class CodeRecipe(PhaseRecipe):
    """What base and sparse network share."""

    mask: Mask
    softness: Annotated[float, between(0.0, 1000.0)]
    """tau of soft code targets; 0 for hard ones."""
    passes: Annotated[int, between(1, 3)]
    """Masked passes in a step: the paper's three, or the first of them."""


class Amplitude(Settings):
    """Share of the true deviation that what is read off is to have."""

    face: Annotated[float, between(0.0, 10.0)]
    """The face's."""
    upper: Annotated[float, between(0.0, 10.0)]
    """The upper body's."""
    hands: Annotated[float, between(0.0, 10.0)]
    """The hands'."""
    lower: Annotated[float, between(0.0, 10.0)]
    """The lower body's."""


class BaseMotionLosses(Losses):
    """Weights of the base network's losses."""

    classification: Weight
    latent: Weight
    local: Weight
    global_: Annotated[Weight, Field(alias="global")]


class BaseMotionRecipe(CodeRecipe):
    """Of the base network."""

    amplitude: Amplitude
    select: Literal["loss", "unexplained_face", "jaw_r", "expressions_r", "own_other", "fgd"]
    """Figure of a validation that best.ckpt is the best in; the last four are of generated motion."""
    losses: BaseMotionLosses


class SparseMotionLosses(Losses):
    """Weights of the sparse network's losses."""

    classification: Weight
    latent: Weight
    gate: Weight
    fusion: Weight


class SparseMotionRecipe(CodeRecipe):
    """Of the sparse network."""

    floor: Share
    """What a step without meaning weighs."""
    select: Literal["loss", "gate_accuracy", "gate_f1", "fgd"]
    """Figure of a validation that best.ckpt is the best in; the last two are of generated motion."""
    losses: SparseMotionLosses


class AlignmentLosses(Losses):
    """Weights of the scorer's losses."""

    contrast: Weight


class AlignmentRecipe(PhaseRecipe):
    """Of the scorer of alignment."""

    temperature: Temperature
    """tau of the contrast: lower looks at the rivals that are nearest."""
    select: Literal["loss", "aligned"]
    """Figure of a validation that best.ckpt is the best in."""
    losses: AlignmentLosses


class Recipe(Settings):
    """How everything is trained."""

    name: Text
    """What reports call it."""
    stride: Annotated[int, between(1, 100_000)]
    """Frames from one training window to the next; a multiple of ``features.stride``."""
    workers: Annotated[int, between(0, 1024)]
    """Processes that read windows; 0 reads in the training's own."""
    validations: Annotated[int, between(1, 1_000_000)]
    """Validations in a training."""
    rollout_seconds: Annotated[float, between(0.0, 1e6)]
    """Seconds of val takes that base and sparse generate in each validation; 0 for none."""
    decoding: Decoding
    rvqvae: RVQVAERecipe
    translation: TranslationRecipe
    fgd: EmbedderRecipe
    base: BaseMotionRecipe
    sparse: SparseMotionRecipe
    alignment: AlignmentRecipe

    @model_validator(mode="after")
    def what_is_selected_by_is_generated(self) -> "Recipe":
        """Figures of generated motion need some."""
        for name in ("base", "sparse"):
            figure = getattr(self, name).select
            if figure in GENERATED and not self.rollout_seconds:
                raise ValueError(f"{name}.select={figure} is of generated motion; it needs rollout_seconds above 0.")
        return self
