"""The reader of SHOW (TalkSHOW, CVPR 2023): ``root/{speaker}/{video}/[{split}/]{sequence}/{sequence}.{pkl,wav}``."""

import hashlib
import json
import re
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from semtalk.arrays import read_npz
from semtalk.body import load_body
from semtalk.catalogue import SMPLX_FILE
from semtalk.data.recording import MAX_LENGTH_GAP, SPLITS, Entry, Recording, read_semantics
from semtalk.data.sources import file_stamp
from semtalk.errors import SemTalkError
from semtalk.features.audio import load_audio, sound_seconds
from semtalk.features.recognise import WHISPER, Recogniser
from semtalk.features.transcript import Word, read_transcript
from semtalk.files import atomic_write, load_pickle, read_json
from semtalk.motion.io import Motion
from semtalk.motion.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from semtalk.motion.skeleton import FEET, FPS, NUM_BETAS, NUM_EXPRESSIONS, NUM_JOINTS, SAMPLE_RATE

SPEAKERS = ("chemistry", "conan", "oliver", "seth")
SHAPES = {
    "expression": (NUM_EXPRESSIONS,), "jaw_pose": (3,), "global_orient": (1, 3), "body_pose_axis": (63,),
    "left_hand_pose": (12,), "right_hand_pose": (12,), "transl": (3,),
}  # fmt: skip
"""What is read of a pickle: key -> shape of one frame."""
TRANSCRIPTS = (".TextGrid", ".json", ".srt")
"""What a transcript beside a sequence may end in; the first that is there is read."""
MEAN_HANDS = "hands are SMPL-X's mean hands: there is no SMPL-X file to turn SHOW's hand components into joints"


def read_show_pickle(path: Path) -> dict[str, np.ndarray]:
    """Arrays of one sequence, read without torch and without running anything.

    Raises:
        SemTalkError: The file is missing, asks for code to be run, lacks a key, or has one of another shape.
    """
    content = load_pickle(path, lambda module, name: module.split(".")[0] == "torch")
    if not isinstance(content, dict):
        raise SemTalkError(f"{path}: expected a dict of arrays, found {type(content).__name__}.")
    missing = [key for key in (*SHAPES, "betas") if not isinstance(content.get(key), np.ndarray)]
    if missing:
        raise SemTalkError(f"{path}: not a SHOW sequence: it lacks the arrays {', '.join(missing)}.")
    frames = len(content["expression"])
    for key, shape in SHAPES.items():
        if content[key].shape != (frames, *shape):
            raise SemTalkError(f"{path}: {key} has shape {content[key].shape}, expected {(frames, *shape)}.")
        if not np.isfinite(content[key]).all():
            raise SemTalkError(f"{path}: {key} holds NaN or infinite values.")
    if not frames:
        raise SemTalkError(f"{path}: there is no frame in it.")
    return {key: np.asarray(content[key], np.float32) for key in (*SHAPES, "betas")}


