"""A generated take as motion files and videos show it."""

from semtalk.evaluation.takes import Take
from semtalk.face.talk import DrawnFace
from semtalk.motion.io import Motion
from semtalk.motion.parts import poses_from_rotation
from semtalk.viz.stage import View
from semtalk.viz.video import Scene


def take_motion(take: Take, row: str) -> Motion:
    """A row of a take as motion."""
    poses = poses_from_rotation(take.rotation[row])
    arrays = (poses, take.expressions[row], take.trans[row], take.betas)
    return Motion(*(array.numpy() for array in arrays))


def take_scene(take: Take, beta: float, face: DrawnFace | None = None, view: View = "body") -> Scene:
    """The generated motion beside the truth, with the recording's sound and gestured words.

    Args:
        take: With the rows ``truth`` and ``fused``, of a prepared recording.
        beta: Threshold of the semantic score.
        face: Of both figures, or none.
        view: See :class:`semtalk.viz.video.Scene`.
    """
    keywords = [(keyword or label, start, end) for label, start, end, _, keyword in take.recording.info["keywords"]]
    motions = {"ground truth": take_motion(take, "truth"), "generated": take_motion(take, "fused")}
    psi = None if take.psi is None else take.psi.numpy()
    return Scene(motions, take.recording["wave"].numpy(), psi, beta, keywords, face=face, view=view)
