"""The method as it is written down, one thing after another: what the speed-ups are measured against.

Float32, eager, plain Adam and dropout; three masked passes one after another, each encoding the speech anew; body parts
one by one; the sparse network's training runs base in each pass too; windows are generated one at a time by both
networks. All of it on this code base's modules, so that losses and motion are the same.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from semtalk.generation.rollout import SEEN_WINDOWS, MotionGenerator
from semtalk.generation.seams import NEW_FRAMES, join_windows
from semtalk.models.fusion import fuse_codes
from semtalk.models.grouped import ByPart
from semtalk.models.masking import seed_mask
from semtalk.models.predictor import Passes, Prediction
from semtalk.models.tokenizer import Codes
from semtalk.motion.skeleton import SEED_FRAMES


class PassByPass(nn.Module):
    """A network whose passes run one after another, each alone."""

    def __init__(self, network: nn.Module, base: nn.Module | None = None):
        """Wrap a network; ``base`` runs in every pass but the first, which the task itself runs base for."""
        super().__init__()
        self.network = network
        self._base = (base,)

    def forward(self, batch, motion: Tensor, masks: Tensor, passes: Passes) -> Prediction:
        """Predict codes as the network does."""
        alone = []
        for number, (mask, audio) in enumerate(zip(passes.mask, passes.audio, strict=True)):
            one = Passes((0,), (audio,))
            alone.append(self.network(batch, motion, masks[[mask]], one))
            if self._base[0] is not None and number:
                with torch.no_grad():
                    self._base[0](batch, motion, masks[[mask]], one)
        joined = {
            name: {part: torch.cat([getattr(p, name)[part] for p in alone]) for part in getattr(alone[0], name)}
            for name in ("logits", "latents", "rhythmic")
            if hasattr(alone[0], name)
        }
        return replace(alone[-1], **joined)


def part_by_part(network: nn.Module) -> nn.Module:
    """Let a network run its parts one after another."""
    for module in network.modules():
        if isinstance(module, ByPart):
            module.grouped = False
    return network


@torch.no_grad()
def rollout(
    generator: MotionGenerator, features: dict[str, Tensor], speaker: Tensor, stride: int, beta: float
) -> tuple[list[Codes], list[Tensor]]:
    """Codes and scores of the windows of a batch of takes, one after another by both networks; decoded too."""
    channels, start = generator.neutral_seed(len(speaker))
    windows: list[Codes] = []
    scores = []
    for first in range(0, features["rhythm"].shape[1] - SEED_FRAMES, NEW_FRAMES):
        batch = generator.features_of(features, first, stride) | {"speaker": speaker}
        motion = torch.cat([channels, channels.new_zeros(len(channels), NEW_FRAMES, channels.shape[-1])], dim=1)
        mask = seed_mask(channels.device).expand(1, *motion.shape)
        base = generator.base(batch, motion, mask, Passes())
        sparse = generator.sparse(batch, motion, mask, Passes())
        windows.append(fuse_codes(base.codes(), sparse.codes(), sparse.psi, beta))
        scores.append(sparse.psi)
        frames, trans = generator.decode(join_windows(windows[-SEEN_WINDOWS:]), start)
        channels = generator.channels(frames.map(lambda value: value[:, -SEED_FRAMES:]), trans[:, -SEED_FRAMES:])
    generator.decode(join_windows(windows), start)
    return windows, scores
