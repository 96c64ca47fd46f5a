"""SHOW as it is written, small: synthetic sequences of its exact schema, and a corpus with the traps of its files.

``write_show(root)`` writes the corpus; ``python tests/show_corpus.py DIR`` does so from the command line.
"""

import json
import pickle
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile


class FakeCudaTensor:
    """What a CUDA tensor leaves in a plain pickle: a call of torch's own rebuilding function."""

    def __reduce__(self):
        return _module("torch._utils")._rebuild_tensor_v2, (_storage(), 0, (1,), (1,), False, {})


def _module(name):
    return __import__(name, fromlist=["_"])


def _storage():
    return b"bytes of a storage"


def sequence(frames: int, seed: int = 0) -> dict:
    """One sequence: turned to the camera (about pi round x, its sign flipping), 12 hand components, CUDA losses."""
    rng = np.random.default_rng(seed)

    def walk(*shape, scale=0.02):
        return np.cumsum(rng.normal(scale=scale, size=(frames, *shape)), axis=0).astype(np.float32)

    orient = np.tile(np.float32([np.pi - 0.1, 0.02, 0.01]), (frames, 1)) + 0.1 * walk(3)
    angle = np.linalg.norm(orient, axis=1, keepdims=True)
    flip = np.where(np.arange(frames)[:, None] % 7 == 3, (angle - 2 * np.pi) / angle, 1)
    return {
        "expression": walk(100), "jaw_pose": 0.1 + 0.2 * walk(3), "betas": rng.normal(size=(1, 300)).astype(np.float32),
        "global_orient": (orient * flip).astype(np.float32)[:, None], "body_pose_axis": walk(63),
        "left_hand_pose": walk(12), "right_hand_pose": walk(12), "leye_pose": walk(3), "reye_pose": walk(3),
        "transl": walk(3) + np.float32([0.1, 0.4, 12.0]), "pose_embedding": walk(32),
        "camera_transl": np.zeros(3, np.float32), "focal_length": np.float32(5000.0),
        "mica_head_transl": np.zeros((1, 3), np.float32), "width": 1280, "height": 720, "center": np.zeros(2),
        "batch_size": frames, "losses_to_log": {"total": FakeCudaTensor()},
    }  # fmt: skip


def write_sequence(folder: Path, seconds: float, seed: int = 0, sound: float | None = None, **changed) -> None:
    """Write pickle and 22,000 Hz stereo wav.

    Args:
        folder: Called as the sequence.
        seconds: Of motion.
        seed: Of all that is in it.
        sound: Seconds of sound; those of the motion by default.
        changed: Other values of keys of the pickle.
    """
    folder.mkdir(parents=True)
    content = sequence(round(30 * seconds), seed) | changed
    (folder / f"{folder.name}.pkl").write_bytes(pickle.dumps(content, protocol=2))
    times = np.arange(round(22000 * (seconds if sound is None else sound))) / 22000
    syllables = np.sin(np.pi * (3 + seed % 3) * times)[:, None] ** 2
    wave = syllables * np.random.default_rng(seed).normal(scale=0.1, size=(len(times), 2))
    soundfile.write(folder / f"{folder.name}.wav", wave, 22000, subtype="PCM_16")


class Trap(NamedTuple):
    """A clip of the corpus: how it is odd.

    Attributes:
        place: Speaker, video and sequence.
        split: Where the list has it; none where it has it not.
        frames: Of motion.
        sound: Frames of sound, where it is of another length.
        shaped: Key of the pickle -> its shape.
    """

    place: str
    split: str | None
    frames: int
    sound: int | None = None
    shaped: dict[str, tuple[int, ...]] = {}


LONG, SHORT, GOOD = "0-00-10_0-00-20", "0-00-30_0-00-33", "0-00-00_0-00-06"
TRAPS = (
    Trap("oliver/Guns (HBO)/oliver-1_" + GOOD, "train", 180),
    Trap("oliver/Guns (HBO)/oliver-2_" + LONG, "train", 162, 300),  # sound outlasts motion by seconds
    Trap("oliver/Guns (HBO)/oliver-3_" + GOOD, "test", 180),  # of a video that is trained on
    Trap("oliver/Guns (HBO)/oliver-4_" + SHORT, "test", 89),  # no training window, and yet scored
    Trap("oliver/Tax/oliver-5_" + SHORT, "train", 62, 300, {
        "global_orient": (62, 3), "jaw_pose": (62, 1, 3), "leye_pose": (62, 1, 3), "reye_pose": (62, 1, 3),
        "body_pose_axis": (62, 21, 3), "transl": (62, 1, 3), "left_hand_pose": (62, 1, 12),
    }),  # below a window of 64 frames
    Trap("oliver/Tax/oliver-6_" + SHORT, "val", 75),
    Trap("conan/1/conan-1_" + GOOD, "train", 180, None, {"betas": (300,)}),
    Trap("conan/1/conan-2_" + GOOD, "val", 180, None, {"betas": (180, 300)}),
    Trap("conan/1/conan-3_" + GOOD, "test", 181, 180, {"betas": (10,)}),  # a frame of sound is missing
    Trap("conan/1/conan-4_" + GOOD, "train", 60),  # counts nowhere
    Trap("conan/1/conan-5_" + GOOD, None, 120),  # in no list
    Trap("seth/x/seth-1_" + GOOD, "train", 180, 177),  # sound is missing: bad
)  # fmt: skip
"""Clips of the corpus; there is no chemistry."""
ABSENT = {"train": ["chemistry/v/gone-1", "seth/x/gone-2"], "val": ["seth/x/gone-3"], "test": ["conan/1/gone-4"]}
"""What the list has and the disk does not."""


def _reshaped(trap: Trap, content: dict) -> dict:
    shaped = {}
    for key, shape in trap.shaped.items():
        value = content[key]
        if key == "betas":
            shaped[key] = np.resize(value, shape) if shape[-1] == 300 else value[0, : shape[0]]
        else:
            shaped[key] = value.reshape(shape)
    return shaped


def placed(trap: Trap, layout: str) -> Path:
    """Where a clip lies below the root: as ``released``, or ``moved`` or ``sorted`` by TalkSHOW's scripts."""
    speaker, video, name = trap.place.split("/")
    if layout == "released" or trap.split is None:
        return Path(speaker, video, name)
    return Path(speaker, video, trap.split, name) if layout == "moved" else Path(trap.split, speaker, video, name)


def write_show(root: Path, layout: str = "released") -> Path:
    """Write the corpus and, beside it, its split as ``train_val_test.json`` and ``split_more_than_2s.pkl``.

    Returns:
        The json.
    """
    for number, trap in enumerate(TRAPS):
        content = sequence(trap.frames, number)
        sound = None if trap.sound is None else trap.sound / 30
        write_sequence(root / placed(trap, layout), trap.frames / 30, number, sound, **_reshaped(trap, content))
    listed = {split: [t.place for t in TRAPS if t.split == split] + ABSENT[split] for split in ABSENT}
    nested: dict = {}
    for split, places in listed.items():
        for place in places:
            speaker, video, name = place.split("/")
            of = nested.setdefault(speaker, {}).setdefault(video, {}).setdefault(split, [])
            of.append(f"../SHOW/{place}/{name}.pkl")
    root.mkdir(parents=True, exist_ok=True)
    (root / "split_more_than_2s.pkl").write_bytes(pickle.dumps(nested, protocol=2))
    path = root / "train_val_test.json"
    path.write_text(json.dumps(listed))
    return path


if __name__ == "__main__":
    print(write_show(Path(sys.argv[1])))
