"""Body models: SMPL-X when the user has it, a licence-free stand-in otherwise."""

from semtalk.body.base import BodyModel, forward_kinematics
from semtalk.body.load import load_body

__all__ = ["BodyModel", "forward_kinematics", "load_body"]
