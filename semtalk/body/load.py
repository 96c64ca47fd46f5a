"""Which body measures motion."""

from semtalk.body.base import BodyModel
from semtalk.errors import SemTalkError
from semtalk.swap import named


def load_body(path: str | None, model: str = "auto") -> BodyModel:
    """The body that measures motion.

    Args:
        path: Folder with ``smplx/SMPLX_NEUTRAL_2020.npz``, or none.
        model: ``auto``: SMPL-X where there is a path, else the stand-in; or ``package.module:Name``, a
            :class:`BodyModel` of an installed package that is built from the path.

    Raises:
        SemTalkError: There is no such file or class.
    """
    if model != "auto":
        body = named("body.model", model)
        if not (isinstance(body, type) and issubclass(body, BodyModel)):
            raise SemTalkError(f"body.model={model}: it is no class of semtalk.body.BodyModel.")
        return body(path)
    if path is None:
        from semtalk.body.stand_in import StandInBody

        return StandInBody()
    from semtalk.body.smplx_body import SMPLXBody

    return SMPLXBody(path)
