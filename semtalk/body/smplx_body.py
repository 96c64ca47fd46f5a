"""SMPL-X through the ``smplx`` package, from the user's own licensed file."""

from pathlib import Path

import torch
from torch import Tensor

from semtalk.body.base import BodyModel
from semtalk.catalogue import SMPLX_FILE
from semtalk.errors import SemTalkError
from semtalk.files import refuse_code
from semtalk.motion.skeleton import NUM_BETAS, NUM_EXPRESSIONS, NUM_JOINTS

MOUTH = slice(31, 51)
"""Of the file's 51 landmarks of the face, which follow the 68-point scheme without its contour: those of the mouth."""

FRAMES = 16
"""Of all vertices at a time."""


class SMPLXBody(BodyModel):
    """The neutral 2020 SMPL-X body with 300 betas and 100 expressions, as BEAT2's evaluators use it.

    The mean hand pose is added (``use_pca=False`` with smplx's default ``flat_hand_mean=False``).
    """

    name = "SMPL-X neutral 2020"
    stand_in = False
    has_landmarks = True

    def __init__(self, path: str | Path):
        """Load the model.

        Args:
            path: The folder that holds ``smplx/SMPLX_NEUTRAL_2020.npz``.

        Raises:
            SemTalkError: The file is not there, is damaged or another one, or would run something.
        """
        super().__init__()
        if not (Path(path) / SMPLX_FILE).is_file():
            raise SemTalkError(
                f"body.path={path}: there is no {SMPLX_FILE} in this folder. Get SMPL-X from its licensor and unpack "
                "it there, or set body.path=null to use the stand-in body."
            )
        self.source = Path(path) / SMPLX_FILE
        refuse_code(self.source)  # the package lets numpy unpickle
        import smplx

        try:
            self.model = smplx.create(
                str(path), model_type="smplx", gender="NEUTRAL_2020", num_betas=NUM_BETAS,
                num_expression_coeffs=NUM_EXPRESSIONS, use_pca=False, flat_hand_mean=False, use_face_contour=False,
                ext="npz",
            ).requires_grad_(False).eval()  # fmt: skip
        except Exception as error:  # whatever the package and numpy meet in it
            raise SemTalkError(
                f"{self.source}: not the neutral SMPL-X model of 2020, or damaged ({type(error).__name__}: {error}); "
                "get it again from its licensor, or set body.path=null to use the stand-in body."
            ) from error
        mean = self.model.pose_mean.view(NUM_JOINTS, 3)[-30:]
        self.register_buffer("hand_mean", mean.clone(), persistent=False)
        corners = self.model.faces_tensor[self.model.lmk_faces_idx[MOUTH]]
        self.register_buffer("lips", corners.unique(), persistent=False)

    def rest_joints(self, betas: Tensor) -> Tensor:
        """See :class:`BodyModel`."""
        directions = torch.einsum("jv,vcs->jcs", self.model.J_regressor, self.model.shapedirs[..., :NUM_BETAS])
        neutral = self.model.J_regressor @ self.model.v_template
        return neutral + torch.einsum("...s,jcs->...jc", betas.to(neutral.dtype), directions)

    def points(self, poses: Tensor, expressions: Tensor, betas: Tensor) -> Tensor:
        """See :class:`BodyModel`."""
        count, turns = len(poses), poses.flatten(1)
        return self.model(
            betas=betas.expand(count, -1), expression=expressions, global_orient=turns[:, :3], body_pose=turns[:, 3:66],
            jaw_pose=turns[:, 66:69], leye_pose=turns[:, 69:72], reye_pose=turns[:, 72:75],
            left_hand_pose=turns[:, 75:120], right_hand_pose=turns[:, 120:], transl=poses.new_zeros(count, 3),
        ).joints  # fmt: skip

    def face_vertices(self, jaw: Tensor, expressions: Tensor, betas: Tensor) -> Tensor:
        """See :class:`BodyModel`: all 10,475 vertices, everything but jaw and expressions at zero."""
        count = len(jaw)
        zeros = jaw.new_zeros(count, 3)
        return self.model(
            betas=betas.expand(count, -1), expression=expressions, jaw_pose=jaw, global_orient=zeros, transl=zeros,
            body_pose=jaw.new_zeros(count, 63), left_hand_pose=jaw.new_zeros(count, 45),
            right_hand_pose=jaw.new_zeros(count, 45), leye_pose=zeros, reye_pose=zeros,
        ).vertices  # fmt: skip

    def surface(self) -> tuple[Tensor, Tensor]:
        """See :class:`BodyModel`."""
        return self.model.faces_tensor, self.model.lbs_weights

    def face_landmarks(self, jaw: Tensor, expressions: Tensor, betas: Tensor) -> Tensor:
        """See :class:`BodyModel`."""
        corners = self.model.faces_tensor[self.model.lmk_faces_idx]
        pieces = zip(jaw.split(FRAMES), expressions.split(FRAMES), strict=True)
        vertices = [self.face_vertices(turn, face, betas)[:, corners] for turn, face in pieces]
        return torch.einsum("tlcx,lc->tlx", torch.cat(vertices), self.model.lmk_bary_coords)
