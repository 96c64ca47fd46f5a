"""Emotion feature phi_e of each window (paper section 3.4): emotion2vec, or a corpus's own labels."""

import logging

import numpy as np

from semtalk.catalogue import WHEELS
from semtalk.errors import SemTalkError
from semtalk.features.pretrained import local_model, pick_device
from semtalk.features.utterance import Utterance, window_starts
from semtalk.motion.skeleton import FPS, SAMPLE_RATE, WINDOW

EMOTIONS = ("neutral", "happiness", "anger", "sadness", "contempt", "surprise", "fear", "disgust")


class EmotionLabel:
    """One-hot vector of the take's emotion label, the same in each window, (W, 8)."""

    def __init__(self, dim: int, stride: int):
        if dim != len(EMOTIONS):
            raise SemTalkError(f"features.slots.emotion.dim={dim}: there are {len(EMOTIONS)} labels.")
        self.stride = stride

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode the label as (W, 8).

        Raises:
            SemTalkError: The take has no label, or one that does not exist.
        """
        if utterance.emotion not in EMOTIONS:
            raise SemTalkError(f"emotion={utterance.emotion}: choose one of {', '.join(EMOTIONS)}.")
        row = np.eye(len(EMOTIONS), dtype=np.float32)[EMOTIONS.index(utterance.emotion)]
        return np.tile(row, (len(window_starts(utterance.frames, self.stride)), 1))


class Emotion2Vec:
    """Utterance embedding of emotion2vec for each window, (W, d)."""

    def __init__(self, dim: int, model: str, stride: int):
        """Load the model through its own package.

        Args:
            dim: d, 768 for the base models and 1024 for the large one.
            model: Folder, or name of a repository in the Hugging Face cache.
            stride: Frames between the starts of windows.

        Raises:
            SemTalkError: The package or the model is missing, or the model has another size.
        """
        key = "features.slots.emotion.model"
        instead = "use features=paper_labels, which takes the corpus's own emotion labels"
        try:
            from funasr import AutoModel
        except ModuleNotFoundError as error:
            raise SemTalkError(
                f"emotion2vec needs the package funasr: run `{WHEELS['funasr'].command}`, or {instead}."
            ) from error
        folder = local_model(model, key, instead)
        quiet = logging.root.manager.disable
        logging.disable(logging.INFO)  # the package names every tensor that it loads
        try:
            self.model = AutoModel(model=str(folder), device=str(pick_device()), disable_update=True, disable_pbar=True)
        except Exception as error:
            raise SemTalkError(f"{key}: {folder} is no readable emotion2vec ({type(error).__name__}).") from error
        finally:
            logging.disable(quiet)
        self.name = model
        self.dim = dim
        self.stride = stride

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode the voice of each window as (W, d)."""
        return np.stack([result["feats"] for result in self._results(utterance)]).astype(np.float32)

    def labels(self, utterance: Utterance) -> list[str]:
        """The likeliest emotion of each window, in the model's own words."""
        return [result["labels"][int(np.argmax(result["scores"]))] for result in self._results(utterance)]

    def _results(self, utterance: Utterance) -> list[dict]:
        rate = SAMPLE_RATE / FPS
        windows = [
            utterance.wave[int(start * rate) : int((start + WINDOW) * rate)]
            for start in window_starts(utterance.frames, self.stride)
        ]
        shortest = SAMPLE_RATE // 10
        windows = [np.pad(window, (0, max(0, shortest - len(window)))) for window in windows]
        results = [
            self.model.generate(window, granularity="utterance", extract_embedding=True)[0] for window in windows
        ]
        size = len(results[0]["feats"])
        if size != self.dim:
            raise SemTalkError(f"features.slots.emotion.dim={self.dim}: {self.name} has {size} channels.")
        return results
