"""Stages that see speech: the base and the sparse network (paper sections 3.3 and 3.4)."""

import torch
from torch import Tensor

from semtalk.losses import code_loss, gate_loss, global_consistency, latent_loss, local_consistency
from semtalk.models.base import BaseNetwork
from semtalk.models.branches import TRAINING_PASSES, Passes, Prediction
from semtalk.models.fusion import blend_latents
from semtalk.models.tokenizer import Tokenizer
from semtalk.motion.parts import motion_channels
from semtalk.motion.skeleton import BODY_PARTS
from semtalk.tasks.masking import mask_ratio, random_mask, seed_mask
from semtalk.tasks.motion import batch_frames
from semtalk.tasks.stage import StageTask

SEED_PASS = 0
"""Index of the pass that sees what generation sees."""


class CodePredictionTask(StageTask):
    """What base and sparse share: targets from the frozen tokenizer, the three masked passes, code losses."""

    def __init__(self, *args, tokenizer: Tokenizer, **kwargs):
        super().__init__(*args, **kwargs)
        self._tokenizer = (tokenizer,)

    @property
    def tokenizer(self) -> Tokenizer:
        """The frozen RVQ-VAEs, on the task's device; no part of the checkpoint."""
        return self._tokenizer[0].to(self.device)

    def motion(self, batch: dict[str, Tensor]) -> Tensor:
        """Whole-body channels (B, T, 337), counted as the networks' own rollout will count them."""
        return motion_channels(batch_frames(batch), batch["trans"], world=self.meta["generation"] == "release")

    def predict(self, batch: dict[str, Tensor], passes: Passes = TRAINING_PASSES) -> Prediction:
        """Run the network on seed and random masks; codes are predicted for each pass."""
        motion = self.motion(batch)
        seed = seed_mask(motion.device).expand_as(motion)
        schedule = self.recipe["mask"]
        progress = self.progress if self.training else 1.0
        ratio = mask_ratio(progress, schedule["ratio"], schedule["warmup"])
        masks = torch.stack([seed, random_mask(len(motion), ratio, motion.device)])
        return self.network(batch, motion, masks[: max(passes.mask) + 1], passes)

    def code_losses(
        self, prediction: Prediction, codes: dict[str, Tensor], vectors: dict[str, Tensor], weight: Tensor | None = None
    ) -> dict[str, Tensor]:
        """L_cls and L_rec, summed over passes and averaged over parts."""
        passes = len(next(iter(prediction.logits.values())))
        terms = {
            "classification": [code_loss(prediction.logits[p], codes[p], weight) for p in prediction.logits],
            "latent": [latent_loss(prediction.latents[p], vectors[p], weight) for p in prediction.latents],
        }
        return {name: passes * torch.stack(values).mean() for name, values in terms.items()}

    def accuracy(self, prediction: Prediction, codes: dict[str, Tensor], parts) -> dict[str, Tensor]:
        """Share of right level-0 codes in the seed pass, for each part."""
        predicted = prediction.codes(SEED_PASS)
        return {f"accuracy_{part}": (predicted[part] == codes[part])[..., 0].float().mean() for part in parts}


class BaseTask(CodePredictionTask):
    """Trains the base network."""

    phase = "base"

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Code losses over three passes, and local and global rhythmic consistency of the passes with audio."""
        codes = self.tokenizer.encode(batch_frames(batch))
        prediction = self.predict(batch)
        losses = self.code_losses(prediction, codes, self.tokenizer.vectors(codes))
        heard = [index for index, audio in enumerate(TRAINING_PASSES.audio) if audio]
        for name, consistency in (("local", local_consistency), ("global", global_consistency)):
            terms = [
                consistency(prediction.rhythmic[part][index], prediction.speech[part])
                for part in prediction.rhythmic
                for index in heard
            ]
            losses[name] = torch.stack(terms).sum()
        return losses

    def figures(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Code accuracy as at generation."""
        codes = self.tokenizer.encode(batch_frames(batch))
        return self.accuracy(self.predict(batch, Passes()), codes, codes)


class SparseTask(CodePredictionTask):
    """Trains the sparse network beside a frozen base.

    Steps are weighted by their semantic score; ``floor`` is what a step without meaning still weighs. All three passes
    share one gate, so its loss counts once for each of them. Base runs once, without gradient and only when the fusion
    loss has a weight: there its latents are blended with the sparse ones by psi (paper Eq. 5).
    """

    phase = "sparse"

    def __init__(self, *args, base: BaseNetwork, **kwargs):
        super().__init__(*args, **kwargs)
        self._base = (base.eval().requires_grad_(False),)

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Code losses of the body parts weighted by the semantic score, gate loss, and loss of the fused latents."""
        codes = self.tokenizer.encode(batch_frames(batch))
        vectors = self.tokenizer.vectors(codes)
        prediction = self.predict(batch)
        floor = self.recipe["floor"]
        weight = floor + (1 - floor) * batch["semantic"]
        losses = self.code_losses(prediction, codes, vectors, weight)
        losses["gate"] = len(TRAINING_PASSES) * gate_loss(prediction.gate, batch["semantic"])
        if self.recipe["losses"]["fusion"]:
            base = self._base_latents(batch)
            fused = [
                latent_loss(
                    blend_latents(base[part], prediction.latents[part][SEED_PASS], prediction.psi), vectors[part]
                )
                for part in BODY_PARTS
            ]
            losses["fusion"] = torch.stack(fused).mean()
        return losses

    @torch.no_grad()
    def _base_latents(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        motion = self.motion(batch)
        mask = seed_mask(motion.device).expand(1, *motion.shape)
        prediction = self._base[0].to(self.device)(batch, motion, mask, Passes())
        return {part: latents[0] for part, latents in prediction.latents.items()}

    def figures(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Code accuracy on semantic steps as at generation, and the gate's accuracy."""
        codes = self.tokenizer.encode(batch_frames(batch))
        prediction = self.predict(batch, Passes())
        right = ((prediction.psi > 0.5) == (batch["semantic"] > 0)).float().mean()
        return {"gate_accuracy": right, **self.accuracy(prediction, codes, BODY_PARTS)}
