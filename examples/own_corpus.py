"""A corpus in a layout of one's own: a folder with ``NAME.wav`` and ``NAME.npz`` (BEAT2's keys) of every take.

``PYTHONPATH=examples python train.py --config-dir examples/configs data=folder data.root=DIR``; the keys of
``examples/configs/data/folder.yaml`` beside name, reader and store are the arguments below.
"""

from pathlib import Path

from semtalk import SemTalkError
from semtalk.data import Entry, Recording, file_stamp
from semtalk.features import load_audio, sound_seconds
from semtalk.motion import load_motion

SPLITS = {0: "test", 1: "val"}


class FolderCorpus:
    """Takes of one speaker; every tenth is for testing, the one after it for validation. No words, no labels."""

    def __init__(self, root: str, name: str = "folder", speaker: int = 1):
        if not Path(root).is_dir():
            raise SemTalkError(f"data.root={root}: there is no such folder.")
        self.root, self.name, self.speaker = Path(root), name, speaker
        self.notes = ["the takes have no transcripts"]

    def entries(self) -> list[Entry]:
        """List the takes in the order of their names."""
        names = sorted(path.stem for path in self.root.glob("*.npz"))
        return [Entry(name, self.speaker, SPLITS.get(index % 10, "train")) for index, name in enumerate(names)]

    def read(self, entry: Entry) -> Recording:
        """Read a take; a bad file raises SemTalkError, is listed and left out."""
        wave, motion = (
            load(self.root / f"{entry.id}.{kind}") for load, kind in ((load_audio, "wav"), (load_motion, "npz"))
        )
        return Recording(entry.id, entry.speaker, entry.split, wave, motion)

    def stamp(self, entry: Entry) -> str:
        """Text that changes when a file of the take does."""
        return file_stamp(self.root / f"{entry.id}.wav", self.root / f"{entry.id}.npz")

    def seconds(self, entry: Entry) -> float | None:
        """Length of the take's sound by its header, for dry_run."""
        return sound_seconds(self.root / f"{entry.id}.wav")

    def mean_joint_speed(self) -> None:
        """None: it is computed from the training split."""
