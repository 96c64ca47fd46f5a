"""Semantic labels for a corpus that has none, by a trained gate (paper section 4.1: how SHOW is labelled)."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from semtalk.data.recording import Corpus, Entry, SemanticInterval
from semtalk.errors import SemTalkError
from semtalk.features.utterance import Utterance
from semtalk.files import atomic_write
from semtalk.generation.speech import SemTalk
from semtalk.models.fusion import active_steps
from semtalk.motion.skeleton import DOWNSAMPLE, FPS


def intervals(psi: Tensor, beta: float) -> list[SemanticInterval]:
    """Runs of code steps whose score (S,) passes the threshold, with their mean score."""
    rows: list[SemanticInterval] = []
    first = None
    for step, active in enumerate([*active_steps(psi, beta).tolist(), False]):
        if active and first is None:
            first = step
        elif not active and first is not None:
            score = float(psi[first:step].mean())
            rows.append(SemanticInterval("gate", first * DOWNSAMPLE / FPS, (step * DOWNSAMPLE - 0.5) / FPS, score))
            first = None
    return rows


def write_semantics(path: Path, rows: list[SemanticInterval]) -> None:
    """Write rows as BEAT2 does: name, start, end, duration, score, tab-separated."""
    text = "".join(f"{r.label}\t{r.start:.4f}\t{r.end:.4f}\t{r.end - r.start:.4f}\t{r.score:.4f}\n" for r in rows)
    atomic_write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def label_corpus(
    model: SemTalk, corpus: Corpus, folder: Path, beta: float, progress: Callable = lambda entries: entries
) -> tuple[dict[str, float], list[tuple[Entry, str]]]:
    """Write ``folder/{id}.txt`` for each recording.

    Returns:
        Id -> share of frames that are semantic, and the recordings that are bad, with reasons.
    """
    shares, bad = {}, []
    for entry in progress(corpus.entries()):
        try:
            recording = corpus.read(entry)
        except SemTalkError as error:
            bad.append((entry, str(error)))
            continue
        psi = model.scores(Utterance(recording.wave, list(recording.words), name=entry.id))
        psi = psi[: -(-recording.frames // DOWNSAMPLE)].cpu()
        write_semantics(folder / f"{entry.id}.txt", intervals(psi, beta))
        shares[entry.id] = float(active_steps(psi, beta).float().mean())
    return shares, bad
