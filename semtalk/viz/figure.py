"""Draws motions as wooden figures standing side by side, headless, with pyvista.

Drawing takes about 70 ms for each figure and frame on one core, so that frames are shared out over processes. They are
plain programs that are fed through pipes: those of ``multiprocessing`` would run the script again that asked for them.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Generator

import numpy as np

from semtalk.environment import cores
from semtalk.errors import SemTalkError
from semtalk.face.mesh import HEAD
from semtalk.face.talk import DrawnFace, drawn_rest
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import EYES
from semtalk.viz.face import CLOSE_ANGLE, FaceActor, Head, head_of, look_at
from semtalk.viz.stage import ANGLE, SPACING, Stage, View, distance, stage

COLOURS = ("#c9a26b", "#9aa5b1", "#8fb08a", "#b391b0", "#7d9cc4", "#c98f86")
"""Of figures, from the last, which is what was made, to the first."""
BUST = np.array([0.35, 0.3, 0.35])
"""Metres from the neck, within which a figure is drawn in a view of its face."""
BATCH = 12
"""Frames that a process draws at a time."""


class FigureRenderer:
    """A scene with one wooden figure for each motion, and views of their faces where they have some."""

    def __init__(self, betas: list[np.ndarray], place: Stage, heads: list[Head] | None = None):
        """Set up the scene.

        Args:
            betas: (300,) body shape of each figure.
            place: What is seen where.
            heads: Of the figures, or none for wooden ones.
        """
        import pyvista
        from mannequin import Mannequin
        from vtkmodules.vtkCommonCore import vtkLogger

        # Without a screen VTK says that X is missing before it draws through EGL.
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)

        self.models = [Mannequin("wooden", shape=np.asarray(shape[:10], np.float32)) for shape in betas]
        boxes = ([place.bodies] if place.bodies else []) + list(place.faces)
        self.plotter = pyvista.Plotter(
            off_screen=True, window_size=list(place.size), lighting="three lights", shape=(1, len(boxes)), border=False
        )
        self.plotter.set_background("white")
        for renderer, (left, top, width, height) in zip(self.plotter.renderers, boxes, strict=True):
            bottom = place.size[1] - top - height
            corners = (left, bottom, left + width, bottom + height)
            renderer.viewport = [corner / place.size[side % 2] for side, corner in enumerate(corners)]
        self.outside = np.ones(place.size[::-1], bool)
        for left, top, width, height in boxes:
            self.outside[top : top + height, left : left + width] = False
        first = len(boxes) - len(place.faces)
        self.closeups = list(self.plotter.renderers)[first:]
        self.wood: list[list[tuple]] = []
        self.faces = []
        for index, model in enumerate(self.models):
            still = model.vertices(model.rest_pose()).astype(np.float32)
            colour = COLOURS[(len(betas) - 1 - index) % len(COLOURS)]
            wood = model.faces if heads is None else model.faces[~own_head(model, still)[model.faces].any(axis=1)]
            self.wood.append([])
            rows = [0] * first + [first + index] * bool(self.closeups)
            for row in rows:
                self.plotter.subplot(0, row)
                seen = wood if row < first else wood[near_head(model, still)[wood].all(axis=1)]
                used, corners = np.unique(seen, return_inverse=True)
                mesh = pyvista.PolyData(still[used], np.insert(corners.reshape(-1, 3), 0, 3, axis=1))
                self.plotter.add_mesh(mesh, color=colour, smooth_shading=False)
                self.wood[-1].append((mesh, used))
            if heads is not None:
                self.faces.append(FaceActor(heads[index], colour))
                for row in rows:
                    self.plotter.renderers[row].AddActor(self.faces[-1].actor)
        for closeup in self.closeups:
            closeup.camera.view_angle = CLOSE_ANGLE
        if place.bodies:
            self.plotter.subplot(0, 0)
            width = SPACING * len(betas) + 1.0
            floor = pyvista.Plane(center=(0, -0.01, 0), direction=(0, 1, 0), i_size=2.4, j_size=width)
            self.plotter.add_mesh(floor, color="#e8e6e1")
            away = distance(len(betas), place.bodies[2:])
            self.plotter.camera_position = [(0, 1.2, away), (0, 0.93, 0), (0, 1, 0)]
            self.plotter.camera.view_angle = ANGLE

    def draw(
        self, poses: list[np.ndarray], places: list[np.ndarray], faces: list[np.ndarray] | None = None
    ) -> np.ndarray:
        """Draw one frame.

        Args:
            poses: (55, 3) axis-angle of each figure.
            places: (3,) translation of each figure in metres.
            faces: (V, 3) vertices of each face, see :meth:`semtalk.face.talk.Talk.at`.

        Returns:
            (H, W, 3) uint8 picture.
        """
        shift = (np.arange(len(poses)) - (len(poses) - 1) / 2) * SPACING
        for index, (model, pose, where) in enumerate(zip(self.models, poses, places, strict=True)):
            parameters = model.rest_pose() | {
                "body_pose": pose[1:22],
                "hand_pose": pose[25:],
                "pelvis_rotation": pose[0],
                "global_translation": where + np.array([shift[index], 0, 0]),
            }
            moved = model.vertices(parameters).astype(np.float32)
            for mesh, used in self.wood[index]:
                mesh.points = moved[used]
            if self.faces:
                joints = dict(zip(model.joint_names, model.joint_transforms(parameters), strict=True))
                self.faces[index].move(faces[index], pose[list(EYES)], joints)
        for face, closeup in zip(self.faces, self.closeups, strict=False):
            look_at(closeup, face.middle)
        self.plotter.render()
        picture = np.array(self.plotter.screenshot(return_img=True)[..., :3])
        picture[self.outside] = 255
        return picture


def own_head(model, still: np.ndarray) -> np.ndarray:
    """Which vertices (V,) of a wooden figure are its head: those that turn with it.

    Args:
        model: The figure.
        still: (V, 3) its vertices at rest.
    """
    turned = model.rest_pose()
    turned["body_pose"][HEAD - 1] = 0.3, 0.2, 0.1
    return np.abs(model.vertices(turned) - still).max(axis=1) > 1e-6


def near_head(model, still: np.ndarray) -> np.ndarray:
    """Which vertices (V,) of a wooden figure at rest are seen in a view of its face."""
    joints = dict(zip(model.joint_names, model.joint_transforms(model.rest_pose()), strict=True))
    return (np.abs(still - joints["Neck"][:3, 3]) < BUST).all(axis=1)


def serve() -> None:
    """Draw what comes through standard input until it ends, and send the pictures through standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started this process ends it
    jobs, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no picture
    renderer = FigureRenderer(*pickle.load(jobs))
    while True:
        try:
            batch = pickle.load(jobs)
        except EOFError:  # nobody is there any more
            return
        pickle.dump([renderer.draw(*scene) for scene in batch], answers)
        answers.flush()


