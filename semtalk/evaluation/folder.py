"""Takes from folders of npz files: any method's motion against the truth, matched by file name."""

from pathlib import Path

import numpy as np
import torch

from semtalk.body import BodyModel
from semtalk.errors import SemTalkError
from semtalk.evaluation.takes import Take, add_mean_pose
from semtalk.features.audio import find_audio, load_audio
from semtalk.motion.io import Motion, load_motion
from semtalk.motion.parts import poses_from_rotation, rotation_from_poses
from semtalk.motion.skeleton import NUM_JOINTS
from semtalk.motion.speed import joint_speed

PREFIXES = ("res_", "gt_")
SUFFIXES = ("_output", "_gt", "_res")


def plain_name(path: Path) -> str:
    """Name of a take: the file's, without what evaluators put before and after it."""
    name = path.stem
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def named_files(folder: str | Path, key: str, prefix: str) -> dict[str, Path]:
    """Npz files of a folder by their plain names; where some begin with ``prefix``, those alone.

    Raises:
        SemTalkError: The folder is missing or empty, or two files have one name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SemTalkError(f"{key}={folder}: there is no such folder.")
    paths = sorted(folder.glob("*.npz"))
    chosen = [path for path in paths if path.name.startswith(prefix)] or paths
    if not chosen:
        raise SemTalkError(f"{key}={folder}: there is no npz file in it.")
    found: dict[str, Path] = {}
    for path in chosen:
        name = plain_name(path)
        if name in found:
            raise SemTalkError(f"{key}: {found[name].name} and {path.name} would both be the take {name}.")
        found[name] = path
    return found


def folder_takes(motions: str, truth: str, audio: str | None) -> tuple[list[Take], list[str]]:
    """Match files, and make takes with the rows ``method``, ``truth`` and ``mean``.

    Args:
        motions: Folder of a method's npz files.
        truth: Folder of the true ones; may be the same folder, with ``res_`` and ``gt_``.
        audio: Folder of sound files with the takes' names, or none.

    Returns:
        The takes, and what a reader must know: files without a partner, lengths that differ.

    Raises:
        SemTalkError: A file is bad, nothing matches, or a take has no sound.
    """
    if truth is None:
        raise SemTalkError("truth is not set: give the folder of the true motion, as in motions=DIR truth=DIR.")
    own, true = named_files(motions, "motions", "res_"), named_files(truth, "truth", "gt_")
    names = sorted(set(own) & set(true))
    if not names:
        raise SemTalkError(f"motions={motions}, truth={truth}: no file name of one is in the other.")
    sounds = {plain_name(path): path for path in find_audio(audio)} if audio else {}
    takes, differing = [], []
    for name in names:
        pair = load_motion(own[name]), load_motion(true[name])
        frames = min(map(len, pair))
        if len(pair[0]) != len(pair[1]):
            differing.append(name)
        if audio and name not in sounds:
            raise SemTalkError(f"audio={audio}: there is no sound file of the take {name}.")
        takes.append(_take(name, pair, frames, load_audio(sounds[name]) if audio else None))
    truth_frames = [{"rotation": take.rotation["truth"], "expressions": take.expressions["truth"]} for take in takes]
    add_mean_pose(takes, truth_frames)  # of the truth: there is no training split to take it from
    notes = [
        f"{len(set(files) - set(names))} files of {key} have no partner: {', '.join(sorted(set(files) - set(names)))}"
        for key, files in (("motions", own), ("truth", true))
        if set(files) - set(names)
    ]
    if differing:
        notes.append(f"{len(differing)} of {len(names)} pairs differ in length and were cut to the shorter one")
    if not audio:
        notes.append("BC is left out: audio=DIR gives the sound")
    return takes, notes


def _take(name: str, pair: tuple[Motion, Motion], frames: int, wave: np.ndarray | None) -> Take:
    sound = None if wave is None else torch.from_numpy(wave)
    take = Take(name, frames, torch.from_numpy(pair[1].betas), sound, None)
    for row, motion in zip(("method", "truth"), pair, strict=True):
        poses, expressions, trans = (
            torch.from_numpy(array[:frames]) for array in (motion.poses, motion.expressions, motion.trans)
        )
        take.add(row, rotation_from_poses(poses), expressions, trans)
    return take


def joint_speed_of(path: str | None, takes: list[Take], body: BodyModel) -> tuple[np.ndarray, str]:
    """Mean joint speed (55,) in m/s from a file, or of the truth, with translation; and where it is from."""
    if path is not None:
        if not Path(path).is_file():
            raise SemTalkError(f"mean_speed={path}: no such file.")
        speed = np.load(path, allow_pickle=False)
        if speed.shape != (NUM_JOINTS,):
            raise SemTalkError(f"mean_speed={path}: shape {speed.shape}, expected ({NUM_JOINTS},).")
        return speed.astype(np.float64), str(path)
    speeds = [
        joint_speed(body.joints(poses_from_rotation(t.rotation["truth"]), t.betas, t.trans["truth"]).numpy())
        for t in takes
    ]
    return np.concatenate(speeds).mean(axis=0), "of the true files given (mean_speed=FILE gives the corpus's)"
