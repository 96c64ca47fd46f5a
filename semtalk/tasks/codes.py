"""Stages that see speech: the base and the sparse network (paper sections 3.3 and 3.4)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from semtalk.losses import code_loss, gate_loss, global_consistency, latent_loss, local_consistency, soft_targets
from semtalk.models.base_motion import BaseMotionNetwork
from semtalk.models.decoding import LIKELIEST, Decoding, expected_latent
from semtalk.models.fusion import active_steps, blend_latents
from semtalk.models.masking import mask_ratio, random_mask, seed_mask
from semtalk.models.predictor import TRAINING_PASSES, Passes, Prediction
from semtalk.models.tokenizer import Tokenizer
from semtalk.motion.parts import batch_frames, motion_channels, split_parts
from semtalk.motion.skeleton import BODY_PARTS, DOWNSAMPLE
from semtalk.processes import share
from semtalk.settings.recipes import BaseMotionRecipe, CodeRecipe, SparseMotionRecipe
from semtalk.tasks.calibration import Gain, Spread, calibrations
from semtalk.tasks.stage import Frozen, StageTask
from semtalk.tasks.watch import watch


@dataclass
class Targets:
    """What a batch is trained towards; part -> value.

    Attributes:
        codes: (B, S, L) indices of the nearest codes.
        vectors: (B, S, L, C) of those.
        latents: (B, S, C) before they are quantised.
        classes: What the classification is trained towards: ``codes``, or soft targets (B, S, L, K).
    """

    codes: dict[str, Tensor]
    vectors: dict[str, Tensor]
    latents: dict[str, Tensor]
    classes: dict[str, Tensor]


@dataclass
class LatentStatistics:
    """Of the training split's latents; part -> value.

    Attributes:
        mean: (C,) of the unquantised latents.
        variance: () of the unquantised latents, summed over channels.
        spread: (L,) mean squared distance of a level's residual to its code.
    """

    mean: dict[str, Tensor]
    variance: dict[str, Tensor]
    spread: dict[str, Tensor]

    @classmethod
    def unit(cls, tokenizer: Tokenizer) -> "LatentStatistics":
        """Of latents that are centred and have a variance and a spread of 1."""
        books = {part: tokenizer.codebooks(part) for part in tokenizer}
        return cls(
            {part: book.new_zeros(book.shape[-1]) for part, book in books.items()},
            {part: book.new_ones(()) for part, book in books.items()},
            {part: book.new_ones(len(book)) for part, book in books.items()},
        )


def latent_statistics(tokenizer: Tokenizer, recordings: Iterable[Mapping[str, Tensor]]) -> LatentStatistics:
    """Encode whole recordings and collect the statistics of their latents."""
    found: dict[str, list[Tensor]] = {part: [] for part in tokenizer}
    left: dict[str, list[Tensor]] = {part: [] for part in tokenizer}
    for recording in recordings:
        length = len(recording["rotation"]) // DOWNSAMPLE * DOWNSAMPLE
        frames = batch_frames(recording).map(lambda value, length=length: value[:length][None])
        _, vectors, residuals = tokenizer.residuals(frames)
        for part in tokenizer:
            found[part].append(residuals[part][0, :, 0].clone())
            left[part].append((residuals[part] - vectors[part])[0].square().sum(dim=-1))
    latents = {part: torch.cat(takes) for part, takes in found.items()}
    return LatentStatistics(
        {part: latent.mean(dim=0) for part, latent in latents.items()},
        {part: latent.var(dim=0).sum() for part, latent in latents.items()},
        {part: torch.cat(takes).mean(dim=0) for part, takes in left.items()},
    )


SEED_PASS = 0
"""Index of the pass that sees what generation sees."""


class CodePredictionTask(StageTask):
    """What base and sparse share: targets from the frozen tokenizer, the three masked passes, code losses."""

    recipe: CodeRecipe

    def __init__(
        self, *args, tokenizer: Tokenizer, statistics: LatentStatistics | None = None, world: bool = False,
        judge: Callable[..., dict[str, float]] | None = None, video_seconds: float = 0.0, **kwargs,
    ):  # fmt: skip
        """Wrap a network; see :class:`StageTask` for what is not listed.

        Args:
            args: Network and recipe.
            tokenizer: The four trained RVQ-VAEs.
            statistics: Of the training split's latents, see :func:`latent_statistics`; needed for soft targets, and for
                validation figures that mean something.
            world: The motion's translation is counted from the world's origin, as the release does.
            judge: Measures what the networks generate in validation, as :class:`semtalk.evaluation.judge.Judge`.
            video_seconds: Of a take that the judge shows, see :func:`semtalk.tasks.watch.watch`; 0 for none.
            kwargs: Of :class:`StageTask`.
        """
        super().__init__(*args, **kwargs)
        self._tokenizer = Frozen(tokenizer)
        self.world, self.judge, self.video_seconds = world, judge, video_seconds
        self.statistics = statistics or LatentStatistics.unit(tokenizer)

    @property
    def tokenizer(self) -> Tokenizer:
        """The frozen RVQ-VAEs, on the task's device; no part of the checkpoint."""
        return self._tokenizer.on(self.device)

    def motion(self, batch: dict[str, Tensor]) -> Tensor:
        """Whole-body channels (B, T, 337), counted as the networks' own rollout will count them."""
        return motion_channels(batch_frames(batch), batch["trans"], world=self.world)

    def targets(self, batch: dict[str, Tensor]) -> Targets:
        """Encode the batch's motion; classes are soft where the recipe says how soft."""
        codes, vectors, residuals = self.tokenizer.residuals(batch_frames(batch))
        classes, tau = codes, self.recipe.softness
        if tau:
            classes = {
                part: soft_targets(
                    residual, self.tokenizer.codebooks(part), self.statistics.spread[part].to(self.device), tau
                )
                for part, residual in residuals.items()
            }
        return Targets(codes, vectors, {part: residual[..., 0, :] for part, residual in residuals.items()}, classes)

    def unexplained(self, logits: Tensor, targets: Targets, part: str) -> Tensor:
        """Share of the variance of a part's latents that the expected latent of logits (..., B, S, L, K) leaves."""
        expected = expected_latent(logits, self.tokenizer.codebooks(part))
        error = (expected - targets.latents[part]).square().sum(dim=-1).mean()
        return error / self.statistics.variance[part].to(self.device)

    @property
    def passes(self) -> Passes:
        """Those of training: the paper's three, or the seed pass alone, as it is before ``mask.begin`` too."""
        begun = not self.training or self.progress >= self.recipe.mask.begin
        return TRAINING_PASSES.first(self.recipe.passes if begun else 1)

    def predict(self, batch: dict[str, Tensor], passes: Passes | None = None) -> Prediction:
        """Run the network on seed and random masks; codes are predicted for each pass."""
        passes = passes or self.passes
        motion = self.motion(batch)
        seed = seed_mask(motion.device).expand_as(motion)
        schedule = self.recipe.mask
        progress = self.progress if self.training else 1.0
        masks = [seed]
        if max(passes.mask):
            ratio = mask_ratio(progress, schedule.ratio, schedule.warmup, schedule.begin)
            masks.append(random_mask(len(motion), ratio, motion.device, hides=schedule.hides))
        return self.network(batch, motion, torch.stack(masks), passes)

    def code_losses(self, prediction: Prediction, targets: Targets, weight: Tensor | None = None) -> dict[str, Tensor]:
        """L_cls and L_rec, summed over passes and averaged over parts."""
        passes = len(next(iter(prediction.logits.values())))
        terms = {
            "classification": [code_loss(prediction.logits[p], targets.classes[p], weight) for p in prediction.logits],
            "latent": [latent_loss(prediction.latents[p], targets.vectors[p], weight) for p in prediction.latents],
        }
        return {name: passes * torch.stack(values).mean() for name, values in terms.items()}

    def judged(self) -> tuple[nn.Module, nn.Module | None]:
        """Base and sparse network that generate in validation."""
        raise NotImplementedError

    def on_validation_epoch_end(self) -> None:
        """Log what is said of the motion that the networks generate."""
        if self.judge is None:
            return
        numbers = None
        if self.trainer.is_global_zero:
            show = watch(self.trainer, self.video_seconds) if self.video_seconds else None
            numbers = self.judge(self.tokenizer, *self.judged(), self.device, show)
        for name, value in self.trainer.strategy.broadcast(numbers).items():
            self.log(f"val/{name}", value, sync_dist=True)  # as it is: all have the same

    def accuracy(self, prediction: Prediction, codes: dict[str, Tensor], parts) -> dict[str, Tensor]:
        """Share of right level-0 codes in the seed pass, for each part."""
        predicted = prediction.codes(SEED_PASS)
        return {f"accuracy_{part}": (predicted[part] == codes[part])[..., 0].float().mean() for part in parts}


