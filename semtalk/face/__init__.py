"""Faces: ARKit's 52 weights from SMPL-X's jaw, eyes and expressions, and a head that they move."""

from semtalk.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "semtalk.face.mesh": "FaceMesh face_mesh",
        "semtalk.face.names": "ARKIT",
        "semtalk.face.talk": "find_face",
        "semtalk.face.weights": "FaceMap face_map",
    },
)
