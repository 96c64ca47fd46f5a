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
        on_device: bool = False,
    ):
        """Choose the windows.

        Args:
            store: Prepared corpus.
            stride: Frames between windows.
            batch_size: Windows of a batch on each device.
            seed: Of the shuffling.
            workers: Processes that gather batches; none where the data lie on a GPU.
            keys: What to gather, all by default.
            on_device: Keep the windows on the GPU where they take less than half of its free memory.
        """
        super().__init__()
        self.store = store
        self.stride = stride
        self.batch_size = batch_size
        self.seed = seed
        self.workers = workers
        self.keys = keys
        self.on_device = on_device

    def _loader(self, split: str, shuffle: bool) -> DataLoader:
        dataset = WindowDataset(self.store, self.store.split(split), self.stride, self.keys)
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        sampler = EpochSampler(len(dataset), self.seed, shuffle, rank, world)
        resident = self._put_on_gpu(dataset)
        workers = 0 if resident else self.workers
        batch_size = min(self.batch_size, len(sampler)) if shuffle else self.batch_size
        return DataLoader(
            dataset, batch_size=batch_size, sampler=sampler, drop_last=shuffle, collate_fn=_as_it_is,
            num_workers=workers, pin_memory=torch.cuda.is_available() and not resident, persistent_workers=workers > 0,
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
