"""The face of a glTF figure: a mesh of its own on neck, head and eyes, with ARKit's shapes as morph targets."""

import numpy as np

from semtalk.face.mesh import CARRIERS, GROUPS, HEAD, PAINT, FaceMesh, normals
from semtalk.face.names import ARKIT
from semtalk.face.talk import Shaped
from semtalk.gltf import FLOAT, LEAST, UNSIGNED_INT, UNSIGNED_SHORT, Buffer

WOOD = (0.60, 0.42, 0.20)
"""Of the figure: linear red, green and blue."""
GAMMA = 2.2
SHINY = ("white", "iris", "pupil", "teeth", "tongue")


def add_face(document: dict, buffer: Buffer, talk: Shaped, rest: np.ndarray, times: int) -> None:
    """Add node, mesh, materials and animation of a face to a document that has a figure's skin and animation.

    Args:
        document: Of the figure; changed.
        buffer: Of the document.
        talk: The face, and its weights in each frame.
        rest: (55, 3) joints at rest.
        times: Accessor of the frames' seconds.
    """
    mesh = talk.mesh._replace(vertices=(talk.mesh.vertices + rest[HEAD]).astype(np.float32))
    outward = normals(mesh.vertices, mesh.faces).astype(np.float32)
    primitives, zeros = [], buffer.view(np.zeros_like(mesh.vertices))
    for number, name in enumerate(GROUPS):
        used, faces = np.unique(mesh.faces[mesh.groups[mesh.faces[:, 0]] == number], return_inverse=True)
        if len(used):
            material = len(document["materials"])
            document["materials"].append(_material(name))
            primitives.append(_primitive(buffer, mesh, outward, used, faces, material, zeros))
    node, shape = len(document["nodes"]), len(document["meshes"])
    document["meshes"].append(
        {
            "name": "face",
            "primitives": primitives,
            "weights": [0.0] * len(ARKIT),
            "extras": {"targetNames": list(ARKIT)},
        }
    )
    document["nodes"].append({"name": "face", "mesh": shape, "skin": 0})
    document["scenes"][0]["nodes"].append(node)
    animation = document["animations"][0]
    track = buffer.add(talk.weights.astype(np.float32).reshape(-1), "SCALAR", FLOAT)
    animation["channels"].append({"sampler": len(animation["samplers"]), "target": {"node": node, "path": "weights"}})
    animation["samplers"].append({"input": times, "output": track})


def _material(name: str) -> dict:
    colour = WOOD if name == "skin" else [float(value) ** GAMMA for value in PAINT[name]]
    roughness = 0.25 if name in SHINY else 0.7
    factors = {"baseColorFactor": [*colour, 1], "metallicFactor": 0.0, "roughnessFactor": roughness}
    return {"name": f"face_{name}", "pbrMetallicRoughness": factors, "doubleSided": name == "lashes"}


def _primitive(
    buffer: Buffer, mesh: FaceMesh, outward: np.ndarray, used: np.ndarray, faces: np.ndarray, material: int, zeros: int
) -> dict:
    weights = mesh.weights[used].astype(np.float32)
    attributes = {
        "POSITION": buffer.add(mesh.vertices[used], "VEC3", FLOAT, bounds=True),
        "NORMAL": buffer.add(outward[used], "VEC3", FLOAT),
        "JOINTS_0": buffer.add(np.where(weights > 0, CARRIERS, 0).astype(np.uint16), "VEC4", UNSIGNED_SHORT),
        "WEIGHTS_0": buffer.add(weights, "VEC4", FLOAT),
    }
    if mesh.groups[used[0]] == GROUPS.index("skin"):
        attributes["COLOR_0"] = buffer.add((mesh.colours[used] ** GAMMA).astype(np.float32), "VEC3", FLOAT)
    still = buffer.add_sparse(np.zeros((len(used), 3), np.float32), zeros)
    moved = np.abs(mesh.shapes[:, used]).max(axis=(1, 2)) > LEAST
    targets = [
        {"POSITION": buffer.add_sparse(mesh.shapes[index, used], zeros) if moves else still}
        for index, moves in enumerate(moved)
    ]
    indices = buffer.add(faces.reshape(-1).astype(np.uint32), "SCALAR", UNSIGNED_INT)
    return {"attributes": attributes, "indices": indices, "material": material, "targets": targets}
