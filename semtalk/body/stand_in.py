"""A stand-in for SMPL-X that needs no licence: joints from mannequin-x, and a small face mesh of its own.

The joints follow SMPL-X's calibration for the first 10 betas. The face mesh is an ellipsoid whose lower front swings on
a jaw hinge and which 100 smooth modes deform: it is no SMPL-X face, but jaw and expression errors move its vertices by
millimetres as they do there. Every number from it is marked as a stand-in's.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from semtalk.body.base import BodyModel
from semtalk.motion.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from semtalk.motion.skeleton import HAND_JOINTS, JOINT_NAMES, NUM_EXPRESSIONS

SHAPE_COEFFICIENTS = 10
HEAD_OFFSETS = {"jaw": (0.0, 0.005, 0.02), "left_eye": (0.032, 0.085, 0.065), "right_eye": (-0.032, 0.085, 0.065)}
"""Positions in metres, from the head joint, of the joints that mannequin-x lacks."""


RADII, CENTRE = (0.075, 0.115, 0.095), (0.0, 0.05, 0.0)
"""Of the face's ellipsoid, in metres about the jaw joint."""
MOUTH = -0.3
"""Height on the unit sphere at which the lower face begins to swing with the jaw."""


def mannequin_joint(name: str) -> str:
    """The name by which mannequin-x knows an SMPL-X joint."""
    side, _, rest = name.partition("_")
    if side in ("left", "right"):
        return f"{side[0].upper()}_{rest.capitalize()}"
    return name.capitalize()


def _rest_transforms(flat_hand_mean: bool, shapes: np.ndarray) -> list[dict[str, np.ndarray]]:
    """For each shape (n, 10) the transforms (4, 4) of mannequin-x's joints at rest."""
    from mannequin import Mannequin

    model = Mannequin("convex", flat_hand_mean=flat_hand_mean)  # has the joints of the wooden one, and fewer vertices
    found = []
    for shape in shapes:
        model.reshape(shape.astype(np.float32))
        found.append(dict(zip(model.joint_names, model.joint_transforms(model.rest_pose()), strict=True)))
    return found


def _rest_joints(shapes: np.ndarray) -> np.ndarray:
    """Rest positions (n, 55, 3) of shapes (n, 10)."""
    return np.array(
        [
            [
                transforms["Head"][:3, 3] + np.asarray(HEAD_OFFSETS[name])
                if name in HEAD_OFFSETS
                else transforms[mannequin_joint(name)][:3, 3]
                for name in JOINT_NAMES
            ]
            for transforms in _rest_transforms(True, shapes)
        ]
    )


def _hand_mean() -> Tensor:
    """SMPL-X's mean hand (30, 3): the axis-angles between the flat and the relaxed rest pose."""
    (relaxed,) = _rest_transforms(False, np.zeros((1, SHAPE_COEFFICIENTS)))
    means = []
    for joint in HAND_JOINTS:
        name = JOINT_NAMES[joint]
        side, finger = name.split("_")
        parent = f"{side}_{finger[:-1]}{int(finger[-1]) - 1}" if finger[-1] != "1" else f"{side}_wrist"
        child, base = (relaxed[mannequin_joint(n)][:3, :3] for n in (name, parent))
        means.append(torch.as_tensor(base.T @ child, dtype=torch.float64))
    return matrix_to_axis_angle(torch.stack(means)).float()


@cache
def _measures() -> tuple[Tensor, Tensor, Tensor]:
    """Rest joints (55, 3) of the neutral shape, what each beta adds to them (10, 55, 3), and the mean hand (30, 3)."""
    neutral, *shaped = _rest_joints(np.eye(1 + SHAPE_COEFFICIENTS, SHAPE_COEFFICIENTS, -1))
    return torch.as_tensor(neutral).float(), torch.as_tensor(np.stack(shaped) - neutral).float(), _hand_mean()


class StandInBody(BodyModel):
    """Joints for 10 betas and a 642-vertex face."""

    name = "stand-in body (mannequin-x joints, synthetic face)"
    stand_in = True

    def __init__(self):
        super().__init__()
        for name, values in zip(("neutral", "directions", "hand_mean"), _measures(), strict=True):
            self.register_buffer(name, values.clone(), persistent=False)
        template, hinge, modes = face_mesh()
        self.register_buffer("template", template, persistent=False)
        self.register_buffer("hinge", hinge, persistent=False)
        self.register_buffer("modes", modes, persistent=False)
        self.register_buffer("lips", mouth_of(template), persistent=False)

    def rest_joints(self, betas: Tensor) -> Tensor:
        """See :class:`BodyModel`; betas beyond the tenth have no effect."""
        shape = betas[..., :SHAPE_COEFFICIENTS].to(self.neutral.dtype)
        return self.neutral + torch.einsum("...s,sjc->...jc", shape, self.directions)

    def face_vertices(self, jaw: Tensor, expressions: Tensor, betas: Tensor) -> Tensor:
        """See :class:`BodyModel`; the shape only moves the face as a whole and is ignored."""
        face = self.template + torch.einsum("te,evc->tvc", expressions, self.modes)
        turned = face @ axis_angle_to_matrix(jaw).transpose(-1, -2)
        return torch.lerp(face, turned, self.hinge[:, None])


def face_mesh(rings: int = 20, sectors: int = 32) -> tuple[Tensor, Tensor, Tensor]:
    """Build the face: vertices (V, 3) about the jaw joint, jaw weights (V,), expression modes (100, V, 3).

    Mode k is a smooth field on the front of the face whose size falls with k as principal components do, about 2 mm at
    most for a coefficient of 1.
    """
    polar = torch.linspace(0, torch.pi, rings + 2)[1:-1]
    azimuth = torch.arange(sectors) * (2 * torch.pi / sectors)
    polar, azimuth = (grid.flatten() for grid in torch.meshgrid(polar, azimuth, indexing="ij"))
    unit = torch.stack([polar.sin() * azimuth.sin(), polar.cos(), polar.sin() * azimuth.cos()], dim=-1)
    unit = torch.cat([unit, torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]])])
    template = unit * torch.tensor(RADII) + torch.tensor(CENTRE)
    front = torch.sigmoid(8 * unit[:, 2])
    hinge = front * torch.sigmoid(-12 * (unit[:, 1] - MOUTH))

    generator = torch.Generator().manual_seed(0)
    index = torch.arange(NUM_EXPRESSIONS)
    frequency = torch.randn(NUM_EXPRESSIONS, 3, generator=generator) * (1.5 + index / 25)[:, None]
    phase = torch.rand(NUM_EXPRESSIONS, generator=generator) * 2 * torch.pi
    direction = torch.nn.functional.normalize(torch.randn(NUM_EXPRESSIONS, 3, generator=generator), dim=-1)
    size = 0.002 / (1 + index) ** 0.5
    field = torch.sin(unit @ frequency.T + phase) * front[:, None] * size
    return template, hinge, torch.einsum("ve,ec->evc", field, direction)


def mouth_of(template: Tensor) -> Tensor:
    """Vertices (L,) around the line at which the face opens: those of its front within a quarter of a radius of it."""
    x, y, z = ((template - torch.tensor(CENTRE)) / torch.tensor(RADII)).unbind(dim=1)
    return ((z > 0) & (x.abs() < 0.4) & ((y - MOUTH).abs() < 0.25)).nonzero()[:, 0]
