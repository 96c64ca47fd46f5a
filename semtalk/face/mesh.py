"""A face as a mesh that hangs on neck, head and eyes: that of the free head, put on the joints of a figure.

Skin, lashes, teeth and tongue are the free head's. Its eyes are balls made here, so that white, iris and pupil meet in
circles; its neck is lengthened to where the figure's begins.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from semtalk.face.head import LANDMARKS, MESH, UNITS, head_folder, read_mesh, read_steps
from semtalk.face.names import ARKIT, INDEX
from semtalk.motion.skeleton import EYES

NECK, HEAD = 12, 15
CARRIERS = (NECK, HEAD, *EYES)
"""Joints that a face hangs on."""
GROUPS = ("skin", "lashes", "white", "iris", "pupil", "teeth", "tongue")
PAINT = {
    "skin": (1.0, 1.0, 1.0), "lashes": (0.17, 0.12, 0.10), "white": (0.96, 0.96, 0.94), "iris": (0.25, 0.40, 0.50),
    "pupil": (0.03, 0.03, 0.04), "teeth": (0.95, 0.93, 0.86), "tongue": (0.70, 0.33, 0.32),
}  # fmt: skip
"""Red, green and blue of each group, from 0 to 1; the skin's is multiplied with the colour of the figure."""
LIPS, BROWS, CAVITY = (0.86, 0.60, 0.56), (0.45, 0.36, 0.31), (0.36, 0.16, 0.15)
"""What the skin is multiplied with there."""

CUT = 0.605
"""Height in the mesh, in metres, above which it is the head: below the chin."""
HALF_WIDTH = 0.09
"""Metres from the middle, within which it is the head: ears in, shoulders out."""
RIM = 0.05
"""Height above :data:`CUT` of the edge at which the head was cut off."""
SIGHT = np.array([[0.0308, 0.7284, 0.1245], [-0.0308, 0.7284, 0.1245]])
"""Centres of the mesh's eyes, left and right."""
BALL = 0.0141
"""Radius of an eye of the mesh."""
PUPIL, IRIS = 12.0, 27.0
"""Degrees from the middle of an eye to their edges."""
ARCH = 0.82
"""How wide the rows of teeth are made, of the mesh's: those come through the corners of a mouth that is pursed."""
RINGS, COLLAR, SUNK = 8, (0.054, 0.054), np.array([0.0, -0.035, 0.008])
"""Of the longer neck: rings, half axes of the last one in metres, and its centre from the neck's joint."""
PARTS = {
    "body": "skin", "helper-l-eyelashes-2": "lashes", "helper-r-eyelashes-2": "lashes",
    "helper-upper-teeth": "teeth", "helper-lower-teeth": "teeth", "helper-tongue": "tongue",
}  # fmt: skip
"""Groups of the mesh that are read, and what they are."""


class FaceMesh(NamedTuple):
    """A face at rest, y up, facing +z, its left +x; for viewers and files.

    Attributes:
        vertices: (V, 3) metres, from the head's joint.
        faces: (F, 3) corners; all three are of one group.
        groups: (V,) indices into :data:`GROUPS`.
        colours: (V, 3) red, green and blue from 0 to 1; of the skin, to be multiplied with the figure's colour.
        weights: (V, 4) how much each vertex hangs on the joints :data:`CARRIERS`.
        shapes: (52, V, 3) metres by which a weight of 1 moves each vertex, in the order of :data:`ARKIT`.
    """

    vertices: np.ndarray
    faces: np.ndarray
    groups: np.ndarray
    colours: np.ndarray
    weights: np.ndarray
    shapes: np.ndarray


def triangles(quads: np.ndarray) -> np.ndarray:
    """Two triangles (2F, 3) for each face of four corners (F, 4)."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def open_edges(faces: np.ndarray) -> np.ndarray:
    """Edges (E, 2) with a face on one side only, in the direction in which it has them."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    known = {(int(a), int(b)) for a, b in edges}
    return np.array([edge for edge in known if edge[::-1] not in known], int).reshape(-1, 2)


