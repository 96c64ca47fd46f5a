"""torchmetrics classes over :mod:`semtalk.metrics.functional`: same values in any batching, order and process count."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from semtalk.metrics import functional as F


class FrechetGestureDistance(Metric):
    """FGD of embedder features; give real and generated rows (N, D) as they come."""

    full_state_update = False

    def __init__(self, eps: str = "legacy", **kwargs: Any):
        """See :func:`semtalk.metrics.functional.frechet_distance` for ``eps``."""
        super().__init__(**kwargs)
        self.eps = eps
        self.add_state("generated", default=[], dist_reduce_fx="cat")
        self.add_state("real", default=[], dist_reduce_fx="cat")

    def update(self, generated: Tensor, real: Tensor) -> None:
        """Add feature rows (N, D) and (M, D)."""
        self.generated.append(generated.double())
        self.real.append(real.double())

    def compute(self) -> Tensor:
        """The distance, a scalar."""
        rows = [torch.cat(x) if isinstance(x, list) else x for x in (self.generated, self.real)]
        return torch.tensor(F.frechet_distance(*(r.cpu().numpy() for r in rows), self.eps), dtype=torch.float64)


class WeightedMean(Metric):
    """A sum over a count; NaN where nothing was added."""

    full_state_update = False

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.add_state("total", default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, value: float, weight: float) -> None:
        """Add a mean with its weight."""
        self.total += value * weight
        self.count += weight

    def compute(self) -> Tensor:
        """The weighted mean, a scalar."""
        return self.total / self.count


class BeatConsistency(WeightedMean):
    """BC; sequences are weighted by their frames less the cuts. The defaults are the legacy protocol's quirks."""

    def __init__(
        self,
        mean_speed: np.ndarray,
        threshold: float = F.BEAT_THRESHOLD["legacy"],
        overwrite: bool = True,
        mask_from_zero: bool = True,
        untrimmed_end: bool = True,
        **kwargs: Any,
    ):
        """Choose the quirks.

        Args:
            mean_speed: (J,) the corpus's mean joint speed in m/s.
            threshold: Relative speed that a beat's joint must have.
            overwrite: Read joints after L1 diversity has overwritten them with their distance to the sequence mean.
            mask_from_zero: See :func:`semtalk.metrics.functional.motion_beats`.
            untrimmed_end: See :func:`semtalk.metrics.functional.trim_wave`.
            kwargs: Of torchmetrics.
        """
        super().__init__(**kwargs)
        self.mean_speed = np.asarray(mean_speed)
        self.threshold, self.overwrite = threshold, overwrite
        self.mask_from_zero, self.untrimmed_end = mask_from_zero, untrimmed_end

    def update(self, joints: np.ndarray, wave: np.ndarray) -> None:
        """Add one sequence of joints (T, J, 3) in metres with its 16 kHz wave (S,)."""
        frames = len(joints)
        if frames <= 2 * F.BEAT_SKIP:
            return
        if self.overwrite:
            joints = np.abs(joints - joints.mean(axis=0))
        beats = F.motion_beats(joints, self.mean_speed, threshold=self.threshold, mask_from_zero=self.mask_from_zero)
        onsets = F.audio_onsets(F.trim_wave(wave, frames, untrimmed_end=self.untrimmed_end))
        super().update(F.beat_consistency(onsets, beats), frames - 2 * F.BEAT_SKIP)
