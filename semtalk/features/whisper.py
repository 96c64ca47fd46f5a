"""Speech features by Whisper's encoder in HuBERT's place: its hidden states at 30 fps, for recordings of any length."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from semtalk.catalogue import WHEELS
from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features.hubert import spans
from semtalk.features.pretrained import load_pretrained, local_model, pick_device
from semtalk.features.spectrum import mel_power
from semtalk.features.utterance import Utterance, to_frames

KEY = "features.slots.hubert"
MEL_HOP = 160
MEL_WIDTH = 400
ROW_RATE = 50
"""Rows of hidden state a second: one for two frames of the spectrogram."""
LONGEST = 30
"""Seconds that Whisper hears at once."""


def whisper_mel(wave: np.ndarray, bands: int) -> np.ndarray:
    """Whisper's log-mel spectrogram (bands, n), 100 frames a second, n even, of a wave (S,) brought to peak 1.

    The peak makes features the same at any gain, and the whole recording is measured at once, so that its pieces agree.
    """
    wave = wave / (np.abs(wave).max() or 1.0)
    rows = max(1, -(-len(wave) // (2 * MEL_HOP)))
    wave = np.pad(wave, (0, 2 * MEL_HOP * rows - len(wave)))
    power = np.log10(np.maximum(mel_power(wave, bands, MEL_WIDTH, MEL_HOP)[:, :-1], 1e-10))
    return ((np.maximum(power, power.max() - 8.0) + 4.0) / 4.0).astype(np.float32)


class WhisperStates:
    """Last hidden state of Whisper's encoder, (T, d).

    A recording of up to 30 s is heard as a whole and a longer one in pieces of ``span_seconds`` that overlap by
    ``overlap_seconds`` on both sides, of which the middle is kept. No piece is filled up with silence to 30 s, as
    transcription does: what is heard is the recording alone.
    """

    def __init__(self, dim: int, model: str, span_seconds: float = 30.0, overlap_seconds: float = 5.0):
        """Load the encoder.

        Args:
            dim: d, the encoder's width.
            model: The package, or a folder or name of a Whisper of CTranslate2 or transformers.
            span_seconds: Length of the pieces, 30 at most.
            overlap_seconds: What is heard on either side of what is kept.

        Raises:
            SemTalkError: The model is missing, unreadable, or of another size, or a span is too long.
        """
        if span_seconds > LONGEST:
            raise SemTalkError(f"{KEY}.span_seconds={span_seconds}: Whisper hears {LONGEST} s at once at most.")
        folder = local_model(model, f"{KEY}.model", "use features=offline, whose log-mel bands stand in its place")
        load = _load_ctranslate2 if (folder / "model.bin").is_file() else _load_transformers
        self.bands, self.encode = load(folder)
        self.dim = self.encode(np.zeros((self.bands, 2), np.float32)).shape[1]
        if self.dim != dim:
            raise SemTalkError(f"{KEY}.dim={dim}: {model} has {self.dim} channels.")
        self.span, self.overlap = int(span_seconds * ROW_RATE), int(overlap_seconds * ROW_RATE)

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode speech as (T, d)."""
        return to_frames(self.hidden_state(utterance.wave), ROW_RATE, utterance.frames)

    def hidden_state(self, wave: np.ndarray) -> np.ndarray:
        """Last hidden state (n, d) of a 16 kHz wave (S,), 50 rows a second; row i describes second i / 50."""
        mel = whisper_mel(wave, self.bands)
        kept = []
        for start, first, last in spans(mel.shape[1] // 2, self.span, self.overlap):
            states = self.encode(mel[:, 2 * start : 2 * (start + self.span)])
            kept.append(states[first - start : last - start])
        return np.concatenate(kept)


def _load_ctranslate2(folder: Path) -> tuple[int, Callable[[np.ndarray], np.ndarray]]:
    """Bands of the spectrogram, and (bands, 2n) -> (n, d), in float32 on the CPU."""
    try:
        import ctranslate2
    except ModuleNotFoundError as error:
        raise MissingModelError(
            f"{KEY}.model: {folder} needs the package ctranslate2; run `{WHEELS['ctranslate2'].command}`."
        ) from error
    try:
        network = ctranslate2.models.Whisper(str(folder), compute_type="float32")
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise MissingModelError(f"{KEY}.model: {folder} does not hold a readable Whisper ({reason}).") from error

    def encode(mel: np.ndarray) -> np.ndarray:
        heard = ctranslate2.StorageView.from_array(np.ascontiguousarray(mel[None]))
        return np.array(network.encode(heard, to_cpu=True))[0]

    return network.n_mels, encode


def _load_transformers(folder: Path) -> tuple[int, Callable[[np.ndarray], np.ndarray]]:
    """Bands of the spectrogram, and (bands, 2n) -> (n, d)."""
    import torch
    from transformers import AutoModel, WhisperModel

    model = load_pretrained(AutoModel.from_pretrained, folder, f"{KEY}.model")
    if not isinstance(model, WhisperModel):
        raise MissingModelError(f"{KEY}.model: {folder} holds a {type(model).__name__}, no Whisper.")
    device = pick_device()
    encoder = model.get_encoder().eval().to(device)
    places = encoder.embed_positions.weight.detach()

    def encode(mel: np.ndarray) -> np.ndarray:
        rows = mel.shape[1] // 2
        encoder.config.max_source_positions = rows  # else it insists on 30 s
        encoder.embed_positions = torch.nn.Embedding.from_pretrained(places[:rows])
        with torch.no_grad():
            return encoder(torch.from_numpy(mel[None]).to(device)).last_hidden_state[0].float().cpu().numpy()

    return model.config.num_mel_bins, encode
