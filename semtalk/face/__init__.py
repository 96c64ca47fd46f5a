"""ARKit's 52 weights of a face, from SMPL-X's jaw, eyes and expressions."""

from semtalk.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "semtalk.face.names": "ARKIT",
        "semtalk.face.weights": "FaceMap face_map",
    },
)
