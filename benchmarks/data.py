"""Preparing a corpus, reading windows, and the time to the first step, against windows stored one by one."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from benchmarks.common import ROOT, alternate, record
from semtalk.body import load_body
from semtalk.data.datamodule import MotionDataModule
from semtalk.data.open import open_corpus
from semtalk.data.preparation import prepare as prepare_corpus
from semtalk.data.recording import Corpus
from semtalk.data.store import Store
from semtalk.data.windows import WindowDataset
from semtalk.features.extract import SLOTS
from semtalk.settings import compose
from semtalk.settings.inputs import Features, Slot, Slots

REFERENCE = {"windows/s": 426, "bytes a window": 557_000}
"""What the authors' loader does, measured on a machine like the one of the results."""
STRIDE = 20


def paper_widths() -> Features:
    """Features as wide as the paper's, from encoders that need no download."""
    features = compose("train", "features=paper").features
    encoders = {"hubert": "absent", "words": "hashed_words", "sentence": "hashed_bag", "emotion": "hashed_bag"}
    slots = {slot: Slot(encoder=encoders.get(slot, slot), dim=features.slots[slot].dim) for slot in SLOTS}
    return features.model_copy(update={"slots": Slots(**slots)})


def make_store(folder: Path, features: Features, *overrides: str) -> tuple[Store, Corpus]:
    """Prepare the embedded corpus."""
    corpus = open_corpus(compose("train", f"data_dir={folder}", *overrides).data)
    return prepare_corpus(corpus, features, load_body(None), folder / "store"), corpus


class LiteralWindows(torch.utils.data.Dataset):
    """Every window in float32 in one file, read and decoded one by one."""

    def __init__(self, dataset: WindowDataset, path: Path):
        self.path, self.places = path, []
        with path.open("wb") as file:
            for index in range(len(dataset)):
                data = save({key: value.contiguous() for key, value in dataset[index].items()})
                self.places.append((file.tell(), len(data)))
                file.write(data)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        begin, size = self.places[index]
        with self.path.open("rb") as file:
            file.seek(begin)
            return load(file.read(size))


def _endless(loader) -> Iterator:
    while True:
        yield from loader


def loader() -> None:
    """Shuffled batches of 64 windows with features of the paper's widths, all inputs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, _ = make_store(folder, paper_widths(), "data.speakers=3", "data.take_seconds=60.0")
        dataset = WindowDataset(store, store.split("train"), STRIDE)
        literal = LiteralWindows(dataset, folder / "windows")
        sizes = {recording.id: recording.frames for recording in store.recordings}
        stored = sum(path.stat().st_size for path in store.folder.glob("*.safetensors"))
        windows = sum((frames - 64) // STRIDE + 1 for frames in sizes.values())
        ours = _endless(MotionDataModule(store, STRIDE, 64).train_dataloader())
        sampler = torch.utils.data.RandomSampler(literal)
        theirs = _endless(torch.utils.data.DataLoader(literal, batch_size=64, sampler=sampler, drop_last=True))
        plans = {
            name: lambda batches=b: [next(batches) for _ in range(8)]
            for name, b in (("fast", ours), ("literal", theirs))
        }
        times = alternate(plans, 15, warm=5)
        rates = {name: 8 * 64 / value for name, value in times.items()}
        record(
            "loader",
            {
                "windows": windows, "windows/s": rates["fast"], "windows/s, literal": rates["literal"],
                "ratio": rates["fast"] / rates["literal"], "windows/s, authors' loader": REFERENCE["windows/s"],
                "bytes a window": stored / windows, "bytes a window, literal": literal.places[0][1],
                "bytes a window, authors' store": REFERENCE["bytes a window"],
                "share of the authors' bytes": stored / windows / REFERENCE["bytes a window"],
                "GB an hour of motion": stored / sum(sizes.values()) * 30 * 3600 / 1e9,
            },
        )  # fmt: skip


def prepare() -> None:
    """Preparing the embedded corpus with offline features, doing so again, and cutting it into stored windows."""
    features = compose().features
    with tempfile.TemporaryDirectory() as name:
        began = time.perf_counter()
        store, corpus = make_store(Path(name), features)
        first = time.perf_counter() - began
        times = []
        for folder in ("a", "b", "c"):
            began = time.perf_counter()
            prepare_corpus(corpus, features, load_body(None), Path(name) / folder)
            times.append(time.perf_counter() - began)
        ours = sorted(times)[1]
        began = time.perf_counter()
        prepare_corpus(corpus, features, load_body(None), Path(name) / "a")
        again = time.perf_counter() - began
        began = time.perf_counter()
        LiteralWindows(WindowDataset(store, store.recordings, STRIDE), Path(name) / "windows")
        cut = time.perf_counter() - began
        spoken = sum(recording.frames for recording in store.recordings) / 30
        record(
            "prepare",
            {
                "seconds of motion": spoken, "seconds, corpus written too": first, "seconds": ours,
                "times real time": spoken / ours, "seconds, nothing changed": again,
                "seconds, literal (windows cut and stored beside)": ours + cut, "ratio": (ours + cut) / ours,
            },
        )  # fmt: skip


def startup() -> None:
    """From the command to the end of one epoch of 22 steps, saved too: first use, and with a prepared corpus."""
    numbers = {}
    with tempfile.TemporaryDirectory() as name:
        command = [
            sys.executable, "train.py", "stage.phases=[rvqvae]", "parts=[hands]", "recipe.rvqvae.steps=1",
            f"runs_dir={name}/runs", f"data_dir={name}/data",
        ]  # fmt: skip
        for state in ("seconds, first use", "seconds, prepared corpus"):
            began = time.perf_counter()
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            numbers[state] = time.perf_counter() - began
        began = time.perf_counter()
        subprocess.run([sys.executable, "train.py", "--help"], cwd=ROOT, check=True, capture_output=True)
        numbers["seconds, --help"] = time.perf_counter() - began
    record("startup", numbers | {"wanted at most": 15.0})
