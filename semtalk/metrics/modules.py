"""torchmetrics classes over :mod:`semtalk.metrics.functional`: same values in any batching, order and process count."""

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from semtalk.metrics import functional as F


class FrechetGestureDistance(Metric):
    """FGD of embedder features; give real and generated rows (N, D) as they come."""

    full_state_update = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.add_state("generated", default=[], dist_reduce_fx="cat")
        self.add_state("real", default=[], dist_reduce_fx="cat")

    def update(self, generated: Tensor, real: Tensor) -> None:
        """Add feature rows (N, D) and (M, D)."""
        self.generated.append(generated.double())
        self.real.append(real.double())

    def compute(self) -> Tensor:
        """The distance, a scalar."""
        rows = [torch.cat(x) if isinstance(x, list) else x for x in (self.generated, self.real)]
        return torch.tensor(F.frechet_distance(*(r.cpu().numpy() for r in rows)), dtype=torch.float64)


class _Ratio(Metric):
    """A sum over a count."""

    full_state_update = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.add_state("total", default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def add(self, value: float, weight: float) -> None:
        """Add a mean with its weight."""
        self.total += value * weight
        self.count += weight

    def compute(self) -> Tensor:
        """The weighted mean, a scalar."""
        return self.total / self.count


class L1Diversity(_Ratio):
    """DIV over sequences, each frame weighing the same."""

    def update(self, joints: np.ndarray) -> None:
        """Add one sequence of joints (T, J, 3) in metres."""
        total, frames = F.l1_diversity(joints)
        self.add(total / frames, frames)


class BeatConsistency(_Ratio):
    """BC in the legacy protocol, quirks included; sequences are weighted by their frames less the cuts.

    Legacy reads the joints after L1 diversity has overwritten them with their distance to the sequence mean.
    """

    def __init__(self, mean_speed: np.ndarray, **kwargs):
        super().__init__(**kwargs)
        self.mean_speed = np.asarray(mean_speed)

    def update(self, joints: np.ndarray, wave: np.ndarray) -> None:
        """Add one sequence of joints (T, J, 3) in metres with its 16 kHz wave (S,)."""
        frames = len(joints)
        if frames <= 2 * F.BEAT_SKIP:
            return
        overwritten = np.abs(joints - joints.mean(axis=0))
        beats = F.motion_beats(overwritten, self.mean_speed)
        onsets = F.audio_onsets(F.trim_wave(wave, frames))
        self.add(F.beat_consistency(onsets, beats), frames - 2 * F.BEAT_SKIP)


class FaceError(_Ratio):
    """MSE or LVD (legacy: L1 of positions) of face vertices, each frame weighing the same."""

    def __init__(self, kind: str, **kwargs):
        super().__init__(**kwargs)
        self.function = {"mse": F.face_mse, "lvd": F.face_l1_position}[kind]

    def update(self, generated: np.ndarray, real: np.ndarray) -> None:
        """Add one sequence of vertices (T, V, 3) in metres."""
        self.add(self.function(generated, real), len(real))