class BaseMotionTask(CodePredictionTask):
    """Trains the base network."""

    phase = "base"
    recipe: BaseMotionRecipe

    def __init__(self, *args: Any, decoding: Decoding = LIKELIEST, **kwargs: Any):
        """Wrap a network; see :class:`CodePredictionTask` for what is not listed.

        Args:
            args: Network and recipe.
            decoding: How codes will be read off, which its factors are found for in every validation.
            kwargs: Of :class:`CodePredictionTask`.
        """
        super().__init__(*args, **kwargs)
        self.decoding = decoding
        self.calibrations: dict[str, Gain | Spread] = {}

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Code losses over the passes, and local and global rhythmic consistency of the passes with audio."""
        targets = self.targets(batch)
        prediction = self.predict(batch)
        losses = self.code_losses(prediction, targets)
        audible = [index for index, audio in enumerate(self.passes.audio) if audio]
        among_all = partial(global_consistency, everyone=self.training)
        for name, consistency in (("local", local_consistency), ("global", among_all)):
            terms = [
                consistency(prediction.rhythmic[part][index], prediction.speech[part])
                for part in prediction.rhythmic
                for index in audible
            ]
            losses[name] = torch.stack(terms).sum() if terms else losses["latent"].new_zeros(())
        return losses

    def figures(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Code accuracy and the unexplained share of each part's latents, as at generation."""
        targets = self.targets(batch)
        prediction = self.predict(batch, Passes())
        unexplained = {
            f"unexplained_{part}": self.unexplained(logits[SEED_PASS], targets, part)
            for part, logits in prediction.logits.items()
        }
        for part, calibration in self.calibrations.items():
            true = split_parts(batch_frames(batch))[part]
            calibration.update(prediction.logits[part][SEED_PASS], true, self.first_window)
        return unexplained | self.accuracy(prediction, targets.codes, targets.codes)

    def on_validation_epoch_start(self) -> None:
        """Begin to measure the amplitude of the parts of which more is read off than the likeliest codes."""
        self.calibrations = calibrations(self.tokenizer, self.network.readouts, self.decoding, self.statistics.variance)

    def on_validation_epoch_end(self) -> None:
        """Have the network keep the gains of this validation."""
        for part, calibration in self.calibrations.items():
            gain = calibration.find(getattr(self.recipe.amplitude, part))
            self.network.readouts[part].gain.fill_(gain)
            self.log(f"val/gain_{part}", gain, sync_dist=True)
        super().on_validation_epoch_end()

    def judged(self) -> tuple[nn.Module, nn.Module | None]:
        """Base alone."""
        return self.network, None


