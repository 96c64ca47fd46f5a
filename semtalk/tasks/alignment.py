"""The stage that trains what scores how well motion fits sound: on the training split alone, apart from the method."""

import torch
from torch import Tensor

from semtalk.losses import info_nce
from semtalk.metrics.alignment import own_wins, same_speaker
from semtalk.models.scorer import HEARD
from semtalk.motion.skeleton import WINDOW
from semtalk.processes import places_among_all, windows_of_all
from semtalk.tasks.stage import StageTask

CROP = 48
"""Frames of a window that a step of training takes: from anywhere in it, which makes many windows of a few."""


class AlignmentTask(StageTask):
    """Has each window's motion find its own sound among those of its speaker, and each sound its motion."""

    phase = "alignment"
    mixed = False

    def _embedded(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Motion and sound of each window, (B, S C) both; their cosine is the mean of their steps' cosines."""
        return self.network.see(batch["rotation"]).flatten(1), self.network.hear(batch).flatten(1)

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """InfoNCE in both directions; windows of other speakers are left out: who speaks must not tell."""
        if self.training:
            start = int(torch.randint(WINDOW - CROP + 1, (), generator=self.alike))
            batch = batch | {key: batch[key][:, start : start + CROP] for key in ("rotation", *HEARD)}
        motion, speech = self._embedded(batch)
        rivals, own = (motion, speech, batch["speaker"]), None
        if self.training:  # every process has as many
            rivals = tuple(map(windows_of_all, rivals))
            own = places_among_all(len(motion), motion.device)
        among = batch["speaker"][:, None] == rivals[2][None]
        pairs = ((motion, rivals[1]), (speech, rivals[0]))
        found = [info_nce(query, others, self.recipe.temperature, own, among) for query, others in pairs]
        return {"contrast": (found[0] + found[1]) / 2}

    def figures(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Share of the batch's other sounds of the same speaker that a window fits less well than its own."""
        motion, speech = self._embedded(batch)
        wins = own_wins(motion @ speech.T, same_speaker(batch["speaker"]))
        return {"aligned": wins.nan_to_num().sum() / (~wins.isnan()).sum().clamp(min=1)}

    def counted(self, batch: dict[str, Tensor]) -> dict[str, int]:
        """Windows that have another one of their speaker in the batch."""
        speakers = same_speaker(batch["speaker"])
        return {"aligned": int((speakers.sum(dim=1) > 1).sum())}
