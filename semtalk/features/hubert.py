"""HuBERT features gamma_h (paper section 3.3): the last hidden state, at 30 fps, for recordings of any length."""

import math

import numpy as np

from semtalk.errors import SemTalkError
from semtalk.features.pretrained import load_pretrained, local_model, pick_device
from semtalk.features.utterance import Utterance, to_frames
from semtalk.motion.skeleton import SAMPLE_RATE


def spans(rows: int, span: int, overlap: int) -> list[tuple[int, int, int]]:
    """Cut ``rows`` into overlapping spans of equal length.

    Returns:
        (start of the span, first and last kept row): kept rows follow each other without gap, and lie ``overlap`` rows
        or more from the ends of their span, but for the ends of the whole.
    """
    if rows <= span:
        return [(0, 0, rows)]
    if span <= 2 * overlap:
        raise SemTalkError(f"features: a span of {span} rows leaves nothing between two overlaps of {overlap}.")
    count = math.ceil((rows - 2 * overlap) / (span - 2 * overlap))
    starts = [round(index * (rows - span) / (count - 1)) for index in range(count)]
    seams = [0] + [(before + span + after) // 2 for before, after in zip(starts, starts[1:], strict=False)] + [rows]
    return [(start, seams[index], seams[index + 1]) for index, start in enumerate(starts)]


class Hubert:
    """Last hidden state of HuBERT, (T, d).

    Convolutions run over short chunks whose results equal those of the whole recording. The transformer, whose
    attention has no such limit, sees spans of ``span_seconds`` that overlap by ``overlap_seconds`` on both sides:
    recordings up to a span are exact, and longer ones lack attention to speech that is further away.
    """

    def __init__(
        self,
        dim: int,
        model: str,
        heard_rate: int = SAMPLE_RATE,
        chunk_seconds: float = 20.0,
        span_seconds: float = 300.0,
        overlap_seconds: float = 15.0,
        batch: int = 4,
    ):
        """Load the model.

        Args:
            dim: d, the model's hidden size.
            model: Folder or name of a transformers HuBERT.
            heard_rate: The audio is resampled to this rate and given to the model as if it were 16 kHz. Anything but
                16,000 repeats a mistake that weights were trained with.
            chunk_seconds: Length of the pieces that the convolutions see.
            span_seconds: Length of the pieces that the transformer sees.
            overlap_seconds: What the transformer sees on either side of what is kept.
            batch: Pieces at once.

        Raises:
            SemTalkError: The model is missing, unreadable, or of another size.
        """
        from transformers import AutoFeatureExtractor, HubertModel

        key = "features.slots.hubert.model"
        folder = local_model(model, key, "train with features=offline, whose log-mel bands stand in HuBERT's place")
        self.device = pick_device()
        self.model = load_pretrained(HubertModel.from_pretrained, folder, key).eval().to(self.device)
        self.normalise = load_pretrained(AutoFeatureExtractor.from_pretrained, folder, key).do_normalize
        self.dim = self.model.config.hidden_size
        if self.dim != dim:
            raise SemTalkError(f"features.slots.hubert.dim={dim}: {model} has {self.dim} channels.")
        config = self.model.config
        self.hop = math.prod(config.conv_stride)
        self.reach = 1
        for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
            self.reach = (self.reach - 1) * stride + kernel
        self.heard_rate = heard_rate
        self.rate = heard_rate / self.hop
        self.chunk, self.span, self.overlap = (
            int(seconds * SAMPLE_RATE / self.hop) for seconds in (chunk_seconds, span_seconds, overlap_seconds)
        )
        if config.feat_extract_norm == "group":  # normalises over time: its result depends on all that it sees
            self.chunk = self.span
        self.batch = batch

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode speech as (T, d)."""
        return to_frames(self.hidden_state(utterance.wave), self.rate, utterance.frames)

    def hidden_state(self, wave: np.ndarray) -> np.ndarray:
        """Last hidden state (n, d) of a 16 kHz wave (S,), one row for every ``hop`` samples that the model hears."""
        import soxr
        import torch

        if self.heard_rate != SAMPLE_RATE:
            wave = soxr.resample(wave, SAMPLE_RATE, self.heard_rate)
        wave = np.pad(wave, (0, max(0, self.reach - len(wave))))
        if self.normalise:
            wave = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")
        with torch.no_grad(), half:
            return self._attend(self._convolve(torch.from_numpy(wave.astype(np.float32)))).float().numpy()

    def _convolve(self, wave):
        """Features (n, c) of a wave (S,), in chunks."""
        import torch

        rows = (len(wave) - self.reach) // self.hop + 1
        starts = range(0, rows, self.chunk)
        pieces = [wave[a * self.hop : (min(a + self.chunk, rows) - 1) * self.hop + self.reach] for a in starts]
        out = [self.model.feature_extractor(self._stack(group)) for group in self._groups(pieces)]
        return torch.cat([features.transpose(1, 2).flatten(0, 1) for features in out])

    def _attend(self, features):
        """Hidden states (n, d) of features (n, c), in spans."""
        import torch

        cut = spans(len(features), self.span, self.overlap)
        pieces = [features[start : start + self.span] for start, _, _ in cut]
        hidden = []
        for group in self._groups(pieces):
            hidden += self.model.encoder(self.model.feature_projection(self._stack(group))).last_hidden_state.cpu()
        kept = zip(cut, hidden, strict=True)
        return torch.cat([rows[first - start : last - start] for (start, first, last), rows in kept])

    def _stack(self, group):
        import torch

        return torch.stack(group).to(self.device)

    def _groups(self, pieces: list) -> list[list]:
        """Pieces of equal length in batches; the last may be shorter and comes alone."""
        groups: list[list] = []
        for piece in pieces:
            fits = groups and len(groups[-1]) < self.batch and len(groups[-1][0]) == len(piece)
            groups[-1].append(piece) if fits else groups.append([piece])
        return groups
