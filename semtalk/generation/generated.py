"""What is generated for one recording, and how it is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from semtalk.body import BodyModel
from semtalk.errors import SemTalkError
from semtalk.face import FaceMap
from semtalk.face.talk import FreeFace
from semtalk.features.utterance import Utterance
from semtalk.generation.inputs import check_options, given_path
from semtalk.generation.writers import write_motion
from semtalk.motion.io import Motion
from semtalk.motion.skeleton import FPS


@dataclass
class Generated:
    """Motion for one recording.

    Attributes:
        motion: 30 frames a second.
        psi: (S,) semantic score of each code step, T/4 of them rounded up; with what was set of it.
        codes: Part -> (S, L) indices of the codes that the motion is decoded from.
        latents: Part -> (S, C) sums of those codes' vectors.
        utterance: The recording at 16 kHz, with the words that it was made with.
        body: For formats that hold a skeleton.
        sample: Number of the sample.
        corpus: That the run was trained on, whose expressions these are; see :func:`semtalk.face.face_map`.
    """

    motion: Motion
    psi: np.ndarray
    codes: dict[str, np.ndarray]
    latents: dict[str, np.ndarray]
    utterance: Utterance
    body: BodyModel
    sample: int = 0
    corpus: str | None = None

    def save(
        self, path: str | Path, arkit: FaceMap | None = None, arkit_fps: int = FPS, bvh: str = "smplx",
        face: FreeFace | None | Literal["auto"] = "auto",
    ) -> Path:  # fmt: skip
        """Write ``.npz`` (for BEAT2's Blender add-on), ``.bvh``, ``.glb``, ``.fbx``, or the face as ``.csv``.

        A character of one's own that moves so is written by :func:`semtalk.avatar.write_avatar`.

        Args:
            path: Its suffix says the format.
            arkit: How a csv's weights are found, see :func:`semtalk.face.face_map`; by default as this run needs it.
            arkit_fps: Rows of a csv a second, 30 or 60.
            bvh: Whose names a bvh's joints have: ``smplx``, ``vrm`` or ``mixamo``.
            face: Of the figure in a glb or fbx, or none; by default a free head where it is installed.

        Returns:
            The path.
        """
        path = given_path("path", path)
        check_options({"bvh": bvh})
        try:
            write_motion(path, self.motion, self.body, arkit, arkit_fps, bvh, face, self.corpus)
        except OSError as error:
            raise SemTalkError(f"{path}: it cannot be written ({error.strerror}); give another path.") from error
        return path
