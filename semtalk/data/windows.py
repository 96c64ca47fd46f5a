"""Windows of frames as index arithmetic over a store, gathered a whole batch at a time."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from semtalk.data.mapped import MAPPED, mapped_bytes
from semtalk.data.store import Store, StoredRecording
from semtalk.errors import SemTalkError
from semtalk.features.extract import FRAME_SLOTS, WINDOW_SLOTS, full_precision
from semtalk.motion.skeleton import DOWNSAMPLE, WINDOW

Batch = dict[str, Tensor]
MOTION_KEYS = ("rotation", "expressions", "root", "trans", "contact")


class WindowDataset(Dataset):
    """All windows of some recordings; nothing is copied until a batch is asked for.

    A batch holds, for B windows of 64 frames: ``rotation`` (B, 64, 55, 6), ``expressions`` (B, 64, 100), ``root`` and
    ``trans`` (B, 64, 3), ``contact`` (B, 64, 4), ``betas`` (B, 300), ``rhythm`` (B, 64, 3), ``hubert`` and ``words``
    (B, 64, d), ``sentence`` and ``emotion`` (B, d), ``speaker`` (B,), ``semantic`` (B, 16) the mean score of each step.
    """

    def __init__(
        self, store: Store, recordings: list[StoredRecording], stride: int, keys: tuple[str, ...] | None = None,
        length: int = WINDOW,
    ):  # fmt: skip
        """List the windows.

        Args:
            store: Where the recordings are from.
            recordings: Usually one split of it.
            stride: Frames between the starts of windows, a multiple of the store's own.
            keys: What to gather; all of it by default.
            length: Frames of a window; window features and semantic scores are of 64.

        Raises:
            SemTalkError: The store has no window features for such a stride, or no window at all.
        """
        if stride % store.stride:
            raise SemTalkError(
                f"stride={stride}: {store.folder} keeps window features every {store.stride} frames; choose a multiple."
            )
        self.store, self.length = store, length
        self.recordings = recordings
        self.keys = keys or (*MOTION_KEYS, *FRAME_SLOTS, *WINDOW_SLOTS, "betas", "speaker", "semantic")
        index = [
            (number, start)
            for number, recording in enumerate(recordings)
            for start in range(0, recording.window_frames - length + 1, stride)
        ]
        if not index:
            split, longest = recordings[0].info["split"], max(recording.window_frames for recording in recordings)
            raise SemTalkError(
                f"{store.folder}: the {len(recordings)} recordings of the split '{split}' give no window of {length} "
                f"frames; the longest has {longest} that count."
            )
        self.index = np.asarray(index)
        self.speakers = [store.speaker_index(recording.info["speaker"]) for recording in recordings]
        self.tensors: dict[tuple[int, str], Tensor] = {}
        self.most = mapped_bytes() + MAPPED

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, item: int) -> Batch:
        return {key: value[0] for key, value in self.__getitems__([item]).items()}

    def __getitems__(self, items: list[int]) -> Batch:
        pairs = self.index[items].tolist()
        batch = {key: self._gather(key, pairs) for key in self.keys}
        if mapped_bytes() > self.most:
            for recording in self.recordings:
                recording.let_go()
        return batch

    @property
    def nbytes(self) -> int:
        """Bytes of the recordings in the store that windows are gathered from."""
        return sum(recording[key].nbytes for recording in self.recordings for key in self.keys if key != "speaker")

    def to(self, device: torch.device) -> "WindowDataset":
        """Keep a copy of the recordings on a device, and gather batches there."""
        self.tensors = {
            (number, key): recording[key].to(device)
            for number, recording in enumerate(self.recordings)
            for key in self.keys
            if key != "speaker"
        }
        return self

    def _tensor(self, number: int, key: str) -> Tensor:
        return self.tensors[number, key] if self.tensors else self.recordings[number][key]

    def _gather(self, key: str, pairs: list[tuple[int, int]]) -> Tensor:
        if key == "speaker":
            return torch.tensor([self.speakers[number] for number, _ in pairs])
        if key == "betas":
            return torch.stack([self._tensor(number, key) for number, _ in pairs])
        if key in WINDOW_SLOTS:
            rows = torch.stack([self._tensor(number, key)[start // self.store.stride] for number, start in pairs])
        else:
            rows = torch.stack([self._tensor(number, key)[start : start + self.length] for number, start in pairs])
        if key == "semantic":
            return rows.unflatten(1, (-1, DOWNSAMPLE)).mean(dim=-1)
        return full_precision(rows)
