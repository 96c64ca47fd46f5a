"""A run's motion as the GENEA leaderboard takes it: of whole test recordings, whose own motion no network sees."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semtalk.data.beat2 import BEAT2Corpus
from semtalk.data.recording import Corpus
from semtalk.data.store import Store, StoredRecording
from semtalk.errors import SemTalkError
from semtalk.evaluation.evaluate import TAKES_AT_ONCE
from semtalk.evaluation.samples import draws_numbers
from semtalk.evaluation.submission import file_name
from semtalk.evaluation.takes import TakeMaker
from semtalk.motion.io import save_motion
from semtalk.motion.skeleton import SEED_FRAMES
from semtalk.places import checkpoint_path
from semtalk.tasks.checkpoint import read_stamp
from semtalk.tasks.phases import PHASES


@dataclass(frozen=True)
class Exporter(TakeMaker):
    """Generates whole recordings, whose own motion the networks see nothing of.

    Attributes:
        counted: All frames of a take.
        starts: Speaker -> the training recording whose first frames his takes begin with; the mean pose for others.
    """

    counted: Callable[[int], int] = int
    starts: Mapping[int, StoredRecording] = field(default_factory=dict)

    def seed_of(self, recording: StoredRecording) -> tuple:
        """What a take begins with: seed channels (1, 4, 337) and start position (1, 3)."""
        start = self.starts.get(recording.info["speaker"])
        return self.generator.neutral_seed(1) if start is None else super().seed_of(start)


def training_starts(store: Store, recordings: list[StoredRecording]) -> dict[int, StoredRecording]:
    """Speaker of recordings -> his first recording of the training split.

    Raises:
        SemTalkError: A speaker has none.
    """
    first: dict[int, StoredRecording] = {}
    for recording in store.split("train"):
        if recording.frames >= SEED_FRAMES:
            first.setdefault(recording.info["speaker"], recording)
    wanted = {recording.info["speaker"] for recording in recordings}
    if missing := sorted(wanted - set(first), key=str):
        raise SemTalkError(f"begin=take: there is no training take of the speakers {missing}; use begin=mean.")
    return {speaker: first[speaker] for speaker in wanted}


def export_takes(
    exporter: Exporter, recordings: list[StoredRecording], folder: Path, samples: int,
    progress: Callable = lambda pieces: pieces,
) -> list[Path]:  # fmt: skip
    """Write the motion of recordings, as long as they are, with their true betas.

    Args:
        exporter: Generates.
        recordings: What is said.
        folder: To write to.
        samples: Of each, where the run draws random numbers; else there is one.
        progress: Wraps the iteration over some recordings at a time.

    Returns:
        The files.

    Raises:
        SemTalkError: The folder has motion files beside those, or a speaker is not known to the run.
    """
    drawn = draws_numbers(exporter.generator, exporter.gate)
    numbers: list[int | None] = list(range(1, samples + 1)) if drawn else [None]
    wanted = {file_name(recording.id, number) for recording in recordings for number in numbers}
    if others := sorted({path.name for path in folder.glob("*.npz")} - wanted):
        raise SemTalkError(
            f"{folder}: it holds {len(others)} other motion files, as {others[0]}; give another out=DIR."
        )
    recordings, _ = exporter.long_enough(recordings)
    written = []
    for begin in progress(range(0, len(recordings), TAKES_AT_ONCE)):
        some = recordings[begin : begin + TAKES_AT_ONCE]
        for sample, number in enumerate(numbers):
            rollout = exporter.rollout(some, sample=sample)
            for take, recording in enumerate(some):
                written.append(folder / file_name(recording.id, number))
                save_motion(written[-1], rollout.motion(take, recording.frames, recording["betas"].numpy()))
    return written


def list_problems(folder: Path, corpus: Corpus) -> Iterator[str]:
    """What is wrong with the training lists of a run's networks, a line each: test or val recordings, or not known.

    The list of a network is the training split of the corpus that its checkpoint names, and of the run that its
    training started from.

    Args:
        folder: Of the run.
        corpus: Whose test and val split nothing may be trained on.
    """
    kept_apart = {entry.id: entry.split for entry in corpus.entries() if entry.split != "train"}
    for run, phases, data in _sources(folder):
        said = f"{run}: the training list of {phases}"
        try:
            trained = [name for name in _training_list(data) if name in kept_apart]
        except SemTalkError as error:
            yield f"{said} is not known: {error}"
            continue
        yield from (f"{said} has {name}, of the {kept_apart[name]} split." for name in trained)


def _training_list(data: Mapping[str, Any]) -> list[str]:
    """Recordings that a network was trained on, by the configuration of its corpus, which is only read.

    Raises:
        SemTalkError: There is no list, or none that is in BEAT2's layout.
    """
    if data.get("reader") == "show":
        return []  # no recording of BEAT2 is in it
    if data.get("reader") not in ("beat2", "sample") or not data.get("root"):
        raise SemTalkError("no corpus in BEAT2's layout is named there; see to it by hand.")
    speakers = data.get("speakers", "all") if data["reader"] == "beat2" else "all"
    return [entry.id for entry in BEAT2Corpus(data["root"], speakers=speakers).entries() if entry.split == "train"]


def _sources(folder: Path, seen: tuple[Path, ...] = ()) -> Iterator[tuple[Path, str, dict]]:
    """Run, phases and the corpus they were trained on, of what makes a run's motion and of what that started from."""
    phases = [phase for phase in PHASES if phase != "fgd" and checkpoint_path(folder, phase).is_file()]
    if not phases:
        yield folder, "its networks", {}
    trained: dict[str, list[str]] = {}
    started = []
    for phase in phases:
        config = read_stamp(folder, phase).config
        trained.setdefault(json.dumps(config.get("data") or {}), []).append(phase)
        if (init := config.get("init")) and Path(init) not in (*seen, *started, folder):
            started.append(Path(init))
    for data, names in trained.items():
        yield folder, ", ".join(names), json.loads(data)
    for init in started:
        yield from _sources(init, (*seen, folder, *started))
