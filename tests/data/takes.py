"""Takes whose every source can be changed, and settings that encode them at once; the store's tests share them."""

import json
from pathlib import Path

import numpy as np

from semtalk.data import Entry, Recording, SemanticInterval, file_stamp
from semtalk.errors import SemTalkError
from semtalk.features import Word
from semtalk.motion import Motion
from semtalk.settings import compose

EMPTY = {"motion": 0, "wave": 0, "words": "hello", "semantics": None, "emotion": "anger", "frames": 90}
VARIANTS = {
    "plain": [],
    "wide": ["features.slots.hubert.dim=3"],
    "words": ["features.slots.words.dim=6"],
    "stride": ["features.stride=10"],
    "model": ["+features.slots.hubert.model=a_name_of_its_own"],
    "half": ["features.stored=float16"],
}
OWN = [
    "features.slots.rhythm.encoder=absent", "features.slots.hubert.encoder=takes:Loud",
    "features.slots.hubert.dim=2", "features.slots.words.dim=4", "features.slots.sentence.dim=4",
    "features.slots.emotion.encoder=emotion_label", "features.slots.emotion.dim=8",
]  # fmt: skip
FEATURES = {name: compose("train", *OWN, *more).features for name, more in VARIANTS.items()}


class Loud:
    """An encoder whose code changes with its version."""

    version = 1
    fails = False

    def __init__(self, dim: int, model: str = ""):
        self.dim = dim
        self.gain = 1.0 + len(model)

    def __call__(self, utterance):
        if type(self).fails:
            raise SemTalkError("a mistake")
        utterance.wave[:] += type(self).version  # a bad habit that must not reach the other files
        return np.abs(utterance.wave[: utterance.frames, None] * np.full(self.dim, self.gain, np.float32))


class Takes:
    """Three takes; a json for each says what is in it."""

    name, notes, speaker, split = "takes", (), 7, "train"

    def __init__(self, root: Path):
        self.root = root
        root.mkdir()
        for number in range(3):
            self.change(f"take.{number}", motion=number, wave=number)

    def path(self, name: str) -> Path:
        return self.root / f"{name}.json"

    def change(self, name: str, **changes) -> None:
        path = self.path(name)
        known = json.loads(path.read_text()) if path.is_file() else EMPTY
        path.write_text(json.dumps(known | changes))

    def entries(self):
        return [Entry(path.stem, self.speaker, self.split) for path in sorted(self.root.glob("*.json"))]

    def stamp(self, entry):
        return file_stamp(self.path(entry.id))

    def mean_joint_speed(self):
        return None

    def read(self, entry):
        said = json.loads(self.path(entry.id).read_text())
        frames = said["frames"]
        if not frames:
            raise SemTalkError(f"{entry.id}: empty")
        rng = np.random.default_rng(said["motion"])
        arrays = ((frames, 55, 3), (frames, 100), (frames, 3), (300,))
        motion = Motion(*(rng.normal(size=shape).astype(np.float32) / 9 for shape in arrays))
        wave = np.random.default_rng(said["wave"]).normal(size=frames * 534).astype(np.float32)
        rows = said["semantics"] and [SemanticInterval("a", 0.0, said["semantics"], 0.5)]
        words = [Word(said["words"], 0.5, 1.0)]
        return Recording(entry.id, entry.speaker, entry.split, wave, motion, words, rows, said["emotion"])
