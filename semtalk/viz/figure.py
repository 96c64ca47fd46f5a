"""Draws motions as wooden figures standing side by side, headless, with pyvista.

Drawing takes about 70 ms for each figure and frame on one core, so that frames are shared out over processes. They are
plain programs that are fed through pipes: those of ``multiprocessing`` would run the script again that asked for them.
"""

import math
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np

from semtalk.environment import cores
from semtalk.errors import SemTalkError
from semtalk.motion.io import Motion

COLOURS = ("#9aa5b1", "#c9a26b")
SPACING, SIDES = 1.5, 2.3
"""Metres between figures, and what is seen beside the outer two, half of it on either side."""
VIEW = 30.0
"""Degrees from top to bottom of the picture."""
NEAREST = 4.0
"""Metres from the camera to the figures, where these leave it room."""
BATCH = 12
"""Frames that a process draws at a time."""


def distance(figures: int, size: tuple[int, int]) -> float:
    """Metres from the camera to the figures, so that all of them are in a picture of this width and height."""
    width = SPACING * (figures - 1) + SIDES
    return max(NEAREST, width * size[1] / size[0] / (2 * math.tan(math.radians(VIEW / 2))))


def figure_places(figures: int, size: tuple[int, int]) -> list[float]:
    """Where each figure stands in the picture, from left (0) to right (1)."""
    seen = distance(figures, size) * 2 * math.tan(math.radians(VIEW / 2)) * size[0] / size[1]
    return [0.5 + (index - (figures - 1) / 2) * SPACING / seen for index in range(figures)]


class FigureRenderer:
    """A scene with one wooden figure for each motion."""

    def __init__(self, betas: list[np.ndarray], size: tuple[int, int]):
        """Set up the scene.

        Args:
            betas: (300,) body shape of each figure.
            size: Width and height in pixels.
        """
        import pyvista
        from mannequin import Mannequin
        from vtkmodules.vtkCommonCore import vtkLogger

        # Without a screen VTK says that X is missing before it draws through EGL.
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)

        self.models = [Mannequin("wooden", shape=np.asarray(shape[:10], np.float32)) for shape in betas]
        self.plotter = pyvista.Plotter(off_screen=True, window_size=list(size), lighting="three lights")
        self.plotter.set_background("white")
        self.meshes = []
        for index, model in enumerate(self.models):
            faces = np.hstack([np.full((len(model.faces), 1), 3), model.faces])
            mesh = pyvista.PolyData(model.vertices(model.rest_pose()).astype(np.float32), faces)
            colour = COLOURS[(index + len(COLOURS) - len(betas)) % len(COLOURS)]
            self.plotter.add_mesh(mesh, color=colour, smooth_shading=False)
            self.meshes.append(mesh)
        width = SPACING * len(betas) + 1.0
        floor = pyvista.Plane(center=(0, -0.01, 0), direction=(0, 1, 0), i_size=2.4, j_size=width)
        self.plotter.add_mesh(floor, color="#e8e6e1")
        away = distance(len(betas), size)
        self.plotter.camera_position = [(0, 1.2, away), (0, 0.93, 0), (0, 1, 0)]
        self.plotter.camera.view_angle = VIEW

    def draw(self, poses: list[np.ndarray], places: list[np.ndarray]) -> np.ndarray:
        """Draw one frame.

        Args:
            poses: (55, 3) axis-angle of each figure.
            places: (3,) translation of each figure in metres.

        Returns:
            (H, W, 3) uint8 picture.
        """
        shift = (np.arange(len(poses)) - (len(poses) - 1) / 2) * SPACING
        for model, mesh, pose, place, offset in zip(self.models, self.meshes, poses, places, shift, strict=True):
            parameters = model.rest_pose() | {
                "body_pose": pose[1:22],
                "hand_pose": pose[25:],
                "pelvis_rotation": pose[0],
                "global_translation": place + np.array([offset, 0, 0]),
            }
            mesh.points = model.vertices(parameters).astype(np.float32)
        self.plotter.render()
        return np.asarray(self.plotter.screenshot(return_img=True))[..., :3]


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

    def __init__(self, betas: list[np.ndarray], size: tuple[int, int]):
        """Start it, with the arguments of :class:`FigureRenderer`."""
        program = f"import sys; sys.path[:] = {sys.path}; from semtalk.viz.figure import serve; serve()"
        self.process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.send((betas, size))

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


def draw_motions(motions: list[Motion], frames: int, size: tuple[int, int], processes: int | None = None) -> Iterator:
    """Draw the first ``frames`` frames of motions side by side, in order.

    Args:
        motions: Shown from left to right, each centred on its mean place.
        frames: How many.
        size: Width and height in pixels.
        processes: How many draw at once; as many as there are cores by default, at most 8.

    Yields:
        (H, W, 3) uint8 pictures.
    """
    centres = [motion.trans[:frames].mean(axis=0) * [1, 0, 1] for motion in motions]
    scenes = [
        ([m.poses[t] for m in motions], [m.trans[t] - c for m, c in zip(motions, centres, strict=True)])
        for t in range(frames)
    ]
    batches = [scenes[first : first + BATCH] for first in range(0, frames, BATCH)]
    processes = min(processes or min(8, cores()), len(batches))
    arguments = ([motion.betas for motion in motions], size)
    if processes == 1:  # a process of its own takes longer to start than a few frames to draw
        renderer = FigureRenderer(*arguments)
        yield from (renderer.draw(*scene) for scene in scenes)
        return
    drawers: list[Drawer] = []
    try:
        for _ in range(processes):
            drawers.append(Drawer(*arguments))
        for drawer, batch in zip(drawers, batches[:processes], strict=True):
            drawer.send(batch)
        for index in range(len(batches)):
            drawer = drawers[index % processes]
            pictures = drawer.receive()
            if index + processes < len(batches):
                drawer.send(batches[index + processes])
            yield from pictures
    finally:
        for drawer in drawers:
            drawer.end()
