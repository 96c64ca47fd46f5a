"""Makes docs/avatar.png, characters that move as the figure does: ``python docs/avatar_picture.py MOTION.npz``."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyvista
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy.spatial.transform import Rotation
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOGeometry import vtkGLTFReader

from semtalk.avatar import write_avatar
from semtalk.avatar.names import CONVENTIONS
from semtalk.body import load_body
from semtalk.generation.writers import figure_mesh, write_glb
from semtalk.gltf import FLOAT, UNSIGNED_INT, UNSIGNED_SHORT, Buffer, write_glb_file
from semtalk.motion import FPS, load_motion
from semtalk.motion.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS

SIZE = (230, 300)
"""Of one figure, in pixels."""
SHOWN = 3
"""Frames of the motion."""
TRUNK, LEGS, ARMS, HEAD = (0, 3, 6, 9), (1, 2, 4, 5), range(13, 22), (12, 15)
CHARACTERS = [
    ("Mixamo, A pose", "#4d8f8b", {"names": "Mixamo", "arms": 45.0, "legs": 1.12}),
    ("VRM names, stout", "#c9803f", {"names": "VRM", "arms": 20.0, "legs": 0.9, "wide": 1.5}),
    ("Unreal names, cm, z up", "#7a6aa8", {"names": "Unreal", "arms": 60.0, "legs": 0.72, "head": 1.35, "unit": 100.0}),
]
"""What stands below it, colour, and how each differs from the figure."""


def build(path: Path, names: str, arms: float, legs: float, wide: float = 1, head: float = 1, unit: float = 1) -> None:
    """Write a rigged character that is the wooden figure in other proportions and another rest pose.

    Args:
        path: Of the file.
        names: Of its bones, one of CONVENTIONS.
        arms: Degrees that they hang at rest.
        legs: Their length over the figure's.
        wide: Width of the trunk over the figure's.
        head: Its size over the figure's.
        unit: What a metre is in the file; with another than 1, z is up.
    """
    rest = load_body(None).rest_joints(torch.zeros(300)).numpy()
    vertices, faces, weights = figure_mesh(np.zeros(300), rest)
    shapes = np.tile(np.eye(3), (NUM_JOINTS, 1, 1))
    shapes[list(LEGS)] = np.diag([1 + (wide - 1) / 2, legs, 1 + (wide - 1) / 2])
    shapes[list(TRUNK)] = np.diag([wide, 1, wide])
    shapes[list(HEAD)] *= head
    for joint in (*ARMS[3:], *range(25, NUM_JOINTS)):
        side = 1 if "left" in JOINT_NAMES[joint] else -1
        shapes[joint] = Rotation.from_euler("z", -side * arms, degrees=True).as_matrix()
    places = rest.copy()
    for joint, parent in enumerate(PARENTS[1:], start=1):
        places[joint] = places[parent] + shapes[parent] @ (rest[joint] - rest[parent])
    moved = np.einsum("jab,vjb->vja", shapes, vertices[:, None] - rest) + places
    vertices = np.einsum("vj,vja->va", weights, moved)
    floor = vertices[:, 1].min()
    vertices[:, 1], places[:, 1] = vertices[:, 1] - floor, places[:, 1] - floor
    scene = Rotation.from_euler("x", 90 if unit != 1 else 0, degrees=True)
    vertices, places = (scene.apply(points) * unit for points in (vertices, places))
    carriers = np.argsort(-weights, axis=1)[:, :4]
    shares = np.take_along_axis(weights, carriers, axis=1)
    inverse = np.tile(np.eye(4, dtype=np.float32), (NUM_JOINTS, 1, 1))
    inverse[:, 3, :3] = -places
    buffer = Buffer()
    attributes = {
        "POSITION": buffer.add(vertices.astype(np.float32), "VEC3", FLOAT, bounds=True),
        "JOINTS_0": buffer.add(carriers.astype(np.uint16), "VEC4", UNSIGNED_SHORT),
        "WEIGHTS_0": buffer.add((shares / shares.sum(axis=1, keepdims=True)).astype(np.float32), "VEC4", FLOAT),
    }
    indices = buffer.add(faces.reshape(-1).astype(np.uint32), "SCALAR", UNSIGNED_INT)
    binds = buffer.add(inverse, "MAT4", FLOAT)
    nodes = [
        {
            "name": CONVENTIONS[names][joint].split("|")[0],
            "translation": (places[joint] - (0 if parent < 0 else places[parent])).tolist(),
            "children": [child for child in range(NUM_JOINTS) if PARENTS[child] == joint],
        }
        for joint, parent in enumerate(PARENTS)
    ]
    nodes = [{key: value for key, value in node.items() if value} for node in nodes]
    document = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0, NUM_JOINTS]}],
        "nodes": [*nodes, {"name": "mesh", "mesh": 0, "skin": 0}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": indices}]}],
        "skins": [{"joints": list(range(NUM_JOINTS)), "inverseBindMatrices": binds}],
        "buffers": [{"byteLength": len(buffer.data)}], "bufferViews": buffer.views, "accessors": buffer.accessors,
    }  # fmt: skip
    write_glb_file(path, document, buffer.data)


def mesh_of(path: Path, frame: int | None) -> pyvista.PolyData:
    """A character as VTK reads and skins it: at rest, or in a frame of its first animation."""
    reader = vtkGLTFReader()
    reader.SetFileName(str(path))
    reader.ApplyDeformationsToGeometryOn()
    reader.SetFrameRate(FPS)
    reader.UpdateInformation()
    if frame is not None:
        reader.EnableAnimation(0)
    reader.UpdateTimeStep(0 if frame is None else frame / FPS + 1e-6)
    found = reader.GetOutput().NewIterator().GetCurrentDataObject()
    mesh = pyvista.PolyData(found)
    mesh.points = vtk_to_numpy(found.GetPoints().GetData()).copy()
    return mesh


def picture_of(mesh: pyvista.PolyData, colour: str, unit: float) -> np.ndarray:
    """A mesh from the front, its feet on a line."""
    if unit != 1:
        mesh.points = Rotation.from_euler("x", -90, degrees=True).apply(mesh.points)
    mesh.points = mesh.points / unit
    mesh.points -= [np.mean(mesh.bounds[:2]), 0, np.mean(mesh.bounds[4:])]
    plotter = pyvista.Plotter(off_screen=True, window_size=list(SIZE), lighting="three lights")
    plotter.set_background("white")
    plotter.add_mesh(mesh, color=colour, smooth_shading=False)
    floor = pyvista.Plane(center=(0, -0.01, 0), direction=(0, 1, 0), i_size=2, j_size=8)
    plotter.add_mesh(floor, color="#e8e6e1", lighting=False)
    plotter.camera_position = [(0, 1.2, 3.9), (0, 0.97, 0), (0, 1, 0)]
    plotter.camera.view_angle = 30
    shot = np.asarray(plotter.screenshot(return_img=True))[..., :3]
    plotter.close()
    return shot


def shown_frames(poses: np.ndarray) -> list[int]:
    """Frames (of poses (T, 55, 3)) in which the arms are turned most, far from each other."""
    turned = np.abs(poses[:, 16:20] - poses[:, 16:20].mean(axis=0)).sum(axis=(1, 2))
    chosen: list[int] = []
    for frame in np.argsort(-turned):
        if len(chosen) < SHOWN and all(abs(frame - other) > len(poses) / (2 * SHOWN) for other in chosen):
            chosen.append(int(frame))
    return sorted(chosen)


def make(motion_file: str, path: Path) -> None:
    """Draw the figure and all characters, at rest and in some frames."""
    motion, body = load_motion(motion_file), load_body(None)
    frames = shown_frames(motion.poses)
    columns = [("the wooden figure", "#9aa5b1", {}), *CHARACTERS]
    page = Image.new("RGB", (SIZE[0] * len(columns), SIZE[1] * (1 + SHOWN) + 34), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=15)
    with TemporaryDirectory() as folder:
        for column, (name, colour, spec) in enumerate(columns):
            given, moved = (Path(folder) / f"{column}{kind}.glb" for kind in ("", "_avatar"))
            if spec:
                build(given, **spec)
                write_avatar(moved, motion, given, body)
            else:
                write_glb(moved, motion, body)
            for row, frame in enumerate([None, *frames]):
                mesh = mesh_of(given if spec and frame is None else moved, frame)
                if not spec:
                    mesh.points[:, 1] -= mesh.bounds[2]
                picture = picture_of(mesh, colour, spec.get("unit", 1.0))
                page.paste(Image.fromarray(picture), (column * SIZE[0], row * SIZE[1]))
            left = column * SIZE[0] + (SIZE[0] - draw.textlength(name, font=font)) / 2
            draw.text((left, SIZE[1] * (1 + SHOWN) + 8), name, fill="#222222", font=font)
    page.quantize(128).save(path, optimize=True)
    print(f"{path}: frames {frames}, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    make(sys.argv[1], Path("docs/avatar.png"))
