"""Frame text phi_l (paper section 3.4) by GloVe's word vectors."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np

from semtalk.catalogue import WHEELS
from semtalk.errors import MissingModelError, SemTalkError
from semtalk.features.pretrained import local_model
from semtalk.features.utterance import Utterance

KEY = "features.slots.words.model"
PARTS = re.compile(r"(n't|'\w+)$|-")
"""Where GloVe's own corpus was cut: ``do n't``, ``it 's``; and at hyphens where the whole word is unknown."""


class Glove:
    """The vector of the word that is spoken on each frame, zero in pauses and for unknown words, (T, d)."""

    def __init__(self, dim: int, model: str):
        """Load the vectors.

        Args:
            dim: d.
            model: The package, or a folder or repository that holds ``*_emb.npy`` and ``*_index.parquet``, or GloVe's
                own ``glove*.{d}d.txt``, loose or in a zip.

        Raises:
            SemTalkError: There are no vectors, they cannot be read, or they are of another size.
        """
        folder = local_model(model, KEY, "use features=offline")
        try:
            index, self.vectors = _read(folder, dim)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise MissingModelError(f"{KEY}: {folder} does not hold readable GloVe vectors ({error}).") from error
        if self.vectors.shape[1] != dim:
            raise SemTalkError(f"features.slots.words.dim={dim}: {model} has vectors of {self.vectors.shape[1]}.")
        self.index = {word: place for place, word in enumerate(index)}
        self.dim = dim
        self.counts = {"words": 0, "words that GloVe does not have": 0}

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Encode words as (T, d)."""
        track = np.zeros((utterance.frames, self.dim), np.float32)
        for text, frames in utterance.spoken():
            track[frames] = self.vector(text)
        return track

    def vector(self, text: str) -> np.ndarray | float:
        """Vector (d,) of a word; of a word that GloVe knows in parts alone (``don't``), their mean."""
        self.counts["words"] += 1
        word = text.lower()
        for parts in ([word], PARTS.split(word)):
            if known := [self.index[part] for part in parts if part in self.index]:
                return self.vectors[known].mean(axis=0)
        self.counts["words that GloVe does not have"] += 1
        return 0.0


def _read(folder: Path, dim: int) -> tuple[list[str], np.ndarray]:
    """Words and their vectors (n, d) of a folder."""
    packed = sorted(folder.glob("*_emb.npy"))
    if packed and (index := sorted(folder.glob("*_index.parquet"))):
        words, vectors = _read_index(index[0]), np.load(packed[0], mmap_mode="r", allow_pickle=False)
        if vectors.ndim != 2 or len(words) != len(vectors):
            raise ValueError(f"{len(words)} words for vectors of shape {vectors.shape}")
        return words, vectors
    pattern = f"glove*.{dim}d.txt"
    for path in sorted(folder.glob(pattern)):
        with path.open(encoding="utf-8") as file:
            return _read_text(file)
    for path in sorted(folder.glob("glove*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if Path(name).match(pattern):
                    with archive.open(name) as file:
                        return _read_text(io.TextIOWrapper(file, encoding="utf-8"))
    raise ValueError(f"neither *_emb.npy with *_index.parquet nor {pattern}, loose or in a zip")


def _read_index(path: Path) -> list[str]:
    """Words of a parquet file's only column."""
    try:
        from pyarrow.parquet import read_table
    except ModuleNotFoundError as error:
        raise MissingModelError(f"{KEY}: {path} needs pyarrow; run `{WHEELS['pyarrow'].command}`.") from error
    return read_table(path).column(0).to_pylist()


def _read_text(lines) -> tuple[list[str], np.ndarray]:
    """GloVe's own form: a word and its numbers on each line."""
    rows = [line.rstrip("\n").partition(" ")[::2] for line in lines]
    return [word for word, _ in rows], np.array([numbers.split(" ") for _, numbers in rows], np.float32)
