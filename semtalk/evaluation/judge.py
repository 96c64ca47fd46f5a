"""Judges base and sparse network while they train by what users will see: the motion that they generate for val."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from semtalk.body import BodyModel
from semtalk.data.store import Store, StoredRecording
from semtalk.evaluation.gate import gate_report
from semtalk.evaluation.hearing import OTHER, add_other_sound, hearing, shares
from semtalk.evaluation.measure import evaluate_rows
from semtalk.evaluation.metrics import METRICS
from semtalk.evaluation.ridge import add_ridge
from semtalk.evaluation.scene import take_scene
from semtalk.evaluation.takes import Take, TakeMaker, legacy_frames
from semtalk.generation.load import ROLLOUTS, decoding_of
from semtalk.models.fusion import BETA, active_steps
from semtalk.models.tokenizer import Tokenizer
from semtalk.motion.skeleton import FPS
from semtalk.places import checkpoint_path
from semtalk.settings.commands import TrainSettings
from semtalk.tasks.checkpoint import load_network
from semtalk.tasks.stamp import Facts
from semtalk.viz.video import Scene

TAKE_SECONDS = 20
"""Of a take at most."""
LINEAR = {"jaw_r": "the jaw's correlation", "expressions_r": "the correlation of expressions"}
"""Numbers that a linear map from the same speech has too, as ``ridge_*``."""


def chosen_takes(recordings: list[StoredRecording], seconds: float) -> list[StoredRecording]:
    """Takes that stand for a split: as many as are judged, spread evenly over its names."""
    long = sorted((one for one in recordings if legacy_frames(one.frames)), key=lambda one: one.id)
    count = min(len(long), max(1, round(seconds / TAKE_SECONDS)))
    return [long[index * len(long) // count] for index in range(count)]


@dataclass
class Judge:
    """Generates takes of val with networks in training, and measures them.

    Attributes:
        settings: Of the training.
        folder: Of the run, whose translation network and FGD embedder are used.
        store: The prepared corpus.
        facts: Of data and method.
        body: For joints.
        joint_speed: (55,) mean joint speed in m/s, for BC.
    """

    settings: TrainSettings
    folder: Path
    store: Store
    facts: Facts
    body: BodyModel
    joint_speed: np.ndarray
    _ridge: dict[str, float] = field(default_factory=dict)

    def __call__(
        self, tokenizer: Tokenizer, base: nn.Module, sparse: nn.Module | None, device: torch.device,
        show: Callable[[Scene], None] | None = None,
    ) -> dict[str, float]:  # fmt: skip
        """Numbers of the motion that networks make; the networks are left as they are.

        Args:
            tokenizer: The trained RVQ-VAEs.
            base: The base network.
            sparse: The sparse network, or none.
            device: Where to generate.
            show: Is given the first take, always the same one.

        Returns:
            Numbers of :data:`semtalk.evaluation.hearing.HEARD`, FGD, ``ridge_jaw_r`` and ``ridge_expressions_r``; with
            a sparse network precision, recall and F1 of its gate, and the share of steps at which it fires. Nothing
            where no take of val is long enough.
        """
        if not self.recordings:
            return {}
        makers = ROLLOUTS[self.facts.generation]
        networks = (copy.deepcopy(network) for network in (tokenizer, self.translation, base, sparse))
        generator = makers(*networks, decoding_of(self.settings.recipe.decoding)).to(device)
        seconds = min(TAKE_SECONDS, max(1.0, self.settings.recipe.rollout_seconds))
        maker = TakeMaker(
            generator, self.facts.speakers, self.settings.features.stride, seed=self.settings.seed,
            counted=lambda frames: legacy_frames(min(frames, int(seconds * FPS))),
        )  # fmt: skip
        takes, _ = maker.takes(self.recordings, base=False)
        for take in takes:
            take.wave = take.recording["wave"]
        add_other_sound(takes, maker)
        numbers = hearing(takes, "fused", self.body, OTHER)
        metrics = {name: METRICS[name] for name in ("bc", "div", *(["fgd"] if self.embedder is not None else []))}
        rows = ("fused", "truth")
        table = evaluate_rows(takes, rows, metrics, self.embedder, self.body, self.joint_speed).table
        numbers |= shares(table["fused"], table["truth"])
        if self.embedder is not None:
            numbers["fgd"] = table["fused"]["fgd"]
        if sparse is not None:
            numbers |= {f"gate_{name}": value for name, value in gate_report(takes, BETA).items()}
            numbers["gate_share"] = active_steps(torch.cat([take.psi for take in takes])).float().mean().item()
        if show is not None:
            show(take_scene(takes[0], BETA))
        return numbers | self._linear(takes)

    def _linear(self, takes: list[Take]) -> dict[str, float]:
        """What a linear map from the same speech reaches on the same takes."""
        if not self._ridge:
            add_ridge(takes, self.store)
            found = hearing(takes, "ridge", self.body)
            self._ridge.update({f"ridge_{name}": found[name] for name in LINEAR})
        return self._ridge

    @cached_property
    def recordings(self) -> list[StoredRecording]:
        """Takes of val."""
        return chosen_takes(self.store.split("val"), self.settings.recipe.rollout_seconds)

    @cached_property
    def translation(self) -> nn.Module:
        """The run's trained translation network."""
        return load_network(self.folder, "translation")[0]

    @cached_property
    def embedder(self) -> nn.Module | None:
        """The run's trained FGD embedder, where it has one of the architecture that its FGD is of."""
        if not checkpoint_path(self.folder, "fgd").is_file():
            return None
        network, stamp = load_network(self.folder, "fgd")
        return network if stamp.settings.model.embedder == "emage" else None


def hears_less(numbers: Mapping[str, float]) -> list[str]:
    """What a training hears less of than a linear map from the same speech does, each as a sentence."""
    return [
        f"{what} is {numbers[name]:.3f}, that of a linear map from the same speech {numbers[f'ridge_{name}']:.3f}"
        for name, what in LINEAR.items()
        if f"ridge_{name}" in numbers and not numbers[name] >= numbers[f"ridge_{name}"]
    ]
