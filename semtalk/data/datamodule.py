"""Batches for Lightning: shuffled by seed and epoch alone, split evenly over processes."""

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from semtalk.data.store import Store
from semtalk.data.windows import WindowDataset


class EpochSampler(Sampler[int]):
    """Shuffles by (seed, epoch), so that a resumed run sees the same batches, and deals windows to the processes.

    Every process gets the same number of windows: training drops the few left over, evaluation keeps all of them (no
    window is repeated, so that means over processes stay exact when they are weighted by count).
    """

    def __init__(self, size: int, seed: int, shuffle: bool, rank: int = 0, world: int = 1):
        self.size, self.seed, self.shuffle, self.rank, self.world = size, seed, shuffle, rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch's order; Lightning calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self.shuffle:
            return self.size // self.world
        return len(range(self.rank, self.size, self.world))

    def __iter__(self):
        if not self.shuffle:
            return iter(range(self.rank, self.size, self.world))
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.size, generator=generator)
        return iter(order[self.rank :: self.world][: len(self)].tolist())


def _as_it_is(batch):
    return batch


class MotionDataModule(pl.LightningDataModule):
    """Windows of the training and validation splits of a store."""

    def __init__(
        self,
        store: Store,
        stride: int,
        batch_size: int,
        seed: int,
        workers: int = 0,
        keys: tuple[str, ...] | None = None,
    ):
        super().__init__()
        self.store = store
        self.stride = stride
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers
        self.keys = keys

    def _loader(self, split: str, shuffle: bool) -> DataLoader:
        dataset = WindowDataset(self.store, self.store.split(split), self.stride, self.keys)
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        sampler = EpochSampler(len(dataset), self.seed, shuffle, rank, world)
        batch_size = min(self.batch_size, len(sampler)) if shuffle else self.batch_size
        return DataLoader(
            dataset, batch_size=batch_size, sampler=sampler, drop_last=shuffle, collate_fn=_as_it_is,
            num_workers=self.workers, pin_memory=torch.cuda.is_available(), persistent_workers=self.workers > 0,
        )  # fmt: skip

    def train_dataloader(self) -> DataLoader:
        """Shuffled windows of ``train``; the last incomplete batch is dropped."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader:
        """Windows of ``val`` in order."""
        return self._loader("val", shuffle=False)
