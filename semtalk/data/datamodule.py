"""Batches for Lightning: shuffled by seed and epoch alone, split evenly over processes."""

import os
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from semtalk.body import BodyModel, load_body
from semtalk.data.open import store_folder
from semtalk.data.preparation import prepare
from semtalk.data.recording import Corpus
from semtalk.data.sources import digest
from semtalk.data.store import Store
from semtalk.data.windows import WindowDataset
from semtalk.errors import SemTalkError
from semtalk.motion.skeleton import WINDOW
from semtalk.settings import compose
from semtalk.settings.inputs import Features


class EpochSampler(Sampler[int]):
    """Shuffles by (seed, epoch), so that a resumed run sees the same batches, and deals windows out to the processes.

    Windows go round one by one, so that what the processes have in a step is the larger batch of one process. Every
    process gets the same number; the few left over are dropped.
    """

    def __init__(self, size: int, seed: int, rank: int = 0, world: int = 1):
        self.size, self.seed, self.rank, self.world = size, seed, rank, world
        self.epoch, self.skip = 0, 0

    def set_epoch(self, epoch: int, skip: int = 0) -> None:
        """Choose the epoch's order; Lightning calls it.

        Args:
            epoch: Of the training.
            skip: Windows of this process that a resumed epoch had already.
        """
        if epoch != self.epoch or skip:
            self.epoch, self.skip = epoch, skip

    def __len__(self) -> int:
        return self.size // self.world

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.size, generator=generator)
        return iter(order[self.rank :: self.world][self.skip : len(self)].tolist())


