"""``prepare.py`` and ``label_semantics.py``: what is made of a corpus before it is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from semtalk.errors import SemTalkError
from semtalk.log import LOG

if TYPE_CHECKING:
    from semtalk.settings.commands import GenerateSettings, PrepareSettings


def prepare_corpus(settings: PrepareSettings) -> None:
    """Prepare a corpus, or a share of it; say what there is when asked to."""
    from semtalk.data.open import open_store
    from semtalk.needs import opened, refuse_missing

    corpus = opened(settings.data)
    refuse_missing(settings, corpus)

    from semtalk.body import load_body
    from semtalk.data.report import print_report

    store = open_store(settings, corpus, load_body(settings.body.path, settings.body.model), settings.shard)
    for note in corpus.notes:
        LOG.info(note)
    LOG.info(f"{len(store.recordings)} of {len(corpus.entries())} recordings are in {store.folder}.")
    if settings.report:
        print_report(store, corpus)


def label_semantics(settings: GenerateSettings) -> None:
    """Label a corpus that has no semantic labels with the gate of a trained run."""
    if settings.ckpt is None:
        raise SemTalkError("ckpt is not set: give the run whose gate labels, as in ckpt=runs/NAME.")
    if settings.data.reader != "show":
        raise SemTalkError(
            f"data={settings.data.name}: this labels data=show; another corpus's reader gives its own labels."
        )
    from semtalk.data.open import open_corpus

    corpus = open_corpus(settings.data)

    from functools import partial

    from rich.progress import track

    from semtalk.generation.label import label_corpus
    from semtalk.generation.load import files_of
    from semtalk.generation.speech import SemTalk

    model = SemTalk.from_pretrained(
        settings.ckpt, trust=settings.trust, revision=settings.revision, files=files_of(settings.features)
    )
    folder = Path(settings.data.made) / "semantics"
    shares, bad = label_corpus(model, corpus, folder, settings.beta, partial(track, description="Labelling"))
    for entry, reason in bad:
        LOG.info(f"  {entry.id}: {reason}")
    if not shares:
        raise SemTalkError("no recording could be labelled.")
    LOG.info(
        f"{len(shares)} recordings labelled in {folder}; {sum(shares.values()) / len(shares):.0%} of their frames."
    )