@cache
def free_head(folder: Path) -> FaceMesh:
    """The head in the mesh's own place and size, without eyes and with a neck that ends at :data:`CUT`.

    Args:
        folder: Of the data, see :func:`semtalk.face.head.head_folder`.

    Raises:
        SemTalkError: Its files are others.
    """
    points, quads = read_mesh(folder / MESH, PARTS)
    body = points[quads["body"]]
    inside = (body[..., 1] >= CUT).all(axis=1) & (np.abs(body[..., 0]) <= HALF_WIDTH).all(axis=1)
    quads["body"] = quads["body"][inside]
    faces = np.concatenate([triangles(corners) for corners in quads.values()])
    kept, faces = np.unique(faces, return_inverse=True)
    groups = np.zeros(len(points), np.uint8)
    for name, group in PARTS.items():
        groups[quads[name].reshape(-1)] = GROUPS.index(group)
    colours = np.array([PAINT[name] for name in GROUPS])[groups]
    points[groups == GROUPS.index("teeth"), 0] *= ARCH
    mouth = np.isin(groups, [GROUPS.index("teeth"), GROUPS.index("tongue")])
    _paint(colours, points, groups, points[mouth], normals(points, triangles(quads["body"])))
    shapes = np.zeros((len(ARKIT), len(points), 3), np.float32)
    for name in ARKIT:
        moved, steps = read_steps(folder / UNITS / f"{name}.target")
        shapes[INDEX[name], moved] = steps
    weights = np.tile([0.0, 1.0, 0.0, 0.0], (len(kept), 1))
    return FaceMesh(points[kept], faces.reshape(-1, 3), groups[kept], colours[kept], weights, shapes[:, kept])


def _paint(colours: np.ndarray, points: np.ndarray, groups: np.ndarray, mouth: np.ndarray, outward: np.ndarray) -> None:
    """Give lips, brows and the inside of the mouth their colours, in place.

    Args:
        colours: (V, 3), changed.
        points: (V, 3).
        groups: (V,).
        mouth: (M, 3) teeth and tongue, which the inside of the mouth is around and turned to.
        outward: (V, 3) normals of the skin.
    """
    from matplotlib.path import Path as Outline

    marks = points[list(LANDMARKS)]
    skin = groups == GROUPS.index("skin")
    front = skin & (points[:, 2] > marks[31:43, 2].min() - 0.004)
    lips = front & Outline(marks[31:43, :2]).contains_points(points[:, :2], radius=-0.0005)
    around = ((points > mouth.min(axis=0) - 0.01) & (points < mouth.max(axis=0) + 0.01)).all(axis=1)
    turned_in = ((mouth.mean(axis=0) - points) * outward).sum(axis=1) > 0
    colours[lips], colours[skin & around & turned_in & ~lips] = LIPS, CAVITY
    for brow in (marks[:5], marks[5:10]):
        near = np.min([_distance(points, a, b) for a, b in zip(brow, brow[1:], strict=False)], axis=0)
        share = np.where(skin & (points[:, 2] > 0.09), np.clip(1.6 - near / 0.0035, 0, 1), 0)[:, None]
        colours += share * (np.array(BROWS) - colours)


def normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3) of vertices, outward; ahead where a vertex has no face, or one without an area."""
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    summed = np.stack(
        [np.bincount(faces.reshape(-1), np.repeat(across[:, axis], 3), len(points)) for axis in range(3)], axis=1
    )
    length = np.linalg.norm(summed, axis=1, keepdims=True)
    return np.where(length > 1e-18, summed / np.maximum(length, 1e-18), [0.0, 0.0, 1.0])


def _distance(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance (V,) of points (V, 3) from the line between two."""
    along = np.clip((points - a) @ (b - a) / max(((b - a) ** 2).sum(), 1e-12), 0, 1)
    return np.linalg.norm(points - a - along[:, None] * (b - a), axis=1)