def dealt_batches(size: int, batch_size: int, rank: int = 0, world: int = 1) -> tuple[list[int], int]:
    """Windows of a validation that a process has, and how many in a batch.

    Whole batches go round, in order, each to one process, so that all figures are of the batches that one process has;
    they are smaller where there are more processes than batches.

    Args:
        size: Number of windows.
        batch_size: Of a batch, at most.
        rank: Number of the process.
        world: How many there are, at most ``size``.
    """
    if -(-size // batch_size) < world:
        batch_size = size // world
    first = range(rank * batch_size, size, world * batch_size)
    return [window for start in first for window in range(start, min(start + batch_size, size))], batch_size


def _as_it_is(batch):
    return batch


def _out_of_the_group(number: int) -> None:
    """Signals to a training's process group are for the training, which ends its readers itself."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()


class MotionDataModule(pl.LightningDataModule):
    """Windows of the training and validation splits of a store."""

    def __init__(
        self,
        store: Store | None,
        stride: int = 20,
        batch_size: int = 64,
        seed: int = 0,
        workers: int = 0,
        keys: tuple[str, ...] | None = None,
        on_device: bool = False,
    ):
        """Choose the windows.

        Args:
            store: Prepared corpus; none where a subclass prepares it.
            stride: Frames between windows, a multiple of the features' own stride.
            batch_size: Windows of a batch on each device.
            seed: Of the shuffling.
            workers: Processes that gather batches; none where the data lie on a GPU.
            keys: What to gather, all by default.
            on_device: Keep the windows on the GPU where they take less than half of its free memory.
        """
        super().__init__()
        self._store = store
        self.stride, self.batch_size, self.seed, self.workers = stride, batch_size, seed, workers
        self.keys, self.on_device, self.length = keys, on_device, WINDOW

    @property
    def store(self) -> Store:
        """The prepared corpus."""
        self.setup("fit")
        return self._store

    @property
    def speakers(self) -> list:
        """The corpus's speakers, in the order of the networks' embeddings."""
        return self.store.speakers

    def serve(self, batch_size: int, keys: tuple[str, ...] | None = None, length: int = WINDOW) -> None:
        """Choose other batches from the same store, of windows of other keys or another length."""
        self.batch_size, self.keys, self.length = batch_size, keys, length

    def batches(self, processes: int = 1) -> int:
        """Batches of an epoch of training, for each of so many processes.

        Raises:
            SemTalkError: ``train`` or ``val`` has fewer windows than processes.
        """
        self._windows("val", processes)
        windows = len(self._windows("train", processes)) // processes
        return windows // min(self.batch_size, windows)

    def windows_of_batch(self, processes: int = 1) -> int:
        """Windows that so many processes have in a batch of training together."""
        return processes * min(self.batch_size, len(self._windows("train", processes)) // processes)

    def digest(self) -> str:
        """Of the takes of training and validation: which they are, and how many of their frames count."""
        takes = (take for split in ("train", "val") for take in self.store.split(split))
        return digest([[take.id, take.info["split"], take.window_frames] for take in takes])

    def _windows(self, split: str, processes: int) -> WindowDataset:
        dataset = WindowDataset(self.store, self.store.split(split), self.stride, self.keys, self.length)
        if len(dataset) < processes:
            raise SemTalkError(
                f"{split} has {len(dataset)} windows, too few for {processes} processes; start fewer (trainer.devices)."
            )
        return dataset

    def _loader(self, split: str, shuffle: bool) -> DataLoader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        dataset = self._windows(split, world)
        if shuffle:
            sampler = EpochSampler(len(dataset), self.seed, rank, world)
            batch_size = min(self.batch_size, len(sampler))
        else:
            sampler, batch_size = dealt_batches(len(dataset), self.batch_size, rank, world)
        resident = self._put_on_gpu(dataset)
        workers = 0 if resident else self.workers
        return DataLoader(
            dataset, batch_size=batch_size, sampler=sampler, drop_last=shuffle, collate_fn=_as_it_is,
            num_workers=workers, pin_memory=torch.cuda.is_available() and not resident, persistent_workers=workers > 0,
            worker_init_fn=_out_of_the_group,
        )  # fmt: skip

    def _put_on_gpu(self, dataset: WindowDataset) -> bool:
        """Whether the windows lie on the trainer's GPU now: it is wanted, there is one, and they fit."""
        if not (self.on_device and self.trainer and self.trainer.strategy.root_device.type == "cuda"):
            return False
        device = self.trainer.strategy.root_device
        free, _ = torch.cuda.mem_get_info(device)
        if 2 * dataset.nbytes > free:
            return False
        dataset.to(device)
        return True

    def train_dataloader(self) -> DataLoader:
        """Shuffled windows of ``train``; the last incomplete batch is dropped."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader:
        """Windows of ``val`` in order."""
        return self._loader("val", shuffle=False)


class CorpusDataModule(MotionDataModule):
    """Windows of any corpus, which is prepared when Lightning, or anyone, first asks for it."""

    def __init__(
        self,
        corpus: Corpus,
        features: Features,
        store: str | Path = "data/store",
        body: BodyModel | None = None,
        strict: bool = False,
        **windows: Any,
    ):
        """Choose corpus and windows.

        Args:
            corpus: Its reader.
            features: What networks hear and read, as in ``compose("train", "features=light").features``.
            store: Folder of prepared corpora; this one has a folder in it.
            body: For foot contact; the stand-in by default.
            strict: Stop at the first bad recording instead of listing it.
            windows: Stride, batch size and so on, see :class:`MotionDataModule`.
        """
        super().__init__(None, **windows)
        self.corpus, self.features, self.body, self.strict = corpus, features, body or load_body(None), strict
        self.folder = store_folder(store, corpus.name, features)

    def prepare_data(self) -> None:
        """Fill the store with what is missing or out of date."""
        if self._store is None:
            prepare(self.corpus, self.features, self.body, self.folder, self.strict)

    def setup(self, stage: str) -> None:
        """Open the store."""
        if self._store is None:
            self._store = prepare(self.corpus, self.features, self.body, self.folder, self.strict)


class BEAT2DataModule(CorpusDataModule):
    """Windows of BEAT2, or of a corpus in its layout."""

    def __init__(
        self, root: str, features: Features, speakers: list[int] | str = (2,), additional: bool = False,
        name: str = "beat2", **windows: Any,
    ):  # fmt: skip
        """Choose recordings; ``windows`` is as in :class:`CorpusDataModule`.

        Args:
            root: Folder that holds ``beat_english_v2.0.0``.
            features: What networks hear and read.
            speakers: Speaker numbers, or ``all``.
            additional: Train on the split file's additional recordings too.
            name: Of the corpus, and of its folder in the store.
            windows: Store, stride, batch size and so on.
        """
        from semtalk.data.beat2 import BEAT2Corpus

        speakers = speakers if speakers == "all" else list(speakers)
        super().__init__(BEAT2Corpus(root, name, speakers, additional), features, **windows)


class SHOWDataModule(CorpusDataModule):
    """Windows of SHOW."""

    def __init__(self, root: str, features: Features, speakers: list[str] | str = "all", **options: Any):
        """Choose recordings.

        Args:
            root: Folder that holds chemistry, conan, oliver and seth.
            features: What networks hear and read.
            speakers: Names, or ``all``.
            options: Of :class:`semtalk.data.show.SHOWCorpus`, and of :class:`CorpusDataModule`.
        """
        from semtalk.data.show import SHOWCorpus

        own = {key: options.pop(key) for key in set(options) & set(SHOWCorpus.__init__.__annotations__)}
        super().__init__(SHOWCorpus(root=root, speakers=speakers, **own), features, **options)


class SampleDataModule(CorpusDataModule):
    """Windows of the embedded corpus, which is written when it is first asked for."""

    def __init__(
        self, root: str | Path = "data/sample", features: Features | None = None, speakers: int = 3,
        take_seconds: float = 20.0, corpus_seed: int = 0, name: str = "sample", **windows: Any,
    ):  # fmt: skip
        """Choose the corpus; ``windows`` is as in :class:`CorpusDataModule`.

        Args:
            root: Folder that it is written to.
            features: What networks hear and read; ``features=offline`` by default.
            speakers: How many of its three voices.
            take_seconds: Length of each of a speaker's twelve takes.
            corpus_seed: Of what is said.
            name: Of the corpus, and of its folder in the store.
            windows: Store, stride, batch size and so on.
        """
        from semtalk.data.sample import SampleCorpus

        corpus = SampleCorpus(str(root), corpus_seed, speakers, take_seconds, name)
        super().__init__(corpus, features or compose("train").features, **windows)
