"""The legacy protocol (EMAGE, CVPR 2024): FGD, BC, DIV, MSE, LVD of rows of takes."""

import numpy as np
import torch
from torch import Tensor

from semtalk.body import BodyModel
from semtalk.evaluation.takes import Take
from semtalk.metrics.modules import BeatConsistency, FaceError, FrechetGestureDistance, L1Diversity
from semtalk.models.embedder import MotionEmbedder
from semtalk.motion.parts import poses_from_rotation
from semtalk.motion.skeleton import JAW

METRICS = ("fgd", "bc", "div", "mse", "lvd")
FGD_MULTIPLE = 32
CHUNK = 512
"""Frames whose vertices are computed at once."""


def embedder_rows(embedder: MotionEmbedder, rotation: Tensor) -> Tensor:
    """FGD features (N, 240) of one sequence (T, 55, 6): cut to a multiple of 32 frames, encoded whole."""
    frames = len(rotation) // FGD_MULTIPLE * FGD_MULTIPLE
    with torch.no_grad():
        return embedder.embed(rotation[:frames].flatten(1)[None])[0]


def metric_joints(body: BodyModel, rotation: Tensor, betas: Tensor) -> np.ndarray:
    """Joints (T, 55, 3) for DIV and BC: true shape, no translation, global orientation kept."""
    return body.joints(poses_from_rotation(rotation), betas).double().numpy()


def face_vertices(body: BodyModel, rotation: Tensor, expressions: Tensor, betas: Tensor) -> np.ndarray:
    """Face vertices (T, V, 3) of jaw and expressions alone."""
    jaw = poses_from_rotation(rotation)[:, JAW]
    pieces = zip(jaw.split(CHUNK), expressions.split(CHUNK), strict=True)
    return torch.cat([body.face_vertices(piece, part, betas) for piece, part in pieces]).numpy()


def evaluate_rows(
    takes: list[Take], rows: tuple[str, ...], embedder: MotionEmbedder, body: BodyModel, mean_speed: np.ndarray
) -> tuple[dict[str, dict[str, float]], list[dict]]:
    """Metrics of each row over all takes, and of each row and take (FGD needs many rows and is not given per take).

    Args:
        takes: With ``truth`` and the rows.
        rows: Names of what is evaluated.
        embedder: For FGD.
        body: For joints and face vertices.
        mean_speed: (55,) m/s, for BC.
    """
    table, per_take = {}, []
    for row in rows:
        total = {
            "fgd": FrechetGestureDistance(), "bc": BeatConsistency(mean_speed), "div": L1Diversity(),
            "mse": FaceError("mse"), "lvd": FaceError("lvd"),
        }  # fmt: skip
        for take in takes:
            betas = take.recording["betas"]
            joints = metric_joints(body, take.rotation[row], betas)
            faces = [
                face_vertices(body, take.rotation[name], take.expressions[name], betas) for name in (row, "truth")
            ]  # fmt: skip
            real, own = (embedder_rows(embedder, take.rotation[name]) for name in ("truth", row))
            total["fgd"].update(own, real)
            given = {"div": (joints,), "bc": (joints, take.recording["wave"].numpy()), "mse": faces, "lvd": faces}
            values: dict[str, float | str] = {"take": take.recording.id, "row": row, "frames": take.frames}
            for name, arguments in given.items():
                values[name] = float(total[name](*arguments)) if _fits(name, take) else float("nan")
            per_take.append(values)
        table[row] = {name: float(total[name].compute()) for name in METRICS}
    return table, per_take


def _fits(name: str, take: Take) -> bool:
    """Beat consistency cuts 120 frames; shorter takes have none."""
    return name != "bc" or take.frames > 120