class SparseMotionTask(CodePredictionTask):
    """Trains the sparse network beside a frozen base.

    Steps are weighted by their semantic score; ``floor`` is what a step still weighs that has no meaning or no label. A
    step without a label says nothing to the gate. All three passes share one gate, so its loss counts once for each of
    them. Base runs once, without gradient and only when the fusion loss has a weight: there its latents are blended
    with the sparse ones by psi (paper Eq. 5).
    """

    phase = "sparse"

    recipe: SparseMotionRecipe

    def __init__(self, *args, base: BaseMotionNetwork, **kwargs):
        super().__init__(*args, **kwargs)
        self._base = Frozen(base)

    def losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Code losses of the body parts weighted by the semantic score, gate loss, and loss of the fused latents."""
        targets = self.targets(batch)
        prediction = self.predict(batch)
        floor = self.recipe.floor
        weight = floor + (1 - floor) * batch["semantic"].nan_to_num(0.0)
        losses = self.code_losses(prediction, targets, weight)
        losses["gate"] = len(self.passes) * gate_loss(prediction.gate_logits, batch["semantic"])
        if self.training:  # means over what differs from process to process
            of_steps, of_labels = share(weight.sum()), share((~batch["semantic"].isnan()).sum())
            losses = {name: value * (of_labels if name == "gate" else of_steps) for name, value in losses.items()}
        if self.weights["fusion"]:
            base = self._base_latents(batch)
            fused = [
                latent_loss(
                    blend_latents(base[part], prediction.latents[part][SEED_PASS], prediction.psi),
                    targets.vectors[part],
                )
                for part in BODY_PARTS
            ]
            losses["fusion"] = torch.stack(fused).mean()
        return losses

    def judged(self) -> tuple[nn.Module, nn.Module | None]:
        """Both."""
        return self._base.network, self.network

    def counted(self, batch: dict[str, Tensor]) -> dict[str, int]:
        """What is said of the gate is said of the labelled steps."""
        return dict.fromkeys(("gate", "gate_accuracy"), int((~batch["semantic"].isnan()).sum()))

    @torch.no_grad()
    def _base_latents(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        motion = self.motion(batch)
        mask = seed_mask(motion.device).expand(1, *motion.shape)
        prediction = self._base.on(self.device)(batch, motion, mask, Passes())
        return {part: latents[0] for part, latents in prediction.latents.items()}

    def figures(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Code accuracy as at generation, and the gate's accuracy on labelled steps."""
        codes = self.tokenizer.encode(batch_frames(batch))
        prediction = self.predict(batch, Passes())
        labelled = ~batch["semantic"].isnan()
        right = (active_steps(prediction.psi) == (batch["semantic"] > 0)) & labelled
        return {
            "gate_accuracy": right.sum() / labelled.sum().clamp(min=1),
            **self.accuracy(prediction, codes, BODY_PARTS),
        }
