"""What every result of a corpus has to say, so that nobody takes it for one of other clips."""

import hashlib
from collections import Counter
from pathlib import Path

from semtalk.data.recording import Corpus
from semtalk.data.store import Store
from semtalk.settings.inputs import Data


def corpus_notes(corpus: Corpus, store: Store, data: Data) -> list[str]:
    """What its reader says of it, whose takes are test, and how many clips each split has."""
    counts = Counter(recording.info["split"] for recording in store.recordings)
    counted = corpus.report(counts) if hasattr(corpus, "report") else []
    return [*sorted({*corpus.notes, *_split_file(data)}), *counted]


def _split_file(data: Data) -> list[str]:
    """Which file says whose takes are test, by its hash; nothing where none does."""
    path = getattr(data, "split_file", None)
    if path is None:
        return []
    sha256 = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]
    return [
        f"split of {path} (sha256 {sha256}), clips of {data.min_frames or 1} frames and {data.min_seconds:g} s of "
        "motion and more"
    ]