class Drawer:
    """A process that draws."""

    def __init__(self, *arguments):
        """Start it, with the arguments of :class:`FigureRenderer`."""
        program = f"import sys; sys.path[:] = {sys.path}; from semtalk.viz.figure import serve; serve()"
        self.process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.send(arguments)

    def send(self, content) -> None:
        """Give it something to do."""
        try:
            pickle.dump(content, self.process.stdin)
            self.process.stdin.flush()
        except BrokenPipeError:
            self._fail()

    def receive(self) -> list[np.ndarray]:
        """The pictures of what it was given to draw."""
        try:
            return pickle.load(self.process.stdout)
        except (EOFError, pickle.UnpicklingError):
            self._fail()

    def _fail(self) -> None:
        raise SemTalkError(
            f"a process that draws ended with status {self.process.wait()}, and says above why; nothing is drawn with "
            "video=false."
        )

    def end(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.communicate()


def draw_motions(
    motions: list[Motion], frames: int, size: tuple[int, int], processes: int | None = None,
    face: DrawnFace | None = None, view: View = "body",
) -> Generator:  # fmt: skip
    """Draw the first ``frames`` frames of motions side by side, in order.

    Args:
        motions: Shown from left to right, each centred on its mean place.
        frames: How many.
        size: Width and height in pixels of a picture of bodies; one with a row of faces is higher.
        processes: How many draw at once; as many as there are cores by default, at most 8.
        face: Of all figures; without one they are of wood alone, and bodies are all that is seen.
        view: Bodies, faces or both.

    Yields:
        (H, W, 3) uint8 pictures.
    """
    centres = [motion.trans[:frames].mean(axis=0) * [1, 0, 1] for motion in motions]
    rests = [drawn_rest(motion.betas) for motion in motions] if face else []
    talks = [face.talk(motion[:frames], rest) for motion, rest in zip(motions, rests, strict=True)] if face else []
    starts = range(0, frames, BATCH)

    def batch(first: int) -> list[tuple]:
        last = min(first + BATCH, frames)
        moved = [talk.at(first, last) for talk in talks]
        return [
            (
                [m.poses[t] for m in motions],
                [m.trans[t] - c for m, c in zip(motions, centres, strict=True)],
                [points[t - first] for points in moved],
            )
            for t in range(first, last)
        ]

    processes = min(processes or min(8, cores()), len(starts))
    heads = [head_of(talk, rest) for talk, rest in zip(talks, rests, strict=True)] or None
    arguments = ([motion.betas for motion in motions], stage(len(motions), size, view if face else "body"), heads)
    if processes == 1:  # a process of its own takes longer to start than a few frames to draw
        renderer = FigureRenderer(*arguments)
        yield from (renderer.draw(*scene) for first in starts for scene in batch(first))
        return
    drawers: list[Drawer] = []
    try:
        for _ in range(processes):
            drawers.append(Drawer(*arguments))
        for drawer, first in zip(drawers, starts[:processes], strict=True):
            drawer.send(batch(first))
        for index in range(len(starts)):
            drawer = drawers[index % processes]
            pictures = drawer.receive()
            if index + processes < len(starts):
                drawer.send(batch(starts[index + processes]))
            yield from pictures
    finally:
        for drawer in drawers:
            drawer.end()