def eyeball(sectors: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The front of a ball of radius 1 that looks along +z: vertices (V, 3), faces (F, 3), groups (V,)."""
    vertices, faces, groups = [], [], []
    around = np.arange(sectors) * 2 * np.pi / sectors
    zones = {
        "pupil": (0, PUPIL), "iris": (PUPIL, (PUPIL + IRIS) / 2, IRIS), "white": (IRIS, 38, 50, 65, 80, 100, 120),
    }  # fmt: skip
    for name, angles in zones.items():
        first = sum(map(len, vertices))
        polar = np.radians(angles)[:, None]
        ring = [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar) + 0 * around]
        vertices.append(np.stack(ring, axis=-1).reshape(-1, 3))
        a = np.arange((len(angles) - 1) * sectors)
        b = a - a % sectors + (a + 1) % sectors
        faces.append(first + triangles(np.stack([a, a + sectors, b + sectors, b], axis=1)))
        groups.append(np.full(len(vertices[-1]), GROUPS.index(name), np.uint8))
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate(groups)


def face_mesh(rest: np.ndarray) -> FaceMesh:
    """The free head on the joints of a figure: its eyes' centres are theirs, its neck reaches into the chest.

    Args:
        rest: (55, 3) joints of the figure at rest, metres.

    Raises:
        MissingModelError: The package with the free head is not installed.
        SemTalkError: Its files are others.
    """
    head = free_head(head_folder())
    eyes = rest[list(EYES)] - rest[HEAD]
    size = np.linalg.norm(eyes[0] - eyes[1]) / np.linalg.norm(SIGHT[0] - SIGHT[1])
    placed = (head.vertices - SIGHT.mean(axis=0)) * size + eyes.mean(axis=0)
    pieces = [_with_neck(head._replace(vertices=placed, shapes=head.shapes * size), rest[NECK] - rest[HEAD])]
    ball, faces, groups = eyeball()
    for side, centre in enumerate(eyes):
        weights = np.tile(np.eye(4)[2 + side], (len(ball), 1))
        colours = np.array([PAINT[name] for name in GROUPS])[groups]
        still = np.zeros((len(ARKIT), len(ball), 3))
        pieces.append(FaceMesh(ball * BALL * size + centre, faces, groups, colours, weights, still))
    starts = np.cumsum([0] + [len(piece.vertices) for piece in pieces])
    numbered = [piece.faces + start for piece, start in zip(pieces, starts, strict=False)]
    joined = {name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("groups", "colours")}
    return FaceMesh(
        np.concatenate([piece.vertices for piece in pieces]).astype(np.float32),
        np.concatenate(numbered).astype(np.uint32), **joined,
        weights=np.concatenate([piece.weights for piece in pieces]),
        shapes=np.concatenate([piece.shapes for piece in pieces], axis=1).astype(np.float32),
    )  # fmt: skip


def _with_neck(head: FaceMesh, neck: np.ndarray) -> FaceMesh:
    """The head with rings from its lower edge down to an ellipse around the neck's joint.

    Args:
        head: In place.
        neck: (3,) the neck's joint, from the head's; rings follow it the more, the lower they are.
    """
    edges = open_edges(head.faces)
    chin = head.vertices[head.groups == 0, 1].min() + RIM * 0.5
    edges = edges[(head.vertices[edges, 1] < chin).all(axis=1)]
    rim = np.unique(edges)
    count, start = len(rim), len(head.vertices)
    place = np.zeros(start, int)
    place[rim] = np.arange(count)
    loop = head.vertices[rim]
    centre = loop.mean(axis=0) if count else neck
    angle = np.arctan2(loop[:, 2] - centre[2], loop[:, 0] - centre[0])
    last = neck + SUNK + np.stack([COLLAR[0] * np.cos(angle), 0 * angle, COLLAR[1] * np.sin(angle)], axis=1)
    shares = np.arange(1, RINGS + 1) / RINGS
    slow = shares**2 * (3 - 2 * shares)  # straight down at first
    rings = np.concatenate(
        [loop + (last - loop) * [late, share, late] for share, late in zip(shares, slow, strict=True)]
    )
    moved = np.concatenate([(1 - share) ** 2 * head.shapes[:, rim] for share in shares], axis=1)
    down = np.repeat(shares, count)
    levels = [rim, *(start + level * count + np.arange(count) for level in range(RINGS))]
    faces = [head.faces]
    for above, below in zip(levels, levels[1:], strict=False):
        a, b = (place[edges[:, side]] for side in (0, 1))
        faces.append(triangles(np.stack([above[b], above[a], below[a], below[b]], axis=1)))
    none = 0 * down
    return FaceMesh(
        np.concatenate([head.vertices, rings]), np.concatenate(faces),
        np.append(head.groups, np.zeros(len(rings), np.uint8)),
        np.concatenate([head.colours, np.ones((len(rings), 3))]),
        np.concatenate([head.weights, np.stack([down, 1 - down, none, none], axis=1)]),
        np.concatenate([head.shapes, moved], axis=1),
    )  # fmt: skip


def posed(points: np.ndarray, weights: np.ndarray, rest: np.ndarray, turns: np.ndarray, places: np.ndarray):
    """Vertices (V, 3) of a face where its joints are.

    Args:
        points: (V, 3) at rest, from the head's joint.
        weights: (V, 4) of the joints :data:`CARRIERS`.
        rest: (4, 3) those joints at rest, from the head's.
        turns: (4, 3, 3) their rotations.
        places: (4, 3) where they are.
    """
    shifts = places - np.einsum("jab,jb->ja", turns, rest)
    matrices = np.einsum("vj,jab->vab", weights, turns)
    return np.einsum("vab,vb->va", matrices, points) + weights @ shifts
