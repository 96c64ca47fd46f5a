"""The released method's own way from window to window: what differs from the default rollout, and nothing else."""

from dataclasses import replace

import torch
from torch import Tensor

from semtalk.generation.rollout import MotionGenerator
from semtalk.generation.seams import orthonormal
from semtalk.models.tokenizer import Codes
from semtalk.models.translation import ROOT
from semtalk.motion.parts import IDENTITY_6D, Frames, motion_channels, part_channels, translation_from_root
from semtalk.motion.rotation import axis_angle_to_6d
from semtalk.motion.skeleton import EYES, JAW, NUM_EXPRESSIONS, NUM_JOINTS, PARTS, SEED_FRAMES

STANDING_HEIGHT = 1.25
"""Translation y in metres of a standing person in BEAT2."""
ARMS_DOWN = 1.0
"""Radians by which a standing person's shoulders turn from the rest pose, arms spread, to arms at the sides."""


class ReleaseMotionGenerator(MotionGenerator):
    """Rollout of the authors' released networks.

    - Channels hold the translation in the world, not from the window's first frame.
    - The next window's seed is decoded from this window's codes alone; its translation integrates the lower part's own
      root channels from the clip's first position; jaw and eyes are at rest.
    - The translation network sees the decoded contacts.
    - Seams are not smoothed.
    - Without known motion a take starts from a standing figure with its arms down.
    """

    def neutral_seed(self, batch: int) -> tuple[Tensor, Tensor]:
        """Channels (B, 4, 337) of a standing figure with arms down, and its position (B, 3)."""
        device = next(self.parameters()).device
        poses = torch.zeros(batch, SEED_FRAMES, NUM_JOINTS, 3, device=device)
        poses[..., 16, 2], poses[..., 17, 2] = -ARMS_DOWN, ARMS_DOWN
        trans = torch.zeros(batch, SEED_FRAMES, 3, device=device)
        trans[..., 1] = STANDING_HEIGHT
        expressions = torch.zeros(batch, SEED_FRAMES, NUM_EXPRESSIONS, device=device)
        contact = torch.ones(batch, SEED_FRAMES, 4, device=device)
        frames = Frames(axis_angle_to_6d(poses), expressions, torch.zeros_like(trans), contact)
        return self.channels(frames, trans), trans[:, 0]

    def channels(self, frames: Frames, trans: Tensor) -> Tensor:
        """Channels (B, T, 337): rotations, translation in the world, contact."""
        return motion_channels(frames, trans, world=True)

    def next_seed(self, windows: list[Codes], start: Tensor) -> Tensor:
        """Seed (B, 4, 337) of the next window: the last frames of the latest window's codes (B, 16, L)."""
        frames = self._decoded(windows[-1])
        trans = translation_from_root(frames.root, start)
        return self.seed_channels(frames, trans)[:, -SEED_FRAMES:]

    def seed_channels(self, frames: Frames, trans: Tensor) -> Tensor:
        """As :meth:`channels`, jaw and eyes at rest."""
        rotation = frames.rotation.clone()
        rotation[..., [JAW, *EYES], :] = rotation.new_tensor(IDENTITY_6D)
        return self.channels(replace(frames, rotation=rotation), trans)

    def decode(self, codes: Codes, start: Tensor, seams: tuple[int, ...] = ()) -> tuple[Frames, Tensor]:
        """Frames and translation (B, 4S, 3) of codes (B, S, L); the translation network sees the contacts."""
        frames = self._decoded(codes)
        lower = part_channels(frames, PARTS["lower"])
        lower[..., ROOT] = 0
        out = self.translation(lower)
        frames.root, frames.contact = out[..., ROOT], out[..., ROOT.stop :].clamp(0, 1)
        return frames, translation_from_root(frames.root, start)

    def _decoded(self, codes: Codes) -> Frames:
        frames = self.tokenizer.decode(self.tokenizer.latents(codes))
        frames.rotation = orthonormal(frames.rotation)
        return frames
