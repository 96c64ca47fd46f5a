"""Text features (paper section 3.4): sentence vectors, word vectors of fastText, the release's word list."""

import json
from pathlib import Path

import numpy as np

from semtalk.catalogue import MODELS, WHEELS
from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features.pretrained import load_pretrained, local_model, pick_device
from semtalk.features.utterance import Utterance, window_starts
from semtalk.files import load_pickle
from semtalk.motion.skeleton import FPS, WINDOW

FASTTEXT = "facebook/fasttext-en-vectors"
PAUSE, UNKNOWN = 0, 3
"""Ids of the release's word list: PAD 0, SOS 1, EOS 2, UNK 3."""


class Sentences:
    """Sentence feature phi_g: a vector for each window's words, (W, d). What follows from it says which."""

    def __init__(self, dim: int, model: str, stride: int, batch: int, network: str):
        """Load a tokenizer and a network.

        Args:
            dim: d.
            model: A package, or a folder or name of a transformers model.
            stride: Frames between the starts of windows.
            batch: Sentences at once.
            network: The class of transformers that reads it.

        Raises:
            SemTalkError: The model is missing, unreadable, or of another size.
        """
        import transformers

        key = "features.slots.sentence.model"
        folder = local_model(model, key, "train with features=offline")
        self.device = pick_device()
        self.tokenizer = load_pretrained(transformers.AutoTokenizer.from_pretrained, folder, key)
        load = getattr(transformers, network).from_pretrained
        self.model = load_pretrained(load, folder, key).eval().to(self.device)
        self.longest = self.model.config.max_position_embeddings
        self.stride = stride
        self.batch = batch
        self.counts = {"sentences": 0, "sentences cut at the model's longest text": 0}
        self.dim = self._embed([""]).shape[1]
        if self.dim != dim:
            raise SemTalkError(f"features.slots.sentence.dim={dim}: {model} has {self.dim} channels.")

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode the words of each window as (W, d)."""
        starts = window_starts(utterance.frames, self.stride)
        texts = [" ".join(utterance.words_between(start / FPS, (start + WINDOW) / FPS)) for start in starts]
        unique = list(dict.fromkeys(texts))
        lengths = [len(ids) for ids in self.tokenizer(unique, truncation=False, verbose=False)["input_ids"]]
        self.counts["sentences"] += len(unique)
        self.counts["sentences cut at the model's longest text"] += sum(length > self.longest for length in lengths)
        vectors = np.concatenate([self._embed(unique[i : i + self.batch]) for i in range(0, len(unique), self.batch)])
        return vectors[[unique.index(text) for text in texts]]

    def _embed(self, texts: list[str]) -> np.ndarray:
        import torch

        tokens = self.tokenizer(texts, padding=True, truncation=True, max_length=self.longest, return_tensors="pt")
        with torch.no_grad():
            return self._pool(tokens.to(self.device)).float().cpu().numpy()


class ClipSentence(Sentences):
    """CLIP's text embedding, (W, d)."""

    def __init__(self, dim: int, model: str, stride: int, batch: int = 64):
        super().__init__(dim, model, stride, batch, "CLIPTextModelWithProjection")

    def _pool(self, tokens):
        return self.model(**tokens).text_embeds


class MiniLM(Sentences):
    """Mean of a sentence encoder's last hidden states, brought to unit length, (W, d)."""

    def __init__(self, dim: int, model: str, stride: int, batch: int = 64):
        super().__init__(dim, model, stride, batch, "AutoModel")

    def _pool(self, tokens):
        from torch.nn.functional import normalize

        heard = tokens["attention_mask"][..., None]
        return normalize((self.model(**tokens).last_hidden_state * heard).sum(dim=1) / heard.sum(dim=1))


