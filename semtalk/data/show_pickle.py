"""SHOW's own files: sequences as pickles, hand components, and the camera's frame."""

from pathlib import Path

import numpy as np
import torch

from semtalk.arrays import read_npz
from semtalk.errors import SemTalkError
from semtalk.files import load_pickle
from semtalk.motion.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from semtalk.motion.skeleton import NUM_BETAS, NUM_EXPRESSIONS

COUNTED = "body_pose_axis"
"""Its rows are the frames of a sequence."""
WIDTHS = {
    COUNTED: 63, "global_orient": 3, "jaw_pose": 3, "leye_pose": 3, "reye_pose": 3, "left_hand_pose": 12,
    "right_hand_pose": 12, "expression": NUM_EXPRESSIONS, "transl": 3,
}  # fmt: skip
"""What is read of a pickle: key -> numbers of one frame, whatever shape they are in."""
SHAPES = (10, NUM_BETAS)
"""Numbers of a body shape."""
HAND_NORM = 1.3074
"""Norm of the first component of either hand, as SHOW's coefficients are meant."""


def _content(path: Path) -> dict:
    """A sequence's pickle, read without torch and without running anything.

    Raises:
        SemTalkError: It is missing, asks for code to be run, or is no dict.
    """
    content = load_pickle(path, lambda module, name: module.split(".")[0] == "torch")
    if not isinstance(content, dict):
        raise SemTalkError(f"{path}: expected a dict of arrays, found {type(content).__name__}.")
    return content


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.ndim > 0


def count_frames(path: Path) -> int | None:
    """Frames of a sequence; none for a file that holds none, of which :func:`read_show_pickle` says what is wrong."""
    try:
        counted = _content(path).get(COUNTED)
    except SemTalkError:
        return None
    return len(counted) if _is_array(counted) else None


def read_show_pickle(path: Path) -> dict[str, np.ndarray]:
    """Arrays of one sequence of T frames: the keys of :data:`WIDTHS` as (T, width), and ``betas`` (300,); float32.

    Raises:
        SemTalkError: The file is missing, asks for code to be run, or lacks a key; one has another size, or numbers
            that are not finite; or the body's shape changes.
    """
    content = _content(path)
    missing = [key for key in (*WIDTHS, "betas") if not _is_array(content.get(key))]
    if missing:
        raise SemTalkError(f"{path}: not a SHOW sequence: it lacks the arrays {', '.join(missing)}.")
    frames = len(content[COUNTED])
    if not frames:
        raise SemTalkError(f"{path}: there is no frame in it.")
    for key in (*WIDTHS, "betas"):
        if not np.isfinite(content[key]).all():
            raise SemTalkError(f"{path}: {key} holds NaN or infinite values.")
    arrays = {}
    for key, width in WIDTHS.items():
        if content[key].size != frames * width:
            raise SemTalkError(
                f"{path}: {key} has shape {content[key].shape}; {frames} frames of {width} numbers are expected."
            )
        arrays[key] = np.asarray(content[key], np.float32).reshape(frames, width)
    return arrays | {"betas": _betas(path, content["betas"], frames)}


def _betas(path: Path, given: np.ndarray, frames: int) -> np.ndarray:
    """One body shape (300,) of 10 or 300 numbers, given once or for every frame alike.

    Raises:
        SemTalkError: It is of another size, or is not the same for all frames.
    """
    width = given.shape[-1]
    if width not in SHAPES or given.size not in (width, frames * width):
        raise SemTalkError(
            f"{path}: betas has shape {given.shape}; 10 or 300 numbers are expected, once or for all {frames} frames."
        )
    rows = np.asarray(given, np.float32).reshape(-1, width)
    if not np.allclose(rows, rows[0], rtol=1e-5, atol=1e-6):
        raise SemTalkError(f"{path}: betas changes from frame to frame; a sequence is of one body.")
    return np.pad(rows[0], (0, NUM_BETAS - width))


def hand_components(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Principal components (45, 45) of the left and the right hand from a user's SMPL-X npz."""
    if not path.is_file():
        raise SemTalkError(f"{path}: no such SMPL-X file.")
    left, right = read_npz(path, ("hands_componentsl", "hands_componentsr")).values()
    return left, right


def hand_scale_note(path: Path, *components: np.ndarray) -> str | None:
    """What results have to say where hand components (n, 45) are not scaled as SHOW's; none where they are."""
    norms = [float(np.linalg.norm(hand[0])) for hand in components]
    if np.allclose(norms, HAND_NORM, rtol=1e-3):
        return None
    return (
        f"Warning: the first hand components of {path} have norms {' and '.join(f'{norm:.4f}' for norm in norms)}, "
        f"those that SHOW's hands were made with {HAND_NORM}: fingers may bend too little or too far."
    )


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
    orient = turn @ axis_angle_to_matrix(torch.from_numpy(arrays["global_orient"]))
    pelvis = (arrays["transl"] + rest_pelvis) @ turn.numpy().T
    pelvis = pelvis - [pelvis[0, 0], pelvis[:, 1].mean() - (rest_pelvis[1] - sole), pelvis[0, 2]]
    return matrix_to_axis_angle(orient).numpy(), (pelvis - rest_pelvis).astype(np.float32)