def hand_components(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Principal components (45, 45) of the left and the right hand from a user's SMPL-X npz."""
    if not path.is_file():
        raise SemTalkError(f"{path}: no such SMPL-X file.")
    left, right = read_npz(path, ("hands_componentsl", "hands_componentsr")).values()
    return left, right


def upright(arrays: dict[str, np.ndarray], rest_pelvis: np.ndarray, sole: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn a take from the camera's frame (y down) so that y is up.

    Everything goes through matrices: SHOW's global orientation lies near pi about x, where an axis-angle flips its sign
    from frame to frame. The pelvis starts above the origin, at the mean height of a standing person.

    Args:
        arrays: Of :func:`read_show_pickle`.
        rest_pelvis: (3,) the pelvis of the unposed shape.
        sole: Height in metres of the unposed shape's soles.

    Returns:
        Global orientation (T, 3) and translation (T, 3).
    """
    turn = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    orient = turn @ axis_angle_to_matrix(torch.from_numpy(arrays["global_orient"][:, 0]))
    pelvis = (arrays["transl"] + rest_pelvis) @ turn.numpy().T
    pelvis = pelvis - [pelvis[0, 0], pelvis[:, 1].mean() - (rest_pelvis[1] - sole), pelvis[0, 2]]
    return matrix_to_axis_angle(orient).numpy(), (pelvis - rest_pelvis).astype(np.float32)


def read_split_file(path: Path) -> dict[str, str]:
    """Sequence name -> split, from a json or pickle that nests names below ``train``, ``val`` and ``test`` in any way.

    Raises:
        SemTalkError: There is no name below these keys.
    """
    if not path.is_file():
        raise SemTalkError(f"data.split_file={path}: no such file.")
    content = read_json(path, object) if path.suffix == ".json" else load_pickle(path)
    found: dict[str, str] = {}

    def walk(value, split: str | None) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if inner in SPLITS if isinstance(inner, str) else False:
                    found[str(key)] = inner
                else:
                    walk(inner, key if key in SPLITS else split)
        elif isinstance(value, list | tuple | set):
            for inner in value:
                walk(inner, split)
        elif isinstance(value, str) and split:
            found[Path(value).stem if value.endswith((".pkl", ".wav")) else Path(value).name] = split

    walk(content, None)
    if not found:
        raise SemTalkError(f"data.split_file={path}: no sequence is named below train, val or test.")
    return found


class SHOWCorpus:
    """SHOW on disk; words come from Whisper once and are kept, semantic labels from ``scripts/label_semantics.py``."""

    def __init__(
        self,
        root: str | None,
        words: str = "whisper",
        hands: str = "smplx",
        smplx_path: str | None = None,
        made: str = "data/show",
        name: str = "show",
        speakers: list[str] | str = "all",
        min_seconds: float = 10.0,
        split_file: str | None = None,
        whisper: str = WHISPER,
        language: str | None = "en",
    ):
        """Open the corpus.

        Args:
            root: The folder that holds the speakers' folders.
            words: ``whisper`` transcribes what has no transcript; ``none`` goes on without words.
            hands: ``smplx`` turns hand components into joints with the user's SMPL-X file; ``mean`` takes mean hands.
            smplx_path: Folder of the SMPL-X model, as ``body.path``.
            made: Folder of what is made for the corpus: ``words/{id}.json`` and ``semantics/{id}.txt``.
            name: What the run folder and the reports call it.
            speakers: Names of speakers, or ``all``.
            min_seconds: Shorter sequences are left out.
            split_file: The published split; without it, videos are shared out 80/10/10.
            whisper: Model that transcribes.
            language: What is spoken; detected for none.
        """
        if root is None:
            raise SemTalkError(f"data.root is not set: give the folder of the corpus, as in data={name} data.root=DIR.")
        self.root = Path(root)
        chosen = SPEAKERS if speakers == "all" else tuple(speakers)
        if unknown := [speaker for speaker in chosen if speaker not in SPEAKERS]:
            raise SemTalkError(f"data.speakers: {unknown[0]} is none of SHOW's; choose among {', '.join(SPEAKERS)}.")
        self.speakers = [speaker for speaker in chosen if (self.root / speaker).is_dir()]
        if not self.speakers:
            raise SemTalkError(f"data.root={root}: there is no folder {' or '.join(chosen)}; is this a SHOW folder?")
        if words not in ("whisper", "none") or hands not in ("smplx", "mean"):
            raise SemTalkError(f"data.words={words}, data.hands={hands}: choose whisper or none, and smplx or mean.")
        self.name, self.words, self.min_seconds = name, words, min_seconds
        self.split_file = None if split_file is None else Path(split_file)
        self.made = Path(made)
        self.whisper, self.language = whisper, language
        self.body = load_body(smplx_path if hands == "smplx" else None)
        self.hands = self._hands(hands, smplx_path)
        self.notes = [MEAN_HANDS] if hands == "mean" else []

    def _hands(self, hands: str, smplx_path: str | None) -> tuple[np.ndarray, np.ndarray] | None:
        if hands == "mean":
            return None
        if smplx_path is None:
            raise SemTalkError(
                "SHOW's hands are components of SMPL-X: set body.path to the folder that holds "
                "smplx/SMPLX_NEUTRAL_2020.npz, or data.hands=mean to go on with mean hands."
            )
        left, right = hand_components(Path(smplx_path) / SMPLX_FILE)
        return left[:12], right[:12]

    @cached_property
    def _paths(self) -> dict[str, Path]:
        """Id -> the sequence's files without suffix."""
        paths = {}
        for speaker in self.speakers:
            for path in sorted((self.root / speaker).rglob("*.pkl")):
                place = path.relative_to(self.root)
                parts = [part for part in place.parts[1:-1] if part not in SPLITS]
                name = "_".join((speaker, *parts[:-1], path.stem))
                identifier = re.sub(r"[^\w.-]+", "-", name)
                if identifier in paths:
                    raise SemTalkError(f"{path} and {paths[identifier]}: both would be called {identifier}.")
                paths[identifier] = path.with_suffix("")
        return paths

    def entries(self) -> list[Entry]:
        """Sequences of at least ``min_seconds``, by the length of their sound."""
        return self._entries

    @cached_property
    def _entries(self) -> list[Entry]:
        given = read_split_file(self.split_file) if self.split_file else {}
        found = []
        for identifier, path in self._paths.items():
            place = path.relative_to(self.root)
            split = given.get(path.name) or next((part for part in place.parts if part in SPLITS), None)
            if self.split_file and split is None:
                continue
            wave = path.with_suffix(".wav")
            seconds = sound_seconds(wave)  # reading it will say what is wrong with one that has none
            if seconds is not None and seconds < self.min_seconds - 0.5 / FPS:
                continue
            found.append(Entry(identifier, SPEAKERS.index(place.parts[0]), split or self._split_by_video(place)))
        if not found:
            raise SemTalkError(f"{self.root}: no sequence of {self.min_seconds:g} s or more (data.min_seconds).")
        return found

    def seconds(self, entry: Entry) -> float | None:
        """Length of the sequence's sound by the file's header."""
        return sound_seconds(self._paths[entry.id].with_suffix(".wav"))

    def _split_by_video(self, place: Path) -> str:
        """8 of 10 videos of a speaker train, one val, one test, in an order that depends on their names alone."""
        videos = sorted(
            (path.name for path in (self.root / place.parts[0]).iterdir() if path.is_dir()),
            key=lambda name: hashlib.sha256(name.encode()).digest(),
        )
        share = (videos.index(place.parts[1]) + 0.5) / len(videos)
        if len(videos) < 10:  # so few that tenths would leave a split without a video
            return {0: "test", 1: "val"}.get(videos.index(place.parts[1]), "train")
        return "train" if share < 0.8 else "val" if share < 0.9 else "test"

    def stamp(self, entry: Entry) -> str:
        """Of the sequence's files, what was made for it and SMPL-X, and how its hands and words are made."""
        path = self._paths[entry.id]
        files = [path.with_suffix(suffix) for suffix in (".pkl", ".wav", *TRANSCRIPTS)]
        files += [self._words_path(entry.id), self._semantics_path(entry.id)]
        files += [] if self.body.source is None else [self.body.source]
        return f"{file_stamp(*files)},{self.words},{'mean' if self.hands is None else 'smplx'}"

    def read(self, entry: Entry) -> Recording:
        """Read one sequence.

        Raises:
            SemTalkError: A file is missing or bad, or audio and motion differ in length by more than 2 s.
        """
        path = self._paths[entry.id]
        arrays = read_show_pickle(path.with_suffix(".pkl"))
        wave = load_audio(path.with_suffix(".wav"))
        seconds, spoken = len(arrays["expression"]) / FPS, len(wave) / SAMPLE_RATE
        if abs(seconds - spoken) > MAX_LENGTH_GAP:
            raise SemTalkError(f"{path}.wav: {spoken:.2f} s of sound for {seconds:.2f} s of motion.")
        labels = self._semantics_path(entry.id)
        return Recording(
            id=entry.id,
            speaker=entry.speaker,
            split=entry.split,
            wave=wave,
            motion=self._motion(arrays),
            words=self._read_words(entry.id, path, wave),
            semantics=read_semantics(labels) if labels.is_file() else None,
        )

    def _motion(self, arrays: dict[str, np.ndarray]) -> Motion:
        frames = len(arrays["expression"])
        betas = np.zeros(NUM_BETAS, np.float32)
        given = arrays["betas"].reshape(-1)[:NUM_BETAS]
        betas[: len(given)] = given
        rest = self.body.rest_joints(torch.from_numpy(betas)).numpy()
        orient, trans = upright(arrays, rest[0], rest[list(FEET), 1].min())
        poses = np.zeros((frames, NUM_JOINTS, 3), np.float32)
        poses[:, 0] = orient
        poses[:, 1:22] = arrays["body_pose_axis"].reshape(frames, 21, 3)
        poses[:, 22] = arrays["jaw_pose"]
        if self.hands is not None:  # the mean hand is added by the body, as for BEAT2
            poses[:, 25:40] = (arrays["left_hand_pose"] @ self.hands[0]).reshape(frames, 15, 3)
            poses[:, 40:55] = (arrays["right_hand_pose"] @ self.hands[1]).reshape(frames, 15, 3)
        return Motion(poses, arrays["expression"], trans, betas)

    def untranscribed(self) -> bool:
        """Whether Whisper is needed: words are wanted, and some sequence has none yet."""
        return self.words == "whisper" and any(
            not self._words_path(entry.id).is_file()
            and not any(self._paths[entry.id].with_suffix(suffix).is_file() for suffix in TRANSCRIPTS)
            for entry in self._entries
        )

    def _semantics_path(self, identifier: str) -> Path:
        return self.made / "semantics" / f"{identifier}.txt"

    def _words_path(self, identifier: str) -> Path:
        return self.made / "words" / f"{identifier}.json"

    def _read_words(self, identifier: str, path: Path, wave: np.ndarray) -> list[Word]:
        if self.words == "none":
            return []
        for suffix in TRANSCRIPTS:
            if path.with_suffix(suffix).is_file():
                return read_transcript(path.with_suffix(suffix), wave)
        kept = self._words_path(identifier)
        if not kept.is_file():
            words = [{"word": word.text, "start": word.start, "end": word.end} for word in self._recogniser(wave)]
            atomic_write(kept, lambda temporary: temporary.write_text(json.dumps(words), encoding="utf-8"))
        if kept.read_text(encoding="utf-8") == "[]":  # nothing is said in it
            return []
        return read_transcript(kept, wave)

    @cached_property
    def _recogniser(self) -> Recogniser:
        return Recogniser(self.whisper, self.language, "data.whisper")

    def mean_joint_speed(self) -> np.ndarray | None:
        """SHOW ships none."""
        return None
