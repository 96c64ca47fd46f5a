"""The RVQ-VAEs, the translation network and base in a training loop of one's own: ``python examples/own_loop.py``.

Its run folder is like any other: ``python generate.py ckpt=runs/own_loop audio=examples/spoken.flac``.
"""

import sys
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from semtalk import SemTalk, compose
from semtalk.data import SampleDataModule
from semtalk.tasks import make_task

PHASES = ("rvqvae_face", "rvqvae_upper", "rvqvae_hands", "rvqvae_lower", "translation", "base")


def main(folder: str = "runs/own_loop", epochs: int = 20, **corpus) -> SemTalk:
    """Train, and load what was trained.

    Args:
        folder: Of the run.
        epochs: Of every phase.
        corpus: Of :class:`SampleDataModule`; BEAT2DataModule and SHOWDataModule take a root.
    """
    settings = compose("train", "recipe=small")
    data = SampleDataModule(features=settings.features, batch_size=16, **corpus)
    for phase in PHASES:
        task = make_task(phase, settings, data.store, folder)
        best = ModelCheckpoint(Path(folder) / phase, "best", monitor=task.monitor, enable_version_counter=False)
        trainer = pl.Trainer(max_epochs=epochs, callbacks=[best], logger=False, use_distributed_sampler=False)
        trainer.fit(task, data)
    return SemTalk.from_pretrained(folder)


if __name__ == "__main__":
    main(*sys.argv[1:2])