class FastText:
    """Frame text phi_l: the fastText vector of the word that is spoken on each frame, zero in pauses, (T, d).

    A ``.bin`` file makes vectors of unknown words from their parts; with a ``.vec`` file they are zero.
    """

    def __init__(self, dim: int, path: str | None = None, model: str | None = None):
        """Load the vectors.

        Args:
            dim: d.
            path: A ``.bin`` or ``.vec`` file, in the model's place.
            model: Folder or name of a repository that holds one.

        Raises:
            SemTalkError: The file or the package gensim is missing, or the vectors are of another size.
        """
        key = "features.slots.words"
        if path is None and model is None:
            raise SemTalkError(f"{key}.model is not set: give a folder or repository that holds a fastText file.")
        if path is None:
            path = _vectors_of(local_model(model, f"{key}.model", "use features=offline"))
        if not Path(path).is_file():
            raise SemTalkError(f"{key}.path={path}: no such file; {MODELS[FASTTEXT].page} has one.")
        try:
            from gensim.models import KeyedVectors
            from gensim.models.fasttext import load_facebook_vectors
        except ModuleNotFoundError as error:
            raise SemTalkError(f"fastText files need gensim: run `{WHEELS['gensim'].command}` first.") from error
        try:
            binary = Path(path).suffix == ".bin"
            self.vectors = load_facebook_vectors(path) if binary else KeyedVectors.load_word2vec_format(path)
        except (ValueError, NotImplementedError, EOFError, UnicodeError, OSError) as error:
            raise SemTalkError(f"{path}: not a readable fastText file ({error}).") from error
        self.binary = binary
        self.dim = self.vectors.vector_size
        if self.dim != dim:
            raise SemTalkError(f"features.slots.words.dim={dim}: {path} has vectors of {self.dim}.")
        self.counts = {"words": 0, "words that the fastText file does not have": 0}

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode words as (T, d)."""
        track = np.zeros((utterance.frames, self.dim), np.float32)
        for text, frames in utterance.spoken():
            track[frames] = self._vector(text)
        return track

    def _vector(self, text: str) -> np.ndarray | float:
        self.counts["words"] += 1
        for form in (text, text.lower()):
            if form in self.vectors.key_to_index:
                return self.vectors[form]
        self.counts["words that the fastText file does not have"] += 1
        return self.vectors[text.lower()] if self.binary else 0.0


def _vectors_of(folder: Path) -> str:
    """The fastText file of a folder."""
    found = sorted(path for path in folder.iterdir() if path.suffix in (".bin", ".vec"))
    if not found:
        raise MissingModelError(f"features.slots.words.model: {folder} holds no fastText file (.bin or .vec).")
    return str(found[0])


def read_vocabulary(path: str | Path | None) -> tuple[dict[str, int], np.ndarray | None]:
    """Read the release's word list.

    Args:
        path: ``vocab.pkl`` of the release, or the ``vocab.json`` that ``convert_release.py`` made of it.

    Returns:
        Word -> id, and the word vectors (n, 300) where the file has them.

    Raises:
        SemTalkError: The file is missing, not such a list, or asks for code to be run.
    """
    if path is None:
        raise SemTalkError(
            "features.slots.words.path is not set: give the release's vocab.pkl (convert_release.py takes it from the "
            "release folder or by --vocab)."
        )
    path = Path(path)
    if path.suffix == ".json":
        if not path.is_file():
            raise SemTalkError(f"{path}: no such word list.")
        try:
            words = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            words = None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise SemTalkError(f"{path}: not a list of words in json.")
        return {word: index for index, word in enumerate(words)}, None
    content = load_pickle(path, lambda module, name: name == "Vocab")
    index, vectors = (getattr(content, name, None) for name in ("word2index", "word_embedding_weights"))
    if not isinstance(index, dict) or not all(isinstance(value, int) for value in index.values()):
        raise SemTalkError(f"{path}: it holds no Vocab with a word2index; is this the release's vocab.pkl?")
    return index, vectors


class VocabularyIds:
    """Ids (T,) in the release's word list of the words on each frame; the network holds their vectors."""

    def __init__(self, dim: int, path: str | None):
        self.dim = dim
        self.index, self.vectors = read_vocabulary(path)
        self.counts = {"words": 0, "words that the release's list does not have": 0}

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode words as (T,) integers."""
        track = np.full(utterance.frames, PAUSE, np.int64)
        for text, frames in utterance.spoken():
            track[frames] = self._id(text)
        return track

    def _id(self, text: str) -> int:
        self.counts["words"] += 1
        for form in (text, text.lower()):
            if form in self.index:
                return self.index[form]
        self.counts["words that the release's list does not have"] += 1
        return UNKNOWN


class VocabularyVectors(VocabularyIds):
    """Word vectors (T, d) of the release's word list, zero in pauses: fastText without its large file."""

    def __init__(self, dim: int, path: str | None):
        super().__init__(dim, path)
        if self.vectors is None or self.vectors.shape[1] != dim:
            raise SemTalkError(f"features.slots.words.path={path}: it holds no word vectors of {dim} channels.")

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode words as (T, d)."""
        track = np.zeros((utterance.frames, self.dim), np.float32)
        for text, frames in utterance.spoken():
            track[frames] = self.vectors[self._id(text)]
        return track
